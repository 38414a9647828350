//! The endpoint: one value that owns calls, registrations and transactions.
use crate::account::{Accounts, Credentials};
use crate::config::Config;
use crate::event::{Event, InviteId, RegistrationId};
use crate::flow::{Flow, Transmit};
use crate::registrar::Binding;
use crate::uri::{NameAddr, Uri};
use bytes::Bytes;
use model::{Mono, Now};
use std::time::Duration;

/// A call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// All requests of the call leave here; for a registered device its binding's flow.
    pub flow: Flow,
    /// Request-URI; for a registered device its binding's contact.
    pub target: Uri,
    pub from: NameAddr,
    pub to: Uri,
    /// SDP.
    pub offer: Bytes,
    pub credentials: Option<Credentials>,
    /// Further headers, such as P-Asserted-Identity. CR and LF never reach the wire.
    pub headers: Vec<(String, String)>,
    /// From the INVITE to CANCEL.
    pub ring_timeout: Duration,
}

/// A registration to keep up with somebody else's registrar.
#[derive(Clone, Debug)]
pub struct Registration {
    pub flow: Flow,
    /// Request-URI: the registrar's domain.
    pub registrar: Uri,
    pub aor: Uri,
    pub contact_user: String,
    pub credentials: Option<Credentials>,
    pub expires: Duration,
}

/// The SIP stack of one node.
pub struct Endpoint {
    config: Config,
    transmits: std::collections::VecDeque<Transmit>,
    events: std::collections::VecDeque<Event>,
}

impl Endpoint {
    /// All chance (branches, tags, Call-IDs, nonce key) comes from `seed`.
    pub fn new(config: Config, seed: [u8; 32]) -> Endpoint {
        let _ = seed;
        Endpoint {
            config,
            transmits: Default::default(),
            events: Default::default(),
        }
    }
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// One datagram.
    pub fn receive(&mut self, now: Now, flow: Flow, bytes: &[u8], accounts: &dyn Accounts) {
        let _ = (now, flow, bytes, accounts);
    }
    /// Fires what is due.
    pub fn expire(&mut self, now: Now) {
        let _ = now;
    }
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
    /// The flow cannot carry requests: what was waiting on it fails.
    pub fn transport_failed(&mut self, now: Now, flow: Flow) {
        let _ = (now, flow);
    }
    pub fn invite(&mut self, now: Now, invite: Invite) -> InviteId {
        let _ = (now, invite);
        InviteId(0)
    }
    /// UAS: 180, or 183 with early media.
    pub fn ring(&mut self, now: Now, id: InviteId, early: Option<Bytes>) {
        let _ = (now, id, early);
    }
    /// UAS: 200, retransmitted until its ACK.
    pub fn answer(&mut self, now: Now, id: InviteId, sdp: Bytes) {
        let _ = (now, id, sdp);
    }
    /// UAS: a final refusal. `reason` empty: the standard phrase.
    pub fn reject(&mut self, now: Now, id: InviteId, code: u16, reason: &str, q850: Option<u8>) {
        let _ = (now, id, code, reason, q850);
    }
    /// CANCEL, BYE or a refusal, whichever is legal now; nothing when the usage is over.
    pub fn hang_up(&mut self, now: Now, id: InviteId, q850: Option<u8>, text: &str) {
        let _ = (now, id, q850, text);
    }
    /// Answers `Event::Reoffer`.
    pub fn reoffer_accept(&mut self, now: Now, id: InviteId, sdp: Bytes) {
        let _ = (now, id, sdp);
    }
    pub fn reoffer_reject(&mut self, now: Now, id: InviteId, code: u16) {
        let _ = (now, id, code);
    }
    /// A new offer inside the call; ends in `Event::Reoffered`.
    pub fn reinvite(&mut self, now: Now, id: InviteId, sdp: Bytes) {
        let _ = (now, id, sdp);
    }
    /// Keeps a registration of ours with another registrar (gateways, tests, providers).
    pub fn register(&mut self, now: Now, registration: Registration) -> RegistrationId {
        let _ = (now, registration);
        RegistrationId(0)
    }
    pub fn unregister(&mut self, now: Now, id: RegistrationId) {
        let _ = (now, id);
    }
    /// Live bindings of an AOR, best `q` first, newest first among equals.
    pub fn bindings(&self, aor: &str, now: Now) -> impl Iterator<Item = &Binding> {
        let _ = (aor, now);
        std::iter::empty()
    }
    /// At start, from where they were written.
    pub fn restore(&mut self, now: Now, bindings: Vec<Binding>) {
        let _ = (now, bindings);
    }
    /// A ban: forgets them without an event.
    pub fn drop_bindings(&mut self, aor: &str) {
        let _ = aor;
    }
    /// INVITE usages alive, those still saying goodbye included.
    pub fn active(&self) -> usize {
        0
    }
    /// No usage, no transaction, no timer of a call. Bindings do not count.
    pub fn is_idle(&self) -> bool {
        true
    }
}
