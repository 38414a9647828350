//! The only crate that opens sockets for calls: it reads the clocks and the network, steps the node, performs its effects.
//!
//! Map: `engine` (starts and stops it all) · `handle` (what others may ask) · `node_thread` (sockets, letter box, effects) ·
//! `inbox` (the letter box) · `media_worker` (RTP sockets and their thread) · `recorder` (two-channel files) · `disk` (room for
//! what is written) · `store_side` (what is loaded from and written to the database, and told to the journal) · `metrics` (what
//! is counted) · `told` (events as log lines) · `clock`.
//!
//! Threads: one node, one per media worker, one recorder, one for the journal, those of `speech`; tokio carries the database and the API.

pub mod clock;
pub mod disk;
mod engine;
pub mod handle;
mod inbox;
mod media_worker;
mod metrics;
mod node_thread;
mod recorder;
mod store_side;
mod told;

pub use engine::{Config, Engine, Hearing, RtpPorts, StartError};
pub use handle::{Handle, LiveCallView, Notice, Question, Readiness, RegistrationView};
pub use metrics::{Metrics, Process, Words};
pub use switch::{ClaimRefused, Standing, Waiting};
