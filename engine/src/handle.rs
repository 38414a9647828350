//! What others may ask of the running engine.

use model::*;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};

/// A device's current contact.
#[derive(Clone, Debug, Serialize)]
pub struct RegistrationView {
    pub aor: String,
    pub contact: String,
    /// Where its packets come from.
    pub source: String,
    pub user_agent: String,
    pub expires_at: Wall,
}

/// A call that is up or being set up.
#[derive(Clone, Debug, Serialize)]
pub struct LiveCallView {
    pub id: CallId,
    pub direction: Direction,
    pub caller: String,
    pub callee: String,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
}

/// An event of the stream. `seq` rises by one for each event of this process.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    pub seq: u64,
    pub tenant: TenantId,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub occurred_at: Wall,
    pub data: Value,
}

#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    pub ready: bool,
    pub draining: bool,
    /// `whisper: base-q8_0`, or why robots cannot hear.
    pub speech: String,
    pub calls: usize,
}

/// A question to the node thread.
#[derive(Debug)]
pub enum Question {
    Registrations {
        tenant: TenantId,
        reply: oneshot::Sender<Vec<RegistrationView>>,
    },
    LiveCalls {
        tenant: TenantId,
        reply: oneshot::Sender<Vec<LiveCallView>>,
    },
    HangUp {
        tenant: TenantId,
        call: CallId,
        actor: String,
        reply: oneshot::Sender<bool>,
    },
    Standing {
        tenant: TenantId,
        campaign: CampaignId,
        reply: oneshot::Sender<Option<switch::Standing>>,
    },
    /// The tenant's configuration changed: load its directory again.
    Changed {
        tenant: TenantId,
    },
    /// A campaign was started, paused, finished or edited.
    CampaignChanged {
        tenant: TenantId,
        campaign: CampaignId,
    },
    Ready {
        reply: oneshot::Sender<Readiness>,
    },
}

/// The engine, as the API sees it. Cheap to clone. When the engine is gone, questions answer as if nothing were there.
#[derive(Clone, Debug)]
pub struct Handle {
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Arc<Notice>>,
}

impl Handle {
    /// The handle and the end that answers it. Tests of the API hold the other end themselves.
    pub fn new(
        bound: usize,
    ) -> (
        Handle,
        mpsc::Receiver<Question>,
        broadcast::Sender<Arc<Notice>>,
    ) {
        let (questions, receiver) = mpsc::channel(bound);
        let (events, _) = broadcast::channel(bound.max(1024));
        (
            Handle {
                questions,
                events: events.clone(),
            },
            receiver,
            events,
        )
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(make(reply)).await.ok()?;
        answer.await.ok()
    }

    pub async fn registrations(&self, tenant: TenantId) -> Vec<RegistrationView> {
        self.ask(|reply| Question::Registrations { tenant, reply })
            .await
            .unwrap_or_default()
    }

    pub async fn live_calls(&self, tenant: TenantId) -> Vec<LiveCallView> {
        self.ask(|reply| Question::LiveCalls { tenant, reply })
            .await
            .unwrap_or_default()
    }

    /// False when the tenant has no such live call.
    pub async fn hang_up(&self, tenant: TenantId, call: CallId, actor: String) -> bool {
        self.ask(|reply| Question::HangUp {
            tenant,
            call,
            actor,
            reply,
        })
        .await
        .unwrap_or(false)
    }

    /// How a running campaign stands; `None` when it is not running.
    pub async fn standing(
        &self,
        tenant: TenantId,
        campaign: CampaignId,
    ) -> Option<switch::Standing> {
        self.ask(|reply| Question::Standing {
            tenant,
            campaign,
            reply,
        })
        .await
        .flatten()
    }

    pub async fn changed(&self, tenant: TenantId) {
        self.questions.send(Question::Changed { tenant }).await.ok();
    }

    pub async fn campaign_changed(&self, tenant: TenantId, campaign: CampaignId) {
        self.questions
            .send(Question::CampaignChanged { tenant, campaign })
            .await
            .ok();
    }

    pub fn events(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.events.subscribe()
    }

    pub async fn ready(&self) -> Readiness {
        self.ask(|reply| Question::Ready { reply })
            .await
            .unwrap_or(Readiness {
                ready: false,
                draining: true,
                speech: "the engine has stopped".into(),
                calls: 0,
            })
    }
}
