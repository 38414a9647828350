//! Lists: every sort by pages, cursors that belong to their list, parameters that are not understood.

use crate::house::{House, document};
use crate::imports::finished;
use serde_json::{Value, json};

fn rows(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().unwrap();
    rows.iter().map(Value::to_string).collect()
}

/// All of a list, two by two.
async fn by_pages(house: &House, path: &str, sort: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house
            .get(&house.root, &format!("{path}?limit=2&sort={sort}{cursor}"))
            .await
            .expect(200);
        all.extend(rows(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn every_sort_of_every_list_shows_each_row_once_by_pages() {
    let house = House::new().await;
    let root = &house.root;
    let campaign = house.campaign(house.tenant, root).await;
    for n in 0..5 {
        let (even, number) = (n % 2 == 0, 1001 + n);
        // Names repeat: the order must be whole all the same.
        let name = if even { "even" } else { "odd" };
        house
            .made(
                root,
                "/extensions",
                json!({"number": number.to_string(), "name": name}),
            )
            .await;
        house
            .made(
                root,
                "/trunks",
                json!({"name": format!("t{n}"), "user": format!("t{n}")}),
            )
            .await;
        house
            .made(
                root,
                "/caller-numbers",
                json!({"number": format!("0218888{number}")}),
            )
            .await;
        house
            .made(
                root,
                "/leads",
                json!({"number": format!("1380013{number}"), "name": name}),
            )
            .await;
        let listed = json!({"number": format!("1390013{number}")});
        house.post(root, "/do-not-call", listed).await.expect(201);
        house
            .made(root, "/templates", crate::house::template(&format!("t{n}")))
            .await;
        let plan = json!({
            "name": format!("c{n}"), "template_id": campaign.template, "caller_number_id": campaign.number,
            "trunk_id": campaign.trunk,
        });
        house.made(root, "/campaigns", plan).await;
        house
            .made(
                root,
                "/api-keys",
                json!({"name": name, "scopes": ["calls:read"]}),
            )
            .await;
        house.enterprise(&format!("e{n}")).await;
    }
    let sheet = b"phone\n1\n2\n3\n4\n5\n";
    let mut import = String::new();
    for _ in 0..3 {
        let begun = house
            .upload(root, "/leads/imports", "a.csv", sheet, &[])
            .await
            .expect(202);
        import = begun["id"].as_str().unwrap().to_owned();
        finished(&house, root, &import).await;
    }
    let mut seen = 0;
    for (path, item) in document()["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let Some(sort) = parameters
            .iter()
            .find(|parameter| parameter["name"] == "sort")
        else {
            continue;
        };
        // A file has no pages.
        if path.ends_with(".csv") || path.ends_with(".xlsx") {
            continue;
        }
        seen += 1;
        let path = path.trim_start_matches("/api/v1").replace("{id}", &import);
        let path = path.as_str();
        for name in sort["schema"]["enum"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let whole = house
                .get(root, &format!("{path}?limit=200&sort={name}"))
                .await
                .expect(200);
            let whole = rows(&whole);
            assert_eq!(by_pages(&house, path, name).await, whole, "{path} {name}");
            let mut other = match name.strip_prefix('-') {
                Some(up) => by_pages(&house, path, up).await,
                None => by_pages(&house, path, &format!("-{name}")).await,
            };
            other.reverse();
            assert_eq!(other, whole, "{path} {name}");
        }
        let problem = house
            .get(root, &format!("{path}?colour=red"))
            .await
            .problem(400, "invalid_query");
        assert_eq!(problem["errors"][0]["pointer"], "?colour");
        assert_eq!(problem["errors"][0]["code"], "unknown_parameter");
    }
    assert!(seen >= 17, "lists of the document: {seen}");
}

#[tokio::test]
async fn a_cursor_goes_on_with_its_own_list_only() {
    let house = House::new().await;
    let root = &house.root;
    for n in 0..3 {
        house
            .made(
                root,
                "/leads",
                json!({"number": format!("1380013800{n}"), "batch": "b"}),
            )
            .await;
    }
    let page = house
        .get(root, "/leads?limit=1&batch=b&state=listed,queued")
        .await
        .expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let same = house
        .get(
            root,
            &format!("/leads?state=listed,queued&batch=b&cursor={cursor}"),
        )
        .await
        .expect(200);
    assert_eq!(same["data"].as_array().unwrap().len(), 2);
    for other in [
        "/leads?batch=b&state=listed",
        "/leads?batch=c&state=listed,queued",
        "/leads?batch=b&state=listed,queued&sort=number",
        "/leads?batch=b&state=listed,queued&q=1",
        "/extensions?limit=1",
    ] {
        let problem = house
            .get(root, &format!("{other}&cursor={cursor}"))
            .await
            .problem(400, "invalid_cursor");
        assert_eq!(problem["errors"][0]["pointer"], "?cursor", "{other}");
    }
    for (query, pointer) in [
        ("grade=A,G", "?grade"),
        ("campaign_id=x", "?campaign_id"),
        ("created_at[gte]=yesterday", "?created_at[gte]"),
        ("created_at[gt]=2026-01-01T00:00:00Z", "?created_at[gt]"),
        ("limit=0", "?limit"),
        ("sort=name;drop", "?sort"),
        ("batch=a&batch=b", "?batch"),
    ] {
        let problem = house
            .get(root, &format!("/leads?{query}"))
            .await
            .problem(400, "invalid_query");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
    }
    // An unescaped plus of a zone is understood.
    house
        .get(root, "/leads?created_at[gte]=2026-01-01T00:00:00+08:00")
        .await
        .expect(200);
}
