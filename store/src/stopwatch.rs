//! How long something has taken: the one place of this crate that looks at a clock.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of a transaction and the patience of a queue are not the product's time"
    )]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
