//! Two legs that hear each other: forwarded while nobody listens in, framed when somebody does, and back.

use crate::stage::*;
use media::{Codec, Command, Direction, Event, Negotiated, measure};
use model::{LegId, PlayId};
use std::time::Duration;

fn bridged(a: Codec, b: Codec) -> Stage {
    let mut stage = Stage::new(1);
    stage.call(ANA, a);
    stage.call(BO, b);
    stage.phone(ANA).says = measure::tone(500.0, -12.0, 800_000);
    stage.phone(BO).says = measure::tone(900.0, -12.0, 800_000);
    stage.command(Command::Bridge { a: ANA, b: BO });
    stage
}

#[test]
fn a_forwarded_packet_leaves_at_once_with_its_payload_untouched() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    assert_eq!(stage.worker.framed(), 0);
    let payload: Vec<u8> = (0..160).collect();
    let packet = stage.phone(ANA).packet(8, 4242, &payload);
    stage.arrive(ANA, address(ANA), packet);
    let (received, got) = &stage.phone(BO).got[0];
    assert_eq!(got, &payload);
    assert_eq!(
        (received.ssrc, received.sequence, received.payload_type),
        (7002, 65_530, 8)
    );
    assert!(received.marker, "a talk-spurt begins");
}

#[test]
fn forwarding_costs_nothing_between_packets() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    stage.phone(ANA).talking = false;
    stage.phone(BO).talking = false;
    stage.pass(500);
    assert!(stage.log.sent.is_empty());
    assert!(stage.worker.next_deadline().unwrap() > stage.now + Duration::from_millis(400));
}

#[test]
fn both_hear_each_other_in_every_pairing_of_codecs() {
    for (a, b) in [
        (Codec::Pcma, Codec::Pcma),
        (Codec::Pcma, Codec::Pcmu),
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcmu, Codec::Pcmu),
    ] {
        let mut stage = bridged(a, b);
        stage.pass(2000);
        assert_eq!(stage.worker.framed(), 0, "A-law and µ-law meet by table");
        for (leg, hz) in [(ANA, 900.0), (BO, 500.0)] {
            let heard = stage.phone(leg).heard();
            assert!(heard.len() > 15_000);
            let (found, share) = measure::frequency(&heard[..8000]).unwrap();
            assert!(
                (found - hz).abs() < 2.0 && share > 0.99,
                "{a:?} {b:?}: {found} {share}"
            );
            assert_one_stream(&stage.phone(leg).got);
        }
    }
}

#[test]
fn recording_begins_and_ends_in_mid_call_without_a_break_in_either_stream() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcmu);
    for round in 0..3 {
        stage.pass(1000);
        assert_eq!(stage.worker.framed(), 0);
        stage.command(Command::Record { leg: ANA, on: true });
        assert_eq!(stage.worker.framed(), 2);
        stage.pass(1000);
        stage.command(Command::Record {
            leg: ANA,
            on: false,
        });
        let frames: Vec<_> = stage.log.recorded.drain(..).collect();
        let left: Vec<i16> = frames.iter().flat_map(|f| f.2).collect();
        let right: Vec<i16> = frames.iter().flat_map(|f| f.3).collect();
        assert!(
            (measure::level_at(&left[1600..7200], 500.0) + 12.0).abs() < 0.7,
            "round {round}"
        );
        assert!(
            (measure::level_at(&right[1600..7200], 900.0) + 12.0).abs() < 0.7,
            "round {round}"
        );
        // Offsets count from the connection, not from the command.
        let first = i64::from(frames[0].1);
        assert!((first - (round * 2 + 1) * 8000).abs() <= 320, "{first}");
    }
    for leg in [ANA, BO] {
        assert_one_stream(&stage.phone(leg).got);
        let heard = stage.phone(leg).heard();
        assert!(measure::level(&heard[..40_000]) > -14.0);
        // The tone's own steepest step is 5 500; where the modes meet (six times) one may be larger.
        let steps: Vec<i32> = heard
            .windows(2)
            .map(|w| (i32::from(w[0]) - i32::from(w[1])).abs())
            .filter(|step| *step > 6_000)
            .collect();
        assert!(steps.len() <= 6, "clicks: {steps:?}");
    }
}

