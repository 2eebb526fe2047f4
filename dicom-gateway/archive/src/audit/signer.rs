//! The key that signs the heads of the audit chains.

use crate::error::{ArchiveError, Result};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::io::Write;
use std::path::Path;

/// File of the signing key below the data folder.
pub(crate) const KEY_FILE: &str = "audit.key";
/// Public keys of other nodes that share the index, one hexadecimal key a line.
pub(crate) const TRUSTED_FILE: &str = "audit.trusted";
/// Most keys read from [`TRUSTED_FILE`].
const TRUSTED_KEYS_MAX: usize = 1024;

/// Signs and checks heads of chains (Ed25519, RFC 8032).
pub struct AuditSigner {
    key: SigningKey,
    key_id: String,
    trusted: Vec<(String, VerifyingKey)>,
}

/// What a signature covers.
pub(super) fn head_message(chain: i64, rows: i64, hash: &[u8]) -> Vec<u8> {
    let mut message = b"gongying audit head 1\n".to_vec();
    message.extend_from_slice(&chain.to_be_bytes());
    message.extend_from_slice(&rows.to_be_bytes());
    message.extend_from_slice(hash);
    message
}

impl AuditSigner {
    /// Reads the key of a data folder, or makes one (readable by its owner only).
    ///
    /// # Errors
    /// When the key file cannot be read, written or understood.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(KEY_FILE);
        let seed = match std::fs::read_to_string(&path) {
            Ok(text) => parse_key(text.trim()).ok_or_else(|| {
                ArchiveError::Corrupt(format!(
                    "{} holds no key of 64 hexadecimal digits",
                    path.display()
                ))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_key(&path)?,
            Err(error) => return Err(ArchiveError::io("read", &path, error)),
        };
        let key = SigningKey::from_bytes(&seed);
        let key_id = hex::encode(key.verifying_key().as_bytes());
        let mut trusted = vec![(key_id.clone(), key.verifying_key())];
        let others = std::fs::read_to_string(data_dir.join(TRUSTED_FILE)).unwrap_or_default();
        for line in others.lines().take(TRUSTED_KEYS_MAX) {
            let public = parse_key(line.trim()).and_then(|b| VerifyingKey::from_bytes(&b).ok());
            trusted.extend(public.map(|key| (hex::encode(key.as_bytes()), key)));
        }
        Ok(Self { key, key_id, trusted })
    }

    /// The public key in hexadecimal: what other nodes put in `audit.trusted`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) fn sign(&self, chain: i64, rows: i64, hash: &[u8]) -> Vec<u8> {
        self.key
            .sign(&head_message(chain, rows, hash))
            .to_bytes()
            .to_vec()
    }

    pub(super) fn check(&self, key_id: &str, message: &[u8], signature: &[u8]) -> bool {
        let Some((_, key)) = self.trusted.iter().find(|(id, _)| id == key_id) else {
            return false;
        };
        Signature::from_slice(signature).is_ok_and(|s| key.verify_strict(message, &s).is_ok())
    }
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok())
}

fn make_key(path: &Path) -> Result<[u8; 32]> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| ArchiveError::invalid("random numbers of the system", error.to_string()))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(path)?;
        writeln!(file, "{}", hex::encode(seed))?;
        file.sync_all()
    };
    write().map_err(|error| ArchiveError::io("write", path, error))?;
    Ok(seed)
}
