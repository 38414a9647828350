//! `huying serve`: the product itself.

use crate::config::Config;
use crate::{database, hearing};
use anyhow::{Context, Result};
use engine::{Engine, Hearing};
use std::path::Path;
use std::time::Duration;
use store::{Platform, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often a drain looks whether the last call is over.
const LOOK: Duration = Duration::from_millis(200);
/// How long hanging up may take before the process ends all the same.
const HANG_UP: Duration = Duration::from_secs(5);

/// A running installation: engine and API.
pub struct Running {
    pub engine: Engine,
    pub store: Store,
    pub platform: Platform,
    pub http: std::net::SocketAddr,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<std::net::SocketAddr>,
    /// Held as long as the data folder is ours.
    _lock: std::fs::File,
    closing: CancellationToken,
    admin: admin::AdminState,
    servers: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// Opens the store, starts the engine and the API.
pub async fn start(config: &Config, hearing: Hearing) -> Result<Running> {
    let lock = take_folder(&config.data)?;
    if crate::backup::complete(config)? {
        tracing::info!("a restore that was stopped half-way is complete");
    }
    let (store, platform) = database::open_alone(config).await?;
    let strangers = store
        .accounts_of_other_realms(&platform, &config.realm)
        .await?;
    if strangers > 0 {
        tracing::warn!(
            accounts = strangers,
            realm = config.realm,
            "devices cannot register: their passwords were made for another realm. FIX: --realm as it was, or give them new passwords"
        );
    }
    let listener = listen(config.http, "the API", "--http").await?;
    let http = listener.local_addr()?;
    let metrics_listener = match config.metrics()? {
        Some(address) => Some(listen(address, "metrics", "--metrics (or off)").await?),
        None => None,
    };
    let metrics = metrics_listener
        .as_ref()
        .map(TcpListener::local_addr)
        .transpose()?;
    let ip = config.advertised_ip()?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let engine_config = engine::Config {
        sip_listen: config.sip,
        advertised: (ip, config.sip.port()).into(),
        realm: config.realm.clone(),
        rtp_bind: config.sip.ip(),
        rtp_advertised: ip,
        rtp_ports: config.rtp_ports()?,
        media_workers: if config.media_workers == 0 {
            cores as u16
        } else {
            config.media_workers
        },
        data: config.data.clone(),
        disk_reserve: config.disk_reserve << 20,
        recordings: config.recordings(),
        prompts: config.prompts(),
        journal: config.journal(),
        seed: seed()?,
    };
    let engine = Engine::start(engine_config, store.clone(), platform.clone(), hearing).await?;
    let closing = CancellationToken::new();
    let url = if config.public_url.is_empty() {
        format!("http://{http}")
    } else {
        config.public_url()
    };
    let mut admin_config = admin::Config::new(&config.data, &url, &config.realm);
    admin_config.trusted_proxies = config.trusted_proxies()?;
    let now = engine::clock::wall();
    admin::close_imports_of_last_run(&store, &platform, &admin_config, now).await?;
    let state = admin::AdminState::new(
        store.clone(),
        platform.clone(),
        engine.handle.clone(),
        admin_config,
        engine::clock::wall,
        closing.clone(),
    );
    let mut servers = Vec::new();
    if let Some(listener) = metrics_listener {
        let router = admin::metrics_router(state.clone());
        servers.push(tokio::spawn(admin::serve(
            listener,
            router,
            closing.clone(),
        )));
    }
    let router = admin::router(state.clone());
    servers.push(tokio::spawn(admin::serve(
        listener,
        router,
        closing.clone(),
    )));
    Ok(Running {
        _lock: lock,
        engine,
        store,
        platform,
        http,
        metrics,
        closing,
        servers,
        admin: state,
    })
}

async fn listen(address: std::net::SocketAddr, what: &str, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot serve {what} on {address}. FIX: free the address or choose another with {flag}"
        )
    })
}

/// Makes the data folder ours alone: a second process would take the calls of the first for leftovers of a crash and close
/// their books.
pub fn take_folder(data: &Path) -> Result<std::fs::File> {
    std::fs::create_dir_all(data).with_context(|| {
        format!(
            "cannot create the data folder {}. FIX: make it writable or choose another with --data",
            data.display()
        )
    })?;
    let path = data.join("huying.lock");
    let lock =
        std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    lock.try_lock().ok().with_context(|| {
        format!(
            "another huying uses the data folder {}. FIX: stop it, or choose another with --data",
            data.display()
        )
    })?;
    Ok(lock)
}

