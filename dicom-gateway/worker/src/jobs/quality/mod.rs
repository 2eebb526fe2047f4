//! Faults of acquisition and transfer that a program can see, so that the technician hears of them while the
//! patient is still there.

mod geometry;
mod identity;
mod picture;
mod signal;

use super::{Context, JobKind};
use crate::error::Result;
use archive::events::{Event, EventKind};
use archive::receive::SeriesKind;
use archive::study::Series;
use serde::Serialize;
use serde_json::{Value, json};

/// Version of the method.
const VERSION: i64 = 1;
const MEDIA_TYPE: &str = "application/json";
/// Memory for each object's attributes as JSON values.
const OBJECT_BYTES: u64 = 64 << 10;
/// Findings that are kept.
const FINDINGS_MAX: usize = 100;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Worth knowing.
    Info,
    /// Reading may suffer.
    Warning,
    /// Not fit for reading as it is.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) text_zh: String,
    pub(super) text_en: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) series_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sop_instance_uid: Option<String>,
    /// The numbers behind it.
    pub(super) evidence: Value,
}

impl Finding {
    pub(super) fn new(
        code: &'static str,
        severity: Severity,
        zh: String,
        en: String,
        evidence: Value,
    ) -> Self {
        Self {
            code,
            severity,
            text_zh: zh,
            text_en: en,
            series_uid: None,
            sop_instance_uid: None,
            evidence,
        }
    }

    pub(super) fn of_instance(mut self, uid: &str) -> Self {
        self.sop_instance_uid = Some(uid.to_owned());
        self
    }
}

/// Checks a study; keeps the findings under its UID, also when there are none.
pub(super) async fn perform(context: &Context, study_uid: &str) -> Result<()> {
    let studies = context.archive.studies();
    let Some(study) = studies.by_uid(study_uid).await? else {
        return Ok(());
    };
    let mut findings = identity::check(context, study_uid).await?;
    for series in studies.series_of(study_uid).await? {
        let mut found = check_series(context, study_uid, &series).await?;
        for finding in &mut found {
            finding.series_uid = Some(series.series_uid.clone());
        }
        findings.extend(found);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let left_out = findings.len().saturating_sub(FINDINGS_MAX);
    findings.truncate(FINDINGS_MAX);
    let worst = findings.first().map(|finding| finding.severity);
    let report = json!({
        "study_uid": study_uid,
        "instances": study.instance_count,
        "findings": findings,
        "left_out": left_out,
    });
    let content = serde_json::to_vec(&report)?;
    let kind = JobKind::Quality.as_str();
    context
        .archive
        .derived()
        .put(study_uid, kind, VERSION, MEDIA_TYPE, content)
        .await?;
    if worst >= Some(Severity::Warning) {
        let data = json!({ "kind": kind, "worst": worst });
        let event = Event::new(
            EventKind::Derived,
            study_uid.to_owned(),
            vec![study.institution_id],
        );
        context.archive.events().publish(event.data(data));
    }
    Ok(())
}

async fn check_series(context: &Context, study_uid: &str, series: &Series) -> Result<Vec<Finding>> {
    match series.kind {
        SeriesKind::Image => {
            let packed = context
                .archive
                .studies()
                .attributes_of_series(study_uid, &series.series_uid)
                .await?;
            let memory_bytes = packed.len() as u64 * OBJECT_BYTES;
            let geometry = move || geometry::check(&packed);
            let mut findings = context.compute.run(memory_bytes, geometry).await?;
            findings.extend(picture::check(context, study_uid, series).await?);
            Ok(findings)
        }
        SeriesKind::Waveform => signal::check(context, study_uid, series).await,
        SeriesKind::Document | SeriesKind::Other => Ok(Vec::new()),
    }
}

/// Values of an attribute of DICOM JSON (PS3.18 Annex F).
pub(super) fn values<'a>(attributes: &'a Value, tag: &str) -> &'a [Value] {
    let found = attributes.get(tag).and_then(|element| element.get("Value"));
    found.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Numbers of an attribute of DICOM JSON; DS and IS may stand as text.
pub(super) fn numbers(attributes: &Value, tag: &str) -> Vec<f64> {
    let number = |value: &Value| {
        value
            .as_f64()
            .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
    };
    values(attributes, tag)
        .iter()
        .filter_map(number)
        .filter(|n| n.is_finite())
        .collect()
}

/// First text of an attribute of DICOM JSON.
pub(super) fn text<'a>(attributes: &'a Value, tag: &str) -> Option<&'a str> {
    values(attributes, tag).first().and_then(Value::as_str)
}
