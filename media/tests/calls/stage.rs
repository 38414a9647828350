//! The stage: phones that speak and listen, a network that loses, delays and doubles, and a clock that is told.

use media::dtmf::Telephony;
use media::rtp::{self, Received};
use media::{Codec, Command, Direction, Event, Frame, Negotiated, Out, Pcm, Worker, WorkerConfig};
use model::{LegId, LegStats, Mono, PlayId, PromptId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const ANA: LegId = LegId(1);
pub const BO: LegId = LegId(2);

pub fn address(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (leg.0 % 250) as u8], 4000))
}
pub fn negotiated(leg: LegId, codec: Codec) -> Negotiated {
    Negotiated {
        remote: address(leg),
        codec,
        payload_type: codec.payload_type(),
        dtmf: Some(101),
        ptime: Duration::from_millis(20),
        direction: Direction::SendRecv,
    }
}
pub fn prompt(pcm: Vec<i16>) -> Arc<media::Prompt> {
    Arc::new(media::Prompt::new(PromptId(Default::default()), pcm))
}

/// What came out of the worker, in order.
#[derive(Default)]
pub struct Log {
    pub sent: Vec<(LegId, SocketAddr, Vec<u8>)>,
    pub heard: Vec<(LegId, Frame)>,
    pub recorded: Vec<(LegId, u32, Pcm, Pcm)>,
    pub events: Vec<Event>,
}

impl Out for Log {
    fn send(&mut self, leg: LegId, to: SocketAddr, packet: &[u8]) {
        self.sent.push((leg, to, packet.to_vec()));
    }
    fn heard(&mut self, leg: LegId, frame: &Frame) {
        self.heard.push((leg, frame.clone()));
    }
    fn recorded(&mut self, leg: LegId, at: u32, left: &Pcm, right: &Pcm) {
        self.recorded.push((leg, at, *left, *right));
    }
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// The far end of a leg: sends a packet every 20 ms of its own clock.
pub struct Phone {
    pub leg: LegId,
    pub codec: Codec,
    pub payload_type: u8,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub from: SocketAddr,
    /// What it says; silence once it is used up.
    pub says: Vec<i16>,
    pub spoken: usize,
    pub talking: bool,
    /// Parts in a million its clock is fast.
    pub drift_ppm: i64,
    packets: u64,
    /// What reached it: packets as they came.
    pub got: Vec<(Received, Vec<u8>)>,
}

impl Phone {
    pub fn new(leg: LegId, codec: Codec) -> Phone {
        Phone {
            leg,
            codec,
            payload_type: codec.payload_type(),
            ssrc: 1000 + leg.0 as u32,
            sequence: 65_500,
            timestamp: u32::MAX - 1600,
            from: address(leg),
            says: Vec::new(),
            spoken: 0,
            talking: true,
            drift_ppm: 0,
            packets: 0,
            got: Vec::new(),
        }
    }
    fn due(&self, since: Duration) -> bool {
        let own = since.as_nanos() as i128 * i128::from(1_000_000 + self.drift_ppm) / 1_000_000;
        own >= i128::from(self.packets) * 20_000_000
    }
    fn speak(&mut self) -> Vec<u8> {
        let mut pcm = [0; 160];
        let rest = &self.says[self.spoken.min(self.says.len())..];
        let n = rest.len().min(160);
        pcm[..n].copy_from_slice(&rest[..n]);
        self.spoken += 160;
        let mut payload = [0; 160];
        self.codec.encode(&pcm, &mut payload);
        self.packet(self.payload_type, self.timestamp, &payload)
    }
    /// A packet with the next sequence number.
    pub fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 400];
        let n = rtp::build(
            &mut buffer,
            payload_type,
            false,
            self.sequence,
            timestamp,
            self.ssrc,
            payload,
        );
        self.sequence = self.sequence.wrapping_add(1);
        buffer[..n].to_vec()
    }
    /// One packet of a key press under way.
    pub fn key(&mut self, key: char, begun: u32, duration: u16, end: bool) -> Vec<u8> {
        let code = media::dtmf::code(key).unwrap();
        let event = Telephony {
            code,
            end,
            volume: 10,
            duration,
        };
        self.packet(101, begun, &event.bytes())
    }
    /// What it heard, in sequence order, with gaps as silence.
    pub fn heard(&self) -> Vec<i16> {
        let mut audio: Vec<&(Received, Vec<u8>)> = self
            .got
            .iter()
            .filter(|(r, _)| r.payload_type == self.payload_type)
            .collect();
        audio.sort_by_key(|(r, _)| r.timestamp.wrapping_sub(self.got[0].0.timestamp));
        let mut pcm = Vec::new();
        for (received, payload) in audio {
            let at = received.timestamp.wrapping_sub(self.got[0].0.timestamp) as usize;
            pcm.resize(pcm.len().max(at + payload.len()), 0);
            self.codec.decode(payload, &mut pcm[at..]);
        }
        pcm
    }
    /// Keys that reached it as events: one letter a press.
    pub fn keys(&self) -> String {
        let mut receiver = media::dtmf::DigitReceiver::default();
        self.got
            .iter()
            .filter(|(r, _)| r.payload_type == 101)
            .filter_map(|(r, payload)| receiver.packet(Mono::ZERO, r.ssrc, r.timestamp, payload))
            .collect()
    }
}

