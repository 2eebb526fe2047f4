//! 危急值: raised, told, acknowledged, acted on, closed; each step with its time and person, only in this order.

use archive::db::Row;
use archive::{InstitutionId, UnixMicros, params};
use serde::{Deserialize, Serialize};

use crate::access::guard::{apply, prepare};
use crate::access::{Action, decide, guard_query};
use crate::actor::{Actor, Person};
use crate::context::{PatientView, StudyContext};
use crate::error::{ReadingError, Result};
use crate::events::{Kind, publish};
use crate::goals::{CRITICAL_ACKNOWLEDGE_MIN, CRITICAL_ACT_MIN, CRITICAL_CLOSE_MIN, CRITICAL_NOTIFY_MIN};
use crate::secret;
use crate::service::Reading;

const TEXT_CHARS_MAX: usize = 500;
const LIST_ROWS_MAX: i64 = 500;
const MINUTE_US: i64 = 60 * 1_000_000;

/// Where a critical value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriticalState {
    /// Found by the reader.
    Raised,
    /// The treating side was told.
    Notified,
    /// The treating side has read it back.
    Acknowledged,
    /// Something was done.
    Acted,
    /// Done with.
    Closed,
}

/// A step of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriticalStep {
    /// The reader tells the treating side.
    Notify,
    /// The treating side confirms.
    Acknowledge,
    /// The treating side acts.
    Act,
    /// Either side closes the record.
    Close,
}

impl CriticalState {
    const ALL: [CriticalState; 5] = [
        CriticalState::Raised,
        CriticalState::Notified,
        CriticalState::Acknowledged,
        CriticalState::Acted,
        CriticalState::Closed,
    ];

    /// The word in JSON and in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CriticalState::Raised => "raised",
            CriticalState::Notified => "notified",
            CriticalState::Acknowledged => "acknowledged",
            CriticalState::Acted => "acted",
            CriticalState::Closed => "closed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<CriticalState> {
        CriticalState::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// The state after a step; `None` when the step is not the next one.
    #[must_use]
    pub const fn after(self, step: CriticalStep) -> Option<CriticalState> {
        match (self, step) {
            (CriticalState::Raised, CriticalStep::Notify) => Some(CriticalState::Notified),
            (CriticalState::Notified, CriticalStep::Acknowledge) => Some(CriticalState::Acknowledged),
            (CriticalState::Acknowledged, CriticalStep::Act) => Some(CriticalState::Acted),
            (CriticalState::Acted, CriticalStep::Close) => Some(CriticalState::Closed),
            _ => None,
        }
    }
}

impl CriticalStep {
    /// Reads the last word of the path.
    #[must_use]
    pub fn parse(text: &str) -> Option<CriticalStep> {
        Some(match text {
            "notify" => CriticalStep::Notify,
            "acknowledge" => CriticalStep::Acknowledge,
            "act" => CriticalStep::Act,
            "close" => CriticalStep::Close,
            _ => return None,
        })
    }

    const fn event(self) -> &'static str {
        match self {
            CriticalStep::Notify => "critical_notified",
            CriticalStep::Acknowledge => "critical_acknowledged",
            CriticalStep::Act => "critical_acted",
            CriticalStep::Close => "critical_closed",
        }
    }
}

/// What a reader raises.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RaiseInput {
    /// Code of the list of critical values, or an own word.
    #[serde(default)]
    pub item_code: String,
    /// What was seen.
    #[serde(default)]
    pub text: String,
    /// Where it is seen: image, series, lead.
    #[serde(default)]
    pub evidence: Option<String>,
}

/// What comes with a step.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StepInput {
    /// Who was told.
    #[serde(default)]
    pub person: Option<String>,
    /// phone, system, in person.
    #[serde(default)]
    pub channel: Option<String>,
    /// Their telephone.
    #[serde(default)]
    pub phone: Option<String>,
    /// 复述确认.
    #[serde(default)]
    pub read_back: Option<bool>,
    /// What was done.
    #[serde(default)]
    pub text: Option<String>,
    /// Anything else.
    #[serde(default)]
    pub note: Option<String>,
}

