//! The REST API: credentials in, `Scope` out, one module per resource, problems as RFC 9457 documents, one OpenAPI document
//! made from the code.
//!
//! Map: `problem` (refusals) · `extract` (bodies, paths, queries) · `secret` (tokens, passwords) · `throttle` (wrong
//! passwords) · `doors` (what each route asks of its caller, declared once) · `auth` (who asks) · `page` (lists) · `etag` (versions) · `once`
//! (Idempotency-Key) · `ring` (the latest events) · `proxies` (who asks through
//! them) · `server` (connections) · `tongue` (languages) · `wire` (shared forms) · `upload` (files that come in) · `ranges` (our files as downloads) · `sheet` (spreadsheets in and out) · `imports`
//! (files of leads, one after another) · `exports` (lists as files) · `resources` (the routes) · `openapi`
//! (the document, the router, the layers around it).
//!
//! A request: `problem::render` → body limit → router → `auth::guard` (route's door, credential, permission) → handler →
//! `store` with the caller's `Scope`, or `engine::Handle` → answer.
//!
//! Invariant: no SQL, no SIP, no audio is handled here beyond asking those who do.

mod auth;
mod describe;
mod doors;
mod etag;
mod exports;
mod extract;
mod imports;
mod once;
mod openapi;
mod page;
mod problem;
mod proxies;
mod ranges;
mod resources;
mod ring;
mod secret;
mod server;
mod sheet;
mod throttle;
mod tongue;
mod upload;
mod wire;

pub use imports::close_imports_of_last_run;
pub use openapi::{document, router, undeclared_routes};
pub use proxies::{NoNetwork, Proxies};
pub use resources::metrics::router as metrics_router;
pub use resources::setup::setup_link;
pub use server::serve;
#[cfg(fuzzing)]
pub use sheet::read_ours as fuzz_sheet;
pub use sheet::read_sheet;

use model::Wall;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Platform, Store};
use tokio_util::sync::CancellationToken;

/// What the API is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `Cdr::recording` names files.
    pub recordings: PathBuf,
    /// Where prompts are kept, as 8 kHz WAV.
    pub prompts: PathBuf,
    /// How people reach the API from outside, without a slash at the end.
    pub public_url: String,
    /// The installation's SIP realm; part of every stored device password.
    pub realm: String,
    /// Largest JSON body, bytes.
    pub body_limit: usize,
    /// Largest uploaded file, bytes.
    pub upload_limit: usize,
    /// Where files of leads wait to be read; emptied at start.
    pub imports: PathBuf,
    /// Where lists are made into workbooks; nothing stays there.
    pub exports: PathBuf,
    /// Largest file of leads, bytes.
    pub import_limit: usize,
    /// Most rows of one imported sheet.
    pub import_rows: u64,
    /// How long a sign-in lasts.
    pub session: Duration,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Proxies,
}

impl Config {
    pub fn new(data: &std::path::Path, public_url: &str, realm: &str) -> Config {
        Config {
            recordings: data.join("recordings"),
            prompts: data.join("prompts"),
            public_url: public_url.trim_end_matches('/').to_owned(),
            realm: realm.to_owned(),
            body_limit: 1024 * 1024,
            upload_limit: 20 * 1024 * 1024,
            imports: data.join("imports"),
            exports: data.join("exports"),
            import_limit: 50 * 1024 * 1024,
            import_rows: 200_000,
            session: Duration::from_secs(12 * 3600),
            trusted_proxies: Proxies::default(),
        }
    }
}

impl Config {
    /// Largest body of any request: a form with a file in it, or not. Routes may take less.
    fn most(&self, form: bool) -> usize {
        if form {
            self.upload_limit.max(self.import_limit) + openapi::FORM
        } else {
            self.body_limit
        }
    }
}

/// Everything a handler may reach. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    pub store: Store,
    /// Evidence for looking up credentials and for sweeping; handlers of the platform's own routes use the caller's instead.
    platform: Platform,
    pub engine: engine::Handle,
    pub config: Arc<Config>,
    clock: Arc<dyn Fn() -> Wall + Send + Sync>,
    throttle: Arc<throttle::Throttle>,
    /// Names this process in what it leaves in the database.
    run: uuid::Uuid,
    ring: Arc<ring::Ring>,
    counts: Arc<resources::metrics::Counts>,
    imports: Arc<imports::Imports>,
    /// Cancelled when the server stops: streams end then.
    closing: CancellationToken,
}

impl AdminState {
    /// Once the server is closing: waits for what goes on without a request.
    pub async fn finished(&self) {
        self.imports.finished().await;
    }

    /// Inside a runtime: events are kept from here on.
    pub fn new(
        store: Store,
        platform: Platform,
        engine: engine::Handle,
        config: Config,
        clock: impl Fn() -> Wall + Send + Sync + 'static,
        closing: CancellationToken,
    ) -> AdminState {
        let run: uuid::Uuid = store::fresh();
        let ring = Arc::new(ring::Ring::new(run));
        tokio::spawn(ring.clone().fill(engine.events()));
        AdminState {
            store,
            platform,
            engine,
            config: Arc::new(config),
            clock: Arc::new(clock),
            throttle: Arc::default(),
            run,
            ring,
            counts: Arc::default(),
            imports: Arc::default(),
            closing,
        }
    }
    pub fn now(&self) -> Wall {
        (self.clock)()
    }
}
