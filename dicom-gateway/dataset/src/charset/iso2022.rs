//! Code extensions by ISO 2022 escapes (PS3.5 6.1.2.5).

use encoding_rs::{EUC_JP, GBK};

use super::CharacterSets;
use super::single::SingleByte;
use crate::dictionary::Vr;

const ESCAPE: u8 = 0x1b;

/// What bytes below 0x80 mean.
#[derive(Clone, Copy, PartialEq)]
enum Low {
    Ascii,
    JisX0208,
    JisX0212,
}

/// What bytes from 0x80 on mean.
#[derive(Clone, Copy, PartialEq)]
enum High {
    Single(SingleByte),
    Gb2312,
    KsX1001,
}

/// The term names a set that an escape can call.
pub(super) fn knows(term: &str) -> bool {
    let number = term
        .strip_prefix("ISO 2022 IR ")
        .or_else(|| term.strip_prefix("ISO_IR "));
    matches!(number, Some("58" | "87" | "149" | "159")) || SingleByte::from_term(term).is_some()
}

fn declared(terms: &[String], number: &str) -> bool {
    terms.iter().any(|term| term.rsplit(' ').next() == Some(number))
}

/// The set for bytes from 0x80 on before any escape. Without one in the first value, a declared
/// multi-byte set is assumed: devices leave the escape away, and no other reading makes sense.
fn initial(first: Option<SingleByte>, terms: &[String]) -> High {
    match first {
        Some(set) if set != SingleByte::Ir6 => High::Single(set),
        _ if declared(terms, "58") => High::Gb2312,
        _ if declared(terms, "149") => High::KsX1001,
        _ => High::Single(SingleByte::Other(100)),
    }
}

/// Escape sequence at the start of `bytes`: its length and effect.
fn escape(bytes: &[u8]) -> Option<(usize, Option<Low>, Option<High>)> {
    Some(match bytes {
        [ESCAPE, b'$', b')', b'A', ..] => (4, None, Some(High::Gb2312)),
        [ESCAPE, b'$', b')', b'C', ..] => (4, None, Some(High::KsX1001)),
        [ESCAPE, b'$', b'(', b'D', ..] => (4, Some(Low::JisX0212), None),
        [ESCAPE, b'$', b'B' | b'@', ..] => (3, Some(Low::JisX0208), None),
        [ESCAPE, b'(', b'B' | b'J', ..] => (3, Some(Low::Ascii), None),
        [ESCAPE, b')', b'I', ..] => (3, None, Some(High::Single(SingleByte::Ir13))),
        [ESCAPE, b'-', last, ..] => (3, None, Some(High::Single(SingleByte::from_g1_final(*last)?))),
        _ => return None,
    })
}

/// Delimiters that bring the first set back. The backslash separates values except in the long
/// texts, where it is a character like others.
fn resets(byte: u8, vr: Vr) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' | 0x0c => true,
        b'\\' => !matches!(vr, Vr::LT | Vr::ST | Vr::UT),
        b'^' | b'=' => vr == Vr::PN,
        _ => false,
    }
}

