//! Entity tags, caching, and bodies of known length with byte ranges.

use super::chunks::Chunks;
use super::range::{Wanted, wanted};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// Cacheable by the asker's own browser for a working day, and never by the next user of the same browser:
/// `Vary: Cookie` binds the copy to the session.
pub(crate) const CACHE_PRIVATE_IMMUTABLE: &str = "private, max-age=43200, immutable";
/// Kept by the browser, asked again each time.
pub(crate) const CACHE_PRIVATE_REVALIDATE: &str = "private, no-cache";

/// A strong entity tag made of parts, with its quotes. Characters that a tag may not hold become `-`.
pub(crate) fn etag(parts: &[&str]) -> String {
    let mut tag = String::from("\"");
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            tag.push('-');
        }
        tag.extend(part.chars().map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
                c
            } else {
                '-'
            }
        }));
    }
    tag.push('"');
    tag
}

/// Whether `If-None-Match` names this tag, weakly compared.
pub(crate) fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    let bare = etag.trim_start_matches("W/");
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|one| {
            let one = one.trim();
            one == "*" || one.trim_start_matches("W/") == bare
        })
}

/// 304 with the tag and the caching rule.
pub(crate) fn not_modified(etag: &str, cache: &'static str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    stamp(&mut response, etag, cache);
    response
}

/// Puts `ETag`, `Cache-Control` and `Vary` on an answer.
pub(crate) fn stamp(response: &mut Response, etag: &str, cache: &'static str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding, Cookie"),
    );
}

/// As [`ranged`], of a body in a few pieces; they are put together only where a part of the whole is asked for.
pub(crate) fn ranged_pieces(
    headers: &HeaderMap,
    content_type: &str,
    etag: &str,
    cache: &'static str,
    pieces: Vec<Bytes>,
) -> Response {
    if headers.contains_key(header::RANGE) {
        return ranged(headers, content_type, etag, cache, Bytes::from(pieces.concat()));
    }
    if is_current(headers, etag) {
        return not_modified(etag, cache);
    }
    described(Response::new(Chunks::body(pieces)), content_type, etag, cache)
}

/// A body of known length: answers `If-None-Match`, `Range` and `If-Range`.
pub(crate) fn ranged(
    headers: &HeaderMap,
    content_type: &str,
    etag: &str,
    cache: &'static str,
    body: Bytes,
) -> Response {
    if is_current(headers, etag) {
        return not_modified(etag, cache);
    }
    let length = body.len() as u64;
    let response = match wanted(headers, length, etag) {
        Wanted::Whole => Response::new(Body::from(body)),
        Wanted::Part(range) => {
            let content_range = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
            let part = body.slice(range.start as usize..range.end as usize);
            let mut response = Response::new(Body::from(part));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            put(&mut response, header::CONTENT_RANGE, &content_range);
            response
        }
        Wanted::Unsatisfiable => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            put(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            response
        }
    };
    described(response, content_type, etag, cache)
}

fn described(mut response: Response, content_type: &str, etag: &str, cache: &'static str) -> Response {
    put(&mut response, header::CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    stamp(&mut response, etag, cache);
    response
}

/// Sets a header whose value was made here; a value that HTTP forbids is left out.
pub(crate) fn put(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_tag_is_quoted_and_safe() {
        assert_eq!(etag(&["ab12", "f1", "1.2.840"]), "\"ab12-f1-1.2.840\"");
        assert_eq!(etag(&["a\"b\r\n"]), "\"a-b--\"");
    }

    #[test]
    fn if_none_match_is_a_weak_list_comparison() {
        let check = |value: &str, expect| {
            assert_eq!(
                is_current(&request(header::IF_NONE_MATCH, value), "\"a\""),
                expect,
                "{value}"
            );
        };
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("*", true);
        check("\"b\"", false);
        check("a", false);
    }

    #[test]
    fn a_part_tells_its_place_in_the_whole() {
        let body = Bytes::from_static(b"0123456789");
        let response = ranged(
            &request(header::RANGE, "bytes=2-4"),
            "x/y",
            "\"t\"",
            CACHE_PRIVATE_IMMUTABLE,
            body.clone(),
        );
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes 2-4/10");
        let response = ranged(
            &request(header::RANGE, "bytes=10-"),
            "x/y",
            "\"t\"",
            CACHE_PRIVATE_IMMUTABLE,
            body,
        );
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes */10");
    }
}
