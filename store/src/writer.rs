//! The writer: one task through which every change of a running call goes, in order, many to a transaction.
//!
//! - Group commit: whatever waits when a transaction begins goes into it; while it commits, the next batch gathers. Changes
//!   that nobody waits for gather `GATHER` long first: each transaction, and each waking of this task, costs more than a row.
//! - One bad change fails alone: a batch is tried plainly, and when anything in it fails, once more with a savepoint around
//!   each change. An end that is refused for good is tried without its trimmings, then kept as a file (`Journal::reject`).
//! - Answers (`Input::Begun`, `Input::Claimed`) are delivered after the commit, so nothing leaves that is not durable.
//! - Two lanes: imports and the like (`Store::import_leads` …) stand behind what waits here; see `lanes`.
//! - While the database is away the batch is tried again with back-off, in order. A `Begin` or claim does not wait that long:
//!   it is answered "unavailable" and forgotten. Every change is idempotent, so a commit whose result is unknown is repeated.
//! - Bounded: beyond `Bounds::begins` waiting changes no new attempt begins; beyond `Bounds::ends` an end that is in the journal
//!   stays there and is read back when the database answers again; beyond `Bounds::all` a change is handed back.
//! - An end leaves the journal after its commit.

use crate::attempts::{self, NotBegun};
use crate::db::Tx;
use crate::error::StoreError;
use crate::finish::Ended;
use crate::journal::{Entry, Journal};
use crate::scope::Platform;
use crate::stopwatch::Stopwatch;
use crate::store::Store;
use crate::{bindings, claims, finish};
use model::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use switch::{BeginRefused, ClaimRefused, Finish, Input, Persist};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Changes of one transaction.
const BATCH: usize = 256;
/// How long changes that nobody waits for gather.
const GATHER: Duration = Duration::from_millis(10);
/// How long an attempt or a claim waits for a database that is away.
const PATIENCE: Duration = Duration::from_secs(2);
const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MOST: Duration = Duration::from_secs(2);
/// How often a journal that had no ear is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How many changes may wait. The defaults are meant; tests take smaller ones.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Waiting changes beyond which no new attempt begins and nothing is claimed.
    pub begins: usize,
    /// Waiting changes beyond which an end stays in the journal.
    pub ends: usize,
    /// Waiting changes beyond which none is taken.
    pub all: usize,
    /// How long the end of the process waits for a database that is away, when the journal has what is not written.
    pub stop: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            begins: 4096,
            ends: 4096,
            all: 65_536,
            stop: Duration::from_secs(5),
        }
    }
}

/// Where a test may let the database fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before a transaction.
    Begin,
    /// After its commit: an error here is a commit whose result nobody heard of.
    Committed,
}

/// Makes the database fail, for tests.
pub type Fault = Arc<dyn Fn(Moment) -> Result<(), StoreError> + Send + Sync>;

/// What a writer may be given.
#[derive(Clone, Default)]
pub struct Options {
    /// What it was handed is there too; without one, what finds no room is handed back.
    pub journal: Option<Journal>,
    pub bounds: Bounds,
    pub fault: Option<Fault>,
}

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
    options: Options,
    spool: Arc<Spool>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// The queue is full, or the writer has stopped: the change is not taken.
#[derive(Debug, thiserror::Error)]
#[error("the writer takes no more changes")]
pub struct Overflow(pub Box<What>);

#[derive(Debug, Default)]
struct Closing {
    asked: AtomicBool,
    told: Notify,
    /// Something came that somebody waits for.
    hurry: Notify,
}

/// Ends that are in the journal and nowhere else.
#[derive(Debug, Default)]
struct Spool {
    calls: Mutex<VecDeque<CallId>>,
}

impl Spool {
    fn calls(&self) -> MutexGuard<'_, VecDeque<CallId>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Job {
    asked: Stopwatch,
    what: What,
}

