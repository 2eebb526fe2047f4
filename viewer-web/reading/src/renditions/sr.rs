//! The report as a DICOM Basic Text SR document: PS3.3 A.35.1, content after template TID 2000 (PS3.16).

use archive::UnixMicros;
use dataset::{
    CharacterSets, DataSet, Encoding, SopClassUid, SopInstanceUid, Tag, TransferSyntaxUid, Vr, tags,
};
use sha2::{Digest, Sha256};

use crate::error::{ReadingError, Result};
use crate::report::{Document, EvidenceSeries, SignedVersion, VersionKind};

/// Basic Text SR Storage.
pub const SOP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.88.11";
/// Characters of a short string (PS3.5 table 6.2-1, SH) and of a long string (LO).
const SH_CHARS_MAX: usize = 16;
const LO_CHARS_MAX: usize = 64;

/// A code of PS3.16: value, scheme, meaning.
type Code = (&'static str, &'static str, &'static str);
const DIAGNOSTIC_REPORT: Code = ("18748-4", "LN", "Diagnostic imaging report");
const ECG_REPORT: Code = ("11524-6", "LN", "EKG study");
const LANGUAGE: Code = ("121049", "DCM", "Language of Content Item and Descendants");
const CHINESE: Code = ("zh", "RFC5646", "Chinese");
const OBSERVER_TYPE: Code = ("121005", "DCM", "Observer Type");
const PERSON: Code = ("121006", "DCM", "Person");
const OBSERVER_NAME: Code = ("121008", "DCM", "Person Observer Name");
const OBSERVER_PLACE: Code = ("121009", "DCM", "Person Observer's Organization Name");
const HISTORY: Code = ("121060", "DCM", "History");
const PROCEDURES: Code = ("121064", "DCM", "Current Procedure Descriptions");
const PROCEDURE: Code = ("121065", "DCM", "Procedure Description");
const FINDINGS: Code = ("121070", "DCM", "Findings");
const FINDING: Code = ("121071", "DCM", "Finding");
const IMPRESSIONS: Code = ("121072", "DCM", "Impressions");
const IMPRESSION: Code = ("121073", "DCM", "Impression");
const CONCLUSIONS: Code = ("121076", "DCM", "Conclusions");
const CONCLUSION: Code = ("121077", "DCM", "Conclusion");

/// A UID from a name: the same version always has the same identifiers (PS3.5 B.2, UUID-derived).
fn named_uid(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(b, d)| *b = d);
    // RFC 9562 section 5.8: version 8, own content.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// SOP Instance UID of a version's document.
#[must_use]
pub fn instance_uid(study_uid: &str, version: u32) -> String {
    named_uid(&format!("report/{study_uid}/{version}"))
}

fn new_set() -> DataSet {
    DataSet::with_charset(CharacterSets::utf8())
}

fn item() -> DataSet {
    let mut set = new_set();
    set.remove(tags::SPECIFIC_CHARACTER_SET);
    set
}

fn short(text: &str, chars_max: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control() && *c != '\\')
        .take(chars_max)
        .collect()
}

fn code(code: Code) -> DataSet {
    let mut set = item();
    set.put_text(tags::CODE_VALUE, Vr::SH, code.0);
    set.put_text(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, code.1);
    set.put_text(tags::CODE_MEANING, Vr::LO, code.2);
    set
}

/// A name as PN: characters go to the second group.
fn person_name(name: &str) -> String {
    let name = short(name, LO_CHARS_MAX).replace(['^', '='], " ");
    if name.is_ascii() { name } else { format!("={name}") }
}

/// Date and time of a moment on the local clock, as DA and TM.
fn day_and_time(iso: &str) -> (String, String) {
    let moment = UnixMicros::parse_iso8601(iso).map_or(0, |t| t.0);
    let text = UnixMicros(moment + crate::context::LOCAL_OFFSET_US).to_iso8601();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default().to_owned();
    (part(0..8), part(8..14))
}

/// The version as a Part 10 file.
///
/// # Errors
/// `Rendition` when a UID of the study is not one.
pub fn sr(version: &SignedVersion) -> Result<Vec<u8>> {
    let d = &version.document;
    let mut set = new_set();
    let instance = instance_uid(&d.study_uid, d.version);
    set.put_uid(tags::SOP_CLASS_UID, SOP_CLASS);
    set.put_uid(tags::SOP_INSTANCE_UID, &instance);
    patient_and_study(&mut set, d);
    series_and_equipment(&mut set, d);
    document_general(&mut set, version);
    content(&mut set, d);
    let wrong = |e: dataset::DatasetError| ReadingError::Rendition(e.to_string());
    let class = SopClassUid::parse(SOP_CLASS).map_err(wrong)?;
    let instance = SopInstanceUid::parse(&instance).map_err(wrong)?;
    let syntax = TransferSyntaxUid::explicit_le();
    let mut file = dataset::file::meta_bytes(&class, &instance, &syntax, None).map_err(wrong)?;
    file.extend(dataset::write::encode(&set, Encoding::ExplicitLe).map_err(wrong)?);
    Ok(file)
}

