//! Start of acquisition as the formats write it: `YYYYMMDD[HHMMSS]`, or WFDB's `HH:MM:SS DD/MM/YYYY`.

use super::raw::{day, time_of_day};

/// Date as `YYYYMMDD` and time as `HHMMSS`, each where it is said.
pub(super) fn split(stamp: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(stamp) = stamp.map(str::trim) else {
        return (None, None);
    };
    let part = |range: std::ops::Range<usize>| stamp.get(range).and_then(|t| t.parse::<i32>().ok());
    let plain = stamp.bytes().take_while(u8::is_ascii_digit).count();
    if plain >= 8 {
        let date = day(
            part(0..4).unwrap_or(0),
            part(4..6).unwrap_or(0),
            part(6..8).unwrap_or(0),
        );
        let time = (plain >= 12).then(|| {
            let second = if plain >= 14 { part(12..14) } else { Some(0) };
            time_of_day(part(8..10)?, part(10..12)?, second?)
        });
        return (date, time.flatten());
    }
    let (mut date, mut time) = (None, None);
    for word in stamp.split_ascii_whitespace() {
        let numbers = |mark: char| -> Option<Vec<i32>> {
            let words = word.split(mark);
            words
                .map(|w| w.split('.').next()?.parse().ok())
                .collect::<Option<_>>()
        };
        if word.contains(':') {
            // Leading parts may be left out: `MM:SS` or `HH:MM:SS`.
            time = match numbers(':').as_deref() {
                Some([hour, minute, second]) => time_of_day(*hour, *minute, *second),
                Some([minute, second]) => time_of_day(0, *minute, *second),
                _ => None,
            };
        } else if word.contains('/') {
            date = match numbers('/').as_deref() {
                Some([of_month, month, year]) => day(*year, *month, *of_month),
                _ => None,
            };
        }
    }
    (date, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_all_formats() {
        let check = |stamp: &str, date: Option<&str>, time: Option<&str>| {
            let got = split(Some(stamp));
            assert_eq!((got.0.as_deref(), got.1.as_deref()), (date, time), "{stamp}");
        };
        check("20021122091000", Some("20021122"), Some("091000"));
        check("20021122091000.123+0800", Some("20021122"), Some("091000"));
        check("20021122", Some("20021122"), None);
        check("200211220910", Some("20021122"), Some("091000"));
        check("10:05:07 01/02/2020", Some("20200201"), Some("100507"));
        check("10:05:07.250", None, Some("100507"));
        check("20021399", None, None);
        check("", None, None);
        assert_eq!(split(None), (None, None));
    }
}
