//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), kept as they were written and read through accessors.

use std::borrow::Cow;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("the URI is empty or has no scheme")]
    NoScheme,
    #[error("the scheme is none of sip, sips, tel")]
    Scheme,
    #[error("the URI has no host, or a malformed one")]
    Host,
    #[error("the port is no number from 1 to 65535")]
    Port,
    #[error("the URI holds a character that must be escaped")]
    Character,
}

/// One allocation: the text, and where its parts lie.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    /// `user[:password]`, without the `@`; empty when absent.
    user: (u16, u16),
    host: (u16, u16),
    port: Option<u16>,
    /// From the first `;` up to `?` or the end.
    params: (u16, u16),
    /// After `?`.
    headers: (u16, u16),
}

impl Uri {
    pub fn parse(text: &str) -> Result<Uri, UriError> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > usize::from(u16::MAX) {
            return Err(UriError::Character);
        }
        // Anything that could end a header, a quoted URI or a token is refused, so a `Uri` can be written anywhere.
        if text
            .bytes()
            .any(|b| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"'))
        {
            return Err(UriError::Character);
        }
        let colon = text.find(':').ok_or(UriError::NoScheme)?;
        let scheme = match &text[..colon] {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            "" => return Err(UriError::NoScheme),
            _ => return Err(UriError::Scheme),
        };
        let start = colon + 1;
        let span = |from: usize, to: usize| (from as u16, to as u16);
        if scheme == Scheme::Tel {
            let end = text[start..].find(';').map_or(text.len(), |i| start + i);
            if end == start {
                return Err(UriError::Host);
            }
            return Ok(Uri {
                scheme,
                user: span(start, end),
                host: (0, 0),
                port: None,
                params: span(end, text.len()),
                headers: (0, 0),
                text: text.into(),
            });
        }
        // The user part may hold `;`, `?` and `/` unescaped, and nothing may hold a bare `@` (RFC 3261 §25.1), so it decides.
        let at = text[start..].find('@').map(|i| start + i);
        if at.is_some_and(|i| text[i + 1..].contains('@')) {
            return Err(UriError::Character);
        }
        let (user, rest) = match at {
            Some(i) if i == start => return Err(UriError::Host),
            Some(i) => (span(start, i), i + 1),
            None => ((0, 0), start),
        };
        let question = text[rest..].find('?').map_or(text.len(), |i| rest + i);
        let semicolon = text[rest..question]
            .find(';')
            .map_or(question, |i| rest + i);
        let (host, port) = split_port(&text[rest..semicolon])?;
        let headers = if question < text.len() {
            span(question + 1, text.len())
        } else {
            (0, 0)
        };
        Ok(Uri {
            scheme,
            user,
            host: span(rest, rest + host.len()),
            port,
            params: span(semicolon, question),
            headers,
            text: text.into(),
        })
    }

    /// `sip:user@host[:port]`; the user is escaped where it must be.
    pub fn sip(user: &str, host: &str, port: Option<u16>) -> Result<Uri, UriError> {
        let mut text = String::with_capacity(user.len() + host.len() + 12);
        text.push_str("sip:");
        if !user.is_empty() {
            escape_user(user, &mut text);
            text.push('@');
        }
        if host.contains(':') && !host.starts_with('[') {
            text.push('[');
            text.push_str(host);
            text.push(']');
        } else {
            text.push_str(host);
        }
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Uri::parse(&text)
    }

