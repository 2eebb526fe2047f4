//! Whether a recording will do, told while the patient is still there.
//!
//! Demands: Kligfield et al., AHA/ACCF/HRS recommendations part I (2007): 10 s, 500 samples a second, 0.05 to 150 Hz,
//! twelve leads; DICOM PS3.3 A.34.3 takes a 12-lead ECG from 200 samples a second.

mod reasons;

use std::collections::BTreeMap;

use serde::Serialize;

use super::electrodes::{self, Placement};
use super::{FLAT_UV, SATURATED_SHARE, Signs};
use crate::ecg::interpret::Evidence;
use crate::ecg::measure::Measured;
use crate::ecg::record::{LeadName, Record, STANDARD_LEADS};
pub use reasons::Reason;

/// Longest stretch that is looked at: the gate answers while the patient waits.
const SEEN_S_MAX: f64 = 60.0;

/// Whether the recording will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It will do.
    Ok,
    /// It can be read, and should be taken again if the patient is still there.
    RepeatAdvised,
    /// It cannot be read.
    Unusable,
}

/// What the gate says of a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Acquisition {
    /// The worst of the reasons.
    pub verdict: Verdict,
    /// Why, the worst first; those of verdict `ok` are remarks.
    pub reasons: Vec<Reason>,
    /// Numbers of each lead.
    pub leads: BTreeMap<String, LeadCheck>,
    /// Length in seconds.
    pub duration_s: f64,
    /// Samples a second.
    pub sampling_rate_hz: f64,
}

/// Numbers of one lead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LeadCheck {
    /// Judgement of this lead alone.
    pub verdict: Verdict,
    /// Usual height of the QRS, microvolts.
    pub qrs_uv: f64,
    /// Noise, root mean square, microvolts.
    pub noise_uv: f64,
    /// Noise over the height of the QRS.
    pub noise_index: f64,
    /// Half the span of the baseline, microvolts.
    pub wander_uv: f64,
    /// Amplitude of 50 or 60 Hz, microvolts.
    pub mains_uv: f64,
    /// Share without signal.
    pub missing_share: f64,
    /// Share cut off at the end of the range.
    pub saturated_share: f64,
}

/// Looks at a recording of any length; of a long one the first minute counts. 12 leads of 10 s take milliseconds.
#[must_use]
pub fn check(record: &Record) -> Acquisition {
    let seen = (SEEN_S_MAX * record.sampling_rate_hz) as usize;
    if record.len() <= seen {
        return crate::ecg::analyze(record).acquisition;
    }
    let mut found = crate::ecg::analyze(&record.window(0..seen)).acquisition;
    found.duration_s = record.duration_s();
    found
}

/// What the gate judges by.
pub(crate) struct Seen<'a> {
    /// The leads, derived ones included.
    pub(crate) record: &'a Record,
    /// Length of the whole recording.
    pub(crate) duration_s: f64,
    /// One of each lead.
    pub(crate) signs: &'a [Signs],
    pub(crate) beats: usize,
    /// Waves without beats are no fault of the electrodes.
    pub(crate) fibrillates: bool,
    pub(crate) measured: &'a Measured,
}

/// Judges what was seen.
pub(crate) fn judge(seen: &Seen<'_>) -> Acquisition {
    let rate_hz = seen.record.sampling_rate_hz;
    let mut reasons = Vec::new();
    reasons::of_shape(seen, &mut reasons);
    reasons::of_leads(seen, &mut reasons);
    if let Some((placement, evidence)) = electrodes::placement(seen.measured) {
        reasons.push(Reason::of_placement(placement, evidence));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    let pairs = seen.record.leads.iter().zip(seen.signs);
    Acquisition {
        verdict: reasons.iter().map(|r| r.verdict).max().unwrap_or(Verdict::Ok),
        reasons,
        leads: pairs
            .map(|(lead, signs)| (lead.name.as_str().to_owned(), LeadCheck::of(signs)))
            .collect(),
        duration_s: seen.duration_s,
        sampling_rate_hz: rate_hz,
    }
}

/// Limits of one lead.
mod limit {
    /// Share without signal from which beats are lost.
    pub(super) const MISSING_SHARE: f64 = 0.05;
    /// The same from which the lead is.
    pub(super) const LOST_SHARE: f64 = 0.5;
    /// Noise in microvolts, and over the QRS, from which ST and P are in doubt.
    pub(super) const NOISE_UV: f64 = 40.0;
    pub(super) const NOISE_INDEX: f64 = 0.10;
    /// Noise over the QRS from which the lead cannot be read.
    pub(super) const DROWNED_INDEX: f64 = 0.35;
    /// Half a centimetre on paper to either side.
    pub(super) const WANDER_UV: f64 = 500.0;
    /// A millimetre on paper; what the mains filter takes away still tells of a bad contact.
    pub(super) const MAINS_UV: f64 = 100.0;
}

impl LeadCheck {
    fn of(signs: &Signs) -> Self {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let thousandth = |value: f64| (value * 1_000.0).round() / 1_000.0;
        Self {
            verdict: signs.verdict(),
            qrs_uv: tenth(signs.height_uv),
            noise_uv: tenth(signs.noise_uv),
            noise_index: thousandth(signs.noise_index()),
            wander_uv: tenth(signs.wander_uv),
            mains_uv: tenth(signs.mains_uv),
            missing_share: thousandth(signs.missing),
            saturated_share: thousandth(signs.saturated),
        }
    }
}

impl Signs {
    fn noise_index(&self) -> f64 {
        self.noise_uv / self.height_uv.max(1.0)
    }

    fn is_off(&self) -> bool {
        self.missing > limit::LOST_SHARE || self.height_uv < FLAT_UV
    }

    fn is_drowned(&self) -> bool {
        self.noise_uv > limit::NOISE_UV && self.noise_index() > limit::DROWNED_INDEX
    }

    fn is_noisy(&self) -> bool {
        self.noise_uv > limit::NOISE_UV && self.noise_index() > limit::NOISE_INDEX
    }

    fn verdict(&self) -> Verdict {
        if self.is_off() || self.is_drowned() {
            Verdict::Unusable
        } else if self.missing > limit::MISSING_SHARE
            || self.saturated > SATURATED_SHARE
            || self.is_noisy()
            || self.wander_uv > limit::WANDER_UV
        {
            Verdict::RepeatAdvised
        } else {
            Verdict::Ok
        }
    }
}

#[cfg(test)]
mod tests;
