//! From the words found to one verdict.
//!
//! A hard refusal outweighs everything. Inside a clause a question outweighs what its words would mean alone (可以吗),
//! except a wish to hear more (能介绍一下吗), and except a tag behind something said (不要了好吗). Between clauses a
//! question outweighs consent; of a question and a refusal the later one is what the callee is left with; a refusal
//! outweighs consent unless a "but" or a wish to hear more follows it.

use super::Class;
use super::read::{ClauseReading, Reading};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Hard,
    Negative,
    Positive,
    Question,
    Transfer,
    Number,
    Branch(Class),
    WeakNegative,
    WeakPositive,
    Backchannel,
    Neutral,
}

/// One clause's verdict, and whether it opens with "but" or asks for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClauseVerdict {
    pub verdict: Verdict,
    turns: bool,
}

pub(crate) fn conclude(reading: &Reading) -> Verdict {
    let verdicts: Vec<ClauseVerdict> = reading.clauses.iter().map(conclude_clause).collect();
    conclude_all(reading, &verdicts)
}

pub(crate) fn conclude_all(reading: &Reading, verdicts: &[ClauseVerdict]) -> Verdict {
    let any = |wanted: Verdict| verdicts.iter().any(|v| v.verdict == wanted);
    if any(Verdict::Hard) {
        return Verdict::Hard;
    }
    if reading.number {
        return Verdict::Number;
    }
    if any(Verdict::Transfer) {
        return Verdict::Transfer;
    }
    let branch = verdicts.iter().rev().find_map(|v| match v.verdict {
        Verdict::Branch(class) => Some(class),
        _ => None,
    });
    // What the callee is left with, clause after clause.
    let mut left = Verdict::Neutral;
    for clause in verdicts {
        left = match (left, clause.verdict) {
            (_, Verdict::Question) => Verdict::Question,
            (_, Verdict::Negative) => Verdict::Negative,
            (Verdict::Negative, Verdict::Positive) if clause.turns => Verdict::Positive,
            (Verdict::Negative | Verdict::Question, _) => left,
            (_, Verdict::Positive) => Verdict::Positive,
            (Verdict::Positive, _) => left,
            (_, Verdict::Branch(class)) => Verdict::Branch(class),
            (Verdict::Branch(_), _) => left,
            (_, Verdict::WeakNegative) => Verdict::WeakNegative,
            (Verdict::WeakNegative, _) => left,
            (_, Verdict::WeakPositive) => Verdict::WeakPositive,
            _ => left,
        };
    }
    // An occupation with consent: the occupation is what was asked for, whoever asked.
    if let (Verdict::Positive | Verdict::WeakNegative | Verdict::WeakPositive, Some(class)) =
        (left, branch)
    {
        return Verdict::Branch(class);
    }
    if left == Verdict::Neutral
        && !reading.clauses.is_empty()
        && reading.clauses.iter().all(|clause| clause.backchannel)
    {
        return Verdict::Backchannel;
    }
    left
}

pub(crate) fn conclude_clause(clause: &ClauseReading) -> ClauseVerdict {
    let hits = &clause.hits;
    let has = |class: Class| hits.iter().any(|hit| hit.class == class);
    let turns = has(Class::More) || has(Class::Contrast);
    let verdict = 'verdict: {
        if has(Class::Hard) {
            break 'verdict Verdict::Hard;
        }
        if matches!(
            clause.text.as_str(),
            "什么" | "啥" | "什么呀" | "什么啊" | "嗯" | "what" | "huh" | "sorry"
        ) {
            // Alone it asks for nothing but to say it again.
            break 'verdict Verdict::Neutral;
        }
        let form = has(Class::Form);
        if has(Class::Transfer) {
            // 你是人工客服吗 asks what it speaks to, 可以转人工吗 asks for it.
            let asks_nature = form
                && ["你是", "是不是", "are you", "is this"]
                    .iter()
                    .any(|w| clause.text.contains(w));
            break 'verdict if asks_nature {
                Verdict::Question
            } else {
                Verdict::Transfer
            };
        }
        // What follows a "but" inside the clause replaces what came before, when it says anything.
        let from = hits
            .iter()
            .rposition(|hit| hit.class == Class::Contrast)
            .filter(|at| hits[at + 1..].iter().any(|hit| speaks(hit.class)))
            .map_or(0, |at| at + 1);
        let hits = &hits[from..];
        let has = |class: Class| hits.iter().any(|hit| hit.class == class);
        let form = has(Class::Form);
        let negative = hits.iter().rfind(|hit| hit.class == Class::Negative);
        let wh = hits.iter().rfind(|hit| hit.class == Class::Wh);
        match (negative, wh) {
            // 不需要什么贷款: the question word is part of the refusal.
            (Some(no), Some(wh)) if wh.span.start >= no.span.end => {
                let between = clause.text[no.span.end..wh.span.start].chars().count();
                break 'verdict if between <= 2 {
                    Verdict::Negative
                } else {
                    Verdict::Question
                };
            }
            (_, Some(_)) => break 'verdict Verdict::Question,
            _ => {}
        }
        if has(Class::More) {
            break 'verdict if negative.is_some() {
                Verdict::Negative
            } else {
                Verdict::Positive
            };
        }
        if form {
            break 'verdict Verdict::Question;
        }
        if negative.is_some() {
            break 'verdict Verdict::Negative;
        }
        let branch = hits.iter().rev().find(|hit| {
            matches!(
                hit.class,
                Class::Branch(_) | Class::Employed | Class::Business
            )
        });
        let own = hits
            .iter()
            .find(|hit| matches!(hit.class, Class::Branch(_)));
        if let Some(hit) = own.or(branch) {
            break 'verdict Verdict::Branch(hit.class);
        }
        if has(Class::Positive) {
            break 'verdict if clause.asked && clause.text.chars().count() > 4 {
                Verdict::Question
            } else {
                Verdict::Positive
            };
        }
        if has(Class::Tag) && clause.weak.is_none() {
            // 可以吗 alone asks.
            break 'verdict Verdict::Question;
        }
        match clause.weak {
            Some(Class::WeakNegative) => break 'verdict Verdict::WeakNegative,
            Some(_) => break 'verdict Verdict::WeakPositive,
            None => {}
        }
        if clause.asked && !clause.hollow && !has(Class::Mask) && clause.text.chars().count() > 2 {
            break 'verdict Verdict::Question;
        }
        Verdict::Neutral
    };
    ClauseVerdict { verdict, turns }
}

fn speaks(class: Class) -> bool {
    matches!(
        class,
        Class::Positive
            | Class::More
            | Class::Negative
            | Class::Wh
            | Class::Form
            | Class::Employed
            | Class::Business
            | Class::Branch(_)
    )
}
