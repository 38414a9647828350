//! How unevenly the network delivers.

use crate::FRAME;

/// How unevenly packets come: the largest lateness against the earliest, over the last five to ten seconds.
#[derive(Clone, Debug)]
pub(super) struct Transit {
    /// A packet has come.
    pub seen: bool,
    count: u32,
    /// Relative to the first packet's: earliest and latest, of this span and of the one before.
    origin: u32,
    earliest: [i32; 2],
    latest: [i32; 2],
}

const SPAN: u32 = 250;
/// Queues drain, but never by this much below the best so far from one packet to the next.
const EARLY: i32 = 800;

impl Default for Transit {
    fn default() -> Self {
        Transit {
            seen: false,
            count: 0,
            origin: 0,
            earliest: [0; 2],
            latest: [FRAME as i32; 2],
        }
    }
}

impl Transit {
    pub fn packet(&mut self, arrival: u32, timestamp: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if !self.seen {
            self.seen = true;
            self.origin = transit;
        }
        let relative = transit.wrapping_sub(self.origin) as i32;
        let earliest = self.earliest[0].min(self.earliest[1]);
        if relative > 80_000 || relative < earliest - EARLY {
            // Ten seconds late, or suddenly far earlier than ever, is another clock, not the network.
            *self = Transit {
                seen: true,
                origin: transit,
                ..Transit::default()
            };
            return;
        }
        self.count += 1;
        if self.count.is_multiple_of(SPAN) {
            self.earliest = [relative, self.earliest[0]];
            self.latest = [relative, self.latest[0]];
        } else {
            self.earliest[0] = self.earliest[0].min(relative);
            self.latest[0] = self.latest[0].max(relative);
        }
    }
    pub fn spread(&self) -> u32 {
        let earliest = self.earliest[0].min(self.earliest[1]);
        let latest = self.latest[0].max(self.latest[1]);
        (latest - earliest) as u32
    }
}