/// Fresh chance for the root.
pub fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))?;
    Ok(seed)
}

impl Running {
    /// Lets live calls end by themselves, or hangs them up once `hurry` says so; then writes everything and stops.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.engine.drain();
        let mut look = tokio::time::interval(LOOK);
        let drained = async {
            while self.engine.calls() > 0 {
                look.tick().await;
            }
        };
        let hurried = tokio::select! {
            () = drained => false,
            () = hurry => true,
        };
        if hurried {
            self.engine.hang_up_all();
            let gone = async {
                let mut look = tokio::time::interval(LOOK);
                while self.engine.calls() > 0 {
                    look.tick().await;
                }
            };
            tokio::time::timeout(HANG_UP, gone).await.ok();
        }
        self.closing.cancel();
        for server in self.servers {
            server.await.ok();
        }
        // An import stops after the rows it is at.
        tokio::time::timeout(HANG_UP, self.admin.finished())
            .await
            .ok();
        self.engine.stop().await;
        self.store.close().await;
    }
}

pub async fn run(config: Config) -> Result<i32> {
    let hearing = hearing::open(&config);
    let speech = match &hearing {
        Hearing::Recogniser { name, .. } => name.clone(),
        Hearing::None { why } => format!("robots cannot hear: {why}"),
    };
    let running = start(&config, hearing).await?;
    let base = if config.public_url.is_empty() {
        format!("http://{}", running.http)
    } else {
        config.public_url()
    };
    let link = admin::setup_link(
        &running.store,
        &running.platform,
        &base,
        engine::clock::wall(),
    )
    .await?;
    let rows = [
        ("API", format!("{base}/api/v1")),
        ("docs", format!("{base}/docs")),
        ("spec", format!("{base}/api/v1/openapi.json")),
        ("health", format!("{base}/healthz")),
        ("metrics", match running.metrics {
            Some(address) => format!("http://{address}/metrics"),
            None => "off".into(),
        }),
        ("SIP", format!("udp {} (advertised {}, realm {})", running.engine.sip_address, config.advertised_ip()?, config.realm)),
        ("RTP", format!("udp {} on {}", config.rtp_ports, config.advertised_ip()?)),
        ("speech", speech),
        ("TLS", "off: put a TLS proxy before the API; browsers give a microphone only on https or localhost".into()),
        ("data", absolute(&config.data)),
    ];
    println!("Huying {} is running.\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in rows {
        println!("  {name:<8} {value}");
    }
    match link {
        Some(link) => println!("\n  First administrator (once, 30 minutes):\n  {link}"),
        None => println!("\n  Sign in: POST {base}/api/v1/sessions"),
    }
    println!("\n  Next: huying demo\n");

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let calls = running.engine.calls();
    let limit = match config.drain_timeout {
        0 => String::new(),
        seconds => format!(", or {seconds} s,"),
    };
    println!("Draining: no new calls; {calls} live. A second signal{limit} hangs them up.");
    let hurry = async move {
        let patience = Duration::from_secs(config.drain_timeout);
        let expired = async {
            match config.drain_timeout {
                0 => std::future::pending().await,
                // Nothing is awaited but the time; `sleep` is for tests of time, and banned.
                _ => tokio::time::timeout(patience, std::future::pending::<()>()).await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = expired => tracing::warn!("the drain took too long: live calls are hung up"),
        }
    };
    running.stop(hurry).await;
    println!("Stopped.");
    Ok(0)
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// `huying admin create`.
pub async fn create_admin(config: &Config) -> Result<i32> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot create the data folder {}", config.data.display()))?;
    let address = config.database_address();
    let fresh = matches!(store::Db::schema(&address).await, Ok((None, _)));
    let (store, platform) = database::open(config).await?;
    if fresh {
        println!("A new installation in {}.", absolute(&config.data));
    }
    let now = engine::clock::wall();
    match admin::setup_link(&store, &platform, &config.public_url(), now).await? {
        Some(link) => println!(
            "Open this once within 30 minutes, or POST it as the tour in README shows:\n  {link}"
        ),
        None => println!("An administrator exists already. Sign in and add users there."),
    }
    store.close().await;
    Ok(0)
}
