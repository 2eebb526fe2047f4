//! Reading the audit trail.

use crate::App;
use crate::extract::{Json, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use reading::trail::{TrailFilter, TrailPage};
use serde::Deserialize;

/// Rows of a page when nothing is said.
const PAGE_ROWS: u32 = 100;

pub(super) fn routes() -> Vec<Route> {
    let row = shape::object([
        ("id", shape::integer()),
        ("at", shape::time()),
        ("user", shape::text()),
        ("role", shape::text()),
        ("institution", shape::text().optional()),
        ("event", shape::text()),
        ("event_text_zh", shape::text()),
        ("event_text_en", shape::text()),
        ("action", shape::text()),
        ("outcome", shape::text()),
        ("study_uid", shape::uid().optional()),
        ("patient_ref", shape::text().optional()),
        ("source_ip", shape::text().optional()),
        ("detail", shape::text().optional()),
    ]);
    vec![
        Route::get("/api/audit", "Rows of the audit trail, newest first", search)
            .query("from", shape::time(), "not before")
            .query("to", shape::time(), "before")
            .query("user", shape::text(), "account or AE title")
            .query("study_uid", shape::uid(), "study")
            .query("event", shape::text(), "DICOM code value")
            .query("limit", shape::integer(), "rows of a page, at most 1000")
            .query("cursor", shape::text(), "next_cursor of the page before")
            .response(shape::page(row)),
    ]
}

#[derive(Deserialize)]
struct Wanted {
    from: Option<String>,
    to: Option<String>,
    user: Option<String>,
    study_uid: Option<String>,
    event: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn search(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(wanted): Query<Wanted>,
) -> Result<Json<TrailPage>, Problem> {
    let filter = TrailFilter {
        from: wanted.from,
        to: wanted.to,
        user: wanted.user,
        study_uid: wanted.study_uid,
        event: wanted.event,
        limit: wanted.limit.unwrap_or(PAGE_ROWS),
        cursor: wanted.cursor.filter(|c| !c.is_empty()),
    };
    Ok(Json(reading::trail::search(app.reading(), &actor, filter).await?))
}
