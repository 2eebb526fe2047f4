//! Voxels in bricks: cubes of 16 with one voxel of their neighbours on the far sides, so that all eight corners of
//! an interpolation lie in one brick at fixed distances, and any oblique cut reads few pages and cache lines.

use super::sample::{FRACTION_BITS, Field};
use crate::error::ImagingError;
use rayon::prelude::*;
use std::ops::Range;

/// Voxels that a brick owns along each side; a power of two.
pub(super) const EDGE: usize = 1 << EDGE_BITS;
pub(super) const EDGE_BITS: u32 = 4;
/// Voxels stored along each side.
pub(super) const SIDE: usize = EDGE + 1;
/// Voxels stored in a brick.
pub(super) const BRICK: usize = SIDE * SIDE * SIDE;
/// From a voxel to its neighbour in y and in z.
pub(super) const ROW: usize = SIDE;
pub(super) const LAYER: usize = SIDE * SIDE;

/// Stored voxels that an index of 32 bits reaches.
const STORED_VOXELS_MAX: u64 = i32::MAX as u64;

/// Fills whole slices of a volume: their numbers, and room for their values.
pub type Fetch<'a, E> = dyn FnMut(Range<usize>, &mut [i16]) -> Result<(), E> + 'a;

/// A volume's stored values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bricks {
    dims: [usize; 3],
    count: [usize; 3],
    values: Vec<i16>,
    range: (i16, i16),
}

/// Bytes that a volume of `dims` (x, y, z) takes in memory; `None` when it cannot be held at all.
#[must_use]
pub fn bytes_of(dims: [usize; 3]) -> Option<u64> {
    let voxels = dims
        .iter()
        .try_fold(BRICK as u64, |n, d| n.checked_mul(d.div_ceil(EDGE) as u64))?;
    (voxels <= STORED_VOXELS_MAX).then_some(voxels * 2)
}

impl Bricks {
    /// Takes the slices in order, sixteen at a time: `fetch` fills whole slices of `dims[0] * dims[1]` values.
    pub(super) fn build<E: From<ImagingError>>(
        dims: [usize; 3],
        bytes_max: u64,
        fetch: &mut Fetch<'_, E>,
    ) -> Result<Self, E> {
        let plane = dims[0] * dims[1];
        // the slices in hand count too
        let work_bytes = (plane * SIDE * 2) as u64;
        let needed_bytes = bytes_of(dims).map_or(u64::MAX, |b| b.saturating_add(work_bytes));
        if needed_bytes > bytes_max {
            return Err(ImagingError::VolumeTooLarge {
                needed_bytes,
                limit_bytes: bytes_max,
            }
            .into());
        }
        let count = dims.map(|n| n.div_ceil(EDGE));
        let layer_bricks = count[0] * count[1];
        let mut values = vec![0_i16; layer_bricks * count[2] * BRICK];
        let mut hand = vec![0_i16; plane * SIDE.min(dims[2])];
        let mut range = (i16::MAX, i16::MIN);
        for (number, layer) in values.chunks_exact_mut(layer_bricks * BRICK).enumerate() {
            let first = number * EDGE;
            let last = (first + SIDE).min(dims[2]);
            // the last slice in hand is the first one of this layer
            let kept = usize::from(number > 0);
            if kept == 1 {
                hand.copy_within(EDGE * plane..SIDE * plane, 0);
            }
            let (begin, end) = (kept * plane, (last - first) * plane);
            fetch(first + kept..last, &mut hand[begin..end])?;
            let slices = &hand[..end];
            let seen = layer
                .par_chunks_exact_mut(BRICK)
                .enumerate()
                .map(|(place, brick)| fill(brick, [place % count[0], place / count[0]], dims, slices))
                .reduce(|| (i16::MAX, i16::MIN), |a, b| (a.0.min(b.0), a.1.max(b.1)));
            range = (range.0.min(seen.0), range.1.max(seen.1));
        }
        Ok(Self {
            dims,
            count,
            values,
            range,
        })
    }

    /// Bricks along x, y, z.
    pub(super) fn count(&self) -> [usize; 3] {
        self.count
    }

    /// Least and greatest stored value.
    pub(super) fn range(&self) -> (i16, i16) {
        self.range
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.values.len() * 2
    }

    /// All bricks, x fastest.
    pub(super) fn values(&self) -> &[i16] {
        &self.values
    }

