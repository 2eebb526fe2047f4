//! What a township node keeps of the results of its own institution, so that they can be read while the line is down.

use archive::edge::wire::{RejectWire, ReportWire};
use archive::{InstitutionId, UnixMicros, params};
use std::time::Duration;

use crate::error::Result;
use crate::quality::reason_text;
use crate::service::Reading;

/// Newest issued reports that a node keeps.
const REPORTS_MAX: i64 = 200;
/// Newest rejects that a node keeps.
const REJECTS_MAX: i64 = 100;
/// Rejects older than this are no news.
const REJECTS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

archive::statements! {
    mod sql {
        REPORTS = "SELECT i.study_uid, i.modality, i.signed_at, s.accession_number, (SELECT MAX(v.version) FROM report_version v WHERE v.study_uid = i.study_uid) AS version FROM reading_item i JOIN study s ON s.study_uid = i.study_uid WHERE i.institution_id = $1 AND i.signed_at IS NOT NULL ORDER BY i.received_at DESC LIMIT $2";
        REJECTS = "SELECT r.study_uid, r.rejected_at, r.reason_code, r.note, s.accession_number FROM rejection r LEFT JOIN study s ON s.study_uid = r.study_uid WHERE r.rejected_at > $3 AND r.institution_id = $1 ORDER BY r.rejected_at DESC LIMIT $2";
    }
}

/// Issued reports of the studies of an institution, those of the newest studies first. The caller audits what it hands
/// on; a report itself is fetched with its own audit row.
///
/// # Errors
/// What the index says.
pub async fn issued(reading: &Reading, institution: InstitutionId) -> Result<Vec<ReportWire>> {
    let db = reading.archive().db();
    let mut list = Vec::new();
    for row in db
        .fetch_all(sql::REPORTS, params![institution, REPORTS_MAX])
        .await?
    {
        if let Some(version) = row.opt_int("version")? {
            list.push(ReportWire {
                study_uid: row.text("study_uid")?,
                version,
                accession_number: row.opt_text("accession_number")?,
                modality: row.text("modality")?,
                signed_at: row.int("signed_at")?,
            });
        }
    }
    Ok(list)
}

/// Studies of an institution that came back for their quality, newest first.
///
/// # Errors
/// What the index says.
pub async fn rejected(reading: &Reading, institution: InstitutionId) -> Result<Vec<RejectWire>> {
    let db = reading.archive().db();
    let since = UnixMicros::now().minus(REJECTS_KEPT);
    let mut list = Vec::new();
    for row in db
        .fetch_all(sql::REJECTS, params![institution, REJECTS_MAX, since])
        .await?
    {
        let reason_code = row.text("reason_code")?;
        list.push(RejectWire {
            study_uid: row.text("study_uid")?,
            accession_number: row.opt_text("accession_number")?,
            rejected_at: row.int("rejected_at")?,
            reason_text: reason_text(&reason_code).unwrap_or_default().to_owned(),
            reason_code,
            note: row.opt_text("note")?,
        });
    }
    Ok(list)
}
