//! Whoever has spoken and is not understood (the recogniser is slow, fails, or hangs) hears something within two seconds.

use super::{At, Law, Verdict, must};
use bots::NotHeard;
use model::LegId;
use std::collections::HashMap;
use switch::Heard;

/// Milliseconds from the end of the voice.
const PATIENCE: u64 = 2000;

#[derive(Default)]
pub(super) struct Voices {
    legs: HashMap<LegId, Voice>,
}

#[derive(Default)]
struct Voice {
    playing: bool,
    /// The voice has ended and nothing is played.
    quiet_since: Option<u64>,
    /// The same, and a recognition of it is awaited.
    awaited: Option<u64>,
}

impl Voices {
    pub fn heard(&mut self, at: At, leg: LegId, heard: &Heard) {
        let voice = self.legs.entry(leg).or_default();
        match heard {
            Heard::VoiceStarted { .. } => (voice.quiet_since, voice.awaited) = (None, None),
            Heard::VoicePaused { silence, .. } if !voice.playing => {
                voice.quiet_since = Some(at.ms.saturating_sub(silence.as_millis() as u64));
            }
            Heard::VoicePaused { .. } => {}
            Heard::Recognised {
                result: Err(NotHeard::Failed(_)),
                ..
            } => {}
            Heard::Recognised { .. } => voice.awaited = None,
        }
    }

    pub fn asked(&mut self, leg: LegId) {
        let voice = self.legs.entry(leg).or_default();
        voice.awaited = voice.quiet_since;
    }

    pub fn playing(&mut self, leg: LegId, playing: bool) {
        self.legs.entry(leg).or_default().playing = playing;
    }

    /// A prompt is on its way, or the end.
    pub fn answered(&mut self, at: At, leg: LegId) -> Verdict {
        let voice = self.legs.entry(leg).or_default();
        voice.quiet_since = None;
        let waited = voice.awaited.take().map_or(0, |since| at.ms - since);
        let rule = "who is not understood hears something within 2 s";
        must(waited <= PATIENCE, Law::Calls, rule, || {
            format!("leg {}: {waited} ms", leg.0)
        })
    }

    pub fn gone(&mut self, leg: LegId) {
        self.legs.remove(&leg);
    }

    pub fn killed(&mut self) {
        self.legs.clear();
    }
}