fn patient_and_study(set: &mut DataSet, d: &Document) {
    let p = &d.patient;
    set.put_text(tags::PATIENT_NAME, Vr::PN, &person_name(&p.name));
    set.put_text(tags::PATIENT_ID, Vr::LO, &short(&p.identifier, LO_CHARS_MAX));
    let born = super::compact_date(p.birth_date.as_deref());
    set.put_text(
        tags::PATIENT_BIRTH_DATE,
        Vr::DA,
        if born.len() == 8 { &born } else { "" },
    );
    set.put_text(tags::PATIENT_SEX, Vr::CS, p.sex.as_deref().unwrap_or_default());
    let (day, time) = day_and_time(&d.study_at);
    set.put_uid(tags::STUDY_INSTANCE_UID, &d.study_uid);
    set.put_text(tags::STUDY_DATE, Vr::DA, &day);
    set.put_text(tags::STUDY_TIME, Vr::TM, &time);
    set.put_empty(tags::REFERRING_PHYSICIAN_NAME, Vr::PN);
    set.put_empty(tags::STUDY_ID, Vr::SH);
    set.put_text(tags::ACCESSION_NUMBER, Vr::SH, &accession(d));
    set.put_text(
        tags::STUDY_DESCRIPTION,
        Vr::LO,
        &short(&d.item_name, LO_CHARS_MAX),
    );
}

fn accession(d: &Document) -> String {
    short(d.accession_number.as_deref().unwrap_or_default(), SH_CHARS_MAX)
}

fn series_and_equipment(set: &mut DataSet, d: &Document) {
    set.put_text(tags::MODALITY, Vr::CS, "SR");
    set.put_uid(
        tags::SERIES_INSTANCE_UID,
        named_uid(&format!("reports/{}", d.study_uid)),
    );
    set.put_text(tags::SERIES_NUMBER, Vr::IS, "9000");
    set.put_text(tags::SERIES_DESCRIPTION, Vr::LO, "诊断报告");
    set.put_empty(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vr::SQ);
    set.put_text(tags::MANUFACTURER, Vr::LO, "Gongying");
    set.put_text(
        tags::INSTITUTION_NAME,
        Vr::LO,
        &short(&d.reading_institution.name, LO_CHARS_MAX),
    );
    let (day, time) = day_and_time(&d.signed_at);
    set.put_text(tags::SERIES_DATE, Vr::DA, &day);
    set.put_text(tags::SERIES_TIME, Vr::TM, &time);
    set.put_text(tags::INSTANCE_CREATION_DATE, Vr::DA, &day);
    set.put_text(tags::INSTANCE_CREATION_TIME, Vr::TM, &time);
    set.put_text(tags::TIMEZONE_OFFSET_FROM_UTC, Vr::SH, "+0800");
}

fn document_general(set: &mut DataSet, version: &SignedVersion) {
    let d = &version.document;
    let (day, time) = day_and_time(&d.signed_at);
    set.put_text(tags::INSTANCE_NUMBER, Vr::IS, &d.version.to_string());
    set.put_text(tags::CONTENT_DATE, Vr::DA, &day);
    set.put_text(tags::CONTENT_TIME, Vr::TM, &time);
    set.put_text(tags::COMPLETION_FLAG, Vr::CS, "COMPLETE");
    set.put_text(tags::VERIFICATION_FLAG, Vr::CS, "VERIFIED");
    set.put_text(tags::PRELIMINARY_FLAG, Vr::CS, "FINAL");
    let mut observer = item();
    observer.put_text(
        tags::VERIFYING_OBSERVER_NAME,
        Vr::PN,
        &person_name(&d.signer.display_name),
    );
    observer.put_empty(tags::VERIFYING_OBSERVER_IDENTIFICATION_CODE_SEQUENCE, Vr::SQ);
    observer.put_text(
        tags::VERIFYING_ORGANIZATION,
        Vr::LO,
        &short(&d.reading_institution.name, LO_CHARS_MAX),
    );
    observer.put_text(tags::VERIFICATION_DATE_TIME, Vr::DT, &format!("{day}{time}+0800"));
    set.put_sequence(tags::VERIFYING_OBSERVER_SEQUENCE, vec![observer]);
    let mut request = item();
    request.put_uid(tags::STUDY_INSTANCE_UID, &d.study_uid);
    request.put_empty(tags::REFERENCED_STUDY_SEQUENCE, Vr::SQ);
    request.put_text(tags::ACCESSION_NUMBER, Vr::SH, &accession(d));
    request.put_empty(tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, Vr::LO);
    request.put_empty(tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, Vr::LO);
    request.put_text(tags::REQUESTED_PROCEDURE_ID, Vr::SH, &accession(d));
    request.put_text(
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        Vr::LO,
        &short(&d.item_name, LO_CHARS_MAX),
    );
    request.put_empty(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, Vr::SQ);
    set.put_sequence(tags::REFERENCED_REQUEST_SEQUENCE, vec![request]);
    set.put_empty(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vr::SQ);
    if !version.evidence.is_empty() {
        let evidence = references(&d.study_uid, &version.evidence);
        set.put_sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            vec![evidence],
        );
    }
    if let Some(before) = d.predecessor {
        let instance = (SOP_CLASS.to_owned(), instance_uid(&d.study_uid, before));
        let series = EvidenceSeries {
            series_uid: named_uid(&format!("reports/{}", d.study_uid)),
            instances: vec![instance],
        };
        set.put_sequence(
            tags::PREDECESSOR_DOCUMENTS_SEQUENCE,
            vec![references(&d.study_uid, &[series])],
        );
    }
}

