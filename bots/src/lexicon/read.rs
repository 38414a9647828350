//! A sentence read: its clauses with the words found in each.

use super::{Class, en, zh};
use crate::fold::{self, Clause};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::ops::Range;
use std::sync::LazyLock;

/// A listed word found in a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub class: Class,
    /// Bytes of the clause's text.
    pub span: Range<usize>,
    pub source: Source,
    pub by_sound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Lexicon,
    Template,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ClauseReading {
    pub text: String,
    pub asked: bool,
    /// Strong words, in order, apart from each other.
    pub hits: Vec<Hit>,
    /// Words that count alone or first.
    pub weak: Option<Class>,
    /// Nothing but fillers and masks.
    pub hollow: bool,
    pub backchannel: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub clauses: Vec<ClauseReading>,
    /// A run of digits as long as a telephone number.
    pub number: bool,
}

impl Reading {
    pub fn text(&self) -> String {
        let mut text = String::new();
        for clause in &self.clauses {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&clause.text);
        }
        text
    }
}

/// A word list compiled: by character, and by sound for Chinese words long enough to be sure.
#[derive(Debug)]
pub(crate) struct Words {
    text: AhoCorasick,
    classes: Vec<Class>,
    sound: AhoCorasick,
    sound_classes: Vec<Class>,
}

fn automaton(patterns: &[String]) -> AhoCorasick {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(patterns)
        .expect("word lists are far below the automaton's limits")
}

