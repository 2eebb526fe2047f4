//! Exam requests, the exam catalogue, and studies that came back.

use super::{institution, patient, person};
use crate::App;
use crate::extract::{Json, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reading::order::{OrderInput, OrderPage};
use serde::Deserialize;
use serde_json::{Value, json};

/// Requests of a page when nothing is said.
const PAGE_ORDERS: u32 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/orders",
            "Places an exam request; it is on the devices' worklists at once",
            place,
        )
        .request(request())
        .status(StatusCode::CREATED)
        .response(order()),
        Route::get(
            "/api/orders",
            "Requests of the own institution, newest first",
            list,
        )
        .query("limit", shape::integer(), "items of a page, at most 200")
        .query("cursor", shape::text(), "next_cursor of the page before")
        .response(shape::page(order())),
        Route::get("/api/items", "The exam catalogue", items).response(shape::page(shape::object([
            ("code", shape::text()),
            ("name_zh", shape::text()),
            ("name_en", shape::text()),
            ("modality", shape::text()),
            ("body_part", shape::text()),
        ]))),
        Route::get(
            "/api/rejections",
            "Studies of the own institution that came back",
            rejections,
        )
        .response(shape::page(shape::object([
            ("study_uid", shape::uid()),
            ("by", person()),
            ("at", shape::time()),
            ("reason_code", shape::text()),
            ("reason_text", shape::text()),
            ("note", shape::text().optional()),
        ]))),
    ]
}

fn request() -> Shape {
    shape::object([
        (
            "patient",
            shape::object([
                ("id", shape::text()),
                ("name", shape::text()),
                ("sex", shape::one_of(&["M", "F"]).optional()),
                ("birth_date", shape::date().optional()),
                ("national_id", shape::text().optional()),
            ]),
        ),
        ("modality", shape::text().optional()),
        ("body_part", shape::text().optional()),
        ("item_code", shape::text()),
        ("item_name", shape::text().optional()),
        (
            "priority",
            shape::one_of(&["STAT", "URGENT", "ROUTINE", "SCREENING"]).optional(),
        ),
        ("clinical_history", shape::text().optional()),
        ("scheduled_ae", shape::text().optional()),
        ("scheduled_at", shape::time().optional()),
    ])
}

fn order() -> Shape {
    shape::object([
        ("accession_number", shape::text()),
        ("study_uid", shape::uid()),
        ("patient_id", shape::text()),
        ("patient", patient()),
        ("institution", institution()),
        ("modality", shape::text()),
        ("body_part", shape::text()),
        ("item_code", shape::text()),
        ("item_name", shape::text()),
        ("priority", shape::text()),
        ("clinical_history", shape::text()),
        ("scheduled_ae", shape::text().optional()),
        ("scheduled_at", shape::time()),
        (
            "state",
            shape::one_of(&["ordered", "in_progress", "arrived", "reported", "cancelled"]),
        ),
        ("ordered_by", shape::text()),
        ("ordered_at", shape::time()),
        ("images", shape::integer()),
        ("status", shape::text().optional()),
        ("rejected", shape::any().optional()),
    ])
}

async fn place(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<OrderInput>,
) -> Result<impl IntoResponse, Problem> {
    let order = reading::order::place(app.reading(), &actor, input).await?;
    Ok((StatusCode::CREATED, Json(order)))
}

#[derive(Deserialize)]
struct PageQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(page): Query<PageQuery>,
) -> Result<Json<OrderPage>, Problem> {
    let limit = page.limit.unwrap_or(PAGE_ORDERS);
    Ok(Json(
        reading::order::list(app.reading(), &actor, limit, page.cursor.as_deref()).await?,
    ))
}

async fn items(_: Signed) -> Json<Value> {
    Json(json!({"items": reading::catalogue::items(), "next_cursor": null}))
}

async fn rejections(State(app): State<App>, Signed(actor): Signed) -> Result<Json<Value>, Problem> {
    let items = reading::quality::rejections(app.reading(), &actor).await?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}
