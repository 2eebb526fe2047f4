//! Writes a recording as a DICOM waveform object: 12-lead, General or Ambulatory ECG (PS3.3 A.34.3 to A.34.5), with the
//! recorder's remarks and the measurements as Waveform Annotations (C.10.10).
//!
//! Samples keep the recorder's steps where 16 bits hold them. The object says of itself no more than the recording does:
//! what is unknown is empty.

mod annotations;
mod document;
mod group;

pub use document::{Document, DocumentKind, document};

use super::FORMAT;
use super::element::Set;
use crate::dicom::{Attributes, Lookup};
use crate::ecg::analysis::Analysis;
use crate::ecg::error::EcgError;
use crate::ecg::formats::stamp;
use crate::ecg::record::{Patient, Record};

/// What the object has to know besides the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Accession number of the request, if one is known.
    pub accession_number: Option<String>,
    /// Date and time to use where the recording has none: `YYYYMMDDHHMMSS`.
    pub now: String,
}

/// What the object carries besides the recording.
#[derive(Debug, Clone, Copy, Default)]
pub struct Additions<'a> {
    /// Measurements, written as annotations.
    pub analysis: Option<&'a Analysis>,
    /// The file that the recording was read from, kept whole in private elements.
    pub original: Option<Original<'a>>,
    /// Files that the first one names, such as the signals of a WFDB header, kept in the same way.
    pub beside: &'a [Original<'a>],
}

/// The file as the cart wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its name without a folder.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Private block of the original (PS3.5 section 7.8): creator, format, name, length and bytes.
const ORIGINAL_CREATOR: &str = "GONGYING ORIGINAL";
const ORIGINAL_BLOCK: u32 = 0x0077_0010;
const ORIGINAL_FORMAT: u32 = 0x0077_1001;
const ORIGINAL_NAME: u32 = 0x0077_1002;
const ORIGINAL_LENGTH: u32 = 0x0077_1003;
const ORIGINAL_BYTES: u32 = 0x0077_1004;
/// Further files: a sequence of items with name, length and bytes under the same creator.
const ORIGINAL_BESIDE: u32 = 0x0077_1005;
/// Further files that are kept and read; a WFDB header names one for each signal at most.
pub const BESIDE_MAX: usize = 64;

/// Name of the program that writes (PS3.7 D.3.3.2), the same in all files of this product.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.307438160229583146205839277405164912873";
const IMPLEMENTATION_VERSION_NAME: &str = concat!("GONGYING ", env!("CARGO_PKG_VERSION"));
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// The object class that holds a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 12-lead ECG Waveform Storage.
    TwelveLead,
    /// General ECG Waveform Storage.
    General,
    /// Ambulatory ECG Waveform Storage.
    Ambulatory,
}

impl Class {
    /// The narrowest class that holds the recording.
    ///
    /// # Errors
    /// [`EcgError::CannotHold`] for rates outside 50 to 1000 Hz and more leads than a class takes.
    pub fn of(record: &Record) -> Result<Self, EcgError> {
        const TWELVE_LEAD_CHANNELS_MAX: usize = 13;
        const TWELVE_LEAD_SAMPLES_MAX: usize = 16_384;
        const GENERAL_CHANNELS_MAX: usize = 24;
        const AMBULATORY_CHANNELS_MAX: usize = 12;
        let (rate_hz, leads) = (record.sampling_rate_hz, record.leads.len());
        let refuse = |why: String| Err(EcgError::CannotHold { format: FORMAT, why });
        if !(50.0..=1_000.0).contains(&rate_hz) {
            return refuse(format!(
                "its rate is {rate_hz} Hz and DICOM ECG objects hold 50 to 1000 Hz; write EDF or WFDB"
            ));
        }
        if rate_hz < 200.0 {
            return if leads <= AMBULATORY_CHANNELS_MAX {
                Ok(Self::Ambulatory)
            } else {
                refuse(format!(
                    "it has {leads} leads at {rate_hz} Hz and below 200 Hz an object holds 12; write EDF or WFDB"
                ))
            };
        }
        let standard = record
            .leads
            .iter()
            .all(|lead| lead.name.standard_index().is_some());
        if standard && leads <= TWELVE_LEAD_CHANNELS_MAX && record.len() <= TWELVE_LEAD_SAMPLES_MAX {
            return Ok(Self::TwelveLead);
        }
        if leads <= GENERAL_CHANNELS_MAX {
            return Ok(Self::General);
        }
        refuse(format!(
            "it has {leads} leads and a General ECG object holds 24; write EDF or WFDB"
        ))
    }