impl Words {
    /// `least_syllables`: shorter Chinese words are not matched by sound.
    pub fn new(list: Vec<(String, Class)>, least_syllables: usize) -> Words {
        let mut texts = Vec::with_capacity(list.len());
        let mut classes = Vec::with_capacity(list.len());
        let mut sounds = Vec::new();
        let mut sound_classes = Vec::new();
        for (word, class) in list {
            let word = fold::word(&word);
            if word.is_empty() {
                continue;
            }
            let count = word.chars().count();
            // Forms, tags and words that only look like others are too common in sound.
            let sounds_clear = !matches!(
                class,
                Class::Form | Class::Tag | Class::Mask | Class::Contrast
            );
            if sounds_clear
                && count >= least_syllables
                && word.chars().all(|c| fold::syllable(c).is_some())
            {
                sounds.push(fold::sound(&word).0);
                sound_classes.push(class);
            }
            texts.push(pattern(&word));
            classes.push(class);
        }
        Words {
            text: automaton(&texts),
            classes,
            sound: automaton(&sounds),
            sound_classes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// By character. `padded` is the clause as [`pad`] leaves it.
    fn find<'a>(&'a self, padded: &'a Padded) -> impl Iterator<Item = (Class, Range<usize>)> + 'a {
        self.text.find_iter(&padded.text).map(|found| {
            (
                self.classes[found.pattern().as_usize()],
                padded.back(found.range()),
            )
        })
    }

    fn find_by_sound(&self, clause: &str) -> Vec<(Class, Range<usize>)> {
        let (sound, spans) = fold::sound(clause);
        let width: Vec<usize> = sound.char_indices().map(|(at, _)| at).collect();
        let position = |byte: usize| width.partition_point(|at| *at < byte);
        self.sound
            .find_iter(&sound)
            .map(|found| {
                let (first, last) = (position(found.start()), position(found.end()) - 1);
                (
                    self.sound_classes[found.pattern().as_usize()],
                    spans[first].0..spans[last].1,
                )
            })
            .collect()
    }
}

/// A clause in which every Latin word stands between spaces of its own, so that patterns with spaces at both ends match
/// whole words side by side.
struct Padded {
    text: String,
    /// Per byte of `text`, the byte of the clause.
    map: Vec<u32>,
}

impl Padded {
    fn back(&self, found: Range<usize>) -> Range<usize> {
        let bytes = &self.text.as_bytes()[found.clone()];
        let lead = bytes.iter().take_while(|b| **b == b' ').count();
        let trail = bytes.iter().rev().take_while(|b| **b == b' ').count();
        let (start, end) = (found.start + lead, found.end - trail);
        self.map[start] as usize..self.map[end - 1] as usize + 1
    }
}

fn pad(clause: &str) -> Padded {
    let mut text = String::with_capacity(clause.len() + 16);
    let mut map = Vec::with_capacity(clause.len() + 16);
    let mut in_word = false;
    for (at, c) in clause.char_indices() {
        let latin = !fold::is_han(c) && c != ' ';
        if latin != in_word {
            text.push(' ');
            map.push(at as u32);
            in_word = latin;
        }
        if c != ' ' {
            text.push(c);
            map.extend((0..c.len_utf8()).map(|i| (at + i) as u32));
        }
    }
    if in_word {
        text.push(' ');
        map.push(clause.len() as u32);
    }
    Padded { text, map }
}

fn pattern(word: &str) -> String {
    pad(word).text
}

struct Lexicon {
    strong: Words,
    weak: Words,
    backchannel: Words,
    /// Question words, for their sound.
    asking: Words,
    front: Vec<&'static str>,
    first_words: Vec<&'static str>,
    unfinished_zh: Vec<&'static str>,
    unfinished_en: Vec<&'static str>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut strong = zh::words();
    strong.extend(en::words());
    let asking = strong
        .iter()
        .filter(|(_, class)| *class == Class::Wh)
        .cloned()
        .collect();
    let mut weak = Vec::new();
    for (list, class) in [
        (zh::WEAK_YES, Class::WeakPositive),
        (zh::WEAK_NO, Class::WeakNegative),
        (zh::FILLERS, Class::Filler),
    ] {
        weak.extend(list.split_whitespace().map(|word| (word.to_owned(), class)));
    }
    for (list, class) in [
        (en::WEAK_YES, Class::WeakPositive),
        (en::WEAK_NO, Class::WeakNegative),
        (en::FILLERS, Class::Filler),
    ] {
        weak.extend(list.split(',').map(|word| (word.trim().to_owned(), class)));
    }
    let backchannel = zh::BACKCHANNEL
        .split_whitespace()
        .chain(en::BACKCHANNEL.split(',').map(str::trim))
        .map(|word| (word.to_owned(), Class::Filler))
        .collect();
    Lexicon {
        strong: Words::new(strong, 3),
        asking: Words::new(asking, 3),
        weak: Words::new(weak, usize::MAX),
        backchannel: Words::new(backchannel, usize::MAX),
        front: zh::FRONT
            .split_whitespace()
            .chain(en::FRONT.split(',').map(str::trim))
            .collect(),
        first_words: en::FIRST_WORDS.split(',').map(str::trim).collect(),
        unfinished_zh: zh::UNFINISHED.split_whitespace().collect(),
        unfinished_en: en::UNFINISHED.split(',').map(str::trim).collect(),
    }
});

/// Builds what is built once, so that the first call does not wait for it.
pub fn warm() {
    let _ = read("你好", None);
}

/// Finds the words of a sentence. `own` are a template's words; where they overlap the lexicon's, the longer one holds.
pub(crate) fn read(text: &str, own: Option<&[&Words]>) -> Reading {
    read_clauses(fold::clauses(text), own, has_number(text))
}

pub(crate) fn read_clauses(clauses: Vec<Clause>, own: Option<&[&Words]>, number: bool) -> Reading {
    let clauses = clauses
        .into_iter()
        .map(|clause| read_clause(clause, own))
        .collect();
    Reading { clauses, number }
}

fn read_clause(clause: Clause, own: Option<&[&Words]>) -> ClauseReading {
    let lexicon = &*LEXICON;
    let padded = pad(&clause.text);
    let mut hits: Vec<Hit> = lexicon
        .strong
        .find(&padded)
        .map(|(class, span)| Hit {
            class,
            span,
            source: Source::Lexicon,
            by_sound: false,
        })
        .collect();
    let own = own.unwrap_or_default();
    for words in own.iter().filter(|words| !words.is_empty()) {
        for (class, span) in words.find(&padded) {
            insert(&mut hits, &clause.text, class, span, false);
        }
    }
    misheard_negation(&clause.text, &mut hits);
    alternatives(&clause.text, &mut hits);
    let (weak, covered) = weak(&padded, &clause.text, &hits);
    let mut reading = ClauseReading {
        hits,
        weak,
        ..ClauseReading::default()
    };
    reading.backchannel = all_covered(&padded, &clause.text, &lexicon.backchannel);
    reading.hits.sort_by_key(|hit| hit.span.start);
    let empty = reading.weak.is_none()
        && reading
            .hits
            .iter()
            .all(|hit| matches!(hit.class, Class::Contrast | Class::Tag));
    if empty && !covered {
        // Nothing by character: by sound. First the template's words, which are what is expected here.
        for words in own {
            for (class, span) in words.find_by_sound(&clause.text) {
                insert(&mut reading.hits, &clause.text, class, span, true);
            }
        }
        if reading.hits.is_empty() {
            for (class, span) in lexicon.strong.find_by_sound(&clause.text) {
                reading.hits.push(Hit {
                    class,
                    span,
                    source: Source::Lexicon,
                    by_sound: true,
                });
            }
        }
    }
    if reading.hits.iter().any(|hit| hit.class == Class::Positive) {
        // 需要沈默条件: consent by character, but a question by sound beside it.
        for (class, span) in lexicon.asking.find_by_sound(&clause.text) {
            if reading
                .hits
                .iter()
                .all(|hit| hit.span.end <= span.start || span.end <= hit.span.start)
            {
                reading.hits.push(Hit {
                    class,
                    span,
                    source: Source::Lexicon,
                    by_sound: true,
                });
            }
        }
    }
    if first_word_asks(&clause.text, lexicon) && !starts_masked(&clause.text, &reading.hits) {
        reading.hits.push(Hit {
            class: Class::Form,
            span: 0..0,
            source: Source::Lexicon,
            by_sound: false,
        });
    }
    reading.hits.sort_by_key(|hit| hit.span.start);
    reading.hollow = covered && reading.weak.is_none();
    reading.text = clause.text;
    reading.asked = clause.asked;
    reading
}

/// 部需要 is 不需要: the recogniser wrote another character of the same sound. 全部需要 is not.
fn misheard_negation(text: &str, hits: &mut [Hit]) {
    for hit in hits.iter_mut().filter(|hit| hit.class == Class::Positive) {
        let mut before = text[..hit.span.start].chars().rev();
        let Some(c) = before.next().filter(|c| *c != '不') else {
            continue;
        };
        let compound = before
            .next()
            .is_some_and(|c| "全内外本总各一几两分局上下大小这那".contains(c));
        if !compound && fold::syllable(c) == fold::syllable('不') && fold::is_han(c) {
            *hit = Hit {
                class: Class::Negative,
                span: hit.span.start - c.len_utf8()..hit.span.end,
                by_sound: true,
                ..hit.clone()
            };
        }
    }
}

/// Questions by their build: 贵不贵, 是真人还是机器人.
fn alternatives(text: &str, hits: &mut Vec<Hit>) {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut found: Option<Range<usize>> = None;
    for window in chars.windows(3) {
        if let [(start, one), (_, '不'), (last, other)] = window
            && one == other
            && *one != '不'
            && !text[..*start].ends_with('不')
        {
            found = Some(*start..last + other.len_utf8());
        }
    }
    if let Some(or) = text.find("还是")
        && text[..or].contains('是')
        && text.len() > or + "还是".len()
    {
        found = Some(or..or + "还是".len());
    }
    if let Some(span) = found {
        let known = hits.iter().any(|hit| {
            hit.span.start < span.end
                && span.start < hit.span.end
                && matches!(
                    hit.class,
                    Class::Tag | Class::Mask | Class::Form | Class::Wh
                )
        });
        if !known {
            hits.push(Hit {
                class: Class::Form,
                span,
                source: Source::Lexicon,
                by_sound: false,
            });
        }
    }
}

/// Puts a template's word among the hits, unless a longer one of the lexicon holds it (需要 in 不需要) or it is denied.
fn insert(hits: &mut Vec<Hit>, text: &str, class: Class, span: Range<usize>, by_sound: bool) {
    let overlaps = |hit: &Hit| hit.span.start < span.end && span.start < hit.span.end;
    let held = hits.iter().any(|hit| {
        overlaps(hit)
            && hit.span.len() > span.len()
            && !matches!(hit.class, Class::Employed | Class::Business)
    });
    if held {
        return;
    }
    let class = match (class, denied(text, span.start)) {
        (Class::Branch(_), true) => return,
        (Class::Positive, true) => Class::Negative,
        (class, _) => class,
    };
    hits.retain(|hit| {
        !overlaps(hit) || hit.source == Source::Template && hit.span.len() >= span.len()
    });
    hits.push(Hit {
        class,
        span,
        source: Source::Template,
        by_sound,
    });
}

/// A negator stands right before.
fn denied(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let chars: Vec<char> = before.chars().rev().take(3).collect();
    let near = match chars.first() {
        Some('不' | '没' | '别' | '无') => true,
        Some('有' | '是' | '在' | '做' | '去' | '再' | '想' | '用' | '太') => {
            matches!(chars.get(1), Some('不' | '没' | '别'))
        }
        _ => false,
    };
    let words: Vec<&str> = before.split_whitespace().rev().take(2).collect();
    near || words.iter().any(|word| {
        matches!(
            *word,
            "not" | "dont" | "no" | "never" | "cant" | "wont" | "isnt" | "arent" | "didnt"
        )
    })
}

/// Consent or refusal by small words: they count when nothing else is said, or when they come first and are more than a
/// single character. Also whether small words, fillers and the strong words cover the clause.
fn weak(padded: &Padded, text: &str, hits: &[Hit]) -> (Option<Class>, bool) {
    let mut covered = 0;
    let mut first: Option<Class> = None;
    let mut last: Option<Class> = None;
    let mut at_front = true;
    let mut gap = false;
    let overlaps = |span: &Range<usize>| {
        hits.iter().any(|hit| {
            // 好吧 is a tag behind something and consent alone.
            hit.class != Class::Tag && hit.span.start < span.end && span.start < hit.span.end
        })
    };
    let mut spans: Vec<(Option<Class>, Range<usize>)> = LEXICON
        .weak
        .find(padded)
        .filter(|(_, span)| !overlaps(span))
        .map(|(class, span)| (Some(class), span))
        .collect();
    spans.extend(hits.iter().map(|hit| (None, hit.span.clone())));
    spans.sort_by_key(|(_, span)| span.start);
    for (class, span) in spans {
        if text[covered.min(span.start)..span.start]
            .chars()
            .any(|c| c != ' ')
        {
            gap = true;
            at_front = false;
        }
        covered = covered.max(span.end);
        match class {
            Some(class @ (Class::WeakPositive | Class::WeakNegative)) => {
                if at_front && first.is_none() && LEXICON.front.contains(&&text[span.clone()]) {
                    first = Some(class);
                }
                if last != Some(Class::WeakNegative) {
                    last = Some(class);
                }
            }
            Some(_) => {}
            None => at_front = false,
        }
    }
    if text[covered.min(text.len())..].chars().any(|c| c != ' ') {
        gap = true;
    }
    match (gap, last, first) {
        (false, last, _) => (last, true),
        (true, _, Some(class)) => (Some(class), false),
        (true, _, None) => (None, false),
    }
}

fn all_covered(padded: &Padded, text: &str, words: &Words) -> bool {
    let mut covered = 0;
    for (_, span) in words.find(padded) {
        if text[covered..span.start].chars().any(|c| c != ' ') {
            return false;
        }
        covered = span.end;
    }
    text[covered..].chars().all(|c| c == ' ')
}

/// An English clause that begins like a question, fillers aside.
fn first_word_asks(text: &str, lexicon: &Lexicon) -> bool {
    const BEFORE: [&str; 22] = [
        "so", "and", "well", "okay", "ok", "um", "uh", "oh", "yes", "yeah", "then", "hi", "hello",
        "hey", "but", "sure", "right", "now", "just", "sorry", "wait", "hmm",
    ];
    if text.starts_with(fold::is_han) {
        return false;
    }
    let mut words = text.split(' ').skip_while(|word| BEFORE.contains(word));
    let Some(first) = words.next() else {
        return false;
    };
    words
        .next()
        .is_some_and(|second| second != "not" && second != "call")
        && lexicon.first_words.contains(&first)
}

/// The clause opens with words that settle what it is: a mask only when hardly anything follows it (who are you, but not
/// who are you working for).
fn starts_masked(text: &str, hits: &[Hit]) -> bool {
    hits.iter().any(|hit| {
        let rest = || text[hit.span.end..].split_whitespace().count();
        hit.span.start < 12
            && match hit.class {
                Class::Negative | Class::Hard | Class::Positive => true,
                Class::Mask => rest() <= 1,
                _ => false,
            }
    })
}

/// Does the text end where a speaker goes on?
pub fn unfinished(text: &str) -> bool {
    let clauses = fold::clauses(text);
    let Some(last) = clauses.last() else {
        return false;
    };
    if last.asked {
        return false;
    }
    let lexicon = &*LEXICON;
    lexicon
        .unfinished_zh
        .iter()
        .any(|word| last.text.ends_with(word) && ends_open(&last.text, word))
        || lexicon.unfinished_en.iter().any(|word| {
            last.text
                .strip_suffix(word)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
        })
}

/// 我想要那个 is finished, 那个 alone or 然后 is not.
fn ends_open(text: &str, word: &str) -> bool {
    !matches!(
        word,
        "那个" | "这个" | "还有" | "你们这个" | "那" | "还是" | "我们"
    ) || text == word
}

/// Seven digits or more in a row, spoken or written.
pub(crate) fn has_number(text: &str) -> bool {
    let mut run = 0;
    let mut word = String::new();
    let spoken = |word: &str| {
        matches!(
            word,
            "zero"
                | "oh"
                | "o"
                | "one"
                | "two"
                | "three"
                | "four"
                | "five"
                | "six"
                | "seven"
                | "eight"
                | "nine"
        )
    };
    for c in text.chars().chain([' ']) {
        let c = fold::simplify(c);
        if c.is_ascii_alphabetic() {
            word.push(c.to_ascii_lowercase());
            continue;
        }
        if !word.is_empty() {
            match word.as_str() {
                w if spoken(w) => run += 1,
                "double" | "triple" => {}
                // 一 heard as the letter E: 13800E3800.
                w if w.len() == 1 && run > 0 => run += 1,
                _ => run = 0,
            }
            word.clear();
        }
        match c {
            '0'..='9'
            | '０'..='９'
            | '零'
            | '〇'
            | '一'
            | '二'
            | '三'
            | '四'
            | '五'
            | '六'
            | '七'
            | '八'
            | '九'
            | '幺'
            | '两' => run += 1,
            ' ' | '-' | '.' | ',' | '，' | '、' => {}
            _ => run = 0,
        }
        if run >= 7 {
            return true;
        }
    }
    run >= 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_hangs_in_the_air_is_unfinished() {
        for text in [
            "可以，但是",
            "那个",
            "我想问一下",
            "就是",
            "Yes, but",
            "I just",
            "如果",
        ] {
            assert!(unfinished(text), "{text}");
        }
        for text in [
            "可以",
            "我要那个",
            "不需要",
            "利息是多少？",
            "Yes, sure.",
            "我想问一下利息",
        ] {
            assert!(!unfinished(text), "{text}");
        }
    }

    #[test]
    fn seven_digits_in_a_row_are_a_number() {
        for text in [
            "13800138000",
            "一三八零零一三八",
            "138-0013-8000",
            "five five five one two three four",
        ] {
            assert!(has_number(text), "{text}");
        }
        for text in [
            "我三十五岁，有两套房",
            "一万二",
            "2026年11月",
            "one or two",
            "一个月三千五",
        ] {
            assert!(!has_number(text), "{text}");
        }
    }

    #[test]
    fn words_stand_apart_in_english_and_close_in_chinese() {
        let hits = |text: &str| {
            let reading = read(text, None);
            reading
                .clauses
                .iter()
                .flat_map(|c| c.hits.iter().map(|hit| c.text[hit.span.clone()].to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            hits("I am not interested no thanks"),
            ["i am not interested", "no thanks"]
        );
        assert!(
            hits("nobusiness like").is_empty(),
            "a word inside a word is none"
        );
        assert_eq!(hits("sorry我不需要"), ["sorry", "不需要"]);
    }
}
