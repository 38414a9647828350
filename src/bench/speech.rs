//! `huying bench speech DIR`: what is heard and understood of a folder of phrases, what that costs, and how soon a robot
//! answers while four of them are on calls.

use super::child::Child;
use super::report::{Report, percentile};
use super::robots::{Crowd, number};
use crate::cli::BenchOutput;
use crate::config::Config;
use crate::demo::cast;
use crate::demo::setup::Plan;
use crate::gateway::{Callee, Seen, When};
use anyhow::{Context, Result};
use bots::matcher::Matcher;
use bots::{Language, MatchKind, Template, lexicon};
use serde_json::Value;
use speech::Whisper;
use speech::evaluate::{self, PhraseResult};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LINES: u16 = 4;
/// Each of the cast's speaking callees is called so often.
const ROUNDS: usize = 2;
/// Nothing happens on any call for this long: something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a sentence is taken for.
type Understand = Arc<dyn Fn(&str, Language) -> String + Send + Sync>;

/// `None` when there is no model to measure with; the way to get one has been said.
pub async fn run(
    config: &Config,
    dir: &Path,
    template: Option<&Path>,
    output: &BenchOutput,
) -> Result<Option<Report>> {
    let whisper = match Whisper::open(&config.model_path()) {
        Ok(whisper) => whisper,
        Err(error) => {
            eprintln!("No speech model to measure with: {error}");
            eprintln!("FIX: huying models pull {}", config.model);
            return Ok(None);
        }
    };
    let (understand, by) = understanding(template)?;
    let mut report = Report::new("speech");
    let folder = dir.to_owned();
    let told = tokio::task::spawn_blocking(move || {
        let intent = |text: &str, language| understand(text, language);
        let told = evaluate::evaluate(&whisper, &folder, &intent, &mut |_| ());
        drop(whisper);
        told
    });
    phrases(&mut report, &told.await??, &by);
    calls(&mut report, config).await?;
    if output.peers {
        report.note("Peers: none are compared with here.");
    }
    Ok(Some(report))
}

/// By the built-in lexicon, or a template's words, branches and questions.
fn understanding(template: Option<&Path>) -> Result<(Understand, String)> {
    let Some(path) = template else {
        let lexicon = |text: &str, language| lexicon::intent(text, language).label();
        return Ok((Arc::new(lexicon), "the built-in lexicon".into()));
    };
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let template: Template =
        serde_json::from_str(&text).with_context(|| format!("{shown} is no template"))?;
    let (matcher, nodes) = (Matcher::new(&template), template.nodes.len());
    let by = format!("the template {}", template.name);
    Ok((
        Arc::new(move |text, _| at_any_node(&matcher, nodes, text)),
        by,
    ))
}

/// A branch is known at its node only; everything else is the same at all of them.
fn at_any_node(matcher: &Matcher, nodes: usize, text: &str) -> String {
    let found: Vec<MatchKind> = (0..nodes)
        .map(|node| matcher.matched(node, text).kind)
        .collect();
    let branch = found
        .iter()
        .find(|kind| matches!(kind, MatchKind::Branch { .. }));
    match branch.or(found.first()) {
        Some(MatchKind::Branch { name, .. }) => format!("branch:{name}"),
        Some(MatchKind::Positive) => "positive".into(),
        Some(MatchKind::Negative { .. }) => "negative".into(),
        Some(MatchKind::Question { .. } | MatchKind::Unmatched { question: true }) => {
            "question".into()
        }
        Some(MatchKind::Transfer) => "transfer".into(),
        Some(MatchKind::Number) => "number".into(),
        _ => "neutral".into(),
    }
}

fn phrases(report: &mut Report, told: &evaluate::Report, by: &str) {
    let share = |share: &evaluate::Share| share.right as f64 / share.of.max(1) as f64;
    report.case("all", "intent_accuracy", share(&told.intents));
    report.case("all", "cpu_ms", told.cpu_mean * 1000.0);
    report.case("all", "cpu_ms_p95", told.cpu_p95 * 1000.0);
    for (language, error) in &told.text_error {
        report.case(language, "text_error", f64::from(*error));
    }
    for (intent, of) in &told.by_intent {
        report.case(intent, "intent_accuracy", share(of));
    }
    report.note(format!(
        "{} by {}, understood by {by}: {} of {} intents right, {:.3} CPU-seconds an utterance (p95 {:.3}), one thread.",
        "Phrases heard", told.recogniser, told.intents.right, told.intents.of, told.cpu_mean, told.cpu_p95
    ));
    report.note(format!("{:<16} right", "intent"));
    for (intent, of) in &told.by_intent {
        report.note(format!("{intent:<16} {} of {}", of.right, of.of));
    }
    for result in told.phrases.iter().filter(|result| !result.right) {
        report.note(wrong(result));
    }
}

fn wrong(result: &PhraseResult) -> String {
    let phrase = &result.phrase;
    let heard = match &result.heard {
        Ok(text) => format!("heard “{text}”"),
        Err(why) => format!("not heard ({why:?})"),
    };
    format!(
        "wrong: {} is {}, taken for {}; said “{}”, {heard}",
        phrase.id, phrase.intent, result.intent, phrase.text
    )
}

