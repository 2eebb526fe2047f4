//! The audit trail as the auditor reads it.

use archive::UnixMicros;
use archive::audit::AuditFilter;
use serde::Serialize;

use crate::access::{Action, guard_global};
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::service::Reading;

/// Rows of one page at most.
pub const ROWS_MAX: u32 = 1000;

/// What is looked for; empty wants all.
#[derive(Debug, Clone, Default)]
pub struct TrailFilter {
    /// ISO 8601, not before.
    pub from: Option<String>,
    /// ISO 8601, before.
    pub to: Option<String>,
    /// Account or AE title.
    pub user: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Event code.
    pub event: Option<String>,
    /// Rows of the page.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
}

/// A row of the trail.
#[derive(Debug, Serialize)]
pub struct TrailRow {
    /// Number of the row.
    pub id: i64,
    /// ISO 8601.
    pub at: String,
    /// Account, AE title or `system`.
    pub user: String,
    /// Roles under which it was done.
    pub role: String,
    /// Code of the institution.
    pub institution: Option<String>,
    /// DICOM code value.
    pub event: String,
    /// Its meaning in Chinese.
    pub event_text_zh: &'static str,
    /// Its meaning in English.
    pub event_text_en: &'static str,
    /// C, R, U, D or E.
    pub action: String,
    /// `0` success, `4`, `8`, `12`.
    pub outcome: String,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Patient row.
    pub patient_ref: Option<String>,
    /// Address of the caller.
    pub source_ip: Option<String>,
    /// What exactly.
    pub detail: Option<String>,
}

/// A page of the trail, newest first.
#[derive(Debug, Serialize)]
pub struct TrailPage {
    /// Rows.
    pub items: Vec<TrailRow>,
    /// For the next page.
    pub next_cursor: Option<String>,
}

/// Meaning of an event code (PS3.16 CID 400), Chinese and English.
#[must_use]
pub fn event_text(code: &str) -> (&'static str, &'static str) {
    match code {
        "110100" => ("应用活动", "Application activity"),
        "110101" => ("查阅审计", "Audit log used"),
        "110102" => ("开始传输", "Begin transferring instances"),
        "110103" => ("调阅影像", "Instances accessed"),
        "110104" => ("影像传输", "Instances transferred"),
        "110105" => ("删除检查", "Study deleted"),
        "110106" => ("导出", "Export"),
        "110107" => ("导入", "Import"),
        "110108" => ("网络接入", "Network entry"),
        "110109" => ("检查申请", "Order record"),
        "110110" => ("患者记录", "Patient record"),
        "110111" => ("诊断报告", "Procedure record"),
        "110112" => ("查询", "Query"),
        "110113" => ("安全事件", "Security alert"),
        "110114" => ("登录", "User authentication"),
        _ => ("其他", "Other"),
    }
}

/// Rows of the trail; looking is itself written down.
///
/// # Errors
/// `Invalid`, and as the policy says.
pub async fn search(reading: &Reading, actor: &Actor, wanted: TrailFilter) -> Result<TrailPage> {
    guard_global(reading, actor, Action::ReadAudit).await?;
    let moment = |field, text: &Option<String>| {
        let text = text.as_deref().filter(|t| !t.is_empty());
        text.map(|t| crate::worklist_moment(field, t).map(UnixMicros))
            .transpose()
    };
    let filter = AuditFilter {
        from: moment("from", &wanted.from)?,
        to: moment("to", &wanted.to)?,
        user: wanted.user.filter(|t| !t.is_empty()),
        study_uid: wanted.study_uid.filter(|t| !t.is_empty()),
        event: wanted.event.filter(|t| !t.is_empty()),
        outcome: None,
        institution: None,
    };
    let wrong = |_| ReadingError::invalid("cursor", "请用上一页给出的值", "use the one of the page before");
    let cursor = wanted
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(wrong)?;
    let page = reading
        .archive()
        .audit()
        .search(&filter, wanted.limit.clamp(1, ROWS_MAX), cursor)
        .await?;
    let items = page.rows.into_iter().map(|row| {
        let (event_text_zh, event_text_en) = event_text(&row.event);
        TrailRow {
            id: row.id,
            at: row.at.to_iso8601(),
            user: row.user,
            role: row.role,
            institution: row.institution,
            event: row.event,
            event_text_zh,
            event_text_en,
            action: row.action,
            outcome: row.outcome.to_string(),
            study_uid: row.study_uid,
            patient_ref: row.patient_ref,
            source_ip: row.source_ip,
            detail: row.detail,
        }
    });
    Ok(TrailPage {
        items: items.collect(),
        next_cursor: page.next.map(|c| c.to_string()),
    })
}
