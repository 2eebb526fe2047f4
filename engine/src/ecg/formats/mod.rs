//! Bytes of a file to a [`Record`]: one module a format, and the detection of which one it is.

pub mod aecg;
pub mod dicom;
pub mod edf;
pub mod ishne;
mod lead_codes;
pub mod mfer;
pub mod muse;
pub mod npy;
mod quantise;
mod raw;
pub mod scp;
pub mod sierra;
mod stamp;
pub mod stream;
pub mod wfdb;
mod xml;

use super::error::EcgError;
use super::record::Record;

/// Formats which are told apart by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PhysioNet header (`.hea`) with signal files beside it.
    Wfdb,
    /// DICOM Part 10 file or bare data set.
    Dicom,
    /// SCP-ECG.
    Scp,
    /// HL7 annotated ECG.
    Aecg,
    /// GE MUSE XML.
    Muse,
    /// Philips Sierra XML.
    Sierra,
    /// EDF, EDF+, BDF or BDF+.
    Edf,
    /// MFER.
    Mfer,
    /// ISHNE Holter recording.
    Ishne,
    /// NumPy array.
    Npy,
    /// A report that a person can read and a program cannot measure: PDF, or the XML of a maker that is not known here.
    Document,
}

/// What a format cannot say by itself; an array has neither rate nor lead names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadOptions {
    /// Samples a second, for formats without it.
    pub sampling_rate_hz: Option<f64>,
    /// Lead names, for formats without them.
    pub lead_names: Option<Vec<String>>,
}

/// Gives the bytes of a file that lies beside the record, by its plain name.
pub type SideLoader<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// When a recording was made, as a person reads it: `2025-11-03 10:11:12`, or what the file says where it is neither.
pub(crate) fn when(record: &Record) -> Option<String> {
    let said = record.acquired_at.as_deref()?;
    let (date, time) = stamp::split(Some(said));
    let part = |text: &str, range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    let Some(date) = date else {
        return Some(said.to_owned());
    };
    let day = [part(&date, 0..4), part(&date, 4..6), part(&date, 6..8)].join("-");
    Some(match time {
        Some(time) => {
            let clock = [part(&time, 0..2), part(&time, 2..4), part(&time, 4..6)].join(":");
            format!("{day} {clock}")
        }
        None => day,
    })
}

/// Names the format by its magic number, else by its structure; `name_hint` decides only where bytes cannot.
#[must_use]
pub fn detect(bytes: &[u8], name_hint: &str) -> Option<Format> {
    if let Some(format) = by_content(bytes) {
        return Some(format);
    }
    let name = name_hint.to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    match ending {
        Some("hea") => Some(Format::Wfdb),
        Some("npy") => Some(Format::Npy),
        Some("dcm") => Some(Format::Dicom),
        Some("scp") => Some(Format::Scp),
        Some("edf" | "bdf") => Some(Format::Edf),
        Some("mwf" | "mfer") => Some(Format::Mfer),
        _ if bytes.starts_with(&[8, 0]) => Some(Format::Dicom),
        _ => None,
    }
}

fn by_content(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(npy::MAGIC) {
        return Some(Format::Npy);
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(Format::Dicom);
    }
    if bytes.starts_with(ishne::MAGIC) {
        return Some(Format::Ishne);
    }
    if edf::looks_like(bytes) {
        return Some(Format::Edf);
    }
    if scp::looks_like(bytes) {
        return Some(Format::Scp);
    }
    if mfer::looks_like(bytes) {
        return Some(Format::Mfer);
    }
    if bytes.starts_with(b"%PDF-") {
        return Some(Format::Document);
    }
    if looks_like_xml(bytes) {
        return Some(match xml::root_name(bytes).as_deref() {
            Some(aecg::ROOT) => Format::Aecg,
            Some(muse::ROOT) => Format::Muse,
            Some(sierra::ROOT) => Format::Sierra,
            _ => Format::Document,
        });
    }
    wfdb::looks_like_header(bytes).then_some(Format::Wfdb)
}

