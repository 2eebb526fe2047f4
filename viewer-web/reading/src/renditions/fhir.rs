//! The report and what belongs to it as FHIR R4 (4.0.1) resources.

use serde_json::{Map, Value, json};

use crate::report::{Document, SignedVersion, VersionKind};

const LOINC: &str = "http://loinc.org";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// Removes members without a value: FHIR knows neither null nor empty lists.
fn clean(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, clean(value)))
                .filter(|(_, value)| !is_empty(value))
                .collect();
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(clean).filter(|v| !is_empty(v)).collect()),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// A search answer.
#[must_use]
pub fn bundle(base: &str, resources: Vec<Value>) -> Value {
    let entry = |r: &Value| {
        let part = |name: &str| r.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        json!({
            "fullUrl": format!("{base}/fhir/{}/{}", part("resourceType"), part("id")),
            "resource": r,
            "search": {"mode": "match"},
        })
    };
    let entries: Vec<Value> = resources.iter().map(entry).collect();
    clean(json!({"resourceType": "Bundle", "type": "searchset", "total": entries.len(), "entry": entries}))
}

/// Status of the report by its latest version (domain table: final, appended, corrected, entered-in-error).
#[must_use]
pub fn report_status(kind: VersionKind) -> &'static str {
    match kind {
        VersionKind::Original => "final",
        VersionKind::Addendum => "appended",
        VersionKind::Correction => "corrected",
        VersionKind::Revocation => "entered-in-error",
    }
}

fn accession_identifier(number: Option<&str>) -> Value {
    json!({
        "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": "ACSN", "display": "Accession ID"}]},
        "value": number,
    })
}

fn observation(id: &str, status: &str, code: (&str, &str), subject: &Value, text: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": status,
        "code": {"coding": [{"system": LOINC, "code": code.0, "display": code.1}]},
        "subject": subject, "valueString": text,
    })
}

fn conclusion(d: &Document) -> String {
    let mut text = d.impression.clone();
    for a in &d.amendments {
        let kind = match a.kind {
            VersionKind::Correction => "更正",
            VersionKind::Revocation => "撤回",
            _ => "补充",
        };
        text.push_str(&format!("\n{kind}：{}", a.text));
    }
    text
}

/// The version as `DiagnosticReport`, its findings and impression as contained observations.
#[must_use]
pub fn diagnostic_report(version: &SignedVersion) -> Value {
    let d = &version.document;
    let subject = json!({"reference": format!("Patient/{}", d.patient.id), "display": d.patient.name});
    let status = match d.kind {
        VersionKind::Original | VersionKind::Addendum => "final",
        VersionKind::Correction => "corrected",
        VersionKind::Revocation => "entered-in-error",
    };
    let (category, code) = if d.modality == "ECG" {
        (
            ("EC", "Electrocardiac (e.g., EKG, EEC, Holter)"),
            ("11524-6", "EKG study"),
        )
    } else {
        (("RAD", "Radiology"), ("18748-4", "Diagnostic imaging study"))
    };
    clean(json!({
        "resourceType": "DiagnosticReport",
        "id": d.study_uid,
        "meta": {"versionId": d.version.to_string(), "lastUpdated": d.signed_at},
        "language": "zh-CN",
        "contained": [
            observation("findings", status, ("59776-5", "Procedure findings Narrative"), &subject, &d.findings),
            observation("impression", status, ("19005-8", "Radiology Imaging study [Impression] (narrative)"), &subject, &d.impression),
        ],
        "identifier": [
            {"system": "urn:dicom:uid", "value": format!("urn:oid:{}", d.study_uid)},
            accession_identifier(d.accession_number.as_deref()),
        ],
        "basedOn": d.accession_number.iter().map(|n| json!({"reference": format!("ServiceRequest/{n}")})).collect::<Vec<_>>(),
        "status": report_status(d.kind),
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": category.0, "display": category.1}]}],
        "code": {"coding": [{"system": LOINC, "code": code.0, "display": code.1}], "text": d.item_name},
        "subject": subject,
        "effectiveDateTime": d.study_at,
        "issued": d.signed_at,
        "performer": [{"display": d.reading_institution.name}],
        "resultsInterpreter": [{"display": d.author.display_name}, {"display": d.signer.display_name}],
        "result": [{"reference": "#findings"}, {"reference": "#impression"}],
        "imagingStudy": [{"reference": format!("ImagingStudy/{}", d.study_uid)}],
        "conclusion": conclusion(d),
        "presentedForm": [{
            "contentType": "application/pdf",
            "language": "zh-CN",
            "url": format!("/api/studies/{}/report.pdf", d.study_uid),
            "title": d.item_name,
        }],
    }))
}

