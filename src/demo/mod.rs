//! `huying demo`: the whole job on one machine. An enterprise set up through the API, a Mandarin template, leads from a
//! spreadsheet; a simulated gateway that registers over SIP on loopback; callees whose recorded speech comes as RTP; real
//! recognition; grades, recordings, a bill.

pub(crate) mod api;
pub(crate) mod cast;
mod report;
pub mod setup;

use crate::config::Config;
use crate::gateway::{self, Gateway, Seen};
use crate::{hearing, serve};
use anyhow::{Context, Result, bail, ensure};
use api::{Api, text};
use cast::{CAST, Role};
use engine::{Hearing, Notice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use report::Outcome;
use serde_json::{Value, json};
use setup::{PASSWORD, Plan, Prepared};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

const LEADS: &[u8] = include_bytes!("../../fixtures/sheets/leads.xlsx");
/// No event for this long: something hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Marks a folder as a demo's own, which the next demo may remove.
const MARK: &str = "huying-demo";

/// An empty folder where the last demo's may have been; anything else is left alone.
fn fresh_folder(folder: &Path) -> Result<()> {
    let empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !empty {
        ensure!(
            folder.join(MARK).exists(),
            "{} holds something else than a demo. FIX: choose another folder with --data, or remove it",
            folder.display()
        );
        // Refused while somebody looks at the last demo's data.
        drop(serve::take_folder(folder)?);
        std::fs::remove_dir_all(folder).context("the last demo's folder cannot be removed")?;
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(MARK), ""))
        .with_context(|| {
            format!(
                "cannot write to {}. FIX: choose another folder with --data",
                folder.display()
            )
        })
}

pub async fn run(mut config: Config, lines: u16, json_file: Option<PathBuf>) -> Result<i32> {
    // Now, rather than minutes later.
    let json_file = json_file.map(|path| {
        let file = std::fs::File::create(&path);
        file.with_context(|| {
            format!(
                "--json {}: FIX: name a file that can be written",
                path.display()
            )
        })
    });
    let json_file = json_file.transpose()?;
    let hearing = hearing::open(&config);
    let model = match &hearing {
        Hearing::Recogniser { name, .. } => name.clone(),
        Hearing::None { why } => {
            println!("The demo hears with a real recogniser: {why}");
            return Ok(1);
        }
    };
    let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    if config.data == Config::default().data {
        config.data = PathBuf::from("data-demo");
    }
    config.database.clear();
    config.sip = loopback;
    config.http = loopback;
    config.advertised.clear();
    config.public_url.clear();
    config.metrics = "off".into();
    config.rtp_ports = "0".into();
    fresh_folder(&config.data)?;
    println!(
        "Huying demo: {} callees, {lines} robot lines, speech by {model}\n",
        CAST.len()
    );

    let running = serve::start(&config, hearing).await?;
    let base = format!("http://{}", running.http);
    let now = engine::clock::wall();
    let link = admin::setup_link(&running.store, &running.platform, &base, now)
        .await?
        .context("a fresh installation has a set-up link")?;
    let mut events = running.engine.handle.events();
    let prepared = setup::prepare(&link, &Plan::new(lines)).await?;
    import(&prepared).await?;
    let gateway = Gateway::start(gateway::Config {
        registrar: running.engine.sip_address,
        realm: config.realm.clone(),
        username: prepared.gateway.clone(),
        password: PASSWORD.into(),
        callees: cast::callees()?,
        seed: serve::seed()?,
    })?;
    match gateway.seen.recv_timeout(Duration::from_secs(10)) {
        Ok(Seen::Registered) => println!("gateway {} registered over SIP", prepared.gateway),
        other => bail!("the simulated gateway could not register: {other:?}"),
    }
    let start = format!("/campaigns/{}/start", prepared.campaign);
    prepared.api.post(&start, &json!({})).await?;
    watch(&mut events).await?;

    let outcomes = collect(&prepared.api, &config).await?;
    let latencies: Vec<Duration> = gateway
        .seen
        .try_iter()
        .filter_map(|seen| match seen {
            Seen::Turn { took, .. } => Some(took),
            _ => None,
        })
        .collect();
    let bill = prepared.api.get("/balance").await?;
    let progress = prepared
        .api
        .get(&format!("/campaigns/{}/progress", prepared.campaign))
        .await?;
    let ok = report::print(&outcomes, &progress, &bill, &latencies, &config);
    if let Some(file) = json_file {
        serde_json::to_writer_pretty(file, &report::json(&outcomes, &model, ok))?;
    }
    drop(gateway);
    running.stop(std::future::ready(())).await;
    Ok(if ok { 0 } else { 1 })
}

