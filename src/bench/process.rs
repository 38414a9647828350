//! A process that is measured: its CPU time and memory, as the kernel counts them.

use super::cores;
use anyhow::{Context, Result};
use engine::clock::Clock;
use model::Mono;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

pub struct Process {
    child: Child,
    clock: Clock,
    folder: PathBuf,
}

/// What a process has used up to a moment.
#[derive(Clone, Debug)]
pub struct Usage {
    at: Mono,
    /// By thread: its name and nanoseconds on a core, in user and kernel mode.
    threads: BTreeMap<u32, (String, u64)>,
    pub memory_kb: u64,
}

/// What it used between two moments.
#[derive(Clone, Debug)]
pub struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
    /// Most first; threads of one name together.
    pub by_thread: Vec<(String, Duration)>,
}

impl Process {
    /// Starts it, on one core when one is named. It inherits the core from the thread that starts it, so none of its threads
    /// is ever elsewhere.
    pub fn start(mut command: Command, core: Option<usize>) -> Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = format!("{name} could not be started");
        let child = cores::on(core, move || command.spawn().context(failed))?;
        let folder = PathBuf::from(format!("/proc/{}", child.id()));
        let clock = Clock::start();
        Ok(Process {
            child,
            clock,
            folder,
        })
    }

    /// Its exit, when it is over.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten();
        status.map(|status| status.to_string())
    }

    pub fn usage(&self) -> Result<Usage> {
        let mut threads = BTreeMap::new();
        let tasks = std::fs::read_dir(self.folder.join("task")).context("the process is gone")?;
        for task in tasks {
            let path = task?.path();
            // A thread may end between the listing and the reading.
            if let Some((id, thread)) = read_thread(&path) {
                threads.insert(id, thread);
            }
        }
        let status = std::fs::read_to_string(self.folder.join("status"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Ok(Usage {
            at: self.clock.mono(),
            threads,
            memory_kb: memory.unwrap_or(0),
        })
    }
}

/// `/proc/<pid>/task/<tid>`: nanoseconds on a core stand first in `schedstat`.
fn read_thread(path: &Path) -> Option<(u32, (String, u64))> {
    let id = path.file_name()?.to_str()?.parse().ok()?;
    let name = std::fs::read_to_string(path.join("comm")).ok()?;
    let nanos = match std::fs::read_to_string(path.join("schedstat")) {
        Ok(text) => text.split_whitespace().next()?.parse().ok()?,
        Err(_) => ticks(&std::fs::read_to_string(path.join("stat")).ok()?)?,
    };
    Some((id, (name.trim().to_owned(), nanos)))
}

/// utime and stime of a `stat` line, in ticks of 10 ms; the name before them may hold anything but `)`.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10_000_000)
}

impl Usage {
    pub fn since(&self, earlier: &Usage) -> Spent {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        let mut total = 0;
        for (id, (name, nanos)) in &self.threads {
            let before = earlier.threads.get(id).map_or(0, |(_, nanos)| *nanos);
            let spent = nanos.saturating_sub(before);
            total += spent;
            // `tokio-rt-worker` and the like count by kind, not by number.
            let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            *by_name.entry(kind).or_default() += spent;
        }
        let mut by_thread: Vec<(String, Duration)> = by_name
            .into_iter()
            .filter(|(_, nanos)| *nanos > 0)
            .map(|(name, nanos)| (name.to_owned(), Duration::from_nanos(nanos)))
            .collect();
        by_thread.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
        Spent {
            wall: self.at.since(earlier.at),
            cpu: Duration::from_nanos(total),
            by_thread,
        }
    }
}

impl Spent {
    /// Of one core, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }

    /// `node 61 %, sqlx-sqlite-worker 20 %, …`
    pub fn shares(&self) -> String {
        let whole = self.cpu.as_secs_f64().max(1e-9);
        let shares = self.by_thread.iter().map(|(name, spent)| {
            let percent = 100.0 * spent.as_secs_f64() / whole;
            (name, percent)
        });
        let shown: Vec<String> = shares
            .filter(|(_, percent)| *percent >= 1.0)
            .map(|(name, percent)| format!("{name} {percent:.0} %"))
            .collect();
        shown.join(", ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // Twice: the first drains, the second hangs up.
            kill_process(pid, Signal::TERM).ok();
            kill_process(pid, Signal::TERM).ok();
        }
        let deadline = self.clock.mono() + Duration::from_secs(3);
        while self.clock.mono() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            self.clock.pause(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_is_seen_by_its_name() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        let process = Process::start(command, None).unwrap();
        let before = process.usage().unwrap();
        let mut spent = process.usage().unwrap().since(&before);
        while spent.cpu == Duration::ZERO {
            spent = process.usage().unwrap().since(&before);
        }
        assert!(spent.shares().starts_with("sh "), "{}", spent.shares());
    }

    #[test]
    fn ticks_stand_after_a_name_that_may_hold_brackets() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20 0 1";
        assert_eq!(ticks(stat), Some(42 * 10_000_000));
    }
}
