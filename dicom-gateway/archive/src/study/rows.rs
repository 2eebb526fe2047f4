//! Rows as types.

use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::ids::{
    DeviceId, InstanceId, InstitutionId, OrderId, PatientId, SeriesId, Sha256Digest, StudyId, UnixMicros,
};
use crate::patient::Patient;
use crate::receive::SeriesKind;
use crate::store::{FileDigests, ObjectKey};
use serde::Serialize;

/// Whether objects of a study still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyState {
    /// Objects come, or came a moment ago.
    Receiving,
    /// It is quiet.
    Ready,
}

/// A study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Study {
    /// Row.
    pub id: StudyId,
    /// Study Instance UID.
    pub study_uid: String,
    /// Its patient.
    pub patient_id: PatientId,
    /// Whose study.
    pub institution_id: InstitutionId,
    /// The order it answers.
    pub order_id: Option<OrderId>,
    /// Device that sent its first object.
    pub device_id: Option<DeviceId>,
    /// Accession Number.
    pub accession_number: Option<String>,
    /// Study ID (0020,0010).
    pub study_id_text: Option<String>,
    /// DA as sent.
    pub study_date: Option<String>,
    /// TM as sent.
    pub study_time: Option<String>,
    /// Study Description.
    pub description: Option<String>,
    /// Referring Physician's Name, DICOM form.
    pub referring_physician: Option<String>,
    /// Modalities in Study.
    pub modalities: Vec<String>,
    /// Body Part Examined of its first object.
    pub body_part: Option<String>,
    /// Holds signals.
    pub has_waveform: bool,
    /// Whether objects still come.
    pub state: StudyState,
    /// Series.
    pub series_count: i64,
    /// Instances.
    pub instance_count: i64,
    /// First object.
    pub received_first_at: UnixMicros,
    /// Newest object.
    pub received_last_at: UnixMicros,
}

/// A series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Row.
    pub id: SeriesId,
    /// Row of its study.
    pub study_id: StudyId,
    /// Series Instance UID.
    pub series_uid: String,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub number: Option<i64>,
    /// Series Description.
    pub description: Option<String>,
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
    /// DA as sent.
    pub series_date: Option<String>,
    /// TM as sent.
    pub series_time: Option<String>,
    /// What its objects are.
    pub kind: SeriesKind,
    /// Instances.
    pub instance_count: i64,
    /// Frames of pictures.
    pub frame_count: i64,
    /// First object.
    pub received_first_at: UnixMicros,
    /// Newest object.
    pub received_last_at: UnixMicros,
}

/// An instance and where its file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Row.
    pub id: InstanceId,
    /// Row of its series.
    pub series_id: SeriesId,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// Transfer syntax of the file.
    pub transfer_syntax_uid: String,
    /// Instance Number.
    pub number: Option<i64>,
    /// Frames; 0 when it is no picture.
    pub frames: i64,
    /// Rows.
    pub rows: Option<i64>,
    /// Columns.
    pub columns: Option<i64>,
    /// Bits Allocated.
    pub bits_allocated: Option<i64>,
    /// Place in the store.
    pub object_key: ObjectKey,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Digests of the file; `meta_bytes` is where the data set starts.
    pub digests: FileDigests,
    /// When it came.
    pub received_at: UnixMicros,
}

/// A patient as a query sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientItem {
    /// The patient.
    pub patient: Patient,
    /// Their studies that the asker may see.
    pub study_count: i64,
}

/// A study with its patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyItem {
    /// The study.
    pub study: Study,
    /// Its patient.
    pub patient: Patient,
}

/// A series with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesItem {
    /// The series.
    pub series: Series,
    /// Its study.
    pub study: Study,
    /// Its patient.
    pub patient: Patient,
}

/// An instance with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceItem {
    /// The instance.
    pub instance: Instance,
    /// Its series.
    pub series: Series,
    /// Its study.
    pub study: Study,
    /// Its patient.
    pub patient: Patient,
}

pub(super) fn study(row: &Row) -> Result<Study> {
    Ok(Study {
        id: StudyId(row.int("st_id")?),
        study_uid: row.text("study_uid")?,
        patient_id: PatientId(row.int("st_patient")?),
        institution_id: InstitutionId(row.int("st_institution")?),
        order_id: row.opt_int("order_id")?.map(OrderId),
        device_id: row.opt_int("st_device")?.map(DeviceId),
        accession_number: row.opt_text("accession_number")?,
        study_id_text: row.opt_text("study_id_text")?,
        study_date: row.opt_text("study_date")?,
        study_time: row.opt_text("study_time")?,
        description: row.opt_text("st_description")?,
        referring_physician: row.opt_text("referring_physician")?,
        modalities: row
            .text("modalities")?
            .split('\\')
            .filter(|m| !m.is_empty())
            .map(str::to_owned)
            .collect(),
        body_part: row.opt_text("st_body_part")?,
        has_waveform: row.bool("has_waveform")?,
        state: match row.text("st_state")?.as_str() {
            "receiving" => StudyState::Receiving,
            _ => StudyState::Ready,
        },
        series_count: row.int("series_count")?,
        instance_count: row.int("st_instances")?,
        received_first_at: row.micros("st_first")?,
        received_last_at: row.micros("st_last")?,
    })
}

pub(super) fn series(row: &Row) -> Result<Series> {
    Ok(Series {
        id: SeriesId(row.int("se_id")?),
        study_id: StudyId(row.int("se_study")?),
        series_uid: row.text("series_uid")?,
        modality: row.text("modality")?,
        number: row.opt_int("se_number")?,
        description: row.opt_text("se_description")?,
        body_part: row.opt_text("se_body_part")?,
        laterality: row.opt_text("laterality")?,
        protocol_name: row.opt_text("protocol_name")?,
        station_name: row.opt_text("station_name")?,
        manufacturer: row.opt_text("manufacturer")?,
        series_date: row.opt_text("series_date")?,
        series_time: row.opt_text("series_time")?,
        kind: SeriesKind::parse(&row.text("kind")?),
        instance_count: row.int("se_instances")?,
        frame_count: row.int("frame_count")?,
        received_first_at: row.micros("se_first")?,
        received_last_at: row.micros("se_last")?,
    })
}

pub(super) fn instance(row: &Row) -> Result<Instance> {
    let digest = |name: &str| {
        Sha256Digest::from_slice(&row.bytes(name)?)
            .ok_or_else(|| ArchiveError::Corrupt(format!("{name} of an instance")))
    };
    let length = |name: &str| Ok::<_, ArchiveError>(u64::try_from(row.int(name)?).unwrap_or(0));
    Ok(Instance {
        id: InstanceId(row.int("i_id")?),
        series_id: SeriesId(row.int("i_series")?),
        sop_instance_uid: row.text("sop_instance_uid")?,
        sop_class_uid: row.text("sop_class_uid")?,
        transfer_syntax_uid: row.text("transfer_syntax_uid")?,
        number: row.opt_int("i_number")?,
        frames: row.int("frames")?,
        rows: row.opt_int("image_rows")?,
        columns: row.opt_int("image_columns")?,
        bits_allocated: row.opt_int("bits_allocated")?,
        object_key: ObjectKey::parse(&row.text("object_key")?)?,
        size_bytes: length("size_bytes")?,
        digests: FileDigests {
            meta_bytes: length("meta_bytes")?,
            meta: digest("meta_digest")?,
            dataset: digest("dataset_digest")?,
        },
        received_at: row.micros("i_received")?,
    })
}
