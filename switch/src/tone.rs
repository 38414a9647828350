//! Sounds the node makes itself.

use media::{Prompt, SAMPLE_RATE};
use model::PromptId;
use model::id::Uuid;

/// Three beeps, a second in all: the time that was paid for is running out.
pub(crate) fn beeps() -> Prompt {
    const BEEP: usize = SAMPLE_RATE as usize / 5;
    const PAUSE: usize = SAMPLE_RATE as usize / 5;
    /// A tone that begins at once clicks.
    const EDGE: usize = SAMPLE_RATE as usize / 200;
    let beep = |n: usize| {
        let loud = n.min(BEEP - n).min(EDGE) as f32 / EDGE as f32;
        let turn = n as f32 * 1000.0 / SAMPLE_RATE as f32 * std::f32::consts::TAU;
        // A quarter of full scale, -12 dBFS: heard over speech, hurting nobody.
        (turn.sin() * loud * 8000.0) as i16
    };
    let mut pcm: Vec<i16> = Vec::new();
    for n in 0..3 {
        if n > 0 {
            pcm.extend(std::iter::repeat_n(0, PAUSE));
        }
        pcm.extend((0..BEEP).map(beep));
    }
    Prompt::new(PromptId(Uuid::nil()), pcm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_beeps_take_a_second() {
        let prompt = beeps();
        assert_eq!(prompt.duration().as_millis(), 1000);
        let loud = |at: usize| prompt.pcm[at..at + 80].iter().any(|s| s.abs() > 4000);
        assert!(loud(400) && loud(3600) && loud(6800));
        assert!(!loud(2400) && !loud(5600));
    }
}
