//! The tolerant reader. One copy of the datagram, header fields as spans into it; values stay bytes.
//!
//! Reading never fails for a message that can still be answered: what is wrong is kept as its `Fault`, so that the endpoint
//! can say 400 where RFC 3261 wants that said. Folds are spaces afterwards, so no value holds CR or LF.

use crate::headers::{self, Address, Via};
use bytes::Bytes;

/// More than any datagram carries.
const MAX_SIZE: usize = 65_535;
const MAX_HEADERS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Info,
    Update,
    Prack,
    Message,
    Subscribe,
    Notify,
    Refer,
    Publish,
    Other,
}

impl Method {
    /// Methods are case-sensitive (RFC 3261 §7.1).
    pub fn of(token: &[u8]) -> Method {
        match token {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"REGISTER" => Method::Register,
            b"OPTIONS" => Method::Options,
            b"INFO" => Method::Info,
            b"UPDATE" => Method::Update,
            b"PRACK" => Method::Prack,
            b"MESSAGE" => Method::Message,
            b"SUBSCRIBE" => Method::Subscribe,
            b"NOTIFY" => Method::Notify,
            b"REFER" => Method::Refer,
            b"PUBLISH" => Method::Publish,
            _ => Method::Other,
        }
    }
    /// Empty for `Other`.
    pub fn token(self) -> &'static str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Register => "REGISTER",
            Method::Options => "OPTIONS",
            Method::Info => "INFO",
            Method::Update => "UPDATE",
            Method::Prack => "PRACK",
            Method::Message => "MESSAGE",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Refer => "REFER",
            Method::Publish => "PUBLISH",
            Method::Other => "",
        }
    }
}

macro_rules! names {
    ($($variant:ident $lower:literal $(| $short:literal)? => $written:literal;)+) => {
        /// Header fields somebody here reads or writes; the rest is `Other`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Name { $($variant,)+ Other }

        impl Name {
            /// Any case, compact form included (RFC 3261 §7.3.3, §20).
            pub fn of(name: &[u8]) -> Name {
                let mut lower = [0; 24];
                let Some(lower) = lower.get_mut(..name.len()) else { return Name::Other };
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                match &*lower {
                    $($lower $(| $short)? => Name::$variant,)+
                    _ => Name::Other,
                }
            }
            /// As we write it. Empty for `Other`.
            pub fn written(self) -> &'static str {
                match self { $(Name::$variant => $written,)+ Name::Other => "" }
            }
        }
    };
}

names! {
    Via b"via" | b"v" => "Via";
    From b"from" | b"f" => "From";
    To b"to" | b"t" => "To";
    CallId b"call-id" | b"i" => "Call-ID";
    CSeq b"cseq" => "CSeq";
    MaxForwards b"max-forwards" => "Max-Forwards";
    Contact b"contact" | b"m" => "Contact";
    Route b"route" => "Route";
    RecordRoute b"record-route" => "Record-Route";
    ContentType b"content-type" | b"c" => "Content-Type";
    ContentLength b"content-length" | b"l" => "Content-Length";
    ContentEncoding b"content-encoding" | b"e" => "Content-Encoding";
    ContentDisposition b"content-disposition" => "Content-Disposition";
    Authorization b"authorization" => "Authorization";
    ProxyAuthorization b"proxy-authorization" => "Proxy-Authorization";
    WwwAuthenticate b"www-authenticate" => "WWW-Authenticate";
    ProxyAuthenticate b"proxy-authenticate" => "Proxy-Authenticate";
    Require b"require" => "Require";
    ProxyRequire b"proxy-require" => "Proxy-Require";
    Supported b"supported" | b"k" => "Supported";
    Unsupported b"unsupported" => "Unsupported";
    Allow b"allow" => "Allow";
    Accept b"accept" => "Accept";
    Expires b"expires" => "Expires";
    MinExpires b"min-expires" => "Min-Expires";
    RetryAfter b"retry-after" => "Retry-After";
    Reason b"reason" => "Reason";
    UserAgent b"user-agent" => "User-Agent";
    Server b"server" => "Server";
    Timestamp b"timestamp" => "Timestamp";
    PAssertedIdentity b"p-asserted-identity" => "P-Asserted-Identity";
    Privacy b"privacy" => "Privacy";
    Diversion b"diversion" => "Diversion";
    Path b"path" => "Path";
    Date b"date" => "Date";
    Warning b"warning" => "Warning";
}

