//! The session cookie: HttpOnly, SameSite=Strict, for the whole origin.

use super::COOKIE;
use axum::http::{HeaderMap, HeaderValue, header};

/// Longest token looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// The session token of a request's cookies.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.trim_matches('"'))
        .filter(|token| is_token(token))
}

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && is_token(token.trim())).then(|| token.trim())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
}

/// `Set-Cookie` that begins a session. It lasts until the browser closes or the server ends it.
pub(crate) fn begin(token: &str, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
    ))
    .ok()
}

/// `Set-Cookie` that removes the session.
pub(crate) fn end(secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let check = |value: &str, expect| {
            assert_eq!(session_token(&headers(header::COOKIE, value)), expect, "{value}");
        };
        check("gongying_session=abc", Some("abc"));
        check("a=b; gongying_session=\"abc\"; c=d", Some("abc"));
        check("xgongying_session=abc", None);
        check("gongying_session=", None);
        check(&format!("gongying_session={}", "a".repeat(257)), None);
    }

    #[test]
    fn a_bearer_token_has_its_scheme() {
        let check = |value: &str, expect| {
            assert_eq!(
                bearer_token(&headers(header::AUTHORIZATION, value)),
                expect,
                "{value}"
            );
        };
        check("Bearer abc", Some("abc"));
        check("bearer abc", Some("abc"));
        check("Basic abc", None);
        check("Bearer ", None);
        check("Bearer a b", None);
    }

    #[test]
    fn the_cookie_is_bound_to_this_site_and_closed_to_scripts() {
        let cookie = begin("t", true).unwrap();
        assert_eq!(
            cookie,
            "gongying_session=t; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(end(false).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
