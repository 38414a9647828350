//! Extensions, trunks, caller numbers, settings, money.

use crate::house::House;
use engine::RegistrationView;
use model::Wall;
use serde_json::json;

fn registered(aor: &str) -> RegistrationView {
    RegistrationView {
        aor: aor.into(),
        contact: "sip:1001@192.0.2.7:5070".into(),
        source: "192.0.2.7:5070".into(),
        user_agent: "baresip".into(),
        expires_at: Wall::from_millis(1_795_000_300_000),
    }
}

#[tokio::test]
async fn an_extension_shows_who_is_registered_and_keeps_no_password() {
    let house = House::new().await;
    let root = &house.root;
    let asked = json!({"number": "1001", "name": "Front desk"});
    let made = house.post(root, "/extensions", asked).await.expect(201);
    assert_eq!(
        (made["username"].as_str(), made["realm"].as_str()),
        (Some("1001.acme"), Some("huying"))
    );
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 20);
    let path = format!("/extensions/{}", made["id"].as_str().unwrap());

    let scope = house.platform.tenant(house.tenant);
    let stored = house
        .store
        .extension(&scope, made["id"].as_str().unwrap().parse().unwrap());
    let expected = sip::Account::from_password("1001.acme", "huying", "1001.acme", password);
    assert_eq!(
        stored.await.unwrap().account,
        expected,
        "HA1 for MD5 and SHA-256"
    );

    let view = house.get(root, &path).await.expect(200);
    assert_eq!(view["registered"], false);
    assert!(!view.to_string().contains("ha1") && !view.to_string().contains(password));
    house
        .engine
        .lock()
        .unwrap()
        .registrations
        .push((house.tenant, registered("1001.acme")));
    let view = house.get(root, "/extensions").await.expect(200)["data"][0].clone();
    assert_eq!(view["registrations"][0]["source"], "192.0.2.7:5070");
    assert_eq!(
        view["registrations"][0]["expires_at"],
        "2026-11-18T11:11:40.000Z"
    );

    let own = json!({"password": "given by me 1".replace(' ', "-"), "name": "Desk"});
    let view = house.patch(root, &path, own).await.expect(200);
    assert_eq!(view["name"], "Desk");
    let problem = house
        .patch(root, &path, json!({"password": "密码密码密码密码"}))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    let problem = house
        .post(root, "/extensions", json!({"number": "1001", "name": "x"}))
        .await
        .problem(409, "already_exists");
    assert_eq!(problem["errors"][0]["pointer"], "/number");
    house.delete(root, &path).await.expect(204);
    house.get(root, &path).await.problem(404, "not_found");
    assert!(house.engine.lock().unwrap().changed.len() >= 3);
}

#[tokio::test]
async fn a_trunk_is_up_while_its_gateway_is_registered() {
    let house = House::new().await;
    let root = &house.root;
    let asked = json!({"name": "上海网关", "user": "gw1", "password": "gateway-secret", "max_concurrent": 4});
    let made = house.post(root, "/trunks", asked).await.expect(201);
    assert!(
        made.get("password").is_none(),
        "the caller knows it already"
    );
    let path = format!("/trunks/{}", made["id"].as_str().unwrap());
    assert_eq!(house.get(root, &path).await.expect(200)["state"], "down");
    house
        .engine
        .lock()
        .unwrap()
        .registrations
        .push((house.tenant, registered("gw1.acme")));
    assert_eq!(house.get(root, &path).await.expect(200)["state"], "up");
    let view = house
        .patch(
            root,
            &path,
            json!({"disabled": true, "calls_per_second": 2}),
        )
        .await
        .expect(200);
    assert_eq!(
        (view["state"].as_str(), view["calls_per_second"].as_u64()),
        (Some("disabled"), Some(2))
    );
    house
        .patch(root, &path, json!({"codecs": ["g729"]}))
        .await
        .problem(422, "invalid");

    let extension = json!({"number": "1002", "name": "x", "trunk_id": made["id"]});
    let id = house.made(root, "/extensions", extension).await;
    house.delete(root, &path).await.problem(409, "in_use");
    house
        .patch(
            root,
            &format!("/extensions/{id}"),
            json!({"trunk_id": null}),
        )
        .await
        .expect(200);
    house.delete(root, &path).await.expect(204);
}

