//! Phones and gateways: an endpoint each, registered with the node, and what they do with a call.

use crate::callee::Line;
use crate::house;
use crate::log::note;
use crate::stage::{Happening, Stage};
use crate::watch::Law;
use media::Codec;
use media::sdp::LocalParams;
use model::*;
use sip::{Account, Accounts, Credentials, Endpoint, Event, Flow, InviteId, NameAddr, Uri};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a callee does with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Manner {
    Answers {
        rings: u64,
        after: u64,
        early: bool,
        lines: Arc<[Line]>,
        /// Milliseconds after the answer.
        hangs_up: Option<u64>,
        /// Its clock runs so many millionths faster than ours.
        drift: i64,
        /// Milliseconds after the answer from which no packet comes any more.
        mute: Option<u64>,
    },
    Refuses {
        after: u64,
        code: u16,
        q850: Option<u8>,
    },
    /// Rings and rings.
    NeverAnswers,
    /// Not even a 180.
    Silent,
}

impl Manner {
    pub fn answers() -> Manner {
        Manner::says(Vec::new())
    }
    pub fn says(lines: Vec<Line>) -> Manner {
        Manner::Answers {
            rings: 200,
            after: 1500,
            early: false,
            lines: lines.into(),
            hangs_up: None,
            drift: 0,
            mute: None,
        }
    }
    pub fn until(mut self, ms: u64) -> Manner {
        if let Manner::Answers { hangs_up, .. } = &mut self {
            *hangs_up = Some(ms);
        }
        self
    }
    pub fn refuses(code: u16, q850: Option<u8>) -> Manner {
        Manner::Refuses {
            after: 700,
            code,
            q850,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Act {
    Ring {
        early: bool,
    },
    Answer {
        lines: Arc<[Line]>,
        hangs_up: Option<u64>,
        drift: i64,
        mute: Option<u64>,
    },
    /// No packet comes from it any more.
    FallSilent(u32, LegId),
    Refuse {
        code: u16,
        q850: Option<u8>,
    },
    HangUp,
    /// Offers its media again, perhaps to listen only.
    Hold(media::Direction),
}

/// Takes calls from the registrar's address without a digest, as a phone does.
struct Trust(Arc<Account>);

impl Accounts for Trust {
    fn account(&self, _: &str) -> Option<Arc<Account>> {
        None
    }
    fn aor(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    fn trusted(&self, flow: Flow) -> Option<Arc<Account>> {
        (flow.remote == house::NODE).then(|| self.0.clone())
    }
}

pub struct Dialog {
    pub offer: Option<bytes::Bytes>,
    /// SDP of a 183.
    pub early: Option<bytes::Bytes>,
    /// Where the node sends from, out of its SDP.
    pub node_port: Option<u16>,
    /// The node's process of then.
    life: u32,
}

pub struct Peer {
    pub name: &'static str,
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub codecs: Vec<Codec>,
    /// By dialled number; `manner` for the rest.
    pub manners: BTreeMap<String, Manner>,
    /// Consecutive calls of one number may be met differently.
    pub moods: BTreeMap<String, Vec<Manner>>,
    pub manner: Manner,
    pub dialogs: BTreeMap<InviteId, Dialog>,
    /// What its endpoint told, shortly; and all its dialogs, the ended ones too, when a story asks for them.
    pub story: Vec<String>,
    pub keeps: bool,
    /// Nothing from or to it arrives.
    pub cut_off: bool,
    /// Every call is refused with this.
    pub refuses: Option<u16>,
    trust: Trust,
    registration: Option<sip::RegistrationId>,
    wakes: Option<u64>,
}

impl Peer {
    pub fn new(name: &'static str, n: u8, seed: u64) -> Peer {
        let address = SocketAddr::from(([10, 0, 1, n], 5060));
        let mut key = [n; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let registrar = Account::from_password("registrar", house::REALM, "registrar", "");
        Peer {
            name,
            endpoint: Endpoint::new(sip::Config::new(house::REALM, address), key),
            address,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            manners: BTreeMap::new(),
            moods: BTreeMap::new(),
            manner: Manner::refuses(404, None),
            dialogs: BTreeMap::new(),
            story: Vec::new(),
            keeps: true,
            cut_off: false,
            refuses: None,
            trust: Trust(Arc::new(registrar)),
            registration: None,
            wakes: None,
        }
    }

    pub fn flow(&self) -> Flow {
        Flow::udp(self.address, house::NODE)
    }

    /// Keeps a registration up, or tries to.
    pub fn is_registered(&self) -> bool {
        self.registration.is_some()
    }

    fn params(&self, port: u16) -> LocalParams {
        let at = SocketAddr::new(self.address.ip(), port);
        let mut params = LocalParams::new(at, 7);
        params.codecs.clone_from(&self.codecs);
        params
    }

    fn meets(&mut self, number: &str) -> Manner {
        if let Some(code) = self.refuses {
            return Manner::Refuses {
                after: 50,
                code,
                q850: None,
            };
        }
        if let Some(moods) = self.moods.get_mut(number)
            && !moods.is_empty()
        {
            return moods.remove(0);
        }
        self.manners.get(number).unwrap_or(&self.manner).clone()
    }
}

fn uri(text: &str) -> Uri {
    // The stage's own, and none that cannot be read.
    Uri::parse(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

fn node_port(sdp: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(sdp).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}

impl Stage {
    /// Registers a peer with its account's password, `pw-<name>`.
    pub fn register(&mut self, n: usize, password: Option<&str>) {
        let now = self.now_outside();
        let peer = &mut self.peers[n];
        let user = format!("{}.acme", peer.name);
        let standard = format!("pw-{}", peer.name);
        let registration = sip::Registration {
            flow: peer.flow(),
            registrar: uri(&format!("sip:{}", house::REALM)),
            aor: uri(&format!("sip:{user}@{}", house::REALM)),
            contact_user: peer.name.to_owned(),
            credentials: Some(Credentials::new(&user, password.unwrap_or(&standard))),
            expires: Duration::from_secs(3600),
        };
        peer.registration = Some(peer.endpoint.register(now, registration));
        self.drain_peer(n);
    }

    pub fn unregister(&mut self, n: usize) {
        let now = self.now_outside();
        if let Some(registration) = self.peers[n].registration.take() {
            self.peers[n].endpoint.unregister(now, registration);
            self.drain_peer(n);
        }
    }

    pub fn peers_leave(&mut self) {
        for n in 0..self.peers.len() {
            self.unregister(n);
        }
    }

    pub fn peers_hang_up(&mut self) {
        for n in 0..self.peers.len() {
            let dialogs: Vec<InviteId> = self.peers[n].dialogs.keys().copied().collect();
            for id in dialogs {
                self.hang_up(n, id);
            }
        }
    }

    /// The peer calls; `as_user` is what stands in From.
    pub fn call_as(&mut self, n: usize, as_user: &str, to: &str) -> InviteId {
        let now = self.now_outside();
        let peer = &mut self.peers[n];
        let user = format!("{}.acme", peer.name);
        let from = NameAddr::new("", uri(&format!("sip:{as_user}@{}", house::REALM)));
        let target = uri(&format!("sip:{to}@{}", house::NODE));
        let port = 4000 + 2 * (peer.dialogs.len() as u16 % 10_000);
        let offer = media::sdp::offer(&peer.params(port));
        let to_uri = uri(&format!("sip:{to}@{}", house::REALM));
        let mut invite = sip::Invite::new(peer.flow(), target, from, to_uri, offer);
        // Longer than the node's patience with a callee.
        invite.ring_timeout = Duration::from_secs(120);
        invite.credentials = Some(Credentials::new(&user, &format!("pw-{}", peer.name)));
        let id = peer.endpoint.invite(now, invite);
        let dialog = Dialog {
            offer: None,
            early: None,
            node_port: None,
            life: self.life,
        };
        peer.dialogs.insert(id, dialog);
        self.drain_peer(n);
        id
    }
    pub fn call(&mut self, n: usize, to: &str) -> InviteId {
        let name = self.peers[n].name;
        self.call_as(n, name, to)
    }

    pub fn hang_up(&mut self, n: usize, id: InviteId) {
        self.peer_acts(n, id, Act::HangUp);
    }

    /// The peer's latest dialog.
    pub fn dialog(&self, n: usize) -> InviteId {
        let last = self.peers[n].dialogs.last_key_value();
        last.map_or(InviteId(0), |(id, _)| *id)
    }

    pub fn peer_receives(&mut self, n: usize, from: SocketAddr, bytes: &[u8]) {
        let now = self.now_outside();
        let peer = &mut self.peers[n];
        let flow = Flow::udp(peer.address, from);
        peer.endpoint.receive(now, flow, bytes, &peer.trust);
        self.drain_peer(n);
    }

    pub fn peer_wakes(&mut self, n: usize) {
        if self.peers[n].wakes == Some(self.ms) {
            self.peers[n].wakes = None;
            let now = self.now_outside();
            self.peers[n].endpoint.expire(now);
            self.drain_peer(n);
        }
    }

    pub fn peer_acts(&mut self, n: usize, id: InviteId, act: Act) {
        let now = self.now_outside();
        let peer = &mut self.peers[n];
        match act {
            Act::Ring { early } => {
                let sdp = early.then(|| peer.answer_to(id)).flatten();
                peer.endpoint.ring(now, id, sdp);
            }
            Act::FallSilent(life, leg) if life == self.life => return self.silence(leg),
            Act::FallSilent(..) => return,
            Act::Answer {
                lines,
                hangs_up,
                drift,
                mute,
            } => {
                let Some(answer) = peer.answer_to(id) else {
                    peer.endpoint.reject(now, id, 488, "", None);
                    return self.drain_peer(n);
                };
                peer.endpoint.answer(now, id, answer);
                // Another process may use the port of one that is gone.
                let dialog = peer
                    .dialogs
                    .get(&id)
                    .filter(|dialog| dialog.life == self.life);
                let port = dialog.and_then(|dialog| dialog.node_port);
                if let Some(leg) = port.and_then(|port| self.worker.leg_at(port)) {
                    self.callees.seat(leg, &lines, drift);
                    if let Some(ms) = mute {
                        self.after(
                            ms,
                            Happening::PeerActs(n, id, Act::FallSilent(self.life, leg)),
                        );
                    }
                }
                if let Some(ms) = hangs_up {
                    self.after(ms, Happening::PeerActs(n, id, Act::HangUp));
                }
            }
            Act::Refuse { code, q850 } => peer.endpoint.reject(now, id, code, "", q850),
            Act::Hold(direction) => {
                let mut params = peer.params(4000);
                (params.direction, params.version) = (direction, 2);
                peer.endpoint.reinvite(now, id, media::sdp::offer(&params));
            }
            Act::HangUp => peer.endpoint.hang_up(now, id, Some(16), "done"),
        }
        self.drain_peer(n);
    }

    fn drain_peer(&mut self, n: usize) {
        loop {
            while let Some(transmit) = self.peers[n].endpoint.poll_transmit() {
                self.send(self.peers[n].name, transmit);
            }
            let Some(event) = self.peers[n].endpoint.poll_event() else {
                break;
            };
            self.peer_hears(n, event);
        }
        let peer = &mut self.peers[n];
        if let Some(at) = peer.endpoint.next_deadline() {
            let at = at.as_nanos().div_ceil(1_000_000).max(self.ms);
            if peer.wakes.is_none_or(|before| at < before) {
                peer.wakes = Some(at);
                self.after(at - self.ms, Happening::PeerWakes(n));
            }
        }
    }

    fn peer_hears(&mut self, n: usize, event: Event) {
        let now = self.now_outside();
        let peer = &mut self.peers[n];
        if peer.keeps || self.log.listens() {
            let told = told(&event);
            note!(self, "{} hears {told}", peer.name);
            if peer.keeps {
                peer.story.push(told);
            }
        }
        match event {
            Event::Incoming(incoming) => {
                let id = incoming.id;
                let manner = peer.meets(&incoming.to_user);
                let dialog = Dialog {
                    node_port: incoming.offer.as_deref().and_then(node_port),
                    offer: incoming.offer,
                    early: None,
                    life: self.life,
                };
                peer.dialogs.insert(id, dialog);
                match manner {
                    Manner::Answers {
                        rings,
                        after,
                        early,
                        lines,
                        hangs_up,
                        drift,
                        mute,
                    } => {
                        let ring = Act::Ring { early };
                        self.after(rings, Happening::PeerActs(n, id, ring));
                        let answer = Act::Answer {
                            lines,
                            hangs_up,
                            drift,
                            mute,
                        };
                        self.after(rings + after, Happening::PeerActs(n, id, answer));
                    }
                    Manner::Refuses { after, code, q850 } => {
                        let refuse = Act::Refuse { code, q850 };
                        self.after(after, Happening::PeerActs(n, id, refuse));
                    }
                    Manner::NeverAnswers => {
                        let ring = Act::Ring { early: false };
                        self.after(300, Happening::PeerActs(n, id, ring));
                    }
                    Manner::Silent => {}
                }
            }
            Event::Progress {
                id, sdp: Some(sdp), ..
            } => {
                if let Some(dialog) = peer.dialogs.get_mut(&id) {
                    dialog.early = Some(sdp);
                }
            }
            Event::Answered { id, sdp } => {
                let port = sdp.as_deref().and_then(node_port);
                if let Some(dialog) = peer.dialogs.get_mut(&id) {
                    dialog.node_port = port;
                    // RFC 3261 §13.2.1
                    if dialog.early.is_some() && dialog.early != sdp {
                        let (at, what) = (self.at(), format!("{}: {id:?}", self.peers[n].name));
                        self.watch
                            .breach(at, Law::Wire, "a 200 says what its 183 said", what);
                    }
                }
            }
            Event::Reoffer { id, .. } => peer.endpoint.reoffer_reject(now, id, 488),
            Event::Ended { id, .. } | Event::Failed { id, .. } | Event::Cancelled { id }
                if !peer.keeps =>
            {
                peer.dialogs.remove(&id);
            }
            _ => {}
        }
    }
}

/// Shortly, for the log and for stories.
fn told(event: &Event) -> String {
    match event {
        Event::Progress { code, sdp, .. } => match sdp {
            Some(_) => format!("progress {code} with media"),
            None => format!("progress {code}"),
        },
        Event::Reoffered { result, .. } => match result {
            Ok(sdp) => {
                let text = String::from_utf8_lossy(sdp.as_deref().unwrap_or_default());
                let mut lines = text.lines().filter_map(|line| line.strip_prefix("a="));
                let way = lines.find(|line| line.ends_with("only") || *line == "sendrecv");
                format!("reoffered {}", way.unwrap_or("nothing"))
            }
            Err(code) => format!("reoffered {code}"),
        },
        Event::Failed { code, .. } => format!("failed {code}"),
        Event::RegistrationDown { code, .. } => format!("registration down {code}"),
        Event::Ended { local, .. } => format!("ended{}", if *local { " itself" } else { "" }),
        other => {
            let name = format!("{other:?}");
            let end = name.find([' ', '(', '{']).unwrap_or(name.len());
            name[..end].to_lowercase()
        }
    }
}

impl Peer {
    fn answer_to(&self, id: InviteId) -> Option<bytes::Bytes> {
        let offer = self.dialogs.get(&id)?.offer.as_deref()?;
        let port = 5000 + 2 * (id.0 as u16 % 1000);
        let (body, _) = media::sdp::answer(offer, &self.params(port)).ok()?;
        Some(body.into())
    }
}

/// The log is for people; a leg is named by its number.
pub fn leg_of(stage: &Stage, n: usize, id: InviteId) -> Option<LegId> {
    let port = stage.peers[n].dialogs.get(&id)?.node_port?;
    stage.worker.leg_at(port)
}
