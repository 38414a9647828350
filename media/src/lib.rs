//! What callers hear and say: packets, commands and time in; packets, frames and events out.
//!
//! Map: `worker` (the value a media thread owns: legs, bridges, their clock) · `leg` (one party: its source check,
//! receiver, sender, player) · `sdp` (offer and answer as values) · `rtp` (reading, writing and splicing packets) ·
//! `rtcp` (receiver figures) · `jitter` (playout with loss concealment) · `codec` (G.711) · `dtmf` (RFC 4733) · `gate`
//! (energy gate) · `prompt` (uploaded files to 8 kHz) · `recording` (two-channel frames) · `measure` (levels and
//! frequencies, for tests and doctors).
//!
//! One time base per leg: sample 0 is the first 20 ms frame after its first `Connect`, and it runs with the wall
//! whether frames are wanted or not. `Frame::at` and the `at` of `Out::recorded` are offsets on it, so a turn's offset
//! points into the recording.
//!
//! Invariant: no SIP, sockets, files, clock, chance, lock or thread here; no allocation per packet or tick.

pub mod codec;
mod conceal;
pub mod dtmf;
pub mod gate;
pub mod jitter;
mod leg;
pub mod measure;
mod player;
pub mod prompt;
pub mod recording;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod wheel;
pub mod worker;

pub use codec::Codec;
pub use jitter::JitterConfig;
pub use prompt::{Prompt, PromptError};
pub use sdp::{Direction, LocalParams, Negotiated, SdpError};
pub use worker::{Command, Event, Frame, Out, Worker, WorkerConfig};

/// Samples a second everywhere in this crate.
pub const SAMPLE_RATE: u32 = 8000;
/// Samples of one 20 ms frame.
pub const FRAME: usize = 160;
/// One 20 ms mono frame, linear 16 bit at 8 kHz.
pub type Pcm = [i16; FRAME];
