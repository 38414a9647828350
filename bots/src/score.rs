//! Likeness of a sentence to known questions: shared characters, neighbours, syllables and neighbouring syllables, each
//! weighed by how much it tells one question of the template from another. English words stand for characters and their
//! consonants for syllables.

use crate::fold;
use std::collections::HashMap;

/// Characters that most questions have.
const COMMON_HAN: &str =
    "的了吗呢啊吧呀嘛么哦你我他她们您是这那个就都也还要一下请问想跟和给对在有说把";
const COMMON_WORDS: [&str; 36] = [
    "a", "an", "the", "is", "are", "am", "do", "does", "did", "you", "your", "i", "my", "me", "it",
    "this", "that", "to", "of", "for", "in", "on", "and", "so", "can", "could", "would", "will",
    "please", "just", "we", "be", "have", "has", "with", "there",
];
/// Characters, neighbours, syllables, neighbouring syllables.
const KINDS: usize = 4;
const SHARE: [f32; KINDS] = [0.25, 0.25, 0.2, 0.3];
/// How much of the question is in the sentence counts more than how much of the sentence is in the question: people wrap
/// questions in words.
const RECALL: f32 = 0.7;

type Feature = (u8, u64);

#[derive(Debug)]
struct Form {
    question: usize,
    text: String,
    weight: [f32; KINDS],
}

#[derive(Debug, Default)]
pub(crate) struct Scorer {
    forms: Vec<Form>,
    postings: HashMap<Feature, Posting>,
}

#[derive(Debug, Default)]
struct Posting {
    weight: f32,
    forms: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Likeness<'a> {
    pub question: usize,
    pub score: f32,
    /// The form of the question it is like.
    pub form: &'a str,
}

impl Scorer {
    /// `questions`: every form of each question.
    pub fn new(questions: &[Vec<String>]) -> Scorer {
        let mut scorer = Scorer::default();
        let mut asked_by: HashMap<Feature, Vec<usize>> = HashMap::new();
        let mut features = Vec::new();
        for (question, texts) in questions.iter().enumerate() {
            for text in texts {
                let folded = fold::word(text);
                let own = features_of(&folded);
                if own.is_empty() {
                    continue;
                }
                for (feature, _) in &own {
                    let by = asked_by.entry(*feature).or_default();
                    if by.last() != Some(&question) {
                        by.push(question);
                    }
                }
                features.push(own);
                scorer.forms.push(Form {
                    question,
                    text: text.clone(),
                    weight: [0.0; KINDS],
                });
            }
        }
        for (form, own) in features.into_iter().enumerate() {
            for (feature, base) in own {
                let rarity = 1.0 / (asked_by[&feature].len() as f32).sqrt();
                let posting = scorer.postings.entry(feature).or_default();
                posting.weight = base * rarity;
                posting.forms.push(form as u32);
                scorer.forms[form].weight[feature.0 as usize] += base * rarity;
            }
        }
        scorer
    }

