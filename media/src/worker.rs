//! The value one media thread owns: legs, bridges and their clock.
//!
//! A leg is in *forward* mode when it is bridged and nothing listens to, records, plays to or presses keys towards
//! either side: a packet in is a packet out at once, and between packets it costs nothing. Otherwise it is in *frame*
//! mode: every 20 ms, in its slot of the wheel, one frame is taken from the jitter buffer and one is sent, silence when
//! there is nothing to say, so that the far end's clock runs and address translators stay open.

use crate::Codec;
use crate::codec;
use crate::leg::{Admission, Connection, Leg, Source};
use crate::rtp::{self, Received};
use crate::sdp::{Direction, Negotiated};
use crate::wheel::{SLOTS, Wheel, slot_of};
use model::{LegId, LegStats, Mono};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

mod interface;
pub use interface::{Command, Event, Frame, Out, WorkerConfig};

/// Ticks missed for longer than this are not made up for: the time base leaps instead.
const STALL_MS: u64 = 200;
/// How often silent legs are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// A key passed on to the other leg of a bridge in frame mode.
const RELAYED_KEY: Duration = Duration::from_millis(100);
/// Comfort noise (RFC 3389): says that there is nothing to say.
const COMFORT_NOISE: u8 = 13;

/// Every leg of a set of calls. A plain value: moves between threads, knows no clock.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    legs: Vec<Option<Leg>>,
    places: BTreeMap<LegId, usize>,
    free: Vec<usize>,
    wheel: Wheel,
    /// The next millisecond whose slot has not run.
    next_ms: u64,
    next_sweep: Option<Mono>,
    /// Legs that may go back to forward mode after this tick.
    relaxed: Vec<usize>,
    strangers: u64,
    late: u64,
}

enum Kind {
    Audio(Codec),
    Key,
    Noise,
}

impl Worker {
    pub fn new(config: WorkerConfig) -> Worker {
        Worker {
            config,
            legs: Vec::new(),
            places: BTreeMap::new(),
            free: Vec::new(),
            wheel: Wheel::default(),
            next_ms: 0,
            next_sweep: None,
            relaxed: Vec::new(),
            strangers: 0,
            late: 0,
        }
    }

    /// Legs open.
    pub fn legs(&self) -> usize {
        self.places.len()
    }
    /// Legs in frame mode, which tick.
    pub fn framed(&self) -> usize {
        self.wheel.ticking()
    }
    /// Packets dropped because they came from elsewhere than the negotiated address, since the start.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }
    /// Packets that came too late to be played, since the start.
    pub fn late(&self) -> u64 {
        self.late
    }
    pub fn stats(&self, leg: LegId) -> Option<LegStats> {
        self.leg(*self.places.get(&leg)?).map(Leg::stats)
    }

