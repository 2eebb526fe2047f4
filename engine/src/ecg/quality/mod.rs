//! How far each lead can be trusted, and whether a recording should be taken again.

pub mod acquisition;
pub(crate) mod electrodes;
mod signs;

use std::collections::BTreeMap;

use serde::Serialize;

use super::beats::Beat;
use super::record::{Lead, Record};
pub(crate) use signs::Signs;

/// Height of a QRS below which a lead carries none, microvolts.
const FLAT_UV: f64 = 20.0;
/// Share of cut-off samples from which waves are lost.
const SATURATED_SHARE: f64 = 0.004;

/// Judgement of one lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadQuality {
    /// Signal quality index from 0 (useless) to 1 (clean).
    pub sqi: f64,
    /// What is wrong: `no_signal`, `lead_off`, `flat`, `baseline_wander`, `noise`, `low_amplitude`,
    /// `saturated`.
    pub flags: Vec<&'static str>,
}

/// Judges every lead by what was seen of it.
#[must_use]
pub(crate) fn judge(leads: &[Lead], signs: &[Signs]) -> BTreeMap<String, LeadQuality> {
    let pairs = leads.iter().zip(signs);
    pairs
        .map(|(lead, signs)| (lead.name.as_str().to_owned(), judge_lead(signs)))
        .collect()
}

/// Looks at every lead; `filtered` are the leads on the diagnostic path.
pub(crate) fn look(record: &Record, filtered: &[Vec<f32>], beats: &[Beat]) -> Vec<Signs> {
    let pairs = record.leads.iter().zip(filtered);
    pairs
        .map(|(lead, clean)| Signs::of(lead, clean, beats, record.sampling_rate_hz))
        .collect()
}

fn judge_lead(signs: &Signs) -> LeadQuality {
    const LEAD_OFF_SHARE: f64 = 0.05;
    const LOW_UV: f64 = 150.0;
    const WANDER_UV: f64 = 300.0;
    if signs.missing >= 1.0 {
        return LeadQuality {
            sqi: 0.0,
            flags: vec!["no_signal"],
        };
    }
    let mut flags = Vec::new();
    let Signs {
        missing,
        height_uv: height,
        noise_uv: noise,
        wander_uv: wander,
        ..
    } = *signs;
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
    if signs.saturated > SATURATED_SHARE {
        flags.push("saturated");
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
