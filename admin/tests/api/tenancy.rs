//! Two enterprises × every route of the document: an id of the other, in path, query or body, is not there, and nothing
//! of the other changes. A route that has no row here fails.

use crate::calls::{ended, keep};
use crate::house::{Campaign, House, PASSWORD, template, tone};
use crate::imports::finished;
use axum::http::Method;
use model::TenantId;
use serde_json::{Value, json};
use store::db::{Db, sql};

/// Everything an enterprise can have one of.
struct Belongings {
    tenant: TenantId,
    token: String,
    campaign: Campaign,
    extension: String,
    lead: String,
    user: String,
    key: String,
    prompt: String,
    call: String,
    import: String,
}

async fn furnish(house: &House, slug: &str, lead: &str) -> Belongings {
    let (tenant, token) = house.enterprise(slug).await;
    let campaign = house.campaign(tenant, &token).await;
    let extension = house
        .made(
            &token,
            "/extensions",
            json!({"number": "1001", "name": "desk"}),
        )
        .await;
    let lead = house
        .made(
            &token,
            "/leads",
            json!({"number": lead, "batch": "b1", "campaign_id": campaign.campaign}),
        )
        .await;
    let new = json!({"number": "7", "name": "Bo", "role": "agent", "password": "a good password"});
    let user = house.made(&token, "/users", new).await;
    let key = house
        .made(
            &token,
            "/api-keys",
            json!({"name": "k", "scopes": ["calls:read"]}),
        )
        .await;
    let prompts = format!("/templates/{}/prompts", campaign.template);
    let prompt = house
        .upload(&token, &prompts, "a.wav", &tone(1, 8000), &[])
        .await
        .expect(201);
    house
        .post(&token, "/do-not-call", json!({"number": "13700137000"}))
        .await
        .expect(201);
    std::fs::create_dir_all(house.folder.path().join("recordings")).unwrap();
    std::fs::write(
        house.folder.path().join(format!("recordings/{slug}.wav")),
        tone(1, 8000),
    )
    .unwrap();
    let finish = ended(tenant, house.now(), Some(&format!("{slug}.wav")));
    let call = finish.cdr.id.to_string();
    keep(house, vec![finish]).await;
    let prompt = prompt["id"].as_str().unwrap().to_owned();
    let import = house
        .upload(&token, "/leads/imports", "a.csv", b"phone\nnone\n", &[])
        .await
        .expect(202);
    let import = import["id"].as_str().unwrap().to_owned();
    finished(house, &token, &import).await;
    Belongings {
        tenant,
        token,
        campaign,
        extension,
        lead,
        user,
        key,
        prompt,
        call,
        import,
    }
}

/// What everything of an enterprise looks like from inside.
async fn snapshot(house: &House, own: &Belongings) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/extensions".to_owned(),
        "/trunks".into(),
        "/caller-numbers".into(),
        "/leads".into(),
        "/campaigns".into(),
        format!("/campaigns/{}/progress", own.campaign.campaign),
        format!("/templates/{}", own.campaign.template),
        format!("/templates/{}/prompts", own.campaign.template),
        "/calls".into(),
        "/users".into(),
        "/api-keys".into(),
        "/do-not-call".into(),
        "/leads/imports".into(),
        "/ledger".into(),
        "/balance".into(),
        "/settings".into(),
    ] {
        all.push(house.get(&own.token, &path).await.expect(200));
    }
    all
}

/// Every row of an enterprise in every table that has its column: how many, and what they say.
async fn contents(house: &House, tenant: TenantId) -> Vec<(String, String)> {
    let path = house.folder.path().join("huying.db");
    let db = Db::open(path.to_str().unwrap()).await.unwrap();
    let text = |text: String| sql(Box::leak(text.into_boxed_str()));
    let tables = sql(
        "SELECT m.name AS name, group_concat('quote(' || c.name || ')', '||') AS columns \
         FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' GROUP BY m.name \
         HAVING sum(c.name = 'tenant_id') = 1 ORDER BY m.name",
    );
    let mut all = Vec::new();
    for row in tables.all(&db).await.unwrap() {
        let (name, columns): (String, String) =
            (row.get("name").unwrap(), row.get("columns").unwrap());
        let rows = text(format!(
            "SELECT {columns} AS said FROM {name} WHERE tenant_id = $1 ORDER BY said"
        ));
        for row in rows.bind(tenant).all(&db).await.unwrap() {
            all.push((name.clone(), row.get("said").unwrap()));
        }
    }
    assert!(all.len() > 30, "the enterprise has rows: {}", all.len());
    all
}

