//! Telephone numbers: whatever people type or a wire carries, as one E.164 value, and the zone its callee lives in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A full international number: `+` and 7 to 15 digits (ITU-T E.164). The only form compared, stored or suppressed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("the number is empty")]
    Empty,
    #[error("`{0}` is no digit")]
    NotADigit(char),
    #[error("a number has 7 to 15 digits with its country code, this one {0}")]
    Length(usize),
    #[error("{0} is an emergency or short number, not a subscriber")]
    Short(String),
}

/// The zone a callee's clock runs in.
pub type Zone = chrono_tz::Tz;

/// Country calling codes whose zone we know to be one for the whole country. A country with several zones is absent on
/// purpose: `zone()` says `None`, and the caller takes the tenant's zone.
const ZONES: &[(&str, Zone)] = &[
    ("86", chrono_tz::Asia::Shanghai),
    ("852", chrono_tz::Asia::Hong_Kong),
    ("853", chrono_tz::Asia::Macau),
    ("886", chrono_tz::Asia::Taipei),
    ("65", chrono_tz::Asia::Singapore),
    ("60", chrono_tz::Asia::Kuala_Lumpur),
    ("66", chrono_tz::Asia::Bangkok),
    ("84", chrono_tz::Asia::Ho_Chi_Minh),
    ("63", chrono_tz::Asia::Manila),
    ("81", chrono_tz::Asia::Tokyo),
    ("82", chrono_tz::Asia::Seoul),
    ("91", chrono_tz::Asia::Kolkata),
    ("44", chrono_tz::Europe::London),
    ("49", chrono_tz::Europe::Berlin),
    ("33", chrono_tz::Europe::Paris),
];

impl E164 {
    /// Reads a dialled or written number. `country` is the calling code a national number belongs to (`"86"`).
    ///
    /// Accepts `+86 138…`, `0086138…`, `86138…` (11-digit mainland mobile behind it), `013800138000` (the leading 0 of
    /// out-of-area mobiles), spaces, dashes, dots, brackets, `tel:`, full-width digits.
    pub fn parse(text: &str, country: &str) -> Result<E164, NumberError> {
        let text = text.trim();
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let mut digits = String::with_capacity(16);
        let mut international = false;
        for c in text.chars() {
            match c {
                '0'..='9' => digits.push(c),
                // Full-width digits, U+FF10 to U+FF19.
                '\u{ff10}'..='\u{ff19}' => {
                    digits.push(char::from(b'0' + (c as u32 - 0xff10) as u8));
                }
                '+' | '\u{ff0b}' if digits.is_empty() && !international => international = true,
                ' ' | '-' | '.' | '(' | ')' | '\u{a0}' | '\u{3000}' | '\u{2010}'..='\u{2015}' => {}
                other => return Err(NumberError::NotADigit(other)),
            }
        }
        if digits.is_empty() {
            return Err(NumberError::Empty);
        }
        if !international {
            if let Some(rest) = digits.strip_prefix("00") {
                digits = rest.to_owned();
            } else {
                digits = Self::national(&digits, country)?;
            }
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(NumberError::Length(digits.len()));
        }
        Ok(E164(format!("+{digits}")))
    }

    fn national(digits: &str, country: &str) -> Result<String, NumberError> {
        if country == "86" {
            let mobile = |d: &str| d.len() == 11 && d.starts_with('1');
            if mobile(digits) {
                return Ok(format!("86{digits}"));
            }
            if let Some(rest) = digits.strip_prefix("86").filter(|rest| mobile(rest)) {
                return Ok(format!("86{rest}"));
            }
        }
        if digits.len() < 7 {
            return Err(NumberError::Short(digits.to_owned()));
        }
        // Already with its country code: longer than any national number of that country.
        if digits.starts_with(country) && digits.len() >= country.len() + 8 && country != "86" {
            return Ok(digits.to_owned());
        }
        let national = digits.strip_prefix('0').unwrap_or(digits);
        Ok(format!("{country}{national}"))
    }

    /// With the leading `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
    /// The form a gateway of that country dials: national digits at home, `00…` for others. Mainland landlines keep their
    /// trunk prefix (`021…`); mobiles (11 digits from 1), 400 and 800 numbers have none.
    pub fn national_form(&self, country: &str) -> String {
        let Some(rest) = self.digits().strip_prefix(country) else {
            return format!("00{}", self.digits());
        };
        let mobile = rest.len() == 11 && rest.starts_with('1');
        let service = rest.len() == 10 && (rest.starts_with("400") || rest.starts_with("800"));
        if country == "86" && !mobile && !service {
            return format!("0{rest}");
        }
        rest.to_owned()
    }
    /// The callee's zone, where the number tells it.
    pub fn zone(&self) -> Option<Zone> {
        ZONES
            .iter()
            .filter(|(code, _)| self.digits().starts_with(code))
            .max_by_key(|(code, _)| code.len())
            .map(|(_, zone)| *zone)
    }
    /// For logs: `+86138****8000`.
    pub fn masked(&self) -> String {
        Masked(&self.0).to_string()
    }
}

