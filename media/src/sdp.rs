//! Offer and answer (RFC 8866, RFC 3264) as values.

use crate::codec::Codec;
use std::net::SocketAddr;
use std::time::Duration;

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
    /// What the far end asked for.
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
}

/// The body of an offer.
pub fn offer(local: &LocalParams) -> String {
    let _ = local;
    String::new()
}

/// The answer to an offer, with what was agreed. The offerer's order of codecs wins.
pub fn answer(offer: &[u8], local: &LocalParams) -> Result<(String, Negotiated), SdpError> {
    let _ = (offer, local);
    Err(SdpError::NoAudio)
}

/// What the answer to the offer made from `local` agreed.
pub fn accept(local: &LocalParams, answer: &[u8]) -> Result<Negotiated, SdpError> {
    let _ = (local, answer);
    Err(SdpError::NoAudio)
}
