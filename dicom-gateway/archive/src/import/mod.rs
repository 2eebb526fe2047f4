//! Taking in files that an operator has: a folder, a ZIP file, a medium with a DICOMDIR.
//!
//! Every object goes the way of all objects (spool, checks, durable place, index row, audit), so an
//! import may be killed at any moment. A journal in the data folder and the index itself make the
//! second run short: what is there by UID and digest is not written again. Memory depends on the
//! number of workers, not on what is imported.

mod candidates;
mod dicomdir;
mod journal;
mod sniff;
mod take;
#[cfg(test)]
mod tests;
mod zip;

pub use candidates::SourceKind;

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[take::sql::ALL];

use crate::Archive;
use crate::error::{ArchiveError, Result};
use crate::ids::InstitutionId;
use candidates::{Candidate, Found};
use journal::Journal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Workers at most: each holds a file open and a few hundred kilobytes.
pub const WORKERS_MAX: usize = 64;
/// Files found but not begun.
const CANDIDATES_WAITING_MAX: usize = 256;
/// Results that nobody has looked at yet.
const RESULTS_WAITING_MAX: usize = 256;
/// So many failures of this system in a row end an import: sending on would only fail again.
const FAILURES_IN_A_ROW_MAX: u32 = 20;

/// What is to be imported, and for whom.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Folder, ZIP file or DICOMDIR.
    pub source: PathBuf,
    /// Owner of what has no order.
    pub institution_id: InstitutionId,
    /// Name that stands in the audit trail.
    pub user: String,
    /// Files at once, 1 to [`WORKERS_MAX`].
    pub workers: usize,
    /// Files that an earlier run refused are tried again.
    pub retry_refused: bool,
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImportStatus {
    /// Kept now.
    Stored,
    /// An equal object was there.
    Duplicate,
    /// Not kept, with the reason why; another object with its UID is in quarantine.
    Refused,
    /// Could not be read, or something failed here; the next run tries it again.
    Failed,
    /// An ECG of another format; `gongying ecg convert` makes a DICOM object of it.
    OtherEcg,
    /// No DICOM object.
    NotDicom,
    /// The list of files of a medium.
    Directory,
}

impl ImportStatus {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::OtherEcg => "ecg_other_format",
            Self::NotDicom => "not_dicom",
            Self::Directory => "directory",
        }
    }

    /// Whether the object is in the archive.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Stored | Self::Duplicate)
    }
}

/// The result of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
    /// Name below the source.
    pub name: String,
    /// What became of it.
    pub status: ImportStatus,
    /// SOP Instance UID, when it could be read.
    pub sop_instance_uid: Option<String>,
    /// Study Instance UID of an object that was kept now.
    pub study_uid: Option<String>,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Why it is not kept, or what was odd.
    pub reason: Option<String>,
}

/// How far an import is.
#[derive(Debug, Clone)]
pub enum ImportNews {
    /// So many more files were found.
    Found(u64),
    /// One file is done.
    File(ImportedFile),
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Kept now.
    pub stored: u64,
    /// There before.
    pub duplicate: u64,
    /// Not kept, by reason of the object.
    pub refused: u64,
    /// Not kept, because of a failure.
    pub failed: u64,
    /// ECGs of other formats.
    pub other_ecg: u64,
    /// No DICOM objects.
    pub not_dicom: u64,
    /// Bytes kept now.
    pub stored_bytes: u64,
    /// Files that the journal of an earlier run already knew.
    pub known: u64,
    /// What was odd about the source as a whole.
    pub remarks: Vec<String>,
}

impl ImportSummary {
    fn count(&mut self, file: &ImportedFile) {
        match file.status {
            ImportStatus::Stored => {
                self.stored += 1;
                self.stored_bytes += file.size_bytes;
            }
            ImportStatus::Duplicate => self.duplicate += 1,
            ImportStatus::Refused => self.refused += 1,
            ImportStatus::Failed => self.failed += 1,
            ImportStatus::OtherEcg => self.other_ecg += 1,
            ImportStatus::NotDicom => self.not_dicom += 1,
            ImportStatus::Directory => {}
        }
    }
}

