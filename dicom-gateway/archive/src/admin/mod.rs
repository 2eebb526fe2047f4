//! What an operator does: check, rebuild, back up, restore.

mod adopt;

pub(crate) use adopt::{Adoption, adopt};
#[cfg(test)]
pub(crate) const ADOPT: crate::conformance::Statements = adopt::sql::ALL;
