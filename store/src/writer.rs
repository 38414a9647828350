//! The writer: one task through which every change of a running call goes, in order, many to a transaction.
//!
//! - Group commit: whatever waits when a transaction begins goes into it; while it commits, the next batch gathers. Changes
//!   that nobody waits for gather `GATHER` long first: each transaction, and each waking of this task, costs more than a row.
//! - One bad change fails alone: a batch is tried plainly, and when anything in it fails, once more with a savepoint around
//!   each change.
//! - Answers (`Input::Begun`, `Input::Claimed`) are delivered after the commit, so nothing leaves that is not durable.
//! - Two lanes: imports and the like (`Store::import_leads` …) stand behind what waits here; see `lanes`.
//! - While the database is away the batch is tried again with back-off, in order. A `Begin` or claim does not wait that long:
//!   it is answered "unavailable" and forgotten. Every change is idempotent, so a commit whose result is unknown is repeated.
//! - Bounded: beyond `SOFT` waiting changes no new attempt begins; beyond `HARD` a change is handed back to the caller.
//!   (What waits is kept in memory; a spool on disk comes with the call journal.)

use crate::attempts::{self, NotBegun};
use crate::db::Tx;
use crate::error::StoreError;
use crate::finish::Ended;
use crate::scope::Platform;
use crate::stopwatch::Stopwatch;
use crate::store::Store;
use crate::{bindings, claims, finish};
use model::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use switch::{BeginRefused, Input, Noted, Persist};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// Waiting changes beyond which no new attempt begins and nothing is claimed.
const SOFT: usize = 4096;
/// Waiting changes beyond which none is taken.
const HARD: usize = 65_536;
/// Changes of one transaction.
const BATCH: usize = 256;
/// How long changes that nobody waits for gather.
const GATHER: Duration = Duration::from_millis(10);
/// How long an attempt or a claim waits for a database that is away.
const PATIENCE: Duration = Duration::from_secs(2);
const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MOST: Duration = Duration::from_secs(2);

/// Where answers go: `Input::Begun` and `Input::Claimed`, each after its commit. Called from the writer's task; must not
/// block.
pub type Deliver = Arc<dyn Fn(Input) + Send + Sync>;

/// Hands changes to the writer's task. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    store: Store,
    deliver: Deliver,
    closing: Arc<Closing>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// The queue is full, or the writer has stopped: the change comes back.
#[derive(Debug, thiserror::Error)]
#[error("the writer takes no more changes")]
pub struct Overflow(pub Box<Persist>);

#[derive(Debug, Default)]
struct Closing {
    asked: AtomicBool,
    told: Notify,
    /// Something came that somebody waits for.
    hurry: Notify,
}

#[derive(Debug)]
struct Job {
    asked: Stopwatch,
    what: What,
}

#[derive(Debug)]
enum What {
    Change(Persist),
    Claim {
        tenant: TenantId,
        campaign: CampaignId,
        at_most: u16,
        now: Wall,
    },
}

impl Writer {
    /// Starts the task. It ends after `close`, when everything that was pushed is written.
    pub fn start(
        store: &Store,
        platform: &Platform,
        deliver: impl Fn(Input) + Send + Sync + 'static,
    ) -> (Writer, JoinHandle<()>) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let deliver: Deliver = Arc::new(deliver);
        let closing = Arc::new(Closing::default());
        let task = Task {
            store: store.clone(),
            platform: platform.clone(),
            deliver: deliver.clone(),
            queue,
            closing: closing.clone(),
        };
        let handle = tokio::spawn(task.run());
        (
            Writer {
                jobs,
                store: store.clone(),
                deliver,
                closing,
            },
            handle,
        )
    }

    /// Takes a change, to be written in the order of the pushes. A `Begin` that finds no room is answered at once with
    /// `BeginRefused::Unavailable`; any other change comes back.
    pub fn push(&self, change: Persist) -> Result<(), Overflow> {
        let bound = if matches!(change, Persist::Begin(_)) {
            SOFT
        } else {
            HARD
        };
        let Err(refused) = self.send(What::Change(change), bound) else {
            return Ok(());
        };
        match *refused {
            What::Change(Persist::Begin(begin)) => {
                (self.deliver)(unavailable(begin.call));
                Ok(())
            }
            What::Change(change) => Err(Overflow(Box::new(change))),
            What::Claim { .. } => Ok(()),
        }
    }

    /// Claims leads, after the changes pushed before it; answered by `Input::Claimed`, with none when there is no room.
    pub fn claim(&self, tenant: TenantId, campaign: CampaignId, at_most: u16, now: Wall) {
        if self
            .send(
                What::Claim {
                    tenant,
                    campaign,
                    at_most,
                    now,
                },
                SOFT,
            )
            .is_err()
        {
            (self.deliver)(nothing_claimed(campaign));
        }
    }

    fn send(&self, what: What, bound: usize) -> Result<(), Box<What>> {
        let lanes = &self.store.lanes;
        let hurries = what.hurries();
        let room = lanes.call_waits() <= bound && !self.closing.asked.load(Ordering::Acquire);
        let sent = match room {
            true => self
                .jobs
                .send(Job {
                    asked: Stopwatch::start(),
                    what,
                })
                .map_err(|refused| Box::new(refused.0.what)),
            false => Err(Box::new(what)),
        };
        match &sent {
            Err(_) => lanes.calls_done(1),
            Ok(()) if hurries => self.closing.hurry.notify_one(),
            Ok(()) => {}
        }
        sent
    }

    /// Changes that are not written yet.
    pub fn waiting(&self) -> usize {
        self.store.lanes.waiting()
    }

    /// Takes no more changes and lets the task end when all that wait are written.
    pub fn close(&self) {
        self.closing.asked.store(true, Ordering::Release);
        self.closing.told.notify_waiters();
    }
}

