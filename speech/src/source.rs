//! Where a worker's recogniser comes from. Weights are shared, working memory is not, and an abandoned request should stop
//! burning its core: so each worker is given a recogniser of its own, made with the flag that tells it to give up.

use bots::{Heard, Language, Recogniser, RecogniserError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when nobody waits for the running request any more. A recogniser may look and return early.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Gives every worker its recogniser; asked again when a worker was lost.
pub trait Source: Send + Sync {
    /// Model and engine, for people: `whisper ggml-base-q8_0`.
    fn name(&self) -> &str;
    fn worker(&self, stop: Stop) -> Result<Box<dyn Recogniser>, RecogniserError>;
}

/// One recogniser that all workers share and that cannot be stopped half-way.
pub struct Shared(pub Arc<dyn Recogniser>);

struct Borrowed(Arc<dyn Recogniser>);

impl Recogniser for Borrowed {
    fn recognise(&self, pcm_8k: &[i16], language: Language) -> Result<Heard, RecogniserError> {
        self.0.recognise(pcm_8k, language)
    }
    fn name(&self) -> &str {
        self.0.name()
    }
}

impl Source for Shared {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn worker(&self, _stop: Stop) -> Result<Box<dyn Recogniser>, RecogniserError> {
        Ok(Box::new(Borrowed(self.0.clone())))
    }
}
