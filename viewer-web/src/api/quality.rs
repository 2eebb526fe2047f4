//! Back to the sender, and second opinions.

use super::person;
use crate::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reading::quality::{ConsultInput, Consultation, REJECT_REASONS, Rejection};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    let codes: Vec<&str> = REJECT_REASONS.iter().map(|r| r.0).collect();
    vec![
        Route::post(
            "/api/studies/{uid}/reject",
            "Sends a study back to its sender",
            reject,
        )
        .request(shape::object([
            ("reason_code", shape::one_of(&codes)),
            ("note", shape::text().optional()),
        ]))
        .response(shape::any()),
        Route::get("/api/reject-reasons", "Why a study may go back", reasons)
            .response(shape::page(shape::any())),
        Route::post(
            "/api/studies/{uid}/consultations",
            "Asks for a second opinion",
            ask,
        )
        .request(shape::object([
            ("question", shape::text()),
            ("invited", shape::text().optional()),
        ]))
        .status(StatusCode::CREATED)
        .response(consultation()),
        Route::get(
            "/api/studies/{uid}/consultations",
            "Second opinions on a study",
            list,
        )
        .response(shape::page(consultation())),
        Route::post(
            "/api/studies/{uid}/consultations/{id}/answer",
            "Gives the opinion",
            answer,
        )
        .request(shape::object([("opinion", shape::text())]))
        .response(consultation()),
    ]
}

fn consultation() -> Shape {
    shape::object([
        ("id", shape::text()),
        ("study_uid", shape::uid()),
        ("asked_by", person()),
        ("asked_at", shape::time()),
        ("invited", person().optional()),
        ("question", shape::text()),
        ("answered_by", person().optional()),
        ("answered_at", shape::time().optional()),
        ("opinion", shape::text().optional()),
    ])
}

#[derive(Deserialize)]
struct Reject {
    #[serde(default)]
    reason_code: String,
    note: Option<String>,
}

async fn reject(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(body): Json<Reject>,
) -> Result<Json<Rejection>, Problem> {
    let done = reading::quality::reject(
        app.reading(),
        &actor,
        &uid,
        &body.reason_code,
        body.note.as_deref(),
    );
    Ok(Json(done.await?))
}

async fn reasons(_: Signed) -> Json<Value> {
    let items: Vec<Value> = REJECT_REASONS
        .iter()
        .map(|(code, zh, en)| json!({"code": code, "text_zh": zh, "text_en": en}))
        .collect();
    Json(json!({"items": items, "next_cursor": null}))
}

async fn ask(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(input): Json<ConsultInput>,
) -> Result<impl IntoResponse, Problem> {
    let made = reading::quality::consult(app.reading(), &actor, &uid, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let items = reading::quality::consultations(app.reading(), &actor, &uid).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    opinion: String,
}

async fn answer(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((uid, id)): Path<(String, String)>,
    Json(body): Json<Answer>,
) -> Result<Json<Consultation>, Problem> {
    Ok(Json(
        reading::quality::answer(app.reading(), &actor, &uid, &id, &body.opinion).await?,
    ))
}
