//! Loss concealment: the last pitch period again and again, softer and softer (after ITU-T G.711 appendix I in spirit,
//! our own in detail).

/// What is remembered of the sound just played.
const HISTORY: usize = 320;
/// Pitch from 250 Hz down to 50 Hz.
const SHORTEST: usize = 32;
const LONGEST: usize = 160;
/// Full level for 10 ms, then down to nothing at 60 ms.
const HOLD: u32 = 80;
const GONE: u32 = 480;
/// Made-up and real sound overlap for 5 ms where one becomes the other.
const BLEND: usize = 40;

#[derive(Clone, Debug)]
pub struct Concealer {
    history: [i16; HISTORY],
    period: [i16; LONGEST],
    length: usize,
    phase: usize,
    /// Samples made up in a row; 0 while real sound plays.
    made_up: u32,
}

impl Default for Concealer {
    fn default() -> Self {
        Concealer {
            history: [0; HISTORY],
            period: [0; LONGEST],
            length: SHORTEST,
            phase: 0,
            // Begins in silence: the first real sound fades in.
            made_up: GONE,
        }
    }
}

impl Concealer {
    /// Whether what is being made up has faded to nothing.
    pub fn faded(&self) -> bool {
        self.made_up >= GONE
    }

    /// Real sound is about to be played: blends its beginning with what was being made up, and remembers it.
    pub fn real(&mut self, pcm: &mut [i16]) {
        if self.made_up > 0 {
            for (n, sample) in pcm.iter_mut().take(BLEND).enumerate() {
                let made_up = i32::from(self.next());
                let weight = n as i32 + 1;
                let blended = (made_up * (BLEND as i32 + 1 - weight) + i32::from(*sample) * weight)
                    / (BLEND as i32 + 1);
                *sample = blended as i16;
            }
            self.made_up = 0;
        }
        self.remember(pcm);
    }

    /// Fills with made-up sound.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        if self.made_up == 0 {
            self.find_period();
        }
        if self.faded() {
            pcm.fill(0);
        } else {
            for sample in pcm.iter_mut() {
                *sample = self.next();
            }
        }
        self.remember(pcm);
    }

    fn next(&mut self) -> i16 {
        let gain = if self.made_up < HOLD {
            256
        } else {
            256 * GONE.saturating_sub(self.made_up) / (GONE - HOLD)
        };
        let sample = self.period[self.phase];
        self.phase = if self.phase + 1 >= self.length {
            0
        } else {
            self.phase + 1
        };
        self.made_up = (self.made_up + 1).min(GONE);
        ((i32::from(sample) * gain as i32) >> 8) as i16
    }

    fn remember(&mut self, pcm: &[i16]) {
        if pcm.len() >= HISTORY {
            self.history.copy_from_slice(&pcm[pcm.len() - HISTORY..]);
        } else {
            self.history.copy_within(pcm.len().., 0);
            self.history[HISTORY - pcm.len()..].copy_from_slice(pcm);
        }
    }

    fn find_period(&mut self) {
        // The newest 20 ms against what lies before it: the same search, told backwards in time.
        let mut backwards = self.history;
        backwards.reverse();
        self.length = repeat_lag(&backwards, HISTORY - LONGEST);
        let start = HISTORY - self.length;
        self.period[..self.length].copy_from_slice(&self.history[start..]);
        // The seam of each repetition: its end leans towards what came before its beginning.
        let overlap = self.length / 4;
        for n in 0..overlap {
            let at = self.length - overlap + n;
            let before = i32::from(self.history[start - overlap + n]);
            let weight = n as i32 + 1;
            let own = i32::from(self.period[at]);
            self.period[at] = ((own * (overlap as i32 + 1 - weight) + before * weight)
                / (overlap as i32 + 1)) as i16;
        }
        self.phase = 0;
    }
}

/// The lag at which a signal best continues itself: `pcm[..n]` against `pcm[lag..lag + n]`. Used to leave out a pitch
/// period without a seam. Reads at most 320 samples.
pub fn repeat_lag(pcm: &[i16], n: usize) -> usize {
    let longest = pcm.len().min(HISTORY).saturating_sub(n).min(LONGEST);
    // Every other sample tells where to look; all of them tell exactly.
    let mut half = [0i16; HISTORY / 2];
    for (half, pair) in half.iter_mut().zip(pcm.chunks_exact(2)) {
        *half = ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16;
    }
    let coarse = best((SHORTEST / 2)..=(longest / 2), |lag| {
        resemblance(&half[..n / 2], &half[lag..lag + n / 2])
    });
    let Some(coarse) = coarse.map(|lag| lag * 2) else {
        return longest;
    };
    let near = (coarse - 1).max(SHORTEST)..=(coarse + 1).min(longest);
    best(near, |lag| resemblance(&pcm[..n], &pcm[lag..lag + n])).unwrap_or(longest)
}

fn best(lags: std::ops::RangeInclusive<usize>, score: impl Fn(usize) -> f32) -> Option<usize> {
    let scored = lags
        .map(|lag| (lag, score(lag)))
        .filter(|(_, score)| *score > 0.0);
    scored
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(lag, _)| lag)
}

/// Squared correlation over energy; 0 when they oppose each other. Twelve bits of each sample do, so that the sums of up
/// to 320 products stay within 32 bits and the loop is one of vectors.
fn resemblance(a: &[i16], b: &[i16]) -> f32 {
    let (mut product, mut energy) = (0i32, 1i32);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (i32::from(*x >> 4), i32::from(*y >> 4));
        product += x * y;
        energy += y * y;
    }
    if product <= 0 {
        0.0
    } else {
        product as f32 / energy as f32 * product as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn a_lost_frame_of_a_tone_keeps_its_pitch_and_level() {
        let mut concealer = Concealer::default();
        let mut played = measure::tone(200.0, -10.0, 480);
        concealer.real(&mut played);
        let mut lost = [0; 160];
        concealer.conceal(&mut lost);
        assert!((measure::level(&lost[..80]) + 10.0).abs() < 1.5);
        let mut whole = played[320..].to_vec();
        whole.extend_from_slice(&lost);
        let (hz, share) = measure::frequency(&whole).unwrap();
        assert!((hz - 200.0).abs() < 12.0 && share > 0.8, "{hz} {share}");
    }

    #[test]
    fn what_is_made_up_is_silence_after_sixty_milliseconds() {
        let mut concealer = Concealer::default();
        concealer.real(&mut measure::tone(150.0, -6.0, 480));
        let mut last = 0.0;
        for n in 0..4 {
            let mut lost = [0; 160];
            concealer.conceal(&mut lost);
            let level = measure::level(&lost);
            assert!(n == 0 || level <= last, "{level} after {last}");
            last = level;
        }
        assert_eq!(last, -120.0);
        assert!(concealer.faded());
    }

    #[test]
    fn there_is_no_step_where_real_sound_resumes() {
        let mut concealer = Concealer::default();
        let tone = measure::tone(200.0, -10.0, 1600);
        concealer.real(&mut tone[..480].to_vec());
        let mut out = vec![0; 160];
        concealer.conceal(&mut out);
        let mut resumed = tone[700..860].to_vec();
        concealer.real(&mut resumed);
        out.extend(resumed);
        let steepest = tone.windows(2).map(|w| (w[0] - w[1]).abs()).max().unwrap();
        let step = out.windows(2).map(|w| (w[0] - w[1]).abs()).max().unwrap();
        assert!(step < steepest * 2, "{step} against {steepest}");
    }
}
