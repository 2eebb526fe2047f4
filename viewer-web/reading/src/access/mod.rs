//! The one policy of the product: who may do what to which study.
//!
//! [`decide`] is pure and total: every role names a [`Rule`] for every [`Action`], everything not named is denied.
//! [`guard()`] looks the facts up, decides, and writes the audit row; without the row nothing is shown.

pub(crate) mod guard;
mod policy;
mod scope;

pub use guard::{
    Access, authorise, guard, guard_global, guard_patient, guard_query, load_subject, permissions_on,
};
pub use policy::{Action, Decision, Kind, Rule, Subject, decide, decide_global, rule};
#[cfg(test)]
pub(crate) use scope::sql as scope_sql;
pub use scope::{SearchScope, agree, may, search_scope};
