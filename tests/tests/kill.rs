//! `kill -9` at seeded points of a campaign: a huying in a process of its own, killed and started again until the campaign
//! is done, while the callees stay where they are, behind a gateway in this process. Each answered call has one record and one
//! charge, no lead is lost or called again after it was reached, and the books balance.
//!
//! Ten kills in the suite on each database, three with whisper; as many as `HUYING_KILLS` says when it is set
//! (`HUYING_KILL_SEED` chooses where).

use anyhow::{Context, Result, ensure};
use engine::clock::Clock;
use huying::config::Config;
use huying::demo::setup::{self, PASSWORD, Plan, Prepared};
use huying::gateway::{self, Callee, Gateway, Line, Seen, When};
use huying::serve;
use model::Mono;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tests::house::{hears, loopback, whisper};
use tests::{SOON, eventually};

const CHILD: &str = "HUYING_KILL_CHILD";
const LINES: u16 = 8;
/// Spoken by the callees of a robot that understands.
const REFUSAL: &str = "zh-no-01";
/// One campaign at a time: what is looked at is what a kill loses, not what a busy machine delays.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const PRICE: i64 = 12;
/// An answer this short before a kill may not be known to the process that was killed.
const UNHEARD: Duration = Duration::from_millis(50);

/// The process that is killed. Run by the test below; alone it is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() -> Result<()> {
    let Ok(told) = std::env::var(CHILD) else {
        return Ok(());
    };
    tests::one_tls_provider();
    let told: Value = serde_json::from_str(&told)?;
    let word = |name: &str| told[name].as_str().context("what the child is told");
    let config = Config {
        sip: word("sip")?.parse()?,
        http: word("http")?.parse()?,
        database: word("database")?.to_owned(),
        ..loopback(Path::new(word("data")?))
    };
    let hearing = match told["whisper"] == true {
        true => whisper()?,
        // "Not interested": most calls have turns, and refusals must not be forgotten.
        false => hears("不需要"),
    };
    let running = serve::start(&config, hearing).await?;
    let base = format!("http://{}", running.http);
    let now = engine::clock::wall();
    let link = admin::setup_link(&running.store, &running.platform, &base, now).await?;
    std::fs::write(config.data.join("link"), link.unwrap_or_default())?;
    // Ends with its parent, whatever happens to that.
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    std::process::exit(0)
}

struct House {
    data: PathBuf,
    sip: SocketAddr,
    http: SocketAddr,
    /// Empty is a file in the folder.
    database: String,
    /// What is heard is understood, not scripted.
    whisper: bool,
    child: Option<Child>,
}

impl House {
    async fn start(&mut self) -> Result<()> {
        let told = json!({
            "data": self.data,
            "sip": self.sip.to_string(),
            "http": self.http.to_string(),
            "database": self.database,
            "whisper": self.whisper,
        });
        let link = self.data.join("link");
        std::fs::remove_file(&link).ok();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.data.join("log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, told.to_string())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        eventually("the child serves", SOON, async || {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let log = std::fs::read_to_string(self.data.join("log")).unwrap_or_default();
                anyhow::bail!("the child ended ({status}):\n{log}");
            }
            Ok(link.exists().then_some(()))
        })
        .await
    }

    /// SIGKILL.
    fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill().ok();
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What the callees saw of a number.
#[derive(Default)]
struct Witness {
    called: u64,
    answered: u64,
    last_answer: Option<Mono>,
}

struct Watch {
    gateway: Gateway,
    clock: Clock,
    seen: BTreeMap<String, Witness>,
    answers: u64,
    /// Answers of which a killed process may not have heard.
    doubtful: u64,
}

impl Watch {
    /// Until then, or until so much has happened.
    fn look(&mut self, how_long: Duration, events: Option<u64>) {
        let until = self.clock.mono() + how_long;
        let mut left = events.unwrap_or(u64::MAX);
        while left > 0
            && let Ok(event) = self.gateway.seen.recv_timeout(self.clock.until(until))
        {
            left -= 1;
            match event {
                Seen::Called { number } => self.seen.entry(number).or_default().called += 1,
                Seen::Answered { number } => {
                    let witness = self.seen.entry(number).or_default();
                    witness.answered += 1;
                    witness.last_answer = Some(self.clock.mono());
                    self.answers += 1;
                }
                _ => {}
            }
        }
    }

    /// The process was killed at this moment.
    fn killed(&mut self, at: Mono) {
        // What had happened by then and was not told yet.
        self.look(Duration::from_millis(5), None);
        let just =
            |witness: &&Witness| witness.last_answer.is_some_and(|last| last + UNHEARD >= at);
        self.doubtful += self.seen.values().filter(just).count() as u64;
    }
}

/// What a scripted recogniser takes for speech.
fn noise() -> Vec<i16> {
    let sample = |n: i32| ((n * 7919) % 16_000 - 8000) as i16;
    (0..4000).map(sample).collect()
}

