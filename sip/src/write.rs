//! The strict writer: one growing buffer per message, CRLF everywhere, Content-Length always, and no value that could
//! end its own line.

use bytes::Bytes;

/// CR, LF and NUL never reach the wire from a value, so a value cannot become a header.
fn push_clean(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        out.extend(value.iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)));
    } else {
        out.extend_from_slice(value);
    }
}

pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn request(method: &str, uri: &str) -> Writer {
        let mut out = Vec::with_capacity(1024);
        push_clean(&mut out, method.as_bytes());
        out.push(b' ');
        push_clean(&mut out, uri.as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        Writer { out }
    }

    /// An empty reason becomes the standard phrase.
    pub fn response(code: u16, reason: &str) -> Writer {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"SIP/2.0 ");
        push_number(&mut out, u32::from(code));
        out.push(b' ');
        push_clean(
            &mut out,
            if reason.is_empty() {
                phrase(code)
            } else {
                reason
            }
            .as_bytes(),
        );
        out.extend_from_slice(b"\r\n");
        Writer { out }
    }

    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.parts(name, &[value.as_ref()])
    }

    /// A value in pieces.
    pub fn parts(&mut self, name: &str, pieces: &[&[u8]]) -> &mut Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        for piece in pieces {
            push_clean(&mut self.out, piece);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// As it was read: a reader's value holds no CR or LF, and what else it holds is the sender's business.
    pub fn echo(&mut self, name: &str, value: &[u8]) -> &mut Self {
        debug_assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n')));
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    pub fn number(&mut self, name: &str, value: u32) -> &mut Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        push_number(&mut self.out, value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Header lines already written by a `Writer`.
    pub fn block(&mut self, lines: &[u8]) -> &mut Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// A header whose name comes from outside: only a token, and never one the stack writes itself.
    pub fn foreign(&mut self, name: &str, value: &str) -> &mut Self {
        let token = !name.is_empty() && name.bytes().all(crate::headers::is_token_byte);
        if token && !is_ours(name) {
            self.header(name, value);
        }
        self
    }

    pub fn finish(mut self) -> Bytes {
        self.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        Bytes::from(self.out)
    }

    pub fn finish_with(mut self, content_type: &str, body: &[u8]) -> Bytes {
        self.header("Content-Type", content_type);
        self.number("Content-Length", body.len() as u32);
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        Bytes::from(self.out)
    }

    /// SDP, or nothing when empty.
    pub fn finish_sdp(self, sdp: &[u8]) -> Bytes {
        if sdp.is_empty() {
            self.finish()
        } else {
            self.finish_with("application/sdp", sdp)
        }
    }

    /// Only the lines written after the first one: a block for other messages.
    pub fn lines() -> Writer {
        Writer {
            out: Vec::with_capacity(512),
        }
    }
    pub fn into_block(self) -> Bytes {
        Bytes::from(self.out)
    }
}

fn push_number(out: &mut Vec<u8>, mut n: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Headers the stack is answerable for.
fn is_ours(name: &str) -> bool {
    use crate::message::Name;
    matches!(
        Name::of(name.as_bytes()),
        Name::Via
            | Name::From
            | Name::To
            | Name::CallId
            | Name::CSeq
            | Name::MaxForwards
            | Name::Contact
            | Name::Route
            | Name::RecordRoute
            | Name::ContentType
            | Name::ContentLength
            | Name::Authorization
            | Name::ProxyAuthorization
            | Name::Require
    )
}

/// Quotes a display name or text; what cannot stand in quotes is escaped, what cannot stand in a line is dropped.
pub fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for b in text.iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)) {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'"');
}

/// `"Display" <uri>`.
pub fn name_addr(display: &[u8], uri: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(display.len() + uri.len() + 8);
    if !display.is_empty() {
        quote(&mut out, display);
        out.push(b' ');
    }
    out.push(b'<');
    push_clean(&mut out, uri.as_bytes());
    out.push(b'>');
    out
}

/// RFC 3326.
pub fn reason_value(q850: Option<u8>, code: Option<u16>, text: &str) -> Option<Vec<u8>> {
    let mut out = match (q850, code) {
        (Some(cause), _) => format!("Q.850;cause={cause}").into_bytes(),
        (None, Some(code)) => format!("SIP;cause={code}").into_bytes(),
        (None, None) => return None,
    };
    if !text.is_empty() {
        out.extend_from_slice(b";text=");
        quote(&mut out, text.as_bytes());
    }
    Some(out)
}

/// RFC 3261 §21 and its extensions.
pub fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match code / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_become_a_header() {
        let mut w = Writer::request("INVITE", "sip:a@b\r\nEvil: 1");
        w.header("Subject", "x\r\nEvil: 2");
        w.foreign("X-Note\r\nEvil", "3");
        w.foreign("X-Note", "a\nEvil: 4");
        w.foreign("via", "SIP/2.0/UDP evil");
        w.header("From", name_addr(b"a\"\r\nEvil: 5", "sip:x@y"));
        let bytes = w.finish();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.lines().any(|l| l.starts_with("Evil")), "{text}");
        assert!(!text.to_lowercase().contains("via:"));
        assert_eq!(text.matches("\r\n").count(), text.matches('\n').count());
        assert!(text.ends_with("Content-Length: 0\r\n\r\n"));
    }
}
