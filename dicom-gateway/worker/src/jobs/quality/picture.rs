//! Pictures that are cut short, blank or badly exposed.

use super::{Finding, Severity};
use crate::error::{Result, WorkerError};
use crate::jobs::Context;
use crate::object::{Image, Source, frame_memory_bytes};
use archive::store::ObjectStore;
use archive::study::{Instance, Series};
use dataset::PixelDataInfo;
use engine::ImagingError;
use engine::codec::Samples;
use serde_json::json;

/// Pictures of a series whose samples are looked at: first, middle, last.
const SAMPLED_MAX: usize = 3;
/// Pictures whose completeness is checked.
const CHECKED_MAX: usize = 2000;
/// Of the samples, this share at the highest stored value means a burnt-out detector.
const SATURATED_SHARE: f64 = 0.20;
/// Samples looked at in one picture.
const SAMPLES_MAX: usize = 1 << 18;

/// Checks that pixel data are whole, and looks at some pictures.
pub(super) async fn check(context: &Context, study_uid: &str, series: &Series) -> Result<Vec<Finding>> {
    let studies = context.archive.studies();
    let instances = studies.instances_of_series(study_uid, &series.series_uid).await?;
    let pictures: Vec<Instance> = instances
        .into_iter()
        .filter(|i| i.frames > 0)
        .take(CHECKED_MAX)
        .collect();
    let last = pictures.len().saturating_sub(1);
    let mut sampled = vec![0, pictures.len() / 2, last];
    sampled.dedup();
    sampled.truncate(SAMPLED_MAX);
    let radiograph = matches!(series.modality.as_str(), "CR" | "DX" | "DR" | "MG" | "RG");
    let mut findings = Vec::new();
    for (index, instance) in pictures.iter().enumerate() {
        let Some(info) = studies.pixel_data(instance.id).await? else {
            continue;
        };
        if !sampled.contains(&index) {
            findings.extend(short(instance, &info));
            continue;
        }
        let (store, source) = (context.archive.store().clone(), Source::of(instance));
        let memory_bytes = frame_memory_bytes(instance);
        let looked = context
            .compute
            .run(memory_bytes, move || look(&store, source, &info, radiograph))
            .await;
        let uid = &instance.sop_instance_uid;
        match looked {
            Ok(found) => findings.extend(found.map(|f| f.of_instance(uid))),
            Err(WorkerError::Imaging(ImagingError::TransferSyntax(_) | ImagingError::Unsupported { .. })) => {
            }
            Err(WorkerError::Imaging(error)) => findings.push(damaged(&error).of_instance(uid)),
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

/// Uncompressed pixels can be counted without reading them.
fn short(instance: &Instance, info: &PixelDataInfo) -> Option<Finding> {
    if info.encapsulated {
        return None;
    }
    let side = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let samples = side(instance.rows)? * side(instance.columns)? * u64::try_from(instance.frames).ok()?;
    // One channel at least; with more the picture is only longer.
    let needed_bytes = samples.checked_mul(side(instance.bits_allocated)?)?.div_ceil(8);
    let found_bytes = info.length?;
    (found_bytes < needed_bytes).then(|| {
        damaged(&ImagingError::Short {
            needed_bytes,
            found_bytes,
        })
        .of_instance(&instance.sop_instance_uid)
    })
}

fn damaged(error: &ImagingError) -> Finding {
    Finding::new(
        "pixels_damaged",
        Severity::Error,
        "图像数据不完整或已损坏，请重新发送".to_owned(),
        format!("The picture is damaged or cut short, send it again: {error}"),
        json!({ "reason": error.to_string() }),
    )
}

fn look(
    store: &ObjectStore,
    source: Source,
    info: &PixelDataInfo,
    radiograph: bool,
) -> Result<Option<Finding>> {
    let image = Image::open(store, source, info)?;
    image.check_complete()?;
    let pixels = image.decode(store, image.frames() / 2)?;
    let top = f64::from((1u32 << u32::from(image.description.frame.bits_stored.min(31))) - 1);
    Ok(judge(&spread(&pixels.data), top, radiograph))
}

/// Lowest and highest value, and how many samples stand at the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    low: f64,
    high: f64,
    at_high: f64,
}

fn spread(samples: &Samples) -> Spread {
    let step = (samples.len() / SAMPLES_MAX).max(1);
    let mut spread = Spread {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        at_high: 0.0,
    };
    let mut count = 0.0;
    for index in (0..samples.len()).step_by(step) {
        let value = samples.value(index);
        count += 1.0;
        spread.low = spread.low.min(value);
        if value > spread.high {
            (spread.high, spread.at_high) = (value, 0.0);
        }
        if value >= spread.high {
            spread.at_high += 1.0;
        }
    }
    Spread {
        at_high: spread.at_high / f64::max(count, 1.0),
        ..spread
    }
}

fn judge(spread: &Spread, top: f64, radiograph: bool) -> Option<Finding> {
    if spread.high <= spread.low {
        return Some(Finding::new(
            "blank_picture",
            Severity::Error,
            "图像为空白（所有像素值相同）".to_owned(),
            "The picture is blank: all pixels are equal".to_owned(),
            json!({ "value": spread.low }),
        ));
    }
    let saturated = radiograph && spread.high >= top && spread.at_high >= SATURATED_SHARE;
    saturated.then(|| {
        Finding::new(
            "saturated",
            Severity::Warning,
            format!("{:.0}%的像素达到最大值，可能曝光不当", 100.0 * spread.at_high),
            format!(
                "{:.0} % of the pixels are at the highest value: check the exposure",
                100.0 * spread.at_high
            ),
            json!({ "share": spread.at_high }),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_is_judged() {
        let check = |low: f64, high: f64, at_high: f64, radiograph: bool, expect: Option<&str>| {
            let found = judge(&Spread { low, high, at_high }, 4095.0, radiograph);
            assert_eq!(found.map(|f| f.code), expect, "{low} {high} {at_high}");
        };
        check(0.0, 0.0, 1.0, false, Some("blank_picture"));
        check(0.0, 4095.0, 0.5, true, Some("saturated"));
        check(0.0, 4095.0, 0.5, false, None);
        check(0.0, 4000.0, 0.5, true, None);
        check(0.0, 4095.0, 0.01, true, None);
    }
}
