//! Recogniser text that nobody said: dropped before it can count, with the reason kept.
//!
//! Recognisers fill silence, noise and tones with what their training data says there: farewells of subtitled videos,
//! credits, one word over and over.

use crate::fold;
use crate::recogniser::Heard;
use crate::template::Language;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is known of the audio a text was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFacts {
    pub language: Language,
    /// The whole span handed to the recogniser.
    pub duration: Duration,
    /// How much of it the voice detector called voice.
    pub voiced: Duration,
}

/// Text that may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    pub reason: DiscardReason,
    /// What the recogniser claimed.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscardReason {
    Empty,
    /// Punctuation, symbols, notes in brackets: no language.
    NotLanguage,
    /// A sentence recognisers are known to invent on noise.
    KnownInvention,
    /// The same words over and over.
    Loop,
    /// More words than the voiced time could hold.
    TooDense,
    /// Improbable to the recogniser itself, on hardly any voice.
    LowConfidence,
    /// Another script than the language asked for.
    LanguageDrift,
}

impl DiscardReason {
    /// Stable; counted.
    pub fn code(self) -> &'static str {
        match self {
            DiscardReason::Empty => "empty",
            DiscardReason::NotLanguage => "not_language",
            DiscardReason::KnownInvention => "known_invention",
            DiscardReason::Loop => "loop",
            DiscardReason::TooDense => "too_dense",
            DiscardReason::LowConfidence => "low_confidence",
            DiscardReason::LanguageDrift => "language_drift",
        }
    }
}

impl DiscardReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DiscardReason::Empty => "empty",
            DiscardReason::NotLanguage => "not_language",
            DiscardReason::KnownInvention => "known_invention",
            DiscardReason::Loop => "loop",
            DiscardReason::TooDense => "too_dense",
            DiscardReason::LowConfidence => "low_confidence",
            DiscardReason::LanguageDrift => "language_drift",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.reason.as_str(), self.text)
    }
}

/// Nobody says these into a telephone: dropped wherever they stand.
const CREDITS: [&str; 36] = [
    "字幕由",
    "字幕志愿者",
    "字幕组",
    "字幕制作",
    "字幕提供",
    "字幕by",
    "字幕 by",
    "amara",
    "明镜与点点",
    "点点栏目",
    "请不吝点赞",
    "点赞订阅",
    "点赞 订阅",
    "订阅转发",
    "打赏支持",
    "转发打赏",
    "订阅我的频道",
    "欢迎订阅",
    "记得订阅",
    "优优独播",
    "yoyo television",
    "独播剧场",
    "中文字幕",
    "词曲",
    "作词",
    "编曲",
    "感谢观看",
    "谢谢观看",
    "感谢收看",
    "谢谢收看",
    "谢谢大家收看",
    "thanks for watching",
    "thank you for watching",
    "subscribe to",
    "like and subscribe",
    "subtitles by",
];

/// Real words, but invented so often on noise that they need a voice long enough, or a sure recogniser.
const DOUBTFUL: [&str; 26] = [
    "thank you",
    "thank you very much",
    "thank you so much",
    "thanks",
    "you",
    "bye",
    "bye bye",
    "bye bye bye",
    "okay",
    "so",
    "the end",
    "the",
    "i",
    "oh",
    "music",
    "谢谢",
    "谢谢大家",
    "谢谢您",
    "多谢",
    "拜拜",
    "再见",
    "下期再见",
    "下次再见",
    "我们下期再见",
    "嗯",
    "音乐",
];

/// Faster than anyone speaks: Chinese characters or English syllables (a vowel group each) a second.
const FASTEST: f32 = 11.0;

/// Lets text through that was plausibly said.
pub fn judge(heard: &Heard, audio: &AudioFacts) -> Result<Text, Discard> {
    let text = heard.text.trim();
    match reason(text, heard, audio) {
        Some(reason) => Err(Discard {
            reason,
            text: text.to_owned(),
        }),
        None => Ok(Text(text.to_owned())),
    }
}

