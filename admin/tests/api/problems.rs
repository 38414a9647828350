//! Every refusal is a problem document.

use crate::house::House;
use axum::body::Body;
use axum::http::{Method, header};
use serde_json::json;

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_said_in_one_form() {
    let house = House::new().await;
    let root = &house.root;
    let raw = |kind: &str, body: &str| {
        house
            .request(Method::POST, root, "/extensions")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    house
        .send(raw("application/json", "{\"number\": "))
        .await
        .problem(400, "malformed_json");
    house
        .send(raw("application/json", "{} {}"))
        .await
        .problem(422, "invalid");
    house
        .send(raw("text/plain", "{}"))
        .await
        .problem(415, "unsupported_media_type");
    let problem = house
        .send(raw("application/json", "{\"number\": 7}"))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/number");
    let problem = house
        .send(raw("application/json", "{\"number\": \"1001\"}"))
        .await
        .problem(422, "invalid");
    assert_eq!(
        (
            &problem["errors"][0]["pointer"],
            &problem["errors"][0]["code"]
        ),
        (&json!("/name"), &json!("required"))
    );
    let unknown = "{\"number\": \"1001\", \"name\": \"x\", \"tenant_id\": \"y\"}";
    let problem = house
        .send(raw("application/json", unknown))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "unknown_field");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
    house
        .send(raw("application/json", &large))
        .await
        .problem(413, "too_large");

    house
        .get(root, "/nowhere")
        .await
        .problem(404, "no_such_route");
    house
        .get(root, "/api/v2")
        .await
        .problem(404, "no_such_route");
    let reply = house.put(root, "/calls", json!({})).await;
    assert!(reply.header("allow").contains("GET"));
    reply.problem(405, "method_not_allowed");
    house
        .get(root, "/calls/not-an-id")
        .await
        .problem(400, "invalid_path");
    house
        .get(root, "/calls?limit=0")
        .await
        .problem(400, "invalid_query");
    house
        .get(root, "/calls?limit=many")
        .await
        .problem(400, "invalid_query");
    house
        .get(root, "/calls?sort=name;drop%20table%20calls")
        .await
        .problem(400, "invalid_query");
    house
        .get(root, "/calls?grade=G")
        .await
        .problem(400, "invalid_query");
    house
        .get(root, "/leads?colour=red")
        .await
        .problem(400, "invalid_query");
    house
        .get(root, "/calls?cursor=zzz")
        .await
        .problem(400, "invalid_cursor");
    house
        .get(root, "/extensions?cursor=zzz")
        .await
        .problem(400, "invalid_cursor");
    house
        .get("", "/calls")
        .await
        .problem(401, "unauthenticated");
    house
        .get("hys_0000", "/calls")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_problem_speaks_the_clients_language_and_names_its_request() {
    let house = House::new().await;
    let request = house
        .request(Method::GET, "", "/calls")
        .header(header::ACCEPT_LANGUAGE, "zh-CN,zh;q=0.9,en;q=0.8")
        .header("x-request-id", "abcdef-0123")
        .body(Body::empty())
        .unwrap();
    let reply = house.send(request).await;
    assert_eq!(reply.header("x-request-id"), "abcdef-0123");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    let problem = reply.problem(401, "unauthenticated");
    assert_eq!(
        (problem["title"].as_str(), problem["request_id"].as_str()),
        (Some("请先登录"), Some("abcdef-0123"))
    );
    let forged = house
        .request(Method::GET, "", "/calls")
        .header("x-request-id", "a b")
        .body(Body::empty())
        .unwrap();
    assert_ne!(house.send(forged).await.header("x-request-id"), "a b");
}

#[tokio::test]
async fn text_with_sql_and_script_in_it_is_text() {
    let house = House::new().await;
    let root = &house.root;
    let evil = "'; DROP TABLE leads; -- <script>alert(1)</script>";
    let id = house
        .made(
            root,
            "/leads",
            json!({"number": "13800138000", "name": evil, "custom": {evil: evil}}),
        )
        .await;
    let view = house.get(root, &format!("/leads/{id}")).await.expect(200);
    assert_eq!(
        (view["name"].as_str(), view["custom"][evil].as_str()),
        (Some(evil), Some(evil))
    );
    let found = house.get(root, "/leads?q=%27%3B%20DROP").await.expect(200);
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    let wild = house.get(root, "/leads?q=%25").await.expect(200);
    assert!(
        wild["data"].as_array().unwrap().is_empty(),
        "a percent sign is no wild card"
    );
    house
        .post(
            root,
            "/leads",
            json!({"number": "13800138001", "name": "a\u{0}b"}),
        )
        .await
        .problem(422, "invalid");
}
