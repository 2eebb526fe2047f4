//! Placing objects by way of the journal: durable at once there, under their names a little later.

use super::journal::{self, Journal, Ticket};
use super::medium::{Blob, read_exact_at, read_slice};
use super::{ObjectKey, ObjectStore, SpoolFile};
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Bytes compared at a time.
const COMPARE_BYTES: usize = 256 << 10;

struct Memory<'a>(&'a [u8]);

impl Blob for Memory<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        Ok(read_slice(self.0, at, into))
    }
}

impl ObjectStore {
    /// Gives a finished file its place. With a ticket the object is durable as soon as the ticket's
    /// file was flushed; without one it is durable now.
    ///
    /// # Errors
    /// As [`ObjectStore::place`].
    pub(crate) fn place_soon(
        &self,
        spool: SpoolFile,
        digest: Sha256Digest,
        extension: &str,
    ) -> Result<(ObjectKey, Option<Ticket>)> {
        self.health().check()?;
        let key = ObjectKey::new(UnixMicros::now(), digest, extension, spool.is_sealed());
        let name = key.file_name();
        let file = spool.finish(key.label())?;
        let mut blob = file.blob()?;
        let bytes = blob.size();
        let ticket = match self.journal() {
            Some(journal) => journal.append(&name, &mut blob)?,
            None => None,
        };
        match &ticket {
            Some(_) => self.inner.first.put_unflushed(file, &name)?,
            None => self.inner.first.put(file, &name)?,
        }
        self.inner.placed_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok((key, ticket))
    }

    /// The journal, when this store has one.
    pub(crate) fn journal(&self) -> Option<&Journal> {
        self.inner.journal.get()
    }

    /// Makes files durable that were placed with a ticket.
    ///
    /// # Errors
    /// When the disk fails; the store then takes nothing more in.
    pub(crate) fn flush_files(&self, names: &[String]) -> Result<()> {
        self.health().check()?;
        self.inner.first.flush(names)
    }

    /// Brings back what the journal in `folder` knows and the store lost, then begins it anew with so
    /// many bytes (0: none). Gives the number of files made again. A folder that another process
    /// uses is left to it: this one goes the direct way. Only before anything is received.
    ///
    /// # Errors
    /// When journal or store cannot be read or written.
    pub(crate) fn open_journal(&self, folder: &Path, bytes: u64) -> Result<u64> {
        let bytes = if self.inner.first.gains_by_journal() {
            bytes
        } else {
            0
        };
        if bytes == 0 && !folder.exists() {
            return Ok(0);
        }
        let Some(lock) = journal::lock(folder)? else {
            tracing::warn!(folder = %folder.display(), "another process uses the journal of the store");
            return Ok(0);
        };
        let (mut names, mut made) = (Vec::new(), 0);
        journal::replay(folder, |name, content| {
            if !self.is_there(name, content)? {
                self.inner.first.copy_in(&mut Memory(content), name)?;
                made += 1;
            }
            names.push(name.to_owned());
            Ok(())
        })?;
        self.inner.first.flush(&names)?;
        if bytes == 0 {
            journal::remove(folder)?;
        } else {
            let journal = Journal::create(folder, bytes, self.health(), Some(lock))?;
            // set once, at the start of a process
            let _ = self.inner.journal.set(journal);
        }
        Ok(made)
    }

    /// Whether a file holds exactly these bytes.
    fn is_there(&self, name: &str, content: &[u8]) -> Result<bool> {
        let mut blob = match self.inner.first.open(name, 0, content.len() as u64) {
            Ok(blob) => blob,
            Err(ArchiveError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if blob.size() != content.len() as u64 {
            return Ok(false);
        }
        let mut buffer = vec![0; COMPARE_BYTES.min(content.len())];
        let mut at = 0;
        for expected in content.chunks(COMPARE_BYTES) {
            let into = buffer.get_mut(..expected.len()).unwrap_or_default();
            read_exact_at(&mut *blob, at, into).map_err(|error| ArchiveError::from_read(name, error))?;
            if into != expected {
                return Ok(false);
            }
            at += expected.len() as u64;
        }
        Ok(true)
    }
}
