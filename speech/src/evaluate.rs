//! Phrases read from a folder, recognised as a call would, and scored: the core of `huying bench speech DIR`.
//!
//! A folder holds `phrases.tsv` (id, language, voice, intent, text, tab-separated, `#` for remarks) and `<id>.wav`.

use crate::clock;
use crate::ear::{Cut, Ear};
use crate::source::{Source, Stop};
use crate::vad::{Vad, VadError};
use bots::{
    AudioFacts, Discard, DiscardReason, Language, NotHeard, Recogniser, RecogniserError, distrust,
};
use media::{FRAME, Frame, SAMPLE_RATE};
use pinyin::ToPinyin;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("{path}: {error}")]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "{path}, line {line}: wanted id, language (zh or en), voice, intent and text, tab-separated"
    )]
    Row { path: PathBuf, line: usize },
    #[error("{path}: {error}")]
    Audio { path: PathBuf, error: String },
    #[error(transparent)]
    Vad(#[from] VadError),
    #[error(transparent)]
    Recogniser(#[from] RecogniserError),
}

/// One line of `phrases.tsv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Phrase {
    pub id: String,
    pub language: Language,
    pub voice: String,
    /// `positive`, `negative`, `question`, `branch:上班` …
    pub intent: String,
    pub text: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct PhraseResult {
    pub phrase: Phrase,
    pub heard: Result<String, NotHeard>,
    /// The intent of what was heard; `unheard` when nothing was.
    pub intent: String,
    pub right: bool,
    /// Edits per syllable (pinyin without tones) or English word.
    pub text_error: f32,
    pub avg_logprob: f32,
    pub audio: Duration,
    pub voiced: Duration,
    pub cpu: Duration,
    pub wall: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    pub right: usize,
    pub of: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub recogniser: String,
    pub phrases: Vec<PhraseResult>,
    pub intents: Share,
    pub by_intent: BTreeMap<String, Share>,
    /// Edits of all phrases per syllable of all phrases, by language.
    pub text_error: BTreeMap<String, f32>,
    /// CPU-seconds an utterance.
    pub cpu_mean: f64,
    pub cpu_p95: f64,
}

/// Reads `phrases.tsv` of a folder.
pub fn phrases(dir: &Path) -> Result<Vec<Phrase>, EvaluateError> {
    let path = dir.join("phrases.tsv");
    let text = std::fs::read_to_string(&path).map_err(|error| EvaluateError::Read {
        path: path.clone(),
        error,
    })?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let bad = || EvaluateError::Row {
                path: path.clone(),
                line: index + 1,
            };
            let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
            let [id, language, voice, intent, text] = fields[..] else {
                return Err(bad());
            };
            Ok(Phrase {
                id: id.to_owned(),
                language: Language::from_code(language).ok_or_else(bad)?,
                voice: voice.to_owned(),
                intent: intent.to_owned(),
                text: text.to_owned(),
            })
        })
        .collect()
}

/// 8 kHz mono, from a WAV of that form or anything the prompt reader takes.
pub fn audio(path: &Path) -> Result<Vec<i16>, EvaluateError> {
    let bytes = std::fs::read(path).map_err(|error| EvaluateError::Read {
        path: path.to_owned(),
        error,
    })?;
    let bad = |error: String| EvaluateError::Audio {
        path: path.to_owned(),
        error,
    };
    if let Ok(mut wav) = hound::WavReader::new(&bytes[..]) {
        let spec = wav.spec();
        if (spec.sample_rate, spec.channels, spec.bits_per_sample) == (SAMPLE_RATE, 1, 16) {
            return wav
                .samples()
                .collect::<Result<_, _>>()
                .map_err(|e| bad(e.to_string()));
        }
    }
    let hint = path.extension().and_then(|ext| ext.to_str());
    media::prompt::decode(&bytes, hint).map_err(|error| bad(error.to_string()))
}

/// What the ear makes of a recording: its voice with the silence trimmed, or nothing.
pub fn voice(vad: &Vad, pcm: &[i16]) -> Result<Option<Cut>, VadError> {
    let mut ear = Ear::new(vad.clone());
    let mut told = Vec::new();
    let silence = [0i16; SAMPLE_RATE as usize / 2];
    let whole = [pcm, &silence].concat();
    for (n, chunk) in whole.chunks_exact(FRAME).enumerate() {
        let mut frame = Frame {
            at: (n * FRAME) as u32,
            pcm: [0; FRAME],
            gate_open: true,
        };
        frame.pcm.copy_from_slice(chunk);
        ear.push(&frame, &mut told)?;
    }
    Ok(ear.cut(0, u32::MAX))
}

/// Runs every phrase of a folder through voice detection, the recogniser, distrust and `intent` (usually the built-in
/// lexicon's), one after the other on this thread. `each` is called as results land.
pub fn evaluate(
    source: &dyn Source,
    dir: &Path,
    intent: &dyn Fn(&str, Language) -> String,
    each: &mut dyn FnMut(&PhraseResult),
) -> Result<Report, EvaluateError> {
    let vad = Vad::new()?;
    let recogniser = source.worker(Stop::default())?;
    let mut results = Vec::new();
    for phrase in phrases(dir)? {
        let pcm = audio(&dir.join(&phrase.id).with_extension("wav"))?;
        let result = one(&vad, recogniser.as_ref(), intent, phrase, &pcm)?;
        each(&result);
        results.push(result);
    }
    Ok(summary(source.name().to_owned(), results))
}

