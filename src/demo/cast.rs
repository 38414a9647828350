//! Who is called in the demo, what they say, and which grade that is.

use crate::gateway::{Callee, Line, When, trimmed};
use anyhow::Result;
use model::Grade;
use std::collections::HashMap;
use std::time::Duration;

/// A callee of the demo.
pub struct Role {
    /// As the imported sheet has it.
    pub number: &'static str,
    pub expected: Grade,
    /// For people: what this callee shows.
    pub about: &'static str,
    /// Attempts until the grade above.
    pub attempts: u32,
    pub callee: Behaviour,
}

pub enum Behaviour {
    Busy,
    Empty,
    NeverAnswers,
    /// Says these one after the other; then listens until the robot hangs up, or hangs up.
    Says(&'static [(When, &'static str)], Then),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Stays,
    HangsUp,
}

const AFTER: When = When::RobotDone;
/// Well into the greeting.
const OVER: When = When::Over(Duration::from_millis(1500));

pub const CAST: &[Role] = &[
    Role {
        number: "13800138001",
        expected: Grade::A,
        about: "answers the question, agrees",
        attempts: 1,
        callee: Behaviour::Says(
            &[
                (AFTER, "demo-branch-job-f"),
                (AFTER, "demo-yes-speak-f"),
                (AFTER, "demo-yes-okay-f"),
            ],
            Then::Stays,
        ),
    },
    Role {
        number: "13800138002",
        expected: Grade::B,
        about: "asks one question and hangs up",
        attempts: 1,
        callee: Behaviour::Says(&[(AFTER, "demo-ask-rate-m")], Then::HangsUp),
    },
    Role {
        number: "13800138003",
        expected: Grade::C,
        about: "answers, then talks of something else",
        attempts: 1,
        callee: Behaviour::Says(
            &[(AFTER, "demo-branch-trade-f"), (AFTER, "zh-chat-03")],
            Then::HangsUp,
        ),
    },
    Role {
        number: "13800138004",
        expected: Grade::D,
        about: "refuses twice",
        attempts: 1,
        callee: Behaviour::Says(
            &[(AFTER, "demo-no-need-m"), (AFTER, "demo-no-interest-m")],
            Then::Stays,
        ),
    },
    Role {
        number: "13800138005",
        expected: Grade::D,
        about: "says nothing at all",
        attempts: 1,
        callee: Behaviour::Says(&[], Then::Stays),
    },
    Role {
        number: "13800138006",
        expected: Grade::E,
        about: "is busy",
        attempts: 1,
        callee: Behaviour::Busy,
    },
    Role {
        number: "13800138007",
        expected: Grade::F,
        about: "does not answer, three times",
        attempts: 3,
        callee: Behaviour::NeverAnswers,
    },
    Role {
        number: "13800138008",
        expected: Grade::A,
        about: "asks, refuses once, is won over",
        attempts: 1,
        callee: Behaviour::Says(
            &[
                (AFTER, "zh-ask-02"),
                (AFTER, "zh-no-01"),
                (AFTER, "zh-yes-05"),
                (AFTER, "demo-yes-okay-f"),
            ],
            Then::Stays,
        ),
    },
    Role {
        number: "13800138009",
        expected: Grade::A,
        about: "talks over the robot, asks twice",
        attempts: 1,
        callee: Behaviour::Says(
            &[(OVER, "demo-barge-rate-m"), (AFTER, "demo-ask-terms-m")],
            Then::HangsUp,
        ),
    },
    Role {
        number: "13800138010",
        expected: Grade::F,
        about: "is an empty number (空号)",
        attempts: 1,
        callee: Behaviour::Empty,
    },
    Role {
        number: "13800138011",
        expected: Grade::D,
        about: "has no time and hangs up",
        attempts: 1,
        callee: Behaviour::Says(&[(AFTER, "zh-no-04")], Then::HangsUp),
    },
    Role {
        number: "13800138012",
        expected: Grade::A,
        about: "runs a shop, needs money",
        attempts: 1,
        callee: Behaviour::Says(
            &[
                (AFTER, "zh-branch-04"),
                (AFTER, "zh-yes-04"),
                (AFTER, "demo-yes-okay-m"),
            ],
            Then::Stays,
        ),
    },
];

macro_rules! phrases {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../fixtures/audio/callees/", $name, ".wav")) as &[u8])),+]
    };
}

/// The recorded speech of the cast.
const PHRASES: &[(&str, &[u8])] = phrases![
    "demo-branch-job-f",
    "demo-yes-speak-f",
    "demo-yes-okay-f",
    "demo-yes-okay-m",
    "demo-ask-rate-m",
    "demo-branch-trade-f",
    "zh-chat-03",
    "demo-no-need-m",
    "demo-no-interest-m",
    "zh-ask-02",
    "zh-no-01",
    "zh-no-04",
    "zh-yes-04",
    "zh-yes-05",
    "zh-branch-04",
    "demo-barge-rate-m",
    "demo-ask-terms-m",
];

/// The cast as the gateway plays it, by dialled number.
pub fn callees() -> Result<HashMap<String, Vec<Callee>>> {
    let mut speech = HashMap::new();
    for (name, bytes) in PHRASES {
        speech.insert(*name, trimmed(&media::prompt::decode(bytes, Some("wav"))?));
    }
    let rings = Duration::from_millis(700);
    let callee = |role: &Role| match role.callee {
        Behaviour::Busy => Callee::Busy,
        Behaviour::Empty => Callee::Empty,
        Behaviour::NeverAnswers => Callee::NoAnswer {
            rings: Duration::from_secs(2),
        },
        Behaviour::Says(said, then) => Callee::Talks {
            rings,
            lines: said
                .iter()
                .filter_map(|(when, name)| {
                    Some(Line {
                        when: *when,
                        speech: speech.get(name)?.clone(),
                    })
                })
                .collect(),
            hangs_up: then == Then::HangsUp,
        },
    };
    Ok(CAST
        .iter()
        .map(|role| (role.number.to_owned(), vec![callee(role)]))
        .collect())
}
