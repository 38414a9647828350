//! Reads what the node writes, with eyes of its own: start line, Call-ID, To's tag. Our writer is strict, so this may be simple.

pub(crate) enum Start<'a> {
    Request(&'a str),
    Status,
}

pub(crate) struct Glance<'a> {
    pub start: Start<'a>,
    /// The Request-URI, empty for a response.
    pub target: &'a str,
    pub call_id: &'a str,
    pub to_tag: bool,
}

/// `None`: no SIP message with Via, From, To, Call-ID and CSeq.
pub(crate) fn glance(bytes: &[u8]) -> Option<Glance<'_>> {
    let head = match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(end) => &bytes[..end],
        None => return None,
    };
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let first = lines.next()?;
    let (start, target) = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            status.get(..3)?.parse::<u16>().ok()?;
            (Start::Status, "")
        }
        None => {
            let mut words = first.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            (words.next()? == "SIP/2.0").then_some((Start::Request(method), target))?
        }
    };
    let (mut call_id, mut to_tag, mut seen) = ("", false, 0u8);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        seen |= match name {
            "Via" => 1,
            "From" => 2,
            "To" => {
                to_tag = value.contains(";tag=");
                4
            }
            "Call-ID" => {
                call_id = value.trim();
                8
            }
            "CSeq" => 16,
            _ => 0,
        };
    }
    (seen == 31).then_some(Glance {
        start,
        target,
        call_id,
        to_tag,
    })
}

/// The mainland mobile a Request-URI names, as `+86…`; everything else is no lead's number.
pub(crate) fn mobile(target: &str) -> Option<String> {
    let user = target.strip_prefix("sip:")?.split('@').next()?;
    let digits =
        user.len() == 11 && user.starts_with('1') && user.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| format!("+86{user}"))
}
