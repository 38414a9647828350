//! Answers to other people's challenges.

use super::DigestParams;
use crate::account::{Credentials, Secret};
use crate::digest::{Algorithm, Hash, Qop, Question};
use crate::write::Writer;
use std::borrow::Cow;

/// A challenge we were given, and how often we have used its nonce.
#[derive(Clone, Debug)]
pub(crate) struct Answerer {
    realm: String,
    pub(super) nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    /// As the challenge wrote it, since some peers compare.
    algorithm: Option<Vec<u8>>,
    pub(super) kind: Algorithm,
    qop: bool,
    proxy: bool,
    pub(super) nc: u32,
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
