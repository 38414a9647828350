//! The event stream.

use crate::house::House;
use axum::body::Body;
use axum::http::Method;
use engine::Notice;
use http_body_util::BodyExt;
use model::{TenantId, Wall};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

fn notice(seq: u64, tenant: TenantId, kind: &'static str) -> Arc<Notice> {
    Arc::new(Notice {
        seq,
        tenant,
        kind,
        occurred_at: Wall::from_millis(1_795_000_000_000),
        data: json!({"n": seq}),
    })
}

async fn listen(house: &House, token: &str, path: &str) -> Body {
    again(house, token, path, None).await
}

async fn again(house: &House, token: &str, path: &str, last: Option<&str>) -> Body {
    let mut request = house.request(Method::GET, token, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = house.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    assert!(next(&mut body).await.starts_with(": listening"));
    body
}

async fn next(body: &mut Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

fn data(text: &str) -> Value {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn a_reader_sees_its_own_enterprises_events_and_only_those_it_asked_for() {
    let house = House::new().await;
    let (beta, _) = house.enterprise("beta").await;
    let mut all = listen(&house, &house.root, "/events").await;
    let mut some = listen(&house, &house.root, "/events?types=call.*,trunk.up").await;
    house.events.send(notice(1, beta, "call.ended")).unwrap();
    house
        .events
        .send(notice(2, house.tenant, "lead.skipped"))
        .unwrap();
    house
        .events
        .send(notice(3, house.tenant, "call.ended"))
        .unwrap();
    let text = next(&mut all).await;
    assert!(
        text.contains("event: lead.skipped") && text.contains("-2\n"),
        "{text}"
    );
    let event = data(&next(&mut some).await);
    let id = event["id"].as_str().unwrap();
    assert!(id.ends_with("-3"), "{id}");
    assert_eq!(
        event,
        json!({"id": id, "type": "call.ended", "seq": 3, "occurred_at": "2026-11-18T11:06:40.000Z", "data": {"n": 3}})
    );
}

#[tokio::test]
async fn a_revoked_credential_loses_its_stream() {
    let house = House::new().await;
    let made = house
        .post(
            &house.root,
            "/api-keys",
            json!({"name": "k", "scopes": ["events:read"]}),
        )
        .await
        .expect(201);
    let mut body = listen(&house, made["key"].as_str().unwrap(), "/events").await;
    house
        .delete(
            &house.root,
            &format!("/api-keys/{}", made["id"].as_str().unwrap()),
        )
        .await
        .expect(204);
    house.pass(15);
    house
        .events
        .send(notice(1, house.tenant, "call.ended"))
        .unwrap();
    assert!(
        body.frame().await.is_none(),
        "the stream ends, and without the event"
    );
}

#[tokio::test]
async fn a_reader_that_comes_back_hears_what_it_missed_of_its_own_enterprise() {
    let house = House::new().await;
    let (beta, other) = house.enterprise("beta").await;
    let mut body = listen(&house, &house.root, "/events").await;
    house
        .events
        .send(notice(1, house.tenant, "call.created"))
        .unwrap();
    let first = data(&next(&mut body).await);
    drop(body);
    for (seq, tenant, kind) in [
        (2, beta, "call.created"),
        (3, house.tenant, "call.ended"),
        (4, house.tenant, "lead.skipped"),
    ] {
        house.events.send(notice(seq, tenant, kind)).unwrap();
    }
    // Once one reader has seen the last of them, they are kept.
    let last = first["id"].as_str().unwrap();
    let mut body = again(&house, &house.root, "/events?types=call.*", Some(last)).await;
    assert_eq!(data(&next(&mut body).await)["seq"], 3);
    house
        .events
        .send(notice(5, house.tenant, "call.created"))
        .unwrap();
    assert_eq!(data(&next(&mut body).await)["seq"], 5);
    // The other enterprise's reader hears its own with the same id.
    let mut body = again(&house, &other, "/events", Some(last)).await;
    assert_eq!(data(&next(&mut body).await)["seq"], 2);

    for strange in ["0badf00d-3", "nonsense", &last.replace("-1", "-99")] {
        let mut body = again(&house, &house.root, "/events", Some(strange)).await;
        let reset = data(&next(&mut body).await);
        assert_eq!(
            (&reset["type"], &reset["data"]["reason"]),
            (&json!("stream.reset"), &json!("other_run"))
        );
        // And its own id is good to come back with.
        let id = reset["id"].as_str().unwrap().to_owned();
        let seq = reset["seq"].as_u64().unwrap() + 1;
        let mut body = again(&house, &house.root, "/events", Some(&id)).await;
        house
            .events
            .send(notice(seq, house.tenant, "call.ended"))
            .unwrap();
        assert_eq!(data(&next(&mut body).await)["seq"], seq);
    }
}
