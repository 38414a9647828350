//! A little network in virtual time: endpoints, datagrams that get lost, overtake each other and arrive twice, and a watcher
//! that reads every one of them and objects to what RFC 3261 forbids. Same seed, same run.

#![allow(dead_code)]

use model::{Mono, Now, Wall};
use sip::{
    Account, Accounts, Config, Credentials, Endpoint, Event, Flow, Incoming, Invite, InviteId,
    Message, Method, Name, NameAddr, Uri,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const REALM: &str = "pbx.example";
pub const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
pub const ANSWER: &[u8] = b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

/// `1001` … by name, password `pw-<name>`, user `<name>.acme`.
pub struct Book(HashMap<String, Arc<Account>>, Option<SocketAddr>);

impl Book {
    pub fn of(names: &[&str]) -> Book {
        Book(
            names
                .iter()
                .map(|name| {
                    let user = format!("{name}.acme");
                    let aor = format!("{name}@acme");
                    let account = Account::from_password(&user, REALM, &aor, &format!("pw-{name}"));
                    (user, Arc::new(account))
                })
                .collect(),
            None,
        )
    }

    /// Calls from there need no digest and count as 1001's.
    pub fn trust(&mut self, remote: SocketAddr) {
        self.1 = Some(remote);
    }
}

impl Accounts for Book {
    fn account(&self, username: &str) -> Option<Arc<Account>> {
        self.0.get(username).cloned()
    }
    fn trusted(&self, flow: Flow) -> Option<Arc<Account>> {
        self.0
            .get("1001.acme")
            .filter(|_| self.1 == Some(flow.remote))
            .cloned()
    }
    fn aor(&self, user: &str, _: &str) -> Option<String> {
        self.0
            .contains_key(&format!("{user}.acme"))
            .then(|| format!("{user}@acme"))
    }
}

pub fn credentials(name: &str) -> Credentials {
    Credentials::new(&format!("{name}.acme"), &format!("pw-{name}"))
}

pub fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 5060))
}

pub fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

/// What a callee does with a call.
#[derive(Clone, Debug)]
pub enum Manner {
    Answer {
        ring_after: u64,
        answer_after: u64,
        early: bool,
    },
    Reject {
        after: u64,
        code: u16,
    },
    Ignore,
}

#[derive(Clone, Debug)]
pub enum Act {
    Ring { early: bool },
    Answer,
    Reject(u16),
    HangUp,
    Reinvite,
}

pub struct Node {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub book: Book,
    pub manner: Manner,
    pub log: Vec<(u64, Event)>,
    /// Every usage: events so far.
    pub usages: BTreeMap<InviteId, Vec<Event>>,
    watcher: Watcher,
}

/// What one endpoint has said and heard on the wire.
#[derive(Default)]
struct Watcher {
    provisional: HashSet<Vec<u8>>,
    acks_heard: HashSet<Vec<u8>>,
    /// Call-IDs whose INVITE came from the other side.
    called: HashSet<Vec<u8>>,
    /// Call-IDs of which this side sent a 200 to INVITE; after 64*T1 its BYE needs no ACK.
    answered: HashMap<Vec<u8>, u64>,
}

struct Packet {
    to: SocketAddr,
    from: SocketAddr,
    bytes: Vec<u8>,
}

pub struct Network {
    pub nodes: Vec<Node>,
    pub now: Now,
    random: u64,
    /// Per mille.
    pub loss: u64,
    pub duplicates: u64,
    /// Milliseconds.
    pub delay: (u64, u64),
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    packets: HashMap<u64, Packet>,
    acts: BinaryHeap<Reverse<(u64, u64)>>,
    todo: HashMap<u64, (usize, InviteId, Act)>,
    serial: u64,
    /// Every datagram that left, for tests that read the wire: time, sender, text.
    pub wire: Vec<(u64, usize, Vec<u8>)>,
    pub keep_wire: bool,
}

impl Network {
    pub fn new(seed: u64, nodes: usize) -> Network {
        Network::with(seed, nodes, |_| {})
    }

