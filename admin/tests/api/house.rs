//! An API on a store of its own, with an engine whose other end the test holds.

use crate::schema;
use admin::{AdminState, Config};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use engine::{Handle, LiveCallView, Notice, Question, Readiness, RegistrationView};
use http_body_util::BodyExt;
use model::*;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use store::{Platform, Store};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const PASSWORD: &str = "correct horse";

/// What the engine was asked, and what it answers.
#[derive(Default)]
pub struct FakeEngine {
    pub registrations: Vec<(TenantId, RegistrationView)>,
    pub live: Vec<(TenantId, LiveCallView)>,
    pub hung_up: Vec<CallId>,
    pub changed: Vec<TenantId>,
    pub campaigns_changed: Vec<CampaignId>,
    /// Keeps questions instead of answering them.
    pub holds: bool,
    pub held: Vec<Question>,
}

pub struct House {
    pub router: Router,
    pub store: Store,
    pub platform: Platform,
    pub engine: Arc<Mutex<FakeEngine>>,
    pub events: broadcast::Sender<Arc<Notice>>,
    pub folder: TempDir,
    /// Stops the server and its streams.
    pub closing: CancellationToken,
    clock: Arc<AtomicI64>,
    /// The first administrator's, who is the platform's too.
    pub root: String,
    pub tenant: TenantId,
}

