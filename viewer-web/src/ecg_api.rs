//! `/api/studies/{uid}/ecg…`: analysis, samples and paper of a waveform study.

use crate::App;
use crate::dicomweb::holdings::Held;
use crate::dicomweb::{holdings, layout, uids};
use crate::ecg_compare;
use crate::extract::{Json, Path, Query};
use crate::http::conditional::{CACHE_PRIVATE_IMMUTABLE, etag, is_current, not_modified, put, stamp};
use crate::http::packed;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use dataset::tags;
use dataset::uid::StudyInstanceUid;
use engine::ecg::beats::Leads;
use engine::ecg::error::EcgError;
use engine::ecg::{Analysis, AnalyzeOptions, Record, filter, formats};
use reading::access::{Action, guard};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Kind under which the worker keeps an analysis.
const ANALYSIS: &str = "ecg_analysis";
/// Header that says how the samples of the body lie.
const LAYOUT_HEADER: header::HeaderName = header::HeaderName::from_static("x-ecg-layout");
/// Steps of one unit in microvolts; the smallest that holds the largest sample is taken.
const UNITS_UV: [f64; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
/// Longest recording whose waves are marked one by one, in seconds.
const MARKED_S_MAX: f64 = 300.0;
/// Stands for "no sample".
const GAP: i16 = i16::MIN;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/studies/{uid}/ecg",
            "Machine analysis of a waveform study, unconfirmed",
            analysis,
        )
        .query("instance", shape::uid(), "one of several recordings")
        .response(analysis_shape()),
        Route::get(
            "/api/studies/{uid}/ecg/samples",
            "Samples of a waveform study, lead after lead",
            samples,
        )
        .query("instance", shape::uid(), "one of several recordings")
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
        .response_as(
            "application/octet-stream",
            shape::binary().about("int16, little endian; -32768 is a gap; see X-Ecg-Layout"),
        ),
        Route::get(
            "/api/studies/{uid}/ecg/marks",
            "Edges and peaks of P, QRS and T of every beat over all leads, unconfirmed",
            marks,
        )
        .query("instance", shape::uid(), "one of several recordings")
        .response(marks_shape()),
        Route::get(
            "/api/studies/{uid}/ecg/previous",
            "The person's ECG before this one, and what changed; machine readings, unconfirmed",
            previous,
        )
        .response(previous_shape()),
    ]
}

fn analysis_shape() -> Shape {
    shape::object([
        ("study_uid", shape::uid()),
        ("series_uid", shape::uid()),
        ("sop_instance_uid", shape::uid()),
        ("samples_uv_url", shape::text()),
        ("format", shape::text()),
        ("sampling_rate_hz", shape::number()),
        ("duration_s", shape::number()),
        ("leads", shape::list(shape::text())),
        ("quality", shape::map(shape::any())),
        (
            "acquisition",
            shape::any()
                .about("whether the recording will do: verdict ok, repeat_advised or unusable, with reasons")
                .optional(),
        ),
        ("rhythm", shape::text()),
        (
            "beats",
            shape::list(shape::object([
                ("sample", shape::integer()),
                ("label", shape::text()),
            ])),
        ),
        ("measurements", shape::map(shape::any())),
        ("statements", shape::list(shape::any())),
        ("critical", shape::list(shape::any())),
        ("not_measurable", shape::map(shape::text())),
        ("not_measurable_zh", shape::map(shape::text()).optional()),
    ])
}

fn marks_shape() -> Shape {
    let sample = || {
        shape::integer()
            .about("sample of the recording, from 0")
            .optional()
    };
    shape::object([
        ("sampling_rate_hz", shape::number()),
        (
            "beats",
            shape::list(shape::object([
                ("p_on", sample()),
                ("p_peak", sample()),
                ("p_off", sample()),
                ("qrs_on", sample()),
                ("r_peak", sample()),
                ("qrs_off", sample()),
                ("t_on", sample()),
                ("t_peak", sample()),
                ("t_off", sample()),
            ])),
        ),
    ])
}

