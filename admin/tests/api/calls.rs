//! Call records, recordings, live calls.

use crate::house::{House, tone};
use axum::body::Body;
use axum::http::Method;
use bots::grade::{Outcome, Rules, grade_turns};
use bots::record::{Counters, Decision, MatchKind, Matched, Speaker, TurnRecord};
use engine::LiveCallView;
use model::*;
use serde_json::json;
use std::sync::Arc;
use store::Writer;
use switch::{CallEvent, Finish, Persist};

fn turn(index: u32, speaker: Speaker, text: &str, kind: Option<MatchKind>) -> TurnRecord {
    TurnRecord {
        index,
        speaker,
        node: "greet".into(),
        text: text.into(),
        from_ms: u64::from(index) * 1000,
        to_ms: u64::from(index) * 1000 + 800,
        line: None,
        counted: kind.is_some(),
        matched: kind.map(|kind| Matched {
            kind,
            text: text.into(),
            evidence: Vec::new(),
            score: 1.0,
        }),
        decision: Decision::Said,
    }
}

/// A robot call that was answered, agreed, recorded and graded A.
pub fn ended(tenant: TenantId, at: Wall, recording: Option<&str>) -> Finish {
    let turns = vec![
        turn(0, Speaker::Robot, "您好", None),
        turn(1, Speaker::Callee, "需要", Some(MatchKind::Positive)),
    ];
    let counters = Counters {
        n: 1,
        r: 0,
        a: 1,
        q: 0,
    };
    let outcome = Outcome {
        reached: Ok(counters),
        unreached_in_a_row: 0,
    };
    Finish {
        cdr: Cdr {
            id: store::fresh(),
            tenant,
            direction: Direction::Robot,
            caller: "+862188886666".into(),
            callee: "+8613800138000".into(),
            campaign: None,
            lead: None,
            extension: None,
            trunk: None,
            started_at: at,
            ringing_at: Some(at),
            answered_at: Some(at),
            ended_at: at,
            disposition: Disposition::Answered,
            termination: Termination {
                by: EndedBy::Flow,
                sip_code: None,
                q850: Some(16),
                text: String::new(),
            },
            talk_ms: 1800,
            charge: Money::ZERO,
            recording: recording.map(str::to_owned),
            customer_stats: Some(LegStats::default()),
        },
        reserved: Money::ZERO,
        grade: Some(grade_turns(&Rules::default(), &outcome, &turns)),
        turns,
        labels: vec!["有意向".into()],
        lead: None,
        opt_out: false,
        events: vec![CallEvent {
            at,
            kind: "answered".into(),
            data: json!({}),
        }],
    }
}

/// Kept the way the engine keeps them.
pub async fn keep(house: &House, finishes: Vec<Finish>) {
    let (writer, task) = Writer::start(&house.store, &house.platform, |_| {});
    for finish in finishes {
        writer.push(Persist::Finish(Arc::new(finish))).unwrap();
    }
    writer.close();
    task.await.unwrap();
}