/// What the workers of one import share.
struct Shared {
    archive: Archive,
    options: ImportOptions,
    journal: Journal,
    queue: Mutex<mpsc::Receiver<Candidate>>,
    stop: AtomicBool,
}

/// A result with what the journal keeps of it.
struct Done {
    file: ImportedFile,
    known: bool,
    note: Option<journal::Note>,
}

impl Archive {
    /// Imports everything that a source holds; `news` hears of each file. Ends early when the
    /// storage is full or the index gone; what was kept until then stays.
    ///
    /// # Errors
    /// When the source cannot be read, the journal is in use by another run, or this system fails
    /// again and again.
    pub async fn import(
        &self,
        options: ImportOptions,
        mut news: impl FnMut(ImportNews) + Send,
    ) -> Result<ImportSummary> {
        let workers = options.workers.clamp(1, WORKERS_MAX);
        let journal = Journal::open(self, &options)?;
        let (found, candidates) = mpsc::channel(CANDIDATES_WAITING_MAX);
        let (results, mut done) = mpsc::channel(RESULTS_WAITING_MAX);
        let (counts, mut counted) = mpsc::unbounded_channel();
        let source = options.source.clone();
        let looking = tokio::task::spawn_blocking(move || candidates::look(&source, &found, &counts));
        let shared = Arc::new(Shared {
            archive: self.clone(),
            options,
            journal,
            queue: Mutex::new(candidates),
            stop: AtomicBool::new(false),
        });
        for _ in 0..workers {
            let (shared, results, runtime) = (shared.clone(), results.clone(), Handle::current());
            tokio::task::spawn_blocking(move || work(&shared, &results, &runtime));
        }
        drop(results);
        let mut summary = ImportSummary::default();
        let mut fatal = None;
        let mut failures = 0;
        loop {
            tokio::select! {
                Some(count) = counted.recv() => news(ImportNews::Found(count)),
                one = done.recv() => {
                    let Some(one) = one else { break };
                    failures = if one.file.status == ImportStatus::Failed { failures + 1 } else { 0 };
                    summary.known += u64::from(one.known);
                    summary.count(&one.file);
                    if let Some(note) = &one.note {
                        shared.journal.note(note)?;
                    }
                    if fatal.is_none() && failures >= FAILURES_IN_A_ROW_MAX {
                        shared.stop.store(true, Ordering::Relaxed);
                        fatal = one.file.reason.clone();
                    }
                    news(ImportNews::File(one.file));
                }
            }
        }
        // Workers are gone; a walker that still waits for them is let go.
        shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        let looked = looking.await.map_err(|_| ArchiveError::Closed)?;
        shared.journal.close()?;
        if let Some(reason) = fatal {
            return Err(ArchiveError::Busy(format!(
                "{FAILURES_IN_A_ROW_MAX} files in a row could not be kept, the last one: {reason}; \
                 run the import again when that is mended"
            )));
        }
        summary.remarks = looked?;
        Ok(summary)
    }
}

/// One worker: takes candidates until there are no more.
fn work(shared: &Shared, results: &mpsc::Sender<Done>, runtime: &Handle) {
    while !shared.stop.load(Ordering::Relaxed) {
        let next = {
            let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.blocking_recv()
        };
        let Some(candidate) = next else { return };
        let done = match candidate.found {
            Found::Refused(reason) => Done {
                file: ImportedFile {
                    name: candidate.name,
                    status: ImportStatus::Refused,
                    sop_instance_uid: None,
                    study_uid: None,
                    size_bytes: candidate.size_bytes,
                    reason: Some(reason),
                },
                known: false,
                note: None,
            },
            Found::File(_) | Found::Entry(..) => take::take(shared, &candidate, runtime),
        };
        if results.blocking_send(done).is_err() {
            return;
        }
    }
}

/// Which way the source is read; also says whether it can be at all.
///
/// # Errors
/// When it does not exist.
pub fn source_kind(source: &Path) -> Result<SourceKind> {
    candidates::kind_of(source)
}
