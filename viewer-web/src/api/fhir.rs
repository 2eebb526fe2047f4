//! FHIR R4: read and search of what belongs to a report.

use crate::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use reading::ReadingError;
use reading::exchange::{self, StudyResource};
use reading::renditions::fhir;
use reading::trail::TrailFilter;
use serde::Deserialize;
use serde_json::Value;

/// Media type of every answer.
const FHIR_JSON: &str = "application/fhir+json";
/// Rows of an AuditEvent search when nothing is said.
const PAGE_EVENTS: u32 = 100;

/// Types and their search parameters.
const OFFERED: &[(&str, &[(&str, &str)])] = &[
    ("Patient", &[("_id", "token")]),
    ("ServiceRequest", &[("identifier", "token")]),
    ("ImagingStudy", &[("identifier", "token")]),
    (
        "DiagnosticReport",
        &[
            ("identifier", "token"),
            ("study", "token"),
            ("imaging-study", "reference"),
        ],
    ),
    ("Observation", &[("study", "token"), ("identifier", "token")]),
    ("Task", &[("focus", "reference"), ("identifier", "token")]),
    (
        "AuditEvent",
        &[("date", "date"), ("study", "token"), ("agent-name", "string")],
    ),
];

pub(super) fn routes() -> Vec<Route> {
    let fhir = |route: Route| route.response_as(FHIR_JSON, shape::any());
    let search = |route: Route| {
        let names = [
            ("identifier", "study UID or accession number"),
            ("study", "study UID"),
            ("imaging-study", "study UID"),
        ];
        names.into_iter().fold(fhir(route), |route, (name, about)| {
            route.query(name, shape::text(), about)
        })
    };
    vec![
        fhir(Route::get("/fhir/metadata", "What this server offers", metadata)),
        fhir(Route::get("/fhir/Patient", "Patients by id", patients)).query(
            "_id",
            shape::text(),
            "patient id",
        ),
        fhir(Route::get("/fhir/Patient/{id}", "A patient", patient)),
        search(Route::get("/fhir/DiagnosticReport", "Issued reports", reports)),
        fhir(Route::get(
            "/fhir/DiagnosticReport/{id}",
            "The issued report of a study",
            report,
        )),
        search(Route::get(
            "/fhir/Observation",
            "Findings and impressions of issued reports",
            observations,
        )),
        search(Route::get("/fhir/ImagingStudy", "Studies", studies)),
        fhir(Route::get("/fhir/ImagingStudy/{id}", "A study", study)),
        search(Route::get("/fhir/Task", "The reading of studies", tasks)).query(
            "focus",
            shape::text(),
            "ImagingStudy/UID",
        ),
        fhir(Route::get("/fhir/Task/{id}", "The reading of a study", task)),
        search(Route::get(
            "/fhir/ServiceRequest",
            "Exam requests by accession number",
            orders,
        )),
        fhir(Route::get(
            "/fhir/ServiceRequest/{id}",
            "An exam request by accession number",
            order,
        )),
        fhir(Route::get(
            "/fhir/AuditEvent",
            "Rows of the audit trail, newest first",
            events,
        ))
        .query("date", shape::text(), "ge or lt and a time")
        .query("study", shape::text(), "study UID")
        .query("agent-name", shape::text(), "account"),
    ]
}

struct Fhir(Value);

impl IntoResponse for Fhir {
    fn into_response(self) -> Response {
        (
            [
                (header::CONTENT_TYPE, FHIR_JSON),
                (header::CACHE_CONTROL, "no-store"),
            ],
            self.0.to_string(),
        )
            .into_response()
    }
}

#[derive(Deserialize)]
struct Search {
    identifier: Option<String>,
    study: Option<String>,
    #[serde(rename = "imaging-study")]
    imaging_study: Option<String>,
    focus: Option<String>,
}

impl Search {
    fn value(self) -> Result<String, Problem> {
        let given = self
            .identifier
            .or(self.study)
            .or(self.imaging_study)
            .or(self.focus)
            .filter(|v| !v.is_empty());
        let missing = || {
            ReadingError::invalid(
                "identifier",
                "请给出检查 UID 或检查号",
                "a study UID or accession number is needed",
            )
        };
        Ok(given.ok_or_else(missing)?)
    }
}

