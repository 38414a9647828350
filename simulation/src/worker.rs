//! A media worker that moves no sound: it knows which legs are open and when a prompt would have been over.

use crate::stage::{Happening, Stage};
use crate::watch::Law;
use model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use switch::{Input, MediaCommand};

pub struct Worker {
    legs: BTreeMap<LegId, Leg>,
    by_port: HashMap<u16, LegId>,
    /// Never opened, or gone by themselves. A `Close` may be on its way to them.
    lost: BTreeSet<LegId>,
    /// The highest leg there ever was.
    last: LegId,
    /// So many of the next sockets cannot be opened.
    pub failing: u32,
    /// Prompts never report their end.
    pub mute: bool,
    /// Legs opened so far.
    pub opened: usize,
    tokens: u64,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker {
            legs: BTreeMap::new(),
            by_port: HashMap::new(),
            lost: BTreeSet::new(),
            last: LegId(0),
            failing: 0,
            mute: false,
            opened: 0,
            tokens: 0,
        }
    }
}

struct Leg {
    port: u16,
    /// Time base: its first `Connect`.
    connected: Option<u64>,
    peer: Option<LegId>,
    plays: VecDeque<(PlayId, u64)>,
    /// The play under way.
    playing: Option<u64>,
}

impl Worker {
    pub fn open(&self) -> usize {
        self.legs.len()
    }
    pub fn is_open(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }
    pub fn nth_open(&self, n: u64) -> Option<LegId> {
        let n = n as usize % self.legs.len().max(1);
        self.legs.keys().nth(n).copied()
    }
    pub fn first_open(&self) -> Option<LegId> {
        self.legs.keys().next().copied()
    }
    pub fn leg_at(&self, port: u16) -> Option<LegId> {
        self.by_port.get(&port).copied()
    }
    /// Milliseconds of the stage at which the leg's own time began.
    pub fn base(&self, leg: LegId) -> Option<u64> {
        self.legs.get(&leg)?.connected
    }
    pub fn bridged(&self, leg: LegId) -> Option<LegId> {
        self.legs.get(&leg)?.peer
    }

    /// Its process is gone; what it is told to do by a story stays.
    pub(crate) fn dies(&mut self) {
        self.legs.clear();
        self.by_port.clear();
        self.lost.clear();
        self.last = LegId(0);
    }

    fn remove(&mut self, leg: LegId) -> Option<Leg> {
        self.part(leg);
        let gone = self.legs.remove(&leg)?;
        self.by_port.remove(&gone.port);
        Some(gone)
    }

    fn part(&mut self, leg: LegId) {
        let peer = self.legs.get_mut(&leg).and_then(|leg| leg.peer.take());
        if let Some(peer) = peer.and_then(|peer| self.legs.get_mut(&peer)) {
            peer.peer = None;
        }
    }
}

impl Stage {
    pub fn worker_does(&mut self, command: MediaCommand) {
        use media::Command;
        match command {
            MediaCommand::Open { leg, port, .. } => {
                let taken = self.worker.leg_at(port).is_some();
                if taken || leg <= self.worker.last {
                    let (at, what) = (self.at(), format!("leg {} on port {port}", leg.0));
                    self.watch.breach(at, Law::Calls, "a leg opens once", what);
                }
                self.worker.opened += 1;
                self.worker.last = leg;
                if self.worker.failing > 0 {
                    self.worker.failing -= 1;
                    self.worker.lost.insert(leg);
                    return self.after(0, Happening::Node(Input::MediaFailed { leg }));
                }
                let fresh = Leg {
                    port,
                    connected: None,
                    peer: None,
                    plays: VecDeque::new(),
                    playing: None,
                };
                self.worker.legs.insert(leg, fresh);
                self.worker.by_port.insert(port, leg);
            }
            MediaCommand::Listen { leg } | MediaCommand::Record { leg, .. } => {
                self.known(leg);
            }
            MediaCommand::Plain(command) => match command {
                Command::Connect { leg: id, .. } => {
                    let ms = self.ms;
                    if let Some(leg) = self.known(id) {
                        leg.connected.get_or_insert(ms);
                        self.play_next(id);
                    }
                }
                Command::Play {
                    leg: id,
                    play,
                    prompt,
                } => {
                    let length = prompt.duration().as_millis() as u64;
                    if let Some(leg) = self.known(id) {
                        leg.plays.push_back((play, length));
                        self.play_next(id);
                    }
                }
                Command::Stop { leg: id, play } => {
                    if let Some(leg) = self.known(id) {
                        let first = leg.plays.front().map(|(play, _)| *play);
                        leg.plays.retain(|(other, _)| *other != play);
                        if first == Some(play) {
                            leg.playing = None;
                        }
                        self.play_next(id);
                    }
                }
                Command::Bridge { a, b } => {
                    if self.known(a).is_some() && self.known(b).is_some() {
                        self.worker.part(a);
                        self.worker.part(b);
                        for (leg, peer) in [(a, b), (b, a)] {
                            if let Some(leg) = self.known(leg) {
                                leg.peer = Some(peer);
                            }
                        }
                    }
                }
                Command::Unbridge { a, .. } => self.worker.part(a),
                Command::Close { leg } => {
                    if self.worker.lost.remove(&leg) {
                        return;
                    }
                    self.callees.leaves(leg);
                    let Some(gone) = self.worker.remove(leg) else {
                        let (at, what) = (self.at(), format!("leg {} is not open", leg.0));
                        return self.watch.breach(at, Law::Calls, "a leg closes once", what);
                    };
                    let stats = LegStats {
                        packets_sent: gone.connected.map_or(0, |at| (self.ms - at) / 20),
                        ..LegStats::default()
                    };
                    let event = media::Event::Closed { leg, stats };
                    self.after(1, Happening::Node(Input::Media(event)));
                }
                other => {
                    let (at, what) = (self.at(), format!("{other:?}"));
                    self.watch
                        .breach(at, Law::Calls, "a command the worker knows", what);
                }
            },
        }
    }

