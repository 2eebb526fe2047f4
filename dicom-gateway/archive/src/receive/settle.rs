//! Makes durable, under their own names, what became durable through the journal.

use crate::Archive;
use crate::db::{Backing, Db};
use crate::error::{ArchiveError, Result};
use crate::store::ObjectStore;
use crate::store::journal::{FullSegment, Journal, SegmentFile};
use std::time::Duration;

/// Wait before a segment that could not be freed is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How long an orderly end waits for the journal.
const END_MAX: Duration = Duration::from_secs(20);

impl Backing for SegmentFile {
    fn flush(&self) -> Result<()> {
        Self::flush(self)
    }
}

/// Ends the journal's thread when the archive goes.
pub(crate) struct Settler(Journal);

impl Drop for Settler {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Starts the thread that frees full segments.
pub(crate) fn start(archive: &Archive) -> Result<Option<Settler>> {
    let Some(journal) = archive.store().journal().cloned() else {
        return Ok(None);
    };
    let (store, db, at_work) = (archive.store().clone(), archive.db().clone(), journal.clone());
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("store-settle".to_owned())
        .spawn(move || serve(&at_work, &store, &db, &runtime))
        .map_err(|error| ArchiveError::io("start the settling of", archive.store().root(), error))?;
    Ok(Some(Settler(journal)))
}

fn serve(journal: &Journal, store: &ObjectStore, db: &Db, runtime: &tokio::runtime::Handle) {
    while let Some(full) = journal.next_full() {
        let done = settle(journal, store, db, runtime, &full);
        match done {
            Ok(()) => tracing::debug!(objects = full.names.len(), "a part of the journal is settled"),
            Err(ArchiveError::Closed) => return,
            Err(error) if store.health().failing().is_some() => {
                tracing::error!(%error, "the journal cannot be settled; it is replayed at the next start");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the journal could not be settled yet");
                std::thread::sleep(RETRY_WAIT);
            }
        }
    }
}

fn settle(
    journal: &Journal,
    store: &ObjectStore,
    db: &Db,
    runtime: &tokio::runtime::Handle,
    full: &FullSegment,
) -> Result<()> {
    store.flush_files(&full.names)?;
    runtime.block_on(db.flush())?;
    journal.free(full)
}

impl Archive {
    /// Waits until the journal holds nothing, at an orderly end.
    pub(crate) async fn settle_journal(&self) {
        let Some(journal) = self.store().journal().cloned() else {
            return;
        };
        let wait = move || {
            journal.rotate();
            journal.wait_empty(END_MAX)
        };
        if !matches!(tokio::task::spawn_blocking(wait).await, Ok(true)) {
            tracing::info!("the journal was not settled in time; it is replayed at the next start");
        }
    }

    /// Waits until everything indexed so far can be found after a crash.
    pub(crate) async fn flush_received(&self) -> Result<()> {
        if let Some(journal) = self.store().journal().cloned() {
            let flushed = tokio::task::spawn_blocking(move || journal.flush_all()).await;
            flushed.map_err(|_| ArchiveError::Closed)??;
            self.db().flush().await?;
        }
        Ok(())
    }
}
