//! The call journal: what must outlive the process although its call goes on, and what the database has not yet.
//!
//! A folder of segments that only grow at their end. The node's thread hands entries over and goes on; one thread writes
//! each at once, so that it outlives the process, and makes what has gathered durable some 5 ms later, so that it outlives the
//! machine. While any call is answered the node has it write a beat every 2 s: the last one tells how long an interrupted call
//! is known to have lasted.
//!
//! - **Segments** of 8 MB have their room taken beforehand, the next one too. A full disk is therefore met while 8 MB are
//!   left: no new attempt begins (`trouble`), and the ends of live calls still fit, the longest without their events and turns.
//!   The oldest segment is removed when each call in it is settled: its end is committed in the database. Notes of a call that
//!   outlives it are carried into the newest. So the journal of an idle engine is empty.
//! - **Spool.** An end that finds no room in the writer's memory while the database is away stays here and is read back when
//!   it answers again (`read_back`).
//! - **Bounded**: what the disk has not taken waits in a queue of `Options::queue` entries; beyond it an entry is not taken
//!   (`append` says so) and the journal is in trouble. In trouble neither turns nor beats are taken, only what costs money.
//! - **Runs.** Monotonic time of another run says nothing, so each segment begins with the number of its run; and with the
//!   database's own id, so that nobody's calls are settled in another's books.
//! - **Rejected.** An end that the database refuses for good is kept as a file in `rejected/`, for a person to look at.
//!
//! Map: `frame` (records in a segment) · `disk` (segments in a folder) · `keeper` (which calls hold which segments) · `scan`
//! (what the last run left) · `thread` (the one that writes) · this file (the handle).

mod disk;
mod frame;
mod keeper;
mod scan;
#[cfg(test)]
mod tests;
mod thread;

pub use scan::{Ending, Left, LeftCall, LeftState, Line, lines, rejected};

use disk::{Disk, Folder};
use keeper::Keeper;
use model::id::Uuid;
use model::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use switch::{Finish, Note, Noted};
use thread::{Letter, Shared};
use tokio::sync::oneshot;

/// What the journal keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Note(Box<Note>),
    /// The process lives, and a call in it.
    Beat(Now),
    /// The call is over; the database may not have it yet.
    Ended(Arc<Finish>),
    /// The database has it.
    Settled(CallId),
    /// The run whose segment this is, and its database.
    Run {
        run: u64,
        installation: Uuid,
    },
}

/// An entry with the time it was written.
#[derive(Serialize, Deserialize)]
struct Record<E> {
    at: Wall,
    entry: E,
}

/// Sizes and times. The defaults are meant; tests take smaller ones.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of a segment.
    pub segment: u64,
    /// Segments beyond which no new attempt begins.
    pub segments: u64,
    /// Entries that may wait for the disk.
    pub queue: usize,
    /// How long what is written waits for others, to be made durable together.
    pub gather: Duration,
    /// How often what is settled is looked for, and a disk in trouble is tried.
    pub look: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment: 8 << 20,
            segments: 512,
            queue: 16_384,
            gather: Duration::from_millis(5),
            look: Duration::from_secs(2),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "cannot keep the call journal in {}: {error}. FIX: make the folder writable, with 16 MB free, or choose another with --data",
        folder.display()
    )]
    Io {
        folder: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "the call journal in {} has calls of another database. FIX: start once with the database they belong to (--database), \
         or move the folder away: their charges are lost then",
        folder.display()
    )]
    Foreign { folder: PathBuf },
}

/// Hands entries to the journal's thread. Cheap to clone. When the last one is dropped, what was handed over is written.
#[derive(Clone)]
pub struct Journal {
    letters: SyncSender<Letter>,
    shared: Arc<Shared>,
    folder: Arc<Path>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("trouble", &self.trouble())
            .finish_non_exhaustive()
    }
}

/// Below the journal's folder.
const REJECTED: &str = "rejected";

