//! The trait every speech recogniser fills, and how it can fail.

use crate::distrust::Discard;
use crate::template::Language;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A speech recogniser. Called on a thread of the speech pool; may take long, must not panic.
pub trait Recogniser: Send + Sync {
    /// One utterance, 8 kHz mono.
    fn recognise(&self, pcm_8k: &[i16], language: Language) -> Result<Heard, RecogniserError>;
    /// For people: engine and model, `whisper base-q8_0`.
    fn name(&self) -> &str;
}

/// What a recogniser made of the audio, before anyone has judged whether it was really said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    /// Mean natural-log probability of the text's tokens; 0 when the engine has none.
    pub avg_logprob: f32,
    pub tokens: u32,
    /// The length of the audio.
    pub duration: Duration,
    /// What the recognition took.
    pub took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "error", content = "detail")]
pub enum RecogniserError {
    #[error("no speech model is loaded")]
    NoModel,
    #[error("more recognitions are waiting than could be answered in time")]
    Overloaded,
    #[error("the recogniser does not know this language")]
    Language,
    #[error("no audio was given")]
    Empty,
    #[error("the recogniser took too long")]
    TimedOut,
    #[error("the recogniser failed: {0}")]
    Engine(String),
}

/// Why an asked-for recognition brought no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "not_heard", content = "why")]
pub enum NotHeard {
    /// There was text, but nobody said it.
    #[error("discarded: {0}")]
    Discarded(Discard),
    #[error(transparent)]
    Failed(RecogniserError),
}
