//! `huying doctor`: looks at this machine and installation, changes nothing, and says for every failure what mends it.
//!
//! Map: `finding` (a line of the report) · `network` (addresses, ports, buffers) · `machine` (clock, cores, disk, limits) ·
//! `installation` (database, speech model, TLS) · `call` (`--call`: a call over loopback, its audio measured).

mod call;
mod finding;
mod installation;
mod machine;
mod network;

use crate::config::Config;
use finding::{Finding, State};
use std::io::Write;

/// Prints a line; a reader who has seen enough (`| head`) is no fault.
macro_rules! say {
    ($($part:tt)*) => {
        writeln!(std::io::stdout(), $($part)*).ok()
    };
}

/// The exit status: 1 when anything failed.
pub async fn run(config: &Config, with_call: bool) -> anyhow::Result<i32> {
    say!("Huying {} doctor\n", env!("CARGO_PKG_VERSION"));
    let mut worst = State::Ok;
    let mut show = |finding: Finding| {
        say!("{finding}");
        worst = worst.max(finding.state);
    };
    let running = network::running(config).await;
    for finding in network::check(config, running) {
        show(finding);
    }
    for finding in machine::check(config) {
        show(finding);
    }
    for finding in installation::check(config).await {
        show(finding);
    }
    if with_call {
        say!("\nA call over loopback, extension to extension, by an engine of its own:");
        for finding in call::check().await {
            show(finding);
        }
    }
    Ok(match worst {
        State::Ok => {
            say!("\nAll is well.");
            0
        }
        State::Warn => {
            say!("\nIt works; what is marked WARN may hurt later.");
            0
        }
        State::Failed => {
            say!("\nSomething FAILED; each FIX above says what to do.");
            1
        }
    })
}
