//! This same binary, serving in a process of its own: loopback, a folder that is thrown away, no settings of the user's.

use super::process::Process;
use crate::config::Config;
use anyhow::{Context, Result, bail};
use model::Mono;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Child {
    pub process: Process,
    pub sip: SocketAddr,
    pub realm: String,
    /// Creates the first administrator.
    pub link: String,
    pub http: SocketAddr,
    // After the process: removed when it has ended.
    folder: TempDir,
}

impl Child {
    /// Starts it; on one core when one is named; hearing when `model` names weights.
    pub async fn start(core: Option<usize>, model: Option<&Config>) -> Result<Child> {
        let folder = tempfile::tempdir().context("no folder for the measured installation")?;
        let trial = Config {
            data: folder.path().join("data"),
            ..Config::default()
        };
        std::fs::create_dir_all(&trial.data)?;
        let (sip, http) = (free_udp()?, free_tcp()?);
        let model = match model {
            Some(config) => std::path::absolute(config.model_path())?,
            None => "no-model".into(),
        };
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HUYING_") {
                command.env_remove(name);
            }
        }
        let log = File::create(folder.path().join("log"))?;
        command
            .current_dir(folder.path())
            .arg("serve")
            .arg("--data")
            .arg(&trial.data)
            .args(["--sip", &sip.to_string(), "--http", &http.to_string()])
            .args(["--metrics", "off"])
            .args(["--rtp-ports", &rtp_ports(), "--log", "warn"])
            .arg("--model")
            .arg(model)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = Child {
            process: Process::start(command, core)?,
            sip,
            realm: trial.realm,
            link: String::new(),
            http,
            folder,
        };
        child.link = child.ready().await?;
        Ok(child)
    }

    /// Its set-up link, once it prints that and serves.
    async fn ready(&mut self) -> Result<String> {
        let clock = engine::clock::Clock::start();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{}/readyz", self.http);
        let mut look = tokio::time::interval(Duration::from_millis(50));
        while clock.mono() < Mono::ZERO + PATIENCE {
            look.tick().await;
            if let Some(exit) = self.process.ended() {
                bail!("the measured huying ended ({exit}):\n{}", self.log());
            }
            let log = self.log();
            let link = log
                .split_whitespace()
                .find(|word| word.contains("/setup?token="));
            if let Some(link) = link
                && client
                    .get(&url)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            {
                return Ok(link.to_owned());
            }
        }
        bail!("the measured huying is not ready:\n{}", self.log());
    }

    /// What it printed and logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Below the ports the system hands out; not the same as those of another bench that may run at the same time.
fn rtp_ports() -> String {
    let from = 10_000 + 5_000 * (std::process::id() % 4);
    format!("{from}-{}", from + 4_999)
}

/// A port nobody has just now.
pub fn free_udp() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn free_tcp() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
