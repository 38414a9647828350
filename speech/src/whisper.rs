//! whisper.cpp by whisper-rs: the weights once, a state and one ggml thread per worker.
//!
//! The settings are measured (42 telephone phrases, base q8_0: 0.16 CPU-seconds each, against 1.6 with the defaults): an
//! audio context cut to the utterance, greedy, one segment, no temperature fallback, a token cap. Timestamp tokens stay
//! on: without them a short context loops.

use crate::clock;
use crate::resample;
use crate::source::{Source, Stop};
use bots::{Heard, Language, Recogniser, RecogniserError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState,
};

/// Encoder positions a second (whisper: 1500 for 30 s) and those added so that the end is not clipped.
const POSITIONS: usize = 50;
const SPARE: usize = 64;
const MOST_POSITIONS: usize = 1500;
/// Whisper hears 30 s at a time.
const LONGEST: usize = 30 * 16_000;
/// Nobody speaks faster, in tokens a second of base's vocabulary; a loop does.
const TOKENS_A_SECOND: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum WhisperError {
    #[error("there is no speech model at {0}; FIX: huying models pull")]
    Missing(PathBuf),
    #[error("{path} is no speech model whisper.cpp can read; FIX: huying models check ({error})")]
    Unreadable {
        path: PathBuf,
        error: whisper_rs::WhisperError,
    },
    #[error("{0} knows English only; FIX: huying models pull base-q8_0")]
    EnglishOnly(PathBuf),
}

/// A loaded model.
pub struct Whisper {
    context: WhisperContext,
    name: String,
}

impl Whisper {
    /// Reads the weights (tenths of a second) and keeps them.
    pub fn open(path: &Path) -> Result<Whisper, WhisperError> {
        static LOGS: Once = Once::new();
        // whisper.cpp prints to stderr otherwise. Its targets begin with `whisper_rs`.
        LOGS.call_once(whisper_rs::install_logging_hooks);
        if !path.is_file() {
            return Err(WhisperError::Missing(path.to_owned()));
        }
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|error| WhisperError::Unreadable {
                path: path.to_owned(),
                error,
            })?;
        if !context.is_multilingual() {
            return Err(WhisperError::EnglishOnly(path.to_owned()));
        }
        let stem = path
            .file_stem()
            .map_or_else(Default::default, |s| s.to_string_lossy());
        let name = format!("whisper {}", stem.trim_start_matches("ggml-"));
        Ok(Whisper { context, name })
    }
}

impl Source for Whisper {
    fn name(&self) -> &str {
        &self.name
    }
    fn worker(&self, stop: Stop) -> Result<Box<dyn Recogniser>, RecogniserError> {
        let state = self.context.create_state().map_err(engine)?;
        let mandarin = parameters("zh", stop.clone());
        let english = parameters("en", stop.clone());
        let end_of_text = self.context.token_eot();
        let name = self.name.clone();
        let state = Mutex::new(state);
        Ok(Box::new(Worker {
            state,
            mandarin,
            english,
            end_of_text,
            stop,
            name,
        }))
    }
}

fn engine(error: whisper_rs::WhisperError) -> RecogniserError {
    RecogniserError::Engine(error.to_string())
}

/// Made once per worker and language and cloned per request: whisper-rs never frees the strings and closures given to it.
fn parameters(language: &'static str, stop: Stop) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    params.set_language(Some(language));
    params.set_n_threads(1);
    params.set_single_segment(true);
    params.set_no_context(true);
    params.set_temperature(0.0);
    params.set_temperature_inc(0.0);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_special(false);
    params.set_print_timestamps(false);
    // whisper-rs 0.16 hands its callback a pointer to a boxed closure and reads it back as the closure's own type; the two
    // agree only when that type is this box. Anything else here would be undefined behaviour.
    type Stopped = Box<dyn FnMut() -> bool>;
    let stopped: Stopped = Box::new(move || stop.wanted());
    params.set_abort_callback_safe::<Option<Stopped>, Stopped>(Some(stopped));
    params
}

struct Worker {
    /// Never contended: one thread owns this worker.
    state: Mutex<WhisperState>,
    mandarin: FullParams<'static, 'static>,
    english: FullParams<'static, 'static>,
    end_of_text: i32,
    stop: Stop,
    name: String,
}

impl Recogniser for Worker {
    fn recognise(&self, pcm_8k: &[i16], language: Language) -> Result<Heard, RecogniserError> {
        if pcm_8k.is_empty() {
            return Err(RecogniserError::Empty);
        }
        let begun = clock::now();
        let mut audio = resample::double(pcm_8k);
        audio.truncate(LONGEST);
        let mut params = match language {
            Language::Zh => self.mandarin.clone(),
            Language::En => self.english.clone(),
        };
        let positions = (audio.len() * POSITIONS).div_ceil(16_000) + SPARE;
        let positions = positions.next_multiple_of(16).min(MOST_POSITIONS);
        params.set_audio_ctx(positions as i32);
        let cap = 16 + audio.len() * TOKENS_A_SECOND / 16_000;
        params.set_max_tokens(cap.min(220) as i32);

        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = state.full(params, &audio);
        if self.stop.wanted() {
            return Err(RecogniserError::TimedOut);
        }
        outcome.map_err(engine)?;

        let mut text = String::new();
        let (mut sum, mut tokens) = (0.0f32, 0u32);
        for segment in state.as_iter() {
            text.push_str(&segment.to_str_lossy().map_err(engine)?);
            for index in 0..segment.n_tokens() {
                if let Some(token) = segment.get_token(index)
                    && token.token_id() < self.end_of_text
                {
                    sum += token.token_probability().max(1e-9).ln();
                    tokens += 1;
                }
            }
        }
        Ok(Heard {
            text: text.trim().to_owned(),
            avg_logprob: if tokens == 0 {
                0.0
            } else {
                sum / tokens as f32
            },
            tokens,
            duration: Duration::from_micros(pcm_8k.len() as u64 * 125),
            took: clock::now().since(begun),
        })
    }
    fn name(&self) -> &str {
        &self.name
    }
}
