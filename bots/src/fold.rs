//! Text brought to one form: half-width, lower case, simplified; split into clauses; and its sound as folded pinyin.

use opencc_fmmseg::OpenCC;
use pinyin::ToPinyin;
use std::collections::HashMap;
use std::sync::LazyLock;

const FIRST: u32 = 0x3400;
const LAST: u32 = 0x9fff;

/// Traditional to simplified, character by character: what is matched is single words, and a table answers in a
/// nanosecond where segmentation takes microseconds.
static SIMPLIFIED: LazyLock<Vec<char>> = LazyLock::new(|| {
    let mut opencc = OpenCC::new();
    opencc.set_parallel(false);
    let every: String = (FIRST..=LAST)
        .filter_map(char::from_u32)
        .flat_map(|c| [c, '\n'])
        .collect();
    let table: Vec<char> = opencc
        .t2s(&every, false)
        .chars()
        .filter(|c| *c != '\n')
        .collect();
    debug_assert_eq!(table.len() as u32, LAST - FIRST + 1);
    table
});

pub fn simplify(c: char) -> char {
    match c {
        // Variants a character table leaves alone because context decides; in speech it is always this one.
        '妳' => '你',
        '麽' | '麼' => '么',
        '喫' => '吃',
        '囉' => '啰',
        _ if (FIRST..=LAST).contains(&(c as u32)) => SIMPLIFIED
            .get((c as u32 - FIRST) as usize)
            .copied()
            .unwrap_or(c),
        _ => c,
    }
}

pub fn is_han(c: char) -> bool {
    matches!(c as u32, 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x2ffff)
}

/// A stretch between punctuation marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clause {
    /// Chinese characters close up, Latin words apart by one space; no punctuation.
    pub text: String,
    /// It ended in a question mark.
    pub asked: bool,
}

/// The clauses of a sentence.
pub fn clauses(text: &str) -> Vec<Clause> {
    let mut all = Vec::new();
    let mut clause = Clause::default();
    let mut space = false;
    let mut chars = text.chars().peekable();
    while let Some(raw) = chars.next() {
        let c = match raw as u32 {
            // Full-width ASCII.
            0xff01..=0xff5e => char::from_u32(raw as u32 - 0xff01 + 0x21).unwrap_or(raw),
            0x3000 => ' ',
            _ => raw,
        };
        match c {
            ' ' | '\t' | '\u{a0}' | '-' | '_' => space = true,
            // An apostrophe inside a word vanishes: don't, I'm.
            '\'' | '\u{2019}' | '\u{2018}' | '`' => {}
            // A point or comma between digits belongs to the number.
            '.' | ','
                if clause.text.ends_with(|p: char| p.is_ascii_digit())
                    && chars.peek().is_some_and(char::is_ascii_digit) => {}
            '?' => {
                clause.asked = true;
                push(&mut all, &mut clause);
                space = false;
            }
            _ if c.is_alphanumeric() => {
                let c = if c.is_ascii() {
                    c.to_ascii_lowercase()
                } else {
                    simplify(c)
                };
                let before = clause.text.chars().next_back();
                if space && before.is_some_and(|b| !is_han(b)) && !is_han(c) {
                    clause.text.push(' ');
                }
                // Latin beside Chinese is a word of its own.
                clause.text.extend(c.to_lowercase());
                space = false;
            }
            _ => {
                push(&mut all, &mut clause);
                space = false;
            }
        }
    }
    push(&mut all, &mut clause);
    all
}

fn push(all: &mut Vec<Clause>, clause: &mut Clause) {
    let clause = std::mem::take(clause);
    if !clause.text.is_empty() {
        all.push(clause);
    } else if clause.asked
        && let Some(last) = all.last_mut()
    {
        last.asked = true;
    }
}

/// One word or phrase of a list in the same form, clauses joined.
pub fn word(text: &str) -> String {
    let parts = clauses(text);
    let latin = |part: &Clause| part.text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let mut joined = String::new();
    for part in &parts {
        if !joined.is_empty() && latin(part) {
            joined.push(' ');
        }
        joined.push_str(&part.text);
    }
    joined
}

/// The sound of one character with what telephone lines and accents blur folded together; one private-use character per
/// syllable, so that words by sound are strings too. None for characters without a reading.
pub fn syllable(c: char) -> Option<char> {
    if !is_han(c) {
        return None;
    }
    SYLLABLES
        .get((c as u32).checked_sub(FIRST)? as usize)
        .copied()
        .flatten()
}

static SYLLABLES: LazyLock<Vec<Option<char>>> = LazyLock::new(|| {
    let mut ids: HashMap<String, u32> = HashMap::new();
    (FIRST..=LAST)
        .map(|code| {
            let plain = char::from_u32(code)?.to_pinyin()?.plain();
            let folded = fold_syllable(plain);
            let next = 0xe000 + ids.len() as u32;
            char::from_u32(*ids.entry(folded).or_insert(next))
        })
        .collect()
});

/// l = n, zh = z, ch = c, sh = s, -ng = -n, me = mo.
pub fn fold_syllable(plain: &str) -> String {
    let mut sound = plain.replace('ü', "v");
    for (from, to) in [("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l")] {
        if let Some(rest) = sound.strip_prefix(from) {
            sound = format!("{to}{rest}");
            break;
        }
    }
    if sound.ends_with("ng") && sound != "ng" {
        sound.pop();
    }
    // 么 is heard as 默, 魔, 末.
    if sound == "me" {
        sound = "mo".into();
    }
    sound
}

/// The text by sound: one character per syllable, with where each came from (byte offsets); characters without a reading
/// break words and stand as themselves.
pub fn sound(text: &str) -> (String, Vec<(usize, usize)>) {
    let mut sound = String::with_capacity(text.len());
    let mut spans = Vec::with_capacity(text.len() / 3);
    for (at, c) in text.char_indices() {
        sound.push(syllable(c).unwrap_or(c));
        spans.push((at, at + c.len_utf8()));
    }
    (sound, spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        clauses(text)
            .into_iter()
            .map(|clause| clause.text)
            .collect()
    }

    #[test]
    fn scripts_widths_and_marks_come_to_one_form() {
        assert_eq!(texts("不好意思，我沒有興趣！"), ["不好意思", "我没有兴趣"]);
        assert_eq!(texts("ＯＫ　可以"), ["ok可以"]);
        assert_eq!(
            texts("I don’t need it, thanks."),
            ["i dont need it", "thanks"]
        );
        assert_eq!(texts("妳們公司在哪裡"), ["你们公司在哪里"]);
        assert_eq!(texts("3.5 個點"), ["35个点"]);
        assert!(clauses("多少錢？")[0].asked);
        assert!(clauses("").is_empty());
        assert!(clauses("。。。？").is_empty());
    }

    #[test]
    fn what_a_telephone_blurs_sounds_alike() {
        for (one, other) in [
            ("多少钱", "多绍前"),
            ("机器人", "极其人"),
            ("微信", "微型"),
            ("利息", "泥西"),
        ] {
            assert_eq!(sound(one).0, sound(other).0, "{one} {other}");
        }
        assert_ne!(
            sound("利息").0,
            sound("历史").0.replace('\u{0}', ""),
            "x is not sh"
        );
    }

    #[test]
    fn the_whole_character_table_folds() {
        assert_eq!(simplify('錢'), '钱');
        assert_eq!(simplify('麼'), '么');
        assert_eq!(simplify('好'), '好');
        assert_eq!(SIMPLIFIED.len() as u32, LAST - FIRST + 1);
    }
}
