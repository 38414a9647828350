//! What an endpoint is told once.

use std::net::SocketAddr;
use std::time::Duration;

/// Which digest algorithms a challenge offers. Answers in either are always taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestOffer {
    /// MD5 alone.
    Md5,
    /// SHA-256, then MD5, in the order of RFC 8760 §2.4.
    Both,
    /// Both to peers whose User-Agent begins with one of these, MD5 alone to the rest. RFC 7616 §3.7 has clients skip what
    /// they do not know; many give up instead (SIPp 3.6, baresip 1.0 do).
    BothTo(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Fixed at installation: the stored HA1 depend on it.
    pub realm: String,
    pub user_agent: String,
    /// What stands in Via and Contact.
    pub advertised: SocketAddr,
    pub digests: DigestOffer,
    /// How long a nonce is good for.
    pub nonce_lifetime: Duration,
    pub min_expires: Duration,
    pub max_expires: Duration,
    /// When the device names none.
    pub default_expires: Duration,
    /// Per AOR.
    pub max_contacts: usize,
    /// RFC 3261 §17.1.1.1: round-trip estimate.
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and of 2xx.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
    /// Incoming INVITE: how long it may ring before it is refused with 480.
    pub ring_limit: Duration,
    /// Usages alive at once; beyond it an INVITE gets 503.
    pub max_invites: usize,
    /// Server transactions alive at once; beyond it requests get 503 statelessly.
    pub max_transactions: usize,
    /// Unauthenticated OPTIONS answered per source address and second.
    pub options_per_second: u32,
}

impl Config {
    pub fn new(realm: &str, advertised: SocketAddr) -> Config {
        Config {
            realm: realm.to_owned(),
            user_agent: "Huying".to_owned(),
            advertised,
            digests: DigestOffer::BothTo(vec!["Huying".to_owned()]),
            nonce_lifetime: Duration::from_secs(300),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(7200),
            default_expires: Duration::from_secs(3600),
            max_contacts: 10,
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            ring_limit: Duration::from_secs(180),
            max_invites: 50_000,
            max_transactions: 200_000,
            options_per_second: 10,
        }
    }
}
