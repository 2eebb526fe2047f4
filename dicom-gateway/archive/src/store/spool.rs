//! Files that are being written.

use super::disk::{Disk, DiskFile, write_all, write_all_at};
use super::health::Health;
use super::medium::Blob;
use super::seal::SealWriter;
use crate::error::{ArchiveError, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Ending of unfinished files.
pub(super) const EXTENSION: &str = "part";

/// A file that nobody sees yet; removed when dropped before it is placed. With encryption its bytes
/// are sealed before they reach the disk.
pub struct SpoolFile {
    file: Finished,
    sealing: Option<SealWriter>,
}

/// A whole file that has no name yet; removed when dropped before it got one.
pub(super) struct Finished {
    disk: Arc<dyn Disk>,
    file: Option<Box<dyn DiskFile>>,
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
    pub(super) fn create(disk: Arc<dyn Disk>, folder: &Path, sealing: Option<SealWriter>) -> Result<Self> {
        let random = uuid::Uuid::new_v4().simple();
        let path = folder.join(format!("{}-{random}.{EXTENSION}", own_mark()));
        let file = disk
            .create_new(&path)
            .map_err(|error| ArchiveError::io("create", &path, error))?;
        let file = Finished {
            disk,
            file: Some(file),
            path,
        };
        if sealing.is_some() {
            file.append(&SealWriter::PLACEHOLDER)?;
        }
        Ok(Self { file, sealing })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`ArchiveError::OutOfSpace`] when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.sealing {
            Some(sealing) => sealing.push(bytes, |sealed| self.file.append(sealed)),
            None => self.file.append(bytes),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealing.is_some()
    }

    /// Ends the bytes; an encrypted file learns what it is called.
    pub(super) fn finish(self, label: &str) -> Result<Finished> {
        let Self { file, sealing } = self;
        if let Some(sealing) = sealing {
            let head = sealing.finish(label, |sealed| file.append(sealed))?;
            file.overwrite(head.bytes())?;
        }
        Ok(file)
    }

    /// Writes, flushes and removes: whether the disk takes anything.
    pub(super) fn probe(mut self, health: &Health) -> Result<()> {
        self.write(b"probe")?;
        let flushed = self.file.sync_data();
        flushed.map_err(|error| health.flush_failed(&self.file.path, error))
    }
}

impl Finished {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open_file(&self) -> Result<&dyn DiskFile> {
        self.file.as_deref().ok_or(ArchiveError::Closed)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        write_all(self.open_file()?, bytes).map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    fn overwrite(&self, start: &[u8]) -> Result<()> {
        write_all_at(self.open_file()?, start, 0)
            .map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    /// The bytes, to be read.
    pub(super) fn blob(&self) -> Result<FinishedBlob<'_>> {
        let file = self.open_file()?;
        let bytes = file
            .size()
            .map_err(|error| ArchiveError::io("read", &self.path, error))?;
        Ok(FinishedBlob { file, bytes })
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    /// It has a name now, and is not removed any more.
    pub(super) fn moved(mut self) -> MovedFile {
        MovedFile(self.file.take())
    }
}

/// The bytes of a finished file.
pub(super) struct FinishedBlob<'a> {
    file: &'a dyn DiskFile,
    bytes: u64,
}

impl Blob for FinishedBlob<'_> {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, at)
    }
}

/// A file whose bytes still have to be flushed.
pub(super) struct MovedFile(Option<Box<dyn DiskFile>>);

impl MovedFile {
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |file| file.sync_data())
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = self.disk.remove(&self.path);
        }
    }
}
