//! Grades A–F (product §5.1, manual S1 §8.4), from counters, with the rule that decided and the turns it rests on.
//!
//! A turn counts one thing: a sentence that asks and agrees is a question, since it is the answer the callee waits for.

use crate::record::{Counters, MatchKind, Speaker, TurnRecord};
use model::{Grade, Unreached};
use serde::{Deserialize, Serialize};

/// The thresholds of §5.1 as versioned data; a tenant may have its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub version: u32,
    /// Unreached attempts in a row that make an E an F.
    pub unreached_in_a_row: u32,
    /// Refusals that decide whatever else was said.
    pub refusals: u32,
    /// Two refusals decide below this many interactions.
    pub two_refusals_below: u32,
    /// One refusal decides below this many interactions.
    pub one_refusal_below: u32,
    /// For A: positive answers, or questions, or interactions.
    pub a_positives: u32,
    pub a_questions: u32,
    pub a_interactions: u32,
    /// For B: questions, or interactions.
    pub b_questions: u32,
    pub b_interactions: u32,
    /// For C: interactions.
    pub c_interactions: u32,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            version: 1,
            unreached_in_a_row: 3,
            refusals: 3,
            two_refusals_below: 5,
            one_refusal_below: 3,
            a_positives: 1,
            a_questions: 2,
            a_interactions: 5,
            b_questions: 1,
            b_interactions: 4,
            c_interactions: 2,
        }
    }
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub reached: Result<Counters, Unreached>,
    /// Attempts in a row that reached nobody, this one included.
    pub unreached_in_a_row: u32,
}

/// The line of the table that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    EmptyNumber,
    UnreachedRepeatedly,
    Unreached,
    ManyRefusals,
    TwoRefusals,
    OneRefusal,
    PositiveAnswer,
    Questions,
    Interactions,
    OneQuestion,
    FourInteractions,
    SimpleDialogue,
    NoEngagement,
}

/// Why a D is a D, for people who read lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubReason {
    Refusal,
    NoEngagement,
}

/// A grade that can say why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradeRecord {
    pub grade: Grade,
    pub rule: Rule,
    pub rules_version: u32,
    /// D only.
    pub sub_reason: Option<SubReason>,
    /// Zero when nobody was reached.
    pub counters: Counters,
    /// E and F: why nobody was reached.
    pub unreached: Option<Unreached>,
    pub unreached_in_a_row: u32,
    /// The callee turns it rests on.
    #[serde(default)]
    pub evidence: Vec<Basis>,
}

/// One turn a grade rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub turn: u32,
    pub from_ms: u64,
    pub to_ms: u64,
    pub counts_as: CountsAs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountsAs {
    Positive,
    Refusal,
    Question,
    Interaction,
}

/// Grades one call; the first line of §5.1 that fits decides.
pub fn grade(rules: &Rules, outcome: &Outcome) -> GradeRecord {
    let (grade, rule) = match &outcome.reached {
        Err(Unreached::EmptyNumber) => (Grade::F, Rule::EmptyNumber),
        Err(_) if outcome.unreached_in_a_row >= rules.unreached_in_a_row => {
            (Grade::F, Rule::UnreachedRepeatedly)
        }
        Err(_) => (Grade::E, Rule::Unreached),
        Ok(counters) => of_counters(rules, *counters),
    };
    let sub_reason = match (grade, rule) {
        (Grade::D, Rule::NoEngagement) => Some(SubReason::NoEngagement),
        (Grade::D, _) => Some(SubReason::Refusal),
        _ => None,
    };
    GradeRecord {
        grade,
        rule,
        rules_version: rules.version,
        sub_reason,
        counters: outcome.reached.unwrap_or_default(),
        unreached: outcome.reached.err(),
        unreached_in_a_row: outcome.unreached_in_a_row,
        evidence: Vec::new(),
    }
}

/// The same, with the turns of the conversation as evidence.
pub fn grade_turns(rules: &Rules, outcome: &Outcome, turns: &[TurnRecord]) -> GradeRecord {
    GradeRecord {
        evidence: evidence(turns),
        ..grade(rules, outcome)
    }
}

fn of_counters(rules: &Rules, Counters { n, r, a, q }: Counters) -> (Grade, Rule) {
    if r >= rules.refusals {
        (Grade::D, Rule::ManyRefusals)
    } else if r == 2 && n < rules.two_refusals_below {
        (Grade::D, Rule::TwoRefusals)
    } else if r == 1 && n < rules.one_refusal_below {
        (Grade::D, Rule::OneRefusal)
    } else if a >= rules.a_positives {
        (Grade::A, Rule::PositiveAnswer)
    } else if q >= rules.a_questions {
        (Grade::A, Rule::Questions)
    } else if n >= rules.a_interactions {
        (Grade::A, Rule::Interactions)
    } else if q >= rules.b_questions {
        (Grade::B, Rule::OneQuestion)
    } else if n >= rules.b_interactions {
        (Grade::B, Rule::FourInteractions)
    } else if n >= rules.c_interactions {
        (Grade::C, Rule::SimpleDialogue)
    } else {
        (Grade::D, Rule::NoEngagement)
    }
}

/// The counters of §5.1, read again from stored turns: what a regrade or a doubter uses.
pub fn count(turns: &[TurnRecord]) -> Counters {
    let mut counters = Counters::default();
    for basis in evidence(turns) {
        counters.n += 1;
        match basis.counts_as {
            CountsAs::Positive => counters.a += 1,
            CountsAs::Refusal => counters.r += 1,
            CountsAs::Question => counters.q += 1,
            CountsAs::Interaction => {}
        }
    }
    counters
}

fn evidence(turns: &[TurnRecord]) -> Vec<Basis> {
    let mut asked: Vec<&str> = Vec::new();
    turns
        .iter()
        .filter(|turn| turn.speaker == Speaker::Callee && turn.counted)
        .map(|turn| {
            let counts_as = match turn.matched.as_ref().map(|matched| &matched.kind) {
                Some(MatchKind::Positive) => CountsAs::Positive,
                Some(MatchKind::Negative { ignored: false }) => CountsAs::Refusal,
                Some(MatchKind::Question { id }) if !asked.contains(&id.as_str()) => {
                    asked.push(id);
                    CountsAs::Question
                }
                _ => CountsAs::Interaction,
            };
            Basis {
                turn: turn.index,
                from_ms: turn.from_ms,
                to_ms: turn.to_ms,
                counts_as,
            }
        })
        .collect()
}
