//! What is known of a call when it is over.

use crate::grade::Unreached;
use crate::id::*;
use crate::money::Money;
use crate::number::Masked;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The robot called a lead.
    Robot,
    /// An extension called another extension.
    Internal,
    /// An extension called out through a trunk.
    Outbound,
    /// A trunk called in.
    Inbound,
}

/// What became of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "cause")]
pub enum Disposition {
    /// A live person (or, before machine detection exists, whoever) answered.
    Answered,
    Unreached(Unreached),
    /// Ended by the calling side before an answer.
    Cancelled,
    /// Refused by our own rules before any INVITE left.
    Refused,
    /// The process died under it; recovered from the journal.
    Interrupted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Caller,
    Callee,
    /// The flow reached its terminating node.
    Flow,
    /// The callee stayed silent through the silence prompt.
    Silence,
    /// The reservation was used up.
    Balance,
    /// An operator or the API.
    Operator,
    /// Drain, fault, time-out.
    System,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Termination {
    pub by: EndedBy,
    /// The SIP final response that ended an unanswered call.
    pub sip_code: Option<u16>,
    /// Q.850 cause, from the peer's Reason header or ours.
    pub q850: Option<u8>,
    /// For people; from the peer or from us.
    pub text: String,
}

/// Media figures of one leg, from its own receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegStats {
    pub packets_received: u64,
    pub packets_sent: u64,
    pub packets_lost: u64,
    /// Interarrival jitter, microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// Frames made up by loss concealment.
    pub concealed: u64,
}

/// The call record. One per call, written once, in the transaction that settles its charge.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cdr {
    pub id: CallId,
    pub tenant: TenantId,
    pub direction: Direction,
    /// What the callee saw.
    pub caller: String,
    pub callee: String,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub extension: Option<ExtensionId>,
    pub trunk: Option<TrunkId>,
    pub started_at: Wall,
    pub ringing_at: Option<Wall>,
    pub answered_at: Option<Wall>,
    pub ended_at: Wall,
    pub disposition: Disposition,
    pub termination: Termination,
    /// Answer to end, whole milliseconds of the monotonic clock.
    pub talk_ms: u64,
    pub charge: Money,
    /// File name below the recordings folder, ours alone (never from the wire).
    pub recording: Option<String>,
    /// The customer's leg.
    pub customer_stats: Option<LegStats>,
}

/// With masked numbers: a debug print ends in a log sooner or later.
impl fmt::Debug for Cdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cdr")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("direction", &self.direction)
            .field("caller", &Masked(&self.caller))
            .field("callee", &Masked(&self.callee))
            .field("campaign", &self.campaign)
            .field("lead", &self.lead)
            .field("extension", &self.extension)
            .field("trunk", &self.trunk)
            .field("started_at", &self.started_at)
            .field("ringing_at", &self.ringing_at)
            .field("answered_at", &self.answered_at)
            .field("ended_at", &self.ended_at)
            .field("disposition", &self.disposition)
            .field("termination", &self.termination)
            .field("talk_ms", &self.talk_ms)
            .field("charge", &self.charge)
            .field("recording", &self.recording)
            .field("customer_stats", &self.customer_stats)
            .finish()
    }
}
