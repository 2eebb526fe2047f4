//! Whole objects as `application/dicom` (PS3.18 section 10.4.1.1.1): study, series, instance.
//!
//! Objects are given in the transfer syntax in which they came. The 128 bytes before `DICM` are given as zeros: they
//! may make a file look like a program or a page to other software.

use super::holdings::{self, Held, Named};
use super::multipart::Boundary;
use crate::App;
use crate::extract::Path;
use crate::http::accept::{MediaRange, accepted};
use crate::http::conditional::{
    CACHE_PRIVATE_IMMUTABLE, CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, put, stamp,
};
use crate::problem::Problem;
use crate::session::Signed;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use std::io;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes read from the store at a time.
const CHUNK_BYTES: u64 = 256 * 1024;
/// Chunks read ahead of a slow reader.
const CHUNKS_AHEAD_MAX: usize = 4;
const PREAMBLE_BYTES: usize = 128;
const DICOM: &str = "application/dicom";
const OFFERED: &str =
    "multipart/related; type=\"application/dicom\"; transfer-syntax=*, application/dicom (one instance)";

/// Of a study, a series or an instance.
pub(crate) async fn objects(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let held = named.open(&app, &actor).await?;
    // More objects of a study or a series may come; an object never changes.
    let cache = match named.is_instance() {
        true => CACHE_PRIVATE_IMMUTABLE,
        false => CACHE_PRIVATE_REVALIDATE,
    };
    answer(&app, held, &headers, cache)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Parts,
    Single,
}

/// How the objects are wanted; none where they are wanted in another form.
fn framing(wishes: &[MediaRange], held: &[Held]) -> Option<Framing> {
    let syntax_fits = |wish: &MediaRange| {
        wish.parameter("transfer-syntax").is_none_or(|wanted| {
            wanted == "*" || held.iter().all(|object| object.transfer_syntax_uid == wanted)
        })
    };
    wishes.iter().find_map(|wish| {
        let fits = syntax_fits(wish);
        if wish.is("*", "*") {
            return Some(Framing::Parts);
        }
        if wish.covers("multipart", "related") {
            let of_dicom = wish
                .parameter("type")
                .is_none_or(|kind| kind.eq_ignore_ascii_case(DICOM) || kind == "*/*");
            return (of_dicom && fits).then_some(Framing::Parts);
        }
        (wish.covers("application", "dicom") && fits && held.len() == 1).then_some(Framing::Single)
    })
}

fn answer(app: &App, held: Vec<Held>, headers: &HeaderMap, cache: &'static str) -> Result<Response, Problem> {
    let framing = framing(&accepted(headers), &held).ok_or_else(|| Problem::not_acceptable(OFFERED))?;
    let tag = etag(&[
        "objects",
        &holdings::digest_of(&held),
        if framing == Framing::Single {
            "single"
        } else {
            "parts"
        },
    ]);
    if is_current(headers, &tag) {
        return Ok(not_modified(&tag, cache));
    }
    let mut response = match framing {
        Framing::Single => single(app, held),
        Framing::Parts => parts(app, held, &tag),
    };
    stamp(&mut response, &tag, cache);
    Ok(response)
}

fn part_type(object: &Held) -> String {
    format!("{DICOM}; transfer-syntax={}", object.transfer_syntax_uid)
}

