//! What a call costs and what is set aside for it.

use billing::*;
use model::*;
use proptest::prelude::*;
use std::time::Duration;

fn rate(per_interval: i64, interval: u64, minimum: u64) -> Rate {
    let secs = Duration::from_secs;
    Rate::new(
        Currency::Cny,
        Money(per_interval),
        secs(interval),
        secs(minimum),
    )
    .unwrap()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn every_started_interval_is_charged_whole() {
    let minute = rate(12, 60, 0);
    let six = rate(1, 6, 0);
    let half_minute_first = rate(1, 6, 30);
    for (rate, talk_ms, expected) in [
        (minute, 0, 0),
        (minute, 1, 12),
        (minute, 60_000, 12),
        (minute, 60_001, 24),
        (minute, 61_000, 24),
        (minute, 3_600_000, 720),
        (six, 5_999, 1),
        (six, 6_000, 1),
        (six, 6_001, 2),
        (half_minute_first, 0, 0),
        (half_minute_first, 1, 5),
        (half_minute_first, 30_000, 5),
        (half_minute_first, 30_001, 6),
        (rate(0, 60, 0), 90_000, 0),
    ] {
        assert_eq!(
            charge(&rate, ms(talk_ms)),
            Money(expected),
            "{rate:?} {talk_ms} ms"
        );
    }
    assert_eq!(
        charge(&minute, Duration::from_nanos(60_000_000_001)),
        Money(24)
    );
}

#[test]
fn a_price_beyond_an_integer_stays_at_its_edge() {
    let dear = rate(i64::MAX / 2, 1, 0);
    assert_eq!(charge(&dear, ms(3_000)), Money(i64::MAX));
    assert_eq!(charge(&rate(1, 1, 0), Duration::MAX), Money(i64::MAX));
    let refused = quote(&dear, Money(100), ms(3_000));
    assert_eq!(
        refused,
        Err(Refused::Balance {
            balance: Money(100),
            needed: Money(i64::MAX / 2)
        })
    );
    let two = quote(&dear, Money(i64::MAX), ms(3_000)).unwrap();
    assert_eq!(
        (two.amount, two.covers),
        (Money(i64::MAX / 2 * 2), ms(2_000))
    );
}

#[test]
fn senseless_rates_cannot_be_made_nor_read() {
    let new = |price, interval, minimum| Rate::new(Currency::Cny, Money(price), interval, minimum);
    let minute = ms(60_000);
    assert_eq!(
        new(1, Duration::ZERO, Duration::ZERO),
        Err(RateError::Interval)
    );
    assert_eq!(new(1, ms(1_500), Duration::ZERO), Err(RateError::Interval));
    assert_eq!(
        new(1, ms(3_601_000), Duration::ZERO),
        Err(RateError::Interval)
    );
    assert_eq!(new(-1, minute, Duration::ZERO), Err(RateError::Negative));
    assert_eq!(new(1, minute, ms(1)), Err(RateError::Minimum));
    let read = |text: &str| serde_json::from_str::<Rate>(text);
    assert!(read(r#"{"per_interval": 12, "interval_seconds": 0}"#).is_err());
    assert!(read(r#"{"per_interval": -12, "interval_seconds": 60}"#).is_err());
    assert_eq!(
        read(r#"{"per_interval": 12, "interval_seconds": 60}"#).unwrap(),
        Rate::per_minute(Currency::Cny, Money(12))
    );
    let hong_kong = rate(1, 6, 30);
    let json = serde_json::to_value(hong_kong).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "currency": "CNY", "per_interval": 1, "interval_seconds": 6, "minimum_seconds": 30
        })
    );
    assert_eq!(serde_json::from_value::<Rate>(json).unwrap(), hong_kong);
}

#[test]
fn a_reservation_lasts_as_long_as_the_balance() {
    let minute = rate(12, 60, 0);
    let ten = Duration::from_secs(600);
    let quoted = |balance| quote(&minute, Money(balance), ten);
    let covers = |amount, seconds| {
        Ok(Reservation {
            amount: Money(amount),
            covers: Duration::from_secs(seconds),
        })
    };
    assert_eq!(quoted(1_000), covers(120, 600));
    assert_eq!(quoted(120), covers(120, 600));
    assert_eq!(quoted(119), covers(108, 540));
    assert_eq!(quoted(12), covers(12, 60));
    assert_eq!(
        quoted(11),
        Err(Refused::Balance {
            balance: Money(11),
            needed: Money(12)
        })
    );
    assert_eq!(
        quoted(0),
        Err(Refused::Balance {
            balance: Money(0),
            needed: Money(12)
        })
    );
    assert!(quoted(-1).is_err());
    // A longest call that is no whole number of intervals.
    assert_eq!(
        quote(&minute, Money(1_000), Duration::from_secs(90)),
        covers(24, 90)
    );
    assert_eq!(
        quote(&minute, Money(23), Duration::from_secs(90)),
        covers(12, 60)
    );
    // The minimum is the first thing to be affordable.
    let minimum = rate(1, 6, 30);
    assert!(quote(&minimum, Money(4), ten).is_err());
    assert_eq!(quote(&minimum, Money(5), ten), covers(5, 30));
    // What costs nothing needs nothing.
    assert_eq!(quote(&rate(0, 60, 0), Money(0), ten), covers(0, 600));
}

#[test]
fn a_cut_that_arrives_late_costs_no_more_than_was_reserved() {
    let minute = rate(12, 60, 0);
    let reserved = quote(&minute, Money(12), Duration::from_secs(600)).unwrap();
    assert_eq!(reserved.owed(&minute, ms(60_000)), Money(12));
    assert_eq!(reserved.owed(&minute, ms(60_040)), Money(12));
    assert_eq!(reserved.owed(&minute, Duration::ZERO), Money(0));
}

#[test]
fn a_reservation_is_kept_in_milliseconds() {
    let reserved = Reservation {
        amount: Money(24),
        covers: ms(90_000),
    };
    let json = serde_json::to_value(reserved).unwrap();
    assert_eq!(json, serde_json::json!({"amount": 24, "covers_ms": 90_000}));
    assert_eq!(
        serde_json::from_value::<Reservation>(json).unwrap(),
        reserved
    );
}

fn any_rate() -> impl Strategy<Value = Rate> {
    (0i64..500, 1u64..200, 0u64..200)
        .prop_map(|(price, interval, minimum)| rate(price, interval, minimum))
}

/// Interval by interval, as one would on paper.
fn counted(rate: &Rate, talk: Duration) -> Money {
    let (mut paid_for, mut cost) = (Duration::ZERO, 0);
    while !talk.is_zero() && (paid_for < talk || paid_for < rate.minimum()) {
        paid_for += rate.interval();
        cost += rate.per_interval().minor();
    }
    Money(cost)
}

proptest! {
    #[test]
    fn a_charge_is_what_counting_gives(rate in any_rate(), talk in 0u64..2_000_000) {
        prop_assert_eq!(charge(&rate, ms(talk)), counted(&rate, ms(talk)));
    }

    #[test]
    fn longer_never_costs_less(rate in any_rate(), a in 0u64..2_000_000, b in 0u64..2_000_000) {
        prop_assert!(charge(&rate, ms(a.min(b))) <= charge(&rate, ms(a.max(b))));
    }

    #[test]
    fn a_reservation_pays_for_all_it_covers(
        rate in any_rate(), balance in -100i64..20_000, max in 1u64..4_000_000, talk in 0.0f64..=1.0,
    ) {
        match quote(&rate, Money(balance), ms(max)) {
            Ok(reservation) => {
                prop_assert!(reservation.amount <= Money(balance.max(0)));
                prop_assert!(reservation.covers > Duration::ZERO && reservation.covers <= ms(max));
                prop_assert!(charge(&rate, reservation.covers) == reservation.amount);
                let talk = reservation.covers.mul_f64(talk);
                prop_assert!(charge(&rate, talk) <= reservation.amount);
                // It stops early only where the balance does.
                if reservation.covers < ms(max) {
                    let more = charge(&rate, reservation.covers + ms(1));
                    prop_assert!(more > Money(balance));
                }
            }
            Err(Refused::Balance { needed, .. }) => {
                prop_assert_eq!(needed, charge(&rate, ms(1)));
                prop_assert!(Money(balance) < needed);
            }
        }
    }
}
