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

/// The line through the isoelectric points; `means` are those of the signal.
pub(super) fn anchored(
    signal: &[f32],
    means: &Means,
    gaps: &[Range<usize>],
    rate_hz: f64,
    beats: &[Beat],
) -> Curve {
    let coarse = Coarse::new(means, signal.len(), rate_hz);
    let anchors = anchors(signal, gaps, rate_hz, beats, &coarse);
    Curve::spline(&complete(&anchors, signal.len(), rate_hz, &coarse))
}

/// Finds all that is slower than half a hertz: a symmetric filter over short means, worked out only where the line has
/// its knots. Twice a second-order Butterworth low-pass, as forward and backward.
pub(super) struct Slow {
    taps: Vec<f32>,
    /// Means to either side that are mirrored at the ends; beyond them the last one is held.
    mirrored: usize,
}

impl Slow {
    pub(super) fn new(rate_hz: f64) -> Self {
        const EDGE_HZ: f64 = 0.45;
        const REACH_S: f64 = 4.0;
        const PAD_S: f64 = 2.5;
        let mean_rate_hz = rate_hz / Means::length(rate_hz) as f64;
        let reach = (REACH_S * mean_rate_hz) as usize;
        let mut impulse = vec![0.0; 4 * reach + 1];
        impulse[2 * reach] = 1.0;
        biquad::zero_phase(&Section::low_pass(EDGE_HZ, mean_rate_hz), &mut impulse, 0);
        let kept = &impulse[reach..=3 * reach];
        let sum: f64 = kept.iter().sum();
        Self {
            taps: kept.iter().map(|tap| (tap / sum) as f32).collect(),
            mirrored: (PAD_S * mean_rate_hz) as usize,
        }
    }

    /// The line under a signal with these means.
    pub(super) fn line(&self, means: &Means) -> Curve {
        const KNOT_EVERY: usize = 5;
        let levels = &means.values;
        let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
            return Curve::default();
        };
        let reach = self.taps.len() / 2;
        let (n, pad) = (levels.len(), self.mirrored.min(levels.len() - 1));
        let before = 2.0 * first - levels[pad];
        let after = 2.0 * last - levels[n - 1 - pad];
        // Levels count from the first, so that a large offset costs no digits.
        let mut padded: Vec<f32> = Vec::with_capacity(n + 2 * reach);
        padded.resize(reach - pad, before);
        padded.extend(levels[1..=pad].iter().rev().map(|level| 2.0 * first - level));
        padded.extend_from_slice(levels);
        padded.extend(
            levels[n - 1 - pad..n - 1]
                .iter()
                .rev()
                .map(|level| 2.0 * last - level),
        );
        padded.resize(n + 2 * reach, after);
        for level in &mut padded {
            *level -= first;
        }
        let mut slow = vec![0.0; n.div_ceil(KNOT_EVERY)];
        simd::fir_every(&padded, &self.taps, KNOT_EVERY, &mut slow);
        let knot = |(index, level): (usize, &f32)| Knot {
            at: means.middle(index * KNOT_EVERY),
            level: f64::from(level + first),
        };
        Curve::even(&slow.iter().enumerate().map(knot).collect::<Vec<Knot>>())
    }
}

/// Means of short parts of a signal; a signal shorter than one part has its own mean.
#[derive(Debug, Default)]
pub(super) struct Means {
    /// Samples of a part.
    length: usize,
    values: Vec<f32>,
}

impl Means {
    /// Room for the means of `n` samples.
    pub(super) fn new(n: usize, rate_hz: f64) -> Self {
        let length = Self::length(rate_hz).min(n.max(1));
        Self {
            length,
            values: Vec::with_capacity(n / length + 1),
        }
    }

    fn length(rate_hz: f64) -> usize {
        ((MEAN_S * rate_hz).round() as usize).max(1)
    }

    /// Adds the parts which are whole in `seen`, the signal from its start on.
    pub(super) fn add(&mut self, seen: &[f32]) {
        let have = self.values.len();
        simd::part_sums(&seen[have * self.length..], self.length, &mut self.values);
        let share = 1.0 / self.length as f32;
        for value in &mut self.values[have..] {
            *value *= share;
        }
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
    fn new(means: &Means, n: usize, rate_hz: f64) -> Self {
        const WINDOW_S: f64 = 1.2;
        /// Short means together.
        const TOGETHER: usize = 2;
        let mut values = Vec::with_capacity(means.values.len() / TOGETHER + 1);
        simd::reduce(&means.values, TOGETHER, &mut values);
        if values.is_empty() {
            values.extend_from_slice(&means.values);
        }
        let length = TOGETHER * means.length;
        let hop = (COARSE_HOP_S * rate_hz).max(1.0);
        let half = (WINDOW_S * rate_hz / 2.0 / length as f64) as usize + 1;
        let count = (n as f64 / hop) as usize + 2;
        let level = |index: usize| {
            let centre = ((index as f64 * hop) as usize / length).min(values.len().saturating_sub(1));
            let window = values.get(centre.saturating_sub(half)..(centre + half).min(values.len()));
            f64::from(simd::median_of_few(window.unwrap_or_default()))
        };
        Self {
            hop,
            levels: (0..count).map(level).collect(),
        }
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
    let mut sums = Vec::new();
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
        found.push(flattest(signal, from, to, width, &mut sums));
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
fn flattest(signal: &[f32], from: usize, to: usize, width: usize, sums: &mut Vec<[f64; 2]>) -> Knot {
    // Levels count from the first sample, so that a large offset costs no digits.
    let zero = signal.get(from).copied().unwrap_or(0.0);
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    sums.clear();
    sums.push([0.0; 2]);
    for value in &signal[from..to] {
        let value = f64::from(value - zero);
        sum += value;
        squares += value * value;
        sums.push([sum, squares]);
    }
    let (share, reach) = (1.0 / width as f64, 1.0 / (to - from) as f64);
    let step = (width / 9).max(1);
    let mut best = (f64::INFINITY, 0, 0.0_f64);
    let windows = sums.iter().zip(&sums[width..]).enumerate().step_by(step);
    for (start, ([sum, squares], [sum_to, squares_to])) in windows {
        let mean = (sum_to - sum) * share;
        let spread = ((squares_to - squares) * share - mean * mean).max(0.0);
        let distance = 1.0 + 0.5 * (to - from - start - width) as f64 * reach;
        let cost = spread * distance * distance;
        if cost <= best.0 {
            best = (cost, start, mean);
        }
    }
    Knot {
        at: (from + best.1) as f64 + (width as f64 - 1.0) / 2.0,
        level: f64::from(zero) + best.2,
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
