//! Levels and frequencies, for tests, the doctor and the demo: what tone is this, how loud, is it there at all.

use crate::SAMPLE_RATE;
use std::f32::consts::TAU;

/// A sine of `hz` at `dbfs` (0 = full scale peak), starting at phase 0.
pub fn tone(hz: f32, dbfs: f32, samples: usize) -> Vec<i16> {
    let peak = 32767.0 * 10f32.powf(dbfs / 20.0);
    (0..samples)
        .map(|n| {
            // Phase in f64: a long tone must not lose its frequency to rounding.
            let turns = f64::from(hz) * n as f64 / f64::from(SAMPLE_RATE);
            (peak * ((turns.fract() as f32) * TAU).sin()).round() as i16
        })
        .collect()
}

/// The peak level in dBFS of the component at `hz` (Goertzel). -120 for nothing.
pub fn level_at(pcm: &[i16], hz: f32) -> f32 {
    if pcm.is_empty() {
        return -120.0;
    }
    let coefficient = 2.0 * (TAU * hz / SAMPLE_RATE as f32).cos();
    let (mut s1, mut s2) = (0f32, 0f32);
    for &sample in pcm {
        let s = f32::from(sample) + coefficient * s1 - s2;
        s2 = s1;
        s1 = s;
    }
    let power = (s1 * s1 + s2 * s2 - coefficient * s1 * s2).max(0.0);
    decibel(2.0 * power.sqrt() / pcm.len() as f32 / 32767.0)
}

/// The level in dBFS of the whole signal, scaled so that a sine reads as its peak.
pub fn level(pcm: &[i16]) -> f32 {
    if pcm.is_empty() {
        return -120.0;
    }
    let sum: f64 = pcm.iter().map(|s| f64::from(*s).powi(2)).sum();
    let rms = (sum / pcm.len() as f64).sqrt();
    decibel((rms * std::f64::consts::SQRT_2 / 32767.0) as f32)
}

/// The strongest frequency between 100 and 3 900 Hz and how much of the power it has (0 to 1). `None` on silence.
/// Needs a tenth of a second to tell frequencies within a few hertz; looks at the first half second.
pub fn frequency(pcm: &[i16]) -> Option<(f32, f32)> {
    let pcm = &pcm[..pcm.len().min(SAMPLE_RATE as usize / 2)];
    let total = level(pcm);
    if total < -70.0 {
        return None;
    }
    let strongest = |from: f32, to: f32, step: f32| {
        let mut best = (from, f32::MIN);
        let mut hz = from;
        while hz <= to {
            let level = level_at(pcm, hz);
            if level > best.1 {
                best = (hz, level);
            }
            hz += step;
        }
        best
    };
    // A Goertzel bin is as wide as one over the length: step by half of it, then look closer.
    let bin = SAMPLE_RATE as f32 / pcm.len() as f32;
    let coarse = strongest(100.0, 3900.0, bin / 2.0);
    let fine = strongest(coarse.0 - bin, coarse.0 + bin, bin / 20.0);
    let share = 10f32.powf((fine.1 - total) / 10.0).min(1.0);
    Some((fine.0, share))
}

fn decibel(ratio: f32) -> f32 {
    (20.0 * ratio.max(1e-6).log10()).max(-120.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_recognised_by_pitch_and_level() {
        let pcm = tone(1004.0, -10.0, 1600);
        let (hz, share) = frequency(&pcm).unwrap();
        assert!((hz - 1004.0).abs() < 2.0, "{hz}");
        assert!(share > 0.95, "{share}");
        assert!((level(&pcm) + 10.0).abs() < 0.1);
        assert!((level_at(&pcm, 1004.0) + 10.0).abs() < 0.2);
        assert!(level_at(&pcm, 440.0) < -40.0);
    }

    #[test]
    fn silence_has_no_pitch() {
        assert_eq!(frequency(&[0; 800]), None);
        assert_eq!(level(&[0; 800]), -120.0);
    }
}