/// Hierarchical SOP instance references (PS3.3 C.17.2.1).
fn references(study_uid: &str, series: &[EvidenceSeries]) -> DataSet {
    let of_series = |series: &EvidenceSeries| {
        let of_instance = |(class, instance): &(String, String)| {
            let mut set = item();
            set.put_uid(tags::REFERENCED_SOP_CLASS_UID, class);
            set.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, instance);
            set
        };
        let mut set = item();
        set.put_uid(tags::SERIES_INSTANCE_UID, &series.series_uid);
        set.put_sequence(
            tags::REFERENCED_SOP_SEQUENCE,
            series.instances.iter().map(of_instance).collect(),
        );
        set
    };
    let mut set = item();
    set.put_uid(tags::STUDY_INSTANCE_UID, study_uid);
    set.put_sequence(
        tags::REFERENCED_SERIES_SEQUENCE,
        series.iter().map(of_series).collect(),
    );
    set
}

fn node(relation: &str, kind: &str, name: Code) -> DataSet {
    let mut set = item();
    set.put_text(tags::RELATIONSHIP_TYPE, Vr::CS, relation);
    set.put_text(tags::VALUE_TYPE, Vr::CS, kind);
    set.put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name)]);
    set
}

fn coded(relation: &str, name: Code, value: Code) -> DataSet {
    let mut set = node(relation, "CODE", name);
    set.put_sequence(tags::CONCEPT_CODE_SEQUENCE, vec![code(value)]);
    set
}

fn text(name: Code, value: &str) -> DataSet {
    let mut set = node("CONTAINS", "TEXT", name);
    set.put_text(tags::TEXT_VALUE, Vr::UT, value);
    set
}

/// A section with its texts; nothing when there is none.
fn section(name: Code, texts: Vec<DataSet>) -> Option<DataSet> {
    if texts.is_empty() {
        return None;
    }
    let mut set = node("CONTAINS", "CONTAINER", name);
    set.put_text(tags::CONTINUITY_OF_CONTENT, Vr::CS, "SEPARATE");
    set.put_sequence(tags::CONTENT_SEQUENCE, texts);
    Some(set)
}

fn content(set: &mut DataSet, d: &Document) {
    let title = if d.modality == "ECG" {
        ECG_REPORT
    } else {
        DIAGNOSTIC_REPORT
    };
    set.put_text(tags::VALUE_TYPE, Vr::CS, "CONTAINER");
    set.put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(title)]);
    set.put_text(tags::CONTINUITY_OF_CONTENT, Vr::CS, "SEPARATE");
    let mut template = item();
    template.put_text(tags::MAPPING_RESOURCE, Vr::CS, "DCMR");
    template.put_text(tags::TEMPLATE_IDENTIFIER, Vr::CS, "2000");
    set.put_sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    let mut name = node("HAS OBS CONTEXT", "PNAME", OBSERVER_NAME);
    name.put_text(PERSON_NAME, Vr::PN, &person_name(&d.author.display_name));
    let mut place = node("HAS OBS CONTEXT", "TEXT", OBSERVER_PLACE);
    place.put_text(tags::TEXT_VALUE, Vr::UT, &d.reading_institution.name);
    let filled = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
    let history = filled(&d.clinical_history).map(|t| text(HISTORY, &t));
    let technique = filled(&d.technique).map(|t| text(PROCEDURE, &t));
    let amendments = d
        .amendments
        .iter()
        .map(|a| text(CONCLUSION, &amendment_text(a.kind, &a.text, a.reason.as_deref())));
    let mut items = vec![
        coded("HAS CONCEPT MOD", LANGUAGE, CHINESE),
        coded("HAS OBS CONTEXT", OBSERVER_TYPE, PERSON),
        name,
        place,
    ];
    items.extend(section(HISTORY, history.into_iter().collect()));
    items.extend(section(PROCEDURES, technique.into_iter().collect()));
    items.extend(section(FINDINGS, vec![text(FINDING, &d.findings)]));
    items.extend(section(IMPRESSIONS, vec![text(IMPRESSION, &d.impression)]));
    items.extend(section(CONCLUSIONS, amendments.collect()));
    set.put_sequence(tags::CONTENT_SEQUENCE, items);
}

