//! What the index wants to know of an object.

use super::StoreRefused;
use crate::error::{ArchiveError, Result};
use crate::name::NameParts;
use crate::patient::PatientFacts;
use dataset::json::{BulkPolicy, to_json};
use dataset::{
    DataSet, Parsed, PixelDataInfo, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag,
    TransferSyntaxUid, tags,
};
use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::Read;

/// Binary values up to this length stand in the attributes; longer ones are fetched by their path.
pub(crate) const BULK_INLINE_BYTES_MAX: u64 = 1024;
/// Longest text kept in a column.
const TEXT_CHARACTERS_MAX: usize = 1024;
/// Largest unpacked value of a detail column.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// What the objects of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    /// Pictures.
    Image,
    /// Signals.
    Waveform,
    /// Reports and enclosed documents.
    Document,
    /// Anything else.
    Other,
}

impl SeriesKind {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Waveform => "waveform",
            Self::Document => "document",
            Self::Other => "other",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Self {
        match text {
            "image" => Self::Image,
            "waveform" => Self::Waveform,
            "document" => Self::Document,
            _ => Self::Other,
        }
    }
}

/// Attributes of one object, as far as the index keeps them in columns.
#[derive(Debug, Clone, Default)]
pub struct InstanceFacts {
    /// Patient as the sender knows them.
    pub patient: PatientFacts,
    /// Study Instance UID.
    pub study_uid: String,
    /// Accession Number.
    pub accession_number: Option<String>,
    /// Study ID.
    pub study_id: Option<String>,
    /// Study Date (DA as sent).
    pub study_date: Option<String>,
    /// Study Time (TM as sent).
    pub study_time: Option<String>,
    /// Study Description.
    pub study_description: Option<String>,
    /// Referring Physician's Name.
    pub referring_physician: Option<String>,
    /// Series Instance UID.
    pub series_uid: String,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub series_number: Option<i64>,
    /// Series Description.
    pub series_description: Option<String>,
    /// Body Part Examined.
    pub body_part: Option<String>,
    /// Laterality.
    pub laterality: Option<String>,
    /// Protocol Name.
    pub protocol_name: Option<String>,
    /// Station Name.
    pub station_name: Option<String>,
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Series Date.
    pub series_date: Option<String>,
    /// Series Time.
    pub series_time: Option<String>,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// Transfer syntax.
    pub transfer_syntax_uid: String,
    /// Instance Number.
    pub instance_number: Option<i64>,
    /// Frames; 0 when it is no picture.
    pub frames: i64,
    /// Rows.
    pub rows: Option<i64>,
    /// Columns.
    pub columns: Option<i64>,
    /// Bits Allocated.
    pub bits_allocated: Option<i64>,
    /// What it is.
    pub kind: Option<SeriesKind>,
    /// Bytes of the stored file.
    pub size_bytes: u64,
    /// DICOM JSON without bulk data, compressed.
    pub attributes: Vec<u8>,
    /// Places of pixel data, compressed.
    pub pixel_data: Option<Vec<u8>>,
}

fn short(set: &DataSet, tag: Tag) -> Option<String> {
    let text = set.text(tag)?;
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARACTERS_MAX)
        .collect();
    Some(clean.trim().to_owned()).filter(|t| !t.is_empty())
}

fn refuse_uid(name: &str, error: &dataset::DatasetError) -> StoreRefused {
    StoreRefused::not_understood(format!("{name}: {error}"))
}