    /// When `tick` has something to do next. Legs in forward mode ask for nothing but a look once a second.
    pub fn next_deadline(&self) -> Option<Mono> {
        let frame = self.wheel.next(self.next_ms).map(Mono::from_millis);
        match (frame, self.next_sweep) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Commands about unknown legs are ignored: they crossed with a `Close`.
    pub fn command(&mut self, now: Mono, command: Command, out: &mut impl Out) {
        if self.wheel.ticking() == 0 {
            self.next_ms = now.as_millis() + 1;
        }
        match command {
            Command::Open {
                leg,
                ssrc,
                sequence,
                timestamp,
            } => {
                self.open(Leg::new(leg, ssrc, sequence, timestamp));
            }
            Command::Connect {
                leg,
                negotiated,
                latch,
            } => self.connect(now, leg, negotiated, latch),
            Command::Play { leg, play, prompt } => {
                let taken = self.change(leg, |leg| leg.player.play(play, prompt));
                if taken == Some(false) {
                    out.event(Event::PlayFinished { leg, play });
                }
            }
            Command::Stop { leg, play } => {
                self.change(leg, |leg| leg.player.stop(play));
            }
            Command::Listen { leg, on } => {
                self.change(leg, |leg| leg.listen = on);
            }
            Command::Record { leg, on } => {
                self.change(leg, |leg| leg.record = on);
            }
            Command::SendDigit {
                leg,
                digit,
                duration,
            } => {
                self.change(leg, |leg| leg.digits_out.press(digit, duration));
            }
            Command::Bridge { a, b } => self.bridge(a, b),
            Command::Unbridge { a, b } => {
                if let (Some(&a), Some(&b)) = (self.places.get(&a), self.places.get(&b))
                    && self.leg(a).is_some_and(|leg| leg.peer == Some(b))
                {
                    self.part(a);
                }
            }
            Command::Close { leg } => self.close(leg, out),
        }
    }

    /// A datagram that arrived on the leg's socket. Its bytes are rewritten in place when it is forwarded.
    pub fn packet(
        &mut self,
        now: Mono,
        leg: LegId,
        from: SocketAddr,
        packet: &mut [u8],
        out: &mut impl Out,
    ) {
        let Some(&place) = self.places.get(&leg) else {
            return;
        };
        // RTCP may share the port; reports are not read yet.
        if rtp::is_rtcp(packet) {
            return;
        }
        let Some(received) = Received::parse(packet) else {
            return;
        };
        let Some(Some(leg)) = self.legs.get_mut(place) else {
            return;
        };
        let Some(connection) = &mut leg.connection else {
            return;
        };
        let Some(kind) = classify(&connection.negotiated, received.payload_type) else {
            return;
        };
        match connection.source.admit(now, from, &received) {
            Admission::Stranger => {
                self.strangers += 1;
                return;
            }
            Admission::Admitted => {}
            Admission::Locked(remote) => out.event(Event::SourceLocked {
                leg: leg.id,
                remote,
            }),
        }
        connection.last_heard = now;
        connection.silent = false;
        if !connection.negotiated.direction.receives() {
            return;
        }
        let audio = matches!(kind, Kind::Audio(_));
        leg.reception.packet(
            now,
            received.ssrc,
            received.sequence,
            received.timestamp,
            audio,
        );
        let (start, end) = received.payload;
        match kind {
            Kind::Noise => {}
            Kind::Audio(codec) if leg.frames.is_some() => {
                let in_time = leg.hear(now, &received, codec, &packet[start..end]);
                self.late += u64::from(!in_time);
            }
            Kind::Audio(codec) => self.forward(now, place, &received, Some(codec), packet, out),
            Kind::Key => {
                let payload = &packet[start..end];
                let digit = leg
                    .digits_in
                    .packet(now, received.ssrc, received.timestamp, payload);
                if let Some(digit) = digit {
                    out.event(Event::Digit { leg: leg.id, digit });
                }
                self.key(now, place, &received, digit, packet, out);
            }
        }
    }

    /// Runs every frame that is due. To be called about every 2 ms, and at latest at `next_deadline`.
    pub fn tick(&mut self, now: Mono, out: &mut impl Out) {
        let now_ms = now.as_millis();
        if now_ms > self.next_ms + STALL_MS {
            self.next_ms = now_ms - STALL_MS;
        }
        while self.next_ms <= now_ms {
            let due = self.next_ms;
            for n in 0..self.wheel.due(due).len() {
                self.frame(self.wheel.due(due)[n], due, out);
            }
            self.next_ms += 1;
        }
        while let Some(place) = self.relaxed.pop() {
            self.refresh(place);
        }
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.sweep(now, out);
        }
    }

    fn leg(&self, place: usize) -> Option<&Leg> {
        self.legs.get(place)?.as_ref()
    }

    /// Changes a leg and, where that calls for it, its mode.
    fn change<T>(&mut self, leg: LegId, change: impl FnOnce(&mut Leg) -> T) -> Option<T> {
        let place = *self.places.get(&leg)?;
        let result = change(self.legs.get_mut(place)?.as_mut()?);
        self.refresh(place);
        Some(result)
    }

