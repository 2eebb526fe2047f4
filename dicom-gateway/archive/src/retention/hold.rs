//! Legal hold: what a dispute, a court or an audit needs is not removed until somebody says so.

use super::Retention;
use crate::audit::{AuditAction, AuditEntry, event};
use crate::db::{Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{PatientId, UnixMicros};
use crate::params;
use serde::Serialize;

/// Holds in force of one archive at most.
const HOLDS_MAX: i64 = 100_000;
/// Longest reason.
const REASON_CHARACTERS_MAX: usize = 500;

crate::statements! {
    mod sql {
        INSERT = "INSERT INTO legal_hold (patient_id, study_uid, reason, set_by, set_at) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        PATIENT = "SELECT id FROM patient WHERE id = $1";
        STUDY = "SELECT id FROM study WHERE study_uid = $1";
        IN_FORCE = "SELECT id, patient_id, study_uid, reason, set_by, set_at, released_by, released_at, release_reason FROM legal_hold WHERE released_at IS NULL ORDER BY id LIMIT $1";
        ALL_HOLDS = "SELECT id, patient_id, study_uid, reason, set_by, set_at, released_by, released_at, release_reason FROM legal_hold WHERE id > $1 ORDER BY id LIMIT $2";
        OF_PERSON = "SELECT h.id FROM patient p JOIN legal_hold h ON h.patient_id = p.id WHERE p.person_id = $1 AND h.released_at IS NULL LIMIT 1";
        OF_STUDY = "SELECT id FROM legal_hold WHERE study_uid = $1 AND released_at IS NULL LIMIT 1";
        RELEASE = "UPDATE legal_hold SET released_by = $2, released_at = $3, release_reason = $4 WHERE id = $1 AND released_at IS NULL RETURNING patient_id, study_uid";
    }
}

/// What is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldTarget {
    /// Everything of the person behind this patient.
    Patient(PatientId),
    /// One study.
    Study(String),
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Row.
    pub id: i64,
    /// What is held.
    pub target: HoldTarget,
    /// Why.
    pub reason: String,
    /// By whom.
    pub set_by: String,
    /// Since when.
    pub set_at: UnixMicros,
    /// Who ended it.
    pub released_by: Option<String>,
    /// When it ended.
    pub released_at: Option<UnixMicros>,
    /// Why it ended.
    pub release_reason: Option<String>,
}

fn read(row: &Row) -> Result<Hold> {
    let target = match (row.opt_int("patient_id")?, row.opt_text("study_uid")?) {
        (_, Some(uid)) => HoldTarget::Study(uid),
        (Some(id), None) => HoldTarget::Patient(PatientId(id)),
        (None, None) => return Err(ArchiveError::Corrupt("a hold of nothing".to_owned())),
    };
    Ok(Hold {
        id: row.int("id")?,
        target,
        reason: row.text("reason")?,
        set_by: row.text("set_by")?,
        set_at: row.micros("set_at")?,
        released_by: row.opt_text("released_by")?,
        released_at: row.opt_micros("released_at")?,
        release_reason: row.opt_text("release_reason")?,
    })
}

fn reason_of(text: &str) -> Result<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() || text.chars().count() > REASON_CHARACTERS_MAX {
        return Err(ArchiveError::invalid(
            "reason",
            format!("say why, in at most {REASON_CHARACTERS_MAX} characters"),
        ));
    }
    Ok(text)
}

fn audit(target: &HoldTarget, id: i64, what: &str, by: &str) -> AuditEntry {
    let code = match target {
        HoldTarget::Patient(_) => event::PATIENT_RECORD,
        HoldTarget::Study(_) => event::PROCEDURE_RECORD,
    };
    let entry = AuditEntry::new(code, AuditAction::Update, by)
        .role("operator")
        .detail(format!("legal hold {id} {what}"));
    match target {
        HoldTarget::Patient(id) => entry.patient(id.to_string()),
        HoldTarget::Study(uid) => entry.study(uid.clone()),
    }
}

impl Retention {
    /// Holds a patient or a study; gives the hold's number.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`]; [`ArchiveError::Invalid`] without a reason.
    pub async fn hold(&self, target: HoldTarget, reason: &str, by: &str) -> Result<i64> {
        let (reason, by) = (reason_of(reason)?, by.to_owned());
        let set = self.archive.db().write(move |tx| {
            Box::pin(async move {
                let (patient, study) = match &target {
                    HoldTarget::Patient(id) => {
                        let found = tx.fetch_optional(sql::PATIENT, params![*id]).await?;
                        found.ok_or_else(|| ArchiveError::NotFound(format!("patient {id}")))?;
                        (Some(id.0), None)
                    }
                    HoldTarget::Study(uid) => {
                        let found = tx.fetch_optional(sql::STUDY, params![uid]).await?;
                        found.ok_or_else(|| ArchiveError::NotFound(format!("study {uid}")))?;
                        (None, Some(uid.clone()))
                    }
                };
                let values = params![patient, study, &reason, &by, UnixMicros::now()];
                let id = tx.fetch_one(sql::INSERT, values).await?.int("id")?;
                tx.audit(audit(&target, id, "set", &by));
                Ok(id)
            })
        });
        set.await
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such hold in force; [`ArchiveError::Invalid`]
    /// without a reason.
    pub async fn release(&self, id: i64, reason: &str, by: &str) -> Result<()> {
        let (reason, by) = (reason_of(reason)?, by.to_owned());
        let done = self.archive.db().write(move |tx| {
            Box::pin(async move {
                let values = params![id, &by, UnixMicros::now(), &reason];
                let row = tx.fetch_optional(sql::RELEASE, values).await?;
                let row = row.ok_or_else(|| ArchiveError::NotFound(format!("hold {id} in force")))?;
                let target = match row.opt_text("study_uid")? {
                    Some(uid) => HoldTarget::Study(uid),
                    None => HoldTarget::Patient(PatientId(row.opt_int("patient_id")?.unwrap_or(0))),
                };
                tx.audit(audit(&target, id, "released", &by));
                Ok(())
            })
        });
        done.await
    }

    /// Holds in force, oldest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn holds(&self) -> Result<Vec<Hold>> {
        let rows = self
            .archive
            .db()
            .fetch_all(sql::IN_FORCE, params![HOLDS_MAX])
            .await?;
        rows.iter().map(read).collect()
    }

    /// All holds, also ended ones, after row `after`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn hold_history(&self, after: i64, limit: u32) -> Result<Vec<Hold>> {
        let values = params![after, limit.clamp(1, 10_000)];
        let rows = self.archive.db().fetch_all(sql::ALL_HOLDS, values).await?;
        rows.iter().map(read).collect()
    }
}

/// Whether a person, or this study, is held at this moment.
pub(super) async fn is_held(tx: &mut Tx, person_id: i64, study_uid: Option<&str>) -> Result<bool> {
    if tx
        .fetch_optional(sql::OF_PERSON, params![person_id])
        .await?
        .is_some()
    {
        return Ok(true);
    }
    match study_uid {
        Some(uid) => Ok(tx.fetch_optional(sql::OF_STUDY, params![uid]).await?.is_some()),
        None => Ok(false),
    }
}
