//! SIP without I/O: bytes and `now` in; bytes, events and the next deadline out.
//!
//! Map: `uri` and `flow` (values) · `message` (tolerant reader) · `headers` (values inside header fields) · `write` (strict
//! writer) · `digest` and `auth` (who is there) · `transaction` (RFC 3261 §17, RFC 6026) · `dialog` (§12) · `invite` (calls,
//! both sides) · `registrar` (bindings of others with us) · `registration` (ours with others) · `endpoint` (all of it as one
//! value; start there) · `event`, `config`, `account` (what goes in and comes out) · `timers`, `throttle`, `chance`.
//!
//! Invariant: no sockets, no clock, no chance of its own, no SDP understood, nothing kept of media. Time comes as
//! `model::Now`, chance as a seed, accounts through a trait asked per datagram.

pub mod account;
mod auth;
mod chance;
pub mod config;
mod dialog;
pub mod digest;
pub mod endpoint;
pub mod event;
pub mod flow;
pub mod headers;
pub mod invite;
pub mod message;
pub mod registrar;
pub mod registration;
mod throttle;
mod timers;
mod transaction;
pub mod uri;
pub mod write;

pub use account::{Account, Accounts, Credentials, Secret};
pub use config::{Config, DigestOffer};
pub use endpoint::Endpoint;
pub use event::{Authenticated, Event, Incoming, InviteId, RegistrationId, RejectReason};
pub use flow::{Flow, Transmit, Transport};
pub use invite::Invite;
pub use message::{Message, Method, Name, ParseError};
pub use registrar::Binding;
pub use registration::Registration;
pub use uri::{NameAddr, Scheme, Uri, UriError};
pub use write::Writer;
