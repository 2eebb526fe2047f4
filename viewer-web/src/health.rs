//! `/healthz`, `/readyz`, `/metrics`: for operators and balancers.

use crate::App;
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::cookie::bearer_token;
use crate::shape;
use archive::health::{PartHealth, PartState};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Time that all parts get to answer.
const PROBE_S_MAX: u64 = 3;
/// Age of the last look at the parts with which a question is answered.
const LOOK_AGE_S_MAX: u64 = 2;

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
                (
                    "parts",
                    shape::list(shape::object([
                        ("part", shape::text()),
                        ("state", shape::text()),
                        ("since", shape::text()),
                        ("problem", shape::text().optional()),
                        ("mend", shape::text().optional()),
                    ])),
                ),
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
    Json(json!({"status": "ok"}))
}

/// Ready while no part fails. What is wrong, since when and how to mend it stands in `parts`; words about the
/// inside of the system only for those who may see `/metrics`.
async fn ready(State(app): State<App>, client: ClientAddress, headers: HeaderMap) -> Response {
    let looked = tokio::time::timeout(
        Duration::from_secs(PROBE_S_MAX),
        app.archive().health(Duration::from_secs(LOOK_AGE_S_MAX)),
    );
    let Ok(health) = looked.await else {
        let part = json!({
            "part": "index", "state": "failing", "problem": format!("no answer within {PROBE_S_MAX} s"),
            "mend": "see that the database and the disks answer",
        });
        return answer(("failing", "failing"), json!([part]), Vec::new(), false);
    };
    let alarms = tokio::time::timeout(Duration::from_secs(PROBE_S_MAX), app.archive().alarms()).await;
    let alarms = alarms.ok().and_then(Result::ok).unwrap_or_default();
    let word = |name: &str| {
        let part = health.parts.iter().find(|part| part.part == name);
        match part.map(|part| part.state) {
            Some(PartState::Failing) | None => "failing",
            Some(PartState::Ok | PartState::Warning) => "ok",
        }
    };
    let open = is_operator(&app, &client, &headers);
    let parts: Vec<Value> = health.parts.iter().map(|part| shown(part, open)).collect();
    let is_ready = health.state() != PartState::Failing;
    answer((word("index"), word("storage")), json!(parts), alarms, is_ready)
}

fn answer((index, storage): (&str, &str), parts: Value, alarms: Vec<String>, is_ready: bool) -> Response {
    let (status, word) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let body = json!({
        "status": word,
        "index": index,
        "storage": storage,
        "parts": parts,
        "alarms": alarms,
    });
    (status, Json(body)).into_response()
}

/// A part; paths and messages of the database stay with the operators.
fn shown(part: &PartHealth, open: bool) -> Value {
    let mut shown = json!({
        "part": part.part,
        "state": part.state,
        "since": part.since.to_iso8601(),
    });
    if open && let Some(problem) = &part.problem {
        shown["problem"] = json!(problem);
    }
    if let Some(mend) = part.mend {
        shown["mend"] = json!(mend);
    }
    shown
}

/// From this machine, or with the token of the metrics.
fn is_operator(app: &App, client: &ClientAddress, headers: &HeaderMap) -> bool {
    let token = app.settings().metrics_token.as_deref();
    match (token, bearer_token(headers)) {
        (Some(wanted), Some(given)) => same(wanted, given),
        _ => client.is_local,
    }
}

async fn metrics(State(app): State<App>, client: ClientAddress, headers: HeaderMap) -> Response {
    if !is_operator(&app, &client, &headers) {
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
