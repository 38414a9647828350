//! What a cell holds, as far as leads care.

use calamine::{Data, DataRef, ExcelDateTime};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Nothing,
    Text(String),
    /// A whole number, as phones and ids come when the column is not formatted as text.
    Whole(i64),
    Fraction(f64),
    Bool(bool),
    /// `2026-11-21`, `2026-11-21 10:30:00` or `10:30:00`.
    Date(String),
    /// A formula that was never calculated.
    Uncalculated,
    /// `#N/A` and its kind.
    Failed(String),
}

impl Content {
    pub fn of(value: &DataRef<'_>, formula: bool) -> Content {
        match value {
            DataRef::Empty if formula => Content::Uncalculated,
            DataRef::Empty => Content::Nothing,
            DataRef::String(text) => Content::text(text, formula),
            DataRef::SharedString(text) => Content::text(text, formula),
            DataRef::Int(n) => Content::Whole(*n),
            DataRef::Float(f) => Content::number(*f),
            DataRef::Bool(b) => Content::Bool(*b),
            DataRef::DateTime(at) => Content::Date(date(at)),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Content::Date(text.clone()),
            DataRef::Error(error) => Content::Failed(error.to_string()),
        }
    }

    pub fn of_data(value: &Data) -> Content {
        match value {
            Data::Empty => Content::Nothing,
            Data::String(text) => Content::text(text, false),
            Data::Int(n) => Content::Whole(*n),
            Data::Float(f) => Content::number(*f),
            Data::Bool(b) => Content::Bool(*b),
            Data::DateTime(at) => Content::Date(date(at)),
            Data::DateTimeIso(text) | Data::DurationIso(text) => Content::Date(text.clone()),
            Data::Error(error) => Content::Failed(error.to_string()),
        }
    }

    fn number(f: f64) -> Content {
        // Beyond 2^53 a float no longer names one whole number.
        if f.fract() == 0.0 && f.abs() < 9e15 {
            Content::Whole(f as i64)
        } else {
            Content::Fraction(f)
        }
    }

    pub fn text(text: &str, formula: bool) -> Content {
        match text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}') {
            "" if formula => Content::Uncalculated,
            "" => Content::Nothing,
            text => Content::Text(armed(text).to_owned()),
        }
    }

    /// As it would stand in a text column.
    pub fn words(&self) -> String {
        match self {
            Content::Nothing | Content::Uncalculated => String::new(),
            Content::Text(text) | Content::Date(text) | Content::Failed(text) => text.clone(),
            Content::Whole(n) => n.to_string(),
            Content::Fraction(f) => f.to_string(),
            Content::Bool(b) => b.to_string(),
        }
    }

    pub fn json(&self) -> Value {
        match self {
            Content::Whole(n) => Value::from(*n),
            Content::Fraction(f) => Value::from(*f),
            Content::Bool(b) => Value::from(*b),
            other => Value::from(other.words()),
        }
    }
}

/// Without the apostrophe that keeps a cell inert in csv files of ours and others.
fn armed(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => text,
    }
}

fn date(at: &ExcelDateTime) -> String {
    let serial = at.as_f64();
    let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
    if at.is_duration() || (0.0..1.0).contains(&serial) {
        return format!("{hour:02}:{minute:02}:{second:02}");
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    if serial.fract() == 0.0 {
        day
    } else {
        format!("{day} {hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    #[test]
    fn dates_are_written_as_people_read_them() {
        let at = |serial| {
            let at = ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, false);
            Content::of(&DataRef::DateTime(at), false).words()
        };
        assert_eq!(at(45943.0), "2025-10-13");
        assert_eq!(at(45943.5), "2025-10-13 12:00:00");
        assert_eq!(at(0.25), "06:00:00");
    }

    #[test]
    fn a_cell_that_was_made_inert_is_itself_again() {
        assert_eq!(
            Content::text("'+8613800138000", false).words(),
            "+8613800138000"
        );
        assert_eq!(Content::text("'s", false).words(), "'s");
    }
}