fn reason(text: &str, heard: &Heard, audio: &AudioFacts) -> Option<DiscardReason> {
    if text.is_empty() {
        return Some(DiscardReason::Empty);
    }
    let spoken = without_notes(text);
    let clauses = fold::clauses(&spoken);
    let joined = clauses
        .iter()
        .map(|clause| clause.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    if !joined.chars().any(char::is_alphanumeric) {
        return Some(DiscardReason::NotLanguage);
    }
    let whole = fold::word(text);
    if CREDITS
        .iter()
        .any(|credit| joined.contains(credit) || whole.contains(credit))
    {
        return Some(DiscardReason::KnownInvention);
    }
    if loops(&joined) {
        return Some(DiscardReason::Loop);
    }
    if drifted(&joined, audio.language) {
        return Some(DiscardReason::LanguageDrift);
    }
    let voiced = audio.voiced.as_secs_f32();
    let units = units(&joined);
    // Voice detectors miss edges: a fifth of a second is granted.
    if units as f32 > 4.0 && units as f32 > FASTEST * (voiced + 0.2) {
        return Some(DiscardReason::TooDense);
    }
    let doubtful = DOUBTFUL.contains(&joined.as_str());
    if audio.language == Language::Zh && !joined.chars().any(fold::is_han) {
        // What noise in a Mandarin call most often becomes. OK and bye-bye are said there, these are not.
        if doubtful
            && !matches!(
                joined.as_str(),
                "okay" | "bye" | "bye bye" | "bye bye bye" | "thanks"
            )
        {
            return Some(DiscardReason::KnownInvention);
        }
        if joined.split(' ').count() >= 4 && heard.avg_logprob < -0.7 {
            return Some(DiscardReason::LanguageDrift);
        }
    }
    if doubtful && (voiced < 0.15 || heard.avg_logprob < -0.7 && voiced < 0.8) {
        return Some(DiscardReason::KnownInvention);
    }
    let hopeless = heard.avg_logprob < -1.6;
    let unsure = heard.avg_logprob < -1.0 && voiced < 0.3;
    if voiced < 0.06 || hopeless && voiced < 1.0 || unsure {
        return Some(DiscardReason::LowConfidence);
    }
    None
}

/// Recognisers put sounds in brackets and stars: [Music], (字幕), *sighs*.
fn without_notes(text: &str) -> String {
    let mut depth = 0u32;
    let mut starred = false;
    text.chars()
        .filter(|c| match c {
            '[' | '(' | '（' | '【' | '［' | '〔' => {
                depth += 1;
                false
            }
            ']' | ')' | '）' | '】' | '］' | '〕' => {
                depth = depth.saturating_sub(1);
                false
            }
            '*' => {
                starred = !starred;
                false
            }
            '♪' | '♫' | '♬' => false,
            _ => depth == 0 && !starred,
        })
        .collect()
}

/// A unit of up to 12 characters or 6 words, said five times and more in a row or filling a long text. 不不不不 and 喂喂喂 are
/// speech.
fn loops(text: &str) -> bool {
    let tokens: Vec<String> = if text.chars().any(fold::is_han) {
        text.chars()
            .filter(|c| *c != ' ')
            .map(String::from)
            .collect()
    } else {
        text.split(' ').map(str::to_owned).collect()
    };
    let longest = if text.chars().any(fold::is_han) {
        12
    } else {
        6
    };
    (1..=longest).any(|width| {
        let needed = match width {
            1 => 8,
            2 => 6,
            _ => 4,
        };
        if tokens.len() < width * needed {
            return false;
        }
        let mut run = 0;
        for at in width..tokens.len() {
            run = if tokens[at] == tokens[at - width] {
                run + 1
            } else {
                0
            };
            if run >= width * (needed - 1) {
                return true;
            }
        }
        false
    })
}

/// Chinese calls know English words and English calls none of any other script.
fn drifted(text: &str, language: Language) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let han = text.chars().filter(|c| fold::is_han(*c)).count();
    let latin = text.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let other = letters - han - latin;
    match language {
        Language::Zh => other * 3 > letters,
        Language::En => (han + other) * 2 > letters,
    }
}

