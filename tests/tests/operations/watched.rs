//! One robot call, as it is seen in the metrics and in the log.

use anyhow::{Context, Result, ensure};
use huying::gateway::{Callee, Line, When};
use huying::log::Lines;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::house::{House, hears};
use tests::{SOON, campaign, eventually, sound};
use tracing_subscriber::fmt::format::JsonFields;

const CALLEE: &str = "13800138000";
/// Where this enterprise may not call.
const ABROAD: &str = "+447700900123";

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("nobody panicked writing")
            .extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_call_is_counted_and_logged_without_names_or_numbers() -> Result<()> {
    let paper = Paper::default();
    let to = paper.clone();
    let filter = "debug,hyper=info,reqwest=info,sqlx=info,h2=info";
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || to.clone())
        .fmt_fields(JsonFields::new())
        .event_format(Lines::Json)
        .init();
    let house = House::open(hears("可以")).await?;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &[CALLEE, ABROAD]).await?;
    let says = Line {
        when: When::RobotDone,
        speech: sound::phrase("demo-yes-speak-f")?.into(),
    };
    let callee = Callee::Talks {
        rings: Duration::ZERO,
        lines: vec![says; 3],
        hangs_up: false,
    };
    let mut events = house.events();
    let _gateway = house
        .gateway(HashMap::from([(CALLEE.to_owned(), vec![callee])]))
        .await?;
    plan.start(&house).await?;
    let ended = events
        .next("call.ended", Duration::from_secs(90), |_| true)
        .await?;
    house.record_of(&ended).await?;
    // Somebody asks for what is not there, and types a number where an id belongs.
    let answer = house
        .api
        .request("GET", &format!("/leads/{CALLEE}"))
        .send()
        .await?;
    ensure!(answer.status().is_client_error(), "{}", answer.status());

    let page = scrape(&house).await?;
    let value = |line: &str| -> Result<f64> {
        let found = page
            .lines()
            .find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        Ok(found
            .with_context(|| format!("no {line} in\n{page}"))?
            .parse()?)
    };
    for line in [
        "huying_calls_total{direction=\"robot\",outcome=\"answered\"}",
        "huying_call_seizures_total{direction=\"robot\"}",
        "huying_call_answers_total{direction=\"robot\"}",
        "huying_call_setup_seconds_count{direction=\"robot\"}",
        "huying_call_talk_seconds_count{direction=\"robot\"}",
        "huying_grades_total{grade=\"A\"}",
        "huying_dialer_skipped_total{reason=\"country\"}",
        "huying_registrations_active",
        "huying_campaigns{state=\"running\"}",
        "huying_database_up",
        "huying_journal_up",
        "huying_rtp_jitter_seconds_count",
    ] {
        ensure!(value(line)? == 1.0, "{line} {}", value(line)?);
    }
    for line in [
        "huying_sip_requests_total{way=\"out\",method=\"INVITE\"}",
        "huying_sip_responses_total{way=\"in\",method=\"INVITE\",code=\"200\"}",
        "huying_sip_responses_total{way=\"out\",method=\"REGISTER\",code=\"401\"}",
        "huying_rtp_packets_received_total",
        "huying_rtp_packets_sent_total",
        "huying_media_tick_late_seconds_count",
        "huying_robot_turn_seconds_count",
        "huying_asr_latency_seconds_count",
        "huying_asr_requests_total{result=\"recognised\"}",
        "huying_db_commit_seconds_count",
        "huying_disk_free_bytes",
        "huying_http_requests_total{route=\"/api/v1/leads/{lead}\",method=\"GET\",status=\"400\"}",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        // The route's template is the API's own word: looked for by its beginning.
        match line.starts_with("huying_http") {
            true => ensure!(
                page.contains("huying_http_requests_total{route=\"/api/v1/leads/{"),
                "{page}"
            ),
            false => ensure!(value(line)? > 0.0, "{line} {}", value(line)?),
        }
    }
    ensure!(value("huying_calls_active{direction=\"robot\"}")? == 0.0);
    ensure!(value("huying_event_stream_readers")? == 0.0);
    well_formed(&page)?;
    for private in [
        CALLEE,
        "7700900123",
        "acme",
        "2188886666",
        house.tenant.as_str(),
    ] {
        ensure!(!page.contains(private), "{private} is in the metrics");
    }

    let tenant = house.tenant.clone();
    house.close().await;
    let log = paper.0.lock().expect("nobody panicked writing").clone();
    logged(std::str::from_utf8(&log)?, &tenant)
}

async fn scrape(house: &House) -> Result<String> {
    let address = house.metrics().context("metrics are served")?;
    // The last commit is counted a moment after the record can be read.
    eventually("the metrics know of the call", SOON, async || {
        let answer = reqwest::Client::builder().no_proxy().build()?;
        let answer = answer
            .get(format!("http://{address}/metrics"))
            .send()
            .await?;
        let answer = answer.error_for_status()?;
        let kind = answer.headers()["content-type"].to_str()?.to_owned();
        ensure!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let page = answer.text().await?;
        Ok(page.contains("huying_dialer_skipped_total").then_some(page))
    })
    .await
}

/// Each family is described once, each sample belongs to one, the page is whole.
fn well_formed(page: &str) -> Result<()> {
    ensure!(page.ends_with("# EOF\n"), "{page}");
    let mut families = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap_or_default();
            ensure!(families.insert(name), "{name} twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let known = ["", "_total", "_sum", "_count", "_bucket"]
                .iter()
                .any(|ending| {
                    name.strip_suffix(ending)
                        .is_some_and(|family| families.contains(family))
                });
            ensure!(known, "{line}");
            let value = line.rsplit(' ').next().unwrap_or_default();
            ensure!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    Ok(())
}

/// Every line is JSON with its four fields; the call's events are there; no number is whole.
fn logged(log: &str, tenant: &str) -> Result<()> {
    let mut answered = None;
    for line in log.lines() {
        let said: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let whole = ["ts", "level", "target", "msg"]
            .iter()
            .all(|name| said[name].is_string());
        ensure!(whole, "{line}");
        // Of this test and those beside it.
        for number in ["1380013800", "7700900123", "2188886666"] {
            ensure!(!line.contains(number), "a number in the log: {line}");
        }
        if said["tenant"] == tenant {
            ensure!(said["level"] != "ERROR", "nothing went wrong: {line}");
            if said["msg"] == "call.answered" {
                answered = Some(said);
            }
        }
    }
    let answered = answered.context("the answer is logged")?;
    ensure!(answered["callee"] == "+86138****8000", "{answered}");
    ensure!(answered["caller"] == "+8621****6666", "{answered}");
    ensure!(answered["call"].is_string(), "{answered}");
    let asked = log.lines().filter(|line| line.contains("\"request_id\""));
    ensure!(asked.count() > 0, "requests are logged at debug");
    Ok(())
}
