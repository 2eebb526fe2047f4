//! What a township node and its centre say to each other, as JSON under `/api/edge/`.
//!
//! Digests are lower-case hexadecimal SHA-256, moments are Unix microseconds.

use crate::ids::Sha256Digest;
use crate::store::FileDigests;
use serde::{Deserialize, Serialize};

/// Header of a chunk: a [`ObjectOffer`] as JSON.
pub const OFFER_HEADER: &str = "gongying-object";
/// Header of a chunk: SHA-256 of its bytes.
pub const CHUNK_DIGEST_HEADER: &str = "gongying-chunk-sha256";
/// Largest chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Objects in one question.
pub const OFFERS_MAX: usize = 128;
/// Objects of one manifest.
pub const MANIFEST_OBJECTS_MAX: usize = 100_000;
/// Longest body of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 24 << 20;

/// How an object's bytes are written for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// As they are.
    Identity,
    /// As `engine::codec::parcel` packs them.
    Parcel,
}

/// An object that a node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectOffer {
    /// Names the object: digest over the digests of its two parts ([`FileDigests::whole`]).
    pub digest: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of preamble and meta information.
    pub meta_bytes: u64,
    /// Digest of the data set.
    pub dataset_digest: String,
    /// How it travels.
    pub coding: Coding,
    /// Bytes that travel.
    pub coded_size: u64,
    /// Digest of the bytes that travel.
    pub coded_digest: String,
    /// AE title or name of who gave it to the node.
    pub sender: String,
    /// Address of the sender in the township.
    pub peer: Option<String>,
    /// When the node took it, by its own clock.
    pub received_at: i64,
}

impl ObjectOffer {
    /// The digest that names an object with these parts.
    pub fn name_of(digests: &FileDigests) -> String {
        digests.whole().to_hex()
    }
}

/// A digest in hexadecimal.
pub fn digest(text: &str) -> Option<Sha256Digest> {
    if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    Sha256Digest::from_slice(&hex::decode(text).ok()?)
}

/// Question of `POST /api/edge/offers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Offers {
    /// The objects.
    pub objects: Vec<ObjectOffer>,
}

/// Where an object stands at the centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// These byte ranges (from, to) of what travels are there.
    Partial {
        /// In order, not touching each other.
        received: Vec<(u64, u64)>,
    },
    /// All bytes are there and are being put away; ask again.
    Finishing,
    /// On stable storage at the centre.
    Stored {
        /// Its study.
        study_uid: String,
    },
    /// The centre will never take it.
    Refused {
        /// DIMSE status.
        status: u16,
        /// In words.
        reason: String,
    },
}

/// Answer of `POST /api/edge/offers`, in the order of the question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standings {
    /// One for each object.
    pub objects: Vec<Standing>,
}

/// Question of `POST /api/edge/enrol`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolAsk {
    /// The token that `gongying admin edge enrol` printed.
    pub token: String,
    /// Secret that the node made; from now on its bearer token.
    pub secret: String,
    /// Version of the node's program.
    pub version: String,
}

/// An institution as both sides call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstitutionWire {
    /// Short unique code.
    pub code: String,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// Word of [`crate::institution::InstitutionKind`].
    pub kind: String,
}

/// Answer of `POST /api/edge/enrol`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// Name of the node at the centre.
    pub node: String,
    /// Whose node it is.
    pub institution: InstitutionWire,
    /// Devices that may send to the node.
    pub devices: Vec<DeviceWire>,
    /// Clock of the centre.
    pub now: i64,
}

/// A device of the node's institution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWire {
    /// Name for people.
    pub name: String,
    /// AE title.
    pub ae_title: String,
    /// Only address or network it may call from.
    pub from_addr: Option<String>,
    /// May send objects.
    pub may_store: bool,
    /// May query.
    pub may_query: bool,
    /// May fetch objects.
    pub may_retrieve: bool,
    /// Not after.
    pub expires_at: Option<i64>,
}

