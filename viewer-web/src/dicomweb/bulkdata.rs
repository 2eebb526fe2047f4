//! `GET …/instances/{i}/bulkdata/{path}`: one large value, where `metadata` shows a `BulkDataURI`.

use super::holdings;
use super::layout::{self, Bulk};
use super::multipart::Boundary;
use crate::App;
use crate::extract::Path;
use crate::http::accept::accepted;
use crate::http::conditional::{CACHE_PRIVATE_IMMUTABLE, etag, ranged, ranged_pieces};
use crate::problem::Problem;
use crate::session::Signed;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dataset::Limits;
use dataset::dictionary::tag_to_u32;
use dataset::json::parse_bulk_path;

/// Largest value given in one answer; pixel data beyond is read frame by frame.
const BULK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The same of a deflated object, of which a few kilobytes claim as much.
const INFLATED_BULK_BYTES_MAX: u64 = 32 * 1024 * 1024;
const OCTETS: &str = "application/octet-stream";
const OFFERED: &str = "application/octet-stream, multipart/related; type=\"application/octet-stream\"";

pub(crate) type BulkPath = (String, String, String, String);

pub(crate) async fn bulkdata(
    State(app): State<App>,
    Signed(actor): Signed,
    Path((study, series, instance, path)): Path<BulkPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (steps, tag) = parse_bulk_path(&path).ok_or_else(Problem::not_found)?;
    let held = holdings::one(&app, &actor, (study, series, instance)).await?;
    let single = single(&headers).ok_or_else(|| Problem::not_acceptable(OFFERED))?;
    let steps: Vec<(u32, usize)> = steps
        .into_iter()
        .map(|(tag, item)| (tag_to_u32(tag), item))
        .collect();
    let tag = tag_to_u32(tag);
    let mark = etag(&[
        &held.digest,
        "bulk",
        &path,
        if single { "single" } else { "parts" },
    ]);
    let pool = app.pool().clone();
    let body = pool
        .run(move || {
            let store = app.archive().store();
            let parsed = layout::attributes(store, &held, Limits::default())?;
            let most = if layout::is_deflated(&held)? {
                INFLATED_BULK_BYTES_MAX
            } else {
                BULK_BYTES_MAX
            };
            match layout::bulk(&parsed, &steps, tag).ok_or_else(Problem::not_found)? {
                Bulk::Kept(bytes) => Ok(bytes),
                Bulk::InDataSet(_, length) if length > most => Err(too_large()),
                Bulk::InDataSet(offset, length) => layout::read_bulk(store, &held, offset, length),
            }
        })
        .await??;
    if single {
        return Ok(ranged(&headers, OCTETS, &mark, CACHE_PRIVATE_IMMUTABLE, body));
    }
    let boundary = Boundary::of(&mark);
    Ok(ranged_pieces(
        &headers,
        &boundary.content_type(OCTETS),
        &mark,
        CACHE_PRIVATE_IMMUTABLE,
        boundary.around(OCTETS, body),
    ))
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "此数据过大，请按帧读取或读取整个对象。",
        "This value is too large for one answer; read frames or the whole object.",
    )
}

/// Whether one part without framing is wanted; none where neither form is.
fn single(headers: &HeaderMap) -> Option<bool> {
    accepted(headers).iter().find_map(|wish| {
        if wish.covers("application", "octet-stream") {
            return Some(true);
        }
        let of_octets = || {
            wish.parameter("type")
                .is_none_or(|kind| kind.eq_ignore_ascii_case(OCTETS) || kind == "*/*")
        };
        (wish.covers("multipart", "related") && of_octets()).then_some(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::ACCEPT;

    #[test]
    fn bulk_data_in_one_part_or_several() {
        let check = |accept: &str, expect| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(single(&headers), expect, "{accept}");
        };
        check("application/octet-stream", Some(true));
        check("*/*", Some(true));
        check("multipart/related; type=application/octet-stream", Some(false));
        check(
            "multipart/related; type=\"application/octet-stream\", */*;q=0.1",
            Some(false),
        );
        check("multipart/related; type=\"video/mp4\"", None);
        check("text/html", None);
    }
}
