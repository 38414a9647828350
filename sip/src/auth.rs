//! Who is there: challenges and their answers (RFC 3261 §22, RFC 7616, RFC 8760), both sides.
//!
//! Our nonces carry their own time and proof, so a challenge costs no memory; only nonces that a right password has used are
//! remembered, a bounded number of them.

mod client;
mod server;

pub(crate) use client::Answerer;
pub(crate) use server::{Authenticator, Verdict};

use crate::digest::Algorithm;
use crate::headers::{split_list, unquote};
use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, Accounts, Credentials};
    use crate::event::RejectReason;
    use crate::write::Writer;
    use model::Wall;
    use std::sync::Arc;
    use std::time::Duration;

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
