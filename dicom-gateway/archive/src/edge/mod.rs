//! Township nodes: the spool of a node, and the centre's book of its nodes.
//!
//! A node is an archive whose objects all have to reach the centre. **Invariant:** the row of the queue is written in
//! the transaction that acknowledges the object, so nothing that a device was told is stored can miss its way. What
//! both sides say to each other is in [`wire`].

pub mod centre;
mod manifest;
pub mod mirror;
pub mod spool;
pub mod status;
#[cfg(test)]
mod tests;
pub mod wire;

pub use centre::{Centre, EdgeNode, EnrolRefused};
pub use spool::{QueueClass, QueueCount, Spool, SpoolId, Waiting};

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[
    centre::sql::ALL,
    manifest::sql::ALL,
    mirror::sql::ALL,
    spool::sql::ALL,
    spool::prune_sql::ALL,
];

use crate::Archive;
use crate::db::{Migration, Migrations};
use spool::SpoolState;
use std::sync::Arc;

/// The schema of a node's queue, beside the archive's own. Its last version is the version of the spool's format: a
/// program that does not know it refuses to open the spool, so nothing is lost by going back.
pub const SPOOL_MIGRATIONS: Migrations = Migrations {
    set: "edge",
    steps: &[Migration {
        version: 1,
        name: "spool",
        sql: include_str!("../../migrations/edge/001_spool.sql"),
    }],
};

impl Archive {
    /// The queue, when this archive is a township node's.
    pub fn spool(&self) -> Option<Spool> {
        let state = self.spool_state()?.clone();
        Some(Spool {
            archive: self.clone(),
            state,
        })
    }

    /// The book of township nodes.
    pub fn centre(&self) -> Centre {
        Centre {
            archive: self.clone(),
        }
    }

    pub(crate) fn spool_state(&self) -> Option<&Arc<SpoolState>> {
        self.shared.spool.as_ref()
    }
}
