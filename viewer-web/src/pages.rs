//! The built application: pages, hashed assets and fonts, embedded in the executable.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// One file of the built application.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Path below the origin, without the leading slash.
    path: &'static str,
    media_type: &'static str,
    etag: &'static str,
    body: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets_table.rs"));

/// Fonts for printed documents, as TrueType files. Empty when built without the pages.
#[derive(Clone, Copy, Debug)]
pub struct Fonts {
    /// Noto Sans SC Regular.
    pub regular: &'static [u8],
    /// Noto Sans SC Bold.
    pub bold: &'static [u8],
}

impl Fonts {
    /// The fonts that were embedded.
    pub const EMBEDDED: Self = Self {
        regular: FONT_REGULAR,
        bold: FONT_BOLD,
    };
}

const HASHED_CACHE: &str = "public, max-age=31536000, immutable";
const PAGE_CACHE: &str = "no-cache";
/// Scripts that run as workers take their policy from their own answer; image codecs build small functions there.
const SCRIPT_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; \
    connect-src 'self' blob: data:; frame-ancestors 'none'";
const NOT_BUILT_IN: &str = "此程序没有内置网页界面。请用带网页的版本，或用 API 与 DICOMweb 访问。\n\
    The pages are not built into this executable. Use a build with pages, or the API and DICOMweb.\n";

/// A page route of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// Shown to anybody: login, verification, a patient's link.
    Open,
    /// Shown to accounts.
    SignedIn,
}

/// The page at a path; none for every other path.
fn page_of(path: &str) -> Option<Page> {
    let parts: Vec<&str> = path.strip_prefix('/')?.trim_end_matches('/').split('/').collect();
    match parts.as_slice() {
        ["login"] => Some(Page::Open),
        ["share" | "verify", token] if !token.is_empty() => Some(Page::Open),
        ["" | "worklist" | "orders" | "patients" | "critical" | "statistics" | "admin" | "audit"] => {
            Some(Page::SignedIn)
        }
        ["study" | "patients", id] if !id.is_empty() => Some(Page::SignedIn),
        _ => None,
    }
}

/// Answers every path that no route has: assets, pages, else problem JSON.
pub(crate) fn answer(method: &Method, uri: &Uri, headers: &HeaderMap, signed_in: bool) -> Response {
    let absent = || {
        if signed_in {
            Problem::not_found()
        } else {
            Problem::not_signed_in()
        }
        .into_response()
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return absent();
    }
    let path = uri.path();
    if let Some(asset) = asset_at(path) {
        return file(asset, headers);
    }
    if path.starts_with("/assets/") {
        return Problem::not_found().into_response();
    }
    match page_of(path) {
        None => absent(),
        Some(_) if !wants_html(headers) => absent(),
        Some(Page::SignedIn) if !signed_in => to_login(uri),
        Some(_) => shell(headers),
    }
}

fn asset_at(path: &str) -> Option<&'static Asset> {
    let path = path.strip_prefix('/')?;
    if path == "index.html" {
        return None;
    }
    find(path)
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS
        .binary_search_by(|asset| asset.path.cmp(path))
        .ok()
        .and_then(|at| ASSETS.get(at))
}

fn shell(headers: &HeaderMap) -> Response {
    match find("index.html") {
        Some(index) => file(index, headers),
        None => (StatusCode::NOT_IMPLEMENTED, NOT_BUILT_IN).into_response(),
    }
}

/// A navigation asks for HTML by name; scripts and tools do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match text("sec-fetch-dest") {
        "" => text("accept").contains("text/html") || matches!(text("accept"), "" | "*/*"),
        dest => matches!(dest, "document" | "iframe"),
    }
}

