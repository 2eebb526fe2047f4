//! Studies, series and instances as queries and readers see them.

#[macro_use]
mod columns;
mod filter;
mod instances;
mod rows;
mod search;
mod settle;
#[cfg(test)]
mod tests;

pub use filter::{InstanceFilter, Scope, SeriesFilter, StudyFilter};
pub use instances::PackedAttributes;
pub use rows::{Instance, InstanceItem, PatientItem, Series, SeriesItem, Study, StudyItem, StudyState};

use crate::Archive;

#[cfg(test)]
pub(crate) use search::explained;
#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[instances::sql::ALL, settle::sql::ALL];

/// The studies of an archive.
#[derive(Clone)]
pub struct Studies {
    pub(crate) archive: Archive,
}