#[tokio::test]
async fn a_call_is_listed_and_shown_with_what_its_grade_rests_on() {
    let house = House::new().await;
    let root = &house.root;
    let first = ended(house.tenant, house.now(), None);
    let mut second = ended(
        house.tenant,
        Wall::from_millis(house.now().as_millis() + 5000),
        None,
    );
    second.cdr.callee = "+8613900139000".into();
    second.cdr.disposition = Disposition::Unreached(Unreached::Busy);
    second.cdr.answered_at = None;
    second.grade = None;
    second.turns.clear();
    let ids = [first.cdr.id.to_string(), second.cdr.id.to_string()];
    keep(&house, vec![first, second]).await;

    for (query, expected) in [
        ("", vec![1, 0]),
        ("?sort=started_at", vec![0, 1]),
        ("?grade=A,B", vec![0]),
        ("?grade=E", vec![]),
        ("?callee=139", vec![1]),
        ("?answered=true", vec![0]),
        ("?direction=robot,inbound", vec![1, 0]),
        ("?direction=inbound", vec![]),
        ("?started_at[gte]=2026-11-18T11:06:41Z", vec![1]),
        ("?started_at[lt]=2026-11-18T19:06:41%2B08:00", vec![0]),
    ] {
        let list = house.get(root, &format!("/calls{query}")).await.expect(200);
        let found: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap())
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|n: usize| ids[n].as_str())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    let view = house
        .get(root, &format!("/calls/{}", ids[0]))
        .await
        .expect(200);
    assert_eq!(
        (view["grade"].as_str(), view["grade_name"].as_str()),
        (Some("A"), Some("意向客户"))
    );
    assert_eq!(view["grading"]["rule"], "positive_answer");
    assert_eq!(
        (
            view["grading"]["counters"]["a"].as_u64(),
            view["grading"]["evidence"][0]["turn"].as_u64()
        ),
        (Some(1), Some(1))
    );
    assert_eq!(
        (
            view["turns"][1]["text"].as_str(),
            view["labels"][0].as_str()
        ),
        (Some("需要"), Some("有意向"))
    );
    assert_eq!(
        (
            view["events"][0]["type"].as_str(),
            view["money"]["charge_minor"].as_i64()
        ),
        (Some("answered"), Some(0))
    );
    let busy = house
        .get(root, &format!("/calls/{}", ids[1]))
        .await
        .expect(200);
    assert_eq!(
        busy["disposition"],
        json!({"kind": "unreached", "cause": "busy"})
    );
    assert_eq!(busy["recording_url"], json!(null));
    house
        .get(root, &format!("/calls/{}/recording", ids[1]))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_recording_comes_whole_or_in_ranges_and_only_from_our_folder() {
    let house = House::new().await;
    let root = &house.root;
    let folder = house.folder.path().join("recordings");
    std::fs::create_dir_all(folder.join("2026")).unwrap();
    let wav = tone(1, 8000);
    std::fs::write(folder.join("2026/one.wav"), &wav).unwrap();
    std::fs::write(house.folder.path().join("secret.wav"), &wav).unwrap();
    let good = ended(house.tenant, house.now(), Some("2026/one.wav"));
    let path = format!("/calls/{}/recording", good.cdr.id);
    let outside = [
        "../secret.wav",
        "/etc/passwd",
        "2026/../../secret.wav",
        "gone.wav",
    ];
    let mut finishes = vec![good];
    finishes.extend(outside.map(|name| ended(house.tenant, house.now(), Some(name))));
    let bad: Vec<_> = finishes[1..].iter().map(|finish| finish.cdr.id).collect();
    keep(&house, finishes).await;

    let ranged = |range: &str| {
        house
            .request(Method::GET, root, &path)
            .header("range", range)
            .body(Body::empty())
            .unwrap()
    };
    let whole = house.get(root, &path).await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("content-type")),
        (200, "audio/wav")
    );
    assert_eq!(
        (whole.header("accept-ranges"), &whole.bytes),
        ("bytes", &wav)
    );
    let part = house.send(ranged("bytes=44-143")).await;
    assert_eq!(part.status.as_u16(), 206);
    assert_eq!(
        part.header("content-range"),
        format!("bytes 44-143/{}", wav.len())
    );
    assert_eq!(part.bytes, wav[44..144]);
    let tail = house.send(ranged("bytes=-10")).await;
    assert_eq!(tail.bytes, wav[wav.len() - 10..]);
    let beyond = house.send(ranged("bytes=999999-")).await;
    assert_eq!(
        beyond.header("content-range"),
        format!("bytes */{}", wav.len())
    );
    beyond.problem(416, "range_not_satisfiable");
    let head = house
        .send(
            house
                .request(Method::HEAD, root, &path)
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(
        (head.header("content-length"), head.bytes.len()),
        (wav.len().to_string().as_str(), 0)
    );
    for id in bad {
        house
            .get(root, &format!("/calls/{id}/recording"))
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_live_call_is_seen_and_hung_up_by_its_own_enterprise() {
    let house = House::new().await;
    let (beta, token) = house.enterprise("beta").await;
    let id: CallId = store::fresh();
    let view = LiveCallView {
        id,
        direction: Direction::Robot,
        caller: "+862188886666".into(),
        callee: "+8613800138000".into(),
        campaign: None,
        lead: None,
        started_at: house.now(),
        answered_at: None,
    };
    house.engine.lock().unwrap().live.push((beta, view));
    assert!(
        house.get(&house.root, "/live-calls").await.expect(200)["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        house.get(&token, "/live-calls").await.expect(200)["data"][0]["id"],
        id.to_string()
    );
    let path = format!("/live-calls/{id}/hang-up");
    house
        .post(&house.root, &path, json!({}))
        .await
        .problem(404, "not_found");
    assert!(house.engine.lock().unwrap().hung_up.is_empty());
    house.post(&token, &path, json!({})).await.expect(202);
    assert_eq!(house.engine.lock().unwrap().hung_up, [id]);
}
