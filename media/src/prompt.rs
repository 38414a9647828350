//! Prompts: an uploaded file (wav with PCM, A-law or µ-law, mp3, ogg vorbis, flac) as 8 kHz mono samples.
//!
//! Decoded once, at upload, by whoever may take the time: this allocates freely. Loudness is the author's; only a file
//! that would clip or can hardly be heard is touched.

use crate::SAMPLE_RATE;
use model::PromptId;
use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

/// The largest file taken.
pub const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The longest prompt taken.
pub const MOST_SECONDS: u32 = 600;
/// Samples decoded at the file's own rate: ten minutes at 48 kHz. A small file can unfold to no more than this.
const MOST_SAMPLES: usize = 600 * 48_000;
/// Broken stretches a file may have before it counts as broken.
const MOST_FAULTS: usize = 8;

/// A decoded prompt, shared by every leg that plays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub id: PromptId,
    /// 8 kHz mono.
    pub pcm: Arc<[i16]>,
}

impl Prompt {
    pub fn new(id: PromptId, pcm: impl Into<Arc<[i16]>>) -> Prompt {
        Prompt {
            id,
            pcm: pcm.into(),
        }
    }
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.pcm.len() as u64 * 125)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("the file is empty")]
    Empty,
    #[error("the file has {bytes} bytes, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the audio is longer than {limit_seconds} seconds")]
    TooLong { limit_seconds: u32 },
    #[error("not an audio file this can read (wav, mp3, ogg vorbis and flac can be): {0}")]
    Unsupported(String),
    #[error("the file is broken: {0}")]
    Broken(String),
    #[error("the file has no sound in it")]
    NoAudio,
}

/// Decodes a whole file. `hint` is a file name or extension (`"mp3"`), used only where the content leaves doubt.
pub fn decode(bytes: &[u8], hint: Option<&str>) -> Result<Vec<i16>, PromptError> {
    if bytes.is_empty() {
        return Err(PromptError::Empty);
    }
    if bytes.len() > MOST_BYTES {
        return Err(PromptError::TooLarge {
            bytes: bytes.len(),
            limit: MOST_BYTES,
        });
    }
    // The decoders are other people's and the file is anyone's: a fault in one ends this file, not the process.
    let decoded = std::panic::catch_unwind(|| read(bytes, hint))
        .unwrap_or_else(|_| Err(PromptError::Broken("its decoder gave up".into())))?;
    let mono = resample(decoded)?;
    if mono.is_empty() {
        return Err(PromptError::NoAudio);
    }
    Ok(finish(&mono))
}

struct Decoded {
    mono: Vec<f32>,
    rate: u32,
}

fn read(bytes: &[u8], hint: Option<&str>) -> Result<Decoded, PromptError> {
    let unsupported = |error: Error| PromptError::Unsupported(error.to_string());
    let source = MediaSourceStream::new(
        Box::new(Cursor::new(bytes)),
        MediaSourceStreamOptions::default(),
    );
    let mut by_name = Hint::new();
    if let Some(extension) = hint.and_then(|hint| hint.rsplit('.').next()) {
        by_name.with_extension(&extension.to_ascii_lowercase());
    }
    let mut format = symphonia::default::get_probe()
        .probe(
            &by_name,
            source,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(unsupported)?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or(PromptError::NoAudio)?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or(PromptError::NoAudio)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(unsupported)?;

    let mut decoded = Decoded {
        mono: Vec::new(),
        rate: 0,
    };
    let mut interleaved: Vec<f32> = Vec::new();
    let mut faults = 0;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // A file cut short: what is there is taken.
            Err(_) if !decoded.mono.is_empty() => break,
            Err(error) => return Err(PromptError::Broken(error.to_string())),
        };
        if packet.track_id != track_id {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(error) => {
                faults += 1;
                if faults > MOST_FAULTS {
                    return Err(PromptError::Broken(error.to_string()));
                }
                continue;
            }
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        if channels == 0 || buffer.frames() == 0 {
            continue;
        }
        if decoded.rate == 0 {
            decoded.rate = rate;
        } else if decoded.rate != rate {
            return Err(PromptError::Broken("its sample rate changes".into()));
        }
        if !(4000..=384_000).contains(&rate) {
            return Err(PromptError::Unsupported(format!(
                "a sample rate of {rate} Hz"
            )));
        }
        interleaved.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut interleaved);
        decoded
            .mono
            .extend(interleaved.chunks_exact(channels).map(|frame| {
                let sum: f32 = frame.iter().sum();
                let mean = sum / channels as f32;
                if mean.is_finite() {
                    mean.clamp(-4.0, 4.0)
                } else {
                    0.0
                }
            }));
        let most = (MOST_SECONDS as usize * rate as usize).min(MOST_SAMPLES);
        if decoded.mono.len() > most {
            return Err(PromptError::TooLong {
                limit_seconds: (most / rate as usize) as u32,
            });
        }
    }
    if decoded.mono.is_empty() {
        Err(PromptError::NoAudio)
    } else {
        Ok(decoded)
    }
}

fn resample(decoded: Decoded) -> Result<Vec<f32>, PromptError> {
    let Decoded { mono, rate } = decoded;
    if rate == SAMPLE_RATE {
        return Ok(mono);
    }
    let broken = |error: &dyn std::fmt::Display| PromptError::Broken(error.to_string());
    let mut resampler = Fft::<f32>::new(
        rate as usize,
        SAMPLE_RATE as usize,
        1024,
        1,
        FixedSync::Both,
    )
    .map_err(|error| broken(&error))?;
    let length = mono.len();
    let input = InterleavedOwned::new_from(mono, 1, length).map_err(|error| broken(&error))?;
    let output = resampler
        .process_all(&input, length, None)
        .map_err(|error| broken(&error))?;
    Ok(output.take_data())
}

/// To 16 bit. A peak above full scale is brought down to it, and one below -30 dBFS is brought up to -12.
fn finish(mono: &[f32]) -> Vec<i16> {
    let peak = mono
        .iter()
        .fold(0f32, |peak, sample| peak.max(sample.abs()));
    let gain = if peak > 1.0 {
        1.0 / peak
    } else if (1e-4..0.0316).contains(&peak) {
        0.25 / peak
    } else {
        1.0
    };
    mono.iter()
        .map(|sample| (sample * gain * 32767.0).round().clamp(-32768.0, 32767.0) as i16)
        .collect()
}
