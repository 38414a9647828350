//! Numbers that are no ordinary subscriber's: emergency, short, premium, satellite; in whatever spelling they come.

use model::{E164, NumberError};
use serde::{Deserialize, Serialize};

/// Dialled as such whatever the country: a traveller dials what he knows.
pub const EMERGENCY: &[&str] = &["110", "119", "120", "112", "999", "911"];

/// Beside those, by the tenant's calling code: traffic police and maritime rescue, ambulances, text service for the deaf.
const EMERGENCY_AT_HOME: &[(&str, &str)] = &[
    ("86", "122"),
    ("86", "12395"),
    ("852", "992"),
    ("65", "995"),
    ("81", "118"),
    ("61", "000"),
    ("64", "111"),
];

/// National prefixes behind a calling code that begin with an emergency number and that no subscriber has. An exchange or
/// gateway may connect after the first digits, so the rest does not make them harmless.
const EMERGENCY_PREFIXES: &[&str] = &[
    "86110", "86112", "86119", "86120", "86122", "852112", "852999", "853112", "853999", "44112",
    "44999", "1911", "1112",
];

/// The fewest digits a subscriber has behind the calling code. Shorter ones are service numbers (95588, 10086, 12345).
const SHORTEST: &[(&str, usize)] = &[
    ("86", 9),
    ("852", 8),
    ("853", 8),
    ("886", 8),
    ("65", 8),
    ("44", 9),
    ("1", 10),
    ("81", 9),
    ("82", 8),
];

/// Prefixes that cost more than a call. A tenant's policy starts with these.
pub const PREMIUM: &[&str] = &[
    // International premium and shared cost, universal personal numbers, satellite and international networks.
    "979", "808", "878", "870", "881", "882", "883", "888",
    // Mainland satellite phones (Globalstar, Tiantong).
    "861349", "861740", // National premium services.
    "852900", "449", "4487", "4470", "1900", "1976", "3389", "49900", "81990",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialKind {
    Emergency,
    Short,
}

/// What a person or a wire asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// `110`
    Emergency(String),
    /// `95588`
    Short(String),
    Number(E164),
}

impl Called {
    /// Reads a dialled string as `E164::parse` does, and tells emergency and short numbers from subscribers. `country` is the
    /// tenant's calling code.
    pub fn read(text: &str, country: &str) -> Result<Called, NumberError> {
        let digits = digits(text)?;
        // +86110, 0086110 and 86110 are 110.
        let bare = if digits.plus {
            &digits.text
        } else {
            digits.text.strip_prefix("00").unwrap_or(&digits.text)
        };
        let national = bare.strip_prefix(country).unwrap_or(bare);
        for spelling in [digits.text.as_str(), national] {
            let home = EMERGENCY_AT_HOME.contains(&(country, spelling));
            if home || EMERGENCY.contains(&spelling) {
                return Ok(Called::Emergency(spelling.to_owned()));
            }
        }
        let foreign = digits.plus || digits.text.starts_with("00");
        if foreign && bare.len() < 7 || digits.text.len() < 7 {
            let short = if foreign { national } else { &digits.text };
            return match short {
                "" => Err(NumberError::Empty),
                short => Ok(Called::Short(short.to_owned())),
            };
        }
        let number = E164::parse(text, country)?;
        // 10086xx and the like: a service number however it was written.
        if kind(&number) == Some(SpecialKind::Short) && number.digits().starts_with(country) {
            return Ok(Called::Short(number.digits()[country.len()..].to_owned()));
        }
        Ok(Called::Number(number))
    }
}

struct Digits {
    plus: bool,
    text: String,
}

/// The same characters as `E164::parse` accepts.
fn digits(text: &str) -> Result<Digits, NumberError> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let mut read = Digits {
        plus: false,
        text: String::new(),
    };
    for c in text.chars() {
        match c {
            '0'..='9' => read.text.push(c),
            '\u{ff10}'..='\u{ff19}' => read.text.push(char::from(b'0' + (c as u32 - 0xff10) as u8)),
            '+' | '\u{ff0b}' if read.text.is_empty() && !read.plus => read.plus = true,
            ' ' | '-' | '.' | '(' | ')' | '\u{a0}' | '\u{3000}' | '\u{2010}'..='\u{2015}' => {}
            other => return Err(NumberError::NotADigit(other)),
        }
    }
    if read.text.is_empty() {
        Err(NumberError::Empty)
    } else {
        Ok(read)
    }
}

/// What a full number is, when it is no ordinary subscriber's.
pub fn kind(number: &E164) -> Option<SpecialKind> {
    let digits = number.digits();
    if EMERGENCY_PREFIXES
        .iter()
        .any(|prefix| digits.starts_with(prefix))
    {
        return Some(SpecialKind::Emergency);
    }
    let short = SHORTEST.iter().any(|(code, least)| {
        digits
            .strip_prefix(code)
            .is_some_and(|rest| rest.len() < *least)
    });
    short.then_some(SpecialKind::Short)
}