fn single(app: &App, held: Vec<Held>) -> Response {
    let length: u64 = held.iter().map(|object| object.size_bytes).sum();
    let (content_type, name) = match held.first() {
        Some(object) => (part_type(object), object.sop_instance_uid.clone()),
        None => (DICOM.to_owned(), "object".to_owned()),
    };
    let mut response = Response::new(stream(app, held, None));
    put(&mut response, header::CONTENT_TYPE, &content_type);
    put(
        &mut response,
        header::CONTENT_DISPOSITION,
        &format!("attachment; filename=\"{name}.dcm\""),
    );
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn parts(app: &App, held: Vec<Held>, tag: &str) -> Response {
    let boundary = Boundary::of(tag);
    let framed = |(i, object): (usize, &Held)| {
        boundary
            .open(i == 0, &part_type(object), Some(&object.url()))
            .len() as u64
            + object.size_bytes
    };
    let length = held.iter().enumerate().map(framed).sum::<u64>() + boundary.close().len() as u64;
    let content_type = boundary.content_type(DICOM);
    let mut response = Response::new(stream(app, held, Some(boundary)));
    put(&mut response, header::CONTENT_TYPE, &content_type);
    put(
        &mut response,
        header::CONTENT_DISPOSITION,
        "attachment; filename=\"objects.multipart\"",
    );
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A body that reads the objects one after the other on a blocking thread. The thread ends when the reader is gone;
/// a slow reader holds at most a few chunks.
fn stream(app: &App, held: Vec<Held>, boundary: Option<Boundary>) -> Body {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD_MAX);
    let archive = app.archive().clone();
    tokio::spawn(async move {
        for (i, object) in held.into_iter().enumerate() {
            if let Some(boundary) = &boundary {
                let head = boundary.open(i == 0, &part_type(&object), Some(&object.url()));
                if send.send(Ok(head)).await.is_err() {
                    return;
                }
            }
            let mut at = 0;
            while at < object.size_bytes {
                let length = CHUNK_BYTES.min(object.size_bytes - at);
                let (archive, key) = (archive.clone(), object.object_key.clone());
                let read =
                    tokio::task::spawn_blocking(move || archive.store().read_range(&key, at, length)).await;
                let chunk = read
                    .map_err(io::Error::other)
                    .and_then(|read| read.map_err(io::Error::other));
                let chunk = chunk.map(|bytes| Bytes::from(if at == 0 { neutral(bytes) } else { bytes }));
                let failed = chunk.is_err();
                if send.send(chunk).await.is_err() || failed {
                    return;
                }
                at += length;
            }
        }
        if let Some(boundary) = boundary {
            // The reader may be gone by now; then nobody misses the end.
            let _ = send.send(Ok(boundary.close())).await;
        }
    });
    Body::from_stream(ReceiverStream::new(receive))
}

/// The start of a file with its preamble as zeros.
fn neutral(mut start: Vec<u8>) -> Vec<u8> {
    if start.get(PREAMBLE_BYTES..PREAMBLE_BYTES + 4) == Some(b"DICM")
        && let Some(preamble) = start.get_mut(..PREAMBLE_BYTES)
    {
        preamble.fill(0);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::ACCEPT;

    fn check(accept: &str, count: usize, expect: Option<Framing>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        let held: Vec<Held> = (0..count)
            .map(|_| Held::example("1.2.840.10008.1.2.4.90"))
            .collect();
        assert_eq!(framing(&accepted(&headers), &held), expect, "{accept} of {count}");
    }

    #[test]
    fn objects_as_asked_for() {
        check("*/*", 3, Some(Framing::Parts));
        check(
            "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
            3,
            Some(Framing::Parts),
        );
        check(
            "multipart/related; type=application/dicom",
            1,
            Some(Framing::Parts),
        );
        check("multipart/related", 1, Some(Framing::Parts));
        check("application/dicom", 1, Some(Framing::Single));
        check("application/dicom; transfer-syntax=*", 1, Some(Framing::Single));
        check("application/dicom", 2, None);
        check(
            "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
            1,
            None,
        );
        check("multipart/related; type=\"image/jpeg\"", 1, None);
        check("text/html", 1, None);
    }

    #[test]
    fn a_preamble_that_looks_like_something_else_is_made_neutral() {
        let mut file = b"MZ".to_vec();
        file.resize(128, b'A');
        file.extend_from_slice(b"DICM\x02\0");
        let clean = neutral(file);
        assert!(clean.iter().take(128).all(|b| *b == 0));
        assert_eq!(clean.get(128..), Some(&b"DICM\x02\0"[..]));
        assert_eq!(neutral(vec![7; 200]), vec![7; 200]);
    }
}
