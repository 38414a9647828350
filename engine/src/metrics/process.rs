//! What the process uses, as the kernel counts it; the names are those of every Prometheus client.

use meter::{Page, Part};
use std::fmt;
use std::fs::{read_dir, read_to_string};

#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Part for Process {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        if let Some(used) = Used::read(&stat) {
            let cpu = used.ticks as f64 / ticks;
            page.counter("process_cpu_seconds", "User and system CPU time", cpu)?;
            let resident = used.pages as f64 * rustix::param::page_size() as f64;
            page.gauge("process_resident_memory_bytes", "Resident memory", resident)?;
            page.gauge("process_threads", "Threads", used.threads as f64)?;
            // Both since boot; the wall clock may jump.
            let boot = read_to_string("/proc/stat")
                .ok()
                .and_then(|text| boot(&text));
            if let Some(boot) = boot {
                let start = boot + used.started as f64 / ticks;
                page.gauge(
                    "process_start_time_seconds",
                    "Start, since the epoch",
                    start,
                )?;
            }
        }
        if let Ok(open) = read_dir("/proc/self/fd") {
            page.gauge(
                "process_open_fds",
                "Open file descriptors",
                open.count() as f64,
            )?;
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let most = limit.current.map_or(f64::INFINITY, |n| n as f64);
        page.gauge("process_max_fds", "File descriptors it may open", most)
    }
}

struct Used {
    ticks: u64,
    threads: u64,
    started: u64,
    pages: u64,
}

impl Used {
    /// `/proc/self/stat`; the name in it may hold anything but its last bracket.
    fn read(stat: &str) -> Option<Used> {
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        // proc_pid_stat(5) counts from 1 and the name is field 2.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Used {
            ticks: field(14)? + field(15)?,
            threads: field(20)?,
            started: field(22)?,
            pages: field(24)?,
        })
    }
}

fn boot(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let (_, text) = meter::page(vec![Box::new(Process)]);
        for name in [
            "cpu_seconds_total",
            "resident_memory_bytes",
            "threads",
            "open_fds",
            "max_fds",
        ] {
            assert!(
                text.contains(&format!("\nprocess_{name} ")),
                "{name}: {text}"
            );
        }
        let used = Used::read("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20 0 9 0 77 1000 42 0");
        let used = used.unwrap();
        assert_eq!(
            (used.ticks, used.threads, used.started, used.pages),
            (42, 9, 77, 42)
        );
    }
}