/// What stands behind the numbers: most answer and listen, some talk, some do not answer.
fn callees(leads: u64, speech: Arc<[i16]>, chance: &mut Chance) -> HashMap<String, Vec<Callee>> {
    (0..leads)
        .map(|n| {
            let rings = Duration::from_millis(20 + chance.below(200));
            let callee = match chance.below(8) {
                0 => Callee::Busy,
                1 => Callee::NoAnswer { rings },
                kind => Callee::Talks {
                    rings,
                    lines: match kind {
                        2 | 3 => Vec::new(),
                        _ => vec![Line {
                            when: When::Over(Duration::from_millis(200)),
                            speech: speech.clone(),
                        }],
                    },
                    hangs_up: true,
                },
            };
            (number(n), vec![callee])
        })
        .collect()
}

fn number(n: u64) -> String {
    format!("138{n:08}")
}

/// Prompts so short that calls last a second or two.
fn plan() -> Plan {
    let mut plan = Plan::new(LINES);
    plan.calls_per_second = 20;
    plan.retry = json!({ "busy_seconds": 1, "no_answer_seconds": 1, "network_seconds": 1 });
    for (_, wav) in &mut plan.prompts {
        // A header of 44 bytes, then 16 bits at 8 kHz; the last is cut where speech is.
        if let Ok(pcm) = media::prompt::decode(wav, Some("wav")) {
            let start = pcm
                .iter()
                .position(|sample| sample.abs() > 2000)
                .unwrap_or(0);
            let short = &pcm[start..(start + 2400).min(pcm.len())];
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("short.wav");
            tests::sound::write(&path, short).expect("a prompt");
            *wav = std::fs::read(&path).expect("a prompt");
        }
    }
    plan
}

