//! `GET …/frames/{list}`: single frames and lists, in stored, decoded or progressive form (PS3.18 section 10.4.1.1.6).

use super::forms::{self, Coding, Form, Stock};
use super::frame_list;
use super::holdings::{self, Held};
use super::layout::{self, Layout};
use super::multipart::Boundary;
use crate::App;
use crate::extract::Path;
use crate::http::accept::accepted;
use crate::http::conditional::{
    CACHE_PRIVATE_IMMUTABLE, etag, is_current, not_modified, put, ranged, ranged_pieces, stamp,
};
use crate::problem::Problem;
use crate::session::Signed;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use engine::codec::TransferSyntax;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Parts made ahead of a slow reader.
const PARTS_AHEAD_MAX: usize = 2;

pub(crate) type FramePath = (String, String, String, String);

pub(crate) async fn frames(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((study, series, instance, list)): Path<FramePath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = frame_list::parse(&list)?;
    let held = holdings::one(&app, &actor, (study, series, instance)).await?;
    if let Some(absent) = wanted.iter().find(|n| **n > held.frames) {
        return Err(no_frame(*absent, held.frames));
    }
    let stock = Stock {
        transfer_syntax: &held.transfer_syntax_uid,
        decodable: is_decodable(&held),
        frames: wanted.len(),
    };
    let form = forms::choose(&accepted(&headers), stock)
        .ok_or_else(|| Problem::not_acceptable(&forms::offered(stock)))?;
    let framing = if form.single { "single" } else { "parts" };
    let tag = etag(&[
        &held.digest,
        &format!("f{list}"),
        &form.transfer_syntax,
        form.media_type,
        framing,
    ]);
    if is_current(&headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_IMMUTABLE));
    }
    let part_type = format!("{}; transfer-syntax={}", form.media_type, form.transfer_syntax);
    match wanted.as_slice() {
        [one] => {
            let body = frame(&app, &held, &form, *one - 1).await?;
            if form.single {
                return Ok(ranged(&headers, &part_type, &tag, CACHE_PRIVATE_IMMUTABLE, body));
            }
            let boundary = Boundary::of(&tag);
            Ok(ranged_pieces(
                &headers,
                &boundary.content_type(form.media_type),
                &tag,
                CACHE_PRIVATE_IMMUTABLE,
                boundary.around(&part_type, body),
            ))
        }
        _ => Ok(several(app, held, form, wanted, &tag, part_type)),
    }
}

fn no_frame(number: u64, frames: u64) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("没有第 {number} 帧，共 {frames} 帧。"),
        format!("There is no frame {number}; the object has {frames}."),
    )
}

/// Whether the engine knows the compression; video and non-images it does not.
fn is_decodable(held: &Held) -> bool {
    held.rows.is_some()
        && TransferSyntax::from_uid(&held.transfer_syntax_uid).is_some_and(|ts| ts.compression().is_some())
}

/// One frame in the wanted form, from memory where it was made before.
async fn frame(app: &App, held: &Held, form: &Form, index: u64) -> Result<Bytes, Problem> {
    let key = format!("{}-{index}-{}", held.digest, form.transfer_syntax);
    if form.coding == Coding::Htj2k
        && let Some(made) = app.made().get(&key)
    {
        return Ok(made);
    }
    let (pool, coding) = (app.pool().clone(), form.coding);
    let (app, held) = (app.clone(), held.clone());
    pool.run(move || {
        let layout = layout::open(&app, &held)?;
        let bytes = encode(&app, &held, &layout, coding, index)?;
        if coding == Coding::Htj2k {
            app.made().put(&key, bytes.clone(), bytes.len());
        }
        Ok(bytes)
    })
    .await?
}

fn encode(app: &App, held: &Held, layout: &Layout, coding: Coding, index: u64) -> Result<Bytes, Problem> {
    let store = app.archive().store();
    match coding {
        Coding::Stored => layout.stored(store, held, index),
        Coding::Decoded => layout.plain(store, held, index),
        Coding::Htj2k => layout.htj2k(store, held, index),
    }
}

/// Several frames, one part each, made while they are sent so that memory stays bounded.
fn several(app: App, held: Held, form: Form, wanted: Vec<u64>, tag: &str, part_type: String) -> Response {
    let boundary = Boundary::of(tag);
    let content_type = boundary.content_type(form.media_type);
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(PARTS_AHEAD_MAX * 2);
    let held = Arc::new(held);
    tokio::spawn(async move {
        for (i, number) in wanted.into_iter().enumerate() {
            let part = frame(&app, &held, &form, number - 1).await;
            let part = part.map_err(|problem| io::Error::other(problem.detail_en));
            let failed = part.is_err();
            if send
                .send(Ok(boundary.open(i == 0, &part_type, None)))
                .await
                .is_err()
                || send.send(part).await.is_err()
                || failed
            {
                return;
            }
        }
        // The reader may be gone by now; then nobody misses the end.
        let _ = send.send(Ok(boundary.close())).await;
    });
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(receive)));
    put(&mut response, header::CONTENT_TYPE, &content_type);
    stamp(&mut response, tag, CACHE_PRIVATE_IMMUTABLE);
    response
}
