//! Keys: heard once, passed on, pressed.

use crate::stage::*;
use media::{Codec, Command, Negotiated, measure};
use std::time::Duration;

fn press(stage: &mut Stage, leg: model::LegId, key: char) {
    let begun = stage.phone(leg).timestamp;
    for n in 1..=8u16 {
        let packet = stage.phone(leg).key(key, begun, n.min(6) * 160, n >= 6);
        stage.arrive(leg, address(leg), packet);
        stage.pass(20);
    }
}
fn quiet_pair() -> Stage {
    let mut stage = Stage::new(1);
    for leg in [ANA, BO] {
        stage.call(leg, Codec::Pcma);
        stage.phone(leg).talking = false;
    }
    stage
}

#[test]
fn keys_of_a_robot_s_callee_are_each_heard_once() {
    let mut stage = quiet_pair();
    for key in "18*#".chars() {
        press(&mut stage, ANA, key);
        stage.pass(60);
    }
    assert_eq!(stage.digits(ANA), "18*#");
}

#[test]
fn a_flood_of_one_press_is_one_key_and_a_stranger_s_press_none() {
    let mut stage = quiet_pair();
    let packet = stage.phone(ANA).key('5', 9000, 160, false);
    for _ in 0..500 {
        stage.arrive(ANA, address(ANA), packet.clone());
        stage.arrive(BO, address(ANA), packet.clone());
    }
    assert_eq!(
        (stage.digits(ANA).as_str(), stage.digits(BO).as_str()),
        ("5", "")
    );
}

#[test]
fn forwarded_keys_keep_their_shape_under_the_other_side_s_payload_type() {
    let mut stage = quiet_pair();
    let other = Negotiated {
        dtmf: Some(96),
        ..negotiated(BO, Codec::Pcma)
    };
    stage.command(Command::Connect {
        leg: BO,
        negotiated: other,
        latch: None,
    });
    stage.command(Command::Bridge { a: ANA, b: BO });
    press(&mut stage, ANA, '7');
    assert_eq!(stage.worker.framed(), 0);
    assert_eq!(stage.digits(ANA), "7");
    let got = &stage.phone(BO).got;
    assert_eq!(got.len(), 8);
    assert!(
        got.iter()
            .all(|(r, _)| r.payload_type == 96 && r.timestamp == got[0].0.timestamp)
    );
    assert_eq!(got[7].1, [7, 0x80 | 10, 3, 192]);
}

#[test]
fn keys_pass_a_recorded_bridge_too() {
    let mut stage = quiet_pair();
    stage.command(Command::Bridge { a: ANA, b: BO });
    stage.command(Command::Record { leg: ANA, on: true });
    for key in "42".chars() {
        press(&mut stage, ANA, key);
        stage.pass(100);
    }
    stage.pass(400);
    assert_eq!(stage.phone(BO).keys(), "42");
    assert_eq!(stage.digits(BO), "", "our own key is not heard back");
}

#[test]
fn a_side_without_events_hears_the_tone_and_forwarding_resumes() {
    let mut stage = quiet_pair();
    let plain = Negotiated {
        dtmf: None,
        ..negotiated(BO, Codec::Pcma)
    };
    stage.command(Command::Connect {
        leg: BO,
        negotiated: plain,
        latch: None,
    });
    stage.command(Command::Bridge { a: ANA, b: BO });
    press(&mut stage, ANA, '6');
    stage.pass(300);
    assert_eq!(stage.worker.framed(), 0);
    let heard = stage.phone(BO).heard();
    let begins = heard.iter().position(|s| s.abs() > 3000).unwrap();
    let tone = &heard[begins..begins + 600];
    assert!(measure::level_at(tone, 770.0) > -12.0 && measure::level_at(tone, 1477.0) > -12.0);
}

#[test]
fn a_pressed_key_is_a_proper_telephone_event_inside_one_stream() {
    let mut stage = quiet_pair();
    stage.pass(100);
    for digit in ['1', '0'] {
        stage.command(Command::SendDigit {
            leg: ANA,
            digit,
            duration: Duration::from_millis(120),
        });
    }
    stage.pass(600);
    let got = &stage.phones[&ANA].got;
    assert_one_stream(got);
    let events: Vec<_> = got.iter().filter(|(r, _)| r.payload_type == 101).collect();
    assert_eq!(events.len(), 2 * (6 + 2));
    assert!(events[0].0.marker && !events[1].0.marker);
    assert!(
        events[..8]
            .iter()
            .all(|(r, _)| r.timestamp == events[0].0.timestamp)
    );
    let ends = events[..8].iter().filter(|(_, p)| p[1] & 0x80 != 0).count();
    assert_eq!(ends, 3);
    assert_eq!(events[7].1[2..], 960u16.to_be_bytes(), "120 ms");
    assert_eq!(stage.phones[&ANA].keys(), "10");
    // Audio after a key goes on where its time would be.
    let after = got
        .iter()
        .skip_while(|(r, _)| r.payload_type != 101)
        .find(|(r, _)| r.payload_type == 8);
    let passed = after
        .unwrap()
        .0
        .timestamp
        .wrapping_sub(events[0].0.timestamp);
    assert_eq!(passed, 8 * 160);
}
