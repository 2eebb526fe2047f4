//! How long records are kept, what must not go, and removing what may.
//!
//! **Invariants:** a record goes only when the longest class of its patient has ended, counted from
//! the last visit to any institution, and nothing holds it; this is looked at again in the very
//! transaction that removes its rows. Removal is a tombstone with the list of files first, then the
//! files, then the word that they are gone: whatever interrupts it, the next run goes on, and a
//! file with a tombstone never comes back into the index.

mod certificate;
mod hold;
mod plan;
mod purge;
mod rules;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, CertificateFiles};
pub use hold::{Hold, HoldTarget};
pub use plan::{PersonPlan, PlanSummary, StudyPlan, Verdict};
pub(crate) use purge::is_purged;
pub use purge::{ExtraRows, PurgeOrder, PurgeReport};
pub use rules::{Class, DEFAULT_RULES, Rules, Traits};

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[
    certificate::sql::ALL,
    hold::sql::ALL,
    plan::sql::ALL,
    purge::sql::ALL,
];

use crate::Archive;
use crate::ids::UnixMicros;
use time::{Date, OffsetDateTime, UtcOffset};

/// The records of an archive, as something that ends one day.
#[derive(Clone)]
pub struct Retention {
    pub(crate) archive: Archive,
}

impl Archive {
    /// How long records are kept, and removing what may go.
    pub fn retention(&self) -> Retention {
        Retention {
            archive: self.clone(),
        }
    }
}

/// The day of a moment in China, where the law counts its days.
pub(crate) fn day_of(at: UnixMicros) -> Date {
    let offset = UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC);
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000);
    moment.map_or(Date::MIN, |moment| moment.to_offset(offset).date())
}

/// Today in China.
pub fn today() -> Date {
    day_of(UnixMicros::now())
}
