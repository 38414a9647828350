//! Built-in words.

use crate::template::Language;

/// What a sentence is, without a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    Positive,
    Negative,
    Question,
    Transfer,
    Number,
    /// Occupation: `上班`, `做生意`, `employed`, `business`.
    Branch(String),
    Neutral,
}

impl Intent {
    /// As in a phrase file: `positive`, `branch:上班` …
    pub fn label(&self) -> String {
        match self {
            Intent::Positive => "positive".into(),
            Intent::Negative => "negative".into(),
            Intent::Question => "question".into(),
            Intent::Transfer => "transfer".into(),
            Intent::Number => "number".into(),
            Intent::Branch(name) => format!("branch:{name}"),
            Intent::Neutral => "neutral".into(),
        }
    }
}

/// The intent of a sentence by the built-in lexicon alone.
pub fn intent(text: &str, language: Language) -> Intent {
    let _ = (text, language);
    Intent::Neutral
}
