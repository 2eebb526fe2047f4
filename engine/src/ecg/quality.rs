//! How far each lead can be trusted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::beats::Beat;
use super::record::Record;

/// Judgement of one lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadQuality {
    /// Signal quality index from 0 (useless) to 1 (clean).
    pub sqi: f64,
    /// What is wrong: `no_signal`, `lead_off`, `flat`, `baseline_wander`, `noise`, `low_amplitude`.
    pub flags: Vec<&'static str>,
}

/// Judges every lead; `filtered` are the leads on the diagnostic path.
#[must_use]
pub(crate) fn judge(record: &Record, filtered: &[Vec<f32>], beats: &[Beat]) -> BTreeMap<String, LeadQuality> {
    let mut out = BTreeMap::new();
    for (lead, clean) in record.leads.iter().zip(filtered) {
        let quality = judge_lead(&lead.samples_uv, clean, beats, record.sampling_rate_hz);
        out.insert(lead.name.as_str().to_owned(), quality);
    }
    out
}

fn judge_lead(raw: &[f32], clean: &[f32], beats: &[Beat], rate_hz: f64) -> LeadQuality {
    const LEAD_OFF_SHARE: f64 = 0.05;
    const FLAT_UV: f64 = 20.0;
    const LOW_UV: f64 = 150.0;
    const WANDER_UV: f64 = 300.0;
    let missing = clean.iter().filter(|v| !v.is_finite()).count() as f64 / clean.len().max(1) as f64;
    if missing >= 0.999 {
        return LeadQuality {
            sqi: 0.0,
            flags: vec!["no_signal"],
        };
    }
    let mut flags = Vec::new();
    let height = usual_height(clean, beats, rate_hz);
    let noise = usual_noise(clean, rate_hz);
    let wander = wander(raw, clean);
    if missing > LEAD_OFF_SHARE {
        flags.push("lead_off");
    }
    if height < FLAT_UV {
        flags.push("flat");
    } else if height < LOW_UV {
        flags.push("low_amplitude");
    }
    if wander > WANDER_UV {
        flags.push("baseline_wander");
    }
    let ratio = noise / height.max(1.0);
    if ratio > 0.06 && noise > 12.0 {
        flags.push("noise");
    }
    let noise_part = 1.0 / (1.0 + (ratio / 0.10).powi(2));
    let wander_part = 1.0 / (1.0 + (wander / 1_500.0).powi(2));
    let flat_part = if height < FLAT_UV { 0.1 } else { 1.0 };
    let sqi = (1.0 - missing) * noise_part * wander_part * flat_part;
    LeadQuality {
        sqi: (sqi * 100.0).round() / 100.0,
        flags,
    }
}

/// Median over the beats of the distance between highest and lowest value of the QRS.
fn usual_height(clean: &[f32], beats: &[Beat], rate_hz: f64) -> f64 {
    let half = (0.06 * rate_hz) as usize;
    let mut heights: Vec<f64> = Vec::with_capacity(beats.len());
    for beat in beats {
        let part = clean.get(beat.sample.saturating_sub(half)..(beat.sample + half).min(clean.len()));
        let values = part.unwrap_or_default().iter().filter(|v| v.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(f64::from(*v)), h.max(f64::from(*v)))
        });
        if high >= low {
            heights.push(high - low);
        }
    }
    median(&mut heights)
}

/// Median roughness of quarter seconds: what the second difference over 8 ms leaves in the quiet parts.
fn usual_noise(clean: &[f32], rate_hz: f64) -> f64 {
    let by = (0.004 * rate_hz).round().max(1.0) as usize;
    let block = ((0.25 * rate_hz) as usize).max(2 * by + 1);
    let mut sizes: Vec<f64> = Vec::new();
    for part in clean.chunks(block) {
        let rough = part
            .windows(2 * by + 1)
            .map(|w| f64::from(w[by] - 0.5 * (w[0] + w[2 * by])).powi(2));
        let (sum, count) = rough
            .filter(|v| v.is_finite())
            .fold((0.0, 0_usize), |(s, c), v| (s + v, c + 1));
        if count > 0 {
            sizes.push((sum / count as f64).sqrt());
        }
    }
    median(&mut sizes)
}

/// Half the span of what the diagnostic path took away, without the extreme hundredths.
fn wander(raw: &[f32], clean: &[f32]) -> f64 {
    const SEEN_MAX: usize = 5_000;
    let step = (raw.len() / SEEN_MAX).max(1);
    let pairs = raw.iter().zip(clean).step_by(step);
    let mut taken: Vec<f64> = pairs
        .map(|(r, c)| f64::from(r - c))
        .filter(|v| v.is_finite())
        .collect();
    if taken.is_empty() {
        return 0.0;
    }
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    0.5 * (at(0.99) - at(0.01))
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
