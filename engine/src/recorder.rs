//! Writes recordings: a ring for each leg, one thread for all, two channels of 16 bit at 8 kHz (left the customer, right all
//! the customer hears). The file's header is made true every second, so that a crash costs no more than that.
//!
//! Without room on the disk a recording pauses: its file stays whole up to there. With room again it goes on, silence standing
//! for what is missing, so that its offsets stay those of the call.

use crate::clock::Clock;
use crate::disk::Disk;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hound::{SampleFormat, WavSpec, WavWriter};
use media::{FRAME, Pcm, SAMPLE_RATE};
use model::{CallId, Mono, TenantId};
use rtrb::{Consumer, Producer, RingBuffer};
use serde_json::json;
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// 4 s of frames a leg may be ahead of the disk; beyond it frames are lost and become silence.
const RING: usize = 200;
const STARTS: usize = 4096;
const LOOK: Duration = Duration::from_millis(100);
const TRUE_HEADER: Duration = Duration::from_secs(1);
/// How long a recording waits that found the disk full although the reserve was there.
const REST: Duration = Duration::from_secs(5);
/// Silence filled in at once at most; a longer leap means a broken clock, not a pause.
const LONGEST_HOLE: u32 = SAMPLE_RATE * 3600;

/// 20 ms of both channels; `at` is on the leg's time base.
pub(crate) struct StereoFrame {
    pub at: u32,
    pub left: Pcm,
    pub right: Pcm,
}

/// What happens to a recording, for whoever announces it.
pub(crate) struct Recorded {
    pub tenant: TenantId,
    pub call: CallId,
    pub file: String,
    pub what: What,
}

pub(crate) enum What {
    /// No room on the disk; the call goes on.
    Paused,
    Resumed,
    /// Over and whole. `gaps`: it paused in between, or at its end.
    Ready {
        length: Duration,
        gaps: bool,
    },
    Failed(String),
}

impl Recorded {
    pub fn kind(&self) -> &'static str {
        match self.what {
            What::Paused => "recording.paused",
            What::Resumed => "recording.resumed",
            What::Ready { .. } => "recording.ready",
            What::Failed(_) => "recording.failed",
        }
    }

    pub fn data(&self) -> serde_json::Value {
        let mut data = json!({ "call": self.call, "recording": self.file });
        match &self.what {
            What::Paused => data["error"] = "the disk is nearly full".into(),
            What::Resumed => {}
            What::Ready { length, gaps } => {
                data["duration_ms"] = (length.as_millis() as u64).into();
                data["gaps"] = (*gaps).into();
            }
            What::Failed(error) => data["error"] = error.as_str().into(),
        }
        data
    }
}

struct Start {
    tenant: TenantId,
    call: CallId,
    file: String,
    ring: Consumer<StereoFrame>,
}

pub(crate) struct Recorder {
    starts: Sender<Start>,
}

impl Recorder {
    pub fn start(
        folder: PathBuf,
        clock: Clock,
        disk: Arc<Disk>,
        tell: Arc<dyn Fn(Recorded) + Send + Sync>,
    ) -> std::io::Result<Recorder> {
        let (starts, receiver) = bounded(STARTS);
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || run(&folder, clock, &disk, &receiver, tell.as_ref()))?;
        Ok(Recorder { starts })
    }

    /// The ring whose frames go to this file; the recording ends when the ring is dropped.
    pub fn record(&self, tenant: TenantId, call: CallId, file: String) -> Producer<StereoFrame> {
        let (producer, ring) = RingBuffer::new(RING);
        self.starts
            .send(Start {
                tenant,
                call,
                file,
                ring,
            })
            .ok();
        producer
    }
}

fn run(
    folder: &Path,
    clock: Clock,
    disk: &Disk,
    starts: &Receiver<Start>,
    tell: &dyn Fn(Recorded),
) {
    let mut recordings: Vec<Recording> = Vec::new();
    loop {
        let wait = if recordings.is_empty() {
            Duration::from_secs(3600)
        } else {
            LOOK
        };
        let mut last = false;
        let mut begin = |start| recordings.push(Recording::begin(folder, start, clock.mono()));
        match starts.recv_timeout(wait) {
            Ok(start) => begin(start),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => last = true,
        }
        starts.try_iter().for_each(begin);
        let now = clock.mono();
        let mut i = 0;
        while i < recordings.len() {
            if recordings[i].drain(now, disk.low(), tell) {
                let over = recordings.swap_remove(i);
                tell(over.finish());
            } else {
                i += 1;
            }
        }
        if last {
            if recordings.is_empty() {
                return;
            }
            clock.pause(LOOK);
        }
    }
}

