//! After a crash: unfinished files go, finished files without an index row are taken in.
//!
//! A file that has its place but no row was never acknowledged, yet it is whole: its name holds its
//! digest, and taking it in is harmless. Only the newest files can lack a row; a small file beside
//! the index remembers from when on.

use crate::error::{ArchiveError, Result};
use crate::ids::UnixMicros;
use crate::store::ObjectStore;
use crate::{Archive, admin};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// File below the data folder: no file placed before this moment lacks its row.
const WATERMARK_FILE: &str = "store.watermark";
/// Folder below the data folder: objects on their way to their files.
const JOURNAL_FOLDER: &str = "journal";
/// Looked at before the watermark too, for clocks that were set back a little.
const MARGIN: Duration = Duration::from_secs(120);
/// Files looked at when there is no watermark; beyond it an operator must rebuild the index.
const UNKNOWN_FILES_MAX: usize = 20_000;

/// Placements that have no row yet.
#[derive(Default)]
pub(crate) struct Placements {
    open: Mutex<(u64, BTreeMap<u64, UnixMicros>)>,
}

/// One placement; when dropped without a word it counts as uncertain until the next start.
pub(crate) struct InFlight {
    all: Arc<Placements>,
    number: u64,
}

impl Placements {
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let number = open.0;
        open.1.insert(number, UnixMicros::now());
        InFlight {
            all: self.clone(),
            number,
        }
    }

    /// No placement before this moment is without its row.
    pub(crate) fn watermark(&self) -> UnixMicros {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.values().min().copied().unwrap_or_else(UnixMicros::now)
    }
}

impl InFlight {
    /// The row is there, or the file is gone.
    pub(crate) fn done(self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.remove(&self.number);
    }

    /// Not certain: the next start compares.
    pub(crate) fn keep(self) {}
}

/// What a start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Files made again from the journal.
    pub restored: u64,
    /// Unfinished files removed.
    pub spool_removed: u64,
    /// Whole files without a row that were taken in.
    pub adopted: u64,
    /// Files that are not what their name says; put into quarantine.
    pub damaged: u64,
}

fn read_watermark(data_dir: &Path) -> Option<UnixMicros> {
    let text = std::fs::read_to_string(data_dir.join(WATERMARK_FILE)).ok()?;
    text.trim().parse().ok().map(UnixMicros)
}

/// Remembers from when on files may lack their row. An older value left by a crash is safe.
pub(crate) fn write_watermark(archive: &Archive, mark: UnixMicros) -> Result<()> {
    let path = archive.config().data_dir.join(WATERMARK_FILE);
    // Several processes on one archive may start at the same moment.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let text = mark.0.to_string();
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(|error| ArchiveError::io("write", &path, error))
}

fn candidates(store: &ObjectStore, data_dir: &Path) -> Result<Vec<crate::store::ObjectKey>> {
    let since = read_watermark(data_dir).map(|at| ObjectStore::bucket_of(at.minus(MARGIN)));
    let mut keys = Vec::new();
    for bucket in store.placed_buckets_since(since.as_deref().unwrap_or_default())? {
        let listing = store.placed_listing(&bucket)?;
        for file in listing.damaged {
            tracing::error!(
                file,
                "a stored file is damaged; `gongying admin verify` tells more"
            );
        }
        keys.extend(listing.keys);
        if since.is_none() && keys.len() > UNKNOWN_FILES_MAX {
            tracing::warn!("the store holds many objects of unknown state; run `gongying admin reindex`");
            return Ok(Vec::new());
        }
    }
    Ok(keys)
}

/// Cleans up and takes in what the last end left behind.
pub(crate) async fn recover(archive: &Archive) -> Result<Recovery> {
    let (store, data_dir) = (archive.store().clone(), archive.config().data_dir.clone());
    let journal_bytes = u64::from(archive.config().store.journal_mib) << 20;
    let look = move || {
        let restored = store.open_journal(&data_dir.join(JOURNAL_FOLDER), journal_bytes)?;
        Ok::<_, ArchiveError>((restored, store.clear_spool()?, candidates(&store, &data_dir)?))
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let (restored, spool_removed, keys) = looked.map_err(|_| ArchiveError::Closed)??;
    let mut recovery = Recovery {
        restored,
        spool_removed,
        ..Recovery::default()
    };
    for key in keys {
        match admin::adopt(archive, &key).await? {
            admin::Adoption::Known => {}
            admin::Adoption::Adopted => recovery.adopted += 1,
            admin::Adoption::Damaged => recovery.damaged += 1,
        }
    }
    if recovery != Recovery::default() {
        tracing::info!(?recovery, "cleaned up after an unexpected end");
    }
    let mark = archive.placements().watermark();
    archive.db().flush().await?;
    write_watermark(archive, mark)?;
    Ok(recovery)
}
