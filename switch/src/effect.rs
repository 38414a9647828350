//! What goes into the node and what comes out of it. Values only: the engine performs them, a simulation pretends to.

use crate::directory::TenantDirectory;
use billing::{Rate, Reservation};
use bots::{CompiledTemplate, GradeRecord, Language, NotHeard, Rules, TurnRecord};
use bytes::Bytes;
use dialer::{Campaign, History, Lead, LeadState, LeadUpdate, RetryRules, Rule};
use model::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Everything that can happen to the call centre.
#[derive(Debug)]
pub enum Input {
    Datagram {
        flow: sip::Flow,
        bytes: Bytes,
    },
    /// The socket behind a flow refused or failed.
    TransportFailed(sip::Flow),
    /// A deadline told by `next_deadline` has come.
    Deadline,

    /// A tenant's configuration, whole; replaces what was known of it.
    Directory(Arc<TenantDirectory>),
    /// Bindings that were stored before the last stop.
    Restore(Vec<sip::Binding>),
    /// A campaign to run, pause or finish, as its state says.
    Campaign(Arc<CampaignPlan>),

    /// Answer to `Effect::Claim`.
    Claimed {
        campaign: CampaignId,
        result: Result<Claimed, ClaimRefused>,
    },
    /// Answer to `Persist::Begin`, after its commit.
    /// Holds what was reserved; `None` where nothing is charged.
    Begun {
        call: CallId,
        result: Result<Option<Reservation>, BeginRefused>,
    },

    Media(media::Event),
    /// The leg's socket could not be opened.
    MediaFailed {
        leg: LegId,
    },
    /// What the recogniser's side heard on a leg.
    Heard {
        leg: LegId,
        heard: Heard,
    },

    /// Something outside the node happened to a call: a line of its page.
    Note {
        call: CallId,
        kind: &'static str,
        data: Value,
    },
    HangUp {
        tenant: TenantId,
        call: CallId,
        actor: String,
    },
    /// Begin no new calls; live ones go on.
    Drain,
    /// End every call now.
    HangUpAll,
}

/// From the voice-activity and recognition side. Offsets are milliseconds on the leg's time base, which is the
/// recording's too.
#[derive(Clone, Debug)]
pub enum Heard {
    VoiceStarted {
        at_ms: u64,
    },
    VoicePaused {
        last_voiced_ms: u64,
        silence: Duration,
    },
    Recognised {
        request: RequestId,
        result: Result<String, NotHeard>,
    },
}

/// A lead claimed for dialling, with all the gate needs to know of it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub lead: Lead,
    pub history: History,
}

/// A campaign with everything a call of it needs at hand.
#[derive(Debug)]
pub struct CampaignPlan {
    pub tenant: TenantId,
    pub campaign: Campaign,
    pub template: Arc<CompiledTemplate>,
    pub prompts: HashMap<PromptId, Arc<media::Prompt>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginRefused {
    /// The balance no longer covers the reservation.
    Balance,
    /// The lead was taken back (deleted, suppressed) since it was claimed.
    LeadGone,
    /// The database could not commit; nothing was begun.
    Unavailable,
}

/// Everything the call centre asks of the world.
#[derive(Debug)]
pub enum Effect {
    Send(sip::Transmit),
    Media {
        worker: u16,
        command: MediaCommand,
    },
    /// Cut this span from the leg's audio and recognise it.
    Recognise {
        leg: LegId,
        request: RequestId,
        from_ms: u64,
        to_ms: u64,
        is_final: bool,
        language: Language,
    },
    /// A speculative request turned out to be the whole turn: it goes before speculative ones now.
    Promote {
        leg: LegId,
        request: RequestId,
    },
    /// The result is no longer wanted.
    Abandon {
        leg: LegId,
        request: RequestId,
    },
    /// Claim up to so many due leads; answered by `Input::Claimed`.
    Claim {
        tenant: TenantId,
        campaign: CampaignId,
        at_most: u16,
    },
    Persist(Persist),
    Notify(Notice),
}

/// For one media worker.
#[derive(Debug)]
pub enum MediaCommand {
    /// Open the leg and the socket it lives on.
    Open {
        leg: LegId,
        port: u16,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
    },
    /// Start sending the leg's audio to the recogniser's side.
    Listen { leg: LegId },
    /// Start writing the leg's two channels into this file (below the recordings folder; the name is ours).
    Record {
        tenant: TenantId,
        call: CallId,
        leg: LegId,
        file: String,
    },
    /// Anything that needs no more than the worker.
    Plain(media::Command),
}

/// Changes to keep. `Begin` is answered after its commit; the others are promises the journal and the writer keep.
#[derive(Clone, Debug)]
pub enum Persist {
    Begin(Box<Begin>),
    /// For the journal alone: what must outlive the process although the call goes on.
    Note(Box<Note>),
    /// For the journal alone: the process lives, and an answered call in it.
    Beat(Now),
    Denied(Box<Denied>),
    /// Claimed but not dialled: back to where it was.
    Unclaim {
        tenant: TenantId,
        leads: Vec<LeadId>,
    },
    /// Shared: the journal and the writer both keep it.
    Finish(Arc<Finish>),
    Bound {
        tenant: TenantId,
        binding: sip::Binding,
    },
    Unbound {
        tenant: TenantId,
        aor: String,
        contact: String,
    },
}

/// Leads a campaign was given.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    pub leads: Vec<Candidate>,
    /// When the next lead beyond these is due, which may be in the past; `None` when none is left to wait for.
    pub next_due: Option<Wall>,
}

