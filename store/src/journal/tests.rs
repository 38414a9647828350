//! What the journal promises, on real files and on disks that refuse.

use super::disk::{Folder, Place, Segment};
use super::*;
use model::id::Uuid;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use switch::interrupted::{Known, termination};
use tempfile::TempDir;

const SMALL: Options = Options {
    segment: 4096,
    segments: 64,
    queue: 64,
    gather: Duration::ZERO,
    look: Duration::from_millis(1),
};
const OURS: Uuid = Uuid::from_u128(7);

fn wall() -> Wall {
    Wall(1_795_226_400_000)
}

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn cdr(n: u128) -> Cdr {
    Cdr {
        id: call(n),
        tenant: TenantId(Uuid::from_u128(1)),
        direction: Direction::Robot,
        caller: "02188886666".into(),
        callee: "+8613800138000".into(),
        campaign: None,
        lead: None,
        extension: None,
        trunk: None,
        started_at: wall(),
        ringing_at: None,
        answered_at: Some(wall()),
        ended_at: wall(),
        disposition: Disposition::Interrupted,
        termination: termination(),
        talk_ms: 0,
        charge: Money::ZERO,
        recording: None,
        customer_stats: None,
    }
}

fn note(n: u128, what: Noted) -> Entry {
    let tenant = TenantId(Uuid::from_u128(1));
    Entry::Note(Box::new(Note {
        tenant,
        call: call(n),
        what,
    }))
}

fn answered(n: u128, ms: u64) -> Entry {
    let what = Noted::Answered {
        cdr: cdr(n),
        reserved: Money(100),
        rate: Some(billing::Rate::per_minute(Currency::Cny, Money(10))),
        mono: Mono::from_millis(ms),
        lead: None,
    };
    note(n, what)
}

fn finish(n: u128) -> Finish {
    Finish {
        cdr: cdr(n),
        reserved: Money::ZERO,
        turns: Vec::new(),
        grade: None,
        labels: Vec::new(),
        lead: None,
        opt_out: false,
        events: Vec::new(),
    }
}

fn ended(n: u128) -> Entry {
    Entry::Ended(Arc::new(finish(n)))
}

fn beat(ms: u64) -> Entry {
    Entry::Beat(Now {
        mono: Mono::from_millis(ms),
        wall: wall(),
    })
}

fn open(folder: &TempDir) -> (Journal, Left) {
    Journal::open(folder.path(), OURS, SMALL, wall).unwrap()
}

/// As a kill does: what was handed over is written, and nothing is tidied.
fn leave(journal: Journal) {
    let thread = journal.thread.lock().unwrap().take();
    drop(journal);
    thread.unwrap().join().unwrap();
}

fn talk_of(left: &Left, n: u128) -> Option<u64> {
    let state = &left.calls.iter().find(|left| left.call == call(n))?.state;
    match state {
        LeftState::Up { known, last_beat } => {
            let end = Known::clone(known).end(*last_beat, wall())?;
            Some(end.cdr.talk_ms)
        }
        _ => None,
    }
}

fn files(folder: &TempDir) -> usize {
    disk::numbers(folder.path()).unwrap().len()
}

#[test]
fn what_is_not_settled_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, left) = open(&folder);
    assert!(left.calls.is_empty());
    for n in 1..=4 {
        journal.append(answered(n, 1000 * n as u64));
    }
    journal.append(beat(9000));
    journal.append(ended(1));
    journal.append(note(2, Noted::Over(Box::new(finish(2)))));
    journal.append(ended(3));
    journal.append(Entry::Settled(call(3)));
    leave(journal);
    let (_, left) = open(&folder);
    let calls: Vec<CallId> = left.calls.iter().map(|left| left.call).collect();
    assert_eq!(calls, [call(1), call(2), call(4)]);
    for n in [0, 1] {
        let LeftState::Ended(ending) = left.calls[n].state else {
            panic!("{:?}", left.calls[n])
        };
        assert_eq!(left.end(ending).unwrap().cdr.id, calls[n]);
    }
    assert_eq!(talk_of(&left, 4), Some(5000), "to the last beat");
}

#[test]
fn beats_of_another_run_say_nothing_of_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    journal.append(answered(1, 50_000));
    journal.append(beat(51_500));
    leave(journal);
    let (journal, _) = open(&folder);
    journal.append(answered(2, 10));
    journal.append(beat(99_000));
    leave(journal);
    let (_, left) = open(&folder);
    assert_eq!(talk_of(&left, 1), Some(1500));
    assert_eq!(talk_of(&left, 2), Some(98_990));
}

#[test]
fn a_clean_end_leaves_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for n in 0..100 {
        journal.append(answered(n, 1));
        journal.append(ended(n));
        journal.flush();
        journal.append(Entry::Settled(call(n)));
    }
    assert!(
        files(&folder) <= 3,
        "settled segments go: {}",
        files(&folder)
    );
    journal.close();
    assert_eq!(files(&folder), 0);
}

