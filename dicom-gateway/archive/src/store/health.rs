//! Whether the store may take anything in.
//!
//! **Invariant:** after a flush to stable storage failed, nothing more is taken in until this
//! process starts again. The system reports such a failure once and may have thrown the bytes away;
//! a second flush would succeed and prove nothing.

use crate::error::{ArchiveError, Result};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The state of a store; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    failing: Arc<OnceLock<String>>,
}

impl Health {
    /// Why the store refuses everything, when it does.
    pub fn failing(&self) -> Option<&str> {
        self.failing.get().map(String::as_str)
    }

    /// # Errors
    /// [`ArchiveError::StorageFailing`] after a flush failed.
    pub(crate) fn check(&self) -> Result<()> {
        match self.failing() {
            Some(why) => Err(ArchiveError::StorageFailing(why.to_owned())),
            None => Ok(()),
        }
    }

    /// Takes note of a failed flush and gives the error for the caller. A full disk is no failing
    /// one: the flush of the next object tells anew.
    pub(super) fn flush_failed(&self, path: &Path, error: io::Error) -> ArchiveError {
        match ArchiveError::io("flush", path, error) {
            ArchiveError::Io { source, .. } => {
                self.give_up(&format!("could not flush {}: {source}", path.display()))
            }
            full => full,
        }
    }

    /// Refuses everything from now on.
    pub(crate) fn give_up(&self, why: &str) -> ArchiveError {
        if self.failing.set(why.to_owned()).is_ok() {
            tracing::error!(
                why,
                "the storage failed; nothing is taken in until this node is started again: check the disk first"
            );
            metrics::gauge!("gongying_store_failing").set(1.0);
            metrics::counter!("gongying_store_flush_failures_total").increment(1);
        }
        ArchiveError::StorageFailing(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failing_disk_ends_the_store() {
        let health = Health::default();
        let path = Path::new("/x");
        let full = health.flush_failed(path, io::ErrorKind::StorageFull.into());
        assert!(matches!(full, ArchiveError::OutOfSpace(_)) && health.check().is_ok());
        let failed = health.flush_failed(path, io::Error::from_raw_os_error(5));
        assert!(matches!(failed, ArchiveError::StorageFailing(_)));
        let clone = health.clone();
        assert!(clone.check().is_err() && clone.failing().unwrap().contains("/x"));
    }
}
