//! The stage: one queue of what is to happen, ordered by (millisecond, sequence); the node is told, its effects are performed, the
//! judge looks. One thread; all chance from the seed.

use crate::callee::{self, Callees};
use crate::chance::Chance;
use crate::house;
use crate::journal::{Entry, Journal, Left};
use crate::log::{Log, note};
use crate::peer::{Act, Peer};
use crate::shop::{self, Job, Shop, Turn};
use crate::trouble::{Kill, What};
use crate::watch::{At, Fact, Law, Watch};
use crate::worker::{self, Worker};
use model::*;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switch::{CampaignPlan, Effect, Input, MediaCommand, Node, Notice, Persist, TenantDirectory};

/// Saturday, ten in the morning in Shanghai.
pub const START: i64 = 1_795_226_400_000;

/// Steps within one millisecond after which time is said to stand still.
const STANDSTILL: u32 = 50_000;

/// What the queue holds.
#[derive(Debug)]
pub enum Happening {
    Packet {
        from: SocketAddr,
        to: SocketAddr,
        bytes: bytes::Bytes,
    },
    PeerWakes(usize),
    PeerActs(usize, sip::InviteId, Act),
    /// Something goes wrong.
    Trouble(What),
    /// It comes right again.
    Mends(What),
    Restart,
    NodeWakes,
    Worker(MediaCommand),
    PlayStarts(LegId, u64),
    PlayEnds(LegId, u64),
    /// The writer looks at its queue.
    Store,
    Speaks(LegId, u64),
    Node(Input),
}

impl Happening {
    /// Lives in the process, and dies with it.
    pub(crate) fn is_inside(&self) -> bool {
        !matches!(
            self,
            Happening::Packet { .. }
                | Happening::PeerWakes(_)
                | Happening::PeerActs(..)
                | Happening::Trouble(_)
                | Happening::Mends(_)
                | Happening::Restart
        )
    }
}

#[derive(Debug)]
pub(crate) struct Entered {
    at: u64,
    sequence: u64,
    pub happening: Happening,
}

impl PartialEq for Entered {
    fn eq(&self, other: &Entered) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entered {}
impl PartialOrd for Entered {
    fn partial_cmp(&self, other: &Entered) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entered {
    /// The earliest is the greatest, as `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Entered) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Per mille.
    pub loss: u64,
    pub duplicates: u64,
    /// Milliseconds; datagrams overtake each other within it.
    pub delay: (u64, u64),
}

impl Network {
    pub const CALM: Network = Network {
        loss: 0,
        duplicates: 0,
        delay: (5, 5),
    };
}

/// The process is to die at the first effect from a moment on, so many effects later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doom {
    pub ms: u64,
    pub effects: u32,
}

pub struct Stage {
    pub ms: u64,
    /// How far the wall clock stands from where it should.
    pub wall_off: i64,
    pub chance: Chance,
    pub node: Node,
    pub(crate) config: switch::Config,
    pub(crate) seed: u64,
    pub peers: Vec<Peer>,
    pub network: Network,
    pub worker: Worker,
    pub shop: Shop,
    pub journal: Journal,
    pub callees: Callees,
    pub log: Log,
    /// What people were told; empty when nobody asks.
    pub notices: Vec<(u64, Notice)>,
    pub keeps_notices: bool,
    pub watch: Watch,
    /// Robot calls at once that must never be exceeded.
    pub lines: usize,
    /// What is configured: told to the node, and again after a restart.
    pub(crate) directory: Arc<TenantDirectory>,
    pub(crate) plans: BTreeMap<CampaignId, Arc<CampaignPlan>>,
    /// The campaigns of a plan, as they are while nothing is the matter.
    pub(crate) campaigns: Vec<dialer::Campaign>,
    /// Which life of the process this is, and when it began.
    pub(crate) life: u32,
    pub(crate) born: u64,
    pub(crate) down: bool,
    pub(crate) kills: Vec<Kill>,
    pub(crate) doom: Vec<Doom>,
    /// Of the last process, until the next one reads it.
    pub(crate) left: Left,
    /// What happened, and how often.
    pub counts: BTreeMap<&'static str, u64>,
    pub steps: u64,
    pub(crate) queue: BinaryHeap<Entered>,
    sequence: u64,
    pub(crate) node_wakes: Option<u64>,
    /// A socket refused requests, or the process died: a BYE may be among them, and its peer knows nothing of the end.
    pub(crate) lost_requests: bool,
    steps_now: u32,
    effects: Vec<Effect>,
}

impl Stage {
    /// A stage with nobody on it yet but the node.
    pub(crate) fn empty(seed: u64, config: switch::Config, peers: Vec<Peer>) -> Stage {
        Stage {
            ms: 0,
            wall_off: 0,
            chance: Chance::new(seed),
            node: Node::new(config.clone(), crate::life::key(seed, 0)),
            config,
            seed,
            peers,
            network: Network::CALM,
            worker: Worker::default(),
            shop: Shop::default(),
            journal: Journal::default(),
            callees: Callees::default(),
            log: Log::Nowhere,
            notices: Vec::new(),
            keeps_notices: false,
            watch: Watch::default(),
            lines: usize::MAX,
            directory: Arc::new(house::directory()),
            plans: BTreeMap::new(),
            campaigns: Vec::new(),
            life: 0,
            born: 0,
            down: false,
            kills: Vec::new(),
            doom: Vec::new(),
            left: Left::default(),
            counts: BTreeMap::new(),
            steps: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            node_wakes: None,
            lost_requests: false,
            steps_now: 0,
            effects: Vec::new(),
        }
    }

