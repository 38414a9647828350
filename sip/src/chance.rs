//! Branches, tags, Call-IDs and keys, all from one seed; and hash maps that a stranger cannot aim at.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use std::hash::{BuildHasher, DefaultHasher, Hasher};

pub struct Chance(ChaCha12Rng);

impl Chance {
    pub fn new(seed: [u8; 32]) -> Chance {
        Chance(ChaCha12Rng::from_seed(seed))
    }
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }
    pub fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.0.fill_bytes(&mut key);
        key
    }
    /// Below `limit`; the slight bias does not matter for jitter.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }
    pub fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.word(), self.word())
    }
    pub fn hasher(&mut self) -> Keyed {
        Keyed(self.word(), self.word())
    }
}

/// SipHash behind a secret prefix: keys come from the wire, and iteration order from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Keyed(u64, u64);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write_u64(self.1);
        hasher
    }
}

impl Keyed {
    /// A name for these parts: 64 bits, without a key for the map to own.
    pub fn digest(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = self.build_hasher();
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }
}

impl Keyed {
    /// 128 bits, for names whose collision would join two strangers' transactions.
    pub fn digest_wide(&self, parts: &[&[u8]]) -> (u64, u64) {
        let swapped = Keyed(self.1, self.0);
        (self.digest(parts), swapped.digest(parts))
    }
}

/// 16 lower-case hex digits.
pub fn hex16(word: u64) -> [u8; 16] {
    let mut out = [0; 16];
    for (i, digit) in out.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(word >> (60 - 4 * i)) as usize & 15];
    }
    out
}

/// Exactly what `hex16` writes.
pub fn unhex16(text: &[u8]) -> Option<u64> {
    if text.len() != 16 {
        return None;
    }
    text.iter().try_fold(0, |n, b| match b {
        b'0'..=b'9' => Some(n << 4 | u64::from(b - b'0')),
        b'a'..=b'f' => Some(n << 4 | u64::from(b - b'a' + 10)),
        _ => None,
    })
}
