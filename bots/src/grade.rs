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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Decision, Matched};
    use proptest::prelude::*;

    fn of(n: u32, r: u32, a: u32, q: u32) -> GradeRecord {
        let outcome = Outcome {
            reached: Ok(Counters { n, r, a, q }),
            unreached_in_a_row: 0,
        };
        grade(&Rules::default(), &outcome)
    }
    fn unreached(why: Unreached, in_a_row: u32) -> GradeRecord {
        grade(
            &Rules::default(),
            &Outcome {
                reached: Err(why),
                unreached_in_a_row: in_a_row,
            },
        )
    }

    #[test]
    fn the_check_values_of_the_product_page() {
        use Grade::*;
        for ((n, r, a, q), expected, rule) in [
            ((1, 0, 1, 0), A, Rule::PositiveAnswer),
            ((1, 0, 0, 1), B, Rule::OneQuestion),
            ((2, 0, 0, 0), C, Rule::SimpleDialogue),
            ((2, 1, 1, 0), D, Rule::OneRefusal),
            ((3, 1, 0, 0), C, Rule::SimpleDialogue),
            ((3, 2, 1, 0), D, Rule::TwoRefusals),
            ((4, 2, 0, 2), D, Rule::TwoRefusals),
            ((5, 2, 0, 0), A, Rule::Interactions),
            ((8, 3, 5, 0), D, Rule::ManyRefusals),
            ((0, 0, 0, 0), D, Rule::NoEngagement),
        ] {
            let record = of(n, r, a, q);
            assert_eq!(
                (record.grade, record.rule),
                (expected, rule),
                "({n},{r},{a},{q})"
            );
        }
        assert_eq!(of(0, 0, 0, 0).sub_reason, Some(SubReason::NoEngagement));
        assert_eq!(of(2, 1, 0, 0).sub_reason, Some(SubReason::Refusal));
        assert_eq!(of(4, 0, 0, 0).grade, B);
        assert_eq!(of(3, 0, 0, 2).grade, A);
    }

    #[test]
    fn whoever_is_not_reached_is_e_then_f_and_an_empty_number_f_at_once() {
        for why in [
            Unreached::Busy,
            Unreached::Rejected,
            Unreached::Machine,
            Unreached::NoAnswer,
        ] {
            assert_eq!(unreached(why, 1).grade, Grade::E);
            assert_eq!(unreached(why, 2).grade, Grade::E);
            assert_eq!(unreached(why, 3).grade, Grade::F);
            assert_eq!(unreached(why, 1).unreached, Some(why));
        }
        assert_eq!(unreached(Unreached::EmptyNumber, 1).grade, Grade::F);
        assert_eq!(unreached(Unreached::EmptyNumber, 1).rule, Rule::EmptyNumber);
    }

    fn turn(index: u32, kind: MatchKind) -> TurnRecord {
        TurnRecord {
            index,
            speaker: Speaker::Callee,
            node: "greeting".into(),
            text: "…".into(),
            from_ms: u64::from(index) * 1000,
            to_ms: u64::from(index) * 1000 + 800,
            line: None,
            matched: Some(Matched {
                kind,
                text: String::new(),
                evidence: Vec::new(),
                score: 1.0,
            }),
            counted: true,
            decision: Decision::Listen,
        }
    }

    #[test]
    fn stored_turns_tell_the_counters_again() {
        let rate = || MatchKind::Question { id: "rate".into() };
        let mut turns = vec![
            turn(0, rate()),
            turn(1, rate()),
            turn(2, MatchKind::Negative { ignored: true }),
            turn(3, MatchKind::Negative { ignored: false }),
            turn(4, MatchKind::Positive),
            turn(5, MatchKind::Unmatched { question: true }),
        ];
        turns.push(TurnRecord {
            counted: false,
            ..turn(6, MatchKind::Backchannel)
        });
        turns.push(TurnRecord {
            speaker: Speaker::Robot,
            matched: None,
            ..turn(7, rate())
        });
        let counters = count(&turns);
        assert_eq!(
            counters,
            Counters {
                n: 6,
                r: 1,
                a: 1,
                q: 1
            }
        );
        let outcome = Outcome {
            reached: Ok(counters),
            unreached_in_a_row: 0,
        };
        let record = grade_turns(&Rules::default(), &outcome, &turns);
        assert_eq!(record.evidence.len(), 6);
        assert_eq!(record.evidence[3].counts_as, CountsAs::Refusal);
        assert_eq!(
            (record.evidence[3].from_ms, record.evidence[3].to_ms),
            (3000, 3800)
        );
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<GradeRecord>(&json).unwrap(), record);
    }

    /// The manual's table read row by row as sets: for each grade who belongs to it, then the first row that has the call.
    fn brute_force(n: u32, r: u32, a: u32, q: u32) -> Grade {
        let refused = [(3..=u32::MAX, 0..=u32::MAX), (2..=2, 0..=4), (1..=1, 0..=2)]
            .iter()
            .any(|(refusals, turns)| refusals.contains(&r) && turns.contains(&n));
        let rows: [(Grade, bool); 5] = [
            (Grade::D, refused),
            (Grade::A, !(a == 0 && q <= 1 && n <= 4)),
            (Grade::B, q == 1 || n == 4),
            (Grade::C, n == 2 || n == 3),
            (Grade::D, n == 0 || n == 1),
        ];
        rows.into_iter()
            .find(|(_, fits)| *fits)
            .map(|(grade, _)| grade)
            .expect("rows cover all")
    }

    proptest! {
        #[test]
        fn every_call_has_the_grade_of_the_table(n in 0u32..12, r in 0u32..6, a in 0u32..6, q in 0u32..6) {
            prop_assert_eq!(of(n, r, a, q).grade, brute_force(n, r, a, q));
        }

        #[test]
        fn more_refusals_never_help_and_more_answers_never_hurt(
            n in 0u32..12, r in 0u32..6, a in 0u32..6, q in 0u32..6,
        ) {
            // A is the smallest letter. A third refusal may not lift a call; a positive answer may not lower it.
            prop_assert!(of(n, 3, a, q).grade >= of(n, r.min(2), a, q).grade);
            prop_assert!(of(n, r, a + 1, q).grade <= of(n, r, a, q).grade);
        }
    }

    #[test]
    fn all_small_calls_agree_with_the_table() {
        for n in 0..9 {
            for r in 0..5 {
                for a in 0..4 {
                    for q in 0..4 {
                        assert_eq!(
                            of(n, r, a, q).grade,
                            brute_force(n, r, a, q),
                            "({n},{r},{a},{q})"
                        );
                    }
                }
            }
        }
    }
}
