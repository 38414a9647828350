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

impl Leg {
    fn drain(&mut self, id: LegId, vad: &Vad, now: Mono, out: &mut Vec<SpeechEvent>) {
        let mut voices = Vec::new();
        while let Ok(frame) = self.frames.pop() {
            self.last_frame = now;
            if let Err(error) = self.ear.push(&frame, &mut voices) {
                warn!(leg = id.0, %error, "listening starts again");
                self.ear = Ear::new(vad.clone());
            }
        }
        if self.ear.talking() && now.since(self.last_frame) >= STARVED {
            self.ear.starved(&mut voices);
        }
        out.extend(voices.into_iter().map(|voice| match voice {
            Voice::Started { at_ms } => SpeechEvent::VoiceStarted { leg: id, at_ms },
            Voice::Paused {
                last_voiced_ms,
                silence,
            } => SpeechEvent::VoicePaused {
                leg: id,
                last_voiced_ms,
                silence,
            },
        }));
    }
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
        let mut orphans = Vec::new();
        for (id, leg) in &mut self.legs {
            leg.drain(*id, &self.vad, now, out);
            if now.since(leg.last_frame) >= ORPHANED && leg.frames.is_abandoned() {
                orphans.push(*id);
            }
        }
        for leg in orphans {
            self.forget(leg);
        }
    }

    /// One leg's ring: a span asked for may end in frames that still wait there.
    pub fn drain_leg(&mut self, now: Mono, id: LegId, out: &mut Vec<SpeechEvent>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.drain(id, &self.vad, now, out);
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
pub(crate) fn run(legs: Legs, commands: Receiver<Command>, pool: Arc<Pool>, sink: Sink) {
    clock::be_nice(5);
    let mut listener = Listener {
        legs,
        pool,
        sink,
        events: Vec::new(),
    };
    loop {
        let command = if listener.legs.is_empty() {
            commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            commands.recv_timeout(ROUND)
        };
        match command {
            Ok(command) => listener.perform(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(command) = commands.try_recv() {
            listener.perform(command);
        }
        listener.legs.drain(clock::now(), &mut listener.events);
        listener.tell();
    }
}

struct Listener {
    legs: Legs,
    pool: Arc<Pool>,
    sink: Sink,
    events: Vec<SpeechEvent>,
}

impl Listener {
    fn tell(&mut self) {
        self.events.drain(..).for_each(|event| (self.sink)(event));
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Listen(leg, frames) => self.legs.listen(clock::now(), leg, frames),
            Command::Recognise(request) => {
                self.legs
                    .drain_leg(clock::now(), request.leg, &mut self.events);
                self.tell();
                let (key, asked) = ((request.leg, request.request), request.asked);
                match self.legs.cut(&request) {
                    Ok(cut) => {
                        self.pool
                            .push(key, cut, request.language, request.is_final, asked);
                    }
                    Err(not_heard) => self.pool.answer(key, asked, Err(not_heard)),
                }
            }
            Command::Promote(leg, request) => self.pool.promote((leg, request)),
            Command::Abandon(leg, request) => self.pool.abandon((leg, request)),
            Command::Forget(leg) => {
                self.legs.forget(leg);
                self.pool.forget(leg);
            }
        }
    }
}
