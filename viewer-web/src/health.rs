//! `/healthz`, `/readyz`, `/metrics`: for operators and balancers.

use crate::App;
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::cookie::bearer_token;
use crate::shape;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Time that index and storage get to answer.
const PROBE_S_MAX: u64 = 3;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", "The process answers", alive)
            .open()
            .response(shape::object([("status", shape::text())])),
        Route::get("/readyz", "Storage and index answer", ready)
            .open()
            .response(shape::object([
                ("status", shape::text()),
                ("index", shape::text()),
                ("storage", shape::text()),
                ("alarms", shape::list(shape::text())),
            ])),
        Route::get(
            "/metrics",
            "Prometheus text; from loopback, or with the metrics token",
            metrics,
        )
        .open()
        .response_as("text/plain", shape::text()),
    ]
}

async fn alive() -> impl IntoResponse {
    axum::Json(serde_json::json!({"status": "ok"}))
}

async fn ready(State(app): State<App>) -> Response {
    let wait = Duration::from_secs(PROBE_S_MAX);
    let listed = tokio::time::timeout(wait, app.archive().institutions().list()).await;
    let index = matches!(listed, Ok(Ok(_)));
    let archive = app.archive().clone();
    let probe = tokio::task::spawn_blocking(move || archive.store().is_ready());
    let storage = matches!(tokio::time::timeout(wait, probe).await, Ok(Ok(true)));
    let alarms = tokio::time::timeout(wait, app.archive().alarms()).await;
    let alarms = alarms.ok().and_then(Result::ok).unwrap_or_default();
    let word = |sound: bool| if sound { "ok" } else { "failing" };
    let (status, text) = match index && storage {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    (
        status,
        axum::Json(serde_json::json!({
            "status": text,
            "index": word(index),
            "storage": word(storage),
            "alarms": alarms,
        })),
    )
        .into_response()
}

async fn metrics(State(app): State<App>, client: ClientAddress, headers: HeaderMap) -> Response {
    let token = app.settings().metrics_token.as_deref();
    let authorised = match (token, bearer_token(&headers)) {
        (Some(wanted), Some(given)) => same(wanted, given),
        _ => client.is_local,
    };
    if !authorised {
        return Problem::not_signed_in().into_response();
    }
    match app.metrics_text() {
        Some(text) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        None => (StatusCode::NO_CONTENT, ()).into_response(),
    }
}

/// Compares digests, so that the time taken tells nothing of the token.
fn same(wanted: &str, given: &str) -> bool {
    Sha256::digest(wanted.as_bytes()) == Sha256::digest(given.as_bytes())
}