/// A patient's facts.
#[derive(Debug, Clone, Default)]
pub struct PatientFacts {
    /// Row.
    pub id: i64,
    /// Number at its institution.
    pub identifier: String,
    /// Name.
    pub name: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// ISO 8601 date.
    pub birth_date: Option<String>,
    /// Name of its institution.
    pub institution: String,
}

/// A `Patient`.
#[must_use]
pub fn patient(p: &PatientFacts) -> Value {
    let gender = match p.sex.as_deref() {
        Some("M") => "male",
        Some("F") => "female",
        Some("O") => "other",
        _ => "unknown",
    };
    clean(json!({
        "resourceType": "Patient",
        "id": p.id.to_string(),
        "identifier": [{
            "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": "MR", "display": "Medical record number"}]},
            "value": p.identifier,
            "assigner": {"display": p.institution},
        }],
        "name": [{"use": "official", "text": p.name}],
        "gender": gender,
        "birthDate": p.birth_date,
    }))
}

/// A series of a study.
#[derive(Debug, Clone)]
pub struct SeriesFacts {
    /// Series Instance UID.
    pub uid: String,
    /// Number.
    pub number: Option<i64>,
    /// Modality.
    pub modality: String,
    /// Description.
    pub description: Option<String>,
    /// Objects.
    pub instances: i64,
}

/// A study's facts.
#[derive(Debug, Clone)]
pub struct StudyFacts {
    /// Study Instance UID.
    pub uid: String,
    /// Accession number.
    pub accession_number: Option<String>,
    /// Patient row.
    pub patient_id: i64,
    /// When it was taken, ISO 8601.
    pub started: String,
    /// When it arrived, ISO 8601.
    pub received: String,
    /// What was examined.
    pub description: String,
    /// Series.
    pub series: Vec<SeriesFacts>,
}

/// An `ImagingStudy`.
#[must_use]
pub fn imaging_study(s: &StudyFacts) -> Value {
    let modality = |code: &str| json!({"system": DCM, "code": code});
    let mut modalities: Vec<&str> = s
        .series
        .iter()
        .map(|e| e.modality.as_str())
        .filter(|m| !m.is_empty())
        .collect();
    modalities.sort_unstable();
    modalities.dedup();
    let series: Vec<Value> = s
        .series
        .iter()
        .map(|e| {
            json!({
                "uid": e.uid, "number": e.number.filter(|n| *n >= 0), "modality": modality(&e.modality),
                "description": e.description, "numberOfInstances": e.instances,
            })
        })
        .collect();
    clean(json!({
        "resourceType": "ImagingStudy",
        "id": s.uid,
        "identifier": [
            {"system": "urn:dicom:uid", "value": format!("urn:oid:{}", s.uid)},
            accession_identifier(s.accession_number.as_deref()),
        ],
        "status": "available",
        "modality": modalities.into_iter().map(modality).collect::<Vec<_>>(),
        "subject": {"reference": format!("Patient/{}", s.patient_id)},
        "started": s.started,
        "basedOn": s.accession_number.iter().map(|n| json!({"reference": format!("ServiceRequest/{n}")})).collect::<Vec<_>>(),
        "numberOfSeries": s.series.len(),
        "numberOfInstances": s.series.iter().map(|e| e.instances).sum::<i64>(),
        "description": s.description,
        "series": series,
    }))
}

/// A `Task`: the reading of one study. `status` is the word of the worklist.
#[must_use]
pub fn task(s: &StudyFacts, status: &str, changed: &str) -> Value {
    let status = match status {
        "received" | "to_write" => "received",
        "writing" | "submitted" | "returned" => "in-progress",
        "signed" | "amended" => "completed",
        "revoked" => "cancelled",
        "rejected" => "rejected",
        _ => "requested",
    };
    clean(json!({
        "resourceType": "Task",
        "id": s.uid,
        "basedOn": s.accession_number.iter().map(|n| json!({"reference": format!("ServiceRequest/{n}")})).collect::<Vec<_>>(),
        "status": status,
        "intent": "order",
        "code": {"text": "影像或心电诊断"},
        "focus": {"reference": format!("ImagingStudy/{}", s.uid)},
        "for": {"reference": format!("Patient/{}", s.patient_id)},
        "authoredOn": s.received,
        "lastModified": changed,
    }))
}

