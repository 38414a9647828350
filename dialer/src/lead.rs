//! One number of a list, and where it stands.
//!
//! ```text
//! listed ─► queued ─► claimed ─► dialling ─► done | exhausted | suppressed
//!    ▲        │ ▲       │  │        │  ▲
//!    └────────┘ │       │  └─► retry┘  (also: back to queued, when the process died under the claim)
//!               └───────┘
//! ```
//! Ended states are left only by a person: enqueued again (a new run) or taken back to the list.

use crate::attempt::LastAttempt;
use crate::gate::Rule;
use model::{CallId, CallerNumberId, CampaignId, E164, Grade, LeadId, TenantId, Wall};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    pub id: LeadId,
    pub tenant: TenantId,
    /// The campaign it is queued in; none while it is only listed.
    pub campaign: Option<CampaignId>,
    pub number: E164,
    pub name: String,
    /// 批次
    pub batch: String,
    pub state: LeadState,
    /// Attempts in this run of the campaign.
    pub attempts: u32,
    /// Attempts in a row that reached no live person, over all runs (grade F).
    pub unreached_in_a_row: u32,
    pub last: Option<LastAttempt>,
    /// Of the last graded attempt; kept while it waits for a retry.
    pub grade: Option<Grade>,
    /// Retries keep the number the callee saw first.
    pub caller: Option<CallerNumberId>,
}

/// Where a lead stands. Stored as `kind` beside what the kind holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LeadState {
    /// In the data list, not asked to be called.
    #[default]
    Listed,
    /// Waits for a free line.
    Queued,
    /// A node holds it and asks the gate; falls back to `Queued` (or `Retry`) when the node dies.
    Claimed,
    /// An attempt is committed.
    Dialling { call: CallId },
    /// Waits for a moment: after an unreached attempt, or until a rule of the gate lets it through.
    Retry { due: Wall },
    /// A live person was reached.
    Done { grade: Grade },
    /// A rule forbids it for good.
    Suppressed { rule: Rule },
    /// Every allowed attempt was made and none reached a live person.
    Exhausted { grade: Grade },
}

/// A `LeadState` without what it holds: the column, the filter, the funnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadStateKind {
    Listed,
    Queued,
    Claimed,
    Dialling,
    Retry,
    Done,
    Suppressed,
    Exhausted,
}

use LeadStateKind as Kind;

impl LeadStateKind {
    pub const ALL: [LeadStateKind; 8] = [
        Kind::Listed,
        Kind::Queued,
        Kind::Claimed,
        Kind::Dialling,
        Kind::Retry,
        Kind::Done,
        Kind::Suppressed,
        Kind::Exhausted,
    ];

    /// Stable; stored and served.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Listed => "listed",
            Kind::Queued => "queued",
            Kind::Claimed => "claimed",
            Kind::Dialling => "dialling",
            Kind::Retry => "retry",
            Kind::Done => "done",
            Kind::Suppressed => "suppressed",
            Kind::Exhausted => "exhausted",
        }
    }
    pub fn from_code(code: &str) -> Option<LeadStateKind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
    /// Nothing more happens to it in this run.
    pub fn is_final(self) -> bool {
        matches!(self, Kind::Done | Kind::Suppressed | Kind::Exhausted)
    }
    /// May be claimed (a `Retry` once it is due).
    pub fn waits(self) -> bool {
        matches!(self, Kind::Queued | Kind::Retry)
    }

    /// The graph. Staying the same is no step and not in it.
    pub fn may_become(self, next: LeadStateKind) -> bool {
        use Kind::*;
        match self {
            Listed => matches!(next, Queued | Suppressed),
            // Taken back by a person; an opt-out stops what is already queued.
            Queued => matches!(next, Claimed | Listed | Suppressed),
            Retry => matches!(next, Claimed | Queued | Listed | Suppressed | Exhausted),
            // The gate allowed or denied, or the claim was given back.
            Claimed => matches!(
                next,
                Dialling | Queued | Retry | Suppressed | Exhausted | Listed
            ),
            // The attempt ended; an attempt that never left goes back to `Queued`.
            Dialling => matches!(next, Done | Retry | Exhausted | Suppressed | Queued),
            Done | Exhausted => matches!(next, Queued | Listed | Suppressed),
            // An expired or lifted suppression.
            Suppressed => matches!(next, Queued | Listed),
        }
    }
}

impl LeadState {
    pub fn kind(&self) -> LeadStateKind {
        match self {
            LeadState::Listed => Kind::Listed,
            LeadState::Queued => Kind::Queued,
            LeadState::Claimed => Kind::Claimed,
            LeadState::Dialling { .. } => Kind::Dialling,
            LeadState::Retry { .. } => Kind::Retry,
            LeadState::Done { .. } => Kind::Done,
            LeadState::Suppressed { .. } => Kind::Suppressed,
            LeadState::Exhausted { .. } => Kind::Exhausted,
        }
    }
    /// From when on it may be claimed.
    pub fn due(&self) -> Option<Wall> {
        match self {
            LeadState::Retry { due } => Some(*due),
            _ => None,
        }
    }
    pub fn may_become(&self, next: &LeadState) -> bool {
        self.kind().may_become(next.kind())
    }
}
