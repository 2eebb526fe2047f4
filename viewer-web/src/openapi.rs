//! `GET /api/openapi.json`: the whole outside surface as OpenAPI 3.1.

use crate::App;
use crate::problem::PROBLEM_JSON;
use crate::route::{Route, openapi_path};
use crate::shape;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

/// The document of the given routes.
pub(crate) fn document(routes: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let (path, method) = route.key();
        let item = paths.entry(openapi_path(path)).or_insert_with(|| json!({}));
        item[method.openapi()] = route.operation();
    }
    let problem = shape::object([
        ("type", shape::text()),
        ("title", shape::text()),
        ("status", shape::integer()),
        ("detail", shape::text()),
        ("retry_after_s", shape::integer().optional()),
    ]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "共影 Gongying",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Images and ECGs of a county community: received, read, reported and recognised.",
        },
        "servers": [{"url": "/"}],
        "security": [{"session": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": crate::session::COOKIE},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "responses": {
                "Problem": {
                    "description": "RFC 9457 problem details",
                    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
            },
            "schemas": {"Problem": problem.to_value()},
        },
    })
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/openapi.json", "This document", show)
            .response(shape::any().about("OpenAPI 3.1 document")),
    ]
}

async fn show(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi())
}
