//! What a receiver knows of the stream it hears: loss and jitter as RFC 3550 appendix A counts them. Reports on the
//! wire are not spoken yet; RTCP that arrives on the RTP port is recognised and left.

use model::Mono;

/// Figures of one leg, over every source it has had.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    source: Option<Source>,
    received: u64,
    /// Lost under earlier sources.
    lost_before: u64,
    /// Scaled by 16, in timestamp units (A.8).
    jitter: u32,
}

#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    /// Highest sequence number with its wraps.
    highest: u64,
    /// Which of the 64 numbers up to the highest have come; bit 0 is the highest.
    seen: u64,
    /// Doubles not counted: they would hide losses.
    received: u64,
    last_transit: Option<u32>,
    /// A number that would prove a restart if it came next.
    suspect: Option<u16>,
}

const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;

impl Reception {
    /// Counts one packet of an admitted source. `audio`: its timestamp tells when it was spoken (a telephone-event's
    /// does not, it repeats).
    pub fn packet(&mut self, now: Mono, ssrc: u32, sequence: u16, timestamp: u32, audio: bool) {
        self.received += 1;
        let source = match &mut self.source {
            Some(source) if source.ssrc == ssrc => source,
            _ => {
                self.lost_before = self.lost();
                self.source.insert(Source::new(ssrc, sequence))
            }
        };
        let ahead = sequence.wrapping_sub(source.highest as u16);
        if ahead < MAX_DROPOUT {
            source.suspect = None;
            if ahead == 0 && source.received > 0 {
                return;
            }
            source.highest += u64::from(ahead);
            source.seen = source.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            if source.suspect == Some(sequence) {
                let lost = source.lost();
                *source = Source::new(ssrc, sequence);
                self.lost_before += lost;
            } else {
                source.suspect = Some(sequence.wrapping_add(1));
                return;
            }
        } else {
            let bit = 1u64
                .checked_shl(u32::from(ahead.wrapping_neg()))
                .unwrap_or(0);
            if source.seen & bit != 0 {
                return;
            }
            source.seen |= bit;
        }
        source.received += 1;
        if audio {
            let arrival = (now.as_nanos() / 125_000) as u32;
            let transit = arrival.wrapping_sub(timestamp);
            if let Some(last) = source.last_transit {
                let d = (transit.wrapping_sub(last) as i32).unsigned_abs();
                // A leap of the timestamp is no jitter.
                if d < 8000 {
                    self.jitter = self
                        .jitter
                        .saturating_add(d)
                        .saturating_sub((self.jitter + 8) >> 4);
                }
            }
            source.last_transit = Some(transit);
        }
    }

    pub fn received(&self) -> u64 {
        self.received
    }
    /// Expected less received, never below zero.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, Source::lost)
    }
    pub fn jitter_us(&self) -> u32 {
        (self.jitter >> 4).saturating_mul(125)
    }
}

impl Source {
    fn new(ssrc: u32, sequence: u16) -> Source {
        // One cycle up, so that a packet older than the first cannot go below zero.
        let first = 65536 + u64::from(sequence);
        Source {
            ssrc,
            first,
            highest: first,
            seen: 1,
            received: 0,
            last_transit: None,
            suspect: None,
        }
    }
    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Mono {
        Mono::from_nanos(us * 1000)
    }

    #[test]
    fn loss_is_what_is_missing_over_a_wrap_and_reordering_is_none() {
        let mut reception = Reception::default();
        for n in 0..1000u32 {
            if n % 10 == 3 {
                continue;
            }
            let n = if n % 10 == 5 {
                n + 1
            } else if n % 10 == 6 {
                n - 1
            } else {
                n
            };
            let sequence = 65000u16.wrapping_add(n as u16);
            reception.packet(at(u64::from(n) * 20_000), 1, sequence, n * 160, true);
        }
        assert_eq!(reception.lost(), 100);
        assert_eq!(reception.received(), 900);
    }

    #[test]
    fn steady_packets_have_no_jitter_and_shaken_ones_have() {
        let mut steady = Reception::default();
        let mut shaken = Reception::default();
        for n in 0..500u64 {
            steady.packet(at(n * 20_000), 1, n as u16, n as u32 * 160, true);
            let shake = if n % 2 == 0 { 0 } else { 5_000 };
            shaken.packet(at(n * 20_000 + shake), 1, n as u16, n as u32 * 160, true);
        }
        assert_eq!(steady.jitter_us(), 0);
        assert!(
            (4_000..=5_000).contains(&shaken.jitter_us()),
            "{}",
            shaken.jitter_us()
        );
    }

    #[test]
    fn a_new_source_or_a_restart_is_no_loss() {
        let mut reception = Reception::default();
        for n in 0..10 {
            reception.packet(at(n * 20_000), 1, n as u16, 0, false);
        }
        for n in 0..10 {
            reception.packet(at(n * 20_000), 2, 30_000 + n as u16, 0, false);
        }
        for n in 0..10 {
            reception.packet(at(n * 20_000), 2, 50 + n as u16, 0, false);
        }
        assert_eq!(reception.lost(), 0);
    }
}
