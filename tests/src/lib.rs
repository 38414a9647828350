//! Helpers of the tests in `tests/`: whole installations on loopback, spoken to by clients no one here wrote.
//!
//! Map: `house` (an installation in a folder of its own, with an enterprise) · `api` (its REST API) · `events` (what it says
//! happens) · `campaign` (all that a robot call needs) · `process` (other programs, killed when dropped) · `program` (ours as a process of its own) · `sipp` ·
//! `baresip` · `sound` (WAV files written and read).
//!
//! Invariant: nothing waits for time to pass; everything waits for something to happen, and gives up after a while. Ports are
//! the system's choice, addresses are 127.0.0.1.

pub mod api;
pub mod baresip;
pub mod campaign;
pub mod events;
pub mod house;
pub mod process;
pub mod program;
pub mod sipp;
pub mod sound;

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);
/// How often something that tells nobody is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The workspace's own files.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Looks at what announces nothing (another program's files and sockets, records written behind) until it is there.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut again = tokio::time::interval(LOOK);
    let found = tokio::time::timeout(within, async {
        loop {
            again.tick().await;
            if let Some(found) = look().await? {
                return Ok(found);
            }
        }
    });
    found
        .await
        .with_context(|| format!("not within {within:?}: {what}"))?
}

/// A port nobody has now, for programs that cannot say which one the system gave them.
pub fn free_udp_port() -> Result<u16> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

pub fn free_tcp_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// HTTP clients want it chosen for the process, as the binary's `main` does; whoever comes second finds it chosen.
pub fn one_tls_provider() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
