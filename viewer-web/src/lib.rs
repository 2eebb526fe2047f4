//! The web face of Gongying on one origin: application pages, JSON API, DICOMweb and server-sent events.
//!
//! It knows HTTP and nothing of DIMSE. What may be seen is decided in `reading::access`; where bytes lie is known by
//! `archive`; pixels and signals are worked on by `engine`, on a bounded [`Pool`]. Every path that is not declared
//! open in its [`route::Route`] is 401 without a login.

mod api;
mod app;
mod cache;
pub mod captions;
mod dicomweb;
mod ecg_api;
mod ecg_compare;
mod ecg_holter_api;
mod ecg_paper;
pub mod ecg_pdf;
pub mod ecg_png;
mod edge;
mod events;
pub mod extract;
mod failure;
mod health;
mod http;
mod openapi;
mod pages;
mod pool;
pub mod problem;
pub mod recording;
pub mod route;
mod serve;
pub mod session;
pub mod shape;
mod telemetry;
pub mod township;
mod volume;

pub use app::{App, Settings};
pub use http::client::ClientAddress;
pub use pages::Fonts;
pub use pool::Pool;
pub use serve::serve;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::response::Response;
use route::Route;
use tower_http::compression::CompressionLayer;

/// Every operation of the outside surface.
pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(openapi::routes());
    routes.extend(health::routes());
    routes.extend(session::routes());
    routes.extend(events::routes());
    routes.extend(dicomweb::routes());
    routes.extend(ecg_api::routes());
    routes.extend(volume::routes());
    routes.extend(ecg_paper::routes());
    routes.extend(recording::upload_routes());
    routes.extend(recording::file_routes());
    routes.extend(ecg_holter_api::routes());
    routes.extend(edge::routes());
    routes.extend(api::routes());
    routes
}

/// The whole service. Serve it with [`serve`], which also tells it the peer's address.
pub fn router(app: App) -> Router {
    route::router(routes())
        .fallback(elsewhere)
        .layer(middleware::from_fn_with_state(app.clone(), session::authenticate))
        .with_state(app)
        .layer(DefaultBodyLimit::max(http::guard::BODY_BYTES_MAX))
        .layer(middleware::from_fn(http::guard::deadline))
        .layer(middleware::from_fn(problem::localise))
        .layer(middleware::from_fn(http::guard::refuse_early))
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(http::guard::TextOnly),
        )
        .layer(middleware::from_fn(http::guard::safety_headers))
        .layer(middleware::from_fn(telemetry::measure))
}

async fn elsewhere(signed: Option<session::Signed>, request: Request) -> Response {
    pages::answer(
        request.method(),
        request.uri(),
        request.headers(),
        signed.is_some(),
    )
}
