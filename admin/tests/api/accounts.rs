//! Set-up, signing in, keys, people.

use crate::house::{House, PASSWORD};
use axum::body::Body;
use axum::http::{Method, header};
use serde_json::json;

#[tokio::test]
async fn the_setup_link_makes_the_first_administrator_once() {
    let house = House::empty().await;
    assert_eq!(house.get("", "/setup").await.expect(200)["open"], true);
    let asked = |token: &str| json!({"token": token, "enterprise": {"slug": "acme", "name": "Acme"}, "name": "Ana", "password": PASSWORD});
    house
        .post("", "/setup", asked("hyi_made-up"))
        .await
        .problem(410, "setup_closed");
    let first = house.setup_token().await;
    let token = house.setup_token().await;
    house
        .post("", "/setup", asked(&first))
        .await
        .problem(410, "setup_closed");
    let mut short = asked(&token);
    short["password"] = json!("short");
    let problem = house
        .post("", "/setup", short)
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    let made = house.post("", "/setup", asked(&token)).await.expect(201);
    assert_eq!(made["login"], "acme");
    house
        .post("", "/setup", asked(&token))
        .await
        .problem(410, "setup_closed");
    assert_eq!(house.get("", "/setup").await.expect(200)["open"], false);
    let link = admin::setup_link(&house.store, &house.platform, "http://h", house.now())
        .await
        .unwrap();
    assert_eq!(link, None);
}

#[tokio::test]
async fn a_setup_link_expires_after_thirty_minutes() {
    let house = House::empty().await;
    let token = house.setup_token().await;
    house.pass(30 * 60);
    let asked = json!({
        "token": token, "enterprise": {"slug": "acme", "name": "Acme"}, "name": "Ana", "password": PASSWORD,
    });
    house
        .post("", "/setup", asked)
        .await
        .problem(410, "setup_closed");
}

#[tokio::test]
async fn a_session_opens_by_bearer_or_cookie_and_ends_by_signing_out() {
    let house = House::new().await;
    let me = house.get(&house.root, "/me").await.expect(200);
    assert_eq!(
        (me["login"].as_str(), me["platform_admin"].as_bool()),
        (Some("acme"), Some(true))
    );
    assert!(
        me["permissions"]
            .as_array()
            .unwrap()
            .contains(&json!("platform:write"))
    );

    let asked = json!({"login": " ACME ", "password": PASSWORD});
    let reply = house.post("", "/sessions", asked).await;
    let cookie = reply.header("set-cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap().to_owned();
    let by_cookie = |method: Method, path: &str, site: &str| {
        house
            .request(method, "", path)
            .header(header::COOKIE, &pair)
            .header("sec-fetch-site", site)
            .body(Body::empty())
            .unwrap()
    };
    house
        .send(by_cookie(Method::GET, "/me", "same-origin"))
        .await
        .expect(200);
    house
        .send(by_cookie(Method::DELETE, "/sessions/current", "cross-site"))
        .await
        .problem(403, "cross_site");
    house
        .send(by_cookie(
            Method::DELETE,
            "/sessions/current",
            "same-origin",
        ))
        .await
        .expect(204);
    house
        .send(by_cookie(Method::GET, "/me", "same-origin"))
        .await
        .problem(401, "unauthenticated");
    house.get(&house.root, "/me").await.expect(200);
    house.pass(12 * 3600);
    house
        .get(&house.root, "/me")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn unknown_accounts_and_wrong_passwords_look_the_same_and_are_slowed_down() {
    let house = House::new().await;
    let wrong = |login: &str| json!({"login": login, "password": "not this one"});
    let known = house
        .post("", "/sessions", wrong("acme"))
        .await
        .problem(401, "wrong_credentials");
    let unknown = house
        .post("", "/sessions", wrong("nobody"))
        .await
        .problem(401, "wrong_credentials");
    assert_eq!(known["title"], unknown["title"]);
    for _ in 0..7 {
        house
            .post("", "/sessions", wrong("acme"))
            .await
            .problem(401, "wrong_credentials");
    }
    let reply = house.post("", "/sessions", wrong("acme")).await;
    assert!(!reply.header("retry-after").is_empty());
    reply.problem(429, "too_many_attempts");
    house.pass(301);
    house.sign_in("acme", PASSWORD).await;
}

#[tokio::test]
async fn an_api_key_is_shown_once_and_opens_what_its_words_say() {
    let house = House::new().await;
    let asked = json!({"name": "crm", "scopes": ["calls:read", "campaigns:*"], "expires_at": "2030-01-01T00:00:00Z"});
    let made = house
        .post(&house.root, "/api-keys", asked)
        .await
        .expect(201);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    house.get(key, "/calls").await.expect(200);
    house.get(key, "/campaigns").await.expect(200);
    let problem = house.get(key, "/leads").await.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("leads:read"));
    house
        .get(key, "/platform/tenants")
        .await
        .problem(403, "forbidden");
    let listed = house.get(&house.root, "/api-keys").await.expect(200);
    assert!(
        !listed.to_string().contains(key),
        "the key itself is never shown again"
    );
    assert!(listed["data"][0]["last_used_at"].is_string());
    house
        .delete(&house.root, &format!("/api-keys/{id}"))
        .await
        .expect(204);
    house
        .get(key, "/calls")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_api_key_expires_and_never_reaches_beyond_itself_or_its_maker() {
    let house = House::new().await;
    let later = house.now().as_millis() + 60_000;
    let at = model::Wall::from_millis(later).rfc3339();
    let asked = json!({"name": "maker", "scopes": ["keys:*", "calls:read"], "expires_at": at});
    let made = house
        .post(&house.root, "/api-keys", asked)
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap();
    let wider = json!({"name": "wider", "scopes": ["calls:read", "*", "leads:fly"]});
    let problem = house
        .post(key, "/api-keys", wider)
        .await
        .problem(422, "invalid");
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].clone())
        .collect();
    assert_eq!(
        pointers,
        [json!("/scopes/1"), json!("/scopes/2"), json!("/scopes/2")]
    );
    house
        .post(
            key,
            "/api-keys",
            json!({"name": "same", "scopes": ["calls:read"]}),
        )
        .await
        .expect(201);
    house.pass(60);
    house
        .get(key, "/calls")
        .await
        .problem(401, "unauthenticated");

    // A key of somebody who became an agent may do what an agent may.
    let user = house
        .made(
            &house.root,
            "/users",
            json!({"number": "7", "name": "Bo", "role": "admin", "password": PASSWORD}),
        )
        .await;
    let bo = house.sign_in("7@acme", PASSWORD).await;
    let made = house
        .post(&bo, "/api-keys", json!({"name": "bo", "scopes": ["*"]}))
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap();
    house.get(key, "/api-keys").await.expect(200);
    house
        .patch(
            &house.root,
            &format!("/users/{user}"),
            json!({"role": "agent"}),
        )
        .await
        .expect(200);
    house.get(key, "/api-keys").await.problem(403, "forbidden");
    house.get(key, "/calls").await.expect(200);
}

