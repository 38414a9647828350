//! Writes recordings: a ring for each leg, one thread for all, two channels of 16 bit at 8 kHz (left the customer, right all
//! the customer hears). The file's header is made true every second, so that a crash costs no more than that.

use crate::clock::Clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hound::{SampleFormat, WavSpec, WavWriter};
use media::{FRAME, Pcm, SAMPLE_RATE};
use model::{CallId, Mono, TenantId};
use rtrb::{Consumer, Producer, RingBuffer};
use serde_json::json;
use std::fs::{File, create_dir_all};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::error;

/// 4 s of frames a leg may be ahead of the disk; beyond it frames are lost and become silence.
const RING: usize = 200;
const STARTS: usize = 4096;
const LOOK: Duration = Duration::from_millis(100);
const TRUE_HEADER: Duration = Duration::from_secs(1);
/// Silence filled in at once at most; a longer leap means a broken clock, not a pause.
const LONGEST_HOLE: u32 = SAMPLE_RATE * 3600;

/// 20 ms of both channels; `at` is on the leg's time base.
pub(crate) struct StereoFrame {
    pub at: u32,
    pub left: Pcm,
    pub right: Pcm,
}

/// A finished recording, for whoever announces it.
pub(crate) struct Recorded {
    pub tenant: TenantId,
    pub call: CallId,
    pub file: String,
    pub result: Result<Duration, String>,
}

impl Recorded {
    pub fn data(&self) -> serde_json::Value {
        match &self.result {
            Ok(length) => json!({
                "call": self.call,
                "recording": self.file,
                "duration_ms": length.as_millis() as u64,
            }),
            Err(error) => json!({ "call": self.call, "recording": self.file, "error": error }),
        }
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
        done: Arc<dyn Fn(Recorded) + Send + Sync>,
    ) -> std::io::Result<Recorder> {
        let (starts, receiver) = bounded(STARTS);
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || run(&folder, clock, &receiver, done.as_ref()))?;
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

fn run(folder: &Path, clock: Clock, starts: &Receiver<Start>, done: &dyn Fn(Recorded)) {
    let mut recordings: Vec<Recording> = Vec::new();
    loop {
        let wait = if recordings.is_empty() {
            Duration::from_secs(3600)
        } else {
            LOOK
        };
        let mut last = false;
        match starts.recv_timeout(wait) {
            Ok(start) => recordings.push(Recording::begin(folder, start, clock.mono())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => last = true,
        }
        while let Ok(start) = starts.try_recv() {
            recordings.push(Recording::begin(folder, start, clock.mono()));
        }
        let now = clock.mono();
        let mut i = 0;
        while i < recordings.len() {
            if recordings[i].drain(now) {
                done(recordings.swap_remove(i).finish());
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
    start: Start,
    writer: Result<WavWriter<BufWriter<File>>, String>,
    /// Samples written for each channel.
    written: u32,
    header_at: Mono,
}

impl Recording {
    fn begin(folder: &Path, start: Start, now: Mono) -> Recording {
        let writer = create(&folder.join(&start.file)).inspect_err(|error| {
            error!(file = start.file, error, "cannot record");
        });
        Recording {
            start,
            writer,
            written: 0,
            header_at: now,
        }
    }

    /// Writes what is there; true when the leg is over and everything is written.
    fn drain(&mut self, now: Mono) -> bool {
        // Asked before the last look: what was pushed before the ring was dropped is still seen.
        let over = self.start.ring.is_abandoned();
        while let Ok(frame) = self.start.ring.pop() {
            self.write(&frame);
        }
        if now.since(self.header_at) >= TRUE_HEADER {
            self.header_at = now;
            self.guarded(|writer| writer.flush());
        }
        over
    }

    fn write(&mut self, frame: &StereoFrame) {
        let hole = frame.at.saturating_sub(self.written).min(LONGEST_HOLE);
        if frame.at < self.written {
            return;
        }
        self.guarded(|writer| {
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
        self.written += hole + FRAME as u32;
    }

    /// After the first fault the file is left as it is, readable up to its last header.
    fn guarded(
        &mut self,
        act: impl FnOnce(&mut WavWriter<BufWriter<File>>) -> Result<(), hound::Error>,
    ) {
        if let Ok(writer) = &mut self.writer
            && let Err(error) = act(writer)
        {
            error!(file = self.start.file, %error, "recording stopped");
            self.writer = Err(error.to_string());
        }
    }

    fn finish(mut self) -> Recorded {
        self.guarded(|writer| writer.flush());
        let result = self
            .writer
            .and_then(|writer| writer.finalize().map_err(|e| e.to_string()));
        let length = Duration::from_micros(u64::from(self.written) * 125);
        let Start {
            tenant, call, file, ..
        } = self.start;
        Recorded {
            tenant,
            call,
            file,
            result: result.map(|()| length),
        }
    }
}

fn create(path: &Path) -> Result<WavWriter<BufWriter<File>>, String> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    let spec = WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    WavWriter::create(path, spec).map_err(|error| error.to_string())
}
