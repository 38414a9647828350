//! `huying demo`, whole: every callee has the grade it was made for, its recording and its charge; the ledger agrees.
//!
//! Runs in a folder of its own. It is the only story of this file because that folder is the process's.

use anyhow::{Context, Result, ensure};
use huying::serve;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tests::api::Api;
use tests::house::{deaf, loopback, whisper};
use tests::sound;

/// This binary again, started by the API to read a sheet; an ordinary run has nothing to read.
#[test]
fn read_sheet() {
    admin::read_sheet();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_callee_gets_its_grade_its_recording_and_its_charge() -> Result<()> {
    whisper()?;
    tests::one_tls_provider();
    let folder = tempfile::tempdir()?;
    std::env::set_current_dir(folder.path())?;
    let leftovers = Path::new("data-demo");
    std::fs::create_dir(leftovers)?;
    serve::start(&loopback(leftovers), deaf())
        .await?
        .stop(std::future::ready(()))
        .await;

    let file = folder.path().join("demo.json");
    let model = std::env::var("HUYING_MODEL")?;
    let config = huying::config::Config {
        model,
        ..Default::default()
    };
    // Somebody's own folder of that name is left alone.
    let refused = huying::demo::run(config.clone(), 4, None).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("FIX")));
    ensure!(leftovers.join("huying.db").exists());
    // An earlier demo's is not: this one is a second run.
    std::fs::write(leftovers.join("huying-demo"), "")?;
    let run = huying::demo::run(config, 4, Some(file.clone()));
    let status = tokio::time::timeout(Duration::from_secs(480), run)
        .await
        .context("the demo hangs")??;
    let result: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    ensure!(
        result["recognition"] == "whisper" && result["model"].is_string(),
        "{}",
        result["model"]
    );

    let callees = result["callees"].as_array().context("callees")?;
    ensure!(callees.len() >= 9, "{} callees", callees.len());
    let wrong: Vec<&Value> = callees
        .iter()
        .filter(|callee| callee["grade"] != callee["expected"])
        .collect();
    ensure!(
        wrong.is_empty(),
        "{}",
        serde_json::to_string_pretty(&wrong)?
    );
    ensure!(
        status == 0 && result["ok"] == true,
        "every grade is right, and the status is {status}"
    );
    let mut grades: Vec<&str> = callees
        .iter()
        .filter_map(|callee| callee["grade"].as_str())
        .collect();
    grades.sort_unstable();
    grades.dedup();
    ensure!(grades == ["A", "B", "C", "D", "E", "F"], "{grades:?}");
    callees.iter().try_for_each(callee_is_whole)?;

    books_agree(callees).await
}

/// An answered call cost something and was recorded with both voices; another was free and has no recording.
fn callee_is_whole(callee: &Value) -> Result<()> {
    let number = callee["number"].as_str().context("a number")?;
    let charge = callee["charge_minor"].as_i64().context("a charge")?;
    let answered = !matches!(callee["grade"].as_str(), Some("E" | "F"));
    if !answered {
        ensure!(
            charge == 0 && callee["recording"].is_null(),
            "{number}: {callee}"
        );
        return Ok(());
    }
    ensure!(charge > 0, "{number} cost {charge}");
    let recording = callee["recording"]
        .as_str()
        .with_context(|| format!("{number} has no recording"))?;
    let channels = sound::read(Path::new(recording))?;
    let [callee_said, robot_said] = channels.as_slice() else {
        anyhow::bail!("{number}: {} channels", channels.len())
    };
    ensure!(
        sound::voiced(robot_said) > 1.0,
        "{number}: the robot is not on the recording"
    );
    let transcript = callee["transcript"].as_array().context("a transcript")?;
    let speaks = transcript
        .iter()
        .any(|turn| turn["speaker"] == "callee" && turn["text"] != "");
    let heard = sound::voiced(callee_said);
    ensure!(
        heard > 0.3 || !speaks,
        "{number} said something, and {heard} s of it are on the recording"
    );
    ensure!(
        speaks || callee["n"] == 0,
        "{number}: {} interactions without words",
        callee["n"]
    );
    Ok(())
}

/// A later `huying serve` on the demo's folder: the ledger, call by call, is the demo's bill.
async fn books_agree(callees: &[Value]) -> Result<()> {
    let running = serve::start(&loopback(Path::new("data-demo")), deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "demo", "demo-password").await?;
    let postings = api.all("/ledger").await?;
    let mut available = 0;
    let mut by_call: HashMap<&str, i64> = HashMap::new();
    for posting in &postings {
        let entries = posting["entries"].as_array().context("entries")?;
        let sum: i64 = entries
            .iter()
            .filter_map(|entry| entry["amount_minor"].as_i64())
            .sum();
        ensure!(
            sum == 0 && !entries.is_empty(),
            "debits are not credits: {posting}"
        );
        let change = posting["available_minor"]
            .as_i64()
            .context("available_minor")?;
        available += change;
        if let Some(call) = posting["call_id"].as_str() {
            *by_call.entry(call).or_default() += change;
        }
    }
    let balance = api.get("/balance").await?;
    ensure!(
        balance["available_minor"] == available && balance["reserved_minor"] == 0,
        "{available}: {balance}"
    );
    for callee in callees {
        let call = callee["call"].as_str().context("a call")?;
        let charged = -by_call.get(call).copied().unwrap_or(0);
        ensure!(
            callee["charge_minor"] == charged,
            "{callee}: the ledger has {charged}"
        );
    }
    let recharged: i64 = postings
        .iter()
        .filter(|posting| posting["kind"] == "recharge")
        .filter_map(|posting| posting["available_minor"].as_i64())
        .sum();
    let charged: i64 = callees
        .iter()
        .filter_map(|callee| callee["charge_minor"].as_i64())
        .sum();
    ensure!(
        recharged - charged == available,
        "{recharged} - {charged} is not {available}"
    );
    running.stop(std::future::ready(())).await;
    Ok(())
}