fn unavailable(call: CallId) -> Input {
    Input::Begun {
        call,
        result: Err(BeginRefused::Unavailable),
    }
}

fn nothing_claimed(campaign: CampaignId) -> Input {
    Input::Claimed {
        campaign,
        leads: Vec::new(),
        next_due: None,
    }
}

struct Task {
    store: Store,
    platform: Platform,
    deliver: Deliver,
    queue: mpsc::UnboundedReceiver<Job>,
    closing: Arc<Closing>,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch).await {
            let taken = batch.len();
            self.write(&mut batch).await;
            batch.clear();
            self.store.lanes.calls_done(taken);
        }
    }

    /// Waits for a change and takes what else is there. False at the end.
    async fn gather(&mut self, batch: &mut Vec<Job>) -> bool {
        let closing = self.closing.clone();
        let told = closing.told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if closing.asked.load(Ordering::Acquire) {
            self.queue.close();
            return self.queue.recv_many(batch, BATCH).await > 0;
        }
        let more = tokio::select! {
            biased;
            taken = self.queue.recv_many(batch, BATCH) => taken > 0,
            () = &mut told => {
                self.queue.close();
                return self.queue.recv_many(batch, BATCH).await > 0;
            }
        };
        if more && !batch.iter().any(|job| job.what.hurries()) {
            let hurried = async {
                tokio::select! {
                    () = closing.hurry.notified() => {}
                    () = told => {}
                }
            };
            tokio::time::timeout(GATHER, hurried).await.ok();
            while batch.len() < BATCH
                && let Ok(job) = self.queue.try_recv()
            {
                batch.push(job);
            }
        }
        more
    }

    /// Until the batch is written. What cannot wait for a database that is away is answered and left out.
    async fn write(&self, batch: &mut Vec<Job>) {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let written = match self.try_write(batch, false).await {
                Ok(None) => self.try_write(batch, true).await,
                written => written,
            };
            match written.map(Option::unwrap_or_default) {
                Ok(answers) => {
                    answers
                        .into_iter()
                        .for_each(|answer| (self.deliver)(answer));
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, changes = batch.len(), "the batch is tried again");
                    if matches!(error, StoreError::Unavailable(crate::Trouble::Closed)) {
                        self.give_up(batch);
                        return;
                    }
                }
            }
            batch.retain(|job| match &job.what {
                What::Change(Persist::Begin(begin)) if job.asked.elapsed() > PATIENCE => {
                    (self.deliver)(unavailable(begin.call));
                    false
                }
                What::Claim { campaign, .. } if job.asked.elapsed() > PATIENCE => {
                    (self.deliver)(nothing_claimed(*campaign));
                    false
                }
                _ => true,
            });
            if batch.is_empty() {
                return;
            }
            // Nothing is awaited but the time; `sleep` is for tests of time, and banned.
            tokio::time::timeout(back_off, std::future::pending::<()>())
                .await
                .ok();
            back_off = (back_off * 2).min(BACK_OFF_MOST);
        }
    }

    /// The database was closed under us: what waited is told in the log, whole, since there is no other place for it.
    fn give_up(&self, batch: &[Job]) {
        for job in batch {
            match &job.what {
                What::Change(Persist::Begin(begin)) => (self.deliver)(unavailable(begin.call)),
                What::Claim { campaign, .. } => (self.deliver)(nothing_claimed(*campaign)),
                What::Change(change) => {
                    tracing::error!(?change, "not written: the database is closed")
                }
            }
        }
    }

    /// One transaction. An error means that nothing of it is known to be written; `None`, that something in it failed that
    /// has to be undone alone, which takes `guards`.
    async fn try_write(
        &self,
        batch: &[Job],
        guards: bool,
    ) -> Result<Option<Vec<Input>>, StoreError> {
        let mut tx = self.store.db.begin().await?;
        let mut answers = Vec::new();
        for job in batch {
            if guards {
                tx.savepoint().await?;
            }
            let answer = match self.apply(&mut tx, &job.what).await {
                Ok(answer) => {
                    if guards {
                        tx.keep().await?;
                    }
                    answers.extend(answer);
                    continue;
                }
                Err(NotBegun::Failed(error)) if error.is_transient() => return Err(error),
                Err(_) if !guards => {
                    tx.rollback().await?;
                    return Ok(None);
                }
                Err(NotBegun::Refused(refused)) => match &job.what {
                    What::Change(Persist::Begin(begin)) => Some(Input::Begun {
                        call: begin.call,
                        result: Err(refused),
                    }),
                    _ => None,
                },
                Err(NotBegun::Failed(error)) => failed(&job.what, &error),
            };
            tx.undo().await?;
            answers.extend(answer);
        }
        tx.commit().await?;
        Ok(Some(answers))
    }

    async fn apply(&self, tx: &mut Tx, what: &What) -> Result<Option<Input>, NotBegun> {
        let scope = self.platform.tenant(what.tenant());
        match what {
            What::Claim {
                campaign,
                at_most,
                now,
                ..
            } => {
                let claimed = claims::claim(tx, &scope, *campaign, *at_most, *now).await?;
                let (leads, next_due) = (claimed.leads, claimed.next_due);
                return Ok(Some(Input::Claimed {
                    campaign: *campaign,
                    leads,
                    next_due,
                }));
            }
            What::Change(Persist::Begin(begin)) => {
                let reservation = attempts::begin(tx, &scope, begin).await?;
                return Ok(Some(Input::Begun {
                    call: begin.call,
                    result: Ok(reservation),
                }));
            }
            What::Change(Persist::Beat(_)) => {}
            What::Change(Persist::Note(note)) => {
                if let Noted::Answered { cdr, .. } = &note.what
                    && let Some(at) = cdr.answered_at
                {
                    attempts::answered(tx, &scope, note.call, at).await?
                }
            }
            What::Change(Persist::Denied(denied)) => attempts::denied(tx, &scope, denied).await?,
            What::Change(Persist::Unclaim { leads, .. }) => {
                attempts::unclaim(tx, &scope, leads).await?
            }
            What::Change(Persist::Finish(end)) => {
                if finish::finish(tx, &scope, end).await? == Ended::Before {
                    tracing::debug!(call = %end.cdr.id, "finished before");
                }
            }
            What::Change(Persist::Bound { binding, .. }) => {
                bindings::bind(tx, &scope, binding).await?
            }
            What::Change(Persist::Unbound { aor, contact, .. }) => {
                bindings::unbind(tx, &scope, aor, contact).await?
            }
        }
        Ok(None)
    }
}

