//! The only crate that opens sockets for calls: it reads the clocks and the network, steps the node, performs its effects.

pub mod handle;

pub use handle::{Handle, LiveCallView, Notice, Question, Readiness, RegistrationView};
