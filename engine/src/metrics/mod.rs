//! What the engine counts, and how Prometheus reads it. Counting is a few plain atomics, so that the node and the media workers
//! wait for nobody; everything is put into words when somebody asks.
//!
//! Labels are words out of short lists: never a number, an enterprise or a campaign.

mod process;
mod sip;
mod words;

pub use process::Process;
pub use words::Words;

use crate::disk::Disk;
use bots::{NotHeard, RecogniserError, Speaker};
use meter::{ByWord, Count, Histogram};
use model::*;
use speech::SpeechEvent;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use switch::{Finish, Persist};

const SETUP_MS: &[u32] = &[
    500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000,
];
const TALK_MS: &[u32] = &[
    1000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
];
const ANSWER_MS: &[u32] = &[
    100, 200, 300, 400, 500, 600, 700, 800, 1000, 1500, 2000, 3000, 5000,
];
const LATE_MS: &[u32] = &[1, 2, 5, 10, 20, 50, 100, 500];
const JITTER_MS: &[u32] = &[1, 2, 5, 10, 20, 30, 50, 100, 200];

pub(crate) const DIRECTIONS: [&str; 4] = ["robot", "internal", "outbound", "inbound"];

/// One engine's counts.
#[derive(Debug)]
pub struct Metrics {
    pub(crate) sip_in: sip::Messages,
    pub(crate) sip_out: sip::Messages,
    /// By direction.
    pub(crate) calls: [Calls; 4],
    pub(crate) grades: ByWord,
    pub(crate) denials: ByWord,
    pub(crate) recordings: ByWord,
    /// From the callee's last word to the robot's first.
    pub(crate) turns: Histogram,
    pub(crate) recognised: Histogram,
    pub(crate) recognitions: ByWord,
    pub(crate) discards: ByWord,
    pub(crate) packets_lost: Count,
    pub(crate) frames_concealed: Count,
    /// Of one leg, at its end.
    pub(crate) jitter: Histogram,
    pub(crate) workers: OnceLock<Vec<Arc<WorkerMetrics>>>,
    pub(crate) disk: OnceLock<Arc<Disk>>,
    pub(crate) speech: OnceLock<Weak<speech::Speech>>,
}

/// Calls of one direction.
#[derive(Debug)]
pub(crate) struct Calls {
    pub outcomes: ByWord,
    /// Those whose INVITE left.
    pub seizures: Count,
    pub answers: Count,
    /// From its beginning to its answer.
    pub setup: Histogram,
    pub talk: Histogram,
}

/// What one media worker counts, once a look and not once a packet.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub received: Count,
    pub sent: Count,
    /// Too late to be played.
    pub late: Count,
    /// From elsewhere than the negotiated address.
    pub strangers: Count,
    /// A reader of frames did not keep up.
    pub dropped_frames: Count,
    /// Looks at the sockets that came later than they should.
    pub lateness: Histogram,
}

impl Default for WorkerMetrics {
    fn default() -> WorkerMetrics {
        WorkerMetrics {
            received: Count::default(),
            sent: Count::default(),
            late: Count::default(),
            strangers: Count::default(),
            dropped_frames: Count::default(),
            lateness: Histogram::new(LATE_MS),
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let calls = || Calls {
            outcomes: ByWord::default(),
            seizures: Count::default(),
            answers: Count::default(),
            setup: Histogram::new(SETUP_MS),
            talk: Histogram::new(TALK_MS),
        };
        Metrics {
            sip_in: sip::Messages::default(),
            sip_out: sip::Messages::default(),
            calls: [calls(), calls(), calls(), calls()],
            grades: ByWord::default(),
            denials: ByWord::default(),
            recordings: ByWord::default(),
            turns: Histogram::new(ANSWER_MS),
            recognised: Histogram::new(ANSWER_MS),
            recognitions: ByWord::default(),
            discards: ByWord::default(),
            packets_lost: Count::default(),
            frames_concealed: Count::default(),
            jitter: Histogram::new(JITTER_MS),
            workers: OnceLock::new(),
            disk: OnceLock::new(),
            speech: OnceLock::new(),
        }
    }
}

impl Metrics {
    /// A change the node wants kept.
    pub(crate) fn persist(&self, change: &Persist) {
        match change {
            Persist::Finish(finish) => self.finished(finish),
            Persist::Denied(denied) => self.denials.add(denied.rule.code()),
            _ => {}
        }
    }

    fn finished(&self, finish: &Finish) {
        let cdr = &finish.cdr;
        let calls = &self.calls[direction(cdr.direction)];
        calls.outcomes.add(outcome(cdr.disposition));
        if cdr.disposition != Disposition::Refused {
            calls.seizures.add(1);
        }
        if let Some(answered) = cdr.answered_at {
            calls.answers.add(1);
            calls.setup.add(answered.since(cdr.started_at));
            calls.talk.add(Duration::from_millis(cdr.talk_ms));
        }
        if let Some(record) = &finish.grade {
            self.grades.add(match record.grade {
                Grade::A => "A",
                Grade::B => "B",
                Grade::C => "C",
                Grade::D => "D",
                Grade::E => "E",
                Grade::F => "F",
            });
        }
        for pair in finish.turns.windows(2) {
            let answers = pair[0].speaker == Speaker::Callee && pair[1].speaker == Speaker::Robot;
            if answers && let Some(ms) = pair[1].from_ms.checked_sub(pair[0].to_ms) {
                self.turns.add(Duration::from_millis(ms));
            }
        }
    }

    /// A leg's figures at its end.
    pub(crate) fn leg(&self, stats: &LegStats) {
        self.packets_lost.add(stats.packets_lost);
        self.frames_concealed.add(stats.concealed);
        if stats.packets_received > 0 {
            self.jitter
                .add(Duration::from_micros(u64::from(stats.jitter_us)));
        }
    }

    pub(crate) fn heard(&self, event: &SpeechEvent) {
        let SpeechEvent::Recognised { result, took, .. } = event else {
            return;
        };
        self.recognised.add(*took);
        self.recognitions.add(match result {
            Ok(_) => "recognised",
            Err(NotHeard::Discarded(discard)) => {
                self.discards.add(discard.reason.code());
                "discarded"
            }
            Err(NotHeard::Failed(RecogniserError::TimedOut)) => "too_slow",
            Err(NotHeard::Failed(RecogniserError::Overloaded)) => "overloaded",
            Err(NotHeard::Failed(_)) => "failed",
        });
    }
}

pub(crate) fn direction(direction: Direction) -> usize {
    match direction {
        Direction::Robot => 0,
        Direction::Internal => 1,
        Direction::Outbound => 2,
        Direction::Inbound => 3,
    }
}

fn outcome(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Answered => "answered",
        Disposition::Cancelled => "cancelled",
        Disposition::Refused => "refused",
        Disposition::Interrupted => "interrupted",
        Disposition::Unreached(why) => match why {
            Unreached::Busy => "busy",
            Unreached::Rejected => "rejected",
            Unreached::NoAnswer => "no_answer",
            Unreached::EmptyNumber => "empty_number",
            Unreached::SwitchedOff => "switched_off",
            Unreached::Machine => "machine",
            Unreached::CallAssistant => "call_assistant",
            Unreached::Fax => "fax",
            Unreached::Network => "network",
        },
    }
}