/// Chinese characters, and English vowel groups.
fn units(text: &str) -> usize {
    let mut units = 0;
    let mut in_vowels = false;
    for c in text.chars() {
        let vowel = matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
        if fold::is_han(c) || c.is_ascii_digit() || vowel && !in_vowels {
            units += 1;
        }
        in_vowels = vowel;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use DiscardReason::*;

    fn judged(
        language: Language,
        text: &str,
        logprob: f32,
        voiced_ms: u64,
    ) -> Option<DiscardReason> {
        let voiced = Duration::from_millis(voiced_ms);
        let duration = voiced + Duration::from_millis(400);
        let heard = Heard {
            text: text.into(),
            avg_logprob: logprob,
            duration,
            ..Heard::default()
        };
        judge(
            &heard,
            &AudioFacts {
                language,
                duration,
                voiced,
            },
        )
        .err()
        .map(|d| d.reason)
    }

    #[test]
    fn what_people_say_passes() {
        for (text, ms) in [
            ("不需要，谢谢。", 900),
            ("嗯。", 220),
            ("好", 180),
            ("谢谢", 500),
            ("拜拜", 400),
            ("喂喂喂，你好？", 800),
            ("不不不不不", 900),
            ("好好好好好", 900),
            ("你們利息是多少？", 1200),
            ("OK 可以，加我微信", 1100),
            ("OK", 300),
            ("bye bye", 500),
            ("我的电话是13800138000", 3500),
        ] {
            assert_eq!(judged(Language::Zh, text, -0.4, ms), None, "{text}");
        }
        for (text, ms) in [
            ("Yes, please.", 700),
            ("No no no no.", 900),
            ("Thank you.", 600),
        ] {
            assert_eq!(judged(Language::En, text, -0.4, ms), None, "{text}");
        }
    }

    #[test]
    fn what_recognisers_invent_does_not() {
        for (text, why) in [
            ("", Empty),
            ("。。。", NotLanguage),
            ("[音乐]", NotLanguage),
            ("（字幕君）", NotLanguage),
            ("♪♪♪", NotLanguage),
            ("字幕由Amara.org社区提供", KnownInvention),
            (
                "請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目",
                KnownInvention,
            ),
            ("感谢观看", KnownInvention),
            ("中文字幕志愿者 李宗盛", KnownInvention),
            ("我们我们我们我们我们我们我们我们", Loop),
            ("好的谢谢好的谢谢好的谢谢好的谢谢好的谢谢", Loop),
            ("ご視聴ありがとうございました", LanguageDrift),
            ("감사합니다 여러분", LanguageDrift),
            ("Thank you.", KnownInvention),
            ("The End", KnownInvention),
        ] {
            assert_eq!(judged(Language::Zh, text, -0.3, 2500), Some(why), "{text}");
        }
        assert_eq!(
            judged(Language::En, "谢谢大家收听", -0.3, 2000),
            Some(LanguageDrift)
        );
        assert_eq!(
            judged(Language::En, "Thanks for watching!", -0.3, 2000),
            Some(KnownInvention)
        );
        assert_eq!(
            judged(Language::En, "Thank you.", -1.2, 300),
            Some(KnownInvention)
        );
    }

    #[test]
    fn words_need_voice() {
        let long = "我想问一下你们这个贷款的利息到底是多少";
        assert_eq!(judged(Language::Zh, long, -0.3, 500), Some(TooDense));
        assert_eq!(judged(Language::Zh, long, -0.3, 2600), None);
        assert_eq!(judged(Language::Zh, "可以", -1.3, 150), Some(LowConfidence));
        assert_eq!(judged(Language::Zh, "可以", -0.5, 20), Some(LowConfidence));
        assert_eq!(judged(Language::Zh, "可以", -1.3, 500), None);
    }

    #[test]
    fn a_discard_says_what_and_why() {
        let heard = Heard {
            text: "感谢观看".into(),
            ..Heard::default()
        };
        let second = Duration::from_secs(1);
        let facts = AudioFacts {
            language: Language::Zh,
            duration: second,
            voiced: second,
        };
        assert_eq!(
            judge(&heard, &facts).unwrap_err().to_string(),
            "known_invention: \"感谢观看\""
        );
    }
}
