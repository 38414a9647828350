//! What callees say and when; and a recogniser that knows it.

use super::{Happening, Stage};
use bots::{Discard, DiscardReason, NotHeard};
use model::*;
use std::collections::BTreeMap;
use std::time::Duration;
use switch::{Heard, Input};

/// How long the voice detector takes to be sure.
const NOTICED: u64 = 60;
const PAUSE: u64 = 100;

#[derive(Clone, Debug)]
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

#[derive(Default)]
pub struct Callees {
    by_leg: BTreeMap<LegId, Callee>,
}

#[derive(Default)]
struct Callee {
    lines: Vec<Line>,
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
    pub fn seat(&mut self, leg: LegId, lines: Vec<Line>) {
        let callee = Callee {
            lines,
            ..Callee::default()
        };
        self.by_leg.insert(leg, callee);
    }

    pub fn recognise(&self, leg: LegId, request: RequestId, from_ms: u64, to_ms: u64) -> Heard {
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
        Heard::Recognised { request, result }
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
        let Some(line) = callee.lines.first() else {
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
        if callee.token != token || callee.lines.is_empty() {
            return;
        }
        let line = callee.lines.remove(0);
        let at_ms = ms - base;
        let last_voiced_ms = at_ms + line.lasts;
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
