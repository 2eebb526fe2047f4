//! A patient's link: one study, an end, a PIN, and it can be taken back.

use archive::audit::{AuditAction, AuditEntry, AuditOutcome, event};
use archive::{UnixMicros, params};
use serde::Serialize;

use crate::access::Action;
use crate::access::guard::{apply, prepare, write_entry};
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::report::{Document, load_version};
use crate::secret;
use crate::service::Reading;

/// How long a link lives when nothing is said: 7 days.
pub const SHARE_S: i64 = 7 * 24 * 3600;
/// Longest life of a link: 90 days.
pub const SHARE_S_MAX: i64 = 90 * 24 * 3600;
/// Wrong PINs before the link is locked for good.
pub const PIN_FAILURES_MAX: i64 = 5;
/// How long pictures open after the PIN.
pub const VIEW_S: i64 = 30 * 60;
/// Pictures of a page at most.
const IMAGES_MAX: i64 = 24;
const SECOND_US: i64 = 1_000_000;

archive::statements! {
    mod sql {
        INSERT = "INSERT INTO share_link (id, token_hash, study_uid, pin_hash, created_by, created_at, expires_at, failed_count, views) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0)";
        REVOKE = "UPDATE share_link SET revoked_at = $3 WHERE id = $1 AND study_uid = $2 AND revoked_at IS NULL";
        FIND = "SELECT id, study_uid, pin_hash, expires_at, revoked_at, failed_count FROM share_link WHERE token_hash = $1";
        FAILED = "UPDATE share_link SET failed_count = failed_count + 1 WHERE id = $1";
        OPENED = "UPDATE share_link SET failed_count = 0, views = views + 1 WHERE id = $1";
        VIEW = "INSERT INTO share_view (view_hash, share_id, expires_at) VALUES ($1, $2, $3)";
        VIEW_SWEEP = "DELETE FROM share_view WHERE expires_at < $1";
        VIEWED = "SELECT l.study_uid FROM share_view v JOIN share_link l ON l.id = v.share_id WHERE v.view_hash = $1 AND v.expires_at > $2 AND l.token_hash = $3 AND l.revoked_at IS NULL AND l.expires_at > $2";
        SERIES = "SELECT e.series_uid FROM series e JOIN study s ON s.id = e.study_id WHERE s.study_uid = $1 AND e.kind = 'image' ORDER BY e.number, e.id LIMIT $2";
        HAS_SERIES = "SELECT 1 AS n FROM series e JOIN study s ON s.id = e.study_id WHERE s.study_uid = $1 AND e.series_uid = $2";
        LIST = "SELECT id, created_by, created_at, expires_at, revoked_at, views FROM share_link WHERE study_uid = $1 ORDER BY created_at DESC LIMIT 100";
    }
}

/// A fresh link.
#[derive(Debug, Serialize)]
pub struct Share {
    /// Name, for taking it back.
    pub id: String,
    /// Path of the page; its last part is the secret.
    pub url: String,
    /// ISO 8601.
    pub expires_at: String,
    /// The PIN, when it was chosen here.
    pub pin: Option<String>,
}

/// A link as shown to those who may make one.
#[derive(Debug, Serialize)]
pub struct ShareLine {
    /// Name.
    pub id: String,
    /// By which account.
    pub created_by: String,
    /// ISO 8601.
    pub created_at: String,
    /// ISO 8601.
    pub expires_at: String,
    /// Whether it can be opened now.
    pub live: bool,
    /// How often it was opened.
    pub views: i64,
}

/// What the patient sees.
#[derive(Debug, Serialize)]
pub struct SharedReport {
    /// Study Instance UID.
    pub study_uid: String,
    /// The patient.
    pub patient: crate::report::PatientPart,
    /// The issued report.
    pub report: Document,
    /// Small pictures of the series, open for half an hour.
    pub images: Vec<String>,
    /// ISO 8601.
    pub expires_at: String,
}

struct Link {
    id: String,
    study_uid: String,
    pin_hash: String,
    expires_at: i64,
    failed: i64,
}