fn one(
    vad: &Vad,
    recogniser: &dyn Recogniser,
    intent: &dyn Fn(&str, Language) -> String,
    phrase: Phrase,
    pcm: &[i16],
) -> Result<PhraseResult, EvaluateError> {
    let cut = voice(vad, pcm)?;
    let (began, spent) = (clock::now(), clock::thread_cpu());
    let raw = match &cut {
        Some(cut) => recogniser
            .recognise(&cut.pcm, phrase.language)
            .map_err(NotHeard::Failed),
        None => {
            let reason = DiscardReason::Empty;
            Err(NotHeard::Discarded(Discard {
                reason,
                text: String::new(),
            }))
        }
    };
    let cpu = clock::thread_cpu().saturating_sub(spent);
    let wall = clock::now().since(began);
    let duration = cut.as_ref().map_or(Duration::ZERO, Cut::duration);
    let voiced = cut.as_ref().map_or(Duration::ZERO, |cut| cut.voiced);
    let avg_logprob = raw.as_ref().map_or(0.0, |heard| heard.avg_logprob);
    let facts = AudioFacts {
        language: phrase.language,
        duration,
        voiced,
    };
    let heard = raw.and_then(|heard| {
        distrust::judge(&heard, &facts)
            .map(|text| text.0)
            .map_err(NotHeard::Discarded)
    });
    let found = heard
        .as_ref()
        .map_or("unheard".into(), |text| intent(text, phrase.language));
    let (edits, of) = errors(heard.as_deref().unwrap_or(""), &phrase.text);
    Ok(PhraseResult {
        right: found == phrase.intent,
        intent: found,
        text_error: edits as f32 / of.max(1) as f32,
        phrase,
        heard,
        avg_logprob,
        audio: duration,
        voiced,
        cpu,
        wall,
    })
}

fn summary(recogniser: String, phrases: Vec<PhraseResult>) -> Report {
    let mut by_intent: BTreeMap<String, Share> = BTreeMap::new();
    let mut edits: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut intents = Share::default();
    for result in &phrases {
        for share in [
            &mut intents,
            by_intent.entry(result.phrase.intent.clone()).or_default(),
        ] {
            share.of += 1;
            share.right += usize::from(result.right);
        }
        let heard = result.heard.as_deref().unwrap_or("");
        let (wrong, of) = errors(heard, &result.phrase.text);
        let sums = edits
            .entry(result.phrase.language.code().to_owned())
            .or_default();
        *sums = (sums.0 + wrong, sums.1 + of);
    }
    let mut cpu: Vec<f64> = phrases
        .iter()
        .map(|result| result.cpu.as_secs_f64())
        .collect();
    cpu.sort_by(f64::total_cmp);
    let p95 = (cpu.len() * 95).div_ceil(100).saturating_sub(1);
    Report {
        recogniser,
        intents,
        by_intent,
        text_error: edits
            .into_iter()
            .map(|(k, (n, of))| (k, n as f32 / of as f32))
            .collect(),
        cpu_mean: cpu.iter().sum::<f64>() / cpu.len().max(1) as f64,
        cpu_p95: cpu.get(p95).copied().unwrap_or(0.0),
        phrases,
    }
}

/// Edits from `wanted` to `heard`, and the units of `wanted`: a syllable without its tone, an English word, a digit.
pub fn errors(heard: &str, wanted: &str) -> (usize, usize) {
    let (heard, wanted) = (units(heard), units(wanted));
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (i, h) in heard.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, w) in wanted.iter().enumerate() {
            let change = diagonal + usize::from(h != w);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    (row[wanted.len()], wanted.len())
}

fn units(text: &str) -> Vec<String> {
    const DIGITS: [&str; 10] = [
        "ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu",
    ];
    let mut units = Vec::new();
    let mut word = String::new();
    let flush = |word: &mut String, units: &mut Vec<String>| {
        if !word.is_empty() {
            units.push(std::mem::take(word));
        }
    };
    for c in text.chars() {
        if let Some(syllable) = c.to_pinyin() {
            flush(&mut word, &mut units);
            units.push(syllable.plain().to_owned());
        } else if let Some(digit) = c.to_digit(10) {
            flush(&mut word, &mut units);
            units.push(DIGITS[digit as usize].to_owned());
        } else if c.is_alphabetic() || c == '\'' {
            word.extend(c.to_lowercase());
        } else {
            flush(&mut word, &mut units);
        }
    }
    flush(&mut word, &mut units);
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homophones_script_and_digits_are_no_errors_but_missing_words_are() {
        assert_eq!(errors("我不需要，謝謝！", "我不需要,谢谢。"), (0, 6));
        assert_eq!(errors("多少千", "多少钱"), (0, 3));
        assert_eq!(errors("138", "一三八"), (0, 3));
        assert_eq!(errors("I am interested", "I'm not interested."), (2, 3));
        assert_eq!(errors("", "不用了"), (3, 3));
    }
}
