//! Time as a value. The shell reads the clocks; everything else is told.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// Monotonic time since an arbitrary start (the process in production, zero in simulation). For durations and deadlines.
/// Kept as nanoseconds; of another run it says nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
pub struct Mono(Duration);

impl Mono {
    pub const ZERO: Mono = Mono(Duration::ZERO);

    pub const fn from_millis(ms: u64) -> Self {
        Mono(Duration::from_millis(ms))
    }
    pub const fn from_nanos(ns: u64) -> Self {
        Mono(Duration::from_nanos(ns))
    }
    pub fn as_nanos(self) -> u64 {
        self.0.as_nanos() as u64
    }
    pub fn as_millis(self) -> u64 {
        self.0.as_millis() as u64
    }
    /// Zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<u64> for Mono {
    fn from(nanos: u64) -> Mono {
        Mono::from_nanos(nanos)
    }
}

impl From<Mono> for u64 {
    fn from(mono: Mono) -> u64 {
        mono.as_nanos()
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, by: Duration) -> Mono {
        Mono(self.0 + by)
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    /// Saturates at zero.
    fn sub(self, by: Duration) -> Mono {
        Mono(self.0.saturating_sub(by))
    }
}

/// Wall-clock time: milliseconds since the Unix epoch, UTC. For windows, records, nonces, certificates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    pub const fn from_millis(ms: i64) -> Self {
        Wall(ms)
    }
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// Zero when `earlier` is later (clocks jump).
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
    pub fn utc(self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
    /// RFC 3339 with milliseconds, `2026-11-21T02:50:00.000Z`.
    /// `2026-11-21T10:50:00+08:00`.
    pub fn parse_rfc3339(text: &str) -> Option<Wall> {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        Some(Wall(time.timestamp_millis()))
    }
    pub fn rfc3339(self) -> String {
        self.utc()
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, by: Duration) -> Wall {
        Wall(self.0.saturating_add(by.as_millis() as i64))
    }
}

impl Sub<Duration> for Wall {
    type Output = Wall;
    fn sub(self, by: Duration) -> Wall {
        Wall(self.0.saturating_sub(by.as_millis() as i64))
    }
}

/// The two clocks, read together once per input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

/// Serde for a `Duration` that is stored and served in whole seconds: `#[serde(with = "model::time::seconds")]`. What is
/// under a second is dropped.
pub mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }

    /// The same for an `Option<Duration>`; absent is `null`.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};
        use std::time::Duration;

        pub fn serialize<S: Serializer>(
            value: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => to.serialize_some(&value.as_secs()),
                None => to.serialize_none(),
            }
        }
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
        }
    }
}
