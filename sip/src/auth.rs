//! Who is there: challenges and their answers (RFC 3261 §22, RFC 7616, RFC 8760), both sides.
//!
//! Our nonces carry their own time and proof, so a challenge costs no memory; only nonces that a right password has used are
//! remembered, a bounded number of them.

use crate::account::{Account, Accounts, Credentials, Secret};
use crate::digest::{Algorithm, Hash, Qop, Question};
use crate::event::RejectReason;
use crate::headers::{split_list, unquote};
use crate::uri::Uri;
use crate::write::Writer;
use hmac::{Hmac, KeyInit, Mac};
use model::Wall;
use sha2::Sha256;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Used nonces remembered. When more are in use, the oldest become stale.
const MAX_USED: usize = 100_000;

/// `Digest name=value, name="value"`, read.
#[derive(Debug, Default)]
struct DigestParams<'a> {
    username: Cow<'a, [u8]>,
    realm: Cow<'a, [u8]>,
    nonce: Cow<'a, [u8]>,
    uri: Cow<'a, [u8]>,
    response: Cow<'a, [u8]>,
    algorithm: Option<Cow<'a, [u8]>>,
    qop: Option<Cow<'a, [u8]>>,
    nc: Cow<'a, [u8]>,
    cnonce: Cow<'a, [u8]>,
    opaque: Option<Cow<'a, [u8]>>,
}

impl<'a> DigestParams<'a> {
    fn parse(value: &'a [u8]) -> Option<DigestParams<'a>> {
        let value = value.trim_ascii_start();
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first()?.is_ascii_whitespace() {
            return None;
        }
        let mut params = DigestParams::default();
        for element in split_list(rest) {
            let equals = element.iter().position(|b| *b == b'=')?;
            let name = element[..equals].trim_ascii();
            let raw = element[equals + 1..].trim_ascii();
            let value = if raw.len() >= 2 && raw[0] == b'"' && raw.ends_with(b"\"") {
                if raw.contains(&b'\\') {
                    Cow::Owned(unquote(raw))
                } else {
                    Cow::Borrowed(&raw[1..raw.len() - 1])
                }
            } else {
                Cow::Borrowed(raw)
            };
            let is = |n: &str| name.eq_ignore_ascii_case(n.as_bytes());
            if is("username") {
                params.username = value;
            } else if is("realm") {
                params.realm = value;
            } else if is("nonce") {
                params.nonce = value;
            } else if is("uri") {
                params.uri = value;
            } else if is("response") {
                params.response = value;
            } else if is("algorithm") {
                params.algorithm = Some(value);
            } else if is("qop") {
                params.qop = Some(value);
            } else if is("nc") {
                params.nc = value;
            } else if is("cnonce") {
                params.cnonce = value;
            } else if is("opaque") {
                params.opaque = Some(value);
            }
        }
        Some(params)
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
            .as_deref()
            .map_or(Some(Algorithm::Md5), Algorithm::from_token)
    }
}

/// A nonce's own name: when it was made, and the how-manieth it was.
type NonceId = (u64, u32);

/// Counts seen under one nonce: the highest, and which of the 64 below it. Datagrams overtake each other.
#[derive(Clone, Copy, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// Whether `nc` is new.
    fn take(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let shift = nc - self.highest;
            self.seen = if shift >= 64 { 0 } else { self.seen << shift };
            self.seen |= 1;
            self.highest = nc;
            return true;
        }
        let behind = self.highest - nc;
        if behind >= 64 || self.seen & (1 << behind) != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

/// What became of a request's credentials.
#[derive(Debug)]
pub(crate) enum Verdict {
    Accepted(Arc<Account>),
    /// Ask (again). The reason is for people; `None` when nothing was wrong but the absence.
    Challenge {
        stale: bool,
        reason: Option<RejectReason>,
        username: String,
    },
    /// The password is wrong or the user unknown; the wire must not tell which.
    Refused {
        reason: RejectReason,
        username: String,
    },
}

pub(crate) struct Authenticator {
    key: [u8; 32],
    lifetime: Duration,
    counter: u32,
    used: BTreeMap<NonceId, Window>,
    /// Nonces up to here that are not in `used` may have been used: they are stale.
    floor: NonceId,
}

impl Authenticator {
    pub fn new(key: [u8; 32], lifetime: Duration) -> Authenticator {
        Authenticator {
            key,
            lifetime,
            counter: 0,
            used: BTreeMap::new(),
            floor: (0, 0),
        }
    }

