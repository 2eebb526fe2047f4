//! Files that are being written.

use super::disk::{Disk, DiskFile, write_all, write_all_at};
use super::health::Health;
use super::medium::{Blob, read_slice};
use super::seal::SealWriter;
use crate::error::{ArchiveError, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Ending of unfinished files.
pub(super) const EXTENSION: &str = "part";

/// Bytes kept in memory before there is a file: a CT slice that came whole never has an unfinished one.
const MEMORY_BYTES_MAX: usize = 704 << 10;

/// A file that nobody sees yet; removed when dropped before it is placed. With encryption its bytes
/// are sealed before they reach the disk.
pub struct SpoolFile {
    file: Finished,
    sealing: Option<SealWriter>,
}

/// Whole bytes that have no name yet; a file of them is removed when dropped before it got one.
pub(super) struct Finished {
    disk: Arc<dyn Disk>,
    /// Where an unfinished file is made when one is needed.
    path: PathBuf,
    content: Content,
}

enum Content {
    Memory(Vec<u8>),
    File(Box<dyn DiskFile>),
    /// It has a name now.
    Named,
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
        let mut file = Finished {
            disk,
            path: folder.join(format!("{}-{random}.{EXTENSION}", own_mark())),
            content: Content::Memory(Vec::new()),
        };
        if sealing.is_some() {
            file.append(&SealWriter::PLACEHOLDER)?;
        }
        Ok(Self { file, sealing })
    }

    /// So many bytes will come: room for them is made at once.
    pub(crate) fn expect(&mut self, bytes: usize) {
        if let Content::Memory(held) = &mut self.file.content {
            held.reserve(bytes.min(MEMORY_BYTES_MAX));
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`ArchiveError::OutOfSpace`] when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { file, sealing } = self;
        match sealing {
            Some(sealing) => sealing.push(bytes, |sealed| file.append(sealed)),
            None => file.append(bytes),
        }
    }

    /// What came so far goes to the disk: memory is not held while the rest is waited for.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn spill(&mut self) -> Result<()> {
        self.file.spill()
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealing.is_some()
    }

    /// Ends the bytes; an encrypted file learns what it is called.
    pub(super) fn finish(self, label: &str) -> Result<Finished> {
        let Self { mut file, sealing } = self;
        if let Some(sealing) = sealing {
            let head = sealing.finish(label, |sealed| file.append(sealed))?;
            file.overwrite(head.bytes())?;
        }
        Ok(file)
    }

    /// Writes, flushes and removes: whether the disk takes anything.
    pub(super) fn probe(mut self, health: &Health) -> Result<()> {
        self.write(b"probe")?;
        self.spill()?;
        let flushed = self.file.sync_data();
        flushed.map_err(|error| health.flush_failed(&self.file.path, error))
    }
}

impl Finished {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.content {
            Content::Memory(held) if held.len() + bytes.len() <= MEMORY_BYTES_MAX => {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            Content::Memory(_) => self.spill()?,
            Content::File(_) | Content::Named => {}
        }
        write_all(self.open_file()?, bytes).map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    fn overwrite(&mut self, start: &[u8]) -> Result<()> {
        match &mut self.content {
            Content::Memory(held) => match held.get_mut(..start.len()) {
                Some(place) => place.copy_from_slice(start),
                None => return Err(ArchiveError::Closed),
            },
            _ => write_all_at(self.open_file()?, start, 0)
                .map_err(|error| ArchiveError::io("write", &self.path, error))?,
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let Content::Memory(held) = &mut self.content else {
            return Ok(());
        };
        let held = std::mem::take(held);
        let made = self.disk.create_new(&self.path);
        self.content = Content::File(made.map_err(|error| ArchiveError::io("create", &self.path, error))?);
        write_all(self.open_file()?, &held).map_err(|error| ArchiveError::io("write", &self.path, error))
    }

    fn open_file(&self) -> Result<&dyn DiskFile> {
        match &self.content {
            Content::File(file) => Ok(&**file),
            Content::Memory(_) | Content::Named => Err(ArchiveError::Closed),
        }
    }

    /// The bytes, to be read.
    pub(super) fn blob(&self) -> Result<FinishedBlob<'_>> {
        let file = match &self.content {
            Content::Memory(held) => return Ok(FinishedBlob::Memory(held)),
            _ => self.open_file()?,
        };
        let bytes = file
            .size()
            .map_err(|error| ArchiveError::io("read", &self.path, error))?;
        Ok(FinishedBlob::File(file, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        match &self.content {
            Content::File(file) => file.sync_data(),
            Content::Memory(_) | Content::Named => Ok(()),
        }
    }

    /// Gives the bytes this name at once or not at all, as far as a running system sees it.
    pub(super) fn move_to(mut self, path: &Path) -> Result<MovedFile> {
        self.spill()?;
        let moved = self.disk.rename(&self.path, path);
        moved.map_err(|error| ArchiveError::io("move into the store", path, error))?;
        match std::mem::replace(&mut self.content, Content::Named) {
            Content::File(file) => Ok(MovedFile(file)),
            Content::Memory(_) | Content::Named => Err(ArchiveError::Closed),
        }
    }

    /// Gives the bytes this name, written there directly where they are in memory: only for names that nobody knows
    /// before this returns. Nothing is left there when it fails.
    pub(super) fn write_to(self, path: &Path) -> Result<()> {
        let Content::Memory(held) = &self.content else {
            return self.move_to(path).map(drop);
        };
        let file = self.disk.create_new(path);
        let file = file.map_err(|error| ArchiveError::io("create", path, error))?;
        write_all(&*file, held).map_err(|error| {
            let _ = self.disk.remove(path);
            ArchiveError::io("write", path, error)
        })
    }
}

/// The bytes of a finished file.
pub(super) enum FinishedBlob<'a> {
    Memory(&'a [u8]),
    File(&'a dyn DiskFile, u64),
}

impl Blob for FinishedBlob<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Memory(held) => held.len() as u64,
            Self::File(_, bytes) => *bytes,
        }
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(held) => Ok(read_slice(held, at, into)),
            Self::File(file, _) => file.read_at(into, at),
        }
    }
}

/// A file whose bytes still have to be flushed.
pub(super) struct MovedFile(Box<dyn DiskFile>);

impl MovedFile {
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if matches!(self.content, Content::File(_)) {
            let _ = self.disk.remove(&self.path);
        }
    }
}