    /// One brick; empty past the end.
    pub(super) fn brick(&self, x: usize, y: usize, z: usize) -> &[i16] {
        let at = ((z * self.count[1] + y) * self.count[0] + x) * BRICK;
        self.values.get(at..at + BRICK).unwrap_or_default()
    }

    /// What the sampling kernels need.
    pub(super) fn field(&self) -> Field<'_> {
        let brick_row = self.count[0] * BRICK;
        let brick_layer = self.count[1] * brick_row;
        let limit = self.dims.map(|n| ((n - 1) as i32) << FRACTION_BITS);
        // sizes were checked against 32 bits in `build`
        let jumps = [
            (BRICK - EDGE) as i32,
            brick_row as i32 - (EDGE * ROW) as i32,
            brick_layer as i32 - (EDGE * LAYER) as i32,
        ];
        Field::new(&self.values, limit, jumps)
    }
}

/// Copies the voxels of one brick out of whole slices; past the volume's end the last voxel is repeated.
fn fill(brick: &mut [i16], place: [usize; 2], dims: [usize; 3], slices: &[i16]) -> (i16, i16) {
    let [columns, rows, _] = dims;
    let plane = columns * rows;
    let held = slices.len() / plane;
    let (left, top) = (place[0] * EDGE, place[1] * EDGE);
    let width = SIDE.min(columns - left);
    let mut range = (i16::MAX, i16::MIN);
    for (number, line) in brick.chunks_exact_mut(SIDE).enumerate() {
        let z = (number / SIDE).min(held - 1);
        let y = (top + number % SIDE).min(rows - 1);
        let at = z * plane + y * columns + left;
        line[..width].copy_from_slice(&slices[at..at + width]);
        let edge = line[width - 1];
        line[width..].fill(edge);
        for v in &line[..width] {
            range = (range.0.min(*v), range.1.max(*v));
        }
    }
    range
}

#[cfg(test)]
impl Bricks {
    /// The voxel at an index inside the volume.
    pub(super) fn at(&self, x: usize, y: usize, z: usize) -> i16 {
        let brick = self.brick(x / EDGE, y / EDGE, z / EDGE);
        brick[x % EDGE + ROW * (y % EDGE) + LAYER * (z % EDGE)]
    }
}

#[cfg(test)]
pub(super) fn of_values(dims: [usize; 3], values: &[i16]) -> Bricks {
    let plane = dims[0] * dims[1];
    Bricks::build::<ImagingError>(dims, u64::MAX, &mut |slices, out| {
        out.copy_from_slice(&values[slices.start * plane..slices.end * plane]);
        Ok(())
    })
    .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_voxel_is_where_it_belongs(x in 1_usize..40, y in 1_usize..36, z in 1_usize..38, seed: u64) {
            let mut state = seed | 1;
            let values: Vec<i16> = (0..x * y * z).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as i16
            }).collect();
            let bricks = of_values([x, y, z], &values);
            for (i, v) in values.iter().enumerate() {
                prop_assert_eq!(bricks.at(i % x, i / x % y, i / x / y), *v);
            }
            let range = (values.iter().min().copied().unwrap(), values.iter().max().copied().unwrap());
            prop_assert_eq!(bricks.range(), range);
            // the shared voxels equal the neighbours' own
            for bz in 0..bricks.count()[2] {
                let brick = bricks.brick(0, 0, bz);
                let expect = values[(((bz + 1) * EDGE).min(z - 1)) * x * y];
                prop_assert_eq!(brick[LAYER * EDGE], expect);
            }
        }
    }

    #[test]
    fn sizes_are_checked_before_memory_is_taken() {
        let refuse = |dims, limit| {
            let made = Bricks::build::<ImagingError>(dims, limit, &mut |_, _| Ok(()));
            assert!(
                matches!(made, Err(ImagingError::VolumeTooLarge { .. })),
                "{dims:?}"
            );
        };
        refuse([8000, 8000, 8000], u64::MAX - 1);
        refuse([512, 512, 400], 1 << 20);
        assert_eq!(bytes_of([512, 512, 400]), Some(32 * 32 * 25 * 4913 * 2));
    }

    #[test]
    fn a_slice_that_cannot_be_read_ends_the_building() {
        let made = Bricks::build(vec_dims(), u64::MAX, &mut |slices, _| {
            if slices.contains(&20) {
                return Err(ImagingError::NoVolume("slice 20".into()));
            }
            Ok(())
        });
        assert_eq!(made.unwrap_err(), ImagingError::NoVolume("slice 20".into()));
    }

    fn vec_dims() -> [usize; 3] {
        [4, 4, 40]
    }
}