    fn proof(&self, (ms, counter): NonceId) -> [u8; 10] {
        // Any key length is valid for HMAC, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return [0; 10];
        };
        mac.update(&ms.to_be_bytes());
        mac.update(&counter.to_be_bytes());
        let mut out = [0; 10];
        out.copy_from_slice(&mac.finalize().into_bytes()[..10]);
        out
    }

    /// 6 bytes of milliseconds, 4 of counter, 10 of proof, in hex.
    fn nonce(&mut self, now: Wall) -> String {
        self.counter = self.counter.wrapping_add(1);
        let id = (
            now.as_millis().max(0) as u64 & 0xffff_ffff_ffff,
            self.counter,
        );
        let mut raw = [0; 20];
        raw[..6].copy_from_slice(&id.0.to_be_bytes()[2..]);
        raw[6..10].copy_from_slice(&id.1.to_be_bytes());
        raw[10..].copy_from_slice(&self.proof(id));
        hex::encode(raw)
    }

    fn read_nonce(&self, nonce: &[u8]) -> Option<NonceId> {
        let mut raw = [0; 20];
        hex::decode_to_slice(nonce, &mut raw).ok()?;
        let mut ms = [0; 8];
        ms[2..].copy_from_slice(&raw[..6]);
        let mut counter = [0; 4];
        counter.copy_from_slice(&raw[6..10]);
        let id = (u64::from_be_bytes(ms), u32::from_be_bytes(counter));
        let wrong = self
            .proof(id)
            .iter()
            .zip(&raw[10..])
            .fold(0, |d, (a, b)| d | (a ^ b));
        (wrong == 0).then_some(id)
    }

    /// The header lines of a challenge: SHA-256 first, as RFC 8760 §2.4 orders them, MD5 for those who know no better.
    pub fn challenge(
        &mut self,
        now: Wall,
        realm: &str,
        proxy: bool,
        stale: bool,
        both: bool,
    ) -> Vec<u8> {
        let name = if proxy {
            "Proxy-Authenticate"
        } else {
            "WWW-Authenticate"
        };
        let nonce = self.nonce(now);
        let mut w = Writer::lines();
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            if algorithm == Algorithm::Sha256 && !both {
                continue;
            }
            let mut quoted = Vec::with_capacity(realm.len() + 2);
            crate::write::quote(&mut quoted, realm.as_bytes());
            w.parts(
                name,
                &[
                    b"Digest realm=",
                    &quoted,
                    b",nonce=\"",
                    nonce.as_bytes(),
                    b"\",algorithm=",
                    algorithm.token().as_bytes(),
                    b",qop=\"auth\"",
                    if stale { b",stale=true" } else { b"" },
                ],
            );
        }
        w.into_block().to_vec()
    }

    /// Judges a request by the first of its credentials that is for our realm.
    pub fn verify<'a>(
        &mut self,
        now: Wall,
        realm: &str,
        method: &[u8],
        request_uri: &[u8],
        credentials: impl Iterator<Item = &'a [u8]>,
        accounts: &dyn Accounts,
    ) -> Verdict {
        let again = |stale, reason: RejectReason, params: &DigestParams<'_>| Verdict::Challenge {
            stale,
            reason: Some(reason),
            username: String::from_utf8_lossy(&params.username).into_owned(),
        };
        let mut other = None;
        let mut ours = None;
        for value in credentials {
            match DigestParams::parse(value) {
                Some(params) if *params.realm == *realm.as_bytes() => {
                    ours = Some(params);
                    break;
                }
                Some(params) => other = Some(again(false, RejectReason::WrongRealm, &params)),
                None => {
                    other = Some(again(
                        false,
                        RejectReason::MalformedDigest,
                        &DigestParams::default(),
                    ))
                }
            }
        }
        let Some(params) = ours else {
            return other.unwrap_or(Verdict::Challenge {
                stale: false,
                reason: None,
                username: String::new(),
            });
        };
        let nc = match &params.qop {
            None => Some(1),
            Some(qop)
                if qop.eq_ignore_ascii_case(b"auth")
                    && params.nc.len() == 8
                    && !params.cnonce.is_empty() =>
            {
                std::str::from_utf8(&params.nc)
                    .ok()
                    .and_then(|nc| u32::from_str_radix(nc, 16).ok())
                    .filter(|n| *n > 0)
            }
            Some(_) => None,
        };
        let (Some(nc), Some(algorithm)) = (nc, params.algorithm()) else {
            return again(false, RejectReason::MalformedDigest, &params);
        };
        let Some(id) = self.read_nonce(&params.nonce) else {
            // Perhaps from before a restart: stale tells the device that its password need not be asked for.
            return again(true, RejectReason::ForgedNonce, &params);
        };
        let made = Wall::from_millis(id.0 as i64);
        let expired = made + self.lifetime < now || made > now + self.lifetime;
        if expired || (id <= self.floor && !self.used.contains_key(&id)) {
            return again(true, RejectReason::StaleNonce, &params);
        }
        if !same_request(&params.uri, request_uri) {
            return again(false, RejectReason::WrongUri, &params);
        }
        let username = String::from_utf8_lossy(&params.username);
        let account = accounts.account(&username).filter(|a| a.realm == realm);
        // The unknown user's hash is as much work and as likely to be right.
        let nobody = [0; 32];
        let ha1: &[u8] = match (&account, algorithm) {
            (Some(account), Algorithm::Md5) => &account.ha1_md5,
            (Some(account), Algorithm::Sha256) => &account.ha1_sha256,
            (None, Algorithm::Md5) => &nobody[..16],
            (None, Algorithm::Sha256) => &nobody,
        };
        let qop = params.qop.as_deref().map(|qop| Qop {
            nc: &params.nc,
            cnonce: &params.cnonce,
            qop,
        });
        let question = Question {
            method,
            uri: &params.uri,
            nonce: &params.nonce,
            qop,
        };
        let right = algorithm.response(ha1, &question).matches(&params.response);
        let Some(account) = account else {
            return Verdict::Refused {
                reason: RejectReason::UnknownUser,
                username: username.into_owned(),
            };
        };
        if !right {
            return Verdict::Refused {
                reason: RejectReason::WrongPassword,
                username: username.into_owned(),
            };
        }
        self.forget_old(now);
        if !self.used.entry(id).or_default().take(nc) {
            return again(true, RejectReason::NonceReplayed, &params);
        }
        Verdict::Accepted(account)
    }

    fn forget_old(&mut self, now: Wall) {
        let oldest = (now - self.lifetime).as_millis().max(0) as u64;
        while let Some(entry) = self.used.first_entry() {
            let expired = entry.key().0 < oldest;
            let id = *entry.key();
            if !expired && self.used.len() < MAX_USED {
                break;
            }
            self.used.remove(&id);
            if !expired {
                self.floor = self.floor.max(id);
            }
        }
    }
}