impl InstanceFacts {
    /// Reads the facts of a data set.
    ///
    /// # Errors
    /// When one of its four identifiers is missing or no UID.
    pub fn read(parsed: &Parsed, syntax: &TransferSyntaxUid) -> Result<Self, StoreRefused> {
        let set = &parsed.data_set;
        let uid = |name: &str, tag| set.uid(tag).map_err(|error| refuse_uid(name, &error));
        let sop_class = SopClassUid::from(uid("SOP Class UID", tags::SOP_CLASS_UID)?);
        let sop_instance = SopInstanceUid::from(uid("SOP Instance UID", tags::SOP_INSTANCE_UID)?);
        let study = StudyInstanceUid::from(uid("Study Instance UID", tags::STUDY_INSTANCE_UID)?);
        let series = SeriesInstanceUid::from(uid("Series Instance UID", tags::SERIES_INSTANCE_UID)?);
        let kind = kind_of(set, parsed.pixel_data.as_ref(), sop_class.as_str());
        let frames = match kind {
            SeriesKind::Image => set.i64(tags::NUMBER_OF_FRAMES).unwrap_or(1).clamp(1, 1 << 31),
            _ => 0,
        };
        let packed = pack_json(&to_json(set, &policy()));
        let pixel_data = parsed.pixel_data.as_ref().map(pack).transpose();
        Ok(Self {
            patient: patient_of(set),
            study_uid: study.as_str().to_owned(),
            accession_number: short(set, tags::ACCESSION_NUMBER),
            study_id: short(set, tags::STUDY_ID),
            study_date: short(set, tags::STUDY_DATE),
            study_time: short(set, tags::STUDY_TIME),
            study_description: short(set, tags::STUDY_DESCRIPTION),
            referring_physician: set
                .person_name(tags::REFERRING_PHYSICIAN_NAME)
                .map(|n| n.to_dicom()),
            series_uid: series.as_str().to_owned(),
            modality: short(set, tags::MODALITY).unwrap_or_else(|| "OT".to_owned()),
            series_number: set.i64(tags::SERIES_NUMBER),
            series_description: short(set, tags::SERIES_DESCRIPTION),
            body_part: short(set, tags::BODY_PART_EXAMINED),
            laterality: short(set, tags::LATERALITY),
            protocol_name: short(set, tags::PROTOCOL_NAME),
            station_name: short(set, tags::STATION_NAME),
            manufacturer: short(set, tags::MANUFACTURER),
            series_date: short(set, tags::SERIES_DATE),
            series_time: short(set, tags::SERIES_TIME),
            sop_instance_uid: sop_instance.as_str().to_owned(),
            sop_class_uid: sop_class.as_str().to_owned(),
            transfer_syntax_uid: syntax.as_str().to_owned(),
            instance_number: set.i64(tags::INSTANCE_NUMBER),
            frames,
            rows: set.i64(tags::ROWS),
            columns: set.i64(tags::COLUMNS),
            bits_allocated: set.i64(tags::BITS_ALLOCATED),
            kind: Some(kind),
            size_bytes: 0,
            attributes: packed?,
            pixel_data: pixel_data?,
        })
    }
}

fn policy() -> BulkPolicy {
    BulkPolicy {
        base_uri: String::new(),
        inline_max_bytes: BULK_INLINE_BYTES_MAX,
    }
}

fn patient_of(set: &DataSet) -> PatientFacts {
    let name = set.person_name(tags::PATIENT_NAME).unwrap_or_default();
    PatientFacts {
        issuer: short(set, tags::ISSUER_OF_PATIENT_ID).unwrap_or_default(),
        identifier: short(set, tags::PATIENT_ID).unwrap_or_default(),
        name: NameParts {
            alphabetic: name.alphabetic,
            ideographic: name.ideographic,
            phonetic: name.phonetic,
        },
        sex: short(set, tags::PATIENT_SEX),
        birth_date: short(set, tags::PATIENT_BIRTH_DATE),
        national_id: None,
    }
}

fn kind_of(set: &DataSet, pixels: Option<&PixelDataInfo>, sop_class: &str) -> SeriesKind {
    const DOCUMENTS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104."];
    if set.contains(tags::WAVEFORM_SEQUENCE) {
        SeriesKind::Waveform
    } else if pixels.is_some() {
        SeriesKind::Image
    } else if DOCUMENTS.iter().any(|family| sop_class.starts_with(family)) {
        SeriesKind::Document
    } else {
        SeriesKind::Other
    }
}

thread_local! {
    /// Its tables are larger than most of what is compressed: making them anew costs more than
    /// compressing.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    PACKER.with_borrow_mut(|packer| {
        packer.reset();
        let mut packed = Vec::with_capacity(bytes.len() / 2 + 128);
        loop {
            let taken = usize::try_from(packer.total_in()).unwrap_or(usize::MAX);
            let rest = bytes.get(taken..).unwrap_or_default();
            match packer.compress_vec(rest, &mut packed, FlushCompress::Finish)? {
                Status::StreamEnd => return Ok(packed),
                Status::Ok | Status::BufError => packed.reserve(packed.capacity()),
            }
        }
    })
}

fn pack_json(json: &serde_json::Value) -> Result<Vec<u8>> {
    pack(json)
}

/// Compressed JSON of a value.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let text = serde_json::to_vec(value).map_err(|e| ArchiveError::Corrupt(e.to_string()))?;
    compress(&text).map_err(|e| ArchiveError::Corrupt(e.to_string()))
}

/// Takes the compression off.
pub(crate) fn inflate(packed: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(packed.len().saturating_mul(4).min(1 << 20));
    ZlibDecoder::new(packed)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|e| ArchiveError::Corrupt(e.to_string()))?;
    Ok(text)
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack<T: serde::de::DeserializeOwned>(packed: &[u8]) -> Result<T> {
    serde_json::from_slice(&inflate(packed)?).map_err(|e| ArchiveError::Corrupt(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let noise: Vec<u8> = (0..300_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for length in [0, 1, 7, 128, 4096, 65_536, 300_000] {
            for bytes in [
                vec![b'7'; length],
                noise.get(..length).unwrap_or_default().to_vec(),
            ] {
                let packed = compress(&bytes).expect("packs");
                assert_eq!(inflate(&packed).expect("unpacks"), bytes, "{length} bytes");
            }
        }
    }
}