fn previous_shape() -> Shape {
    let finding = || {
        shape::list(shape::object([
            ("code", shape::text()),
            ("text_zh", shape::text()),
            ("text_en", shape::text()),
        ]))
    };
    let number = || shape::number().optional();
    let change = shape::object([
        ("name", shape::text()),
        ("unit", shape::text()),
        ("current", number()),
        ("previous", number()),
        (
            "difference",
            number().about("current minus previous; axes the shorter way"),
        ),
        ("notable", shape::boolean()),
        ("reason_zh", shape::text().optional()),
        ("reason_en", shape::text().optional()),
    ]);
    let st = shape::object([
        ("lead", shape::text()),
        ("current", number()),
        ("previous", number()),
        ("difference", number()),
        ("notable", shape::boolean()),
    ]);
    shape::object([
        ("study_at", shape::time()),
        (
            "previous",
            shape::object([
                ("study_uid", shape::uid()),
                ("modality", shape::text()),
                ("item_name", shape::text()),
                ("study_at", shape::time()),
                ("institution", shape::any()),
                ("signed", shape::boolean()),
                ("impression", shape::text().optional()),
            ])
            .optional(),
        ),
        (
            "comparison",
            shape::object([
                ("changes", shape::list(change)),
                ("st_mv", shape::list(st)),
                (
                    "rhythm",
                    shape::object([
                        ("current", shape::text()),
                        ("previous", shape::text()),
                        ("changed", shape::boolean()),
                    ]),
                ),
                (
                    "statements",
                    shape::object([("new", finding()), ("gone", finding())]),
                ),
            ])
            .optional(),
        ),
    ])
}

#[derive(Deserialize)]
struct AnalysisQuery {
    instance: Option<String>,
}

async fn analysis(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Json<Value>, Problem> {
    let study = uids::study(&study)?;
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let (held, mut value) = reading_of(&app, &study, query.instance).await?;
    if let Value::Object(members) = &mut value {
        let samples = format!(
            "/api/studies/{}/ecg/samples?instance={}&path=",
            held.study_uid, held.sop_instance_uid
        );
        ecg_compare::add_reasons_zh(members);
        members.insert("study_uid".into(), json!(held.study_uid));
        members.insert("series_uid".into(), json!(held.series_uid));
        members.insert("sop_instance_uid".into(), json!(held.sop_instance_uid));
        members.insert("samples_uv_url".into(), json!(format!("{samples}diagnostic")));
    }
    Ok(Json(value))
}

/// The recording that speaks for a study, or the named one, with its machine reading.
pub(crate) async fn reading_of(
    app: &App,
    study: &StudyInstanceUid,
    instance: Option<String>,
) -> Result<(Held, Value), Problem> {
    // The worker chose among several recordings the one that speaks for the study.
    let derived = app.archive().derived();
    let chosen = match instance {
        Some(instance) => Some(instance),
        None => match derived.get(study.as_str(), ANALYSIS).await? {
            Some(found) => instance_of(&found.content),
            None => None,
        },
    };
    let held = holdings::waveform(app, study, chosen.as_deref()).await?;
    let value = match derived.get(&held.sop_instance_uid, ANALYSIS).await? {
        Some(found) => serde_json::from_slice(&found.content).map_err(|e| Problem::internal(&e))?,
        None => compute(app, &held).await?,
    };
    Ok((held, value))
}

async fn marks(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<AnalysisQuery>,
) -> Result<Json<Value>, Problem> {
    let study = uids::study(&study)?;
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let held = match &query.instance {
        Some(instance) => holdings::waveform(&app, &study, Some(instance)).await?,
        None => reading_of(&app, &study, None).await?.0,
    };
    let pool = app.pool().clone();
    let value = pool
        .run(move || {
            let record = record(&app, &held)?;
            if record.duration_s() > MARKED_S_MAX {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "长程记录不逐搏标注，请看分析结果。",
                    "A long recording is not marked beat by beat; see its analysis.",
                ));
            }
            let beats = engine::ecg::delineate::delineate(&record, Leads::Fused);
            Ok(json!({"sampling_rate_hz": record.sampling_rate_hz, "beats": beats}))
        })
        .await??;
    Ok(Json(value))
}