#[test]
fn a_long_call_holds_its_notes_and_not_what_was_written_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    journal.append(answered(1, 1000));
    let file = "a.wav".to_owned();
    journal.append(note(1, Noted::Recording { file }));
    for n in 2..300 {
        journal.append(answered(n, 1000));
        journal.append(ended(n));
        journal.flush();
        journal.append(Entry::Settled(call(n)));
        journal.append(beat(1000 + n as u64));
    }
    journal.flush();
    assert!(files(&folder) <= 4, "{}", files(&folder));
    leave(journal);
    let (journal, left) = open(&folder);
    assert_eq!(left.calls.len(), 1, "{left:?}");
    assert_eq!(talk_of(&left, 1), Some(299));
    journal.append(Entry::Settled(call(1)));
    journal.close();
    assert_eq!(files(&folder), 0);
}

#[test]
fn damage_costs_the_record_it_hits() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for n in 1..=3 {
        journal.append(ended(n));
    }
    leave(journal);
    let path = folder.path().join("0000000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let starts: Vec<usize> = frame::Frames::of(&bytes).map(|(at, _)| at).collect();
    // Head, then the three.
    bytes[starts[2] + 60] ^= 0x10;
    std::fs::write(&path, &bytes).unwrap();
    let (journal, left) = open(&folder);
    let calls: Vec<CallId> = left.calls.iter().map(|left| left.call).collect();
    assert_eq!((calls, left.damaged), (vec![call(1), call(3)], 1));
    leave(journal);
    // A tail that was being written.
    bytes.truncate(starts[3] + 20);
    std::fs::write(&path, &bytes).unwrap();
    let (_, left) = open(&folder);
    assert_eq!((left.calls.len(), left.damaged), (1, 0));
}

#[test]
fn a_journal_of_another_database_is_refused_unless_nothing_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    journal.append(ended(1));
    leave(journal);
    let other = Uuid::from_u128(8);
    let refused = Journal::open(folder.path(), other, SMALL, wall).unwrap_err();
    assert!(matches!(refused, JournalError::Foreign { .. }));
    assert!(refused.to_string().contains("FIX"));
    let (journal, _) = open(&folder);
    journal.append(Entry::Settled(call(1)));
    leave(journal);
    assert!(Journal::open(folder.path(), other, SMALL, wall).is_ok());
}

#[test]
fn another_releases_record_is_an_error_with_its_fix_and_not_a_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    frame::push(
        &mut bytes,
        &serde_json::json!({ "at": 1, "entry": { "parked": 7 } }),
    )
    .unwrap();
    std::fs::write(folder.path().join("0000000001.journal"), bytes).unwrap();
    let refused = Journal::open(folder.path(), OURS, SMALL, wall).unwrap_err();
    assert!(refused.to_string().contains("another release"), "{refused}");
}

#[test]
fn ends_are_read_back_until_they_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for n in 1..=3 {
        journal.append(ended(n));
    }
    journal.append(Entry::Settled(call(2)));
    journal.flush();
    let back = journal.read_back(vec![call(1), call(2), call(3), call(4)]);
    let ends: Vec<CallId> = back
        .blocking_recv()
        .unwrap()
        .iter()
        .map(|end| end.cdr.id)
        .collect();
    assert_eq!(ends, [call(1), call(3)]);
}

/// A disk with so much room for new segments, that fails when told to.
#[derive(Clone)]
struct Refusing {
    folder: PathBuf,
    segments: Arc<AtomicU64>,
    writes_fail: Arc<AtomicBool>,
    syncs_fail: Arc<AtomicU64>,
}

impl Refusing {
    fn new(folder: &TempDir, segments: u64) -> Refusing {
        Refusing {
            folder: folder.path().to_owned(),
            segments: Arc::new(AtomicU64::new(segments)),
            writes_fail: Arc::default(),
            syncs_fail: Arc::default(),
        }
    }

    fn open(&self) -> Journal {
        let disk = Box::new(self.clone());
        Journal::open_on(disk, &self.folder, OURS, SMALL, wall)
            .unwrap()
            .0
    }
}

impl Disk for Refusing {
    fn create(&self, number: u64, size: u64) -> io::Result<Box<dyn Segment>> {
        if self.segments.load(Ordering::SeqCst) == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.segments.fetch_sub(1, Ordering::SeqCst);
        let segment = Folder(self.folder.clone()).create(number, size)?;
        Ok(Box::new(Failing(segment, self.clone())))
    }
    fn remove(&self, number: u64) -> io::Result<()> {
        self.segments.fetch_add(1, Ordering::SeqCst);
        Folder(self.folder.clone()).remove(number)
    }
    fn read(&self, place: &Place) -> io::Result<Vec<u8>> {
        place.read(&self.folder)
    }
}

struct Failing(Box<dyn Segment>, Refusing);