impl What {
    /// Whether the node waits for its answer.
    fn hurries(&self) -> bool {
        matches!(self, What::Claim { .. } | What::Change(Persist::Begin(_)))
    }

    fn tenant(&self) -> TenantId {
        match self {
            What::Claim { tenant, .. } => *tenant,
            What::Change(change) => match change {
                Persist::Begin(begin) => begin.tenant,
                Persist::Denied(denied) => denied.tenant,
                Persist::Finish(end) => end.cdr.tenant,
                Persist::Note(note) => note.tenant,
                // Nobody's; it changes nothing here.
                Persist::Beat(_) => TenantId(uuid::Uuid::nil()),
                Persist::Unclaim { tenant, .. }
                | Persist::Bound { tenant, .. }
                | Persist::Unbound { tenant, .. } => *tenant,
            },
        }
    }
}

/// A change that trying again would not help.
fn failed(what: &What, error: &StoreError) -> Option<Input> {
    match what {
        What::Change(Persist::Begin(begin)) => {
            tracing::error!(call = %begin.call, %error, "an attempt cannot be written");
            Some(unavailable(begin.call))
        }
        What::Claim { campaign, .. } => {
            tracing::warn!(%campaign, %error, "nothing claimed");
            Some(nothing_claimed(*campaign))
        }
        What::Change(Persist::Finish(end)) => {
            // Its attempt stays open: the next start closes it as interrupted, with its charge.
            tracing::error!(call = %end.cdr.id, %error, record = ?end.cdr, "a record cannot be written");
            None
        }
        What::Change(change) => {
            tracing::error!(%error, ?change, "a change cannot be written");
            None
        }
    }
}
