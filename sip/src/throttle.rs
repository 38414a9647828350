//! How much a stranger may ask for: a fixed table of token buckets by source address, so it needs no memory per stranger.

use crate::chance::Keyed;
use model::Mono;
use std::net::IpAddr;

const BUCKETS: usize = 4096;

pub(crate) struct Throttle {
    keyed: Keyed,
    per_second: u32,
    /// Tokens in thousandths, and when they were counted.
    buckets: Vec<(u64, Mono)>,
}

impl Throttle {
    pub fn new(keyed: Keyed, per_second: u32) -> Throttle {
        Throttle {
            keyed,
            per_second,
            buckets: vec![(u64::from(per_second) * 1000, Mono::ZERO); BUCKETS],
        }
    }

    /// Takes one token of this source.
    pub fn allow(&mut self, now: Mono, ip: IpAddr) -> bool {
        let name = match ip {
            IpAddr::V4(v4) => self.keyed.digest(&[&v4.octets()]),
            // A subscriber holds a /64.
            IpAddr::V6(v6) => self.keyed.digest(&[&v6.octets()[..8]]),
        };
        let (tokens, counted) = &mut self.buckets[name as usize % BUCKETS];
        let full = u64::from(self.per_second) * 1000;
        let earned =
            now.since(*counted).as_millis().min(1 << 20) as u64 * u64::from(self.per_second);
        *tokens = (*tokens + earned).min(full);
        *counted = now;
        let allowed = *tokens >= 1000;
        if allowed {
            *tokens -= 1000;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn a_source_gets_its_share_each_second_and_does_not_take_anothers() {
        let mut throttle = Throttle::new(Chance::new([3; 32]).hasher(), 10);
        let (a, b) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let count = |t: &mut Throttle, ms, ip| {
            (0..100)
                .filter(|_| t.allow(Mono::from_millis(ms), ip))
                .count()
        };
        assert_eq!(count(&mut throttle, 0, a), 10);
        assert_eq!(count(&mut throttle, 0, b), 10);
        assert_eq!(count(&mut throttle, 500, a), 5);
        assert_eq!(count(&mut throttle, 60_000, a), 10);
    }
}
