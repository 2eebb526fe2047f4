//! ECG recordings of any format as DICOM objects: one way for the upload, the watched folder of a township node and the
//! command line.
//!
//! A recording becomes a waveform object, a report that cannot be measured an encapsulated document; both keep the file
//! whole, so that it goes wherever the object goes. The same file filed alike gives the same UIDs.

mod api;
mod budget;
mod files;
mod filing;
mod form;
mod refusal;
mod same_person;

pub use filing::Filing;
pub use refusal::{Reason, Refusal};

pub(crate) use api::routes as upload_routes;
pub(crate) use budget::Budget;
pub(crate) use files::routes as file_routes;

use dataset::Limits;
use engine::ecg::formats::dicom::write::{
    self as dicom, Additions, Document, DocumentKind, Identity, Original, document,
};
use engine::ecg::formats::{self, Format, ReadOptions};
use engine::ecg::record::Patient;
use engine::ecg::{EcgError, Record};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::RefCell;
use time::OffsetDateTime;
use time::macros::format_description;

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name without a folder.
    pub name: String,
    /// Bytes.
    pub bytes: Vec<u8>,
}

/// What a recording became.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Part 10 file.
    pub object: Vec<u8>,
    /// Short name of the format.
    pub format: String,
    /// What was read of the signal; none for a document, which nothing can measure.
    pub signal: Option<Signal>,
    /// Names of the files beside it that went into it.
    pub beside: Vec<String>,
    /// The object is the file itself.
    pub as_it_came: bool,
}

/// What a signal is.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Names of the leads as stored.
    pub leads: Vec<String>,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Length.
    pub duration_s: f64,
    /// What the reader found odd.
    pub warnings: Vec<String>,
}

impl Signal {
    fn of(record: Record) -> Self {
        Self {
            leads: record.lead_names().iter().map(ToString::to_string).collect(),
            sampling_rate_hz: record.sampling_rate_hz,
            duration_s: record.duration_s(),
            warnings: record.warnings,
        }
    }
}

/// UIDs made of the file, of what was read from it, of the request and of this program's version: the same file converted
/// again gives the same object, and study and series stay together. `changed` is used where the recording has no date.
#[must_use]
pub fn identity(file: &[u8; 32], record: &Record, changed: OffsetDateTime) -> Identity {
    let mut hash = Sha256::new().chain_update(file);
    for lead in &record.leads {
        hash.update(lead.name.as_str().as_bytes());
        lead.samples_uv.iter().for_each(|v| hash.update(v.to_le_bytes()));
    }
    identity_of(hash, None, changed)
}

fn identity_of(hash: Sha256, filing: Option<&Filing>, changed: OffsetDateTime) -> Identity {
    let digest = hash
        .chain_update(filing.map_or("", |filing| &filing.accession_number))
        .finalize();
    let uid = |what: &str| {
        let made = Sha256::new()
            .chain_update(digest)
            .chain_update(what)
            .chain_update(env!("CARGO_PKG_VERSION"))
            .finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&made[..16]);
        format!("2.25.{}", u128::from_be_bytes(first))
    };
    let stamp = format_description!("[year][month][day][hour][minute][second]");
    Identity {
        sop_instance_uid: uid("instance"),
        series_instance_uid: uid("series"),
        study_instance_uid: filing.map_or_else(|| uid("study"), |filing| filing.study_uid.clone()),
        accession_number: filing.map(|filing| filing.accession_number.clone()),
        now: changed.format(stamp).unwrap_or_default(),
    }
}

/// Whether a file stands for itself; `None`: nothing known here. Signals and marks beside a WFDB header do not.
#[must_use]
pub fn is_recording(file: &File) -> bool {
    let ending = file
        .name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let signal_of_header = matches!(ending.as_deref(), Some("dat" | "atr" | "qrs" | "ecg"));
    match formats::detect(&file.bytes, &file.name) {
        Some(Format::Scp | Format::Edf | Format::Ishne | Format::Dicom | Format::Document) => true,
        Some(_) => !signal_of_header,
        None => false,
    }
}

/// Makes the object of a recording. `beside` are files that a header may name; without `filing` the file has to say whose
/// it is.
///
/// # Errors
/// Why it is not taken, and how to mend it.
pub fn make(file: &File, beside: &[File], filing: Option<&Filing>) -> Result<Made, Refusal> {
    match formats::detect(&file.bytes, &file.name) {
        None => Err(Reason::UnknownFormat.into()),
        Some(Format::Npy) => Err(Reason::Array.into()),
        Some(Format::Document) => make_document(file, filing),
        Some(Format::Dicom) => make_again(file, filing),
        Some(_) => make_waveform(file, read(file, beside)?, filing),
    }
}

