//! A robot's leg: it plays, listens and records.

use crate::stage::*;
use media::{Codec, Command, Direction, Event, Negotiated, WorkerConfig, measure};
use model::{LegId, Mono, PlayId};
use std::time::Duration;

fn robot_call(stage: &mut Stage) {
    stage.call(ANA, Codec::Pcma);
    stage.command(Command::Record { leg: ANA, on: true });
    stage.command(Command::Listen { leg: ANA, on: true });
}

#[test]
fn the_callee_hears_the_prompt_and_the_recording_has_both_sides_on_one_clock() {
    let mut stage = Stage::new(1);
    robot_call(&mut stage);
    stage.pass(400);
    stage.play(ANA, 5, measure::tone(500.0, -12.0, 8000));
    stage.pass(1400);
    stage.phone(ANA).says = measure::tone(900.0, -15.0, 16_000);
    stage.phone(ANA).spoken = 0;
    stage.pass(1000);

    assert_eq!(
        stage.log.events[..3],
        [
            Event::SourceLocked {
                leg: ANA,
                remote: address(ANA)
            },
            Event::PlayStarted {
                leg: ANA,
                play: PlayId(5)
            },
            Event::PlayFinished {
                leg: ANA,
                play: PlayId(5)
            },
        ]
    );
    let heard = stage.phone(ANA).heard();
    let begins = heard.iter().position(|s| s.abs() > 1000).unwrap();
    let (hz, share) = measure::frequency(&heard[begins..begins + 7900]).unwrap();
    assert!((hz - 500.0).abs() < 1.0 && share > 0.99, "{hz} {share}");
    assert!(
        heard[begins + 8000..].iter().all(|s| s.abs() <= 8),
        "silence after it"
    );

    let (from, left, right) = stage.recording(ANA);
    assert_eq!(from, 0);
    assert_eq!(left.len(), 140 * 160, "2.8 s");
    assert!((measure::level_at(&right[4000..10_000], 500.0) + 12.0).abs() < 0.5);
    assert!(measure::level(&left[..12_000]) < -60.0);
    let said = &left[15_500..21_500];
    assert!(
        (measure::level_at(said, 900.0) + 15.0).abs() < 0.5,
        "{}",
        measure::level_at(said, 900.0)
    );

    // Heard frames are the recording's left channel, at the same offsets, and the gate opens with the voice.
    for (_, frame) in &stage.log.heard {
        assert_eq!(
            frame.pcm[..],
            left[frame.at as usize..frame.at as usize + 160]
        );
    }
    let opened = stage
        .log
        .heard
        .iter()
        .find(|(_, frame)| frame.gate_open)
        .unwrap()
        .1
        .at;
    let voice = left.iter().position(|s| s.abs() > 500).unwrap() as u32;
    assert!(
        opened <= voice && voice < opened + 160,
        "gate at {opened}, voice at {voice}"
    );
}

#[test]
fn silence_is_sent_from_the_moment_of_connection_and_the_marker_begins_each_talk_spurt() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcmu);
    stage.phone(ANA).talking = false;
    stage.pass(200);
    stage.play(ANA, 1, measure::tone(500.0, -12.0, 320));
    stage.pass(200);
    let phone = stage.phone(ANA);
    assert_one_stream(&phone.got);
    assert_eq!(phone.got.len(), 20, "50 packets a second");
    let marked: Vec<usize> = (0..20).filter(|n| phone.got[*n].0.marker).collect();
    assert_eq!(marked.len(), 2);
    assert_eq!(marked[0], 0);
    assert!(
        phone.got[marked[1]].1.iter().any(|byte| *byte != 0xff),
        "the prompt's first packet"
    );
    assert!(
        phone.got[..marked[1]]
            .iter()
            .all(|(_, payload)| payload == &[0xff; 160])
    );
}

#[test]
fn a_play_asked_for_before_the_answer_begins_with_it() {
    let mut stage = Stage::new(1);
    stage.open(ANA);
    stage.play(ANA, 1, measure::tone(500.0, -12.0, 800));
    stage.pass(500);
    assert!(stage.log.sent.is_empty() && stage.log.events.is_empty());
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: negotiated(ANA, Codec::Pcma),
        latch: None,
    });
    stage.pass(20);
    assert_eq!(
        stage.log.events,
        [Event::PlayStarted {
            leg: ANA,
            play: PlayId(1)
        }]
    );
}

#[test]
fn stopping_cuts_within_a_frame_and_the_next_play_follows() {
    let mut stage = Stage::new(1);
    stage.call(ANA, Codec::Pcma);
    stage.play(ANA, 1, measure::tone(500.0, -12.0, 80_000));
    stage.play(ANA, 2, measure::tone(800.0, -12.0, 1600));
    stage.pass(500);
    stage.command(Command::Stop {
        leg: ANA,
        play: PlayId(1),
    });
    stage.pass(400);
    let events: Vec<&Event> = stage
        .log
        .events
        .iter()
        .filter(|e| !matches!(e, Event::SourceLocked { .. }))
        .collect();
    assert_eq!(
        events,
        [
            &Event::PlayStarted {
                leg: ANA,
                play: PlayId(1)
            },
            &Event::PlayStarted {
                leg: ANA,
                play: PlayId(2)
            },
            &Event::PlayFinished {
                leg: ANA,
                play: PlayId(2)
            },
        ]
    );
    let heard = stage.phone(ANA).heard();
    assert!(measure::level_at(&heard[4200..5400], 500.0) < -30.0);
    assert!((measure::level_at(&heard[4200..5400], 800.0) + 12.0).abs() < 1.0);
}

