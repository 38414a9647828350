//! Reading a journal: what the last run left, and line by line for people.

use super::disk::{self, Place};
use super::frame::{self, Frames};
use super::keeper::Held;
use super::{Entry, Record};
use model::id::Uuid;
use model::*;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use switch::interrupted::Known;
use switch::{Finish, Noted};

/// What the last run left: calls whose end is not known to be in the database.
#[derive(Debug, Default)]
pub struct Left {
    pub calls: Vec<LeftCall>,
    /// Records that could not be read between others that could.
    pub damaged: u64,
    pub(super) folder: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LeftCall {
    pub call: CallId,
    pub state: LeftState,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LeftState {
    /// It ended; `Left::end` reads how.
    Ended(Ending),
    /// It was up. `last_beat` is on the clock of its run.
    Up { known: Box<Known>, last_beat: Mono },
    /// Its answer cannot be read; nothing is known of it here.
    Scraps,
}

/// Where an end lies. Ends are read one by one: there may be as many as a day without a database made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(Place);

impl Left {
    pub fn end(&self, ending: Ending) -> io::Result<Arc<Finish>> {
        end(&self.folder, &ending.0)
    }
}

/// One end, read from where it lies.
pub(super) fn end(folder: &Path, place: &Place) -> io::Result<Arc<Finish>> {
    let bytes = place.read(folder)?;
    let body = frame::body(&bytes, 0).ok_or(io::ErrorKind::InvalidData)?;
    match parse(body) {
        Some(Record {
            entry: Entry::Ended(end),
            ..
        }) => Ok(end),
        Some(Record {
            entry: Entry::Note(note),
            ..
        }) if matches!(note.what, Noted::Over(_)) => match note.what {
            Noted::Over(end) => Ok(Arc::from(end)),
            _ => Err(foreign()),
        },
        _ => Err(foreign()),
    }
}

fn parse(body: &[u8]) -> Option<Record<Entry>> {
    serde_json::from_slice(body).ok()
}

/// A record is whole and says what this release does not understand.
fn foreign() -> io::Error {
    let why =
        "it was written by another release; start that one once, so that it settles its calls";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// One record, for people.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: Wall,
    pub entry: Entry,
}

/// Every record of the journal in a folder, oldest first. Reads only, so that it may run beside the process that writes.
/// Says how many records could not be read.
pub fn lines(folder: &Path, mut each: impl FnMut(Line)) -> io::Result<u64> {
    let mut damaged = 0;
    for number in disk::numbers(folder)? {
        let bytes = disk::read(folder, number)?;
        let mut frames = Frames::of(&bytes);
        for (_, body) in frames.by_ref() {
            match parse(body) {
                Some(Record { at, entry }) => each(Line { at, entry }),
                None => damaged += 1,
            }
        }
        damaged += frames.holes;
    }
    Ok(damaged)
}

/// Ends that the database refused for good, as files.
pub fn rejected(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join(super::REJECTED))
        .into_iter()
        .flatten();
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    files
}

/// What `scan` brings: for recovery, and for the keeper that goes on.
pub(super) struct Found {
    pub left: Left,
    pub held: HashMap<CallId, Held>,
    pub segments: Vec<u64>,
    pub run: u64,
    /// Whose calls they are.
    pub installations: BTreeSet<Uuid>,
}

#[derive(Default)]
struct Seen {
    /// The run that answered it.
    run: u64,
    known: Known,
    answered: bool,
    held: Held,
}

pub(super) fn scan(folder: &Path) -> io::Result<Found> {
    let mut calls: HashMap<CallId, Seen> = HashMap::new();
    // When each run was last known to live, and where that stands.
    let mut beats: HashMap<u64, (Mono, Option<Place>)> = HashMap::new();
    let (mut damaged, mut last_run) = (0, 0);
    let mut installations = BTreeSet::new();
    let segments = disk::numbers(folder)?;
    for number in &segments {
        let bytes = disk::read(folder, *number)?;
        // Until its head says whose it is, a segment is nobody's: no beat of another run may be mistaken for its own.
        let mut run = u64::MAX - number;
        let mut frames = Frames::of(&bytes);
        for (at, body) in frames.by_ref() {
            let record = parse(body).ok_or_else(foreign)?;
            let place = Place {
                segment: *number,
                at: at as u64,
                length: (frame::HEAD + body.len()) as u32,
            };
            match record.entry {
                Entry::Run {
                    run: of,
                    installation,
                } => {
                    run = of;
                    last_run = last_run.max(of);
                    installations.insert(installation);
                }
                Entry::Beat(now) => {
                    let beat = beats.entry(run).or_default();
                    if beat.0 <= now.mono {
                        *beat = (now.mono, Some(place));
                    }
                }
                Entry::Settled(call) => {
                    calls.remove(&call);
                }
                Entry::Ended(end) => calls.entry(end.cdr.id).or_default().held.ended = Some(place),
                Entry::Note(note) => {
                    let seen = calls.entry(note.call).or_default();
                    match &note.what {
                        Noted::Over(_) => {
                            seen.held.ended = Some(place);
                            continue;
                        }
                        Noted::Answered { mono, .. } => {
                            (seen.run, seen.answered) = (run, true);
                            let beat = beats.entry(run).or_default();
                            beat.0 = beat.0.max(*mono);
                        }
                        _ => {}
                    }
                    seen.held.notes.push(place);
                    seen.known.note(note.what);
                }
            }
        }
        damaged += frames.holes;
    }
    let mut found = Found {
        left: Left {
            calls: Vec::with_capacity(calls.len()),
            damaged,
            folder: folder.to_owned(),
        },
        held: HashMap::with_capacity(calls.len()),
        segments,
        run: last_run,
        installations,
    };
    for (call, seen) in calls {
        let (known, mut held) = (seen.known, seen.held);
        held.old = true;
        let state = match held.ended {
            Some(place) => {
                held.notes = Vec::new();
                LeftState::Ended(Ending(place))
            }
            None if seen.answered => {
                let (last_beat, place) = beats.get(&seen.run).copied().unwrap_or_default();
                // Its beat is part of what is known of it.
                held.notes.extend(place);
                LeftState::Up {
                    known: Box::new(known),
                    last_beat,
                }
            }
            None => LeftState::Scraps,
        };
        found.held.insert(call, held);
        found.left.calls.push(LeftCall { call, state });
    }
    // Ids rise with time.
    found.left.calls.sort_by_key(|left| left.call);
    Ok(found)
}