impl Segment for Failing {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.1.writes_fail.load(Ordering::SeqCst) {
            // As a full disk does: a part of it.
            self.0.write_at(&bytes[..bytes.len() / 2], at)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, at)
    }
    fn sync(&self) -> io::Result<()> {
        let fails = &self.1.syncs_fail;
        let less = |n: u64| n.checked_sub(1);
        match fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Err(io::Error::other("the disk lost it")),
            Err(_) => self.0.sync(),
        }
    }
}

fn until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_is_told_while_there_is_still_room_for_what_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Refusing::new(&folder, 2);
    let journal = disk.open();
    assert_eq!(journal.trouble(), None);
    let mut n = 0;
    while !journal.is_in_trouble() {
        n += 1;
        journal.append(ended(n));
        journal.flush();
    }
    assert!(!journal.append(beat(1)), "what can be spared is not taken");
    // There is a whole segment left.
    for n in [9001, 9002] {
        assert!(journal.append(ended(n)));
        journal.flush();
    }
    for n in (1..=n).chain([9001, 9002]) {
        journal.append(Entry::Settled(call(n)));
    }
    // The first segment goes, and with it the trouble.
    until(|| !journal.is_in_trouble());
    journal.close();
    assert_eq!(files(&folder), 0);
}

#[test]
fn a_long_end_on_a_full_disk_loses_its_events_and_not_its_charge() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Refusing::new(&folder, 2).open();
    let mut n = 0;
    while !journal.is_in_trouble() {
        n += 1;
        journal.append(ended(n));
        journal.flush();
    }
    let mut long = finish(9001);
    long.cdr.charge = Money(30);
    let event = switch::CallEvent {
        at: wall(),
        kind: "digit".into(),
        data: serde_json::json!({ "digit": "5" }),
    };
    long.events = vec![event; 1000];
    journal.append(Entry::Ended(Arc::new(long)));
    journal.flush();
    let back = journal.read_back(vec![call(9001)]).blocking_recv().unwrap();
    assert_eq!((back[0].cdr.charge, back[0].events.len()), (Money(30), 0));
}

#[test]
fn what_a_disk_refuses_is_written_whole_when_it_takes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Refusing::new(&folder, 9);
    let journal = disk.open();
    journal.append(ended(1));
    journal.flush();
    disk.writes_fail.store(true, Ordering::SeqCst);
    journal.append(ended(2));
    until(|| journal.is_in_trouble());
    assert!(journal.trouble().is_some());
    // The queue has a bound.
    let taken = (3..1000).take_while(|n| journal.append(ended(*n))).count();
    assert!(taken < 1000 - 3, "{taken}");
    disk.writes_fail.store(false, Ordering::SeqCst);
    until(|| !journal.is_in_trouble());
    leave(journal);
    let (_, left) = open(&folder);
    assert_eq!((left.calls.len(), left.damaged), (2 + taken, 0));
}

#[test]
fn what_a_disk_lost_is_written_again_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Refusing::new(&folder, 9);
    let journal = disk.open();
    disk.syncs_fail.store(1, Ordering::SeqCst);
    journal.append(ended(1));
    journal.flush();
    assert_eq!(journal.trouble(), None);
    leave(journal);
    // What the first segment was given is gone, as if the pages had been dropped.
    let first = folder.path().join("0000000001.journal");
    std::fs::write(&first, vec![0; 4096]).unwrap();
    let (_, left) = open(&folder);
    assert_eq!(left.calls.len(), 1);
}

/// A real file system of 64 kB. Needs the right to mount.
#[test]
fn a_real_small_disk_fills_up_and_is_emptied_again() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |args: &[&str]| {
        let done = std::process::Command::new(args[0])
            .args(&args[1..])
            .output();
        done.map_err(|error| error.to_string())
            .and_then(|done| match done.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            })
    };
    let path = folder.path().to_str().unwrap();
    if let Err(why) = mount(&["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path]) {
        println!("SKIPPED: no small disk could be mounted here: {why}");
        return;
    }
    let (journal, _) = open(&folder);
    let mut n = 0;
    while !journal.is_in_trouble() {
        n += 1;
        assert!(n < 1000, "it fills up");
        journal.append(ended(n));
        journal.flush();
    }
    assert_eq!(
        journal.trouble().as_deref(),
        Some("No space left on device (os error 28)")
    );
    assert!(journal.append(ended(9001)), "and the live ones end");
    journal.flush();
    assert_eq!(
        journal
            .read_back(vec![call(9001)])
            .blocking_recv()
            .unwrap()
            .len(),
        1
    );
    for n in (1..=n).chain([9001]) {
        journal.append(Entry::Settled(call(n)));
    }
    until(|| !journal.is_in_trouble());
    journal.close();
    let empty = files(&folder);
    mount(&["umount", path]).unwrap();
    assert_eq!(empty, 0);
}