#[test]
fn too_many_plays_are_given_back_at_once() {
    let mut stage = Stage::new(1);
    stage.open(ANA);
    for n in 0..20 {
        stage.play(ANA, n, vec![0; 160]);
    }
    assert_eq!(stage.log.events.len(), 4);
    assert_eq!(
        stage.log.events[0],
        Event::PlayFinished {
            leg: ANA,
            play: PlayId(16)
        }
    );
}

#[test]
fn on_hold_nothing_is_sent_but_the_recording_s_clock_runs_on() {
    let mut stage = Stage::new(1);
    robot_call(&mut stage);
    stage.pass(200);
    let held = Negotiated {
        direction: Direction::Inactive,
        ..negotiated(ANA, Codec::Pcma)
    };
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: held,
        latch: None,
    });
    let before = stage.log.sent.len();
    stage.pass(1000);
    assert_eq!(stage.log.sent.len(), before);
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: negotiated(ANA, Codec::Pcma),
        latch: None,
    });
    stage.pass(200);
    let (_, left, _) = stage.recording(ANA);
    assert_eq!(left.len(), 70 * 160);
    let got = &stage.phone(ANA).got;
    assert_one_stream(got);
    let span = got
        .last()
        .unwrap()
        .0
        .timestamp
        .wrapping_sub(got[0].0.timestamp);
    assert_eq!(span, 69 * 160, "the hold passed on the sender's clock too");
}

#[test]
fn a_leg_that_falls_silent_is_named_once_and_again_after_it_spoke() {
    let config = WorkerConfig {
        silent_after: Duration::from_secs(5),
        ..WorkerConfig::default()
    };
    let mut stage = Stage::with(1, config);
    stage.call(ANA, Codec::Pcma);
    stage.pass(3_000);
    stage.phone(ANA).talking = false;
    stage.pass(20_000);
    let silent = |stage: &Stage| {
        stage
            .log
            .events
            .iter()
            .filter(|e| **e == Event::Silent { leg: ANA })
            .count()
    };
    assert_eq!(silent(&stage), 1);
    stage.phone(ANA).talking = true;
    stage.pass(1_000);
    stage.phone(ANA).talking = false;
    stage.pass(7_000);
    assert_eq!(silent(&stage), 2);
    stage.phone(ANA).talking = true;
    stage.pass(100);
    stage.phone(ANA).talking = false;
    let held = Negotiated {
        direction: Direction::RecvOnly,
        ..negotiated(ANA, Codec::Pcma)
    };
    stage.command(Command::Connect {
        leg: ANA,
        negotiated: held,
        latch: None,
    });
    stage.pass(30_000);
    assert_eq!(silent(&stage), 2, "a far end that holds owes us nothing");
}

#[test]
fn forty_legs_tick_two_by_two_in_twenty_slots() {
    let mut stage = Stage::new(1);
    for n in 0..40 {
        stage.call(LegId(n), Codec::Pcma);
        stage.phone(LegId(n)).talking = false;
    }
    stage.pass(100);
    for _ in 0..20 {
        let before = stage.log.sent.len();
        stage.now = stage.now + Duration::from_millis(1);
        stage.worker.tick(stage.now, &mut stage.log);
        assert_eq!(stage.log.sent.len() - before, 2);
    }
    assert_eq!(
        stage.worker.next_deadline(),
        Some(stage.now + Duration::from_millis(1))
    );
}

#[test]
fn a_stalled_thread_makes_up_a_little_and_leaps_over_the_rest_with_offsets_still_true() {
    let mut stage = Stage::new(1);
    robot_call(&mut stage);
    stage.pass(200);
    let (sent, recorded) = (stage.log.sent.len(), stage.log.recorded.len());
    stage.now = stage.now + Duration::from_secs(5);
    stage.worker.tick(stage.now, &mut stage.log);
    assert!(stage.log.sent.len() - sent <= 11, "no flood");
    let first = stage.log.recorded[recorded].1;
    let last = stage.log.recorded.last().unwrap().1;
    assert!(first > 8 * 4_900 && last >= 8 * 5_160, "{first} {last}");
    assert_eq!(last % 160, 0);
}

#[test]
fn commands_for_unknown_legs_and_thousands_of_short_lives_leave_nothing() {
    let mut stage = Stage::new(1);
    stage.command(Command::Close { leg: ANA });
    stage.command(Command::Bridge { a: ANA, b: BO });
    stage.play(ANA, 1, vec![0; 10]);
    for n in 0..10_000 {
        stage.call(LegId(n), Codec::Pcma);
        stage.phones.clear();
        if n % 3 == 0 {
            stage.pass(4);
        }
        stage.close(LegId(n));
    }
    assert_eq!((stage.worker.legs(), stage.worker.framed()), (0, 0));
    assert_eq!(stage.worker.next_deadline(), None);
    stage.pass(100);
    assert!(stage.now > Mono::ZERO);
}
