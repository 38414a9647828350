//! A tour of every route: what it sends are the document's request examples, what comes back its response examples.

use crate::calls::{ended, keep};
use crate::house::{House, PASSWORD, document, template, tone};
use crate::imports::finished;
use crate::schema;
use axum::body::Body;
use axum::http::Method;
use engine::LiveCallView;
use model::{CallId, Direction};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

struct Tour<'h> {
    house: &'h House,
    /// What was made, by name.
    known: HashMap<&'static str, String>,
    token: String,
    seen: BTreeMap<String, Value>,
    /// As they are shown: the same ones every time.
    ids: HashMap<String, String>,
}

impl Tour<'_> {
    /// `$name` in path and body is what `keep` kept under that name.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut names: Vec<_> = self.known.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, value) in names {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    async fn go(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
        keep: Option<&'static str>,
    ) {
        let path = self.fill(path);
        let body = body.map(|body| self.fill(&body.to_string()));
        let sent = body
            .as_deref()
            .map(|text| serde_json::from_str(text).unwrap());
        let verb: Method = method.parse().unwrap();
        let mut request = self.house.request(verb, &self.token, &path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(body.map_or(Body::empty(), Body::from))
            .unwrap();
        let reply = self.house.send(request).await;
        let asked = path.split('?').next().unwrap_or_default();
        self.record(method, &path, sent, reply, keep);
        // Many lists are files, too.
        for ending in ["csv", "xlsx"] {
            let file = format!("{asked}.{ending}");
            let route = schema::operation(document(), method, &format!("/api/v1{file}"));
            if route.is_some_and(|(route, _)| route.ends_with(ending)) {
                let reply = self.house.get(&self.token, &file).await;
                self.record(method, &file, None, reply, None);
            }
        }
    }

    async fn upload(
        &mut self,
        path: &str,
        name: &str,
        file: &[u8],
        fields: &[(&str, &str)],
        keep: Option<&'static str>,
    ) {
        let path = self.fill(path);
        let reply = self
            .house
            .upload(&self.token, &path, name, file, fields)
            .await;
        let mut sent: Map<String, Value> = Map::new();
        sent.insert("file".into(), json!(format!("({name})")));
        for (name, value) in fields {
            sent.insert((*name).into(), json!(value));
        }
        self.record("POST", &path, Some(Value::Object(sent)), reply, keep);
    }

    fn record(
        &mut self,
        method: &str,
        path: &str,
        sent: Option<Value>,
        reply: crate::house::Reply,
        keep: Option<&'static str>,
    ) {
        let status = reply.status.as_u16();
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        assert!(
            reply.status.is_success(),
            "{method} {path}: {status} {text}"
        );
        let full = match path {
            "/healthz" | "/readyz" => path.to_owned(),
            path => format!("/api/v1{path}"),
        };
        let document = document();
        let (route, operation) = schema::operation(document, method, &full).unwrap();
        let answer = &operation["responses"][status.to_string()];
        let kind = reply
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default();
        let got = match kind {
            "application/json" => Some(reply.json()),
            "text/plain" => Some(json!(text)),
            _ => None,
        };
        if let Some(got) = &got {
            let wrong = schema::check(document, &answer["content"][kind]["schema"], got);
            assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}");
        }
        if let Some(name) = keep {
            let id = got.as_ref().and_then(|got| got["id"].as_str()).unwrap();
            self.known.insert(name, id.to_owned());
        }
        let mut example = Map::new();
        if let Some(sent) = sent {
            example.insert("request".into(), self.shown(sent));
        }
        example.insert("status".into(), json!(status));
        if let Some(got) = got {
            example.insert("response".into(), self.shown(got));
        }
        let key = format!("{method} {route}");
        self.seen.entry(key).or_insert(Value::Object(example));
    }

    /// With ids, tokens and passwords that are the same every time.
    fn shown(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(values) => values.into_iter().map(|value| self.shown(value)).collect(),
            Value::Object(fields) => {
                let shown = fields.into_iter().map(|(name, value)| {
                    let value = match (name.as_str(), value) {
                        ("password", Value::String(text)) if text.len() == 20 => {
                            json!("kx7m2p9qhw4tzr5v8ncb")
                        }
                        ("prefix", _) => json!("hyk_00000000"),
                        ("next_cursor", _) => json!("0".repeat(64)),
                        (_, value) => self.shown(value),
                    };
                    (name, value)
                });
                Value::Object(shown.collect())
            }
            other => other,
        }
    }

    fn text(&mut self, text: String) -> String {
        for kind in ["hys_", "hyk_", "hyi_"] {
            if text.starts_with(kind) {
                return format!("{kind}{}", "0".repeat(64));
            }
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            match rest
                .get(..36)
                .filter(|piece| uuid::Uuid::parse_str(piece).is_ok())
            {
                Some(id) => {
                    let n = self.ids.len() + 1;
                    let shown = || format!("01920000-0000-7000-8000-{n:012}");
                    out.push_str(self.ids.entry(id.to_owned()).or_insert_with(shown));
                    rest = &rest[36..];
                }
                None => {
                    let first = rest.chars().next().unwrap();
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        out
    }
}

/// With all a robot may have to say: a campaign may start with it.
fn whole(name: &str) -> Value {
    let mut whole = template(name);
    let say = |text: &str| json!({"text": text});
    whole["prompts"] = json!({
        "silence": say("您好,听得到吗?"), "unmatched": say("不好意思,请再说一遍。"), "fallback": say("好的。"),
        "cut": say("感谢接听,再见。"),
    });
    whole
}

async fn tour(house: &House, link: String) -> BTreeMap<String, Value> {
    let mut t = Tour {
        house,
        known: HashMap::from([("link", link)]),
        token: String::new(),
        seen: BTreeMap::new(),
        ids: HashMap::new(),
    };
    t.go("GET", "/healthz", None, None).await;
    t.go("GET", "/readyz", None, None).await;
    t.go("GET", "/setup", None, None).await;
    let enterprise =
        json!({"slug": "acme", "name": "极光贷款", "zone": "Asia/Shanghai", "country": "86"});
    let setup =
        json!({"token": "$link", "enterprise": enterprise, "name": "Ana", "password": PASSWORD});
    t.go("POST", "/setup", Some(setup), None).await;
    t.go(
        "POST",
        "/sessions",
        Some(json!({"login": "acme", "password": PASSWORD})),
        None,
    )
    .await;
    t.token = house.sign_in("acme", PASSWORD).await;
    t.go("GET", "/me", None, None).await;
    let me = house.get(&t.token, "/me").await.json();
    let tenant: model::TenantId = me["tenant"]["id"].as_str().unwrap().parse().unwrap();
    t.known.insert("tenant", tenant.to_string());

    // Money and devices.
    t.go("GET", "/settings", None, None).await;
    let settings = json!({
        "name": "极光贷款", "zone": "Asia/Shanghai", "country": "86",
        "hours": {"spans": [{"day": "mon", "from": 540, "to": 1260}], "holidays": ["2026-10-01"]},
    });
    t.go("PUT", "/settings", Some(settings), None).await;
    let other = json!({"slug": "beta", "name": "Beta", "password": PASSWORD});
    t.go("POST", "/platform/tenants", Some(other), Some("beta"))
        .await;
    t.go("GET", "/platform/tenants", None, None).await;
    let terms =
        json!({"rate": {"per_interval_minor": 12, "interval_seconds": 60}, "robot_lines": 20});
    t.go("PATCH", "/platform/tenants/$tenant", Some(terms), None)
        .await;
    let money = json!({"amount_minor": 100_000, "reference": "receipt 2026-11-21/7", "note": "bank transfer"});
    t.go(
        "POST",
        "/platform/tenants/$tenant/recharges",
        Some(money),
        None,
    )
    .await;
    t.go("GET", "/balance", None, None).await;
    t.go("GET", "/ledger", None, None).await;
    t.go(
        "POST",
        "/trunks",
        Some(json!({"name": "gateway", "user": "gw1"})),
        Some("trunk"),
    )
    .await;
    t.go(
        "POST",
        "/trunks",
        Some(json!({"name": "spare", "user": "gw2"})),
        Some("spare"),
    )
    .await;
    t.go("GET", "/trunks", None, None).await;
    t.go("GET", "/trunks/$trunk", None, None).await;
    t.go(
        "PATCH",
        "/trunks/$trunk",
        Some(json!({"max_concurrent": 60})),
        None,
    )
    .await;
    t.go("DELETE", "/trunks/$spare", None, None).await;
    t.go(
        "POST",
        "/caller-numbers",
        Some(json!({"number": "02188886666"})),
        Some("number"),
    )
    .await;
    t.go(
        "POST",
        "/caller-numbers",
        Some(json!({"number": "02188887777"})),
        Some("spare"),
    )
    .await;
    t.go("GET", "/caller-numbers", None, None).await;
    t.go("GET", "/caller-numbers/$number", None, None).await;
    t.go("DELETE", "/caller-numbers/$spare", None, None).await;
    t.go("GET", "/platform/caller-numbers", None, None).await;
    let decision = "/platform/tenants/$tenant/caller-numbers/$number/decision";
    t.go("POST", decision, Some(json!({"approved": true})), None)
        .await;
    let desk = json!({"number": "1001", "name": "front desk", "trunk_id": "$trunk", "caller_number_id": "$number"});
    t.go("POST", "/extensions", Some(desk), Some("extension"))
        .await;
    t.go(
        "POST",
        "/extensions",
        Some(json!({"number": "1002", "name": "spare"})),
        Some("spare"),
    )
    .await;
    t.go("GET", "/extensions", None, None).await;
    t.go("GET", "/extensions/$extension", None, None).await;
    t.go(
        "PATCH",
        "/extensions/$extension",
        Some(json!({"name": "reception"})),
        None,
    )
    .await;
    t.go("DELETE", "/extensions/$spare", None, None).await;

    // Templates.
    t.go("POST", "/templates/validate", Some(whole("loan")), None)
        .await;
    t.go("POST", "/templates", Some(whole("loan")), Some("template"))
        .await;
    t.go("POST", "/templates", Some(whole("spare")), Some("spare"))
        .await;
    t.go("GET", "/templates", None, None).await;
    t.go("GET", "/templates/$template", None, None).await;
    t.go("PUT", "/templates/$template", Some(whole("loan")), None)
        .await;
    t.go("DELETE", "/templates/$spare", None, None).await;
    t.go("GET", "/templates/$template/findings", None, None)
        .await;
    let form = [("key", "greet")];
    t.upload(
        "/templates/$template/prompts",
        "greet.wav",
        &tone(1, 8000),
        &form,
        Some("prompt"),
    )
    .await;
    t.go("GET", "/templates/$template/prompts", None, None)
        .await;
    t.go("GET", "/templates/$template/prompts/$prompt", None, None)
        .await;
    for part in ["nodes", "questions", "corrections"] {
        let path = format!("/templates/$template/{part}");
        t.go("GET", &path, None, None).await;
        t.go("PUT", &path, Some(whole("loan")[part].clone()), None)
            .await;
    }
    // Every text needs its audio before a campaign may start.
    for key in ["greet", "bye", "question.rate"] {
        let path = t.fill("/templates/$template/prompts");
        house
            .upload(&t.token, &path, "a.wav", &tone(1, 8000), &[("key", key)])
            .await
            .expect(201);
    }
    let kept = house
        .get(&t.token, &t.fill("/templates/$template"))
        .await
        .json();
    for finding in kept["findings"].as_array().unwrap() {
        let Some(key) = finding["node"]
            .as_str()
            .filter(|_| finding["severity"] == "error")
        else {
            continue;
        };
        let path = t.fill("/templates/$template/prompts");
        house
            .upload(&t.token, &path, "a.wav", &tone(1, 8000), &[("key", key)])
            .await
            .expect(201);
    }

    // Dialling.
    let plan = json!({
        "name": "autumn", "template_id": "$template", "caller_number_id": "$number", "trunk_id": "$trunk", "lines": 2,
    });
    t.go("POST", "/campaigns", Some(plan.clone()), Some("campaign"))
        .await;
    t.go("GET", "/campaigns", None, None).await;
    t.go("GET", "/campaigns/$campaign", None, None).await;
    t.go("PUT", "/campaigns/$campaign", Some(plan), None).await;
    let lead = json!({"number": "13800138000", "name": "王小明", "batch": "autumn", "campaign_id": "$campaign"});
    t.go("POST", "/leads", Some(lead), Some("lead")).await;
    t.go(
        "POST",
        "/leads",
        Some(json!({"number": "13800138001"})),
        Some("spare"),
    )
    .await;
    t.go("GET", "/leads", None, None).await;
    t.go("GET", "/leads/$lead", None, None).await;
    t.go(
        "PATCH",
        "/leads/$lead",
        Some(json!({"name": "王大明"})),
        None,
    )
    .await;
    t.go("DELETE", "/leads/$spare", None, None).await;
    imports(&mut t).await;
    let queue = json!({"campaign_id": "$campaign", "lead_ids": ["$lead"]});
    t.go("POST", "/leads/enqueue", Some(queue), None).await;
    t.go("GET", "/leads/$lead/why", None, None).await;
    t.go("POST", "/campaigns/$campaign/start", None, None).await;
    t.go("GET", "/campaigns/$campaign/progress", None, None)
        .await;
    t.go("POST", "/campaigns/$campaign/pause", None, None).await;
    t.go("POST", "/leads/$lead/take-back", None, None).await;
    t.go("GET", "/decisions", None, None).await;
    t.go(
        "POST",
        "/do-not-call",
        Some(json!({"number": "13800138002", "note": "asked us not to"})),
        None,
    )
    .await;
    t.go("GET", "/do-not-call", None, None).await;
    t.go("DELETE", "/do-not-call/13800138002", None, None).await;

    // Calls.
    let recordings = house.folder.path().join("recordings");
    std::fs::create_dir_all(&recordings).unwrap();
    std::fs::write(recordings.join("a.wav"), tone(2, 8000)).unwrap();
    let finish = ended(tenant, house.now(), Some("a.wav"));
    t.known.insert("call", finish.cdr.id.to_string());
    keep(house, vec![finish]).await;
    t.go("GET", "/calls", None, None).await;
    t.go("GET", "/calls/$call", None, None).await;
    t.go("GET", "/calls/$call/timeline", None, None).await;
    t.go("GET", "/calls/$call/recording", None, None).await;
    let live: CallId = store::fresh();
    t.known.insert("live", live.to_string());
    let up = LiveCallView {
        id: live,
        direction: Direction::Robot,
        caller: "+862188886666".into(),
        callee: "+8613800138000".into(),
        campaign: None,
        lead: None,
        started_at: house.now(),
        answered_at: Some(house.now()),
    };
    house.engine.lock().unwrap().live.push((tenant, up));
    t.go("GET", "/live-calls", None, None).await;
    t.go("POST", "/live-calls/$live/hang-up", None, None).await;
    t.go("GET", "/grade-rules", None, None).await;
    let mut rules =
        house.get(&t.token, "/grade-rules").await.json()["data"][0]["thresholds"].take();
    rules["a_positives"] = json!(2);
    t.go("POST", "/grade-rules", Some(rules), None).await;
    t.go(
        "POST",
        "/calls/$call/regrade",
        Some(json!({"rules_version": 2})),
        None,
    )
    .await;
    t.go(
        "POST",
        "/campaigns/$campaign/regrade",
        Some(json!({"rules_version": 2})),
        None,
    )
    .await;

    // People.
    let bo = json!({"number": "12", "name": "Bo", "role": "agent", "password": "a good password"});
    t.go("POST", "/users", Some(bo), Some("user")).await;
    t.go("GET", "/users", None, None).await;
    t.go("GET", "/users/$user", None, None).await;
    t.go(
        "PATCH",
        "/users/$user",
        Some(json!({"role": "supervisor"})),
        None,
    )
    .await;
    let key = json!({"name": "reports", "scopes": ["calls:read", "campaigns:*"]});
    t.go("POST", "/api-keys", Some(key), Some("key")).await;
    t.go("GET", "/api-keys", None, None).await;
    t.go("DELETE", "/api-keys/$key", None, None).await;
    t.go("GET", "/audit?limit=2", None, None).await;
    t.go(
        "PUT",
        "/me/password",
        Some(json!({"old": PASSWORD, "new": "another good one"})),
        None,
    )
    .await;
    t.go("DELETE", "/sessions/current", None, None).await;
    t.seen
}

async fn imports(t: &mut Tour<'_>) {
    let house = t.house;
    for ending in ["csv", "xlsx"] {
        let path = format!("/leads/import-template.{ending}");
        t.go("GET", &path, None, None).await;
    }
    let sheet = "姓名,手机,城市\n王一,13800138003,上海\n李二,12ab,北京\n".as_bytes();
    let fields = [("batch", "spring"), ("mapping", r#"{"城市": "city"}"#)];
    let path = "/leads/imports";
    t.upload(path, "leads.csv", sheet, &fields, Some("import"))
        .await;
    finished(house, &t.token, &t.known["import"]).await;
    t.go("GET", "/leads/imports", None, None).await;
    t.go("GET", "/leads/imports/$import", None, None).await;
    t.go("GET", "/leads/imports/$import/rejects", None, None)
        .await;
    // While one is read, the next waits.
    let many: String = (0..50_000).map(|n| format!("139{n:08}\n")).collect();
    let many = format!("phone\n{many}");
    for name in ["reading", "waiting"] {
        let dry = [("dry_run", "true")];
        t.upload(path, "many.csv", many.as_bytes(), &dry, Some(name))
            .await;
    }
    t.go("POST", "/leads/imports/$waiting/cancel", None, None)
        .await;
    let path = format!("/leads/imports/{}/cancel", t.known["reading"]);
    house.post(&t.token, &path, json!({})).await.expect(202);
    finished(house, &t.token, &t.known["reading"]).await;
}

/// `UPDATE_OPENAPI=1 cargo test -p admin`, twice: the document is built with the examples.
#[tokio::test]
async fn every_route_has_an_example_that_works() {
    let house = House::empty().await;
    let link = house.setup_token().await;
    let seen = tour(&house, link).await;
    let mut missing = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let key = format!("{} {path}", method.to_uppercase());
            // An endless stream: `events` reads it.
            if !seen.contains_key(&key) && key != "GET /api/v1/events" {
                missing.push(key);
            }
        }
    }
    assert!(missing.is_empty(), "the tour leaves out {missing:#?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples.json");
    let made = serde_json::to_string_pretty(&seen).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == made,
        "examples.json is not what the router answers: run UPDATE_OPENAPI=1 cargo test -p admin --test api, twice"
    );
}
