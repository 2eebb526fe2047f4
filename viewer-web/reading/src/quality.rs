//! Back to the sender, and a second opinion.

use archive::db::Tx;
use archive::{UnixMicros, params};
use serde::{Deserialize, Serialize};

use crate::access::Action;
use crate::access::guard::{apply, prepare};
use crate::actor::{Actor, Person};
use crate::error::{ReadingError, Result};
use crate::events::{Kind, publish};
use crate::report::State;
use crate::secret;
use crate::service::Reading;
use crate::study::StudyFacts;

const TEXT_CHARS_MAX: usize = 2000;

/// Why a study goes back to its sender: code, Chinese, English.
pub const REJECT_REASONS: [(&str, &str, &str); 8] = [
    ("wrong_patient", "患者信息不符", "Wrong patient"),
    ("wrong_exam", "检查项目或部位不符", "Wrong exam or body part"),
    ("positioning", "体位或范围不当", "Positioning or coverage"),
    ("exposure", "曝光或对比不当", "Exposure or contrast"),
    ("motion", "运动伪影", "Motion"),
    ("artefact", "异物或伪影", "Foreign body or artefact"),
    ("incomplete", "图像不全", "Incomplete"),
    ("lead_fault", "导联脱落或接反", "Lead off or misplaced"),
];

archive::statements! {
    mod sql {
        REJECT = "INSERT INTO rejection (study_uid, institution_id, rejected_by, rejected_at, reason_code, note) VALUES ($1, $2, $3, $4, $5, $6)";
        ITEM_REJECTED = "UPDATE reading_item SET status = 'rejected', open = 0 WHERE study_uid = $1";
        REJECTIONS = "SELECT study_uid, rejected_by, rejected_at, reason_code, note FROM rejection WHERE institution_id = $1 ORDER BY rejected_at DESC LIMIT 200";
        LAST_REJECTION = "SELECT study_uid, rejected_by, rejected_at, reason_code, note FROM rejection WHERE study_uid = $1 ORDER BY rejected_at DESC LIMIT 1";
        ASK = "INSERT INTO consultation (id, study_uid, asked_by, asked_at, invited, question) VALUES ($1, $2, $3, $4, $5, $6)";
        ANSWER = "UPDATE consultation SET answered_by = $3, answered_at = $4, opinion = $5 WHERE id = $1 AND study_uid = $2 AND answered_at IS NULL";
        CONSULTATIONS = "SELECT id, study_uid, asked_by, asked_at, invited, question, answered_by, answered_at, opinion FROM consultation WHERE study_uid = $1 ORDER BY asked_at";
    }
}

/// A rejection.
#[derive(Debug, Clone, Serialize)]
pub struct Rejection {
    /// Study Instance UID.
    pub study_uid: String,
    /// By whom.
    pub by: Person,
    /// ISO 8601.
    pub at: String,
    /// One of [`REJECT_REASONS`].
    pub reason_code: String,
    /// In Chinese.
    pub reason_text: &'static str,
    /// In the reader's words.
    pub note: Option<String>,
}

pub(crate) fn reason_text(code: &str) -> Option<&'static str> {
    REJECT_REASONS.iter().find(|r| r.0 == code).map(|r| r.1)
}

/// Sends a study back to its sender. A report that is written must be withdrawn first.
///
/// # Errors
/// `Invalid` without a known reason, `Conflict` once a report is submitted or issued, and as the policy says.
pub async fn reject(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    reason_code: &str,
    note: Option<&str>,
) -> Result<Rejection> {
    let access = prepare(reading, actor, Action::RejectStudy, study_uid).await?;
    let sender = access.study.institution_id;
    let text = reason_text(reason_code);
    let note = note.map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned);
    let new = NewRejection {
        by: actor.user.clone(),
        institution: actor.institution_id(),
        at: UnixMicros::now(),
        reason_code: reason_code.to_owned(),
        note: note.clone(),
    };
    let at = new.at.to_iso8601();
    apply(reading, access, move |tx, study| {
        Box::pin(async move { put_rejection(tx, study, &new).await })
    })
    .await?;
    let concerned = [sender, actor.institution_id()];
    publish(
        reading,
        Kind::Report,
        study_uid,
        &concerned,
        serde_json::json!({"status": "rejected"}),
    );
    Ok(Rejection {
        study_uid: study_uid.to_owned(),
        by: actor.person(),
        at,
        reason_code: reason_code.to_owned(),
        reason_text: text.unwrap_or_default(),
        note,
    })
}

struct NewRejection {
    by: String,
    institution: archive::InstitutionId,
    at: UnixMicros,
    reason_code: String,
    note: Option<String>,
}

async fn put_rejection(tx: &mut Tx, study: &StudyFacts, new: &NewRejection) -> Result<()> {
    let (uid, code) = (&study.study_uid, &new.reason_code);
    if reason_text(code).is_none() {
        return Err(ReadingError::invalid(
            "reason_code",
            "请选退回原因",
            "is not a known reason",
        ));
    }
    if new
        .note
        .as_deref()
        .is_some_and(|n| n.chars().count() > TEXT_CHARS_MAX)
    {
        return Err(ReadingError::invalid(
            "note",
            "超过 2000 字",
            "longer than 2,000 characters",
        ));
    }
    if study.report_state == State::Submitted || study.report_state.is_issued() {
        return Err(ReadingError::conflict(
            "报告已提交或签发，不能质控退回",
            "The report is submitted or signed; the study cannot go back",
        ));
    }
    crate::claim::not_held_by_another(tx, uid, &new.by).await?;
    crate::worklist::ensure(tx, uid).await?;
    let row = params![uid, study.institution_id, &new.by, new.at, code, &new.note];
    tx.execute(sql::REJECT, row).await?;
    tx.execute(sql::ITEM_REJECTED, params![uid]).await?;
    crate::claim::end(tx, uid).await?;
    crate::report::log_event(
        tx,
        uid,
        new.at.0,
        "rejected",
        &new.by,
        new.institution,
        Some(code),
    )
    .await
}

