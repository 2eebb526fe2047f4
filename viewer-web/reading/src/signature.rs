//! Signatures over issued versions: Ed25519 (RFC 8032) over the canonical bytes, one key per node.
//!
//! The secret key stays in a file of the node; the public key goes to the index, so that every node verifies every
//! version. Keys are never replaced silently: a version names the key that signed it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::error::{ReadingError, Result};
use crate::secret;

/// Name of the key file in the data folder.
pub const KEY_FILE: &str = "report-signing.key";

/// Signs versions.
#[derive(Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
    key_id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the key of `folder`, or makes one on first use (file mode 0600).
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn open(folder: &Path) -> Result<Signer> {
        let path = folder.join(KEY_FILE);
        let wrong = |doing: &'static str, e: std::io::Error| archive::ArchiveError::io(doing, &path, e);
        let bytes: [u8; 32] = match std::fs::read(&path) {
            Ok(text) => hex::decode(String::from_utf8_lossy(&text).trim())
                .ok()
                .and_then(|b| b.try_into().ok())
                .ok_or(ReadingError::Internal(
                    "the signing key file is damaged; restore it from a backup",
                ))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let bytes = secret::random::<32>()?;
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(&path).map_err(|e| wrong("create", e))?;
                file.write_all(hex::encode(bytes).as_bytes())
                    .map_err(|e| wrong("write", e))?;
                file.sync_all().map_err(|e| wrong("write", e))?;
                bytes
            }
            Err(e) => return Err(wrong("read", e).into()),
        };
        Ok(Signer::from_secret(bytes))
    }

    /// A signer from its 32 secret bytes.
    #[must_use]
    pub fn from_secret(bytes: [u8; 32]) -> Signer {
        let key = SigningKey::from_bytes(&bytes);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let key_id = hex::encode(digest.get(..8).unwrap_or_default());
        Signer {
            key: Arc::new(key),
            key_id,
        }
    }

    /// Short name of the key: first 64 bits of the public key's SHA-256.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key, hexadecimal.
    #[must_use]
    pub fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// Signature of `bytes`, hexadecimal.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.key.sign(bytes).to_bytes())
    }
}

/// Whether `signature` (hexadecimal) of `bytes` was made with the secret of `public_key` (hexadecimal).
#[must_use]
pub fn verify(public_key: &str, bytes: &[u8], signature: &str) -> bool {
    let key = hex::decode(public_key)
        .ok()
        .and_then(|b| <[u8; 32]>::try_from(b).ok());
    let signature = hex::decode(signature)
        .ok()
        .and_then(|b| <[u8; 64]>::try_from(b).ok());
    let (Some(key), Some(signature)) = (key, signature) else {
        return false;
    };
    VerifyingKey::from_bytes(&key)
        .is_ok_and(|k| k.verify_strict(bytes, &Signature::from_bytes(&signature)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_these_bytes_and_this_key_only() {
        let (a, b) = (Signer::from_secret([1; 32]), Signer::from_secret([2; 32]));
        let signature = a.sign(b"report");
        assert!(verify(&a.public_key(), b"report", &signature));
        assert!(!verify(&a.public_key(), b"Report", &signature));
        assert!(!verify(&b.public_key(), b"report", &signature));
        assert!(!verify("xyz", b"report", &signature));
        assert!(!verify(&a.public_key(), b"report", "00"));
    }

    #[test]
    fn the_key_stays_the_same_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let first = Signer::open(folder.path()).unwrap();
        assert_eq!(Signer::open(folder.path()).unwrap().key_id(), first.key_id());
        std::fs::write(folder.path().join(KEY_FILE), "short").unwrap();
        assert!(Signer::open(folder.path()).is_err());
    }

    /// RFC 8032 section 7.1, test 2.
    #[test]
    fn the_published_vector() {
        let secret: [u8; 32] =
            hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap()
                .try_into()
                .unwrap();
        let signer = Signer::from_secret(secret);
        assert_eq!(
            signer.public_key(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert!(
            signer
                .sign(&[0x72])
                .starts_with("92a009a9f0d4cab8720e820b5f642540")
        );
    }
}
