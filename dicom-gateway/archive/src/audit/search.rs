//! Reading the audit trail: filters, newest first, pages.

use super::Audit;
use crate::db::{Row, Value};
use crate::error::{ArchiveError, Result};
use crate::ids::UnixMicros;
use std::fmt;
use std::str::FromStr;

/// Rows of a page at most.
pub(crate) const PAGE_ROWS_MAX: u32 = 1000;

const COLUMNS: &str =
    "id, at, event, action, outcome, user_name, role, institution, study_uid, patient_ref, source_ip, detail";

crate::statements! {
    mod sql {
        NEWEST = "SELECT id, at, event, action, outcome, user_name, role, institution, study_uid, patient_ref, source_ip, detail FROM audit_event WHERE at >= $1 AND at < $2 ORDER BY at DESC, id DESC LIMIT $3";
    }
}

/// Which rows are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<UnixMicros>,
    /// Before.
    pub to: Option<UnixMicros>,
    /// Account or AE title.
    pub user: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Event code.
    pub event: Option<String>,
    /// Outcome number.
    pub outcome: Option<i64>,
    /// Institution code.
    pub institution: Option<String>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    at: i64,
    id: i64,
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

impl FromStr for AuditCursor {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(at, id)| {
            Some(Self {
                at: at.parse().ok()?,
                id: id.parse().ok()?,
            })
        });
        parts.ok_or_else(|| ArchiveError::invalid("cursor", "use the one of the page before"))
    }
}

/// A row as it was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Number of the row.
    pub id: i64,
    /// When.
    pub at: UnixMicros,
    /// DICOM code value.
    pub event: String,
    /// C, R, U, D or E.
    pub action: String,
    /// 0, 4, 8 or 12.
    pub outcome: i64,
    /// Account, AE title or `system`.
    pub user: String,
    /// Role.
    pub role: String,
    /// Institution code.
    pub institution: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Patient row.
    pub patient_ref: Option<String>,
    /// Address of the caller.
    pub source_ip: Option<String>,
    /// Free detail.
    pub detail: Option<String>,
}

/// Rows, newest first, and where the next page starts.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// For the next page; `None` at the end.
    pub next: Option<AuditCursor>,
}

fn read(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        id: row.int("id")?,
        at: row.micros("at")?,
        event: row.text("event")?,
        action: row.text("action")?,
        outcome: row.int("outcome")?,
        user: row.text("user_name")?,
        role: row.text("role")?,
        institution: row.opt_text("institution")?,
        study_uid: row.opt_text("study_uid")?,
        patient_ref: row.opt_text("patient_ref")?,
        source_ip: row.opt_text("source_ip")?,
        detail: row.opt_text("detail")?,
    })
}

impl Audit {
    /// Rows that fit the filter, newest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn search(
        &self,
        filter: &AuditFilter,
        limit: u32,
        cursor: Option<AuditCursor>,
    ) -> Result<AuditPage> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let mut params: Vec<Value> = vec![
            filter.from.map_or(i64::MIN, |t| t.0).into(),
            filter.to.map_or(i64::MAX, |t| t.0).into(),
        ];
        let mut text = format!("SELECT {COLUMNS} FROM audit_event WHERE at >= $1 AND at < $2");
        let mut equal = |column: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.push(value);
                text.push_str(&format!(" AND {column} = ${}", params.len()));
            }
        };
        equal("user_name", filter.user.as_ref().map(Value::from));
        equal("study_uid", filter.study_uid.as_ref().map(Value::from));
        equal("event", filter.event.as_ref().map(Value::from));
        equal("outcome", filter.outcome.map(Value::from));
        equal("institution", filter.institution.as_ref().map(Value::from));
        if let Some(cursor) = cursor {
            params.extend([cursor.at.into(), cursor.id.into()]);
            let n = params.len();
            text.push_str(&format!(" AND (at, id) < (${}, ${n})", n - 1));
        }
        params.push((limit + 1).into());
        text.push_str(&format!(" ORDER BY at DESC, id DESC LIMIT ${}", params.len()));
        let mut rows = Vec::new();
        for row in self.db.fetch_dynamic(text, params).await? {
            rows.push(read(&row)?);
        }
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| AuditCursor {
            at: row.at.0,
            id: row.id,
        });
        Ok(AuditPage { rows, next })
    }
}
