//! Files as they lie on the media, encrypted or not: for moving them, copying them, and renewing the
//! keys that wrap theirs.

use super::key::{DERIVED_FOLDER, QUARANTINE_FOLDER, SEALED_EXTENSION};
use super::medium::{Listed, Medium, ObjectReader, read_exact_at};
use super::seal::{HEAD_BYTES, Head};
use super::{FileDigests, Measured, ObjectKey, ObjectStore};
use crate::error::{ArchiveError, Result};
use std::io::Read;
use std::sync::Arc;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// What a renewal did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewrapped {
    /// Its key is wrapped by the current key now.
    Renewed,
    /// It was before.
    Current,
    /// It is not encrypted.
    Plain,
}

impl ObjectStore {
    fn medium(&self, number: usize) -> Result<&Arc<dyn Medium>> {
        self.media().nth(number).ok_or(ArchiveError::Closed)
    }

    /// How many media there are.
    pub(crate) fn media_count(&self) -> usize {
        self.media().count()
    }

    /// All folders with files of one medium: objects, refused ones, results of jobs.
    pub(crate) fn leaf_folders(&self, number: usize) -> Result<Vec<String>> {
        let medium = self.medium(number)?;
        let mut leaves = Vec::new();
        for top in ["", QUARANTINE_FOLDER, DERIVED_FOLDER] {
            let below = |name: &str| match top {
                "" => name.to_owned(),
                _ => format!("{top}/{name}"),
            };
            for day in medium.folders(top)? {
                if day.chars().all(|c| c.is_ascii_digit()) {
                    let day = below(&day);
                    leaves.extend(medium.folders(&day)?.iter().map(|inner| format!("{day}/{inner}")));
                }
            }
        }
        Ok(leaves)
    }

    /// Files of a folder.
    pub(crate) fn raw_files(&self, number: usize, folder: &str) -> Result<Vec<Listed>> {
        self.medium(number)?.files(folder)
    }

    /// A file as it lies there.
    pub(crate) fn open_raw(&self, number: usize, name: &str) -> Result<ObjectReader> {
        Ok(ObjectReader::new(self.medium(number)?.open(name, 0, 0)?))
    }

    /// Puts a file as it is, under the name that it had.
    pub(crate) fn put_raw(&self, name: &str, mut from: impl Read) -> Result<u64> {
        let mut spool = self.spool(None)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut total = 0;
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::from_read(name, error)),
            };
            total += count as u64;
            spool.write(buffer.get(..count).unwrap_or_default())?;
        }
        self.inner.first.put(spool.finish("")?, name)?;
        Ok(total)
    }

    /// Copies an object to the second medium and proves the copy by its digests. Gives the object's
    /// key there: another one when the object was plain and is encrypted on the way.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`] when the object here is not as it was received; nothing is left
    /// behind then.
    pub(crate) fn copy_away(&self, key: &ObjectKey, expected: &FileDigests) -> Result<ObjectKey> {
        let (from, to) = (self.medium(0)?, self.medium(1)?);
        let target = match self.inner.cipher {
            Some(_) if !key.is_sealed() => self.seal_copy(key, expected, &**to)?,
            _ => {
                let name = key.file_name();
                let copied = to.copy_in(&mut *from.open(&name, 0, 0)?, &name);
                copied.map(|()| key.clone())?
            }
        };
        let copy = self.open_on_medium(&**to, &target, &target.file_name(), (0, 0))?;
        let measured = Measured::read(copy, expected.meta_bytes)
            .map_err(|error| ArchiveError::from_read(target.as_str(), error))?;
        match measured.difference(expected) {
            None => Ok(target),
            Some(why) => {
                to.remove(&target.file_name())?;
                Err(ArchiveError::Corrupt(format!("{}: {why}", key.as_str())))
            }
        }
    }

    fn seal_copy(&self, key: &ObjectKey, expected: &FileDigests, to: &dyn Medium) -> Result<ObjectKey> {
        let mut object = self.open_object(key)?;
        let mut spool = self.begin()?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match object.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => spool.write(buffer.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::from_read(key.as_str(), error)),
            }
        }
        let target = key.sealed_twin(expected.whole());
        to.put(spool.finish(target.label())?, &target.file_name())?;
        Ok(target)
    }

    /// Whether there is a copy on the first medium.
    pub(crate) fn is_on_first(&self, key: &ObjectKey) -> Result<bool> {
        match self.medium(0)?.open(&key.file_name(), 0, 1) {
            Ok(_) => Ok(true),
            Err(ArchiveError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the copy on the first medium.
    pub(crate) fn forget_first(&self, key: &ObjectKey) -> Result<()> {
        self.medium(0)?.remove(&key.file_name())
    }

    /// Wraps the key of one file by the current key.
    pub(crate) fn rewrap(&self, number: usize, name: &str) -> Result<Rewrapped> {
        if !name.ends_with(&format!(".{SEALED_EXTENSION}")) {
            return Ok(Rewrapped::Plain);
        }
        let medium = self.medium(number)?;
        let mut bytes = [0; HEAD_BYTES];
        let mut raw = medium.open(name, 0, HEAD_BYTES as u64)?;
        read_exact_at(&mut *raw, 0, &mut bytes).map_err(|error| ArchiveError::from_read(name, error))?;
        let steps = Head::read(&bytes)?.rewrap(self.keys()?)?;
        if steps.is_empty() {
            return Ok(Rewrapped::Current);
        }
        medium.patch(name, &steps)?;
        Ok(Rewrapped::Renewed)
    }
}
