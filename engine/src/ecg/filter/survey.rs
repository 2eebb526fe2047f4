//! One look over a lead, stretch by stretch while it is in the processor's cache: is it whole, what are its short means,
//! what does it say about the mains.

use super::baseline::Means;
use super::gaps::{self, Bridged, Runs};
use super::mains::{Hum, Rough};
use crate::ecg::simd;

/// Samples looked at together.
const STRETCH: usize = 1 << 11;

/// A lead without holes, and what was seen of it.
pub(super) struct Prepared<'a> {
    pub(super) lead: Bridged<'a>,
    /// Short means; none when they were not asked for.
    pub(super) means: Means,
    /// Interference that stands out.
    pub(super) hum: Option<Hum>,
}

/// What is wanted of a lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) rate_hz: f64,
    /// Nominal frequency of the mains, where interference is to be found.
    pub(super) hertz: Option<f64>,
    /// Whether the short means are needed.
    pub(super) means: bool,
}

/// Bridges the holes of a lead and looks at it.
pub(super) fn prepare(samples: &[f32], wanted: Wanted) -> Prepared<'_> {
    let mut survey = Survey::new(samples.len(), wanted);
    let lead = if survey.look(samples) {
        Bridged::whole(samples)
    } else {
        gaps::bridge(samples, wanted.rate_hz)
    };
    if !lead.gaps.is_empty() || !survey.finite {
        survey = Survey::new(samples.len(), wanted);
        if !lead.is_empty() {
            survey.look(&lead.values);
        }
    }
    Prepared {
        lead,
        hum: survey.rough.and_then(Rough::hum),
        means: survey.means,
    }
}

impl Prepared<'_> {
    /// The same lead with other values.
    pub(super) fn with_values(&self, values: Vec<f32>, wanted: Wanted) -> Prepared<'static> {
        let mut survey = Survey::new(values.len(), wanted);
        survey.look(&values);
        Prepared {
            lead: Bridged {
                values: values.into(),
                gaps: self.lead.gaps.clone(),
            },
            hum: survey.rough.and_then(Rough::hum),
            means: survey.means,
        }
    }

    /// Takes the interference out of the lead itself.
    pub(super) fn unhum(&mut self, rate_hz: f64, means: bool) {
        if let Some(hum) = self.hum.take() {
            hum.subtract(self.lead.values.to_mut(), 0);
            let wanted = Wanted {
                rate_hz,
                hertz: None,
                means,
            };
            let mut survey = Survey::new(self.lead.values.len(), wanted);
            survey.look(&self.lead.values);
            self.means = survey.means;
        }
    }
}

struct Survey {
    means: Means,
    rough: Option<Rough>,
    wants_means: bool,
    finite: bool,
    runs: Runs,
}

impl Survey {
    fn new(n: usize, wanted: Wanted) -> Self {
        let hertz = wanted.hertz;
        Self {
            means: Means::new(if wanted.means { n } else { 0 }, wanted.rate_hz),
            rough: hertz.and_then(|hertz| Rough::new(n, wanted.rate_hz, hertz)),
            wants_means: wanted.means,
            finite: true,
            runs: Runs::new(wanted.rate_hz),
        }
    }

    /// Looks at the whole signal; answers whether it surely has no holes.
    fn look(&mut self, signal: &[f32]) -> bool {
        let mut sound = true;
        for from in (0..signal.len()).step_by(STRETCH) {
            let to = (from + STRETCH).min(signal.len());
            self.finite &= simd::all_finite(&signal[from..to]);
            let seen = &signal[..to];
            sound &= self.finite && !self.runs.may_be_in(seen);
            if !self.finite {
                return false;
            }
            if self.wants_means {
                self.means.add(seen);
            }
            if let Some(rough) = &mut self.rough {
                rough.hear(seen);
            }
        }
        sound
    }
}
