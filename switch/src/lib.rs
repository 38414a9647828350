//! The call centre as a value: `Node` takes inputs and time, gives effects and the next deadline.
//!
//! Map: `node` (dispatch) · `effect` (what goes in and out) · `directory` (who exists) · `call` (legs, money, record) · `app`
//! (what a call is about: a robot's conversation, a direct call) · `route` (where a device's call goes) · `campaigns` (lines,
//! claims, the gate) · `interrupted` (the end of a call whose process is gone) · `lines` (calls at once) · `world` (what all
//! calls share) · `ports` · `tone`.
//!
//! Invariant: no I/O, clock, chance or threads; the one place where `sip` and `media` meet. The same seed and inputs give the
//! same effects.

mod app;
mod call;
mod campaigns;
pub mod directory;
pub mod effect;
pub mod interrupted;
mod lines;
mod node;
mod ports;
mod route;
mod tone;
mod world;

pub use campaigns::{Standing, Waiting};
pub use directory::{CallerNumber, Device, Directory, Extension, TenantDirectory, Trunk};
pub use effect::{
    Begin, BeginRefused, CallEvent, CampaignPlan, Candidate, ClaimRefused, Claimed, Denied, Effect,
    Finish, Heard, Input, LeadTerms, MediaCommand, Note, Noted, Notice, Persist, Reserve,
};
pub use node::{Config, Figures, LiveCall, Node};
