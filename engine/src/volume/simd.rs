//! Trilinear interpolation, eight or sixteen points at a time where the processor can, with the bits of the plain
//! loop: the same operations in the same order, no fused multiply-add.
#![allow(unsafe_code)]

use super::bricks::{EDGE_BITS, LAYER, ROW};
use super::sample::{FRACTION_BITS, Field, Kernel, ONE};

const FRACTION: i32 = ONE - 1;
const SCALE: f32 = 1.0 / ONE as f32;
/// Values from a corner to the last of its eight.
const REACH: usize = LAYER + ROW + 2;

/// The best kernel of this processor.
pub(super) fn linear() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return x86::avx512;
        }
        if is_x86_feature_detected!("avx2") {
            return x86::avx2;
        }
    }
    scalar
}

/// Every kernel that this processor runs, by name.
#[cfg(test)]
pub(super) fn all() -> Vec<(&'static str, Kernel)> {
    let mut kernels: Vec<(&'static str, Kernel)> = vec![("scalar", scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            kernels.push(("avx2", x86::avx2));
        }
        if is_x86_feature_detected!("avx512f") {
            kernels.push(("avx512f", x86::avx512));
        }
    }
    kernels
}

/// One point at a time.
pub(super) fn scalar(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
    let (limit, jumps) = (field.limit(), field.jumps());
    for (((x, y), z), out) in x.iter().zip(y).zip(z).zip(out) {
        let place = [*x, *y, *z];
        let held: [i32; 3] = std::array::from_fn(|a| place[a].max(0).min(limit[a]));
        let index = held.map(|p| p >> FRACTION_BITS);
        let part = held.map(|p| (p & FRACTION) as f32 * SCALE);
        let bricks: i32 = (0..3).map(|a| (index[a] >> EDGE_BITS) * jumps[a]).sum();
        let at = bricks + index[0] + index[1] * ROW as i32 + index[2] * LAYER as i32;
        let at = at as usize;
        let Some(corner) = field.values().get(at..at + REACH) else {
            continue;
        };
        let edge = |i: usize| {
            let (a, b) = (i32::from(corner[i]), i32::from(corner[i + 1]));
            a as f32 + (b - a) as f32 * part[0]
        };
        let (e0, e1) = (edge(0), edge(ROW));
        let (e2, e3) = (edge(LAYER), edge(LAYER + ROW));
        let near = e0 + (e1 - e0) * part[1];
        let far = e2 + (e3 - e2) * part[1];
        *out = near + (far - near) * part[2];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{EDGE_BITS, FRACTION, FRACTION_BITS, Field, LAYER, ROW, SCALE};
    use std::arch::x86_64::*;

    /// Shortest common length, and how much of it is whole vectors.
    fn lengths(x: &[i32], y: &[i32], z: &[i32], out: &[f32], lanes: usize) -> (usize, usize) {
        let n = x.len().min(y.len()).min(z.len()).min(out.len());
        (n, n - n % lanes)
    }

    /// The last coordinates as a whole vector; the places left over are the volume's first corner.
    fn rest<const N: usize>(coordinates: &[i32]) -> [i32; N] {
        let mut out = [0; N];
        out.iter_mut().zip(coordinates).for_each(|(o, c)| *o = *c);
        out
    }

    /// Eight points at a time. Call only where AVX2 was detected.
    pub(super) fn avx2(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
        let (n, whole) = lengths(x, y, z, out, 8);
        // SAFETY: `linear` and `all` hand this function out only after detecting AVX2.
        unsafe { avx2_whole(field, &x[..whole], &y[..whole], &z[..whole], &mut out[..whole]) };
        if whole < n {
            let [x, y, z] = [x, y, z].map(|c| rest::<8>(&c[whole..n]));
            let mut last = [0.0; 8];
            // SAFETY: as above.
            unsafe { avx2_whole(field, &x, &y, &z, &mut last) };
            out[whole..n].copy_from_slice(&last[..n - whole]);
        }
    }

    #[target_feature(enable = "avx2")]
    fn avx2_whole(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
        let limit = field.limit().map(|l| _mm256_set1_epi32(l));
        let jumps = field.jumps().map(|j| _mm256_set1_epi32(j));
        let base = field.values().as_ptr();
        let (row, layer) = (_mm256_set1_epi32(ROW as i32), _mm256_set1_epi32(LAYER as i32));
        let (zero, mask, scale) = (
            _mm256_setzero_si256(),
            _mm256_set1_epi32(FRACTION),
            _mm256_set1_ps(SCALE),
        );
        for at in (0..out.len()).step_by(8) {
            // SAFETY: all four slices have the length of `out`, a multiple of 8 (see `avx2`).
            let (x, y, z) = unsafe {
                (
                    _mm256_loadu_si256(x.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(y.as_ptr().add(at).cast()),
                    _mm256_loadu_si256(z.as_ptr().add(at).cast()),
                )
            };
            let hold = |p, limit| _mm256_min_epi32(_mm256_max_epi32(p, zero), limit);
            let (x, y, z) = (hold(x, limit[0]), hold(y, limit[1]), hold(z, limit[2]));
            let part = |p| _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(p, mask)), scale);
            let (fx, fy, fz) = (part(x), part(y), part(z));
            let index = |p| _mm256_srai_epi32::<{ FRACTION_BITS as i32 }>(p);
            let (ix, iy, iz) = (index(x), index(y), index(z));
            let brick = |i, jump| _mm256_mullo_epi32(_mm256_srai_epi32::<{ EDGE_BITS as i32 }>(i), jump);
            let across = _mm256_add_epi32(ix, _mm256_mullo_epi32(iy, row));
            let corner = _mm256_add_epi32(
                _mm256_add_epi32(across, _mm256_mullo_epi32(iz, layer)),
                _mm256_add_epi32(
                    brick(ix, jumps[0]),
                    _mm256_add_epi32(brick(iy, jumps[1]), brick(iz, jumps[2])),
                ),
            );
            let edge = |offset: usize| {
                // SAFETY: coordinates are held within the field's limits, for which `Field` promises eight values
                // from the corner on; two of them, side by side, are read at each of the four offsets.
                let pair = unsafe { pairs(base.add(offset), corner) };
                let a = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(pair));
                let d = _mm256_sub_epi32(_mm256_srai_epi32::<16>(pair), a);
                _mm256_add_ps(_mm256_cvtepi32_ps(a), _mm256_mul_ps(_mm256_cvtepi32_ps(d), fx))
            };
            let mix = |a, b, f| _mm256_add_ps(a, _mm256_mul_ps(_mm256_sub_ps(b, a), f));
            let near = mix(edge(0), edge(ROW), fy);
            let far = mix(edge(LAYER), edge(LAYER + ROW), fy);
            // SAFETY: as for the loads.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(at), mix(near, far, fz)) };
        }
    }

    /// Two neighbouring values from each of eight places. Plain loads put together: the gather instruction of AVX2
    /// processors was measured to take 1.6 times as long.
    ///
    /// # Safety
    /// Both values must be readable at every place.
    #[target_feature(enable = "avx2")]
    unsafe fn pairs(base: *const i16, places: __m256i) -> __m256i {
        let mut at = [0_i32; 8];
        // SAFETY: the array is as long as the vector; the caller vouches for the places.
        unsafe {
            _mm256_storeu_si256(at.as_mut_ptr().cast(), places);
            let one = |k: usize| base.offset(at[k] as isize).cast::<i32>().read_unaligned();
            let four = |k: usize| {
                let v = _mm_cvtsi32_si128(one(k));
                let v = _mm_insert_epi32::<1>(v, one(k + 1));
                let v = _mm_insert_epi32::<2>(v, one(k + 2));
                _mm_insert_epi32::<3>(v, one(k + 3))
            };
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(four(0)), four(4))
        }
    }

    /// Sixteen points at a time. Call only where AVX-512F was detected.
    pub(super) fn avx512(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
        let (n, whole) = lengths(x, y, z, out, 16);
        // SAFETY: `linear` and `all` hand this function out only after detecting AVX-512F.
        unsafe { avx512_whole(field, &x[..whole], &y[..whole], &z[..whole], &mut out[..whole]) };
        if whole < n {
            let [x, y, z] = [x, y, z].map(|c| rest::<16>(&c[whole..n]));
            let mut last = [0.0; 16];
            // SAFETY: as above.
            unsafe { avx512_whole(field, &x, &y, &z, &mut last) };
            out[whole..n].copy_from_slice(&last[..n - whole]);
        }
    }

    #[target_feature(enable = "avx512f")]
    fn avx512_whole(field: &Field<'_>, x: &[i32], y: &[i32], z: &[i32], out: &mut [f32]) {
        let limit = field.limit().map(|l| _mm512_set1_epi32(l));
        let jumps = field.jumps().map(|j| _mm512_set1_epi32(j));
        let base = field.values().as_ptr();
        let (row, layer) = (_mm512_set1_epi32(ROW as i32), _mm512_set1_epi32(LAYER as i32));
        let (zero, mask, scale) = (
            _mm512_setzero_si512(),
            _mm512_set1_epi32(FRACTION),
            _mm512_set1_ps(SCALE),
        );
        for at in (0..out.len()).step_by(16) {
            // SAFETY: all four slices have the length of `out`, a multiple of 16 (see `avx512`).
            let (x, y, z) = unsafe {
                (
                    _mm512_loadu_si512(x.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(y.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(z.as_ptr().add(at).cast()),
                )
            };
            let hold = |p, limit| _mm512_min_epi32(_mm512_max_epi32(p, zero), limit);
            let (x, y, z) = (hold(x, limit[0]), hold(y, limit[1]), hold(z, limit[2]));
            let part = |p| _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_and_si512(p, mask)), scale);
            let (fx, fy, fz) = (part(x), part(y), part(z));
            let index = |p| _mm512_srai_epi32::<FRACTION_BITS>(p);
            let (ix, iy, iz) = (index(x), index(y), index(z));
            let brick = |i, jump| _mm512_mullo_epi32(_mm512_srai_epi32::<EDGE_BITS>(i), jump);
            let across = _mm512_add_epi32(ix, _mm512_mullo_epi32(iy, row));
            let corner = _mm512_add_epi32(
                _mm512_add_epi32(across, _mm512_mullo_epi32(iz, layer)),
                _mm512_add_epi32(
                    brick(ix, jumps[0]),
                    _mm512_add_epi32(brick(iy, jumps[1]), brick(iz, jumps[2])),
                ),
            );
            let edge = |offset: usize| {
                // SAFETY: as in `avx2_whole`.
                let pair = unsafe { _mm512_i32gather_epi32::<2>(corner, base.add(offset).cast()) };
                let a = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pair));
                let d = _mm512_sub_epi32(_mm512_srai_epi32::<16>(pair), a);
                _mm512_add_ps(_mm512_cvtepi32_ps(a), _mm512_mul_ps(_mm512_cvtepi32_ps(d), fx))
            };
            let mix = |a, b, f| _mm512_add_ps(a, _mm512_mul_ps(_mm512_sub_ps(b, a), f));
            let near = mix(edge(0), edge(ROW), fy);
            let far = mix(edge(LAYER), edge(LAYER + ROW), fy);
            // SAFETY: as for the loads.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr().add(at), mix(near, far, fz)) };
        }
    }
}
