//! The digest arithmetic of RFC 7616 with the algorithms of RFC 8760: MD5 and SHA-256, qop `auth` or none.

use md5::{Digest, Md5};
use sha2::Sha256;
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// 16 or 32 raw bytes.
pub type Hash = SmallVec<[u8; 32]>;

impl Algorithm {
    /// The token in headers (RFC 8760 §2.1).
    pub fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }
    /// `SHA256` without the dash is in the field, too.
    pub fn from_token(token: &[u8]) -> Option<Algorithm> {
        if token.eq_ignore_ascii_case(b"MD5") {
            Some(Algorithm::Md5)
        } else if token.eq_ignore_ascii_case(b"SHA-256") || token.eq_ignore_ascii_case(b"SHA256") {
            Some(Algorithm::Sha256)
        } else {
            None
        }
    }

    fn hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Algorithm::Md5 => {
                let mut h = Md5::new();
                parts.iter().for_each(|p| h.update(p));
                SmallVec::from_slice(&h.finalize())
            }
            Algorithm::Sha256 => {
                let mut h = Sha256::new();
                parts.iter().for_each(|p| h.update(p));
                SmallVec::from_slice(&h.finalize())
            }
        }
    }

    /// H(username:realm:password).
    pub fn ha1(self, username: &str, realm: &str, password: &str) -> Hash {
        self.hash(&[
            username.as_bytes(),
            b":",
            realm.as_bytes(),
            b":",
            password.as_bytes(),
        ])
    }

    /// The `response` value, lower-case hex, in a stack buffer.
    pub fn response(self, ha1: &[u8], question: &Question<'_>) -> HexHash {
        let ha1 = HexHash::of(ha1);
        let ha2 = HexHash::of(&self.hash(&[question.method, b":", question.uri]));
        HexHash::of(&match question.qop {
            Some(Qop { nc, cnonce, qop }) => self.hash(&[
                ha1.as_bytes(),
                b":",
                question.nonce,
                b":",
                nc,
                b":",
                cnonce,
                b":",
                qop,
                b":",
                ha2.as_bytes(),
            ]),
            None => self.hash(&[ha1.as_bytes(), b":", question.nonce, b":", ha2.as_bytes()]),
        })
    }
}

/// What a response answers. All as they stand on the wire, unquoted.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    pub nonce: &'a [u8],
    pub qop: Option<Qop<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Qop<'a> {
    /// Eight hex digits as sent.
    pub nc: &'a [u8],
    pub cnonce: &'a [u8],
    pub qop: &'a [u8],
}

/// Up to 64 hex digits without an allocation.
#[derive(Clone, Copy)]
pub struct HexHash {
    digits: [u8; 64],
    len: u8,
}

impl HexHash {
    fn of(hash: &[u8]) -> HexHash {
        let mut digits = [b'0'; 64];
        let hash = &hash[..hash.len().min(32)];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        HexHash {
            digits,
            len: (hash.len() * 2) as u8,
        }
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.len)]
    }
    /// Without a timing that tells how much was right; hex digits in either case.
    pub fn matches(&self, given: &[u8]) -> bool {
        given.len() == self.as_bytes().len()
            && self
                .as_bytes()
                .iter()
                .zip(given)
                .fold(0, |d, (a, b)| d | (a ^ b.to_ascii_lowercase()))
                == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(algorithm: Algorithm, ha1: &[u8], question: &Question<'_>) -> String {
        String::from_utf8(algorithm.response(ha1, question).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn rfc_2617_section_3_5() {
        let ha1 = Algorithm::Md5.ha1("Mufasa", "testrealm@host.com", "Circle Of Life");
        let question = Question {
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            qop: Some(Qop {
                nc: b"00000001",
                cnonce: b"0a4f113b",
                qop: b"auth",
            }),
        };
        assert_eq!(
            response(Algorithm::Md5, &ha1, &question),
            "6629fae49393a05397450978507c4ef1"
        );
        let legacy = Question {
            qop: None,
            ..question
        };
        assert_eq!(
            response(Algorithm::Md5, &ha1, &legacy),
            "670fd8c2df070c60b045671b8b24ff02"
        );
    }

    #[test]
    fn rfc_7616_section_3_9_1() {
        let question = Question {
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            qop: Some(Qop {
                nc: b"00000001",
                cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                qop: b"auth",
            }),
        };
        let of = |algorithm: Algorithm| {
            let ha1 = algorithm.ha1("Mufasa", "http-auth@example.org", "Circle of Life");
            response(algorithm, &ha1, &question)
        };
        assert_eq!(of(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            of(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn comparison_takes_either_case_and_only_the_whole() {
        let hash = HexHash::of(&[0xab; 16]);
        assert!(hash.matches(b"ABABABABABABABABABABABABABABABAB"));
        assert!(!hash.matches(b"abababababababababababababababa"));
        assert!(!hash.matches(b"abababababababababababababababac"));
    }
}
