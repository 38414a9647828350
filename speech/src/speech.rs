//! What the engine holds of this crate.

use crate::clock;
use crate::listener::{self, Command, Legs, Request};
use crate::pool::Pool;
use crate::source::Source;
use crate::vad::{Vad, VadError};
use bots::{Language, NotHeard, RecogniserError};
use crossbeam_channel::Sender;
use model::{LegId, RequestId};
use rtrb::Consumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing::warn;

/// 20 ms of a leg, as the media worker pushes it into the leg's ring.
pub type TapFrame = media::Frame;

#[derive(Clone, Debug)]
pub struct Config {
    /// Recogniser threads, each with one whisper state and one ggml thread.
    pub workers: usize,
    /// Requests that may wait; beyond it the oldest speculative one goes, then the newest is refused.
    pub queue: usize,
    /// From `recognise` to an answer, whatever happens: after it `RecogniserError::TimedOut` is reported.
    pub deadline: Duration,
    /// A worker that is this much over its deadline is given up, and another thread takes its place.
    pub patience: Duration,
    /// Legs listened to at once.
    pub legs: usize,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Config {
            workers: cores,
            queue: 64,
            deadline: Duration::from_millis(1500),
            patience: Duration::from_secs(3),
            legs: 1000,
        }
    }
}

/// Offsets are milliseconds on the leg's time base (`Frame::at`).
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechEvent {
    VoiceStarted {
        leg: LegId,
        at_ms: u32,
    },
    VoicePaused {
        leg: LegId,
        last_voiced_ms: u32,
        silence: Duration,
    },
    /// Exactly one for each request that was neither abandoned nor forgotten. `took`: from `recognise` to here.
    Recognised {
        leg: LegId,
        request: RequestId,
        result: Result<String, NotHeard>,
        took: Duration,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Vad(#[from] VadError),
    #[error("no thread to listen on: {0}")]
    Thread(#[from] std::io::Error),
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

pub(crate) type Sink = Arc<dyn Fn(SpeechEvent) + Send + Sync>;

/// Commands that may wait for the listener, which takes them at least every 10 ms or so.
const COMMANDS: usize = 4096;

/// Ears and recognisers of one engine. Dropping it ends its threads.
pub struct Speech {
    commands: Sender<Command>,
    pool: Arc<Pool>,
    sink: Sink,
    legs: Arc<AtomicUsize>,
    most_legs: usize,
}

impl Speech {
    /// Starts the listener and the workers. `sink` is called on their threads and must not block.
    pub fn start(
        source: Arc<dyn Source>,
        config: Config,
        sink: Arc<dyn Fn(SpeechEvent) + Send + Sync>,
    ) -> Result<Speech, StartError> {
        let legs = Arc::new(AtomicUsize::new(0));
        let ears = Legs::new(Vad::new()?, legs.clone());
        let pool = Arc::new(Pool::start(source, &config, sink.clone()));
        let (commands, inbox) = crossbeam_channel::bounded(COMMANDS);
        let (listening, heard) = (pool.clone(), sink.clone());
        std::thread::Builder::new()
            .name("speech-listener".into())
            .spawn(move || listener::run(ears, inbox, listening, heard))?;
        Ok(Speech {
            commands,
            pool,
            sink,
            legs,
            most_legs: config.legs,
        })
    }

    /// Drain this leg's ring from now on, until `forget` (or a minute after the producer was dropped).
    pub fn listen(&self, leg: LegId, frames: Consumer<TapFrame>) -> Result<(), Busy> {
        if self.legs.fetch_add(1, Ordering::Relaxed) >= self.most_legs
            || self
                .commands
                .try_send(Command::Listen(leg, frames))
                .is_err()
        {
            self.legs.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        Ok(())
    }

    /// Recognise what the leg said in the span (trimmed to its voice). Answered by one `Recognised`, in time whatever
    /// happens, unless abandoned.
    pub fn recognise(
        &self,
        leg: LegId,
        request: RequestId,
        from_ms: u32,
        to_ms: u32,
        is_final: bool,
        language: Language,
    ) {
        let asked = clock::now();
        let wanted = Request {
            leg,
            request,
            from_ms,
            to_ms,
            is_final,
            language,
            asked,
        };
        if self.commands.try_send(Command::Recognise(wanted)).is_err() {
            let result = Err(NotHeard::Failed(RecogniserError::Overloaded));
            let took = Duration::ZERO;
            (self.sink)(SpeechEvent::Recognised {
                leg,
                request,
                result,
                took,
            });
        }
    }

    /// A speculative request is awaited now, so it goes before speculative ones.
    pub fn promote(&self, leg: LegId, request: RequestId) {
        self.tell(Command::Promote(leg, request));
    }
    /// Its result is not wanted any more: no `Recognised` follows, except one that crosses with this.
    pub fn abandon(&self, leg: LegId, request: RequestId) {
        self.tell(Command::Abandon(leg, request));
    }
    /// The leg is over: its audio and requests go.
    pub fn forget(&self, leg: LegId) {
        self.tell(Command::Forget(leg));
    }

    /// A lost one costs a little work (a text nobody waits for) or a minute of memory, no more.
    fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            warn!("the listener does not keep up: a command was dropped");
        }
    }

    pub fn load(&self) -> Load {
        Load {
            legs: self.legs.load(Ordering::Relaxed),
            ..self.pool.load()
        }
    }
}
