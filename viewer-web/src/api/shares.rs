//! A patient's link.

use crate::App;
use crate::extract::{Json, Path};
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reading::share::SharedReport;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/studies/{uid}/shares", "Makes a patient's link with PIN and end", create)
            .request(shape::object([("expires_in_s", shape::integer().optional()), ("pin", shape::text().optional())]))
            .status(StatusCode::CREATED)
            .response(shape::object([
                ("id", shape::text()),
                ("url", shape::text()),
                ("expires_at", shape::time()),
                ("pin", shape::text().optional()),
            ])),
        Route::get("/api/studies/{uid}/shares", "Links of a study", list).response(shape::page(shape::any())),
        Route::delete("/api/studies/{uid}/shares/{id}", "Takes a link back", revoke).status(StatusCode::NO_CONTENT),
        Route::post("/api/shares/{token}/open", "Opens a link with its PIN", open)
            .open()
            .request(shape::object([("pin", shape::text())]))
            .response(shape::object([
                ("study_uid", shape::uid()),
                ("report", shape::any()),
                ("expires_at", shape::time()),
            ])),
    ]
}

#[derive(Deserialize)]
struct NewShare {
    expires_in_s: Option<i64>,
    pin: Option<String>,
}

async fn create(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(new): Json<NewShare>,
) -> Result<impl IntoResponse, Problem> {
    let share = reading::share::create(app.reading(), &actor, &uid, new.expires_in_s, new.pin.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(share)))
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let items = reading::share::list(app.reading(), &actor, &uid).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn revoke(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((uid, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    reading::share::revoke(app.reading(), &actor, &uid, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Pin {
    #[serde(default)]
    pin: String,
}

async fn open(
    State(app): State<App>,
    client: ClientAddress,
    Path(token): Path<String>,
    Json(body): Json<Pin>,
) -> Result<Json<SharedReport>, Problem> {
    let ip = Some(client.ip.to_string());
    Ok(Json(reading::share::open(app.reading(), &token, &body.pin, ip).await?))
}
