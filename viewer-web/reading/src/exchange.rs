//! What other systems ask for: FHIR resources of studies, orders, reports and patients that the asker may see.

use archive::{UnixMicros, params};
use serde_json::Value;

use crate::access::{Action, guard, guard_patient, guard_query, may};
use crate::actor::Actor;
use crate::context::StudyContext;
use crate::error::{ReadingError, Result};
use crate::identity::to_iso_date;
use crate::renditions::fhir::{self, PatientFacts, SeriesFacts, StudyFacts};
use crate::report::load_version;
use crate::service::Reading;

archive::statements! {
    mod sql {
        CONTEXT = crate::context::context_sql!(", i.status AS i_status, i.signed_at AS i_signed, i.submitted_at AS i_submitted FROM study s JOIN patient p ON p.id = s.patient_id LEFT JOIN exam_order o ON o.id = s.order_id LEFT JOIN reading_item i ON i.study_uid = s.study_uid WHERE s.study_uid = $1");
        BY_ACCESSION = "SELECT study_uid FROM study WHERE accession_number = $1 ORDER BY id LIMIT 8";
        SERIES = "SELECT series_uid, modality, number, description, instance_count FROM series WHERE study_id = $1 ORDER BY number, id";
    }
}

/// The value of an identifier in a search: `system|value`, `urn:oid:1.2.3` or the value alone.
#[must_use]
pub fn identifier_value(text: &str) -> &str {
    let value = text.rsplit_once('|').map_or(text, |(_, value)| value).trim();
    let value = value.strip_prefix("urn:oid:").unwrap_or(value);
    value.strip_prefix("ImagingStudy/").unwrap_or(value)
}

/// Study UIDs that a search value names: a study UID, or an accession number. The query is audited.
async fn found(reading: &Reading, actor: &Actor, value: &str) -> Result<Vec<String>> {
    let is_uid = value.contains('.') && value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_uid {
        guard_query(reading, actor, Action::SearchStudies, Some(value)).await?;
        return Ok(vec![value.to_owned()]);
    }
    guard_query(reading, actor, Action::SearchStudies, None).await?;
    let mut uids = Vec::new();
    for row in reading
        .archive()
        .db()
        .fetch_all(sql::BY_ACCESSION, params![value])
        .await?
    {
        uids.push(row.text("study_uid")?);
    }
    Ok(uids)
}

/// Issued reports of the studies that `value` names, as `DiagnosticReport`.
///
/// # Errors
/// As the policy says; a study that may not be seen is not in the answer.
pub async fn search_reports(reading: &Reading, actor: &Actor, value: &str) -> Result<Vec<Value>> {
    let mut list = Vec::new();
    for uid in found(reading, actor, identifier_value(value)).await? {
        if may(reading, actor, Action::ViewReport, &uid).await? {
            list.extend(report_of(reading, &uid).await?);
        }
    }
    Ok(list)
}