/// Whether the digest's URI is the request's (RFC 3261 §22.4). Parameters may differ; the user may be left out, as SIPp
/// does, since then the digest claims less, not something else.
fn same_request(digest_uri: &[u8], request_uri: &[u8]) -> bool {
    if digest_uri == request_uri {
        return true;
    }
    let read = |bytes| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| Uri::parse(text).ok())
    };
    let (Some(digest), Some(request)) = (read(digest_uri), read(request_uri)) else {
        return false;
    };
    digest.host().eq_ignore_ascii_case(request.host())
        && digest.port().unwrap_or(5060) == request.port().unwrap_or(5060)
        && (digest.user().is_empty() || digest.user() == request.user())
}

/// A challenge we were given, and how often we have used its nonce.
#[derive(Clone, Debug)]
pub(crate) struct Answerer {
    realm: String,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    /// As the challenge wrote it, since some peers compare.
    algorithm: Option<Vec<u8>>,
    kind: Algorithm,
    qop: bool,
    proxy: bool,
    nc: u32,
}

impl Answerer {
    /// The topmost challenge that we understand and that the credentials are for (RFC 8760 §2.4).
    pub fn choose<'a>(
        challenges: impl Iterator<Item = &'a [u8]>,
        proxy: bool,
        credentials: &Credentials,
    ) -> Option<Answerer> {
        challenges
            .filter_map(DigestParams::parse)
            .find_map(|params| {
                let kind = params.algorithm()?;
                let qop = match params.qop.as_deref() {
                    None => false,
                    Some(list) => list
                        .split(|b| *b == b',')
                        .any(|q| q.trim_ascii().eq_ignore_ascii_case(b"auth"))
                        .then_some(true)?,
                };
                let realm = String::from_utf8(params.realm.to_vec()).ok()?;
                if credentials
                    .realm
                    .as_ref()
                    .is_some_and(|only| *only != realm)
                {
                    return None;
                }
                Some(Answerer {
                    realm,
                    nonce: params.nonce.to_vec(),
                    opaque: params.opaque.map(Cow::into_owned),
                    algorithm: params.algorithm.map(Cow::into_owned),
                    kind,
                    qop,
                    proxy,
                    nc: 0,
                })
            })
    }

    /// Writes the header that answers for one request.
    pub fn write(
        &mut self,
        w: &mut Writer,
        method: &str,
        uri: &str,
        credentials: &Credentials,
        cnonce: &[u8; 16],
    ) {
        self.nc += 1;
        let nc = format!("{:08x}", self.nc);
        let ha1: Hash = match (&credentials.secret, self.kind) {
            (Secret::Password(password), kind) => {
                kind.ha1(&credentials.username, &self.realm, password)
            }
            (Secret::Ha1 { md5, .. }, Algorithm::Md5) => Hash::from_slice(md5),
            (Secret::Ha1 { sha256, .. }, Algorithm::Sha256) => Hash::from_slice(sha256),
        };
        let qop = self.qop.then_some(Qop {
            nc: nc.as_bytes(),
            cnonce,
            qop: b"auth",
        });
        let question = Question {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            nonce: &self.nonce,
            qop,
        };
        let response = self.kind.response(&ha1, &question);
        let mut value = Vec::with_capacity(320);
        value.extend_from_slice(b"Digest username=");
        crate::write::quote(&mut value, credentials.username.as_bytes());
        value.extend_from_slice(b",realm=");
        crate::write::quote(&mut value, self.realm.as_bytes());
        value.extend_from_slice(b",nonce=");
        crate::write::quote(&mut value, &self.nonce);
        value.extend_from_slice(b",uri=");
        crate::write::quote(&mut value, uri.as_bytes());
        value.extend_from_slice(b",response=\"");
        value.extend_from_slice(response.as_bytes());
        value.push(b'"');
        if let Some(algorithm) = &self.algorithm {
            value.extend_from_slice(b",algorithm=");
            value.extend_from_slice(algorithm);
        }
        if self.qop {
            value.extend_from_slice(b",qop=auth,nc=");
            value.extend_from_slice(nc.as_bytes());
            value.extend_from_slice(b",cnonce=\"");
            value.extend_from_slice(cnonce);
            value.push(b'"');
        }
        if let Some(opaque) = &self.opaque {
            value.extend_from_slice(b",opaque=");
            crate::write::quote(&mut value, opaque);
        }
        w.header(
            if self.proxy {
                "Proxy-Authorization"
            } else {
                "Authorization"
            },
            value,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "pbx.example";
    const URI: &str = "sip:pbx.example";

    struct One(Arc<Account>);
    impl Accounts for One {
        fn account(&self, username: &str) -> Option<Arc<Account>> {
            (username == self.0.username).then(|| self.0.clone())
        }
        fn aor(&self, _: &str, _: &str) -> Option<String> {
            None
        }
    }

    struct Door {
        auth: Authenticator,
        accounts: One,
        now: Wall,
    }

    impl Door {
        fn new() -> Door {
            let account = Account::from_password("1001.acme", REALM, "1001@acme", "secret");
            Door {
                auth: Authenticator::new([7; 32], Duration::from_secs(300)),
                accounts: One(Arc::new(account)),
                now: Wall::from_millis(1_800_000_000_000),
            }
        }
        /// The answerers to a fresh challenge, SHA-256 then MD5.
        fn challenge(&mut self, credentials: &Credentials) -> Vec<Answerer> {
            let lines = self.auth.challenge(self.now, REALM, false, false, true);
            let text = String::from_utf8(lines).unwrap();
            text.lines()
                .map(|l| l.strip_prefix("WWW-Authenticate: ").unwrap())
                .map(|l| Answerer::choose([l.as_bytes()].into_iter(), false, credentials).unwrap())
                .collect()
        }
        fn verdict(&mut self, value: &[u8]) -> Verdict {
            self.auth.verify(
                self.now,
                REALM,
                b"REGISTER",
                URI.as_bytes(),
                [value].into_iter(),
                &self.accounts,
            )
        }
    }

    fn answer(answerer: &mut Answerer, credentials: &Credentials) -> Vec<u8> {
        let mut w = Writer::lines();
        answerer.write(&mut w, "REGISTER", URI, credentials, b"0123456789abcdef");
        w.into_block()
            .strip_prefix(b"Authorization: ")
            .unwrap()
            .trim_ascii()
            .to_vec()
    }

    #[test]
    fn both_algorithms_open_the_door_and_sha_256_is_asked_for_first() {
        let mut door = Door::new();
        let credentials = Credentials::new("1001.acme", "secret");
        let mut answerers = door.challenge(&credentials);
        assert_eq!(
            answerers.iter().map(|a| a.kind).collect::<Vec<_>>(),
            [Algorithm::Sha256, Algorithm::Md5]
        );
        for answerer in &mut answerers {
            answerer.nonce = door.challenge(&credentials)[0].nonce.clone();
            assert!(matches!(
                door.verdict(&answer(answerer, &credentials)),
                Verdict::Accepted(_)
            ));
        }
    }

    #[test]
    fn a_count_opens_once_in_whatever_order() {
        let mut door = Door::new();
        let credentials = Credentials::new("1001.acme", "secret");
        let mut answerer = door.challenge(&credentials).remove(0);
        let first = answer(&mut answerer, &credentials);
        let second = answer(&mut answerer, &credentials);
        for value in [&second, &first] {
            assert!(matches!(door.verdict(value), Verdict::Accepted(_)));
        }
        for value in [&second, &first] {
            let verdict = door.verdict(value);
            assert!(
                matches!(
                    verdict,
                    Verdict::Challenge {
                        stale: true,
                        reason: Some(RejectReason::NonceReplayed),
                        ..
                    }
                ),
                "{verdict:?}"
            );
        }
        // 0x0000000a is ten, not a decimal that fails.
        answerer.nc = 9;
        assert!(matches!(
            door.verdict(&answer(&mut answerer, &credentials)),
            Verdict::Accepted(_)
        ));
    }

    #[test]
    fn a_stranger_learns_nothing_and_people_learn_why() {
        let mut door = Door::new();
        let mut reason = |username: &str, password: &str| {
            let credentials = Credentials::new(username, password);
            let mut answerer = door.challenge(&credentials).remove(0);
            match door.verdict(&answer(&mut answerer, &credentials)) {
                Verdict::Refused { reason, .. } => reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason("1001.acme", "guess"), RejectReason::WrongPassword);
        assert_eq!(reason("nobody", "guess"), RejectReason::UnknownUser);
    }

    #[test]
    fn nonces_age_and_cannot_be_made_elsewhere() {
        let mut door = Door::new();
        let credentials = Credentials::new("1001.acme", "secret");
        let mut answerer = door.challenge(&credentials).remove(0);
        let mut forged = answerer.clone();
        forged.nonce[1] ^= 1;
        assert!(matches!(
            door.verdict(&answer(&mut forged, &credentials)),
            Verdict::Challenge {
                stale: true,
                reason: Some(RejectReason::ForgedNonce),
                ..
            }
        ));
        door.now = door.now + Duration::from_secs(301);
        assert!(matches!(
            door.verdict(&answer(&mut answerer, &credentials)),
            Verdict::Challenge {
                stale: true,
                reason: Some(RejectReason::StaleNonce),
                ..
            }
        ));
    }

    #[test]
    fn a_digest_is_for_its_own_request_and_realm() {
        let mut door = Door::new();
        let credentials = Credentials::new("1001.acme", "secret");
        let mut answerer = door.challenge(&credentials).remove(0);
        let value = answer(&mut answerer, &credentials);
        let elsewhere = String::from_utf8(value.clone())
            .unwrap()
            .replace(URI, "sip:other.example");
        assert!(matches!(
            door.verdict(elsewhere.as_bytes()),
            Verdict::Challenge {
                reason: Some(RejectReason::WrongUri),
                ..
            }
        ));
        let realm = String::from_utf8(value)
            .unwrap()
            .replace("realm=\"pbx.example\"", "realm=\"x\"");
        assert!(matches!(
            door.verdict(realm.as_bytes()),
            Verdict::Challenge {
                reason: Some(RejectReason::WrongRealm),
                ..
            }
        ));
        for broken in [
            &b"Digest"[..],
            b"Digest realm",
            b"Basic eDp5",
            b"Digest realm=\"pbx.example\",qop=auth-int",
        ] {
            assert!(matches!(
                door.verdict(broken),
                Verdict::Challenge {
                    reason: Some(RejectReason::MalformedDigest),
                    ..
                }
            ));
        }
    }

    #[test]
    fn a_challenge_for_another_realm_is_not_answered() {
        let only = Credentials {
            realm: Some("a".into()),
            ..Credentials::new("u", "p")
        };
        let challenge = [&b"Digest realm=\"b\",nonce=\"n\""[..]];
        assert!(Answerer::choose(challenge.into_iter(), false, &only).is_none());
    }
}
