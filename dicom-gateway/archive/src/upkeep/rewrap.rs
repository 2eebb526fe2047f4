//! Renewing the key that wraps the keys of all objects.

use super::blocking;
use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::store::{ObjectStore, Rewrapped};

/// Problems named at most.
const NAMED_MAX: usize = 20;

/// What a renewal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewrapReport {
    /// Files whose key is wrapped by the current key now.
    pub renewed: u64,
    /// Files that were so before.
    pub current: u64,
    /// Files that are not encrypted.
    pub plain: u64,
    /// Files with a damaged head; the first of them are named.
    pub damaged: u64,
    /// Their names and what is wrong.
    pub problems: Vec<String>,
}

impl Archive {
    /// Wraps the key of every encrypted file by the first key of the key file. Contents stay as they
    /// are; the node may run. What is cut off goes on when it is called again.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a key is missing.
    pub async fn rewrap(&self) -> Result<RewrapReport> {
        let store = self.store().clone();
        blocking(move || rewrap_all(&store)).await
    }
}

fn rewrap_all(store: &ObjectStore) -> Result<RewrapReport> {
    let mut report = RewrapReport::default();
    for medium in 0..store.media_count() {
        for folder in store.leaf_folders(medium)? {
            for file in store.raw_files(medium, &folder)? {
                match store.rewrap(medium, &file.name) {
                    Ok(Rewrapped::Renewed) => report.renewed += 1,
                    Ok(Rewrapped::Current) => report.current += 1,
                    Ok(Rewrapped::Plain) => report.plain += 1,
                    // Moved or removed meanwhile.
                    Err(ArchiveError::NotFound(_)) => {}
                    Err(ArchiveError::Corrupt(why)) => {
                        report.damaged += 1;
                        if report.problems.len() < NAMED_MAX {
                            report.problems.push(format!("{}: {why}", file.name));
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(report)
}