async fn previous(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
) -> Result<Json<Value>, Problem> {
    let study = uids::study(&study)?;
    let found = reading::previous_ecg(app.reading(), &actor, study.as_str()).await?;
    let (_, now) = reading_of(&app, &study, None).await?;
    let Some(previous) = found.previous else {
        return Ok(Json(
            json!({"study_at": found.study_at, "previous": null, "comparison": null}),
        ));
    };
    let before = uids::study(&previous.study_uid)?;
    // An earlier recording that cannot be read is named all the same; there is nothing to compare.
    let comparison = match reading_of(&app, &before, None).await {
        Ok((_, before)) => ecg_compare::compare(&now, &before),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => Value::Null,
        Err(problem) => return Err(problem),
    };
    Ok(Json(
        json!({"study_at": found.study_at, "previous": previous, "comparison": comparison}),
    ))
}

fn instance_of(content: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(content).ok()?;
    value.get("sop_instance_uid")?.as_str().map(str::to_owned)
}

/// By the critical values that this node follows.
pub(crate) fn analysed(app: &App, record: &Record) -> Analysis {
    let mut options = AnalyzeOptions::default();
    options.ruleset = app.settings().critical_rules.as_deref().or(options.ruleset);
    engine::ecg::analyze_with(record, &options)
}

/// The analysis where the worker has not come to it yet; kept in memory, the worker keeps it for good.
async fn compute(app: &App, held: &Held) -> Result<Value, Problem> {
    let key = format!("{}-analysis", held.digest);
    if let Some(made) = app.made().get(&key) {
        return serde_json::from_slice(&made).map_err(|e| Problem::internal(&e));
    }
    let pool = app.pool().clone();
    let (app, held) = (app.clone(), held.clone());
    pool.run(move || {
        let analysis = analysed(&app, &record(&app, &held)?);
        let text = serde_json::to_vec(&analysis).map_err(|e| Problem::internal(&e))?;
        app.made().put(&key, Bytes::from(text), 64 * 1024);
        serde_json::to_value(&analysis).map_err(|e| Problem::internal(&e))
    })
    .await?
}

#[derive(Deserialize)]
struct SamplesQuery {
    path: Option<String>,
    mains: Option<String>,
    instance: Option<String>,
}

pub(crate) fn path_of(word: Option<&str>) -> Result<filter::Path, Problem> {
    match word {
        None | Some("diagnostic") => Ok(filter::Path::Diagnostic),
        Some("display") => Ok(filter::Path::Display),
        Some("raw") => Ok(filter::Path::Raw),
        Some(_) => Err(Problem::bad_request(
            "path 应为 raw、diagnostic 或 display。",
            "path should be raw, diagnostic or display.",
        )),
    }
}

pub(crate) fn mains_of(word: Option<&str>) -> Result<filter::Mains, Problem> {
    match word {
        None | Some("50") => Ok(filter::Mains::Hz50),
        Some("60") => Ok(filter::Mains::Hz60),
        Some("off") => Ok(filter::Mains::Off),
        Some(_) => Err(Problem::bad_request(
            "mains 应为 50、60 或 off。",
            "mains should be 50, 60 or off.",
        )),
    }
}

async fn samples(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    Query(query): Query<SamplesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    let (path, mains) = (path_of(query.path.as_deref())?, mains_of(query.mains.as_deref())?);
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let held = holdings::waveform(&app, &study, query.instance.as_deref()).await?;
    let tag = etag(&[
        &held.digest,
        "samples",
        &format!("{path:?}"),
        &format!("{mains:?}"),
    ]);
    if is_current(&headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_IMMUTABLE));
    }
    let layout_key = format!("{tag}-layout");
    let (layout, body) = match app.made().get(&layout_key).zip(app.made().get(&tag)) {
        Some(made) => made,
        None => {
            let (pool, key) = (app.pool().clone(), tag.clone());
            let app = app.clone();
            pool.run(move || {
                let record = record(&app, &held)?.with_derived_limb_leads();
                let (layout, plain) = encode(&record, path, mains);
                let body = packed::bytes(&plain).map_err(|e| Problem::internal(&e))?;
                app.made().put(&layout_key, layout.clone(), layout.len());
                app.made().put(&key, body.clone(), body.len());
                Ok::<_, Problem>((layout, body))
            })
            .await??
        }
    };
    let mut response = packed::answer(&headers, body)?;
    put(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    put(&mut response, LAYOUT_HEADER, &String::from_utf8_lossy(&layout));
    stamp(&mut response, &tag, CACHE_PRIVATE_IMMUTABLE);
    Ok(response)
}

