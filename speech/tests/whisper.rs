//! With real weights: what is read, what it costs, and what must not be invented.

mod common;

use bots::{AudioFacts, Language, distrust, lexicon};
use common::*;
use speech::evaluate::{self, Report};
use speech::vad::Vad;
use speech::{Source, Stop, Whisper};
use std::path::PathBuf;
use std::time::Duration;

fn model() -> Whisper {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let path = std::env::var_os("HUYING_MODEL").map_or_else(
        || PathBuf::from(root).join("data/models/ggml-base-q8_0.bin"),
        PathBuf::from,
    );
    Whisper::open(&path).unwrap_or_else(|error| panic!("{error}; in this tree: make model"))
}

fn lines(report: &Report) -> String {
    let wrong = report.phrases.iter().filter(|phrase| !phrase.right);
    wrong
        .map(|p| {
            format!(
                "{}: {:?} is {}, not {}\n",
                p.phrase.id, p.heard, p.intent, p.phrase.intent
            )
        })
        .collect()
}

#[test]
fn telephone_phrases_are_read_and_understood() {
    let whisper = model();
    let intent = |text: &str, language: Language| lexicon::intent(text, language).label();
    let report = evaluate::evaluate(&whisper, &callees(), &intent, &mut |_| {}).unwrap();
    println!(
        "{}: {} of {} intents, text error {:?}, CPU-seconds {:.3} (p95 {:.3})\n{}",
        report.recogniser,
        report.intents.right,
        report.intents.of,
        report.text_error,
        report.cpu_mean,
        report.cpu_p95,
        lines(&report)
    );
    assert_eq!(report.intents.of, 42);
    assert!(
        report.intents.right >= 38,
        "{} right\n{}",
        report.intents.right,
        lines(&report)
    );
    for (language, error) in &report.text_error {
        assert!(*error < 0.10, "{language}: {error} edits a syllable");
    }
}

#[test]
fn nothing_is_made_of_silence_noise_and_tones() {
    let whisper = model();
    let recogniser = whisper.worker(Stop::default()).unwrap();
    let vad = Vad::new().unwrap();
    for (name, pcm) in wordless() {
        assert_eq!(
            evaluate::voice(&vad, &pcm).unwrap(),
            None,
            "{name} is no voice"
        );
        // Were the voice detector deceived, distrust stands behind it.
        for language in [Language::Zh, Language::En] {
            let heard = recogniser.recognise(&pcm, language).unwrap();
            let (duration, voiced) = (heard.duration, Duration::from_millis(100));
            let verdict = distrust::judge(
                &heard,
                &AudioFacts {
                    language,
                    duration,
                    voiced,
                },
            );
            assert!(verdict.is_err(), "{name} was heard as {:?}", heard);
        }
    }
}

#[test]
fn a_request_nobody_waits_for_is_given_up_half_way() {
    let whisper = model();
    let stop = Stop::default();
    let recogniser = whisper.worker(stop.clone()).unwrap();
    stop.set();
    let pcm = phrase("zh-number-01");
    assert!(recogniser.recognise(&pcm, Language::Zh).is_err());
}

#[test]
fn what_is_no_model_is_refused_with_the_way_out() {
    let nowhere = Whisper::open("data/models/none.bin".as_ref())
        .err()
        .unwrap()
        .to_string();
    assert!(nowhere.contains("FIX: huying models pull"), "{nowhere}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ggml-base.bin");
    std::fs::write(&path, b"not a model").unwrap();
    let broken = Whisper::open(&path).err().unwrap().to_string();
    assert!(broken.contains("FIX: huying models check"), "{broken}");
}
