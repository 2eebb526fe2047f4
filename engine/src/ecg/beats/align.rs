//! Sets the mark on the main peak of the QRS.

use super::detect::Candidate;
use super::feature::{Fused, Lane, odd};
use crate::ecg::simd;

/// Farthest distance of the main peak from the middle of the energy, in seconds.
const REACH_S: f64 = 0.090;
/// Distance on each side over which the line under the complex is taken, in seconds.
const FOOT_S: f64 = 0.110;
/// Width of the mean before the peak is looked for, in seconds: noise moves a sharp peak more than a smooth one.
const SMOOTH_S: f64 = 0.022;

/// Peak of each candidate in samples of the record, rising.
pub(super) fn peaks(
    leads: &[&[f32]],
    fused: &Fused,
    candidates: &[Candidate],
    sampling_rate_hz: f64,
) -> Vec<usize> {
    let Some(leading) = fused.leading() else {
        return Vec::new();
    };
    let finder = |lane: &Lane| Some(Finder::new(leads.get(lane.lead)?, sampling_rate_hz));
    let Some(mut first) = finder(leading) else {
        return Vec::new();
    };
    // Where the leading lead has no signal, the next one that has a QRS there tells the time.
    let others = fused.lanes.iter().filter(|lane| lane.lead != leading.lead);
    let mut others: Vec<(f32, Finder<'_>)> = others
        .filter_map(|lane| Some((lane.level, finder(lane)?)))
        .collect();
    let mut out: Vec<usize> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let centre = candidate.at * fused.factor + fused.factor / 2;
        let (mut peak, height) = first.near(centre);
        if height < SILENT_SHARE * leading.level {
            let mut seen = others
                .iter_mut()
                .map(|(level, other)| (other.near(centre), *level));
            let speaking = seen.find(|((_, height), level)| *height > *level);
            peak = speaking.map_or(peak, |((other, _), _)| other);
        }
        if out.last().is_none_or(|last| *last < peak) {
            out.push(peak);
        }
    }
    out
}

/// Height of a peak over the level of its lead below which the lead is silent there.
const SILENT_SHARE: f32 = 0.25;

/// Looks for peaks in one lead.
struct Finder<'a> {
    lead: &'a [f32],
    reach: usize,
    foot: usize,
    /// Half the width of the mean, in samples.
    half: usize,
    /// One half of the mean, as a symmetric filter.
    taps: Vec<f32>,
    /// Smooth values, kept from peak to peak.
    smooth: Vec<f32>,
}

impl<'a> Finder<'a> {
    fn new(lead: &'a [f32], rate_hz: f64) -> Self {
        let width = odd(SMOOTH_S * rate_hz);
        Self {
            lead,
            reach: (REACH_S * rate_hz).round() as usize,
            foot: (FOOT_S * rate_hz).round() as usize,
            half: width / 2,
            taps: vec![1.0 / width as f32; width / 2 + 1],
            smooth: Vec::new(),
        }
    }

    /// The sample near `centre` where the smooth lead stands farthest from the line under the complex, and how far.
    fn near(&mut self, centre: usize) -> (usize, f32) {
        let n = self.lead.len();
        let from = centre.saturating_sub(self.reach).min(n.saturating_sub(1));
        let to = (centre + self.reach + 1).min(n);
        let base = self.foot_level(centre);
        self.smooth_between(from, to);
        // Upward peaks win over equal downward ones: R before S.
        let (place, height) = simd::farthest(&self.smooth, base, 1.15);
        (from + place, height)
    }

    /// Centred means of the samples `from..to`; at the ends of the lead its last values are held.
    fn smooth_between(&mut self, from: usize, to: usize) {
        let (n, half) = (self.lead.len(), self.half);
        self.smooth.clear();
        self.smooth.resize(to - from, 0.0);
        if from >= half && to + half <= n {
            simd::fir(&self.lead[from - half..to + half], &self.taps, &mut self.smooth);
            return;
        }
        let held = |at: usize| self.lead[at.max(half).min(n - 1 + half) - half];
        let padded: Vec<f32> = (from..to + 2 * half).map(held).collect();
        simd::fir(&padded, &self.taps, &mut self.smooth);
    }

    /// Level beside the complex: the mean of short stretches on both sides.
    fn foot_level(&self, centre: usize) -> f32 {
        let (lead, foot) = (self.lead, self.foot);
        let width = (foot / 3).max(1);
        let left = centre.saturating_sub(foot + width).min(lead.len());
        let right = (centre + foot).min(lead.len());
        let before = &lead[left..(left + width).min(lead.len())];
        let after = &lead[right..(right + width).min(lead.len())];
        let count = (before.len() + after.len()).max(1);
        before.iter().chain(after).sum::<f32>() / count as f32
    }
}
