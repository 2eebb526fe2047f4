//! How a township node is, for its status page.

use super::spool::{QueueCount, RefusedObject};
use super::wire::{RejectWire, ReportWire};
use crate::ids::UnixMicros;
use serde::Serialize;

/// The line to the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// The node was not let in yet.
    NotEnrolled,
    /// The centre answers.
    Up,
    /// It does not; tried again by itself.
    Down,
    /// The centre shut this node out.
    Refused,
}

/// A report that this node keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptReport {
    /// What the centre says of it.
    #[serde(flatten)]
    pub report: ReportWire,
    /// Its PDF is here.
    pub is_here: bool,
}

/// What the gate at the acquisition said of an ECG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateWord {
    /// ok, repeat_advised or unusable.
    pub verdict: String,
    /// Why it is not ok, Chinese and English, the worst first.
    pub reasons: Vec<(String, String)>,
    /// When the ECG was taken in.
    pub received_at: UnixMicros,
    /// When it was looked at.
    pub looked_at: UnixMicros,
    /// Device that sent it.
    pub sender: String,
    /// Number of its exam request.
    pub accession_number: Option<String>,
}

/// How a township node is.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Version of the program.
    pub version: String,
    /// Name of the node at the centre.
    pub node: Option<String>,
    /// Name of its institution.
    pub institution: Option<String>,
    /// The centre's address.
    pub centre_url: String,
    /// The line.
    pub line: LineState,
    /// What the line said last, when it is not up.
    pub line_error: Option<String>,
    /// Last answer of the centre.
    pub last_contact_at: Option<UnixMicros>,
    /// What has to be added to this clock to have the centre's, microseconds.
    pub clock_offset_us: Option<i64>,
    /// Kilobits a second that may be sent now; none when unlimited.
    pub limit_kbps: Option<u64>,
    /// What waits, by class.
    pub queue: [QueueCount; 4],
    /// Bytes of all objects here.
    pub spool_bytes: u64,
    /// Bytes that there may be.
    pub spool_bytes_max: u64,
    /// Objects sent since the start.
    pub sent_objects: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Bytes that travelled for them.
    pub travelled_bytes: u64,
    /// Objects that the centre refused, newest first.
    pub refused: Vec<RefusedObject>,
    /// Studies that came back for their quality, newest first.
    pub rejects: Vec<RejectWire>,
    /// Issued reports.
    pub reports: Vec<KeptReport>,
    /// ECGs that came since the start, newest first, with the word of the gate.
    pub ecgs: Vec<GateWord>,
}
