//! The audit trail: append-only rows in hash chains with signed heads.
//!
//! **Invariant:** a row's hash covers every column of the row and the hash before it; each chain's
//! head (number of rows, last hash) is signed in the same transaction. So a changed, removed,
//! exchanged or cut-off row is found by [`verify`].

mod anchor;
mod chain;
mod search;
mod signer;
#[cfg(test)]
mod tests;
mod verify;

pub use anchor::{AnchoredHead, read_anchor, write_anchor};
pub(crate) use chain::append;
pub use search::{AuditCursor, AuditFilter, AuditPage, AuditRow};
pub use signer::AuditSigner;
pub use verify::{AuditReport, verify};

use crate::db::Db;
use crate::error::Result;
use crate::ids::UnixMicros;

/// Every statement of the audit trail, for the conformance test: on both, on PostgreSQL only.
#[cfg(test)]
pub(crate) const STATEMENTS: (&[crate::conformance::Statements], crate::conformance::Statements) = (
    &[chain::sql::ALL, search::sql::ALL, verify::sql::ALL],
    chain::sql_postgres::ALL,
);

/// DICOM audit event codes (PS3.16 CID 400 and 401, DCM), as kept in `event`.
pub mod event {
    /// Application activity.
    pub const APPLICATION_ACTIVITY: &str = "110100";
    /// Audit log used.
    pub const AUDIT_LOG_USED: &str = "110101";
    /// Instances accessed.
    pub const INSTANCES_ACCESSED: &str = "110103";
    /// Instances transferred: received or sent.
    pub const INSTANCES_TRANSFERRED: &str = "110104";
    /// Study deleted.
    pub const STUDY_DELETED: &str = "110105";
    /// Export.
    pub const EXPORT: &str = "110106";
    /// Import.
    pub const IMPORT: &str = "110107";
    /// Network entry.
    pub const NETWORK_ENTRY: &str = "110108";
    /// Order record.
    pub const ORDER_RECORD: &str = "110109";
    /// Patient record.
    pub const PATIENT_RECORD: &str = "110110";
    /// Procedure record.
    pub const PROCEDURE_RECORD: &str = "110111";
    /// Query.
    pub const QUERY: &str = "110112";
    /// Security alert.
    pub const SECURITY_ALERT: &str = "110113";
    /// User authentication.
    pub const USER_AUTHENTICATION: &str = "110114";
}

/// What was done (PS3.15 A.5, EventActionCode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    /// C.
    Create,
    /// R.
    Read,
    /// U.
    Update,
    /// D.
    Delete,
    /// E.
    Execute,
}

impl AuditAction {
    /// The letter that is stored.
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }
}

/// How it ended (PS3.15 A.5, EventOutcomeIndicator).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// 0.
    Success,
    /// 4: the action was refused or could be tried again.
    MinorFailure,
    /// 8: the action was ended.
    SeriousFailure,
    /// 12: the system became unavailable.
    MajorFailure,
}

impl AuditOutcome {
    /// The number that is stored.
    pub fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::MinorFailure => 4,
            Self::SeriousFailure => 8,
            Self::MajorFailure => 12,
        }
    }
}

/// One thing that happened, before it is written.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMicros,
    /// DICOM code value, see [`event`].
    pub event: String,
    /// What was done.
    pub action: AuditAction,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Account, device AE title or `system`.
    pub user: String,
    /// Role under which it was done.
    pub role: String,
    /// Code of the actor's institution.
    pub institution: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Reference of the patient's row, never a name.
    pub patient_ref: Option<String>,
    /// Address of the caller.
    pub source_ip: Option<String>,
    /// Anything else, short; never a name or password.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// A successful event of now.
    pub fn new(event: impl Into<String>, action: AuditAction, user: impl Into<String>) -> Self {
        Self {
            at: UnixMicros::now(),
            event: event.into(),
            action,
            outcome: AuditOutcome::Success,
            user: user.into(),
            role: String::new(),
            institution: None,
            study_uid: None,
            patient_ref: None,
            source_ip: None,
            detail: None,
        }
    }

    /// Sets how it ended.
    pub fn outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Sets the role.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = role.into();
        self
    }

    /// Sets the actor's institution code.
    pub fn institution(mut self, code: impl Into<String>) -> Self {
        self.institution = Some(code.into());
        self
    }

    /// Sets the study.
    pub fn study(mut self, uid: impl Into<String>) -> Self {
        self.study_uid = Some(uid.into());
        self
    }

    /// Sets the patient row.
    pub fn patient(mut self, reference: impl Into<String>) -> Self {
        self.patient_ref = Some(reference.into());
        self
    }

    /// Sets the caller's address.
    pub fn source_ip(mut self, address: impl Into<String>) -> Self {
        self.source_ip = Some(address.into());
        self
    }

    /// Sets the free detail.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The audit trail of an archive.
#[derive(Clone)]
pub struct Audit {
    pub(crate) db: Db,
}

impl Audit {
    /// Writes one row and answers when it is durable. Rows written at the same moment share one
    /// flush. When this fails, the audited access must be refused.
    ///
    /// # Errors
    /// What the index says.
    pub async fn record(&self, entry: AuditEntry) -> Result<()> {
        self.record_all(vec![entry]).await
    }

    /// Writes several rows together.
    ///
    /// # Errors
    /// What the index says.
    pub async fn record_all(&self, entries: Vec<AuditEntry>) -> Result<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    entries.into_iter().for_each(|entry| tx.audit(entry));
                    Ok(())
                })
            })
            .await
    }
}
