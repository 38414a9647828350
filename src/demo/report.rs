//! What the demo shows at its end, and the same as JSON.

use super::cast::Role;
use crate::config::Config;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

pub struct Outcome {
    pub role: &'static Role,
    pub id: String,
    /// `GET /calls/{id}`.
    pub page: Value,
    pub recording: Option<PathBuf>,
}

impl Outcome {
    fn grade(&self) -> &str {
        self.page["grade"].as_str().unwrap_or("-")
    }
    fn as_expected(&self) -> bool {
        self.grade() == self.role.expected.letter().to_string()
    }
    fn counter(&self, name: &str) -> u64 {
        self.page["grading"]["counters"][name].as_u64().unwrap_or(0)
    }
    fn charge(&self) -> i64 {
        self.page["money"]["charge_minor"].as_i64().unwrap_or(0)
    }
    fn transcript(&self) -> Vec<Value> {
        let turns = self.page["turns"].as_array().cloned().unwrap_or_default();
        turns
            .into_iter()
            .map(|turn| {
                json!({
                    "speaker": turn["speaker"],
                    "text": turn["text"],
                    "from_ms": turn["from_ms"],
                    "to_ms": turn["to_ms"],
                    "understood": understood(&turn),
                })
            })
            .collect()
    }
}

/// A turn's meaning in a few words.
pub fn understood(turn: &Value) -> String {
    let matched = &turn["matched"];
    let kind = matched["kind"].as_str().unwrap_or("");
    let of = ["id", "name"].iter().find_map(|key| matched[*key].as_str());
    match of {
        Some(of) => format!("{kind}: {of}"),
        None => kind.to_owned(),
    }
}

/// Prints tables; true when every grade is the expected one.
pub fn print(
    outcomes: &[Outcome],
    progress: &Value,
    bill: &Value,
    latencies: &[Duration],
    config: &Config,
) -> bool {
    println!(
        "\n{:<13} {:<5} {:<5} {:>2} {:>2} {:>2} {:>2}  {:<22} {:>6}  callee",
        "number", "want", "grade", "n", "r", "a", "q", "because", "fen"
    );
    for outcome in outcomes {
        let mark = if outcome.as_expected() {
            ""
        } else {
            "  <-- WRONG"
        };
        println!(
            "{:<13} {:<5} {:<5} {:>2} {:>2} {:>2} {:>2}  {:<22} {:>6}  {}{mark}",
            outcome.role.number,
            outcome.role.expected.letter(),
            outcome.grade(),
            outcome.counter("n"),
            outcome.counter("r"),
            outcome.counter("a"),
            outcome.counter("q"),
            outcome.page["grading"]["rule"].as_str().unwrap_or("-"),
            outcome.charge(),
            outcome.role.about,
        );
    }
    let count = |state: &str| progress["states"][state].as_u64().unwrap_or(0);
    let answered = outcomes
        .iter()
        .filter(|o| !o.page["answered_at"].is_null())
        .count();
    let spoke = outcomes.iter().filter(|o| o.counter("n") > 0).count();
    let interested = outcomes
        .iter()
        .filter(|o| matches!(o.grade(), "A" | "B"))
        .count();
    println!(
        "\nfunnel   leads {} > answered {answered} > spoke {spoke} > interested {interested}",
        outcomes.len()
    );
    println!(
        "queue    done {}, waiting for a retry {}, exhausted {}",
        count("done"),
        count("retry"),
        count("exhausted")
    );
    let spent: i64 = outcomes.iter().map(Outcome::charge).sum();
    println!(
        "bill     spent {spent} fen; available {} fen, reserved {} fen",
        bill["available_minor"], bill["reserved_minor"]
    );
    if let Some((p50, p95)) = percentiles(latencies) {
        println!(
            "turns    {} answered; end of speech to the robot's next word: p50 {} ms, p95 {} ms",
            latencies.len(),
            p50.as_millis(),
            p95.as_millis()
        );
    }
    println!(
        "audio    {} (left the callee, right the robot)",
        config.recordings().display()
    );
    let data = config.data.display();
    println!("\nLook at it through the API:\n  huying --data {data} serve");
    println!(
        "  TOKEN=$(curl -s localhost:8080/api/v1/sessions -H 'content-type: application/json' \\"
    );
    println!(
        "    -d '{{\"login\":\"demo\",\"password\":\"demo-password\"}}' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')"
    );
    println!("  curl -s localhost:8080/api/v1/calls -H \"authorization: Bearer $TOKEN\"");
    if let Some(first) = outcomes.first() {
        println!(
            "  curl -s localhost:8080/api/v1/calls/{} -H \"authorization: Bearer $TOKEN\"",
            first.id
        );
        println!(
            "  curl -s localhost:8080/api/v1/calls/{}/recording -H \"authorization: Bearer $TOKEN\" -o call.wav",
            first.id
        );
    }
    println!("  curl -s localhost:8080/api/v1/ledger -H \"authorization: Bearer $TOKEN\"");
    outcomes.iter().all(Outcome::as_expected)
}

fn percentiles(latencies: &[Duration]) -> Option<(Duration, Duration)> {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let at = |share: usize| {
        sorted
            .get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)))
            .copied()
    };
    Some((at(50)?, at(95)?))
}

pub fn json(outcomes: &[Outcome], model: &str, ok: bool) -> Value {
    let callees: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "number": outcome.role.number,
                "about": outcome.role.about,
                "expected": outcome.role.expected,
                "grade": outcome.page["grade"],
                "rule": outcome.page["grading"]["rule"],
                "n": outcome.counter("n"),
                "r": outcome.counter("r"),
                "a": outcome.counter("a"),
                "q": outcome.counter("q"),
                "transcript": outcome.transcript(),
                "recording": outcome.recording,
                "charge_minor": outcome.charge(),
                "call": outcome.id,
            })
        })
        .collect();
    json!({ "recognition": "whisper", "model": model, "callees": callees, "ok": ok })
}