/// A request that can be answered, but only with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: u16,
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> Fault {
    Fault { code: 400, reason }
}

/// Not worth an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("a keep-alive or nothing at all")]
    Empty,
    #[error("not SIP")]
    NotSip,
    #[error("too large or too many header fields")]
    TooLarge,
}

type Span = (u32, u32);

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Name,
    name_at: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request {
        method: Method,
        token: Span,
        uri: Span,
    },
    Response {
        code: u16,
        reason: Span,
    },
}

#[derive(Clone, Debug)]
pub struct Message {
    raw: Bytes,
    start: Start,
    fields: Vec<Field>,
    body: Span,
    fault: Option<Fault>,
}

impl Message {
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        let lead = datagram
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n' | 0 | b' '))
            .count();
        let text = &datagram[lead..];
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if text.len() > MAX_SIZE {
            return Err(ParseError::TooLarge);
        }
        // A cheap look before anything is copied: requests begin with a token, responses with `SIP/`.
        if !text[0].is_ascii_alphanumeric() && !headers::is_token_byte(text[0]) {
            return Err(ParseError::NotSip);
        }
        Reader {
            text: text.to_vec(),
            at: 0,
            fault: None,
        }
        .read()
    }

    fn slice(&self, (from, to): Span) -> &[u8] {
        &self.raw[from as usize..to as usize]
    }

    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }
    /// `None` for a response.
    pub fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }
    /// The method as sent; empty for a response.
    pub fn method_token(&self) -> &[u8] {
        match self.start {
            Start::Request { token, .. } => self.slice(token),
            Start::Response { .. } => b"",
        }
    }
    /// As sent; empty for a response.
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            Start::Request { uri, .. } => self.slice(uri),
            Start::Response { .. } => b"",
        }
    }
    /// `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { code, .. } => Some(code),
        }
    }
    pub fn reason_phrase(&self) -> &[u8] {
        match self.start {
            Start::Request { .. } => b"",
            Start::Response { reason, .. } => self.slice(reason),
        }
    }
    /// Bytes read.
    pub fn len(&self) -> usize {
        self.raw.len()
    }
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
    /// What makes it unacceptable, if anything.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }
    pub fn body(&self) -> &[u8] {
        self.slice(self.body)
    }
    /// Shares the datagram's memory.
    pub fn body_bytes(&self) -> Option<Bytes> {
        let (from, to) = self.body;
        (to > from).then(|| self.raw.slice(from as usize..to as usize))
    }

    /// Values of every field of that name, in order, commas not yet split.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> + '_ {
        self.fields
            .iter()
            .filter(move |f| f.name == name)
            .map(|f| self.slice(f.value))
    }
    pub fn first(&self, name: Name) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|f| f.name == name)
            .map(|f| self.slice(f.value))
    }
    /// The first field's value as text; bytes that are no UTF-8 become replacement characters.
    pub fn text(&self, name: Name) -> Option<String> {
        self.first(name)
            .map(|v| String::from_utf8_lossy(v).into_owned())
    }
    /// A field we have no word for.
    pub fn other(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|f| {
                f.name == Name::Other && self.slice(f.name_at).eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|f| self.slice(f.value))
    }
    /// Every field: name as sent, value as sent (folds are spaces).
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
        self.fields
            .iter()
            .map(|f| (self.slice(f.name_at), self.slice(f.value)))
    }
    /// A list header's elements over all its fields (RFC 3261 §7.3.1).
    pub fn list(&self, name: Name) -> impl Iterator<Item = &[u8]> + '_ {
        self.all(name).flat_map(headers::split_list)
    }
    /// A delta-seconds or other whole number; `Some(Err(()))` when it is none (or beyond 2^32 − 1).
    pub fn number(&self, name: Name) -> Option<Result<u32, ()>> {
        self.first(name).map(|v| headers::number(v).ok_or(()))
    }

    /// The fields every message must have, read (RFC 3261 §8.1.1), or what to say instead.
    pub fn essentials(&self) -> Result<Essentials<'_>, Fault> {
        let via_value = self.first(Name::Via).ok_or(bad("Missing Via"))?;
        let via = Via::parse(via_value).ok_or(bad("Malformed Via"))?;
        let from_value = self.first(Name::From).ok_or(bad("Missing From"))?;
        let to_value = self.first(Name::To).ok_or(bad("Missing To"))?;
        let call_id = self.first(Name::CallId).ok_or(bad("Missing Call-ID"))?;
        if call_id.is_empty() || call_id.iter().any(|b| b.is_ascii_whitespace()) {
            return Err(bad("Malformed Call-ID"));
        }
        let cseq = self.first(Name::CSeq).ok_or(bad("Missing CSeq"))?;
        let (cseq, cseq_method) = headers::cseq(cseq).ok_or(bad("Malformed CSeq"))?;
        if self.is_request() && cseq_method != self.method_token() {
            return Err(bad("CSeq Method Mismatch"));
        }
        let from = Address::parse(from_value).ok_or(bad("Malformed From"))?;
        let to = Address::parse(to_value).ok_or(bad("Malformed To"))?;
        Ok(Essentials {
            via,
            from,
            from_value,
            to,
            to_value,
            call_id,
            cseq,
            cseq_method: Method::of(cseq_method),
        })
    }
}

