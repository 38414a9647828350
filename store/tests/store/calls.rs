//! Records of calls. (What a kill leaves of them: `journal`.)

use crate::databases::on_both;
use crate::house::*;
use bots::{Decision, MatchKind, Matched, Speaker, TurnRecord};
use dialer::LeadState;
use model::*;
use serde_json::json;
use std::sync::Arc;
use store::calls::CALLS;
use store::{Asked, StoreError};
use switch::{CallEvent, Persist};

fn turn(index: u32, speaker: Speaker) -> TurnRecord {
    let matched = Matched {
        kind: MatchKind::Question { id: "price".into() },
        text: "多少钱".into(),
        evidence: Vec::new(),
        score: 0.9,
    };
    TurnRecord {
        index,
        speaker,
        node: "greeting".into(),
        text: "多少千".into(),
        from_ms: 100,
        to_ms: 1900,
        line: None,
        matched: (speaker == Speaker::Callee).then_some(matched),
        counted: speaker == Speaker::Callee,
        decision: Decision::Answer {
            question: "price".into(),
        },
    }
}

on_both!(a_call_is_read_back_as_it_was_written);
async fn a_call_is_read_back_as_it_was_written(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 2);
    answers.begin(begin.clone()).await.unwrap();
    let mut end = shop.finish(&begin, 10);
    end.cdr.recording = Some("2026/11/a.wav".into());
    end.turns = vec![turn(0, Speaker::Robot), turn(1, Speaker::Callee)];
    end.labels = vec!["有房".into()];
    end.events = vec![CallEvent {
        at: later(5),
        kind: "answered".into(),
        data: json!({ "codec": "pcma" }),
    }];
    end.opt_out = true;
    answers.push(Persist::Finish(Arc::new(end.clone())));
    answers.close().await;

    let page = house.store.call(&shop.scope, begin.call).await.unwrap();
    assert_eq!(page.call.cdr, end.cdr);
    assert_eq!(page.call.grade, Some(Grade::A));
    assert_eq!(page.call.labels, end.labels);
    assert_eq!(page.call.template, Some((shop.plan.template, Some(1))));
    assert_eq!(page.turns, end.turns);
    assert_eq!(page.grades[0].record, end.grade.unwrap());
    assert_eq!(
        (page.events[0].kind.as_str(), &page.events[0].data),
        ("answered", &json!({ "codec": "pcma" }))
    );
    assert_eq!(page.attempt.unwrap().answered_at, Some(later(5)));
    assert_eq!(page.postings.len(), 2);
    let lead = house
        .store
        .lead(&shop.scope, candidate.lead.id)
        .await
        .unwrap();
    assert_eq!(lead.lead.state, LeadState::Done { grade: Grade::A });
    assert_eq!((lead.lead.attempts, lead.last_call), (1, Some(begin.call)));
    let told = house
        .store
        .history(&shop.scope, &candidate.lead.number, later(100))
        .await
        .unwrap();
    assert_eq!(
        told.dnc.len(),
        1,
        "the callee asked never to be called again"
    );

    let stricter = bots::GradeRecord {
        grade: Grade::B,
        rules_version: 2,
        ..page.grades[0].record.clone()
    };
    house
        .store
        .regrade(&shop.scope, begin.call, &stricter, later(200))
        .await
        .unwrap();
    let page = house.store.call(&shop.scope, begin.call).await.unwrap();
    assert_eq!((page.call.grade, page.grades.len()), (Some(Grade::B), 2));
}

