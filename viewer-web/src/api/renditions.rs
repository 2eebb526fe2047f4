//! The issued report in the forms that others read.

use crate::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reading::ReadingError;
use reading::renditions::{self, ReportFonts};
use reading::report::SignedVersion;
use serde::Deserialize;
use std::sync::OnceLock;

pub(super) fn routes() -> Vec<Route> {
    let of_version = |route: Route| {
        route.query(
            "version",
            shape::integer(),
            "number of a version; the latest without it",
        )
    };
    vec![
        of_version(Route::get(
            "/api/studies/{uid}/report.sr.dcm",
            "The report as DICOM Basic Text SR",
            sr,
        ))
        .response_as("application/dicom", shape::binary()),
        of_version(Route::get(
            "/api/studies/{uid}/report.cda.xml",
            "The report as WS/T 500.6 CDA",
            cda,
        ))
        .response_as("application/xml", shape::text()),
        of_version(Route::get(
            "/api/studies/{uid}/report.pdf",
            "The report on paper",
            pdf,
        ))
        .response_as("application/pdf", shape::binary()),
    ]
}

#[derive(Deserialize)]
struct VersionQuery {
    version: Option<u32>,
}

/// The fonts of printed reports, read at the first report.
fn fonts(app: &App) -> Result<&'static ReportFonts, Problem> {
    static FONTS: OnceLock<Option<ReportFonts>> = OnceLock::new();
    let embedded = app.fonts();
    let fonts = FONTS.get_or_init(|| ReportFonts::new(embedded.regular, embedded.bold).ok());
    fonts.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "本节点未内置字体，不能打印报告，请在中心节点打开。",
            "This node was built without fonts and cannot print reports; open it at the centre.",
        )
    })
}

/// Address under which the asker reached this node.
fn base_url(app: &App, headers: &HeaderMap) -> String {
    let configured = app.settings().public_base_url.trim_end_matches('/');
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    format!("http://{host}")
}

fn document(media_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = HeaderValue::from_str(&format!("inline; filename=\"{name}\""));
    let mut response = (StatusCode::OK, bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(disposition) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Runs the making of a document on a blocking thread.
async fn make(work: impl FnOnce() -> reading::Result<Vec<u8>> + Send + 'static) -> Result<Vec<u8>, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| ReadingError::Rendition("the work was stopped".to_owned()))??)
}

async fn issued(
    app: &App,
    actor: &reading::Actor,
    uid: &str,
    query: &VersionQuery,
) -> Result<SignedVersion, Problem> {
    Ok(reading::report::export(app.reading(), actor, uid, query.version).await?)
}

async fn pdf(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Query(query): Query<VersionQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let version = issued(&app, &actor, &uid, &query).await?;
    let fonts = fonts(&app)?;
    let url = format!(
        "{}/verify/{}",
        base_url(&app, &headers),
        version.document.verify_code
    );
    let bytes = make(move || renditions::pdf(&version, fonts, &url)).await?;
    Ok(document("application/pdf", "report.pdf", bytes))
}

async fn sr(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    let version = issued(&app, &actor, &uid, &query).await?;
    let bytes = make(move || renditions::sr(&version)).await?;
    Ok(document("application/dicom", "report.sr.dcm", bytes))
}

async fn cda(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    let version = issued(&app, &actor, &uid, &query).await?;
    let xml = make(move || Ok(renditions::cda(&version).into_bytes())).await?;
    Ok(document("application/xml", "report.cda.xml", xml))
}
