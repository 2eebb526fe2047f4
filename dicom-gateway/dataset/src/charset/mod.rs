//! Character sets (PS3.3 C.12.1.1.2, PS3.5 6.1), on raw bytes.
//!
//! Text is decoded first and split at backslashes afterwards: in GBK and GB18030 a second byte may
//! be 0x5C. ISO 2022 escapes are interpreted, and the state returns to the first declared set at
//! every delimiter (PS3.5 6.1.2.5.3).

mod detect;
mod iso2022;
mod single;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

pub(crate) use detect::settle;
pub use detect::{CharsetReport, CharsetState};
use encoding_rs::{EUC_KR, GB18030, GBK, UTF_8};
use single::SingleByte;

use crate::dictionary::Vr;

/// Values of (0008,0005) that are looked at.
pub const TERMS_MAX: usize = 16;

/// The declared sets of a data set and how its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacterSets {
    terms: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The default repertoire, ISO_IR 6.
    Ascii,
    /// One set of single bytes.
    Single(SingleByte),
    Utf8,
    Gb18030,
    Gbk,
    /// Code extensions; the set in force before any escape.
    Iso2022(Option<SingleByte>),
    /// A term nobody knows: Latin-1, so that no byte is lost.
    Unknown,
}

/// Decoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text; what could not be decoded is U+FFFD.
    pub text: String,
    /// Something could not be decoded in the declared sets.
    pub damaged: bool,
}

static ASCII: LazyLock<Arc<CharacterSets>> = LazyLock::new(|| {
    Arc::new(CharacterSets {
        terms: Vec::new(),
        kind: Kind::Ascii,
    })
});

impl CharacterSets {
    /// The default repertoire, shared.
    pub(crate) fn ascii() -> Arc<Self> {
        Arc::clone(&ASCII)
    }

    /// From the values of Specific Character Set; none or one empty value is the default
    /// repertoire.
    pub fn from_terms<T: AsRef<str>>(values: &[T]) -> Self {
        let mut terms: Vec<String> = values
            .iter()
            .take(TERMS_MAX)
            .map(|value| normal_term(value.as_ref()))
            .collect();
        while terms.last().is_some_and(String::is_empty) {
            terms.pop();
        }
        let first = terms.first().map_or("", String::as_str);
        let kind = if terms.len() > 1 || first.starts_with("ISO 2022") {
            match first {
                // against the standard but met: these take no code extensions
                "ISO_IR 192" => Kind::Utf8,
                "GB18030" => Kind::Gb18030,
                "GBK" => Kind::Gbk,
                _ => Kind::Iso2022(SingleByte::from_term(first)),
            }
        } else {
            match first {
                "" | "ISO_IR 6" => Kind::Ascii,
                "ISO_IR 192" => Kind::Utf8,
                "GB18030" => Kind::Gb18030,
                "GBK" => Kind::Gbk,
                _ => SingleByte::from_term(first).map_or(Kind::Unknown, Kind::Single),
            }
        };
        Self { terms, kind }
    }

