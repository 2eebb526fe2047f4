//! `/api/studies/{uid}/ecg.svg`, `.png` and `.pdf`: true-scale paper of a waveform study.

use crate::App;
use crate::dicomweb::holdings::{self, Held};
use crate::dicomweb::uids;
use crate::ecg_api::{analysed, mains_of, path_of, reading_of, record};
use crate::ecg_pdf::{self, PdfError};
use crate::ecg_png;
use crate::extract::{Path, Query};
use crate::http::conditional::{CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, put, stamp};
use crate::http::packed;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use dataset::uid::StudyInstanceUid;
use engine::ecg::Record;
use engine::ecg::paper::{self, Header, Layout, Marks, PaperOptions};
use reading::Actor;
use reading::access::{Action, guard};
use serde::Deserialize;

/// Latest start of a page: 14 days.
const START_S_MAX: f64 = 14.0 * 86_400.0;
/// Longest recording whose machine reading is made for its header; longer ones have a reading of their own.
const MEASURED_S_MAX: f64 = 300.0;
const LAYOUTS: [&str; 4] = ["3x4+1", "6x2", "12x1", "cabrera"];
const MARKS: [&str; 3] = ["none", "beats", "fiducials"];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        options(Route::get(
            "/api/studies/{uid}/ecg.svg",
            "True-scale paper of a waveform study",
            paper_svg,
        ))
        .response_as("image/svg+xml", shape::text()),
        options(Route::get(
            "/api/studies/{uid}/ecg.png",
            "The same paper as a picture of 254 dots per inch",
            paper_png,
        ))
        .response_as("image/png", shape::binary()),
        options(Route::get(
            "/api/studies/{uid}/ecg.pdf",
            "The same paper to print",
            paper_pdf,
        ))
        .response_as("application/pdf", shape::binary()),
    ]
}

fn options(route: Route) -> Route {
    route
        .query("instance", shape::uid(), "one of several recordings")
        .query(
            "layout",
            shape::one_of(&LAYOUTS),
            "arrangement of the leads; 3x4+1 where absent",
        )
        .query("speed", shape::number(), "12.5, 25 or 50 mm/s; 25 where absent")
        .query("gain", shape::number(), "5, 10, 20 or 40 mm/mV; 10 where absent")
        .query(
            "path",
            shape::one_of(&["raw", "diagnostic", "display"]),
            "filter path; diagnostic where absent",
        )
        .query(
            "mains",
            shape::one_of(&["50", "60", "off"]),
            "mains frequency taken out; 50 where absent",
        )
        .query(
            "marks",
            shape::one_of(&MARKS),
            "what is marked on the traces; none where absent",
        )
        .query(
            "start",
            shape::number(),
            "second of the recording at which the page begins",
        )
}

#[derive(Deserialize)]
struct PaperQuery {
    layout: Option<String>,
    speed: Option<f64>,
    gain: Option<f64>,
    path: Option<String>,
    mains: Option<String>,
    start: Option<f64>,
    marks: Option<String>,
    instance: Option<String>,
}

impl PaperQuery {
    fn options(&self) -> Result<PaperOptions, Problem> {
        let wrong = |name: &str, allowed: &str| {
            Problem::bad_request(
                format!("{name} 应为 {allowed}。"),
                format!("{name} should be one of {allowed}."),
            )
        };
        let among = |value: Option<f64>, usual: f64, allowed: &[f64]| {
            let value = value.unwrap_or(usual);
            allowed.contains(&value).then_some(value)
        };
        let defaults = PaperOptions::default();
        let layout = self.layout.as_deref().map_or(Some(defaults.layout), |word| {
            Layout::parse(&word.replace(' ', "+"))
        });
        let start_s = self.start.unwrap_or(0.0);
        if !(0.0..=START_S_MAX).contains(&start_s) {
            return Err(wrong("start", "0 – 1209600"));
        }
        Ok(PaperOptions {
            layout: layout.ok_or_else(|| wrong("layout", &LAYOUTS.join(", ")))?,
            speed_mm_s: among(self.speed, 25.0, &[12.5, 25.0, 50.0])
                .ok_or_else(|| wrong("speed", "12.5, 25, 50"))?,
            gain_mm_mv: among(self.gain, 10.0, &[5.0, 10.0, 20.0, 40.0])
                .ok_or_else(|| wrong("gain", "5, 10, 20, 40"))?,
            path: path_of(self.path.as_deref())?,
            mains: mains_of(self.mains.as_deref())?,
            start_s,
            marks: Marks::parse(self.marks.as_deref().unwrap_or("none"))
                .ok_or_else(|| wrong("marks", &MARKS.join(", ")))?,
            ..defaults
        })
    }
}

