//! The call centre in virtual time: one `switch::Node` on a stage, a world around it that goes wrong on purpose, and a judge who
//! knows nothing of the node's inside and asks after every step whether what must always hold still holds.
//!
//! Map: `stage` (time, the queue, the node's effects performed) · around the node: `peer` (phones and gateways, real SIP endpoints on
//! a network that loses), `worker` (media), `callee` (who says what when, and a recogniser that knows it), `shop` (the database and
//! its writer), `journal` (what outlives a kill), `life` (kill, recovery, restart) · `house` (the tenant everything is played in) ·
//! `watch` (the judge) · `plan` (a world as a value, drawn from a seed), `trouble` (what goes wrong in it), `play` (a plan from
//! start to end), `shrink` (the smallest plan that still fails), `told` (for people).
//!
//! Invariant: one thread, no I/O, no clock, no chance but the seed's. The same plan gives the same log, byte for byte.

pub mod callee;
pub mod chance;
pub mod house;
pub mod journal;
mod life;
pub mod log;
pub mod peer;
pub mod plan;
pub mod play;
pub mod shop;
pub mod shrink;
pub mod stage;
pub mod told;
pub mod trouble;
pub mod watch;
pub mod worker;

pub use plan::{Options, Plan};
pub use play::{Outcome, play};
pub use stage::Stage;
pub use trouble::Kind;
pub use watch::{Law, Violation};
