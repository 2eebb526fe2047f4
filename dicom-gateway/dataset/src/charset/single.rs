//! Sets of single bytes, and what they are called.

use encoding_rs::{
    Encoding, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8,
    WINDOWS_874, WINDOWS_1254,
};

/// A set of single bytes, by its ISO registration number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SingleByte {
    /// ISO 646, ASCII.
    Ir6,
    /// Latin 1 to 5 and others by number.
    Other(u16),
    /// JIS X 0201: katakana above, roman letters below.
    Ir13,
}

/// Registration number, final byte of the G1 escape `ESC 2D x`, and decoder where it is not
/// Latin-1 (PS3.3 table C.12-3; the windows code pages hold the same characters at 0xA0-0xFF).
const SETS: [(u16, u8, Option<&Encoding>); 11] = [
    (100, b'A', None),
    (101, b'B', Some(ISO_8859_2)),
    (109, b'C', Some(ISO_8859_3)),
    (110, b'D', Some(ISO_8859_4)),
    (144, b'L', Some(ISO_8859_5)),
    (127, b'G', Some(ISO_8859_6)),
    (126, b'F', Some(ISO_8859_7)),
    (138, b'H', Some(ISO_8859_8)),
    (148, b'M', Some(WINDOWS_1254)),
    (166, b'T', Some(WINDOWS_874)),
    (203, b'b', Some(encoding_rs::ISO_8859_15)),
];

impl SingleByte {
    /// From `ISO_IR n` or `ISO 2022 IR n`; an empty term is ASCII.
    pub(super) fn from_term(term: &str) -> Option<Self> {
        if term.is_empty() {
            return Some(Self::Ir6);
        }
        let number = term
            .strip_prefix("ISO_IR ")
            .or_else(|| term.strip_prefix("ISO 2022 IR "))?;
        match number.parse().ok()? {
            6 => Some(Self::Ir6),
            13 => Some(Self::Ir13),
            number if SETS.iter().any(|set| set.0 == number) => Some(Self::Other(number)),
            _ => None,
        }
    }

    /// From the final byte of an escape that puts a set in G1.
    pub(super) fn from_g1_final(byte: u8) -> Option<Self> {
        SETS.iter()
            .find(|set| set.1 == byte)
            .map(|set| Self::Other(set.0))
    }

    fn encoding(self) -> Option<&'static Encoding> {
        match self {
            Self::Other(number) => SETS.iter().find(|set| set.0 == number).and_then(|set| set.2),
            _ => None,
        }
    }

    pub(super) fn decode(self, bytes: &[u8]) -> (String, bool) {
        match (self, self.encoding()) {
            (_, Some(encoding)) => {
                let (text, damaged) = encoding.decode_without_bom_handling(bytes);
                (text.into_owned(), damaged)
            }
            (Self::Ir13, None) => {
                let mut damaged = false;
                let text = bytes.iter().map(|&b| katakana(b, &mut damaged)).collect();
                (text, damaged)
            }
            (Self::Ir6, None) => (
                encoding_rs::mem::decode_latin1(bytes).into_owned(),
                !bytes.is_ascii(),
            ),
            (Self::Other(_), None) => (encoding_rs::mem::decode_latin1(bytes).into_owned(), false),
        }
    }

    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        match (self, self.encoding()) {
            (_, Some(encoding)) => super::exact(encoding.encode(text)),
            (Self::Ir13, None) => text
                .chars()
                .map(|c| match c {
                    '\u{ff61}'..='\u{ff9f}' => u8::try_from(c as u32 - 0xff61 + 0xa1).ok(),
                    _ => u8::try_from(c as u32).ok().filter(u8::is_ascii),
                })
                .collect(),
            (Self::Ir6, None) => text.is_ascii().then(|| text.as_bytes().to_vec()),
            (Self::Other(_), None) => text.chars().map(|c| u8::try_from(c as u32).ok()).collect(),
        }
    }
}

/// JIS X 0201. 0x5C and 0x7E stay what they are in ASCII: the first is the delimiter.
fn katakana(byte: u8, damaged: &mut bool) -> char {
    match byte {
        0..=0x7f => char::from(byte),
        0xa1..=0xdf => char::from_u32(0xff61 + u32::from(byte - 0xa1)).unwrap_or('\u{fffd}'),
        _ => {
            *damaged = true;
            '\u{fffd}'
        }
    }
}