/// A recording and the places in `beside` of the files that it named.
struct Read {
    record: Record,
    named: Vec<File>,
}

fn read(file: &File, beside: &[File]) -> Result<Read, Refusal> {
    let named = RefCell::new(Vec::new());
    let side = |wanted: &str| {
        let found = beside.iter().find(|other| other.name == wanted)?;
        let mut named = named.borrow_mut();
        if named.iter().all(|known: &File| known.name != wanted) {
            named.push(found.clone());
        }
        Some(found.bytes.clone())
    };
    let record = formats::read(&file.bytes, &file.name, &side, &ReadOptions::default())?;
    Ok(Read {
        record,
        named: named.into_inner(),
    })
}

fn make_waveform(file: &File, read: Read, filing: Option<&Filing>) -> Result<Made, Refusal> {
    let Read { mut record, named } = read;
    whose(&mut record.patient, filing)?;
    let mut hash = Sha256::new().chain_update(Sha256::digest(&file.bytes));
    named.iter().for_each(|other| hash.update(&other.bytes));
    for lead in &record.leads {
        hash.update(lead.name.as_str().as_bytes());
        lead.samples_uv.iter().for_each(|v| hash.update(v.to_le_bytes()));
    }
    let identity = identity_of(hash, filing, OffsetDateTime::now_utc());
    let others: Vec<Original<'_>> = named.iter().map(original).collect();
    let additions = Additions {
        analysis: None,
        original: Some(original(file)),
        beside: &others,
    };
    let object = dicom::write(&record, &identity, &additions)?;
    Ok(Made {
        object,
        format: record.format.to_owned(),
        signal: Some(Signal::of(record)),
        beside: named.into_iter().map(|other| other.name).collect(),
        as_it_came: false,
    })
}

fn original(file: &File) -> Original<'_> {
    Original {
        name: &file.name,
        bytes: &file.bytes,
    }
}

/// Takes the person from the request where there is one; a file that names somebody else is refused.
fn whose(patient: &mut Patient, filing: Option<&Filing>) -> Result<(), Refusal> {
    match filing {
        Some(filing) => {
            if !filing.accepts_other_person {
                same_person::check(patient, &filing.patient)?;
            }
            *patient = filing.person();
            Ok(())
        }
        None if patient.identifier.is_none() && patient.name.is_none() => Err(Reason::Nobody.into()),
        None => Ok(()),
    }
}

fn make_document(file: &File, filing: Option<&Filing>) -> Result<Made, Refusal> {
    let filing = filing.ok_or(Reason::NobodysDocument)?;
    let kind = DocumentKind::of(&file.bytes);
    let identity = identity_of(
        Sha256::new().chain_update(Sha256::digest(&file.bytes)),
        Some(filing),
        OffsetDateTime::now_utc(),
    );
    let given = Document {
        kind,
        name: &file.name,
        bytes: &file.bytes,
        patient: &filing.person(),
    };
    Ok(Made {
        object: document(&given, &identity),
        format: kind.as_str().to_owned(),
        signal: None,
        beside: Vec::new(),
        as_it_came: false,
    })
}

/// A DICOM file stays as it is where it belongs to the request already or none was chosen; else its waveform is written
/// anew under the request, with the file kept in it.
fn make_again(file: &File, filing: Option<&Filing>) -> Result<Made, Refusal> {
    let header = dataset::file::read_header(&file.bytes).ok();
    let syntax = header.map(|header| header.transfer_syntax);
    let limits = syntax.map_or_else(Limits::in_memory, |syntax| Limits::of_object(&syntax));
    let parsed = dataset::file::read(&file.bytes, limits).map_err(|error| Refusal::damaged(&error))?;
    let set = &parsed.parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let mut record = formats::dicom::read(&lookup).map_err(|error| match error {
        EcgError::NoSignal { .. } => Reason::NoEcg.into(),
        other => Refusal::from(other),
    })?;
    record.patient.name = set
        .person_name(dataset::tags::PATIENT_NAME)
        .map(|name| name.to_dicom());
    let is_there = |filing: &Filing| {
        set.text(dataset::tags::ACCESSION_NUMBER).as_deref() == Some(filing.accession_number.as_str())
            && set.text(dataset::tags::STUDY_INSTANCE_UID).as_deref() == Some(filing.study_uid.as_str())
    };
    if filing.is_none_or(is_there) {
        whose(&mut record.patient.clone(), filing)?;
        return Ok(Made {
            object: file.bytes.clone(),
            format: record.format.to_owned(),
            signal: Some(Signal::of(record)),
            beside: Vec::new(),
            as_it_came: true,
        });
    }
    let named = Vec::new();
    make_waveform(file, Read { record, named }, filing)
}

#[cfg(test)]
mod tests;
