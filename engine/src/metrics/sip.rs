//! SIP messages by method and code, told from their first line (and, for a response, its CSeq): they are counted as they pass
//! the socket, retransmissions and what is malformed too.

use meter::Count;

pub const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "INFO",
    "UPDATE",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PUBLISH",
    "other",
];
const OTHER: usize = METHODS.len() - 1;
const CODES: std::ops::Range<u16> = 100..700;

/// One direction.
#[derive(Debug)]
pub struct Messages {
    requests: [Count; METHODS.len()],
    /// By method, then code.
    responses: Box<[Count]>,
    malformed: Count,
}

impl Default for Messages {
    fn default() -> Messages {
        Messages {
            requests: Default::default(),
            responses: (0..METHODS.len() * CODES.len())
                .map(|_| Count::default())
                .collect(),
            malformed: Count::default(),
        }
    }
}

impl Messages {
    pub fn count(&self, message: &[u8]) {
        match read(message) {
            Some((method, None)) => self.requests[method].add(1),
            Some((method, Some(code))) => {
                self.responses[method * CODES.len() + usize::from(code - CODES.start)].add(1);
            }
            // Keep-alives between NATs are no messages.
            None if message.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) => {}
            None => self.malformed.add(1),
        }
    }

    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        METHODS
            .into_iter()
            .zip(self.requests.iter().map(Count::get))
    }

    /// Those that came at all.
    pub fn responses(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        let counts = self.responses.iter().enumerate();
        counts
            .filter(|(_, count)| count.get() > 0)
            .map(|(at, count)| {
                let code = CODES.start + (at % CODES.len()) as u16;
                (METHODS[at / CODES.len()], code, count.get())
            })
    }

    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }
}

/// The method, and the code of a response.
fn read(message: &[u8]) -> Option<(usize, Option<u16>)> {
    let mut lines = message.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    if let Some(rest) = first.strip_prefix(b"SIP/2.0 ") {
        let code = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
        let sequence = lines
            .take_while(|line| !matches!(line, [] | [b'\r']))
            .find(|line| {
                line.get(..4)
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"cseq"))
            });
        let name = sequence?.rsplit(|byte| *byte == b' ').next()?;
        return CODES
            .contains(&code)
            .then(|| (method(name.trim_ascii()), Some(code)));
    }
    let line = first.trim_ascii_end();
    let name = line.split(|byte| *byte == b' ').next()?;
    let is_request = line.ends_with(b" SIP/2.0") && name.iter().all(u8::is_ascii_graphic);
    is_request.then(|| (method(name), None))
}

fn method(name: &[u8]) -> usize {
    let known = METHODS[..OTHER]
        .iter()
        .position(|known| known.as_bytes() == name);
    known.unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_by_their_first_line() {
        let messages = Messages::default();
        messages.count(b"INVITE sip:1001@acme.example SIP/2.0\r\nVia: x\r\n\r\n");
        messages.count(b"SIP/2.0 486 Busy Here\r\nVia: x\r\ncseq : 7 INVITE\r\n\r\n");
        messages.count(b"SIP/2.0 200 OK\r\nVia: x\r\n\r\nCSeq: 1 BYE\r\n");
        messages.count(b"FLY sip:x SIP/2.0\r\n\r\n");
        messages.count(b"GET / HTTP/1.1\r\n\r\n");
        messages.count(b"\r\n\r\n");
        let requests: Vec<_> = messages.requests().filter(|(_, n)| *n > 0).collect();
        assert_eq!(requests, [("INVITE", 1), ("other", 1)]);
        assert_eq!(
            messages.responses().collect::<Vec<_>>(),
            [("INVITE", 486, 1)]
        );
        assert_eq!(
            messages.malformed(),
            2,
            "a response without its CSeq, and HTTP"
        );
    }
}
