//! Packets to two bridged legs that are listened to and recorded, some in forward mode, some in frame mode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::{Codec, Command, Direction, Event, Frame, Negotiated, Out, Pcm, Worker, WorkerConfig};
use model::{LegId, Mono};
use std::net::SocketAddr;
use std::time::Duration;

const A: LegId = LegId(1);
const B: LegId = LegId(2);

struct Sink;

impl Out for Sink {
    fn send(&mut self, _: LegId, _: SocketAddr, packet: &[u8]) {
        assert!(
            media::rtp::Received::parse(packet).is_some(),
            "what we send can be read"
        );
    }
    fn heard(&mut self, _: LegId, _: &Frame) {}
    fn recorded(&mut self, _: LegId, _: u32, _: &Pcm, _: &Pcm) {}
    fn event(&mut self, _: Event) {}
}

fn address(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, leg.0 as u8], 4000))
}

fuzz_target!(|input: &[u8]| {
    let Some((&how, mut rest)) = input.split_first() else {
        return;
    };
    let mut worker = Worker::new(WorkerConfig::default());
    let mut ms = 1;
    let now = |ms: u64| Mono::from_millis(ms);
    for leg in [A, B] {
        worker.command(
            now(ms),
            Command::Open {
                leg,
                ssrc: 7,
                sequence: 65_530,
                timestamp: u32::MAX - 300,
            },
            &mut Sink,
        );
        let negotiated = Negotiated {
            remote: address(leg),
            codec: if how & 1 == 0 {
                Codec::Pcma
            } else {
                Codec::Pcmu
            },
            payload_type: if how & 1 == 0 { 8 } else { 0 },
            dtmf: Some(101),
            ptime: Duration::from_millis(20),
            direction: Direction::SendRecv,
        };
        worker.command(
            now(ms),
            Command::Connect {
                leg,
                negotiated,
                latch: None,
            },
            &mut Sink,
        );
    }
    if how & 2 != 0 {
        worker.command(now(ms), Command::Bridge { a: A, b: B }, &mut Sink);
    }
    if how & 4 != 0 {
        worker.command(now(ms), Command::Listen { leg: A, on: true }, &mut Sink);
        worker.command(now(ms), Command::Record { leg: A, on: true }, &mut Sink);
    }
    // Length, time to wait, packet.
    while let [length, wait, packet @ ..] = rest {
        let (packet, after) = packet.split_at(usize::from(*length).min(packet.len()));
        rest = after;
        for _ in 0..u64::from(*wait & 0x3f) {
            ms += 1;
            worker.tick(now(ms), &mut Sink);
        }
        let leg = if *wait & 0x40 == 0 { A } else { B };
        worker.packet(now(ms), leg, address(leg), &mut packet.to_vec(), &mut Sink);
    }
    for leg in [A, B] {
        worker.command(now(ms), Command::Close { leg }, &mut Sink);
    }
    assert_eq!(worker.legs(), 0);
});