fn to_login(uri: &Uri) -> Response {
    let wanted = uri.path_and_query().map_or("/", |pq| pq.as_str());
    let mut next = String::new();
    for byte in wanted.bytes().take(512) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                next.push(char::from(byte))
            }
            _ => next.push_str(&format!("%{byte:02X}")),
        }
    }
    let place = if wanted == "/" {
        "/login".to_owned()
    } else {
        format!("/login?next={next}")
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn file(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let hashed = asset.path.starts_with("assets/");
    let cache = if hashed { HASHED_CACHE } else { PAGE_CACHE };
    let current = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == asset.etag)
        });
    let mut response = if current {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (body, coding) = encoded(asset, headers);
        let mut response = Response::new(Body::from(body));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
        if let Some(coding) = coding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    };
    let out = response.headers_mut();
    out.insert(header::ETAG, HeaderValue::from_static(asset.etag));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if asset.media_type.starts_with("text/javascript") {
        out.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(SCRIPT_POLICY),
        );
    }
    response
}

fn encoded(asset: &'static Asset, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let takes = |coding: &str| {
        accepted.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            parts.next() == Some(coding)
                && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    match (asset.brotli, asset.gzip) {
        (Some(body), _) if takes("br") => (body, Some("br")),
        (_, Some(body)) if takes("gzip") => (body, Some("gzip")),
        _ => (asset.body, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_routes_are_pages() {
        let check = |path: &str, expect| assert_eq!(page_of(path), expect, "{path}");
        check("/", Some(Page::SignedIn));
        check("/login", Some(Page::Open));
        check("/worklist", Some(Page::SignedIn));
        check("/worklist/", Some(Page::SignedIn));
        check("/study/1.2.3", Some(Page::SignedIn));
        check("/patients/7", Some(Page::SignedIn));
        check("/share/abc", Some(Page::Open));
        check("/verify/abc", Some(Page::Open));
        for path in [
            "/api",
            "/api/x",
            "/assets/x.js",
            "/dicomweb/nonsense",
            "/study",
            "/share/",
            "/study/1/2",
            "/nope",
        ] {
            check(path, None);
        }
    }

    fn get(path: &str, headers: &[(&'static str, &str)], signed_in: bool) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        answer(&Method::GET, &path.parse().unwrap(), &map, signed_in)
    }

    #[test]
    fn a_stranger_is_sent_to_the_login_page_and_back_afterwards() {
        let response = get(
            "/study/1.2?a=b c".replace(' ', "%20").as_str(),
            &[("accept", "text/html")],
            false,
        );
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            response.headers()[header::LOCATION],
            "/login?next=/study/1.2%3Fa%3Db%2520c"
        );
        assert_eq!(
            get("/", &[("accept", "text/html")], false).headers()[header::LOCATION],
            "/login"
        );
    }

    #[test]
    fn html_never_answers_for_data_paths_or_for_scripts() {
        for path in ["/api/nope", "/dicomweb/nope", "/assets/nope.wasm", "/fhir/Nope"] {
            let response = get(path, &[("accept", "text/html")], true);
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                crate::problem::PROBLEM_JSON
            );
        }
        assert_eq!(
            get("/worklist", &[("accept", "application/json")], true).status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            get("/worklist", &[("sec-fetch-dest", "empty")], true).status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(get("/api/nope", &[], false).status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn the_table_is_sorted_and_the_login_page_is_there_or_says_why_not() {
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        let response = get("/login", &[("accept", "text/html")], false);
        if ASSETS.is_empty() {
            assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
        } else {
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[header::CACHE_CONTROL], PAGE_CACHE);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "text/html; charset=utf-8"
            );
        }
    }

    #[test]
    fn hashed_assets_are_kept_for_good_and_wasm_has_its_type() {
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with("assets/")) {
            let response = get(
                &format!("/{}", asset.path),
                &[("accept-encoding", "gzip, br")],
                false,
            );
            assert_eq!(
                response.headers()[header::CACHE_CONTROL],
                HASHED_CACHE,
                "{}",
                asset.path
            );
            if asset.path.ends_with(".wasm") {
                assert_eq!(response.headers()[header::CONTENT_TYPE], "application/wasm");
            }
            let again = get(
                &format!("/{}", asset.path),
                &[("if-none-match", asset.etag)],
                false,
            );
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        }
    }
}
