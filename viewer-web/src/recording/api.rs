//! `POST /api/ecg/recordings`: files of ECG carts, filed under an exam request or under the person that they name.

use super::form::Form;
use super::refusal::{Reason, Refusal};
use super::{File, Filing, Made, is_recording, make};
use crate::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use archive::receive::{Outcome, RefusedKind, Sender, Source, Stored};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dataset::uid::StudyInstanceUid;
use reading::access::{Action, guard_query};
use reading::{Actor, own_order};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/ecg/recordings",
            "Stores ECG recordings of any known format as DICOM waveform objects that keep the file; reports that cannot \
             be measured become encapsulated documents",
            upload,
        )
        .request_as("multipart/form-data", form_shape())
        .status(StatusCode::CREATED)
        .response(answer_shape()),
    ]
}

fn form_shape() -> Shape {
    shape::object([
        (
            "accession_number",
            shape::text()
                .about("exam request of the own institution; without it each file has to name its patient")
                .optional(),
        ),
        (
            "accept_mismatch",
            shape::boolean()
                .about("true files a recording although it names another person than the request")
                .optional(),
        ),
        (
            "files",
            shape::list(shape::binary()).about(
                "DICOM, SCP-ECG, HL7 aECG, MUSE and Sierra XML, EDF/BDF, MFER, ISHNE, WFDB (.hea with its .dat), PDF, other XML",
            ),
        ),
    ])
}

fn answer_shape() -> Shape {
    shape::object([
        ("accession_number", shape::text().optional()),
        (
            "items",
            shape::list(shape::object([
                ("file", shape::text()),
                ("beside", shape::list(shape::text())),
                ("outcome", shape::one_of(&["stored", "duplicate", "refused"])),
                ("format", shape::text().optional()),
                ("measurable", shape::boolean().optional()),
                ("study_uid", shape::uid().optional()),
                ("series_uid", shape::uid().optional()),
                ("sop_instance_uid", shape::uid().optional()),
                ("leads", shape::list(shape::text()).optional()),
                ("sampling_rate_hz", shape::number().optional()),
                ("duration_s", shape::number().optional()),
                ("warnings", shape::list(shape::text()).optional()),
                (
                    "reason",
                    shape::object([
                        ("code", shape::text()),
                        ("text_zh", shape::text()),
                        ("text_en", shape::text()),
                    ])
                    .optional(),
                ),
            ])),
        ),
    ])
}

async fn upload(
    State(app): State<App>,
    Signed(actor): Signed,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // Before a byte of the body is read: who may not store has nothing to send.
    guard_query(app.reading(), &actor, Action::StoreImages, None).await?;
    let mut form = Form::read(&headers, body, app.recordings()).await?;
    let filing = filing(&app, &actor, &form).await?;
    let files = Arc::new(std::mem::take(&mut form.files));
    let mut items = Vec::new();
    let mut used: HashSet<String> = HashSet::new();
    for (at, file) in files.iter().enumerate() {
        if !is_recording(file) {
            continue;
        }
        let item = one(&app, &actor, filing.clone(), (&files, at)).await?;
        if let Some(beside) = item.get("beside").and_then(Value::as_array) {
            used.extend(beside.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        items.push(item);
    }
    for file in files.iter().filter(|file| !is_recording(file)) {
        if !used.contains(&file.name) && !goes_with_a_header(file, &files) {
            items.push(refused(file, &unknown(file)));
        }
    }
    Ok(answer(items, form.accession_number))
}

async fn filing(app: &App, actor: &Actor, form: &Form) -> Result<Option<Filing>, Problem> {
    let Some(accession_number) = &form.accession_number else {
        return Ok(None);
    };
    let own = own_order(app.reading(), actor, accession_number).await?;
    if own.order().modality != "ECG" {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("检查号 {accession_number} 不是心电检查，请选择心电申请。"),
            format!("The request {accession_number} is no ECG; choose an ECG request."),
        ));
    }
    Ok(Some(
        Filing::under(&own).accepting_other_person(form.accept_mismatch),
    ))
}

