//! The report: its states, its text, its issued versions.

mod document;
mod issue;
mod state;
mod store;
mod versions;
mod view;

pub use document::{
    Amendment, Document, EvidenceSeries, HrMark, PatientPart, SignedVersion, VerifyPage,
};
pub use issue::{amend, give_back, save, sign, submit};
pub use state::{
    Command, REASON_CHARS_MAX, Record, ReportText, STRUCTURED_BYTES_MAX, State, Step, TEXT_CHARS_MAX, VersionKind,
};
pub use versions::{VersionLine, version_json, verify_page, versions};
pub(crate) use versions::{latest_for, load as load_version};
pub use view::{ReportView, report};
pub(crate) use store::log as log_event;
