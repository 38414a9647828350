//! The journal's thread: waits, lets entries gather, has the keeper write them, tries again while the disk refuses.

use super::disk::Place;
use super::keeper::Keeper;
use super::{Entry, Options, scan};
use crate::stopwatch::Stopwatch;
use model::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use switch::Finish;
use tokio::sync::oneshot;

/// Bytes written at once; more waits for the next turn.
const BATCH: usize = 1 << 20;
const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MOST: Duration = Duration::from_secs(1);

/// Where ends that are read back go.
type Answer = oneshot::Sender<Vec<Arc<Finish>>>;

pub(super) enum Letter {
    Entry(Entry),
    ReadBack { calls: Vec<CallId>, reply: Answer },
    Flush(SyncSender<()>),
    Close,
}

/// What the handles and the thread both see.
#[derive(Default)]
pub(super) struct Shared {
    settled: Mutex<Vec<CallId>>,
    why: Mutex<String>,
    pub troubled: AtomicBool,
    pub closing: AtomicBool,
}

impl Shared {
    pub fn settle(&self, call: CallId) {
        lock(&self.settled).push(call);
    }

    pub fn trouble(&self) -> Option<String> {
        self.troubled
            .load(Ordering::Acquire)
            .then(|| lock(&self.why).clone())
    }

    pub fn in_trouble(&self, why: &str) {
        if !self.troubled.swap(true, Ordering::AcqRel) {
            tracing::error!(
                why,
                "the call journal is in trouble: no new attempt begins. FIX: free space on its disk"
            );
        }
        why.clone_into(&mut lock(&self.why));
    }

    fn well(&self) {
        if self.troubled.swap(false, Ordering::AcqRel) {
            tracing::warn!("the call journal is written again");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn start(
    keeper: Keeper,
    folder: PathBuf,
    options: Options,
    letters: Receiver<Letter>,
    shared: Arc<Shared>,
    clock: impl Fn() -> Wall + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let writing = Writing {
        keeper,
        folder,
        options,
        letters,
        shared,
        clock,
        dirty: None,
        settling: Vec::new(),
        questions: Vec::new(),
        flushes: Vec::new(),
    };
    std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || writing.run())
}

struct Writing<C> {
    keeper: Keeper,
    folder: PathBuf,
    options: Options,
    letters: Receiver<Letter>,
    shared: Arc<Shared>,
    clock: C,
    /// Since when something written waits to be durable.
    dirty: Option<Stopwatch>,
    /// Settled calls whose earlier entries may still be in the box.
    settling: Vec<CallId>,
    questions: Vec<(Vec<CallId>, Answer)>,
    flushes: Vec<SyncSender<()>>,
}

/// Whether letters can still come.
#[derive(PartialEq, Eq)]
enum Letters {
    Come,
    /// The journal was closed.
    End,
    /// Every handle is gone, as when the process dies: what is not settled stays.
    Gone,
}

impl<C: Fn() -> Wall> Writing<C> {
    fn run(mut self) {
        loop {
            match self.turn() {
                Letters::Come => continue,
                Letters::Gone => return,
                Letters::End => break,
            }
        }
        if self.keeper.waiting() > 0 || self.keeper.is_dirty() {
            return;
        }
        let calls = self.keeper.held();
        if calls > 0 {
            tracing::warn!(
                calls,
                "the journal keeps what the database did not take; the next start writes it"
            );
        }
        self.keeper.finish();
    }

    /// Waits for something to write, and writes it.
    fn turn(&mut self) -> Letters {
        self.wait();
        // What is settled after this look may belong to an entry that the look into the box does not find.
        self.settling.append(&mut lock(&self.shared.settled));
        let mut state = Letters::Come;
        while self.keeper.waiting() < BATCH {
            match self.letters.try_recv() {
                Ok(letter) => self.take(letter),
                Err(end) => {
                    for call in std::mem::take(&mut self.settling) {
                        self.keeper.take(&Entry::Settled(call), (self.clock)());
                    }
                    if end == TryRecvError::Disconnected {
                        state = Letters::Gone;
                    } else if self.closing() {
                        state = Letters::End;
                    }
                    break;
                }
            }
        }
        let old = self
            .dirty
            .is_some_and(|since| since.elapsed() >= self.options.gather);
        let asked = !self.flushes.is_empty() || state != Letters::Come;
        self.write(old || asked);
        for (calls, reply) in std::mem::take(&mut self.questions) {
            let places = self.keeper.places(&calls);
            reply.send(self.read(&places)).ok();
        }
        self.flushes.clear();
        state
    }

    fn closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    fn take(&mut self, letter: Letter) {
        match letter {
            Letter::Entry(entry) => self.keeper.take(&entry, (self.clock)()),
            Letter::ReadBack { calls, reply } => self.questions.push((calls, reply)),
            Letter::Flush(reply) => self.flushes.push(reply),
            Letter::Close => {}
        }
    }

    /// Until a letter comes, what is written must be made durable, or settled calls may be told.
    fn wait(&mut self) {
        if self.closing() || self.keeper.waiting() > 0 {
            return;
        }
        let gather = self.options.gather;
        let sync = self
            .dirty
            .map(|since| gather.saturating_sub(since.elapsed()));
        let looks = self.keeper.held() > 0 || self.shared.troubled.load(Ordering::Acquire);
        let look = looks.then_some(self.options.look);
        let letter = match sync.or(look) {
            Some(wait) => self.letters.recv_timeout(wait).ok(),
            None => self.letters.recv().ok(),
        };
        if let Some(letter) = letter {
            self.take(letter);
        }
    }

    /// Sleeps, unless the end is near.
    fn pause(&self, how_long: Duration) {
        let watch = Stopwatch::start();
        while let Some(left) = how_long.checked_sub(watch.elapsed())
            && !left.is_zero()
            && !self.closing()
        {
            std::thread::park_timeout(left);
        }
    }

    /// Until it is written (and durable, when asked), or the process wants to end.
    fn write(&mut self, sync: bool) {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let written = self.keeper.write((self.clock)());
            let written = match sync {
                true => written.and_then(|()| self.keeper.sync()),
                false => written,
            };
            self.dirty = match self.keeper.is_dirty() {
                true => self
                    .dirty
                    .filter(|_| !sync)
                    .or_else(|| Some(Stopwatch::start())),
                false => None,
            };
            let Err(error) = written else {
                // The next segment is needed before anything new begins.
                return match self.keeper.prepare() {
                    Ok(()) => self.shared.well(),
                    Err(error) => self.shared.in_trouble(&error.to_string()),
                };
            };
            self.shared.in_trouble(&error.to_string());
            if self.closing() {
                let bytes = self.keeper.waiting();
                tracing::error!(bytes, "the journal's disk refuses its last entries");
                return;
            }
            // What is settled meanwhile may free the room that is missing.
            let mut settled = std::mem::take(&mut *lock(&self.shared.settled));
            settled.retain(|call| !self.keeper.forget(*call));
            self.settling.append(&mut settled);
            self.pause(back_off);
            back_off = (back_off * 2).min(BACK_OFF_MOST);
        }
    }

    fn read(&self, places: &[(CallId, Place)]) -> Vec<Arc<Finish>> {
        let mut ends = Vec::with_capacity(places.len());
        for (call, place) in places {
            match scan::end(&self.folder, place) {
                Ok(end) => ends.push(end),
                Err(error) => tracing::error!(%call, %error, "its end cannot be read back"),
            }
        }
        ends
    }
}