    pub fn with(seed: u64, nodes: usize, adjust: impl Fn(&mut Config)) -> Network {
        let nodes = (0..nodes)
            .map(|n| {
                let address = address(n as u8 + 1);
                let mut config = Config::new(REALM, address);
                adjust(&mut config);
                let mut key = [n as u8; 32];
                key[..8].copy_from_slice(&seed.to_le_bytes());
                Node {
                    endpoint: Endpoint::new(config, key),
                    address,
                    book: Book::of(&["1001", "1002"]),
                    manner: Manner::Ignore,
                    log: Vec::new(),
                    usages: BTreeMap::new(),
                    watcher: Watcher::default(),
                }
            })
            .collect();
        Network {
            nodes,
            now: Now {
                mono: Mono::ZERO,
                wall: Wall::from_millis(1_800_000_000_000),
            },
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
            duplicates: 0,
            delay: (10, 10),
            queue: BinaryHeap::new(),
            packets: HashMap::new(),
            acts: BinaryHeap::new(),
            todo: HashMap::new(),
            serial: 0,
            wire: Vec::new(),
            keep_wire: false,
        }
    }

    /// Lossy, late, out of order, twice.
    pub fn rough(mut self) -> Network {
        self.loss = 150;
        self.duplicates = 100;
        self.delay = (5, 400);
        self
    }

    pub fn chance(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below.max(1)
    }

    fn ms(&self) -> u64 {
        self.now.mono.as_millis()
    }

    pub fn flow(&self, from: usize, to: usize) -> Flow {
        Flow::udp(self.nodes[from].address, self.nodes[to].address)
    }

    pub fn plan(&self, from: usize, to: usize) -> Invite {
        let target = uri(&format!("sip:1002@{}", self.nodes[to].address));
        let caller = NameAddr::new("Ana \"A\"", uri("sip:1001@pbx.example"));
        let mut invite = Invite::new(
            self.flow(from, to),
            target,
            caller,
            uri("sip:1002@pbx.example"),
            OFFER,
        );
        invite.credentials = Some(credentials("1001"));
        invite
    }

    pub fn call(&mut self, from: usize, to: usize) -> InviteId {
        let plan = self.plan(from, to);
        let id = self.nodes[from].endpoint.invite(self.now, plan);
        self.nodes[from].usages.insert(id, Vec::new());
        self.drain(from);
        id
    }

    pub fn later(&mut self, after: u64, node: usize, id: InviteId, act: Act) {
        self.serial += 1;
        self.acts.push(Reverse((self.ms() + after, self.serial)));
        self.todo.insert(self.serial, (node, id, act));
    }

    pub fn perform(&mut self, node: usize, id: InviteId, act: Act) {
        let (now, endpoint) = (self.now, &mut self.nodes[node].endpoint);
        match act {
            Act::Ring { early } => endpoint.ring(now, id, early.then(|| ANSWER.into())),
            Act::Answer => endpoint.answer(now, id, ANSWER),
            Act::Reject(code) => endpoint.reject(now, id, code, "", Some(17)),
            Act::HangUp => endpoint.hang_up(now, id, Some(16), "done"),
            Act::Reinvite => endpoint.reinvite(now, id, OFFER),
        }
        self.drain(node);
    }

    /// Lets the watcher hear a datagram that a test is about to inject as a real peer's.
    pub fn hear(&mut self, n: usize, bytes: &[u8]) {
        self.nodes[n].watcher.heard(bytes);
    }

    /// A datagram from a test.
    pub fn inject(&mut self, to: usize, from: SocketAddr, bytes: &[u8]) {
        let flow = Flow::udp(self.nodes[to].address, from);
        let node = &mut self.nodes[to];
        node.endpoint.receive(self.now, flow, bytes, &node.book);
        self.drain(to);
    }

    /// Takes what an endpoint has to send and to tell.
    pub fn drain(&mut self, n: usize) {
        loop {
            self.carry(n);
            let Some(event) = self.nodes[n].endpoint.poll_event() else {
                return;
            };
            self.react(n, &event);
            if let Some(id) = subject(&event) {
                let seen = self.nodes[n].usages.entry(id).or_default();
                assert!(
                    !seen.iter().any(is_terminal),
                    "{event:?} after the end: {seen:?}"
                );
                seen.push(event.clone());
            }
            let ms = self.ms();
            self.nodes[n].log.push((ms, event));
        }
    }

