//! What the store needs of a place where files lie: a folder of this machine, or a bucket.

use super::spool::Finished;
use crate::error::{ArchiveError, Result};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// The bytes of one file, read from any place.
pub(super) trait Blob: Send {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Reads some bytes; 0 only at the end.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Tells what will be read next, so that a far medium asks for it at once.
    fn expect(&mut self, _at: u64, _length: u64) {}
}

/// What [`Blob::read_at`] of bytes in memory gives.
pub(super) fn read_slice(bytes: &[u8], at: u64, into: &mut [u8]) -> usize {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = bytes.get(at..).unwrap_or_default();
    let count = rest.len().min(into.len());
    if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// Fills the whole buffer.
pub(super) fn read_exact_at(blob: &mut dyn Blob, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match blob.read_at(at, into) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                at += count as u64;
                into = into.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// An error of ours where the system's are expected.
pub(super) fn to_io(error: ArchiveError) -> io::Error {
    io::Error::other(error)
}

impl ArchiveError {
    /// What a failed read of stored bytes means; an error of ours comes out as it went in.
    pub(crate) fn from_read(what: &str, error: io::Error) -> Self {
        match error.downcast::<ArchiveError>() {
            Ok(own) => own,
            Err(error) => Self::io("read", Path::new(what), error),
        }
    }
}

/// A file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Name below the store, with `/` between folders.
    pub(crate) name: String,
    /// Bytes on the medium.
    pub(crate) bytes: u64,
}

/// A place where files lie. All of it waits: call it where that is allowed.
///
/// **Contract:** [`Medium::put`] answers after the bytes are on stable storage under their name, and
/// leaves nothing under that name when it fails. A name is never given twice.
pub(super) trait Medium: Send + Sync {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// Gives a finished file its name; the file is gone from the spool afterwards.
    fn put(&self, file: Finished, name: &str) -> Result<()>;

    /// Like [`Medium::put`], but the bytes need not be on stable storage yet: [`Medium::flush`]
    /// waits for that.
    fn put_unflushed(&self, file: Finished, name: &str) -> Result<()> {
        self.put(file, name)
    }

    /// Whether a flush of each file is dear here, so that a journal helps.
    fn gains_by_journal(&self) -> bool {
        false
    }

    /// Waits until files and their names are on stable storage; one that is gone is fine.
    fn flush(&self, _names: &[String]) -> Result<()> {
        Ok(())
    }

    /// Copies a file in, with the same promises.
    fn copy_in(&self, from: &mut dyn Blob, name: &str) -> Result<()>;

    /// Opens a file; `at` and `length` say what is read first (a length of 0: not known).
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when it is not there.
    fn open(&self, name: &str, at: u64, length: u64) -> Result<Box<dyn Blob>>;

    /// Gives a file another name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file; one that is gone already is fine.
    fn remove(&self, name: &str) -> Result<()>;

    /// Overwrites parts of a file, each durable before the next; never its content.
    fn patch(&self, name: &str, parts: &[(u64, Vec<u8>)]) -> Result<()>;

    /// Names of the folders directly below a folder; "" is the top.
    fn folders(&self, under: &str) -> Result<Vec<String>>;

    /// Files directly below a folder; none when there is no such folder.
    fn files(&self, under: &str) -> Result<Vec<Listed>>;

    /// Whether files can be put here now.
    fn probe(&self) -> Result<()>;
}

/// An open object: reads plain bytes from any medium, a bounded piece at a time.
pub struct ObjectReader {
    blob: Box<dyn Blob>,
    at: u64,
}

impl ObjectReader {
    pub(super) fn new(blob: Box<dyn Blob>) -> Self {
        Self { blob, at: 0 }
    }

    /// Length of the object in bytes.
    pub fn size(&self) -> u64 {
        self.blob.size()
    }

    pub(super) fn blob(&mut self) -> &mut dyn Blob {
        &mut *self.blob
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