enum Row {
    /// Only sees or touches what is the caller's own: nothing of the other can be named.
    Own,
    /// For everybody, before there is a caller.
    Public,
    /// For the platform's administrators: 403 for anybody else.
    Platform,
    /// Names the other's things; must be 404 (or 403).
    Names(String, Value),
    /// The same as an upload of a file.
    Upload(String, Vec<(&'static str, String)>),
}

fn rows(other: &Belongings) -> Vec<(&'static str, &'static str, Row)> {
    use Row::*;
    let (c, x) = (&other.campaign, json!({}));
    let names = |path: String, body: &Value| Names(path, body.clone());
    let plan = |field: &str, value: &str| {
        // The caller's own parts do not matter: the other's id is found missing first or last, never used.
        let mut plan = json!({
            "name": "stolen", "template_id": c.template, "caller_number_id": c.number, "trunk_id": c.trunk,
        });
        plan[field] = json!(value);
        plan
    };
    let at = |rest: &str| format!("/templates/{}{rest}", c.template);
    vec![
        ("GET", "/healthz", Public),
        ("GET", "/readyz", Public),
        ("GET", "/setup", Public),
        ("POST", "/setup", Public),
        ("POST", "/sessions", Public),
        ("DELETE", "/sessions/current", Own),
        ("GET", "/me", Own),
        ("PUT", "/me/password", Own),
        ("GET", "/users", Own),
        ("POST", "/users", Own),
        (
            "GET",
            "/users/{id}",
            names(format!("/users/{}", other.user), &x),
        ),
        (
            "PATCH",
            "/users/{id}",
            names(format!("/users/{}", other.user), &json!({"role": "admin"})),
        ),
        ("GET", "/api-keys", Own),
        ("POST", "/api-keys", Own),
        (
            "DELETE",
            "/api-keys/{id}",
            names(format!("/api-keys/{}", other.key), &x),
        ),
        ("GET", "/extensions", Own),
        (
            "POST",
            "/extensions",
            names(
                "/extensions".into(),
                &json!({"number": "1009", "name": "x", "trunk_id": c.trunk}),
            ),
        ),
        (
            "GET",
            "/extensions/{id}",
            names(format!("/extensions/{}", other.extension), &x),
        ),
        (
            "PATCH",
            "/extensions/{id}",
            names(
                format!("/extensions/{}", other.extension),
                &json!({"name": "taken"}),
            ),
        ),
        (
            "DELETE",
            "/extensions/{id}",
            names(format!("/extensions/{}", other.extension), &x),
        ),
        ("GET", "/trunks", Own),
        ("POST", "/trunks", Own),
        (
            "GET",
            "/trunks/{id}",
            names(format!("/trunks/{}", c.trunk), &x),
        ),
        (
            "PATCH",
            "/trunks/{id}",
            names(format!("/trunks/{}", c.trunk), &json!({"disabled": true})),
        ),
        (
            "DELETE",
            "/trunks/{id}",
            names(format!("/trunks/{}", c.trunk), &x),
        ),
        ("GET", "/caller-numbers", Own),
        ("POST", "/caller-numbers", Own),
        (
            "GET",
            "/caller-numbers/{id}",
            names(format!("/caller-numbers/{}", c.number), &x),
        ),
        (
            "DELETE",
            "/caller-numbers/{id}",
            names(format!("/caller-numbers/{}", c.number), &x),
        ),
        ("GET", "/leads", Own),
        (
            "POST",
            "/leads",
            names(
                "/leads".into(),
                &json!({"number": "13600136000", "campaign_id": c.campaign}),
            ),
        ),
        ("GET", "/leads/import-template.xlsx", Own),
        ("GET", "/leads/import-template.csv", Own),
        ("GET", "/leads/imports", Own),
        (
            "POST",
            "/leads/imports",
            Upload(
                "/leads/imports".into(),
                vec![("campaign_id", c.campaign.clone())],
            ),
        ),
        (
            "GET",
            "/leads/imports/{id}",
            names(format!("/leads/imports/{}", other.import), &x),
        ),
        (
            "POST",
            "/leads/imports/{id}/cancel",
            names(format!("/leads/imports/{}/cancel", other.import), &x),
        ),
        (
            "GET",
            "/leads/imports/{id}/rejects",
            names(format!("/leads/imports/{}/rejects", other.import), &x),
        ),
        (
            "POST",
            "/leads/enqueue",
            names(
                "/leads/enqueue".into(),
                &json!({"campaign_id": c.campaign, "lead_ids": [other.lead]}),
            ),
        ),
        (
            "GET",
            "/leads/{id}",
            names(format!("/leads/{}", other.lead), &x),
        ),
        (
            "PATCH",
            "/leads/{id}",
            names(format!("/leads/{}", other.lead), &json!({"name": "taken"})),
        ),
        (
            "DELETE",
            "/leads/{id}",
            names(format!("/leads/{}", other.lead), &x),
        ),
        (
            "POST",
            "/leads/{id}/take-back",
            names(format!("/leads/{}/take-back", other.lead), &x),
        ),
        (
            "GET",
            "/leads/{id}/why",
            names(format!("/leads/{}/why", other.lead), &x),
        ),
        ("GET", "/templates", Own),
        ("POST", "/templates", {
            let mut stolen = template("stolen");
            stolen["nodes"][0]["prompt"] = json!(other.prompt);
            names("/templates".into(), &stolen)
        }),
        ("POST", "/templates/validate", Own),
        ("GET", "/templates/{id}", names(at(""), &x)),
        ("PUT", "/templates/{id}", names(at(""), &template("taken"))),
        ("DELETE", "/templates/{id}", names(at(""), &x)),
        (
            "GET",
            "/templates/{id}/findings",
            names(at("/findings"), &x),
        ),
        ("GET", "/templates/{id}/nodes", names(at("/nodes"), &x)),
        (
            "PUT",
            "/templates/{id}/nodes",
            names(at("/nodes"), &json!([])),
        ),
        (
            "GET",
            "/templates/{id}/questions",
            names(at("/questions"), &x),
        ),
        (
            "PUT",
            "/templates/{id}/questions",
            names(at("/questions"), &json!([])),
        ),
        (
            "GET",
            "/templates/{id}/corrections",
            names(at("/corrections"), &x),
        ),
        (
            "PUT",
            "/templates/{id}/corrections",
            names(at("/corrections"), &json!([])),
        ),
        ("GET", "/templates/{id}/prompts", names(at("/prompts"), &x)),
        (
            "POST",
            "/templates/{id}/prompts",
            Upload(at("/prompts"), vec![]),
        ),
        (
            "GET",
            "/templates/{id}/prompts/{prompt}",
            names(at(&format!("/prompts/{}", other.prompt)), &x),
        ),
        ("GET", "/campaigns", Own),
        (
            "POST",
            "/campaigns",
            names("/campaigns".into(), &plan("template_id", &c.template)),
        ),
        (
            "GET",
            "/campaigns/{id}",
            names(format!("/campaigns/{}", c.campaign), &x),
        ),
        (
            "PUT",
            "/campaigns/{id}",
            names(format!("/campaigns/{}", c.campaign), &plan("name", "taken")),
        ),
        (
            "POST",
            "/campaigns/{id}/start",
            names(format!("/campaigns/{}/start", c.campaign), &x),
        ),
        (
            "POST",
            "/campaigns/{id}/pause",
            names(format!("/campaigns/{}/pause", c.campaign), &x),
        ),
        (
            "GET",
            "/campaigns/{id}/progress",
            names(format!("/campaigns/{}/progress", c.campaign), &x),
        ),
        ("GET", "/calls", Own),
        (
            "GET",
            "/calls/{id}",
            names(format!("/calls/{}", other.call), &x),
        ),
        (
            "GET",
            "/calls/{id}/recording",
            names(format!("/calls/{}/recording", other.call), &x),
        ),
        (
            "GET",
            "/calls/{id}/timeline",
            names(format!("/calls/{}/timeline", other.call), &x),
        ),
        (
            "POST",
            "/calls/{id}/regrade",
            names(
                format!("/calls/{}/regrade", other.call),
                &json!({"rules_version": 1}),
            ),
        ),
        (
            "POST",
            "/campaigns/{id}/regrade",
            names(
                format!("/campaigns/{}/regrade", c.campaign),
                &json!({"rules_version": 1}),
            ),
        ),
        ("GET", "/grade-rules", Own),
        ("POST", "/grade-rules", Own),
        ("GET", "/decisions", Own),
        ("GET", "/audit", Own),
        ("GET", "/live-calls", Own),
        (
            "POST",
            "/live-calls/{id}/hang-up",
            names(format!("/live-calls/{}/hang-up", other.call), &x),
        ),
        ("GET", "/balance", Own),
        ("GET", "/ledger", Own),
        ("GET", "/do-not-call", Own),
        (
            "POST",
            "/do-not-call",
            names(
                "/do-not-call".into(),
                &json!({"number": "13600136000", "campaign_id": c.campaign}),
            ),
        ),
        (
            "DELETE",
            "/do-not-call/{number}",
            names("/do-not-call/13700137000".into(), &x),
        ),
        // Its own test listens: `events`.
        ("GET", "/events", Own),
        ("GET", "/settings", Own),
        ("PUT", "/settings", Own),
        ("GET", "/platform/tenants", Platform),
        ("POST", "/platform/tenants", Platform),
        ("PATCH", "/platform/tenants/{id}", Platform),
        ("POST", "/platform/tenants/{id}/recharges", Platform),
        ("GET", "/platform/caller-numbers", Platform),
        (
            "POST",
            "/platform/tenants/{tenant}/caller-numbers/{id}/decision",
            Platform,
        ),
    ]
}

/// Each list is a file too, and what holds for the list holds for the file.
fn with_files(rows: Vec<(&'static str, &'static str, Row)>) -> Vec<(&'static str, String, Row)> {
    let routes = routes();
    let mut all = Vec::new();
    for (method, path, row) in rows {
        for ending in [".csv", ".xlsx"] {
            let file = format!("{path}{ending}");
            if method != "GET" || !routes.contains(&("GET".to_owned(), file.clone())) {
                continue;
            }
            let row = match &row {
                Row::Names(path, body) => Row::Names(format!("{path}{ending}"), body.clone()),
                Row::Platform => Row::Platform,
                _ => Row::Own,
            };
            all.push((method, file, row));
        }
        all.push((method, path.to_owned(), row));
    }
    all
}

fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(admin::document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                routes.push((
                    method.to_uppercase(),
                    path.trim_start_matches("/api/v1").to_owned(),
                ));
            }
        }
    }
    routes.sort();
    routes
}

