//! What several formats share: numbers in byte slices, text of unknown character set, checksums, base64.

use encoding_rs::{GB18030, WINDOWS_1252};

/// Longest text kept of a field, in characters.
const TEXT_CHARS_MAX: usize = 500;

pub(super) fn u16_le(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?
        .first_chunk()
        .map(|bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn i16_le(data: &[u8], at: usize) -> Option<i16> {
    data.get(at..)?
        .first_chunk()
        .map(|bytes| i16::from_le_bytes(*bytes))
}

pub(super) fn u32_le(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn i32_le(data: &[u8], at: usize) -> Option<i32> {
    data.get(at..)?
        .first_chunk()
        .map(|bytes| i32::from_le_bytes(*bytes))
}

/// Text of a binary field up to its first zero byte. Carts write ASCII, UTF-8, the Chinese code page or Latin letters
/// and seldom say which: the first of these that fits is taken.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let part = &bytes[..end];
    if let Ok(utf8) = std::str::from_utf8(part) {
        return clean(utf8);
    }
    let (chinese, broken) = GB18030.decode_without_bom_handling(part);
    if !broken {
        return clean(&chinese);
    }
    clean(&WINDOWS_1252.decode_without_bom_handling(part).0)
}

/// Text without control characters and outer spaces, not longer than is kept; `None` where nothing is left.
pub(super) fn clean(text: &str) -> Option<String> {
    let kept: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// CRC-CCITT (x^16 + x^12 + x^5 + 1, start 0xFFFF) as EN 1064 section 5.2.7 and the ISHNE standard use it.
pub(super) fn crc_ccitt(data: &[u8]) -> u16 {
    data.iter().fold(0xffff_u16, |crc, byte| {
        let mut next = crc ^ u16::from(*byte) << 8;
        for _ in 0..8 {
            next = if next & 0x8000 == 0 {
                next << 1
            } else {
                next << 1 ^ 0x1021
            };
        }
        next
    })
}

/// CRC-32 of ISO 3309, as GE writes it beside each lead.
pub(super) fn crc_32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// Bytes of base64 text; blanks and line ends are skipped, anything else outside the alphabet refuses the whole.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held, mut ended) = (0_u32, 0_u32, false);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                ended = true;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        if ended {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

/// A calendar day as `YYYYMMDD`; `None` for one that cannot be.
pub(super) fn day(year: i32, month: i32, day: i32) -> Option<String> {
    let fits = (1800..=2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then(|| format!("{year:04}{month:02}{day:02}"))
}

/// A time of day as `HHMMSS`.
pub(super) fn time_of_day(hour: i32, minute: i32, second: i32) -> Option<String> {
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..61).contains(&second);
    fits.then(|| format!("{hour:02}{minute:02}{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_check_string() {
        assert_eq!(crc_ccitt(b"123456789"), 0x29b1);
        assert_eq!(crc_32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn base64_of_lines_and_ends() {
        let check = |text: &str, expect: Option<&[u8]>| assert_eq!(base64(text).as_deref(), expect, "{text}");
        check("", Some(b""));
        check("Zm9v\r\n YmFy", Some(b"foobar"));
        check("Zm8=", Some(b"fo"));
        check("Zg==", Some(b"f"));
        check("Zm8=Zg==", None);
        check("Zm-v", None);
    }

    #[test]
    fn text_of_each_character_set() {
        let check = |bytes: &[u8], expect: Option<&str>| assert_eq!(text(bytes).as_deref(), expect);
        check(b"Clark\0rest", Some("Clark"));
        check("张三".as_bytes(), Some("张三"));
        check(&[0xd5, 0xc5, 0xc8, 0xfd], Some("张三"));
        check(b"Mu\xff\xfcller", Some("Muÿüller"));
        check(b"  \0", None);
    }

    #[test]
    fn days_and_times_that_cannot_be_are_none() {
        assert_eq!(day(2024, 2, 9).as_deref(), Some("20240209"));
        assert_eq!(day(2024, 13, 9), None);
        assert_eq!(day(0, 1, 1), None);
        assert_eq!(time_of_day(9, 5, 7).as_deref(), Some("090507"));
        assert_eq!(time_of_day(24, 0, 0), None);
    }
}