    /// From the raw value of (0008,0005).
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes.get(..1024).unwrap_or(bytes)).into_owned();
        Self::from_terms(&text.split('\\').collect::<Vec<_>>())
    }

    /// UTF-8, `ISO_IR 192`.
    pub fn utf8() -> Self {
        Self {
            terms: vec!["ISO_IR 192".into()],
            kind: Kind::Utf8,
        }
    }

    /// GB18030.
    pub fn gb18030() -> Self {
        Self {
            terms: vec!["GB18030".into()],
            kind: Kind::Gb18030,
        }
    }

    /// The declared terms, normalised, as the value of (0008,0005).
    pub fn to_dicom(&self) -> String {
        self.terms.join("\\")
    }

    /// The declared terms.
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// Every declared term is known to this crate.
    pub fn is_known(&self) -> bool {
        !matches!(self.kind, Kind::Unknown)
            && self
                .terms
                .iter()
                .skip(1)
                .all(|term| term.is_empty() || iso2022::knows(term))
    }

    /// Decodes the bytes of a whole value (all its values, delimiters included).
    pub fn decode(&self, bytes: &[u8], vr: Vr) -> Decoded {
        if bytes.is_ascii() && !bytes.contains(&0x1b) {
            return Decoded {
                text: String::from_utf8_lossy(bytes).into_owned(),
                damaged: false,
            };
        }
        let (text, damaged) = match self.kind {
            Kind::Utf8 => whole(UTF_8.decode_without_bom_handling(bytes)),
            Kind::Gb18030 => whole(GB18030.decode_without_bom_handling(bytes)),
            Kind::Gbk => whole(GBK.decode_without_bom_handling(bytes)),
            Kind::Single(set) => set.decode(bytes),
            Kind::Iso2022(first) => iso2022::decode(bytes, first, &self.terms, vr),
            Kind::Ascii | Kind::Unknown => {
                if bytes.contains(&0x1b) {
                    iso2022::decode(bytes, None, &self.terms, vr)
                } else {
                    (
                        encoding_rs::mem::decode_latin1(bytes).into_owned(),
                        !bytes.is_ascii(),
                    )
                }
            }
        };
        Decoded { text, damaged }
    }

    /// Encodes text; `None` when a character is not in the set.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() {
            return Some(text.as_bytes().to_vec());
        }
        match self.kind {
            Kind::Utf8 => Some(text.as_bytes().to_vec()),
            Kind::Gb18030 => exact(GB18030.encode(text)),
            Kind::Gbk => exact(GBK.encode(text)),
            Kind::Single(set) => set.encode(text),
            Kind::Iso2022(first) => iso2022::encode(text, first, &self.terms),
            Kind::Ascii | Kind::Unknown => None,
        }
    }

    /// Encodes text; characters that are not in the set become `?`.
    pub fn encode_lossy(&self, text: &str) -> Vec<u8> {
        if let Some(bytes) = self.encode(text) {
            return bytes;
        }
        let fitting: String = text
            .chars()
            .map(|c| {
                if c.is_ascii() || self.encode(c.encode_utf8(&mut [0; 4])).is_some() {
                    c
                } else {
                    '?'
                }
            })
            .collect();
        self.encode(&fitting)
            .unwrap_or_else(|| fitting.replace(|c: char| !c.is_ascii(), "?").into_bytes())
    }

    /// KS X 1001 as its own set is decoded by EUC-KR.
    fn korean(bytes: &[u8]) -> (String, bool) {
        whole(EUC_KR.decode_without_bom_handling(bytes))
    }
}

fn whole((text, damaged): (Cow<'_, str>, bool)) -> (String, bool) {
    (text.into_owned(), damaged)
}

fn exact((bytes, _, unmappable): (Cow<'_, [u8]>, &'static encoding_rs::Encoding, bool)) -> Option<Vec<u8>> {
    (!unmappable).then(|| bytes.into_owned())
}

/// Upper case, blanks for underscores and hyphens where devices write them otherwise:
/// `ISO-IR 192`, `iso_ir_100`, `ISO 2022 IR-58`, `GB 18030`, `UTF-8`.
fn normal_term(term: &str) -> String {
    let term = term.trim_matches([' ', '\0']).to_ascii_uppercase();
    let letters: String = term.chars().filter(char::is_ascii_alphanumeric).collect();
    if let Some(number) = letters.strip_prefix("ISO2022IR") {
        return format!("ISO 2022 IR {number}");
    }
    if let Some(number) = letters.strip_prefix("ISOIR") {
        return format!("ISO_IR {number}");
    }
    match letters.as_str() {
        "GB18030" | "GB180302000" | "GB180302005" => "GB18030".into(),
        "GBK" | "GB2312" | "CP936" => "GBK".into(),
        "UTF8" => "ISO_IR 192".into(),
        _ => term,
    }
}

#[cfg(test)]
mod tests;