/// Four robot calls at a time, whose callees answer what the robot said.
async fn calls(report: &mut Report, config: &Config) -> Result<()> {
    let child = Child::start(None, Some(config)).await?;
    let callees = speakers()?;
    let wanted = callees.len();
    let crowd = Crowd::gather(&child, &Plan::new(LINES), callees, None).await?;
    let before = child.process.usage()?;
    crowd.start().await?;
    let (crowd, turns) = tokio::task::spawn_blocking(move || {
        let turns = watch(&crowd, wanted);
        (crowd, turns)
    })
    .await?;
    let turns = turns.with_context(|| child.log())?;
    let spent = child.process.usage()?.since(&before);
    let mut counted = Vec::new();
    let mut others: HashMap<&'static str, usize> = HashMap::new();
    for (number, answers) in &turns {
        let kinds = understood(&crowd, number).await?;
        for (line, took) in answers {
            // A line that was heard as two turns, or not at all, shifts the rest: those calls are not counted.
            let lines = answers.iter().map(|(line, _)| *line).max().unwrap_or(0);
            match kinds.get(line - 1).filter(|_| kinds.len() == lines) {
                None => {
                    *others
                        .entry("of calls whose turns and lines differ")
                        .or_default() += 1
                }
                Some(false) => *others.entry("not matched").or_default() += 1,
                Some(true) => counted.push(*took),
            }
        }
    }
    counted.sort_unstable();
    let ms = |share| percentile(&counted, share).map(|took| took.as_secs_f64() * 1000.0);
    for (share, metric) in [(0.5, "turn_ms_p50"), (0.95, "turn_ms_p95")] {
        if let Some(ms) = ms(share) {
            report.case("calls_4", metric, ms);
        }
    }
    let others: Vec<String> = others.iter().map(|(why, n)| format!("{n} {why}")).collect();
    let others = if others.is_empty() {
        "none".into()
    } else {
        others.join(", ")
    };
    report.note(format!(
        "calls_4: {wanted} robot calls, {LINES} at a time: from the packet with the callee's last voiced sample to the \
         first audible packet of the matched prompt, {} turns (left out: {others}); {:.0} % of a core. {}",
        counted.len(),
        spent.percent(),
        spent.shares(),
    ));
    tokio::task::spawn_blocking(move || drop((crowd, child))).await?;
    Ok(())
}

/// Those of the demo's cast who speak when the robot has spoken.
fn speakers() -> Result<HashMap<String, Vec<Callee>>> {
    let mut cast: Vec<(String, Vec<Callee>)> = cast::callees()?.into_iter().collect();
    cast.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let polite = |callee: &Callee| match callee {
        Callee::Talks { lines, .. } => {
            !lines.is_empty() && lines.iter().all(|line| line.when == When::RobotDone)
        }
        _ => false,
    };
    let speakers = cast
        .into_iter()
        .filter(|(_, callees)| callees.iter().all(polite));
    let speakers: Vec<Vec<Callee>> = speakers.map(|(_, callees)| callees).collect();
    let all = speakers.iter().cycle().take(speakers.len() * ROUNDS);
    Ok(all
        .enumerate()
        .map(|(n, callees)| (number(n), callees.clone()))
        .collect())
}

/// By number: which line was answered how soon.
type Answers = HashMap<String, Vec<(usize, Duration)>>;

/// Until every call has ended.
fn watch(crowd: &Crowd, wanted: usize) -> Result<Answers> {
    let mut answers = Answers::new();
    let mut ended = 0;
    while ended < wanted {
        let seen = crowd.gateway.seen.recv_timeout(PATIENCE);
        match seen
            .with_context(|| format!("nothing happens any more after {ended} of {wanted} calls"))?
        {
            Seen::Turn { number, line, took } => {
                answers.entry(number).or_default().push((line, took))
            }
            Seen::Ended { .. } => ended += 1,
            _ => {}
        }
    }
    Ok(answers)
}

/// Whether each of the callee's turns was matched and acted upon. Records are written behind the events, so a young one is
/// waited for.
async fn understood(crowd: &Crowd, number: &str) -> Result<Vec<bool>> {
    let api = &crowd.prepared.api;
    let mut again = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..50 {
        let calls = api.get(&format!("/calls?callee={number}&limit=1")).await?;
        if let Some(id) = calls["data"][0]["id"].as_str() {
            let page = api.get(&format!("/calls/{id}")).await?;
            let turns = page["turns"].as_array().cloned().unwrap_or_default();
            return Ok(turns
                .iter()
                .filter(|turn| turn["speaker"] == "callee")
                .map(matched)
                .collect());
        }
        again.tick().await;
    }
    anyhow::bail!("no record of the call to {number}")
}

fn matched(turn: &Value) -> bool {
    let kind = turn["matched"]["kind"].as_str().unwrap_or_default();
    let known = matches!(kind, "positive" | "negative" | "question" | "branch");
    known && matches!(turn["decision"]["do"].as_str(), Some("go_to" | "answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_turns_answered_by_a_matched_prompt_count() {
        let turn = |kind: &str, act: &str| {
            matched(&json!({ "matched": { "kind": kind }, "decision": { "do": act } }))
        };
        assert!(turn("branch", "go_to"));
        assert!(turn("question", "answer"));
        assert!(!turn("unmatched", "ask_again"));
        assert!(!turn("not_heard", "fallback"));
    }

    #[test]
    fn a_template_names_its_branches_and_questions() {
        let (understand, by) =
            understanding(Some(Path::new("fixtures/templates/loan.zh.json"))).unwrap();
        assert!(by.contains("贷款"));
        assert_eq!(understand("我在公司上班", Language::Zh), "branch:上班");
        assert_eq!(understand("利息是多少", Language::Zh), "question");
        assert_eq!(understand("不需要", Language::Zh), "negative");
    }
}