/// Reads the recording of an object. Runs on the compute pool.
pub(crate) fn record(app: &App, held: &Held) -> Result<Record, Problem> {
    let parsed = layout::attributes(app.archive().store(), held, layout::limits(held)?)?;
    let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let mut record = formats::dicom::read(&lookup).map_err(|e| unusable(&e))?;
    record.patient.name = parsed
        .data_set
        .person_name(tags::PATIENT_NAME)
        .map(|name| name.display());
    Ok(record)
}

fn unusable(error: &EcgError) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("此波形无法使用：{error}"),
        format!("This waveform cannot be used: {error}"),
    )
}

/// Layout as JSON and samples as bytes.
fn encode(record: &Record, path: filter::Path, mains: filter::Mains) -> (Bytes, Vec<u8>) {
    let leads = filter::apply(record, path, mains);
    let largest = leads
        .iter()
        .flatten()
        .filter(|v| v.is_finite())
        .fold(0.0_f64, |most, v| most.max(f64::from(v.abs())));
    let unit = UNITS_UV
        .into_iter()
        .find(|unit| largest / unit < f64::from(i16::MAX))
        .unwrap_or(1000.0);
    let mut bytes = Vec::with_capacity(leads.len() * record.len() * 2);
    for value in leads.iter().flatten() {
        let units = (f64::from(*value) / unit).round();
        let sample = if units.is_finite() {
            units.clamp(-32767.0, 32767.0) as i16
        } else {
            GAP
        };
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    let layout = json!({
        "leads": record.leads.iter().map(|lead| lead.name.as_str()).collect::<Vec<_>>(),
        "samples": record.len(),
        "sampling_rate_hz": record.sampling_rate_hz,
        "uv_per_unit": unit,
    });
    (Bytes::from(ascii(&layout.to_string())), bytes)
}

/// JSON in the characters that a header may hold.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for unit in json.chars() {
        if unit.is_ascii() {
            text.push(unit);
        } else {
            let mut units = [0; 2];
            for half in unit.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{half:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ecg::{Lead, LeadName};

    #[test]
    fn a_header_holds_any_lead_name() {
        let text = ascii(&json!(["导联", "𝄞"]).to_string());
        assert!(text.is_ascii());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            json!(["导联", "𝄞"])
        );
    }

    #[test]
    fn samples_keep_their_size_and_gaps() {
        let lead = |samples_uv: Vec<f32>| Lead {
            name: LeadName::new("II"),
            samples_uv,
            resolution_uv: 1.0,
            derived: false,
        };
        let check = |samples: Vec<f32>, unit: f64, expect: &[i16]| {
            let record = Record::new("npy", vec![lead(samples)], 500.0).unwrap();
            let (layout, bytes) = encode(&record, filter::Path::Raw, filter::Mains::Off);
            let layout: serde_json::Value = serde_json::from_slice(&layout).unwrap();
            assert_eq!(layout["uv_per_unit"], unit);
            assert_eq!(layout["leads"], json!(["II"]));
            let got: Vec<i16> = bytes
                .chunks(2)
                .map(|b| i16::from_le_bytes([b[0], b[1]]))
                .collect();
            assert_eq!(got, expect);
        };
        check(
            vec![0.0, 100.0, -1500.5, f32::NAN],
            0.5,
            &[0, 200, -3001, i16::MIN],
        );
        check(vec![20_000.0, -1.0], 1.0, &[20_000, -1]);
        check(vec![1.0e6], 50.0, &[20_000]);
    }
}
