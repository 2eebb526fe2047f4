//! ECG leads without signal.

use super::{Finding, Severity};
use crate::error::{Result, WorkerError};
use crate::jobs::Context;
use crate::object::Source;
use archive::store::ObjectStore;
use archive::study::Series;
use engine::ecg::Record;
use serde_json::json;
use std::borrow::Cow;

/// A lead whose samples all lie within this is off or shorted.
const FLAT_UV: f32 = 20.0;
/// Decoded samples, for each byte of the file.
const MEMORY_FACTOR: u64 = 6;

/// Checks the leads of every recording of a series.
pub(super) async fn check(context: &Context, study_uid: &str, series: &Series) -> Result<Vec<Finding>> {
    let studies = context.archive.studies();
    let mut findings = Vec::new();
    for instance in studies.instances_of_series(study_uid, &series.series_uid).await? {
        let (store, source) = (context.archive.store().clone(), Source::of(&instance));
        let memory_bytes = source.size_bytes().saturating_mul(MEMORY_FACTOR);
        let uid = instance.sop_instance_uid.as_str();
        match context
            .compute
            .run(memory_bytes, move || look(&store, &source))
            .await
        {
            Ok(found) => findings.extend(found.map(|f| f.of_instance(uid))),
            Err(WorkerError::Ecg(error)) => findings.push(unreadable(&error.to_string()).of_instance(uid)),
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

fn unreadable(reason: &str) -> Finding {
    Finding::new(
        "signal_unreadable",
        Severity::Error,
        "心电信号无法读取，请重新采集或发送".to_owned(),
        format!("The signal cannot be read, record or send it again: {reason}"),
        json!({ "reason": reason }),
    )
}

fn look(store: &ObjectStore, source: &Source) -> Result<Option<Finding>> {
    let parsed = source.parse_whole(store)?;
    let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let record = engine::ecg::formats::dicom::read(&lookup)?;
    Ok(judge(&record))
}

fn judge(record: &Record) -> Option<Finding> {
    let flat: Vec<String> = record
        .leads
        .iter()
        .filter(|lead| {
            let present = lead.samples_uv.iter().copied().filter(|v| !v.is_nan());
            let (low, high) = present.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| {
                (l.min(v), h.max(v))
            });
            high - low < FLAT_UV || low > high
        })
        .map(|lead| lead.name.to_string())
        .collect();
    (!flat.is_empty()).then(|| {
        let names = flat.join(", ");
        Finding::new(
            "lead_off",
            Severity::Error,
            format!("导联 {names} 无信号，可能脱落"),
            format!("No signal in lead {names}: it may be off"),
            json!({ "leads": flat }),
        )
    })
}
