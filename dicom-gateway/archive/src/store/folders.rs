//! Making folders durably.

use super::disk::Disk;
use super::health::Health;
use crate::error::{ArchiveError, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Folders remembered as made.
const FOLDERS_KNOWN_MAX: usize = 1024;

/// The folders below a store.
pub(super) struct Folders {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    health: Health,
    known: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    pub(super) fn new(root: &Path, disk: Arc<dyn Disk>, health: Health) -> Self {
        Self {
            root: root.to_path_buf(),
            disk,
            health,
            known: Mutex::default(),
        }
    }
    /// Makes a folder and its parents, durably.
    pub(super) fn ensure(&self, folder: &Path) -> Result<()> {
        if self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(folder)
        {
            return Ok(());
        }
        self.disk
            .create_dir_all(folder)
            .map_err(|error| ArchiveError::io("create folder", folder, error))?;
        // Another thread may have made it a moment ago without having flushed yet: flush the whole
        // way up to the store in any case.
        for made in folder.ancestors().take_while(|at| *at != self.root) {
            let parent = made.parent().unwrap_or(made);
            self.disk
                .sync_dir(parent)
                .map_err(|error| self.health.flush_failed(parent, error))?;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= FOLDERS_KNOWN_MAX {
            known.clear();
        }
        known.insert(folder.to_path_buf());
        Ok(())
    }
}
