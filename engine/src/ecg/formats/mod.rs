//! Bytes of a file to a [`Record`]: one module a format, and the detection of which one it is.

pub mod dicom;
pub mod npy;
pub mod wfdb;

use super::error::EcgError;
use super::record::Record;

/// Formats which are told apart by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PhysioNet header (`.hea`) with signal files beside it.
    Wfdb,
    /// DICOM Part 10 file or bare data set.
    Dicom,
    /// NumPy array.
    Npy,
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

/// Names the format by its magic number, else by its structure; `name_hint` decides only where bytes cannot.
#[must_use]
pub fn detect(bytes: &[u8], name_hint: &str) -> Option<Format> {
    let ends = |suffix: &str| name_hint.to_ascii_lowercase().ends_with(suffix);
    if bytes.starts_with(npy::MAGIC) {
        return Some(Format::Npy);
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(Format::Dicom);
    }
    if ends(".hea") || wfdb::looks_like_header(bytes) {
        return Some(Format::Wfdb);
    }
    if ends(".npy") {
        return Some(Format::Npy);
    }
    (ends(".dcm") || bytes.starts_with(&[8, 0])).then_some(Format::Dicom)
}

/// Reads any format that stands on its own bytes; `side` is asked for the files that a header names.
///
/// # Errors
/// [`EcgError::UnknownFormat`], [`EcgError::DicomNeedsLookup`] for DICOM (tokenise it and call the DICOM reader), and
/// the errors of the format's reader.
pub fn read(
    bytes: &[u8],
    name_hint: &str,
    side: &SideLoader<'_>,
    options: &ReadOptions,
) -> Result<Record, EcgError> {
    match detect(bytes, name_hint) {
        Some(Format::Wfdb) => wfdb::read(bytes, side),
        Some(Format::Npy) => npy::read(bytes, options),
        Some(Format::Dicom) => Err(EcgError::DicomNeedsLookup {
            name: name_hint.to_owned(),
        }),
        None => Err(EcgError::UnknownFormat {
            name: name_hint.to_owned(),
        }),
    }
}
