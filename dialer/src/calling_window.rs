//! Several calendars at once, each on its own clock: open where all are.

use model::{Calendar, Wall, number::Zone};
use std::time::Duration;

/// A calendar and the zone it is read in.
pub type Window<'a> = (&'a Calendar, Zone);

/// How far ahead `next_all_open` looks: over a year of holidays.
const HORIZON: Duration = Duration::from_secs(400 * 24 * 3600);

pub fn all_open(at: Wall, windows: &[Window<'_>]) -> bool {
    windows
        .iter()
        .all(|(calendar, zone)| calendar.open(at, *zone))
}

/// The first moment at or after `at` in which all are open; `None` when there is none within 400 days.
pub fn next_all_open(at: Wall, windows: &[Window<'_>]) -> Option<Wall> {
    let last = at + HORIZON;
    let mut moment = at;
    // Each round moves past a time in which one of them is closed, so the first fixed point is the first common opening.
    while moment <= last {
        let mut next = moment;
        for (calendar, zone) in windows {
            next = calendar.next_open(next, *zone)?;
        }
        if next == moment {
            return Some(moment);
        }
        moment = next;
    }
    None
}
