//! Figures of the community.

use crate::App;
use crate::extract::{Json, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use reading::statistics::{self, LoadFigures, Period, QualityFigures, RecognitionFigures, TurnaroundFigures};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    let period = |route: Route| {
        route
            .query("from", shape::time(), "not before")
            .query("to", shape::time(), "before")
    };
    vec![
        period(Route::get(
            "/api/statistics/recognition",
            "Results recognised and refused",
            recognition,
        ))
        .response(shape::object([
            ("recognised", shape::integer()),
            ("refused", shape::integer()),
            ("eligible", shape::integer()),
            ("rate", shape::number()),
            ("refused_by_reason", shape::map(shape::integer())),
        ])),
        period(Route::get(
            "/api/statistics/turnaround",
            "Time from receipt to signature",
            turnaround,
        ))
        .response(shape::object([
            ("signed", shape::integer()),
            ("median_s", shape::number()),
            ("p90_s", shape::number()),
            ("in_time_rate", shape::number()),
            ("by_priority", shape::list(shape::any())),
            ("items", shape::list(shape::any())),
            ("truncated", shape::boolean()),
        ])),
        period(Route::get("/api/statistics/load", "Work by person", load)).response(shape::object([
            ("submitted", shape::integer()),
            ("signed", shape::integer()),
            ("items", shape::list(shape::any())),
        ])),
        period(Route::get(
            "/api/statistics/quality",
            "Critical values, returns, rejections, positive findings",
            quality,
        ))
        .response(shape::any()),
        period(Route::get(
            "/api/statistics/weekly.csv",
            "The weekly form, one line for each institution",
            weekly,
        ))
        .response_as("text/csv", shape::text()),
    ]
}

#[derive(Deserialize)]
struct PeriodQuery {
    from: Option<String>,
    to: Option<String>,
}

impl PeriodQuery {
    fn period(&self) -> Result<Period, Problem> {
        Ok(Period::parse(self.from.as_deref(), self.to.as_deref())?)
    }
}

async fn recognition(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<RecognitionFigures>, Problem> {
    Ok(Json(
        statistics::recognition(app.reading(), &actor, query.period()?).await?,
    ))
}

async fn turnaround(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<TurnaroundFigures>, Problem> {
    Ok(Json(
        statistics::turnaround(app.reading(), &actor, query.period()?).await?,
    ))
}

async fn load(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<LoadFigures>, Problem> {
    Ok(Json(
        statistics::load(app.reading(), &actor, query.period()?).await?,
    ))
}

async fn quality(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<QualityFigures>, Problem> {
    Ok(Json(
        statistics::quality(app.reading(), &actor, query.period()?).await?,
    ))
}

async fn weekly(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<PeriodQuery>,
) -> Result<impl IntoResponse, Problem> {
    let period = if query.from.is_some() || query.to.is_some() {
        Some(query.period()?)
    } else {
        None
    };
    let csv = statistics::weekly_csv(app.reading(), &actor, period).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"weekly.csv\""),
    ];
    Ok((headers, csv))
}
