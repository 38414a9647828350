//! The endpoint: one value that owns calls, registrations and transactions.

mod receive;
mod register;

use crate::account::Accounts;
use crate::auth::Authenticator;
use crate::chance::Chance;
use crate::config::Config;
use crate::event::{Event, InviteId, RegistrationId};
use crate::flow::{Flow, Transmit};
use crate::invite::{Calls, Invite};
use crate::registrar::{Binding, Registrar};
use crate::registration::{Registration, Registrations};
use crate::throttle::Throttle;
use crate::transaction::{Due, Layer, Owner};
use bytes::Bytes;
use model::{Mono, Now};

/// The SIP stack of one node.
pub struct Endpoint {
    layer: Layer,
    calls: Calls,
    registrar: Registrar,
    registrations: Registrations,
    auth: Authenticator,
    throttle: Throttle,
}

impl Endpoint {
    /// All chance (branches, tags, Call-IDs, the nonce key) comes from `seed`.
    pub fn new(config: Config, seed: [u8; 32]) -> Endpoint {
        let mut chance = Chance::new(seed);
        let auth = Authenticator::new(chance.key(), config.nonce_lifetime);
        let throttle = Throttle::new(chance.hasher(), config.options_per_second);
        let layer = Layer::new(config, chance);
        Endpoint {
            calls: Calls::new(layer.keyed),
            registrar: Registrar::new(layer.keyed),
            registrations: Registrations::new(layer.keyed),
            auth,
            throttle,
            layer,
        }
    }

    pub fn config(&self) -> &Config {
        &self.layer.config
    }

    /// One datagram.
    pub fn receive(&mut self, now: Now, flow: Flow, bytes: &[u8], accounts: &dyn Accounts) {
        self.datagram(now, flow, bytes, accounts);
    }

    /// Fires what is due.
    pub fn expire(&mut self, now: Now) {
        while let Some(due) = self.layer.timers.pop_due(now.mono) {
            match due {
                Due::Client(key) => {
                    if let Some(owner) = self.layer.client_due(now, key) {
                        self.failed(now, owner, 408);
                    }
                }
                Due::Server(key) => self.layer.server_due(now, key),
                Due::Registration(id) => self.registrations.due(&mut self.layer, now, id),
                due => self.calls.due(&mut self.layer, now, due),
            }
        }
        self.registrar.expire(now, &mut self.layer.events);
    }

    fn failed(&mut self, now: Now, owner: Owner, code: u16) {
        match owner {
            Owner::Registration(id) => self.registrations.failed(&mut self.layer, now, id, code),
            owner => self.calls.failed(&mut self.layer, now, owner, code),
        }
    }

    /// When `expire` has something to do.
    pub fn next_deadline(&self) -> Option<Mono> {
        match (self.layer.timers.next(), self.registrar.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.layer.transmits.pop_front()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        self.layer.events.pop_front()
    }

    /// The flow cannot carry requests: those that wait on it fail with 503.
    pub fn transport_failed(&mut self, now: Now, flow: Flow) {
        for owner in self.layer.fail_flow(flow) {
            self.failed(now, owner, 503);
        }
    }

    /// Places a call.
    pub fn invite(&mut self, now: Now, invite: Invite) -> InviteId {
        self.calls.invite(&mut self.layer, now, invite)
    }
    /// UAS: 180, or 183 with early media.
    pub fn ring(&mut self, now: Now, id: InviteId, early: Option<Bytes>) {
        self.calls.ring(&mut self.layer, now, id, early);
    }
    /// UAS: 200, retransmitted until its ACK.
    pub fn answer(&mut self, now: Now, id: InviteId, sdp: impl Into<Bytes>) {
        self.calls.answer(&mut self.layer, now, id, sdp.into());
    }
    /// UAS: a final refusal (300 to 699). `reason` empty: the standard phrase.
    pub fn reject(&mut self, now: Now, id: InviteId, code: u16, reason: &str, q850: Option<u8>) {
        self.calls
            .reject(&mut self.layer, now, id, code, reason, q850);
    }
    /// CANCEL, BYE or a refusal, whichever is legal now; nothing when the usage is over. Its terminal event comes at once.
    pub fn hang_up(&mut self, now: Now, id: InviteId, q850: Option<u8>, text: &str) {
        self.calls.hang_up(&mut self.layer, now, id, q850, text);
    }
    /// Answers `Event::Reoffer` with an answer, or with an offer when there was none.
    pub fn reoffer_accept(&mut self, now: Now, id: InviteId, sdp: impl Into<Bytes>) {
        self.calls
            .reoffer_accept(&mut self.layer, now, id, sdp.into());
    }
    /// The call goes on as it was.
    pub fn reoffer_reject(&mut self, now: Now, id: InviteId, code: u16) {
        self.calls.reoffer_reject(&mut self.layer, now, id, code);
    }
    /// A new offer inside the call; ends in `Event::Reoffered`.
    pub fn reinvite(&mut self, now: Now, id: InviteId, sdp: impl Into<Bytes>) {
        self.calls.reinvite(&mut self.layer, now, id, sdp.into());
    }

    /// Keeps a registration of ours with another registrar.
    pub fn register(&mut self, now: Now, registration: Registration) -> RegistrationId {
        self.registrations
            .register(&mut self.layer, now, registration)
    }
    pub fn unregister(&mut self, now: Now, id: RegistrationId) {
        self.registrations.unregister(&mut self.layer, now, id);
    }

    /// Live bindings of an AOR, best `q` first, newest first among equals.
    pub fn bindings(&self, aor: &str, now: Now) -> impl Iterator<Item = &Binding> {
        self.registrar.bindings(aor, now)
    }
    /// Devices with a binding.
    pub fn devices(&self) -> usize {
        self.registrar.devices()
    }
    /// At start, from where they were written.
    pub fn restore(&mut self, now: Now, bindings: Vec<Binding>) {
        self.registrar.restore(now, bindings);
    }
    /// A ban: forgets them without an event.
    pub fn drop_bindings(&mut self, aor: &str) {
        self.registrar.drop_bindings(aor);
    }

    /// INVITE usages alive, those still saying goodbye included.
    pub fn active(&self) -> usize {
        self.calls.len()
    }
    /// No usage, no transaction, no registration of ours, none of their timers. Bindings do not count.
    pub fn is_idle(&self) -> bool {
        self.calls.len() == 0 && self.registrations.is_empty() && self.layer.is_idle()
    }
}
