//! Leads, do-not-call, campaigns.

use crate::house::House;
use serde_json::{Value, json};

#[tokio::test]
async fn leads_are_added_found_changed_and_deleted() {
    let house = House::new().await;
    let root = &house.root;
    let id = house
        .made(root, "/leads", json!({"number": "138 0013 8000", "name": "王一", "batch": "b1", "custom": {"城市": "上海"}}))
        .await;
    house
        .made(
            root,
            "/leads",
            json!({"number": "13900139000", "name": "李二", "batch": "b2"}),
        )
        .await;
    house
        .post(root, "/leads", json!({"number": "+8613800138000"}))
        .await
        .problem(409, "already_exists");
    let problem = house
        .post(root, "/leads", json!({"number": "119"}))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "short_number");

    for (query, n) in [
        ("", 2),
        ("?batch=b1", 1),
        ("?q=%E7%8E%8B", 1),
        ("?q=139", 1),
        ("?state=queued", 0),
        ("?grade=A", 0),
    ] {
        let found = house.get(root, &format!("/leads{query}")).await.expect(200);
        assert_eq!(found["data"].as_array().unwrap().len(), n, "{query}");
    }
    let path = format!("/leads/{id}");
    let view = house
        .patch(root, &path, json!({"name": "王一一"}))
        .await
        .expect(200);
    assert_eq!(
        (view["name"].as_str(), view["custom"]["城市"].as_str()),
        (Some("王一一"), Some("上海"))
    );
    house
        .patch(root, &path, json!({"state": "done"}))
        .await
        .problem(422, "invalid");
    house.delete(root, &path).await.expect(204);
    house.get(root, &path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_list_goes_on_where_its_cursor_says() {
    let house = House::new().await;
    for n in 0..5 {
        house
            .made(
                &house.root,
                "/leads",
                json!({"number": format!("1380013800{n}")}),
            )
            .await;
    }
    let mut seen = Vec::new();
    let mut path = "/leads?limit=2".to_owned();
    loop {
        let page = house.get(&house.root, &path).await.expect(200);
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|lead| lead["number"].to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/leads?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn a_campaign_is_planned_filled_started_and_paused() {
    let house = House::new().await;
    let root = &house.root;
    let made = house.campaign(house.tenant, root).await;
    let path = format!("/campaigns/{}", made.campaign);
    let view = house.get(root, &path).await.expect(200);
    assert_eq!(
        (
            view["state"].as_str(),
            view["lines"].as_u64(),
            view["zone"].as_str()
        ),
        (Some("draft"), Some(2), Some("Asia/Shanghai"))
    );

    let lead = house
        .made(
            root,
            "/leads",
            json!({"number": "13800138000", "batch": "b1"}),
        )
        .await;
    house
        .made(
            root,
            "/leads",
            json!({"number": "13800138001", "batch": "b1"}),
        )
        .await;
    let ask = |rest: Value| {
        let mut body = json!({"campaign_id": made.campaign});
        body.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        body
    };
    let queued = house
        .post(root, "/leads/enqueue", ask(json!({"lead_ids": [lead]})))
        .await
        .expect(200);
    assert_eq!(queued, json!({"queued": 1, "skipped": 0}));
    let queued = house
        .post(root, "/leads/enqueue", ask(json!({"batch": "b1"})))
        .await
        .expect(200);
    assert_eq!(queued, json!({"queued": 1, "skipped": 1}));
    house
        .post(root, "/leads/enqueue", ask(json!({})))
        .await
        .problem(422, "invalid");
    house
        .post(
            root,
            "/leads/enqueue",
            ask(json!({"batch": "b1", "all_listed": true})),
        )
        .await
        .problem(422, "invalid");

    let progress = house
        .get(root, &format!("{path}/progress"))
        .await
        .expect(200);
    assert_eq!(
        (
            progress["leads"].as_u64(),
            progress["states"]["queued"].as_u64()
        ),
        (Some(2), Some(2))
    );
    assert!(progress["next_due_at"].is_string());
    let why = house
        .get(root, &format!("/leads/{lead}/why"))
        .await
        .expect(200);
    assert_eq!(
        (
            why["lead"]["state"].as_str(),
            why["decisions"].as_array().unwrap().len()
        ),
        (Some("queued"), 0)
    );
    let back = house
        .post(root, &format!("/leads/{lead}/take-back"), json!({}))
        .await
        .expect(200);
    assert_eq!(back["state"], "listed");

    // Its template has no recordings yet: not diallable where the robot's own check says so.
    let template = house
        .get(root, &format!("/templates/{}", made.template))
        .await
        .expect(200);
    let started = house.post(root, &format!("{path}/start"), json!({})).await;
    if template["diallable"] == true {
        assert_eq!(started.expect(200)["state"], "running");
        assert_eq!(
            house
                .post(root, &format!("{path}/pause"), json!({}))
                .await
                .expect(200)["state"],
            "paused"
        );
        assert!(!house.engine.lock().unwrap().campaigns_changed.is_empty());
        house
            .delete(root, &format!("/templates/{}", made.template))
            .await
            .problem(409, "wrong_state");
    } else {
        let problem = started.problem(409, "template_incomplete");
        assert!(!problem["errors"].as_array().unwrap().is_empty() && problem["fix"].is_string());
        house
            .post(root, &format!("{path}/pause"), json!({}))
            .await
            .problem(409, "wrong_state");
    }
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_names_its_field() {
    let house = House::new().await;
    let root = &house.root;
    let made = house.campaign(house.tenant, root).await;
    let plan = json!({
        "name": "second", "template_id": made.template, "caller_number_id": made.number, "trunk_id": made.trunk,
    });
    for (field, value) in [
        ("lines", json!(0)),
        ("max_attempts", json!(0)),
        ("unconnected", json!(0)),
        ("ring_timeout_seconds", json!(5)),
        ("max_duration_seconds", json!(100_000)),
        ("zone", json!("Nowhere")),
        ("robot_hours", json!({"spans": []})),
        (
            "calling_window",
            json!({"spans": [{"day": "mon", "from": 60, "to": 60}]}),
        ),
    ] {
        let mut wrong = plan.clone();
        wrong[field] = value;
        let problem = house
            .post(root, "/campaigns", wrong)
            .await
            .problem(422, "invalid");
        assert_eq!(
            problem["errors"][0]["pointer"],
            format!("/{field}"),
            "{problem}"
        );
    }
    let mut same_name = plan.clone();
    same_name["name"] = json!("autumn");
    house
        .post(root, "/campaigns", same_name)
        .await
        .problem(409, "already_exists");
    let path = format!("/campaigns/{}", made.campaign);
    let mut changed = plan;
    changed["retry"] = json!({"busy_seconds": 60, "no_answer_seconds": null});
    let view = house.put(root, &path, changed).await.expect(200);
    assert_eq!(
        (
            view["retry"]["busy_seconds"].as_u64(),
            &view["retry"]["no_answer_seconds"]
        ),
        (Some(60), &Value::Null)
    );
}

#[tokio::test]
async fn an_unapproved_number_starts_nothing() {
    let house = House::new().await;
    let root = &house.root;
    let made = house.campaign(house.tenant, root).await;
    let decision = format!(
        "/platform/tenants/{}/caller-numbers/{}/decision",
        house.tenant, made.number
    );
    house
        .post(root, &decision, json!({"approved": false}))
        .await
        .expect(204);
    let reply = house
        .post(
            root,
            &format!("/campaigns/{}/start", made.campaign),
            json!({}),
        )
        .await;
    assert_eq!(reply.status.as_u16(), 409);
    assert_eq!(
        house
            .get(root, &format!("/campaigns/{}", made.campaign))
            .await
            .expect(200)["state"],
        "draft"
    );
}

#[tokio::test]
async fn a_number_on_the_list_is_out_of_the_queues() {
    let house = House::new().await;
    let root = &house.root;
    let made = house.campaign(house.tenant, root).await;
    let lead = house
        .made(root, "/leads", json!({"number": "13800138000"}))
        .await;
    house
        .post(
            root,
            "/leads/enqueue",
            json!({"campaign_id": made.campaign, "lead_ids": [lead]}),
        )
        .await
        .expect(200);
    let asked = json!({"number": "13800138000", "note": "asked by mail"});
    let stopped = house.post(root, "/do-not-call", asked).await.expect(201);
    assert_eq!(stopped, json!({"number": "+8613800138000", "stopped": 1}));
    assert_eq!(
        house.get(root, &format!("/leads/{lead}")).await.expect(200)["state"],
        "suppressed"
    );
    let list = house.get(root, "/do-not-call?q=%2B86138").await.expect(200);
    assert_eq!(
        (
            list["data"][0]["by"].as_str(),
            list["data"][0]["list"].as_str()
        ),
        (Some("api"), Some("tenant"))
    );
    house
        .delete(root, "/do-not-call/13800138000")
        .await
        .expect(204);
    house
        .delete(root, "/do-not-call/13800138000")
        .await
        .problem(404, "not_found");
}
