//! SIPp with the scenarios in `tests/scenarios`.

use crate::house::{House, PASSWORD};
use crate::process::Process;
use crate::{SOON, eventually, free_udp_port};
use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

/// One SIPp that plays one scenario once.
pub struct Sipp {
    scenario: &'static str,
    replaced: Vec<(&'static str, String)>,
    arguments: Vec<String>,
    port: Option<u16>,
    called: bool,
}

impl Sipp {
    pub fn plays(scenario: &'static str) -> Sipp {
        Sipp {
            scenario,
            replaced: Vec::new(),
            arguments: Vec::new(),
            port: None,
            called: false,
        }
    }

    /// Signs in as this user when challenged, with the right password, and says so in From.
    pub fn user(self, user: &str) -> Sipp {
        let given = ["-au", user, "-ap", PASSWORD];
        self.arguments(&given).key("from", user)
    }
    pub fn password(self, password: &str) -> Sipp {
        self.arguments(&["-ap", password])
    }
    /// `[name]` in the scenario.
    pub fn key(self, name: &str, value: &str) -> Sipp {
        self.arguments(&["-key", name, value])
    }
    pub fn calls(self, number: &str) -> Sipp {
        self.arguments(&["-s", number])
    }
    /// `@STATUS@` in the scenario: the response that must come.
    pub fn expects(mut self, status: u16) -> Sipp {
        self.replaced.push(("@STATUS@", status.to_string()));
        self
    }
    /// Speaks from this port; from any when not told.
    pub fn at(mut self, port: u16) -> Sipp {
        self.port = Some(port);
        self
    }
    /// It is called: it listens before `start` returns.
    pub fn is_called(mut self) -> Sipp {
        self.called = true;
        self
    }
    fn arguments(mut self, arguments: &[&str]) -> Sipp {
        self.arguments
            .extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Starts it.
    pub async fn start(self, house: &House) -> Result<Playing> {
        let folder = tempfile::tempdir()?;
        let file = format!(
            "{}/scenarios/{}.xml",
            env!("CARGO_MANIFEST_DIR"),
            self.scenario
        );
        let mut scenario = std::fs::read_to_string(&file).with_context(|| file.clone())?;
        for (mark, value) in &self.replaced {
            scenario = scenario.replace(mark, value);
        }
        let path = folder.path().join("scenario.xml");
        std::fs::write(&path, scenario)?;
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).env("TERM", "dumb");
        command.args([
            &house.sip.to_string(),
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
            "-m",
            "1",
            "-nostdin",
        ]);
        command.arg("-sf").arg(&path).args([
            "-timeout",
            "30s",
            "-timeout_error",
            "-recv_timeout",
            "20000",
        ]);
        command.args([
            "-trace_err",
            "-error_file",
            "errors.log",
            "-trace_msg",
            "-message_file",
            "messages.log",
        ]);
        // Left to itself it takes 5060, where strangers look for servers.
        let port = self.port.map_or_else(free_udp_port, Ok)?;
        command
            .args(["-p", &port.to_string()])
            .args(&self.arguments);
        let mut process = Process::start(command, "sip-tester")?;
        if self.called {
            let bound = eventually("SIPp listens", SOON, async || {
                if let Some(status) = process.ended()? {
                    bail!("SIPp ended at once with {status}");
                }
                Ok(is_bound(port)?.then_some(()))
            });
            bound
                .await
                .with_context(|| format!("{} at {port}", self.scenario))?;
        }
        Ok(Playing {
            scenario: self.scenario,
            process,
            folder,
        })
    }

    /// Plays it to its end.
    pub async fn run(self, house: &House) -> Result<()> {
        self.start(house).await?.end().await
    }
}

pub struct Playing {
    scenario: &'static str,
    process: Process,
    folder: TempDir,
}

impl Playing {
    /// Fails, with the messages, unless the scenario went as written.
    pub async fn end(mut self) -> Result<()> {
        let ended = self.process.end(SOON * 2).await;
        let read =
            |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        match ended {
            Ok((status, _)) if status.success() => Ok(()),
            Ok((status, said)) => {
                let (errors, messages) = (read("errors.log"), read("messages.log"));
                // Without a word on why, SIPp's own screen may tell.
                let screen = if errors.is_empty() {
                    said
                } else {
                    String::new()
                };
                bail!(
                    "SIPp did not get through {} ({status}):\n{errors}\n{messages}\n{screen}",
                    self.scenario
                );
            }
            Err(error) => {
                Err(error).with_context(|| format!("{}:\n{}", self.scenario, read("messages.log")))
            }
        }
    }
}

/// Whether somebody has this UDP port of 127.0.0.1, without taking it.
fn is_bound(port: u16) -> Result<bool> {
    let address = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/udp")?;
    Ok(table
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(&address)))
}
