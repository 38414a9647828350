//! The one place of this crate that reads clocks and asks the system about its threads.

use model::Mono;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since this crate first asked.
#[allow(clippy::disallowed_methods)] // this is the door
pub(crate) fn now() -> Mono {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Mono::from_nanos(start.elapsed().as_nanos() as u64)
}

/// Processor time this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.max(0) as u64, spent.tv_nsec as u32)
}

/// Media goes first: on Linux this lowers the calling thread alone.
pub(crate) fn be_nice(by: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, by) {
        tracing::debug!(%error, "this thread keeps its priority");
    }
}
