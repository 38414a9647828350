//! A whole call centre in virtual time: one `Node`, phones and gateways on a lossy network, a pretended media worker, a
//! pretended store with a real ledger, callees who say what is written for them and a recogniser that knows it.
//!
//! One thread, one queue ordered by (millisecond, sequence), all chance from one seed: the same seed gives the same log. What
//! must always hold is asked after every step.
//!
//! Map: `network` (datagrams) · `peer` (phones and gateways) · `worker` (media) · `shop` (store) · `callee` (who says what
//! when) · `house` (the tenant everything is played in).

pub mod callee;
pub mod chance;
pub mod house;
pub mod peer;
pub mod shop;
pub mod worker;

use callee::Callees;
use chance::Chance;
use model::*;
use peer::{Act, Peer};
use shop::{Job, Shop};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;
use switch::{Effect, Input, MediaCommand, Node, Notice, Persist};
use worker::Worker;

/// Saturday, ten in the morning in Shanghai.
pub const START: i64 = 1_795_226_400_000;

/// What the queue holds.
#[derive(Debug)]
pub enum Happening {
    Packet {
        from: SocketAddr,
        to: SocketAddr,
        bytes: bytes::Bytes,
    },
    NodeWakes,
    PeerWakes(usize),
    PeerActs(usize, sip::InviteId, Act),
    Worker(MediaCommand),
    PlayStarts(LegId, u64),
    PlayEnds(LegId, u64),
    Store(Job),
    Speaks(LegId, u64),
    Node(Input),
}

pub struct Network {
    /// Per mille.
    pub loss: u64,
    pub duplicates: u64,
    /// Milliseconds.
    pub delay: (u64, u64),
}

pub struct Stage {
    pub ms: u64,
    /// How far the wall clock stands from where it should.
    pub wall_off: i64,
    pub chance: Chance,
    pub node: Node,
    pub peers: Vec<Peer>,
    pub network: Network,
    pub worker: Worker,
    pub shop: Shop,
    pub callees: Callees,
    pub log: Vec<String>,
    pub notices: Vec<(u64, Notice)>,
    /// Robot calls at once that must never be exceeded.
    pub lines: usize,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: HashMap<u64, Happening>,
    sequence: u64,
    node_wakes: Option<u64>,
    invited: BTreeSet<String>,
    /// A socket refused requests: a BYE may be among them, and its peer knows nothing of the end.
    lost_requests: bool,
    steps_now: u32,
}

impl Stage {
    pub fn now(&self) -> Now {
        Now {
            mono: Mono::from_millis(self.ms),
            wall: Wall::from_millis(START + self.ms as i64 + self.wall_off),
        }
    }

    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((self.ms + ms, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    pub fn note(&mut self, text: impl AsRef<str>) {
        let (s, ms) = (self.ms / 1000, self.ms % 1000);
        self.log.push(format!("{s:>5}.{ms:03} {}", text.as_ref()));
    }

    /// The log from the first line that holds `from`, lines that hold one of `words`.
    pub fn told(&self, words: &[&str]) -> Vec<&str> {
        self.log
            .iter()
            .map(|line| line.trim_start())
            .map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest))
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .collect()
    }

