//! What the endpoint tells its owner.

use crate::flow::Flow;
use crate::registrar::Binding;
use crate::uri::{NameAddr, Uri};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// One INVITE usage (a dialog of a call), either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub u64);

/// One registration of ours with somebody else's registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(pub u64);

/// Each `InviteId` gets exactly one terminal event (`Failed`, `Ended` or `Cancelled`) and nothing after it. Hanging up or
/// rejecting is terminal at once: what is left to do on the wire goes on without events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Registered {
        aor: String,
        binding: Box<Binding>,
        /// The contact was bound before.
        refreshed: bool,
    },
    Unregistered {
        aor: String,
        contact: Uri,
    },
    Expired {
        aor: String,
        contact: Uri,
    },
    /// For people: why a device does not get in. The wire tells less.
    RegistrationRejected {
        username: String,
        reason: RejectReason,
        remote: SocketAddr,
    },
    Incoming(Box<Incoming>),
    /// UAS, terminal: the caller gave up before an answer.
    Cancelled {
        id: InviteId,
    },
    /// UAC: 180, 183 …; `sdp` is early media.
    Progress {
        id: InviteId,
        code: u16,
        sdp: Option<Bytes>,
    },
    /// UAC: 200 received and acknowledged.
    Answered {
        id: InviteId,
        sdp: Option<Bytes>,
    },
    /// UAS: our 200 was acknowledged. `sdp` is the answer when the offer was ours.
    Confirmed {
        id: InviteId,
        sdp: Option<Bytes>,
    },
    /// A re-INVITE waits for `reoffer_accept` or `reoffer_reject`. `None`: the peer wants an offer of ours.
    Reoffer {
        id: InviteId,
        sdp: Option<Bytes>,
    },
    /// The end of our `reinvite`: the peer's answer, or its status code.
    Reoffered {
        id: InviteId,
        result: Result<Option<Bytes>, u16>,
    },
    /// SIP INFO inside the dialog, already answered with 200.
    Info {
        id: InviteId,
        content_type: String,
        body: Bytes,
    },
    /// UAC, terminal: no answer. `local`: our time-out, transport or own `hang_up`, not the peer's word.
    Failed {
        id: InviteId,
        code: u16,
        reason: String,
        q850: Option<u8>,
        local: bool,
    },
    /// Terminal: BYE, ACK time-out, our `reject` or `hang_up` as UAS.
    Ended {
        id: InviteId,
        q850: Option<u8>,
        text: String,
        local: bool,
    },
    /// Our own registration is in force.
    RegistrationUp {
        id: RegistrationId,
        expires: Duration,
    },
    /// Our own registration is not in force; it is tried again unless the registrar refused our credentials.
    RegistrationDown {
        id: RegistrationId,
        code: u16,
        reason: String,
    },
}

/// An INVITE that passed authentication and asks for `ring`, `answer` or `reject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub id: InviteId,
    /// Who proved to be calling.
    pub account: Authenticated,
    pub flow: Flow,
    pub from: NameAddr,
    pub to: NameAddr,
    /// The user of the Request-URI, percent-decoded: what was dialled.
    pub to_user: String,
    pub request_uri: Uri,
    pub call_id: String,
    pub offer: Option<Bytes>,
    pub content_type: Option<String>,
    /// Present as sent; whether to trust them is the owner's question.
    pub p_asserted_identity: Option<NameAddr>,
    pub privacy: Option<String>,
    pub diversion: Option<String>,
    pub user_agent: Option<String>,
    /// What is left of it. A call that goes on from this one gets one less.
    pub max_forwards: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    pub username: String,
    pub aor: String,
}

/// Why a registration or a call was refused at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RejectReason {
    #[error("unknown user")]
    UnknownUser,
    #[error("wrong password")]
    WrongPassword,
    #[error("realm is not ours")]
    WrongRealm,
    #[error("nonce expired")]
    StaleNonce,
    #[error("nonce was not issued here")]
    ForgedNonce,
    #[error("nonce count used before")]
    NonceReplayed,
    #[error("digest is malformed or uses an algorithm not offered")]
    MalformedDigest,
    #[error("digest was made for another request")]
    WrongUri,
    #[error("the account may not register this address")]
    NotItsAddress,
    #[error("too many contacts")]
    TooManyContacts,
    #[error("interval too brief")]
    IntervalTooBrief,
    #[error("contact is malformed or not allowed")]
    BadContact,
    #[error("request is older than the registration")]
    OutOfOrder,
}
