//! INVITE usages, both sides: from the first request to the last answer to BYE.
//!
//! Terminal events come when the call is over for its owner; a usage may outlive them, silent, until the wire is clean
//! (`Closing`, a CANCEL under way, a 200 whose ACK must come before our BYE).

mod inside;
mod uac;
mod uas;

use crate::account::Credentials;
use crate::chance::{Keyed, unhex16};
use crate::dialog::Dialog;
use crate::event::{Event, InviteId};
use crate::flow::Flow;
use crate::message::{Essentials, Message, Method, Name};
use crate::timers::TimerId;
use crate::transaction::{ALLOW, ClientKey, Due, Layer, Owner, ServerKey};
use crate::uri::{NameAddr, Uri};
use crate::write::{Writer, reason_value};
use bytes::Bytes;
use model::{Mono, Now};
use std::collections::HashMap;
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
    /// Further headers, such as P-Asserted-Identity. CR and LF never reach the wire, and headers of the stack's own
    /// (Via, From, Contact …) are left out.
    pub headers: Vec<(String, String)>,
    /// From the INVITE to CANCEL.
    pub ring_timeout: Duration,
    /// 70, or one less than the incoming call's (`Incoming::max_forwards`) when this call goes on from another, so that
    /// loops through us end.
    pub max_forwards: u8,
}

impl Invite {
    /// Without credentials and further headers, ringing for a minute.
    pub fn new(
        flow: Flow,
        target: Uri,
        from: NameAddr,
        to: Uri,
        offer: impl Into<Bytes>,
    ) -> Invite {
        Invite {
            flow,
            target,
            from,
            to,
            offer: offer.into(),
            credentials: None,
            headers: Vec::new(),
            ring_timeout: Duration::from_secs(60),
            max_forwards: 70,
        }
    }
}

/// How a call is ended, for Reason headers.
#[derive(Clone, Debug, Default)]
struct Farewell {
    q850: Option<u8>,
    text: String,
}

impl Farewell {
    fn header(&self) -> Option<Vec<u8>> {
        reason_value(self.q850, None, &self.text)
    }
}

struct Usage {
    dialog: Dialog,
    credentials: Option<Credentials>,
    state: State,
    /// An offer of ours that met one of the peer's (491) and will be made again.
    waiting: Option<Waiting>,
    /// We placed it: the Call-ID is ours.
    placed: bool,
    /// The terminal event is out; nothing more is told.
    silent: bool,
}

enum State {
    /// UAC, before a final response.
    Calling(Box<Calling>),
    /// UAS, before one.
    Ringing(Box<Ringing>),
    /// UAS, our 200 is out, its ACK not in.
    Accepted {
        ok: PendingOk,
        farewell: Option<Farewell>,
    },
    Up(Exchange),
    /// Our BYE is out. A re-INVITE of ours may still be answered.
    Closing {
        challenged: bool,
        farewell: Farewell,
    },
}

struct Calling {
    branch: u64,
    /// A provisional response allows CANCEL.
    provisional: bool,
    /// Hung up while it was ringing.
    farewell: Option<Farewell>,
    timer: Option<TimerId>,
    challenges: u8,
    max_forwards: u8,
    /// Header lines from the owner, and the offer: for a second INVITE with credentials.
    headers: Bytes,
    offer: Bytes,
}

struct Ringing {
    server: ServerKey,
    /// Lines common to all responses.
    head: Bytes,
    record_routes: Bytes,
    offered: bool,
    timer: TimerId,
    /// Names this INVITE among forks of one request (RFC 3261 §8.2.2.2).
    merge_key: u64,
}

/// A 200 to an INVITE, sent until its ACK comes (RFC 3261 §13.3.1.4).
struct PendingOk {
    cseq: u32,
    flow: Flow,
    bytes: Bytes,
    interval: Duration,
    give_up_at: Mono,
    timer: TimerId,
    /// The offer was the peer's; otherwise the ACK brings an answer.
    offered: bool,
}

/// An offer and answer inside a call that is up.
enum Exchange {
    None,
    /// The peer's re-INVITE waits for our owner.
    Theirs {
        server: ServerKey,
        head: Bytes,
        cseq: u32,
        flow: Flow,
        offered: bool,
        timer: TimerId,
    },
    /// Our 200 to it waits for its ACK.
    TheirsAccepted(PendingOk),
    /// Our re-INVITE waits for the peer.
    Ours {
        branch: u64,
        sdp: Bytes,
        attempts: u8,
        challenged: bool,
    },
}

struct Waiting {
    timer: TimerId,
    sdp: Bytes,
    attempts: u8,
}

pub(crate) struct Calls {
    usages: HashMap<InviteId, Usage, Keyed>,
    /// Local tags.
    tags: HashMap<u64, InviteId, Keyed>,
    /// Incoming INVITEs not yet answered, to recognise their forks.
    merges: HashMap<u64, InviteId, Keyed>,
    next: u64,
}

