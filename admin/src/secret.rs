//! Secrets: random tokens that are shown once and kept as hashes, and passwords under argon2id.

use crate::problem::Problem;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// What a token opens is told by its first letters, so that a leaked one is recognised for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Session,
    ApiKey,
    Setup,
}

impl TokenKind {
    fn prefix(self) -> &'static str {
        match self {
            TokenKind::Session => "hys_",
            TokenKind::ApiKey => "hyk_",
            TokenKind::Setup => "hyi_",
        }
    }
    pub fn of(token: &str) -> Option<TokenKind> {
        [TokenKind::Session, TokenKind::ApiKey, TokenKind::Setup]
            .into_iter()
            .find(|kind| token.starts_with(kind.prefix()))
    }
}

/// A fresh token, 256 bits of the operating system's randomness.
pub fn token(kind: TokenKind) -> Result<String, Problem> {
    Ok(format!("{}{}", kind.prefix(), hex::encode(random::<32>()?)))
}

/// What is kept of a token. It has all its entropy already, so one pass of SHA-256 is enough.
pub fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A password for a device, easy to type: 20 characters without look-alikes.
pub fn device_password() -> Result<String, Problem> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    Ok(random::<20>()?
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b % 32)]))
        .collect())
}

pub fn request_id() -> String {
    random::<8>().map_or_else(|_| "unknown".to_owned(), hex::encode)
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    Ok(bytes)
}

/// Each hash takes 19 MiB and tens of milliseconds: two at a time, the others wait, so that a flood of sign-ins neither
/// starves the calls nor the memory.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Compared with when the account does not exist, so that both answers take the same time.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Argon2::default()
        .hash_password(b"nobody")
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

pub async fn hash_password(password: String) -> Result<String, Problem> {
    let _turn = HASHING.acquire().await.map_err(Problem::internal)?;
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(Problem::internal)
    })
    .await
    .map_err(Problem::internal)?
}

/// Whether the password is the one behind the hash; no hash means no such account and takes as long.
pub async fn password_matches(password: String, hash: Option<String>) -> Result<bool, Problem> {
    let _turn = HASHING.acquire().await.map_err(Problem::internal)?;
    tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.clone());
        let Ok(parsed) = PasswordHash::new(&text) else {
            return false;
        };
        Argon2::default()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
            && known
    })
    .await
    .map_err(Problem::internal)
}
