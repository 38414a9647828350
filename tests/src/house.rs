//! A whole installation on loopback, in a folder of its own, with one enterprise (`acme`) that has money.

use crate::SOON;
use crate::api::{Api, text};
use crate::events::Events;
use anyhow::{Context, Result};
use engine::Hearing;
use huying::config::Config;
use huying::gateway::{self, Callee, Gateway, Seen};
use huying::serve::{self, Running};
use serde_json::{Value, json};
use speech::Scripted;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Of every account in these tests.
pub const PASSWORD: &str = "correct-horse";
/// What a minute of talk costs, in fen.
pub const PER_MINUTE: i64 = 12;

pub struct House {
    pub api: Api,
    /// Where SIP is listened for.
    pub sip: SocketAddr,
    /// The enterprise.
    pub tenant: String,
    /// None: it runs as a process of its own.
    running: Option<Running>,
    folder: TempDir,
}

/// What robots hear: nothing, for tests without robots.
pub fn deaf() -> Hearing {
    Hearing::None {
        why: "this test has no robots".into(),
    }
}

/// A recogniser that says the same whatever it is given.
pub fn hears(text: &'static str) -> Hearing {
    let recogniser = Scripted::by(move |_, _| Ok(text.to_owned()));
    let source = Arc::new(speech::Shared(Arc::new(recogniser)));
    Hearing::Recogniser {
        source,
        config: speech::Config::default(),
        name: "scripted".into(),
    }
}

/// The real thing, from the model at `HUYING_MODEL`.
pub fn whisper() -> Result<Hearing> {
    let fix = "FIX: `make model`, then HUYING_MODEL=$PWD/data/models/ggml-base-q8_0.bin (`make test` does both)";
    let model = std::env::var("HUYING_MODEL")
        .with_context(|| format!("no speech model: HUYING_MODEL is not set. {fix}"))?;
    let hearing = huying::hearing::open(&Config {
        model,
        ..Config::default()
    });
    match &hearing {
        Hearing::Recogniser { .. } => Ok(hearing),
        Hearing::None { why } => anyhow::bail!("no speech model: {why}. {fix}"),
    }
}

/// Settings of an installation on loopback whose ports the system chooses.
pub fn loopback(data: &Path) -> Config {
    let anywhere = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    Config {
        data: data.to_owned(),
        sip: anywhere,
        http: anywhere,
        metrics: "127.0.0.1:0".into(),
        rtp_ports: "0".into(),
        media_workers: 1,
        ..Config::default()
    }
}

impl House {
    pub async fn open(hearing: Hearing) -> Result<House> {
        House::on("", hearing).await
    }

    /// On this database; empty is a file in its folder.
    pub async fn on(database: &str, hearing: Hearing) -> Result<House> {
        let folder = tempfile::tempdir()?;
        let config = Config {
            database: database.to_owned(),
            ..loopback(folder.path())
        };
        House::open_as(&config, folder, hearing).await
    }

    /// With settings of one's own; `folder` goes with the house.
    pub async fn open_as(config: &Config, folder: TempDir, hearing: Hearing) -> Result<House> {
        let running = serve::start(config, hearing).await?;
        let base = format!("http://{}", running.http);
        let now = engine::clock::wall();
        let link = admin::setup_link(&running.store, &running.platform, &base, now)
            .await?
            .context("a fresh installation has a set-up link")?;
        let sip = running.engine.sip_address;
        House::furnish(&link, sip, Some(running), folder).await
    }

    /// One whose program runs elsewhere and printed this link.
    pub async fn of_program(link: &str, sip: SocketAddr, folder: TempDir) -> Result<House> {
        House::furnish(link, sip, None, folder).await
    }

    async fn furnish(
        link: &str,
        sip: SocketAddr,
        running: Option<Running>,
        folder: TempDir,
    ) -> Result<House> {
        let (api, tenant) = Api::set_up(link, "acme", PASSWORD).await?;
        let platform = format!("/platform/tenants/{tenant}");
        let rate = json!({ "per_interval_minor": PER_MINUTE, "interval_seconds": 60 });
        api.patch(&platform, json!({ "rate": rate, "robot_lines": 10 }))
            .await?;
        let money = json!({ "amount_minor": 10_000, "reference": "first" });
        api.post(&format!("{platform}/recharges"), money).await?;
        Ok(House {
            api,
            sip,
            tenant,
            running,
            folder,
        })
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Events from now on.
    pub fn events(&self) -> Events {
        Events(self.running().engine.handle.events())
    }

    pub async fn ready(&self) -> engine::Readiness {
        self.running().engine.handle.ready().await
    }

    /// Where metrics are served.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.running().metrics
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a house in this process")
    }

    /// An extension's id; its device signs in as `NUMBER.acme`.
    pub async fn extension(&self, number: &str) -> Result<String> {
        let body = json!({ "number": number, "name": format!("Extension {number}"), "password": PASSWORD });
        let id = self.api.create("/extensions", body).await?;
        self.settled().await?;
        Ok(id)
    }

    /// A trunk's id; its gateway signs in as `gw1.acme`.
    pub async fn trunk(&self) -> Result<String> {
        let body = json!({ "name": "gateway", "user": "gw1", "password": PASSWORD });
        let id = self.api.create("/trunks", body).await?;
        self.settled().await?;
        Ok(id)
    }

    /// A caller number's id.
    pub async fn caller_number(&self, number: &str, approved: bool) -> Result<String> {
        let id = self
            .api
            .create("/caller-numbers", json!({ "number": number }))
            .await?;
        if approved {
            let decision = format!(
                "/platform/tenants/{}/caller-numbers/{id}/decision",
                self.tenant
            );
            self.api
                .post(&decision, json!({ "approved": true }))
                .await?;
        }
        self.settled().await?;
        Ok(id)
    }

    /// Lets what was just changed reach the node: its questions are answered in order.
    pub async fn settled(&self) -> Result<()> {
        self.api.get("/live-calls").await?;
        Ok(())
    }

    /// The simulated gateway, registered as the trunk.
    pub async fn gateway(&self, callees: HashMap<String, Vec<Callee>>) -> Result<Gateway> {
        let config = gateway::Config {
            registrar: self.sip,
            realm: "huying".into(),
            username: "gw1.acme".into(),
            password: PASSWORD.into(),
            callees,
            seed: serve::seed()?,
        };
        let up = tokio::task::spawn_blocking(move || {
            let gateway = Gateway::start(config)?;
            let seen = gateway
                .seen
                .recv_timeout(SOON)
                .context("the gateway heard nothing")?;
            anyhow::ensure!(
                matches!(seen, Seen::Registered),
                "the gateway is not registered: {seen:?}"
            );
            Ok(gateway)
        });
        up.await?
    }

    /// Whether the device behind an extension or trunk is registered, as the API tells it.
    pub async fn registered(&self, path: &str) -> Result<bool> {
        let device = self.api.get(path).await?;
        Ok(device["registrations"]
            .as_array()
            .is_some_and(|all| !all.is_empty()))
    }

    /// The last call there is a record of; a test that has just ended one waits for its event first.
    pub async fn record_of(&self, ended: &Value) -> Result<Value> {
        self.api.record(&text(ended, "call")?).await
    }

    pub async fn close(self) {
        if let Some(running) = self.running {
            running.stop(std::future::ready(())).await;
        }
    }
}