fn is_child() -> bool {
    std::env::var(CHILD).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_survives_being_killed_at_any_point() -> Result<()> {
    if is_child() {
        return Ok(());
    }
    survives(String::new(), false, 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_on_postgresql_survives_it_too() -> Result<()> {
    if is_child() {
        return Ok(());
    }
    let server = pgserver::Server::start()?;
    server.sql("postgres", "CREATE DATABASE huying")?;
    survives(server.address("huying"), false, 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_understands_its_callees_survives_it_too() -> Result<()> {
    if is_child() {
        return Ok(());
    }
    survives(String::new(), true, 3).await
}

async fn survives(database: String, whisper: bool, kills: u64) -> Result<()> {
    let _alone = ALONE.lock().await;
    tests::one_tls_provider();
    let told = |name: &str| std::env::var(name).ok().and_then(|told| told.parse().ok());
    let kills: u64 = told("HUYING_KILLS").unwrap_or(kills);
    let mut chance = Chance(told("HUYING_KILL_SEED").unwrap_or(1));
    // About as many as it takes for the campaign to outlive its kills.
    let leads = 20 + kills * 4;

    let folder = tempfile::tempdir()?;
    let port = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut house = House {
        data: folder.path().to_owned(),
        sip: port(tests::free_udp_port()?),
        http: port(tests::free_tcp_port()?),
        database,
        whisper,
        child: None,
    };
    house.start().await?;
    let link = std::fs::read_to_string(house.data.join("link"))?;
    let prepared = setup::prepare(&link, &plan()).await?;
    let campaign = prepared.campaign.clone();
    let me = prepared.api.get("/me").await?;
    let tenant = me["tenant"]["id"].as_str().or(me["tenant_id"].as_str());
    let recharge = format!(
        "/platform/tenants/{}/recharges",
        tenant.context("my tenant")?
    );
    let money = json!({ "amount_minor": 1_000_000, "reference": "more" });
    prepared.api.post(&recharge, &money).await?;
    for n in 0..leads {
        let lead = json!({ "number": number(n), "campaign_id": campaign });
        prepared.api.post("/leads", &lead).await?;
    }
    let all = json!({ "campaign_id": campaign, "all_listed": true });
    prepared.api.post("/leads/enqueue", &all).await?;

    let speech = match whisper {
        true => tests::sound::phrase(REFUSAL)?,
        false => noise(),
    };
    let gateway = Gateway::start(gateway::Config {
        registrar: house.sip,
        realm: Config::default().realm,
        username: prepared.gateway.clone(),
        password: PASSWORD.into(),
        callees: callees(leads, speech.into(), &mut chance),
        seed: serve::seed()?,
    })?;
    match gateway.seen.recv_timeout(SOON) {
        Ok(Seen::Registered) => {}
        other => anyhow::bail!("the gateway is not registered: {other:?}"),
    }
    let start = format!("/campaigns/{campaign}/start");
    prepared.api.post(&start, &json!({})).await?;

    let clock = Clock::start();
    let mut watch = Watch {
        gateway,
        clock,
        seen: BTreeMap::new(),
        answers: 0,
        doubtful: 0,
    };
    for _ in 0..kills {
        // At some event of a call and a little after it, or at any moment.
        match chance.below(2) {
            0 => {
                watch.look(Duration::from_secs(3), Some(1 + chance.below(30)));
                watch.look(Duration::from_millis(chance.below(20)), None);
            }
            _ => watch.look(Duration::from_millis(100 + chance.below(1500)), None),
        }
        let at = clock.mono();
        house.kill()?;
        watch.killed(at);
        house.start().await?;
    }
    let patience = Duration::from_secs(120 + kills);
    let left = eventually("the campaign is done", patience, async || {
        watch.look(Duration::from_millis(100), None);
        let rows = rows(&prepared, "/leads").await?;
        let ended = |row: &Value| {
            let state = row["state"].as_str();
            matches!(state, Some("done" | "exhausted" | "suppressed"))
        };
        Ok(rows.iter().all(ended).then_some(rows))
    })
    .await?;
    watch.look(Duration::from_millis(100), None);
    println!("{kills} kills, {leads} leads, {} answers", watch.answers);
    proof(&house, &prepared, &left, &watch).await
}

async fn rows(prepared: &Prepared, path: &str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = prepared
            .api
            .get(&format!("{path}?limit=200{cursor}"))
            .await?;
        rows.extend(page["data"].as_array().context("a list")?.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(rows),
        }
    }
}

async fn proof(house: &House, prepared: &Prepared, leads: &[Value], watch: &Watch) -> Result<()> {
    let calls = rows(prepared, "/calls").await?;
    let refused = |call: &Value| call["grade"] == "D";
    ensure!(calls.iter().any(refused), "nobody was heard to refuse");
    let mut by_number: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for call in &calls {
        let callee = call["callee"].as_str().context("a callee")?;
        by_number
            .entry(callee.trim_start_matches("+86").to_owned())
            .or_default()
            .push(call);
    }
    let (mut charged, mut unheard) = (0, 0);
    for (number, witness) in &watch.seen {
        let none = Vec::new();
        let records = by_number.get(number).unwrap_or(&none);
        let answered = records.iter().filter(|call| !call["answered_at"].is_null());
        let (mut answers, mut reached) = (0, 0);
        for call in answered {
            answers += 1;
            ensure!(call["charge_minor"] == PRICE, "one charge: {call}");
            reached += u64::from(call["disposition"]["kind"] == "answered");
        }
        charged += answers as i64 * PRICE;
        ensure!(
            witness.called <= records.len() as u64,
            "{number} was called without a record"
        );
        ensure!(
            answers <= witness.answered,
            "{number} has {answers} answers of {}",
            witness.answered
        );
        unheard += witness.answered - answers;
        ensure!(
            reached <= 1,
            "{number} was called again after it was reached"
        );
    }
    ensure!(
        unheard <= watch.doubtful,
        "{unheard} answers are unknown, {} may be",
        watch.doubtful
    );
    println!(
        "{} records, {charged} fen, {unheard} answers unheard of",
        calls.len()
    );
    for call in &calls {
        if call["answered_at"].is_null() {
            ensure!(
                call["charge_minor"] == 0,
                "not answered, not charged: {call}"
            );
        }
    }
    for lead in leads {
        let number = lead["number"]
            .as_str()
            .context("a number")?
            .trim_start_matches("+86");
        let records = by_number.get(number).map_or(0, Vec::len);
        ensure!(records > 0, "a lead without a call is done: {lead}");
    }
    let balance = prepared.api.get("/balance").await?;
    ensure!(balance["reserved_minor"] == 0, "{balance}");
    let mut available = 0;
    let mut closed: HashMap<String, u32> = HashMap::new();
    for posting in rows(prepared, "/ledger").await? {
        available += posting["available_minor"]
            .as_i64()
            .context("available_minor")?;
        if let Some(call) = posting["call_id"].as_str()
            && posting["kind"] != "reserve"
        {
            *closed.entry(call.to_owned()).or_default() += 1;
        }
    }
    ensure!(
        balance["available_minor"] == available,
        "{available}: {balance}"
    );
    ensure!(
        closed.values().all(|times| *times == 1),
        "a reservation is closed once"
    );
    recordings_are_readable(house, &calls)
}

/// The recording of a call that was cut holds all but its last two seconds.
fn recordings_are_readable(house: &House, calls: &[Value]) -> Result<()> {
    let mut heard = 0;
    for call in calls {
        if call["recording_url"].is_null() {
            continue;
        }
        let id = call["id"].as_str().context("an id")?;
        let file = find(&house.data.join("recordings"), &format!("{id}.wav"))
            .with_context(|| format!("no recording of {call}"))?;
        let file = hound::WavReader::open(&file).with_context(|| file.display().to_string())?;
        let length = u64::from(file.duration()) * 1000 / 8000;
        let talk = call["talk_ms"].as_u64().context("talk_ms")?;
        ensure!(
            length + 2000 >= talk,
            "{length} ms of {talk} are recorded: {call}"
        );
        heard += 1;
    }
    println!("{heard} recordings");
    Ok(())
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let found = match path.is_dir() {
            true => find(&path, name),
            false => path.ends_with(name).then_some(path),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
