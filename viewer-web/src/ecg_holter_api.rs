//! `/api/studies/{uid}/ecg/holter`: the summary of a long recording.

use crate::App;
use crate::dicomweb::uids;
use crate::extract::{Path, Query};
use crate::http::conditional::{CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, put, stamp};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use reading::access::{Action, guard};
use serde::Deserialize;

/// Kind under which the worker keeps it.
const KIND: &str = "ecg_holter";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/studies/{uid}/ecg/holter",
            "Machine summary of a long (Holter) recording, unconfirmed",
            summary,
        )
        .query("instance", shape::uid(), "one of several recordings")
        .response(summary_shape()),
    ]
}

fn summary_shape() -> Shape {
    let map = || shape::map(shape::any());
    shape::object([
        ("sop_instance_uid", shape::uid()),
        ("format", shape::text()),
        ("sampling_rate_hz", shape::number()),
        ("duration_s", shape::number()),
        ("leads", shape::list(shape::text())),
        ("quality", map()),
        ("beats", shape::map(shape::integer())),
        ("heart_rate", map()),
        ("hours", shape::list(shape::any())),
        ("minute_bpm", shape::list(shape::any())),
        ("pauses", map()),
        ("atrial_fibrillation", map()),
        ("ventricular", map()),
        ("supraventricular", map()),
        ("st", shape::list(shape::any())),
        ("variability", map()),
        ("templates", shape::list(shape::any())),
        ("strips", shape::list(shape::any())),
        ("not_measurable", shape::map(shape::text())),
        ("warnings", shape::list(shape::text())),
        ("summary_zh", shape::text()),
        ("summary_en", shape::text()),
    ])
}

#[derive(Deserialize)]
struct SummaryQuery {
    instance: Option<String>,
}

async fn summary(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<SummaryQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let subject = match &query.instance {
        // Of this study only: the right to see one study opens no other.
        Some(instance) => {
            let held = crate::dicomweb::holdings::waveform(&app, &study, Some(instance)).await?;
            held.sop_instance_uid
        }
        None => study.as_str().to_owned(),
    };
    let Some(found) = app.archive().derived().get(&subject, KIND).await? else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "此检查没有动态心电图分析：记录不足 30 分钟，或尚未分析。",
            "This study has no Holter analysis: it is shorter than 30 minutes or has not been analysed yet.",
        ));
    };
    let tag = etag(&[&found.info.digest.to_hex(), "holter"]);
    if is_current(&headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_REVALIDATE));
    }
    let mut response = Response::new(Body::from(found.content));
    put(&mut response, header::CONTENT_TYPE, "application/json");
    stamp(&mut response, &tag, CACHE_PRIVATE_REVALIDATE);
    Ok(response)
}
