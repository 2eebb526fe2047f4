//! Onset, peak and end of P, QRS and T.
//!
//! QRS limits come from the spatial velocity (the size of the slope over all leads looked at). T and P are followed on
//! the projection of the leads on the direction of that wave; their limits are where the area of a trapezium under
//! the flank is largest (Zhang et al., T wave end detection by a geometric method, Computers in Cardiology 2006). A P
//! wave is believed only when the beat's own window resembles the mean of all beats, so that the fibrillating line of
//! atrial fibrillation makes none.

mod atrial;
mod qrs;
mod wave;

use serde::Serialize;

use super::beats::{self, Beat, BeatClass, Leads};
use super::filter::{self, Mains};
use super::record::Record;

pub(crate) use atrial::AtrialEvidence;

/// Marks of one beat, as samples of the record; `None` where a wave is absent or cannot be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Onset of P.
    pub p_on: Option<usize>,
    /// Peak of P.
    pub p_peak: Option<usize>,
    /// End of P.
    pub p_off: Option<usize>,
    /// Onset of QRS.
    pub qrs_on: Option<usize>,
    /// Main peak of QRS.
    pub r_peak: Option<usize>,
    /// End of QRS (J point).
    pub qrs_off: Option<usize>,
    /// Onset of T.
    pub t_on: Option<usize>,
    /// Peak of T.
    pub t_peak: Option<usize>,
    /// End of T.
    pub t_off: Option<usize>,
}

/// Marks of every beat on one lead, or global ones over all leads.
#[must_use]
pub fn delineate(record: &Record, leads: Leads) -> Vec<Marks> {
    let bridged = filter::bridged(record);
    let all: Vec<&[f32]> = bridged.iter().map(Vec::as_slice).collect();
    let beats = beats::detect_in(&all, record.sampling_rate_hz);
    let signals = filter::diagnostic_with_beats(record, Mains::Hz50, &beats);
    let chosen: Vec<&[f64]> = match leads {
        Leads::One(index) => signals.get(index).map(Vec::as_slice).into_iter().collect(),
        Leads::Fused => signals.iter().map(Vec::as_slice).collect(),
    };
    mark_all(&chosen, record.sampling_rate_hz, &beats, 0).0
}

/// Marks on filtered leads in microvolts around known beats, and what was seen of the atria. Before `t_end_before` the T
/// wave of a beat lies that is not among `beats`.
pub(crate) fn mark_all(
    leads: &[&[f64]],
    rate_hz: f64,
    beats: &[Beat],
    t_end_before: usize,
) -> (Vec<Marks>, AtrialEvidence) {
    let waves = Waves::new(leads, rate_hz);
    let mut marks: Vec<Marks> = Vec::with_capacity(beats.len());
    for (index, beat) in beats.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| beats.get(i)).map(|b| b.sample);
        let next = beats.get(index + 1).map(|b| b.sample);
        marks.push(waves.mark_ventricular(beat.sample, before, next));
    }
    let evidence = atrial::mark(&waves, beats, &mut marks, t_end_before);
    (marks, evidence)
}

/// Leads prepared for delineation.
pub(crate) struct Waves {
    rate_hz: f64,
    /// Leads without what is faster than QRS and P need.
    fast: Vec<Vec<f64>>,
    /// Leads with what P holds; faster than for T, so that the QRS does not reach into the PR segment.
    atrial: Vec<Vec<f64>>,
    /// Leads with only what T holds.
    slow: Vec<Vec<f64>>,
    /// Size of the slope over all leads, microvolts a sample.
    velocity: Vec<f64>,
}

impl Waves {
    pub(crate) fn new(leads: &[&[f64]], rate_hz: f64) -> Self {
        const FAST_HZ: f64 = 75.0;
        const ATRIAL_HZ: f64 = 55.0;
        const SLOW_HZ: f64 = 25.0;
        let prepared = |edge_hz: f64| -> Vec<Vec<f64>> {
            leads
                .iter()
                .filter(|l| l.iter().any(|v| v.is_finite()))
                .map(|l| filter::low_passed(l, edge_hz, rate_hz))
                .collect()
        };
        let fast = prepared(FAST_HZ);
        let (atrial, slow) = (prepared(ATRIAL_HZ), prepared(SLOW_HZ));
        let n = leads.first().map_or(0, |lead| lead.len());
        let mut velocity = vec![0.0; n];
        for lead in &fast {
            for (at, pair) in lead.windows(3).enumerate() {
                velocity[at + 1] += (0.5 * (pair[2] - pair[0])).powi(2);
            }
        }
        for value in &mut velocity {
            *value = value.sqrt();
        }
        Self {
            rate_hz,
            fast,
            atrial,
            slow,
            velocity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.velocity.len()
    }

    /// Samples in so many seconds.
    fn samples(&self, seconds: f64) -> usize {
        (seconds * self.rate_hz).round() as usize
    }

    /// QRS and T of the beat at `sample`.
    pub(crate) fn mark_ventricular(
        &self,
        sample: usize,
        before: Option<usize>,
        next: Option<usize>,
    ) -> Marks {
        let mut marks = Marks::default();
        let Some(limits) = qrs::limits(self, sample, before, next) else {
            return marks;
        };
        marks.qrs_on = Some(limits.on);
        marks.r_peak = Some(self.main_peak(limits.on, limits.off, sample));
        marks.qrs_off = Some(limits.off);
        if let Some(t) = wave::t_wave(self, sample, limits.off, next) {
            (marks.t_on, marks.t_peak, marks.t_off) = (Some(t.on), Some(t.peak), Some(t.off));
        }
        marks
    }

    /// The sample inside the QRS that stands farthest from its onset level: the R peak, else the main Q or S.
    fn main_peak(&self, on: usize, off: usize, sample: usize) -> usize {
        if self.fast.len() != 1 {
            return sample.clamp(on, off);
        }
        let lead = &self.fast[0];
        let base = lead[on];
        let best = (on..=off.min(lead.len() - 1)).max_by(|a, b| {
            let height = |at: usize| {
                let distance = lead[at] - base;
                if distance > 0.0 { 1.6 * distance } else { -distance }
            };
            height(*a).total_cmp(&height(*b))
        });
        best.unwrap_or(sample)
    }
}

/// Whether a beat takes part in means over conducted beats.
pub(crate) fn is_conducted(class: BeatClass) -> bool {
    matches!(class, BeatClass::Normal | BeatClass::Supraventricular)
}

#[cfg(test)]
mod tests;