impl Calls {
    pub fn new(hasher: Keyed) -> Calls {
        Calls {
            usages: HashMap::with_hasher(hasher),
            tags: HashMap::with_hasher(hasher),
            merges: HashMap::with_hasher(hasher),
            next: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.usages.len()
    }

    fn insert(&mut self, usage: Usage) -> InviteId {
        self.next += 1;
        let id = InviteId(self.next);
        self.tags.insert(usage.dialog.local_tag, id);
        self.usages.insert(id, usage);
        id
    }

    /// Takes a usage out with every timer of its own.
    fn remove(&mut self, layer: &mut Layer, id: InviteId) {
        let Some(usage) = self.usages.remove(&id) else {
            return;
        };
        self.tags.remove(&usage.dialog.local_tag);
        if let State::Ringing(ringing) = &usage.state {
            self.merges.remove(&ringing.merge_key);
        }
        if let Some(waiting) = usage.waiting {
            layer.timers.cancel(waiting.timer);
        }
        release(layer, usage.state);
    }

    /// Tells the owner the end of it, once.
    fn finish(&mut self, layer: &mut Layer, id: InviteId, event: Event) {
        if let Some(usage) = self.usages.get_mut(&id)
            && !std::mem::replace(&mut usage.silent, true)
        {
            layer.emit(event);
        }
    }

    /// The usage a request inside a dialog belongs to: by our tag, then by Call-ID and the peer's tag.
    pub fn find(&self, essentials: &Essentials<'_>) -> Option<InviteId> {
        let id = *self.tags.get(&unhex16(essentials.to.tag()?)?)?;
        self.usages
            .get(&id)?
            .dialog
            .is_from_peer(essentials)
            .then_some(id)
    }

    /// A response to, or the failure of, a request of ours.
    pub fn response(
        &mut self,
        layer: &mut Layer,
        now: Now,
        owner: Owner,
        key: ClientKey,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        match owner {
            Owner::Invite(id) => self.invite_response(layer, now, id, key, message, essentials),
            Owner::Reinvite(id) => self.reinvite_response(layer, now, id, key, message, essentials),
            Owner::Bye(id) => self.bye_response(layer, now, id, message),
            Owner::Registration(_) | Owner::Nobody => {}
        }
    }

    /// No response: `code` is 408 for a time-out, 503 for a transport that failed (RFC 3261 §8.1.3.1).
    pub fn failed(&mut self, layer: &mut Layer, now: Now, owner: Owner, code: u16) {
        match owner {
            Owner::Invite(id) => {
                let reason = if code == 408 {
                    "No response"
                } else {
                    "Transport failed"
                };
                let event = Event::Failed {
                    id,
                    code,
                    reason: reason.to_owned(),
                    q850: None,
                    local: true,
                };
                self.finish(layer, id, event);
                self.remove(layer, id);
            }
            Owner::Reinvite(id) => self.reinvite_failed(layer, now, id, code),
            Owner::Bye(id) => self.remove(layer, id),
            Owner::Registration(_) | Owner::Nobody => {}
        }
    }

    /// Ends whatever the call is in, by whichever request is legal now.
    pub fn hang_up(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        q850: Option<u8>,
        text: &str,
    ) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        if usage.silent {
            return;
        }
        let farewell = Farewell {
            q850,
            text: text.to_owned(),
        };
        let ended = Event::Ended {
            id,
            q850,
            text: text.to_owned(),
            local: true,
        };
        match &mut usage.state {
            State::Calling(_) => {
                let reason = if text.is_empty() {
                    "Request Terminated"
                } else {
                    text
                };
                let event = Event::Failed {
                    id,
                    code: 487,
                    reason: reason.to_owned(),
                    q850,
                    local: true,
                };
                self.finish(layer, id, event);
                self.cancel(layer, now, id, farewell);
            }
            State::Ringing(_) => {
                let code = match q850 {
                    Some(17) => 486,
                    Some(21) => 603,
                    Some(1) => 404,
                    _ => 480,
                };
                self.reject(layer, now, id, code, text, q850);
            }
            // RFC 3261 §15: the callee's BYE must wait for the ACK.
            State::Accepted {
                farewell: later, ..
            } => {
                *later = Some(farewell);
                self.finish(layer, id, ended);
            }
            State::Up(_) => {
                self.finish(layer, id, ended);
                self.bye(layer, now, id, farewell);
            }
            State::Closing { .. } => {}
        }
    }