    fn carry(&mut self, n: usize) {
        while let Some(transmit) = self.nodes[n].endpoint.poll_transmit() {
            assert_eq!(transmit.flow.local, self.nodes[n].address);
            let ms = self.ms();
            self.nodes[n].watcher.sent(ms, &transmit.bytes);
            if self.keep_wire {
                self.wire.push((self.ms(), n, transmit.bytes.to_vec()));
            }
            let copies = if self.chance(1000) < self.duplicates {
                2
            } else {
                1
            };
            for _ in 0..copies {
                if self.chance(1000) < self.loss {
                    continue;
                }
                let (least, most) = self.delay;
                let at = self.ms() + least + self.chance(most - least + 1);
                self.serial += 1;
                self.queue.push(Reverse((at, self.serial)));
                let packet = Packet {
                    to: transmit.flow.remote,
                    from: self.nodes[n].address,
                    bytes: transmit.bytes.to_vec(),
                };
                self.packets.insert(self.serial, packet);
            }
        }
    }

    fn react(&mut self, n: usize, event: &Event) {
        match event {
            Event::Incoming(incoming) => {
                let Incoming { id, .. } = **incoming;
                match self.nodes[n].manner.clone() {
                    Manner::Answer {
                        ring_after,
                        answer_after,
                        early,
                    } => {
                        self.later(ring_after, n, id, Act::Ring { early });
                        self.later(ring_after + answer_after, n, id, Act::Answer);
                    }
                    Manner::Reject { after, code } => self.later(after, n, id, Act::Reject(code)),
                    Manner::Ignore => {}
                }
            }
            Event::Reoffer { id, .. } => {
                self.nodes[n].endpoint.reoffer_accept(self.now, *id, ANSWER)
            }
            _ => {}
        }
    }

    fn set(&mut self, ms: u64) {
        let by = Duration::from_millis(ms.saturating_sub(self.ms()));
        self.now = Now {
            mono: self.now.mono + by,
            wall: self.now.wall + by,
        };
    }

    /// The next thing that happens, up to a moment. `false`: nothing does.
    fn step(&mut self, until: u64) -> bool {
        let packet = self.queue.peek().map(|Reverse((at, _))| *at);
        let act = self.acts.peek().map(|Reverse((at, _))| *at);
        let deadline = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(n, node)| {
                // Deadlines are finer than a millisecond only by accident of halves; round up.
                let at = node.endpoint.next_deadline()?;
                Some((at.as_nanos().div_ceil(1_000_000), n))
            })
            .min();
        let times = [packet, act, deadline.map(|(at, _)| at)];
        let Some(at) = times.into_iter().flatten().min().filter(|at| *at <= until) else {
            self.set(until.min(1 << 40));
            return false;
        };
        self.set(at);
        if packet == Some(at) {
            let Some(Reverse((_, serial))) = self.queue.pop() else {
                return false;
            };
            let packet = self.packets.remove(&serial).unwrap();
            if let Some(n) = self.nodes.iter().position(|node| node.address == packet.to) {
                self.nodes[n].watcher.heard(&packet.bytes);
                self.inject(n, packet.from, &packet.bytes);
            }
        } else if act == Some(at) {
            let Some(Reverse((_, serial))) = self.acts.pop() else {
                return false;
            };
            let (node, id, act) = self.todo.remove(&serial).unwrap();
            self.perform(node, id, act);
        } else if let Some((_, n)) = deadline {
            self.nodes[n].endpoint.expire(self.now);
            self.drain(n);
        }
        true
    }

    pub fn run(&mut self, for_ms: u64) {
        let until = self.ms() + for_ms;
        while self.step(until) {}
    }

    /// Until nothing is left to happen; then nothing may be left at all.
    pub fn run_out(&mut self) {
        self.run(400_000);
        for (n, node) in self.nodes.iter().enumerate() {
            assert!(
                node.endpoint.is_idle(),
                "node {n} is not idle: {:#?}",
                node.log
            );
            assert_eq!(node.endpoint.active(), 0);
            for (id, events) in &node.usages {
                let terminal = events.iter().filter(|e| is_terminal(e)).count();
                assert_eq!(terminal, 1, "node {n} {id:?}: {events:#?}");
                let answered = events
                    .iter()
                    .filter(|e| matches!(e, Event::Answered { .. } | Event::Confirmed { .. }));
                assert!(answered.count() <= 1, "node {n} {id:?}: {events:#?}");
            }
        }
    }

    /// One line per event: `0s node 0: Answered`.
    pub fn story(&self, n: usize) -> Vec<String> {
        self.nodes[n]
            .log
            .iter()
            .map(|(_, event)| name(event))
            .collect()
    }

    pub fn sent(&self, n: usize) -> Vec<String> {
        self.wire
            .iter()
            .filter(|(_, node, _)| *node == n)
            .map(|(_, _, bytes)| {
                let text = String::from_utf8_lossy(bytes);
                let line = text.lines().next().unwrap_or_default().to_owned();
                match line.strip_prefix("SIP/2.0 ") {
                    Some(status) => status[..3].to_owned(),
                    None => line.split(' ').next().unwrap_or_default().to_owned(),
                }
            })
            .collect()
    }
}

