//! The energy gate: is this frame worth a voice detector's time? Errs to open; whether it is speech is not its business.

use crate::Pcm;

/// Frames the gate stays open after the last loud one: word ends and breaths between words pass.
const HANGOVER: u8 = 15;
/// Above the noise floor by this much, a frame is loud.
const MARGIN_DB: f32 = 6.0;
/// Below this nothing is loud, however quiet the floor.
const QUIET_DBFS: f32 = -55.0;
/// The floor is never thought higher than this: shouting is not noise.
const FLOOR_MAX_DBFS: f32 = -25.0;
/// How fast the floor follows a rise. Speech lasts too shortly between its dips to lift it; a fan that starts has
/// lifted it within a few seconds.
const RISE_DB_PER_FRAME: f32 = 0.06;
/// How far the floor goes towards a quieter frame.
const FALL: f32 = 0.25;

/// One leg's gate. Feed every 20 ms frame, in order.
#[derive(Clone, Debug)]
pub struct Gate {
    floor_dbfs: f32,
    hangover: u8,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            floor_dbfs: -60.0,
            hangover: 0,
        }
    }
}

impl Gate {
    /// Whether the gate is open for this frame.
    pub fn frame(&mut self, pcm: &Pcm) -> bool {
        let level = level_dbfs(pcm);
        if level > self.floor_dbfs {
            self.floor_dbfs = (self.floor_dbfs + RISE_DB_PER_FRAME)
                .min(level)
                .min(FLOOR_MAX_DBFS);
        } else {
            // Digital silence (lost packets, a muted phone) says nothing about the room.
            let target = level.max(-75.0);
            self.floor_dbfs += (target - self.floor_dbfs) * FALL;
        }
        if level > (self.floor_dbfs + MARGIN_DB).max(QUIET_DBFS) {
            self.hangover = HANGOVER;
            return true;
        }
        let open = self.hangover > 0;
        self.hangover = self.hangover.saturating_sub(1);
        open
    }

    /// The estimated noise level, dBFS.
    pub fn floor_dbfs(&self) -> f32 {
        self.floor_dbfs
    }
}

fn level_dbfs(pcm: &Pcm) -> f32 {
    let sum: i64 = pcm.iter().map(|s| i64::from(*s) * i64::from(*s)).sum();
    let mean = sum as f32 / pcm.len() as f32;
    10.0 * (mean / (32767.0 * 32767.0) + 1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FRAME, measure};

    fn noise(seed: u32, dbfs: f32) -> impl FnMut() -> Pcm {
        let mut state = seed;
        let peak = 32767.0 * 10f32.powf(dbfs / 20.0) * 3f32.sqrt();
        move || {
            std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 16) as f32 / 32768.0 - 1.0).mul_add(peak, 0.0) as i16
            })
        }
    }
    fn speech_like(frame: usize) -> Pcm {
        // Syllables of 160 ms with 60 ms of nothing between them.
        let loud = frame % 11 < 8;
        let tone = measure::tone(220.0, if loud { -18.0 } else { -70.0 }, FRAME);
        tone.try_into().unwrap()
    }

    #[test]
    fn silence_keeps_it_shut() {
        let mut gate = Gate::default();
        assert!((0..500).all(|_| !gate.frame(&[0; FRAME])));
    }

    #[test]
    fn speech_opens_it_at_once_and_it_stays_open_between_syllables() {
        let mut gate = Gate::default();
        let mut room = noise(1, -60.0);
        for _ in 0..100 {
            gate.frame(&room());
        }
        assert!(
            (0..250).all(|n| gate.frame(&speech_like(n))),
            "five seconds of speech"
        );
        let shut_after = (0..100).position(|_| !gate.frame(&room())).unwrap();
        assert!((10..=20).contains(&shut_after), "{shut_after} frames");
    }

    #[test]
    fn a_fan_that_starts_shuts_it_again_within_seconds_and_speech_above_it_still_opens_it() {
        let mut gate = Gate::default();
        let mut fan = noise(2, -40.0);
        let opened = (0..500).filter(|_| gate.frame(&fan())).count();
        assert!(opened < 400, "open for {opened} frames of fan");
        assert!((0..100).all(|_| !gate.frame(&fan())));
        assert!(gate.frame(&speech_like(0)));
    }
}
