//! The REST API: credentials in, `Scope` out, one module per resource, problems as RFC 9457 documents, one OpenAPI document
//! made from the code.
//!
//! Map: `problem` (refusals) · `extract` (bodies, paths, queries) · `secret` (tokens, passwords) · `throttle` (wrong
//! passwords) · `doors` (what each route asks of its caller, declared once) · `auth` (who asks) · `page`, `wire` (shared
//! forms) · `upload` (files that come in) · `ranges` (our files as downloads) · `sheet` (spreadsheets of strangers) · `resources` (the routes) · `openapi`
//! (the document, the router, the layers around it).
//!
//! A request: `problem::render` → body limit → router → `auth::guard` (route's door, credential, permission) → handler →
//! `store` with the caller's `Scope`, or `engine::Handle` → answer.
//!
//! Invariant: no SQL, no SIP, no audio is handled here beyond asking those who do.

mod auth;
mod doors;
mod extract;
mod openapi;
mod page;
mod problem;
mod ranges;
mod resources;
mod secret;
mod sheet;
mod throttle;
mod upload;
mod wire;

pub use openapi::{document, router, undeclared_routes};
pub use resources::setup::setup_link;

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
    /// Most rows of one imported sheet.
    pub import_rows: usize,
    /// How long a sign-in lasts.
    pub session: Duration,
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
            import_rows: 200_000,
            session: Duration::from_secs(12 * 3600),
        }
    }
}

/// Everything a handler may reach. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    pub store: Store,
    /// Evidence for looking up credentials; handlers of the platform's own routes use the caller's instead.
    platform: Platform,
    pub engine: engine::Handle,
    pub config: Arc<Config>,
    clock: Arc<dyn Fn() -> Wall + Send + Sync>,
    throttle: Arc<throttle::Throttle>,
    /// Cancelled when the server stops: streams end then.
    closing: CancellationToken,
}

impl AdminState {
    pub fn new(
        store: Store,
        platform: Platform,
        engine: engine::Handle,
        config: Config,
        clock: impl Fn() -> Wall + Send + Sync + 'static,
        closing: CancellationToken,
    ) -> AdminState {
        AdminState {
            store,
            platform,
            engine,
            config: Arc::new(config),
            clock: Arc::new(clock),
            throttle: Arc::default(),
            closing,
        }
    }
    pub fn now(&self) -> Wall {
        (self.clock)()
    }
}

/// Serves until `closing` is cancelled (the same token the state was given), then lets requests finish for a few seconds.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: axum::Router,
    closing: CancellationToken,
) -> std::io::Result<()> {
    let stop = closing.clone();
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stop.cancelled().await });
    let patience = async move {
        closing.cancelled().await;
        tokio::time::timeout(Duration::from_secs(5), std::future::pending::<()>())
            .await
            .ok();
    };
    tokio::select! {
        served = server => served,
        () = patience => Ok(()),
    }
}