/// What identifies a message: transaction, dialog, order.
#[derive(Clone, Debug)]
pub struct Essentials<'a> {
    /// The topmost.
    pub via: Via<'a>,
    pub from: Address<'a>,
    pub from_value: &'a [u8],
    pub to: Address<'a>,
    pub to_value: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub cseq_method: Method,
}

struct Reader {
    text: Vec<u8>,
    at: usize,
    fault: Option<Fault>,
}

impl Reader {
    fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The next line without its end, which is CRLF or (tolerated) LF. `None` at the end of the text.
    fn line(&mut self) -> Option<(usize, usize)> {
        if self.at >= self.text.len() {
            return None;
        }
        let from = self.at;
        let to = match self.text[from..].iter().position(|b| *b == b'\n') {
            Some(n) => {
                self.at = from + n + 1;
                from + n
            }
            None => {
                self.at = self.text.len();
                self.at
            }
        };
        let to = if to > from && self.text[to - 1] == b'\r' {
            to - 1
        } else {
            to
        };
        Some((from, to))
    }

    fn read(mut self) -> Result<Message, ParseError> {
        let (from, to) = self.line().ok_or(ParseError::Empty)?;
        let start = self.start_line(from, to)?;
        let mut fields: Vec<Field> = Vec::with_capacity(20);
        let mut singles = 0u32;
        while let Some((from, mut to)) = self.line() {
            if from == to {
                break;
            }
            // RFC 3261 §7.3.1: a line that begins with white space continues the one before.
            while matches!(self.text.get(self.at), Some(b' ' | b'\t')) {
                for b in &mut self.text[to..self.at] {
                    *b = b' ';
                }
                match self.line() {
                    Some((_, end)) => to = end,
                    None => break,
                }
            }
            // A CR on its own is no line end, and must not look like one to whoever reads our copy.
            for b in &mut self.text[from..to] {
                if *b == b'\r' {
                    *b = b' ';
                }
            }
            let line = &self.text[from..to];
            let Some(colon) = line.iter().position(|b| *b == b':') else {
                self.fail(bad("Malformed Header"));
                continue;
            };
            let name = line[..colon].trim_ascii_end();
            let name_at = (from as u32, (from + name.len()) as u32);
            if name.is_empty() || !name.iter().copied().all(headers::is_token_byte) {
                self.fail(bad("Malformed Header"));
                continue;
            }
            let kind = Name::of(name);
            let value = line[colon + 1..].trim_ascii();
            let offset = if value.is_empty() {
                to
            } else {
                value.as_ptr() as usize - self.text.as_ptr() as usize
            };
            let value = (offset as u32, (offset + value.len()) as u32);
            let bit = match kind {
                Name::From => 1,
                Name::To => 2,
                Name::CallId => 4,
                Name::CSeq => 8,
                Name::MaxForwards => 16,
                Name::ContentLength => 32,
                Name::ContentType => 64,
                _ => 0,
            };
            if singles & bit != 0 {
                self.fail(bad("Repeated Header"));
            }
            singles |= bit;
            if fields.len() == MAX_HEADERS {
                return Err(ParseError::TooLarge);
            }
            fields.push(Field {
                name: kind,
                name_at,
                value,
            });
        }
        let body_from = self.at;
        let mut body_to = self.text.len();
        if let Some(f) = fields.iter().find(|f| f.name == Name::ContentLength) {
            let value = &self.text[f.value.0 as usize..f.value.1 as usize];
            match headers::number(value) {
                // RFC 3261 §18.3: what follows in the datagram is discarded; too little is an error.
                Some(n) if n as usize <= body_to - body_from => body_to = body_from + n as usize,
                Some(_) => self.fail(bad("Content-Length Exceeds Body")),
                None => self.fail(bad("Malformed Content-Length")),
            }
        }
        Ok(Message {
            raw: Bytes::from(self.text),
            start,
            fields,
            body: (body_from as u32, body_to as u32),
            fault: self.fault,
        })
    }