/// Markup behind a byte order mark and blanks, one or two bytes a character.
fn looks_like_xml(bytes: &[u8]) -> bool {
    const SNIFFED_BYTES_MAX: usize = 256;
    let head = bytes
        .get(..bytes.len().min(SNIFFED_BYTES_MAX))
        .unwrap_or_default();
    let mut text = head
        .iter()
        .filter(|b| !matches!(b, 0 | 0xef | 0xbb | 0xbf | 0xff | 0xfe));
    text.find(|b| !b.is_ascii_whitespace()) == Some(&b'<')
}

/// Reads any format that stands on its own bytes; `side` is asked for the files that a header names.
///
/// # Errors
/// [`EcgError::UnknownFormat`], [`EcgError::NotMeasurable`] for a document, [`EcgError::DicomNeedsLookup`] for DICOM
/// (tokenise it and call the DICOM reader), and the errors of the format's reader.
pub fn read(
    bytes: &[u8],
    name_hint: &str,
    side: &SideLoader<'_>,
    options: &ReadOptions,
) -> Result<Record, EcgError> {
    match detect(bytes, name_hint) {
        Some(Format::Wfdb) => wfdb::read(bytes, side),
        Some(Format::Npy) => npy::read(bytes, options),
        Some(Format::Scp) => scp::read(bytes),
        Some(Format::Aecg) => aecg::read(bytes),
        Some(Format::Muse) => muse::read(bytes),
        Some(Format::Sierra) => sierra::read(bytes),
        Some(Format::Edf) => edf::read(bytes),
        Some(Format::Mfer) => mfer::read(bytes),
        Some(Format::Ishne) => ishne::read(bytes),
        Some(Format::Document) => Err(not_measurable(bytes, name_hint)),
        Some(Format::Dicom) => Err(EcgError::DicomNeedsLookup {
            name: name_hint.to_owned(),
        }),
        None => Err(EcgError::UnknownFormat {
            name: name_hint.to_owned(),
        }),
    }
}

fn not_measurable(bytes: &[u8], name: &str) -> EcgError {
    let what = if bytes.starts_with(b"%PDF-") {
        "a PDF report".to_owned()
    } else {
        let root = xml::root_name(bytes).and_then(|root| raw::clean(&root));
        let root: String = root.unwrap_or_default().chars().take(40).collect();
        format!("an XML document of an unknown kind <{root}>")
    };
    EcgError::NotMeasurable {
        name: name.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_content() {
        let check = |bytes: &[u8], name: &str, expect: Option<Format>| {
            assert_eq!(detect(bytes, name), expect, "{name}");
        };
        check(b"\x93NUMPY\x01\0", "x.bin", Some(Format::Npy));
        check(&[&[0; 128][..], b"DICM"].concat(), "x.xml", Some(Format::Dicom));
        check(b"ISHNE1.0..", "x.ecg", Some(Format::Ishne));
        check(b"<?xml version='1.0'?><AnnotatedECG>", "x", Some(Format::Aecg));
        check(b"\xef\xbb\xbf <RestingECG>", "x", Some(Format::Muse));
        check(b"\xff\xfe<\0r\0/\0>\0", "x", Some(Format::Document));
        check(b"<restingecgdata/>", "x.hea", Some(Format::Sierra));
        check(b"<CardiologyXML>", "x.xml", Some(Format::Document));
        check(b"%PDF-1.7", "report.pdf", Some(Format::Document));
        check(b"100 2 360 650000\n", "x", Some(Format::Wfdb));
        check(b"MFR", "x.mwf", Some(Format::Mfer));
        check(b"@\x03MFR", "x", Some(Format::Mfer));
        check(b"", "cut.scp", Some(Format::Scp));
        check(b"", "cut.edf", Some(Format::Edf));
        check(b"hello", "x.txt", None);
    }

    #[test]
    fn documents_are_named() {
        let check = |bytes: &[u8], expect: &str| {
            let error = read(bytes, "report", &|_: &str| None, &ReadOptions::default()).unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        };
        check(b"%PDF-1.7", "PDF");
        check(b"<CardiologyXML><a/></CardiologyXML>", "<CardiologyXML>");
        check(b"<<<", "unknown kind");
    }
}
