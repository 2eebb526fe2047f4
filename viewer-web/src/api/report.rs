//! The report: draft, submission, return, signature, amendments, versions, templates, public check.

use super::{institution, person};
use crate::App;
use crate::extract::{Json, Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reading::report::{ReportText, ReportView, VerifyPage};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get(
            "/api/studies/{uid}/report",
            "The report as the asker may see it; ETag for If-Match",
            get,
        )
        .response(view()),
        Route::put("/api/studies/{uid}/report/draft", "Saves the draft", save)
            .header(
                "If-Match",
                "the ETag that the writer saw; may be missing only for the first draft",
            )
            .request(draft())
            .response(view()),
        Route::post(
            "/api/studies/{uid}/report/submit",
            "Hands the report to the reviewer",
            submit,
        )
        .response(view()),
        Route::post(
            "/api/studies/{uid}/report/return",
            "Gives the report back to its writer",
            give_back,
        )
        .request(shape::object([("reason", shape::text())]))
        .response(view()),
        Route::post(
            "/api/studies/{uid}/report/sign",
            "Signs and issues the report",
            sign,
        )
        .response(view()),
        Route::post(
            "/api/studies/{uid}/report/amend",
            "Issues an addendum, a correction or a revocation",
            amend,
        )
        .request(shape::object([
            ("kind", shape::one_of(&["addendum", "correction", "revocation"])),
            ("text", shape::text()),
            ("reason", shape::text().optional()),
        ]))
        .response(view()),
    ];
    routes.extend(issued_routes());
    routes
}

fn issued_routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/studies/{uid}/report/versions",
            "Issued versions, oldest first",
            versions,
        )
        .response(shape::page(version_line())),
        Route::get(
            "/api/studies/{uid}/report/versions/{n}",
            "One issued version; it never changes",
            version,
        )
        .response(shape::any().about("the signed document with sha256 and signature")),
        Route::get("/api/templates", "Texts that a report starts from", templates)
            .query("modality", shape::text(), "modality")
            .query("body_part", shape::text(), "body part examined")
            .response(shape::page(shape::any())),
        Route::get(
            "/api/verify/{code}",
            "Checks the code of a printed report",
            verify,
        )
        .open()
        .response(verified()),
    ]
}

fn draft() -> Shape {
    shape::object([
        ("findings", shape::text()),
        ("impression", shape::text()),
        ("technique", shape::text().optional()),
        ("positive", shape::boolean().optional()),
        ("structured", shape::any().optional()),
    ])
}

fn view() -> Shape {
    shape::object([
        ("study_uid", shape::uid()),
        (
            "status",
            shape::one_of(&[
                "none",
                "draft",
                "submitted",
                "returned",
                "signed",
                "amended",
                "revoked",
            ]),
        ),
        ("findings", shape::text()),
        ("impression", shape::text()),
        ("technique", shape::text().optional()),
        ("positive", shape::boolean().optional()),
        ("structured", shape::any().optional()),
        ("author", person().optional()),
        ("reviewer", person().optional()),
        ("signer", person().optional()),
        ("return_reason", shape::text().optional()),
        ("returned_by", person().optional()),
        ("updated_at", shape::time().optional()),
        ("submitted_at", shape::time().optional()),
        ("signed_at", shape::time().optional()),
        ("current_version", shape::integer().optional()),
        ("etag", shape::text()),
        ("editable_by_me", shape::boolean()),
        ("machine_draft", shape::any().optional()),
    ])
}

fn version_line() -> Shape {
    shape::object([
        ("version", shape::integer()),
        ("kind", shape::text()),
        ("signed_at", shape::time()),
        ("author", person()),
        ("signer", person()),
        ("predecessor", shape::integer().optional()),
        ("sha256", shape::text()),
    ])
}

fn verified() -> Shape {
    shape::object([
        ("valid", shape::boolean()),
        ("study_at", shape::time()),
        ("item_name", shape::text()),
        ("institution", institution()),
        ("reading_institution", institution()),
        ("signer_name", shape::text()),
        ("signed_at", shape::time()),
        ("version", shape::integer()),
        ("kind", shape::text()),
        ("patient_name_masked", shape::text()),
        ("superseded_by", shape::integer().optional()),
        ("revoked", shape::boolean()),
        ("sha256", shape::text()),
    ])
}

/// The report with its entity tag.
struct Tagged(ReportView);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&self.0.etag);
        let mut response = Json(self.0).into_response();
        if let Ok(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

async fn get(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Tagged, Problem> {
    Ok(Tagged(
        reading::report::report(app.reading(), &actor, &uid).await?,
    ))
}

async fn save(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    headers: HeaderMap,
    Json(text): Json<ReportText>,
) -> Result<Tagged, Problem> {
    let if_match = headers
        .get(header::IF_MATCH)
        .map(|v| v.to_str().unwrap_or_default());
    Ok(Tagged(
        reading::report::save(app.reading(), &actor, &uid, text, if_match).await?,
    ))
}

async fn submit(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Tagged, Problem> {
    Ok(Tagged(
        reading::report::submit(app.reading(), &actor, &uid).await?,
    ))
}

#[derive(Deserialize)]
struct Return {
    #[serde(default)]
    reason: String,
}

async fn give_back(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(body): Json<Return>,
) -> Result<Tagged, Problem> {
    Ok(Tagged(
        reading::report::give_back(app.reading(), &actor, &uid, &body.reason).await?,
    ))
}

async fn sign(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Tagged, Problem> {
    Ok(Tagged(reading::report::sign(app.reading(), &actor, &uid).await?))
}

#[derive(Deserialize)]
struct Amendment {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    text: String,
    reason: Option<String>,
}

async fn amend(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Json(body): Json<Amendment>,
) -> Result<Tagged, Problem> {
    let done = reading::report::amend(app.reading(), &actor, &uid, &body.kind, body.text, body.reason);
    Ok(Tagged(done.await?))
}

async fn versions(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
) -> Result<Json<Value>, Problem> {
    let items = reading::report::versions(app.reading(), &actor, &uid).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn version(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((uid, n)): Path<(String, String)>,
) -> Result<Response, Problem> {
    // A number that cannot be is a version that is not there.
    let n = n.parse().unwrap_or(0);
    let body = reading::report::version_json(app.reading(), &actor, &uid, n).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    Ok((StatusCode::OK, headers, body).into_response())
}

#[derive(Deserialize)]
struct TemplateQuery {
    modality: Option<String>,
    body_part: Option<String>,
}

async fn templates(_: Signed, Query(wanted): Query<TemplateQuery>) -> Json<Value> {
    let filled = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let (modality, part) = (filled(&wanted.modality), filled(&wanted.body_part));
    let items = reading::catalogue::templates(modality.as_deref(), part.as_deref());
    Json(json!({"items": items, "next_cursor": null}))
}

async fn verify(State(app): State<App>, Path(code): Path<String>) -> Result<Json<VerifyPage>, Problem> {
    Ok(Json(reading::report::verify_page(app.reading(), &code).await?))
}
