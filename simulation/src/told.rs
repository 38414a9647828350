//! A simulation for people: what happened, what held, and the short story of what did not.

use crate::log::Log;
use crate::plan::Plan;
use crate::play::{Outcome, play};
use crate::shrink::Found;
use crate::watch::Law;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

/// What happened, how often, and the verdict on each law.
pub fn summary(outcome: &Outcome) -> String {
    let mut text = String::new();
    let minutes = outcome.ms as f64 / 60_000.0;
    let _ = writeln!(
        text,
        "{} steps in {minutes:.1} min of the story",
        outcome.steps
    );
    let pairs = |map: &BTreeMap<String, u64>| {
        let pairs: Vec<String> = map
            .iter()
            .map(|(what, times)| format!("{what} {times}"))
            .collect();
        pairs.join(" · ")
    };
    let _ = writeln!(text, "\nleads    {}", pairs(&outcome.results));
    let _ = writeln!(text, "calls    {}", pairs(&outcome.records));
    let counts: Vec<String> = outcome
        .counts
        .iter()
        .map(|(what, times)| format!("{what} {times}"))
        .collect();
    for (n, part) in counts.chunks(6).enumerate() {
        let head = if n == 0 { "happened" } else { "        " };
        let _ = writeln!(text, "{head} {}", part.join(" · "));
    }
    let _ = writeln!(text);
    for law in Law::ALL {
        let broken = outcome
            .violation
            .as_ref()
            .filter(|violation| violation.law == law);
        let verdict = if broken.is_some() { "BROKEN" } else { "holds " };
        let asked = outcome.asked.get(law.name()).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "{verdict} {:<7} {asked:>8} × {}",
            law.name(),
            law.text()
        );
    }
    if let Some(violation) = &outcome.violation {
        let _ = writeln!(text, "\n{violation}");
    }
    text
}

/// Lines of the log that move the story on.
const TELLING: [&str; 16] = [
    "KILLED",
    "TROUBLE",
    "over: ",
    "starts again",
    "claim ",
    "persist begin",
    "persist denied",
    "persist unclaim",
    "persist finish",
    "persist answered",
    "begun",
    "sends INVITE",
    "sends BYE",
    "sends CANCEL",
    "says ",
    "gw hears",
];
/// The most lines of a story.
const LONGEST: usize = 60;

/// The smallest world that still fails, in readable lines.
pub fn story(found: &Found) -> String {
    let Found {
        plan,
        violation,
        tries,
    } = found;
    let mut text = String::new();
    let (leads, troubles, kills) = (plan.leads.len(), plan.troubles.len(), plan.kills.len());
    let _ = writeln!(
        text,
        "the smallest world that still does it (seed {}, {tries} plays): {leads} leads, {troubles} troubles, {kills} kills, \
         {} lines, {} ‰ of the datagrams lost\n",
        plan.seed, plan.lines, plan.network.loss
    );
    for lead in &plan.leads {
        let _ = writeln!(text, "  {lead}");
    }
    for trouble in &plan.troubles {
        let from = seconds(trouble.ms);
        let _ = match trouble.lasts {
            0 => writeln!(text, "  at {from} {}", trouble.what),
            lasts => writeln!(
                text,
                "  at {from}, for {}, {}",
                seconds(lasts),
                trouble.what
            ),
        };
    }
    for kill in &plan.kills {
        let number = crate::house::mobile(kill.lead as usize);
        let after = seconds(kill.after);
        let _ = writeln!(
            text,
            "  the process dies {after} after the first attempt on {number} begins"
        );
    }
    let lines = telling(plan);
    let skipped = lines.len().saturating_sub(LONGEST);
    let _ = writeln!(text);
    if skipped > 0 {
        let _ = writeln!(text, "  … {skipped} lines before");
    }
    for line in &lines[skipped..] {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\n{violation}");
    text
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn telling(plan: &Plan) -> Vec<String> {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let kept = lines.clone();
    let log = Log::To(Box::new(move |line| {
        let again = |last: &String| last.contains(" claim ") && line.contains(" claim ");
        let said = kept.borrow().last().is_some_and(again);
        if !said && TELLING.iter().any(|word| line.contains(word)) {
            // Without the length and the sum of what was sent.
            let line = line.split(" SIP/2.0 (").next().unwrap_or(line);
            kept.borrow_mut().push(line.to_owned());
        }
    }));
    play(plan, log);
    lines.take()
}