pub(super) fn decode(bytes: &[u8], first: Option<SingleByte>, terms: &[String], vr: Vr) -> (String, bool) {
    let start = initial(first, terms);
    let (mut low, mut high) = (Low::Ascii, start);
    let (mut text, mut damaged) = (String::with_capacity(bytes.len()), false);
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        if byte == ESCAPE {
            match escape(rest) {
                Some((length, new_low, new_high)) => {
                    low = new_low.unwrap_or(low);
                    high = new_high.unwrap_or(high);
                    rest = rest.get(length..).unwrap_or_default();
                }
                None => {
                    damaged = true;
                    text.push('\u{fffd}');
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
            continue;
        }
        if byte < 0x80 && (low == Low::Ascii || byte < 0x21) {
            text.push(char::from(byte));
            if resets(byte, vr) {
                (low, high) = (Low::Ascii, start);
            }
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let is_low = byte < 0x80;
        let length = rest
            .iter()
            .position(|&b| b == ESCAPE || (b < 0x80) != is_low || b < 0x21)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        damaged |= push_run(&mut text, run, is_low.then_some(low), high);
        rest = after;
    }
    (text, damaged)
}

/// Decodes a run of bytes of one half; true when something could not be decoded.
fn push_run(text: &mut String, run: &[u8], low: Option<Low>, high: High) -> bool {
    let (decoded, damaged) = match (low, high) {
        (Some(low), _) => {
            // EUC-JP is the same table shifted to the upper half, X 0212 behind a 0x8F
            let prefix: &[u8] = if low == Low::JisX0212 { &[0x8f] } else { &[] };
            let shifted: Vec<u8> = run
                .chunks(2)
                .flat_map(|pair| prefix.iter().copied().chain(pair.iter().map(|b| b | 0x80)))
                .collect();
            super::whole(EUC_JP.decode_without_bom_handling(&shifted))
        }
        (None, High::Single(set)) => set.decode(run),
        (None, High::Gb2312) => super::whole(GBK.decode_without_bom_handling(run)),
        (None, High::KsX1001) => CharacterSets::korean(run),
    };
    text.push_str(&decoded);
    damaged
}

/// Encodes with escapes: Latin characters by the first set, hanzi by GB2312, hangul by KS X 1001,
/// kanji by JIS X 0208, as far as these are declared.
pub(super) fn encode(text: &str, first: Option<SingleByte>, terms: &[String]) -> Option<Vec<u8>> {
    let sets: [(&str, &[u8], Encoder); 3] = [
        ("58", b"\x1b$)A", |c| upper_pair(encoding_rs::GBK, c)),
        ("149", b"\x1b$)C", |c| upper_pair(encoding_rs::EUC_KR, c)),
        ("87", b"\x1b$B", |c| {
            upper_pair(EUC_JP, c).map(|pair| pair.iter().map(|b| b & 0x7f).collect())
        }),
    ];
    let mut bytes = Vec::with_capacity(text.len() + 8);
    let mut current: Option<usize> = None;
    for c in text.chars() {
        if c.is_ascii() {
            if current == Some(2) {
                bytes.extend_from_slice(b"\x1b(B");
                current = None;
            }
            bytes.push(c as u8);
            // the reader's state returns at every delimiter of any VR, so be generous
            if matches!(c, '\\' | '^' | '=' | '\t' | '\r' | '\n' | '\x0c') {
                current = None;
            }
            continue;
        }
        if current.is_none()
            && let Some(set) = first
            && let Some(single) = set.encode(c.encode_utf8(&mut [0; 4]))
        {
            bytes.extend_from_slice(&single);
            continue;
        }
        let (index, encoded) = sets
            .iter()
            .enumerate()
            .filter(|(_, set)| declared(terms, set.0))
            .find_map(|(index, set)| set.2(c).map(|encoded| (index, encoded)))?;
        if current != Some(index) {
            bytes.extend_from_slice(sets.get(index).map_or(&[], |set| set.1));
            current = Some(index);
        }
        bytes.extend_from_slice(&encoded);
    }
    if current == Some(2) {
        bytes.extend_from_slice(b"\x1b(B");
    }
    Some(bytes)
}

type Encoder = fn(char) -> Option<Vec<u8>>;

/// The two bytes of a character, both in 0xA1-0xFE (the 94 by 94 square of ISO 2022).
fn upper_pair(encoding: &'static encoding_rs::Encoding, c: char) -> Option<Vec<u8>> {
    let bytes = super::exact(encoding.encode(c.encode_utf8(&mut [0; 4])))?;
    let fits = bytes.len() == 2 && bytes.iter().all(|b| (0xa1..=0xfe).contains(b));
    // GB2312 proper ends at row 0xF7; what GBK adds inside the square (rows 0xA8, 0xA9 ...) is
    // left to readers as they are: the same bytes mean the same in every reader that uses GBK
    fits.then_some(bytes)
}