/// The demo's leads come by spreadsheet.
async fn import(prepared: &Prepared) -> Result<()> {
    let (api, campaign) = (&prepared.api, &prepared.campaign);
    let fields = [
        ("campaign_id", campaign.clone()),
        ("batch", "demo".to_owned()),
    ];
    let import = api
        .upload("/leads/imports", "leads.xlsx", LEADS.to_vec(), &fields)
        .await?;
    let report = finished(api, &text(&import, "id")?).await?;
    println!(
        "imported {} leads from leads.xlsx ({} updated, {} rejected)",
        report["inserted"], report["updated"], report["rejected"]
    );
    let all = json!({ "campaign_id": campaign, "all_listed": true });
    api.post("/leads/enqueue", &all).await?;
    Ok(())
}

/// An import when it is over.
pub(crate) async fn finished(api: &Api, import: &str) -> Result<Value> {
    let mut again = tokio::time::interval(Duration::from_millis(50));
    let path = format!("/leads/imports/{import}");
    for _ in 0..1200 {
        again.tick().await;
        let import = api.get(&path).await?;
        match text(&import, "state")?.as_str() {
            "done" => return Ok(import),
            "queued" | "reading" | "writing" => {}
            other => bail!("the import is {other}: {}", import["error"]),
        }
    }
    bail!("the import does not end")
}

/// Shows what happens until every callee has had all its attempts.
async fn watch(events: &mut broadcast::Receiver<Arc<Notice>>) -> Result<()> {
    let mut left: HashMap<&str, u32> = CAST
        .iter()
        .map(|role| (role.number, role.attempts))
        .collect();
    let total: u32 = left.values().sum();
    let screen = MultiProgress::new();
    let all = screen.add(ProgressBar::new(u64::from(total)));
    all.set_style(ProgressStyle::with_template(
        "{bar:32} {pos} of {len} calls, {elapsed}",
    )?);
    // Nothing is drawn where nobody looks; the lines are printed all the same.
    let say = |line: String| {
        if screen.is_hidden() {
            println!("{line}")
        } else {
            screen.println(line).unwrap_or(())
        }
    };
    while !left.is_empty() {
        let event = tokio::time::timeout(PATIENCE, events.recv());
        let event = match event
            .await
            .context("nothing happens any more; the demo gives up")?
        {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => bail!("the engine stopped"),
        };
        let callee = event.data["callee"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("+86");
        let data = &event.data;
        match event.kind {
            "call.answered" => say(format!("{callee}  answered")),
            "call.robot.turn" => {
                let turn = &data["turn"];
                let words = turn["text"].as_str().unwrap_or_default();
                match turn["speaker"].as_str() {
                    Some("robot") => say(format!("{callee}  robot   {words}")),
                    _ => say(format!(
                        "{callee}  callee  {words}   [{}]",
                        report::understood(turn)
                    )),
                }
            }
            "call.graded" => {
                say(format!(
                    "{callee}  grade {}",
                    data["grade"].as_str().unwrap_or("?")
                ));
                all.inc(1);
                if let Some(role) = CAST.iter().find(|role| role.number == callee)
                    && let Some(attempts) = left.get_mut(role.number)
                {
                    *attempts = attempts.saturating_sub(1);
                    if *attempts == 0 {
                        left.remove(role.number);
                    }
                }
            }
            "lead.skipped" => say(format!(
                "skipped: {}",
                data["detail"].as_str().unwrap_or("")
            )),
            _ => {}
        }
    }
    all.finish_and_clear();
    Ok(())
}

/// The last call of every callee, from the API. Records are written behind the events, so a young one is waited for.
async fn collect(api: &Api, config: &Config) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let mut again = tokio::time::interval(Duration::from_millis(200));
    for role in CAST {
        let mut found = None;
        for _ in 0..50 {
            let calls = api
                .get(&format!("/calls?callee={}&limit=10", role.number))
                .await?;
            let calls = calls["data"].as_array().cloned().unwrap_or_default();
            if calls.len() as u32 >= role.attempts {
                found = calls.into_iter().next();
                break;
            }
            again.tick().await;
        }
        let call = found.with_context(|| format!("no record of the call to {}", role.number))?;
        let page = api.get(&format!("/calls/{}", text(&call, "id")?)).await?;
        outcomes.push(outcome(role, page, config));
    }
    Ok(outcomes)
}

fn outcome(role: &'static Role, page: Value, config: &Config) -> Outcome {
    let id = page["id"].as_str().unwrap_or_default().to_owned();
    let tenant = std::fs::read_dir(config.recordings())
        .ok()
        .and_then(|mut dir| dir.next());
    let recording = tenant.and_then(Result::ok).and_then(|tenant| {
        let days = std::fs::read_dir(tenant.path()).ok()?;
        days.filter_map(Result::ok)
            .map(|day| day.path().join(format!("{id}.wav")))
            .find(|path| path.exists())
    });
    Outcome {
        role,
        id,
        page,
        recording,
    }
}
