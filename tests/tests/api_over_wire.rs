//! The API while calls happen: events as a stream, recordings in ranges, and why a lead was not dialled.

use anyhow::{Context, Result, ensure};
use huying::gateway::{Callee, Line, When};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tests::api::text;
use tests::house::{House, hears};
use tests::{SOON, campaign, sound};

const CALLEE: &str = "13800138000";
/// On the do-not-call list.
const LEFT_ALONE: &str = "13800138001";
/// Where this enterprise may not call.
const ABROAD: &str = "+447700900123";

/// Server-sent events, as a browser would read them.
struct Stream {
    answer: reqwest::Response,
    pending: String,
}

impl Stream {
    async fn open(house: &House, types: &str) -> Result<Stream> {
        let answer = house
            .api
            .request("GET", &format!("/events?types={types}"))
            .send()
            .await?;
        let answer = answer.error_for_status()?;
        let kind = answer
            .headers()
            .get("content-type")
            .context("a content type")?
            .to_str()?;
        ensure!(kind.starts_with("text/event-stream"), "{kind}");
        let mut stream = Stream {
            answer,
            pending: String::new(),
        };
        // From its first word on it misses nothing.
        let first = tokio::time::timeout(SOON, stream.block()).await??;
        ensure!(first.starts_with(':'), "{first}");
        Ok(stream)
    }

    /// One event's lines.
    async fn block(&mut self) -> Result<String> {
        loop {
            if let Some((block, rest)) = self.pending.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.pending = rest;
                return Ok(block);
            }
            let chunk = self.answer.chunk().await?.context("the stream ended")?;
            self.pending.push_str(std::str::from_utf8(&chunk)?);
        }
    }

    /// Events until the one of this type, which is the last of them.
    async fn until(&mut self, kind: &str, within: Duration) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        let read = tokio::time::timeout(within, async {
            loop {
                let block = self.block().await?;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                let Some(data) = field("data:") else { continue };
                let event: Value = serde_json::from_str(data)?;
                ensure!(
                    field("event:") == event["type"].as_str()
                        && field("id:") == event["id"].as_str(),
                    "{block}"
                );
                let last = event["type"] == kind;
                events.push(event);
                if last {
                    return Ok(());
                }
            }
        });
        read.await
            .with_context(|| format!("no {kind} on the stream"))??;
        Ok(events)
    }
}

/// A recogniser that hears 可以 whatever is said; a callee who says something three times.
#[tokio::test(flavor = "multi_thread")]
async fn a_robot_call_is_seen_heard_and_explained_over_the_api() -> Result<()> {
    let house = House::open(hears("可以")).await?;
    let api = &house.api;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &[CALLEE, LEFT_ALONE, ABROAD]).await?;
    api.post(
        "/do-not-call",
        json!({ "number": LEFT_ALONE, "note": "asked us not to" }),
    )
    .await?;

    let says = Line {
        when: When::RobotDone,
        speech: sound::phrase("demo-yes-speak-f")?.into(),
    };
    let callee = Callee::Talks {
        rings: Duration::ZERO,
        lines: vec![says; 3],
        hangs_up: false,
    };
    let mut stream = Stream::open(&house, "call.*,recording.ready,lead.skipped").await?;
    // Without a gateway it says what it waits for, and goes on by itself when one registers.
    let started = plan.start(&house).await?;
    ensure!(started["waiting_for"]["reason"] == "gateway", "{started}");
    let gateway = house
        .gateway(HashMap::from([(CALLEE.to_owned(), vec![callee])]))
        .await?;
    let mut events = stream.until("call.ended", Duration::from_secs(90)).await?;

    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    let at = |kind: &str| {
        kinds
            .iter()
            .position(|k| *k == kind)
            .with_context(|| format!("no {kind} in {kinds:?}"))
    };
    let (created, answered, turn) = (
        at("call.created")?,
        at("call.answered")?,
        at("call.robot.turn")?,
    );
    ensure!(created < answered && answered < turn, "{kinds:?}");
    at("call.transcript.final")?;
    at("call.graded")?;
    let rises = events
        .windows(2)
        .all(|two| two[0]["seq"].as_u64() < two[1]["seq"].as_u64());
    ensure!(rises, "{events:?}");
    ensure!(
        events.iter().all(|event| event["occurred_at"].is_string()),
        "{events:?}"
    );

    let ended = events.pop().context("an event")?["data"].clone();
    let record = house.record_of(&ended).await?;
    ensure!(
        record["lead_id"] == plan.leads[0] && record["campaign_id"] == plan.id,
        "{record}"
    );
    ensure!(
        record["grade"] == "A",
        "three times yes: {}",
        record["grading"]
    );

    recording_in_ranges(&house, &record, &mut stream, &events).await?;

    // Dialled once, and said so.
    let why = api.get(&format!("/leads/{}/why", plan.leads[0])).await?;
    ensure!(
        why["decisions"][0]["allowed"] == true && why["attempts"][0]["grade"] == "A",
        "{why}"
    );
    ensure!(why["attempts"][0]["call_id"] == record["id"], "{why}");
    // Never dialled: taken out of the queue when it came on the list.
    let why = api.get(&format!("/leads/{}/why", plan.leads[1])).await?;
    ensure!(
        why["lead"]["state"] == "suppressed" && why["lead"]["rule"] == "do_not_call",
        "{why}"
    );
    ensure!(why["attempts"] == json!([]), "{why}");
    // Never dialled: the gate said no, and in which words.
    let why = api.get(&format!("/leads/{}/why", plan.leads[2])).await?;
    let decision = &why["decisions"][0];
    ensure!(
        decision["allowed"] == false && decision["rule"] == "country",
        "{why}"
    );
    ensure!(
        !text(decision, "detail")?.is_empty() && why["attempts"] == json!([]),
        "{why}"
    );
    drop(gateway);
    house.close().await;
    Ok(())
}

async fn recording_in_ranges(
    house: &House,
    record: &Value,
    stream: &mut Stream,
    events: &[Value],
) -> Result<()> {
    if !events
        .iter()
        .any(|event| event["type"] == "recording.ready")
    {
        stream.until("recording.ready", SOON).await?;
    }
    let path = text(record, "recording_url")?;
    let get = |range: &str| {
        let request = house.api.request("GET", path.trim_start_matches("/api/v1"));
        if range.is_empty() {
            request
        } else {
            request.header("range", range)
        }
    };
    let whole = get("").send().await?;
    ensure!(whole.status() == 200 && whole.headers()["accept-ranges"] == "bytes");
    ensure!(whole.headers()["content-type"] == "audio/wav");
    let whole = whole.bytes().await?;
    let size = whole.len();
    ensure!(size > 100_000, "{size} bytes");

    for (range, from, to) in [
        ("bytes=0-43", 0, 44),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=-100", size - 100, size),
    ] {
        let part = get(range).send().await?;
        ensure!(part.status() == 206, "{range}: {}", part.status());
        let says = part.headers()["content-range"].to_str()?.to_owned();
        ensure!(
            says == format!("bytes {from}-{}/{size}", to - 1),
            "{range}: {says}"
        );
        ensure!(part.bytes().await? == whole[from..to], "{range}");
    }
    let beyond = get(&format!("bytes={size}-")).send().await?;
    ensure!(beyond.status() == 416, "{}", beyond.status());
    Ok(())
}
