//! The words every room of the house shares: time, ids, numbers, money, grades, call records, calendars.
//!
//! Map: `time` (Now, Mono, Wall) · `id` (typed ids and how they are minted) · `number` (E.164 and dialled strings) ·
//! `money` (integers in the smallest unit) · `grade` (A–F and why a call reached nobody) · `call` (dispositions,
//! terminations, the call record) · `calendar` (weekly spans, holidays, zones).
//!
//! Invariant: no behaviour of calls, no I/O, no clock, no randomness here.

pub mod calendar;
pub mod call;
pub mod grade;
pub mod id;
pub mod money;
pub mod number;
pub mod time;

pub use calendar::{Calendar, Span, Weekday};
pub use call::{Cdr, Direction, Disposition, EndedBy, LegStats, Termination};
pub use grade::{Grade, Unreached};
pub use id::{
    CallId, CallerNumberId, CampaignId, ExtensionId, LeadId, LegId, Minter, PlayId, PromptId,
    RequestId, TemplateId, TenantId, TrunkId, UserId,
};
pub use money::{Currency, Money};
pub use number::{E164, Masked, NumberError, Zone};
pub use time::{Mono, Now, Wall};