async fn report_of(reading: &Reading, uid: &str) -> Result<Option<Value>> {
    match load_version(reading, uid, None).await {
        Ok(version) => Ok(Some(fhir::diagnostic_report(&version))),
        Err(ReadingError::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// One report by its study.
///
/// # Errors
/// `NotFound` before signing, and as the policy says.
pub async fn report(reading: &Reading, actor: &Actor, uid: &str) -> Result<Value> {
    guard(reading, actor, Action::ViewReport, uid).await?;
    let none = || ReadingError::not_found("报告尚未签发", "The report is not signed yet");
    report_of(reading, uid).await?.ok_or_else(none)
}

struct Found {
    facts: StudyFacts,
    status: String,
    changed: String,
}

async fn study_of(reading: &Reading, uid: &str) -> Result<Option<Found>> {
    let db = reading.archive().db();
    let Some(row) = db.fetch_optional(sql::CONTEXT, params![uid]).await? else {
        return Ok(None);
    };
    let study = StudyContext::read(&row)?;
    let mut series = Vec::new();
    for row in db.fetch_all(sql::SERIES, params![study.id]).await? {
        series.push(SeriesFacts {
            uid: row.text("series_uid")?,
            number: row.opt_int("number")?,
            modality: row.text("modality")?,
            description: row.opt_text("description")?,
            instances: row.int("instance_count")?,
        });
    }
    let changed = row
        .opt_int("i_signed")?
        .or(row.opt_int("i_submitted")?)
        .unwrap_or(study.received_at);
    Ok(Some(Found {
        facts: StudyFacts {
            accession_number: study.accession_number.clone(),
            patient_id: study.patient.id,
            started: UnixMicros(study.study_at).to_iso8601(),
            received: UnixMicros(study.received_at).to_iso8601(),
            description: study.item_name(),
            series,
            uid: study.study_uid,
        },
        status: row.opt_text("i_status")?.unwrap_or_else(|| "to_write".to_owned()),
        changed: UnixMicros(changed).to_iso8601(),
    }))
}

/// Which resource of a study is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyResource {
    /// `ImagingStudy`.
    ImagingStudy,
    /// `Task`: its reading.
    Task,
}

fn resource_of(found: &Found, wanted: StudyResource) -> Value {
    match wanted {
        StudyResource::ImagingStudy => fhir::imaging_study(&found.facts),
        StudyResource::Task => fhir::task(&found.facts, &found.status, &found.changed),
    }
}

/// The studies that `value` names, as `ImagingStudy` or as the `Task` of their reading.
///
/// # Errors
/// As the policy says; a study that may not be seen is not in the answer.
pub async fn search_studies(
    reading: &Reading,
    actor: &Actor,
    value: &str,
    wanted: StudyResource,
) -> Result<Vec<Value>> {
    let mut list = Vec::new();
    for uid in found(reading, actor, identifier_value(value)).await? {
        if may(reading, actor, Action::ViewImages, &uid).await? {
            list.extend(study_of(reading, &uid).await?.map(|f| resource_of(&f, wanted)));
        }
    }
    Ok(list)
}

/// One study, as `ImagingStudy` or `Task`.
///
/// # Errors
/// As the policy says.
pub async fn study(reading: &Reading, actor: &Actor, uid: &str, wanted: StudyResource) -> Result<Value> {
    guard(reading, actor, Action::ViewImages, uid).await?;
    let none = || ReadingError::not_found("没有找到这项检查", "There is no such study");
    Ok(resource_of(
        &study_of(reading, uid).await?.ok_or_else(none)?,
        wanted,
    ))
}

/// Orders by accession number, as `ServiceRequest`: those of the own institution, and those of studies that may be seen.
///
/// # Errors
/// As the policy says.
pub async fn search_orders(reading: &Reading, actor: &Actor, value: &str) -> Result<Vec<Value>> {
    guard_query(reading, actor, Action::ListOrders, None).await?;
    let Some(order) = reading
        .archive()
        .orders()
        .by_accession(identifier_value(value))
        .await?
    else {
        return Ok(Vec::new());
    };
    let own = order.institution_id == actor.institution_id();
    if !own && !may(reading, actor, Action::ViewImages, &order.study_uid).await? {
        return Ok(Vec::new());
    }
    let view = crate::order::of_study(reading, &order.study_uid).await?;
    Ok(view.iter().map(fhir::service_request).collect())
}

/// A patient by row.
///
/// # Errors
/// As the policy says.
pub async fn patient(reading: &Reading, actor: &Actor, id: i64) -> Result<Value> {
    guard_patient(reading, actor, Action::ViewPatient, id).await?;
    let p = reading.archive().patients().by_id(archive::PatientId(id)).await?;
    Ok(fhir::patient(&PatientFacts {
        id,
        institution: reading.institution(p.institution_id).await?.name_zh,
        identifier: p.identifier,
        name: p.name,
        sex: p.sex,
        birth_date: p.birth_date.as_deref().map(to_iso_date).filter(|d| d.len() == 10),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_in_their_forms() {
        let check = |text, value| assert_eq!(identifier_value(text), value);
        check("urn:oid:1.2.3", "1.2.3");
        check("urn:dicom:uid|urn:oid:1.2.3", "1.2.3");
        check("ImagingStudy/1.2.3", "1.2.3");
        check("GY261121000001", "GY261121000001");
        check("http://x|GY1", "GY1");
    }
}
