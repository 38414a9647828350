//! Values inside header fields: lists, parameters, addresses, Via, CSeq, Reason. All read from bytes, nothing copied.

use crate::uri::{NameAddr, Uri, split_port};
use std::net::IpAddr;

/// `token` of RFC 3261 §25.1.
pub fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b)
}

/// Only digits, at most 2^32 − 1.
pub fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u32, |n, b| match b {
        b'0'..=b'9' => n.checked_mul(10)?.checked_add(u32::from(b - b'0')),
        _ => None,
    })
}

/// `314159 INVITE`; the number is below 2^31 (RFC 3261 §8.1.1.5).
pub fn cseq(value: &[u8]) -> Option<(u32, &[u8])> {
    let space = value.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let n = number(&value[..space]).filter(|n| *n < 1 << 31)?;
    let method = value[space..].trim_ascii();
    (!method.is_empty() && method.iter().copied().all(is_token_byte)).then_some((n, method))
}

/// Position of the first byte in `stops` outside quotes and, when `angles`, outside `<…>`. `Err` for an open quote.
fn find_outside(value: &[u8], stops: &[u8], angles: bool) -> Result<Option<usize>, ()> {
    let mut quoted = false;
    let mut angle = false;
    let mut i = 0;
    while i < value.len() {
        let b = value[i];
        if quoted {
            match b {
                b'\\' => i += 1,
                b'"' => quoted = false,
                _ => {}
            }
        } else if b == b'"' && !angle {
            quoted = true;
        } else if angles && b == b'<' {
            angle = true;
        } else if angles && b == b'>' {
            angle = false;
        } else if !angle && stops.contains(&b) {
            return Ok(Some(i));
        }
        i += 1;
    }
    if quoted { Err(()) } else { Ok(None) }
}

/// Elements of a comma-separated list. An open quote makes the rest one element, for its reader to refuse.
pub fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        loop {
            let value = rest?;
            let element = match find_outside(value, b",", true) {
                Ok(Some(comma)) => {
                    rest = Some(&value[comma + 1..]);
                    &value[..comma]
                }
                Ok(None) | Err(()) => {
                    rest = None;
                    value
                }
            };
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

/// `;name=value;name` with white space anywhere between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// `text` begins at the first `;` or is empty.
    pub fn new(text: &'a [u8]) -> Params<'a> {
        Params(text)
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0.trim_ascii();
        std::iter::from_fn(move || {
            loop {
                rest = rest.strip_prefix(b";")?;
                let (one, tail) = match find_outside(rest, b";", false) {
                    Ok(Some(i)) => rest.split_at(i),
                    _ => (rest, &b""[..]),
                };
                rest = tail;
                let (name, value) = match one.iter().position(|b| *b == b'=') {
                    Some(i) => (one[..i].trim_ascii(), Some(one[i + 1..].trim_ascii())),
                    None => (one.trim_ascii(), None),
                };
                if !name.is_empty() {
                    return Some((name, value));
                }
            }
        })
    }

    /// `None`: absent. `Some(None)`: without a value.
    pub fn get(self, name: &str) -> Option<Option<&'a [u8]>> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| v)
    }

    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.get(name).flatten().filter(|v| !v.is_empty())
    }

    fn well_formed(self) -> bool {
        let text = self.0.trim_ascii();
        if text.is_empty() {
            return true;
        }
        if text[0] != b';' || find_outside(text, b",", false) != Ok(None) {
            return false;
        }
        let mut count = 0;
        let names = self.iter().all(|(name, _)| {
            count += 1;
            name.iter().copied().all(is_token_byte)
        });
        // `;;` has fewer names than semicolons.
        names && count == semicolons(text)
    }
}

fn semicolons(text: &[u8]) -> usize {
    let mut n = 0;
    let mut rest = text;
    while let Ok(Some(i)) = find_outside(rest, b";", false) {
        n += 1;
        rest = &rest[i + 1..];
    }
    n
}

/// Takes quotes and escapes away.
pub fn unquote(value: &[u8]) -> Vec<u8> {
    match value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
    {
        None => value.to_vec(),
        Some(inner) => {
            let mut out = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter();
            while let Some(b) = bytes.next() {
                out.push(if *b == b'\\' {
                    bytes.next().copied().unwrap_or(b'\\')
                } else {
                    *b
                });
            }
            out
        }
    }
}

