//! Limits and safety headers around every request.

use crate::problem::Problem;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tower_http::compression::predicate::Predicate;

/// Longest path and query accepted.
const URI_BYTES_MAX: usize = 8 * 1024;
/// Largest JSON body.
pub(crate) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Time until an answer must begin; streamed bodies may then take longer.
const ANSWER_BEGINS_S_MAX: u64 = 60;
/// Smallest text worth compressing.
const COMPRESS_BYTES_MIN: u64 = 1024;

/// What pages may load: this origin alone. Cornerstone sets styles and runs WebAssembly.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' blob: data:; \
    frame-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Refuses what is too long, encoded, or comes from another origin.
pub(crate) async fn refuse_early(request: Request, next: Next) -> Response {
    if request
        .uri()
        .path_and_query()
        .is_some_and(|pq| pq.as_str().len() > URI_BYTES_MAX)
    {
        return Problem::new(StatusCode::URI_TOO_LONG, "地址过长。", "The address is too long.")
            .into_response();
    }
    let headers = request.headers();
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Problem::unsupported_media_type("identity").into_response();
    }
    if !is_safe(request.method()) && is_foreign(headers) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "请求来自其他网站，已拒绝。",
            "The request comes from another site and was refused.",
        )
        .into_response();
    }
    next.run(request).await
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser says where a request starts: `Origin` must name this host, `Sec-Fetch-Site` must not be another site.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && matches!(site, "cross-site" | "same-site")
    {
        return true;
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    // Behind a proxy the outside host name arrives in X-Forwarded-Host.
    let forwarded = text(HeaderName::from_static("x-forwarded-host"));
    origin_host.is_none() || (origin_host != text(header::HOST) && origin_host != forwarded)
}

/// Ends requests whose answer does not begin in time. Uploads and event streams are governed by their own clocks.
pub(crate) async fn deadline(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_upload =
        request.method() == Method::POST && (path.starts_with("/dicomweb/") || path == "/api/ecg/recordings");
    if is_upload {
        return next.run(request).await;
    }
    match tokio::time::timeout(Duration::from_secs(ANSWER_BEGINS_S_MAX), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "处理时间过长，已中止。",
            "The request took too long and was stopped.",
        )
        .into_response(),
    }
}

/// Safety headers on every answer; an answer that set one of them itself keeps its own.
pub(crate) async fn safety_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Compresses JSON and text only: pixel data must keep its length and bytes, and event streams must not be held back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextOnly;

impl Predicate for TextOnly {
    fn should_compress<B>(&self, response: &axum::http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        if response.headers().contains_key(header::CONTENT_RANGE) {
            return false;
        }
        if response
            .body()
            .size_hint()
            .exact()
            .is_some_and(|bytes| bytes < COMPRESS_BYTES_MIN)
        {
            return false;
        }
        let Some(kind) = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
        else {
            return false;
        };
        is_text(kind)
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind != "text/event-stream"
        && (kind.starts_with("text/")
            || kind.ends_with("+json")
            || kind.ends_with("+xml")
            || matches!(kind, "application/json" | "application/xml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_compressed() {
        let check = |kind: &str, expect| assert_eq!(is_text(kind), expect, "{kind}");
        check("application/json", true);
        check("application/dicom+json", true);
        check("application/problem+json", true);
        check("text/html; charset=utf-8", true);
        check("image/svg+xml", true);
        check("text/event-stream", false);
        check("multipart/related; type=\"application/octet-stream\"", false);
        check("application/octet-stream", false);
        check("image/jpeg", false);
        check("application/pdf", false);
        check("", false);
    }

    #[test]
    fn writes_from_other_sites_are_foreign() {
        let check = |pairs: &[(&'static str, &str)], expect| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(is_foreign(&headers), expect, "{pairs:?}");
        };
        check(&[("host", "a:1")], false);
        check(&[("host", "a:1"), ("origin", "http://a:1")], false);
        check(
            &[
                ("host", "a:1"),
                ("origin", "https://a:1"),
                ("sec-fetch-site", "same-origin"),
            ],
            false,
        );
        check(&[("host", "a:1"), ("origin", "http://a:2")], true);
        check(&[("host", "a:1"), ("origin", "null")], true);
        check(&[("host", "a:1"), ("sec-fetch-site", "cross-site")], true);
        check(
            &[
                ("host", "inner"),
                ("x-forwarded-host", "county.example"),
                ("origin", "https://county.example"),
            ],
            false,
        );
    }
}
