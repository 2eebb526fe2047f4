//! The report as its reader sees it now.

use archive::{UnixMicros, params};
use serde::Serialize;

use super::state::{Record, State};
use super::store::{self, etag};
use crate::access::{Action, Subject, decide, guard};
use crate::actor::{Actor, Person};
use crate::error::Result;
use crate::service::Reading;

archive::statements! {
    mod sql {
        OTHER_HOLDER = "SELECT 1 AS n FROM reading_claim WHERE study_uid = $1 AND until_at > $2 AND user_name <> $3";
    }
}

/// The report of a study in JSON.
#[derive(Debug, Serialize)]
pub struct ReportView {
    /// Study Instance UID.
    pub study_uid: String,
    /// none, draft, submitted, returned, signed, amended, revoked.
    pub status: State,
    /// 所见.
    pub findings: String,
    /// 诊断.
    pub impression: String,
    /// 检查方法与技术.
    pub technique: Option<String>,
    /// Something abnormal was found.
    pub positive: Option<bool>,
    /// Fields of a structured template.
    pub structured: Option<serde_json::Value>,
    /// Writer.
    pub author: Option<Person>,
    /// Who gave it back, or who signed.
    pub reviewer: Option<Person>,
    /// Signer.
    pub signer: Option<Person>,
    /// Why it was given back.
    pub return_reason: Option<String>,
    /// By whom.
    pub returned_by: Option<Person>,
    /// Last change, ISO 8601.
    pub updated_at: Option<String>,
    /// Submission, ISO 8601.
    pub submitted_at: Option<String>,
    /// Signature, ISO 8601.
    pub signed_at: Option<String>,
    /// Number of the latest version.
    pub current_version: Option<u32>,
    /// Entity tag for `If-Match`.
    pub etag: String,
    /// Whether the asker may save a draft now.
    pub editable_by_me: bool,
    /// What the machine would write, unconfirmed.
    pub machine_draft: Option<MachineDraft>,
}

/// A text proposed by the machine.
#[derive(Debug, Clone, Serialize)]
pub struct MachineDraft {
    /// 所见.
    pub findings: String,
    /// 诊断.
    pub impression: String,
}

/// The report of a study: the draft for readers, the issued text for everybody else who may see it.
///
/// # Errors
/// As the policy says.
pub async fn report(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<ReportView> {
    guard(reading, actor, Action::ViewReport, study_uid).await?;
    report_unaudited(reading, actor, study_uid).await
}

/// As [`report`], after a step that was audited already.
pub(super) async fn report_unaudited(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
) -> Result<ReportView> {
    let db = reading.archive().db();
    let row = db.fetch_optional(store::LOAD, params![study_uid]).await?;
    let record = row.map_or_else(|| Ok(Record::default()), |row| store::read(&row))?;
    let subject = crate::access::load_subject(reading, actor.institution_id(), study_uid)
        .await?
        .unwrap_or(Subject::STRANGE);
    let sees_draft = decide(actor.roles, Action::ViewDraft, &subject).allowed();
    if !sees_draft && !record.state.is_issued() {
        return Ok(hidden(study_uid, record.state));
    }
    let writes = decide(actor.roles, Action::WriteReport, &subject).allowed()
        && matches!(record.state, State::None | State::Draft | State::Returned);
    let other = db
        .fetch_optional(
            sql::OTHER_HOLDER,
            params![study_uid, UnixMicros::now(), &actor.user],
        )
        .await?;
    let iso = |t: Option<i64>| t.map(|t| UnixMicros(t).to_iso8601());
    let (reason, returned_by) = record.returned.clone().filter(|_| sees_draft).unzip();
    let returned_by = reading.person_opt(returned_by.as_deref()).await?;
    let signer = reading.person_opt(record.signer.as_deref()).await?;
    Ok(ReportView {
        study_uid: study_uid.to_owned(),
        status: record.state,
        findings: record.text.findings,
        impression: record.text.impression,
        technique: record.text.technique,
        positive: record.text.positive,
        structured: record.text.structured,
        author: reading.person_opt(record.author.as_deref()).await?,
        reviewer: signer.clone().or_else(|| returned_by.clone()),
        signer,
        return_reason: reason,
        returned_by,
        updated_at: iso((record.revision > 0).then_some(record.updated_at)),
        submitted_at: iso(record.submitted_at),
        signed_at: iso(record.signed_at),
        current_version: (record.versions > 0).then_some(record.versions),
        etag: etag(record.revision),
        editable_by_me: writes && other.is_none(),
        machine_draft: None,
    })
}

/// What somebody sees of a report that is not issued: that it is on its way, nothing of its text or its people.
fn hidden(study_uid: &str, state: State) -> ReportView {
    ReportView {
        study_uid: study_uid.to_owned(),
        status: state,
        findings: String::new(),
        impression: String::new(),
        technique: None,
        positive: None,
        structured: None,
        author: None,
        reviewer: None,
        signer: None,
        return_reason: None,
        returned_by: None,
        updated_at: None,
        submitted_at: None,
        signed_at: None,
        current_version: None,
        etag: etag(0),
        editable_by_me: false,
        machine_draft: None,
    }
}
