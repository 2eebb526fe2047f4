//! A patient over time and across institutions: what was taken, what it showed, whether it may be recognised.

use archive::db::{Row, Value};
use archive::{InstitutionId, PatientId, PersonId, UnixMicros, params};
use serde::Serialize;

use crate::access::{Action, Subject, decide, guard_patient, guard_query};
use crate::account::InstitutionView;
use crate::actor::Actor;
use crate::context::StudyContext;
use crate::error::{ReadingError, Result};
use crate::identity;
use crate::recognition::{self, Candidate, Decision, Scope, recognisable};
use crate::report::{HrMark, State};
use crate::service::Reading;
use crate::study::kind_of;

/// Studies of a timeline at most, newest first.
const TIMELINE_STUDIES_MAX: i64 = 500;
/// Patients of one page at most.
pub const PATIENTS_PAGE_MAX: u32 = 200;

archive::statements! {
    mod sql {
        // Everything of the person behind patient row $1 (or of that row alone), newest first.
        STUDIES = crate::context::context_sql!(", i.status AS i_status, i.positive AS i_positive, i.hr_scope AS i_scope, i.hr_valid_until AS i_until, \
            r.impression AS r_impression, r.state AS r_state, r.versions AS r_versions, s.has_waveform AS s_waveform, \
            CASE WHEN EXISTS (SELECT 1 FROM reading_agreement a WHERE a.reader_id = $2 AND a.sender_id = s.institution_id \
                AND a.valid_from <= $3 AND (a.valid_to IS NULL OR a.valid_to > $3)) THEN 1 ELSE 0 END AS reading \
            FROM patient q JOIN patient p ON p.person_id = q.person_id JOIN study s ON s.patient_id = p.id \
            LEFT JOIN exam_order o ON o.id = s.order_id LEFT JOIN reading_item i ON i.study_uid = s.study_uid \
            LEFT JOIN report r ON r.study_uid = s.study_uid WHERE q.id = $1 ORDER BY s.received_first_at DESC LIMIT $4");
        TREATING = "SELECT CASE WHEN EXISTS (SELECT 1 FROM patient q JOIN patient p ON p.person_id = q.person_id JOIN exam_order t ON t.patient_id = p.id \
            WHERE q.id = $1 AND t.institution_id = $2) OR EXISTS (SELECT 1 FROM patient q JOIN patient p ON p.person_id = q.person_id \
            JOIN study t ON t.patient_id = p.id WHERE q.id = $1 AND t.institution_id = $2) THEN 1 ELSE 0 END AS treating";
        READER = "SELECT reader_id FROM reading_agreement WHERE sender_id = $1 AND valid_from <= $2 AND (valid_to IS NULL OR valid_to > $2) ORDER BY reader_id LIMIT 1";
    }
}

/// One exam of a timeline.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineItem {
    /// Study Instance UID.
    pub study_uid: String,
    /// When it was taken, ISO 8601.
    pub at: String,
    /// Modality.
    pub modality: String,
    /// Name of the exam item.
    pub item_name: String,
    /// Code of the exam item.
    pub item_code: Option<String>,
    /// Body part examined.
    pub body_part: Option<String>,
    /// Where it was taken.
    pub institution: InstitutionView,
    /// Where it is read.
    pub reading_institution: Option<InstitutionView>,
    /// State of the report.
    pub status: State,
    /// Something abnormal was found.
    pub positive: Option<bool>,
    /// 诊断.
    pub impression: Option<String>,
    /// Latest version.
    pub report_version: Option<i64>,
    /// Mark fixed at signing.
    pub hr_mark: Option<HrMark>,
    /// Whether the asker's institution may recognise it now.
    pub recognisable: bool,
    /// Why not, as a word.
    pub not_recognisable_reason: Option<recognition::Obstacle>,
    /// Why not, in Chinese.
    pub not_recognisable_text: Option<&'static str>,
    /// Decisions so far.
    pub recognition: Vec<Decision>,
    /// Number of objects.
    pub images: i64,
    /// Whether it holds an ECG.
    pub has_waveform: bool,
    /// What the asker may do.
    pub permissions: Vec<&'static str>,
}

