//! Recording frames as a file wants them: two channels interleaved, on one unbroken time base, with a header that may be
//! written first and corrected later. The files themselves are the shell's.

use crate::{FRAME, Pcm, SAMPLE_RATE};

/// Bytes of one 20 ms two-channel frame.
pub const FRAME_BYTES: usize = FRAME * 4;
/// Bytes of the header `wav_header` makes.
pub const WAV_HEADER: usize = 44;

/// Left and right as 16-bit little-endian samples, left first.
pub fn interleave(left: &Pcm, right: &Pcm) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    for ((pair, left), right) in bytes.chunks_exact_mut(4).zip(left).zip(right) {
        pair[..2].copy_from_slice(&left.to_le_bytes());
        pair[2..].copy_from_slice(&right.to_le_bytes());
    }
    bytes
}

/// Where the next frame goes, so that a sample's place in the file is its offset in the call, whatever was missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    next: u32,
}

impl Timeline {
    /// Takes the offset of a frame. Returns the samples of silence to write before it, or `None` for a frame that lies
    /// before what is written (it is to be dropped).
    pub fn place(&mut self, at: u32) -> Option<u32> {
        let silence = at.checked_sub(self.next)?;
        self.next = at + FRAME as u32;
        Some(silence)
    }
    /// Samples a channel so far.
    pub fn samples(&self) -> u32 {
        self.next
    }
}

/// The header of a two-channel 16-bit WAV at 8 kHz with this many samples a channel.
pub fn wav_header(samples: u32) -> [u8; WAV_HEADER] {
    let data = samples.saturating_mul(4).min(u32::MAX - 36);
    let mut header = [0; WAV_HEADER];
    let fields: [(usize, &[u8]); 13] = [
        (0, b"RIFF"),
        (4, &(data + 36).to_le_bytes()),
        (8, b"WAVE"),
        (12, b"fmt "),
        (16, &16u32.to_le_bytes()),
        (20, &1u16.to_le_bytes()),
        (22, &2u16.to_le_bytes()),
        (24, &SAMPLE_RATE.to_le_bytes()),
        (28, &(SAMPLE_RATE * 4).to_le_bytes()),
        (32, &4u16.to_le_bytes()),
        (34, &16u16.to_le_bytes()),
        (36, b"data"),
        (40, &data.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        header[at..at + bytes.len()].copy_from_slice(bytes);
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_frames_are_a_file_that_hound_reads() {
        let left: Pcm = std::array::from_fn(|n| n as i16);
        let right: Pcm = std::array::from_fn(|n| -(n as i16));
        let mut file = wav_header(FRAME as u32).to_vec();
        file.extend(interleave(&left, &right));
        let mut reader = hound::WavReader::new(file.as_slice()).unwrap();
        let spec = reader.spec();
        assert_eq!(
            (spec.channels, spec.sample_rate, spec.bits_per_sample),
            (2, 8000, 16)
        );
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 320);
        assert_eq!(samples[2 * 7..2 * 7 + 2], [7, -7]);
    }

    #[test]
    fn gaps_are_filled_with_silence_and_the_past_is_not_rewritten() {
        let mut timeline = Timeline::default();
        assert_eq!(
            timeline.place(320),
            Some(320),
            "recording began 40 ms into the call"
        );
        assert_eq!(timeline.place(480), Some(0));
        assert_eq!(timeline.place(480), None);
        assert_eq!(timeline.place(1600), Some(960));
        assert_eq!(timeline.samples(), 1760);
    }
}
