//! The call journal in memory: what the node wants kept, on disk within ten milliseconds, and read after a kill.

use crate::watch::FORGOTTEN;
use model::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use switch::interrupted::Known;
use switch::{Finish, Note, Noted};

#[derive(Debug)]
pub enum Entry {
    Note(Box<Note>),
    Beat(Mono),
    Ended(Arc<Finish>),
    /// The call's end is in the database.
    Settled(CallId),
}

/// What a dead process leaves: calls whose end is not known to be in the database, and its last beat on its own clock.
#[derive(Debug, Default)]
pub struct Left {
    pub calls: BTreeMap<CallId, Known>,
    pub beat: Mono,
}

#[derive(Default)]
pub struct Journal {
    /// Not on disk yet, perhaps.
    tail: VecDeque<(u64, Entry)>,
    left: Left,
}

impl Journal {
    pub fn append(&mut self, ms: u64, entry: Entry) {
        self.fold(ms.saturating_sub(FORGOTTEN));
        self.tail.push_back((ms, entry));
    }

    /// What was appended by then is on disk.
    fn fold(&mut self, until: u64) {
        while self.tail.front().is_some_and(|(ms, _)| *ms <= until)
            && let Some((_, entry)) = self.tail.pop_front()
        {
            let calls = &mut self.left.calls;
            match entry {
                Entry::Note(note) => calls.entry(note.call).or_default().note(note.what),
                Entry::Beat(beat) => self.left.beat = beat,
                Entry::Ended(finish) => calls
                    .entry(finish.cdr.id)
                    .or_default()
                    .note(Noted::Over(Box::new(Arc::unwrap_or_clone(finish)))),
                Entry::Settled(call) => {
                    calls.remove(&call);
                }
            }
        }
    }

    /// The process dies, and the last `lost` milliseconds were not on disk.
    pub fn cut(&mut self, ms: u64, lost: u64) -> Left {
        self.fold(ms.saturating_sub(lost));
        self.tail.clear();
        std::mem::take(&mut self.left)
    }

    /// Calls whose end is not settled.
    pub fn calls(&self) -> usize {
        self.left.calls.len()
    }
}