/// An order as `ServiceRequest`.
#[must_use]
pub fn service_request(o: &crate::order::OrderView) -> Value {
    let status = match o.state.as_str() {
        "reported" => "completed",
        "cancelled" => "revoked",
        _ => "active",
    };
    let priority = match o.priority.as_str() {
        "STAT" => "stat",
        "URGENT" => "urgent",
        _ => "routine",
    };
    clean(json!({
        "resourceType": "ServiceRequest",
        "id": o.accession_number,
        "identifier": [accession_identifier(Some(&o.accession_number))],
        "status": status,
        "intent": "order",
        "priority": priority,
        "code": {"text": o.item_name},
        "subject": {"reference": format!("Patient/{}", o.patient_id), "display": o.patient.name},
        "occurrenceDateTime": o.scheduled_at,
        "authoredOn": o.ordered_at,
        "requester": {"display": o.institution.name},
        "reasonCode": [{"text": o.clinical_history}],
    }))
}

/// A row of the audit trail as `AuditEvent`.
#[must_use]
pub fn audit_event(row: &crate::trail::TrailRow) -> Value {
    clean(json!({
        "resourceType": "AuditEvent",
        "id": row.id.to_string(),
        "type": {"system": DCM, "code": row.event, "display": row.event_text_en},
        "action": row.action,
        "recorded": row.at,
        "outcome": row.outcome,
        "agent": [{
            "altId": row.user,
            "requestor": true,
            "network": row.source_ip.as_ref().map(|ip| json!({"address": ip, "type": "2"})),
        }],
        "source": {"observer": {"display": row.institution.clone().unwrap_or_else(|| "Gongying".to_owned())}},
        "entity": row.study_uid.iter().map(|uid| json!({"what": {"identifier": {"system": "urn:dicom:uid", "value": format!("urn:oid:{uid}")}}})).collect::<Vec<_>>(),
    }))
}

/// What this server offers, as `CapabilityStatement`. `resources`: type and names of search parameters with their types.
#[must_use]
pub fn capability(date: &str, resources: &[(&str, &[(&str, &str)])]) -> Value {
    let offered = |(name, params): &(&str, &[(&str, &str)])| {
        let params: Vec<Value> = params
            .iter()
            .map(|(n, t)| json!({"name": n, "type": t}))
            .collect();
        json!({"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}], "searchParam": params})
    };
    clean(json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Gongying", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Shared diagnostic centre of a county"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources.iter().map(offered).collect::<Vec<_>>()}],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::renditions::sample::{amendment, signed};

    #[test]
    fn the_status_follows_the_version() {
        let check = |kind, expect: &str| {
            let report = diagnostic_report(&signed(|d| d.kind = kind));
            assert_eq!(report["status"], expect);
        };
        check(VersionKind::Original, "final");
        check(VersionKind::Addendum, "appended");
        check(VersionKind::Correction, "corrected");
        check(VersionKind::Revocation, "entered-in-error");
    }

    #[test]
    fn the_report_concludes_with_the_impression_and_carries_the_findings() {
        let version = signed(|d| d.amendments.push(amendment(VersionKind::Addendum, "未见增大。")));
        let report = diagnostic_report(&version);
        assert_eq!(
            report["conclusion"],
            "右肺上叶尖段实性结节（8mm），建议3个月后复查。\n补充：未见增大。"
        );
        assert_eq!(
            report["contained"][0]["valueString"],
            version.document.findings.as_str()
        );
        assert_eq!(report["subject"]["reference"], "Patient/7");
    }

    #[test]
    fn nothing_is_null_or_empty() {
        fn look(value: &Value) {
            match value {
                Value::Null => panic!("null"),
                Value::Array(items) => {
                    assert!(!items.is_empty());
                    items.iter().for_each(look);
                }
                Value::Object(members) => members.values().for_each(look),
                _ => {}
            }
        }
        let study = StudyFacts {
            uid: "1.2.3".into(),
            accession_number: None,
            patient_id: 1,
            started: "2026-11-21T00:30:00.000Z".into(),
            received: "2026-11-21T00:30:00.000Z".into(),
            description: String::new(),
            series: Vec::new(),
        };
        look(&diagnostic_report(&signed(|d| d.accession_number = None)));
        look(&imaging_study(&study));
        look(&task(&study, "to_write", "2026-11-21T00:30:00.000Z"));
        look(&patient(&PatientFacts::default()));
        assert!(bundle("http://x", Vec::new()).get("entry").is_none());
    }
}
