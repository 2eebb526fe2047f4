//! Sampling between voxels: coordinates in fixed point, so that every instruction set gives the same bits.

use super::cubic;
use super::grid::Knots;
use super::math::Vec3;
use super::simd;
use super::voxels::Volume;
use std::ops::Range;

/// Fraction bits of a sampling coordinate: a voxel is divided into 2^18 parts.
pub(super) const FRACTION_BITS: u32 = 18;
/// One voxel.
pub(super) const ONE: i32 = 1 << FRACTION_BITS;
/// Samples that a kernel is given at a time.
pub(super) const CHUNK: usize = 64;
/// Samples after which a line is computed anew from its wide start.
const BLOCK: usize = 8;
/// Fraction bits of a line's start.
const WIDE_BITS: u32 = 40;
/// Rounds to the nearest sampling coordinate.
const HALF: i64 = 1 << (WIDE_BITS - FRACTION_BITS - 1);
/// A voxel reaches half a voxel past the centres of the outermost ones.
const RIM: f64 = 0.5;

/// How values between voxels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// From the eight voxels around.
    #[default]
    Linear,
    /// From the 64 voxels around (cubic convolution with a = -1/2, Keys 1981): sharper, may overshoot.
    Cubic,
}

/// Stored values as kernels see them. Built only by [`super::bricks::Bricks::field`], which keeps the promise that
/// every coordinate within the limits is the corner of eight values inside `values`.
pub(super) struct Field<'a> {
    values: &'a [i16],
    limit: [i32; 3],
    jumps: [i32; 3],
}

impl<'a> Field<'a> {
    pub(super) fn new(values: &'a [i16], limit: [i32; 3], jumps: [i32; 3]) -> Self {
        Self { values, limit, jumps }
    }

    /// Bricks, x fastest.
    pub(super) fn values(&self) -> &'a [i16] {
        self.values
    }

    /// Largest coordinate of each axis, in fixed point.
    pub(super) fn limit(&self) -> [i32; 3] {
        self.limit
    }

    /// What a brick more along an axis adds to the place of a voxel, less what its voxels add already.
    pub(super) fn jumps(&self) -> [i32; 3] {
        self.jumps
    }
}

/// Interpolates at the coordinates (fixed point, all slices of one length); coordinates outside are moved to the edge.
pub(super) type Kernel = fn(&Field<'_>, &[i32], &[i32], &[i32], &mut [f32]);

/// Fixed-point coordinates of up to [`CHUNK`] points.
pub(super) struct Points {
    pub(super) x: [i32; CHUNK],
    pub(super) y: [i32; CHUNK],
    pub(super) z: [i32; CHUNK],
}

impl Points {
    pub(super) fn new() -> Self {
        Self {
            x: [0; CHUNK],
            y: [0; CHUNK],
            z: [0; CHUNK],
        }
    }
}

/// The way from sample to sample in fixed point, shared by all lines of one direction.
#[derive(Debug, Clone)]
pub(super) struct Pitch {
    step: [i64; 3],
    /// Where the samples of a block lie from its first.
    offsets: [[i32; BLOCK]; 3],
}

/// Fixed point with room for steps that add up over a whole line; saturates.
fn wide(v: f64) -> i64 {
    (v * (1_i64 << WIDE_BITS) as f64) as i64
}

/// To a sampling coordinate, rounded to the nearest.
fn narrow(v: i64) -> i32 {
    (v.wrapping_add(HALF) >> (WIDE_BITS - FRACTION_BITS)) as i32
}

impl Pitch {
    /// From a step in index coordinates.
    pub(super) fn new(step: Vec3) -> Self {
        let step = step.map(wide);
        let offsets = step.map(|s| std::array::from_fn(|l| narrow(s.wrapping_mul(l as i64))));
        Self { step, offsets }
    }
}

/// A straight line of samples in fixed point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'p> {
    start: [i64; 3],
    pitch: &'p Pitch,
}

