//! The product as a process of its own, for tests that send it signals or look at what it prints: this test binary run once
//! more, with one of its tests as the program.

use crate::process::Process;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

const ARGUMENTS: &str = "HUYING_TEST_ARGUMENTS";
/// The test that is the program; every test binary that uses this has it: `#[test] fn the_program() { program::be() }`.
const TEST: &str = "the_program";

/// Becomes the program when this process was started as it; a test that passes otherwise.
pub fn be() {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        let arguments = arguments.lines().map(Into::into);
        std::process::exit(i32::from(huying::cli::status(arguments)));
    }
}

/// `huying` with these arguments, in this folder, without settings of the environment.
pub fn start(folder: &Path, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", TEST, "--nocapture", "--quiet"]);
    let ours = |name: &str| name.starts_with("HUYING_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    let line: Vec<&str> = [&["huying"], arguments].concat();
    command.env(ARGUMENTS, line.join("\n")).current_dir(folder);
    Process::start(command, "a toolchain")
}

/// Runs it to its end; its status and all it printed.
pub async fn run(folder: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let mut process = start(folder, arguments)?;
    let (status, said) = process.end(Duration::from_secs(120)).await?;
    Ok((status.code().context("it was killed")?, said))
}

/// Every port by the system, nothing heard.
pub fn serve(data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    let anywhere = "127.0.0.1:0";
    [
        "serve",
        "--data",
        &data,
        "--sip",
        anywhere,
        "--http",
        anywhere,
        "--metrics",
        anywhere,
    ]
    .into_iter()
    .chain([
        "--rtp-ports",
        "0",
        "--model",
        "/nonexistent",
        "--log",
        "info",
    ])
    .map(str::to_owned)
    .collect()
}
