//! Institutions, devices, patients, orders, studies, objects, work, outbox and audit.
//!
//! **Promises:** an object is acknowledged only after its bytes, its directory entry and its index
//! row are on stable storage; bytes are kept exactly as received; the index can be rebuilt from the
//! store. This crate knows no sockets, no HTTP and no access rules.

pub mod audit;
#[cfg(test)]
mod conformance;
pub mod db;
pub mod error;
pub mod ids;
pub mod institution;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::{ArchiveError, Result};
pub use ids::*;

use audit::{Audit, AuditSigner};
use db::{Db, IndexUrl, Migration, Migrations};
use std::path::PathBuf;
use std::sync::Arc;

/// The archive's own schema.
pub const MIGRATIONS: Migrations = Migrations {
    set: "archive",
    steps: &[Migration {
        version: 1,
        name: "core",
        sql: include_str!("../migrations/0001_core.sql"),
    }],
};

/// Where an archive lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The index.
    pub index: IndexUrl,
    /// Folder of the objects.
    pub objects: PathBuf,
    /// Folder of keys, anchors and the spool.
    pub data_dir: PathBuf,
}

/// A handle to an archive; clones share it.
#[derive(Clone)]
pub struct Archive {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    config: Config,
    signer: Arc<AuditSigner>,
}

impl Archive {
    /// Opens an archive, making it when it does not exist yet, and brings its schema up to date.
    ///
    /// # Errors
    /// When index, objects or data folder cannot be used.
    pub async fn open(config: Config, extra_migrations: &[&'static Migrations]) -> Result<Self> {
        for folder in [&config.data_dir, &config.objects] {
            std::fs::create_dir_all(folder)
                .map_err(|error| ArchiveError::io("create folder", folder, error))?;
        }
        let signer = Arc::new(AuditSigner::open(&config.data_dir)?);
        let mut sets = vec![&MIGRATIONS];
        sets.extend_from_slice(extra_migrations);
        let db = Db::open(&config.index, signer.clone(), &sets).await?;
        Ok(Self {
            shared: Arc::new(Shared { db, config, signer }),
        })
    }

    /// The index.
    pub fn db(&self) -> &Db {
        &self.shared.db
    }

    /// The institutions.
    pub fn institutions(&self) -> institution::Institutions {
        institution::Institutions {
            db: self.shared.db.clone(),
        }
    }

    /// The audit trail.
    pub fn audit(&self) -> Audit {
        Audit {
            db: self.shared.db.clone(),
        }
    }

    /// Checks the audit trail: every row, every signed head, the anchor file.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn verify_audit(&self) -> Result<audit::AuditReport> {
        audit::verify(
            &self.audit(),
            self.shared.signer.clone(),
            &self.shared.config.data_dir,
        )
        .await
    }

    /// Writes what must be on disk at an orderly end.
    ///
    /// # Errors
    /// When the anchor file cannot be written.
    pub async fn close(&self) -> Result<()> {
        audit::write_anchor(&self.shared.db, &self.shared.config.data_dir).await
    }
}
