//! The object store: one file an object, never changed.
//!
//! **Invariants:** a file's place and name come from the clock, its digest and random bits, never
//! from data of a peer. The name holds the digest of the whole object, so an object can be proved
//! without the index. [`ObjectStore::place`] answers after bytes and directory entry are on stable
//! storage: on the disk of this machine, or in an S3 bucket.
//!
//! Files lie on one medium or on two: with tiers the first is a folder of this machine and the
//! second a bucket to which the older objects move. A read falls through from one to the next.

mod check;
mod digest;

mod disk;
#[cfg(any(test, feature = "testing"))]
pub mod faults;
mod folders;
mod health;
pub(crate) mod journal;
mod key;
mod listing;
mod local;
mod medium;
mod raw;
mod s3;
mod seal;
mod settings;
mod soon;
mod spool;
#[cfg(any(test, feature = "testing"))]
pub mod suite;

pub use check::CopyCheck;
pub(crate) use digest::Measured;
pub use digest::{FileDigests, FileState};
pub use disk::{Disk, DiskFile, RealDisk};
pub use health::Health;
pub use key::ObjectKey;
pub(crate) use key::{DERIVED_FOLDER, QUARANTINE_FOLDER};
pub use listing::Listing;
pub use medium::ObjectReader;

pub(crate) use raw::Rewrapped;
pub use seal::{Cipher, KeySource, new_key_line};
pub use settings::{Encryption, Remote, S3, Secret, Settings, Tier};
pub use spool::SpoolFile;

use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use local::Local;
use medium::{Blob, Medium, read_exact_at};
use seal::{KeyRing, SealWriter, SealedBlob};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Folder of unfinished files below the store.
const SPOOL_FOLDER: &str = ".spool";
/// Largest range that is read into memory at once.
pub const RANGE_BYTES_MAX: u64 = 1 << 30;
/// How long the answer of a probe is believed.
const PROBE_VALID: Duration = Duration::from_secs(5);

/// The objects. All its functions wait for the medium: call them where that is allowed.
#[derive(Clone)]
pub struct ObjectStore {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// Where objects are placed.
    first: Arc<dyn Medium>,
    /// The first medium is a bucket, which may not answer.
    is_remote: bool,
    /// Where the older ones move.
    second: Option<Arc<dyn Medium>>,
    tier: Option<Tier>,
    cipher: Option<Cipher>,
    keys: Option<KeyRing>,
    health: Health,
    /// Bytes placed since this process began.
    placed_bytes: AtomicU64,
    probed: Mutex<Option<(Instant, bool)>>,
    journal: OnceLock<journal::Journal>,
}

impl ObjectStore {
    /// Opens the store, making its folders.
    ///
    /// # Errors
    /// When a folder or the keys cannot be used.
    pub fn open(root: &Path, settings: &Settings) -> Result<Self> {
        Self::open_on(root, settings, Arc::new(RealDisk))
    }

    /// Like [`ObjectStore::open`] on a given disk.
    ///
    /// # Errors
    /// As [`ObjectStore::open`].
    pub fn open_on(root: &Path, settings: &Settings, disk: Arc<dyn Disk>) -> Result<Self> {
        let spool = root.join(SPOOL_FOLDER);
        std::fs::create_dir_all(&spool).map_err(|e| ArchiveError::io("create folder", &spool, e))?;
        let health = Health::default();
        let local = || Local::open(root, disk.clone(), health.clone());
        let bucket = |remote: &Remote| s3::S3::open(&remote.s3, &spool, disk.clone());
        let (first, second): (Arc<dyn Medium>, Option<Arc<dyn Medium>>) = match &settings.remote {
            None => (Arc::new(local()?), None),
            Some(remote) if remote.tier.is_some() => (Arc::new(local()?), Some(Arc::new(bucket(remote)?))),
            Some(remote) => (Arc::new(bucket(remote)?), None),
        };
        let encryption = settings.encryption.as_ref();
        let keys = encryption.map(|e| KeyRing::open(e.keys.clone())).transpose()?;
        Ok(Self {
            inner: Arc::new(Inner {
                root: root.to_path_buf(),
                is_remote: settings.remote.is_some() && second.is_none(),
                disk,
                first,
                second,
                tier: settings.remote.as_ref().and_then(|remote| remote.tier),
                cipher: encryption.and_then(|e| e.cipher),
                keys,
                health,
                placed_bytes: AtomicU64::new(0),
                probed: Mutex::default(),
                journal: OnceLock::new(),
            }),
        })
    }