    /// Gives the node an input and does what it asks for.
    pub fn tell(&mut self, input: Input) {
        let mut effects = Vec::new();
        let now = self.now();
        self.lost_requests |= matches!(input, Input::TransportFailed(_));
        self.node.step(now, input, &mut effects);
        for effect in effects {
            self.perform(effect);
        }
        self.check();
        if let Some(at) = self.node.next_deadline() {
            let at = at.as_nanos().div_ceil(1_000_000).max(self.ms);
            if self.node_wakes.is_none_or(|before| at < before) {
                self.node_wakes = Some(at);
                self.after(at - self.ms, Happening::NodeWakes);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(transmit) => {
                self.watch_invites(&transmit.bytes);
                self.send("node", transmit);
            }
            Effect::Media { command, .. } => {
                self.note(format!("media {}", worker::describe(&command)));
                self.after(1, Happening::Worker(command));
            }
            Effect::Recognise {
                leg,
                request,
                from_ms,
                to_ms,
                is_final,
                ..
            } => {
                let kind = if is_final { "final" } else { "maybe" };
                self.note(format!("recognise {} {from_ms}-{to_ms} {kind}", leg.0));
                let heard = self.callees.recognise(leg, request, from_ms, to_ms);
                let takes = 250 + self.chance.below(200);
                self.after(takes, Happening::Node(Input::Heard { leg, heard }));
            }
            Effect::Promote { leg, .. } => self.note(format!("promote {}", leg.0)),
            Effect::Abandon { leg, .. } => self.note(format!("abandon {}", leg.0)),
            Effect::Claim {
                campaign, at_most, ..
            } => {
                self.note(format!("claim {at_most}"));
                self.store(Job::Claim { campaign, at_most });
            }
            Effect::Persist(change) => {
                self.note(format!("persist {}", shop::describe(&change)));
                if let Persist::Finish(finish) = &change {
                    self.shop.finish_sent(finish);
                }
                self.store(Job::Persist(Box::new(change)));
            }
            Effect::Notify(notice) => {
                self.note(format!("notify {}", notice.kind));
                self.notices.push((self.ms, notice));
            }
        }
    }

    /// The writer takes one change after the other.
    fn store(&mut self, job: Job) {
        let (least, most) = self.shop.delay;
        let at = self.ms + least + self.chance.below(most - least + 1);
        self.shop.busy_until = self.shop.busy_until.max(at);
        let wait = self.shop.busy_until - self.ms;
        self.after(wait, Happening::Store(job));
    }

    pub fn send(&mut self, who: &str, transmit: sip::Transmit) {
        self.note(format!("{who} sends {}", first_line(&transmit.bytes)));
        let network = &self.network;
        let (loss, duplicates) = (network.loss, network.duplicates);
        let (least, most) = network.delay;
        let copies = 1 + u64::from(self.chance.below(1000) < duplicates);
        for _ in 0..copies {
            if self.chance.below(1000) < loss {
                continue;
            }
            let delay = least + self.chance.below(most - least + 1);
            self.after(
                delay,
                Happening::Packet {
                    from: transmit.flow.local,
                    to: transmit.flow.remote,
                    bytes: transmit.bytes.clone(),
                },
            );
        }
    }

    /// No INVITE leaves for a number whose attempt is not committed.
    fn watch_invites(&mut self, bytes: &[u8]) {
        let Ok(message) = sip::Message::parse(bytes) else {
            panic!("the node writes what can be read");
        };
        let Ok(e) = message.essentials() else {
            panic!("the node writes what can be read");
        };
        let invite = message.method() == Some(sip::Method::Invite) && e.to.tag().is_none();
        if !invite
            || !self
                .invited
                .insert(String::from_utf8_lossy(e.call_id).into_owned())
        {
            return;
        }
        let target = sip::Uri::parse(std::str::from_utf8(message.request_uri()).unwrap()).unwrap();
        let user = target.user().into_owned();
        if let Ok(number) = E164::parse(&user, "86") {
            assert!(
                self.shop.may_invite(number.as_str()),
                "{} INVITE to {user} without a committed attempt",
                self.ms
            );
        }
    }

    /// One happening. `false`: nothing is left before `until`.
    fn step(&mut self, until: u64) -> bool {
        let Some(&Reverse((at, sequence))) = self.queue.peek() else {
            return false;
        };
        if at > until {
            return false;
        }
        self.queue.pop();
        self.steps_now = if at == self.ms { self.steps_now + 1 } else { 0 };
        assert!(self.steps_now < 50_000, "time stands still at {at} ms");
        self.ms = at;
        let Some(happening) = self.happenings.remove(&sequence) else {
            return true;
        };
        self.happen(happening);
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Packet { from, to, bytes } => {
                if to == house::NODE {
                    let flow = sip::Flow::udp(to, from);
                    self.tell(Input::Datagram { flow, bytes });
                } else if let Some(n) = self.peers.iter().position(|peer| peer.address == to) {
                    self.peer_receives(n, from, &bytes);
                }
            }
            Happening::NodeWakes => {
                if self.node_wakes == Some(self.ms) {
                    self.node_wakes = None;
                    self.tell(Input::Deadline);
                }
            }
            Happening::PeerWakes(n) => self.peer_wakes(n),
            Happening::PeerActs(n, id, act) => self.peer_acts(n, id, act),
            Happening::Worker(command) => self.worker_does(command),
            Happening::PlayStarts(leg, play) => self.play_starts(leg, play),
            Happening::PlayEnds(leg, play) => self.play_ends(leg, play),
            Happening::Store(job) => {
                for input in self.shop.perform(job, self.now()) {
                    self.after(1, Happening::Node(input));
                }
            }
            Happening::Speaks(leg, token) => self.callee_speaks(leg, token),
            Happening::Node(input) => {
                match &input {
                    Input::Begun { call, result } => {
                        self.shop.begun_delivered(*call);
                        self.note(format!(
                            "begun {}",
                            if result.is_ok() { "ok" } else { "no" }
                        ));
                    }
                    Input::Heard { leg, heard } => {
                        if !self.worker.is_open(*leg) {
                            return;
                        }
                        self.note(format!("heard {} {}", leg.0, callee::describe(heard)));
                    }
                    Input::Media(event) => self.note(format!("worker {}", worker::told(event))),
                    _ => {}
                }
                self.tell(input);
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.ms + time.as_millis() as u64;
        while self.step(until) {}
        self.ms = until;
    }
    pub fn seconds(&mut self, seconds: u64) {
        self.run_for(Duration::from_secs(seconds));
    }

    /// Runs until something holds; says whether it came to hold in time.
    pub fn until(&mut self, within: Duration, holds: impl Fn(&Stage) -> bool) -> bool {
        let until = self.ms + within.as_millis() as u64;
        while !holds(self) {
            if !self.step(until) {
                return false;
            }
        }
        true
    }

    /// What must hold at every step.
    fn check(&mut self) {
        let live = self.node.live_calls(house::tenant());
        let robots = live.iter().filter(|call| call.campaign.is_some());
        let mut numbers = BTreeSet::new();
        let mut count = 0;
        for call in robots {
            count += 1;
            assert!(
                numbers.insert(&call.callee),
                "{}: two live attempts on one number",
                self.ms
            );
        }
        assert!(
            count <= self.lines,
            "{}: {count} lines of {}",
            self.ms,
            self.lines
        );
        self.shop.check();
    }

    /// Everybody hangs up their registrations and time runs on; then nothing may be left anywhere.
    pub fn close(&mut self) {
        let idle = |stage: &Stage| stage.node.is_idle();
        let within = Duration::from_secs(600);
        // The second time for what the store still had to say.
        for _ in 0..2 {
            assert!(self.until(within, idle), "the node is not idle");
            let busy = self.shop.busy_until.saturating_sub(self.ms);
            self.run_for(Duration::from_millis(busy + 100));
        }
        assert!(self.until(within, idle), "the node is not idle");
        assert_eq!(self.worker.open(), 0, "legs left open");
        self.shop.check_all_finished();
        if self.lost_requests {
            self.peers_hang_up();
        }
        self.peers_leave();
        let quiet = |stage: &Stage| {
            let mut peers = stage.peers.iter();
            stage.node.is_idle() && peers.all(|peer| peer.endpoint.is_idle())
        };
        assert!(self.until(within, quiet), "somebody is not idle");
    }

    /// What people were told, kind and time.
    pub fn notices(&self, kind: &str) -> Vec<&Notice> {
        let of_kind = |(_, notice): &&(u64, Notice)| notice.kind == kind;
        let found = self.notices.iter().filter(of_kind);
        found.map(|(_, notice)| notice).collect()
    }
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    // FNV-1a: runs that differ in a byte differ in the log.
    let sum = bytes.iter().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("{line} ({} bytes, {sum:08x})", bytes.len())
}
