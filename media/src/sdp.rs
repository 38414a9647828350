//! Offer and answer (RFC 8866, RFC 3264) as values. The reader takes what real phones send; the writer is strict.

use crate::codec::Codec;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

mod read;
use read::{Description, Stream};

/// Which way media flows, **seen from us**.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// What we put into an offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalParams {
    /// The advertised address and port of our RTP.
    pub addr: SocketAddr,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone-event in our offers; `None` offers and answers without it.
    pub dtmf: Option<u8>,
    pub ptime: Duration,
    pub session_id: u64,
    /// Raised by one with each changed offer or answer of the same session.
    pub version: u64,
    pub direction: Direction,
}

/// What offer and answer agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where we send, and the only address we hear (unless latching).
    pub remote: SocketAddr,
    pub codec: Codec,
    pub payload_type: u8,
    /// Payload type of telephone-event/8000, where both have it.
    pub dtmf: Option<u8>,
    /// What the far end asked for. We send 20 ms whatever it says, and take any length.
    pub ptime: Duration,
    /// Seen from us: the far end holds when this does not send.
    pub direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("not a session description: {0}")]
    Malformed(&'static str),
    #[error("no audio is offered")]
    NoAudio,
    #[error("the far end refused the audio")]
    AudioRefused,
    #[error("no audio over a transport spoken here (offered: {0})")]
    Transport(String),
    #[error("no connection address for the audio")]
    NoAddress,
    #[error("`{0}` is no address media can be sent to")]
    BadAddress(String),
    #[error("no common codec (offered: {0})")]
    NoCommonCodec(String),
}

impl LocalParams {
    /// A-law before µ-law, telephone-event 101, 20 ms, both ways, version 1.
    pub fn new(addr: SocketAddr, session_id: u64) -> LocalParams {
        LocalParams {
            addr,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            dtmf: Some(101),
            ptime: Duration::from_millis(20),
            session_id,
            version: 1,
            direction: Direction::SendRecv,
        }
    }
}

impl Negotiated {
    /// The far end does not want to hear us.
    pub fn on_hold(&self) -> bool {
        !self.direction.sends()
    }
}

impl Direction {
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
    /// The same flow seen from the other end.
    pub fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }
    /// What both allow.
    pub fn and(self, other: Direction) -> Direction {
        Direction::of(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }
    fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }
    /// The attribute's name (RFC 8866 §6.7).
    pub fn attribute(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
    fn from_attribute(name: &str) -> Option<Direction> {
        [
            Direction::SendRecv,
            Direction::SendOnly,
            Direction::RecvOnly,
            Direction::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.attribute() == name)
    }
}

/// The body of an offer.
pub fn offer(local: &LocalParams) -> String {
    let formats: Vec<(u8, Codec)> = local
        .codecs
        .iter()
        .map(|codec| (codec.payload_type(), *codec))
        .collect();
    let mut body = session(local);
    audio(
        &mut body,
        local,
        "RTP/AVP",
        &formats,
        local.dtmf,
        local.direction,
    );
    body
}

/// The answer to an offer, with what was agreed. The offerer's order of codecs wins. The first audio stream that can be
/// spoken is answered; every other stream is refused with port 0.
pub fn answer(offer: &[u8], local: &LocalParams) -> Result<(String, Negotiated), SdpError> {
    let offer = Description::read(offer)?;
    let (chosen, stream) = choose(&offer)?;
    let negotiated = agree(&offer, stream, local)?;
    let mut body = session(local);
    for (n, other) in offer.streams.iter().enumerate() {
        if n == chosen {
            let formats = [(negotiated.payload_type, negotiated.codec)];
            audio(
                &mut body,
                local,
                &stream.protocol,
                &formats,
                negotiated.dtmf,
                negotiated.direction,
            );
        } else {
            // RFC 3264 §6: as many streams as offered, in their order.
            let format = other.formats.first().map_or("0", String::as_str);
            let _ = write!(body, "m={} 0 {} {}\r\n", other.kind, other.protocol, format);
        }
    }
    Ok((body, negotiated))
}

/// What the answer to the offer made from `local` agreed.
pub fn accept(local: &LocalParams, answer: &[u8]) -> Result<Negotiated, SdpError> {
    let answer = Description::read(answer)?;
    let (_, stream) = choose(&answer)?;
    agree(&answer, stream, local)
}

/// The first audio stream over plain RTP that is not refused.
fn choose(description: &Description) -> Result<(usize, &Stream), SdpError> {
    let audio = || {
        description
            .streams
            .iter()
            .enumerate()
            .filter(|(_, s)| s.kind == "audio")
    };
    if audio().next().is_none() {
        return Err(SdpError::NoAudio);
    }
    if audio().all(|(_, s)| s.port == 0) {
        return Err(SdpError::AudioRefused);
    }
    audio()
        .filter(|(_, s)| s.port != 0)
        .find(|(_, s)| matches!(s.protocol.as_str(), "RTP/AVP" | "RTP/AVPF"))
        .ok_or_else(|| {
            let offered: Vec<&str> = audio().map(|(_, s)| s.protocol.as_str()).collect();
            SdpError::Transport(offered.join(", "))
        })
}

fn agree(
    description: &Description,
    stream: &Stream,
    local: &LocalParams,
) -> Result<Negotiated, SdpError> {
    let (payload_type, codec) = stream
        .codecs()
        .find(|(_, codec)| local.codecs.contains(codec))
        .ok_or_else(|| SdpError::NoCommonCodec(stream.describe()))?;
    let address = stream.address.or(description.address);
    let address = match address {
        Some(Ok(address)) => address,
        Some(Err(())) => return Err(SdpError::BadAddress(description.bad_address.clone())),
        None => return Err(SdpError::NoAddress),
    };
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() || broadcast {
        return Err(SdpError::BadAddress(address.to_string()));
    }
    let theirs = stream
        .direction
        .or(description.direction)
        .unwrap_or(Direction::SendRecv);
    let mut direction = theirs.reversed().and(local.direction);
    if address.is_unspecified() {
        // RFC 3264 §8.4 (hold as RFC 2543 had it): nowhere to send to.
        direction = direction.and(Direction::RecvOnly);
    }
    Ok(Negotiated {
        remote: SocketAddr::new(address, stream.port),
        codec,
        payload_type,
        dtmf: local.dtmf.and_then(|_| stream.telephone_event()),
        ptime: stream.ptime.unwrap_or(Duration::from_millis(20)),
        direction,
    })
}

fn session(local: &LocalParams) -> String {
    let ip = local.addr.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        local.session_id, local.version
    )
}

fn audio(
    body: &mut String,
    local: &LocalParams,
    protocol: &str,
    formats: &[(u8, Codec)],
    dtmf: Option<u8>,
    direction: Direction,
) {
    let _ = write!(body, "m=audio {} {protocol}", local.addr.port());
    for payload_type in formats
        .iter()
        .map(|(payload_type, _)| *payload_type)
        .chain(dtmf)
    {
        let _ = write!(body, " {payload_type}");
    }
    body.push_str("\r\n");
    for (payload_type, codec) in formats {
        let _ = write!(body, "a=rtpmap:{payload_type} {}/8000\r\n", codec.name());
    }
    if let Some(dtmf) = dtmf {
        let _ = write!(
            body,
            "a=rtpmap:{dtmf} telephone-event/8000\r\na=fmtp:{dtmf} 0-15\r\n"
        );
    }
    let _ = write!(
        body,
        "a=ptime:{}\r\na={}\r\n",
        local.ptime.as_millis(),
        direction.attribute()
    );
}

#[cfg(test)]
mod tests;
