//! Turn-taking: who has the floor, when a turn is over, what is said next.
//!
//! `talk` listens and speaks (voice, silence, prompts, recognition, all their deadlines); `flow` decides what a turn means
//! for the dialogue. Neither knows the clock.

mod flow;
mod talk;

pub use talk::Conversation;

use crate::recogniser::NotHeard;
use crate::record::TurnRecord;
use model::{EndedBy, PlayId, PromptId, RequestId};
use std::time::Duration;

/// What happens to a robot call. Milliseconds are offsets in the audio heard from the callee, zero at the answer
/// (listening starts there).
#[derive(Clone, Debug, PartialEq)]
pub enum RobotEvent {
    Answered,
    PlayStarted {
        play: PlayId,
    },
    PlayFinished {
        play: PlayId,
    },
    /// The voice detector is sure; `at_ms` is where the voice began.
    VoiceStarted {
        at_ms: u64,
    },
    /// The voice has stopped for `silence` so far. May be told once or repeatedly; the conversation keeps the time itself.
    VoicePaused {
        last_voiced_ms: u64,
        silence: Duration,
    },
    Recognised {
        request: RequestId,
        result: Result<String, NotHeard>,
    },
    Digit(char),
    /// `next_deadline` has come.
    Deadline,
    /// The reservation is used up: cut with a prompt.
    BalanceLow,
}

/// What the conversation wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Play {
        play: PlayId,
        prompt: PromptId,
    },
    Stop {
        play: PlayId,
    },
    /// Recognise this span of the callee's audio. Not final: the callee may go on, then `Abandon` follows.
    Recognise {
        request: RequestId,
        from_ms: u64,
        to_ms: u64,
        is_final: bool,
    },
    /// A speculative request turned out to be the whole turn: it is awaited now, so it goes before speculative ones.
    Promote {
        request: RequestId,
    },
    /// Its result is not wanted any more.
    Abandon {
        request: RequestId,
    },
    HangUp(EndedBy),
    /// A turn is settled; it will not change.
    Turn(Box<TurnRecord>),
}

/// The times of turn-taking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Silence after which recognition starts speculatively.
    pub speculate_after: Duration,
    /// Silence that ends a turn when the text decides.
    pub decisive_after: Duration,
    /// Silence that ends a turn.
    pub end_after: Duration,
    /// Silence that ends a turn whose text sounds unfinished.
    pub unfinished_after: Duration,
    /// Voice over a prompt that stops it.
    pub barge_in_after: Duration,
    /// What the voice detector needs to notice that a voice has stopped: until then a grunt looks like speech.
    pub pause_noticed_after: Duration,
    /// Voice that began over a prompt counts when it lasts to within this of the prompt's end.
    pub prompt_tail: Duration,
    /// A callee who goes on within this silence had not finished: the end-point is retracted.
    pub retract_within: Duration,
    /// Voice without understandable words is asked about from this length on; shorter is a noise.
    pub unclear_after: Duration,
    /// From the end of speech to the fallback prompt when there is no text.
    pub fallback_after: Duration,
    /// Audio given to the recogniser before the first and after the last voiced sample.
    pub lead_in: Duration,
    pub lead_out: Duration,
    /// The longest turn; voice that never ends is cut here.
    pub longest_turn: Duration,
    /// The longest prompt; one that never reports its end is taken as finished.
    pub longest_prompt: Duration,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            speculate_after: Duration::from_millis(200),
            decisive_after: Duration::from_millis(300),
            end_after: Duration::from_millis(450),
            unfinished_after: Duration::from_millis(700),
            barge_in_after: Duration::from_millis(250),
            pause_noticed_after: Duration::from_millis(100),
            prompt_tail: Duration::from_millis(300),
            retract_within: Duration::from_millis(700),
            unclear_after: Duration::from_millis(800),
            fallback_after: Duration::from_millis(1700),
            lead_in: Duration::from_millis(200),
            lead_out: Duration::from_millis(180),
            longest_turn: Duration::from_secs(15),
            longest_prompt: Duration::from_secs(60),
        }
    }
}
