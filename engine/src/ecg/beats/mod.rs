//! Where the heart beats, and of which kind each beat is.
//!
//! Two stages: an energy of the QRS band finds candidates ([`feature`]), decisions over the whole list of candidates
//! (local levels, timing, look-back into long gaps) choose among them ([`detect`]); the mark is then set on the main
//! peak of the QRS in the signal itself ([`align`]), and shape and timing give the EC57 class ([`classify`]).
//! Several leads are fused by adding their energies, each in units of its own level.

mod align;
mod classify;
mod detect;
mod feature;
pub mod pacing;
mod shape;
mod sliding;

use serde::{Deserialize, Serialize};

use super::filter;
use super::record::Record;

/// Classes of ANSI/AAMI EC57.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BeatClass {
    /// Any beat that is neither S, V, F nor Q (bundle branch block beats too).
    #[serde(rename = "N")]
    Normal,
    /// Supraventricular ectopic beat.
    #[serde(rename = "S")]
    Supraventricular,
    /// Ventricular ectopic beat.
    #[serde(rename = "V")]
    Ventricular,
    /// Fusion of a normal and a ventricular beat.
    #[serde(rename = "F")]
    Fusion,
    /// Paced or unclassifiable beat.
    #[serde(rename = "Q")]
    Unclassifiable,
}

impl BeatClass {
    /// The letter of EC57.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Normal => 'N',
            Self::Supraventricular => 'S',
            Self::Ventricular => 'V',
            Self::Fusion => 'F',
            Self::Unclassifiable => 'Q',
        }
    }
}

/// One beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Beat {
    /// Main peak of the QRS, 0-based sample of the record's own rate.
    pub sample: usize,
    /// Its class.
    #[serde(rename = "label")]
    pub class: BeatClass,
}

/// Which leads decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// One lead, by its place in the record; out of range finds nothing.
    One(usize),
    /// All leads together.
    Fused,
}

/// Finds and classifies the beats, in time order without doubles; gaps and lead-off stretches hold none.
#[must_use]
pub fn detect(record: &Record, leads: Leads) -> Vec<Beat> {
    match leads {
        Leads::One(index) => filter::beats_in(
            record.leads.get(index..=index).unwrap_or_default(),
            record.sampling_rate_hz,
        ),
        Leads::Fused => filter::beats_in(&record.leads, record.sampling_rate_hz),
    }
}

/// The same over bare leads in microvolts, all equally long.
#[must_use]
pub fn detect_in(leads: &[&[f32]], sampling_rate_hz: f64) -> Vec<Beat> {
    let stimuli = pacing::stimuli(leads, sampling_rate_hz);
    if stimuli.is_empty() {
        return detect_among(leads, sampling_rate_hz, &stimuli);
    }
    // A stimulus is higher than many a QRS and must not be taken for one.
    let blanked: Vec<Vec<f32>> = leads
        .iter()
        .map(|lead| pacing::blanked(lead, &stimuli, sampling_rate_hz))
        .collect();
    let leads: Vec<&[f32]> = blanked.iter().map(Vec::as_slice).collect();
    detect_among(&leads, sampling_rate_hz, &stimuli)
}

fn detect_among(leads: &[&[f32]], sampling_rate_hz: f64, stimuli: &[usize]) -> Vec<Beat> {
    let fused = feature::Fused::new(leads, sampling_rate_hz);
    if fused.lanes.is_empty() {
        return Vec::new();
    }
    let candidates = detect::choose(&fused);
    let samples = align::peaks(leads, &fused, &candidates, sampling_rate_hz);
    classify::label(&fused, &samples, sampling_rate_hz, stimuli)
}

/// Median interval among the nearest around each beat, `reach` to either side, in samples.
fn usual_intervals(places: &[usize], reach: usize) -> Vec<f64> {
    let intervals: Vec<f32> = places.windows(2).map(|w| (w[1] - w[0]) as f32).collect();
    let usual = sliding::medians(&intervals, reach, places.len());
    usual
        .into_iter()
        .map(|median| median.map_or(f64::INFINITY, f64::from))
        .collect()
}

#[cfg(test)]
mod tests;
