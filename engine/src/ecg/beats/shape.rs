//! Shapes of beats at the reduced rate, all leads one after the other.

use std::ops::Range;

use super::feature::Fused;
use super::usual_intervals;
use crate::ecg::simd;

/// Intervals to either side that say how long one usually is, when beats are told apart.
const USUAL_REACH: usize = 6;
/// Window of a shape before and after the peak, in seconds.
const BEFORE_S: f64 = 0.110;
const AFTER_S: f64 = 0.260;
/// Part of it behind the peak that may still be QRS, in seconds.
const QRS_AFTER_S: f64 = 0.120;

/// What is known of one beat.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Place in the detection signal.
    pub(super) centre: usize,
    /// Sum of squares of its values.
    pub(super) power: f32,
    /// Time within which the slopes of the QRS are steep, in seconds.
    pub(super) width_s: f64,
    /// Usual interval here, in seconds; infinite for a single beat.
    pub(super) usual_s: f64,
    /// Interval before over the usual interval.
    pub(super) early: f64,
    /// Interval after over the usual interval.
    pub(super) late: f64,
    /// Power of the noise over that of the beats here.
    pub(super) noise: f32,
    pub(super) group: usize,
    /// Part of the window that lies inside the recording, when not all of it does.
    cut: Option<Range<usize>>,
}

impl Shape {
    /// Whether its window lies inside the recording.
    pub(super) fn is_whole(&self) -> bool {
        self.cut.is_none()
    }
}

/// The shapes of all beats.
pub(super) struct Shapes {
    /// Samples of the window before the peak, and of all of it.
    before: usize,
    length: usize,
    /// Samples of it that a QRS may fill.
    qrs: usize,
    lanes: usize,
    shapes: Vec<Shape>,
    values: Vec<f32>,
}

impl Shapes {
    pub(super) fn new(fused: &Fused, samples: &[usize]) -> Self {
        let before = (BEFORE_S * fused.rate_hz).round() as usize;
        let length = before + (AFTER_S * fused.rate_hz).round() as usize;
        let mut made = Self {
            before,
            length,
            qrs: before + (QRS_AFTER_S * fused.rate_hz).round() as usize,
            lanes: fused.lanes.len(),
            shapes: Vec::with_capacity(samples.len()),
            values: vec![0.0; samples.len() * fused.lanes.len() * length],
        };
        let usual = usual_intervals(samples, USUAL_REACH);
        let (width, mut values) = (made.width(), std::mem::take(&mut made.values));
        let mut slopes = vec![0.0; length];
        for ((index, sample), own) in samples.iter().enumerate().zip(values.chunks_mut(width.max(1))) {
            let centre = sample / fused.factor;
            made.cut_out(fused, centre, own);
            let gap = |a: usize, b: usize| (samples[b] - samples[a]) as f64 / usual[index];
            made.slopes(own, &mut slopes);
            made.shapes.push(Shape {
                centre,
                power: simd::dot(own, own),
                width_s: steep_width(&slopes) / fused.rate_hz,
                usual_s: (usual[index] / fused.factor as f64 / fused.rate_hz).min(10.0),
                early: if index == 0 { 1.0 } else { gap(index - 1, index) },
                late: if index + 1 == samples.len() {
                    1.0
                } else {
                    gap(index, index + 1)
                },
                noise: fused.noise_share(centre),
                group: 0,
                cut: made.seen(fused, centre),
            });
        }
        made.values = values;
        made
    }

    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Values of one shape.
    pub(super) fn width(&self) -> usize {
        self.lanes * self.length
    }

    pub(super) fn get(&self, index: usize) -> (&Shape, &[f32]) {
        let width = self.width();
        (
            &self.shapes[index],
            &self.values[index * width..(index + 1) * width],
        )
    }

    pub(super) fn set_group(&mut self, index: usize, group: usize, values: &[f32]) {
        let width = self.width();
        self.values[index * width..(index + 1) * width].copy_from_slice(values);
        self.shapes[index].group = group;
        self.shapes[index].power = simd::dot(values, values);
    }

