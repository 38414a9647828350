//! `ETag`, `If-Match`, `If-None-Match`, and the audit of what was changed.

use crate::house::{House, Reply, document, template};
use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};

async fn with(
    house: &House,
    method: Method,
    path: &str,
    name: &str,
    tag: &str,
    body: Value,
) -> Reply {
    let mut request = house
        .request(method.clone(), &house.root, path)
        .header(name, tag);
    if method != Method::GET && method != Method::DELETE {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    house.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn a_change_made_from_another_version_is_refused_everywhere() {
    let house = House::new().await;
    let root = &house.root;
    let own = house.campaign(house.tenant, root).await;
    let extension = house
        .made(
            root,
            "/extensions",
            json!({"number": "1001", "name": "desk"}),
        )
        .await;
    let lead = house
        .made(root, "/leads", json!({"number": "13800138000"}))
        .await;
    let bo = json!({"number": "7", "name": "Bo", "role": "agent", "password": "a good password"});
    let user = house.made(root, "/users", bo).await;
    let plan = json!({
        "name": "winter", "template_id": own.template, "caller_number_id": own.number, "trunk_id": own.trunk,
    });
    let settings = json!({"name": "Acme", "zone": "Asia/Shanghai", "country": "86", "hours": {"spans": [{"day": "mon", "from": 540, "to": 1260}], "holidays": []}});
    let at = |part: &str| format!("/templates/{}{part}", own.template);
    let rows = [
        (
            Method::PATCH,
            format!("/extensions/{extension}"),
            json!({"name": "x"}),
        ),
        (
            Method::PATCH,
            format!("/trunks/{}", own.trunk),
            json!({"name": "x"}),
        ),
        (
            Method::PATCH,
            format!("/leads/{lead}"),
            json!({"name": "x"}),
        ),
        (
            Method::PATCH,
            format!("/users/{user}"),
            json!({"name": "x"}),
        ),
        (Method::PUT, format!("/campaigns/{}", own.campaign), plan),
        (Method::PUT, "/settings".to_owned(), settings),
        (Method::PUT, at(""), template("loan")),
        (Method::PUT, at("/nodes"), template("loan")["nodes"].clone()),
        (
            Method::PUT,
            at("/questions"),
            template("loan")["questions"].clone(),
        ),
        (
            Method::PUT,
            at("/corrections"),
            template("loan")["corrections"].clone(),
        ),
    ];
    for (method, path, body) in &rows {
        house.pass(1);
        let read = house.get(root, path).await;
        let tag = read.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        let known = with(
            &house,
            Method::GET,
            path,
            "if-none-match",
            &tag,
            Value::Null,
        )
        .await;
        assert_eq!(
            (known.status.as_u16(), known.bytes.len()),
            (304, 0),
            "{path}"
        );
        with(
            &house,
            method.clone(),
            path,
            "if-match",
            "\"0\"",
            body.clone(),
        )
        .await
        .problem(412, "precondition_failed");
        let changed = with(&house, method.clone(), path, "if-match", &tag, body.clone()).await;
        assert_eq!(changed.status.as_u16(), 200, "{path}");
        let fresh = house.get(root, path).await.header("etag").to_owned();
        assert_ne!(fresh, tag, "{path}");
        with(&house, method.clone(), path, "if-match", &tag, body.clone())
            .await
            .problem(412, "precondition_failed");
        let stale = with(
            &house,
            Method::GET,
            path,
            "if-none-match",
            &tag,
            Value::Null,
        )
        .await;
        assert_eq!(stale.status.as_u16(), 200, "{path}");
        let any = with(&house, method.clone(), path, "if-match", "*", body.clone()).await;
        assert_eq!(any.status.as_u16(), 200, "{path}");
    }
    let path = format!("/extensions/{extension}");
    with(
        &house,
        Method::DELETE,
        &path,
        "if-match",
        "\"0\"",
        Value::Null,
    )
    .await
    .problem(412, "precondition_failed");
    house.get(root, &path).await.expect(200);
    // Every route that may be changed takes the header.
    let without = [
        "delete /do-not-call/{number}",
        "delete /api-keys/{id}",
        "delete /sessions/current",
        "put /me/password",
    ];
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in ["put", "patch", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let said = format!("{method} {}", path.trim_start_matches("/api/v1"));
            let takes = operation["responses"].get("412").is_some();
            assert_eq!(takes, !without.contains(&said.as_str()), "{said}");
        }
    }
}

#[tokio::test]
async fn a_change_is_told_with_who_what_before_and_after_and_without_secrets() {
    let house = House::new().await;
    let root = &house.root;
    let made = house
        .made(
            root,
            "/extensions",
            json!({"number": "1001", "name": "desk", "password": "secret-word"}),
        )
        .await;
    let path = format!("/extensions/{made}");
    house
        .patch(
            root,
            &path,
            json!({"name": "front", "password": "another-word"}),
        )
        .await
        .expect(200);
    house.delete(root, &path).await.expect(204);
    let audit = house
        .get(root, &format!("/audit?subject_id={made}&sort=at"))
        .await
        .expect(200);
    let rows = audit["data"].as_array().unwrap();
    let actions: Vec<_> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "extension.created",
            "extension.updated",
            "extension.deleted"
        ]
    );
    assert_eq!(rows[1]["before"]["name"], "desk");
    assert_eq!(
        (&rows[1]["after"]["name"], &rows[1]["after"]["password"]),
        (&json!("front"), &json!("changed"))
    );
    let me = house.get(root, "/me").await.json();
    assert_eq!(
        (&rows[1]["actor"], &rows[1]["actor_id"]),
        (&json!("user"), &me["user_id"])
    );
    let everything = house
        .get(root, "/audit?limit=200")
        .await
        .expect(200)
        .to_string();
    for secret in [
        "secret-word",
        "another-word",
        crate::house::PASSWORD,
        "argon2",
    ] {
        assert!(!everything.contains(secret), "{secret}");
    }
}