/// The document, as the API serves it.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::to_value(admin::document()).unwrap());
    &DOCUMENT
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{text}");
        if self.bytes.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }
    /// A problem document with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let kind = self
            .headers
            .get(header::CONTENT_TYPE)
            .map(|v| v.to_str().unwrap().to_owned());
        let document = self.expect(status);
        assert_eq!(kind.as_deref(), Some("application/problem+json"));
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert!(
            document["title"].is_string() && document["request_id"].is_string(),
            "{document}"
        );
        document
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl House {
    /// Nobody can sign in yet.
    pub async fn empty() -> House {
        House::empty_with(|_| {}).await
    }

    async fn empty_with(change: impl FnOnce(&mut Config)) -> House {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("huying.db");
        let (store, platform) = Store::open(database.to_str().unwrap()).await.unwrap();
        let (handle, questions, events) = Handle::new(64);
        let engine = Arc::new(Mutex::new(FakeEngine::default()));
        tokio::spawn(answer(questions, engine.clone()));
        let clock = Arc::new(AtomicI64::new(1_795_000_000_000));
        let hands = clock.clone();
        let mut config = Config::new(folder.path(), "http://127.0.0.1:8080", "huying");
        config.upload_limit = 2 * 1024 * 1024;
        change(&mut config);
        let closing = CancellationToken::new();
        let state = AdminState::new(
            store.clone(),
            platform.clone(),
            handle,
            config,
            move || Wall::from_millis(hands.load(Ordering::Relaxed)),
            closing.clone(),
        );
        House {
            router: admin::router(state),
            store,
            platform,
            engine,
            events,
            folder,
            closing,
            clock,
            root: String::new(),
            tenant: TenantId(uuid::Uuid::nil()),
        }
    }

    /// Set up, with the first administrator signed in.
    pub async fn new() -> House {
        House::with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> House {
        let mut house = House::empty_with(change).await;
        let token = house.setup_token().await;
        let asked = json!({
            "token": token, "enterprise": {"slug": "acme", "name": "Acme"}, "name": "Ana", "password": PASSWORD,
        });
        let made = house.post("", "/setup", asked).await.expect(201);
        house.tenant = made["tenant_id"].as_str().unwrap().parse().unwrap();
        house.root = house.sign_in("acme", PASSWORD).await;
        house
    }

    pub fn now(&self) -> Wall {
        Wall::from_millis(self.clock.load(Ordering::Relaxed))
    }
    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub async fn setup_token(&self) -> String {
        let link = admin::setup_link(&self.store, &self.platform, "http://h", self.now())
            .await
            .unwrap();
        link.unwrap().split_once("token=").unwrap().1.to_owned()
    }

    pub async fn sign_in(&self, login: &str, password: &str) -> String {
        let asked = json!({"login": login, "password": password});
        let reply = self.post("", "/sessions", asked).await.expect(201);
        reply["token"].as_str().unwrap().to_owned()
    }

    /// Another enterprise, with its administrator signed in.
    pub async fn enterprise(&self, slug: &str) -> (TenantId, String) {
        let asked = json!({"slug": slug, "name": slug, "password": PASSWORD});
        let made = self
            .post(&self.root, "/platform/tenants", asked)
            .await
            .expect(201);
        let token = self.sign_in(slug, PASSWORD).await;
        (made["id"].as_str().unwrap().parse().unwrap(), token)
    }

    /// The same installation as a process of its own would serve it.
    pub fn another_process(&self) -> Router {
        let (handle, questions, _) = Handle::new(64);
        tokio::spawn(answer(questions, self.engine.clone()));
        let hands = self.clock.clone();
        admin::router(AdminState::new(
            self.store.clone(),
            self.platform.clone(),
            handle,
            Config::new(self.folder.path(), "http://127.0.0.1:8080", "huying"),
            move || Wall::from_millis(hands.load(Ordering::Relaxed)),
            CancellationToken::new(),
        ))
    }

    /// Whatever comes back must be a status the document tells of.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        let reply = self.ask(request).await;
        if let Some((route, operation)) = schema::operation(document(), &method, &path) {
            let status = reply.status.as_str();
            assert!(
                operation["responses"].get(status).is_some(),
                "{method} {route} does not tell of {status}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
        reply
    }

    async fn ask(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub fn request(&self, method: Method, token: &str, path: &str) -> axum::http::request::Builder {
        let uri = match path {
            "/healthz" | "/readyz" => path.to_owned(),
            path if path.starts_with("/api/") => path.to_owned(),
            path => format!("/api/v1{path}"),
        };
        let builder = Request::builder().method(method).uri(uri);
        match token {
            "" => builder,
            token => builder.header(header::AUTHORIZATION, format!("Bearer {token}")),
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        self.send(
            self.request(Method::GET, token, path)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }
    pub async fn delete(&self, token: &str, path: &str) -> Reply {
        self.send(
            self.request(Method::DELETE, token, path)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }
    pub async fn post(&self, token: &str, path: &str, body: Value) -> Reply {
        self.with_body(Method::POST, token, path, body).await
    }
    pub async fn put(&self, token: &str, path: &str, body: Value) -> Reply {
        self.with_body(Method::PUT, token, path, body).await
    }
    pub async fn patch(&self, token: &str, path: &str, body: Value) -> Reply {
        self.with_body(Method::PATCH, token, path, body).await
    }
    pub async fn with_body(&self, method: Method, token: &str, path: &str, body: Value) -> Reply {
        let request = self
            .request(method, token, path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// A form with one file and some fields.
    pub async fn upload(
        &self,
        token: &str,
        path: &str,
        name: &str,
        file: &[u8],
        fields: &[(&str, &str)],
    ) -> Reply {
        const MARK: &str = "----huying-test";
        let mut body = Vec::new();
        for (field, value) in fields {
            body.extend(format!("--{MARK}\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").bytes());
        }
        let head = format!(
            "--{MARK}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.bytes());
        body.extend(file);
        body.extend(format!("\r\n--{MARK}--\r\n").bytes());
        let request = self
            .request(Method::POST, token, path)
            .header(
                header::CONTENT_TYPE,
                format!("multipart/form-data; boundary={MARK}"),
            )
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    /// Makes something and says its id.
    #[track_caller]
    pub fn made(&self, token: &str, path: &str, body: Value) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            let reply = self.post(token, path, body).await;
            assert_eq!(
                reply.status,
                StatusCode::CREATED,
                "{place}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
            reply.json()["id"].as_str().unwrap().to_owned()
        }
    }

    /// A trunk, an approved number, a template without prompts, and a campaign of them.
    pub async fn campaign(&self, tenant: TenantId, token: &str) -> Campaign {
        let trunk = self
            .made(token, "/trunks", json!({"name": "gateway", "user": "gw"}))
            .await;
        let number = self
            .made(token, "/caller-numbers", json!({"number": "02188886666"}))
            .await;
        let path = format!("/platform/tenants/{tenant}/caller-numbers/{number}/decision");
        self.post(&self.root, &path, json!({"approved": true}))
            .await
            .expect(204);
        let template = self.made(token, "/templates", template("loan")).await;
        let plan = json!({
            "name": "autumn", "template_id": template, "caller_number_id": number, "trunk_id": trunk, "lines": 2,
        });
        let campaign = self.made(token, "/campaigns", plan).await;
        Campaign {
            campaign,
            template,
            number,
            trunk,
        }
    }
}

pub struct Campaign {
    pub campaign: String,
    pub template: String,
    pub number: String,
    pub trunk: String,
}

pub fn template(name: &str) -> Value {
    json!({
        "name": name,
        "nodes": [
            {"key": "greet", "text": "您好,请问您需要贷款吗?", "negative_jump": "bye", "positive_jump": "bye"},
            {"key": "bye", "text": "好的,再见。", "terminate": true},
        ],
        "questions": [{"id": "rate", "text": "利息多少", "answer": "年化百分之四。"}],
        "corrections": [{"from": "多少千", "to": "多少钱"}],
    })
}

/// A WAV of some seconds with a tone in it.
pub fn tone(seconds: u32, rate: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut out = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut out, spec).unwrap();
    for n in 0..seconds * rate {
        let phase = f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate);
        writer.write_sample((phase.sin() * 8000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    out.into_inner()
}

async fn answer(
    mut questions: tokio::sync::mpsc::Receiver<Question>,
    engine: Arc<Mutex<FakeEngine>>,
) {
    fn of<T: Clone>(all: &[(TenantId, T)], tenant: TenantId) -> Vec<T> {
        all.iter()
            .filter(|(owner, _)| *owner == tenant)
            .map(|(_, view)| view.clone())
            .collect()
    }
    while let Some(question) = questions.recv().await {
        let mut engine = engine.lock().unwrap();
        if engine.holds {
            engine.held.push(question);
            continue;
        }
        match question {
            Question::Registrations { tenant, reply } => {
                reply.send(of(&engine.registrations, tenant)).ok();
            }
            Question::LiveCalls { tenant, reply } => {
                reply.send(of(&engine.live, tenant)).ok();
            }
            Question::HangUp {
                tenant,
                call,
                reply,
                ..
            } => {
                let up = of(&engine.live, tenant).iter().any(|view| view.id == call);
                if up {
                    engine.hung_up.push(call);
                }
                reply.send(up).ok();
            }
            Question::Standing {
                campaign, reply, ..
            } => {
                // As the node would: told of a campaign, it has no gateway.
                let known = engine.campaigns_changed.contains(&campaign);
                let standing = engine::Standing {
                    in_flight: 0,
                    waiting: Some(engine::Waiting::Gateway),
                };
                reply.send(known.then_some(standing)).ok();
            }
            Question::Changed { tenant } => engine.changed.push(tenant),
            Question::CampaignChanged { campaign, .. } => engine.campaigns_changed.push(campaign),
            Question::Ready { reply } => drop(reply.send(Readiness {
                ready: true,
                speech: "none in tests".into(),
                calls: engine.live.len(),
                ..Readiness::default()
            })),
            Question::Figures { reply } => drop(reply),
        }
    }
}
