//! Forms that several resources share on the wire.

use crate::problem::{Checks, Problem};
use model::{Calendar, E164, Wall};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// A moment as RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T02:50:00.000Z")]
pub struct Moment(pub Wall);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        chrono::DateTime::parse_from_rfc3339(&text)
            .map(|time| Moment(Wall::from_millis(time.timestamp_millis())))
            .map_err(|_| {
                serde::de::Error::custom("a moment is written as 2026-11-21T10:50:00+08:00")
            })
    }
}

impl From<Wall> for Moment {
    fn from(at: Wall) -> Moment {
        Moment(at)
    }
}

pub fn moment(at: Option<Wall>) -> Option<Moment> {
    at.map(Moment)
}

/// The id of something just made.
#[derive(Serialize, ToSchema)]
pub struct Created {
    pub id: Uuid,
}

/// Weekly opening spans, for the document only; `model::Calendar` is what is read and written.
#[derive(ToSchema)]
#[schema(as = Calendar)]
#[allow(dead_code)]
pub struct CalendarShape {
    pub spans: Vec<SpanShape>,
    /// Local dates on which nothing is open.
    #[schema(value_type = Vec<String>, example = json!(["2026-10-01"]))]
    pub holidays: Vec<String>,
}

/// From a minute of the day up to, not including, another; `to` may be 1440; `from` after `to` runs over midnight.
#[derive(ToSchema)]
#[schema(as = Span)]
#[allow(dead_code)]
pub struct SpanShape {
    #[schema(example = "mon")]
    pub day: String,
    #[schema(maximum = 1439)]
    pub from: u16,
    #[schema(maximum = 1440)]
    pub to: u16,
}

pub fn check_calendar(checks: &mut Checks, calendar: &Calendar, pointer: &str) {
    checks.that(
        calendar.valid(),
        pointer,
        "invalid",
        "spans lie within a day and are not empty",
    );
    checks.that(
        calendar.spans.len() <= 100 && calendar.holidays.len() <= 1000,
        pointer,
        "too_long",
        "at most 100 spans and 1000 holidays",
    );
}

/// A telephone number as people write it.
pub fn number(text: &str, country: &str, pointer: &str) -> Result<E164, Problem> {
    E164::parse(text, country)
        .map_err(|error| Problem::invalid(pointer, number_code(&error), error.to_string()))
}

pub fn number_code(error: &model::NumberError) -> &'static str {
    match error {
        model::NumberError::Empty => "required",
        model::NumberError::NotADigit(_) => "not_a_number",
        model::NumberError::Length(_) => "wrong_length",
        model::NumberError::Short(_) => "short_number",
    }
}

/// `unset` and `null` are different things in a change: the outer `None` leaves the field as it is.
pub fn nullable<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}
