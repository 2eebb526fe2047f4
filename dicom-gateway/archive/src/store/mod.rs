//! The object store: one file an object, never changed.
//!
//! **Invariants:** a file's place and name come from the clock, its digest and random bits, never
//! from data of a peer. The name holds the digest of the whole file, so a file can be proved
//! without the index. [`ObjectStore::place`] answers after bytes and directory entry are on stable
//! storage.

mod dir_sync;
mod spool;

pub use spool::SpoolFile;

use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use dir_sync::DirSync;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of unfinished files below the store.
const SPOOL_FOLDER: &str = ".spool";
/// Folder of refused objects below the store.
pub(crate) const QUARANTINE_FOLDER: &str = "quarantine";
/// Folder of results of jobs below the store.
pub(crate) const DERIVED_FOLDER: &str = "derived";
/// Bytes read at a time when hashing.
const READ_BYTES: usize = 1 << 20;
/// Largest range that is read into memory at once.
pub const RANGE_BYTES_MAX: u64 = 1 << 30;

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
}

/// Place of an object below the store, e.g. `20251121/143/<digest>-<random>.hexi.dcm`: day, ten
/// minutes, and the code of the institution that received it, so that the index can be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Reads a key; only those that this store makes.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let part = |p: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
            !p.is_empty() && !p.starts_with('.') && p.chars().all(fits)
        };
        if text.len() > 200 || text.contains("..") || !text.split('/').all(part) {
            return Err(ArchiveError::Corrupt(format!("{text:?} is no object key")));
        }
        Ok(Self(text.to_owned()))
    }

    fn new(at: UnixMicros, digest: Sha256Digest, extension: &str) -> Self {
        let stamp: String = at.to_iso8601().chars().filter(char::is_ascii_digit).collect();
        let (day, minutes) = (stamp.get(..8).unwrap_or("0"), stamp.get(8..11).unwrap_or("0"));
        let random = uuid::Uuid::new_v4().simple().to_string();
        let random = random.get(..12).unwrap_or_default();
        Self(format!(
            "{day}/{minutes}/{}-{random}.{extension}",
            digest.to_hex()
        ))
    }

    /// The text that the index keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Code of the institution, in small letters, that the name tells.
    pub fn institution(&self) -> Option<&str> {
        let name = self.0.rsplit('/').next()?;
        name.strip_suffix(".dcm")?.split_once('.').map(|(_, code)| code)
    }

    /// Digest that the name claims.
    pub fn digest(&self) -> Option<Sha256Digest> {
        let name = self.0.rsplit('/').next()?;
        let digits = hex::decode(name.get(..64)?).ok()?;
        Sha256Digest::from_slice(&digits)
    }
}

impl From<&ObjectKey> for crate::db::Value {
    fn from(key: &ObjectKey) -> Self {
        Self::Text(Some(key.0.clone()))
    }
}

/// A store on a local folder. All its functions wait for the disk: call them where that is allowed.
#[derive(Clone)]
pub struct ObjectStore {
    root: Arc<PathBuf>,
    dirs: Arc<DirSync>,
}