/// The head of a timeline.
#[derive(Debug, Serialize)]
pub struct TimelinePatient {
    /// Row.
    pub id: String,
    /// Name.
    pub name: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// ISO 8601 date.
    pub birth_date: Option<String>,
    /// Age today.
    pub age_text: Option<String>,
    /// Numbers at the institutions that the asker may know of.
    pub identifiers: Vec<Identifier>,
    /// Resident identity number, hidden but for its ends.
    pub national_id_masked: Option<String>,
}

/// A patient's number at one institution.
#[derive(Debug, Serialize)]
pub struct Identifier {
    /// Institution.
    pub institution: InstitutionView,
    /// Number.
    pub identifier: String,
}

/// A patient with their exams, newest first.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Head.
    pub patient: TimelinePatient,
    /// Exams that the asker may see.
    pub items: Vec<TimelineItem>,
}

/// A patient of a list.
#[derive(Debug, Serialize)]
pub struct PatientLine {
    /// Row.
    pub id: String,
    /// Name.
    pub name: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// ISO 8601 date.
    pub birth_date: Option<String>,
    /// Number.
    pub identifier: String,
    /// Whose patient.
    pub institution: InstitutionView,
    /// Studies at that institution.
    pub studies: i64,
    /// The newest, ISO 8601.
    pub last_study_at: Option<String>,
}

/// A page of patients.
#[derive(Debug, Serialize)]
pub struct PatientPage {
    /// Patients.
    pub items: Vec<PatientLine>,
    /// For the next page.
    pub next_cursor: Option<String>,
}

async fn item(reading: &Reading, actor: &Actor, row: &Row, treating: bool) -> Result<Option<TimelineItem>> {
    let study = StudyContext::read(row)?;
    let state = row
        .opt_text("r_state")?
        .and_then(|s| State::parse(&s))
        .unwrap_or(State::None);
    let subject = Subject {
        own: study.institution_id == actor.institution_id(),
        reading: row.bool("reading")?,
        treating,
        signed: matches!(state, State::Signed | State::Amended),
        kind: kind_of(&study.modality),
    };
    // What may not be opened is not even counted.
    if !decide(actor.roles, Action::ViewReport, &subject).allowed() {
        return Ok(None);
    }
    let scope = row.opt_text("i_scope")?.as_deref().and_then(Scope::parse);
    let until = row.opt_int("i_until")?;
    let candidate = Candidate {
        state,
        own: subject.own,
        mark: scope,
        valid_until: until.unwrap_or(i64::MAX),
    };
    let obstacle = recognisable(&candidate, UnixMicros::now().0).err();
    let reader = reading
        .archive()
        .db()
        .fetch_optional(sql::READER, params![study.institution_id, UnixMicros::now()])
        .await?;
    let reading_institution = match reader.map(|r| r.int("reader_id")).transpose()? {
        Some(id) => Some(InstitutionView::from(
            &reading.institution(InstitutionId(id)).await?,
        )),
        None => None,
    };
    let shows_text = state.is_issued() || decide(actor.roles, Action::ViewDraft, &subject).allowed();
    Ok(Some(TimelineItem {
        at: UnixMicros(study.study_at).to_iso8601(),
        modality: study.modality.clone(),
        item_name: study.item_name(),
        item_code: study.item_code(),
        body_part: study.body_part.clone(),
        institution: InstitutionView::from(&reading.institution(study.institution_id).await?),
        reading_institution,
        status: state,
        positive: row
            .opt_int("i_positive")?
            .map(|v| v != 0)
            .filter(|_| state.is_issued()),
        impression: row.opt_text("r_impression")?.filter(|_| shows_text),
        report_version: row.opt_int("r_versions")?.filter(|v| *v > 0),
        hr_mark: scope.map(|scope| HrMark {
            scope: scope.as_str().to_owned(),
            text: scope.mark().to_owned(),
            valid_until: until.map(|t| UnixMicros(t).to_iso8601()),
        }),
        recognisable: obstacle.is_none(),
        not_recognisable_reason: obstacle,
        not_recognisable_text: obstacle.map(|o| o.texts().0),
        recognition: recognition::decisions(reading, &study.study_uid).await?,
        images: study.instances,
        has_waveform: row.bool("s_waveform")?,
        permissions: crate::access::permissions_on(actor, &subject),
        study_uid: study.study_uid,
    }))
}

