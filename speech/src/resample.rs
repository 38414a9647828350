//! 8 kHz to 16 kHz: between any two samples one more, by a windowed sinc. The samples themselves stay.

/// Samples on either side of the one made.
const REACH: usize = 16;

/// Doubles the rate; the result is scaled to ±1.
pub(crate) fn double(pcm_8k: &[i16]) -> Vec<f32> {
    let taps = taps();
    let at = |index: isize| {
        usize::try_from(index)
            .ok()
            .and_then(|i| pcm_8k.get(i))
            .map_or(0.0, |s| f32::from(*s))
    };
    let mut out = Vec::with_capacity(pcm_8k.len() * 2);
    for n in 0..pcm_8k.len() as isize {
        out.push(at(n) / 32768.0);
        let between: f32 = taps
            .iter()
            .enumerate()
            .map(|(k, tap)| tap * (at(n - k as isize) + at(n + 1 + k as isize)))
            .sum();
        out.push(between / 32768.0);
    }
    out
}

/// sin(πx)/(πx) at x = k + ½ under a Blackman window; symmetric, so one side.
fn taps() -> [f32; REACH] {
    use std::f32::consts::PI;
    let mut taps = [0.0; REACH];
    for (k, tap) in taps.iter_mut().enumerate() {
        let x = k as f32 + 0.5;
        let w = x / REACH as f32;
        let window = 0.42 + 0.5 * (PI * w).cos() + 0.08 * (2.0 * PI * w).cos();
        *tap = (PI * x).sin() / (PI * x) * window;
    }
    let sum: f32 = taps.iter().sum::<f32>() * 2.0;
    taps.map(|tap| tap / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: f32, n: usize) -> impl Iterator<Item = f32> {
        (0..n).map(move |i| 0.5 * (2.0 * std::f32::consts::PI * hz * i as f32 / rate).sin())
    }

    #[test]
    fn a_telephone_tone_stays_that_tone() {
        for hz in [300.0, 1000.0, 2500.0, 3300.0] {
            let narrow: Vec<i16> = tone(hz, 8000.0, 800)
                .map(|x| (x * 32767.0) as i16)
                .collect();
            let wide = double(&narrow);
            assert_eq!(wide.len(), 1600);
            let wanted: Vec<f32> = tone(hz, 16000.0, 1600).collect();
            let worst = wide[64..1536]
                .iter()
                .zip(&wanted[64..1536])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.02, "{hz} Hz is off by {worst}");
        }
    }
}
