//! `Accept` and `Content-Type` as media types with parameters (RFC 9110 sections 8.3 and 12.5.1).

use axum::http::{HeaderMap, header};

/// Longest header read; what stands behind is not looked at.
const HEADER_BYTES_MAX: usize = 4096;
/// Most media ranges read.
const RANGES_MAX: usize = 32;
/// Most parameters of one range read.
const PARAMETERS_MAX: usize = 16;

/// A media type or range. Type, subtype and parameter names are lower case; values keep their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaRange {
    /// `image` of `image/jpeg`.
    pub(crate) main: String,
    /// `jpeg` of `image/jpeg`.
    pub(crate) sub: String,
    parameters: Vec<(String, String)>,
    /// Weight in thousandths.
    pub(crate) weight: u16,
}

impl MediaRange {
    /// Parses one media type; none where it has no `type/subtype`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = split_outside_quotes(text, ';');
        let (main, sub) = parts.next()?.trim().split_once('/')?;
        let (main, sub) = (main.trim().to_ascii_lowercase(), sub.trim().to_ascii_lowercase());
        if !is_token(&main) || !is_token(&sub) {
            return None;
        }
        let mut range = Self {
            main,
            sub,
            parameters: Vec::new(),
            weight: 1000,
        };
        for part in parts.take(PARAMETERS_MAX) {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), unquote(value.trim()));
            if name == "q" {
                range.weight = weight(&value);
            } else {
                range.parameters.push((name, value));
            }
        }
        Some(range)
    }

    /// A parameter by its lower-case name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether this range covers `main/sub`, parameters apart.
    pub(crate) fn covers(&self, main: &str, sub: &str) -> bool {
        (self.main == "*" || self.main == main) && (self.sub == "*" || self.sub == sub)
    }

    /// Whether it is exactly this type.
    pub(crate) fn is(&self, main: &str, sub: &str) -> bool {
        self.main == main && self.sub == sub
    }

    fn exactness(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

/// The ranges that a request accepts, best first; those with weight 0 are left out.
///
/// Without an `Accept` header everything is acceptable. Equal weights keep exact types before wildcards and
/// then the order of the header.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<MediaRange> {
    let mut ranges: Vec<MediaRange> = Vec::new();
    let mut seen = false;
    for value in headers.get_all(header::ACCEPT) {
        seen = true;
        let text = value.to_str().unwrap_or_default();
        ranges.extend(list(text));
    }
    if !seen {
        ranges.extend(MediaRange::parse("*/*"));
    }
    ranges.truncate(RANGES_MAX);
    ranges.retain(|range| range.weight > 0);
    ranges.sort_by_key(|range| {
        (
            std::cmp::Reverse(range.weight),
            std::cmp::Reverse(range.exactness()),
        )
    });
    ranges
}

fn list(text: &str) -> Vec<MediaRange> {
    let text = text.get(..HEADER_BYTES_MAX).unwrap_or(text);
    split_outside_quotes(text, ',')
        .take(RANGES_MAX)
        .filter_map(MediaRange::parse)
        .collect()
}

/// The first of `offers` (`("image", "png")`, best first) that the request takes, by its own order of wishes.
pub(crate) fn choose<'o>(
    headers: &HeaderMap,
    offers: &'o [(&'o str, &'o str)],
) -> Option<(&'o str, &'o str)> {
    accepted(headers)
        .iter()
        .find_map(|range| offers.iter().find(|(main, sub)| range.covers(main, sub)).copied())
}

fn weight(text: &str) -> u16 {
    let value: f32 = text.parse().unwrap_or(1.0);
    if value.is_finite() {
        (value.clamp(0.0, 1.0) * 1000.0) as u16
    } else {
        0
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
}

fn unquote(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.to_owned(),
    }
}

/// Splits at `separator` where it stands outside of double quotes.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        let splits = c == separator && !quoted;
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        splits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        headers
    }

    fn check(accept: &str, expect: &[&str]) {
        let got: Vec<String> = accepted(&headers(accept))
            .iter()
            .map(|r| {
                let mut text = format!("{}/{}", r.main, r.sub);
                for (name, value) in &r.parameters {
                    text.push_str(&format!(";{name}={value}"));
                }
                text
            })
            .collect();
        assert_eq!(got, expect, "{accept}");
    }

    #[test]
    fn accept_headers_as_viewers_send_them() {
        check("*/*", &["*/*"]);
        check(
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            &["multipart/related;type=application/octet-stream;transfer-syntax=*"],
        );
        check(
            r#"multipart/related; type="application/octet-stream"; transfer-syntax="*""#,
            &["multipart/related;type=application/octet-stream;transfer-syntax=*"],
        );
        check(
            "Multipart/Related; Type=Image/JLS",
            &["multipart/related;type=Image/JLS"],
        );
        check(
            "image/png;q=0.5, image/webp, */*;q=0.1",
            &["image/webp", "image/png", "*/*"],
        );
        check("image/*, image/png", &["image/png", "image/*"]);
        check("image/png;q=0, image/jpeg", &["image/jpeg"]);
        check(
            r#"multipart/related; type="a/b, c"; x="q;uo\"te", text/css"#,
            &["multipart/related;type=a/b, c;x=q;uo\"te", "text/css"],
        );
        check("nonsense, ;;, /, a/, text/plain;q=NaN", &[]);
        check("text/plain;q=high;level=1", &["text/plain;level=1"]);
    }

    #[test]
    fn no_header_accepts_everything() {
        assert!(accepted(&HeaderMap::new())[0].covers("image", "png"));
    }

    #[test]
    fn the_first_wish_that_is_offered_wins() {
        let offers = [("image", "jpeg"), ("image", "png")];
        let check = |accept: &str, expect| assert_eq!(choose(&headers(accept), &offers), expect, "{accept}");
        check("*/*", Some(("image", "jpeg")));
        check("image/png", Some(("image", "png")));
        check("image/png;q=0.2, image/*", Some(("image", "jpeg")));
        check("text/html", None);
    }

    #[test]
    fn a_hundred_thousand_ranges_are_cut_short() {
        let many = "a/b,".repeat(1000);
        assert_eq!(accepted(&headers(&many)).len(), RANGES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,200}") {
            let _ = MediaRange::parse(&text);
            let _ = list(&text);
        }
    }
}
