//! A patient's link.

use crate::App;
use crate::extract::{Json, Path, Query};
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use reading::share::SharedReport;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/studies/{uid}/shares",
            "Makes a patient's link with PIN and end",
            create,
        )
        .request(shape::object([
            ("expires_in_s", shape::integer().optional()),
            ("pin", shape::text().optional()),
        ]))
        .status(StatusCode::CREATED)
        .response(shape::object([
            ("id", shape::text()),
            ("url", shape::text()),
            ("expires_at", shape::time()),
            ("pin", shape::text().optional()),
        ])),
        Route::get("/api/studies/{uid}/shares", "Links of a study", list).response(shape::page(shape::any())),
        Route::delete("/api/studies/{uid}/shares/{id}", "Takes a link back", revoke)
            .status(StatusCode::NO_CONTENT),
        Route::post("/api/shares/{token}/open", "Opens a link with its PIN", open)
            .open()
            .request(shape::object([("pin", shape::text())]))
            .response(shape::object([
                ("study_uid", shape::uid()),
                ("patient", shape::any()),
                ("report", shape::any()),
                ("images", shape::list(shape::text())),
                ("expires_at", shape::time()),
            ])),
        Route::get(
            "/api/shares/{token}/series/{series}/thumbnail",
            "A small picture behind an opened link",
            picture,
        )
        .open()
        .query("key", shape::text(), "from the answer to the PIN")
        .response_as("image/jpeg", shape::binary()),
        Route::get(
            "/share/{token}",
            "The page behind a link; 404 or 410 when the link is not alive",
            page,
        )
        .open()
        .response_as("text/html", shape::text()),
    ]
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    key: String,
}

async fn picture(
    State(app): State<App>,
    Path((token, series)): Path<(String, String)>,
    Query(key): Query<Key>,
) -> Result<Response, Problem> {
    reading::share::may_see_series(app.reading(), &token, &key.key, &series).await?;
    let made = app
        .archive()
        .derived()
        .get(&series, "thumbnail")
        .await?
        .ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, made.info.content_type),
        (header::CACHE_CONTROL, "private, max-age=600".to_owned()),
    ];
    Ok((headers, made.content).into_response())
}

/// The page itself tells nothing; a dead link has the same page with its own status.
async fn page(
    State(app): State<App>,
    Path(token): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let state = reading::share::alive(app.reading(), &token).await;
    // The page of a dead link has to come whole: a browser that kept it from better days shows nothing for a 410
    // without a body.
    request.headers_mut().remove(header::IF_NONE_MATCH);
    request.headers_mut().remove(header::IF_MODIFIED_SINCE);
    let mut response = crate::pages::answer(request.method(), request.uri(), request.headers(), false);
    if let Err(dead) = state {
        *response.status_mut() = StatusCode::from_u16(dead.status()).unwrap_or(StatusCode::NOT_FOUND);
    }
    Ok(response)
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
    let share =
        reading::share::create(app.reading(), &actor, &uid, new.expires_in_s, new.pin.as_deref()).await?;
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
    Ok(Json(
        reading::share::open(app.reading(), &token, &body.pin, ip).await?,
    ))
}
