//! Why an object is not kept.

use crate::error::ArchiveError;
use dataset::DatasetError;

/// Kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// Another object has this SOP Instance UID; the new one is in quarantine.
    DuplicateOther,
    /// The data set does not fit what was announced.
    Mismatch,
    /// The bytes are no sound data set.
    NotUnderstood,
    /// It belongs to another study than it was sent for.
    OtherStudy,
    /// No room on the storage.
    OutOfSpace,
    /// The storage fails; sending again helps only after it was mended.
    StorageFailing,
    /// Something failed here; sending again may help.
    Failed,
}

impl RefusedKind {
    /// The word in counts and figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateOther => "duplicate_other",
            Self::Mismatch => "mismatch",
            Self::NotUnderstood => "not_understood",
            Self::OtherStudy => "other_study",
            Self::OutOfSpace => "out_of_space",
            Self::StorageFailing => "storage_failing",
            Self::Failed => "failed",
        }
    }
}

/// An object that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StoreRefused {
    /// Status of the C-STORE response (PS3.4 B.2.3, PS3.7 C).
    pub status: u16,
    /// Kind of refusal.
    pub kind: RefusedKind,
    /// The reason in words, without names of patients.
    pub reason: String,
}

impl StoreRefused {
    fn new(status: u16, kind: RefusedKind, reason: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            reason: reason.into(),
        }
    }

    pub(crate) fn duplicate() -> Self {
        let reason = "another object has this SOP Instance UID; the first is kept, this one is in quarantine";
        Self::new(0x0111, RefusedKind::DuplicateOther, reason)
    }

    pub(crate) fn mismatch(reason: impl Into<String>) -> Self {
        Self::new(0xA900, RefusedKind::Mismatch, reason)
    }

    pub(crate) fn not_understood(reason: impl Into<String>) -> Self {
        Self::new(0xC000, RefusedKind::NotUnderstood, reason)
    }

    pub(crate) fn other_study() -> Self {
        let reason = "the object belongs to another study than it was sent for";
        Self::new(0xA900, RefusedKind::OtherStudy, reason)
    }

    pub(crate) fn failed() -> Self {
        let reason = "the object could not be kept because of a failure here; send it again";
        Self::new(0x0110, RefusedKind::Failed, reason)
    }
}

impl From<ArchiveError> for StoreRefused {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::OutOfSpace(_) => {
                Self::new(0xA700, RefusedKind::OutOfSpace, "no space left on the storage")
            }
            ArchiveError::Io { .. } | ArchiveError::StorageFailing(_) | ArchiveError::Remote(_) => {
                tracing::error!(%error, "an object could not be kept");
                let reason = "the storage of this node fails; the object is not kept";
                Self::new(0xA700, RefusedKind::StorageFailing, reason)
            }
            other => {
                tracing::error!(error = %other, "an object could not be kept");
                Self::failed()
            }
        }
    }
}

impl From<DatasetError> for StoreRefused {
    fn from(error: DatasetError) -> Self {
        Self::not_understood(error.to_string())
    }
}
