//! What the journal's thread does, without the thread: it writes entries, makes them durable, knows which segments which
//! call needs, and lets the oldest go.

use super::disk::{Disk, Place, Segment};
use super::{Entry, Options, Record, frame};
use model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use switch::{Finish, Note, Noted};

/// A call with records in the journal whose end is not committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// What was noted while it was up, and the beats it is charged by.
    pub notes: Vec<Place>,
    /// Its end, which needs none of the notes.
    pub ended: Option<Place>,
    /// Of an earlier run: its notes mean nothing in a segment of this one.
    pub old: bool,
}

impl Held {
    fn segments(&self) -> BTreeSet<u64> {
        let places = self.notes.iter().chain(&self.ended);
        places.map(|place| place.segment).collect()
    }
}

/// What a record does to its call once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Noted,
    Ended,
    Settled,
}

struct Pending {
    call: CallId,
    change: Change,
    at: usize,
    length: usize,
}

struct Active {
    number: u64,
    segment: Box<dyn Segment>,
    /// Where the next record goes; zero until its head is written.
    at: u64,
}

pub(super) struct Keeper {
    disk: Box<dyn Disk>,
    options: Options,
    head: Entry,
    active: Active,
    /// Prepared beforehand; without it no new attempt should begin.
    next: Option<(u64, Box<dyn Segment>)>,
    calls: HashMap<CallId, Held>,
    /// Every segment, with how many held calls need it.
    segments: BTreeMap<u64, usize>,
    last_beat: Option<Now>,
    /// Records that are not written yet, and what they will do.
    buffer: Vec<u8>,
    pending: Vec<Pending>,
    /// Something in the buffer must outlive the machine.
    urgent: bool,
    /// Written, but not known to outlive the machine.
    unsynced: Vec<u8>,
    /// The disk failed to make it durable: it goes into the next segment again.
    again: bool,
}

/// An end longer than this loses its events, then its turns, while there is no next segment.
const LEAN: usize = 4096;
/// Notes of live calls that are carried out of the oldest segment, as a share of its size.
const CARRIED: u64 = 4;

impl Keeper {
    /// Goes on after `segments`, in which `calls` have records. `head`: what each segment begins with.
    pub fn start(
        disk: Box<dyn Disk>,
        options: Options,
        head: Entry,
        segments: &[u64],
        calls: HashMap<CallId, Held>,
    ) -> io::Result<Keeper> {
        let number = segments.last().map_or(1, |last| last + 1);
        let segment = disk.create(number, options.segment)?;
        let mut keeper = Keeper {
            disk,
            options,
            head,
            active: Active {
                number,
                segment,
                at: 0,
            },
            next: None,
            calls: HashMap::new(),
            segments: segments.iter().map(|segment| (*segment, 0)).collect(),
            last_beat: None,
            buffer: Vec::new(),
            pending: Vec::new(),
            urgent: false,
            unsynced: Vec::new(),
            again: false,
        };
        keeper.segments.insert(number, 0);
        for (call, held) in calls {
            keeper.hold(call, |before| *before = held);
        }
        keeper.tidy();
        keeper.prepare()?;
        Ok(keeper)
    }

    /// Takes an entry, to be written by `write`.
    pub fn take(&mut self, entry: &Entry, at: Wall) {
        let (call, change) = match entry {
            Entry::Note(note) => match note.what {
                Noted::Over(_) => (Some(note.call), Change::Ended),
                _ => (Some(note.call), Change::Noted),
            },
            Entry::Ended(end) => (Some(end.cdr.id), Change::Ended),
            Entry::Settled(call) => (Some(*call), Change::Settled),
            Entry::Beat(beat) => {
                self.last_beat = Some(*beat);
                (None, Change::Noted)
            }
            Entry::Run { .. } => (None, Change::Noted),
        };
        let start = self.buffer.len();
        // That a call is settled stands in the database; here it only spares the next start a look, and is not worth the last
        // room there is.
        let mut length = match change == Change::Settled && self.next.is_none() {
            true => 0,
            false => self.push(entry, at),
        };
        if length > LEAN && self.next.is_none() && change == Change::Ended {
            for lean in lean(entry) {
                self.buffer.truncate(start);
                length = self.push(&lean, at);
                if length <= LEAN {
                    break;
                }
            }
        }
        self.urgent |= change != Change::Settled;
        self.pending.extend(call.map(|call| Pending {
            call,
            change,
            at: start,
            length,
        }));
    }