on_both!(calls_are_listed_by_time_filtered_and_paged);
async fn calls_are_listed_by_time_filtered_and_paged(house: House) {
    let shop = house.shop("acme", 1000).await;
    shop.queue(7).await;
    let mut answers = house.writer();
    for (n, candidate) in answers.claim(&shop, 7, NOW).await.into_iter().enumerate() {
        let mut begin = shop.begin(&candidate.lead, 1);
        // Two begin in the same millisecond.
        begin.at = later(n as u64 / 2);
        answers.begin(begin.clone()).await.unwrap();
        let end = match n % 2 {
            0 => shop.finish(&begin, 10),
            _ => shop.unanswered(&begin, Disposition::Unreached(Unreached::Busy)),
        };
        answers.push(Persist::Finish(Arc::new(end)));
    }
    answers.close().await;
    for order in ["-started_at", "started_at"] {
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut asked = Asked::of(&CALLS).with("sort", order).unwrap().limit(2);
            if let Some(cursor) = &cursor {
                asked = asked.after(cursor).unwrap();
            }
            let page = house.store.calls(&shop.scope, &asked).await.unwrap();
            seen.extend(
                page.rows
                    .into_iter()
                    .map(|row| (row.cdr.started_at, row.cdr.id)),
            );
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if order == "-started_at" {
            seen.reverse();
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.is_sorted());
    }
    let count = async |filters: &[(&str, &str)]| {
        let mut asked = Asked::of(&CALLS);
        for (name, text) in filters {
            asked = asked.with(name, text).unwrap();
        }
        let listed = house.store.calls(&shop.scope, &asked).await.unwrap().rows;
        let totals = house.store.call_totals(&shop.scope, &asked).await.unwrap();
        assert_eq!(listed.len() as u64, totals.calls);
        (totals.calls, totals.answered, totals.charge.minor())
    };
    assert_eq!(count(&[]).await, (7, 4, 40));
    assert_eq!(count(&[("grade", "A,B")]).await, (4, 4, 40));
    assert_eq!(count(&[("answered", "false")]).await, (3, 0, 0));
    assert_eq!(count(&[("callee", "1003")]).await, (1, 0, 0));
    assert_eq!(count(&[("callee", "%")]).await, (0, 0, 0));
    assert_eq!(count(&[("direction", "inbound")]).await, (0, 0, 0));
    assert_eq!(count(&[("q", "1003")]).await, (1, 0, 0));
    let (from, to) = (later(1).rfc3339(), later(2).rfc3339());
    let between = [
        ("started_at[gte]", from.as_str()),
        ("started_at[lt]", to.as_str()),
    ];
    assert_eq!(count(&between).await.0, 2);
    let bad = Asked::of(&CALLS).after("x");
    assert_eq!(bad.err(), Some(StoreError::Invalid { field: "cursor" }));
}

on_both!(a_bad_change_fails_alone);
async fn a_bad_change_fails_alone(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let good = shop.begin(&candidate.lead, 1);
    let mut bad = shop.finish(&good, 10);
    bad.cdr.id = store::fresh();
    bad.cdr.tenant = store::fresh();
    answers.push(Persist::Finish(Arc::new(bad)));
    answers.push(Persist::Begin(Box::new(good.clone())));
    answers.push(Persist::Finish(Arc::new(shop.finish(&good, 10))));
    answers.next().await;
    answers.close().await;
    assert_eq!(
        house
            .store
            .call(&shop.scope, good.call)
            .await
            .unwrap()
            .call
            .cdr
            .charge,
        Money(10)
    );
    shop.money_holds().await;
}

on_both!(bindings_survive_a_restart_until_they_run_out);
async fn bindings_survive_a_restart_until_they_run_out(house: House) {
    let shop = house.shop("acme", 0).await;
    let local = "127.0.0.1:5060".parse().unwrap();
    let binding = |contact: &str, expires_at| sip::Binding {
        aor: "1001@acme".into(),
        username: "1001.acme".into(),
        contact: sip::Uri::parse(contact).unwrap(),
        flow: sip::Flow::udp(local, "127.0.0.1:5090".parse().unwrap()),
        expires_at,
        q: 700,
        user_agent: "phone".into(),
        call_id: "x@y".into(),
        cseq: 3,
    };
    let answers = house.writer();
    let bound = |binding| Persist::Bound {
        tenant: shop.tenant,
        binding,
    };
    let kept = binding("sip:1001@127.0.0.1:5090", later(3600));
    answers.push(bound(binding("sip:1001@127.0.0.1:5090", later(60))));
    answers.push(bound(kept.clone()));
    answers.push(bound(binding("sip:1001@127.0.0.1:5091", later(10))));
    answers.push(bound(binding("sip:1001@127.0.0.1:5092", later(3600))));
    answers.push(Persist::Unbound {
        tenant: shop.tenant,
        aor: "1001@acme".into(),
        contact: "sip:1001@127.0.0.1:5092".into(),
    });
    answers.close().await;
    let house = house.reopen().await;
    assert_eq!(
        house
            .store
            .bindings(&house.platform, later(30))
            .await
            .unwrap(),
        vec![kept]
    );
    assert_eq!(
        house
            .store
            .prune_bindings(&house.platform, later(30))
            .await
            .unwrap(),
        1
    );
}

on_both!(after_closing_the_writer_hands_changes_back_and_refuses_attempts);
async fn after_closing_the_writer_hands_changes_back_and_refuses_attempts(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 1);
    answers.writer.close();
    assert!(
        answers
            .writer
            .push(Persist::Finish(Arc::new(shop.finish(&begin, 0))))
            .is_err()
    );
    assert_eq!(
        answers.begin(begin).await,
        Err(switch::BeginRefused::Unavailable)
    );
    answers.writer.claim(shop.tenant, shop.campaign, 1, NOW);
    let switch::Input::Claimed { result, .. } = answers.next().await else {
        panic!("no answer to a claim");
    };
    assert_eq!(result.err(), Some(switch::ClaimRefused::Unavailable));
    assert_eq!(answers.writer.waiting(), 0);
    answers.close().await;
}
