//! Byte ranges over bodies of known length (RFC 9110 section 14).

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// What a `Range` header means for a body of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No range, several ranges, another unit, or a stale `If-Range`: the whole.
    Whole,
    /// One range inside the body.
    Part(Range<u64>),
    /// Past the end.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range`. `etag` is the entity tag of the body with its quotes.
pub(crate) fn wanted(headers: &HeaderMap, length: u64, etag: &str) -> Wanted {
    let Some(text) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::Whole;
    };
    if let Some(condition) = headers.get(header::IF_RANGE)
        && condition.as_bytes() != etag.as_bytes()
    {
        return Wanted::Whole;
    }
    parse(text, length)
}

fn parse(text: &str, length: u64) -> Wanted {
    let Some(spec) = text.trim().strip_prefix("bytes=") else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if last.contains(',') {
        return Wanted::Whole;
    }
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Wanted::Whole,
        (true, false) => match number(last) {
            None => Wanted::Whole,
            Some(0) => Wanted::Unsatisfiable,
            Some(_) if length == 0 => Wanted::Unsatisfiable,
            Some(suffix) => Wanted::Part(length.saturating_sub(suffix)..length),
        },
        (false, _) => {
            let Some(first) = number(first) else {
                return Wanted::Whole;
            };
            let last = if last.is_empty() {
                Some(u64::MAX)
            } else {
                number(last)
            };
            match last {
                None => Wanted::Whole,
                Some(last) if last < first => Wanted::Whole,
                Some(_) if first >= length => Wanted::Unsatisfiable,
                Some(last) => Wanted::Part(first..last.saturating_add(1).min(length)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, length: u64, expect: Wanted) {
        assert_eq!(parse(text, length), expect, "{text} of {length}");
    }

    #[test]
    fn ranges_of_a_body() {
        use Wanted::{Part, Unsatisfiable, Whole};
        check("bytes=0-99", 1000, Part(0..100));
        check("bytes=100-", 1000, Part(100..1000));
        check("bytes=5-9999", 1000, Part(5..1000));
        check("bytes=-50", 1000, Part(950..1000));
        check("bytes=-5000", 1000, Part(0..1000));
        check("bytes=999-999", 1000, Part(999..1000));
        check("bytes=0-18446744073709551615", 1000, Part(0..1000));
        check("bytes=0-99999999999999999999999", 1000, Part(0..1000));
        check("bytes=1000-", 1000, Unsatisfiable);
        check("bytes=-0", 1000, Unsatisfiable);
        check("bytes=0-", 0, Unsatisfiable);
        check("bytes=0-1,5-6", 1000, Whole);
        check("bytes=9-5", 1000, Whole);
        check("bytes=a-b", 1000, Whole);
        check("bytes=--5", 1000, Whole);
        check("bytes=-", 1000, Whole);
        check("rows=0-1", 1000, Whole);
        check("", 1000, Whole);
    }

    #[test]
    fn a_stale_if_range_gives_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-9".parse().unwrap());
        assert_eq!(wanted(&headers, 100, "\"a\""), Wanted::Part(0..10));
        headers.insert(header::IF_RANGE, "\"b\"".parse().unwrap());
        assert_eq!(wanted(&headers, 100, "\"a\""), Wanted::Whole);
        headers.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        assert_eq!(wanted(&headers, 100, "\"a\""), Wanted::Part(0..10));
    }
}
