//! Issued versions: composing, signing, keeping, reading back, checking.

use archive::db::{Row, Tx};
use archive::order::OrderState;
use archive::{UnixMicros, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::document::{Amendment, Document, EvidenceSeries, HrMark, PatientPart, SignedVersion, VerifyPage};
use super::state::{Command, Record, VersionKind};
use crate::access::{Action, guard};
use crate::account::InstitutionView;
use crate::actor::{Actor, Person};
use crate::context::StudyContext;
use crate::error::{ReadingError, Result};
use crate::identity;
use crate::recognition;
use crate::service::Reading;
use crate::signature::{self, Signer};
use crate::study::StudyFacts;

/// Name of the document's shape.
const SCHEMA: &str = "gongying-report/1";
/// Objects named as evidence at most.
const EVIDENCE_INSTANCES_MAX: i64 = 10_000;
/// Letters of a verify code: no 0, O, 1, I, L, so that it can be typed from paper.
const CODE_LETTERS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// Letters of a verify code: 16 of 31 make 79 bits.
const CODE_CHARS: usize = 16;

archive::statements! {
    mod sql {
        CONTEXT = crate::context::context_sql!("FROM study s JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id WHERE s.study_uid = $1");
        EVIDENCE = "SELECT e.series_uid, i.sop_class_uid, i.sop_instance_uid FROM series e JOIN instance i ON i.series_id = e.id WHERE e.study_id = $1 ORDER BY e.id, i.id LIMIT $2";
        INSERT = "INSERT INTO report_version (study_uid, version, kind, canonical, sha256, signature, key_id, verify_code, author, signer, signed_at, predecessor, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        LIST = "SELECT version, kind, signed_at, author, signer, predecessor, sha256 FROM report_version WHERE study_uid = $1 ORDER BY version";
        ONE = "SELECT canonical, sha256, signature, evidence FROM report_version WHERE study_uid = $1 AND version = $2";
        LAST = "SELECT canonical, sha256, signature, evidence FROM report_version WHERE study_uid = $1 ORDER BY version DESC LIMIT 1";
        BY_CODE = "SELECT v.study_uid, v.canonical, v.sha256, v.signature, v.evidence, k.public_key FROM report_version v LEFT JOIN signing_key k ON k.key_id = v.key_id WHERE v.verify_code = $1";
        NAME = "SELECT display_name FROM account WHERE user_name = $1";
        ORDER_STATE = "UPDATE exam_order SET state = $2, state_at = $3 WHERE id = (SELECT order_id FROM study WHERE study_uid = $1)";
        MARK = "UPDATE reading_item SET hr_scope = $2, hr_valid_until = $3 WHERE study_uid = $1";
    }
}

/// What a version says besides the text: gathered before the transaction.
pub(super) struct Frame {
    context: StudyContext,
    institution: InstitutionView,
    reading_institution: InstitutionView,
    signer: Person,
    hr_mark: Option<HrMark>,
    evidence: Vec<EvidenceSeries>,
    verify_code: String,
}

pub(super) async fn frame(reading: &Reading, actor: &Actor, study: &StudyFacts) -> Result<Frame> {
    let db = reading.archive().db();
    let context = StudyContext::read(&db.fetch_one(sql::CONTEXT, params![&study.study_uid]).await?)?;
    let mut evidence: Vec<EvidenceSeries> = Vec::new();
    for row in db
        .fetch_all(sql::EVIDENCE, params![study.id, EVIDENCE_INSTANCES_MAX])
        .await?
    {
        let series_uid = row.text("series_uid")?;
        let instance = (row.text("sop_class_uid")?, row.text("sop_instance_uid")?);
        match evidence
            .last_mut()
            .filter(|series| series.series_uid == series_uid)
        {
            Some(series) => series.instances.push(instance),
            None => evidence.push(EvidenceSeries {
                series_uid,
                instances: vec![instance],
            }),
        }
    }
    Ok(Frame {
        institution: InstitutionView::from(&reading.institution(context.institution_id).await?),
        reading_institution: InstitutionView::from(&actor.institution),
        signer: actor.person(),
        hr_mark: recognition::mark_for(reading, &context).await?,
        verify_code: verify_code()?,
        context,
        evidence,
    })
}

fn verify_code() -> Result<String> {
    let mut code = String::with_capacity(CODE_CHARS);
    while code.len() < CODE_CHARS {
        for byte in crate::secret::random::<CODE_CHARS>()? {
            // Bytes beyond a whole multiple of the alphabet would favour its first letters.
            if byte < 248 && code.len() < CODE_CHARS {
                code.extend(
                    CODE_LETTERS
                        .get(usize::from(byte) % CODE_LETTERS.len())
                        .map(|b| char::from(*b)),
                );
            }
        }
    }
    Ok(code)
}

async fn person(tx: &mut Tx, user: &str) -> Result<Person> {
    let row = tx.fetch_optional(sql::NAME, params![user]).await?;
    let display_name = row.map_or_else(|| Ok(user.to_owned()), |r| r.text("display_name"))?;
    Ok(Person {
        user: user.to_owned(),
        display_name,
    })
}

/// Writes the next version of `record` after `command` and signs it.
pub(super) async fn compose(
    tx: &mut Tx,
    frame: Frame,
    record: &Record,
    command: &Command,
    signer: &Signer,
) -> Result<SignedVersion> {
    let study_uid = frame.context.study_uid.clone();
    let before = match tx.fetch_optional(sql::LAST, params![&study_uid]).await? {
        Some(row) => Some(read(&row)?),
        None => None,
    };
    let author = person(tx, record.author.as_deref().unwrap_or_default()).await?;
    let document = document(frame, record, command, author, before.as_ref(), signer.key_id());
    let (document, evidence) = document?;
    let canonical = crate::canonical::to_bytes(
        &serde_json::to_value(&document).map_err(|_| ReadingError::Internal("document"))?,
    )?;
    Ok(SignedVersion {
        sha256: hex::encode(Sha256::digest(&canonical)),
        signature: signer.sign(&canonical),
        document,
        canonical,
        evidence,
    })
}

fn document(
    frame: Frame,
    record: &Record,
    command: &Command,
    author: Person,
    before: Option<&SignedVersion>,
    key_id: &str,
) -> Result<(Document, Vec<EvidenceSeries>)> {
    let Frame {
        context,
        institution,
        reading_institution,
        signer,
        hr_mark,
        evidence,
        verify_code,
    } = frame;
    let (signed_at, first) = (
        UnixMicros(record.updated_at).to_iso8601(),
        before.map(|b| &b.document),
    );
    let (kind, text, reason) = match command {
        Command::Amend { kind, text, reason } => (*kind, Some(text.trim()), reason.as_deref().map(str::trim)),
        _ => (VersionKind::Original, None, None),
    };
    let amendments = amendments(first, record, command, &signer, &signed_at);
    let document = Document {
        schema: SCHEMA.to_owned(),
        version: record.versions,
        kind,
        predecessor: first.map(|d| d.version),
        predecessor_sha256: before.map(|b| b.sha256.clone()),
        accession_number: context.accession_number.clone(),
        priority: context.priority().as_str().to_owned(),
        modality: context.modality.clone(),
        body_part: context.body_part.clone(),
        item_code: context.item_code(),
        item_name: context.item_name(),
        clinical_history: context.order.as_ref().and_then(|o| o.clinical_history.clone()),
        study_at: UnixMicros(context.study_at).to_iso8601(),
        received_at: UnixMicros(context.received_at).to_iso8601(),
        patient: patient(&context),
        institution,
        reading_institution,
        technique: record.text.technique.clone(),
        findings: record.text.findings.clone(),
        impression: record.text.impression.clone(),
        positive: record.text.positive,
        structured: record.text.structured.clone(),
        text: text.map(str::to_owned),
        reason: reason.map(str::to_owned),
        amendments,
        author,
        // The mark is fixed by the first signature; later versions carry it on.
        hr_mark: first.map_or(hr_mark, |d| d.hr_mark.clone()),
        signer,
        submitted_at: UnixMicros(record.submitted_at.unwrap_or(record.updated_at)).to_iso8601(),
        signed_at,
        evidence_instances: evidence.iter().map(|s| s.instances.len() as u64).sum(),
        evidence_sha256: digest_of(&evidence)?,
        verify_code,
        key_id: key_id.to_owned(),
        study_uid: context.study_uid,
    };
    Ok((document, evidence))
}

/// Every amendment so far, the one of this command last.
fn amendments(
    before: Option<&Document>,
    record: &Record,
    command: &Command,
    signer: &Person,
    signed_at: &str,
) -> Vec<Amendment> {
    let mut list = before.map(|d| d.amendments.clone()).unwrap_or_default();
    if let Command::Amend { kind, text, reason } = command {
        list.push(Amendment {
            version: record.versions,
            kind: *kind,
            text: text.trim().to_owned(),
            reason: reason.as_deref().map(|r| r.trim().to_owned()),
            signer: signer.clone(),
            signed_at: signed_at.to_owned(),
        });
    }
    list
}

fn digest_of(evidence: &[EvidenceSeries]) -> Result<String> {
    let bytes = serde_json::to_vec(evidence).map_err(|_| ReadingError::Internal("evidence"))?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

fn patient(context: &StudyContext) -> PatientPart {
    let view = context.patient_view();
    PatientPart {
        id: context.patient.id,
        identifier: view.identifier,
        name: view.name,
        sex: view.sex,
        birth_date: context.patient.birth_date.as_deref().map(identity::to_iso_date),
        age_text: view.age_text,
        national_id: context.patient.national_id.clone(),
    }
}

/// Keeps a version for ever.
pub(super) async fn insert(tx: &mut Tx, version: &SignedVersion) -> Result<()> {
    let d = &version.document;
    let evidence = serde_json::to_vec(&version.evidence).map_err(|_| ReadingError::Internal("evidence"))?;
    let signed_at = UnixMicros::parse_iso8601(&d.signed_at).unwrap_or_else(UnixMicros::now);
    let row = params![
        &d.study_uid,
        d.version,
        d.kind.as_str(),
        &version.canonical,
        &version.sha256,
        &version.signature,
        &d.key_id,
        &d.verify_code,
        &d.author.user,
        &d.signer.user,
        signed_at,
        d.predecessor,
        evidence
    ];
    Ok(tx.execute(sql::INSERT, row).await.map(drop)?)
}

/// Puts the mark on the study's row, for lists and candidates.
pub(super) async fn mark_item(tx: &mut Tx, study_uid: &str, mark: Option<&HrMark>) -> Result<()> {
    let until = mark
        .and_then(|m| m.valid_until.as_deref())
        .and_then(UnixMicros::parse_iso8601);
    Ok(tx
        .execute(
            sql::MARK,
            params![study_uid, mark.map(|m| m.scope.as_str()), until],
        )
        .await
        .map(drop)?)
}

/// Tells the order behind the study, if there is one, whether a report of it stands.
pub(super) async fn tell_order(tx: &mut Tx, study_uid: &str, state: OrderState) -> Result<()> {
    let values = params![study_uid, state.as_str(), UnixMicros::now()];
    Ok(tx.execute(sql::ORDER_STATE, values).await.map(drop)?)
}

fn read(row: &Row) -> Result<SignedVersion> {
    let canonical = row.bytes("canonical")?;
    let damaged = |_| archive::ArchiveError::Corrupt("a report version cannot be read".to_owned());
    Ok(SignedVersion {
        document: serde_json::from_slice(&canonical).map_err(damaged)?,
        evidence: serde_json::from_slice(&row.bytes("evidence")?).map_err(damaged)?,
        sha256: row.text("sha256")?,
        signature: row.text("signature")?,
        canonical,
    })
}

fn none() -> ReadingError {
    ReadingError::not_found("没有这个版本的报告", "There is no such version of the report")
}

/// A version, the latest without a number. The bytes are checked against their digest; no audit row.
pub(crate) async fn load(reading: &Reading, study_uid: &str, version: Option<u32>) -> Result<SignedVersion> {
    let db = reading.archive().db();
    let row = match version {
        Some(version) => db.fetch_optional(sql::ONE, params![study_uid, version]).await?,
        None => db.fetch_optional(sql::LAST, params![study_uid]).await?,
    };
    let version = read(&row.ok_or_else(none)?)?;
    if hex::encode(Sha256::digest(&version.canonical)) != version.sha256 {
        return Err(
            archive::ArchiveError::Corrupt("a report version differs from its digest".to_owned()).into(),
        );
    }
    Ok(version)
}

/// A version for an export, the latest without a number; audited as an export.
///
/// # Errors
/// `NotFound` before signing, and as the policy says.
pub async fn export(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    version: Option<u32>,
) -> Result<SignedVersion> {
    guard(reading, actor, Action::ExportReport, study_uid).await?;
    load(reading, study_uid, version).await
}

/// One line of the list of versions.
#[derive(Debug, Serialize)]
pub struct VersionLine {
    /// Number.
    pub version: i64,
    /// original, addendum, correction, revocation.
    pub kind: String,
    /// When, ISO 8601.
    pub signed_at: String,
    /// Writer.
    pub author: Person,
    /// Signer.
    pub signer: Person,
    /// Version before.
    pub predecessor: Option<i64>,
    /// Digest of the canonical bytes.
    pub sha256: String,
}

/// All versions of a report, oldest first.
///
/// # Errors
/// As the policy says.
pub async fn versions(reading: &Reading, actor: &Actor, study_uid: &str) -> Result<Vec<VersionLine>> {
    guard(reading, actor, Action::ViewReport, study_uid).await?;
    let mut lines = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::LIST, params![study_uid])
        .await?
    {
        lines.push(VersionLine {
            version: row.int("version")?,
            kind: row.text("kind")?,
            signed_at: row.micros("signed_at")?.to_iso8601(),
            author: reading.person(&row.text("author")?).await?,
            signer: reading.person(&row.text("signer")?).await?,
            predecessor: row.opt_int("predecessor")?,
            sha256: row.text("sha256")?,
        });
    }
    Ok(lines)
}

/// A version as JSON: the document with digest and signature beside it, the same bytes at every call.
///
/// # Errors
/// `NotFound`, and as the policy says.
pub async fn version_json(
    reading: &Reading,
    actor: &Actor,
    study_uid: &str,
    version: u32,
) -> Result<Vec<u8>> {
    guard(reading, actor, Action::ViewReport, study_uid).await?;
    Ok(load(reading, study_uid, Some(version)).await?.to_json())
}

/// What the page behind the code of a printed report shows; nobody has to log in for it.
///
/// # Errors
/// `NotFound` for a code that was never issued.
pub async fn verify_page(reading: &Reading, code: &str) -> Result<VerifyPage> {
    let code: String = code
        .chars()
        .filter(|c| *c != '-' && !c.is_whitespace())
        .collect::<String>()
        .to_ascii_uppercase();
    let unknown = || ReadingError::not_found("没有这个验证码", "There is no such code");
    if code.len() != CODE_CHARS {
        return Err(unknown());
    }
    let row = reading
        .archive()
        .db()
        .fetch_optional(sql::BY_CODE, params![code])
        .await?
        .ok_or_else(unknown)?;
    let kept = read(&row)?;
    let latest = load(reading, &row.text("study_uid")?, None).await?.document;
    let key = row.opt_text("public_key")?.unwrap_or_default();
    let valid = hex::encode(Sha256::digest(&kept.canonical)) == kept.sha256
        && signature::verify(&key, &kept.canonical, &kept.signature);
    let d = kept.document;
    Ok(VerifyPage {
        valid,
        study_at: d.study_at,
        item_name: d.item_name,
        institution: d.institution,
        reading_institution: d.reading_institution,
        signer_name: d.signer.display_name,
        signed_at: d.signed_at,
        version: d.version,
        kind: d.kind,
        patient_name_masked: identity::mask_name(&d.patient.name),
        superseded_by: (latest.version > d.version).then_some(latest.version),
        revoked: latest.kind == VersionKind::Revocation,
        sha256: kept.sha256,
    })
}
