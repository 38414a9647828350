//! What callees say and when; and a recogniser that knows it.

use crate::log::note;
use crate::stage::{Happening, Stage};
use bots::{Discard, DiscardReason, NotHeard, RecogniserError};
use model::*;
use std::collections::BTreeMap;
use std::time::Duration;
use switch::{Heard, Input};

/// How long the voice detector takes to be sure.
const NOTICED: u64 = 60;
const PAUSE: u64 = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: &'static str,
    /// Into the prompt instead of after it.
    pub over: bool,
    /// Milliseconds after the prompt's end (or start).
    pub after: u64,
    /// Milliseconds of voice.
    pub lasts: u64,
}

impl Line {
    pub fn said(text: &'static str) -> Line {
        Line {
            text,
            over: false,
            after: 500,
            lasts: 900,
        }
    }
    pub fn over(text: &'static str) -> Line {
        Line {
            over: true,
            ..Line::said(text)
        }
    }
}

/// How the recogniser does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recogniser {
    #[default]
    Fine,
    /// Ten times slower.
    Slow,
    Fails,
    /// Takes requests and answers none.
    Hangs,
}

#[derive(Default)]
pub struct Callees {
    pub recogniser: Recogniser,
    by_leg: BTreeMap<LegId, Callee>,
}

#[derive(Default)]
struct Callee {
    /// What is still to be said, the next one last.
    lines: Vec<Line>,
    /// How much faster its clock runs than ours, parts of a million.
    drift: i64,
    /// What it waits to say; changes when the robot goes on talking.
    token: u64,
    said: Vec<Utterance>,
    /// Milliseconds of the stage until which it talks.
    talks_until: u64,
}

struct Utterance {
    from_ms: u64,
    to_ms: u64,
    text: &'static str,
}

impl Callees {
    pub fn seat(&mut self, leg: LegId, lines: &[Line], drift: i64) {
        let callee = Callee {
            lines: lines.iter().rev().cloned().collect(),
            drift,
            ..Callee::default()
        };
        self.by_leg.insert(leg, callee);
    }

    pub(crate) fn leaves(&mut self, leg: LegId) {
        self.by_leg.remove(&leg);
    }

    /// The process that heard them is gone.
    pub(crate) fn die(&mut self) {
        self.by_leg.clear();
    }

    /// What a recogniser of that mood makes of a span, and how many times its usual time it takes. `None`: nothing, ever.
    pub(crate) fn recognise(
        &self,
        mood: Recogniser,
        leg: LegId,
        request: RequestId,
        from_ms: u64,
        to_ms: u64,
    ) -> Option<(Heard, u64)> {
        let times = match mood {
            Recogniser::Fine => 1,
            Recogniser::Slow => 10,
            Recogniser::Hangs => return None,
            Recogniser::Fails => {
                let error = RecogniserError::Engine("it crashed".to_owned());
                let result = Err(NotHeard::Failed(error));
                return Some((Heard::Recognised { request, result }, 1));
            }
        };
        let said = self.by_leg.get(&leg).map_or(&[][..], |callee| &callee.said);
        let within = |u: &&Utterance| u.from_ms < to_ms && u.to_ms > from_ms;
        let text: Vec<&str> = said.iter().filter(within).map(|u| u.text).collect();
        let result = match text.is_empty() {
            false => Ok(text.concat()),
            true => Err(NotHeard::Discarded(Discard {
                reason: DiscardReason::Empty,
                text: String::new(),
            })),
        };
        Some((Heard::Recognised { request, result }, times))
    }
}

impl Stage {
    /// A prompt started or ended on the callee's side.
    pub fn callee_hears(&mut self, leg: LegId, started: bool) {
        let ms = self.ms;
        let Some(callee) = self.callees.by_leg.get_mut(&leg) else {
            return;
        };
        callee.token += 1;
        let token = callee.token;
        let Some(line) = callee.lines.last() else {
            return;
        };
        if line.over == started && ms >= callee.talks_until {
            let after = line.after;
            self.after(after, Happening::Speaks(leg, token));
        }
    }

    pub fn callee_speaks(&mut self, leg: LegId, token: u64) {
        let (ms, Some(base)) = (self.ms, self.worker.base(leg)) else {
            return;
        };
        let Some(callee) = self.callees.by_leg.get_mut(&leg) else {
            return;
        };
        if callee.token != token {
            return;
        }
        let Some(line) = callee.lines.pop() else {
            return;
        };
        // Offsets are counted in the callee's packets.
        let drifted = |ms: u64| (ms as i64 + ms as i64 * callee.drift / 1_000_000).max(0) as u64;
        let (at_ms, last_voiced_ms) = (drifted(ms - base), drifted(ms - base + line.lasts));
        callee.talks_until = ms + line.lasts;
        callee.said.push(Utterance {
            from_ms: at_ms,
            to_ms: last_voiced_ms,
            text: line.text,
        });
        let started = Heard::VoiceStarted { at_ms };
        let paused = Heard::VoicePaused {
            last_voiced_ms,
            silence: Duration::from_millis(PAUSE),
        };
        note!(self, "callee {} says {}", leg.0, line.text);
        for (after, heard) in [(NOTICED, started), (line.lasts + PAUSE, paused)] {
            self.after(after, Happening::Node(Input::Heard { leg, heard }));
        }
    }
}

pub fn describe(heard: &Heard) -> String {
    match heard {
        Heard::VoiceStarted { at_ms } => format!("voice from {at_ms}"),
        Heard::VoicePaused { last_voiced_ms, .. } => format!("voice to {last_voiced_ms}"),
        Heard::Recognised {
            result: Ok(text), ..
        } => text.clone(),
        Heard::Recognised { .. } => "nothing".to_owned(),
    }
}