/// Whom the reader told, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Notification {
    /// Who was told.
    pub person: String,
    /// phone, system, in person.
    pub channel: Option<String>,
    /// Their telephone.
    pub phone: Option<String>,
    /// 复述确认.
    pub read_back: bool,
}

/// A critical value with all its steps.
#[derive(Debug, Clone, Serialize)]
pub struct CriticalRecord {
    /// Identifier.
    pub id: String,
    /// Study Instance UID.
    pub study_uid: String,
    /// The patient.
    pub patient: PatientView,
    /// Where it was taken.
    pub institution: crate::account::InstitutionView,
    /// Modality.
    pub modality: String,
    /// Name of the exam item.
    pub item_name: String,
    /// Code.
    pub item_code: String,
    /// What was seen.
    pub text: String,
    /// Where.
    pub evidence: Option<String>,
    /// Where it stands.
    pub state: CriticalState,
    /// ISO 8601.
    pub raised_at: String,
    /// The reader.
    pub raised_by: Person,
    /// ISO 8601.
    pub notified_at: Option<String>,
    /// The reader who told it.
    pub notified_by: Option<Person>,
    /// Whom and how.
    pub notification: Option<Notification>,
    /// ISO 8601.
    pub acknowledged_at: Option<String>,
    /// The clinician.
    pub acknowledged_by: Option<Person>,
    /// Their words.
    pub acknowledged_note: Option<String>,
    /// ISO 8601.
    pub acted_at: Option<String>,
    /// The clinician.
    pub acted_by: Option<Person>,
    /// What was done.
    pub acted_text: Option<String>,
    /// ISO 8601.
    pub closed_at: Option<String>,
    /// Who closed it.
    pub closed_by: Option<Person>,
    /// Their words.
    pub closed_note: Option<String>,
    /// When the next step is due, ISO 8601; none when closed.
    pub due_at: Option<String>,
    /// Whether that is over.
    pub overdue: bool,
}

archive::statements! {
    mod sql {
        INSERT = "INSERT INTO critical_value (id, study_uid, institution_id, item_code, item_text, evidence, state, raised_at, raised_by) VALUES ($1, $2, $3, $4, $5, $6, 'raised', $7, $8)";
        COUNT = "UPDATE reading_item SET critical_open = (SELECT COUNT(*) FROM critical_value v WHERE v.study_uid = reading_item.study_uid AND v.state <> 'closed') WHERE study_uid = $1";
        STATE = "SELECT study_uid, state, raised_by, raised_at, notified_at, acknowledged_at, acted_at FROM critical_value WHERE id = $1";
        NOTIFY = "UPDATE critical_value SET state = 'notified', notified_at = $2, notified_by = $3, notified_detail = $4 WHERE id = $1 AND state = 'raised'";
        ACKNOWLEDGE = "UPDATE critical_value SET state = 'acknowledged', acknowledged_at = $2, acknowledged_by = $3, acknowledged_note = $4 WHERE id = $1 AND state = 'notified'";
        ACT = "UPDATE critical_value SET state = 'acted', acted_at = $2, acted_by = $3, acted_text = $4 WHERE id = $1 AND state = 'acknowledged'";
        CLOSE = "UPDATE critical_value SET state = 'closed', closed_at = $2, closed_by = $3, closed_note = $4 WHERE id = $1 AND state = 'acted'";
        ONE = crate::context::context_sql!(", v.* FROM critical_value v JOIN study s ON s.study_uid = v.study_uid JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id WHERE v.id = $1");
    }
}

fn no_record() -> ReadingError {
    ReadingError::not_found(
        "没有这条危急值，或无权查看",
        "There is no such critical value, or none that you may see",
    )
}

