//! What others may ask of the running engine.

use crate::metrics::{Metrics, Words};
use model::*;
use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::Figures;
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

/// Whether it can take calls. The default is that of an engine that does not answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Readiness {
    pub ready: bool,
    pub draining: bool,
    /// `whisper: base-q8_0`, or why robots cannot hear.
    pub speech: String,
    pub can_hear: bool,
    pub calls: usize,
    /// Less is free than is kept in reserve: robots begin no calls, recordings pause.
    pub disk: Option<String>,
    /// The call journal cannot be written: no attempt begins.
    pub journal: Option<String>,
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
    /// And whether the journal is written.
    Figures {
        reply: oneshot::Sender<(Figures, bool)>,
    },
}

/// The engine, as the API sees it. Cheap to clone. When the engine is gone, questions answer as if nothing were there.
#[derive(Clone, Debug)]
pub struct Handle {
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Arc<Notice>>,
    metrics: Arc<Metrics>,
    /// How many events were sent.
    published: Arc<Mutex<u64>>,
}

/// How long the node may take to answer before it is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(2);

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
                metrics: Arc::default(),
                published: Arc::default(),
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

    /// Tells all who listen; nobody listening is fine.
    pub fn publish(&self, tenant: TenantId, kind: &'static str, occurred_at: Wall, data: Value) {
        // Numbered and sent under one lock: readers tell a gap by the numbers.
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *published += 1;
        let notice = Notice {
            seq: *published,
            tenant,
            kind,
            occurred_at,
            data,
        };
        self.events.send(Arc::new(notice)).ok();
    }

    pub fn events(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.events.subscribe()
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What the engine counts and what there is just now, for the metrics.
    pub async fn words(&self) -> Words {
        let asked = self.ask(|reply| Question::Figures { reply });
        let figures = tokio::time::timeout(PATIENCE, asked).await;
        Words {
            metrics: self.metrics.clone(),
            figures: figures.ok().flatten(),
        }
    }

    pub async fn ready(&self) -> Readiness {
        let asked = self.ask(|reply| Question::Ready { reply });
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.ok().flatten().unwrap_or_default()
    }
}
