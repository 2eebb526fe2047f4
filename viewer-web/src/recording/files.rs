//! `/api/studies/{uid}/ecg/files`: the files that a study's recordings were made of, as the carts wrote them.

use crate::App;
use crate::dicomweb::holdings::{self, Held};
use crate::dicomweb::{layout, uids};
use crate::extract::{Json, Path};
use crate::http::conditional::put;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use engine::ecg::formats::dicom::write::{KeptFile, originals};
use reading::access::{Action, guard};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Objects of a study that are looked at.
const OBJECTS_MAX: usize = 64;
/// Encapsulated PDF and Raw Data: the classes of documents kept here.
const DOCUMENTS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.66"];
/// ECG waveform classes.
const WAVEFORMS: &str = "1.2.840.10008.5.1.4.1.1.9.1.";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/studies/{uid}/ecg/files",
            "The files that the recordings of a study were made of",
            list,
        )
        .response(shape::page(shape::object([
            ("sop_instance_uid", shape::uid()),
            ("name", shape::text()),
            ("bytes", shape::integer()),
            ("sha256", shape::text()),
            ("media_type", shape::text()),
            (
                "measurable",
                shape::boolean().about("false: a report that no program can measure"),
            ),
            ("url", shape::text()),
        ]))),
        Route::get(
            "/api/studies/{uid}/ecg/files/{instance}/{number}",
            "One of these files, byte for byte",
            one,
        )
        .response_as("application/octet-stream", shape::binary())
        .response_as("application/pdf", shape::binary()),
    ]
}

fn may_hold_files(held: &Held) -> bool {
    held.sop_class_uid.starts_with(WAVEFORMS) || DOCUMENTS.contains(&held.sop_class_uid.as_str())
}

/// The files kept in an object. Runs on the compute pool.
fn kept(app: &App, held: &Held) -> Result<Vec<KeptFile>, Problem> {
    let parsed = layout::attributes(app.archive().store(), held, layout::limits(held)?)?;
    let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    Ok(originals(&lookup))
}

async fn list(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
) -> Result<Json<Value>, Problem> {
    let study = uids::study(&study)?;
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let objects = holdings::study(&app, &study).await?;
    let pool = app.pool().clone();
    let items = pool
        .run(move || {
            let mut items = Vec::new();
            for held in objects
                .iter()
                .filter(|held| may_hold_files(held))
                .take(OBJECTS_MAX)
            {
                for (number, file) in kept(&app, held)?.iter().enumerate() {
                    items.push(line(held, number + 1, file));
                }
            }
            Ok::<_, Problem>(items)
        })
        .await??;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

fn line(held: &Held, number: usize, file: &KeptFile) -> Value {
    json!({
        "sop_instance_uid": held.sop_instance_uid,
        "name": file.name,
        "bytes": file.bytes.len(),
        "sha256": hex::encode(Sha256::digest(&file.bytes)),
        "media_type": media_type(file),
        "measurable": held.sop_class_uid.starts_with(WAVEFORMS),
        "url": format!("/api/studies/{}/ecg/files/{}/{number}", held.study_uid, held.sop_instance_uid),
    })
}

/// PDF is shown by browsers; everything else is bytes, so that no markup of a stranger runs on this origin.
fn media_type(file: &KeptFile) -> &'static str {
    match file.bytes.starts_with(b"%PDF-") {
        true => "application/pdf",
        false => "application/octet-stream",
    }
}

async fn one(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((study, instance, number)): Path<(String, String, usize)>,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let objects = holdings::study(&app, &study).await?;
    let held = objects
        .into_iter()
        .find(|held| held.sop_instance_uid == instance && may_hold_files(held))
        .ok_or_else(Problem::not_found)?;
    let pool = app.pool().clone();
    let files = pool.run(move || kept(&app, &held)).await??;
    let file = number
        .checked_sub(1)
        .and_then(|at| files.into_iter().nth(at))
        .ok_or_else(Problem::not_found)?;
    let (kind, shown) = (media_type(&file), disposition(&file));
    let mut response = Response::new(Body::from(file.bytes));
    put(&mut response, header::CONTENT_TYPE, kind);
    put(&mut response, header::CONTENT_DISPOSITION, &shown);
    Ok(response)
}

/// RFC 6266 with the name in UTF-8 percent-encoding (RFC 8187).
fn disposition(file: &KeptFile) -> String {
    let way = match media_type(file) {
        "application/pdf" => "inline",
        _ => "attachment",
    };
    let mut text = format!("{way}; filename*=UTF-8''");
    for byte in file.name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_whole_and_markup_is_never_shown() {
        let check = |name: &str, bytes: &[u8], expect: &str| {
            let file = KeptFile {
                name: name.into(),
                bytes: bytes.to_vec(),
            };
            assert_eq!(disposition(&file), expect);
        };
        check("a.pdf", b"%PDF-1", "inline; filename*=UTF-8''a.pdf");
        check(
            "王 1.xml",
            b"<x/>",
            "attachment; filename*=UTF-8''%E7%8E%8B%201.xml",
        );
        check("a\"\r\n.scp", b"", "attachment; filename*=UTF-8''a%22%0D%0A.scp");
    }
}
