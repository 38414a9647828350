//! `huying journal show`: what the call journal holds, line by line. Reads only, so that it may run beside the server.

use crate::config::Config;
use anyhow::{Context, Result, ensure};
use model::{Cdr, E164};
use std::io::Write;
use store::journal::{Entry, lines, rejected};
use switch::Noted;

pub fn show(config: &Config, full: bool) -> Result<i32> {
    let folder = config.journal();
    ensure!(
        folder.is_dir(),
        "there is no call journal in {}. FIX: name the data folder of the installation with --data",
        folder.display()
    );
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    // A reader that has seen enough (`| head`) ends the showing, not the program.
    let mut open = true;
    let damaged = lines(&folder, |line| {
        let (call, what) = told(&line.entry, full);
        count += 1;
        open = open && writeln!(out, "{}  {call:<36}  {what}", line.at.rfc3339()).is_ok();
    })
    .with_context(|| format!("cannot read {}", folder.display()))?;
    if !open {
        return Ok(0);
    }
    if count == 0 {
        writeln!(out, "The journal is empty: every call is in the database.")?;
    }
    if damaged > 0 {
        writeln!(out, "{damaged} records could not be read.")?;
    }
    for file in rejected(&folder) {
        writeln!(
            out,
            "REJECTED  {}  the database refused this call's end. FIX: enter its charge by hand, then delete the file",
            file.display()
        )?;
    }
    Ok(0)
}

/// Whose it is, and what it says.
fn told(entry: &Entry, full: bool) -> (String, String) {
    match entry {
        Entry::Run { run, installation } => (
            String::new(),
            format!("run {run} of database {installation}"),
        ),
        Entry::Beat(_) => (String::new(), "calls are up".into()),
        Entry::Settled(call) => (call.to_string(), "is in the database".into()),
        Entry::Ended(end) => (end.cdr.id.to_string(), over("ended", &end.cdr, full)),
        Entry::Note(note) => {
            let what = match &note.what {
                Noted::Answered { cdr, reserved, .. } => {
                    let callee = number(&cdr.callee, full);
                    format!("answered by {callee}, {reserved} reserved")
                }
                Noted::Recording { file } => format!("is recorded into {file}"),
                Noted::Turn(turn) => {
                    let said = if full { turn.text.as_str() } else { "…" };
                    format!("turn {} {:?}: {said}", turn.index, turn.speaker)
                }
                Noted::Over(end) => over("over", &end.cdr, full),
            };
            (note.call.to_string(), what)
        }
    }
}

fn over(word: &str, cdr: &Cdr, full: bool) -> String {
    format!(
        "{word}: {} {:?}, {} ms of talk, charge {}",
        number(&cdr.callee, full),
        cdr.disposition,
        cdr.talk_ms,
        cdr.charge
    )
}

/// As logs have it, unless somebody asks for the whole.
fn number(callee: &str, full: bool) -> String {
    match E164::parse(callee, "") {
        _ if full => callee.to_owned(),
        Ok(number) => number.masked(),
        // An extension's number is no secret.
        Err(_) if callee.len() < 7 => callee.to_owned(),
        Err(_) => "****".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_unless_asked_for() {
        assert_eq!(number("+8613800138000", false), "+86138****8000");
        assert_eq!(number("+8613800138000", true), "+8613800138000");
        assert_eq!(number("1002", false), "1002");
        assert_eq!(number("not a number at all", false), "****");
    }

    #[test]
    fn a_folder_without_a_journal_says_what_to_do() {
        let config = Config {
            data: "/nonexistent".into(),
            ..Config::default()
        };
        assert!(
            show(&config, false)
                .unwrap_err()
                .to_string()
                .contains("FIX")
        );
    }
}
