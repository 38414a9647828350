//! Who runs where: the measured process has one core to itself, the load generator another.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub measured: Option<usize>,
    pub generator: Option<usize>,
}

impl Cores {
    /// The first two of those we may use; none where there is but one.
    pub fn choose() -> Cores {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(measured), Some(generator)) => Cores {
                measured: Some(measured),
                generator: Some(generator),
            },
            _ => Cores {
                measured: None,
                generator: None,
            },
        }
    }

    pub fn note(self) -> String {
        match (self.measured, self.generator) {
            (Some(measured), Some(generator)) => {
                format!("Server on core {measured} alone, load generator on core {generator}.")
            }
            _ => "Server and load generator share the one core there is: expect higher figures."
                .into(),
        }
    }
}

/// Does it on a thread that stays on the core; threads and processes it starts stay there too.
pub fn on<T: Send + 'static>(
    core: Option<usize>,
    act: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let thread = std::thread::spawn(move || {
        stay_on(core);
        act()
    });
    match thread.join() {
        Ok(result) => result,
        Err(_) => anyhow::bail!("a thread of the bench ended badly"),
    }
}

/// Keeps this thread, and what it starts from here on, on one core.
pub fn stay_on(core: Option<usize>) {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).ok();
    }
}