impl Journal {
    /// Opens the folder and starts the thread. `installation`: the database's own id. `clock`: what the records are dated by.
    /// What the last run left is for `Store::recover`.
    pub fn open(
        folder: &Path,
        installation: Uuid,
        options: Options,
        clock: impl Fn() -> Wall + Send + 'static,
    ) -> Result<(Journal, Left), JournalError> {
        let disk = Box::new(Folder(folder.to_owned()));
        Journal::open_on(disk, folder, installation, options, clock)
    }

    fn open_on(
        disk: Box<dyn Disk>,
        folder: &Path,
        installation: Uuid,
        options: Options,
        clock: impl Fn() -> Wall + Send + 'static,
    ) -> Result<(Journal, Left), JournalError> {
        let io = |error| JournalError::Io {
            folder: folder.to_owned(),
            error,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let found = scan::scan(folder).map_err(io)?;
        let ours = found.installations.iter().all(|of| *of == installation);
        if !ours && !found.left.calls.is_empty() {
            let folder = folder.to_owned();
            return Err(JournalError::Foreign { folder });
        }
        let head = Entry::Run {
            run: found.run + 1,
            installation,
        };
        let keeper = Keeper::start(disk, options, head, &found.segments, found.held).map_err(io)?;
        let (letters, receiver) = sync_channel(options.queue);
        let shared = Arc::new(Shared::default());
        let thread = thread::start(
            keeper,
            folder.to_owned(),
            options,
            receiver,
            shared.clone(),
            clock,
        )
        .map_err(io)?;
        let journal = Journal {
            letters,
            shared,
            folder: folder.into(),
            thread: Arc::new(Mutex::new(Some(thread))),
        };
        Ok((journal, found.left))
    }

    /// Takes an entry, to be durable soon. Never waits. False when there was no room for it; the journal is in trouble then.
    pub fn append(&self, entry: Entry) -> bool {
        // Nobody waits for it, so nobody is woken.
        if let Entry::Settled(call) = entry {
            self.shared.settle(call);
            return true;
        }
        let spare = match &entry {
            Entry::Beat(_) => true,
            Entry::Note(note) => matches!(note.what, Noted::Turn(_)),
            _ => false,
        };
        if spare && self.is_in_trouble() {
            return false;
        }
        match self.letters.try_send(Letter::Entry(entry)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.shared.in_trouble("the disk is slower than the calls");
                false
            }
            Err(TrySendError::Disconnected(_)) => {
                self.shared.in_trouble("its thread is gone");
                false
            }
        }
    }

    /// Why nothing more should begin: the disk does not take what there is.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    /// Whether there is trouble, at the price of a look.
    pub fn is_in_trouble(&self) -> bool {
        self.shared.troubled.load(Ordering::Acquire)
    }

    /// The ends of these calls, as far as they are here and not settled. Answered when the disk is.
    pub fn read_back(&self, calls: Vec<CallId>) -> oneshot::Receiver<Vec<Arc<Finish>>> {
        let (reply, answer) = oneshot::channel();
        // No room to ask: the answer is dropped unheard, and is asked for again.
        self.letters
            .try_send(Letter::ReadBack { calls, reply })
            .ok();
        answer
    }

    /// Keeps an end that the database refuses for good as a file for a person to look at, and counts it as settled.
    pub fn reject(&self, end: &Finish, why: &str) {
        let call = end.cdr.id;
        let folder = self.folder.join(REJECTED);
        let kept = std::fs::create_dir_all(&folder)
            .and_then(|()| serde_json::to_vec_pretty(end).map_err(std::io::Error::other))
            .and_then(|text| std::fs::write(folder.join(format!("{call}.json")), text));
        tracing::error!(%call, why, ?kept, record = ?end.cdr, "the database refuses a call's end for good");
        if kept.is_ok() {
            self.append(Entry::Settled(call));
        }
    }

    /// Waits until what was appended before is durable, or cannot be.
    pub fn flush(&self) {
        let (reply, answer) = sync_channel(1);
        if self.letters.send(Letter::Flush(reply)).is_ok() {
            answer.recv().ok();
        }
    }

    /// Writes what was appended, removes what is settled and ends the thread; waits for it. A journal whose calls are all
    /// settled is empty then. A disk that refuses is not waited for.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.letters.try_send(Letter::Close).ok();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}