/// One change.
#[derive(Clone, Debug)]
pub enum What {
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
        Writer::start_with(store, platform, Options::default(), deliver)
    }

    pub fn start_with(
        store: &Store,
        platform: &Platform,
        options: Options,
        deliver: impl Fn(Input) + Send + Sync + 'static,
    ) -> (Writer, JoinHandle<()>) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let deliver: Deliver = Arc::new(deliver);
        let closing = Arc::new(Closing::default());
        let spool = Arc::new(Spool::default());
        let task = Task {
            store: store.clone(),
            platform: platform.clone(),
            deliver: deliver.clone(),
            queue,
            closing: closing.clone(),
            options: options.clone(),
            spool: spool.clone(),
            reading: None,
        };
        let handle = tokio::spawn(task.run());
        let writer = Writer {
            jobs,
            store: store.clone(),
            deliver,
            closing,
            options,
            spool,
        };
        (writer, handle)
    }

    /// Takes a change, to be written in the order of the pushes. A `Begin` that finds no room is answered at once with
    /// `BeginRefused::Unavailable`; any other change comes back. What is for the journal alone is not for the writer.
    pub fn push(&self, change: Persist) -> Result<(), Overflow> {
        let bounds = &self.options.bounds;
        let bound = match &change {
            Persist::Note(_) | Persist::Beat(_) => return Ok(()),
            Persist::Begin(_) => bounds.begins,
            // A phone comes again; other changes do not.
            Persist::Bound { .. } | Persist::Unbound { .. } => bounds.all / 2,
            Persist::Finish(_) | Persist::Denied(_) | Persist::Unclaim { .. } => bounds.all,
        };
        match self.send(What::Change(change), bound).map_err(|what| *what) {
            Err(What::Change(Persist::Begin(begin))) => {
                (self.deliver)(unavailable(begin.call));
                Ok(())
            }
            Err(refused) => Err(Overflow(Box::new(refused))),
            Ok(()) => Ok(()),
        }
    }

    /// The end of a call. `journalled`: the journal has it, so that it need not be kept in memory too while the database is
    /// away.
    pub fn finish(&self, end: Arc<Finish>, journalled: bool) -> Result<(), Overflow> {
        let spools = journalled && self.options.journal.is_some();
        let bounds = &self.options.bounds;
        let (call, bound) = (end.cdr.id, if spools { bounds.ends } else { bounds.all });
        match self.send(What::Change(Persist::Finish(end)), bound) {
            Err(_) if spools => {
                self.spool.calls().push_back(call);
                Ok(())
            }
            Err(refused) => Err(Overflow(refused)),
            Ok(()) => Ok(()),
        }
    }

    /// Claims leads, after the changes pushed before it; answered by `Input::Claimed`, with none when there is no room.
    pub fn claim(&self, tenant: TenantId, campaign: CampaignId, at_most: u16, now: Wall) {
        let claim = What::Claim {
            tenant,
            campaign,
            at_most,
            now,
        };
        if self.send(claim, self.options.bounds.begins).is_err() {
            (self.deliver)(not_claimed(campaign));
        }
    }

    fn send(&self, what: What, bound: usize) -> Result<(), Box<What>> {
        let lanes = &self.store.lanes;
        let hurries = what.hurries();
        let room = lanes.call_waits() <= bound && !self.closing.asked.load(Ordering::Acquire);
        let asked = Stopwatch::start();
        let sent = match room {
            true => self
                .jobs
                .send(Job { asked, what })
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

    /// Ends that wait in the journal alone.
    pub fn spooled(&self) -> usize {
        self.spool.calls().len()
    }

    /// Takes no more changes and lets the task end when all that wait are written.
    pub fn close(&self) {
        self.closing.asked.store(true, Ordering::Release);
        self.closing.told.notify_waiters();
    }
}

/// Why nothing was begun.
pub fn unavailable(call: CallId) -> Input {
    Input::Begun {
        call,
        result: Err(BeginRefused::Unavailable),
    }
}

/// Why nothing was claimed.
pub fn not_claimed(campaign: CampaignId) -> Input {
    Input::Claimed {
        campaign,
        result: Err(ClaimRefused::Unavailable),
    }
}

struct Task {
    store: Store,
    platform: Platform,
    deliver: Deliver,
    queue: mpsc::UnboundedReceiver<Job>,
    closing: Arc<Closing>,
    options: Options,
    spool: Arc<Spool>,
    reading: Option<Reading>,
}

/// What the journal was asked for.
struct Reading {
    calls: Vec<CallId>,
    answer: oneshot::Receiver<Vec<Arc<Finish>>>,
}

/// What became of a batch.
#[derive(Default)]
struct Written {
    answers: Vec<Input>,
    /// Ends that are refused for good.
    rejected: Vec<(Arc<Finish>, String)>,
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

    /// Waits for changes, takes what else is there, reads back what the journal kept. False at the end.
    async fn gather(&mut self, batch: &mut Vec<Job>) -> bool {
        let closing = self.closing.clone();
        loop {
            let told = closing.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if closing.asked.load(Ordering::Acquire) {
                return self.gather_last(batch).await;
            }
            let spooled = self.ask();
            let asks_again = spooled && self.reading.is_none();
            let reading = read_back(&mut self.reading);
            let more = tokio::select! {
                biased;
                ends = reading => {
                    self.take_back(ends, batch);
                    !batch.is_empty()
                }
                taken = self.queue.recv_many(batch, BATCH) => {
                    if taken == 0 {
                        return false;
                    }
                    true
                }
                () = &mut told => continue,
                () = pause(ASK_AGAIN), if asks_again => continue,
            };
            if more && !batch.iter().any(|job| job.what.hurries()) {
                let hurried = async {
                    tokio::select! {
                        () = closing.hurry.notified() => {}
                        () = told => {}
                    }
                };
                tokio::time::timeout(GATHER, hurried).await.ok();
            }
            while batch.len() < BATCH
                && let Ok(job) = self.queue.try_recv()
            {
                batch.push(job);
            }
            if !batch.is_empty() {
                return true;
            }
        }
    }

    /// What is still in the box, then what is in the journal alone.
    async fn gather_last(&mut self, batch: &mut Vec<Job>) -> bool {
        self.queue.close();
        if self.queue.recv_many(batch, BATCH).await > 0 {
            return true;
        }
        let patience = self.options.bounds.stop;
        let read = async {
            while self.ask() && batch.is_empty() {
                match self.reading.is_some() {
                    true => {
                        let ends = read_back(&mut self.reading).await;
                        self.take_back(ends, batch);
                    }
                    false => pause(ASK_AGAIN).await,
                }
            }
        };
        tokio::time::timeout(patience, read).await.ok();
        !batch.is_empty()
    }

    /// Asks the journal for some of what it keeps, when there is room for it. Whether anything is in the journal alone.
    fn ask(&mut self) -> bool {
        let Some(journal) = &self.options.journal else {
            return false;
        };
        let mut kept = self.spool.calls();
        let room = self.store.lanes.waiting() <= self.options.bounds.ends / 2;
        if self.reading.is_none() && room && !kept.is_empty() {
            let some = kept.len().min(BATCH);
            let calls: Vec<CallId> = kept.drain(..some).collect();
            let answer = journal.read_back(calls.clone());
            self.reading = Some(Reading { calls, answer });
        }
        self.reading.is_some() || !kept.is_empty()
    }

    fn take_back(&mut self, ends: Option<Vec<Arc<Finish>>>, batch: &mut Vec<Job>) {
        let Some(Reading { calls, .. }) = self.reading.take() else {
            return;
        };
        let Some(ends) = ends else {
            // The journal had no ear.
            self.spool.calls().extend(calls);
            return;
        };
        for call in calls {
            if !ends.iter().any(|end| end.cdr.id == call) {
                tracing::error!(%call, "the journal does not have this call's end any more");
            }
        }
        for end in ends {
            self.store.lanes.call_waits();
            let (asked, what) = (Stopwatch::start(), What::Change(Persist::Finish(end)));
            batch.push(Job { asked, what });
        }
    }

    /// Until the batch is written. What cannot wait for a database that is away is answered and left out.
    async fn write(&self, batch: &mut Vec<Job>) {
        let mut back_off = BACK_OFF_FIRST;
        let mut ending: Option<Stopwatch> = None;
        loop {
            let written = match self.try_write(batch, false).await {
                Ok(None) => self.try_write(batch, true).await,
                written => written,
            };
            match written.map(Option::unwrap_or_default) {
                Ok(written) => return self.tell(batch, written),
                Err(error) => {
                    self.store.lanes.counts.repeats.add(1);
                    tracing::warn!(%error, changes = batch.len(), "the batch is tried again");
                    let closed = matches!(error, StoreError::Unavailable(crate::Trouble::Closed));
                    if closed || self.gives_up(&mut ending) {
                        return self.give_up(batch);
                    }
                }
            }
            batch.retain(|job| {
                let late = job.asked.elapsed() > PATIENCE;
                match &job.what {
                    What::Change(Persist::Begin(begin)) if late => {
                        (self.deliver)(unavailable(begin.call))
                    }
                    What::Claim { campaign, .. } if late => {
                        (self.deliver)(not_claimed(*campaign));
                    }
                    _ => return true,
                }
                false
            });
            if batch.is_empty() {
                return;
            }
            pause(back_off).await;
            back_off = (back_off * 2).min(BACK_OFF_MOST);
        }
    }

    /// The process wants to end, the database has had its time, and the journal keeps what is not written.
    fn gives_up(&self, ending: &mut Option<Stopwatch>) -> bool {
        if self.options.journal.is_none() || !self.closing.asked.load(Ordering::Acquire) {
            return false;
        }
        let since = ending.get_or_insert_with(Stopwatch::start);
        since.elapsed() >= self.options.bounds.stop
    }

    /// The commit is known: answers may go out, and ends may leave the journal.
    fn tell(&self, batch: &[Job], written: Written) {
        written
            .answers
            .into_iter()
            .for_each(|answer| (self.deliver)(answer));
        let Some(journal) = &self.options.journal else {
            for (end, why) in written.rejected {
                tracing::error!(call = %end.cdr.id, why, record = ?end.cdr, "a record cannot be written");
            }
            return;
        };
        for (end, why) in &written.rejected {
            journal.reject(end, why);
        }
        for job in batch {
            if let What::Change(Persist::Finish(end)) = &job.what
                && !written
                    .rejected
                    .iter()
                    .any(|(other, _)| other.cdr.id == end.cdr.id)
            {
                journal.append(Entry::Settled(end.cdr.id));
            }
        }
    }

    /// The database is closed, or away at the end of the process. Ends are in the journal; what else waited is told in the
    /// log, since there is no other place for it.
    fn give_up(&self, batch: &[Job]) {
        for job in batch {
            match &job.what {
                What::Change(Persist::Begin(begin)) => (self.deliver)(unavailable(begin.call)),
                What::Claim { campaign, .. } => (self.deliver)(not_claimed(*campaign)),
                What::Change(Persist::Finish(end)) if self.options.journal.is_some() => {
                    tracing::warn!(call = %end.cdr.id, "not written: the next start writes it");
                }
                change => tracing::error!(?change, "not written: the database is away"),
            }
        }
    }

    fn fault(&self, moment: Moment) -> Result<(), StoreError> {
        self.options
            .fault
            .as_ref()
            .map_or(Ok(()), |fault| fault(moment))
    }

    /// One transaction. An error means that nothing of it is known to be written; `None`, that something in it failed that
    /// has to be undone alone, which takes `guards`.
    async fn try_write(&self, batch: &[Job], guards: bool) -> Result<Option<Written>, StoreError> {
        self.fault(Moment::Begin)?;
        let mut tx = self.store.db.begin().await?;
        let mut written = Written::default();
        for job in batch {
            if guards {
                tx.savepoint().await?;
            }
            let error = match self.apply(&mut tx, &job.what).await {
                Ok(answer) => {
                    if guards {
                        tx.keep().await?;
                    }
                    written.answers.extend(answer);
                    continue;
                }
                Err(NotBegun::Failed(error)) if error.is_transient() => return Err(error),
                Err(_) if !guards => {
                    tx.rollback().await?;
                    return Ok(None);
                }
                Err(error) => error,
            };
            tx.undo().await?;
            match (&job.what, error) {
                (What::Change(Persist::Begin(begin)), NotBegun::Refused(refused)) => {
                    let result = Err(refused);
                    let call = begin.call;
                    written.answers.push(Input::Begun { call, result });
                }
                (What::Change(Persist::Finish(end)), NotBegun::Failed(error)) => {
                    if !self.apply_bare(&mut tx, end).await? {
                        written.rejected.push((end.clone(), error.to_string()));
                    }
                }
                (what, NotBegun::Failed(error)) => written.answers.extend(failed(what, &error)),
                (_, NotBegun::Refused(_)) => {}
            }
        }
        let begun = Stopwatch::start();
        tx.commit().await?;
        self.store.lanes.counts.commits.add(begun.elapsed());
        self.fault(Moment::Committed)?;
        Ok(Some(written))
    }

    /// The money and the lead of an end that is refused whole. Says whether that goes.
    async fn apply_bare(&self, tx: &mut Tx, end: &Finish) -> Result<bool, StoreError> {
        let scope = self.platform.tenant(end.cdr.tenant);
        tx.savepoint().await?;
        match finish::finish(tx, &scope, &finish::bare(end)).await {
            Ok(_) => {
                tx.keep().await?;
                tracing::error!(call = %end.cdr.id, "a record is written without its turns, grade and events");
                Ok(true)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(_) => {
                tx.undo().await?;
                Ok(false)
            }
        }
    }

    async fn apply(&self, tx: &mut Tx, what: &What) -> Result<Option<Input>, NotBegun> {
        let of = |tenant: &TenantId| self.platform.tenant(*tenant);
        let change = match what {
            What::Claim {
                tenant,
                campaign,
                at_most,
                now,
            } => {
                let claimed = claims::claim(tx, &of(tenant), *campaign, *at_most, *now).await?;
                return Ok(Some(Input::Claimed {
                    campaign: *campaign,
                    result: Ok(claimed),
                }));
            }
            What::Change(change) => change,
        };
        match change {
            Persist::Begin(begin) => {
                let reservation = attempts::begin(tx, &of(&begin.tenant), begin).await?;
                return Ok(Some(Input::Begun {
                    call: begin.call,
                    result: Ok(reservation),
                }));
            }
            Persist::Denied(denied) => attempts::denied(tx, &of(&denied.tenant), denied).await?,
            Persist::Unclaim { tenant, leads } => attempts::unclaim(tx, &of(tenant), leads).await?,
            Persist::Finish(end) => {
                if finish::finish(tx, &of(&end.cdr.tenant), end).await? == Ended::Before {
                    tracing::debug!(call = %end.cdr.id, "finished before");
                }
            }
            Persist::Bound { tenant, binding } => {
                bindings::bind(tx, &of(tenant), binding).await?;
            }
            Persist::Unbound {
                tenant,
                aor,
                contact,
            } => bindings::unbind(tx, &of(tenant), aor, contact).await?,
            Persist::Note(_) | Persist::Beat(_) => {}
        }
        Ok(None)
    }
}

/// Nothing is awaited but the time; `sleep` is for tests of time, and banned.
async fn pause(how_long: Duration) {
    tokio::time::timeout(how_long, std::future::pending::<()>())
        .await
        .ok();
}

/// What the journal answers; nothing while it is not asked. `None`: it had no ear. Keeps the question when dropped.
async fn read_back(reading: &mut Option<Reading>) -> Option<Vec<Arc<Finish>>> {
    match reading {
        Some(reading) => (&mut reading.answer).await.ok(),
        None => std::future::pending().await,
    }
}

impl What {
    /// Whether the node waits for its answer.
    fn hurries(&self) -> bool {
        matches!(self, What::Claim { .. } | What::Change(Persist::Begin(_)))
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
            Some(not_claimed(*campaign))
        }
        change => {
            tracing::error!(%error, ?change, "a change cannot be written");
            None
        }
    }
}