    /// As the node's machine reads its clocks: time runs from the start of the process, the wall clock from wherever it was set.
    pub fn now(&self) -> Now {
        Now {
            mono: Mono::from_millis(self.ms - self.born),
            wall: Wall::from_millis(START + self.ms as i64 + self.wall_off),
        }
    }

    /// As everybody else's clocks go, which nobody sets.
    pub(crate) fn now_outside(&self) -> Now {
        Now {
            mono: Mono::from_millis(self.ms),
            wall: Wall::from_millis(START + self.ms as i64),
        }
    }

    pub(crate) fn at(&self) -> At {
        At {
            now: self.now(),
            ms: self.ms,
            step: self.steps,
        }
    }

    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Entered {
            at: self.ms + ms,
            sequence: self.sequence,
            happening,
        });
    }

    pub fn note(&mut self, text: impl AsRef<str>) {
        self.log.push(self.ms, text.as_ref());
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What the log tells in lines that hold one of `words`.
    pub fn told(&self, words: &[&str]) -> Vec<&str> {
        self.log
            .lines()
            .iter()
            .map(|line| line.trim_start())
            .map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest))
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .collect()
    }

    /// Gives the node an input and does what it asks for. While the process is down nobody is there to take it.
    pub fn tell(&mut self, input: Input) {
        if self.down {
            return;
        }
        self.steps += 1;
        let at = self.at();
        self.lost_requests |= matches!(input, Input::TransportFailed(_));
        self.watch.told(at, &input);
        let mut effects = std::mem::take(&mut self.effects);
        self.node.step(at.now, input, &mut effects);
        for effect in effects.drain(..) {
            if self.dies_now() {
                break;
            }
            self.watch.did(at, &effect);
            self.perform(effect);
        }
        self.effects = effects;
        if self.down {
            return;
        }
        self.watch.stepped(at, &self.node, &self.shop);
        let robots = self.watch.robots();
        if robots > self.lines {
            let what = format!("{robots} of {}", self.lines);
            self.watch
                .breach(at, Law::Dialer, "lines are not exceeded", what);
        }
        if let Some(deadline) = self.node.next_deadline() {
            let ms = self.born + deadline.as_nanos().div_ceil(1_000_000);
            let ms = ms.max(self.ms);
            if self.node_wakes.is_none_or(|before| ms < before) {
                self.node_wakes = Some(ms);
                self.after(ms - self.ms, Happening::NodeWakes);
            }
        }
    }

    /// A planned kill is counted from the first attempt on its lead.
    fn aim(&mut self, begin: &switch::Begin) {
        let Some(n) = begin.lead.map(house::nth) else {
            return;
        };
        let ms = self.ms;
        self.kills.retain(|kill| {
            if kill.lead == n {
                let (ms, effects) = (ms + kill.after, kill.effects);
                self.doom.push(Doom { ms, effects });
            }
            kill.lead != n
        });
    }

    fn dies_now(&mut self) -> bool {
        let ms = self.ms;
        let Some(n) = self.doom.iter().position(|doom| doom.ms <= ms) else {
            return false;
        };
        if self.doom[n].effects > 0 {
            self.doom[n].effects -= 1;
            return false;
        }
        self.doom.remove(n);
        self.kill();
        true
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(transmit) => self.send("node", transmit),
            Effect::Media { command, .. } => {
                note!(self, "media {}", worker::describe(&command));
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
                note!(self, "recognise {} {from_ms}-{to_ms} {kind}", leg.0);
                self.count("recognitions");
                let takes = 250 + self.chance.below(200);
                let mood = self.callees.recogniser;
                if let Some((heard, times)) =
                    self.callees.recognise(mood, leg, request, from_ms, to_ms)
                {
                    self.after(takes * times, Happening::Node(Input::Heard { leg, heard }));
                }
            }
            Effect::Promote { leg, .. } => note!(self, "promote {}", leg.0),
            Effect::Abandon { leg, .. } => note!(self, "abandon {}", leg.0),
            Effect::Claim {
                campaign, at_most, ..
            } => {
                note!(self, "claim {at_most}");
                let now = self.now().wall;
                let claim = self.steps;
                self.store(Job::Claim {
                    claim,
                    campaign,
                    at_most,
                    now,
                });
            }
            Effect::Persist(change) => {
                note!(self, "persist {}", shop::describe(&change));
                match change {
                    Persist::Note(noted) => self.journal.append(self.ms, Entry::Note(noted)),
                    Persist::Beat(now) => self.journal.append(self.ms, Entry::Beat(now.mono)),
                    Persist::Finish(finish) => {
                        self.journal.append(self.ms, Entry::Ended(finish.clone()));
                        self.store(Job::Persist(Box::new(Persist::Finish(finish))));
                    }
                    Persist::Begin(begin) => {
                        self.aim(&begin);
                        self.store(Job::Persist(Box::new(Persist::Begin(begin))));
                    }
                    change => self.store(Job::Persist(Box::new(change))),
                }
            }
            Effect::Notify(notice) => {
                note!(self, "notify {}", notice.kind);
                if self.keeps_notices {
                    self.notices.push((self.ms, notice));
                }
            }
        }
    }

    /// The writer takes one change after the other.
    fn store(&mut self, job: Job) {
        let (least, most) = self.shop.delay;
        let wait = self.chance.between(least, most);
        let due = self.shop.queue(self.ms, wait, job);
        self.after(due - self.ms, Happening::Store);
    }

    fn writer_turns(&mut self) {
        loop {
            match self.shop.turn(self.ms) {
                Turn::Nothing => return,
                Turn::Later(due) => {
                    self.learn();
                    return self.after(due - self.ms, Happening::Store);
                }
                Turn::Did { answers, settled } => {
                    self.learn();
                    if let Some(call) = settled {
                        self.journal.append(self.ms, Entry::Settled(call));
                    }
                    for input in answers {
                        self.after(1, Happening::Node(input));
                    }
                }
            }
        }
    }

    /// The judge hears what was committed.
    pub(crate) fn learn(&mut self) {
        let at = self.at();
        for fact in self.shop.facts() {
            if let Fact::Recorded(record) = &fact {
                self.count(shop::word(record.disposition));
            }
            self.watch.fact(at, fact);
        }
    }

    pub fn send(&mut self, who: &str, transmit: sip::Transmit) {
        note!(self, "{who} sends {}", first_line(&transmit.bytes));
        let Network {
            loss,
            duplicates,
            delay: (least, most),
        } = self.network;
        self.count("datagrams");
        let twice = self.chance.below(1000) < duplicates;
        if twice {
            self.count("datagrams doubled");
        }
        for _ in 0..1 + u64::from(twice) {
            if self.chance.below(1000) < loss {
                self.count("datagrams lost");
                continue;
            }
            let delay = self.chance.between(least, most);
            let (from, to) = (transmit.flow.local, transmit.flow.remote);
            let bytes = transmit.bytes.clone();
            self.after(delay, Happening::Packet { from, to, bytes });
        }
    }

    /// One happening. `false`: nothing is left before `until`, or a law is broken and the story ends there.
    fn step(&mut self, until: u64) -> bool {
        if self.watch.broken().is_some() || self.queue.peek().is_none_or(|first| first.at > until) {
            return false;
        }
        let Some(Entered { at, happening, .. }) = self.queue.pop() else {
            return false;
        };
        self.steps_now = if at == self.ms { self.steps_now + 1 } else { 0 };
        self.ms = at;
        if self.steps_now > STANDSTILL {
            let (at, what) = (self.at(), format!("{STANDSTILL} steps in a millisecond"));
            self.watch.breach(at, Law::Wire, "time goes on", what);
        }
        self.happen(happening);
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Packet { from, to, bytes } => self.arrives(from, to, bytes),
            Happening::NodeWakes => {
                if self.node_wakes == Some(self.ms) {
                    self.node_wakes = None;
                    self.tell(Input::Deadline);
                }
            }
            Happening::PeerWakes(n) => self.peer_wakes(n),
            Happening::PeerActs(n, id, act) => self.peer_acts(n, id, act),
            Happening::Trouble(what) => self.befalls(what),
            Happening::Mends(what) => self.mends(what),
            Happening::Restart => self.restart(),
            Happening::Worker(command) => self.worker_does(command),
            Happening::PlayStarts(leg, play) => self.play_starts(leg, play),
            Happening::PlayEnds(leg, play) => self.play_ends(leg, play),
            Happening::Store => self.writer_turns(),
            Happening::Speaks(leg, token) => self.callee_speaks(leg, token),
            Happening::Node(input) => {
                match &input {
                    Input::Begun { result, .. } => {
                        note!(self, "begun {}", if result.is_ok() { "ok" } else { "no" });
                    }
                    Input::Heard { leg, heard } => {
                        if !self.worker.is_open(*leg) {
                            return;
                        }
                        note!(self, "heard {} {}", leg.0, callee::describe(heard));
                    }
                    Input::Media(event) => note!(self, "worker {}", worker::told(event)),
                    _ => {}
                }
                self.tell(input);
            }
        }
    }

    fn arrives(&mut self, from: SocketAddr, to: SocketAddr, bytes: bytes::Bytes) {
        let silent = |peer: &Peer| peer.address == from && peer.cut_off;
        if to == house::NODE {
            if self.down || self.peers.iter().any(silent) {
                return self.count("datagrams lost");
            }
            let flow = sip::Flow::udp(to, from);
            self.tell(Input::Datagram { flow, bytes });
        } else if let Some(n) = self.peers.iter().position(|peer| peer.address == to) {
            match self.peers[n].cut_off {
                true => self.count("datagrams lost"),
                false => self.peer_receives(n, from, &bytes),
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.ms + time.as_millis() as u64;
        while self.step(until) {}
        if self.watch.broken().is_none() {
            self.ms = until;
        }
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

    /// Asks for what must come to hold; a breach when it does not.
    pub(crate) fn comes(
        &mut self,
        law: Law,
        rule: &'static str,
        within: Duration,
        holds: impl Fn(&Stage) -> bool,
    ) {
        if !self.until(within, holds) && self.watch.broken().is_none() {
            let left = self
                .shop
                .left()
                .map_or(String::new(), |left| format!(": {left}"));
            let what = format!("not within {} s{left}", within.as_secs());
            let at = self.at();
            self.watch.breach(at, law, rule, what);
        }
    }

    /// Everybody hangs up their registrations and time runs on; then nothing may be left anywhere.
    pub fn wind_up(&mut self) {
        let rule = "nothing is left";
        let idle = |stage: &Stage| stage.node.is_idle() && !stage.down;
        let within = Duration::from_secs(600);
        // The second time for what the store still had to say.
        for _ in 0..2 {
            self.comes(Law::Calls, rule, within, idle);
            let busy = self.shop.busy_until.saturating_sub(self.ms);
            self.run_for(Duration::from_millis(busy + 100));
        }
        self.comes(Law::Calls, rule, within, idle);
        let at = self.at();
        if self.worker.open() > 0 {
            self.watch
                .breach(at, Law::Calls, rule, "legs in the worker".to_owned());
        }
        if let Some(left) = self.shop.left() {
            self.watch.breach(at, Law::Leads, rule, left);
        }
        if self.lost_requests {
            self.peers_hang_up();
        }
        self.peers_leave();
        let quiet = |stage: &Stage| {
            let mut peers = stage.peers.iter();
            stage.node.is_idle() && peers.all(|peer| peer.endpoint.is_idle())
        };
        self.comes(Law::Calls, rule, within, quiet);
        let at = self.at();
        self.watch.closed(at, &self.shop);
    }

    /// Until every lead's story is over, or put off by so much, and the lines are quiet.
    pub fn until_campaign_ends(&mut self, within: Duration, put_off: Duration) {
        let over = |stage: &Stage| {
            let later = stage.now().wall + put_off;
            let quiet = stage.node.calls() == 0 && stage.shop.held() == 0 && !stage.down;
            quiet && stage.shop.next_due().is_none_or(|due| due > later)
        };
        self.comes(Law::Leads, "the campaign ends", within, over);
    }

    /// What people were told, of one kind.
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
