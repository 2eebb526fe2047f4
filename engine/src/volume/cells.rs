//! Least and greatest value around each small cube of voxels, so that what cannot matter is passed over.

use super::bricks::{BRICK, Bricks, EDGE, LAYER, ROW};
use super::sample::FRACTION_BITS;
use rayon::prelude::*;

/// Voxels along the side of a fine cell.
pub(super) const FINE: usize = 1 << FINE_BITS;
/// Voxels along the side of a coarse cell.
pub(super) const COARSE: usize = 2 * FINE;
const FINE_BITS: u32 = 2;
const PER_BRICK: usize = EDGE / FINE;

/// Bounds in cells of one size.
#[derive(Debug)]
pub(super) struct Level {
    count: [usize; 3],
    shift: u32,
    least: Vec<i16>,
    most: Vec<i16>,
}

/// Bounds for each cell and its 26 neighbours: no sample within a cell's side of any point of the cell lies beyond.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) fine: Level,
    pub(super) coarse: Level,
}

impl Cells {
    pub(super) fn of(bricks: &Bricks) -> Self {
        let mut fine = Level::of_bricks(bricks);
        let mut coarse = fine.halved();
        fine.spread();
        coarse.spread();
        Self { fine, coarse }
    }

    pub(super) fn bytes(&self) -> usize {
        self.fine.bytes() + self.coarse.bytes()
    }
}

impl Level {
    /// Bounds of the fine cells, without their neighbours.
    fn of_bricks(bricks: &Bricks) -> Self {
        let count = bricks.count().map(|n| n * PER_BRICK);
        let total = count.iter().product();
        let (mut least, mut most) = (vec![i16::MAX; total], vec![i16::MIN; total]);
        let layer = count[0] * count[1];
        least
            .par_chunks_mut(layer * PER_BRICK)
            .zip(most.par_chunks_mut(layer * PER_BRICK))
            .enumerate()
            .for_each(|(bz, (least, most))| brick_layer(bricks, bz, count, least, most));
        Self {
            count,
            shift: FRACTION_BITS + FINE_BITS,
            least,
            most,
        }
    }

    /// Bounds of cells of twice the side; the counts are even.
    fn halved(&self) -> Self {
        let count = self.count.map(|n| n / 2);
        let mut least = Vec::with_capacity(count.iter().product());
        let mut most = Vec::with_capacity(least.capacity());
        for z in 0..count[2] {
            for y in 0..count[1] {
                for x in 0..count[0] {
                    let (mut low, mut high) = (i16::MAX, i16::MIN);
                    for part in 0..8 {
                        let (x, y, z) = (2 * x + (part & 1), 2 * y + (part >> 1 & 1), 2 * z + (part >> 2));
                        let at = (z * self.count[1] + y) * self.count[0] + x;
                        low = low.min(self.least[at]);
                        high = high.max(self.most[at]);
                    }
                    least.push(low);
                    most.push(high);
                }
            }
        }
        Self {
            count,
            shift: self.shift + 1,
            least,
            most,
        }
    }

    /// Takes the neighbours' bounds in.
    fn spread(&mut self) {
        for axis in 0..3 {
            spread(&mut self.least, self.count, axis, i16::min);
            spread(&mut self.most, self.count, axis, i16::max);
        }
    }

    /// The cell of a point in fixed-point slice coordinates; points outside belong to the nearest one.
    pub(super) fn of_point(&self, point: [i32; 3]) -> usize {
        let place = |a: usize| ((point[a].max(0) >> self.shift) as usize).min(self.count[a] - 1);
        (place(2) * self.count[1] + place(1)) * self.count[0] + place(0)
    }

    /// Greatest values, by cell.
    pub(super) fn most(&self) -> &[i16] {
        &self.most
    }

    /// Least values, by cell.
    pub(super) fn least(&self) -> &[i16] {
        &self.least
    }

    fn bytes(&self) -> usize {
        (self.least.len() + self.most.len()) * 2
    }
}