struct Recording {
    tenant: TenantId,
    call: CallId,
    file: String,
    ring: Consumer<StereoFrame>,
    path: PathBuf,
    state: State,
    /// Samples written for each channel.
    written: u32,
    /// Those the header tells of.
    told: u32,
    header_at: Mono,
    gaps: bool,
    /// Of the look under way.
    now: Mono,
    /// Not opened again before.
    rests_until: Mono,
}

enum State {
    /// Its file is made when there is something to write and room for it.
    Waiting,
    Open(WavWriter<BufWriter<File>>),
    Failed(String),
}

impl Recording {
    fn begin(folder: &Path, start: Start, now: Mono) -> Recording {
        let Start {
            tenant,
            call,
            file,
            ring,
        } = start;
        Recording {
            path: folder.join(&file),
            tenant,
            call,
            file,
            ring,
            state: State::Waiting,
            written: 0,
            told: 0,
            header_at: now,
            gaps: false,
            now,
            rests_until: now,
        }
    }

    /// Writes what is there; true when the leg is over and everything is written.
    fn drain(&mut self, now: Mono, low: bool, tell: &dyn Fn(Recorded)) -> bool {
        self.now = now;
        // Asked before the last look: what was pushed before the ring was dropped is still seen.
        let over = self.ring.is_abandoned();
        let paused = self.gaps && matches!(self.state, State::Waiting);
        if low && !paused {
            self.pause("less than the reserve is free", tell);
        } else if !low && matches!(self.state, State::Waiting) && now >= self.rests_until {
            self.open(paused, tell);
        }
        while let Ok(frame) = self.ring.pop() {
            self.write(&frame, tell);
        }
        if now.since(self.header_at) >= TRUE_HEADER {
            self.header_at = now;
            self.guarded(tell, |writer| writer.flush());
            self.told = self.written;
        }
        over
    }

    fn open(&mut self, paused: bool, tell: &dyn Fn(Recorded)) {
        let writer = match self.written {
            0 => create(&self.path),
            _ => WavWriter::append(&self.path),
        };
        match writer {
            Ok(writer) => {
                self.state = State::Open(writer);
                if paused {
                    info!(call = %self.call, "recording goes on");
                    tell(self.tells(What::Resumed));
                }
            }
            // Tried again while the call lasts.
            Err(error) if is_full(&error) => self.full(tell),
            Err(error) => {
                error!(call = %self.call, file = self.file, %error, "cannot record");
                self.state = State::Failed(error.to_string());
            }
        }
    }

    fn write(&mut self, frame: &StereoFrame, tell: &dyn Fn(Recorded)) {
        if frame.at < self.written || !matches!(self.state, State::Open(_)) {
            return;
        }
        let hole = (frame.at - self.written).min(LONGEST_HOLE);
        self.written += hole + FRAME as u32;
        self.guarded(tell, |writer| {
            for _ in 0..hole {
                writer.write_sample(0i16)?;
                writer.write_sample(0i16)?;
            }
            for i in 0..FRAME {
                writer.write_sample(frame.left[i])?;
                writer.write_sample(frame.right[i])?;
            }
            Ok(())
        });
    }

    /// A full disk pauses; after another fault the file is left as it is, readable up to its last header.
    fn guarded(
        &mut self,
        tell: &dyn Fn(Recorded),
        act: impl FnOnce(&mut WavWriter<BufWriter<File>>) -> Result<(), hound::Error>,
    ) {
        let State::Open(writer) = &mut self.state else {
            return;
        };
        match act(writer) {
            Ok(()) => {}
            Err(error) if is_full(&error) => self.full(tell),
            Err(error) => {
                error!(call = %self.call, file = self.file, %error, "recording stopped");
                self.state = State::Failed(error.to_string());
            }
        }
    }

    fn full(&mut self, tell: &dyn Fn(Recorded)) {
        self.rests_until = self.now + REST;
        self.pause("the disk is full", tell);
    }

    fn pause(&mut self, why: &str, tell: &dyn Fn(Recorded)) {
        let first = !self.gaps || matches!(self.state, State::Open(_));
        match std::mem::replace(&mut self.state, State::Waiting) {
            State::Open(mut writer) => {
                if writer.flush().is_ok() {
                    self.told = self.written;
                }
                drop(writer);
                // What the disk took only in part goes, and the header says what is there.
                mend(&self.path, self.told).ok();
                self.written = self.told;
            }
            State::Waiting => {}
            State::Failed(error) => {
                self.state = State::Failed(error);
                return;
            }
        }
        self.gaps = true;
        if first {
            warn!(call = %self.call, why, "recording pauses");
            tell(self.tells(What::Paused));
        }
    }

