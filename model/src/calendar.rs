//! Weekly opening spans with holidays. A calendar has no zone of its own: it is asked about a moment in a zone, since the
//! same window is applied in the callee's zone and the tenant's hours in the tenant's.

use crate::number::Zone;
use crate::time::Wall;
use chrono::{
    Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// From a minute of the day up to, not including, another. `to` may be 1440 (midnight). `from >= to` runs over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub day: Weekday,
    pub from: u16,
    pub to: u16,
}

/// When something is open. No spans means never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calendar {
    pub spans: Vec<Span>,
    /// Local dates on which nothing is open (spans that began the evening before still run out).
    pub holidays: Vec<NaiveDate>,
}

const DAYS: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

impl Calendar {
    pub fn always() -> Calendar {
        Calendar::daily(0, 1440)
    }

    /// The same span every day.
    pub fn daily(from: u16, to: u16) -> Calendar {
        let spans = DAYS.into_iter().map(|day| Span { day, from, to }).collect();
        Calendar {
            spans,
            holidays: Vec::new(),
        }
    }

    /// Spans are within a day's minutes and never empty.
    pub fn valid(&self) -> bool {
        self.spans
            .iter()
            .all(|s| s.from < 1440 && s.to <= 1440 && s.from != s.to)
    }

    pub fn open(&self, at: Wall, zone: Zone) -> bool {
        let local = at.utc().with_timezone(&zone);
        let minute = (local.hour() * 60 + local.minute()) as u16;
        let today = local.date_naive();
        let yesterday = today - Days::new(1);
        self.of_day(today).any(|s| {
            if s.from < s.to {
                (s.from..s.to).contains(&minute)
            } else {
                minute >= s.from
            }
        }) || self
            .of_day(yesterday)
            .any(|s| s.from > s.to && minute < s.to)
    }

    /// The local date is one of the holidays.
    pub fn holiday(&self, at: Wall, zone: Zone) -> bool {
        self.holidays
            .contains(&at.utc().with_timezone(&zone).date_naive())
    }

    fn of_day(&self, date: NaiveDate) -> impl Iterator<Item = &Span> {
        let day = DAYS[date.weekday().num_days_from_monday() as usize];
        let closed = self.holidays.contains(&date);
        self.spans.iter().filter(move |s| !closed && s.day == day)
    }

    /// The first moment at or after `at` that is open, within the next 400 days.
    pub fn next_open(&self, at: Wall, zone: Zone) -> Option<Wall> {
        if self.open(at, zone) {
            return Some(at);
        }
        let first = at.utc().with_timezone(&zone).date_naive();
        (0..400).find_map(|n| {
            let date = first + Days::new(n);
            let starts = self
                .of_day(date)
                .flat_map(|s| instants(date, s.from, zone))
                .flatten();
            // Set back, the clock may land inside a span that had ended.
            starts
                .chain(change(date, zone))
                .filter(|moment| *moment > at && self.open(*moment, zone))
                .min()
        })
    }
}

/// When the clocks change during this local date, if they do.
fn change(date: NaiveDate, zone: Zone) -> Option<Wall> {
    let midnight = |date| instants(date, 0, zone)[0];
    let (mut before, mut after) = (midnight(date)?.0, midnight(date + Days::new(1))?.0);
    let offset = |ms| Wall(ms).utc().with_timezone(&zone).offset().fix();
    let old = offset(before);
    if old == offset(after) {
        return None;
    }
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if offset(middle) == old {
            before = middle
        } else {
            after = middle
        }
    }
    Some(Wall(after))
}