async fn read(reading: &Reading, row: &Row) -> Result<CriticalRecord> {
    let study = StudyContext::read(row)?;
    let at = |name: &str| row.opt_micros(name);
    let iso = |name: &str| Ok::<_, ReadingError>(at(name)?.map(UnixMicros::to_iso8601));
    let state = CriticalState::parse(&row.text("state")?).unwrap_or(CriticalState::Raised);
    let from = [
        at("raised_at")?,
        at("notified_at")?,
        at("acknowledged_at")?,
        at("acted_at")?,
    ];
    let due = due_at(state, from.map(|t| t.map_or(0, |t| t.0)));
    let by = async |name: &str| reading.person_opt(row.opt_text(name)?.as_deref()).await;
    Ok(CriticalRecord {
        id: row.text("id")?,
        patient: study.patient_view(),
        institution: (&reading.institution(study.institution_id).await?).into(),
        modality: study.modality.clone(),
        item_name: study.item_name(),
        item_code: row.text("item_code")?,
        text: row.text("item_text")?,
        evidence: row.opt_text("evidence")?,
        state,
        raised_at: row.micros("raised_at")?.to_iso8601(),
        raised_by: reading.person(&row.text("raised_by")?).await?,
        notified_at: iso("notified_at")?,
        notified_by: by("notified_by").await?,
        notification: row
            .opt_text("notified_detail")?
            .and_then(|t| serde_json::from_str(&t).ok()),
        acknowledged_at: iso("acknowledged_at")?,
        acknowledged_by: by("acknowledged_by").await?,
        acknowledged_note: row.opt_text("acknowledged_note")?,
        acted_at: iso("acted_at")?,
        acted_by: by("acted_by").await?,
        acted_text: row.opt_text("acted_text")?,
        closed_at: iso("closed_at")?,
        closed_by: by("closed_by").await?,
        closed_note: row.opt_text("closed_note")?,
        due_at: due.map(|t| UnixMicros(t).to_iso8601()),
        overdue: due.is_some_and(|t| t < UnixMicros::now().0),
        study_uid: study.study_uid,
    })
}

/// When the next step is due, from the times of raised, notified, acknowledged and acted.
fn due_at(state: CriticalState, [raised, notified, acknowledged, _acted]: [i64; 4]) -> Option<i64> {
    match state {
        CriticalState::Raised => Some(raised + CRITICAL_NOTIFY_MIN * MINUTE_US),
        CriticalState::Notified => Some(notified + CRITICAL_ACKNOWLEDGE_MIN * MINUTE_US),
        CriticalState::Acknowledged => Some(acknowledged + CRITICAL_ACT_MIN * MINUTE_US),
        CriticalState::Acted => Some(raised + CRITICAL_CLOSE_MIN * MINUTE_US),
        CriticalState::Closed => None,
    }
}

fn bounded(field: &'static str, text: Option<&str>, needed: bool) -> Result<Option<String>> {
    let text = text.map(str::trim).filter(|t| !t.is_empty());
    if text.is_some_and(|t| t.chars().count() > TEXT_CHARS_MAX) {
        return Err(ReadingError::invalid(
            field,
            "超过 500 字",
            "longer than 500 characters",
        ));
    }
    if needed && text.is_none() {
        return Err(ReadingError::invalid(field, "不能为空", "must not be empty"));
    }
    Ok(text.map(str::to_owned))
}

/// Raises a critical value.
///
/// # Errors
/// `Invalid`, and as the policy says.
pub async fn raise(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    input: RaiseInput,
) -> Result<CriticalRecord> {
    let access = prepare(reading, actor, Action::RaiseCritical, study_uid).await?;
    let institution = access.study.institution_id;
    let id = secret::id()?;
    let (me, mine, key) = (actor.user.clone(), actor.institution_id(), id.clone());
    apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let code = bounded("item_code", Some(&input.item_code), true)?;
            let text = bounded("text", Some(&input.text), true)?;
            let evidence = bounded("evidence", input.evidence.as_deref(), false)?;
            let now = UnixMicros::now();
            crate::worklist::ensure(tx, &study.study_uid).await?;
            let row = params![
                &key,
                &study.study_uid,
                study.institution_id,
                code,
                text,
                evidence,
                now,
                &me
            ];
            tx.execute(sql::INSERT, row).await?;
            tx.execute(sql::COUNT, params![&study.study_uid]).await?;
            crate::report::log_event(tx, &study.study_uid, now.0, "critical_raised", &me, mine, None).await
        })
    })
    .await?;
    tell(reading, actor, institution, study_uid, &id, CriticalState::Raised);
    one(reading, &id).await
}

