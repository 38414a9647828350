//! Prompts as people upload them: every format, awkward ones, broken ones.

use media::measure;
use media::prompt::{self, PromptError};
use proptest::prelude::*;
use std::io::Cursor;

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/audio/formats/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

fn wav(rate: u32, channels: u16, samples: impl Iterator<Item = i16>) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn sine(rate: u32, hz: f64, peak: f64, seconds: f64) -> impl Iterator<Item = i16> {
    (0..(f64::from(rate) * seconds) as u32).map(move |n| {
        (peak * (f64::from(n) / f64::from(rate) * hz * std::f64::consts::TAU).sin()) as i16
    })
}

#[test]
fn every_format_comes_out_as_the_tone_that_went_in() {
    for name in [
        "mono-44100.mp3",
        "stereo-48000.ogg",
        "mono-16000.flac",
        "mono-8000-alaw.wav",
        "mono-8000-ulaw.wav",
    ] {
        let pcm = prompt::decode(&fixture(name), Some(name)).unwrap();
        assert!(
            (3900..=4700).contains(&pcm.len()),
            "{name}: {} samples",
            pcm.len()
        );
        let middle = &pcm[1000..3000];
        let (hz, share) = measure::frequency(middle).unwrap();
        assert!((hz - 440.0).abs() < 3.0, "{name}: {hz} Hz");
        assert!(share > 0.95, "{name}: {share}");
        assert!(
            (measure::level(middle) + 6.0).abs() < 0.7,
            "{name}: {} dBFS",
            measure::level(middle)
        );
    }
}

#[test]
fn without_a_name_and_under_a_wrong_name_the_content_decides() {
    let mp3 = fixture("mono-44100.mp3");
    assert_eq!(
        prompt::decode(&mp3, None),
        prompt::decode(&mp3, Some("greeting.wav"))
    );
}

#[test]
fn every_usual_rate_and_both_channels_arrive() {
    for rate in [
        8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
    ] {
        let stereo = sine(rate, 600.0, 16_000.0, 1.0).flat_map(|sample| [sample, sample]);
        let pcm = prompt::decode(&wav(rate, 2, stereo), None).unwrap();
        assert!(
            (pcm.len() as i64 - 8000).abs() <= 2,
            "{rate}: {}",
            pcm.len()
        );
        let (hz, share) = measure::frequency(&pcm[1000..5000]).unwrap();
        assert!(
            (hz - 600.0).abs() < 2.0 && share > 0.98,
            "{rate}: {hz} {share}"
        );
    }
}

#[test]
fn what_a_telephone_cannot_carry_does_not_fold_back() {
    let pcm = prompt::decode(&wav(48_000, 1, sine(48_000, 6_000.0, 16_000.0, 1.0)), None).unwrap();
    assert!(
        measure::level(&pcm[1000..5000]) < -50.0,
        "6 kHz would alias to 2 kHz"
    );
}

#[test]
fn loudness_is_left_alone_unless_it_cannot_be_heard() {
    let usual = prompt::decode(&wav(8000, 1, sine(8000, 440.0, 8_000.0, 0.5)), None).unwrap();
    assert_eq!(usual, sine(8000, 440.0, 8_000.0, 0.5).collect::<Vec<_>>());
    let faint = prompt::decode(&wav(8000, 1, sine(8000, 440.0, 300.0, 0.5)), None).unwrap();
    assert!((measure::level(&faint) + 12.0).abs() < 1.0);
}

#[test]
fn what_is_no_prompt_is_refused_with_its_reason() {
    assert_eq!(prompt::decode(&[], None), Err(PromptError::Empty));
    let huge = vec![0; prompt::MOST_BYTES + 1];
    assert!(matches!(
        prompt::decode(&huge, None),
        Err(PromptError::TooLarge { .. })
    ));
    let text = b"this is a letter, not a sound. ".repeat(50);
    assert!(matches!(
        prompt::decode(&text, Some("a.mp3")),
        Err(PromptError::Unsupported(_) | PromptError::Broken(_))
    ));
    assert_eq!(
        prompt::decode(&wav(8000, 1, std::iter::empty()), None),
        Err(PromptError::NoAudio)
    );
    let long = wav(4000, 1, std::iter::repeat_n(100, 4000 * 601));
    assert_eq!(
        prompt::decode(&long, None),
        Err(PromptError::TooLong { limit_seconds: 600 })
    );
    assert!(matches!(
        prompt::decode(&wav(1000, 1, sine(1000, 100.0, 9000.0, 1.0)), None),
        Err(PromptError::Unsupported(_))
    ));
}

#[test]
fn a_file_cut_short_plays_as_far_as_it_goes() {
    let whole = wav(8000, 1, sine(8000, 440.0, 8_000.0, 2.0));
    let pcm = prompt::decode(&whole[..whole.len() / 2], None).unwrap();
    assert!((7_000..=8_100).contains(&pcm.len()), "{}", pcm.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_damaged_file_is_an_error_or_a_sound_but_never_a_panic(
        which in 0usize..5,
        damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..30),
        cut in 0usize..4000,
    ) {
        let names = ["mono-44100.mp3", "stereo-48000.ogg", "mono-16000.flac", "mono-8000-alaw.wav", "mono-8000-ulaw.wav"];
        let mut bytes = fixture(names[which]);
        for (at, byte) in damage {
            let at = at as usize % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let _ = prompt::decode(&bytes, None);
    }
}

#[test]
fn a_file_does_not_unfold_without_bound() {
    // Over five minutes at 96 kHz: under the limit in time, over it in samples.
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 96_000,
        bits_per_sample: 8,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for _ in 0..96_000 * 310 {
        writer.write_sample(0i8).unwrap();
    }
    writer.finalize().unwrap();
    let refused = prompt::decode(&file.into_inner(), None);
    assert_eq!(refused, Err(PromptError::TooLong { limit_seconds: 300 }));
}