/// Makes and stores one recording. A refusal is its answer; only what stops all of them is an error.
async fn one(
    app: &App,
    actor: &Actor,
    filing: Option<Filing>,
    (files, at): (&Arc<Vec<File>>, usize),
) -> Result<Value, Problem> {
    let (all, under) = (Arc::clone(files), filing.clone());
    let made = app
        .pool()
        .run(move || match all.get(at) {
            Some(file) => make(file, &all, under.as_ref()),
            None => Err(Reason::UnknownFormat.into()),
        })
        .await?;
    let Some(file) = files.get(at) else {
        return Err(Problem::internal(&"a file of the form is gone"));
    };
    let made = match made {
        Ok(made) => made,
        Err(refusal) => return Ok(refused(file, &refusal)),
    };
    if let Some(known) = known(app, &made).await? {
        return Ok(taken(file, &made, "duplicate", known));
    }
    let expected = filing.map(|filing| filing.study_uid);
    let expected = expected
        .map(|uid| StudyInstanceUid::parse(&uid))
        .transpose()
        .map_err(|e| Problem::internal(&e))?;
    let peer = actor.source_ip.as_deref().and_then(|ip| ip.parse().ok());
    let sender = Sender::account(
        &actor.user,
        &actor.roles.to_words(),
        actor.institution_id(),
        peer,
        Source::Import,
    );
    let object = Bytes::from(made.object.clone());
    match app.archive().receive_part10(sender, expected, object).await {
        Ok(stored) => {
            let outcome = match stored.outcome {
                Outcome::New => "stored",
                Outcome::DuplicateEqual => "duplicate",
            };
            Ok(taken(file, &made, outcome, uids(&stored)))
        }
        Err(error) if error.kind == RefusedKind::DuplicateOther => {
            Ok(refused(file, &Reason::Conflict.into()))
        }
        Err(error) => Ok(refused(file, &Refusal::from(Reason::NotStored).saying(&error))),
    }
}

fn uids(stored: &Stored) -> [String; 3] {
    [&stored.study_uid, &stored.series_uid, &stored.sop_instance_uid].map(Clone::clone)
}

/// The object that this file became before. Where a recording has no date, the time of the upload stands in it, so that
/// the bytes of two uploads differ although nothing else does.
async fn known(app: &App, made: &Made) -> Result<Option<[String; 3]>, Problem> {
    let header = dataset::file::read_header(&made.object).ok();
    let uid = header.and_then(|header| header.sop_instance().ok());
    let Some(uid) = uid.filter(|_| !made.as_it_came) else {
        return Ok(None);
    };
    let item = app.archive().studies().instance(uid.as_str()).await?;
    Ok(item.map(|item| {
        [
            item.study.study_uid,
            item.series.series_uid,
            item.instance.sop_instance_uid,
        ]
    }))
}

fn taken(file: &File, made: &Made, outcome: &str, [study_uid, series_uid, instance]: [String; 3]) -> Value {
    let signal = made.signal.as_ref();
    json!({
        "file": file.name,
        "beside": made.beside,
        "outcome": outcome,
        "format": made.format,
        "measurable": signal.is_some(),
        "study_uid": study_uid,
        "series_uid": series_uid,
        "sop_instance_uid": instance,
        "leads": signal.map(|signal| &signal.leads),
        "sampling_rate_hz": signal.map(|signal| signal.sampling_rate_hz),
        "duration_s": signal.map(|signal| signal.duration_s),
        "warnings": signal.map(|signal| &signal.warnings),
    })
}

fn refused(file: &File, refusal: &Refusal) -> Value {
    json!({
        "file": file.name,
        "beside": [],
        "outcome": "refused",
        "reason": refusal.to_value(),
    })
}

/// Marks and signals of a header that is there, whether or not it asked for them.
fn goes_with_a_header(file: &File, files: &[File]) -> bool {
    let stem = |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    files
        .iter()
        .any(|other| other.name.ends_with(".hea") && stem(&other.name) == stem(&file.name))
}

fn unknown(file: &File) -> Refusal {
    match file.name.ends_with(".dat") {
        true => Reason::NoHeader.into(),
        false => Reason::UnknownFormat.into(),
    }
}

/// 201 when all are stored, 202 when some are, 422 when none is.
fn answer(items: Vec<Value>, accession_number: Option<String>) -> Response {
    let failed = items.iter().filter(|item| item["outcome"] == "refused").count();
    if failed == items.len() {
        let reason = items.first().and_then(|item| item.get("reason")).cloned();
        let words = |key: &str| {
            let first = reason.as_ref().and_then(|reason| reason[key].as_str());
            first.unwrap_or_default().to_owned()
        };
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            words("text_zh"),
            words("text_en"),
        );
        return problem.with("items", items).into_response();
    }
    let status = match failed {
        0 => StatusCode::CREATED,
        _ => StatusCode::ACCEPTED,
    };
    let body = json!({"accession_number": accession_number, "items": items});
    (status, Json(body)).into_response()
}
