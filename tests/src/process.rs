//! Other people's programs: started, listened to, killed by their own id when dropped.

use anyhow::{Context, Result, bail};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

pub struct Process {
    name: String,
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// `package` is what to install when the program is missing.
    pub fn start(mut command: Command, package: &str) -> Result<Process> {
        let name = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("{name} is not installed. FIX: apt-get install {package} (`make test` does)");
            }
            started => started.with_context(|| format!("cannot start {name}"))?,
        };
        let said = Arc::new(Mutex::new(String::new()));
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            readers.push(tokio::spawn(read(out, said.clone())));
        }
        if let Some(out) = child.stderr.take() {
            readers.push(tokio::spawn(read(out, said.clone())));
        }
        Ok(Process {
            name,
            child,
            said,
            readers,
        })
    }

    /// Everything it has printed so far.
    pub fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let id = self.child.id().context("it has ended")?;
        let id = rustix::process::Pid::from_raw(id as i32).context("a process id")?;
        Ok(rustix::process::kill_process(id, signal)?)
    }

    /// The first line it has printed so far that holds this.
    pub fn line(&self, with: &str) -> Option<String> {
        let said = self.said();
        let found = said.lines().find(|line| line.contains(with));
        found.map(str::to_owned)
    }

    /// Its status if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end; all it printed.
    pub async fn end(&mut self, within: Duration) -> Result<(ExitStatus, String)> {
        let status = tokio::time::timeout(within, self.child.wait()).await;
        let status = status.with_context(|| {
            format!(
                "{} still runs after {within:?}; it said:\n{}",
                self.name,
                self.said()
            )
        })??;
        for reader in self.readers.drain(..) {
            reader.await.ok();
        }
        Ok((status, self.said()))
    }
}

async fn read(out: impl AsyncRead + Unpin, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(out).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&String::from_utf8_lossy(&line));
        said.push('\n');
    }
}
