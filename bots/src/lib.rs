//! What a robot says, hears, understands and decides on a call, and how the call is graded.
//!
//! Map: `template` (the flow an author writes) · `check` (what is wrong with it) · `compiled` (the flow ready to run) ·
//! `fold` (text and pinyin brought to one form) · `lexicon` (built-in words, intents without a template) · `score`
//! (likeness of a sentence to known questions) · `matcher` (one sentence at one node) · `recogniser` (the trait speech
//! engines fill) · `distrust` (recogniser text that nobody said) · `turn` (turn-taking: the `Conversation`) · `record`
//! (what is kept of a turn) · `grade` (A–F with its evidence).
//!
//! Invariant: no audio samples are touched, no clock is read, nothing here knows SIP or SQL. The same events at the same
//! times give the same actions, so a stored call can be replayed.

pub mod check;
pub mod compiled;
pub mod distrust;
pub mod fold;
pub mod grade;
pub mod lexicon;
pub mod matcher;
pub mod recogniser;
pub mod record;
mod score;
pub mod template;
pub mod turn;

pub use check::{Code, Finding, Severity};
pub use compiled::CompiledTemplate;
pub use distrust::{AudioFacts, Discard, DiscardReason, Text};
pub use grade::{GradeRecord, Outcome, Rules};
pub use lexicon::Intent;
pub use recogniser::{Heard, NotHeard, Recogniser, RecogniserError};
pub use record::{
    Counters, Decision, Evidence, Line, MatchKind, Matched, Speaker, Summary, TurnRecord,
};
pub use template::{
    Branch, Correction, Language, Limits, Node, Phrase, Prompts, Question, Template,
};
pub use turn::{Action, Conversation, RobotEvent, Tuning};
