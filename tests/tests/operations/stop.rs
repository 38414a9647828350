//! Stopping with a call up: it goes on, until a second signal or the deadline. Stopping with an import under way: it tells how
//! far it came.

use anyhow::{Context, Result, ensure};
use huying::gateway::{Callee, Gateway, Seen};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tests::api::Api;
use tests::house::{House, PASSWORD, deaf, loopback};
use tests::process::Process;
use tests::{SOON, campaign, eventually, program};

const CALLEE: &str = "13800138000";

/// The program with one robot call up.
async fn with_a_call(settings: &str) -> Result<(Process, House, Gateway)> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("huying.toml"), settings)?;
    let data = folder.path().join("data");
    let arguments = program::serve(&data);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut process = program::start(folder.path(), &arguments)?;
    let link = eventually("it prints its set-up link", SOON, async || {
        ensure!(process.ended()?.is_none(), "{}", process.said());
        Ok(process.line("/setup?token="))
    })
    .await?;
    let sip = process.line("  SIP ").context("it prints where SIP is")?;
    let sip: SocketAddr = sip
        .split(' ')
        .find_map(|word| word.parse().ok())
        .context(sip.clone())?;
    let house = House::of_program(link.trim(), sip, folder).await?;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &[CALLEE]).await?;
    let callee = Callee::Talks {
        rings: Duration::ZERO,
        lines: Vec::new(),
        hangs_up: false,
    };
    let callees = HashMap::from([(CALLEE.to_owned(), vec![callee])]);
    let gateway = house.gateway(callees).await?;
    plan.start(&house).await?;
    eventually("the call is answered", SOON, async || {
        let live = house.api.get("/live-calls").await?;
        Ok(live["data"][0]["answered_at"].as_str().map(drop))
    })
    .await?;
    Ok((process, house, gateway))
}

/// The record, read by the next start.
async fn record(house: &House) -> Result<Value> {
    let data = house.data().join("data");
    let running = huying::serve::start(&loopback(&data), deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "acme", PASSWORD).await?;
    let calls = api.get("/calls").await?;
    let balance = api.get("/balance").await?;
    running.stop(std::future::ready(())).await;
    ensure!(balance["reserved_minor"] == 0, "{balance}");
    ensure!(
        calls["data"].as_array().is_some_and(|all| all.len() == 1),
        "{calls}"
    );
    Ok(calls["data"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_lets_its_calls_go_on_and_a_second_signal_hangs_up() -> Result<()> {
    let (mut process, house, gateway) = with_a_call("").await?;
    process.signal(Signal::TERM)?;
    let why = eventually("it says that it stops", SOON, async || {
        let (status, ready) = house.api.beside("/readyz").await?;
        Ok((status == 503).then_some(ready))
    })
    .await?;
    ensure!(
        why["reasons"][0]["code"] == "draining" && why["calls"] == 1,
        "{why}"
    );
    ensure!(
        why["warnings"][0]["code"] == "speech",
        "no model is no reason: {why}"
    );
    let (status, _) = house.api.beside("/readyz").await?;
    ensure!(status == 503);
    let live = house.api.get("/live-calls").await?;
    ensure!(
        live["data"][0]["answered_at"].is_string(),
        "the call goes on: {live}"
    );
    ensure!(
        process
            .line("Draining")
            .is_some_and(|line| line.contains("1 live"))
    );

    process.signal(Signal::TERM)?;
    let (status, said) = process.end(SOON).await?;
    ensure!(
        status.success() && said.contains("Stopped."),
        "{status}: {said}"
    );
    let hung_up = gateway
        .seen
        .try_iter()
        .any(|seen| matches!(seen, Seen::Ended { .. }));
    ensure!(hung_up, "the callee was told");
    let record = record(&house).await?;
    ensure!(
        record["answered_at"].is_string() && record["charge_minor"].as_i64() > Some(0),
        "{record}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_hangs_up_by_itself() -> Result<()> {
    let (mut process, house, _gateway) = with_a_call("drain_timeout = 1").await?;
    process.signal(Signal::TERM)?;
    let (status, said) = process.end(SOON).await?;
    ensure!(
        status.success() && said.contains("the drain took too long"),
        "{status}: {said}"
    );
    let record = record(&house).await?;
    ensure!(record["answered_at"].is_string(), "{record}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_under_way_tells_how_far_it_came() -> Result<()> {
    let data = tempfile::tempdir()?;
    let config = loopback(data.path());
    let house = House::open_as(&config, tempfile::tempdir()?, deaf()).await?;
    let mut events = house.events();
    let numbers: String = (0..100_000).map(|n| format!("139{n:08}\n")).collect();
    let sheet = format!("phone\n{numbers}").into_bytes();
    let import = house
        .api
        .upload("/leads/imports", "leads.csv", sheet, &[])
        .await?;
    events.next("import.progress", SOON, |_| true).await?;
    house.close().await;
    let stopped = engine::clock::wall().rfc3339();

    let running = huying::serve::start(&config, deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "acme", PASSWORD).await?;
    let id = import["id"].as_str().context("an id")?;
    let import = api.get(&format!("/leads/imports/{id}")).await?;
    let finished = import["finished_at"].as_str().context("its end")?;
    ensure!(
        import["state"] == "interrupted" && finished <= stopped.as_str(),
        "{import}"
    );
    ensure!(import["error"]["fix"].is_string(), "{import}");
    let rows = import["rows"].as_u64().context("rows")?;
    ensure!(0 < rows && rows < 100_000, "{import}");
    ensure!(api.all("/leads").await?.len() as u64 == rows, "{import}");
    running.stop(std::future::ready(())).await;
    Ok(())
}
