//! What a key carries is what it opens, on every route.

use crate::house::{House, document};
use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tower::ServiceExt;

async fn key(house: &House, scopes: &[&str]) -> String {
    let asked = json!({"name": "k", "scopes": scopes});
    let made = house
        .post(&house.root, "/api-keys", asked)
        .await
        .expect(201);
    made["key"].as_str().unwrap().to_owned()
}

/// Its status alone: some answers never end.
async fn status(house: &House, method: &str, path: &str, token: &str) -> u16 {
    let request = house
        .request(method.parse::<Method>().unwrap(), token, path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    house
        .router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_key_opens_the_routes_of_its_scopes_and_no_other() {
    let house = House::new().await;
    // Route → the permission it declares.
    let mut routes: Vec<(String, String, String)> = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let word = operation["security"][0]["bearer"][0].as_str();
            let Some(word) = word.filter(|word| *word != "account:own") else {
                continue;
            };
            let concrete = path
                .replace("{number}", "13800138000")
                .replace("{id}", "00000000-0000-7000-8000-000000000000")
                .replace("{tenant}", "00000000-0000-7000-8000-000000000000")
                .replace("{prompt}", "00000000-0000-7000-8000-000000000000");
            routes.push((method.to_uppercase(), concrete, word.to_owned()));
        }
    }
    let words: BTreeSet<&str> = routes.iter().map(|(_, _, word)| word.as_str()).collect();
    let mut keys: BTreeMap<&str, (String, String, String)> = BTreeMap::new();
    for word in &words {
        let others: Vec<&str> = words
            .iter()
            .filter(|other| *other != word)
            .copied()
            .collect();
        let subject = format!("{}:*", word.split(':').next().unwrap());
        let own = key(&house, &[word]).await;
        let star = key(&house, &[&subject]).await;
        keys.insert(word, (own, star, key(&house, &others).await));
    }
    for (method, path, word) in &routes {
        let (own, star, others) = &keys[word.as_str()];
        for token in [own, star] {
            let got = status(&house, method, path, token).await;
            assert!(
                got != 401 && got != 403,
                "{method} {path} with {word}: {got}"
            );
        }
        let got = status(&house, method, path, others).await;
        assert_eq!(got, 403, "{method} {path} without {word}");
    }
    // Nothing about the person is open to a key.
    let any = key(&house, &words.iter().copied().collect::<Vec<_>>()).await;
    for (method, path) in [
        ("GET", "/me"),
        ("PUT", "/me/password"),
        ("DELETE", "/sessions/current"),
    ] {
        assert_eq!(
            status(&house, method, path, &any).await,
            403,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_says_when_it_was_last_used() {
    let house = House::new().await;
    let root = &house.root;
    let until = (house.now() + std::time::Duration::from_secs(3600)).rfc3339();
    let asked = json!({"name": "k", "scopes": ["calls:read"], "expires_at": until});
    let made = house.post(root, "/api-keys", asked).await.expect(201);
    let token = made["key"].as_str().unwrap();
    let listed = || async {
        let page = house.get(root, "/api-keys").await.expect(200);
        page["data"][0].clone()
    };
    assert_eq!(listed().await["last_used_at"], Value::Null);
    house.get(token, "/calls").await.expect(200);
    assert_eq!(listed().await["last_used_at"], house.now().rfc3339());
    house.pass(3600);
    house
        .get(token, "/calls")
        .await
        .problem(401, "unauthenticated");
}
