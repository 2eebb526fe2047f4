//! The inner loops with AVX2: eight samples at once. A permutation picks the samples out of one load of neighbours
//! (steps of at most one sample) or of two (at most two).
#![allow(unsafe_code)]

use super::padded::PAD;
use super::simd::{
    AFTER_MAX, BEFORE_MAX, FAN_AFTER, FAN_BEFORE, FRACTION_BITS, FRACTION_MASK, FRACTION_SCALE, FanWalk, Hat,
    Kernel, Source, Target, Walk, fan_row, scalar,
};
use std::arch::x86_64::*;

const LANES: usize = 8;
const ONE: i64 = 1 << FRACTION_BITS;
/// Fraction bits of a lane's place as a shift count.
const SHIFT: i32 = FRACTION_BITS as i32;

/// [`super::simd::accumulate`] for sound blocks and steps of at most two samples.
pub(super) fn accumulate(target: &mut Target<'_>, source: Source<'_>, walk: Walk, kernel: Kernel) {
    let narrow = walk.column_step.abs() <= ONE;
    // SAFETY: the caller found AVX2 in this processor and the block sound.
    unsafe {
        match (narrow, &kernel) {
            (true, Kernel::Linear) => sweep::<false, LINEAR>(target, source, walk, None),
            (false, Kernel::Linear) => sweep::<true, LINEAR>(target, source, walk, None),
            (true, Kernel::Hat(hat)) if hat.reach == 1 => {
                sweep::<false, SLIM_HAT>(target, source, walk, Some(hat));
            }
            (true, Kernel::Hat(hat)) => sweep::<false, HAT>(target, source, walk, Some(hat)),
            (false, Kernel::Hat(hat)) => sweep::<true, HAT>(target, source, walk, Some(hat)),
        }
    }
    let done = target.columns / LANES * LANES;
    if done < target.columns {
        scalar(target, source, walk, kernel, done);
    }
}

/// Kernels as constants: linear interpolation, a hat over two samples, a hat over more.
const LINEAR: u8 = 0;
const SLIM_HAT: u8 = 1;
const HAT: u8 = 2;

/// Eight of the samples at `from`, by their numbers below 8, or below 16 when `WIDE`.
///
/// # Safety
/// Eight values can be read at `from`, sixteen when `WIDE`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pick<const WIDE: bool>(from: *const f32, number: __m256i) -> __m256 {
    // SAFETY: as promised by the caller.
    unsafe {
        let low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), number);
        if !WIDE {
            return low;
        }
        let high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from.add(LANES)), number);
        let is_high = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(number));
        _mm256_blendv_ps(low, high, is_high)
    }
}

/// Whole groups of eight columns of every row.
///
/// # Safety
/// The block is sound: `rows` output rows of `columns` values and source rows with [`PAD`] zeros on either side lie
/// in their slices. Steps are at most one sample, two when `WIDE`; `hat` is there unless `KERNEL` is `LINEAR`.
#[target_feature(enable = "avx2")]
unsafe fn sweep<const WIDE: bool, const KERNEL: u8>(
    target: &mut Target<'_>,
    source: Source<'_>,
    walk: Walk,
    hat: Option<&Hat>,
) {
    let step = walk.column_step;
    // The lane with the smallest place comes first in the load.
    let bias = if step < 0 { (LANES as i64 - 1) * step } else { 0 };
    let mut lanes = [0_i32; LANES];
    for (lane, place) in lanes.iter_mut().zip(0_i64..) {
        *lane = (place * step - bias) as i32;
    }
    let groups = target.columns / LANES;
    let most = source.width as i64 + AFTER_MAX;
    let within = |place: i64| (-BEFORE_MAX..=most).contains(&(place >> FRACTION_BITS));
    let (out, data) = (target.out.as_mut_ptr(), source.data.as_ptr());
    // SAFETY: rows lie in their slices and groups end within `columns`; places of a row that are all within need not
    // be moved there.
    unsafe {
        let lanes = _mm256_loadu_si256(lanes.as_ptr().cast());
        for row in 0..target.rows {
            let place = walk.start + row as i64 * walk.row_step + bias;
            let run = Run {
                from: data.add(row * source.stride + PAD),
                to: out.add(row * target.stride),
                groups,
                place,
                step: LANES as i64 * step,
                most,
                lanes,
            };
            let last = place + (groups as i64 - 1) * run.step;
            if within(place) && within(last) {
                run.row::<WIDE, KERNEL, false>(hat);
            } else {
                run.row::<WIDE, KERNEL, true>(hat);
            }
        }
    }
}

