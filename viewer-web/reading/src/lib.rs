//! Reading and reporting: who may do what, worklist, report, signature, recognition.
//!
//! **Promises:** default deny, one policy ([`access::decide`]) for everything; no access without its audit row; an
//! issued version never changes and names its predecessor; every transition has who, when, where and why. This crate
//! knows no sockets and no HTTP; images and objects are the archive's.

pub mod access;
pub mod account;
mod actor;
mod canonical;
pub mod catalogue;
mod claim;
mod context;
pub mod critical;
pub mod demo;
mod detail;
pub mod edge;
mod error;
mod events;
pub mod exchange;
mod goals;
mod identity;
pub mod order;
mod own_order;
mod paper_head;
mod previous_ecg;
pub mod quality;
pub mod recognition;
pub mod renditions;
pub mod report;
pub mod retention;
mod role;
mod secret;
mod service;
pub mod share;
mod signature;
pub mod statistics;
mod study;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod trail;
pub mod worklist;

pub use actor::{Actor, Person};
pub use claim::{Claimed, LEASE_S, claim, release};
pub use context::{OrderContext, PatientContext, PatientView, StudyContext};
pub use detail::{Prior, SeriesLine, StudyDetail, study};
pub use error::{Holder, ReadingError, Result, Words};
pub use goals::{Priority, due_at, report_goal_min};
pub use identity::{mask_name, mask_national_id, national_id_valid};
pub use own_order::{OwnOrder, own_order};
pub use paper_head::{PaperHead, paper_head};
pub use previous_ecg::{BesidePrevious, previous_ecg};
pub use role::{Role, Roles};
pub use service::{Reading, Settings};
pub use signature::Signer;
pub use study::StudyFacts;
pub use worklist::moment;
pub(crate) use worklist::moment as worklist_moment;

use archive::db::{Migration, Migrations};

/// The schema of this crate; open the archive with it.
pub const MIGRATIONS: Migrations = Migrations {
    set: "reading",
    steps: &[
        Migration {
            version: 1,
            name: "reading",
            sql: include_str!("../migrations/001_reading.sql"),
        },
        Migration {
            version: 2,
            name: "machine",
            sql: include_str!("../migrations/002_machine.sql"),
        },
    ],
};