/// Why no lead was given, whether or not one is due. The campaign asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimRefused {
    /// The database is away or too far behind, or the journal cannot be written.
    Unavailable,
    /// The disk is nearly full: a call could not be recorded.
    DiskFull,
}

/// An outbound attempt and its reservation, durable before its INVITE leaves.
#[derive(Clone)]
pub struct Begin {
    pub call: CallId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub extension: Option<ExtensionId>,
    pub trunk: Option<TrunkId>,
    pub caller: String,
    /// E.164, or the digits of an emergency or short number.
    pub callee: String,
    pub at: Wall,
    /// `None` where nothing is charged.
    pub reserve: Option<Reserve>,
}

/// With masked numbers: a debug print ends in a log sooner or later.
impl fmt::Debug for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begin")
            .field("call", &self.call)
            .field("tenant", &self.tenant)
            .field("direction", &self.direction)
            .field("campaign", &self.campaign)
            .field("lead", &self.lead)
            .field("extension", &self.extension)
            .field("trunk", &self.trunk)
            .field("caller", &Masked(&self.caller))
            .field("callee", &Masked(&self.callee))
            .field("at", &self.at)
            .field("reserve", &self.reserve)
            .finish()
    }
}

/// What to reserve: as long as the balance covers, and no longer than this. The store quotes inside the transaction that
/// takes the amount, so that parallel calls cannot spend the same balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    pub rate: Rate,
    pub at_most: Duration,
}

/// A lead the gate refused, and where that leaves it.
#[derive(Clone, Debug)]
pub struct Denied {
    pub tenant: TenantId,
    pub campaign: CampaignId,
    pub lead: LeadId,
    pub number: E164,
    pub rule: Rule,
    pub detail: String,
    pub at: Wall,
    pub next: Option<Wall>,
    /// The lead's state from here on.
    pub state: LeadState,
}

/// What is known of a call that is up. With the last beat of the process it is enough to end the call when the process is
/// gone (`interrupted`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub tenant: TenantId,
    pub call: CallId,
    pub what: Noted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noted {
    /// The call is answered: its record as it would stand if it were cut this instant, and what it is charged by.
    Answered {
        cdr: Cdr,
        /// Zero where nothing is charged.
        reserved: Money,
        /// What the call is charged by, whatever happens to the tenant's rate since; `None` where nothing is charged.
        rate: Option<Rate>,
        /// On the clock of this run, as the beats are.
        mono: Mono,
        /// Of a robot's call.
        lead: Option<Box<LeadTerms>>,
    },
    /// The call is recorded into this file, below the recordings folder.
    Recording { file: String },
    /// Said, and not to be taken back any more.
    Turn(TurnRecord),
    /// The call is over: its end as it stands, but for the figures of its media, which it waits for.
    Over(Box<Finish>),
}

/// What decides where an attempt leaves its lead, as it was when the call began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadTerms {
    /// Before this one.
    pub attempts: u32,
    /// Before this one.
    pub unreached_in_a_row: u32,
    /// Of an earlier attempt.
    pub grade: Option<Grade>,
    pub max_attempts: u32,
    pub retry: RetryRules,
    pub rules: Rules,
}

impl LeadTerms {
    pub fn of(campaign: &Campaign, lead: &Lead) -> LeadTerms {
        LeadTerms {
            attempts: lead.attempts,
            unreached_in_a_row: lead.unreached_in_a_row,
            grade: lead.grade,
            max_attempts: campaign.max_attempts,
            retry: campaign.retry,
            rules: Rules {
                unreached_in_a_row: campaign.unconnected,
                ..Rules::default()
            },
        }
    }

    /// Where the attempt leaves the lead. `grade`: the call's, where it has one.
    pub fn after(
        &self,
        disposition: Disposition,
        grade: Option<Grade>,
        opt_out: bool,
        ended_at: Wall,
    ) -> LeadUpdate {
        dialer::outcome::after_attempt(
            self.max_attempts,
            &self.retry,
            dialer::outcome::Before {
                attempts: self.attempts,
                unreached_in_a_row: self.unreached_in_a_row,
            },
            disposition,
            grade.or(self.grade).unwrap_or(Grade::E),
            opt_out,
            ended_at,
        )
    }
}

/// The end of a call: record, turns, grade, charge and lead outcome, one transaction, idempotent by call id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    pub cdr: Cdr,
    /// What was reserved at `Begin`; `cdr.charge` of it is settled, the rest released.
    pub reserved: Money,
    pub turns: Vec<TurnRecord>,
    pub grade: Option<GradeRecord>,
    pub labels: Vec<String>,
    pub lead: Option<LeadUpdate>,
    /// The callee asked never to be called again: suppress the number for the tenant.
    pub opt_out: bool,
    pub events: Vec<CallEvent>,
}

/// One line of the call's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    pub at: Wall,
    pub kind: Cow<'static, str>,
    pub data: Value,
}

/// An event for people: the API's event stream, the terminal of the demo, the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub tenant: TenantId,
    /// `call.created`, `extension.registered` … (conventions: API, events).
    pub kind: &'static str,
    pub occurred_at: Wall,
    pub data: Value,
}
