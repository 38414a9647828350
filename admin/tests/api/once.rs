//! `Idempotency-Key`.

use crate::house::{House, Reply};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, header};
use engine::{LiveCallView, Question};
use model::{CallId, Direction};
use serde_json::{Value, json};
use tower::ServiceExt;

fn request(
    house: &House,
    token: &str,
    path: &str,
    key: &str,
    body: &Value,
) -> axum::http::Request<Body> {
    house
        .request(Method::POST, token, path)
        .header("idempotency-key", key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn post(house: &House, token: &str, path: &str, key: &str, body: Value) -> Reply {
    house.send(request(house, token, path, key, &body)).await
}

#[tokio::test]
async fn a_request_sent_again_is_answered_again_and_done_once() {
    let house = House::new().await;
    let root = &house.root;
    let desk = json!({"number": "1001", "name": "desk"});
    let first = post(&house, root, "/extensions", "k1", desk.clone()).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = post(&house, root, "/extensions", "k1", desk.clone()).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    // The password that is shown once is in it, and nowhere in the database.
    assert_eq!(first.bytes, again.bytes);
    let password = first.expect(201)["password"].as_str().unwrap().to_owned();
    let database = std::fs::read(house.folder.path().join("huying.db")).unwrap();
    let log = std::fs::read(house.folder.path().join("huying.db-wal")).unwrap_or_default();
    for file in [database, log] {
        assert!(!file.windows(20).any(|piece| piece == password.as_bytes()));
    }
    let other = json!({"number": "1002", "name": "desk"});
    post(&house, root, "/extensions", "k1", other)
        .await
        .problem(422, "idempotency_key_reused");
    post(&house, root, "/trunks", "k1", desk.clone())
        .await
        .problem(422, "idempotency_key_reused");
    // Without a key, or with another, it is another request.
    post(&house, root, "/extensions", "k2", desk.clone())
        .await
        .problem(409, "already_exists");
    let refused = post(&house, root, "/extensions", "k2", desk.clone()).await;
    assert_eq!(refused.header("idempotency-replayed"), "true");
    let refused = refused.problem(409, "already_exists");
    assert_eq!(refused["errors"][0]["pointer"], "/number");
    // Another credential's key is another key.
    let session = house.sign_in("acme", crate::house::PASSWORD).await;
    post(&house, &session, "/extensions", "k1", desk.clone())
        .await
        .problem(409, "already_exists");
    let (_, beta) = house.enterprise("beta").await;
    post(&house, &beta, "/extensions", "k1", desk.clone())
        .await
        .expect(201);
    for bad in ["", "a b", &"k".repeat(256)] {
        post(&house, root, "/extensions", bad, desk.clone())
            .await
            .problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn an_import_sent_again_is_the_same_import() {
    let house = House::new().await;
    let sheet: String = (0..20_000).map(|n| format!("139{n:08}\n")).collect();
    let send = async |mark: &str, key: &str, sheet: &str| {
        let body = format!(
            "--{mark}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n{sheet}\r\n--{mark}--\r\n"
        );
        let kind = format!("multipart/form-data; boundary={mark}");
        let request = house
            .request(Method::POST, &house.root, "/leads/imports")
            .header("idempotency-key", key)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body));
        house.send(request.unwrap()).await
    };
    let sheet = format!("phone\n{sheet}");
    let first = send("one", "k", &sheet).await;
    let again = send("another", "k", &sheet).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(first.bytes, again.bytes);
    send("one", "k", "phone\n13800138000\n")
        .await
        .problem(422, "idempotency_key_reused");
    let first = first.expect(202);
    let id = first["id"].as_str().unwrap();
    let done = crate::imports::finished(&house, &house.root, id).await;
    assert_eq!(done["inserted"], 20_000);
    let list = house.get(&house.root, "/leads/imports").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    // More than any route takes.
    let large = "x".repeat(51 * 1024 * 1024);
    send("one", "large", &large).await.problem(413, "too_large");
    assert!(
        house
            .folder
            .path()
            .join("imports")
            .read_dir()
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let house = House::new().await;
    let key = json!({"name": "k", "scopes": ["*"]});
    let made = house.post(&house.root, "/api-keys", key).await.expect(201);
    let token = made["key"].as_str().unwrap();
    let lead = json!({"number": "13800138000"});
    post(&house, token, "/leads", "once", lead.clone())
        .await
        .expect(201);
    house.pass(24 * 3600 - 1);
    post(&house, token, "/leads", "once", lead.clone())
        .await
        .expect(201);
    house.pass(1);
    post(&house, token, "/leads", "once", lead)
        .await
        .problem(409, "already_exists");
}

async fn status(router: &Router, request: axum::http::Request<Body>) -> u16 {
    router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn while_the_first_is_at_work_the_second_is_told_to_wait() {
    let house = House::new().await;
    let root = house.root.clone();
    let call: CallId = store::fresh();
    let up = LiveCallView {
        id: call,
        direction: Direction::Robot,
        caller: String::new(),
        callee: String::new(),
        campaign: None,
        lead: None,
        started_at: house.now(),
        answered_at: None,
    };
    {
        let mut engine = house.engine.lock().unwrap();
        engine.live.push((house.tenant, up));
        engine.holds = true;
    }
    let path = format!("/live-calls/{call}/hang-up");
    let ask = || request(&house, &root, &path, "k", &json!({}));
    let first = tokio::spawn({
        let (router, request) = (house.router.clone(), ask());
        async move { status(&router, request).await }
    });
    while house.engine.lock().unwrap().held.is_empty() {
        tokio::task::yield_now().await;
    }
    house.send(ask()).await.problem(409, "request_in_flight");
    // A client that goes away takes nothing with it; another process knows only that it was begun.
    first.abort();
    assert_eq!(status(&house.another_process(), ask()).await, 409);
    let held = house.engine.lock().unwrap().held.pop();
    let Some(Question::HangUp { reply, .. }) = held else {
        panic!("the engine was asked something else");
    };
    reply.send(true).unwrap();
    loop {
        let reply = house.send(ask()).await;
        if reply.status.as_u16() == 202 {
            assert_eq!(reply.header("idempotency-replayed"), "true");
            break;
        }
        reply.problem(409, "request_in_flight");
    }
    assert!(
        house.engine.lock().unwrap().held.is_empty(),
        "it was asked once"
    );
}
