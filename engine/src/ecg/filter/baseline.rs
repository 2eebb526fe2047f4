//! The line under the beats: for measuring, through the isoelectric point before each QRS as a cubic spline; for the
//! eye, all that is slower than half a hertz.

use std::ops::Range;

use super::biquad::{self, Section};
use super::curve::{Curve, Knot};
use crate::ecg::beats::{Beat, BeatClass};
use crate::ecg::simd;

/// Hop of the coarse line, in seconds.
const COARSE_HOP_S: f64 = 0.5;
/// Longest time without an anchor before the coarse line helps out, in seconds.
const ANCHOR_GAP_S: f64 = 2.5;
/// Length of the means that slow lines are made of: whole periods of 50 Hz, in seconds.
const MEAN_S: f64 = 0.040;

/// The line through the isoelectric points.
pub(super) fn anchored(signal: &[f32], gaps: &[Range<usize>], rate_hz: f64, beats: &[Beat]) -> Curve {
    let coarse = Coarse::new(signal, rate_hz);
    let anchors = anchors(signal, gaps, rate_hz, beats, &coarse);
    Curve::spline(&complete(&anchors, signal.len(), rate_hz, &coarse))
}

/// Everything below half a hertz.
pub(super) fn slow(signal: &[f32], rate_hz: f64) -> Curve {
    const EDGE_HZ: f64 = 0.45;
    const PAD_S: f64 = 2.5;
    const KNOT_EVERY: usize = 5;
    let means = Means::new(signal, rate_hz);
    let mean_rate_hz = rate_hz / means.length as f64;
    let mut levels = means.values.clone();
    let section = Section::low_pass(EDGE_HZ, mean_rate_hz);
    biquad::zero_phase(&section, &mut levels, (PAD_S * mean_rate_hz) as usize);
    let knots: Vec<Knot> = levels
        .iter()
        .enumerate()
        .step_by(KNOT_EVERY)
        .map(|(index, level)| Knot {
            at: means.middle(index),
            level: *level,
        })
        .collect();
    Curve::even(&knots)
}

/// Means of short parts of a signal; a signal shorter than one part has its own mean.
struct Means {
    length: usize,
    values: Vec<f64>,
}

impl Means {
    fn new(signal: &[f32], rate_hz: f64) -> Self {
        let length = ((MEAN_S * rate_hz).round() as usize).clamp(1, signal.len().max(1));
        let mut sums = Vec::with_capacity(signal.len() / length + 1);
        simd::part_sums(signal, length, &mut sums);
        let values = sums.iter().map(|sum| f64::from(*sum) / length as f64).collect();
        Self { length, values }
    }

    /// Middle of a part, in samples of the signal.
    fn middle(&self, index: usize) -> f64 {
        (index as f64 + 0.5) * self.length as f64 - 0.5
    }
}

/// Medians of long windows: robust, but pulled by long waves.
struct Coarse {
    hop: f64,
    levels: Vec<f64>,
}

impl Coarse {
    fn new(signal: &[f32], rate_hz: f64) -> Self {
        const WINDOW_S: f64 = 1.2;
        let means = Means::new(signal, rate_hz);
        let hop = (COARSE_HOP_S * rate_hz).max(1.0);
        let half = (WINDOW_S * rate_hz / 2.0 / means.length as f64) as usize + 1;
        let count = (signal.len() as f64 / hop) as usize + 2;
        let mut levels = Vec::with_capacity(count);
        let mut window: Vec<f64> = Vec::with_capacity(2 * half + 1);
        for index in 0..count {
            let centre =
                ((index as f64 * hop) as usize / means.length).min(means.values.len().saturating_sub(1));
            window.clear();
            let end = (centre + half).min(means.values.len());
            window.extend_from_slice(
                means
                    .values
                    .get(centre.saturating_sub(half)..end)
                    .unwrap_or_default(),
            );
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
    signal: &[f32],
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
    let mut first_gap = 0;
    for beat in beats {
        let from = beat.sample.saturating_sub(early);
        let to = beat.sample.saturating_sub(late);
        while gaps.get(first_gap).is_some_and(|gap| gap.end + width <= from) {
            first_gap += 1;
        }
        let in_gap = gaps
            .get(first_gap)
            .is_some_and(|gap| gap.start < beat.sample + late);
        if beat.class == BeatClass::Ventricular || to < from + width || beat.sample >= signal.len() || in_gap
        {
            continue;
        }
        heights.push((f64::from(signal[beat.sample]) - coarse.at(beat.sample as f64)).abs());
        found.push(flattest(signal, from, to, width));
    }
    if heights.is_empty() {
        return found;
    }
    let middle = heights.len() / 2;
    let usual = *heights.select_nth_unstable_by(middle, f64::total_cmp).1;
    found.retain(|knot| (knot.level - coarse.at(knot.at)).abs() <= FAR_SHARE * usual);
    found
}

/// The quietest window of `width` samples in `from..to`, later ones preferred; its mean level.
fn flattest(signal: &[f32], from: usize, to: usize, width: usize) -> Knot {
    let step = (width / 9).max(1);
    let mut best = (f32::INFINITY, from, 0.0_f32);
    let mut start = from;
    // Levels count from the first sample, so that a large offset costs no digits.
    let zero = signal.get(from).copied().unwrap_or(0.0);
    while start + width <= to {
        let part = &signal[start..start + width];
        let (mut sum, mut squares) = (0.0_f32, 0.0_f32);
        for value in part {
            sum += value - zero;
            squares += (value - zero) * (value - zero);
        }
        let mean = sum / width as f32;
        let spread = (squares / width as f32 - mean * mean).max(0.0);
        let distance = (to - start - width) as f32 / (to - from) as f32;
        let cost = spread.sqrt() * (1.0 + 0.5 * distance);
        if cost <= best.0 {
            best = (cost, start, mean);
        }
        start += step;
    }
    Knot {
        at: best.1 as f64 + (width as f64 - 1.0) / 2.0,
        level: f64::from(zero) + f64::from(best.2),
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