fn tell(
    reading: &Reading,
    actor: &Actor,
    sender: InstitutionId,
    study_uid: &str,
    id: &str,
    state: CriticalState,
) {
    let data = serde_json::json!({"id": id, "state": state});
    publish(
        reading,
        Kind::CriticalValue,
        study_uid,
        &[sender, actor.institution_id()],
        data,
    );
}

async fn one(reading: &Reading, id: &str) -> Result<CriticalRecord> {
    let row = reading
        .archive()
        .db()
        .fetch_optional(sql::ONE, params![id])
        .await?;
    read(reading, &row.ok_or_else(no_record)?).await
}

/// A critical value.
///
/// # Errors
/// `NotFound`, and as the policy says.
pub async fn get(reading: &Reading, actor: &Actor, id: &str) -> Result<CriticalRecord> {
    let record = one(reading, id).await?;
    crate::access::guard(reading, actor, Action::ViewCritical, &record.study_uid).await?;
    Ok(record)
}

/// Who may take a step: the reading side tells, the treating side answers, both may close.
fn action_of(actor: &Actor, step: CriticalStep, subject: &crate::access::Subject) -> Action {
    let answers = decide(actor.roles, Action::AnswerCritical, subject).allowed();
    match step {
        CriticalStep::Notify => Action::RaiseCritical,
        CriticalStep::Close if !answers => Action::RaiseCritical,
        CriticalStep::Acknowledge | CriticalStep::Act | CriticalStep::Close => Action::AnswerCritical,
    }
}

/// Takes the next step of the loop.
///
/// # Errors
/// `Conflict` out of order or when the raiser acknowledges, `Invalid`, and as the policy says.
pub async fn advance(
    reading: &Reading,
    actor: &Actor,
    id: &str,
    step: CriticalStep,
    input: StepInput,
) -> Result<CriticalRecord> {
    let before = one(reading, id).await?;
    let subject = crate::access::load_subject(reading, actor.institution_id(), &before.study_uid).await?;
    let action = action_of(actor, step, &subject.unwrap_or(crate::access::Subject::STRANGE));
    let access = prepare(reading, actor, action, &before.study_uid).await?;
    let institution = access.study.institution_id;
    let (me, mine, key) = (actor.user.clone(), actor.institution_id(), id.to_owned());
    let state = apply(reading, access, move |tx, study| {
        Box::pin(async move {
            let row = tx
                .fetch_optional(sql::STATE, params![&key])
                .await?
                .ok_or_else(no_record)?;
            let out_of_order = || {
                ReadingError::conflict(
                    "危急值须按 通知、确认、处置、关闭 的顺序办理",
                    "The steps are notify, acknowledge, act, close, in this order",
                )
            };
            let state = CriticalState::parse(&row.text("state")?).unwrap_or(CriticalState::Closed);
            let next = state.after(step).ok_or_else(out_of_order)?;
            if step == CriticalStep::Acknowledge && row.text("raised_by")? == me {
                return Err(ReadingError::conflict(
                    "上报人不能自己确认",
                    "The one who raised it cannot acknowledge it",
                ));
            }
            // Times of a record never run backwards, whatever the clock does.
            let last = ["raised_at", "notified_at", "acknowledged_at", "acted_at"];
            let mut now = UnixMicros::now().0;
            for name in last {
                now = now.max(row.opt_int(name)?.unwrap_or(0));
            }
            let (statement, detail) = detail(step, &input)?;
            if tx.execute(statement, params![&key, now, &me, detail]).await? == 0 {
                return Err(out_of_order());
            }
            tx.execute(sql::COUNT, params![&study.study_uid]).await?;
            crate::report::log_event(tx, &study.study_uid, now, step.event(), &me, mine, None).await?;
            Ok(next)
        })
    })
    .await?;
    tell(reading, actor, institution, &before.study_uid, id, state);
    one(reading, id).await
}

