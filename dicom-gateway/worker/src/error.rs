//! Why a job fails.

use archive::ArchiveError;
use dataset::DatasetError;
use engine::ImagingError;
use engine::ecg::EcgError;

/// Why a job fails; the queue keeps the sentence, so no sentence names a patient.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Index or store.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The object's encoding.
    #[error("the object cannot be read: {0}")]
    Dataset(#[from] DatasetError),
    /// The picture.
    #[error("the picture cannot be made: {0}")]
    Imaging(#[from] ImagingError),
    /// The signal.
    #[error("the ECG cannot be analysed: {0}")]
    Ecg(#[from] EcgError),
    /// The result as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Needs more memory than the worker may use.
    #[error("the job needs {needed_mib} MiB, this worker may use {limit_mib} MiB: raise the worker's memory")]
    Memory {
        /// What it needs.
        needed_mib: u64,
        /// What there is.
        limit_mib: u32,
    },
    /// Took too long.
    #[error("the job took longer than {seconds} s and was given up")]
    TooLong {
        /// The limit.
        seconds: u64,
    },
    /// The computation panicked.
    #[error("the computation failed unexpectedly; the object is kept and the job is tried again")]
    Panicked,
    /// The worker is ending.
    #[error("the worker is ending")]
    Stopped,
    /// A job of a kind that this worker does not know.
    #[error("no worker function for jobs of kind {0}")]
    UnknownKind(String),
}

/// Result of a step of a job.
pub type Result<T, E = WorkerError> = std::result::Result<T, E>;