    fn slice(&self, (from, to): (u16, u16)) -> &str {
        &self.text[usize::from(from)..usize::from(to)]
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// The user (for `tel:` the number), percent-decoded, without a password. Empty when there is none.
    pub fn user(&self) -> Cow<'_, str> {
        unescape(self.raw_user())
    }
    /// The user as written, without a password.
    pub fn raw_user(&self) -> &str {
        let user = self.slice(self.user);
        user.split_once(':').map_or(user, |(name, _)| name)
    }
    /// Empty for `tel:`. IPv6 keeps its brackets.
    pub fn host(&self) -> &str {
        self.slice(self.host)
    }
    pub fn port(&self) -> Option<u16> {
        self.port
    }
    /// `None`: absent. `Some("")`: present without a value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.slice(self.params).split(';').skip(1).find_map(|p| {
            let (key, value) = p.split_once('=').unwrap_or((p, ""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }
    /// Parameters as written, with the leading `;`, or empty.
    pub fn params(&self) -> &str {
        self.slice(self.params)
    }
    /// What follows `?`, or empty. Never put on a wire as Request-URI (RFC 3261 §19.1.1).
    pub fn headers(&self) -> &str {
        self.slice(self.headers)
    }
    /// The text up to the headers: what may stand in a request line.
    pub fn without_headers(&self) -> &str {
        if self.headers == (0, 0) {
            &self.text
        } else {
            &self.text[..usize::from(self.headers.0) - 1]
        }
    }

    /// Comparison for contact bindings and digests (RFC 3261 §19.1.4, on the parts that name a place): scheme, user, host
    /// and port, and the transport parameter.
    pub fn same_place(&self, other: &Uri) -> bool {
        self.scheme == other.scheme
            && self.user() == other.user()
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port == other.port
            && self
                .param("transport")
                .unwrap_or("")
                .eq_ignore_ascii_case(other.param("transport").unwrap_or(""))
    }
}

/// Splits `host[:port]`, with brackets for IPv6.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), UriError> {
    let (host, port) = if text.starts_with('[') {
        let close = text.find(']').ok_or(UriError::Host)?;
        let inner = &text[1..close];
        if inner.is_empty()
            || !inner
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        {
            return Err(UriError::Host);
        }
        let rest = text[close + 1..].trim();
        match rest.strip_prefix(':') {
            Some(port) => (&text[..=close], Some(port)),
            None if rest.is_empty() => (&text[..=close], None),
            None => return Err(UriError::Host),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.trim_end(), Some(port)),
            None => (text, None),
        }
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || (!host.starts_with('[') && !host.bytes().all(named)) {
        return Err(UriError::Host);
    }
    let port = match port.map(str::trim) {
        None => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            match digits.parse::<u16>() {
                Ok(0) | Err(_) => return Err(UriError::Port),
                Ok(port) => Some(port),
            }
        }
        Some(_) => return Err(UriError::Port),
    };
    Ok((host, port))
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |b: u8| (b as char).to_digit(16);
        match (
            bytes[i],
            bytes.get(i + 1).copied().and_then(hex),
            bytes.get(i + 2).copied().and_then(hex),
        ) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (other, ..) => {
                out.push(other);
                i += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn escape_user(user: &str, out: &mut String) {
    for b in user.bytes() {
        // unreserved and user-unreserved of RFC 3261 §25.1
        if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b) {
            out.push(b as char);
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(b >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(b & 15)]));
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({})", self.text)
    }
}

impl std::str::FromStr for Uri {
    type Err = UriError;
    fn from_str(text: &str) -> Result<Uri, UriError> {
        Uri::parse(text)
    }
}

/// A display name beside a URI, as in From, To, Contact, P-Asserted-Identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// Unquoted. Bytes, since phones send GBK as readily as UTF-8. Empty when absent.
    pub display: Vec<u8>,
    pub uri: Uri,
}

impl NameAddr {
    pub fn new(display: &str, uri: Uri) -> NameAddr {
        NameAddr {
            display: display.as_bytes().to_vec(),
            uri,
        }
    }
    pub fn display_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.display)
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> NameAddr {
        NameAddr {
            display: Vec::new(),
            uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_in_parts_and_written_as_it_came() {
        let uri =
            Uri::parse("sip:%E5%BC%A0;phone=1:pw@Example.COM:5070;transport=udp;lr?Subject=x%20y")
                .unwrap();
        assert_eq!(uri.user(), "张;phone=1");
        assert_eq!((uri.host(), uri.port()), ("Example.COM", Some(5070)));
        assert_eq!(uri.param("LR"), Some(""));
        assert_eq!(uri.param("transport"), Some("udp"));
        assert_eq!(uri.param("ttl"), None);
        assert_eq!(uri.headers(), "Subject=x%20y");
        assert!(uri.without_headers().ends_with(";lr"));
    }

    #[test]
    fn the_at_sign_ends_the_user_whatever_stands_in_it() {
        let uri = Uri::parse("sip:user?x=1,/;;*:&pw@example.com;lr").unwrap();
        assert_eq!(
            (uri.user().as_ref(), uri.host()),
            ("user?x=1,/;;*", "example.com")
        );
        assert_eq!(
            Uri::parse("sip:u@example.com?to=a@b"),
            Err(UriError::Character)
        );
    }

    #[test]
    fn hosts_ports_and_ipv6() {
        let uri = Uri::parse("sip:1001@[2001:db8::1]:5061").unwrap();
        assert_eq!((uri.host(), uri.port()), ("[2001:db8::1]", Some(5061)));
        assert_eq!(
            Uri::parse("tel:+86138;phone-context=x").unwrap().user(),
            "+86138"
        );
        for (text, error) in [
            ("", UriError::NoScheme),
            ("1001@host", UriError::NoScheme),
            ("http://x", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:@host", UriError::Host),
            ("sip:a@", UriError::Host),
            ("sip:a@[::1", UriError::Host),
            ("sip:a@h:0", UriError::Port),
            ("sip:a@h:99999", UriError::Port),
            ("sip:a@h:", UriError::Port),
            ("sip:a b@h", UriError::Character),
            ("sip:a\r\nX: y@h", UriError::Character),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_made_uri_escapes_what_it_must() {
        assert_eq!(
            Uri::sip("a b@c", "h", Some(5)).unwrap().as_str(),
            "sip:a%20b%40c@h:5"
        );
        assert_eq!(Uri::sip("1", "::1", None).unwrap().as_str(), "sip:1@[::1]");
    }
}