/// A page that may be drawn: the recording, and how.
struct Page {
    held: Held,
    options: PaperOptions,
}

/// Asks the policy, then finds the recording and what stands above its leads.
async fn page(
    app: &App,
    actor: &Actor,
    action: Action,
    study: &StudyInstanceUid,
    query: &PaperQuery,
) -> Result<Page, Problem> {
    let mut options = query.options()?;
    let access = guard(app.reading(), actor, action, study.as_str()).await?;
    let held = match &query.instance {
        Some(instance) => holdings::waveform(app, study, Some(instance)).await?,
        None => reading_of(app, study, None).await?.0,
    };
    let head = reading::paper_head(app.reading(), &access).await?;
    options.header = Header {
        title: format!("{} 心电图", head.institution),
        fields: head.fields,
        ..Header::default()
    };
    Ok(Page { held, options })
}

impl Page {
    /// The recording with its header complete. Runs on the compute pool.
    fn open(mut self, app: &App) -> Result<(Record, PaperOptions), Problem> {
        let record = record(app, &self.held)?;
        if record.duration_s() <= MEASURED_S_MAX {
            let machine = Header::of(&analysed(app, &record));
            self.options.header.measurements = machine.measurements;
            self.options.header.findings = machine.findings;
        }
        Ok((record, self.options))
    }
}

async fn paper_svg(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<PaperQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    let page = page(&app, &actor, Action::ViewImages, &study, &query).await?;
    let tag = etag(&[&page.held.digest, "paper", &format!("{:?}", page.options)]);
    if is_current(&headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_REVALIDATE));
    }
    let pool = app.pool().clone();
    let body = pool
        .run(move || {
            let (record, options) = page.open(&app)?;
            packed::bytes(paper::svg(&record, &options).as_bytes()).map_err(|e| Problem::internal(&e))
        })
        .await??;
    let mut response = packed::answer(&headers, body)?;
    put(&mut response, header::CONTENT_TYPE, "image/svg+xml");
    stamp(&mut response, &tag, CACHE_PRIVATE_REVALIDATE);
    Ok(response)
}

async fn paper_png(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<PaperQuery>,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    let page = page(&app, &actor, Action::ExportReport, &study, &query).await?;
    print(app, page, ecg_png::print, ("image/png", "ecg.png")).await
}

async fn paper_pdf(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<PaperQuery>,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    let page = page(&app, &actor, Action::ExportReport, &study, &query).await?;
    print(app, page, ecg_pdf::print, ("application/pdf", "ecg.pdf")).await
}

type Printer = fn(&paper::Drawing, crate::pages::Fonts) -> Result<Vec<u8>, PdfError>;

async fn print(
    app: App,
    page: Page,
    printer: Printer,
    (kind, name): (&'static str, &str),
) -> Result<Response, Problem> {
    let (pool, fonts) = (app.pool().clone(), app.fonts());
    let printed = pool
        .run(move || {
            let (record, options) = page.open(&app)?;
            printer(&paper::draw(&record, &options), fonts).map_err(|error| match error {
                PdfError::NoFonts => Problem::new(
                    StatusCode::NOT_IMPLEMENTED,
                    "此程序没有内置字体，不能打印。",
                    "This executable has no fonts and cannot print.",
                ),
                PdfError::Write(_) => Problem::internal(&error),
            })
        })
        .await??;
    let mut response = Response::new(Body::from(printed));
    put(&mut response, header::CONTENT_TYPE, kind);
    put(
        &mut response,
        header::CONTENT_DISPOSITION,
        &format!("inline; filename=\"{name}\""),
    );
    Ok(response)
}