    fn start_line(&mut self, from: usize, to: usize) -> Result<Start, ParseError> {
        for b in &mut self.text[from..to] {
            if *b == b'\r' {
                *b = b' ';
            }
        }
        let line = &self.text[from..to];
        let span = |a: usize, b: usize| ((from + a) as u32, (from + b) as u32);
        if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
            let mut parts = line.splitn(3, |b| *b == b' ');
            let version = parts.next().unwrap_or_default();
            let code = parts.next().unwrap_or_default();
            let reason_at = (version.len() + code.len() + 2).min(line.len());
            let three = code.len() == 3 && code.iter().all(u8::is_ascii_digit);
            if !version.eq_ignore_ascii_case(b"SIP/2.0") || !three {
                return Err(ParseError::NotSip);
            }
            let code = code.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
            if !(100..700).contains(&code) {
                return Err(ParseError::NotSip);
            }
            return Ok(Start::Response {
                code,
                reason: span(reason_at, line.len()),
            });
        }
        let (Some(first), Some(last)) = (
            line.iter().position(|b| *b == b' '),
            line.trim_ascii_end().iter().rposition(|b| *b == b' '),
        ) else {
            return Err(ParseError::NotSip);
        };
        let token = &line[..first];
        let version = line[last + 1..].trim_ascii_end();
        if !token.iter().copied().all(headers::is_token_byte)
            || version.len() < 5
            || !version[..4].eq_ignore_ascii_case(b"SIP/")
        {
            return Err(ParseError::NotSip);
        }
        let fault = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            Some(Fault {
                code: 505,
                reason: "Version Not Supported",
            })
        } else if last <= first + 1 || line[first + 1..last].contains(&b' ') || line.ends_with(b" ")
        {
            // RFC 4475 §3.1.2.8 ff.: white space beside or inside the Request-URI.
            Some(bad("Malformed Request-Line"))
        } else {
            None
        };
        let start = Start::Request {
            method: Method::of(token),
            token: span(0, first),
            uri: if last > first {
                span(first + 1, last)
            } else {
                span(first, first)
            },
        };
        if let Some(fault) = fault {
            self.fail(fault);
        }
        Ok(start)
    }
}
