//! Files that are being written.

use crate::error::{ArchiveError, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Ending of unfinished files.
pub(super) const EXTENSION: &str = "part";

/// A file that nobody sees yet; removed when dropped before it is placed.
pub struct SpoolFile {
    file: Option<File>,
    path: PathBuf,
}

/// Random word of this process: process numbers come again, in containers at once.
fn own_mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()))
}

/// Whether the process that wrote this file is gone. Two processes on one store do not take each
/// other's files.
pub(super) fn is_abandoned(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    if name.starts_with(own_mark()) {
        return false;
    }
    match name.split('-').next().and_then(|n| n.parse::<u32>().ok()) {
        Some(owner) if owner == std::process::id() => true,
        Some(owner) => !Path::new(&format!("/proc/{owner}")).exists(),
        None => true,
    }
}

impl SpoolFile {
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let random = uuid::Uuid::new_v4().simple();
        let path = folder.join(format!("{}-{random}.{EXTENSION}", own_mark()));
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| ArchiveError::io("create", &path, error))?;
        Ok(Self {
            file: Some(file),
            path,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`ArchiveError::OutOfSpace`] when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Err(ArchiveError::Closed);
        };
        file.write_all(bytes)
            .map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// File and path; the caller now removes it when something fails.
    pub(super) fn into_parts(mut self) -> (SyncedFile, PathBuf) {
        (SyncedFile(self.file.take()), std::mem::take(&mut self.path))
    }
}

/// A finished file whose bytes still have to be flushed.
pub(super) struct SyncedFile(Option<File>);

impl SyncedFile {
    pub(super) fn sync_data(&self) -> std::io::Result<()> {
        self.0.as_ref().map_or(Ok(()), File::sync_data)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
