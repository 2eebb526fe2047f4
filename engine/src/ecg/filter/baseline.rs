//! The line under the beats: through the isoelectric point before each QRS, as a cubic spline.

use std::ops::Range;

use crate::ecg::beats::{Beat, BeatClass};

/// Hop of the coarse line, in seconds.
const COARSE_HOP_S: f64 = 0.5;
/// Longest time without an anchor before the coarse line helps out, in seconds.
const ANCHOR_GAP_S: f64 = 2.5;

/// A point of the line.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Knot {
    at: f64,
    level: f64,
}

/// Subtracts the line in place.
pub(super) fn remove(signal: &mut [f64], gaps: &[Range<usize>], rate_hz: f64, beats: &[Beat]) {
    let coarse = Coarse::new(signal, rate_hz);
    let anchors = anchors(signal, gaps, rate_hz, beats, &coarse);
    let knots = complete(&anchors, signal.len(), rate_hz, &coarse);
    subtract_spline(signal, &knots);
}

/// Medians of long windows: robust, but pulled by long waves.
struct Coarse {
    hop: f64,
    levels: Vec<f64>,
}

impl Coarse {
    fn new(signal: &[f64], rate_hz: f64) -> Self {
        const WINDOW_S: f64 = 1.2;
        const SEEN: usize = 150;
        let hop = (COARSE_HOP_S * rate_hz).max(1.0);
        let half = (WINDOW_S * rate_hz / 2.0) as usize + 1;
        let count = (signal.len() as f64 / hop) as usize + 2;
        let mut levels = Vec::with_capacity(count);
        let mut window: Vec<f64> = Vec::with_capacity(SEEN * 2);
        for index in 0..count {
            let centre = ((index as f64 * hop) as usize).min(signal.len().saturating_sub(1));
            let part = &signal[centre.saturating_sub(half)..(centre + half).min(signal.len())];
            window.clear();
            window.extend(part.iter().step_by((part.len() / SEEN).max(1)));
            let middle = window.len() / 2;
            levels.push(if window.is_empty() {
                0.0
            } else {
                *window.select_nth_unstable_by(middle, f64::total_cmp).1
            });
        }
        Self { hop, levels }
    }

    fn at(&self, place: f64) -> f64 {
        let position = (place / self.hop).max(0.0);
        let index = (position as usize).min(self.levels.len().saturating_sub(2));
        let share = (position - index as f64).min(1.0);
        let (a, b) = (self.levels.get(index), self.levels.get(index + 1));
        a.copied().unwrap_or(0.0) * (1.0 - share) + b.or(a).copied().unwrap_or(0.0) * share
    }
}

/// One isoelectric point for each conducted beat outside the gaps.
fn anchors(
    signal: &[f64],
    gaps: &[Range<usize>],
    rate_hz: f64,
    beats: &[Beat],
    coarse: &Coarse,
) -> Vec<Knot> {
    /// A level farther from the coarse line than this share of the usual QRS is not isoelectric.
    const FAR_SHARE: f64 = 0.35;
    let samples = |seconds: f64| (seconds * rate_hz).round() as usize;
    let (early, late, width) = (samples(0.135), samples(0.036), samples(0.036).max(2));
    let mut heights: Vec<f64> = Vec::with_capacity(beats.len());
    let mut found: Vec<Knot> = Vec::with_capacity(beats.len());
    for beat in beats {
        let from = beat.sample.saturating_sub(early);
        let to = beat.sample.saturating_sub(late);
        let in_gap = gaps
            .iter()
            .any(|gap| gap.start < beat.sample + late && gap.end + width > from);
        if beat.class == BeatClass::Ventricular || to < from + width || beat.sample >= signal.len() || in_gap
        {
            continue;
        }
        let knot = flattest(signal, from, to, width);
        heights.push((signal[beat.sample] - coarse.at(beat.sample as f64)).abs());
        found.push(knot);
    }
    if heights.is_empty() {
        return found;
    }
    let middle = heights.len() / 2;
    let usual = *heights.clone().select_nth_unstable_by(middle, f64::total_cmp).1;
    found.retain(|knot| (knot.level - coarse.at(knot.at)).abs() <= FAR_SHARE * usual);
    found
}