fn detail(step: CriticalStep, input: &StepInput) -> Result<(&'static str, Option<String>)> {
    let free = || input.note.as_deref().or(input.text.as_deref());
    Ok(match step {
        CriticalStep::Notify => {
            let notification = Notification {
                person: bounded("person", input.person.as_deref(), true)?.unwrap_or_default(),
                channel: bounded("channel", input.channel.as_deref(), false)?,
                phone: bounded("phone", input.phone.as_deref(), false)?,
                read_back: input.read_back.unwrap_or(false),
            };
            let text =
                serde_json::to_string(&notification).map_err(|_| ReadingError::Internal("notification"))?;
            (sql::NOTIFY, Some(text))
        }
        CriticalStep::Acknowledge => (sql::ACKNOWLEDGE, bounded("note", free(), false)?),
        CriticalStep::Act => (
            sql::ACT,
            bounded("text", input.text.as_deref().or(input.note.as_deref()), true)?,
        ),
        CriticalStep::Close => (sql::CLOSE, bounded("note", free(), false)?),
    })
}

/// Critical values that the actor may see, newest first; audited as a query.
///
/// # Errors
/// `Invalid` for an unknown state, and as the policy says.
pub async fn list(reading: &Reading, actor: &Actor, state: Option<&str>) -> Result<Vec<CriticalRecord>> {
    guard_query(reading, actor, Action::ReadWorklist, None).await?;
    let wrong = || ReadingError::invalid("state", "没有这个状态", "is not a state");
    let mut params: Vec<archive::db::Value> = vec![actor.institution_id().into(), UnixMicros::now().into()];
    let scope = if actor.is_reader() {
        "v.institution_id IN (SELECT a.sender_id FROM reading_agreement a WHERE a.reader_id = $1 AND a.valid_from <= $2 AND (a.valid_to IS NULL OR a.valid_to > $2))"
    } else {
        "v.institution_id = $1 AND $2 > 0"
    };
    let mut text = format!(
        "{} WHERE {scope}",
        crate::context::context_sql!(
            ", v.* FROM critical_value v JOIN study s ON s.study_uid = v.study_uid JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id"
        )
    );
    match state {
        None | Some("") => {}
        Some("open") => text.push_str(" AND v.state <> 'closed'"),
        Some(word) => {
            params.push(CriticalState::parse(word).ok_or_else(wrong)?.as_str().into());
            text.push_str(" AND v.state = $3");
        }
    }
    text.push_str(&format!(" ORDER BY v.raised_at DESC, v.id LIMIT {LIST_ROWS_MAX}"));
    let mut list = Vec::new();
    for row in reading.archive().db().fetch_dynamic(text, params).await? {
        list.push(read(reading, &row).await?);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_have_one_order() {
        let steps = [
            CriticalStep::Notify,
            CriticalStep::Acknowledge,
            CriticalStep::Act,
            CriticalStep::Close,
        ];
        for (i, state) in CriticalState::ALL.into_iter().enumerate() {
            for (j, step) in steps.into_iter().enumerate() {
                let expect = if i == j {
                    CriticalState::ALL.get(i + 1).copied()
                } else {
                    None
                };
                assert_eq!(state.after(step), expect, "{state:?} {step:?}");
            }
            assert_eq!(CriticalState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn each_state_has_its_clock() {
        let times = [0, 10 * MINUTE_US, 15 * MINUTE_US, 20 * MINUTE_US];
        let check = |state, minutes: Option<i64>| {
            assert_eq!(due_at(state, times), minutes.map(|m| m * MINUTE_US), "{state:?}")
        };
        check(CriticalState::Raised, Some(10));
        check(CriticalState::Notified, Some(20));
        check(CriticalState::Acknowledged, Some(45));
        check(CriticalState::Acted, Some(360));
        check(CriticalState::Closed, None);
    }
}