/// Bounds of the fine cells of one layer of bricks.
fn brick_layer(bricks: &Bricks, bz: usize, count: [usize; 3], least: &mut [i16], most: &mut [i16]) {
    let [across, down, _] = bricks.count();
    for by in 0..down {
        for bx in 0..across {
            let brick = bricks.brick(bx, by, bz);
            for cell in 0..PER_BRICK * PER_BRICK * PER_BRICK {
                let (cx, cy, cz) = (
                    cell % PER_BRICK,
                    cell / PER_BRICK % PER_BRICK,
                    cell / PER_BRICK / PER_BRICK,
                );
                let (low, high) = bounds(brick, [cx * FINE, cy * FINE, cz * FINE]);
                let at = (cz * count[1] + by * PER_BRICK + cy) * count[0] + bx * PER_BRICK + cx;
                least[at] = low;
                most[at] = high;
            }
        }
    }
}

/// Over the voxels that interpolation inside a cell can read: one more than the cell on the far sides.
fn bounds(brick: &[i16], corner: [usize; 3]) -> (i16, i16) {
    let (mut low, mut high) = (i16::MAX, i16::MIN);
    if brick.len() < BRICK {
        return (low, high);
    }
    for z in corner[2]..=corner[2] + FINE {
        for y in corner[1]..=corner[1] + FINE {
            let at = z * LAYER + y * ROW + corner[0];
            for v in &brick[at..=at + FINE] {
                low = low.min(*v);
                high = high.max(*v);
            }
        }
    }
    (low, high)
}

/// Each value becomes the best of itself and its two neighbours along an axis.
fn spread(values: &mut [i16], count: [usize; 3], axis: usize, better: impl Fn(i16, i16) -> i16 + Sync) {
    let stride: usize = count[..axis].iter().product();
    let length = count[axis];
    // runs of `stride` lines side by side make one block
    values.par_chunks_mut(stride * length).for_each(|block| {
        let mut before = block[..stride].to_vec();
        for k in 0..length {
            let (own, after) = block[k * stride..].split_at_mut(stride);
            for (i, (before, own)) in before.iter_mut().zip(own).enumerate() {
                let best = better(*own, *before);
                *before = *own;
                *own = after.get(i).map_or(best, |a| better(best, *a));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::bricks::of_values;
    use super::super::sample::ONE;
    use super::*;

    #[test]
    fn one_bright_voxel_is_known_a_cell_around() {
        let dims = [40, 40, 40];
        let mut values = vec![0; 40 * 40 * 40];
        values[(20 * 40 + 12) * 40 + 33] = 500;
        let bricks = of_values(dims, &values);
        let cells = Cells::of(&bricks);
        let check = |level: &Level, x: i32, y: i32, z: i32, expect: i16| {
            let at = level.of_point([x * ONE, y * ONE, z * ONE]);
            assert_eq!(level.most()[at], expect, "{x} {y} {z}");
        };
        for (x, y, z, expect) in [
            (33, 12, 20, 500),
            (25, 4, 12, 500),
            (39, 20, 28, 500),
            (20, 12, 20, 0),
            (33, 25, 20, 0),
            (33, 12, 36, 0),
            (-5, -5, -5, 0),
            (500, 12, 20, 500),
        ] {
            check(&cells.coarse, x, y, z, expect);
        }
        for (x, y, z, expect) in [
            (33, 12, 20, 500),
            (29, 16, 20, 500),
            (37, 8, 24, 500),
            (27, 12, 20, 0),
            (33, 21, 20, 0),
            (33, 12, 29, 0),
        ] {
            check(&cells.fine, x, y, z, expect);
        }
        let all = cells.fine.least().iter().chain(cells.coarse.least());
        assert!(all.into_iter().all(|v| *v == 0));
    }

    /// Spreading along each axis equals the best of the 27 cells around.
    #[test]
    fn spreading_takes_all_neighbours() {
        let count = [3, 4, 5];
        let values: Vec<i16> = (0..60).map(|i| (i * 37 % 61) as i16).collect();
        let mut spreaded = values.clone();
        for axis in 0..3 {
            spread(&mut spreaded, count, axis, i16::max);
        }
        for (i, got) in spreaded.iter().enumerate() {
            let place = [i % 3, i / 3 % 4, i / 12];
            let near = |j: &usize| {
                let other = [j % 3, j / 3 % 4, j / 12];
                (0..3).all(|a| place[a].abs_diff(other[a]) <= 1)
            };
            let expect = (0..60).filter(near).map(|j| values[j]).max().unwrap();
            assert_eq!(*got, expect, "{i}");
        }
    }
}