async fn read_rejection(reading: &Reading, row: &archive::db::Row) -> Result<Rejection> {
    let reason_code = row.text("reason_code")?;
    Ok(Rejection {
        study_uid: row.text("study_uid")?,
        by: reading.person(&row.text("rejected_by")?).await?,
        at: row.micros("rejected_at")?.to_iso8601(),
        reason_text: reason_text(&reason_code).unwrap_or_default(),
        reason_code,
        note: row.opt_text("note")?,
    })
}

/// Why a study came back the last time.
pub(crate) async fn last_rejection(reading: &Reading, study_uid: &str) -> Result<Option<Rejection>> {
    match reading
        .archive()
        .db()
        .fetch_optional(sql::LAST_REJECTION, params![study_uid])
        .await?
    {
        Some(row) => read_rejection(reading, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Studies of the actor's institution that came back, newest first.
///
/// # Errors
/// As the policy says.
pub async fn rejections(reading: &Reading, actor: &Actor) -> Result<Vec<Rejection>> {
    crate::access::guard_global(reading, actor, Action::ListOrders).await?;
    let mut list = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::REJECTIONS, params![actor.institution_id()])
        .await?
    {
        list.push(read_rejection(reading, &row).await?);
    }
    Ok(list)
}

/// A second opinion asked or given.
#[derive(Debug, Clone, Serialize)]
pub struct Consultation {
    /// Identifier.
    pub id: String,
    /// Study Instance UID.
    pub study_uid: String,
    /// Who asked.
    pub asked_by: Person,
    /// ISO 8601.
    pub asked_at: String,
    /// Whom; anybody who may consult when left out.
    pub invited: Option<Person>,
    /// What.
    pub question: String,
    /// Who answered.
    pub answered_by: Option<Person>,
    /// ISO 8601.
    pub answered_at: Option<String>,
    /// Their opinion; it never changes the report.
    pub opinion: Option<String>,
}

/// A question or an answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ConsultInput {
    /// The question.
    #[serde(default, alias = "text")]
    pub question: String,
    /// Account to be asked.
    #[serde(default)]
    pub invited: Option<String>,
}

fn needed(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(ReadingError::invalid(
            field,
            "1 到 2000 字",
            "1 to 2,000 characters are needed",
        ));
    }
    Ok(text.to_owned())
}

/// Asks for a second opinion.
///
/// # Errors
/// `Invalid`, and as the policy says.
pub async fn consult(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    input: ConsultInput,
) -> Result<Consultation> {
    let access = prepare(reading, actor, Action::Consult, study_uid).await?;
    let (id, me) = (secret::id()?, actor.user.clone());
    let key = id.clone();
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let question = needed("question", &input.question)?;
            let row = params![
                &key,
                &study.study_uid,
                &me,
                UnixMicros::now(),
                &input.invited,
                question
            ];
            Ok(tx.execute(sql::ASK, row).await.map(drop)?)
        })
    })
    .await?;
    find(reading, study_uid, &id).await
}

/// Gives an opinion.
///
/// # Errors
/// `Conflict` when it was answered already, `Invalid`, and as the policy says.
pub async fn answer(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    id: &str,
    opinion: &str,
) -> Result<Consultation> {
    let access = prepare(reading, actor, Action::Consult, study_uid).await?;
    let (me, key, opinion) = (actor.user.clone(), id.to_owned(), needed("opinion", opinion));
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let row = params![&key, &study.study_uid, &me, UnixMicros::now(), opinion?];
            match tx.execute(sql::ANSWER, row).await? {
                0 => Err(ReadingError::conflict(
                    "会诊不存在或已答复",
                    "There is no such question, or it is answered",
                )),
                _ => Ok(()),
            }
        })
    })
    .await?;
    find(reading, study_uid, id).await
}

async fn find(reading: &Reading, study_uid: &str, id: &str) -> Result<Consultation> {
    let found = all(reading, study_uid).await?.into_iter().find(|c| c.id == id);
    found.ok_or_else(|| ReadingError::not_found("没有这次会诊", "There is no such consultation"))
}

async fn all(reading: &Reading, study_uid: &str) -> Result<Vec<Consultation>> {
    let mut list = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::CONSULTATIONS, params![study_uid])
        .await?
    {
        list.push(Consultation {
            id: row.text("id")?,
            study_uid: row.text("study_uid")?,
            asked_by: reading.person(&row.text("asked_by")?).await?,
            asked_at: row.micros("asked_at")?.to_iso8601(),
            invited: reading.person_opt(row.opt_text("invited")?.as_deref()).await?,
            question: row.text("question")?,
            answered_by: reading
                .person_opt(row.opt_text("answered_by")?.as_deref())
                .await?,
            answered_at: row.opt_micros("answered_at")?.map(UnixMicros::to_iso8601),
            opinion: row.opt_text("opinion")?,
        });
    }
    Ok(list)
}

/// The consultations of a study.
///
/// # Errors
/// As the policy says.
pub async fn consultations(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<Vec<Consultation>> {
    crate::access::guard(reading, actor, Action::Consult, study_uid).await?;
    all(reading, study_uid).await
}
