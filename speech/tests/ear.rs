//! One leg heard by the real voice detector.

mod common;

use common::*;
use media::FRAME;
use speech::ear::{Ear, Voice};
use speech::vad::Vad;
use std::time::Duration;

/// A sample of `zh-no-02` in its first words.
const MID_WORD: u32 = 5600;

fn ear() -> Ear {
    Ear::new(Vad::new().unwrap())
}

/// Everything told while these samples pass.
fn hear(ear: &mut Ear, pcm: &[i16]) -> Vec<Voice> {
    let mut told = Vec::new();
    for frame in frames(pcm) {
        ear.push(&frame, &mut told).unwrap();
    }
    told
}

/// First and last millisecond that is not nearly silent.
fn loud(pcm: &[i16]) -> (u32, u32) {
    let loud = |s: &i16| s.unsigned_abs() > 300;
    let first = pcm.iter().position(loud).unwrap();
    let last = pcm.iter().rposition(loud).unwrap();
    (first as u32 / 8, last as u32 / 8)
}

#[test]
fn a_phrase_starts_near_its_first_sound_and_pauses_near_its_last() {
    for id in [
        "zh-yes-01",
        "zh-no-01",
        "zh-ask-02",
        "zh-branch-01",
        "en-ask-01",
        "en-no-01",
    ] {
        let pcm = [silence(700), phrase(id), silence(700)].concat();
        let told = hear(&mut ear(), &pcm);
        let (first, last) = loud(&pcm);
        let Some(Voice::Started { at_ms }) = told.first() else {
            panic!("{id}: {told:?}")
        };
        let Some(Voice::Paused {
            last_voiced_ms,
            silence,
        }) = told.last()
        else {
            panic!("{id}: {told:?}")
        };
        assert!(
            at_ms.abs_diff(first) < 130,
            "{id} starts at {first}, told {at_ms}"
        );
        assert!(
            last_voiced_ms.abs_diff(last) < 180,
            "{id} ends at {last}, told {last_voiced_ms}"
        );
        assert_eq!(
            *silence,
            Duration::from_millis(96),
            "{id}: told as soon as three windows are empty"
        );
    }
}

#[test]
fn noise_and_tones_are_no_voice() {
    for (name, pcm) in wordless() {
        let mut ear = ear();
        assert_eq!(hear(&mut ear, &pcm), [], "{name}");
        assert_eq!(ear.cut(0, u32::MAX), None, "{name}");
    }
}

#[test]
fn a_closed_gate_costs_nothing_and_an_opening_one_loses_no_onset() {
    let pcm = [silence(2000), phrase("zh-no-01"), silence(2000)].concat();
    let (first, last) = loud(&pcm);
    let mut ear = ear();
    let mut told = Vec::new();
    for mut frame in frames(&pcm) {
        // As the worker's gate: open while there is sound, 60 ms late, held for 200 ms.
        frame.gate_open = (first + 60..last + 200).contains(&(frame.at / 8));
        ear.push(&frame, &mut told).unwrap();
    }
    let Some(Voice::Started { at_ms }) = told.first() else {
        panic!("{told:?}")
    };
    assert!(
        at_ms.abs_diff(first) < 130,
        "starts at {first}, told {at_ms}"
    );
    assert!(
        matches!(told.last(), Some(Voice::Paused { .. })),
        "{told:?}"
    );
    assert!(
        ear.looked() < 0.45,
        "silero looked at {} of the windows",
        ear.looked()
    );
}

#[test]
fn a_span_is_trimmed_to_its_voice_with_a_margin() {
    let pcm = [silence(3000), phrase("zh-yes-01"), silence(3000)].concat();
    let (first, last) = loud(&pcm);
    let mut ear = ear();
    hear(&mut ear, &pcm);
    let cut = ear.cut(0, u32::MAX).unwrap();
    let spoken = Duration::from_millis(u64::from(last - first));
    let margin = cut.duration().saturating_sub(spoken);
    assert!(
        (200..600).contains(&margin.as_millis()),
        "{margin:?} of silence is left"
    );
    assert!(cut.voiced > spoken.mul_f32(0.6) && cut.voiced <= cut.duration());
    assert!(cut.from_ms.abs_diff(first) < 350);
    assert_eq!(ear.cut(0, 2000), None, "before the voice");
    assert_eq!(ear.cut(9000, 8000), None);
}

#[test]
fn lost_frames_are_silence_and_frames_from_the_past_are_nothing() {
    let voice = phrase("zh-no-02");
    let (mut whole, mut holed) = (ear(), ear());
    let mut told = Vec::new();
    for (n, frame) in frames(&[silence(500), voice, silence(500)].concat()).enumerate() {
        whole.push(&frame, &mut told).unwrap();
        if n % 9 != 8 {
            holed.push(&frame, &mut told).unwrap();
            holed.push(&frame, &mut told).unwrap();
        }
    }
    let (whole, holed) = (
        whole.cut(0, u32::MAX).unwrap(),
        holed.cut(0, u32::MAX).unwrap(),
    );
    assert!(
        holed.from_ms.abs_diff(whole.from_ms) < 100,
        "offsets keep their meaning"
    );
    assert!(
        holed
            .pcm
            .windows(FRAME)
            .any(|hole| hole.iter().all(|s| *s == 0))
    );
}

#[test]
fn a_leap_in_time_ends_the_voice_and_begins_anew() {
    let mut ear = ear();
    let mut told = Vec::new();
    for frame in frames(&phrase("zh-no-02")).take_while(|frame| frame.at < MID_WORD) {
        ear.push(&frame, &mut told).unwrap();
    }
    assert!(ear.talking());
    let mut late = frames(&silence(20)).next().unwrap();
    late.at = 3_600 * 8000;
    ear.push(&late, &mut told).unwrap();
    assert!(matches!(told.last(), Some(Voice::Paused { .. })));
    assert_eq!(ear.cut(0, u32::MAX), None);
}

#[test]
fn half_a_minute_is_kept_and_no_more() {
    let mut ear = ear();
    let pcm = [
        phrase("zh-yes-01"),
        silence(40_000),
        phrase("zh-no-01"),
        silence(500),
    ]
    .concat();
    hear(&mut ear, &pcm);
    assert_eq!(ear.cut(0, 5000), None, "gone");
    assert!(ear.cut(40_000, 60_000).is_some());
}

#[test]
fn a_voice_whose_frames_stop_has_paused() {
    let mut ear = ear();
    let mut told = hear(&mut ear, &phrase("zh-no-02")[..MID_WORD as usize]);
    assert!(ear.talking());
    ear.starved(&mut told);
    assert!(matches!(told.last(), Some(Voice::Paused { .. })));
    ear.starved(&mut told);
    assert_eq!(
        told.iter()
            .filter(|v| matches!(v, Voice::Paused { .. }))
            .count(),
        1
    );
}
