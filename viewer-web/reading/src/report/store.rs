//! The report's row in the index.

use archive::db::{Row, Tx};
use archive::params;

use super::state::{Record, ReportText, State};
use crate::error::{ReadingError, Result};

archive::statements! {
    mod sql {
        LOAD = "SELECT state, revision, findings, impression, technique, positive, structured, author, signer, return_reason, returned_by, versions, updated_at, submitted_at, signed_at FROM report WHERE study_uid = $1";
        // The revision is compared in the same statement: of two writers at once one fails.
        KEEP = "INSERT INTO report (study_uid, state, revision, findings, impression, technique, positive, structured, author, signer, return_reason, returned_by, versions, updated_at, submitted_at, signed_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (study_uid) DO UPDATE SET \
            state = excluded.state, revision = excluded.revision, findings = excluded.findings, impression = excluded.impression, \
            technique = excluded.technique, positive = excluded.positive, structured = excluded.structured, author = excluded.author, \
            signer = excluded.signer, return_reason = excluded.return_reason, returned_by = excluded.returned_by, \
            versions = excluded.versions, updated_at = excluded.updated_at, submitted_at = excluded.submitted_at, \
            signed_at = excluded.signed_at WHERE report.revision = excluded.revision - 1";
        EVENT = "INSERT INTO reading_event (study_uid, at, kind, user_name, institution_id, reason) VALUES ($1, $2, $3, $4, $5, $6)";
        ITEM = "UPDATE reading_item SET status = $2, open = $3, author = $4, signer = $5, positive = $6, submitted_at = $7, signed_at = $8 WHERE study_uid = $1";
    }
}

/// Entity tag of a revision.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"r{revision}\"")
}

pub(super) fn read(row: &Row) -> Result<Record> {
    let structured = row
        .opt_text("structured")?
        .and_then(|text| serde_json::from_str(&text).ok());
    Ok(Record {
        state: State::parse(&row.text("state")?).unwrap_or(State::None),
        revision: row.int("revision")?,
        text: ReportText {
            findings: row.text("findings")?,
            impression: row.text("impression")?,
            technique: row.opt_text("technique")?,
            positive: row.opt_int("positive")?.map(|v| v != 0),
            structured,
        },
        author: row.opt_text("author")?,
        signer: row.opt_text("signer")?,
        returned: row.opt_text("return_reason")?.zip(row.opt_text("returned_by")?),
        versions: u32::try_from(row.int("versions")?).unwrap_or(0),
        updated_at: row.int("updated_at")?,
        submitted_at: row.opt_int("submitted_at")?,
        signed_at: row.opt_int("signed_at")?,
    })
}

pub(super) const LOAD: &str = sql::LOAD;

/// The record of a study; the empty one when nothing was written yet.
pub(super) async fn load(tx: &mut Tx, study_uid: &str) -> Result<Record> {
    let row = tx.fetch_optional(sql::LOAD, params![study_uid]).await?;
    row.map_or_else(|| Ok(Record::default()), |row| read(&row))
}

/// Keeps the record and puts the study on the right list.
pub(super) async fn keep(tx: &mut Tx, study_uid: &str, record: &Record) -> Result<()> {
    let (reason, by) = record.returned.clone().unzip();
    let row = params![
        study_uid,
        record.state.as_str(),
        record.revision,
        &record.text.findings,
        &record.text.impression,
        &record.text.technique,
        record.text.positive,
        record.text.structured.as_ref().map(serde_json::Value::to_string),
        &record.author,
        &record.signer,
        reason,
        by,
        record.versions,
        record.updated_at,
        record.submitted_at,
        record.signed_at
    ];
    if tx.execute(sql::KEEP, row).await? == 0 {
        return Err(ReadingError::conflict(
            "报告刚被他人改动，请刷新后再试",
            "The report was changed at the same moment; reload and try again",
        ));
    }
    let item = params![
        study_uid,
        item_status(record.state),
        !record.state.is_issued(),
        &record.author,
        &record.signer,
        record.text.positive,
        record.submitted_at,
        record.signed_at
    ];
    tx.execute(sql::ITEM, item).await?;
    Ok(())
}

/// The word of the worklist for a state.
pub(super) const fn item_status(state: State) -> &'static str {
    match state {
        State::None => "to_write",
        State::Draft => "writing",
        State::Submitted => "submitted",
        State::Returned => "returned",
        State::Signed => "signed",
        State::Amended => "amended",
        State::Revoked => "revoked",
    }
}

/// Writes a transition into the event log.
pub(crate) async fn log(
    tx: &mut Tx,
    study_uid: &str,
    at: i64,
    kind: &str,
    user: &str,
    institution: archive::InstitutionId,
    reason: Option<&str>,
) -> Result<()> {
    Ok(tx
        .execute(
            sql::EVENT,
            params![study_uid, at, kind, user, institution, reason],
        )
        .await
        .map(drop)?)
}
