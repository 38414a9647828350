//! The price of talking: flat, per started interval.

use model::{Currency, Money, time::seconds};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So much per started interval of talk. Valid by construction, read from a file or a row too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Figures", into = "Figures")]
pub struct Rate {
    currency: Currency,
    per_interval: Money,
    interval: Duration,
    minimum: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("a charging interval is between 1 second and 1 hour, in whole seconds")]
    Interval,
    #[error("a price is not negative")]
    Negative,
    #[error("the minimum is at most 1 hour, in whole seconds")]
    Minimum,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Rate {
    /// Whole seconds. `minimum` of talk is charged for every answered call, however short; zero for none.
    pub fn new(
        currency: Currency,
        per_interval: Money,
        interval: Duration,
        minimum: Duration,
    ) -> Result<Rate, RateError> {
        if interval.is_zero() || interval > HOUR || interval.subsec_nanos() != 0 {
            return Err(RateError::Interval);
        }
        if per_interval < Money::ZERO {
            return Err(RateError::Negative);
        }
        if minimum > HOUR || minimum.subsec_nanos() != 0 {
            return Err(RateError::Minimum);
        }
        Ok(Rate {
            currency,
            per_interval,
            interval,
            minimum,
        })
    }

    /// Per started minute, no minimum. A negative price is free.
    pub fn per_minute(currency: Currency, price: Money) -> Rate {
        let per_interval = price.max(Money::ZERO);
        let interval = Duration::from_secs(60);
        Rate {
            currency,
            per_interval,
            interval,
            minimum: Duration::ZERO,
        }
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }
    pub fn per_interval(&self) -> Money {
        self.per_interval
    }
    pub fn interval(&self) -> Duration {
        self.interval
    }
    pub fn minimum(&self) -> Duration {
        self.minimum
    }

    /// What the shortest answered call costs.
    pub fn first_charge(&self) -> Money {
        charge(self, Duration::from_millis(1))
    }

    /// Whole intervals begun within `talk`, the minimum included.
    pub(crate) fn intervals(&self, talk: Duration) -> u64 {
        let billed = talk.max(self.minimum).as_nanos();
        u64::try_from(billed.div_ceil(self.interval.as_nanos())).unwrap_or(u64::MAX)
    }
}

/// From answer to end; zero for a call that was not answered, which costs nothing. At the edge of what an integer holds it
/// stays there.
pub fn charge(rate: &Rate, talk: Duration) -> Money {
    if talk.is_zero() {
        return Money::ZERO;
    }
    rate.per_interval
        .checked_times(rate.intervals(talk))
        .unwrap_or(Money(i64::MAX))
}

/// As it is stored and served.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Figures {
    #[serde(default)]
    currency: Currency,
    per_interval: Money,
    #[serde(rename = "interval_seconds", with = "seconds")]
    interval: Duration,
    #[serde(default, rename = "minimum_seconds", with = "seconds")]
    minimum: Duration,
}

impl TryFrom<Figures> for Rate {
    type Error = RateError;
    fn try_from(figures: Figures) -> Result<Rate, RateError> {
        Rate::new(
            figures.currency,
            figures.per_interval,
            figures.interval,
            figures.minimum,
        )
    }
}

impl From<Rate> for Figures {
    fn from(rate: Rate) -> Figures {
        let Rate {
            currency,
            per_interval,
            interval,
            minimum,
        } = rate;
        Figures {
            currency,
            per_interval,
            interval,
            minimum,
        }
    }
}
