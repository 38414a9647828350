//! The one place that reads the clocks (clippy refuses it elsewhere).

use model::{Mono, Now, Wall};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time counts from here; shared by every thread of one engine.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

#[allow(clippy::disallowed_methods)]
impl Clock {
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    pub fn mono(&self) -> Mono {
        Mono::ZERO + self.start.elapsed()
    }

    pub fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            wall: wall(),
        }
    }

    /// From now until `deadline`; zero when it has passed.
    pub fn until(&self, deadline: Mono) -> Duration {
        deadline.since(self.mono())
    }

    /// Lets this thread's packets gather (see `media_worker`).
    pub fn pause(&self, how_long: Duration) {
        std::thread::sleep(how_long);
    }
}

/// The wall clock alone, for what has no durations.
#[allow(clippy::disallowed_methods)]
pub fn wall() -> Wall {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Wall::from_millis(since.as_millis() as i64)
}
