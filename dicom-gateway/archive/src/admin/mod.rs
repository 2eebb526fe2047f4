//! What an operator does: check, rebuild, back up, restore.

mod adopt;
mod backup;
mod check;
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use adopt::{Adoption, adopt};
pub use backup::{BackupReport, restore};
pub use check::{ReindexReport, StoreReport};

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] =
    &[adopt::sql::ALL, backup::sql::ALL, check::sql::ALL];
#[cfg(test)]
pub(crate) use portable::{sql_postgres, sql_sqlite};