    /// Part of the window round `centre` inside the recording, when not all of it is.
    fn seen(&self, fused: &Fused, centre: usize) -> Option<Range<usize>> {
        let n = fused.amplitude.len();
        let from = self.before.saturating_sub(centre);
        let to = (n + self.before).saturating_sub(centre).min(self.length);
        (from > 0 || to < self.length).then_some(from..to.max(from))
    }

    /// Writes the values of all lanes round `centre`, each lane freed of its mean, and zero beyond the recording. The
    /// lanes keep their sizes against each other, so that weak leads do not speak louder than strong ones. Answers
    /// whether all of the window lies inside the recording.
    pub(super) fn cut_out(&self, fused: &Fused, centre: usize, out: &mut [f32]) -> bool {
        let top = fused
            .lanes
            .iter()
            .map(|lane| lane.level)
            .fold(f32::MIN_POSITIVE, f32::max);
        let scale = 1.0 / top;
        let cut = self.seen(fused, centre);
        let range = cut.clone().unwrap_or(0..self.length);
        let start = centre + range.start - self.before.min(centre + range.start);
        for (lane, part) in fused.lanes.iter().zip(out.chunks_mut(self.length.max(1))) {
            part[..range.start].fill(0.0);
            part[range.end..].fill(0.0);
            let inside = &mut part[range.clone()];
            let source = &lane.smooth[start..start + inside.len()];
            let mut sum = 0.0;
            for (value, from) in inside.iter_mut().zip(source) {
                *value = from * scale;
                sum += *value;
            }
            let mean = sum / inside.len().max(1) as f32;
            for value in inside {
                *value -= mean;
            }
        }
        cut.is_none()
    }

    /// Whether all of its QRS complex, as far as one may reach, lies inside the recording.
    pub(super) fn shows_qrs(&self, shape: &Shape) -> bool {
        let whole = |seen: &Range<usize>| seen.start == 0 && seen.end >= self.qrs;
        shape.cut.as_ref().is_none_or(whole)
    }

    /// Likeness of a shape that the recording cuts to a whole one, over the part that both have.
    pub(super) fn partial_likeness(&self, shape: &Shape, values: &[f32], whole: &[f32]) -> f32 {
        let range = shape.cut.clone().unwrap_or(0..self.length);
        let (mut ab, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (a, b) in values
            .chunks(self.length.max(1))
            .zip(whole.chunks(self.length.max(1)))
        {
            let (a, b) = (&a[range.clone()], &b[range.clone()]);
            let mean = b.iter().sum::<f32>() / b.len().max(1) as f32;
            for (x, y) in a.iter().zip(b) {
                ab += x * (y - mean);
                aa += x * x;
                bb += (y - mean) * (y - mean);
            }
        }
        let root = (aa * bb).sqrt().max(f32::MIN_POSITIVE);
        ab / root * (2.0 * root / (aa + bb).max(f32::MIN_POSITIVE)).sqrt()
    }

    /// Energy of the slopes over all lanes, as far as a QRS may reach.
    fn slopes(&self, values: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for part in values.chunks(self.length.max(1)) {
            let part = &part[..part.len().min(self.qrs)];
            for (slope, pair) in out.iter_mut().zip(part.windows(2)) {
                *slope += (pair[1] - pair[0]) * (pair[1] - pair[0]);
            }
        }
    }
}

/// Twice the spread of the slope energy around its centre: follows the width of the QRS and not one threshold.
fn steep_width(slopes: &[f32]) -> f64 {
    let [mass, first, second] = simd::moments_of_roots(slopes, 0.08 * simd::highest(slopes));
    if mass <= 0.0 {
        return 0.0;
    }
    let mean = first / mass;
    f64::from((second / mass - mean * mean).max(0.0)).sqrt() * 12.0_f64.sqrt()
}