/// What somebody dialled, typed or sent, as a log may show it: of each run of seven digits or more the middle is hidden, as in
/// `+86138****8000`. Short numbers and names stay.
#[derive(Clone, Copy)]
pub struct Masked<'a>(pub &'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !c.is_ascii_digit());
            let (digits, after) = from.split_at(end.unwrap_or(from.len()));
            f.write_str(before)?;
            match digits.len() {
                ..7 => f.write_str(digits)?,
                n => write!(
                    f,
                    "{}****{}",
                    &digits[..n.saturating_sub(8)],
                    &digits[n - 4..]
                )?,
            }
            rest = after;
        }
        f.write_str(rest)
    }
}

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Masked: a debug print ends in a log sooner or later.
impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({})", self.masked())
    }
}

impl TryFrom<String> for E164 {
    type Error = NumberError;
    fn try_from(text: String) -> Result<Self, NumberError> {
        match text.strip_prefix('+') {
            Some(digits)
                if (7..=15).contains(&digits.len())
                    && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(E164(text))
            }
            Some(digits) => Err(NumberError::Length(digits.len())),
            None => Err(NumberError::Empty),
        }
    }
}

impl From<E164> for String {
    fn from(number: E164) -> String {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_mainland_mobile_is_one_number() {
        for spelling in [
            "13800138000",
            "013800138000",
            "+86 138-0013-8000",
            "008613800138000",
            "8613800138000",
            "tel:+8613800138000",
            "１３８００１３８０００",
        ] {
            assert_eq!(
                E164::parse(spelling, "86").unwrap().as_str(),
                "+8613800138000",
                "{spelling}"
            );
        }
    }

    #[test]
    fn landlines_hong_kong_and_abroad() {
        assert_eq!(
            E164::parse("02188886666", "86").unwrap().as_str(),
            "+862188886666"
        );
        assert_eq!(
            E164::parse("91234567", "852").unwrap().as_str(),
            "+85291234567"
        );
        assert_eq!(
            E164::parse("85291234567", "852").unwrap().as_str(),
            "+85291234567"
        );
        assert_eq!(
            E164::parse("0085291234567", "86").unwrap().as_str(),
            "+85291234567"
        );
        assert_eq!(
            E164::parse("+14155550100", "86").unwrap().as_str(),
            "+14155550100"
        );
    }

    #[test]
    fn what_is_no_subscriber_number_is_refused() {
        assert!(matches!(
            E164::parse("110", "86"),
            Err(NumberError::Short(_))
        ));
        assert!(matches!(E164::parse("", "86"), Err(NumberError::Empty)));
        assert!(matches!(
            E164::parse("13x", "86"),
            Err(NumberError::NotADigit('x'))
        ));
        assert!(matches!(
            E164::parse("+123456", "86"),
            Err(NumberError::Length(6))
        ));
    }

    #[test]
    fn hong_kong_is_not_mainland_time_by_prefix_accident() {
        let zone = |n: &str| E164::parse(n, "86").unwrap().zone();
        assert_eq!(zone("+8613800138000"), Some(chrono_tz::Asia::Shanghai));
        assert_eq!(zone("+85291234567"), Some(chrono_tz::Asia::Hong_Kong));
        assert_eq!(
            zone("+14155550100"),
            None,
            "the United States have several zones"
        );
    }

    #[test]
    fn a_gateway_gets_what_a_local_would_dial() {
        let dialled = |n: &str, home: &str| E164::parse(n, "86").unwrap().national_form(home);
        assert_eq!(dialled("13800138000", "86"), "13800138000");
        assert_eq!(dialled("02188886666", "86"), "02188886666");
        assert_eq!(dialled("0755-2888 6666", "86"), "075528886666");
        assert_eq!(dialled("+861088886666", "86"), "01088886666");
        assert_eq!(dialled("4008001234", "86"), "4008001234");
        assert_eq!(dialled("+85291234567", "86"), "0085291234567");
        assert_eq!(dialled("+85291234567", "852"), "91234567");
        // Dialled back, it is the same number.
        for n in ["13800138000", "02188886666", "4008001234"] {
            let number = E164::parse(n, "86").unwrap();
            assert_eq!(E164::parse(&number.national_form("86"), "86"), Ok(number));
        }
    }

    #[test]
    fn logs_see_a_masked_number() {
        assert_eq!(
            E164::parse("13800138000", "86").unwrap().masked(),
            "+86138****8000"
        );
        let shown = |text: &str| Masked(text).to_string();
        assert_eq!(
            shown("sip:13800138000@10.0.0.1"),
            "sip:138****8000@10.0.0.1"
        );
        assert_eq!(shown("+8613800138000, 110"), "+86138****8000, 110");
        assert_eq!(shown("12345678"), "****5678");
        assert_eq!(shown("前台 1001"), "前台 1001");
    }
}