    /// Folder of the store on this machine; with all objects in a bucket only their spool.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Whether anything is taken in.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Proves that objects can be placed: writes and flushes a file.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn prove(&self) -> Result<()> {
        self.health().check()?;
        self.inner.first.probe()
    }

    /// Whether objects can be placed now; asks the medium, at most every few seconds.
    pub fn is_ready(&self) -> bool {
        if self.health().failing().is_some() {
            return false;
        }
        let mut probed = self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner);
        match *probed {
            Some((at, ready)) if at.elapsed() < PROBE_VALID => ready,
            _ => {
                let ready = match self.inner.first.probe() {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(%error, "the object store cannot be written");
                        false
                    }
                };
                *probed = Some((Instant::now(), ready));
                ready
            }
        }
    }

    /// Begins a file that nobody sees yet.
    ///
    /// # Errors
    /// When the disk refuses, or a flush failed before.
    pub fn begin(&self) -> Result<SpoolFile> {
        self.health().check()?;
        self.answered_lately()?;
        let sealing = match (self.inner.cipher, &self.inner.keys) {
            (Some(cipher), Some(keys)) => Some(SealWriter::new(cipher, keys)?),
            _ => None,
        };
        self.spool(sealing)
    }

    /// While a bucket does not answer, an object is refused at once instead of after all the tries:
    /// waiting senders would hold every thread that waits for media.
    fn answered_lately(&self) -> Result<()> {
        let probed = *self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner);
        match probed {
            Some((at, false)) if self.inner.is_remote && at.elapsed() < PROBE_VALID => Err(
                ArchiveError::Remote(format!("{} failed a moment ago", self.inner.first.place())),
            ),
            _ => Ok(()),
        }
    }

    fn spool(&self, sealing: Option<SealWriter>) -> Result<SpoolFile> {
        SpoolFile::create(
            self.inner.disk.clone(),
            &self.inner.root.join(SPOOL_FOLDER),
            sealing,
        )
    }

    /// Gives a finished file its place. When this answers, bytes and directory entry are on stable
    /// storage.
    ///
    /// # Errors
    /// When the medium refuses; nothing is left behind then.
    pub fn place(&self, spool: SpoolFile, digest: Sha256Digest, extension: &str) -> Result<ObjectKey> {
        let key = ObjectKey::new(UnixMicros::now(), digest, extension, spool.is_sealed());
        self.place_at(spool, &key)?;
        Ok(key)
    }

    /// Like [`ObjectStore::place`], among the refused objects.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn place_in_quarantine(&self, spool: SpoolFile, digest: Sha256Digest) -> Result<ObjectKey> {
        let key = ObjectKey::new(UnixMicros::now(), digest, "dcm", spool.is_sealed());
        let key = key.below(QUARANTINE_FOLDER);
        self.place_at(spool, &key)?;
        Ok(key)
    }

    /// Like [`ObjectStore::place`], among the results of jobs.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn place_derived(&self, spool: SpoolFile, digest: Sha256Digest) -> Result<ObjectKey> {
        let key = ObjectKey::new(UnixMicros::now(), digest, "bin", spool.is_sealed());
        let key = key.below(DERIVED_FOLDER);
        self.place_at(spool, &key)?;
        Ok(key)
    }

    fn place_at(&self, spool: SpoolFile, key: &ObjectKey) -> Result<()> {
        self.health().check()?;
        let file = spool.finish(key.label())?;
        let bytes = file.blob()?.size();
        let placed = self.inner.first.put(file, &key.file_name());
        if matches!(placed, Err(ArchiveError::Remote(_))) {
            *self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), false));
        }
        placed?;
        self.inner.placed_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes placed since this process began.
    pub(crate) fn placed_bytes(&self) -> u64 {
        self.inner.placed_bytes.load(Ordering::Relaxed)
    }

    /// Which objects move to the second medium, when there is one.
    pub(crate) fn tier(&self) -> Option<Tier> {
        self.inner.tier
    }

    /// Moves a placed object to the refused ones.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn quarantine(&self, key: &ObjectKey) -> Result<ObjectKey> {
        let target = key.below(QUARANTINE_FOLDER);
        let mut done = Err(ArchiveError::NotFound(format!("object {}", key.as_str())));
        for medium in self.media() {
            done = medium.rename(&key.file_name(), &target.file_name());
            let is_missing = match &done {
                Err(ArchiveError::NotFound(_)) => true,
                Err(ArchiveError::Io { source, .. }) => source.kind() == std::io::ErrorKind::NotFound,
                _ => false,
            };
            if !is_missing {
                break;
            }
        }
        done.map(|()| target)
    }

    fn media(&self) -> impl Iterator<Item = &Arc<dyn Medium>> {
        std::iter::once(&self.inner.first).chain(&self.inner.second)
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when it is missing, [`ArchiveError::Sealed`] when its key is.
    pub fn open_object(&self, key: &ObjectKey) -> Result<ObjectReader> {
        self.open_at(key, 0, 0)
    }

    /// Opens an object; `at` and `length` say what is read first (a length of 0: not known).
    fn open_at(&self, key: &ObjectKey, at: u64, length: u64) -> Result<ObjectReader> {
        let name = key.file_name();
        let mut missing = None;
        for medium in self.media() {
            match self.open_on_medium(&**medium, key, &name, (at, length)) {
                Err(error @ ArchiveError::NotFound(_)) => missing = Some(error),
                other => return other,
            }
        }
        Err(missing.unwrap_or(ArchiveError::Closed))
    }

    fn open_on_medium(
        &self,
        medium: &dyn Medium,
        key: &ObjectKey,
        name: &str,
        (at, length): (u64, u64),
    ) -> Result<ObjectReader> {
        if !key.is_sealed() {
            return Ok(ObjectReader::new(medium.open(name, at, length)?));
        }
        let raw = medium.open(name, 0, 0)?;
        let mut blob = SealedBlob::open(raw, self.keys()?).map_err(|error| named(error, key, medium))?;
        if length > 0 {
            blob.expect(at, length);
        }
        Ok(ObjectReader::new(Box::new(blob)))
    }

    fn keys(&self) -> Result<&KeyRing> {
        self.inner.keys.as_ref().ok_or_else(|| {
            ArchiveError::Sealed(
                "this store holds encrypted objects; name their keys by key_file or key_command under [encryption]"
                    .to_owned(),
            )
        })
    }

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// As [`ObjectStore::open_object`].
    pub fn size(&self, key: &ObjectKey) -> Result<u64> {
        Ok(self.open_at(key, 0, 1)?.size())
    }

    /// Bytes `offset..offset + length` of an object; fewer when it ends before.
    ///
    /// # Errors
    /// As [`ObjectStore::open_object`]; [`ArchiveError::Invalid`] for a range above
    /// [`RANGE_BYTES_MAX`].
    pub fn read_range(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut object = self.open_at(key, offset, length)?;
        let offset = offset.min(object.size());
        let length = length.min(object.size() - offset);
        if length > RANGE_BYTES_MAX {
            return Err(ArchiveError::invalid(
                "byte range",
                "ask for at most 1 GiB at once",
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        read_exact_at(object.blob(), offset, &mut bytes)
            .map_err(|error| ArchiveError::from_read(key.as_str(), error))?;
        Ok(bytes)
    }

    /// A whole object.
    ///
    /// # Errors
    /// As [`ObjectStore::read_range`].
    pub fn read_all(&self, key: &ObjectKey) -> Result<Vec<u8>> {
        self.read_range(key, 0, u64::MAX)
    }

    /// Removes an object from every medium; one that is gone already is fine.
    ///
    /// # Errors
    /// When a medium refuses.
    pub fn remove(&self, key: &ObjectKey) -> Result<()> {
        let name = key.file_name();
        self.media().try_for_each(|medium| medium.remove(&name))
    }

    /// The bucket in which objects of a moment are placed.
    pub fn bucket_of(at: UnixMicros) -> String {
        let key = ObjectKey::new(at, Sha256Digest([0; 32]), "dcm", false);
        key.as_str().get(..12).unwrap_or_default().to_owned()
    }

    /// Removes unfinished files, left by a crash. Only before anything is received.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn clear_spool(&self) -> Result<u64> {
        let folder = self.inner.root.join(SPOOL_FOLDER);
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

/// Says of which object an error of its encryption speaks.
fn named(error: ArchiveError, key: &ObjectKey, medium: &dyn Medium) -> ArchiveError {
    let at = || format!("{} in {}", key.as_str(), medium.place());
    match error {
        ArchiveError::Corrupt(why) => ArchiveError::Corrupt(format!("{}: {why}", at())),
        ArchiveError::Sealed(why) => ArchiveError::Sealed(format!("{}: {why}", at())),
        other => other,
    }
}

#[cfg(test)]
mod tests;