/// `"Display" <sip:u@h>;params` or `sip:u@h;params`, as in From, To, Contact, Route.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// As sent, quotes included.
    pub display: &'a [u8],
    pub uri: &'a str,
    /// Header parameters, not the URI's.
    pub params: Params<'a>,
    /// Whether the URI stood in angle brackets.
    pub bracketed: bool,
}

impl<'a> Address<'a> {
    pub fn parse(value: &'a [u8]) -> Option<Address<'a>> {
        let value = value.trim_ascii();
        match find_outside(value, b"<", false).ok()? {
            Some(open) => {
                let close = open + value[open..].iter().position(|b| *b == b'>')?;
                let display = value[..open].trim_ascii();
                // Unquoted, a display name is tokens; a comma or colon in it splits differently elsewhere
                // (RFC 4475 §3.1.2.15). Bytes beyond ASCII are let through: GBK names come unquoted.
                let plain = |b: u8| is_token_byte(b) || b == b' ' || b == b'\t' || b >= 0x80;
                let quoted = display.len() >= 2 && display[0] == b'"' && display.ends_with(b"\"");
                if !quoted && !display.iter().copied().all(plain) {
                    return None;
                }
                let params = Params(&value[close + 1..]);
                let uri = std::str::from_utf8(&value[open + 1..close]).ok()?;
                if uri.trim_ascii() != uri || uri.is_empty() || !params.well_formed() {
                    return None;
                }
                Some(Address {
                    display,
                    uri,
                    params,
                    bracketed: true,
                })
            }
            None => {
                // RFC 3261 §20.10: without brackets, parameters belong to the header, and `?` or `,` cannot stand there.
                let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
                let params = Params(&value[end..]);
                let uri = std::str::from_utf8(value[..end].trim_ascii_end()).ok()?;
                if uri.is_empty()
                    || uri
                        .bytes()
                        .any(|b| matches!(b, b'?' | b',' | b'"' | b' ' | b'\t'))
                    || !params.well_formed()
                {
                    return None;
                }
                Some(Address {
                    display: b"",
                    uri,
                    params,
                    bracketed: false,
                })
            }
        }
    }

    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag")
    }

    pub fn to_name_addr(&self) -> Option<NameAddr> {
        Some(NameAddr {
            display: unquote(self.display),
            uri: Uri::parse(self.uri).ok()?,
        })
    }
}

/// One Via element.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    pub transport: &'a [u8],
    /// As sent: what transactions compare.
    pub sent_by: &'a str,
    pub host: &'a str,
    pub port: Option<u16>,
    pub params: Params<'a>,
    /// Length of this element in its field value, for inserting parameters behind it.
    pub len: usize,
}

impl<'a> Via<'a> {
    /// Reads the first element of a field value.
    pub fn parse(value: &'a [u8]) -> Option<Via<'a>> {
        let len = find_outside(value, b",", false)
            .ok()?
            .unwrap_or(value.len());
        let element = value[..len].trim_ascii_end();
        // SIP / 2.0 / UDP, with white space wherever it likes.
        let slash = element.iter().position(|b| *b == b'/')?;
        let second = slash + 1 + element[slash + 1..].iter().position(|b| *b == b'/')?;
        if !element[..slash].trim_ascii().eq_ignore_ascii_case(b"SIP")
            || element[slash + 1..second].trim_ascii() != b"2.0"
        {
            return None;
        }
        let rest = element[second + 1..].trim_ascii_start();
        let end = rest.iter().position(|b| matches!(b, b' ' | b'\t'))?;
        let (transport, rest) = (&rest[..end], rest[end..].trim_ascii_start());
        let semicolon = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
        let sent_by = std::str::from_utf8(rest[..semicolon].trim_ascii_end()).ok()?;
        let (host, port) = split_port(sent_by).ok()?;
        let params = Params(&rest[semicolon..]);
        if !transport.iter().copied().all(is_token_byte) || !params.well_formed() {
            return None;
        }
        Some(Via {
            transport,
            sent_by,
            host,
            port,
            params,
            len: element.len(),
        })
    }

    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value("branch")
    }
    /// RFC 3581: asked for, with or without a value already there.
    pub fn wants_rport(&self) -> bool {
        self.params.get("rport").is_some()
    }
    /// The host as an address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }
}