/// The quietest window of `width` samples in `from..to`, later ones preferred; its mean level.
fn flattest(signal: &[f64], from: usize, to: usize, width: usize) -> Knot {
    let step = (width / 9).max(1);
    let mut best = (f64::INFINITY, from);
    let mut start = from;
    while start + width <= to {
        let part = &signal[start..start + width];
        let mean = part.iter().sum::<f64>() / width as f64;
        let spread: f64 = part.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let distance = (to - start - width) as f64 / (to - from) as f64;
        let cost = spread.sqrt() * (1.0 + 0.5 * distance);
        if cost <= best.0 {
            best = (cost, start);
        }
        start += step;
    }
    let part = &signal[best.1..best.1 + width];
    let level = part.iter().sum::<f64>() / width as f64;
    Knot {
        at: best.1 as f64 + (width as f64 - 1.0) / 2.0,
        level,
    }
}

/// Adds knots of the coarse line at both ends and in long times without anchors.
fn complete(anchors: &[Knot], n: usize, rate_hz: f64, coarse: &Coarse) -> Vec<Knot> {
    let mut offsets: Vec<f64> = anchors
        .iter()
        .map(|knot| knot.level - coarse.at(knot.at))
        .collect();
    let middle = offsets.len() / 2;
    let offset = if offsets.is_empty() {
        0.0
    } else {
        *offsets.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    let mut knots: Vec<Knot> = Vec::with_capacity(anchors.len() + 8);
    let gap = ANCHOR_GAP_S * rate_hz;
    let hop = 2.0 * COARSE_HOP_S * rate_hz;
    let fill = |knots: &mut Vec<Knot>, to: f64| {
        while let Some(last) = knots.last().copied() {
            if to - last.at <= gap {
                break;
            }
            let at = last.at + hop;
            knots.push(Knot {
                at,
                level: coarse.at(at),
            });
        }
    };
    let end = n.saturating_sub(1) as f64;
    if anchors.first().is_none_or(|knot| knot.at > 0.2 * rate_hz) {
        knots.push(Knot {
            at: 0.0,
            level: coarse.at(0.0) + offset,
        });
    }
    for anchor in anchors {
        fill(&mut knots, anchor.at);
        if knots
            .last()
            .is_none_or(|last| last.at + 0.05 * rate_hz < anchor.at)
        {
            knots.push(*anchor);
        }
    }
    fill(&mut knots, end);
    if knots.last().is_none_or(|last| end - last.at > 0.2 * rate_hz) {
        knots.push(Knot {
            at: end,
            level: coarse.at(end) + offset,
        });
    }
    knots
}

/// Natural cubic spline through the knots, constant beyond them.
fn subtract_spline(signal: &mut [f64], knots: &[Knot]) {
    let Some(first) = knots.first() else { return };
    let bends = second_derivatives(knots);
    let mut piece = 0;
    for (index, value) in signal.iter_mut().enumerate() {
        let at = index as f64;
        while piece + 2 < knots.len() && at > knots[piece + 1].at {
            piece += 1;
        }
        let left = knots[piece];
        let level = match knots.get(piece + 1) {
            _ if at <= first.at => first.level,
            None => left.level,
            Some(right) if at >= right.at => right.level,
            Some(right) => {
                let width = right.at - left.at;
                let (a, b) = ((right.at - at) / width, (at - left.at) / width);
                let curve = (a * a * a - a) * bends[piece] + (b * b * b - b) * bends[piece + 1];
                a * left.level + b * right.level + curve * width * width / 6.0
            }
        };
        *value -= level;
    }
}

/// Second derivatives of the natural spline (tridiagonal system, Thomas algorithm).
fn second_derivatives(knots: &[Knot]) -> Vec<f64> {
    let n = knots.len();
    let mut bends = vec![0.0; n];
    let mut upper = vec![0.0; n];
    for i in 1..n.saturating_sub(1) {
        let (h0, h1) = (knots[i].at - knots[i - 1].at, knots[i + 1].at - knots[i].at);
        let slope = (knots[i + 1].level - knots[i].level) / h1 - (knots[i].level - knots[i - 1].level) / h0;
        let diagonal = 2.0 * (h0 + h1) - h0 * upper[i - 1];
        upper[i] = h1 / diagonal;
        bends[i] = (6.0 * slope - h0 * bends[i - 1]) / diagonal;
    }
    for i in (1..n.saturating_sub(1)).rev() {
        bends[i] -= upper[i] * bends[i + 1];
    }
    bends
}