#[tokio::test]
async fn a_caller_number_counts_once_the_platform_approves_it() {
    let house = House::new().await;
    let (beta, token) = house.enterprise("beta").await;
    let id = house
        .made(
            &token,
            "/caller-numbers",
            json!({"number": "021-8888 6666"}),
        )
        .await;
    let problem = house
        .post(&token, "/caller-numbers", json!({"number": "110"}))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "short_number");
    let extension = json!({"number": "1001", "name": "x", "caller_number_id": id});
    let extension = house.made(&token, "/extensions", extension).await;
    let extension = format!("/extensions/{extension}");
    assert_eq!(
        house.get(&token, &extension).await.expect(200)["display"],
        json!(null)
    );

    let waiting = house
        .get(&house.root, "/platform/caller-numbers")
        .await
        .expect(200);
    assert_eq!(waiting["data"][0]["number"], "+862188886666");
    let decision = format!("/platform/tenants/{beta}/caller-numbers/{id}/decision");
    house
        .post(&token, &decision, json!({"approved": true}))
        .await
        .problem(403, "forbidden");
    house
        .post(&house.root, &decision, json!({"approved": true}))
        .await
        .expect(204);
    assert_eq!(
        house.get(&token, &extension).await.expect(200)["display"],
        "+862188886666"
    );
    house
        .post(
            &house.root,
            &decision,
            json!({"approved": false, "note": "not yours"}),
        )
        .await
        .expect(204);
    let view = house
        .get(&token, &format!("/caller-numbers/{id}"))
        .await
        .expect(200);
    assert_eq!(
        (view["state"].as_str(), view["note"].as_str()),
        (Some("rejected"), Some("not yours"))
    );
    house
        .delete(&token, &format!("/caller-numbers/{id}"))
        .await
        .problem(409, "in_use");
}

#[tokio::test]
async fn settings_are_the_enterprises_and_terms_are_the_platforms() {
    let house = House::new().await;
    let (beta, token) = house.enterprise("beta").await;
    let mut settings = house.get(&token, "/settings").await.expect(200);
    assert_eq!(
        settings["dialling"]["calling_window"]["spans"]
            .as_array()
            .unwrap()
            .len(),
        7
    );
    let asked = json!({
        "name": "Beta", "zone": "Asia/Hong_Kong", "country": "852",
        "hours": {"spans": [{"day": "mon", "from": 540, "to": 1080}], "holidays": ["2026-12-25"]},
        "dialling": settings["dialling"].take(),
    });
    let saved = house
        .put(&token, "/settings", asked.clone())
        .await
        .expect(200);
    assert_eq!(
        (
            saved["zone"].as_str(),
            saved["hours"]["holidays"][0].as_str()
        ),
        (Some("Asia/Hong_Kong"), Some("2026-12-25"))
    );
    let mut wrong = asked.clone();
    wrong["zone"] = json!("Mars/Olympus");
    wrong["hours"]["spans"][0]["to"] = json!(2000);
    let problem = house
        .put(&token, "/settings", wrong)
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
    let mut greedy = asked;
    greedy["rate"] = json!({"per_interval_minor": 0, "interval_seconds": 60});
    house
        .put(&token, "/settings", greedy)
        .await
        .problem(422, "invalid");

    let terms = json!({"rate": {"per_interval_minor": 9, "interval_seconds": 6}, "robot_lines": 40, "domains": ["Beta.example"]});
    house
        .patch(&house.root, &format!("/platform/tenants/{beta}"), terms)
        .await
        .expect(204);
    let settings = house.get(&token, "/settings").await.expect(200);
    assert_eq!(
        settings["rate"],
        json!({"version": 2, "per_interval_minor": 9, "interval_seconds": 6})
    );
    assert_eq!(
        (
            settings["robot_lines"].as_u64(),
            settings["domains"][0].as_str()
        ),
        (Some(40), Some("beta.example"))
    );
}

#[tokio::test]
async fn a_receipt_is_booked_once() {
    let house = House::new().await;
    let (beta, token) = house.enterprise("beta").await;
    let path = format!("/platform/tenants/{beta}/recharges");
    let receipt = json!({"amount_minor": 100_000, "reference": "R-1", "note": "bank"});
    let first = house
        .post(&house.root, &path, receipt.clone())
        .await
        .expect(201);
    assert_eq!(first, json!({"booked": true, "available_minor": 100_000}));
    let again = house.post(&house.root, &path, receipt).await.expect(201);
    assert_eq!(again, json!({"booked": false, "available_minor": 100_000}));
    let other = json!({"amount_minor": 5, "reference": "R-1"});
    house
        .post(&house.root, &path, other)
        .await
        .problem(409, "already_exists");
    house
        .post(
            &house.root,
            &path,
            json!({"amount_minor": -5, "reference": "R-2"}),
        )
        .await
        .problem(422, "invalid");
    house
        .post(
            &token,
            &path,
            json!({"amount_minor": 5, "reference": "R-3"}),
        )
        .await
        .problem(403, "forbidden");

    assert_eq!(
        house.get(&token, "/balance").await.expect(200)["available_minor"],
        100_000
    );
    let ledger = house
        .get(&token, "/ledger?kind=recharge,refund")
        .await
        .expect(200);
    let posting = &ledger["data"][0];
    assert_eq!(
        (posting["kind"].as_str(), posting["note"].as_str()),
        (Some("recharge"), Some("bank"))
    );
    let sum: i64 = posting["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["amount_minor"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, 0);
    assert!(
        house.get(&house.root, "/ledger").await.expect(200)["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    house
        .get(&token, "/ledger?kind=gift")
        .await
        .problem(400, "invalid_query");
}
