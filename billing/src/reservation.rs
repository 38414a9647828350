//! What is set aside before a call, so that no number of calls at once spends what is not there.

use crate::rate::{Rate, charge};
use model::Money;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub amount: Money,
    /// Talk it pays for; the call is cut then.
    #[serde(rename = "covers_ms", with = "millis")]
    pub covers: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the balance of {balance} does not cover the first interval of {needed}")]
    Balance { balance: Money, needed: Money },
}

/// How much to reserve for a call of at most `max`: all of it where the available `balance` allows, else as many whole
/// intervals as it pays for.
///
/// `charge(rate, talk) <= amount` for every `talk <= covers`, and `amount <= balance`.
pub fn quote(rate: &Rate, balance: Money, max: Duration) -> Result<Reservation, Refused> {
    let max = max.max(Duration::from_millis(1));
    let whole = charge(rate, max);
    if whole == Money::ZERO {
        return Ok(Reservation {
            amount: Money::ZERO,
            covers: max,
        });
    }
    // i64::MAX stands for "more than any balance", never for an amount.
    if whole <= balance && whole < Money(i64::MAX) {
        return Ok(Reservation {
            amount: whole,
            covers: max,
        });
    }
    let needed = rate.first_charge();
    if balance < needed {
        return Err(Refused::Balance { balance, needed });
    }
    // Positive: `whole` is not zero.
    let intervals = (balance.minor() / rate.per_interval().minor()) as u64;
    let amount = rate
        .per_interval()
        .checked_times(intervals)
        .unwrap_or(balance);
    let nanos = rate
        .interval()
        .as_nanos()
        .saturating_mul(u128::from(intervals));
    let covers = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(max);
    Ok(Reservation { amount, covers })
}

impl Reservation {
    /// What the call costs at its end: never more than was reserved, whatever the cut took to arrive.
    pub fn owed(&self, rate: &Rate, talk: Duration) -> Money {
        charge(rate, talk).min(self.amount)
    }
}

/// Whole milliseconds.
mod millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
