//! The page of one study: its line of the worklist, its series, its order, decisions, priors, and what may be done.

use archive::{UnixMicros, params};
use serde::Serialize;

use crate::access::{Action, guard, permissions_on};
use crate::account::InstitutionView;
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::recognition::{self, Decision};
use crate::report::HrMark;
use crate::service::Reading;
use crate::timeline;
use crate::worklist::{WorklistItem, enrich, item_sql};

/// Priors shown at most.
const PRIORS_MAX: usize = 50;

archive::statements! {
    mod sql {
        SERIES = "SELECT series_uid, modality, number, description, kind, instance_count, frame_count FROM series WHERE study_id = $1 ORDER BY number, id";
        MARK = "SELECT hr_scope, hr_valid_until FROM reading_item WHERE study_uid = $1";
    }
}

/// A series of the page.
#[derive(Debug, Serialize)]
pub struct SeriesLine {
    /// Series Instance UID.
    pub series_uid: String,
    /// Number.
    pub number: Option<i64>,
    /// Modality.
    pub modality: String,
    /// Description by the device.
    pub description: Option<String>,
    /// image, waveform, document, other.
    pub kind: String,
    /// Objects.
    pub instances: i64,
    /// Frames.
    pub frames: i64,
    /// Path of its small picture.
    pub thumbnail: String,
}

/// An earlier exam of the person.
#[derive(Debug, Serialize)]
pub struct Prior {
    /// Study Instance UID.
    pub study_uid: String,
    /// Modality.
    pub modality: String,
    /// Exam item.
    pub item_name: String,
    /// When it was taken, ISO 8601.
    pub study_at: String,
    /// Where.
    pub institution: InstitutionView,
    /// Whether its report is issued.
    pub signed: bool,
    /// 诊断.
    pub impression: Option<String>,
}

/// The page of one study.
#[derive(Debug, Serialize)]
pub struct StudyDetail {
    /// Its line.
    #[serde(flatten)]
    pub item: WorklistItem,
    /// Its series.
    pub series_list: Vec<SeriesLine>,
    /// Its order, when matched.
    pub order: Option<crate::order::OrderView>,
    /// Decisions so far.
    pub recognition: Vec<Decision>,
    /// Mark fixed at signing.
    pub hr_mark: Option<HrMark>,
    /// What the asker may do.
    pub permissions: Vec<&'static str>,
    /// Other exams of the person that the asker may see.
    pub priors_list: Vec<Prior>,
}

/// The words of the page for what may be done now: policy and state together.
fn page_permissions(actor: &Actor, access: &crate::access::Access, item: &WorklistItem) -> Vec<&'static str> {
    let words = permissions_on(actor, &access.subject);
    let allowed = |action: Action| words.contains(&action.as_str());
    let state = access.study.report_state;
    let mine = item.author.as_ref().is_some_and(|a| a.user == actor.user);
    let signed = access.subject.signed;
    let writing = !state.is_issued() && item.status != "submitted" && item.status != "rejected";
    let submitted = item.status == "submitted";
    let checks = [
        ("claim", allowed(Action::Claim) && !state.is_issued()),
        ("write", allowed(Action::WriteReport) && writing),
        ("submit", allowed(Action::WriteReport) && writing && mine),
        ("return", allowed(Action::SignReport) && submitted),
        ("sign", allowed(Action::SignReport) && submitted && !mine),
        ("amend", allowed(Action::AmendReport) && signed),
        ("recognise", allowed(Action::DecideRecognition) && signed),
        ("refuse", allowed(Action::DecideRecognition) && signed),
        ("critical.raise", allowed(Action::RaiseCritical)),
        ("critical.answer", allowed(Action::AnswerCritical)),
        ("share", allowed(Action::Share) && state.is_issued()),
        ("reject", allowed(Action::RejectStudy) && writing),
        ("consult", allowed(Action::Consult)),
        ("export", allowed(Action::ExportReport) && state.is_issued()),
    ];
    checks
        .into_iter()
        .filter(|(_, yes)| *yes)
        .map(|(word, _)| word)
        .collect()
}

/// The page of one study.
///
/// # Errors
/// As the policy says.
pub async fn study(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<StudyDetail> {
    let access = guard(reading, actor, Action::ViewImages, study_uid).await?;
    let db = reading.archive().db();
    let key = study_uid.to_owned();
    let ensured = db.write(move |tx| Box::pin(async move { crate::worklist::ensure(tx, &key).await }));
    ensured.await?;
    let sql = format!("{} WHERE i.study_uid = $1", item_sql());
    let rows = db.fetch_dynamic(sql, params![study_uid]).await?;
    let row = rows
        .first()
        .ok_or_else(|| ReadingError::not_found("没有找到这项检查", "There is no such study"))?;
    let item = enrich(reading, actor, row, UnixMicros::now().0).await?;
    let mut series_list = Vec::new();
    for row in db.fetch_all(sql::SERIES, params![access.study.id]).await? {
        let series_uid = row.text("series_uid")?;
        series_list.push(SeriesLine {
            thumbnail: format!("/dicomweb/studies/{study_uid}/series/{series_uid}/thumbnail"),
            number: row.opt_int("number")?,
            modality: row.text("modality")?,
            description: row.opt_text("description")?,
            kind: row.text("kind")?,
            instances: row.int("instance_count")?,
            frames: row.int("frame_count")?,
            series_uid,
        });
    }
    let mark = db.fetch_optional(sql::MARK, params![study_uid]).await?;
    let hr_mark = mark.map(|row| hr_mark(&row)).transpose()?.flatten();
    let permissions = page_permissions(actor, &access, &item);
    Ok(StudyDetail {
        order: crate::order::of_study(reading, study_uid).await?,
        recognition: recognition::decisions(reading, study_uid).await?,
        priors_list: priors(reading, actor, access.study.patient_id, study_uid).await?,
        item,
        series_list,
        hr_mark,
        permissions,
    })
}

fn hr_mark(row: &archive::db::Row) -> Result<Option<HrMark>> {
    let Some(scope) = row
        .opt_text("hr_scope")?
        .as_deref()
        .and_then(recognition::Scope::parse)
    else {
        return Ok(None);
    };
    Ok(Some(HrMark {
        scope: scope.as_str().to_owned(),
        text: scope.mark().to_owned(),
        valid_until: row.opt_micros("hr_valid_until")?.map(UnixMicros::to_iso8601),
    }))
}

async fn priors(reading: &Reading, actor: &Actor, patient: i64, study_uid: &str) -> Result<Vec<Prior>> {
    let all = timeline::visible(reading, actor, patient).await?;
    let others = all
        .into_iter()
        .filter(|t| t.study_uid != study_uid)
        .take(PRIORS_MAX);
    Ok(others
        .map(|t| Prior {
            signed: t.status.is_issued(),
            study_uid: t.study_uid,
            modality: t.modality,
            item_name: t.item_name,
            study_at: t.at,
            institution: t.institution,
            impression: t.impression,
        })
        .collect())
}
