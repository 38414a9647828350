//! Built-in words, and what a sentence is by them alone.
//!
//! A sentence is read clause by clause (`read`), each clause comes to a verdict, and the verdicts to one intent
//! (`verdict`). Words lie in `zh` and `en`; both are looked for when a sentence mixes the two.

mod en;
mod read;
mod verdict;
mod zh;

pub(crate) use read::{Hit, Reading, Source, Words, has_number, read, read_clauses};
pub use read::{unfinished, warm};
pub(crate) use verdict::{ClauseVerdict, Verdict, conclude, conclude_all, conclude_clause};

use crate::template::Language;

/// What a sentence is, without a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    Positive,
    Negative,
    Question,
    /// Asks for a human.
    Transfer,
    /// Says a telephone number.
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

/// The intent of a sentence by the built-in lexicon alone. Words of both languages are looked for, since callees mix
/// them; `language` names what is found.
pub fn intent(text: &str, language: Language) -> Intent {
    let reading = read(text, None);
    match conclude(&reading) {
        Verdict::Hard | Verdict::Negative | Verdict::WeakNegative => Intent::Negative,
        Verdict::Positive | Verdict::WeakPositive => Intent::Positive,
        Verdict::Question => Intent::Question,
        Verdict::Transfer => Intent::Transfer,
        Verdict::Number => Intent::Number,
        Verdict::Branch(class) => Intent::Branch(occupation(class, language).to_owned()),
        Verdict::Neutral | Verdict::Backchannel => Intent::Neutral,
    }
}

fn occupation(class: Class, language: Language) -> &'static str {
    match (class, language) {
        (Class::Business, Language::Zh) => "做生意",
        (Class::Business, Language::En) => "business",
        (_, Language::Zh) => "上班",
        (_, Language::En) => "employed",
    }
}

/// What a listed word speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Positive,
    /// Asks to hear more: consent even in the form of a question.
    More,
    Negative,
    /// Never again: nothing outweighs it.
    Hard,
    /// A question word.
    Wh,
    /// The form of a question.
    Form,
    /// Asks for consent to what was said before it (好吗).
    Tag,
    /// Looks like another word but says nothing.
    Mask,
    Transfer,
    /// But: what follows counts.
    Contrast,
    Employed,
    Business,
    WeakPositive,
    WeakNegative,
    Filler,
    /// The i-th branch of the node.
    Branch(u16),
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::Positive | Class::WeakPositive => "positive",
            Class::More => "more",
            Class::Negative | Class::WeakNegative => "negative",
            Class::Hard => "never_again",
            Class::Wh | Class::Form => "question",
            Class::Tag => "tag",
            Class::Mask => "neutral",
            Class::Transfer => "transfer",
            Class::Contrast => "contrast",
            Class::Employed | Class::Business | Class::Branch(_) => "branch",
            Class::Filler => "filler",
        }
    }
}
