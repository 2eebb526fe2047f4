//! Random secrets, their digests, and slow hashes for what people can remember.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::error::{ReadingError, Result};

/// Bytes of a session, bearer or share token: 256 bits.
pub const TOKEN_BYTES: usize = 32;
/// Longest password accepted, so that hashing stays bounded.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Passwords hashed at once; each needs [`MEMORY_KIB`].
const HASHES_AT_ONCE_MAX: usize = 2;
/// Memory of one hash (OWASP password storage cheat sheet, argon2id: 19 MiB, 2 passes, 1 lane).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(HASHES_AT_ONCE_MAX));

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ReadingError::Internal("no random numbers from the system"))?;
    Ok(bytes)
}

/// A fresh token, base64url without padding.
pub fn token() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>()?))
}

/// A short identifier that cannot be guessed: 128 bits, lower-case hexadecimal.
pub fn id() -> Result<String> {
    Ok(hex::encode(random::<16>()?))
}

/// What the index keeps of a token.
#[must_use]
pub fn token_digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn argon2() -> Result<Argon2<'static>> {
    let params =
        Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| ReadingError::Internal("argon2 parameters"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

async fn slowly<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _slot = SLOTS
        .acquire()
        .await
        .map_err(|_| ReadingError::Internal("hashing is closed"))?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ReadingError::Internal("hashing stopped"))?
}

/// Slow hash of a password or PIN (argon2id, PHC string).
///
/// # Errors
/// `Invalid` when it is longer than [`PASSWORD_BYTES_MAX`].
pub async fn hash(secret: &str) -> Result<String> {
    if secret.len() > PASSWORD_BYTES_MAX {
        return Err(ReadingError::invalid(
            "password",
            "超过 256 字节",
            "longer than 256 bytes",
        ));
    }
    let secret = secret.to_owned();
    slowly(move || {
        let hash = argon2()?.hash_password(secret.as_bytes());
        hash.map(|h| h.to_string())
            .map_err(|_| ReadingError::Internal("password hashing failed"))
    })
    .await
}

/// Whether the secret is the one hashed. An unreadable hash never matches. Takes the same time for any secret.
pub async fn verify(secret: &str, phc: &str) -> Result<bool> {
    if secret.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    let (secret, phc) = (secret.to_owned(), phc.to_owned());
    slowly(move || {
        let Ok(parsed) = PasswordHash::new(&phc) else {
            return Ok(false);
        };
        Ok(argon2()?.verify_password(secret.as_bytes(), &parsed).is_ok())
    })
    .await
}

/// Works as long as [`verify`] does, for accounts that are not there: names cannot be found by timing.
pub async fn verify_nobody(secret: &str) -> Result<()> {
    hash(
        secret
            .get(..PASSWORD_BYTES_MAX.min(secret.len()))
            .unwrap_or_default(),
    )
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_matches_only_itself() {
        let kept = hash("河西-2026").await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("河西-2026", &kept).await.unwrap());
        assert!(!verify("河西-2025", &kept).await.unwrap());
        assert!(!verify("x", "not a hash").await.unwrap());
        assert!(!verify(&"x".repeat(PASSWORD_BYTES_MAX + 1), &kept).await.unwrap());
    }

    #[test]
    fn tokens_have_256_bits_and_differ() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert_eq!(a.len(), 43);
        assert_ne!(a, b);
        assert_eq!(token_digest("").len(), 64);
    }
}
