//! What callees say, and what it is by the built-in lexicon: Mandarin in both scripts, English, mixed, and as recognisers
//! mishear it.

use bots::{Language, lexicon};

#[test]
fn every_sentence_is_understood() {
    let table = include_str!("sentences.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows {
        let [expected, language, sentence] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {row}");
        };
        let language = Language::from_code(language).expect("a language");
        let got = lexicon::intent(sentence, language).label();
        count += 1;
        if got != expected {
            wrong.push(format!("{sentence}: {expected}, not {got}"));
        }
    }
    assert!(count > 300, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn any_text_is_read_without_complaint() {
    for text in [
        "",
        " ",
        "？？？",
        "\u{0}",
        "🙂🙂",
        "𠮷野家",
        "a\u{301}",
        "１２３",
        "不\u{3000}不",
        "don't 不 don't",
    ] {
        for language in [Language::Zh, Language::En] {
            let _ = lexicon::intent(text, language);
        }
    }
    let _ = lexicon::intent(&"我不需要".repeat(2000), Language::Zh);
}
