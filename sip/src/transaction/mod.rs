//! The transaction layer: RFC 3261 §17 with RFC 6026, both sides, over the timers of one endpoint.
//!
//! `Layer` also carries what every usage above needs: configuration, chance, the outgoing queues. It knows its users only
//! as an `Owner` word that it hands back.

mod client;
mod server;

pub(crate) use client::Outcome;
pub(crate) use server::{ServerKey, response_flow};

use crate::chance::{Chance, Keyed, hex16};
use crate::config::Config;
use crate::event::{Event, InviteId, RegistrationId};
use crate::flow::{Flow, Transmit};
use crate::message::{Essentials, Message, Name};
use crate::timers::Timers;
use crate::write::Writer;
use bytes::Bytes;
use client::Client;
use server::Server;
use std::collections::{HashMap, VecDeque};

/// Every branch of ours: the cookie, then 16 hex digits that are the key.
const COOKIE: &[u8] = b"z9hG4bK";

pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REGISTER";

/// Names one of our client transactions. CANCEL shares the branch of its INVITE (RFC 3261 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    pub branch: u64,
    pub cancel: bool,
}

/// Who wants to know how a request of ours ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Invite(InviteId),
    Reinvite(InviteId),
    Bye(InviteId),
    Registration(RegistrationId),
    Nobody,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Client(ClientKey),
    Server(ServerKey),
    /// Ringing has lasted long enough.
    Ring(InviteId),
    /// A CANCEL of ours brought no final answer to its INVITE.
    Cancelled(InviteId),
    /// Our 200 to an INVITE or re-INVITE has no ACK yet.
    Acknowledge(InviteId),
    /// Our side has not answered a re-INVITE.
    Reoffer(InviteId),
    /// Try our re-INVITE again after 491.
    Glare(InviteId),
    Registration(RegistrationId),
}

pub(crate) struct Layer {
    pub config: Config,
    pub chance: Chance,
    pub keyed: Keyed,
    pub timers: Timers<Due>,
    pub transmits: VecDeque<Transmit>,
    pub events: VecDeque<Event>,
    /// `host:port` for Via, and the whole Contact value.
    pub sent_by: String,
    pub contact: String,
    clients: HashMap<ClientKey, Client, Keyed>,
    servers: HashMap<ServerKey, Server, Keyed>,
}

impl Layer {
    pub fn new(config: Config, mut chance: Chance) -> Layer {
        let keyed = chance.hasher();
        let sent_by = config.advertised.to_string();
        Layer {
            contact: format!("<sip:{sent_by}>"),
            sent_by,
            timers: Timers::new(keyed),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            clients: HashMap::with_hasher(keyed),
            servers: HashMap::with_hasher(keyed),
            keyed,
            chance,
            config,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty() && self.timers.is_empty()
    }

    pub fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push_back(Transmit { flow, bytes });
    }
    pub fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// A request's first lines, down to Via and Max-Forwards.
    pub fn request(
        &self,
        flow: Flow,
        method: &str,
        uri: &str,
        branch: u64,
        max_forwards: u8,
    ) -> Writer {
        let mut w = Writer::request(method, uri);
        w.parts(
            "Via",
            &[
                b"SIP/2.0/",
                flow.transport.via().as_bytes(),
                b" ",
                self.sent_by.as_bytes(),
                b";rport;branch=",
                COOKIE,
                &hex16(branch),
            ],
        );
        w.number("Max-Forwards", u32::from(max_forwards));
        w
    }

    /// The lines every response repeats: Via (with received and rport), From, To (with our tag), Call-ID, CSeq.
    pub fn head(
        &self,
        message: &Message,
        essentials: &Essentials<'_>,
        flow: Flow,
        tag: Option<u64>,
    ) -> Bytes {
        let mut w = Writer::lines();
        vias(&mut w, message, essentials, flow);
        w.echo("From", essentials.from_value);
        match tag.filter(|_| essentials.to.tag().is_none()) {
            Some(tag) => w.parts("To", &[essentials.to_value, b";tag=", &hex16(tag)]),
            None => w.echo("To", essentials.to_value),
        };
        w.echo("Call-ID", essentials.call_id);
        w.echo("CSeq", message.first(Name::CSeq).unwrap_or_default());
        w.into_block()
    }

    /// The To tag of a stateless response: the same for every retransmission of the request (RFC 3261 §8.2.7).
    pub fn stateless_tag(&self, essentials: &Essentials<'_>) -> u64 {
        self.keyed.digest(&[
            b"tag",
            essentials.call_id,
            essentials.from.tag().unwrap_or_default(),
            essentials.via.branch().unwrap_or_default(),
        ])
    }
}

/// RFC 3261 §18.2.1, RFC 3581 §4: the top element says where the request really came from.
pub(crate) fn vias(w: &mut Writer, message: &Message, essentials: &Essentials<'_>, flow: Flow) {
    let via = &essentials.via;
    let ip = flow.remote.ip();
    for (index, value) in message.all(Name::Via).enumerate() {
        if index > 0 {
            w.echo("Via", value);
            continue;
        }
        let mut top = Vec::with_capacity(value.len() + 48);
        top.extend_from_slice(b"SIP/2.0/");
        top.extend_from_slice(via.transport);
        top.push(b' ');
        top.extend_from_slice(via.sent_by.as_bytes());
        for (name, value) in via.params.iter() {
            if name.eq_ignore_ascii_case(b"rport") || name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            top.push(b';');
            top.extend_from_slice(name);
            if let Some(value) = value {
                top.push(b'=');
                top.extend_from_slice(value);
            }
        }
        use std::io::Write;
        // Writing to a Vec cannot fail.
        if via.wants_rport() {
            let _ = write!(top, ";received={ip};rport={}", flow.remote.port());
        } else if via.ip() != Some(ip) {
            let _ = write!(top, ";received={ip}");
        }
        top.extend_from_slice(value.get(via.len..).unwrap_or_default());
        w.echo("Via", &top);
    }
}
