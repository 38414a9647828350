//! Client transactions: INVITE (RFC 3261 §17.1.1 with RFC 6026 §7.2) and the others (§17.1.2).

use super::{COOKIE, ClientKey, Due, Layer, Owner};
use crate::chance::unhex16;
use crate::flow::Flow;
use crate::message::{Essentials, Message, Method, Name};
use crate::timers::TimerId;
use crate::write::Writer;
use bytes::Bytes;
use model::{Mono, Now};
use smallvec::SmallVec;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Also Trying.
    Calling,
    Proceeding,
    /// INVITE: a refusal was acknowledged, repeats of it are too. Others: repeats are absorbed.
    Completed,
    /// INVITE: 2xx seen; repeats are acknowledged, other forks handed up.
    Accepted,
}

pub(super) struct Client {
    flow: Flow,
    method: Method,
    /// The request, for retransmission and for the ACK and CANCEL derived from it.
    bytes: Bytes,
    owner: Owner,
    state: State,
    interval: Duration,
    retransmit_at: Option<Mono>,
    end_at: Option<Mono>,
    timer: Option<TimerId>,
    /// The ACK to a refusal, or one per 2xx by its To tag.
    acks: SmallVec<[(Bytes, Bytes); 1]>,
}

/// What a response means to the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// First sight of this response.
    Response(Owner, ClientKey),
    /// A 2xx from another fork than the one that won.
    Fork(ClientKey),
    /// Nobody needs to know.
    Absorbed,
}

impl Layer {
    pub fn branch(&mut self) -> u64 {
        self.chance.word()
    }

    pub fn start(
        &mut self,
        now: Now,
        flow: Flow,
        branch: u64,
        method: Method,
        bytes: Bytes,
        owner: Owner,
    ) {
        let key = ClientKey {
            branch,
            cancel: method == Method::Cancel,
        };
        self.send(flow, bytes.clone());
        let t1 = self.config.t1;
        let client = Client {
            flow,
            method,
            bytes,
            owner,
            state: State::Calling,
            interval: t1,
            // Timers A and E; B and F.
            retransmit_at: (!flow.transport.is_reliable()).then(|| now.mono + t1),
            end_at: Some(now.mono + t1 * 64),
            timer: None,
            acks: SmallVec::new(),
        };
        self.clients.insert(key, client);
        self.arm_client(key);
    }

    fn arm_client(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        if let Some(timer) = client.timer.take() {
            self.timers.cancel(timer);
        }
        let at = match (client.retransmit_at, client.end_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        client.timer = at.map(|at| self.timers.set(at, Due::Client(key)));
    }

    fn drop_client(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.remove(&key)
            && let Some(timer) = client.timer
        {
            self.timers.cancel(timer);
        }
    }

    /// The owner, when the request timed out.
    pub fn client_due(&mut self, now: Now, key: ClientKey) -> Option<Owner> {
        let client = self.clients.get_mut(&key)?;
        client.timer = None;
        if client.end_at.is_some_and(|at| at <= now.mono) {
            let failed =
                matches!(client.state, State::Calling | State::Proceeding).then_some(client.owner);
            self.drop_client(key);
            return failed;
        }
        if client.retransmit_at.is_some_and(|at| at <= now.mono) {
            let doubled = client.interval * 2;
            client.interval = match (client.method, client.state) {
                (Method::Invite, _) => doubled,
                (_, State::Proceeding) => self.config.t2,
                _ => doubled.min(self.config.t2),
            };
            client.retransmit_at = Some(now.mono + client.interval);
            let (flow, bytes) = (client.flow, client.bytes.clone());
            self.send(flow, bytes);
        }
        self.arm_client(key);
        None
    }

    /// RFC 3261 §17.1.3: by the branch and the method of CSeq; only responses from where the request went count.
    pub fn match_response(
        &self,
        flow: Flow,
        message: &Message,
        essentials: &Essentials<'_>,
    ) -> Option<ClientKey> {
        let branch = essentials
            .via
            .branch()?
            .strip_prefix(COOKIE)
            .and_then(unhex16)?;
        let key = ClientKey {
            branch,
            cancel: essentials.cseq_method == Method::Cancel,
        };
        let client = self.clients.get(&key)?;
        // One Via only: ours. More means it was meant for somebody before us (§8.1.3.3).
        let ours =
            essentials.via.sent_by == self.sent_by && message.list(Name::Via).nth(1).is_none();
        (ours
            && client.method == essentials.cseq_method
            && client.flow.remote.ip() == flow.remote.ip())
        .then_some(key)
    }

    pub fn response(
        &mut self,
        now: Now,
        key: ClientKey,
        message: &Message,
        essentials: &Essentials<'_>,
    ) -> Outcome {
        let (Some(client), Some(code)) = (self.clients.get_mut(&key), message.status()) else {
            return Outcome::Absorbed;
        };
        let (t1, t4) = (self.config.t1, self.config.t4);
        let reliable = client.flow.transport.is_reliable();
        let invite = client.method == Method::Invite;
        let open = matches!(client.state, State::Calling | State::Proceeding);
        let outcome = Outcome::Response(client.owner, key);
        match (code, invite) {
            (100..200, _) if !open => return Outcome::Absorbed,
            (100..200, true) => {
                client.state = State::Proceeding;
                // No transaction timer now: the usage above limits ringing. A re-INVITE does not ring, and its dialog may
                // end while it waits.
                let limit = matches!(client.owner, Owner::Reinvite(_)).then(|| now.mono + t1 * 128);
                (client.retransmit_at, client.end_at) = (None, limit);
            }
            (100..200, false) => client.state = State::Proceeding,
            (200..300, true) if open || client.state == State::Accepted => {
                let tag = essentials.to.tag().unwrap_or_default();
                if let Some((_, ack)) = client.acks.iter().find(|(t, _)| t == tag) {
                    let (flow, ack) = (client.flow, ack.clone());
                    self.send(flow, ack);
                    return Outcome::Absorbed;
                }
                if !open {
                    return Outcome::Fork(key);
                }
                client.state = State::Accepted;
                // Timer M.
                (client.retransmit_at, client.end_at) = (None, Some(now.mono + t1 * 64));
            }
            (_, true) if open => {
                client.state = State::Completed;
                // Timer D.
                let linger = if reliable {
                    Duration::ZERO
                } else {
                    Duration::from_secs(32).max(t1 * 64)
                };
                (client.retransmit_at, client.end_at) = (None, Some(now.mono + linger));
                let flow = client.flow;
                if let Some(ack) = derived("ACK", &client.bytes, Some(essentials.to_value)) {
                    client.acks.push((Bytes::new(), ack.clone()));
                    self.send(flow, ack);
                }
            }
            (300.., true) => {
                let ack = client
                    .acks
                    .first()
                    .map(|(_, ack)| (client.flow, ack.clone()));
                if let (Some((flow, ack)), State::Completed) = (ack, client.state) {
                    self.send(flow, ack);
                }
                return Outcome::Absorbed;
            }
            (_, false) if open => {
                client.state = State::Completed;
                // Timer K.
                let linger = if reliable { Duration::ZERO } else { t4 };
                (client.retransmit_at, client.end_at) = (None, Some(now.mono + linger));
            }
            _ => return Outcome::Absorbed,
        }
        self.arm_client(key);
        outcome
    }

    /// RFC 3261 §17: the ACK to a 2xx comes from the dialog; here it is kept for repeats of that 2xx.
    pub fn acknowledge(&mut self, key: ClientKey, tag: Bytes, ack: Bytes) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let flow = client.flow;
        // A peer that forks without end gets its ACKs, but we remember only so many.
        if client.acks.len() < 16 {
            client.acks.push((tag, ack.clone()));
        }
        self.send(flow, ack);
    }

