//! Digests of stored files, and what a check against them finds.

use crate::ids::Sha256Digest;
use sha2::{Digest, Sha256};
use std::io::Read;

/// Bytes read at a time when hashing.
const READ_BYTES: usize = 1 << 20;

/// Digests of a stored file: of preamble and meta information, and of the data set after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigests {
    /// Length of preamble and meta information.
    pub meta_bytes: u64,
    /// SHA-256 of them.
    pub meta: Sha256Digest,
    /// SHA-256 of the data set as received. Equal for the same object sent by C-STORE and STOW-RS.
    pub dataset: Sha256Digest,
}

impl FileDigests {
    /// One digest over both parts: it is in the file's name.
    pub fn whole(&self) -> Sha256Digest {
        let mut hasher = Sha256::new();
        hasher.update(self.meta.0);
        hasher.update(self.dataset.0);
        Sha256Digest(hasher.finalize().into())
    }
}

/// What a check of one file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Present and equal.
    Sound,
    /// Not there.
    Missing,
    /// There, but not as it was received.
    Changed,
    /// There, but the medium fails to read it.
    Unreadable,
}

/// What was read of a file: its digests, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// `None` when the file is shorter than its meta information should be.
    pub(crate) digests: Option<FileDigests>,
    /// Bytes read.
    pub(crate) bytes: u64,
}

impl Measured {
    pub(crate) fn read(mut file: impl Read, meta_bytes: u64) -> std::io::Result<Self> {
        let (mut meta, mut dataset) = (Sha256::new(), Sha256::new());
        let mut buffer = vec![0u8; READ_BYTES];
        let (mut left, mut total) = (meta_bytes, 0);
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            let head = usize::try_from(left.min(count as u64)).unwrap_or(0);
            let (first, rest) = bytes.split_at(head);
            meta.update(first);
            dataset.update(rest);
            left -= head as u64;
            total += count as u64;
        }
        let digests = (left == 0).then(|| FileDigests {
            meta_bytes,
            meta: Sha256Digest(meta.finalize().into()),
            dataset: Sha256Digest(dataset.finalize().into()),
        });
        Ok(Self {
            digests,
            bytes: total,
        })
    }

    /// Which part differs, in words; `None` when all is equal.
    pub(crate) fn difference(&self, expected: &FileDigests) -> Option<String> {
        let Some(found) = &self.digests else {
            return Some(format!(
                "it ends after {} bytes, within its file meta information of {} bytes",
                self.bytes, expected.meta_bytes
            ));
        };
        let part = |name: &str, known: Sha256Digest, found: Sha256Digest| {
            (known != found).then(|| format!("{name} has SHA-256 {}, not {}", found.to_hex(), known.to_hex()))
        };
        let parts: Vec<String> = [
            part("file meta information", expected.meta, found.meta),
            part("the data set", expected.dataset, found.dataset),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("{} ({} bytes read)", parts.join("; "), self.bytes))
    }
}
