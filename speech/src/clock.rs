//! The one place of this crate that reads a clock.

use model::Mono;
use std::sync::OnceLock;
use std::time::Instant;

/// Time since this crate first asked.
#[allow(clippy::disallowed_methods)] // this is the door
pub(crate) fn now() -> Mono {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Mono::from_nanos(start.elapsed().as_nanos() as u64)
}

/// Processor time this thread has used.
pub(crate) fn thread_cpu() -> std::time::Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(spent.tv_sec.max(0) as u64, spent.tv_nsec as u32)
}
