//! The inner loops of projection and back-projection, and the choice of the processor's vector instructions.
//!
//! Both are the same loop: walk over a block of output samples; the place in the source row moves by a constant step
//! from sample to sample and from row to row. Places are integers in units of 2^-24 samples, so that a place does
//! not depend on how many samples are done at once; arithmetic is multiplication and addition without contraction.
//! Hence every path gives equal bits.
//!
//! Eight neighbouring samples of a step of at most one need eight neighbouring source samples: one load and one
//! permutation in place of eight loads. That is what makes these loops fast.

use super::padded::PAD;

/// Fraction bits of a place.
pub(super) const FRACTION_BITS: u32 = 24;
const ONE: i64 = 1 << FRACTION_BITS;
pub(super) const FRACTION_MASK: i64 = ONE - 1;
/// From the fraction's integer to a number below one.
pub(super) const FRACTION_SCALE: f32 = 1.0 / ONE as f32;
/// A place further out than these many samples is moved to there, where every kernel meets only zeros.
pub(super) const BEFORE_MAX: i64 = 40;
pub(super) const AFTER_MAX: i64 = REACH_MAX as i64;
/// Steps beyond this, in samples, are walked one by one.
const VECTOR_STEP_MAX: i64 = 2 * ONE;
/// Source samples that a hat may reach on either side.
pub(super) const REACH_MAX: usize = 8;

/// A place, or a step, as an integer.
pub(super) fn fixed(samples: f64) -> i64 {
    (samples * ONE as f64).round() as i64
}

/// Instructions to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Portable code.
    Scalar,
    /// Eight lanes, 256-bit permutations.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The best of this processor.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Scalar
    }
}

/// Where the places begin and how they move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    pub(super) start: i64,
    pub(super) column_step: i64,
    pub(super) row_step: i64,
}

/// The block of output samples.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) out: &'a mut [f32],
    /// Between rows; 0 sums all rows into one.
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The source rows, from the zeros before the first one on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a [f32],
    /// Between rows; 0 takes the same one for all output rows.
    pub(super) stride: usize,
    /// Samples between the zeros.
    pub(super) width: usize,
}

impl Source<'_> {
    fn is_sound(&self, rows: usize) -> bool {
        let row = self.width + 2 * PAD;
        rows == 0 || (rows - 1).saturating_mul(self.stride).saturating_add(row) <= self.data.len()
    }
}

impl Target<'_> {
    fn is_sound(&self) -> bool {
        self.rows == 0
            || (self.rows - 1)
                .saturating_mul(self.stride)
                .saturating_add(self.columns)
                <= self.out.len()
    }
}

/// How source samples make one output sample at place i + f.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel {
    /// Linear interpolation, `s(i) + f (s(i+1) - s(i))`.
    Linear,
    /// The transpose of linear interpolation: sum over k of `s(k) max(0, 1 - |i + f - k| slope)`.
    Hat(Hat),
}

/// A triangle around the place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hat {
    pub(super) slope: f32,
    /// Source samples to each side that it may touch.
    pub(super) reach: usize,
    /// `1 -+ m slope` of the samples from `1 - reach` to `reach`.
    pub(super) constants: [f32; 2 * REACH_MAX],
}

impl Hat {
    /// Half as wide as 1 / `slope`; `None` when wider than the kernels reach.
    pub(super) fn new(slope: f64) -> Option<Self> {
        let reach = (1.0 / slope).ceil().max(1.0) as usize;
        if reach > REACH_MAX {
            return None;
        }
        let constants = std::array::from_fn(|tap| {
            let m = tap as f64 + 1.0 - reach as f64;
            (1.0 - m.abs() * slope) as f32
        });
        Some(Self {
            slope: slope as f32,
            reach,
            constants,
        })
    }

    /// `data` at the first tap's sample.
    #[inline(always)]
    fn sample(&self, taps: &[f32], fraction: f32) -> f32 {
        let ramp = fraction * self.slope;
        // Minus zero changes no sum, not even by its sign.
        let mut sum = -0.0;
        for (tap, (value, constant)) in taps.iter().zip(&self.constants).enumerate() {
            // Samples left of the place fall with the fraction, those right of it rise.
            let weight = if tap < self.reach {
                constant - ramp
            } else {
                constant + ramp
            };
            sum += value * weight.max(0.0);
        }
        sum
    }
}

