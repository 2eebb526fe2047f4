//! The worklist, the page of a study, and the lease.

use super::{decision, hr_mark, institution, patient, person};
use crate::App;
use crate::extract::{Json, Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::StatusCode;
use reading::worklist::{Page, Tab, WorklistFilter};
use reading::{Claimed, Priority, ReadingError, StudyDetail};
use serde::Deserialize;

/// Items of a page when nothing is said.
const PAGE_ITEMS: u32 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/worklist",
            "Studies to be read, by urgency and due time",
            list,
        )
        .query(
            "tab",
            shape::one_of(&["to_write", "to_review", "critical", "mine", "done"]),
            "a tab of the page",
        )
        .query("status", shape::text(), "status words, separated by commas")
        .query("modality", shape::text(), "modality")
        .query("institution", shape::text(), "code of the sending institution")
        .query("priority", priority(), "urgency")
        .query("patient", shape::text(), "patient id")
        .query("from", shape::time(), "received not before")
        .query("to", shape::time(), "received before")
        .query(
            "q",
            shape::text(),
            "name, pinyin, number, accession number or study UID",
        )
        .query("limit", shape::integer(), "items of a page, at most 500")
        .query("cursor", shape::text(), "next_cursor of the page before")
        .response(page()),
        Route::get(
            "/api/studies/{uid}",
            "One study with its series, priors and what may be done",
            study,
        )
        .response(shape::any().about(
            "an item of the worklist with series_list, order, recognition, hr_mark, permissions, priors_list",
        )),
        Route::post(
            "/api/studies/{uid}/claim",
            "Takes or renews the lease on a study",
            claim,
        )
        .response(shape::object([("holder", holder())])),
        Route::delete("/api/studies/{uid}/claim", "Gives the lease back", release)
            .status(StatusCode::NO_CONTENT),
    ]
}

fn priority() -> Shape {
    shape::one_of(&["STAT", "URGENT", "ROUTINE", "SCREENING"])
}

fn holder() -> Shape {
    shape::object([
        ("user", shape::text()),
        ("display_name", shape::text()),
        ("since", shape::time()),
        ("until", shape::time()),
        ("mine", shape::boolean()),
    ])
}

fn page() -> Shape {
    let count = shape::integer;
    let counts = shape::object([
        ("to_write", count()),
        ("to_review", count()),
        ("critical", count()),
        ("mine", count()),
        ("done", count()),
    ]);
    shape::object([
        ("items", shape::list(item())),
        ("next_cursor", shape::text().optional()),
        ("counts", counts),
    ])
}

fn item() -> Shape {
    shape::object([
        ("study_uid", shape::uid()),
        ("accession_number", shape::text().optional()),
        ("status", shape::text()),
        ("priority", priority()),
        ("modality", shape::text()),
        ("modalities", shape::list(shape::text())),
        ("body_part", shape::text().optional()),
        ("item_code", shape::text().optional()),
        ("item_name", shape::text()),
        ("study_description", shape::text().optional()),
        ("patient", patient()),
        ("institution", institution()),
        ("requested_at", shape::time().optional()),
        ("study_at", shape::time()),
        ("received_at", shape::time()),
        ("waiting_s", shape::integer()),
        ("due_at", shape::time()),
        ("overdue", shape::boolean()),
        ("images", shape::integer()),
        ("series", shape::integer()),
        ("priors", shape::integer()),
        ("has_waveform", shape::boolean()),
        ("matched", shape::boolean()),
        ("critical", shape::object([("open", shape::integer())]).optional()),
        ("machine_flags", shape::list(shape::any())),
        ("acquisition", acquisition().optional()),
        ("claimed_by", holder().optional()),
        ("author", person().optional()),
        ("signer", person().optional()),
        ("report_status", shape::text()),
        ("clinical_history", shape::text().optional()),
        ("positive", shape::boolean().optional()),
        ("recognition", shape::list(decision()).optional()),
        ("hr_mark", hr_mark().optional()),
    ])
}

#[derive(Deserialize)]
struct Wanted {
    tab: Option<String>,
    status: Option<String>,
    modality: Option<String>,
    institution: Option<String>,
    priority: Option<String>,
    patient: Option<String>,
    from: Option<String>,
    to: Option<String>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.trim().is_empty())
}

impl Wanted {
    fn filter(self) -> Result<WorklistFilter, ReadingError> {
        let word = |field, zh, en| move || ReadingError::invalid(field, zh, en);
        let tab = filled(self.tab)
            .map(|t| Tab::parse(&t).ok_or_else(word("tab", "没有这个标签页", "is not a tab")))
            .transpose()?;
        let priority = filled(self.priority)
            .map(|p| Priority::parse(&p).ok_or_else(word("priority", "没有这个优先级", "is not a priority")))
            .transpose()?;
        let patient = filled(self.patient)
            .map(|p| {
                p.parse()
                    .map_err(|_| word("patient", "应为患者编号", "must be a patient id")())
            })
            .transpose()?;
        let moment =
            |field, text: Option<String>| filled(text).map(|t| reading::moment(field, &t)).transpose();
        let status = filled(self.status).unwrap_or_default();
        Ok(WorklistFilter {
            tab,
            status: status
                .split(',')
                .map(|s| s.trim().to_owned())
                .filter(|s| !s.is_empty())
                .collect(),
            modality: filled(self.modality),
            institution: filled(self.institution),
            priority,
            patient,
            from: moment("from", self.from)?,
            to: moment("to", self.to)?,
            q: filled(self.q),
            study_uid: None,
            limit: self.limit.unwrap_or(PAGE_ITEMS),
            cursor: filled(self.cursor),
        })
    }
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Problem> {
    let filter = wanted.filter()?;
    Ok(Json(
        reading::worklist::worklist(app.reading(), &actor, &filter).await?,
    ))
}

async fn study(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Json<StudyDetail>, Problem> {
    Ok(Json(reading::study(app.reading(), &actor, &uid).await?))
}

async fn claim(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Json<Claimed>, Problem> {
    Ok(Json(reading::claim(app.reading(), &actor, &uid).await?))
}

async fn release(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<StatusCode, Problem> {
    reading::release(app.reading(), &actor, &uid).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the recording of an ECG will do.
fn acquisition() -> Shape {
    shape::object([
        ("verdict", shape::one_of(&["ok", "repeat_advised", "unusable"])),
        (
            "reasons",
            shape::list(shape::object([
                ("code", shape::text()),
                ("text_zh", shape::text()),
                ("text_en", shape::text()),
            ])),
        ),
    ])
}
