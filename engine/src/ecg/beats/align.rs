//! Sets the mark on the main peak of the QRS.

use super::detect::Candidate;
use super::feature::Fused;

/// Farthest distance of the main peak from the middle of the energy, in seconds.
const REACH_S: f64 = 0.090;
/// Distance on each side over which the line under the complex is taken, in seconds.
const FOOT_S: f64 = 0.110;

/// Peak of each candidate in samples of the record, rising.
pub(super) fn peaks(
    leads: &[&[f32]],
    fused: &Fused,
    candidates: &[Candidate],
    sampling_rate_hz: f64,
) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let centre = candidate.at * fused.factor + fused.factor / 2;
        let peak = peak_near(leads, fused, centre, sampling_rate_hz);
        if out.last().is_none_or(|last| *last < peak) {
            out.push(peak);
        }
    }
    out
}

/// The sample where the leads together stand farthest from the line under the complex.
fn peak_near(leads: &[&[f32]], fused: &Fused, centre: usize, rate_hz: f64) -> usize {
    let reach = (REACH_S * rate_hz).round() as usize;
    let foot = (FOOT_S * rate_hz).round() as usize;
    let n = leads.first().map_or(0, |lead| lead.len());
    let from = centre.saturating_sub(reach).min(n.saturating_sub(1));
    let to = (centre + reach + 1).min(n);
    let mut heights = vec![0.0_f32; to - from];
    let top = fused
        .lanes
        .iter()
        .map(|lane| lane.level)
        .fold(f32::MIN_POSITIVE, f32::max);
    for lane in &fused.lanes {
        let lead = leads[lane.lead];
        let base = foot_level(lead, centre, foot);
        let scale = 1.0 / top;
        for (height, value) in heights.iter_mut().zip(&lead[from..to]) {
            let distance = (value - base) * scale;
            if distance.is_finite() {
                // Upward peaks win over equal downward ones: R before S.
                *height += if distance > 0.0 { 1.15 * distance } else { distance }.powi(2);
            }
        }
    }
    let best = heights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    from + best.map_or(0, |(index, _)| index)
}

/// Level beside the complex: the median of short stretches on both sides.
fn foot_level(lead: &[f32], centre: usize, foot: usize) -> f32 {
    let width = (foot / 3).max(1);
    let mut near: Vec<f32> = Vec::with_capacity(2 * width);
    let left = centre.saturating_sub(foot + width);
    let right = (centre + foot).min(lead.len());
    near.extend(lead.get(left..(left + width).min(lead.len())).unwrap_or_default());
    near.extend(
        lead.get(right..(right + width).min(lead.len()))
            .unwrap_or_default(),
    );
    near.retain(|v| v.is_finite());
    if near.is_empty() {
        return 0.0;
    }
    let middle = near.len() / 2;
    *near.select_nth_unstable_by(middle, f32::total_cmp).1
}