/// Adds to every sample of the block what the kernel makes of the source at the sample's place.
pub(super) fn accumulate(
    level: Level,
    mut target: Target<'_>,
    source: Source<'_>,
    walk: Walk,
    kernel: Kernel,
) {
    let sound = target.is_sound() && source.is_sound(target.rows);
    debug_assert!(sound, "{target:?} from rows of {}", source.width);
    if !sound {
        return;
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if walk.column_step.abs() <= VECTOR_STEP_MAX => {
            super::simd_avx2::accumulate(&mut target, source, walk, kernel);
        }
        _ => scalar(&mut target, source, walk, kernel, 0),
    }
}

/// One by one, from `first` column on.
pub(super) fn scalar(target: &mut Target<'_>, source: Source<'_>, walk: Walk, kernel: Kernel, first: usize) {
    let most = source.width as i64 + AFTER_MAX;
    for row in 0..target.rows {
        let data = &source.data[row * source.stride..][..source.width + 2 * PAD];
        let out = &mut target.out[row * target.stride..][..target.columns];
        let mut place = walk.start + row as i64 * walk.row_step + first as i64 * walk.column_step;
        for value in &mut out[first..] {
            let index = (place >> FRACTION_BITS).clamp(-BEFORE_MAX, most);
            let fraction = (place & FRACTION_MASK) as f32 * FRACTION_SCALE;
            let at = (index + PAD as i64) as usize;
            *value += match &kernel {
                Kernel::Linear => {
                    let (a, b) = (data[at], data[at + 1]);
                    a + (b - a) * fraction
                }
                Kernel::Hat(hat) => hat.sample(&data[at + 1 - hat.reach..=at + hat.reach], fraction),
            };
            place += walk.column_step;
        }
    }
}

/// Places of a fan: numerator and denominator both move by constant steps. The denominator is the distance from the
/// source along the central ray over that of the axis; the value counts with its inverse square.
#[derive(Debug, Clone, Copy)]
pub(super) struct FanWalk {
    pub(super) numerator: [f32; 3],
    pub(super) denominator: [f32; 3],
    /// Place of the axis.
    pub(super) axis: f32,
}

impl FanWalk {
    /// Numerator and denominator at the start of a row, and the steps along it.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> ([f32; 2], [f32; 2]) {
        let at = |[start, column, down]: [f32; 3]| [start + down * row as f32, column];
        (at(self.numerator), at(self.denominator))
    }
}

/// Furthest place that is looked at, beyond the last sample.
pub(super) const FAN_AFTER: f32 = 2.0;
/// Furthest place that is looked at, before the first sample.
pub(super) const FAN_BEFORE: f32 = -4.0;

/// The same as [`accumulate`] by linear interpolation in a fan; one source row for all output rows.
pub(super) fn accumulate_fan(level: Level, mut target: Target<'_>, source: Source<'_>, walk: &FanWalk) {
    let sound = target.is_sound() && source.is_sound(1);
    debug_assert!(sound, "{target:?} from a row of {}", source.width);
    if !sound {
        return;
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => super::simd_avx2::accumulate_fan(&mut target, source, walk),
        Level::Scalar => {
            for row in 0..target.rows {
                fan_row(&mut target, source, walk, row, 0);
            }
        }
    }
}

