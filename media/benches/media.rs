//! What a packet, a tick and a frame cost.
//!
//! `cargo bench -p media`. One call in forward mode is 100 packets a second; one framed leg is 50 packets and 50 ticks.

use criterion::{Criterion, criterion_group, criterion_main};
use media::jitter::{JitterBuffer, JitterConfig};
use media::{
    Codec, Command, Direction, Event, Frame, Negotiated, Out, Pcm, Prompt, Worker, WorkerConfig,
};
use media::{codec, gate::Gate, measure, rtp};
use model::{LegId, Mono, PlayId, PromptId};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

struct Sink;

impl Out for Sink {
    fn send(&mut self, _: LegId, _: SocketAddr, packet: &[u8]) {
        black_box(packet);
    }
    fn heard(&mut self, _: LegId, frame: &Frame) {
        black_box(frame);
    }
    fn recorded(&mut self, _: LegId, _: u32, left: &Pcm, right: &Pcm) {
        black_box((left, right));
    }
    fn event(&mut self, _: Event) {}
}

fn address(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, (leg.0 >> 8) as u8, leg.0 as u8], 4000))
}

fn open(worker: &mut Worker, leg: LegId, codec: Codec) {
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
        &mut Sink,
    );
    worker.command(
        Mono::ZERO,
        Command::Connect {
            leg,
            negotiated,
            latch: None,
        },
        &mut Sink,
    );
}

/// `legs` legs, bridged in pairs.
fn forwarding(legs: u64, other: Codec) -> Worker {
    let mut worker = Worker::new(WorkerConfig::default());
    for n in (0..legs).step_by(2) {
        open(&mut worker, LegId(n), Codec::Pcma);
        open(&mut worker, LegId(n + 1), other);
        worker.command(
            Mono::ZERO,
            Command::Bridge {
                a: LegId(n),
                b: LegId(n + 1),
            },
            &mut Sink,
        );
    }
    worker
}

fn forward(c: &mut Criterion) {
    for (name, other) in [
        ("forward a packet, 400 calls", Codec::Pcma),
        ("forward a packet A to µ", Codec::Pcmu),
    ] {
        let mut worker = forwarding(800, other);
        let mut buffer = [0; 172];
        let mut n = 0u32;
        c.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                let leg = LegId(u64::from(n % 400) * 2);
                let packet = n / 400;
                rtp::build(
                    &mut buffer,
                    8,
                    false,
                    packet as u16,
                    packet * 160,
                    9,
                    &[0x31; 160],
                );
                let now = Mono::from_nanos(u64::from(n) * 50_000);
                worker.packet(now, leg, address(leg), &mut buffer, &mut Sink);
            });
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench times a round of many legs and reports one"
)]
fn frames(c: &mut Criterion) {
    // 100 robots: play, listen and record, each with a packet in and a packet out every 20 ms.
    let speech: Vec<u8> = {
        let mut coded = vec![0; 8000];
        Codec::Pcma.encode(&measure::tone(300.0, -15.0, 8000), &mut coded);
        coded
    };
    let prompt = Arc::new(Prompt::new(
        PromptId(Default::default()),
        measure::tone(440.0, -12.0, 8000 * 60),
    ));
    for (name, busy) in [
        ("robot frame: packet in, tick, packet out", true),
        ("comfort frame", false),
    ] {
        let mut worker = Worker::new(WorkerConfig::default());
        let (mut plays, mut ms, mut n) = (0u64, 1u64, 0u32);
        for leg in 0..100 {
            open(&mut worker, LegId(leg), Codec::Pcma);
            if busy {
                worker.command(
                    Mono::ZERO,
                    Command::Listen {
                        leg: LegId(leg),
                        on: true,
                    },
                    &mut Sink,
                );
                worker.command(
                    Mono::ZERO,
                    Command::Record {
                        leg: LegId(leg),
                        on: true,
                    },
                    &mut Sink,
                );
            }
        }
        let mut buffer = [0; 172];
        // 20 ms of 100 legs an iteration; the figure is for one leg.
        c.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let begun = std::time::Instant::now();
                for _ in 0..iterations.div_ceil(100) {
                    if busy && n.is_multiple_of(2_900) {
                        for leg in 0..100 {
                            plays += 1;
                            let play = Command::Play {
                                leg: LegId(leg),
                                play: PlayId(plays),
                                prompt: prompt.clone(),
                            };
                            worker.command(Mono::from_millis(ms), play, &mut Sink);
                        }
                    }
                    for leg in 0..if busy { 100 } else { 0 } {
                        let at = n as usize % 50 * 160;
                        rtp::build(
                            &mut buffer,
                            8,
                            false,
                            n as u16,
                            n * 160,
                            9,
                            &speech[at..at + 160],
                        );
                        worker.packet(
                            Mono::from_millis(ms),
                            LegId(leg),
                            address(LegId(leg)),
                            &mut buffer,
                            &mut Sink,
                        );
                    }
                    for _ in 0..10 {
                        ms += 2;
                        worker.tick(Mono::from_millis(ms), &mut Sink);
                    }
                    n += 1;
                }
                begun
                    .elapsed()
                    .mul_f64(iterations as f64 / (iterations.div_ceil(100) * 100) as f64)
            });
        });
    }
}

fn parts(c: &mut Criterion) {
    let pcm: Pcm = measure::tone(300.0, -12.0, 160).try_into().unwrap();
    let mut coded = [0; 160];
    let mut decoded = [0; 160];
    c.bench_function("G.711 encode a frame", |b| {
        b.iter(|| Codec::Pcma.encode(black_box(&pcm), &mut coded))
    });
    c.bench_function("G.711 decode a frame", |b| {
        b.iter(|| Codec::Pcma.decode(black_box(&coded), &mut decoded))
    });
    c.bench_function("G.711 A to µ a frame", |b| {
        b.iter(|| codec::transcode(Codec::Pcma, Codec::Pcmu, black_box(&mut coded)));
    });
    let mut gate = Gate::default();
    c.bench_function("energy gate a frame", |b| {
        b.iter(|| gate.frame(black_box(&pcm)))
    });
    let mut jitter = JitterBuffer::new(JitterConfig::default());
    let (mut n, mut out) = (0u32, [0; 160]);
    c.bench_function("jitter buffer: a packet in, a frame out", |b| {
        b.iter(|| {
            jitter.push(n * 160, 1, n as u16, n * 160, black_box(&pcm));
            n += 1;
            jitter.pull(&mut out)
        });
    });
    let mut jitter = JitterBuffer::new(JitterConfig::default());
    let mut n = 0u32;
    c.bench_function("jitter buffer with every tenth packet lost", |b| {
        b.iter(|| {
            if !n.is_multiple_of(10) {
                jitter.push(n * 160, 1, n as u16, n * 160, black_box(&pcm));
            }
            n += 1;
            jitter.pull(&mut out)
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    targets = forward, frames, parts
}
criterion_main!(benches);
