//! Critical values and their loop.

use super::{institution, patient, person};
use crate::App;
use crate::extract::{Json, Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reading::critical::{CriticalRecord, CriticalStep, RaiseInput, StepInput};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    let step = || {
        shape::object([
            ("person", shape::text().optional()),
            ("channel", shape::text().optional()),
            ("phone", shape::text().optional()),
            ("read_back", shape::boolean().optional()),
            ("text", shape::text().optional()),
            ("note", shape::text().optional()),
        ])
    };
    vec![
        Route::post(
            "/api/studies/{uid}/critical-values",
            "Raises a critical value",
            raise,
        )
        .request(shape::object([
            ("item_code", shape::text()),
            ("text", shape::text()),
            ("evidence", shape::text().optional()),
        ]))
        .status(StatusCode::CREATED)
        .response(record()),
        Route::get(
            "/api/critical-values",
            "Critical values that the asker may see, newest first",
            list,
        )
        .query(
            "state",
            shape::text(),
            "open, raised, notified, acknowledged, acted or closed",
        )
        .response(shape::page(record())),
        Route::get("/api/critical-values/{id}", "One critical value", get).response(record()),
        Route::post(
            "/api/critical-values/{id}/notify",
            "Told to the treating side",
            notify,
        )
        .request(step())
        .response(record()),
        Route::post(
            "/api/critical-values/{id}/acknowledge",
            "Confirmed by the treating side",
            acknowledge,
        )
        .request(step())
        .response(record()),
        Route::post("/api/critical-values/{id}/act", "What was done", act)
            .request(step())
            .response(record()),
        Route::post("/api/critical-values/{id}/close", "Closes the record", close)
            .request(step())
            .response(record()),
        Route::get("/api/critical-items", "Names of the critical values", names)
            .response(shape::page(shape::any())),
    ]
}

fn record() -> Shape {
    shape::object([
        ("id", shape::text()),
        ("study_uid", shape::uid()),
        ("patient", patient()),
        ("institution", institution()),
        ("modality", shape::text()),
        ("item_name", shape::text()),
        ("item_code", shape::text()),
        ("text", shape::text()),
        ("evidence", shape::text().optional()),
        (
            "state",
            shape::one_of(&["raised", "notified", "acknowledged", "acted", "closed"]),
        ),
        ("raised_at", shape::time()),
        ("raised_by", person()),
        ("notified_at", shape::time().optional()),
        ("notified_by", person().optional()),
        ("notification", shape::any().optional()),
        ("acknowledged_at", shape::time().optional()),
        ("acknowledged_by", person().optional()),
        ("acknowledged_note", shape::text().optional()),
        ("acted_at", shape::time().optional()),
        ("acted_by", person().optional()),
        ("acted_text", shape::text().optional()),
        ("closed_at", shape::time().optional()),
        ("closed_by", person().optional()),
        ("closed_note", shape::text().optional()),
        ("due_at", shape::time().optional()),
        ("overdue", shape::boolean()),
    ])
}

async fn raise(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(input): Json<RaiseInput>,
) -> Result<impl IntoResponse, Problem> {
    let record = reading::critical::raise(app.reading(), &actor, &uid, input).await?;
    Ok((StatusCode::CREATED, Json(record)))
}

#[derive(Deserialize)]
struct StateQuery {
    state: Option<String>,
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(wanted): Query<StateQuery>,
) -> Result<Json<Value>, Problem> {
    let items = reading::critical::list(app.reading(), &actor, wanted.state.as_deref()).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn get(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<Json<CriticalRecord>, Problem> {
    Ok(Json(reading::critical::get(app.reading(), &actor, &id).await?))
}

macro_rules! step {
    ($name:ident, $step:ident) => {
        async fn $name(
            State(app): State<App>,
            Signed(actor): Signed,
            Path(id): Path<String>,
            Json(input): Json<StepInput>,
        ) -> Result<Json<CriticalRecord>, Problem> {
            let done = reading::critical::advance(app.reading(), &actor, &id, CriticalStep::$step, input);
            Ok(Json(done.await?))
        }
    };
}
step!(notify, Notify);
step!(acknowledge, Acknowledge);
step!(act, Act);
step!(close, Close);

async fn names(_: Signed) -> Json<Value> {
    Json(json!({"items": reading::catalogue::critical_items(), "next_cursor": null}))
}