/// Person Name (0040,A123).
const PERSON_NAME: Tag = Tag(0x0040, 0xA123);

fn amendment_text(kind: VersionKind, text: &str, reason: Option<&str>) -> String {
    let title = match kind {
        VersionKind::Correction => "更正",
        VersionKind::Revocation => "撤回",
        VersionKind::Addendum | VersionKind::Original => "补充",
    };
    let reason = reason
        .filter(|r| !r.is_empty())
        .map(|r| format!("（原因：{r}）"))
        .unwrap_or_default();
    format!("{title}{reason}：{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::renditions::sample::{amendment, outside, signed, squash};

    #[test]
    fn the_document_reads_back_with_text_people_and_evidence() {
        let version = signed(|_| {});
        let file = dataset::file::read(&sr(&version).unwrap(), dataset::Limits::in_memory()).unwrap();
        let set = &file.parsed.data_set;
        let check = |tag, expect: &str| assert_eq!(set.text(tag).as_deref(), Some(expect));
        check(tags::COMPLETION_FLAG, "COMPLETE");
        check(tags::VERIFICATION_FLAG, "VERIFIED");
        check(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
        check(tags::STUDY_INSTANCE_UID, "2.25.1234567890");
        check(tags::STUDY_TIME, "083000");
        let observer = &set.sequence(tags::VERIFYING_OBSERVER_SEQUENCE)[0];
        assert_eq!(
            observer.text(tags::VERIFICATION_DATE_TIME).as_deref(),
            Some("20261121090203+0800")
        );
        let evidence = &set.sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
        let series = &evidence.sequence(tags::REFERENCED_SERIES_SEQUENCE)[0];
        assert_eq!(series.sequence(tags::REFERENCED_SOP_SEQUENCE).len(), 2);
        assert_eq!(
            sr(&version).unwrap(),
            sr(&version).unwrap(),
            "the same version, the same bytes"
        );
    }

    #[test]
    fn an_amended_version_names_its_predecessor() {
        let version = signed(|d| {
            d.version = 2;
            d.predecessor = Some(1);
            d.kind = VersionKind::Correction;
            d.amendments
                .push(amendment(VersionKind::Correction, "结节位于左侧。"));
        });
        let file = dataset::file::read(&sr(&version).unwrap(), dataset::Limits::in_memory()).unwrap();
        let before = &file
            .parsed
            .data_set
            .sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE)[0];
        let series = &before.sequence(tags::REFERENCED_SERIES_SEQUENCE)[0];
        let named = series.sequence(tags::REFERENCED_SOP_SEQUENCE)[0].text(tags::REFERENCED_SOP_INSTANCE_UID);
        assert_eq!(named, Some(instance_uid("2.25.1234567890", 1)));
    }

    #[test]
    fn outside_validators_find_no_error_and_show_the_text() {
        let version = signed(|d| d.technique = Some("层厚1.0mm".into()));
        let amended = signed(|d| {
            d.version = 2;
            d.predecessor = Some(1);
            d.amendments
                .push(amendment(VersionKind::Addendum, "对比旧片未见增大。"));
        });
        for version in [&version, &amended] {
            let bytes = sr(version).unwrap();
            if let Some(said) = outside("dciodvfy", &[], &bytes, &[]) {
                assert!(!said.lines().any(|l| l.starts_with("Error")), "{said}");
                assert!(said.contains("BasicTextSR"), "{said}");
            }
            if let Some(said) = outside("dsrdump", &["-q", "+Pl", "+U8"], &bytes, &[]) {
                let said = squash(&said);
                for text in [&version.document.findings, &version.document.impression] {
                    assert!(said.contains(&squash(text)), "{said}");
                }
            }
        }
    }
}
