//! Bad weather between us and the phones, seeded.

use crate::stage::*;
use media::{Codec, Command, measure};

fn storm(seed: u64, weather: Weather, drift_ppm: i64) -> Stage {
    let mut stage = Stage::new(seed);
    stage.weather = weather;
    stage.call(ANA, Codec::Pcma);
    stage.call(BO, Codec::Pcmu);
    stage.phone(ANA).says = measure::tone(500.0, -12.0, 8000 * 40);
    stage.phone(BO).says = measure::tone(900.0, -12.0, 8000 * 40);
    stage.phone(ANA).drift_ppm = drift_ppm;
    stage.phone(BO).drift_ppm = -drift_ppm;
    stage.command(Command::Bridge { a: ANA, b: BO });
    stage.command(Command::Record { leg: ANA, on: true });
    stage.pass(30_000);
    stage
}

#[test]
fn speech_survives_what_networks_do() {
    let table = [
        ("clear", Weather::default(), 0, 0.999, 0),
        (
            "shaking 40 ms",
            Weather {
                delay_ms: 40,
                ..Weather::default()
            },
            0,
            0.99,
            10,
        ),
        (
            "shaking 120 ms",
            Weather {
                delay_ms: 120,
                ..Weather::default()
            },
            0,
            0.98,
            40,
        ),
        (
            "2 % lost",
            Weather {
                lost_percent: 2,
                ..Weather::default()
            },
            0,
            0.98,
            45,
        ),
        ("drift of 500 ppm", Weather::default(), 500, 0.99, 4),
        (
            "all at once",
            Weather {
                lost_percent: 5,
                doubled_percent: 5,
                delay_ms: 60,
            },
            200,
            0.95,
            120,
        ),
    ];
    for (what, weather, drift, share_at_least, concealed_at_most) in table {
        for seed in 1..=3 {
            let mut stage = storm(seed, weather, drift);
            let (_, left, right) = stage.recording(ANA);
            assert_eq!(
                left.len(),
                30_000 * 8,
                "{what}: the recording has every frame"
            );
            for (side, pcm, hz) in [("left", &left, 500.0), ("right", &right, 900.0)] {
                // Tenths of a second in which the tone is clearly there.
                let tenths: Vec<f32> = pcm[8000..]
                    .chunks(800)
                    .map(|tenth| measure::level_at(tenth, hz))
                    .collect();
                let good = tenths.iter().filter(|level| **level > -15.0).count();
                let share = good as f32 / tenths.len() as f32;
                assert!(
                    share >= share_at_least,
                    "{what}, seed {seed}, {side}: {share}"
                );
            }
            let stats = stage.close(ANA);
            assert!(
                stats.concealed <= concealed_at_most,
                "{what}, seed {seed}: {stats:?}"
            );
            assert_one_stream(&stage.phone(BO).got);
        }
    }
}

#[test]
fn loss_and_jitter_are_reported_as_they_were_and_doubles_hide_no_loss() {
    let weather = Weather {
        lost_percent: 5,
        doubled_percent: 5,
        delay_ms: 30,
    };
    let mut stage = storm(9, weather, 0);
    let stats = stage.close(ANA);
    assert!((50..=100).contains(&stats.packets_lost), "{stats:?}");
    assert!((1460..=1530).contains(&stats.packets_received), "{stats:?}");
    assert!((4_000..=16_000).contains(&stats.jitter_us), "{stats:?}");
    assert_eq!(stats.packets_sent, 1500);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let weather = Weather {
        lost_percent: 5,
        doubled_percent: 5,
        delay_ms: 60,
    };
    let (a, b) = (storm(4, weather, 100), storm(4, weather, 100));
    assert_eq!(a.log.sent, b.log.sent);
    assert!(a.log.recorded == b.log.recorded);
}
