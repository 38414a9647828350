//! baresip without a face: a folder with its configuration, commands and events by its `ctrl_tcp` module, a WAV file as its
//! microphone, WAV files of what it heard.

use crate::process::Process;
use crate::{SOON, eventually, free_tcp_port};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Where Debian keeps its modules; other systems say where with `BARESIP_MODULES`.
const MODULES: &str = "/usr/lib/baresip/modules";

pub struct Baresip {
    process: Process,
    control: TcpStream,
    /// Bytes of the next message.
    pending: Vec<u8>,
    folder: TempDir,
}

impl Baresip {
    /// With these accounts (lines of its `accounts` file), speaking `microphone`.
    pub async fn start(accounts: &[String], microphone: &[i16]) -> Result<Baresip> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let source = path.join("microphone.wav");
        crate::sound::write(&source, microphone)?;
        let heard = path.join("heard");
        std::fs::create_dir(&heard)?;
        let control = free_tcp_port()?;
        std::fs::write(path.join("accounts"), accounts.join("\n") + "\n")?;
        std::fs::write(path.join("config"), configuration(&source, &heard, control))?;
        let mut command = Command::new("baresip");
        // With every message it sends and gets, for when a test fails.
        command.arg("-f").arg(path).args(["-v", "-s"]);
        let mut process = Process::start(command, "baresip-core")?;
        let control = eventually("baresip listens for commands", SOON, async || {
            if let Some(status) = process.ended()? {
                bail!("baresip ended at once with {status}:\n{}", process.said());
            }
            Ok(TcpStream::connect(("127.0.0.1", control)).await.ok())
        })
        .await?;
        Ok(Baresip {
            process,
            control,
            pending: Vec::new(),
            folder,
        })
    }

    pub async fn command(&mut self, command: &str, parameters: &str) -> Result<()> {
        let message = json!({ "command": command, "params": parameters, "token": "1" }).to_string();
        let netstring = format!("{}:{message},", message.len());
        Ok(self.control.write_all(netstring.as_bytes()).await?)
    }

    /// Its next event of this type, `CALL_ESTABLISHED` and the like; others before it are passed over.
    pub async fn event(&mut self, kind: &str, within: Duration) -> Result<Value> {
        let mut passed = Vec::new();
        let found = tokio::time::timeout(within, async {
            loop {
                let message = self.message().await?;
                if message["event"] == true && message["type"] == kind {
                    return Ok(message);
                }
                passed.push(message.to_string());
            }
        });
        let found = found.await;
        found.with_context(|| {
            let said = self.process.said();
            format!("no {kind} within {within:?}, but {passed:#?}; baresip said:\n{said}")
        })?
    }

    async fn message(&mut self) -> Result<Value> {
        loop {
            if let Some(colon) = self.pending.iter().position(|byte| *byte == b':') {
                let length: usize = std::str::from_utf8(&self.pending[..colon])?
                    .trim()
                    .parse()?;
                let (from, to) = (colon + 1, colon + 1 + length);
                // The comma after it belongs to it.
                if self.pending.len() > to {
                    let message = serde_json::from_slice(&self.pending[from..to])?;
                    self.pending.drain(..=to);
                    return Ok(message);
                }
            }
            if self.control.read_buf(&mut self.pending).await? == 0 {
                bail!("baresip is gone; it said:\n{}", self.process.said());
            }
        }
    }

    /// The file of what it hears, once it has written this much sound.
    pub async fn has_heard(&self, sound: Duration) -> Result<PathBuf> {
        let wanted = sound.as_millis() as u64 * 16;
        let folder = self.folder.path().join("heard");
        eventually("baresip hears something", SOON, async || {
            for file in std::fs::read_dir(&folder)? {
                let file = file?;
                if file.file_name().to_string_lossy().ends_with("-dec.wav")
                    && file.metadata()?.len() > wanted
                {
                    return Ok(Some(file.path()));
                }
            }
            Ok(None)
        })
        .await
        .with_context(|| self.process.said())
    }

    /// Ends it in good order, so that its files are whole; what it heard last.
    pub async fn quit(mut self) -> Result<Vec<i16>> {
        let heard = self.has_heard(Duration::ZERO).await?;
        self.command("quit", "").await?;
        self.process.end(SOON).await?;
        crate::sound::read(&heard)?
            .pop()
            .context("a recording has a channel")
    }
}

fn configuration(source: &Path, heard: &Path, control: u16) -> String {
    let modules = std::env::var("BARESIP_MODULES").unwrap_or_else(|_| MODULES.into());
    let (source, heard) = (source.display(), heard.display());
    format!(
        "poll_method epoll
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
call_local_timeout 60
call_max_calls 4
audio_source aufile,{source}
audio_player aubridge,nowhere
audio_alert aufile,/dev/null
ausrc_srate 8000
auplay_srate 8000
audio_channels 1
module_path {modules}
module_app menu.so
module_app account.so
module_app ctrl_tcp.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module uuid.so
snd_path {heard}
ctrl_tcp_listen 127.0.0.1:{control}
"
    )
}
