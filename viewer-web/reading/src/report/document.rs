//! What is issued: one self-contained document, from which every rendition is made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::VersionKind;
use crate::account::InstitutionView;
use crate::actor::Person;

/// The patient as named in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatientPart {
    /// Row of the patient.
    pub id: i64,
    /// Number at the sending institution.
    pub identifier: String,
    /// Name.
    pub name: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// ISO 8601 date.
    pub birth_date: Option<String>,
    /// Age on the day of the exam.
    pub age_text: Option<String>,
    /// Resident identity number.
    pub national_id: Option<String>,
}

/// The recognition mark as fixed at signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HrMark {
    /// county, city, province, nation.
    pub scope: String,
    /// As printed.
    pub text: String,
    /// End of validity, ISO 8601.
    pub valid_until: Option<String>,
}

/// One addendum, correction or revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Version that it made.
    pub version: u32,
    /// addendum, correction or revocation.
    pub kind: VersionKind,
    /// Its text.
    pub text: String,
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub signer: Person,
    /// When, ISO 8601.
    pub signed_at: String,
}

/// Everything that a version says. Its canonical bytes are hashed and signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Name of this shape.
    pub schema: String,
    /// From 1.
    pub version: u32,
    /// What it is.
    pub kind: VersionKind,
    /// Version before, from 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<u32>,
    /// SHA-256 of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor_sha256: Option<String>,
    /// Study Instance UID.
    pub study_uid: String,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Urgency.
    pub priority: String,
    /// Modality.
    pub modality: String,
    /// Body part examined.
    pub body_part: Option<String>,
    /// Code of the exam item.
    pub item_code: Option<String>,
    /// Name of the exam item.
    pub item_name: String,
    /// 临床病史.
    pub clinical_history: Option<String>,
    /// When the exam was taken, ISO 8601.
    pub study_at: String,
    /// When it arrived, ISO 8601.
    pub received_at: String,
    /// The patient.
    pub patient: PatientPart,
    /// Where it was taken.
    pub institution: InstitutionView,
    /// Where it was read.
    pub reading_institution: InstitutionView,
    /// 检查方法与技术.
    pub technique: Option<String>,
    /// 所见.
    pub findings: String,
    /// 诊断.
    pub impression: String,
    /// Something abnormal was found.
    pub positive: Option<bool>,
    /// Fields of a structured template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Text of this version's amendment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Reason of this version's amendment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every amendment so far, this one included.
    #[serde(default)]
    pub amendments: Vec<Amendment>,
    /// Who wrote it.
    pub author: Person,
    /// Who signed it.
    pub signer: Person,
    /// When the writer handed it over, ISO 8601.
    pub submitted_at: String,
    /// When it was signed, ISO 8601.
    pub signed_at: String,
    /// Recognition mark.
    pub hr_mark: Option<HrMark>,
    /// Number of objects it was read from.
    pub evidence_instances: u64,
    /// SHA-256 over the list of those objects.
    pub evidence_sha256: String,
    /// Code under which anybody can check it.
    pub verify_code: String,
    /// Key of the signature.
    pub key_id: String,
}

/// Objects of one series that a version was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceSeries {
    /// Series Instance UID.
    pub series_uid: String,
    /// SOP class and SOP instance of each object.
    pub instances: Vec<(String, String)>,
}

/// A version as kept: the document, the exact bytes that were signed, and the signature.
#[derive(Debug, Clone)]
pub struct SignedVersion {
    /// The document.
    pub document: Document,
    /// Its canonical bytes.
    pub canonical: Vec<u8>,
    /// SHA-256 of those bytes, hexadecimal.
    pub sha256: String,
    /// Ed25519 signature of those bytes, hexadecimal.
    pub signature: String,
    /// What it was read from.
    pub evidence: Vec<EvidenceSeries>,
}

impl SignedVersion {
    /// The document with digest and signature beside it. The signed bytes stand in it as they are, up to their last
    /// brace, so that whoever removes the two members gets exactly what was signed.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = self
            .canonical
            .strip_suffix(b"}")
            .unwrap_or(&self.canonical)
            .to_vec();
        let beside = format!(
            ",\"sha256\":\"{}\",\"signature\":\"{}\"}}",
            self.sha256, self.signature
        );
        json.extend(beside.as_bytes());
        json
    }
}

/// What anybody may see who has the code of a printed report.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyPage {
    /// The kept bytes agree with digest and signature.
    pub valid: bool,
    /// When the exam was taken.
    pub study_at: String,
    /// Exam item.
    pub item_name: String,
    /// Where it was taken.
    pub institution: InstitutionView,
    /// Where it was read.
    pub reading_institution: InstitutionView,
    /// Who signed.
    pub signer_name: String,
    /// When.
    pub signed_at: String,
    /// Version of the code.
    pub version: u32,
    /// original, addendum, correction, revocation.
    pub kind: VersionKind,
    /// First character of the name only.
    pub patient_name_masked: String,
    /// A later version, if there is one.
    pub superseded_by: Option<u32>,
    /// The latest version withdraws the report.
    pub revoked: bool,
    /// SHA-256 of the version.
    pub sha256: String,
}