impl ObjectStore {
    /// Opens the store, making its folders.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(root: &Path) -> Result<Self> {
        let spool = root.join(SPOOL_FOLDER);
        std::fs::create_dir_all(&spool).map_err(|e| ArchiveError::io("create folder", &spool, e))?;
        Ok(Self {
            root: Arc::new(root.to_path_buf()),
            dirs: Arc::new(DirSync::start(root)?),
        })
    }

    /// Folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(&key.0)
    }

    /// Begins a file that nobody sees yet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&self) -> Result<SpoolFile> {
        SpoolFile::create(&self.root.join(SPOOL_FOLDER))
    }

    /// Gives a finished file its place. When this answers, bytes and directory entry are on stable
    /// storage.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left behind then.
    pub fn place(&self, spool: SpoolFile, digest: Sha256Digest, extension: &str) -> Result<ObjectKey> {
        let key = ObjectKey::new(UnixMicros::now(), digest, extension);
        self.place_at(spool, &key)?;
        Ok(key)
    }

    /// Like [`ObjectStore::place`], among the refused objects.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn place_in_quarantine(&self, spool: SpoolFile, digest: Sha256Digest) -> Result<ObjectKey> {
        let inner = ObjectKey::new(UnixMicros::now(), digest, "dcm");
        let key = ObjectKey(format!("{QUARANTINE_FOLDER}/{}", inner.0));
        self.place_at(spool, &key)?;
        Ok(key)
    }

    /// Like [`ObjectStore::place`], among the results of jobs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn place_derived(&self, spool: SpoolFile, digest: Sha256Digest) -> Result<ObjectKey> {
        let inner = ObjectKey::new(UnixMicros::now(), digest, "bin");
        let key = ObjectKey(format!("{DERIVED_FOLDER}/{}", inner.0));
        self.place_at(spool, &key)?;
        Ok(key)
    }

    fn place_at(&self, spool: SpoolFile, key: &ObjectKey) -> Result<()> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        self.dirs.ensure(&folder)?;
        // The entry moves first, so that the flush of the file and of the folder can run at once
        // and share the file system's own commit. Until both are done nobody knows the name.
        let (file, from) = spool.into_parts();
        if let Err(error) = std::fs::rename(&from, &path) {
            let _ = std::fs::remove_file(&from);
            return Err(ArchiveError::io("move into the store", &path, error));
        }
        let entry = self.dirs.sync_later(&folder);
        let bytes = file.sync_data();
        let flushed = bytes.and_then(|()| entry.wait());
        flushed.map_err(|error| {
            let _ = std::fs::remove_file(&path);
            ArchiveError::io("flush", &path, error)
        })
    }

    /// Moves a placed object to the refused ones.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, key: &ObjectKey) -> Result<ObjectKey> {
        let target = ObjectKey(format!("{QUARANTINE_FOLDER}/{}", key.0));
        let path = self.path(&target);
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        self.dirs.ensure(&folder)?;
        std::fs::rename(self.path(key), &path)
            .and_then(|()| self.dirs.sync_later(&folder).wait())
            .map_err(|error| ArchiveError::io("move into quarantine", &path, error))?;
        Ok(target)
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when it is missing.
    pub fn open_object(&self, key: &ObjectKey) -> Result<File> {
        let path = self.path(key);
        File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ArchiveError::NotFound(format!("object {}", key.0)),
            _ => ArchiveError::io("open", &path, error),
        })
    }

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// As [`ObjectStore::open_object`].
    pub fn size(&self, key: &ObjectKey) -> Result<u64> {
        let file = self.open_object(key)?;
        let meta = file
            .metadata()
            .map_err(|e| ArchiveError::io("read", &self.path(key), e))?;
        Ok(meta.len())
    }

    /// Bytes `offset..offset + length` of an object; fewer when it ends before.
    ///
    /// # Errors
    /// As [`ObjectStore::open_object`]; [`ArchiveError::Invalid`] for a range above
    /// [`RANGE_BYTES_MAX`].
    pub fn read_range(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Vec<u8>> {
        let fail = |error| ArchiveError::io("read", &self.path(key), error);
        let mut file = self.open_object(key)?;
        let end = file.metadata().map_err(fail)?.len();
        let length = length.min(end.saturating_sub(offset));
        if length > RANGE_BYTES_MAX {
            return Err(ArchiveError::invalid(
                "byte range",
                "ask for at most 1 GiB at once",
            ));
        }
        file.seek(SeekFrom::Start(offset.min(end))).map_err(fail)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut bytes).map_err(fail)?;
        Ok(bytes)
    }

    /// A whole object.
    ///
    /// # Errors
    /// As [`ObjectStore::read_range`].
    pub fn read_all(&self, key: &ObjectKey) -> Result<Vec<u8>> {
        self.read_range(key, 0, u64::MAX)
    }

    /// Reads an object again and compares it with its digests.
    ///
    /// # Errors
    /// Only when the disk cannot be read.
    pub fn verify(&self, key: &ObjectKey, expected: &FileDigests) -> Result<FileState> {
        let file = match self.open_object(key) {
            Ok(file) => file,
            Err(ArchiveError::NotFound(_)) => return Ok(FileState::Missing),
            Err(error) => return Err(error),
        };
        let found = digests_of(file, expected.meta_bytes)
            .map_err(|error| ArchiveError::io("read", &self.path(key), error))?;
        Ok(if found == Some(*expected) {
            FileState::Sound
        } else {
            FileState::Changed
        })
    }

    /// Digests of an object whose meta information has this length; `None` when it is shorter.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn digests(&self, key: &ObjectKey, meta_bytes: u64) -> Result<Option<FileDigests>> {
        let file = self.open_object(key)?;
        digests_of(file, meta_bytes).map_err(|e| ArchiveError::io("read", &self.path(key), e))
    }

    /// Removes an object; one that is gone already is fine.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, key: &ObjectKey) -> Result<()> {
        let path = self.path(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ArchiveError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Folders of ten minutes each, oldest first, as `day/minutes`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn buckets(&self) -> Result<Vec<String>> {
        let mut buckets = Vec::new();
        for day in folders(&self.root)? {
            if day.len() == 8 && day.chars().all(|c| c.is_ascii_digit()) {
                let inner = folders(&self.root.join(&day))?;
                buckets.extend(inner.into_iter().map(|minutes| format!("{day}/{minutes}")));
            }
        }
        buckets.sort();
        Ok(buckets)
    }

    /// The bucket in which objects of a moment are placed.
    pub fn bucket_of(at: UnixMicros) -> String {
        let key = ObjectKey::new(at, Sha256Digest([0; 32]), "dcm");
        key.0.get(..12).unwrap_or_default().to_owned()
    }

    /// Objects of one bucket.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keys_of(&self, bucket: &str) -> Result<Vec<ObjectKey>> {
        let folder = self.root.join(bucket);
        let list = std::fs::read_dir(&folder).map_err(|e| ArchiveError::io("read", &folder, e))?;
        let mut keys = Vec::new();
        for entry in list {
            let entry = entry.map_err(|e| ArchiveError::io("read", &folder, e))?;
            let key = ObjectKey::parse(&format!("{bucket}/{}", entry.file_name().to_string_lossy()));
            keys.extend(key.ok());
        }
        keys.sort();
        Ok(keys)
    }

    /// Removes unfinished files, left by a crash. Only before anything is received.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn clear_spool(&self) -> Result<u64> {
        let folder = self.root.join(SPOOL_FOLDER);
        let list = std::fs::read_dir(&folder).map_err(|e| ArchiveError::io("read", &folder, e))?;
        let mut removed = 0;
        for entry in list.flatten() {
            let is_ours = entry.path().extension().is_some_and(|e| e == spool::EXTENSION);
            if is_ours && spool::is_abandoned(&entry.path()) && std::fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn folders(at: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_dir(at).map_err(|e| ArchiveError::io("read", at, e))?;
    let mut names = Vec::new();
    for entry in list {
        let entry = entry.map_err(|e| ArchiveError::io("read", at, e))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn digests_of(mut file: File, meta_bytes: u64) -> std::io::Result<Option<FileDigests>> {
    let (mut meta, mut dataset) = (Sha256::new(), Sha256::new());
    let mut buffer = vec![0u8; READ_BYTES];
    let mut left = meta_bytes;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        let head = usize::try_from(left.min(count as u64)).unwrap_or(0);
        let (first, rest) = bytes.split_at(head);
        meta.update(first);
        dataset.update(rest);
        left -= head as u64;
    }
    Ok((left == 0).then(|| FileDigests {
        meta_bytes,
        meta: Sha256Digest(meta.finalize().into()),
        dataset: Sha256Digest(dataset.finalize().into()),
    }))
}

#[cfg(test)]
mod tests;