    fn finish(mut self) -> Recorded {
        let length = length_of(self.written);
        let gaps = self.gaps;
        let ready = What::Ready { length, gaps };
        let what = match std::mem::replace(&mut self.state, State::Waiting) {
            State::Open(writer) => match writer.finalize() {
                Ok(()) => ready,
                Err(error) => {
                    mend(&self.path, self.told).ok();
                    match is_full(&error) && self.told > 0 {
                        true => What::Ready {
                            length: length_of(self.told),
                            gaps: true,
                        },
                        false => What::Failed(error.to_string()),
                    }
                }
            },
            State::Waiting if self.written > 0 => ready,
            State::Waiting => What::Failed("the disk was full".to_owned()),
            State::Failed(error) => What::Failed(error),
        };
        self.tells(what)
    }

    fn tells(&self, what: What) -> Recorded {
        Recorded {
            tenant: self.tenant,
            call: self.call,
            file: self.file.clone(),
            what,
        }
    }
}

fn length_of(samples: u32) -> Duration {
    Duration::from_micros(u64::from(samples) * 125)
}

fn is_full(error: &hound::Error) -> bool {
    matches!(error, hound::Error::IoError(error)
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero))
}

fn create(path: &Path) -> Result<WavWriter<BufWriter<File>>, hound::Error> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let spec = WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    WavWriter::create(path, spec)
}

/// Cuts a recording to so many samples a channel and says so in its header. Nothing is allocated, so it works on a full disk.
fn mend(path: &Path, samples: u32) -> std::io::Result<()> {
    /// The header that hound writes for two channels of 16 bit.
    const HEADER: u32 = 44;
    let data = samples * 4;
    let mut file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() < u64::from(HEADER) {
        return Ok(());
    }
    file.set_len(u64::from(HEADER + data))?;
    file.seek(SeekFrom::Start(4))?;
    file.write_all(&(HEADER - 8 + data).to_le_bytes())?;
    file.seek(SeekFrom::Start(u64::from(HEADER) - 4))?;
    file.write_all(&data.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn frame(n: u32) -> StereoFrame {
        let value = n as i16 + 1;
        StereoFrame {
            at: n * FRAME as u32,
            left: [value; FRAME],
            right: [-value; FRAME],
        }
    }

    #[test]
    fn a_recording_pauses_while_the_disk_is_low_and_silence_stands_for_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ring, consumer) = RingBuffer::new(RING);
        let start = Start {
            tenant: TenantId(model::id::Uuid::from_u128(1)),
            call: CallId(model::id::Uuid::from_u128(2)),
            file: "a/b.wav".into(),
            ring: consumer,
        };
        let told = RefCell::new(Vec::new());
        let tell = |recorded: Recorded| told.borrow_mut().push(recorded.kind());
        let mut recording = Recording::begin(folder.path(), start, Mono::ZERO);
        let mut push = |n| ring.push(frame(n)).unwrap();
        push(0);
        assert!(!recording.drain(Mono::ZERO, false, &tell));
        push(1);
        assert!(!recording.drain(Mono::ZERO, true, &tell));
        let kept = hound::WavReader::open(folder.path().join("a/b.wav")).unwrap();
        assert_eq!(kept.duration(), FRAME as u32, "whole up to the pause");
        push(2);
        assert!(!recording.drain(Mono::ZERO, true, &tell));
        push(3);
        assert!(!recording.drain(Mono::ZERO, false, &tell));
        drop(ring);
        assert!(recording.drain(Mono::ZERO, false, &tell));
        let done = recording.finish();
        assert!(matches!(done.what, What::Ready { gaps: true, .. }));
        assert_eq!(*told.borrow(), ["recording.paused", "recording.resumed"]);
        let mut reader = hound::WavReader::open(folder.path().join("a/b.wav")).unwrap();
        let left: Vec<i16> = reader.samples().step_by(2).map(Result::unwrap).collect();
        let heard: Vec<i16> = left.chunks(FRAME).map(|frame| frame[0]).collect();
        assert_eq!(heard, [1, 0, 0, 4]);
    }

    #[test]
    fn what_a_full_disk_took_in_part_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        let mut writer = create(&path).unwrap();
        for n in 0..1000i16 {
            writer.write_sample(n).unwrap();
        }
        drop(writer);
        mend(&path, 100).unwrap();
        let reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.duration(), 100);
        let mut more = WavWriter::append(&path).unwrap();
        more.write_sample(7i16).unwrap();
        more.write_sample(8i16).unwrap();
        more.finalize().unwrap();
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(
            (
                reader.duration(),
                reader.samples::<i16>().last().unwrap().unwrap()
            ),
            (101, 8)
        );
    }
}