/// Makes a link to a signed report and its images.
///
/// # Errors
/// `Conflict` before signing, `Invalid` for PIN or time, and as the policy says.
pub async fn create(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    expires_in_s: Option<i64>,
    pin: Option<&str>,
) -> Result<Share> {
    let access = prepare(reading, actor, Action::Share, study_uid).await?;
    let life = expires_in_s.unwrap_or(SHARE_S);
    let given = pin.map(str::to_owned);
    let pin = match given.clone() {
        Some(pin) => pin,
        None => format!("{:06}", u32::from_le_bytes(secret::random::<4>()?) % 1_000_000),
    };
    // Slow, and of no use if the rest is refused: the inputs are looked at before.
    let fits = (4..=12).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_alphanumeric());
    let sound = fits && (60..=SHARE_S_MAX).contains(&life);
    let pin_hash = if sound {
        secret::hash(&pin).await?
    } else {
        String::new()
    };
    let (id, token) = (secret::id()?, secret::token()?);
    let now = UnixMicros::now();
    let expires_at = UnixMicros(now.0 + life.clamp(0, SHARE_S_MAX) * SECOND_US);
    let row = params![
        &id,
        secret::token_digest(&token),
        study_uid,
        pin_hash,
        &actor.user,
        now,
        expires_at
    ];
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            if !fits {
                return Err(ReadingError::invalid(
                    "pin",
                    "应为 4 到 12 位数字或字母",
                    "must be 4 to 12 digits or letters",
                ));
            }
            if !sound {
                return Err(ReadingError::invalid(
                    "expires_in_s",
                    "应为 60 秒到 90 天",
                    "must be 60 s to 90 days",
                ));
            }
            if !study.report_state.is_issued() {
                return Err(ReadingError::conflict(
                    "报告签发后才能分享",
                    "Only a signed report can be shared",
                ));
            }
            Ok(tx.execute(sql::INSERT, row).await.map(drop)?)
        })
    })
    .await?;
    Ok(Share {
        id,
        url: format!("/share/{token}"),
        expires_at: expires_at.to_iso8601(),
        pin: if given.is_none() { Some(pin) } else { None },
    })
}

/// Takes a link back. Doing it twice is no error.
///
/// # Errors
/// As the policy says.
pub async fn revoke(reading: &Reading, actor: &Actor, study_uid: &str, id: &str) -> Result<()> {
    let access = prepare(reading, actor, Action::Share, study_uid).await?;
    let row = params![id, study_uid, UnixMicros::now()];
    apply(reading, access, move |tx, _| {
        Box::pin(async move { Ok(tx.execute(sql::REVOKE, row).await.map(drop)?) })
    })
    .await
}

/// The links of a study.
///
/// # Errors
/// As the policy says.
pub async fn list(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<Vec<ShareLine>> {
    crate::access::guard(reading, actor, Action::Share, study_uid).await?;
    let now = UnixMicros::now().0;
    let mut lines = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::LIST, params![study_uid])
        .await?
    {
        lines.push(ShareLine {
            id: row.text("id")?,
            created_by: row.text("created_by")?,
            created_at: row.micros("created_at")?.to_iso8601(),
            expires_at: row.micros("expires_at")?.to_iso8601(),
            live: row.opt_int("revoked_at")?.is_none() && row.int("expires_at")? > now,
            views: row.int("views")?,
        });
    }
    Ok(lines)
}

async fn find(reading: &Reading, token: &str) -> Result<Link> {
    let unknown = || ReadingError::not_found("链接不存在", "There is no such link");
    let row = reading
        .archive()
        .db()
        .fetch_optional(sql::FIND, params![secret::token_digest(token)])
        .await?;
    let row = row.ok_or_else(unknown)?;
    let over = row.opt_int("revoked_at")?.is_some() || row.int("expires_at")? <= UnixMicros::now().0;
    if over {
        return Err(ReadingError::Gone(crate::error::Words::fixed(
            "链接已失效",
            "The link is no longer valid",
        )));
    }
    Ok(Link {
        id: row.text("id")?,
        study_uid: row.text("study_uid")?,
        pin_hash: row.text("pin_hash")?,
        expires_at: row.int("expires_at")?,
        failed: row.int("failed_count")?,
    })
}

