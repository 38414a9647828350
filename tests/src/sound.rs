//! WAV files made for clients to play, and those they write of what they heard.

use anyhow::{Context, Result};
use std::path::Path;

const RATE: u32 = 8000;

/// 16 bit, 8 kHz, mono: what every client reads.
pub fn write(path: &Path, pcm: &[i16]) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec)?;
    for sample in pcm {
        file.write_sample(*sample)?;
    }
    Ok(file.finalize()?)
}

/// The channels of a WAV file at 8 kHz.
pub fn read(path: &Path) -> Result<Vec<Vec<i16>>> {
    let mut file = hound::WavReader::open(path).with_context(|| path.display().to_string())?;
    let spec = file.spec();
    anyhow::ensure!(
        spec.sample_rate == RATE,
        "{} has {} Hz",
        path.display(),
        spec.sample_rate
    );
    let mut channels = vec![Vec::new(); usize::from(spec.channels)];
    for (index, sample) in file.samples::<i16>().enumerate() {
        channels[index % usize::from(spec.channels)].push(sample?);
    }
    Ok(channels)
}

/// A phrase of the recorded callees.
pub fn phrase(name: &str) -> Result<Vec<i16>> {
    let path = crate::root().join(format!("fixtures/audio/callees/{name}.wav"));
    let mut channels = read(&path)?;
    channels.pop().context("a phrase has a channel")
}

pub fn seconds(seconds: f32) -> Vec<i16> {
    vec![0; (seconds * RATE as f32) as usize]
}

/// How many seconds of it are clearly louder than line noise.
pub fn voiced(pcm: &[i16]) -> f32 {
    let frame = RATE as usize / 50;
    let loud = pcm
        .chunks(frame)
        .filter(|frame| media::measure::level(frame) > -35.0)
        .count();
    loud as f32 / 50.0
}

/// The strongest frequency and its share of the power in the middle of what is loud.
pub fn pitch(pcm: &[i16]) -> Option<(f32, f32)> {
    let loud = |frame: &&[i16]| media::measure::level(frame) > -40.0;
    let frame = RATE as usize / 50;
    let heard: Vec<i16> = pcm.chunks(frame).filter(loud).flatten().copied().collect();
    // The edges hold the beginning and the end of the tone.
    let middle = heard.get(heard.len() / 4..heard.len() * 3 / 4)?;
    media::measure::frequency(middle)
}