#[tokio::test]
async fn roles_bound_what_people_may_do_and_a_change_ends_their_sessions() {
    let house = House::new().await;
    let ana = &house.root;
    let new = |number: &str, role: &str| json!({"number": number, "name": role, "role": role, "password": PASSWORD});
    let agent = house.made(ana, "/users", new("12", "agent")).await;
    house.made(ana, "/users", new("20", "supervisor")).await;
    house
        .post(ana, "/users", new("12", "agent"))
        .await
        .problem(409, "already_exists");

    let agent_token = house.sign_in("12@acme", PASSWORD).await;
    house.get(&agent_token, "/calls").await.expect(200);
    house
        .post(&agent_token, "/leads", json!({"number": "13800138000"}))
        .await
        .problem(403, "forbidden");
    house
        .get(&agent_token, "/users")
        .await
        .problem(403, "forbidden");
    let supervisor = house.sign_in("20@acme", PASSWORD).await;
    house
        .post(&supervisor, "/leads", json!({"number": "13800138000"}))
        .await
        .expect(201);
    house
        .get(&supervisor, "/api-keys")
        .await
        .problem(403, "forbidden");
    house
        .get(&supervisor, "/platform/tenants")
        .await
        .problem(403, "forbidden");

    house
        .patch(
            ana,
            &format!("/users/{agent}"),
            json!({"role": "supervisor"}),
        )
        .await
        .expect(200);
    house
        .get(&agent_token, "/me")
        .await
        .problem(401, "unauthenticated");
    let again = house.sign_in("12@acme", PASSWORD).await;
    house
        .patch(ana, &format!("/users/{agent}"), json!({"disabled": true}))
        .await
        .expect(200);
    house
        .get(&again, "/me")
        .await
        .problem(401, "unauthenticated");
    house
        .post(
            "",
            "/sessions",
            json!({"login": "12@acme", "password": PASSWORD}),
        )
        .await
        .problem(401, "wrong_credentials");
    // Mass assignment: nobody becomes the platform's administrator through a field.
    let grab = json!({"platform_admin": true});
    let problem = house
        .patch(ana, &format!("/users/{agent}"), grab)
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "unknown_field");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let house = House::new().await;
    let other = house.sign_in("acme", PASSWORD).await;
    let change = |old: &str, new: &str| json!({"old": old, "new": new});
    let problem = house
        .put(&house.root, "/me/password", change("wrong", "another one"))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/old");
    house
        .put(&house.root, "/me/password", change(PASSWORD, "another one"))
        .await
        .expect(204);
    house.get(&house.root, "/me").await.expect(200);
    house
        .get(&other, "/me")
        .await
        .problem(401, "unauthenticated");
    house.sign_in("acme", "another one").await;
}

#[tokio::test]
async fn a_banned_enterprise_is_out_at_once() {
    let house = House::new().await;
    let (tenant, token) = house.enterprise("beta").await;
    let made = house
        .post(
            &token,
            "/api-keys",
            json!({"name": "k", "scopes": ["calls:read"]}),
        )
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap();
    house
        .patch(
            &token,
            &format!("/platform/tenants/{tenant}"),
            json!({"banned": false}),
        )
        .await
        .problem(403, "forbidden");
    house
        .patch(
            &house.root,
            &format!("/platform/tenants/{tenant}"),
            json!({"banned": true}),
        )
        .await
        .expect(204);
    house
        .get(&token, "/me")
        .await
        .problem(401, "unauthenticated");
    house.get(key, "/calls").await.problem(403, "tenant_banned");
    house
        .post(
            "",
            "/sessions",
            json!({"login": "beta", "password": PASSWORD}),
        )
        .await
        .problem(403, "tenant_banned");
    assert!(
        house.engine.lock().unwrap().changed.contains(&tenant),
        "the engine drops its devices"
    );
    let own = format!("/platform/tenants/{}", house.tenant);
    house
        .patch(&house.root, &own, json!({"banned": true}))
        .await
        .problem(409, "wrong_state");
}