impl<'p> Line<'p> {
    /// From index coordinates inside or near the volume.
    pub(super) fn new(start: Vec3, pitch: &'p Pitch) -> Self {
        Self {
            start: start.map(wide),
            pitch,
        }
    }

    fn coordinate(&self, axis: usize, k: usize) -> i32 {
        narrow(self.start[axis].wrapping_add(self.pitch.step[axis].wrapping_mul(k as i64)))
    }

    /// Sample `k` alone.
    pub(super) fn at(&self, k: usize) -> [i32; 3] {
        [0, 1, 2].map(|axis| self.coordinate(axis, k))
    }

    /// Coordinates of samples `k ..` into `count` places from `to` on.
    pub(super) fn write(&self, k: usize, points: &mut Points, to: usize, count: usize) {
        let targets = [&mut points.x, &mut points.y, &mut points.z];
        for (axis, target) in targets.into_iter().enumerate() {
            let offsets = &self.pitch.offsets[axis];
            for (block, out) in target[to..to + count].chunks_mut(BLOCK).enumerate() {
                let base = self.coordinate(axis, k + block * BLOCK);
                for (o, offset) in out.iter_mut().zip(offsets) {
                    *o = base.wrapping_add(*offset);
                }
            }
        }
    }
}

/// A volume ready to be sampled.
pub(super) struct Sampler<'v> {
    field: Field<'v>,
    kernel: Kernel,
    knots: Option<&'v Knots>,
    ends: Vec3,
}

impl<'v> Sampler<'v> {
    pub(super) fn new(volume: &'v Volume, interpolation: Interpolation) -> Self {
        let kernel = match interpolation {
            Interpolation::Linear => simd::linear(),
            Interpolation::Cubic => cubic::kernel,
        };
        Self {
            field: volume.bricks().field(),
            kernel,
            knots: volume.grid().knots(),
            ends: volume.grid().ends(),
        }
    }

    /// The part of samples `0 .. count` of a line in index coordinates that lies inside the volume.
    pub(super) fn inside(&self, start: Vec3, step: Vec3, count: usize) -> Range<usize> {
        let (mut low, mut high) = (0.0_f64, count as f64 - 1.0);
        for axis in 0..3 {
            let (a, d) = (start[axis], step[axis]);
            let (from, to) = (-RIM, self.ends[axis] + RIM);
            if !(a.is_finite() && d.is_finite()) {
                return 0..0;
            }
            if d.abs() < 1e-12 {
                if a < from || a > to {
                    return 0..0;
                }
                continue;
            }
            let (t0, t1) = ((from - a) / d, (to - a) / d);
            low = low.max(t0.min(t1));
            high = high.min(t0.max(t1));
        }
        if low > high {
            return 0..0;
        }
        let (first, last) = (low.ceil() as usize, high.floor() as usize);
        if first > last { 0..0 } else { first..last + 1 }
    }

    /// From places along the slice axis to slice numbers, where slices are uneven.
    pub(super) fn settle(&self, z: &mut [i32]) {
        if let Some(knots) = self.knots {
            z.iter_mut().for_each(|z| *z = knots.slice_of(*z));
        }
    }

    /// The same for one point.
    pub(super) fn settled(&self, mut point: [i32; 3]) -> [i32; 3] {
        if let Some(knots) = self.knots {
            point[2] = knots.slice_of(point[2]);
        }
        point
    }

    /// Values at the first points; their z must be settled.
    pub(super) fn points(&self, points: &Points, out: &mut [f32]) {
        let n = out.len().min(CHUNK);
        (self.kernel)(
            &self.field,
            &points.x[..n],
            &points.y[..n],
            &points.z[..n],
            &mut out[..n],
        );
    }