/// A local minute as moments: one; inside a daylight-saving gap, the first minute after it; when it occurs twice, both.
fn instants(date: NaiveDate, minute: u16, zone: Zone) -> [Option<Wall>; 2] {
    let Some(time) = NaiveTime::from_hms_opt(u32::from(minute) / 60, u32::from(minute) % 60, 0)
    else {
        return [None, None];
    };
    let wall = |t: chrono::DateTime<Zone>| Some(Wall::from_millis(t.timestamp_millis()));
    let mut local = NaiveDateTime::new(date, time);
    for _ in 0..240 {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(t) => return [wall(t), None],
            LocalResult::Ambiguous(t, u) => return [wall(t), wall(u)],
            LocalResult::None => local += chrono::Duration::minutes(1),
        }
    }
    [None, None]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Wall {
        Wall::from_millis(
            chrono::DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_millis(),
        )
    }
    const SHANGHAI: Zone = chrono_tz::Asia::Shanghai;

    #[test]
    fn a_day_window_is_judged_on_the_local_clock() {
        let nine_to_nine = Calendar::daily(9 * 60, 21 * 60);
        assert!(!nine_to_nine.open(at("2026-11-21T08:59:59+08:00"), SHANGHAI));
        assert!(nine_to_nine.open(at("2026-11-21T09:00:00+08:00"), SHANGHAI));
        assert!(!nine_to_nine.open(at("2026-11-21T21:00:00+08:00"), SHANGHAI));
        assert_eq!(
            nine_to_nine.next_open(at("2026-11-21T21:00:00+08:00"), SHANGHAI),
            Some(at("2026-11-22T09:00:00+08:00"))
        );
    }

    #[test]
    fn a_span_over_midnight_runs_out_on_a_holiday_but_does_not_start_on_one() {
        let mut night = Calendar::daily(22 * 60, 2 * 60);
        night
            .holidays
            .push(NaiveDate::from_ymd_opt(2026, 10, 1).unwrap());
        assert!(night.open(at("2026-10-01T01:30:00+08:00"), SHANGHAI));
        assert!(!night.open(at("2026-10-01T22:30:00+08:00"), SHANGHAI));
        assert!(!night.open(at("2026-10-02T01:30:00+08:00"), SHANGHAI));
        assert!(night.open(at("2026-10-02T23:00:00+08:00"), SHANGHAI));
    }

    #[test]
    fn opening_inside_a_daylight_saving_gap_moves_to_its_end() {
        // London 2026-03-29: 01:00 to 02:00 does not exist.
        let calendar = Calendar::daily(90, 600);
        assert_eq!(
            calendar.next_open(at("2026-03-29T00:30:00Z"), chrono_tz::Europe::London),
            Some(at("2026-03-29T01:00:00Z"))
        );
    }

    #[test]
    fn a_clock_set_back_into_a_span_opens_it_again() {
        // London 2026-10-25: 02:00 summer time becomes 01:00 again, at 01:00 UTC.
        let london = chrono_tz::Europe::London;
        let early = Calendar::daily(30, 90);
        assert!(!early.open(at("2026-10-25T00:45:00Z"), london));
        assert_eq!(
            early.next_open(at("2026-10-25T00:45:00Z"), london),
            Some(at("2026-10-25T01:00:00Z"))
        );
        let late = Calendar::daily(90, 110);
        assert_eq!(
            late.next_open(at("2026-10-25T00:55:00Z"), london),
            Some(at("2026-10-25T01:30:00Z"))
        );
    }

    #[test]
    fn the_next_opening_is_the_first_open_minute_of_a_brute_force() {
        let span = |day, from, to| Span { day, from, to };
        let odd = Calendar {
            spans: vec![
                span(Weekday::Sat, 1380, 45),
                span(Weekday::Sun, 60, 75),
                span(Weekday::Sun, 110, 125),
                span(Weekday::Mon, 1430, 1440),
            ],
            holidays: vec![NaiveDate::from_ymd_opt(2026, 10, 26).unwrap()],
        };
        // Both changes of the year where there are any; Havana and Beirut change at midnight, Lord Howe by half an hour.
        let zones = [
            chrono_tz::Europe::London,
            chrono_tz::America::New_York,
            chrono_tz::America::Havana,
            chrono_tz::Asia::Beirut,
            chrono_tz::Australia::Lord_Howe,
            SHANGHAI,
        ];
        for zone in zones {
            for month in ["03", "04", "10", "11"] {
                let first = at(&format!("2026-{month}-01T00:00:00Z"));
                let minutes = 33 * 24 * 60;
                let minute = |n: i64| Wall(first.0 + n * 60_000);
                let mut expected = None;
                for n in (0..minutes).rev() {
                    if odd.open(minute(n), zone) {
                        expected = Some(minute(n));
                    }
                    if n < minutes - 8 * 24 * 60 && n % 7 == 0 {
                        assert_eq!(odd.next_open(minute(n), zone), expected, "{zone} {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_spans_is_never() {
        assert_eq!(
            Calendar::default().next_open(at("2026-11-21T08:00:00Z"), SHANGHAI),
            None
        );
    }
}
