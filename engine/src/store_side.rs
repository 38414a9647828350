//! The engine's side of the database: loads what the node must know, carries what it wants kept.

use crate::clock::wall;
use crate::inbox::Inbox;
use bots::{CompiledTemplate, Template};
use media::Prompt;
use model::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use store::journal::{Entry, Journal};
use store::writer::{self, not_claimed, unavailable};
use store::{Platform, Store, StoreError, Writer, campaigns::PromptFile};
use switch::{CampaignPlan, Input, Persist};
use tokio::task::JoinHandle;
use tracing::{error, warn};

pub(crate) struct StoreSide {
    journal: Journal,
    writer: Writer,
    writing: Mutex<Option<JoinHandle<()>>>,
    store: Store,
    platform: Platform,
    prompts: PathBuf,
    inbox: Inbox,
    /// Decoded prompts, shared by all campaigns; an uploaded prompt is a new id, so entries never go stale.
    decoded: Mutex<HashMap<PromptId, Arc<Prompt>>>,
}

impl StoreSide {
    /// Starts the writer; must be called inside a tokio runtime.
    pub fn start(
        store: Store,
        platform: Platform,
        prompts: PathBuf,
        inbox: Inbox,
        journal: Journal,
    ) -> StoreSide {
        let (answers, keeps) = (inbox.clone(), journal.clone());
        let options = writer::Options {
            journal: Some(journal.clone()),
            ..Default::default()
        };
        let (writer, writing) = Writer::start_with(&store, &platform, options, move |input| {
            let input = match input {
                // The disk filled up while the database committed: what cannot end on paper is not dialled.
                Input::Begun {
                    call,
                    result: Ok(Some(_)),
                } if keeps.is_in_trouble() => unavailable(call),
                input => input,
            };
            // The box holds tens of thousands; a node that far behind gives attempts up by their own deadlines.
            if answers.offer(input).is_err() {
                error!("the node does not keep up: an answer of the database was lost");
            }
        });
        StoreSide {
            journal,
            writer,
            writing: Mutex::new(Some(writing)),
            store,
            platform,
            prompts,
            inbox,
            decoded: Mutex::default(),
        }
    }

    /// Answered by `Input::Claimed`. Neither this nor `push` waits: the node's thread calls them.
    pub fn claim(&self, tenant: TenantId, campaign: CampaignId, at_most: u16) {
        if self.journal.is_in_trouble() {
            self.answer(not_claimed(campaign));
        } else {
            self.writer.claim(tenant, campaign, at_most, wall());
        }
    }

    /// Why no attempt begins, for people.
    pub fn journal_trouble(&self) -> Option<String> {
        self.journal.trouble()
    }

    /// To the journal, to the writer, or to both: the journal first, so that nothing is settled before it is told.
    pub fn push(&self, change: Persist) {
        let pushed = match change {
            Persist::Note(note) => {
                // A call that nobody pays for goes on without its notes.
                self.journal.append(Entry::Note(note));
                Ok(())
            }
            Persist::Beat(now) => {
                self.journal.append(Entry::Beat(now));
                Ok(())
            }
            Persist::Finish(end) => {
                let journalled = self.journal.append(Entry::Ended(end.clone()));
                self.writer.finish(end, journalled)
            }
            // An emergency call reserves nothing and waits for nobody.
            Persist::Begin(begin) if begin.reserve.is_some() && self.journal.is_in_trouble() => {
                self.answer(unavailable(begin.call));
                Ok(())
            }
            change => self.writer.push(change),
        };
        if let Err(overflow) = pushed {
            // The database has been away for tens of thousands of changes.
            error!(change = ?overflow.0, "a change is lost: the writer takes no more");
        }
    }

    fn answer(&self, input: Input) {
        if self.inbox.offer(input).is_err() {
            error!("the node does not keep up: an answer was lost");
        }
    }

    /// Waits until everything pushed is written, and closes the journal.
    pub async fn finish(&self) {
        self.writer.close();
        let writing = self
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writing) = writing {
            writing.await.ok();
        }
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || journal.close())
            .await
            .ok();
    }

    /// Every tenant, binding and running campaign, at start.
    pub async fn load_all(&self) -> Result<(), StoreError> {
        for directory in self.store.directory(&self.platform).await? {
            self.inbox.deliver(Input::Directory(Arc::new(directory)));
        }
        let bindings = self.store.bindings(&self.platform, wall()).await?;
        self.inbox.deliver(Input::Restore(bindings));
        for (tenant, campaign) in self.store.running_campaigns(&self.platform).await? {
            self.reload_campaign(tenant, campaign).await;
        }
        Ok(())
    }

    /// A tenant's configuration changed.
    pub async fn reload(&self, tenant: TenantId) {
        match self
            .store
            .tenant_directory(&self.platform.tenant(tenant))
            .await
        {
            Ok(directory) => self.inbox.deliver(Input::Directory(Arc::new(directory))),
            Err(error) => error!(%tenant, %error, "the directory stays as it was"),
        }
    }

    /// A campaign was started, paused, edited or got leads.
    pub async fn reload_campaign(&self, tenant: TenantId, campaign: CampaignId) {
        match self.plan(tenant, campaign).await {
            Ok(plan) => self.inbox.deliver(Input::Campaign(Arc::new(plan))),
            Err(why) => error!(%tenant, %campaign, why, "the campaign stays as it was"),
        }
    }

    async fn plan(&self, tenant: TenantId, campaign: CampaignId) -> Result<CampaignPlan, String> {
        let scope = self.platform.tenant(tenant);
        let parts = self
            .store
            .campaign_parts(&scope, campaign)
            .await
            .map_err(|error| error.to_string())?;
        let template: Template =
            serde_json::from_value(parts.template).map_err(|error| error.to_string())?;
        let template = CompiledTemplate::new(&template).map_err(|findings| {
            findings
                .first()
                .map_or_else(String::new, |finding| finding.message.clone())
        })?;
        let prompts = self.prompts(parts.prompts).await;
        Ok(CampaignPlan {
            tenant,
            campaign: parts.campaign,
            template,
            prompts,
        })
    }

    /// Decodes what is not yet decoded. A file that cannot be read is left out: calls note it and go on.
    async fn prompts(&self, files: Vec<PromptFile>) -> HashMap<PromptId, Arc<Prompt>> {
        let mut prompts = HashMap::with_capacity(files.len());
        for file in files {
            if let Some(prompt) = self.decoded().get(&file.id) {
                prompts.insert(file.id, prompt.clone());
                continue;
            }
            let path = self.prompts.join(&file.file);
            let decoded = tokio::task::spawn_blocking(move || {
                let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
                media::prompt::decode(&bytes, Some("wav")).map_err(|error| error.to_string())
            });
            match decoded.await {
                Ok(Ok(pcm)) => {
                    let prompt = Arc::new(Prompt::new(file.id, pcm));
                    self.decoded().insert(file.id, prompt.clone());
                    prompts.insert(file.id, prompt);
                }
                Ok(Err(why)) => warn!(prompt = %file.id, why, "a prompt cannot be read"),
                Err(error) => warn!(prompt = %file.id, %error, "a prompt cannot be read"),
            }
        }
        prompts
    }

    fn decoded(&self) -> std::sync::MutexGuard<'_, HashMap<PromptId, Arc<Prompt>>> {
        self.decoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