    /// Values at samples `k ..` of a line that lie inside the volume; at most [`CHUNK`] of them.
    pub(super) fn run(&self, line: &Line<'_>, k: usize, points: &mut Points, out: &mut [f32]) {
        let n = out.len().min(CHUNK);
        line.write(k, points, 0, n);
        self.settle(&mut points.z[..n]);
        self.points(points, &mut out[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::math::along;
    use super::super::voxels::Rescale;
    use super::*;
    use proptest::prelude::*;

    fn ramp(dims: [usize; 3], of: impl Fn(usize, usize, usize) -> i16) -> Volume {
        let grid = Grid::upright(dims, [1.0; 3]).unwrap();
        let [x, y, _] = dims;
        let values: Vec<i16> = (0..dims.iter().product())
            .map(|i| of(i % x, i / x % y, i / x / y))
            .collect();
        Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap()
    }

    /// Linear interpolation gives a linear field back, inside, on the faces, and held at the edge beyond.
    #[test]
    fn a_linear_field_comes_back() {
        let volume = ramp([37, 35, 33], |x, y, z| (40 * x + 7 * y) as i16 - (13 * z) as i16);
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let sampler = Sampler::new(&volume, interpolation);
            let (start, step) = ([1.1, 2.3, 1.7], [0.31, 0.27, 0.29]);
            let pitch = Pitch::new(step);
            let (mut out, mut points) = ([0.0; 2 * CHUNK - 28], Points::new());
            for (number, part) in out.chunks_mut(CHUNK).enumerate() {
                sampler.run(&Line::new(start, &pitch), number * CHUNK, &mut points, part);
            }
            for (k, v) in out.iter().enumerate() {
                let p = along(start, step, k as f64);
                let expect = 40.0 * p[0] + 7.0 * p[1] - 13.0 * p[2];
                assert!((f64::from(*v) - expect).abs() < 2e-3, "{k}: {v} {expect}");
            }
        }
    }

    #[test]
    fn lines_are_cut_at_the_rim() {
        let volume = ramp([10, 10, 10], |_, _, _| 0);
        let sampler = Sampler::new(&volume, Interpolation::Linear);
        let check = |start: Vec3, step: Vec3, expect: Range<usize>| {
            assert_eq!(sampler.inside(start, step, 100), expect, "{start:?}");
        };
        check([-2.0, 5.0, 5.0], [1.0, 0.0, 0.0], 2..12);
        check([-2.5, 5.0, 5.0], [1.0, 0.0, 0.0], 2..13);
        check([11.0, 5.0, 5.0], [-1.0, 0.0, 0.0], 2..12);
        check([5.0, 5.0, 9.6], [1.0, 0.0, 0.0], 0..0);
        check([5.0, 5.0, 9.4], [0.0, 0.0, 0.0], 0..100);
        check([f64::NAN, 5.0, 5.0], [1.0, 0.0, 0.0], 0..0);
        check([1e300, 5.0, 5.0], [1.0, 0.0, 0.0], 0..0);
        check([5.0, 5.0, 5.0], [1e300, 0.0, 0.0], 0..1);
    }

    proptest! {
        /// Every instruction set of this machine gives the bits of the plain loop, also far outside.
        #[test]
        fn all_kernels_agree_bit_for_bit(
            dims in (1_usize..40, 1_usize..40, 1_usize..40),
            seed: u64,
            count in 1_usize..=CHUNK,
        ) {
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
            let grid = Grid::upright([dims.0, dims.1, dims.2], [1.0; 3]).unwrap();
            let values: Vec<i16> = (0..dims.0 * dims.1 * dims.2).map(|_| next() as i16).collect();
            let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
            let field = volume.bricks().field();
            let mut coordinates = || -> Vec<i32> { (0..count).map(|i| {
                let v = next() as i32;
                if i % 7 == 0 { v } else { v % (45 * ONE) }
            }).collect() };
            let (x, y, z) = (coordinates(), coordinates(), coordinates());
            let mut expect = vec![0.0; count];
            simd::scalar(&field, &x, &y, &z, &mut expect);
            for (name, kernel) in simd::all() {
                let mut got = vec![0.0; count];
                kernel(&field, &x, &y, &z, &mut got);
                let same = got.iter().zip(&expect).all(|(a, b)| a.to_bits() == b.to_bits());
                prop_assert!(same, "{}", name);
            }
        }
    }
}
