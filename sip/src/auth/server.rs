//! Our challenges and the judgement of their answers.

use super::DigestParams;
use crate::account::{Account, Accounts};
use crate::digest::{Algorithm, Qop, Question};
use crate::event::RejectReason;
use crate::uri::Uri;
use crate::write::Writer;
use hmac::{Hmac, KeyInit, Mac};
use model::Wall;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Used nonces remembered. When more are in use, the oldest become stale.
const MAX_USED: usize = 100_000;

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
