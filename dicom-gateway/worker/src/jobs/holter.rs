//! Long recordings: read in place, summed up, and a minute of them read as a resting ECG is.

use super::{Context, ecg_analysis};
use crate::error::Result;
use crate::object::Source;
use crate::waveform::Waveform;
use archive::store::ObjectStore;
use engine::ecg::critical::Ruleset;
use engine::ecg::formats::stream::Stream;
use engine::ecg::holter::{self, Holter, Source as _};
use engine::ecg::{Lead, Record};
use serde_json::{Value, json};
use std::sync::Arc;

/// Kind of the result.
pub(super) const KIND: &str = "ecg_holter";
/// Version of the method.
const VERSION: i64 = 2;
const MEDIA_TYPE: &str = "application/json";
/// Recordings from this length on are summed up, in seconds.
const LONG_S_MIN: f64 = 1_800.0;
/// Objects below this size hold no such recording, unless their class says so.
const LONG_BYTES_MIN: u64 = 1 << 20;
/// Ambulatory ECG Waveform Storage.
const AMBULATORY: &str = "1.2.840.10008.5.1.4.1.1.9.1.3";
/// Memory of the analysis of any recording.
const MEMORY_BYTES: u64 = 200 << 20;
/// What is read as a resting ECG, in seconds.
const MINUTE_S: f64 = 60.0;

/// What was made of a long recording.
pub(super) struct Made {
    holter: Value,
    duration_s: f64,
    /// The reading of one minute.
    pub(super) analysis: Value,
}

/// Looks at an object; `None` for one that is not long, or cannot be read in place.
pub(super) async fn look(
    context: &Context,
    source: &Source,
    class: &str,
    rules: Option<Arc<Ruleset>>,
) -> Result<Option<Made>> {
    if class != AMBULATORY && source.size_bytes() < LONG_BYTES_MIN {
        return Ok(None);
    }
    let (store, source) = (context.archive.store().clone(), source.clone());
    context
        .compute
        .run(MEMORY_BYTES, move || analyse(&store, &source, rules.as_deref()))
        .await
}

fn analyse(store: &ObjectStore, source: &Source, rules: Option<&Ruleset>) -> Result<Option<Made>> {
    let waveform = Waveform::open(store, source)?;
    if waveform
        .length()?
        .is_none_or(|length| length.seconds < LONG_S_MIN)
    {
        return Ok(None);
    }
    let (Some(mut whole), Some(again)) = (waveform.stream()?, waveform.stream()?) else {
        return Ok(None);
    };
    let summed = holter::analyze(&mut whole)?;
    let analysis = minute(again, &summed, rules)?;
    let mut made = serde_json::to_value(&summed)?;
    if let Some(object) = made.as_object_mut() {
        object.insert("sop_instance_uid".to_owned(), json!(source.sop_instance_uid));
        object.insert("summary_zh".to_owned(), json!(holter::summary_zh(&summed)));
        object.insert("summary_en".to_owned(), json!(holter::summary_en(&summed)));
    }
    Ok(Some(Made {
        holter: made,
        duration_s: summed.duration_s,
        analysis,
    }))
}

/// The first minute that can be read, read as a resting ECG.
fn minute(mut stream: Stream, summed: &Holter, rules: Option<&Ruleset>) -> Result<Value> {
    let rate_hz = summed.sampling_rate_hz;
    let first = summed.minute_bpm.iter().position(Option::is_some).unwrap_or(0);
    let from_s = first as f64 * MINUTE_S;
    let (mut skip, wanted) = ((from_s * rate_hz) as usize, (MINUTE_S * rate_hz) as usize);
    let mut leads: Vec<Vec<f32>> = vec![Vec::new(); summed.leads.len()];
    while leads.first().is_some_and(|lead| lead.len() < wanted) {
        let length = if skip > 0 {
            skip
        } else {
            wanted - leads.first().map_or(0, Vec::len)
        };
        let got = stream.read(length, &mut leads)?;
        if got == 0 {
            break;
        }
        if skip > 0 {
            skip -= got;
            leads.iter_mut().for_each(Vec::clear);
        }
    }
    let leads = summed.leads.iter().zip(leads).map(|(name, samples_uv)| Lead {
        name: name.clone(),
        samples_uv,
        resolution_uv: 0.0,
        derived: false,
    });
    let mut record = Record::new(summed.format, leads.collect(), rate_hz)?;
    record.warnings.push(format!(
        "this is the minute from {from_s:.0} s of {:.0} s; the whole recording is in the Holter analysis",
        summed.duration_s
    ));
    ecg_analysis::read(&record, rules)
}

/// Keeps the result for the object and, where it is the longest, for the study.
pub(super) async fn keep(
    context: &Context,
    made: &Made,
    sop_instance_uid: &str,
    study_uid: &str,
) -> Result<()> {
    let derived = context.archive.derived();
    let content = serde_json::to_vec(&made.holter)?;
    let before = derived.get(study_uid, KIND).await?;
    let longest = before.is_none_or(|found| {
        let value: Value = serde_json::from_slice(&found.content).unwrap_or_default();
        let own = value.get("sop_instance_uid").and_then(Value::as_str) == Some(sop_instance_uid);
        let seconds = value.get("duration_s").and_then(Value::as_f64).unwrap_or(0.0);
        own || made.duration_s >= seconds
    });
    if longest {
        derived
            .put(study_uid, KIND, VERSION, MEDIA_TYPE, content.clone())
            .await?;
    }
    derived
        .put(sop_instance_uid, KIND, VERSION, MEDIA_TYPE, content)
        .await?;
    Ok(())
}