    /// The flow and the request a transaction was started with.
    pub fn request_of(&self, key: ClientKey) -> Option<(Flow, Bytes)> {
        self.clients.get(&key).map(|c| (c.flow, c.bytes.clone()))
    }

    /// Sends CANCEL for an INVITE that has a provisional response (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Now, branch: u64, reason: Option<&[u8]>) {
        let Some((flow, invite)) = self.request_of(ClientKey {
            branch,
            cancel: false,
        }) else {
            return;
        };
        let Some(mut bytes) = derived("CANCEL", &invite, None) else {
            return;
        };
        if let Some(reason) = reason {
            // The derived request ends in `Content-Length: 0`; the reason goes in front of it.
            let at = bytes.len() - b"Content-Length: 0\r\n\r\n".len();
            let mut w = Writer::lines();
            w.block(&bytes[..at]).header("Reason", reason);
            bytes = w.finish();
        }
        self.start(now, flow, branch, Method::Cancel, bytes, Owner::Nobody);
    }

    /// Gives an INVITE up without waiting for its final response any longer.
    pub fn abandon(&mut self, branch: u64) {
        self.drop_client(ClientKey {
            branch,
            cancel: false,
        });
    }

    /// Requests that wait on this flow; they are dropped, their owners told.
    pub fn fail_flow(&mut self, flow: Flow) -> Vec<Owner> {
        let mut keys: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, c)| {
                c.flow == flow && matches!(c.state, State::Calling | State::Proceeding)
            })
            .map(|(key, c)| (key.branch, *key, c.owner))
            .collect();
        keys.sort_by_key(|(branch, key, _)| (*branch, key.cancel));
        keys.into_iter()
            .map(|(_, key, owner)| {
                self.drop_client(key);
                owner
            })
            .collect()
    }
}

/// The ACK to a refusal (RFC 3261 §17.1.1.3) and CANCEL (§9.1) repeat the INVITE's Request-URI, top Via, Route, From,
/// Call-ID and CSeq number; To is the response's for ACK, the request's for CANCEL.
fn derived(method: &str, request: &[u8], to: Option<&[u8]>) -> Option<Bytes> {
    let request = Message::parse(request).ok()?;
    let essentials = request.essentials().ok()?;
    let mut w = Writer::request(method, std::str::from_utf8(request.request_uri()).ok()?);
    w.echo("Via", request.first(Name::Via)?);
    w.number("Max-Forwards", 70);
    for route in request.all(Name::Route) {
        w.echo("Route", route);
    }
    w.echo("From", essentials.from_value);
    w.echo("To", to.unwrap_or(essentials.to_value));
    w.echo("Call-ID", essentials.call_id);
    w.parts(
        "CSeq",
        &[
            essentials.cseq.to_string().as_bytes(),
            b" ",
            method.as_bytes(),
        ],
    );
    // §22.1: an ACK carries the credentials of its INVITE.
    if method == "ACK" {
        for name in [Name::Authorization, Name::ProxyAuthorization] {
            for value in request.all(name) {
                w.echo(name.written(), value);
            }
        }
    }
    Some(w.finish())
}
