//! Hearing: who speaks when, and what was said.
//!
//! Map: `vad` (silero, one leg's state) · `ear` (one leg: audio kept, voice started and paused, spans cut) · `listener` (the
//! thread that drains every leg's ring) · `queue` (what waits for a worker, in which order, until when) · `pool` (the
//! worker threads) · `source` (where a worker's recogniser comes from) · `whisper` (whisper-rs) · `scripted` (a pretended
//!
//! A frame's way: media worker → bounded ring → listener → ear → `SpeechEvent::VoicePaused` → the engine asks
//! `Speech::recognise` → the ear cuts and trims the span → queue → worker → `bots::distrust` → `SpeechEvent::Recognised`.
//!
//! Invariant: nothing here is ever waited for. A full ring loses frames (the producer counts them), a full queue answers
//! `NotHeard`, a hung worker is replaced; media and signalling go on.

mod clock;
pub mod ear;
pub mod evaluate;
mod listener;
pub mod models;
mod pool;
mod queue;
mod resample;
pub mod scripted;
pub mod source;
mod speech;
pub mod vad;
pub mod whisper;

pub use scripted::Scripted;
pub use source::{Shared, Source, Stop};
pub use speech::{Busy, Config, Load, Speech, SpeechEvent, StartError, TapFrame};
pub use whisper::Whisper;
