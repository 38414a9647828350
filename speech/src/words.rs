//! Stand-ins for the words of `bots` until that room is furnished.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    Zh,
    En,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub text: String,
    /// Mean natural log of the tokens' probabilities.
    pub avg_logprob: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecogniserError {
    #[error("the recogniser failed: {0}")]
    Failed(String),
    #[error("the request was abandoned")]
    Abandoned,
}

pub trait Recogniser: Send + Sync {
    fn recognise(&self, pcm_8k: &[i16], language: Language) -> Result<Heard, RecogniserError>;
    fn name(&self) -> &str;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotHeard {
    TooSlow,
    Failed,
    Discarded(String),
}
