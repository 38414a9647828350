//! A recogniser that does not listen: it says what a script tells it. For simulations and tests, and named so wherever it
//! is shown; a product run never falls back to it.

use bots::{Heard, Language, Recogniser, RecogniserError};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

type Respond = dyn Fn(&[i16], Language) -> Result<String, RecogniserError> + Send + Sync;

/// Answers by a script.
pub struct Scripted {
    respond: Box<Respond>,
}

impl Scripted {
    /// The lines in order, then nothing but `Empty`.
    pub fn lines<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Scripted {
        let lines: VecDeque<String> = lines.into_iter().map(Into::into).collect();
        let lines = Mutex::new(lines);
        Scripted::by(move |_, _| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.pop_front().ok_or(RecogniserError::Empty)
        })
    }

    /// Whatever the function makes of the audio.
    pub fn by(
        respond: impl Fn(&[i16], Language) -> Result<String, RecogniserError> + Send + Sync + 'static,
    ) -> Scripted {
        Scripted {
            respond: Box::new(respond),
        }
    }
}

impl Recogniser for Scripted {
    fn recognise(&self, pcm_8k: &[i16], language: Language) -> Result<Heard, RecogniserError> {
        let text = (self.respond)(pcm_8k, language)?;
        let tokens = text.chars().count() as u32;
        let duration = Duration::from_micros(pcm_8k.len() as u64 * 125);
        Ok(Heard {
            text,
            avg_logprob: 0.0,
            tokens,
            duration,
            took: Duration::ZERO,
        })
    }
    fn name(&self) -> &str {
        "scripted (no recognition)"
    }
}
