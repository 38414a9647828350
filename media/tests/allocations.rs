//! No allocation per packet or tick: counted, in forward and in frame mode, with everything switched on.

use media::rtp;
use media::{
    Codec, Command, Direction, Event, Frame, Negotiated, Out, Pcm, Prompt, Worker, WorkerConfig,
};
use model::{LegId, Mono, PlayId, PromptId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const A: LegId = LegId(1);
const B: LegId = LegId(2);

#[derive(Default)]
struct Count {
    sent: u64,
    heard: u64,
    recorded: u64,
    events: u64,
}

impl Out for Count {
    fn send(&mut self, _: LegId, _: SocketAddr, _: &[u8]) {
        self.sent += 1;
    }
    fn heard(&mut self, _: LegId, _: &Frame) {
        self.heard += 1;
    }
    fn recorded(&mut self, _: LegId, _: u32, _: &Pcm, _: &Pcm) {
        self.recorded += 1;
    }
    fn event(&mut self, _: Event) {
        self.events += 1;
    }
}

fn address(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, leg.0 as u8], 4000))
}

fn bridged() -> (Worker, Count) {
    let mut worker = Worker::new(WorkerConfig::default());
    let mut out = Count::default();
    for (leg, codec) in [(A, Codec::Pcma), (B, Codec::Pcmu)] {
        let negotiated = Negotiated {
            remote: address(leg),
            codec,
            payload_type: codec.payload_type(),
            dtmf: Some(101),
            ptime: Duration::from_millis(20),
            direction: Direction::SendRecv,
        };
        worker.command(
            Mono::ZERO,
            Command::Open {
                leg,
                ssrc: 1,
                sequence: 1,
                timestamp: 1,
            },
            &mut out,
        );
        worker.command(
            Mono::ZERO,
            Command::Connect {
                leg,
                negotiated,
                latch: None,
            },
            &mut out,
        );
    }
    worker.command(Mono::ZERO, Command::Bridge { a: A, b: B }, &mut out);
    (worker, out)
}

/// Two seconds of both sides talking, with some packets lost, doubled, of the wrong type, and from strangers.
fn talk(worker: &mut Worker, out: &mut Count, from_ms: u64, buffer: &mut [u8; 172]) {
    for step in 0..1000u64 {
        let now = Mono::from_millis(from_ms + step * 2);
        if step % 10 == 0 {
            let n = (from_ms / 20 + step / 10) as u32;
            for leg in [A, B] {
                for copy in 0..2 {
                    let lost = n % 17 == 3;
                    let doubled = n.is_multiple_of(13);
                    if (copy == 0 && lost) || (copy == 1 && !doubled) {
                        continue;
                    }
                    let payload_type = if leg == A { 8 } else { 0 };
                    rtp::build(
                        buffer,
                        payload_type,
                        false,
                        n as u16,
                        n * 160,
                        9,
                        &[0x31; 160],
                    );
                    worker.packet(now, leg, address(leg), buffer, out);
                }
                rtp::build(buffer, 8, false, n as u16, 0, 9, &[0x31; 160]);
                worker.packet(now, leg, SocketAddr::from(([9, 9, 9, 9], 9)), buffer, out);
            }
            if n.is_multiple_of(40) {
                let length = rtp::build(buffer, 101, false, n as u16, n * 160, 9, &[5, 10, 0, 160]);
                worker.packet(now, A, address(A), &mut buffer[..length], out);
            }
        }
        worker.tick(now, out);
    }
}

#[test]
fn forwarding_allocates_nothing() {
    let (mut worker, mut out) = bridged();
    let mut buffer = [0; 172];
    talk(&mut worker, &mut out, 0, &mut buffer);
    let before = out.sent;
    let counted = allocation_counter::measure(|| talk(&mut worker, &mut out, 2000, &mut buffer));
    assert_eq!(counted.count_total, 0);
    assert_eq!(worker.framed(), 0);
    assert!(out.sent - before > 190);
}

#[test]
fn playing_listening_recording_and_pressing_keys_allocate_nothing() {
    let (mut worker, mut out) = bridged();
    let mut buffer = [0; 172];
    // A third hold of the prompt: its end must not free it inside a tick.
    let prompt = Arc::new(Prompt::new(PromptId(Default::default()), vec![1000; 8000]));
    for leg in [A, B] {
        worker.command(Mono::ZERO, Command::Listen { leg, on: true }, &mut out);
        worker.command(Mono::ZERO, Command::Record { leg, on: true }, &mut out);
    }
    talk(&mut worker, &mut out, 0, &mut buffer);
    for (n, leg) in [A, B, A].into_iter().enumerate() {
        let play = Command::Play {
            leg,
            play: PlayId(n as u64),
            prompt: prompt.clone(),
        };
        worker.command(Mono::from_millis(2000), play, &mut out);
        let key = Command::SendDigit {
            leg,
            digit: '3',
            duration: Duration::from_millis(100),
        };
        worker.command(Mono::from_millis(2000), key, &mut out);
    }
    let before = (out.sent, out.heard, out.recorded, out.events);
    let counted = allocation_counter::measure(|| talk(&mut worker, &mut out, 2000, &mut buffer));
    assert_eq!(counted.count_total, 0);
    assert_eq!(worker.framed(), 2);
    assert_eq!(
        (
            out.sent - before.0,
            out.heard - before.1,
            out.recorded - before.2
        ),
        (200, 200, 200)
    );
    assert!(
        out.events - before.3 >= 5,
        "plays began and ended, keys were heard"
    );
}

#[test]
fn a_worker_moves_between_threads() {
    fn moves<T: Send + 'static>(_: &T) {}
    moves(&Worker::new(WorkerConfig::default()));
}

#[test]
fn a_forwarded_call_fits_in_four_kilobytes_and_a_recorded_one_in_thirty() {
    let mut kept = None;
    let forwarded = allocation_counter::measure(|| kept = Some(bridged()));
    assert!(
        forwarded.bytes_current < 4 * 1024,
        "{} bytes",
        forwarded.bytes_current
    );
    let Some((mut worker, mut out)) = kept else {
        return;
    };
    let recorded = allocation_counter::measure(|| {
        worker.command(Mono::ZERO, Command::Record { leg: A, on: true }, &mut out);
    });
    let both = forwarded.bytes_current + recorded.bytes_current;
    assert!(both < 30 * 1024, "{both} bytes");
    let given_back = allocation_counter::measure(|| {
        worker.command(Mono::ZERO, Command::Record { leg: A, on: false }, &mut out);
    });
    assert_eq!(given_back.bytes_current, -recorded.bytes_current);
}