#[test]
fn a_prompt_to_one_side_of_a_bridge_is_heard_there_alone_and_forwarding_resumes() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    stage.pass(500);
    stage.play(ANA, 1, measure::tone(300.0, -12.0, 4000));
    assert_eq!(stage.worker.framed(), 2);
    stage.pass(800);
    assert_eq!(stage.worker.framed(), 0);
    assert!(stage.log.events.contains(&Event::PlayFinished {
        leg: ANA,
        play: PlayId(1)
    }));
    let heard = stage.phone(ANA).heard();
    assert!((measure::level_at(&heard[4800..7200], 300.0) + 12.0).abs() < 1.0);
    assert!(measure::level_at(&stage.phone(BO).heard(), 300.0) < -50.0);
    for leg in [ANA, BO] {
        assert_one_stream(&stage.phone(leg).got);
    }
}

#[test]
fn a_bridge_to_a_leg_not_answered_yet_begins_with_its_answer() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcma);
    stage.open(BO);
    stage.command(Command::Bridge { a: ANA, b: BO });
    stage.pass(100);
    assert_eq!(
        stage.worker.framed(),
        1,
        "the caller hears silence meanwhile"
    );
    stage.command(Command::Connect {
        leg: BO,
        negotiated: negotiated(BO, Codec::Pcma),
        latch: None,
    });
    assert_eq!(stage.worker.framed(), 0);
}

#[test]
fn nothing_is_forwarded_to_a_leg_that_holds() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    stage.pass(200);
    let held = Negotiated {
        direction: Direction::RecvOnly,
        ..negotiated(BO, Codec::Pcma)
    };
    stage.command(Command::Connect {
        leg: BO,
        negotiated: held,
        latch: None,
    });
    let before = stage.phone(BO).got.len();
    stage.pass(500);
    assert_eq!(stage.phone(BO).got.len(), before);
    assert!(stage.phone(ANA).got.len() > 30, "the other way goes on");
}

#[test]
fn parting_and_bridging_anew_moves_a_leg_to_its_new_partner() {
    const CY: LegId = LegId(3);
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    stage.call(CY, Codec::Pcma);
    stage.phone(CY).says = measure::tone(1300.0, -12.0, 80_000);
    stage.pass(400);
    stage.command(Command::Bridge { a: ANA, b: CY });
    assert_eq!(stage.worker.framed(), 1, "Bo is alone and hears silence");
    stage.phone(ANA).got.clear();
    stage.pass(1000);
    let heard = stage.phone(ANA).heard();
    assert!(measure::level_at(&heard[..4000], 1300.0) > -13.0);
    assert!(measure::level_at(&heard[..4000], 900.0) < -40.0);
    stage.close(CY);
    assert_eq!(stage.worker.framed(), 2);
    stage.command(Command::Unbridge { a: ANA, b: BO });
    assert_eq!(
        stage.worker.framed(),
        2,
        "they were not bridged: nothing happens"
    );
}

#[test]
fn the_far_end_may_change_codec_without_a_word_in_either_mode() {
    let mut stage = bridged(Codec::Pcma, Codec::Pcma);
    for record in [false, true] {
        stage.command(Command::Record {
            leg: BO,
            on: record,
        });
        stage.phone(ANA).codec = Codec::Pcmu;
        stage.phone(ANA).payload_type = 0;
        stage.phone(BO).got.clear();
        stage.pass(1000);
        let heard = stage.phone(BO).heard();
        assert!((measure::level_at(&heard[2400..6400], 500.0) + 12.0).abs() < 0.5);
    }
}
