//! What is kept of a call: its turns, why each was understood as it was, and the counters a grade rests on.

use crate::recogniser::NotHeard;
use model::EndedBy;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    Robot,
    Callee,
}

/// One turn of one side. Offsets are milliseconds of the call's audio, zero at the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    pub index: u32,
    pub speaker: Speaker,
    /// Key of the node at which it was said.
    pub node: String,
    /// Robot: the script. Callee: the recogniser's text as it came.
    pub text: String,
    pub from_ms: u64,
    pub to_ms: u64,
    /// Robot: which of the template's texts.
    pub line: Option<Line>,
    /// Callee: what it was understood as, and why.
    pub matched: Option<Matched>,
    /// Counted as an interaction (n of §5.1).
    pub counted: bool,
    pub decision: Decision,
}

/// Which of a template's texts the robot said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Line {
    Node(String),
    /// The node's shorter form, after an answer.
    Reask(String),
    Answer(String),
    Silence,
    Unmatched,
    Fallback,
    Cut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matched {
    #[serde(flatten)]
    pub kind: MatchKind,
    /// After folding and corrections: what was matched against.
    pub text: String,
    pub evidence: Vec<Evidence>,
    /// 0 to 1.
    pub score: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MatchKind {
    Positive,
    /// `ignored`: its node ignores negatives, so it is no refusal.
    Negative {
        ignored: bool,
    },
    /// One of the template's questions.
    Question {
        id: String,
    },
    Branch {
        index: usize,
        name: String,
    },
    /// Asks for a human.
    Transfer,
    /// Says a telephone number.
    Number,
    /// Understood as words, but nothing the template knows. `question`: it had the form of a question.
    Unmatched {
        question: bool,
    },
    /// 嗯, 喂: shows presence, says nothing.
    Backchannel,
    /// There was voice but no text.
    NotHeard {
        why: NotHeard,
    },
}

/// Why: one word, phrase or likeness that led to a match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it speaks for: `positive`, `negative`, `question`, `branch`, …
    pub class: String,
    /// The words in the callee's text.
    pub words: String,
    /// Where the words are known from: `lexicon`, `template`, `likeness`.
    pub source: String,
    /// Matched by sound, not by character.
    pub by_sound: bool,
    pub weight: f32,
}

/// What the robot did about a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Decision {
    /// A robot turn that ran to its end: the callee's answer is awaited, or more follows.
    Said,
    /// A robot turn the callee talked over.
    Interrupted,
    GoTo {
        node: String,
    },
    /// Answers, then returns to the node.
    Answer {
        question: String,
    },
    /// Says "pardon" and waits at the same node.
    AskAgain,
    /// Says the interrupted text again.
    Resume,
    /// Does nothing: keeps listening.
    Listen,
    /// Says the fallback prompt.
    Fallback,
    HangUp {
        by: EndedBy,
    },
}

/// The numbers of §5.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counters {
    /// Interactions.
    pub n: u32,
    /// Refusals.
    pub r: u32,
    /// Positive answers.
    pub a: u32,
    /// Different questions asked.
    pub q: u32,
}

/// Everything a finished conversation leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub turns: Vec<TurnRecord>,
    pub counters: Counters,
    /// Labels of the nodes and branches taken, each once, in order.
    pub labels: Vec<String>,
    /// 未匹配: what the callee said that the template lacks.
    pub unmatched: Vec<String>,
}