    /// The question a folded text is most like.
    pub fn best(&self, text: &str) -> Option<Likeness<'_>> {
        if self.forms.is_empty() {
            return None;
        }
        let mut shared = vec![[0.0f32; KINDS]; self.forms.len()];
        let mut whole = [0.0f32; KINDS];
        for (feature, base) in features_of(text) {
            let kind = feature.0 as usize;
            match self.postings.get(&feature) {
                Some(posting) => {
                    whole[kind] += posting.weight;
                    for form in &posting.forms {
                        shared[*form as usize][kind] += posting.weight;
                    }
                }
                None => whole[kind] += base,
            }
        }
        let score = |form: usize| {
            let mut sum = 0.0;
            let mut share = 0.0;
            for kind in 0..KINDS {
                let own = self.forms[form].weight[kind];
                // A one-character question has no neighbours.
                if own > 0.0 && whole[kind] > 0.0 {
                    let hit = shared[form][kind];
                    sum += SHARE[kind] * (RECALL * hit / own + (1.0 - RECALL) * hit / whole[kind]);
                    share += SHARE[kind];
                } else if own > 0.0 {
                    share += SHARE[kind];
                }
            }
            if share > 0.0 { sum / share } else { 0.0 }
        };
        (0..self.forms.len())
            .map(|form| (form, score(form)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
            .map(|(form, score)| {
                let Form { question, text, .. } = &self.forms[form];
                Likeness {
                    question: *question,
                    score,
                    form: text,
                }
            })
    }
}

/// Each feature once, with its base weight.
fn features_of(text: &str) -> Vec<(Feature, f32)> {
    let tokens = tokens(text);
    let mut all: Vec<(Feature, f32)> = Vec::with_capacity(tokens.len() * KINDS);
    for (at, token) in tokens.iter().enumerate() {
        all.push(((0, token.exact), token.weight));
        all.push(((2, token.sound), token.weight));
        if let Some(next) = tokens.get(at + 1) {
            let weight = (token.weight + next.weight) / 2.0;
            all.push(((1, mix(token.exact, next.exact)), weight));
            all.push(((3, mix(token.sound, next.sound)), weight));
        }
    }
    all.sort_unstable_by_key(|(feature, _)| *feature);
    all.dedup_by_key(|(feature, _)| *feature);
    all
}

struct Token {
    exact: u64,
    sound: u64,
    weight: f32,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 3);
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if !fold::is_han(c) && c != ' ' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            let common = COMMON_WORDS.contains(&word.as_str());
            let stem = stem(&word);
            let sound: String = if stem.len() > 3 {
                stem.chars()
                    .filter(|c| !matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'h'))
                    .collect()
            } else {
                stem.to_owned()
            };
            let weight = if common { 0.2 } else { 1.0 };
            tokens.push(Token {
                exact: hash(stem),
                sound: hash(&sound),
                weight,
            });
            word.clear();
        }
        if c != ' ' {
            let sound = fold::syllable(c).unwrap_or(c);
            let weight = if COMMON_HAN.contains(c) { 0.2 } else { 1.0 };
            tokens.push(Token {
                exact: u64::from(c as u32),
                sound: u64::from(sound as u32),
                weight,
            });
        }
    }
    tokens
}

fn stem(word: &str) -> &str {
    for ending in ["ing", "ed", "es", "s"] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.len() >= 3
        {
            return rest;
        }
    }
    word
}

fn hash(text: &str) -> u64 {
    // FNV-1a; the top bit keeps words apart from characters.
    text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) | 1 << 63
}

fn mix(one: u64, two: u64) -> u64 {
    one.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(21) ^ two
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> Scorer {
        let forms = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Scorer::new(&[
            forms(&["利息是多少", "多少钱一个月"]),
            forms(&["你是机器人吗"]),
            forms(&["你们公司在哪里"]),
            forms(&["how much does it cost"]),
        ])
    }
    fn best(text: &str) -> (usize, f32) {
        let scorer = scorer();
        let best = scorer.best(&fold::word(text)).unwrap();
        (best.question, best.score)
    }

    #[test]
    fn a_question_in_other_words_or_sounds_is_found() {
        for (text, question) in [
            ("利息是多少", 0),
            ("那个我想问一下你们这个利息多少啊", 0),
            ("多少千一个月", 0),
            ("你是极其人吗", 1),
            ("你们公司在哪儿啊", 2),
            ("how much will it cost me", 3),
        ] {
            let (found, score) = best(text);
            assert!(found == question && score >= 0.5, "{text}: {found} {score}");
        }
        assert!((best("利息是多少").1 - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_statement_is_not_like_a_question() {
        for text in [
            "我在公司上班",
            "今天天气不错",
            "我不需要",
            "i run a small business",
        ] {
            assert!(best(text).1 < 0.5, "{text}: {}", best(text).1);
        }
    }
}