#[tokio::test]
async fn an_id_of_another_enterprise_is_not_there_and_nothing_of_it_changes() {
    let house = House::new().await;
    let alpha = furnish(&house, "alpha", "13800138000").await;
    let beta = furnish(&house, "beta", "13800138001").await;
    let alpha_key = house
        .post(
            &alpha.token,
            "/api-keys",
            json!({"name": "all", "scopes": ["*"]}),
        )
        .await
        .expect(201)["key"]
        .as_str()
        .unwrap()
        .to_owned();
    // Only beta's number is on a list alpha could touch by that number.
    house
        .delete(&alpha.token, "/do-not-call/13700137000")
        .await
        .expect(204);
    let before = snapshot(&house, &beta).await;
    let rows = with_files(rows(&beta));
    let mut covered: Vec<(String, String)> = rows
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), path.clone()))
        .collect();
    covered.sort();
    assert_eq!(
        covered,
        routes(),
        "every route has a row here, and every row a route"
    );

    let stored = contents(&house, beta.tenant).await;
    let mut tokens = vec![alpha.token.clone(), alpha_key];
    for role in ["supervisor", "agent"] {
        let number = if role == "agent" { "31" } else { "32" };
        let new = json!({"number": number, "name": role, "role": role, "password": PASSWORD});
        house.made(&alpha.token, "/users", new).await;
        tokens.push(house.sign_in(&format!("{number}@alpha"), PASSWORD).await);
    }
    for token in &tokens {
        for (method, route, row) in &rows {
            let said = format!("{method} {route}");
            let verb: Method = method.parse().unwrap();
            let reply = match row {
                Row::Own | Row::Public => continue,
                Row::Platform => {
                    let path = route
                        .replace("{id}", &beta.campaign.number)
                        .replace("{tenant}", &beta.tenant.to_string());
                    let reply = house.with_body(verb, token, &path, json!({})).await;
                    assert_eq!(reply.status.as_u16(), 403, "{said}");
                    continue;
                }
                Row::Names(path, body) => house.with_body(verb, token, path, body.clone()).await,
                Row::Upload(path, fields) => {
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(name, value)| (*name, value.as_str()))
                        .collect();
                    house
                        .upload(token, path, "a.wav", &tone(1, 8000), &fields)
                        .await
                }
            };
            let status = reply.status.as_u16();
            assert!(
                status == 404 || status == 403,
                "{said}: {status} {}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
    }
    assert_eq!(contents(&house, beta.tenant).await, stored);
    assert_eq!(snapshot(&house, &beta).await, before);
    // Lists and filters by the other's ids are empty, not refused.
    for path in [
        format!("/calls?campaign_id={}", beta.campaign.campaign),
        format!("/leads?campaign_id={}", beta.campaign.campaign),
        format!("/ledger?call_id={}", beta.call),
        format!("/calls?lead_id={}", beta.lead),
        format!("/decisions?lead_id={}", beta.lead),
        format!("/audit?subject_id={}", beta.extension),
        format!("/extensions?trunk_id={}", beta.campaign.trunk),
        format!("/campaigns?template_id={}", beta.campaign.template),
        format!("/do-not-call?campaign_id={}", beta.campaign.campaign),
        format!("/api-keys?created_by={}", beta.user),
    ] {
        let list = house.get(&alpha.token, &path).await.expect(200);
        assert!(list["data"].as_array().unwrap().is_empty(), "{path}");
    }
    // A plan of one's own parts with one id of the other's.
    for (field, theirs) in [
        ("template_id", &beta.campaign.template),
        ("caller_number_id", &beta.campaign.number),
        ("trunk_id", &beta.campaign.trunk),
    ] {
        let mut plan = json!({
            "name": "mixed", "template_id": alpha.campaign.template, "caller_number_id": alpha.campaign.number,
            "trunk_id": alpha.campaign.trunk,
        });
        plan[field] = json!(theirs);
        let problem = house
            .post(&alpha.token, "/campaigns", plan)
            .await
            .problem(404, "not_found");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"));
    }
    let mixed = json!({"campaign_id": alpha.campaign.campaign, "lead_ids": [beta.lead]});
    house
        .post(&alpha.token, "/leads/enqueue", mixed)
        .await
        .problem(404, "not_found");
    assert_eq!(snapshot(&house, &beta).await, before);
}

#[tokio::test]
async fn without_a_credential_only_the_public_doors_open() {
    let house = House::new().await;
    let public = ["/healthz", "/readyz", "/setup", "/sessions"];
    for (method, path) in routes() {
        if public.contains(&path.as_str()) {
            continue;
        }
        let concrete = path
            .replace("{number}", "13800138000")
            .replace("{id}", "00000000-0000-7000-8000-000000000000")
            .replace("{tenant}", "00000000-0000-7000-8000-000000000000")
            .replace("{prompt}", "00000000-0000-7000-8000-000000000000");
        let reply = house
            .with_body(method.parse().unwrap(), "", &concrete, json!({}))
            .await;
        assert_eq!(reply.status.as_u16(), 401, "{method} {path}");
    }
}