    /// Sends BYE; what was under way inside the dialog is answered or forgotten.
    fn bye(&mut self, layer: &mut Layer, now: Now, id: InviteId, farewell: Farewell) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let state = State::Closing {
            challenged: false,
            farewell: farewell.clone(),
        };
        let before = std::mem::replace(&mut usage.state, state);
        if let State::Up(Exchange::Theirs { server, head, .. }) = &before {
            let mut w = Writer::response(487, "");
            w.block(head);
            layer.respond(now, *server, 487, w.finish());
        }
        release(layer, before);
        if let Some(waiting) = usage.waiting.take() {
            layer.timers.cancel(waiting.timer);
        }
        let branch = layer.branch();
        let dialog = &mut usage.dialog;
        let cseq = dialog.next_cseq();
        let mut w = dialog.request(layer, "BYE", branch, cseq);
        if let Some(reason) = farewell.header() {
            w.header("Reason", reason);
        }
        w.header("User-Agent", &layer.config.user_agent);
        layer.start(
            now,
            dialog.flow,
            branch,
            Method::Bye,
            w.finish(),
            Owner::Bye(id),
        );
    }

    fn bye_response(&mut self, layer: &mut Layer, now: Now, id: InviteId, message: &Message) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Closing {
            challenged,
            farewell,
        } = &mut usage.state
        else {
            return;
        };
        let code = message.status().unwrap_or(500);
        if code < 200 {
            return;
        }
        if matches!(code, 401 | 407)
            && !std::mem::replace(challenged, true)
            && let Some(credentials) = &usage.credentials
            && let Some(mut answerer) = uac::answerer(message, code, credentials)
        {
            let branch = layer.branch();
            let cnonce = crate::chance::hex16(layer.chance.word());
            let dialog = &mut usage.dialog;
            let cseq = dialog.next_cseq();
            let mut w = dialog.request(layer, "BYE", branch, cseq);
            answerer.write(&mut w, "BYE", &dialog.request_uri(), credentials, &cnonce);
            if let Some(reason) = farewell.header() {
                w.header("Reason", reason);
            }
            layer.start(
                now,
                dialog.flow,
                branch,
                Method::Bye,
                w.finish(),
                Owner::Bye(id),
            );
            return;
        }
        self.remove(layer, id);
    }

    /// A timer of a usage.
    pub fn due(&mut self, layer: &mut Layer, now: Now, due: Due) {
        match due {
            Due::Ring(id) => self.rang_out(layer, now, id),
            Due::Cancelled(id) => {
                if let Some(usage) = self.usages.get_mut(&id)
                    && let State::Calling(calling) = &mut usage.state
                {
                    calling.timer = None;
                    layer.abandon(calling.branch);
                    self.remove(layer, id);
                }
            }
            Due::Acknowledge(id) => self.repeat_ok(layer, now, id),
            Due::Reoffer(id) => self.reoffer_reject(layer, now, id, 500),
            Due::Glare(id) => self.glare_over(layer, now, id),
            Due::Client(_) | Due::Server(_) | Due::Registration(_) => {}
        }
    }

    fn rang_out(&mut self, layer: &mut Layer, now: Now, id: InviteId) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        match &mut usage.state {
            State::Calling(calling) => {
                calling.timer = None;
                let reason = "No answer".to_owned();
                self.finish(
                    layer,
                    id,
                    Event::Failed {
                        id,
                        code: 408,
                        reason,
                        q850: None,
                        local: true,
                    },
                );
                self.cancel(
                    layer,
                    now,
                    id,
                    Farewell {
                        q850: Some(19),
                        text: "No answer".to_owned(),
                    },
                );
            }
            State::Ringing(_) => self.reject(layer, now, id, 480, "", Some(19)),
            _ => {}
        }
    }
}

/// Cancels the timers a state held.
fn release(layer: &mut Layer, state: State) {
    let timer = match state {
        State::Calling(calling) => calling.timer,
        State::Ringing(ringing) => Some(ringing.timer),
        State::Accepted { ok, .. } | State::Up(Exchange::TheirsAccepted(ok)) => Some(ok.timer),
        State::Up(Exchange::Theirs { timer, .. }) => Some(timer),
        State::Up(Exchange::None | Exchange::Ours { .. }) | State::Closing { .. } => None,
    };
    if let Some(timer) = timer {
        layer.timers.cancel(timer);
    }
}

/// The body, when it is SDP.
fn sdp(message: &Message) -> Option<Bytes> {
    is_sdp(message).then(|| message.body_bytes()).flatten()
}

fn is_sdp(message: &Message) -> bool {
    message.first(Name::ContentType).is_some_and(|value| {
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        value[..end]
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/sdp")
    })
}

/// The headers of an INVITE or a response to one that say who we are.
fn capabilities(layer: &Layer, w: &mut Writer) {
    w.header("Contact", &layer.contact).header("Allow", ALLOW);
    w.header("Supported", "")
        .header("User-Agent", &layer.config.user_agent);
}
