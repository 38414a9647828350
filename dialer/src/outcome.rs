//! What an ended attempt, or a denial, makes of the lead.
//!
//! The order at the end of a call: `unreached_in_a_row` (the grade needs it) → grade → `after_attempt`.

use crate::campaign::RetryRules;
use crate::gate::{Decision, Rule};
use crate::lead::LeadState;
use model::{Disposition, Grade, Unreached, Wall};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The lead from here on; the store writes it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadUpdate {
    pub state: LeadState,
    /// Attempts in this run of the campaign, this one included.
    pub attempts: u32,
    pub unreached_in_a_row: u32,
}

impl LeadUpdate {
    /// When it may be claimed again.
    pub fn due(&self) -> Option<Wall> {
        self.state.due()
    }
}

/// Attempts in a row without a live person, this one included. What was our own doing (cancelled, refused, interrupted)
/// says nothing about the callee: the row neither grows nor breaks.
pub fn unreached_in_a_row(before: u32, disposition: Disposition) -> u32 {
    match disposition {
        Disposition::Answered => 0,
        Disposition::Unreached(_) => before.saturating_add(1),
        Disposition::Cancelled | Disposition::Refused | Disposition::Interrupted => before,
    }
}

/// The attempts and row a lead had before the attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    pub attempts: u32,
    pub unreached_in_a_row: u32,
}

/// After an attempt that was begun (its INVITE may have left). `grade` is the call's; `opt_out` when the callee asked never to
/// be called again.
pub fn after_attempt(
    max_attempts: u32,
    retry: &RetryRules,
    before: Before,
    disposition: Disposition,
    grade: Grade,
    opt_out: bool,
    ended_at: Wall,
) -> LeadUpdate {
    let attempts = before.attempts.saturating_add(1);
    let row = unreached_in_a_row(before.unreached_in_a_row, disposition);
    let update = |state, attempts| LeadUpdate {
        state,
        attempts,
        unreached_in_a_row: row,
    };
    if opt_out {
        return update(
            LeadState::Suppressed {
                rule: Rule::DoNotCall,
            },
            attempts,
        );
    }
    let wait = match disposition {
        Disposition::Answered => return update(LeadState::Done { grade }, attempts),
        // Nothing left: the attempt does not count.
        Disposition::Refused => return update(LeadState::Queued, before.attempts),
        Disposition::Unreached(cause) => retry.interval(cause),
        // adversary: an interrupted call counts as an attempt.
        Disposition::Cancelled | Disposition::Interrupted => retry.interval(Unreached::Network),
    };
    let state = match wait {
        Some(wait) if attempts < max_attempts => LeadState::Retry {
            due: ended_at + wait,
        },
        _ => LeadState::Exhausted { grade },
    };
    update(state, attempts)
}

/// When a denial that only an event can lift (money, an approval, the end of another call) is asked again.
pub const ASK_AGAIN: Duration = Duration::from_secs(300);

/// When a lead is asked again whose hours have no common opening in sight: the plan is at fault, and a changed plan should
/// find the lead waiting.
pub const ASK_AGAIN_CLOSED: Duration = Duration::from_secs(24 * 3600);

/// The lead's state after the gate said no. `grade` is that of an earlier attempt, when there was one. `None` for `Allow`.
pub fn after_denial(decision: &Decision, grade: Option<Grade>, now: Wall) -> Option<LeadState> {
    let Decision::Deny { rule, next, .. } = decision else {
        return None;
    };
    Some(match (rule, next) {
        (_, Some(next)) => LeadState::Retry { due: *next },
        (Rule::AttemptsExhausted | Rule::NotRetried | Rule::EmptyNumber, None) => match grade {
            Some(grade) => LeadState::Exhausted { grade },
            None => LeadState::Suppressed { rule: *rule },
        },
        (rule, None) if rule.is_final() => LeadState::Suppressed { rule: *rule },
        (
            Rule::Frequency
            | Rule::Holiday
            | Rule::CallingWindow
            | Rule::TenantHours
            | Rule::RobotHours
            | Rule::RetryInterval,
            None,
        ) => LeadState::Retry {
            due: now + ASK_AGAIN_CLOSED,
        },
        (_, None) => LeadState::Retry {
            due: now + ASK_AGAIN,
        },
    })
}