    /// An open leg; `None` when it was closed meanwhile. A leg that never was is a fault.
    fn known(&mut self, leg: LegId) -> Option<&mut Leg> {
        if leg > self.worker.last {
            let (at, what) = (self.at(), format!("leg {} never was", leg.0));
            self.watch
                .breach(at, Law::Calls, "legs are opened before they are used", what);
        }
        self.worker.legs.get_mut(&leg)
    }

    fn play_next(&mut self, id: LegId) {
        let token = self.worker.tokens + 1;
        let Some(leg) = self.worker.legs.get_mut(&id) else {
            return;
        };
        let Some((_, length)) = leg.plays.front() else {
            return;
        };
        let length = *length;
        if leg.connected.is_none() || leg.playing.is_some() {
            return;
        }
        leg.playing = Some(token);
        self.worker.tokens = token;
        self.after(20, Happening::PlayStarts(id, token));
        self.after(20 + length, Happening::PlayEnds(id, token));
    }

    fn playing(&self, id: LegId, token: u64) -> Option<PlayId> {
        let leg = self.worker.legs.get(&id)?;
        let (play, _) = leg.plays.front()?;
        (leg.playing == Some(token)).then_some(*play)
    }

    pub fn play_starts(&mut self, leg: LegId, token: u64) {
        if let Some(play) = self.playing(leg, token) {
            self.callee_hears(leg, true);
            let event = media::Event::PlayStarted { leg, play };
            self.after(1, Happening::Node(Input::Media(event)));
        }
    }

    pub fn play_ends(&mut self, leg: LegId, token: u64) {
        let Some(play) = self.playing(leg, token).filter(|_| !self.worker.mute) else {
            return;
        };
        if let Some(leg) = self.worker.legs.get_mut(&leg) {
            leg.plays.pop_front();
            leg.playing = None;
        }
        self.callee_hears(leg, false);
        let event = media::Event::PlayFinished { leg, play };
        self.after(1, Happening::Node(Input::Media(event)));
        self.play_next(leg);
    }

    /// The worker loses a leg nobody asked it to close.
    pub fn lose_leg(&mut self, leg: LegId) {
        if self.worker.remove(leg).is_some() {
            self.callees.leaves(leg);
            self.worker.lost.insert(leg);
            let stats = LegStats::default();
            let event = media::Event::Closed { leg, stats };
            self.after(0, Happening::Node(Input::Media(event)));
        }
    }

    /// No packet has come on a leg for a long time.
    pub fn silence(&mut self, leg: LegId) {
        self.after(
            0,
            Happening::Node(Input::Media(media::Event::Silent { leg })),
        );
    }
}

pub fn describe(command: &MediaCommand) -> String {
    use media::Command;
    match command {
        MediaCommand::Open { leg, port, .. } => format!("open {} on {port}", leg.0),
        MediaCommand::Listen { leg } => format!("listen {}", leg.0),
        MediaCommand::Record { leg, file, .. } => format!("record {} {file}", leg.0),
        MediaCommand::Plain(command) => match command {
            Command::Connect {
                leg, negotiated, ..
            } => format!(
                "connect {} to {} {:?}",
                leg.0, negotiated.remote, negotiated.codec
            ),
            Command::Play { leg, play, prompt } => {
                format!(
                    "play {} {} {} ms",
                    leg.0,
                    play.0,
                    prompt.duration().as_millis()
                )
            }
            Command::Stop { leg, play } => format!("stop {} {}", leg.0, play.0),
            Command::Bridge { a, b } => format!("bridge {} {}", a.0, b.0),
            Command::Unbridge { a, b } => format!("unbridge {} {}", a.0, b.0),
            Command::Close { leg } => format!("close {}", leg.0),
            other => format!("{other:?}"),
        },
    }
}

pub fn told(event: &media::Event) -> String {
    use media::Event;
    match event {
        Event::PlayStarted { leg, play } => format!("started {} {}", leg.0, play.0),
        Event::PlayFinished { leg, play } => format!("finished {} {}", leg.0, play.0),
        Event::Closed { leg, .. } => format!("closed {}", leg.0),
        other => format!("{other:?}"),
    }
}
