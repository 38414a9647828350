//! Wrong passwords cost time: by source, and by source and account together. Never by account alone, else a stranger could
//! lock its owner out.

use model::Wall;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(300);
const PER_SOURCE: u32 = 50;
const PER_ACCOUNT: u32 = 8;
/// Entries kept; beyond that, the oldest windows are forgotten.
const MOST: usize = 20_000;

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<(Option<IpAddr>, String), Failures>>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    since: Wall,
}

impl Throttle {
    /// Seconds to wait before another try is looked at.
    pub fn must_wait(&self, source: Option<IpAddr>, account: &str, now: Wall) -> Option<u32> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |account: &str, most: u32| {
            let failures = known.get(&(source, account.to_owned()))?;
            let passed = now.since(failures.since);
            (failures.count >= most && passed < WINDOW)
                .then(|| (WINDOW - passed).as_secs() as u32 + 1)
        };
        over(account, PER_ACCOUNT).or_else(|| over("", PER_SOURCE))
    }

    pub fn failed(&self, source: Option<IpAddr>, account: &str, now: Wall) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, failures| now.since(failures.since) < WINDOW);
            if known.len() >= MOST {
                known.clear();
            }
        }
        for key in [account, ""] {
            let failures = known.entry((source, key.to_owned())).or_insert(Failures {
                count: 0,
                since: now,
            });
            if now.since(failures.since) >= WINDOW {
                *failures = Failures {
                    count: 0,
                    since: now,
                };
            }
            failures.count += 1;
        }
    }

    pub fn succeeded(&self, source: Option<IpAddr>, account: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(source, account.to_owned()));
        // Its try was counted before it was judged.
        if let Some(failures) = known.get_mut(&(source, String::new())) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_waits_and_the_owner_elsewhere_does_not() {
        let throttle = Throttle::default();
        let stranger = Some(IpAddr::from([192, 0, 2, 1]));
        let owner = Some(IpAddr::from([192, 0, 2, 2]));
        let now = Wall::from_millis(1_000_000);
        for _ in 0..PER_ACCOUNT {
            assert!(throttle.must_wait(stranger, "acme", now).is_none());
            throttle.failed(stranger, "acme", now);
        }
        assert!(throttle.must_wait(stranger, "acme", now).is_some());
        assert!(throttle.must_wait(owner, "acme", now).is_none());
        assert!(throttle.must_wait(stranger, "acme", now + WINDOW).is_none());
    }
}