/// An exam request of the node's institution that waits for its exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderWire {
    /// Accession Number.
    pub accession_number: String,
    /// Study Instance UID.
    pub study_uid: String,
    /// Patient ID.
    pub patient_id: String,
    /// Issuer of Patient ID.
    pub issuer: String,
    /// Name in Latin letters.
    pub name_alphabetic: String,
    /// Name in characters.
    pub name_ideographic: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// DA.
    pub birth_date: Option<String>,
    /// DICOM modality.
    pub modality: String,
    /// Body part.
    pub body_part: String,
    /// Code of the exam item.
    pub item_code: String,
    /// Name of the exam item.
    pub item_name: String,
    /// STAT, URGENT, ROUTINE or SCREENING.
    pub priority: String,
    /// What the clinician writes.
    pub clinical_history: String,
    /// AE title of the device.
    pub scheduled_ae: Option<String>,
    /// When.
    pub scheduled_at: i64,
    /// Who asked.
    pub ordered_by: String,
}

/// An issued report of a study of the node's institution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportWire {
    /// Study Instance UID.
    pub study_uid: String,
    /// Latest version.
    pub version: i64,
    /// Accession Number.
    pub accession_number: Option<String>,
    /// DICOM modality.
    pub modality: String,
    /// When it was signed.
    pub signed_at: i64,
}

/// A study that came back for its quality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectWire {
    /// Study Instance UID.
    pub study_uid: String,
    /// Accession Number.
    pub accession_number: Option<String>,
    /// When.
    pub rejected_at: i64,
    /// Code of the reason.
    pub reason_code: String,
    /// The reason in Chinese.
    pub reason_text: String,
    /// In the reader's words.
    pub note: Option<String>,
}

/// Answer of `GET /api/edge/news`: the sections that are not as the node knows them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct News {
    /// Clock of the centre.
    pub now: i64,
    /// Devices that may send to the node.
    pub devices: Option<Section<DeviceWire>>,
    /// Waiting exam requests.
    pub orders: Option<Section<OrderWire>>,
    /// Newest issued reports.
    pub reports: Option<Section<ReportWire>>,
    /// Newest quality rejects.
    pub rejects: Option<Section<RejectWire>>,
}

/// One list with a mark of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section<T> {
    /// Changes whenever the list does.
    pub mark: String,
    /// The list.
    pub items: Vec<T>,
}

impl<T: Serialize> Section<T> {
    /// A list under the mark of its content.
    pub fn new(items: Vec<T>) -> Self {
        let text = serde_json::to_vec(&items).unwrap_or_default();
        let mark: String = Sha256Digest::of(&text).to_hex().chars().take(16).collect();
        Self { mark, items }
    }
}

/// What a study consists of, `PUT /api/edge/studies/{uid}/manifest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Grows with each change.
    pub revision: i64,
    /// The devices have sent all of it.
    pub closed: bool,
    /// SOP Instance UID and digest of the data set of each object.
    pub objects: Vec<(String, String)>,
    /// First object, by the node's clock.
    pub first_received_at: i64,
    /// Last object, by the node's clock.
    pub last_received_at: i64,
    /// What has to be added to the node's clock to have the centre's, microseconds.
    pub clock_offset_us: i64,
}

/// What the centre has of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Objects of the manifest.
    pub wanted: u64,
    /// Those that are not here, or with other bytes.
    pub missing: u64,
    /// The manifest is closed and nothing is missing.
    pub complete: bool,
}

/// What a node tells of itself, `POST /api/edge/heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Version of the program.
    pub version: String,
    /// Clock of the node.
    pub now: i64,
    /// Objects waiting: STAT, ECG, small, bulk.
    pub waiting: [u64; 4],
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Bytes that the spool may have.
    pub spool_bytes_max: u64,
    /// Objects that the centre refused.
    pub refused: u64,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// Clock of the centre.
    pub now: i64,
}