impl Watcher {
    fn sent(&mut self, ms: u64, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("we write what we can read");
        if matches!(message.status(), Some(400 | 505)) {
            // It repeats what was wrong.
            return;
        }
        assert_eq!(message.fault(), None, "{}", String::from_utf8_lossy(bytes));
        let e = message.essentials().expect("we write what we can read");
        let call = e.call_id.to_vec();
        match message.method() {
            Some(Method::Cancel) => {
                let branch = e.via.branch().unwrap().to_vec();
                assert!(
                    self.provisional.contains(&branch),
                    "CANCEL before a provisional response"
                );
            }
            Some(Method::Bye) if self.called.contains(&call) => {
                let late = self.answered.get(&call).is_some_and(|at| ms >= at + 32_000);
                assert!(
                    late || self.acks_heard.contains(&call),
                    "the callee's BYE before the ACK"
                );
            }
            None if message.status() == Some(200) && e.cseq_method == Method::Invite => {
                self.answered.entry(call).or_insert(ms);
            }
            _ => {}
        }
        if message.method().is_some_and(|m| m != Method::Ack) {
            assert!(message.first(Name::MaxForwards).is_some());
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let Ok(e) = message.essentials() else { return };
        match (message.method(), message.status()) {
            (Some(Method::Invite), _) if e.to.tag().is_none() => {
                self.called.insert(e.call_id.to_vec());
            }
            (Some(Method::Ack), _) => {
                self.acks_heard.insert(e.call_id.to_vec());
            }
            (None, Some(100..=199)) => {
                self.provisional
                    .insert(e.via.branch().unwrap_or_default().to_vec());
            }
            _ => {}
        }
    }
}

pub fn is_terminal(event: &Event) -> bool {
    matches!(
        event,
        Event::Failed { .. } | Event::Ended { .. } | Event::Cancelled { .. }
    )
}

pub fn subject(event: &Event) -> Option<InviteId> {
    match event {
        Event::Incoming(incoming) => Some(incoming.id),
        Event::Cancelled { id }
        | Event::Progress { id, .. }
        | Event::Answered { id, .. }
        | Event::Confirmed { id, .. }
        | Event::Reoffer { id, .. }
        | Event::Reoffered { id, .. }
        | Event::Info { id, .. }
        | Event::Failed { id, .. }
        | Event::Ended { id, .. } => Some(*id),
        _ => None,
    }
}

pub fn name(event: &Event) -> String {
    match event {
        Event::Progress { code, .. } => format!("Progress {code}"),
        Event::Failed { code, local, .. } => {
            format!("Failed {code}{}", if *local { " local" } else { "" })
        }
        Event::Ended { local, .. } => format!("Ended{}", if *local { " local" } else { "" }),
        Event::Reoffered { result, .. } => format!(
            "Reoffered {}",
            result.as_ref().map_or_else(u16::to_string, |_| "ok".into())
        ),
        Event::RegistrationRejected { reason, .. } => format!("RegistrationRejected {reason:?}"),
        Event::RegistrationDown { code, .. } => format!("RegistrationDown {code}"),
        other => format!("{other:?}")
            .split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}
