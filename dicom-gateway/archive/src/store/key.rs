//! Names of stored objects.

use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use sha2::{Digest, Sha256};

/// Folder of refused objects below the store.
pub(crate) const QUARANTINE_FOLDER: &str = "quarantine";
/// Folder of results of jobs below the store.
pub(crate) const DERIVED_FOLDER: &str = "derived";
/// Ending of the files of encrypted objects.
pub(super) const SEALED_EXTENSION: &str = "sealed";
/// Longest key.
pub(super) const KEY_BYTES_MAX: usize = 200;
/// Random digits in a key.
const RANDOM_DIGITS: usize = 12;
/// Digits of an encrypted object's file name.
const HIDDEN_DIGITS: usize = 40;

/// Place of an object below the store, e.g. `20251121/143/<digest>-<random>.hexi.dcm`: day, ten
/// minutes, and the code of the institution that received it, so that the index can be rebuilt.
///
/// An encrypted object's key has an `s` before its random digits, of which there are so many that
/// nobody guesses them; its file is called by a hash of the key, and the key stands encrypted in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Reads a key; only those that this store makes.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let part = |p: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
            !p.is_empty() && !p.starts_with('.') && p.chars().all(fits)
        };
        if text.len() > KEY_BYTES_MAX || text.contains("..") || !text.split('/').all(part) {
            return Err(ArchiveError::Corrupt(format!("{text:?} is no object key")));
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn new(at: UnixMicros, digest: Sha256Digest, extension: &str, sealed: bool) -> Self {
        let stamp: String = at.to_iso8601().chars().filter(char::is_ascii_digit).collect();
        let (day, minutes) = (stamp.get(..8).unwrap_or("0"), stamp.get(8..11).unwrap_or("0"));
        let random = uuid::Uuid::new_v4().simple().to_string();
        let random = match sealed {
            true => format!("s{random}"),
            false => random.get(..RANDOM_DIGITS).unwrap_or_default().to_owned(),
        };
        Self(format!(
            "{day}/{minutes}/{}-{random}.{extension}",
            digest.to_hex()
        ))
    }

    /// The key of the same object when it is encrypted: same bucket, digest and institution.
    pub(super) fn sealed_twin(&self, digest: Sha256Digest) -> Self {
        let folder = self.0.strip_suffix(self.name()).unwrap_or_default();
        let extension = self
            .name()
            .split_once('.')
            .map_or("dcm", |(_, extension)| extension);
        let random = uuid::Uuid::new_v4().simple();
        Self(format!("{folder}{}-s{random}.{extension}", digest.to_hex()))
    }

    pub(super) fn below(&self, folder: &str) -> Self {
        Self(format!("{folder}/{}", self.0))
    }

    /// The text that the index keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Code of the institution, in small letters, that the name tells.
    pub fn institution(&self) -> Option<&str> {
        self.name()
            .strip_suffix(".dcm")?
            .split_once('.')
            .map(|(_, code)| code)
    }

    /// Digest that the name claims.
    pub fn digest(&self) -> Option<Sha256Digest> {
        let digits = hex::decode(self.name().get(..64)?).ok()?;
        Sha256Digest::from_slice(&digits)
    }

    /// Whether the object is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.name().get(64..66) == Some("-s")
    }

    /// The key without the folder of refused or derived objects: it stands in an encrypted file.
    pub(super) fn label(&self) -> &str {
        [QUARANTINE_FOLDER, DERIVED_FOLDER]
            .iter()
            .find_map(|folder| self.0.strip_prefix(folder)?.strip_prefix('/'))
            .unwrap_or(&self.0)
    }

    /// Name of the file: for an encrypted object one that tells nothing but the ten minutes.
    pub(crate) fn file_name(&self) -> String {
        if !self.is_sealed() {
            return self.0.clone();
        }
        let label = self.label();
        let folder = self.0.strip_suffix(self.name()).unwrap_or_default();
        let mut hasher = Sha256::new();
        hasher.update(b"gongying object name\0");
        hasher.update(label.as_bytes());
        let hidden = hex::encode(hasher.finalize());
        let hidden = hidden.get(..HIDDEN_DIGITS).unwrap_or_default();
        format!("{folder}{hidden}.{SEALED_EXTENSION}")
    }
}

impl From<&ObjectKey> for crate::db::Value {
    fn from(key: &ObjectKey) -> Self {
        Self::Text(Some(key.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_encrypted_objects_file_tells_nothing() {
        let digest = Sha256Digest::of(b"x");
        let plain = ObjectKey::new(UnixMicros::now(), digest, "hexi.dcm", false);
        assert!(!plain.is_sealed() && plain.file_name() == plain.as_str());
        let sealed = ObjectKey::new(UnixMicros::now(), digest, "hexi.dcm", true);
        assert_eq!(
            (sealed.is_sealed(), sealed.institution(), sealed.digest()),
            (true, Some("hexi"), Some(digest))
        );
        let file = sealed.file_name();
        assert_eq!(file.get(..13), sealed.as_str().get(..13), "the same bucket");
        assert!(!file.contains("hexi") && !file.contains(&digest.to_hex()[..8]) && file.ends_with(".sealed"));
        let refused = sealed.below(QUARANTINE_FOLDER);
        assert_eq!(refused.label(), sealed.as_str());
        assert_eq!(refused.file_name(), format!("quarantine/{file}"));
        assert_eq!(ObjectKey::parse(refused.as_str()).unwrap(), refused);
    }

    proptest! {
        #[test]
        fn no_key_leaves_the_store(text in "[./a-z0-9\\\\-]{0,40}") {
            if let Ok(key) = ObjectKey::parse(&text) {
                prop_assert!(!key.as_str().starts_with('/') && !key.as_str().contains(".."));
                prop_assert!(!key.file_name().starts_with('/') && !key.file_name().contains(".."));
            }
        }
    }
}
