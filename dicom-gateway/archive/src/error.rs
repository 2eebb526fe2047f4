//! The one error type of the archive. Each message says what failed, where, and how to mend it.

use std::path::{Path, PathBuf};

/// What a database said.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(sqlx::Error),
    /// SQLite.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

/// Everything that can go wrong in the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A row that must be unique exists already, or a row that is needed by others would vanish.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The named thing is not in the index.
    #[error("not found: {0}")]
    NotFound(String),
    /// The caller's value cannot be used.
    #[error("{what} cannot be used: {why}")]
    Invalid {
        /// Name of the value.
        what: &'static str,
        /// Why it cannot be used.
        why: String,
    },
    /// A file or folder could not be read or written.
    #[error("could not {doing} {path}: {source}; check permissions and free space")]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The index database refused or could not be reached.
    #[error("the index database failed: {0}; check that it runs and has free space")]
    Database(#[source] DatabaseError),
    /// The index database is busy with other writers; the same call may be tried again.
    #[error("the index database is busy ({0}); try again")]
    Busy(String),
    /// The storage has no room left.
    #[error("no space left on the storage ({0}); free or add space")]
    OutOfSpace(String),
    /// A flush to stable storage failed: nobody knows what the disk still takes.
    #[error(
        "the storage failed ({0}); nothing is taken in until the disk is checked and this node is started again"
    )]
    StorageFailing(String),
    /// The S3 store did not do what was asked.
    #[error("the object store failed: {0}; check that it runs, and its keys and rights")]
    Remote(String),
    /// Encrypted objects whose keys are missing or wrong.
    #[error("encryption: {0}")]
    Sealed(String),
    /// Stored data does not agree with itself (digest, chain, index against store).
    #[error("stored data is damaged: {0}; restore it from a backup")]
    Corrupt(String),
    /// The schema of the database does not fit this program.
    #[error("the index schema does not fit this program: {0}; run the version that made it, or a newer one")]
    Schema(String),
    /// The archive is being closed.
    #[error("the archive is closed")]
    Closed,
}

/// Begins the reason of a failed flush of the index.
pub(crate) const FLUSH_FAILED: &str = "the index could not be flushed";

/// Shorthand for results of this crate.
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

impl ArchiveError {
    /// Wraps an IO error with what was done to which path; a full disk gets its own kind.
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => {
                Self::OutOfSpace(format!("could not {doing} {}: {source}", path.display()))
            }
            _ => Self::Io {
                doing,
                path: path.to_path_buf(),
                source,
            },
        }
    }

    /// A value the caller gave cannot be used.
    pub fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid {
            what,
            why: why.into(),
        }
    }

    /// Whether the same call may succeed when tried again a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Database(DatabaseError::Postgres(error)) => matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
            ),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::RowNotFound => Self::NotFound("row".to_owned()),
                other => Self::Database(DatabaseError::Postgres(other)),
            };
        };
        let code = database.code().unwrap_or_default().into_owned();
        if database.is_unique_violation()
            || database.is_foreign_key_violation()
            || database.is_check_violation()
        {
            return Self::Conflict(database.message().to_owned());
        }
        match code.as_str() {
            // PostgreSQL: serialization failure, deadlock, lock not available, shutting down.
            "40001" | "40P01" | "55P03" | "57P01" | "57P03" => Self::Busy(database.message().to_owned()),
            // PostgreSQL: disk full.
            "53100" => Self::OutOfSpace(database.message().to_owned()),
            _ => Self::Database(DatabaseError::Postgres(error)),
        }
    }
}

impl From<rusqlite::Error> for ArchiveError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{ErrorCode, ffi};
        if matches!(error, rusqlite::Error::QueryReturnedNoRows) {
            return Self::NotFound("row".to_owned());
        }
        let rusqlite::Error::SqliteFailure(failure, words) = &error else {
            return Self::Database(DatabaseError::Sqlite(error));
        };
        let words = words.clone().unwrap_or_else(|| failure.to_string());
        match (failure.code, failure.extended_code) {
            (
                ErrorCode::ConstraintViolation,
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID
                | ffi::SQLITE_CONSTRAINT_FOREIGNKEY
                | ffi::SQLITE_CONSTRAINT_CHECK,
            ) => Self::Conflict(words),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Busy(words),
            (ErrorCode::DiskFull, _) => Self::OutOfSpace(words),
            (ErrorCode::SystemIoFailure, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
                Self::StorageFailing(format!("{FLUSH_FAILED}: {words}"))
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Corrupt(words),
            _ => Self::Database(DatabaseError::Sqlite(error)),
        }
    }
}