fn bundle(app: &App, resources: Vec<Value>) -> Fhir {
    Fhir(fhir::bundle(&app.settings().public_base_url, resources))
}

async fn metadata(_: Signed) -> Fhir {
    Fhir(fhir::capability("2026-01-01", OFFERED))
}

async fn patient(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Fhir, Problem> {
    let id = id.parse().unwrap_or(-1);
    Ok(Fhir(exchange::patient(app.reading(), &actor, id).await?))
}

#[derive(Deserialize)]
struct PatientSearch {
    #[serde(rename = "_id")]
    id: Option<String>,
}

async fn patients(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<PatientSearch>,
) -> Result<Fhir, Problem> {
    let id = search.id.and_then(|id| id.parse().ok()).unwrap_or(-1);
    let found = match exchange::patient(app.reading(), &actor, id).await {
        Ok(found) => vec![found],
        Err(ReadingError::NotFound(_)) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    Ok(bundle(&app, found))
}

async fn reports(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<Search>,
) -> Result<Fhir, Problem> {
    let found = exchange::search_reports(app.reading(), &actor, &search.value()?).await?;
    Ok(bundle(&app, found))
}

async fn report(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Fhir, Problem> {
    Ok(Fhir(exchange::report(app.reading(), &actor, &id).await?))
}

/// The observations inside the reports, each under the identifier `STUDY.name`.
async fn observations(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<Search>,
) -> Result<Fhir, Problem> {
    let reports = exchange::search_reports(app.reading(), &actor, &search.value()?).await?;
    let contained = |report: &Value| {
        report
            .get("contained")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    Ok(bundle(&app, reports.iter().flat_map(contained).collect()))
}

async fn studies(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<Search>,
) -> Result<Fhir, Problem> {
    let value = search.value()?;
    let found = exchange::search_studies(app.reading(), &actor, &value, StudyResource::ImagingStudy).await?;
    Ok(bundle(&app, found))
}

async fn study(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Fhir, Problem> {
    Ok(Fhir(
        exchange::study(app.reading(), &actor, &id, StudyResource::ImagingStudy).await?,
    ))
}

async fn tasks(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<Search>,
) -> Result<Fhir, Problem> {
    let value = search.value()?;
    let found = exchange::search_studies(app.reading(), &actor, &value, StudyResource::Task).await?;
    Ok(bundle(&app, found))
}

async fn task(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Fhir, Problem> {
    Ok(Fhir(
        exchange::study(app.reading(), &actor, &id, StudyResource::Task).await?,
    ))
}

async fn orders(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<Search>,
) -> Result<Fhir, Problem> {
    let found = exchange::search_orders(app.reading(), &actor, &search.value()?).await?;
    Ok(bundle(&app, found))
}

async fn order(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Fhir, Problem> {
    let found = exchange::search_orders(app.reading(), &actor, &id).await?;
    Ok(Fhir(found.into_iter().next().ok_or_else(Problem::not_found)?))
}

#[derive(Deserialize)]
struct EventSearch {
    date: Option<String>,
    study: Option<String>,
    #[serde(rename = "agent-name")]
    agent_name: Option<String>,
}

async fn events(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(search): Query<EventSearch>,
) -> Result<Fhir, Problem> {
    let date = search.date.unwrap_or_default();
    let bound = |prefixes: [&str; 2]| {
        prefixes
            .iter()
            .find_map(|p| date.strip_prefix(p))
            .map(str::to_owned)
    };
    let filter = TrailFilter {
        from: bound(["ge", "gt"]),
        to: bound(["le", "lt"]),
        user: search.agent_name,
        study_uid: search.study.map(|s| exchange::identifier_value(&s).to_owned()),
        limit: PAGE_EVENTS,
        ..TrailFilter::default()
    };
    let page = reading::trail::search(app.reading(), &actor, filter).await?;
    Ok(bundle(&app, page.items.iter().map(fhir::audit_event).collect()))
}