/// The exams of a patient that the actor may see, without an audit row of its own.
pub(crate) async fn visible(reading: &Reading, actor: &Actor, patient: i64) -> Result<Vec<TimelineItem>> {
    let db = reading.archive().db();
    let me = actor.institution_id();
    let treating = db
        .fetch_one(sql::TREATING, params![patient, me])
        .await?
        .bool("treating")?;
    let rows = db
        .fetch_all(
            sql::STUDIES,
            params![patient, me, UnixMicros::now(), TIMELINE_STUDIES_MAX],
        )
        .await?;
    let mut list = Vec::new();
    for row in &rows {
        list.extend(item(reading, actor, row, treating).await?);
    }
    Ok(list)
}

/// Everything of a patient that the actor may see, newest first.
///
/// # Errors
/// As the policy says.
pub async fn timeline(reading: &Reading, actor: &Actor, patient: i64) -> Result<Timeline> {
    guard_patient(reading, actor, Action::ViewPatient, patient).await?;
    let patients = reading.archive().patients();
    let head = patients.by_id(PatientId(patient)).await?;
    let items = visible(reading, actor, patient).await?;
    let mut identifiers = Vec::new();
    for row in patients.by_person(PersonId(head.person_id.0)).await? {
        let institution = InstitutionView::from(&reading.institution(row.institution_id).await?);
        // A number at another institution is known only through an exam that may be seen.
        let known = row.id == head.id
            || row.institution_id == actor.institution_id()
            || items.iter().any(|i| i.institution == institution);
        if known {
            identifiers.push(Identifier {
                institution,
                identifier: row.identifier,
            });
        }
    }
    let today = crate::context::local_day(UnixMicros::now().0);
    Ok(Timeline {
        patient: TimelinePatient {
            id: patient.to_string(),
            age_text: head
                .birth_date
                .as_deref()
                .and_then(|born| identity::age_text(born, &today)),
            birth_date: head.birth_date.as_deref().map(identity::to_iso_date),
            national_id_masked: head.national_id.as_deref().map(identity::mask_national_id),
            name: head.name,
            sex: head.sex,
            identifiers,
        },
        items,
    })
}

/// Exams that may be recognised instead of repeating `item`: the same item, or the same modality and body part.
///
/// # Errors
/// As the policy says.
pub async fn candidates(
    reading: &Reading,
    actor: &Actor,
    patient: i64,
    item: Option<&str>,
) -> Result<Vec<TimelineItem>> {
    guard_patient(reading, actor, Action::ViewPatient, patient).await?;
    let wanted = item.and_then(|code| crate::catalogue::items().iter().find(|i| i.code == code));
    let fits = |t: &TimelineItem| match (item, wanted) {
        (None, _) => true,
        (Some(code), known) => {
            t.item_code.as_deref() == Some(code)
                || known
                    .is_some_and(|i| i.modality == t.modality && Some(i.body_part) == t.body_part.as_deref())
        }
    };
    let all = visible(reading, actor, patient).await?;
    Ok(all.into_iter().filter(|t| t.recognisable && fits(t)).collect())
}

