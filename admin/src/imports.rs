//! Files of leads on their way in: a few at a time, one of each enterprise, enterprises in turn. The queue lives in memory
//! and each file in a folder that goes with its job; how far a job is stands in the database.

use crate::AdminState;
use crate::problem::{Code, Problem};
use crate::sheet::{self, Asked, Lines, ReadError};
use crate::tongue::Tongue;
use model::TenantId;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::imports::{DryRun, Import, ImportState};
use store::{ImportId, Platform, Scope, Store, StoreError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Files worked on at once.
const AT_ONCE: usize = 2;
/// Files of one enterprise that may wait.
const WAITING: usize = 20;
/// Rows handed to the store at a time.
const PART: usize = 1_000;
/// How often, and how many times, a database that is away is asked again.
const AGAIN: Duration = Duration::from_secs(1);
const TIMES: u32 = 60;

pub struct Job {
    pub id: ImportId,
    pub scope: Scope,
    pub asked: Asked,
    pub dry_run: bool,
    /// Holds the upload; removed with the job.
    pub folder: TempDir,
}

#[derive(Default)]
pub struct Imports {
    jobs: Mutex<Jobs>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Jobs {
    /// Who is first is next.
    waiting: VecDeque<(TenantId, VecDeque<Job>)>,
    running: HashMap<ImportId, (TenantId, CancellationToken)>,
}

impl Imports {
    fn jobs<T>(&self, deed: impl FnOnce(&mut Jobs) -> T) -> T {
        deed(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Once the server is closing: waits for those that run to tell how far they came.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Refuses when the enterprise has too many waiting already; asked before the upload is kept.
    pub fn room(&self, tenant: TenantId) -> Result<(), Problem> {
        let waiting = self.jobs(|jobs| {
            let queue = jobs.waiting.iter().find(|(of, _)| *of == tenant);
            queue.map_or(0, |(_, queue)| queue.len())
        });
        if waiting < WAITING {
            return Ok(());
        }
        Err(Problem::new(Code::TooManyAttempts)
            .detail(format!("{waiting} imports are waiting already"))
            .fix("wait for one of them to finish, or cancel it")
            .retry_after(30))
    }
}

/// Takes a job; it runs when its turn comes.
pub fn submit(state: &AdminState, job: Job) {
    let tenant = job.scope.tenant();
    state.imports.jobs(
        |jobs| match jobs.waiting.iter_mut().find(|(of, _)| *of == tenant) {
            Some((_, queue)) => queue.push_back(job),
            None => jobs.waiting.push_back((tenant, VecDeque::from([job]))),
        },
    );
    pump(state);
}

/// Stops a job: at once when it waits, after the part it is at when it runs. `false`: it is neither.
pub async fn cancel(state: &AdminState, scope: &Scope, id: ImportId) -> Result<bool, StoreError> {
    enum Was {
        Waiting,
        Running,
        Neither,
    }
    let tenant = scope.tenant();
    let was = state.imports.jobs(|jobs| {
        if let Some((of, stop)) = jobs.running.get(&id)
            && *of == tenant
        {
            stop.cancel();
            return Was::Running;
        }
        let queue = jobs.waiting.iter_mut().find(|(of, _)| *of == tenant);
        let Some((_, queue)) = queue else {
            return Was::Neither;
        };
        let before = queue.len();
        queue.retain(|job| job.id != id);
        if queue.len() < before {
            Was::Waiting
        } else {
            Was::Neither
        }
    });
    if let Was::Waiting = was {
        let state_now = ImportState::Cancelled;
        let import = state
            .store
            .finish_import(scope, id, state_now, None, state.now())
            .await?;
        tell(state, tenant, "import.finished", &import);
    }
    Ok(!matches!(was, Was::Neither))
}

/// Removes what the last process left: its jobs are told as interrupted, their files are gone. So are jobs of long ago.
pub async fn close_imports_of_last_run(
    store: &Store,
    platform: &Platform,
    config: &crate::Config,
    now: model::Wall,
) -> Result<u64, StoreError> {
    tokio::fs::remove_dir_all(&config.imports).await.ok();
    let interrupted = store.interrupt_imports(platform, now).await?;
    store.prune_imports(platform, now).await?;
    Ok(interrupted)
}

fn next(state: &AdminState) -> Option<(Job, CancellationToken)> {
    state.imports.jobs(|jobs| {
        if jobs.running.len() >= AT_ONCE {
            return None;
        }
        let busy = |tenant| jobs.running.values().any(|(of, _)| *of == tenant);
        let at = jobs.waiting.iter().position(|(of, _)| !busy(*of))?;
        let (tenant, mut queue) = jobs.waiting.remove(at)?;
        let job = queue.pop_front();
        if !queue.is_empty() {
            jobs.waiting.push_back((tenant, queue));
        }
        let job = job?;
        let stop = state.closing.child_token();
        jobs.running.insert(job.id, (tenant, stop.clone()));
        Some((job, stop))
    })
}

fn pump(state: &AdminState) {
    while let Some((job, stop)) = next(state) {
        let turn = Turn {
            state: state.clone(),
            id: job.id,
        };
        state.imports.tasks.spawn(async move {
            run(&turn.state, job, &stop).await;
            drop(turn);
        });
    }
}

/// A job's place among those that run; given on when it ends, however it ends.
struct Turn {
    state: AdminState,
    id: ImportId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.state
            .imports
            .jobs(|jobs| jobs.running.remove(&self.id));
        // At the very end there is nothing left to run on.
        let runtime = tokio::runtime::Handle::try_current();
        if runtime.is_ok() && !self.state.closing.is_cancelled() {
            pump(&self.state);
        }
    }
}

/// How long a database that is away is waited for.
struct Patience<'a> {
    again: tokio::time::Interval,
    left: u32,
    stop: &'a CancellationToken,
}

impl Patience<'_> {
    fn new(stop: &CancellationToken) -> Patience<'_> {
        let mut again = tokio::time::interval(AGAIN);
        // The first tick is at once.
        again.reset();
        Patience {
            again,
            left: TIMES,
            stop,
        }
    }

    /// Waits a little; `false` when it is not worth it (any more).
    async fn lasts(&mut self, error: &StoreError) -> bool {
        if !error.is_transient() || self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::select! {
            _ = self.again.tick() => true,
            () = self.stop.cancelled() => false,
        }
    }
}