    fn push(&mut self, entry: &Entry, at: Wall) -> usize {
        frame::push(&mut self.buffer, &Record { at, entry }).unwrap_or_else(|error| {
            tracing::error!(%error, ?entry, "not journalled: it cannot be written as JSON");
            0
        })
    }

    /// Bytes that wait for `write`.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Whether something written waits for `sync`.
    pub fn is_dirty(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Calls whose end is not committed.
    pub fn held(&self) -> usize {
        self.calls.len()
    }

    /// Writes what was taken: from then on it outlives the process. After an error nothing of it counts as written; it is
    /// tried again, whole, by the next call.
    pub fn write(&mut self, at: Wall) -> io::Result<()> {
        let unbegun = self.active.at == 0 && self.is_dirty();
        if self.buffer.is_empty() && !self.again && !unbegun {
            for pending in std::mem::take(&mut self.pending) {
                self.written(&pending);
            }
            self.tidy();
            return Ok(());
        }
        let end = self.active.at + self.buffer.len() as u64;
        let fresh = self.active.at <= HEAD_AT_MOST;
        if self.again || (end > self.options.segment && !fresh) {
            self.rotate()?;
        }
        if self.active.at == 0 {
            self.begin_segment(at)?;
        }
        self.active.segment.write_at(&self.buffer, self.active.at)?;
        for pending in std::mem::take(&mut self.pending) {
            self.written(&pending);
        }
        self.active.at += self.buffer.len() as u64;
        if std::mem::take(&mut self.urgent) {
            self.unsynced.extend_from_slice(&self.buffer);
        }
        self.buffer.clear();
        // One burst must not hold its memory for ever.
        self.buffer.shrink_to(1 << 20);
        self.tidy();
        Ok(())
    }

    /// Makes what was written outlive the machine. After an error the disk may have dropped what it was given; it is written
    /// again, into another segment, by the next `write`.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty() {
            if let Err(error) = self.active.segment.sync() {
                self.again = true;
                return Err(error);
            }
            self.unsynced.clear();
            self.unsynced.shrink_to(1 << 20);
        }
        self.tidy();
        Ok(())
    }

    /// Has the next segment at hand. While it has not, no new attempt should begin: what is live could not end on paper.
    pub fn prepare(&mut self) -> io::Result<()> {
        if self.next.is_none() {
            let number = self.active.number + 1;
            self.next = Some((number, self.disk.create(number, self.options.segment)?));
        }
        if self.segments.len() as u64 > self.options.segments {
            let why = "too much waits in it for the database, which is away";
            return Err(io::Error::other(why));
        }
        Ok(())
    }

    /// Goes on in the next segment.
    fn rotate(&mut self) -> io::Result<()> {
        if self.is_dirty() && !self.again {
            self.sync()?;
        }
        if self.next.is_none() {
            let number = self.active.number + 1;
            self.next = Some((number, self.disk.create(number, self.options.segment)?));
        }
        if let Some((number, segment)) = self.next.take() {
            self.segments.insert(number, 0);
            self.active = Active {
                number,
                segment,
                at: 0,
            };
            self.again = false;
        }
        Ok(())
    }

    /// A segment begins with whose it is, with what the one before may have lost, and with what keeps the oldest alive.
    fn begin_segment(&mut self, at: Wall) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::push(
            &mut bytes,
            &Record {
                at,
                entry: &self.head,
            },
        )
        .map_err(io::Error::other)?;
        if let Some(beat) = self.last_beat {
            let entry = &Entry::Beat(beat);
            frame::push(&mut bytes, &Record { at, entry }).map_err(io::Error::other)?;
        }
        bytes.extend_from_slice(&self.unsynced);
        let moved = self.carry(&mut bytes);
        self.active.segment.write_at(&bytes, 0)?;
        self.active.at = bytes.len() as u64;
        for (call, from, to) in moved {
            self.hold(call, |held| {
                for place in &mut held.notes {
                    if *place == from {
                        *place = to;
                    }
                }
            });
        }
        self.unsynced = bytes;
        Ok(())
    }

    /// Copies the notes of live calls out of the oldest segment when they alone keep it, so that a long call holds its notes
    /// and not all that was written beside it. Ends wait for the database where they are.
    fn carry(&self, bytes: &mut Vec<u8>) -> Vec<(CallId, Place, Place)> {
        let Some((oldest, _)) = self.segments.first_key_value() else {
            return Vec::new();
        };
        let mut notes: Vec<(CallId, Place)> = Vec::new();
        for (call, held) in &self.calls {
            if !held.segments().contains(oldest) {
                continue;
            }
            if held.old || held.ended.is_some() {
                return Vec::new();
            }
            let there = held.notes.iter().filter(|place| place.segment == *oldest);
            notes.extend(there.map(|place| (*call, *place)));
        }
        let size: u64 = notes.iter().map(|(_, place)| u64::from(place.length)).sum();
        if *oldest == self.active.number || size > self.options.segment / CARRIED {
            return Vec::new();
        }
        notes.sort_by_key(|(_, place)| *place);
        let mut moved = Vec::with_capacity(notes.len());
        for (call, from) in notes {
            match self.disk.read(&from) {
                Ok(record) => {
                    let to = Place {
                        segment: self.active.number,
                        at: bytes.len() as u64,
                        length: from.length,
                    };
                    bytes.extend_from_slice(&record);
                    moved.push((call, from, to));
                }
                // The segment stays, since this note does.
                Err(error) => tracing::warn!(%call, %error, "a note cannot be carried on"),
            }
        }
        moved
    }

    fn written(&mut self, pending: &Pending) {
        let place = Place {
            segment: self.active.number,
            at: self.active.at + pending.at as u64,
            length: pending.length as u32,
        };
        match pending.change {
            Change::Noted => self.hold(pending.call, |held| held.notes.push(place)),
            Change::Ended => self.hold(pending.call, |held| {
                held.notes = Vec::new();
                held.ended = Some(place);
            }),
            Change::Settled => {
                if let Some(held) = self.calls.remove(&pending.call) {
                    self.count(&held, false);
                }
            }
        }
    }

    /// Lets a call go while the disk refuses to hear of it, so that what it held can make room. Not one whose records are
    /// still to be written.
    pub fn forget(&mut self, call: CallId) -> bool {
        if self.pending.iter().any(|pending| pending.call == call) {
            return false;
        }
        if let Some(held) = self.calls.remove(&call) {
            self.count(&held, false);
            self.tidy();
        }
        true
    }

    fn hold(&mut self, call: CallId, change: impl FnOnce(&mut Held)) {
        let mut held = self.calls.remove(&call).unwrap_or_default();
        self.count(&held, false);
        change(&mut held);
        self.count(&held, true);
        self.calls.insert(call, held);
    }

    fn count(&mut self, held: &Held, more: bool) {
        for segment in held.segments() {
            let calls = self.segments.entry(segment).or_default();
            *calls = match more {
                true => *calls + 1,
                false => calls.saturating_sub(1),
            };
        }
    }

    /// Removes the oldest segments that no call needs, and never a younger one before them: what settles a call must not go
    /// before what tells of it.
    fn tidy(&mut self) {
        if self.is_dirty() {
            return;
        }
        while let Some(oldest) = self.segments.first_entry()
            && *oldest.get() == 0
            && *oldest.key() != self.active.number
        {
            let segment = oldest.remove_entry().0;
            if let Err(error) = self.disk.remove(segment) {
                // The next start finds and removes it.
                tracing::warn!(segment, %error, "a settled part of the journal cannot be removed");
            }
        }
    }

    /// Where the ends of these calls lie, as far as they are written and not settled.
    pub fn places(&self, calls: &[CallId]) -> Vec<(CallId, Place)> {
        let place = |call: &CallId| Some((*call, self.calls.get(call)?.ended?));
        calls.iter().filter_map(place).collect()
    }

    /// The last thing a run does: what no call needs goes.
    pub fn finish(mut self) {
        if let Some((number, _)) = self.next.take() {
            self.disk.remove(number).ok();
        }
        self.tidy();
        let active = self.active.number;
        if self.segments.get(&active) == Some(&0) && self.segments.len() == 1 {
            self.disk.remove(active).ok();
        }
    }
}

/// The same end without its events; and without its turns too.
fn lean(entry: &Entry) -> Vec<Entry> {
    let without = |end: &Finish| {
        let mut end = end.clone();
        end.events = Vec::new();
        let mut bare = end.clone();
        bare.turns = Vec::new();
        if let Some(grade) = &mut bare.grade {
            grade.evidence = Vec::new();
        }
        [end, bare]
    };
    match entry {
        Entry::Ended(end) => without(end).map(|end| Entry::Ended(Arc::new(end))).into(),
        Entry::Note(note) => match &note.what {
            Noted::Over(end) => without(end)
                .map(|end| {
                    let (tenant, call) = (note.tenant, note.call);
                    let what = Noted::Over(Box::new(end));
                    Entry::Note(Box::new(Note { tenant, call, what }))
                })
                .into(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A head is two short records.
const HEAD_AT_MOST: u64 = 512;