/// Whether the page behind a link may be shown; it tells nothing about the study.
///
/// # Errors
/// `NotFound`, `Gone`.
pub async fn alive(reading: &Reading, token: &str) -> Result<()> {
    find(reading, token).await.map(drop)
}

/// Opens a link with its PIN. Every try is audited.
///
/// # Errors
/// `NotFound`, `Gone`, `Locked` after [`PIN_FAILURES_MAX`] wrong PINs, `Unauthenticated` for a wrong one.
pub async fn open(
    reading: &Reading,
    token: &str,
    pin: &str,
    source_ip: Option<String>,
) -> Result<SharedReport> {
    let link = find(reading, token).await?;
    let mut entry = AuditEntry::new(event::EXPORT, AuditAction::Read, format!("share:{}", link.id))
        .role("share")
        .study(&link.study_uid)
        .detail("share.open");
    entry.source_ip = source_ip;
    if link.failed >= PIN_FAILURES_MAX {
        write_entry(reading, entry.outcome(AuditOutcome::SeriousFailure)).await?;
        let retry_after_s = (link.expires_at - UnixMicros::now().0) / SECOND_US;
        return Err(ReadingError::Locked { retry_after_s });
    }
    if !secret::verify(pin, &link.pin_hash).await? {
        reading.execute(sql::FAILED, params![&link.id]).await?;
        write_entry(reading, entry.outcome(AuditOutcome::MinorFailure)).await?;
        return Err(ReadingError::Unauthenticated(crate::error::Words::fixed(
            "提取码不对",
            "The PIN is wrong",
        )));
    }
    write_entry(reading, entry).await?;
    reading.execute(sql::OPENED, params![&link.id]).await?;
    let mut report = load_version(reading, &link.study_uid, None).await?.document;
    report.patient.national_id = report
        .patient
        .national_id
        .as_deref()
        .map(crate::identity::mask_national_id);
    Ok(SharedReport {
        images: images(reading, token, &link).await?,
        patient: report.patient.clone(),
        report,
        expires_at: UnixMicros(link.expires_at).to_iso8601(),
        study_uid: link.study_uid,
    })
}

/// Addresses of the pictures, with a key that lives shortly.
async fn images(reading: &Reading, token: &str, link: &Link) -> Result<Vec<String>> {
    let db = reading.archive().db();
    let rows = db
        .fetch_all(sql::SERIES, params![&link.study_uid, IMAGES_MAX])
        .await?;
    let key = secret::token()?;
    let now = UnixMicros::now().0;
    let until = link.expires_at.min(now + VIEW_S * SECOND_US);
    reading.execute(sql::VIEW_SWEEP, params![now]).await?;
    reading
        .execute(sql::VIEW, params![secret::token_digest(&key), &link.id, until])
        .await?;
    let mut list = Vec::new();
    for row in rows {
        list.push(format!(
            "/api/shares/{token}/series/{}/thumbnail?key={key}",
            row.text("series_uid")?
        ));
    }
    Ok(list)
}

/// Whether a picture of the series may be shown to whoever holds the link and a key of [`open`].
///
/// # Errors
/// `NotFound` when the key is over or belongs to another link.
pub async fn may_see_series(reading: &Reading, token: &str, key: &str, series_uid: &str) -> Result<()> {
    let db = reading.archive().db();
    let gone = || {
        ReadingError::not_found(
            "图片已失效，请重新打开链接",
            "The picture is over; open the link again",
        )
    };
    let params = params![
        secret::token_digest(key),
        UnixMicros::now(),
        secret::token_digest(token)
    ];
    let row = db.fetch_optional(sql::VIEWED, params).await?.ok_or_else(gone)?;
    let study_uid = row.text("study_uid")?;
    db.fetch_optional(sql::HAS_SERIES, params![study_uid, series_uid])
        .await?
        .map(drop)
        .ok_or_else(gone)
}