    fn open(&mut self, leg: Leg) {
        if self.places.contains_key(&leg.id) {
            return;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        self.places.insert(leg.id, place);
        self.legs[place] = Some(leg);
        // A tick may not allocate; a slot has at most every leg once, and STALL_MS of them may run.
        self.relaxed
            .reserve(self.legs.len().saturating_sub(self.relaxed.len()));
    }

    fn connect(&mut self, now: Mono, leg: LegId, negotiated: Negotiated, latch: Option<IpAddr>) {
        let Some(&place) = self.places.get(&leg) else {
            return;
        };
        let Some(Some(leg)) = self.legs.get_mut(place) else {
            return;
        };
        let before = leg.connection.as_ref().map(|connection| &connection.source);
        let source = Source::new(negotiated.remote, latch, before);
        match &mut leg.connection {
            Some(connection) => {
                connection.source = source;
                connection.negotiated = negotiated;
                connection.last_heard = now;
                connection.silent = false;
            }
            None => {
                let slot = self.wheel.assign();
                let first = now.as_millis() + 1;
                let wait = (SLOTS + slot - slot_of(first)) % SLOTS;
                leg.connection = Some(Connection {
                    negotiated,
                    source,
                    slot,
                    epoch: first + wait as u64,
                    last_heard: now,
                    silent: false,
                });
            }
        }
        self.next_sweep.get_or_insert(now + SWEEP);
        self.refresh(place);
    }

    fn bridge(&mut self, a: LegId, b: LegId) {
        let (Some(&a), Some(&b)) = (self.places.get(&a), self.places.get(&b)) else {
            return;
        };
        if a == b || self.leg(a).is_some_and(|leg| leg.peer == Some(b)) {
            return;
        }
        self.part(a);
        self.part(b);
        for (place, peer) in [(a, b), (b, a)] {
            if let Some(Some(leg)) = self.legs.get_mut(place) {
                leg.peer = Some(peer);
            }
        }
        self.refresh(a);
    }

    /// Ends the bridge a leg is in, if any.
    fn part(&mut self, place: usize) {
        let Some(peer) = self.legs[place].as_mut().and_then(|leg| leg.peer.take()) else {
            return;
        };
        if let Some(Some(other)) = self.legs.get_mut(peer) {
            other.peer = None;
        }
        self.refresh(place);
        self.refresh(peer);
    }

    fn close(&mut self, leg: LegId, out: &mut impl Out) {
        let Some(place) = self.places.remove(&leg) else {
            return;
        };
        self.part(place);
        let Some(closed) = self.legs[place].take() else {
            return;
        };
        if let Some(connection) = &closed.connection {
            self.wheel.stop(connection.slot, place);
            self.wheel.release(connection.slot);
        }
        self.free.push(place);
        if self.places.is_empty() {
            self.next_sweep = None;
        }
        out.event(Event::Closed {
            leg,
            stats: closed.stats(),
        });
    }

    /// Whether a leg's packets may be forwarded untouched.
    fn forwardable(&self, place: usize) -> bool {
        let free = |place| {
            self.leg(place)
                .is_some_and(|leg| leg.connection.is_some() && !leg.wants_frames())
        };
        let peer = self.leg(place).and_then(|leg| leg.peer);
        free(place) && peer.is_some_and(free)
    }

    /// Puts a leg and the other one of its bridge into the mode that is called for.
    fn refresh(&mut self, place: usize) {
        let forward = self.forwardable(place);
        let peer = self.leg(place).and_then(|leg| leg.peer);
        for place in [Some(place), peer].into_iter().flatten() {
            let Some(Some(leg)) = self.legs.get_mut(place) else {
                continue;
            };
            let Some(slot) = leg.connection.as_ref().map(|connection| connection.slot) else {
                continue;
            };
            match (leg.frames.is_some(), forward) {
                (false, false) => {
                    leg.enter_frames(self.config.jitter);
                    self.wheel.start(slot, place);
                }
                (true, true) => {
                    leg.leave_frames();
                    self.wheel.stop(slot, place);
                }
                _ => {}
            }
        }
    }

    fn frame(&mut self, place: usize, due: u64, out: &mut impl Out) {
        let Some(Some(leg)) = self.legs.get_mut(place) else {
            return;
        };
        if leg
            .connection
            .as_ref()
            .is_none_or(|connection| due < connection.epoch)
        {
            return;
        }
        leg.tick(due, out);
        let Some(peer) = leg.peer else { return };
        if let Ok([Some(leg), Some(peer)]) = self.legs.get_disjoint_mut([place, peer])
            && let Some((pcm, spoke)) = leg.said()
        {
            peer.told(pcm, spoke);
        }
        if self.forwardable(place) && self.relaxed.len() < self.relaxed.capacity() {
            self.relaxed.push(place);
        }
    }

    /// Sends a packet on to the other leg of the bridge. `codec` is its own; `None` is a telephone-event.
    fn forward(
        &mut self,
        now: Mono,
        place: usize,
        received: &Received,
        codec: Option<Codec>,
        packet: &mut [u8],
        out: &mut impl Out,
    ) {
        let Some(peer) = self.leg(place).and_then(|leg| leg.peer) else {
            return;
        };
        let Some(Some(peer)) = self.legs.get_mut(peer) else {
            return;
        };
        let Some(connection) = &peer.connection else {
            return;
        };
        let negotiated = &connection.negotiated;
        if !negotiated.direction.sends() {
            return;
        }
        let payload_type = match codec {
            Some(codec) => {
                let (start, end) = received.payload;
                codec::transcode(codec, negotiated.codec, &mut packet[start..end]);
                negotiated.payload_type
            }
            None => match negotiated.dtmf {
                Some(payload_type) => payload_type,
                None => return,
            },
        };
        if peer.sender.readdress(now, received, payload_type, packet) {
            out.send(peer.id, connection.source.address(), packet);
        }
    }

    /// A telephone-event: forwarded as it is where both sides have events, else pressed anew towards the other leg.
    fn key(
        &mut self,
        now: Mono,
        place: usize,
        received: &Received,
        digit: Option<char>,
        packet: &mut [u8],
        out: &mut impl Out,
    ) {
        let Some(leg) = self.leg(place) else { return };
        let Some(peer) = leg.peer.and_then(|peer| self.leg(peer)) else {
            return;
        };
        let events = peer
            .connection
            .as_ref()
            .is_some_and(|c| c.negotiated.dtmf.is_some());
        if leg.frames.is_none() && events {
            self.forward(now, place, received, None, packet, out);
        } else if let Some(digit) = digit
            && peer.connection.is_some()
        {
            let peer = peer.id;
            self.change(peer, |leg| leg.digits_out.press(digit, RELAYED_KEY));
        }
    }

    fn sweep(&mut self, now: Mono, out: &mut impl Out) {
        self.next_sweep = Some(now + SWEEP);
        for leg in self.legs.iter_mut().flatten() {
            let Some(connection) = &mut leg.connection else {
                continue;
            };
            // A far end that holds may well send nothing.
            let expected = connection.negotiated.direction == Direction::SendRecv;
            let quiet = now.since(connection.last_heard) >= self.config.silent_after;
            if quiet && !connection.silent && expected {
                connection.silent = true;
                out.event(Event::Silent { leg: leg.id });
            }
        }
    }
}

fn classify(negotiated: &Negotiated, payload_type: u8) -> Option<Kind> {
    if payload_type == negotiated.payload_type {
        Some(Kind::Audio(negotiated.codec))
    } else if negotiated.dtmf == Some(payload_type) {
        Some(Kind::Key)
    } else if payload_type == COMFORT_NOISE {
        Some(Kind::Noise)
    } else {
        // The far end may change between what both have without a word (RFC 3264 §5.1).
        Codec::from_payload_type(payload_type).map(Kind::Audio)
    }
}
