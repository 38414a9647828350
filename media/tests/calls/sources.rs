//! Who is heard: the negotiated address, or a source that proved itself, and nobody else.

use crate::stage::*;
use media::{Codec, Command, Event, measure, rtp};
use proptest::prelude::*;
use std::net::SocketAddr;

fn stranger() -> SocketAddr {
    "203.0.113.66:6666".parse().unwrap()
}
fn behind_nat() -> SocketAddr {
    "198.51.100.5:31000".parse().unwrap()
}
fn latching(stage: &mut Stage) {
    stage.open(ANA);
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: negotiated(ANA, Codec::Pcma),
        latch: Some(behind_nat().ip()),
    });
    stage.phones.insert(ANA, Phone::new(ANA, Codec::Pcma));
    stage.phone(ANA).from = behind_nat();
}
fn spray(stage: &mut Stage, from: SocketAddr, count: u16) {
    let mut buffer = [0; 200];
    for n in 0..count {
        let length = rtp::build(
            &mut buffer,
            8,
            false,
            n,
            u32::from(n) * 160,
            99,
            &[0x2a; 160],
        );
        stage.arrive(ANA, from, buffer[..length].to_vec());
    }
}

#[test]
fn a_stranger_gets_nothing_and_reaches_nothing() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcma);
    stage.command(Command::Record { leg: ANA, on: true });
    stage.pass(100);
    for _ in 0..50 {
        spray(&mut stage, stranger(), 100);
        stage.pass(20);
    }
    assert_eq!(stage.worker.strangers(), 5000);
    assert!(stage.log.sent.iter().all(|(_, to, _)| *to == address(ANA)));
    let (_, left, _) = stage.recording(ANA);
    assert!(
        measure::level(&left) < -60.0,
        "the stranger's noise is not in the recording"
    );
    let stats = stage.close(ANA);
    assert!(
        stats.packets_received < 60 && stats.packets_lost == 0,
        "{stats:?}"
    );
}

#[test]
fn a_phone_behind_a_translator_is_learnt_within_five_packets_and_then_locked() {
    let mut stage = Stage::new(1);
    latching(&mut stage);
    stage.pass(78);
    assert_eq!(
        stage.log.events,
        [Event::SourceLocked {
            leg: ANA,
            remote: behind_nat()
        }]
    );
    spray(&mut stage, stranger(), 100);
    stage.pass(200);
    assert!(stage.phone(ANA).got.len() >= 9, "and is sent to");
    assert!(stage.log.sent.iter().all(|(_, to, _)| *to != stranger()));
    assert_eq!(stage.log.events.len(), 1);
}

#[test]
fn one_packet_from_the_negotiated_address_ends_the_learning() {
    let mut stage = Stage::new(1);
    latching(&mut stage);
    stage.phones.clear();
    spray(&mut stage, stranger(), 2);
    spray(&mut stage, address(ANA), 1);
    spray(&mut stage, stranger(), 100);
    assert_eq!(
        stage.log.events,
        [Event::SourceLocked {
            leg: ANA,
            remote: address(ANA)
        }]
    );
}

#[test]
fn a_stranger_who_is_first_is_not_learnt() {
    let mut stage = Stage::new(1);
    latching(&mut stage);
    spray(&mut stage, stranger(), 100);
    assert!(stage.log.events.is_empty());
    stage.pass(100);
    let remote = behind_nat();
    assert_eq!(stage.log.events, [Event::SourceLocked { leg: ANA, remote }]);
}

#[test]
fn scattered_packets_prove_nothing() {
    let mut stage = Stage::new(1);
    latching(&mut stage);
    stage.phones.clear();
    for n in 0..200u16 {
        let from = SocketAddr::new(behind_nat().ip(), 10_000 + n);
        spray(&mut stage, from, 3);
    }
    assert!(stage.log.events.is_empty());
    stage.pass(100);
    assert!(stage.log.sent.iter().all(|(_, to, _)| *to == address(ANA)));
}

#[test]
fn after_a_re_invite_the_old_source_goes_on_and_a_new_one_may_prove_itself() {
    let mut stage = Stage::new(1);
    latching(&mut stage);
    stage.pass(200);
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: negotiated(ANA, Codec::Pcma),
        latch: Some(behind_nat().ip()),
    });
    let moved: SocketAddr = "198.51.100.5:32000".parse().unwrap();
    stage.phone(ANA).from = moved;
    stage.pass(400);
    let locked: Vec<&Event> = stage.log.events.iter().collect();
    assert_eq!(
        locked.last(),
        Some(&&Event::SourceLocked {
            leg: ANA,
            remote: moved
        })
    );
    assert_eq!(stage.log.events.len(), 2);
    assert!(stage.log.sent.iter().any(|(_, to, _)| *to == moved));
}

#[test]
fn an_ipv4_source_seen_through_an_ipv6_socket_is_the_same_source() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcma);
    stage.phones.clear();
    spray(&mut stage, "[::ffff:192.0.2.1]:4000".parse().unwrap(), 3);
    assert_eq!(stage.worker.strangers(), 0);
    assert_eq!(stage.worker.stats(ANA).unwrap().packets_received, 3);
}

#[test]
fn rtcp_on_the_same_port_and_other_payload_types_are_passed_over() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcma);
    stage.phones.clear();
    let mut report = vec![0x80, 200, 0, 6];
    report.extend([0; 24]);
    stage.arrive(ANA, address(ANA), report);
    let mut buffer = [0; 64];
    let n = rtp::build(&mut buffer, 96, false, 1, 1, 1, &[0; 20]);
    stage.arrive(ANA, address(ANA), buffer[..n].to_vec());
    let n = rtp::build(&mut buffer, 13, false, 2, 1, 1, &[40]);
    stage.arrive(ANA, address(ANA), buffer[..n].to_vec());
    assert_eq!(
        stage.worker.stats(ANA).unwrap().packets_received,
        1,
        "the comfort noise"
    );
}

proptest! {
    #[test]
    fn no_datagram_breaks_a_worker(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..60),
        record: bool,
    ) {
        let mut stage = Stage::new(1);
        stage.call(ANA, Codec::Pcma);
        stage.call(BO, Codec::Pcmu);
        stage.command(Command::Bridge { a: ANA, b: BO });
        stage.command(Command::Record { leg: ANA, on: record });
        for mut datagram in datagrams {
            if datagram.len() > 1 {
                // Likely RTP of a likely type, else nothing gets past the door.
                datagram[0] = 0x80 | (datagram[0] & 0x3f);
                datagram[1] = [8, 0, 101, 13, 0x88][datagram[1] as usize % 5];
            }
            stage.arrive(ANA, address(ANA), datagram);
            stage.pass(10);
        }
    }
}