/// Which patients the actor may find: those of the own institution, for readers also those they read for.
fn patient_scope(actor: &Actor, params: &mut Vec<Value>) -> String {
    params.push(actor.institution_id().into());
    let me = params.len();
    if actor.is_reader() {
        params.push(UnixMicros::now().into());
        let at = params.len();
        return format!(
            "p.institution_id IN (SELECT a.sender_id FROM reading_agreement a WHERE a.reader_id = ${me} \
             AND a.valid_from <= ${at} AND (a.valid_to IS NULL OR a.valid_to > ${at}))"
        );
    }
    format!("p.institution_id = ${me}")
}

/// Exams of the person that the patient's institution knows of: its own, and those of others once they are signed.
const EXAMS: &str = "FROM study s JOIN patient q ON q.id = s.patient_id \
    LEFT JOIN reading_item r ON r.study_uid = s.study_uid \
    WHERE q.person_id = p.person_id AND (s.institution_id = p.institution_id OR r.signed_at IS NOT NULL)";

/// Patients whose name, pinyin or number begins with `q`, newest exam first without one. Audited as a query.
///
/// # Errors
/// `Invalid` for a bad cursor, and as the policy says.
pub async fn patients(
    reading: &Reading,
    actor: &Actor,
    q: Option<&str>,
    limit: u32,
    cursor: Option<&str>,
) -> Result<PatientPage> {
    guard_query(reading, actor, Action::SearchStudies, None).await?;
    let limit = limit.clamp(1, PATIENTS_PAGE_MAX);
    let mut params = Vec::new();
    let mut text = format!(
        "SELECT p.id, p.name, p.sex, p.birth_date, p.identifier, p.institution_id, \
         (SELECT COUNT(*) {EXAMS}) AS studies, (SELECT MAX(s.received_first_at) {EXAMS}) AS last_at \
         FROM patient p WHERE {}",
        patient_scope(actor, &mut params)
    );
    if let Some(q) = q.map(str::trim).filter(|q| !q.is_empty()) {
        let key = archive::name::search_key(q);
        let escape = |t: &str| t.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        params.push(format!("{}%", escape(&key)).into());
        let name = params.len();
        params.push(format!("{}%", escape(&key.replace(' ', ""))).into());
        let pinyin = params.len();
        params.push(q.into());
        let exact = params.len();
        text.push_str(&format!(
            " AND (p.name_key LIKE ${name} ESCAPE '\\' OR p.pinyin_key LIKE ${pinyin} ESCAPE '\\' \
             OR p.pinyin_initials LIKE ${pinyin} ESCAPE '\\' OR p.identifier = ${exact} OR p.national_id = ${exact})"
        ));
    }
    if let Some(cursor) = cursor {
        let wrong =
            |_| ReadingError::invalid("cursor", "请用上一页给出的值", "use the one of the page before");
        params.push(cursor.parse::<i64>().map_err(wrong)?.into());
        text.push_str(&format!(" AND p.id < ${}", params.len()));
    }
    params.push((limit + 1).into());
    text.push_str(&format!(" ORDER BY p.id DESC LIMIT ${}", params.len()));
    let rows = reading.archive().db().fetch_dynamic(text, params).await?;
    let more = rows.len() > limit as usize;
    let mut list = Vec::new();
    for row in rows.iter().take(limit as usize) {
        list.push(PatientLine {
            id: row.int("id")?.to_string(),
            name: row.text("name")?,
            sex: row.opt_text("sex")?,
            birth_date: row.opt_text("birth_date")?.as_deref().map(identity::to_iso_date),
            identifier: row.text("identifier")?,
            institution: InstitutionView::from(
                &reading
                    .institution(InstitutionId(row.int("institution_id")?))
                    .await?,
            ),
            studies: row.int("studies")?,
            last_study_at: row.opt_micros("last_at")?.map(UnixMicros::to_iso8601),
        });
    }
    let next_cursor = list.last().filter(|_| more).map(|p| p.id.clone());
    Ok(PatientPage {
        items: list,
        next_cursor,
    })
}