/// RFC 3326: the Q.850 cause and the text, from whichever elements have them.
pub fn reason<'a>(values: impl Iterator<Item = &'a [u8]>) -> (Option<u8>, String) {
    let mut cause = None;
    let mut text = String::new();
    for value in values.flat_map(split_list) {
        let protocol_end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        let (protocol, params) = (
            value[..protocol_end].trim_ascii(),
            Params(&value[protocol_end..]),
        );
        if protocol.eq_ignore_ascii_case(b"Q.850") {
            cause = params
                .value("cause")
                .and_then(number)
                .and_then(|n| u8::try_from(n).ok())
                .filter(|n| *n < 128);
        }
        if text.is_empty()
            && let Some(t) = params.value("text")
        {
            text = String::from_utf8_lossy(&unquote(t)).into_owned();
        }
    }
    (cause, text)
}

/// `q` in thousandths: `1`, `0.5`, `0.333` (RFC 3261 §20.10).
pub fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value.iter().position(|b| *b == b'.') {
        Some(i) => (&value[..i], &value[i + 1..]),
        None => (value, &b""[..]),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = (0..3).fold(0, |n, i| {
        n * 10 + fraction.get(i).map_or(0, |d| u16::from(d - b'0'))
    });
    match whole {
        b"0" | b"" => Some(thousandths),
        b"1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(value: &str) -> Vec<String> {
        split_list(value.as_bytes())
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect()
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        assert_eq!(
            elements(r#""a, \"b" <sip:x,y@h>;q=1 , sip:z@h ,, "#),
            [r#""a, \"b" <sip:x,y@h>;q=1"#, "sip:z@h"]
        );
    }

    #[test]
    fn addresses_with_and_without_brackets() {
        let a = Address::parse(br#" "J \"R\"" <sip:j@h;lr> ; tag = 98 "#).unwrap();
        assert_eq!((a.uri, a.tag()), ("sip:j@h;lr", Some(&b"98"[..])));
        assert_eq!(a.to_name_addr().unwrap().display, br#"J "R""#);
        let a = Address::parse(b"sip:j@h;tag=1").unwrap();
        assert_eq!((a.uri, a.tag()), ("sip:j@h", Some(&b"1"[..])));
        let gbk = Address::parse(b"\xd5\xc5\xc8\xfd <sip:1@h>;tag=2").unwrap();
        assert_eq!(gbk.to_name_addr().unwrap().display, b"\xd5\xc5\xc8\xfd");
        for wrong in [
            &br#""Mr. J <sip:j@h>"#[..],
            b"Bell, Alexander <sip:a@h>;tag=43",
            b"<sip:j@h",
            b"< sip:j@h >",
            b"<>",
            b"",
            b"sip:j@h?Route=x",
            b"<sip:j@h>;;tag=1",
            b"<sip:j@h>tag=1",
        ] {
            assert!(
                Address::parse(wrong).is_none(),
                "{}",
                String::from_utf8_lossy(wrong)
            );
        }
    }

    #[test]
    fn via_with_room_to_breathe() {
        let via = Via::parse(b"SIP  /   2.0 /UDP    192.0.2.2 ; branch = 390skdjuw, SIP/2.0/TCP x")
            .unwrap();
        assert_eq!(
            (via.transport, via.host, via.port),
            (&b"UDP"[..], "192.0.2.2", None)
        );
        assert_eq!(via.branch(), Some(&b"390skdjuw"[..]));
        let via = Via::parse(b"SIP/2.0/UDP [::1]:5070;rport;branch=z9hG4bKx").unwrap();
        assert_eq!(
            (via.ip(), via.port, via.wants_rport()),
            ("::1".parse().ok(), Some(5070), true)
        );
        assert!(Via::parse(b"SIP/2.0/UDP 192.0.2.15;;,;,,").is_none());
    }

    #[test]
    fn numbers_do_not_wrap() {
        assert_eq!(number(b"0068"), Some(68));
        assert_eq!(number(b"4294967296"), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(cseq(b"36893488147419103232 REGISTER"), None);
        assert_eq!(cseq(b"0009  INVITE"), Some((9, &b"INVITE"[..])));
        assert_eq!(qvalue(b"0.33"), Some(330));
        assert_eq!(qvalue(b"1.5"), None);
    }

    #[test]
    fn reasons_carry_cause_and_text() {
        let values =
            [&br#"SIP;cause=200;text="Call completed elsewhere", Q.850;cause=17;text="busy""#[..]];
        assert_eq!(
            reason(values.into_iter()),
            (Some(17), "Call completed elsewhere".to_owned())
        );
    }
}