/// Asks the store again while the database is away.
macro_rules! patiently {
    ($stop:expr, $ask:expr) => {{
        let mut patience = Patience::new($stop);
        loop {
            match $ask.await {
                Err(error) if patience.lasts(&error).await => {}
                other => break other,
            }
        }
    }};
}

/// How a job ended.
enum End {
    Done,
    Stopped,
    Failed(Value),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> End {
        let (code, detail) = match &error {
            StoreError::NotFound => ("campaign_gone", "the campaign is not there any more"),
            StoreError::Unavailable(_) => ("unavailable", "the database does not answer"),
            _ => ("internal", "something went wrong on our side"),
        };
        tracing::warn!(%error, "import failed");
        End::failed(
            code,
            detail,
            "upload the same file again: rows that are in stay in",
        )
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> End {
        tracing::error!(%error, "import: a file of ours");
        End::failed(
            "internal",
            "a file of ours could not be read or written",
            "look at the disk with `huying doctor`, then upload the same file again",
        )
    }
}

impl End {
    fn failed(code: &str, detail: &str, fix: &str) -> End {
        End::Failed(json!({"code": code, "detail": detail, "fix": fix}))
    }
}

async fn run(state: &AdminState, job: Job, stop: &CancellationToken) {
    let end = match work(state, &job, stop).await {
        Ok(()) => End::Done,
        Err(end) => end,
    };
    let (reached, error) = match end {
        End::Done => (ImportState::Done, None),
        End::Stopped if state.closing.is_cancelled() => (
            ImportState::Interrupted,
            Some(store::imports::interrupted()),
        ),
        End::Stopped => (ImportState::Cancelled, None),
        End::Failed(error) => (ImportState::Failed, Some(error)),
    };
    // Not stopped by `stop`: how it ended is to be kept.
    let finished = patiently!(
        &state.closing,
        state
            .store
            .finish_import(&job.scope, job.id, reached, error.as_ref(), state.now())
    );
    match finished {
        Ok(import) => tell(state, job.scope.tenant(), "import.finished", &import),
        // The next start finds it unfinished and says so.
        Err(error) => tracing::warn!(import = %job.id, %error, "how it ended could not be written"),
    }
    if let Err(error) = state
        .store
        .prune_imports(&state.platform, state.now())
        .await
    {
        tracing::warn!(%error, "imports of long ago stay");
    }
}

async fn work(state: &AdminState, job: &Job, stop: &CancellationToken) -> Result<(), End> {
    let (store, scope, id) = (&state.store, &job.scope, job.id);
    patiently!(stop, store.begin_import(scope, id, state.now()))?;
    let found = match sheet::read(job.folder.path(), &job.asked, stop).await {
        Ok(found) => found,
        Err(ReadError::Stopped) => return Err(End::Stopped),
        Err(ReadError::Io(error)) => return Err(error.into()),
        Err(ReadError::Sheet(error)) => {
            return Err(End::failed(error.code(), &error.to_string(), error.fix()));
        }
    };
    let columns = json!(found.columns);
    patiently!(
        stop,
        store.found_import(scope, id, found.rows, found.sheet.as_deref(), &columns)
    )?;
    let mut lines = Lines::open(job.folder.path())?;
    let mut dry = job.dry_run.then(DryRun::default);
    let (mut from, mut told) = (0, 0);
    loop {
        let (back, rows) = tokio::task::spawn_blocking(move || {
            let rows = lines.take(PART);
            (lines, rows)
        })
        .await
        .map_err(std::io::Error::other)?;
        lines = back;
        let rows = rows?;
        if rows.is_empty() {
            return Ok(());
        }
        if stop.is_cancelled() {
            return Err(End::Stopped);
        }
        patiently!(
            stop,
            store.import_rows(scope, id, from, &rows, dry.as_mut(), state.now())
        )?;
        from += rows.len() as u64;
        let percent = from * 100 / found.rows.max(1);
        if percent > told {
            told = percent;
            let import = store.import(scope, id).await?;
            tell(state, scope.tenant(), "import.progress", &import);
        }
    }
}

fn tell(state: &AdminState, tenant: TenantId, kind: &'static str, import: &Import) {
    let view = crate::resources::imports::view(import.clone(), Tongue::English);
    let data = serde_json::to_value(view).unwrap_or_default();
    state.engine.publish(tenant, kind, state.now(), data);
}
