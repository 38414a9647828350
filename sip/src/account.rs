//! Who may register and call: what the endpoint asks of whoever keeps the accounts.

use crate::digest::Algorithm;
use crate::flow::Flow;
use std::sync::Arc;

/// One SIP account. The password itself is not kept; both HA1 are (RFC 7616 §3.4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The authentication user, unique on the platform: `1001.acme`.
    pub username: String,
    /// The canonical address of record: `1001@acme`.
    pub aor: String,
    pub realm: String,
    pub ha1_md5: [u8; 16],
    pub ha1_sha256: [u8; 32],
}

impl Account {
    pub fn from_password(username: &str, realm: &str, aor: &str, password: &str) -> Account {
        let mut ha1_md5 = [0; 16];
        let mut ha1_sha256 = [0; 32];
        ha1_md5.copy_from_slice(Algorithm::Md5.ha1(username, realm, password).as_slice());
        ha1_sha256.copy_from_slice(Algorithm::Sha256.ha1(username, realm, password).as_slice());
        Account {
            username: username.to_owned(),
            aor: aor.to_owned(),
            realm: realm.to_owned(),
            ha1_md5,
            ha1_sha256,
        }
    }
}

/// Without the hashes: they are as good as passwords.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("aor", &self.aor)
            .finish_non_exhaustive()
    }
}

/// Looked up while a datagram is handled; must be quick and must not block.
pub trait Accounts {
    /// By authentication user.
    fn account(&self, username: &str) -> Option<Arc<Account>>;
    /// The AOR that a To URI names: `1001@acme.example`, `1001@acme`, or a bare user where that is unique.
    fn aor(&self, user: &str, host: &str) -> Option<String>;
    /// Whose calls from this address are taken without a digest: a peer known by its address, or, for a device, the
    /// registrar it is registered with.
    fn trusted(&self, flow: Flow) -> Option<Arc<Account>> {
        let _ = flow;
        None
    }
}

/// Nobody: what a pure client answers with.
impl Accounts for () {
    fn account(&self, _: &str) -> Option<Arc<Account>> {
        None
    }
    fn aor(&self, _: &str, _: &str) -> Option<String> {
        None
    }
}

/// How we prove ourselves to a peer that challenges us.
#[derive(Clone)]
pub struct Credentials {
    pub username: String,
    pub secret: Secret,
    /// When set, only a challenge for this realm is answered.
    pub realm: Option<String>,
}

#[derive(Clone)]
pub enum Secret {
    Password(String),
    Ha1 { md5: [u8; 16], sha256: [u8; 32] },
}

impl Credentials {
    pub fn new(username: &str, password: &str) -> Credentials {
        Credentials {
            username: username.to_owned(),
            secret: Secret::Password(password.to_owned()),
            realm: None,
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