    /// SOP Class UID.
    #[must_use]
    pub fn uid(self) -> &'static str {
        match self {
            Self::TwelveLead => "1.2.840.10008.5.1.4.1.1.9.1.1",
            Self::General => "1.2.840.10008.5.1.4.1.1.9.1.2",
            Self::Ambulatory => "1.2.840.10008.5.1.4.1.1.9.1.3",
        }
    }
}

/// Writes a Part 10 file.
///
/// # Errors
/// [`EcgError::CannotHold`] for a recording that no ECG object holds.
pub fn write(record: &Record, identity: &Identity, additions: &Additions<'_>) -> Result<Vec<u8>, EcgError> {
    let class = Class::of(record)?;
    check_length(record)?;
    let mut set = Set::default();
    common(&mut set, record, identity, class);
    patient(&mut set, &record.patient);
    let mut groups = vec![group::rhythm(record)];
    // An Ambulatory object holds one group.
    if let Some(beat) = record.stored_beat.as_ref().filter(|_| class != Class::Ambulatory) {
        groups.extend(group::beat(beat, class));
    }
    let items = annotations::items(record, additions.analysis);
    if !items.is_empty() {
        set.sequence(0x0040_B020, &items);
    }
    set.sequence(0x5400_0100, &groups);
    if let Some(original) = &additions.original {
        keep_original(&mut set, record.format, original, additions.beside);
    }
    let mut out = meta(identity, class.uid());
    out.extend(set.encode());
    Ok(out)
}

fn keep_original(set: &mut Set, format: &str, original: &Original<'_>, beside: &[Original<'_>]) {
    set.text(ORIGINAL_FORMAT, *b"LO", format);
    keep_file(set, original);
    if !beside.is_empty() {
        let items = beside.iter().take(BESIDE_MAX).map(|file| {
            let mut item = Set::default();
            keep_file(&mut item, file);
            item
        });
        let items: Vec<Set> = items.collect();
        set.sequence(ORIGINAL_BESIDE, &items);
    }
}

fn keep_file(set: &mut Set, file: &Original<'_>) {
    let mut bytes = file.bytes.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    set.text(ORIGINAL_BLOCK, *b"LO", ORIGINAL_CREATOR);
    set.text(ORIGINAL_NAME, *b"LO", &long(file.name));
    set.ul(ORIGINAL_LENGTH, &[file.bytes.len() as u32]);
    set.bytes(ORIGINAL_BYTES, *b"OB", bytes);
}

/// A file that an object was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its name without a folder.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The files that an object was made of, as [`write()`] and [`document()`] kept them: the recording itself first, then
/// those that it names. Empty for an object that came as it is.
#[must_use]
pub fn originals(lookup: &Lookup<'_>) -> Vec<KeptFile> {
    let root = Attributes::root(lookup);
    let Some(first) = kept(&root) else {
        return Vec::new();
    };
    let mut files = vec![first];
    let beside = root.items(ORIGINAL_BESIDE).take(BESIDE_MAX);
    files.extend(beside.filter_map(|item| kept(&item)));
    files
}

fn kept(from: &Attributes<'_, '_>) -> Option<KeptFile> {
    from.text(ORIGINAL_BLOCK)
        .filter(|creator| creator == ORIGINAL_CREATOR)?;
    let length = from.ul(ORIGINAL_LENGTH)? as usize;
    let bytes = from
        .bytes(ORIGINAL_BYTES)
        .or_else(|| from.bytes(document::ENCAPSULATED))?;
    // These objects are written in UTF-8 whatever the name is.
    let name = from.bytes(ORIGINAL_NAME)?;
    Some(KeptFile {
        name: String::from_utf8_lossy(&name)
            .trim_end_matches([' ', '\0'])
            .to_owned(),
        bytes: bytes.get(..length)?.to_vec(),
    })
}

/// The waveform data of one item is below 4 GiB.
fn check_length(record: &Record) -> Result<(), EcgError> {
    const BYTES_MAX: u64 = 0xffff_fff0 - (1 << 20);
    let bytes = record.len() as u64 * record.leads.len() as u64 * 2;
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    Err(EcgError::CannotHold {
        format: FORMAT,
        why: format!("its {bytes} bytes are more than one object takes ({BYTES_MAX}); write WFDB"),
    })
}

