//! Objects of one study that name different patients: the fault that must never reach a report.

use super::{Finding, Severity, text};
use crate::error::Result;
use crate::jobs::Context;
use archive::study::PackedAttributes;
use serde_json::json;
use std::collections::BTreeSet;

const PATIENT_ID: &str = "00100020";
const BIRTH_DATE: &str = "00100030";
const SEX: &str = "00100040";
const OBJECT_BYTES: u64 = 64 << 10;

/// Compares the patients that the objects of a study name; numbers only, never names or numbers of patients.
pub(super) async fn check(context: &Context, study_uid: &str) -> Result<Vec<Finding>> {
    let packed = context.archive.studies().attributes_of_study(study_uid).await?;
    let memory_bytes = packed.len() as u64 * OBJECT_BYTES;
    context.compute.run(memory_bytes, move || compare(&packed)).await
}

fn compare(packed: &[PackedAttributes]) -> Result<Vec<Finding>> {
    let mut patients = BTreeSet::new();
    let mut incomplete = 0;
    for object in packed {
        let attributes = object.json()?;
        let own = |tag: &str| text(&attributes, tag).unwrap_or_default().to_owned();
        incomplete += usize::from(own(PATIENT_ID).is_empty());
        patients.insert([own(PATIENT_ID), own(BIRTH_DATE), own(SEX)]);
    }
    let mut findings = Vec::new();
    if patients.len() > 1 {
        findings.push(Finding::new(
            "patient_differs",
            Severity::Error,
            format!("同一检查内出现{}种不同的患者信息，请核对患者身份", patients.len()),
            format!(
                "Objects of this study name {} different patients: check the identity",
                patients.len()
            ),
            json!({ "patients": patients.len() }),
        ));
    }
    if incomplete > 0 {
        findings.push(Finding::new(
            "patient_id_missing",
            Severity::Warning,
            format!("{incomplete}个对象没有患者编号"),
            format!("{incomplete} objects carry no patient identifier"),
            json!({ "objects": incomplete }),
        ));
    }
    Ok(findings)
}
