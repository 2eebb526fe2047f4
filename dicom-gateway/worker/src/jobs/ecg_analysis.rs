//! The machine's reading of an ECG: a proposal, always marked as such, that brings critical ones to the front.

use super::{Context, JobKind, holter};
use crate::error::Result;
use crate::object::Source;
use archive::derived::Derived;
use archive::events::{Event, EventKind};
use archive::receive::SeriesKind;
use archive::store::ObjectStore;
use archive::study::InstanceItem;
use engine::ecg::critical::Ruleset;
use engine::ecg::{AnalyzeOptions, Record};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Version of the method.
pub(crate) const VERSION: i64 = 3;
const MEDIA_TYPE: &str = "application/json";
/// Decoded samples and working copies, for each byte of the file.
const MEMORY_FACTOR: u64 = 12;

/// Analyses one waveform object; keeps the result under its own UID and, for the worklist, under the study's.
pub(super) async fn perform(context: &Context, sop_instance_uid: &str) -> Result<()> {
    let Some(item) = context.archive.studies().instance(sop_instance_uid).await? else {
        return Ok(());
    };
    if item.series.kind != SeriesKind::Waveform {
        return Ok(());
    }
    let (store, source) = (context.archive.store().clone(), Source::of(&item.instance));
    let class = &item.instance.sop_class_uid;
    let rules = context.critical_rules.clone();
    let analysis = match holter::look(context, &source, class, rules.clone()).await? {
        Some(mut made) => {
            holter::keep(context, &made, sop_instance_uid, &item.study.study_uid).await?;
            name_source(&mut made.analysis, &source);
            made.analysis
        }
        None => {
            let memory_bytes = source.size_bytes().saturating_mul(MEMORY_FACTOR);
            context
                .compute
                .run(memory_bytes, move || analyse(&store, &source, rules.as_deref()))
                .await?
        }
    };
    let content = serde_json::to_vec(&analysis)?;
    let derived = context.archive.derived();
    let kind = JobKind::EcgAnalysis.as_str();
    derived
        .put(sop_instance_uid, kind, VERSION, MEDIA_TYPE, content)
        .await?;
    for_study(context, &item.study.study_uid).await?;
    tell(context, &item, &analysis);
    Ok(())
}

fn analyse(store: &ObjectStore, source: &Source, rules: Option<&Ruleset>) -> Result<Value> {
    let parsed = source.parse_whole(store)?;
    let lookup = |path: &[(u32, usize)], tag: u32| parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let record = engine::ecg::formats::dicom::read(&lookup)?;
    let mut analysis = read(&record, rules)?;
    name_source(&mut analysis, source);
    Ok(analysis)
}

/// The analysis under the county's critical rules.
pub(super) fn read(record: &Record, rules: Option<&Ruleset>) -> Result<Value> {
    let mut options = AnalyzeOptions::default();
    options.ruleset = rules.or(options.ruleset);
    Ok(serde_json::to_value(engine::ecg::analyze_with(record, &options))?)
}

fn name_source(analysis: &mut Value, source: &Source) {
    if let Some(object) = analysis.as_object_mut() {
        object.insert("sop_instance_uid".to_owned(), json!(source.sop_instance_uid));
    }
}

fn critical_rules(analysis: &Value) -> Vec<Value> {
    let rules = analysis.get("critical").and_then(Value::as_array);
    rules
        .map(|list| list.iter().filter_map(|c| c.get("rule").cloned()).collect())
        .unwrap_or_default()
}

/// Of several ECGs in a study the one with most critical rules speaks for it, then the newest.
async fn for_study(context: &Context, study_uid: &str) -> Result<()> {
    let (studies, derived) = (context.archive.studies(), context.archive.derived());
    let kind = JobKind::EcgAnalysis.as_str();
    let mut chosen: Option<(usize, i64, Derived)> = None;
    for instance in studies.instances_of_study(study_uid).await? {
        let Some(found) = derived.get(&instance.sop_instance_uid, kind).await? else {
            continue;
        };
        let analysis: Value = serde_json::from_slice(&found.content)?;
        let rank = (critical_rules(&analysis).len(), instance.received_at.0);
        if chosen.as_ref().is_none_or(|(count, at, _)| (*count, *at) < rank) {
            chosen = Some((rank.0, rank.1, found));
        }
    }
    if let Some((_, _, found)) = chosen {
        derived
            .put(study_uid, kind, VERSION, MEDIA_TYPE, found.content)
            .await?;
    }
    Ok(())
}

fn tell(context: &Context, item: &InstanceItem, analysis: &Value) {
    let critical = critical_rules(analysis);
    if !critical.is_empty() {
        metrics::counter!("gongying_ecg_critical_total").increment(1);
        tracing::info!(study = %item.study.study_uid, rules = critical.len(), "an ECG with critical findings");
    }
    let data = json!({
        "kind": JobKind::EcgAnalysis.as_str(),
        "sop_instance_uid": item.instance.sop_instance_uid,
        "critical": critical,
    });
    let study_uid = item.study.study_uid.clone();
    let event = Event::new(EventKind::Derived, study_uid, vec![item.study.institution_id]);
    context.archive.events().publish(event.data(data));
}