/// One row of a fan from `first` column on, one by one.
pub(super) fn fan_row(target: &mut Target<'_>, source: Source<'_>, walk: &FanWalk, row: usize, first: usize) {
    let (numerator, denominator) = walk.row(row);
    let last = source.width as f32 + FAN_AFTER;
    let out = &mut target.out[row * target.stride..][..target.columns];
    for (column, value) in out.iter_mut().enumerate().skip(first) {
        let c = column as f32;
        let inverse = 1.0 / (denominator[0] + denominator[1] * c);
        let place = (numerator[0] + numerator[1] * c) * inverse + walk.axis;
        let place = place.max(FAN_BEFORE).min(last);
        let floor = place.floor();
        let at = (floor as i64 + PAD as i64) as usize;
        let (a, b) = (source.data[at], source.data[at + 1]);
        *value += (a + (b - a) * (place - floor)) * (inverse * inverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recon::padded::Padded;
    use proptest::prelude::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed | 1;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    /// What the documentation says, in 64-bit numbers.
    fn plain(source: &[f32], place: f64, hat_slope: Option<f64>) -> f64 {
        let slope = hat_slope.unwrap_or(1.0);
        source
            .iter()
            .zip(0..)
            .map(|(value, k)| f64::from(*value) * (1.0 - (place - f64::from(k)).abs() * slope).max(0.0))
            .sum()
    }

    proptest! {
        /// Every level gives the bits of the scalar one, and that the documented sum.
        #[test]
        fn levels_agree(
            width in 2_usize..90, rows in 1_usize..4, columns in 1_usize..40,
            start in -60.0_f64..120.0, column_step in -2.6_f64..2.6, row_step in -3.0_f64..3.0,
            slope in 0.13_f64..3.0, hat: bool, one_source: bool, one_target: bool, seed: u32,
        ) {
            let source = Padded::of(&noise(width * rows, seed), width);
            let view = Source { data: source.starting_at(0), stride: if one_source { 0 } else { source.stride() }, width };
            let stride = if one_target { 0 } else { columns + 3 };
            let walk = Walk { start: fixed(start), column_step: fixed(column_step), row_step: fixed(row_step) };
            let kernel = if hat { Kernel::Hat(Hat::new(slope).unwrap()) } else { Kernel::Linear };
            let mut made = Vec::new();
            for level in [Level::Scalar, Level::detect()] {
                let mut out = noise(columns + stride * rows, seed ^ 7);
                accumulate(level, Target { out: &mut out, stride, rows, columns }, view, walk, kernel);
                made.push(out);
            }
            prop_assert_eq!(&made[0], &made[1]);
            let before = noise(columns + stride * rows, seed ^ 7);
            let hat_slope = hat.then_some(slope);
            for column in 0..columns {
                let place = |row: usize| start + row as f64 * row_step + column as f64 * column_step;
                let from = |row: usize| plain(source.row(if one_source { 0 } else { row }), place(row), hat_slope);
                let last = rows - 1;
                let (expect, got) = if one_target {
                    ((0..rows).map(from).sum::<f64>(), made[0][column] - before[column])
                } else {
                    let at = last * stride + column;
                    (from(last), made[0][at] - before[at])
                };
                prop_assert!((f64::from(got) - expect).abs() < 2e-5, "{} {}", got, expect);
            }
        }

        #[test]
        fn fan_levels_agree(
            width in 2_usize..300, columns in 1_usize..70, axis in -20.0_f32..320.0,
            numerator in prop::array::uniform3(-3.0_f32..3.0), tilt in prop::array::uniform2(-0.002_f32..0.002), seed: u32,
        ) {
            let source = Padded::of(&noise(width, seed), width);
            let view = Source { data: source.starting_at(0), stride: 0, width };
            let walk = FanWalk { numerator, denominator: [1.0, tilt[0], tilt[1]], axis };
            let (rows, stride) = (3, columns);
            let mut made = Vec::new();
            for level in [Level::Scalar, Level::detect()] {
                let mut out = noise(columns * rows, seed ^ 7);
                accumulate_fan(level, Target { out: &mut out, stride, rows, columns }, view, &walk);
                made.push(out);
            }
            prop_assert_eq!(&made[0], &made[1]);
        }
    }

    #[test]
    fn blocks_have_to_fit_their_slices() {
        let source = Padded::zeros(1, 8);
        let fits = |stride, rows| {
            let (data, width) = (source.starting_at(0), 8);
            Source { data, stride, width }.is_sound(rows)
        };
        assert!(fits(0, 2) && fits(104, 1) && !fits(104, 2) && !fits(usize::MAX, 3));
        for (rows, fits) in [(2, true), (3, false), (usize::MAX, false)] {
            let (out, stride, columns) = (&mut [0.0; 8][..], 4, 4);
            let target = Target {
                out,
                stride,
                rows,
                columns,
            };
            assert_eq!(target.is_sound(), fits);
        }
    }
}