/// The groups of one row.
struct Run {
    from: *const f32,
    to: *mut f32,
    groups: usize,
    /// Least place of the first group, and the step from group to group.
    place: i64,
    step: i64,
    most: i64,
    lanes: __m256i,
}

impl Run {
    /// # Safety
    /// `to` can be written for all groups. `from` is the first sample of a source row between [`PAD`] zeros: a place
    /// that is, or is moved to, between -BEFORE_MAX and the row's width plus AFTER_MAX is read with the reach of a hat
    /// and sixteen values of a load, and 40 + 8 <= PAD and 8 + 16 + 8 <= PAD. Without `MOVE` all places are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn row<const WIDE: bool, const KERNEL: u8, const MOVE: bool>(&self, hat: Option<&Hat>) {
        let mask = _mm256_set1_epi32(FRACTION_MASK as i32);
        let scale = _mm256_set1_ps(FRACTION_SCALE);
        let (mut place, mut to) = (self.place, self.to);
        // SAFETY: as promised by the caller.
        unsafe {
            for _ in 0..self.groups {
                let mut index = place >> FRACTION_BITS;
                if MOVE {
                    index = index.min(self.most).max(-BEFORE_MAX);
                }
                let base = self.from.offset(index as isize);
                let first = _mm256_set1_epi32((place & FRACTION_MASK) as i32);
                let places = _mm256_add_epi32(first, self.lanes);
                let number = _mm256_srli_epi32::<SHIFT>(places);
                let fraction = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(places, mask)), scale);
                let value = match hat {
                    Some(hat) if KERNEL == HAT => hats::<WIDE>(base, number, fraction, hat),
                    Some(hat) if KERNEL == SLIM_HAT => slim_hat(base, number, fraction, hat),
                    _ => {
                        let a = pick::<WIDE>(base, number);
                        let b = pick::<WIDE>(base.add(1), number);
                        _mm256_add_ps(a, _mm256_mul_ps(_mm256_sub_ps(b, a), fraction))
                    }
                };
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), value));
                to = to.add(LANES);
                place += self.step;
            }
        }
    }
}

/// A hat that reaches the two samples beside the place.
///
/// # Safety
/// Nine values can be read at `base`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn slim_hat(base: *const f32, number: __m256i, fraction: __m256, hat: &Hat) -> __m256 {
    let ramp = _mm256_mul_ps(fraction, _mm256_set1_ps(hat.slope));
    let (zero, [left, right, ..]) = (_mm256_setzero_ps(), hat.constants);
    let left = _mm256_max_ps(_mm256_sub_ps(_mm256_set1_ps(left), ramp), zero);
    let right = _mm256_max_ps(_mm256_add_ps(_mm256_set1_ps(right), ramp), zero);
    // SAFETY: as promised by the caller.
    let (a, b) = unsafe { (pick::<false>(base, number), pick::<false>(base.add(1), number)) };
    _mm256_add_ps(_mm256_mul_ps(a, left), _mm256_mul_ps(b, right))
}

/// # Safety
/// `hat.reach` values before `base` and `hat.reach` plus a load after it can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn hats<const WIDE: bool>(base: *const f32, number: __m256i, fraction: __m256, hat: &Hat) -> __m256 {
    let ramp = _mm256_mul_ps(fraction, _mm256_set1_ps(hat.slope));
    let zero = _mm256_setzero_ps();
    let mut sum = _mm256_set1_ps(-0.0);
    // SAFETY: as promised by the caller.
    unsafe {
        let mut from = base.sub(hat.reach - 1);
        for (tap, constant) in hat.constants.iter().take(2 * hat.reach).enumerate() {
            let constant = _mm256_set1_ps(*constant);
            let weight = if tap < hat.reach {
                _mm256_sub_ps(constant, ramp)
            } else {
                _mm256_add_ps(constant, ramp)
            };
            let value = pick::<WIDE>(from, number);
            sum = _mm256_add_ps(sum, _mm256_mul_ps(value, _mm256_max_ps(weight, zero)));
            from = from.add(1);
        }
    }
    sum
}