/// What the network does to packets on their way to us.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub lost_percent: u32,
    pub doubled_percent: u32,
    pub delay_ms: u32,
}

pub struct Stage {
    pub worker: Worker,
    pub log: Log,
    pub now: Mono,
    begun: Mono,
    pub phones: BTreeMap<LegId, Phone>,
    pub weather: Weather,
    /// Packets under way to us, by arrival.
    air: BTreeMap<(Mono, u64), (LegId, SocketAddr, Vec<u8>)>,
    sent_to_air: u64,
    delivered: usize,
    chance: u64,
}

impl Stage {
    pub fn new(seed: u64) -> Stage {
        Stage::with(seed, WorkerConfig::default())
    }
    pub fn with(seed: u64, config: WorkerConfig) -> Stage {
        let begun = Mono::from_millis(1_000);
        Stage {
            worker: Worker::new(config),
            log: Log::default(),
            now: begun,
            begun,
            phones: BTreeMap::new(),
            weather: Weather::default(),
            air: BTreeMap::new(),
            sent_to_air: 0,
            delivered: 0,
            chance: seed.wrapping_mul(2).wrapping_add(1),
        }
    }
    /// Opens and connects a leg with a phone at its end.
    pub fn call(&mut self, leg: LegId, codec: Codec) {
        self.open(leg);
        self.command(Command::Connect {
            leg,
            negotiated: negotiated(leg, codec),
            latch: None,
        });
        let mut phone = Phone::new(leg, codec);
        // A phone that joins later begins its clock then.
        phone.packets = self.now.since(self.begun).as_millis() as u64 / 20;
        self.phones.insert(leg, phone);
    }
    pub fn open(&mut self, leg: LegId) {
        let ssrc = 7000 + leg.0 as u32;
        self.command(Command::Open {
            leg,
            ssrc,
            sequence: 65_530,
            timestamp: u32::MAX - 500,
        });
    }
    pub fn command(&mut self, command: Command) {
        self.worker.command(self.now, command, &mut self.log);
    }
    pub fn play(&mut self, leg: LegId, play: u64, pcm: Vec<i16>) {
        self.command(Command::Play {
            leg,
            play: PlayId(play),
            prompt: prompt(pcm),
        });
    }
    pub fn phone(&mut self, leg: LegId) -> &mut Phone {
        self.phones.get_mut(&leg).unwrap()
    }
    pub fn arrive(&mut self, leg: LegId, from: SocketAddr, mut packet: Vec<u8>) {
        self.worker
            .packet(self.now, leg, from, &mut packet, &mut self.log);
        self.deliver();
    }
    /// Time passes, in the steps of a media thread.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 2 {
            self.now = self.now + Duration::from_millis(2);
            let since = self.now.since(self.begun);
            let mut spoken = Vec::new();
            for phone in self.phones.values_mut() {
                while phone.due(since) {
                    let packet = phone.speak();
                    phone.timestamp = phone.timestamp.wrapping_add(160);
                    phone.packets += 1;
                    if phone.talking {
                        spoken.push((phone.leg, phone.from, packet));
                    }
                }
            }
            for (leg, from, packet) in spoken {
                self.launch(leg, from, packet);
            }
            while let Some(first) = self.air.first_entry() {
                if first.key().0 > self.now {
                    break;
                }
                let (leg, from, mut packet) = first.remove();
                self.worker
                    .packet(self.now, leg, from, &mut packet, &mut self.log);
            }
            self.worker.tick(self.now, &mut self.log);
            self.deliver();
        }
    }
    fn launch(&mut self, leg: LegId, from: SocketAddr, packet: Vec<u8>) {
        if self.roll(100) < self.weather.lost_percent {
            return;
        }
        let copies = if self.roll(100) < self.weather.doubled_percent {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = u64::from(self.roll(self.weather.delay_ms + 1));
            self.sent_to_air += 1;
            let at = self.now + Duration::from_millis(delay);
            self.air
                .insert((at, self.sent_to_air), (leg, from, packet.clone()));
        }
    }
    fn deliver(&mut self) {
        for (leg, to, packet) in &self.log.sent[self.delivered..] {
            let received = Received::parse(packet).expect("what leaves is RTP");
            if let Some(phone) = self.phones.get_mut(leg)
                && *to == phone.from
            {
                phone.got.push((
                    received,
                    packet[received.payload.0..received.payload.1].to_vec(),
                ));
            }
        }
        self.delivered = self.log.sent.len();
    }
    fn roll(&mut self, sides: u32) -> u32 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        ((self.chance >> 33) % u64::from(sides.max(1))) as u32
    }
    pub fn digits(&self, of: LegId) -> String {
        self.log
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Digit { leg, digit } if *leg == of => Some(*digit),
                _ => None,
            })
            .collect()
    }
    pub fn close(&mut self, of: LegId) -> LegStats {
        self.command(Command::Close { leg: of });
        match self.log.events.last() {
            Some(Event::Closed { leg, stats }) if *leg == of => *stats,
            other => panic!("{other:?}"),
        }
    }
    /// What leg `of` was recorded as: left and right, and the offset of the first sample. Frames follow each other.
    pub fn recording(&self, of: LegId) -> (u32, Vec<i16>, Vec<i16>) {
        let frames: Vec<_> = self
            .log
            .recorded
            .iter()
            .filter(|(leg, ..)| *leg == of)
            .collect();
        for pair in frames.windows(2) {
            assert_eq!(
                pair[1].1,
                pair[0].1 + 160,
                "recording frames follow each other"
            );
        }
        let left = frames.iter().flat_map(|(_, _, left, _)| *left).collect();
        let right = frames.iter().flat_map(|(_, _, _, right)| *right).collect();
        (frames.first().map_or(0, |frame| frame.1), left, right)
    }
}

/// Sequence numbers follow each other and timestamps never go back.
pub fn assert_one_stream(packets: &[(Received, Vec<u8>)]) {
    for pair in packets.windows(2) {
        let (a, b) = (&pair[0].0, &pair[1].0);
        assert_eq!(b.sequence, a.sequence.wrapping_add(1), "{a:?} then {b:?}");
        assert_eq!(b.ssrc, a.ssrc);
        assert!(
            b.timestamp.wrapping_sub(a.timestamp) < 80_000,
            "{a:?} then {b:?}"
        );
    }
}
