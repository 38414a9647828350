//! Whom to dial, when, and how many at once.
//!
//! Map: `gate` (`may_dial`: the one question before every outbound leg) · `policy` (the rules it asks under) · `special`
//! (emergency and short numbers, premium prefixes) · `calling_window` (several calendars in several zones at once) ·
//! `suppression` (do-not-call entries) · `campaign` (the plan) · `lead` (one number of a list and the graph of its states) ·
//! `attempt` (one dial of one lead) · `outcome` (what an ended attempt or a denial makes of the lead) · `pacing` (free lines).
//!
//! Invariant: values and pure functions. No SIP, audio, SQL, clock, randomness or money but the figures handed in.

pub mod attempt;
pub mod calling_window;
pub mod campaign;
pub mod gate;
pub mod lead;
pub mod outcome;
pub mod pacing;
pub mod policy;
pub mod special;
pub mod suppression;

pub use attempt::{Attempt, LastAttempt};
pub use campaign::{Campaign, CampaignError, CampaignState, Mode, RetryRules};
pub use gate::{Decision, History, Rule, may_dial, may_dial_special};
pub use lead::{Lead, LeadState, LeadStateKind};
pub use outcome::LeadUpdate;
pub use pacing::{Free, InUse, Lines, StartRate, free_lines};
pub use policy::{AfterRefusal, By, FrequencyCap, Policy, Purpose};
pub use special::{Called, EMERGENCY, SpecialKind};
pub use suppression::{DncHit, DncList, OptOutBy, Suppression};
