//! The report: its states, its text, its issued versions.

mod document;
mod issue;
mod state;
mod store;
mod versions;
mod view;

pub use document::{Amendment, Document, EvidenceSeries, HrMark, PatientPart, SignedVersion, VerifyPage};
pub use issue::{amend, give_back, save, sign, submit};
pub use state::{
    Command, REASON_CHARS_MAX, Record, ReportText, STRUCTURED_BYTES_MAX, State, Step, TEXT_CHARS_MAX,
    VersionKind,
};
pub(crate) use store::log as log_event;
#[cfg(test)]
pub(crate) use store::sql as store_sql;
pub(crate) use versions::load as load_version;
#[cfg(test)]
pub(crate) use versions::sql as versions_sql;
pub use versions::{VersionLine, export, verify_page, version_json, versions};
#[cfg(test)]
pub(crate) use view::sql as view_sql;
pub use view::{ReportView, report};
