//! What the engine holds of this crate.

use crate::source::Source;
use crate::words::{Language, NotHeard};
use model::{LegId, RequestId};
use rtrb::Consumer;
use std::sync::Arc;
use std::time::Duration;

/// 20 ms of a leg, as the media worker pushes it into the leg's ring.
pub type TapFrame = media::Frame;

#[derive(Clone, Debug)]
pub struct Config {
    /// Recogniser threads, each with one whisper state and one ggml thread.
    pub workers: usize,
    /// Requests that may wait; beyond it the oldest speculative one goes, then the newest is refused.
    pub queue: usize,
    /// From `recognise` to an answer, whatever happens: after it `NotHeard::TooSlow` is reported.
    pub deadline: Duration,
    /// Legs listened to at once.
    pub legs: usize,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Config { workers: cores, queue: 64, deadline: Duration::from_millis(1800), legs: 1000 }
    }
}

/// Offsets are milliseconds on the leg's time base (`Frame::at`).
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechEvent {
    VoiceStarted { leg: LegId, at_ms: u32 },
    VoicePaused { leg: LegId, last_voiced_ms: u32, silence: Duration },
    /// Exactly one for each request that was neither abandoned nor forgotten. `took`: from `recognise` to here.
    Recognised { leg: LegId, request: RequestId, result: Result<String, NotHeard>, took: Duration },
}

/// The room is full; nothing was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("speech is full")]
pub struct Busy;

/// How hard recognition works. For health, metrics and (later) admission.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    pub recogniser: String,
    pub legs: usize,
    pub workers: usize,
    pub running: usize,
    pub waiting_final: usize,
    pub waiting_speculative: usize,
    pub recognised: u64,
    pub discarded: u64,
    pub too_slow: u64,
    pub failed: u64,
    pub refused: u64,
    pub workers_replaced: u64,
    /// Of the last 256 answers.
    pub p50: Duration,
    pub p95: Duration,
}

pub struct Speech {}

impl Speech {
    /// Starts the listener and the workers. `sink` is called on their threads and must not block.
    pub fn start(
        _source: Arc<dyn Source>,
        _config: Config,
        _sink: Arc<dyn Fn(SpeechEvent) + Send + Sync>,
    ) -> Speech {
        Speech {}
    }
    /// Drain this leg's ring from now on, until `forget` or until the producer is dropped.
    pub fn listen(&self, _leg: LegId, _frames: Consumer<TapFrame>) -> Result<(), Busy> {
        Ok(())
    }
    /// Recognise what the leg said in the span (trimmed to its voice).
    pub fn recognise(
        &self,
        _leg: LegId,
        _request: RequestId,
        _from_ms: u32,
        _to_ms: u32,
        _is_final: bool,
        _language: Language,
    ) {
    }
    pub fn abandon(&self, _leg: LegId, _request: RequestId) {}
    /// The leg is over: its audio and requests go, no event of it follows.
    pub fn forget(&self, _leg: LegId) {}
    pub fn load(&self) -> Load {
        Load::default()
    }
}
