//! Patients, their timeline, and recognition.

use super::{decision, hr_mark, institution};
use crate::App;
use crate::extract::{Json, Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use reading::ReadingError;
use reading::recognition::{Decision, Reason};
use reading::timeline::{PatientPage, Timeline};
use serde::Deserialize;
use serde_json::{Value, json};

/// Patients of a page when nothing is said.
const PAGE_PATIENTS: u32 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/patients", "Patients by name, pinyin or number", list)
            .query("q", shape::text(), "beginning of name or pinyin, or a number")
            .query("limit", shape::integer(), "items of a page, at most 200")
            .query("cursor", shape::text(), "next_cursor of the page before")
            .response(shape::page(line())),
        Route::get(
            "/api/patients/{id}/timeline",
            "Everything of a patient that the asker may see",
            timeline,
        )
        .response(shape::object([
            ("patient", head()),
            ("items", shape::list(item())),
        ])),
        Route::get(
            "/api/recognition/candidates",
            "Recognisable exams, before a repeat is ordered",
            candidates,
        )
        .query("patient", shape::text(), "patient id")
        .query(
            "item",
            shape::text(),
            "code of the exam item that would be ordered",
        )
        .response(shape::page(item())),
        Route::get(
            "/api/recognition/reasons",
            "The six reasons for not using a result",
            reasons,
        )
        .response(shape::page(shape::object([
            ("code", reason()),
            ("text_zh", shape::text()),
            ("text_en", shape::text()),
        ]))),
        Route::post(
            "/api/studies/{uid}/recognition",
            "Recognises or refuses a result of another institution",
            decide,
        )
        .request(shape::object([
            ("decision", shape::one_of(&["recognised", "refused"])),
            ("reason_code", reason().optional()),
            ("note", shape::text().optional()),
        ]))
        .response(decision()),
    ]
}

fn reason() -> Shape {
    let codes: Vec<&str> = Reason::ALL.iter().map(|r| r.code()).collect();
    shape::one_of(&codes)
}

fn line() -> Shape {
    shape::object([
        ("id", shape::text()),
        ("name", shape::text()),
        ("sex", shape::text().optional()),
        ("birth_date", shape::date().optional()),
        ("identifier", shape::text()),
        ("institution", institution()),
        ("studies", shape::integer()),
        ("last_study_at", shape::time().optional()),
    ])
}

fn head() -> Shape {
    shape::object([
        ("id", shape::text()),
        ("name", shape::text()),
        ("sex", shape::text().optional()),
        ("birth_date", shape::date().optional()),
        ("age_text", shape::text().optional()),
        (
            "identifiers",
            shape::list(shape::object([
                ("institution", institution()),
                ("identifier", shape::text()),
            ])),
        ),
        ("national_id_masked", shape::text().optional()),
    ])
}

fn item() -> Shape {
    shape::object([
        ("study_uid", shape::uid()),
        ("at", shape::time()),
        ("modality", shape::text()),
        ("item_name", shape::text()),
        ("item_code", shape::text().optional()),
        ("body_part", shape::text().optional()),
        ("institution", institution()),
        ("reading_institution", institution().optional()),
        ("status", shape::text()),
        ("positive", shape::boolean().optional()),
        ("impression", shape::text().optional()),
        ("report_version", shape::integer().optional()),
        ("hr_mark", hr_mark().optional()),
        ("recognisable", shape::boolean()),
        ("not_recognisable_reason", shape::text().optional()),
        ("not_recognisable_text", shape::text().optional()),
        ("recognition", shape::list(decision())),
        ("images", shape::integer()),
        ("has_waveform", shape::boolean()),
        ("permissions", shape::list(shape::text())),
    ])
}

#[derive(Deserialize)]
struct PatientQuery {
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(wanted): Query<PatientQuery>,
) -> Result<Json<PatientPage>, Problem> {
    let limit = wanted.limit.unwrap_or(PAGE_PATIENTS);
    let page = reading::timeline::patients(
        app.reading(),
        &actor,
        wanted.q.as_deref(),
        limit,
        wanted.cursor.as_deref(),
    );
    Ok(Json(page.await?))
}

/// A patient id that is no number is a patient that is not there.
fn patient_id(text: &str) -> i64 {
    text.parse().unwrap_or(-1)
}

async fn timeline(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Json<Timeline>, Problem> {
    Ok(Json(
        reading::timeline::timeline(app.reading(), &actor, patient_id(&id)).await?,
    ))
}

#[derive(Deserialize)]
struct CandidateQuery {
    patient: Option<String>,
    item: Option<String>,
}

async fn candidates(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(wanted): Query<CandidateQuery>,
) -> Result<Json<Value>, Problem> {
    let missing = || ReadingError::invalid("patient", "请指明患者", "a patient is needed");
    let patient = patient_id(&wanted.patient.ok_or_else(missing)?);
    let item = wanted.item.filter(|i| !i.is_empty());
    let items = reading::timeline::candidates(app.reading(), &actor, patient, item.as_deref()).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn reasons(_: Signed) -> Json<Value> {
    let items: Vec<Value> = Reason::ALL
        .iter()
        .map(|r| json!({"code": r.code(), "text_zh": r.texts().0, "text_en": r.texts().1}))
        .collect();
    Json(json!({"items": items, "next_cursor": null}))
}

#[derive(Deserialize)]
struct DecisionInput {
    #[serde(default)]
    decision: String,
    reason_code: Option<String>,
    note: Option<String>,
}

async fn decide(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(input): Json<DecisionInput>,
) -> Result<Json<Decision>, Problem> {
    let (reason, note) = (input.reason_code.as_deref(), input.note.as_deref());
    let done = reading::recognition::decide(app.reading(), &actor, &uid, &input.decision, reason, note);
    Ok(Json(done.await?))
}
