//! Server transactions: INVITE (RFC 3261 §17.2.1 with RFC 6026 §7.1) and the others (§17.2.2).

use super::{COOKIE, Due, Layer};
use crate::event::InviteId;
use crate::flow::Flow;
use crate::message::{Essentials, Message, Method};
use crate::timers::TimerId;
use bytes::Bytes;
use model::{Mono, Now};
use std::net::SocketAddr;
use std::time::Duration;

/// RFC 3261 §17.2.3 in 128 keyed bits: branch, sent-by and method (or, without the cookie, the fields of RFC 2543).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey(u64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    /// A final response waits for its ACK (INVITE) or for retransmissions of the request.
    Completed,
    /// INVITE: the ACK came; more of them are absorbed.
    Confirmed,
    /// INVITE: a 2xx went out; the usage above repeats it until the ACK.
    Accepted,
}

pub(super) struct Server {
    flow: Flow,
    invite: bool,
    state: State,
    last: Bytes,
    owner: Option<InviteId>,
    interval: Duration,
    retransmit_at: Option<Mono>,
    end_at: Option<Mono>,
    timer: Option<TimerId>,
}

/// Where the response to a request goes (RFC 3261 §18.2.2, RFC 3581 §4): back where it came from; to the sent-by port only
/// when the sender neither asked for rport nor sits behind a translation.
pub(crate) fn response_flow(flow: Flow, essentials: &Essentials<'_>) -> Flow {
    let via = &essentials.via;
    let ip = flow.remote.ip();
    if flow.transport.is_reliable() || via.wants_rport() || via.ip() != Some(ip) {
        return flow;
    }
    Flow {
        remote: SocketAddr::new(ip, via.port.unwrap_or(5060)),
        ..flow
    }
}

impl Layer {
    /// `method` is the request's, or INVITE to find the transaction an ACK or CANCEL is about.
    pub fn server_key(
        &self,
        message: &Message,
        essentials: &Essentials<'_>,
        method: &[u8],
    ) -> ServerKey {
        let sent_by = essentials.via.sent_by.as_bytes();
        let two = |parts: &[&[u8]]| {
            let (first, second) = self.keyed.digest_wide(parts);
            ServerKey(first, second)
        };
        match essentials.via.branch() {
            Some(branch)
                if branch.len() > COOKIE.len()
                    && branch[..COOKIE.len()].eq_ignore_ascii_case(COOKIE) =>
            {
                two(&[branch, sent_by, method])
            }
            // RFC 2543 peers: Request-URI, From tag, Call-ID, CSeq, top Via; the To tag differs between INVITE and ACK.
            branch => two(&[
                essentials.call_id,
                essentials.from.tag().unwrap_or_default(),
                method,
                message.request_uri(),
                &essentials.cseq.to_le_bytes(),
                sent_by,
                branch.unwrap_or_default(),
            ]),
        }
    }

    pub fn servers_full(&self) -> bool {
        self.servers.len() >= self.config.max_transactions
    }

    pub fn has_server(&self, key: ServerKey) -> bool {
        self.servers.contains_key(&key)
    }

    /// The usage an INVITE started, while its transaction lives.
    pub fn server_owner(&self, key: ServerKey) -> Option<InviteId> {
        self.servers.get(&key).and_then(|s| s.owner)
    }

    /// An INVITE in progress; for other methods see `answer_now`.
    pub fn open_server(&mut self, key: ServerKey, flow: Flow, owner: InviteId) {
        let server = Server {
            flow,
            invite: true,
            state: State::Proceeding,
            last: Bytes::new(),
            owner: Some(owner),
            interval: self.config.t1,
            retransmit_at: None,
            end_at: None,
            timer: None,
        };
        self.servers.insert(key, server);
    }

    /// A transaction that is answered as soon as it begins.
    pub fn answer_now(
        &mut self,
        now: Now,
        key: ServerKey,
        flow: Flow,
        method: Method,
        code: u16,
        response: Bytes,
    ) {
        let server = Server {
            flow,
            invite: method == Method::Invite,
            state: State::Proceeding,
            last: Bytes::new(),
            owner: None,
            interval: self.config.t1,
            retransmit_at: None,
            end_at: None,
            timer: None,
        };
        self.servers.insert(key, server);
        self.respond(now, key, code, response);
    }

    pub fn respond(&mut self, now: Now, key: ServerKey, code: u16, response: Bytes) {
        let Some(server) = self.servers.get_mut(&key) else {
            return;
        };
        if server.state != State::Proceeding {
            return;
        }
        let t1 = self.config.t1;
        let reliable = server.flow.transport.is_reliable();
        let flow = server.flow;
        match (code, server.invite) {
            (100..200, _) => server.last = response.clone(),
            (200..300, true) => {
                server.state = State::Accepted;
                server.last = Bytes::new();
                // Timer L.
                server.end_at = Some(now.mono + t1 * 64);
            }
            (_, true) => {
                server.state = State::Completed;
                server.last = response.clone();
                // Timers G and H.
                server.retransmit_at = (!reliable).then(|| now.mono + t1);
                server.end_at = Some(now.mono + t1 * 64);
            }
            (_, false) => {
                server.state = State::Completed;
                server.last = response.clone();
                // Timer J.
                server.end_at = Some(now.mono + if reliable { Duration::ZERO } else { t1 * 64 });
            }
        }
        self.send(flow, response);
        self.arm_server(key);
    }

    fn arm_server(&mut self, key: ServerKey) {
        let Some(server) = self.servers.get_mut(&key) else {
            return;
        };
        if let Some(timer) = server.timer.take() {
            self.timers.cancel(timer);
        }
        let at = match (server.retransmit_at, server.end_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        server.timer = at.map(|at| self.timers.set(at, Due::Server(key)));
    }

    pub fn server_due(&mut self, now: Now, key: ServerKey) {
        let Some(server) = self.servers.get_mut(&key) else {
            return;
        };
        server.timer = None;
        if server.end_at.is_some_and(|at| at <= now.mono) {
            self.servers.remove(&key);
            return;
        }
        if server.retransmit_at.is_some_and(|at| at <= now.mono) {
            server.interval = (server.interval * 2).min(self.config.t2);
            server.retransmit_at = Some(now.mono + server.interval);
            let (flow, last) = (server.flow, server.last.clone());
            self.send(flow, last);
        }
        self.arm_server(key);
    }

    /// Whether the request was seen before; then its last response, if any, goes out again.
    pub fn retransmission(&mut self, key: ServerKey) -> bool {
        let Some(server) = self.servers.get(&key) else {
            return false;
        };
        if matches!(server.state, State::Proceeding | State::Completed) && !server.last.is_empty() {
            let (flow, last) = (server.flow, server.last.clone());
            self.send(flow, last);
        }
        true
    }

    /// An ACK with the INVITE's branch: to a refusal. `false` when there is no such transaction.
    pub fn server_ack(&mut self, now: Now, key: ServerKey) -> bool {
        let Some(server) = self.servers.get_mut(&key) else {
            return false;
        };
        match server.state {
            State::Completed => {
                server.state = State::Confirmed;
                server.retransmit_at = None;
                // Timer I.
                let linger = if server.flow.transport.is_reliable() {
                    Duration::ZERO
                } else {
                    self.config.t4
                };
                server.end_at = Some(now.mono + linger);
                self.arm_server(key);
                true
            }
            State::Confirmed => true,
            // A 2xx: the dialog wants this ACK, whatever branch it came with.
            State::Accepted | State::Proceeding => false,
        }
    }
}
