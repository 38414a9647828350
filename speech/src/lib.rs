//! Hearing: who speaks when, and what was said.

mod clock;
pub mod source;
mod speech;
pub mod words;

pub use source::{Shared, Source, Stop};
pub use speech::{Busy, Config, Load, Speech, SpeechEvent, TapFrame};
