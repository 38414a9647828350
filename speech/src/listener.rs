//! The thread that drains the ring of every leg, tells when voices start and pause, and cuts spans for the pool.

use crate::clock;
use crate::ear::{Ear, Voice};
use crate::pool::Pool;
use crate::speech::{Sink, SpeechEvent, TapFrame};
use crate::vad::Vad;
use bots::{Discard, DiscardReason, Language, NotHeard, RecogniserError};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use model::{LegId, Mono, RequestId};
use rtrb::Consumer;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing::warn;

/// Between two rounds over all rings.
const ROUND: Duration = Duration::from_millis(10);
/// A voice without frames for this long has paused.
const STARVED: Duration = Duration::from_millis(250);
/// A leg whose producer is gone is kept this long for requests still to come.
const ORPHANED: Duration = Duration::from_secs(60);

pub(crate) enum Command {
    Listen(LegId, Consumer<TapFrame>),
    Recognise(Request),
    Promote(LegId, RequestId),
    Abandon(LegId, RequestId),
    Forget(LegId),
}

pub(crate) struct Request {
    pub leg: LegId,
    pub request: RequestId,
    pub from_ms: u32,
    pub to_ms: u32,
    pub is_final: bool,
    pub language: Language,
    pub asked: Mono,
}

struct Leg {
    frames: Consumer<TapFrame>,
    ear: Ear,
    last_frame: Mono,
}

/// Every leg listened to. A value; the thread below gives it time.
pub(crate) struct Legs {
    vad: Vad,
    legs: HashMap<LegId, Leg>,
    /// Shared with `Speech::listen`, which keeps the bound.
    count: Arc<AtomicUsize>,
}

impl Legs {
    pub fn new(vad: Vad, count: Arc<AtomicUsize>) -> Legs {
        Legs {
            vad,
            legs: HashMap::new(),
            count,
        }
    }

    pub fn listen(&mut self, now: Mono, leg: LegId, frames: Consumer<TapFrame>) {
        let heard = Leg {
            frames,
            ear: Ear::new(self.vad.clone()),
            last_frame: now,
        };
        if self.legs.insert(leg, heard).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn forget(&mut self, leg: LegId) {
        if self.legs.remove(&leg).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// One round over all rings.
    pub fn drain(&mut self, now: Mono, out: &mut Vec<SpeechEvent>) {
        let mut voices = Vec::new();
        let mut orphans = Vec::new();
        for (id, leg) in &mut self.legs {
            while let Ok(frame) = leg.frames.pop() {
                leg.last_frame = now;
                if let Err(error) = leg.ear.push(&frame, &mut voices) {
                    warn!(leg = id.0, %error, "listening starts again");
                    leg.ear = Ear::new(self.vad.clone());
                }
            }
            let quiet = now.since(leg.last_frame);
            if quiet >= STARVED && leg.ear.talking() {
                leg.ear.starved(&mut voices);
            }
            if quiet >= ORPHANED && leg.frames.is_abandoned() {
                orphans.push(*id);
            }
            out.extend(voices.drain(..).map(|voice| match voice {
                Voice::Started { at_ms } => SpeechEvent::VoiceStarted { leg: *id, at_ms },
                Voice::Paused {
                    last_voiced_ms,
                    silence,
                } => SpeechEvent::VoicePaused {
                    leg: *id,
                    last_voiced_ms,
                    silence,
                },
            }));
        }
        for leg in orphans {
            self.forget(leg);
        }
    }

    /// The span, or why there is nothing to recognise.
    pub fn cut(&self, request: &Request) -> Result<crate::ear::Cut, NotHeard> {
        let leg = self
            .legs
            .get(&request.leg)
            .ok_or(NotHeard::Failed(RecogniserError::Empty))?;
        // No voice was found in it: whatever a recogniser said to it would be invented.
        leg.ear.cut(request.from_ms, request.to_ms).ok_or_else(|| {
            NotHeard::Discarded(Discard {
                reason: DiscardReason::Empty,
                text: String::new(),
            })
        })
    }
}

/// Runs until every sender of commands is gone.
pub(crate) fn run(mut legs: Legs, commands: Receiver<Command>, pool: Arc<Pool>, sink: Sink) {
    clock::be_nice(5);
    let mut events = Vec::new();
    loop {
        let command = if legs.is_empty() {
            commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            commands.recv_timeout(ROUND)
        };
        // Rings first: a span asked for may end in frames that still wait there.
        legs.drain(clock::now(), &mut events);
        events.drain(..).for_each(|event| sink(event));
        match command {
            Ok(command) => perform(command, &mut legs, &pool),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(command) = commands.try_recv() {
            perform(command, &mut legs, &pool);
        }
    }
}

fn perform(command: Command, legs: &mut Legs, pool: &Pool) {
    match command {
        Command::Listen(leg, frames) => legs.listen(clock::now(), leg, frames),
        Command::Recognise(request) => {
            let key = (request.leg, request.request);
            match legs.cut(&request) {
                Ok(cut) => {
                    pool.push(key, cut, request.language, request.is_final, request.asked);
                }
                Err(not_heard) => pool.answer(key, request.asked, Err(not_heard)),
            }
        }
        Command::Promote(leg, request) => pool.promote((leg, request)),
        Command::Abandon(leg, request) => pool.abandon((leg, request)),
        Command::Forget(leg) => {
            legs.forget(leg);
            pool.forget(leg);
        }
    }
}