/// Preamble and File Meta Information (PS3.10 section 7.1).
fn meta(identity: &Identity, class_uid: &str) -> Vec<u8> {
    let mut set = Set::default();
    set.bytes(0x0002_0001, *b"OB", vec![0, 1]);
    set.text(0x0002_0002, *b"UI", class_uid);
    set.text(0x0002_0003, *b"UI", &identity.sop_instance_uid);
    set.text(0x0002_0010, *b"UI", EXPLICIT_LITTLE_ENDIAN);
    set.text(0x0002_0012, *b"UI", IMPLEMENTATION_CLASS_UID);
    set.text(0x0002_0013, *b"SH", IMPLEMENTATION_VERSION_NAME);
    let body = set.encode();
    let mut length = Set::default();
    length.ul(0x0002_0000, &[body.len() as u32]);
    [&[0; 128][..], b"DICM", &length.encode(), &body].concat()
}

/// SOP Common, study, series, equipment, waveform identification and acquisition context.
fn common(set: &mut Set, record: &Record, identity: &Identity, class: Class) {
    let (date, time) = stamp::split(record.acquired_at.as_deref());
    let (now_date, now_time) = stamp::split(Some(&identity.now));
    let content_date = date.clone().or(now_date).unwrap_or_default();
    let content_time = time.clone().or(now_time).unwrap_or_else(|| "000000".to_owned());
    let recorder = &record.recorder;
    set.text(0x0008_0005, *b"CS", "ISO_IR 192");
    set.text(0x0008_0016, *b"UI", class.uid());
    set.text(0x0008_0018, *b"UI", &identity.sop_instance_uid);
    set.text_or_empty(0x0008_0020, *b"DA", date.as_deref());
    set.text_or_empty(0x0008_0030, *b"TM", time.as_deref());
    set.text(0x0008_0023, *b"DA", &content_date);
    set.text(0x0008_0033, *b"TM", &content_time);
    set.text(0x0008_002A, *b"DT", &format!("{content_date}{content_time}"));
    set.text_or_empty(
        0x0008_0050,
        *b"SH",
        identity
            .accession_number
            .as_deref()
            .map(|t| short(t, 16))
            .as_deref(),
    );
    set.text(0x0008_0060, *b"CS", "ECG");
    set.text(
        0x0008_0070,
        *b"LO",
        &long(recorder.manufacturer.as_deref().unwrap_or("unknown")),
    );
    set.text(0x0008_0090, *b"PN", "");
    set.optional(
        0x0008_1090,
        *b"LO",
        recorder.model.as_deref().map(long).as_deref(),
    );
    set.optional(
        0x0018_1000,
        *b"LO",
        recorder.serial_number.as_deref().map(long).as_deref(),
    );
    set.optional(
        0x0018_1020,
        *b"LO",
        recorder.software.as_deref().map(long).as_deref(),
    );
    set.text(0x0020_000D, *b"UI", &identity.study_instance_uid);
    set.text(0x0020_000E, *b"UI", &identity.series_instance_uid);
    set.text(0x0020_0010, *b"SH", "");
    set.text(0x0020_0011, *b"IS", "1");
    set.text(0x0020_0013, *b"IS", "1");
    set.sequence(0x0040_0555, &[]);
}

fn patient(set: &mut Set, patient: &Patient) {
    set.text_or_empty(0x0010_0010, *b"PN", patient.name.as_deref().map(long).as_deref());
    set.text_or_empty(
        0x0010_0020,
        *b"LO",
        patient.identifier.as_deref().map(long).as_deref(),
    );
    set.text_or_empty(
        0x0010_0030,
        *b"DA",
        patient.birth_date.as_deref().filter(|d| d.len() == 8),
    );
    let sex = patient
        .sex
        .as_deref()
        .filter(|sex| matches!(*sex, "M" | "F" | "O"));
    set.text_or_empty(0x0010_0040, *b"CS", sex);
    set.optional(0x0010_1010, *b"AS", patient.age_years.and_then(age).as_deref());
}

/// Age in the largest unit that keeps it (PS3.5 AS).
fn age(years: f64) -> Option<String> {
    let said = |number: f64, unit: char| {
        let number = number.round();
        (0.0..=999.0)
            .contains(&number)
            .then(|| format!("{number:03}{unit}"))
    };
    if years >= 2.0 {
        said(years, 'Y')
    } else if years * 12.0 >= 2.0 {
        said(years * 12.0, 'M')
    } else {
        said(years * 365.25, 'D')
    }
}

/// Text of at most 64 characters without what DICOM gives a meaning of its own.
fn long(text: &str) -> String {
    short(text, 64)
}

fn short(text: &str, chars_max: usize) -> String {
    let plain = text.chars().map(|c| if c == '\\' { '/' } else { c });
    let kept: String = plain.filter(|c| !c.is_control()).take(chars_max).collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests;