/// [`super::simd::accumulate_fan`] for sound blocks.
pub(super) fn accumulate_fan(target: &mut Target<'_>, source: Source<'_>, walk: &FanWalk) {
    for row in 0..target.rows {
        // SAFETY: the caller found AVX2 in this processor and the block sound.
        let done = unsafe { fan_groups(target, source, walk, row) };
        fan_row(target, source, walk, row, done);
    }
}

/// Whole groups of one row; how many columns they are.
///
/// # Safety
/// The block is sound.
#[target_feature(enable = "avx2")]
unsafe fn fan_groups(target: &mut Target<'_>, source: Source<'_>, walk: &FanWalk, row: usize) -> usize {
    let (numerator, denominator) = walk.row(row);
    let out = &mut target.out[row * target.stride..][..target.columns];
    let set = |v: f32| _mm256_set1_ps(v);
    let (first, last) = (set(FAN_BEFORE), set(source.width as f32 + FAN_AFTER));
    let lanes = _mm256_setr_ps(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0);
    let mut column = 0;
    for group in out.as_chunks_mut::<LANES>().0 {
        let c = _mm256_add_ps(set(column as f32), lanes);
        let below = _mm256_add_ps(set(denominator[0]), _mm256_mul_ps(set(denominator[1]), c));
        let inverse = _mm256_div_ps(set(1.0), below);
        let above = _mm256_add_ps(set(numerator[0]), _mm256_mul_ps(set(numerator[1]), c));
        let place = _mm256_add_ps(_mm256_mul_ps(above, inverse), set(walk.axis));
        let place = _mm256_min_ps(_mm256_max_ps(place, first), last);
        let floor = _mm256_floor_ps(place);
        let fraction = _mm256_sub_ps(place, floor);
        let index = _mm256_cvttps_epi32(floor);
        // Places rise or fall along the row, up to rounding: one sample of slack on either side.
        let ends = (_mm256_extract_epi32::<0>(index), _mm256_extract_epi32::<7>(index));
        let base = ends.0.min(ends.1) - 1;
        let number = _mm256_sub_epi32(index, _mm256_set1_epi32(base));
        let span = ends.0.max(ends.1) - base + 1;
        // SAFETY: places lie between FAN_BEFORE and the width plus FAN_AFTER; with a sample of slack and the
        // sixteen values of a load the reads stay within the row's zeros.
        unsafe {
            let from = source.data.as_ptr().offset(PAD as isize + base as isize);
            let (a, b) = match span {
                ..8 => (pick::<false>(from, number), pick::<false>(from.add(1), number)),
                8..16 => (pick::<true>(from, number), pick::<true>(from.add(1), number)),
                _ => spread(source.data, index),
            };
            let value = _mm256_add_ps(a, _mm256_mul_ps(_mm256_sub_ps(b, a), fraction));
            let value = _mm256_mul_ps(value, _mm256_mul_ps(inverse, inverse));
            let to = group.as_mut_ptr();
            _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), value));
        }
        column += LANES;
    }
    column
}

/// Samples and their right neighbours one by one.
#[inline]
#[target_feature(enable = "avx2")]
fn spread(data: &[f32], index: __m256i) -> (__m256, __m256) {
    let mut at = [0_i32; LANES];
    let (mut a, mut b) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    // SAFETY: an array of eight values each.
    unsafe { _mm256_storeu_si256(at.as_mut_ptr().cast(), index) };
    for (lane, at) in at.iter().enumerate() {
        let at = (PAD as i32 + at) as usize;
        (a[lane], b[lane]) = (data[at], data[at + 1]);
    }
    // SAFETY: as above.
    unsafe { (_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr())) }
}
