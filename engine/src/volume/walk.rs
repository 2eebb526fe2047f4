//! The greatest, least or average value along parallel rays that lie side by side.

use super::cells::{COARSE, Cells, FINE};
use super::sample::{CHUNK, Line, Points, Sampler};
use super::slab::SlabMode;
use std::ops::Range;

/// Rays that are walked together: while the values of one are on their way from memory, others are worked on.
pub(super) const BUNDLE: usize = 32;
/// Samples that are looked at, or passed over, together.
const PIECE: usize = 2 * FINE;

/// One ray of a bundle.
pub(super) struct Ray<'r> {
    line: Line<'r>,
    /// Samples of the line that lie in the volume.
    inside: Range<usize>,
    /// Pixel of its row.
    column: usize,
    best: f32,
    /// The next piece to look at.
    next: usize,
    /// The piece that was looked at first.
    first: usize,
    /// Where the bound of its group's first piece stands, and which piece that is.
    bounds: (usize, usize),
}

impl<'r> Ray<'r> {
    pub(super) fn new(line: Line<'r>, inside: Range<usize>, column: usize) -> Self {
        Self {
            next: inside.start / PIECE,
            line,
            inside,
            column,
            best: 0.0,
            first: usize::MAX,
            bounds: (0, 0),
        }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// What was found, in stored values.
    pub(super) fn found(&self) -> f32 {
        self.best
    }

    fn pieces(&self) -> Range<usize> {
        self.inside.start / PIECE..self.inside.end.div_ceil(PIECE)
    }
}

/// Neighbouring rays, each the given number of voxels from the next, for which the bounds along their middle one hold:
/// half a piece along the ray and the way to the middle ray stay within a coarse cell's side.
pub(super) fn abreast(voxels_apart: f64) -> usize {
    let free = (COARSE - PIECE / 2) as f64 / voxels_apart.max(1e-3);
    (2 * free as usize + 1).min(BUNDLE)
}

/// Pieces whose values are fetched together.
struct Batch {
    points: Points,
    /// Ray, and which samples of the piece are its own.
    parts: Vec<(usize, Range<usize>)>,
}

/// One thread's way along rays.
pub(super) struct Walk<'s, 'v> {
    sampler: &'s Sampler<'v>,
    cells: Option<&'v Cells>,
    abreast: usize,
    /// Bounds of all pieces, group by group.
    bounds: Vec<i16>,
    batch: Batch,
}

impl<'s, 'v> Walk<'s, 'v> {
    /// Without cells nothing is passed over.
    pub(super) fn new(sampler: &'s Sampler<'v>, cells: Option<&'v Cells>, abreast: usize) -> Self {
        Self {
            sampler,
            cells,
            abreast,
            bounds: Vec::new(),
            batch: Batch {
                points: Points::new(),
                parts: Vec::with_capacity(CHUNK / PIECE),
            },
        }
    }

    /// Finds each ray's value.
    pub(super) fn find(&mut self, mode: SlabMode, rays: &mut [Ray<'_>]) {
        match mode {
            SlabMode::Mip => self.extremes::<true>(rays),
            SlabMode::MinIp => self.extremes::<false>(rays),
            SlabMode::Mean => rays.iter_mut().for_each(|ray| self.mean(ray)),
        }
    }

    /// The greatest (or least) value along each ray. Pieces that cannot hold it are passed over: the most promising
    /// piece is sampled first, then those whose bound is beyond what was found.
    fn extremes<const GREATEST: bool>(&mut self, rays: &mut [Ray<'_>]) {
        let start = if GREATEST {
            f32::NEG_INFINITY
        } else {
            f32::INFINITY
        };
        rays.iter_mut().for_each(|ray| ray.best = start);
        if let Some(cells) = self.cells {
            self.bounds.clear();
            let mut from = 0;
            while from < rays.len() {
                let group = self.group(&rays[from..]);
                self.look_along::<GREATEST>(cells, &mut rays[from..from + group]);
                from += group;
            }
            for number in 0..rays.len() {
                let first = rays[number].first;
                self.push::<GREATEST>(rays, number, first);
            }
            self.flush::<GREATEST>(rays);
        }
        // one piece of each ray in turn, so that what one piece finds spares the next
        let mut left = true;
        while left {
            left = false;
            for number in 0..rays.len() {
                if let Some(piece) = self.next_open::<GREATEST>(&mut rays[number]) {
                    left = true;
                    self.push::<GREATEST>(rays, number, piece);
                }
            }
        }
        self.flush::<GREATEST>(rays);
    }

    /// How many of the first rays lie side by side and share their bounds.
    fn group(&self, rays: &[Ray<'_>]) -> usize {
        let beside = |pair: &[Ray<'_>]| pair[1].column == pair[0].column + 1;
        let together = rays.windows(2).take(self.abreast - 1);
        1 + together.take_while(|pair| beside(pair)).count()
    }

    /// The bounds of a group's pieces along its middle ray, and the most promising piece.
    fn look_along<const GREATEST: bool>(&mut self, cells: &Cells, group: &mut [Ray<'_>]) {
        let level = &cells.coarse;
        let table = if GREATEST { level.most() } else { level.least() };
        let from = group.iter().map(|r| r.pieces().start).min().unwrap_or(0);
        let to = group.iter().map(|r| r.pieces().end).max().unwrap_or(0);
        let middle = group[group.len() / 2].line;
        let at = self.bounds.len();
        let (mut first, mut best) = (from, table.first().copied().unwrap_or_default());
        for piece in from..to {
            let point = self.sampler.settled(middle.at(piece * PIECE + PIECE / 2));
            let bound = table[level.of_point(point)];
            self.bounds.push(bound);
            let better = if GREATEST { bound > best } else { bound < best };
            if better || piece == from {
                (first, best) = (piece, bound);
            }
        }
        for ray in group {
            ray.first = first;
            ray.bounds = (at, from);
        }
    }

    /// The next piece of a ray that may hold more than was found.
    fn next_open<const GREATEST: bool>(&self, ray: &mut Ray<'_>) -> Option<usize> {
        let end = ray.pieces().end;
        if self.cells.is_none() {
            let piece = ray.next;
            ray.next += 1;
            return (piece < end).then_some(piece);
        }
        let (at, from) = ray.bounds;
        while ray.next < end {
            let bounds = &self.bounds[at + ray.next - from..at + end - from];
            let best = ray.best;
            let Some(ahead) = bounds
                .iter()
                .position(|b| beyond::<GREATEST>(f32::from(*b), best))
            else {
                ray.next = end;
                return None;
            };
            let piece = ray.next + ahead;
            ray.next = piece + 1;
            if piece != ray.first {
                return Some(piece);
            }
        }
        None
    }

    /// Puts a piece, where it may hold something, into the batch.
    fn push<const GREATEST: bool>(&mut self, rays: &mut [Ray<'_>], number: usize, piece: usize) {
        let ray = &rays[number];
        let start = piece * PIECE;
        let own = ray.inside.start.max(start)..ray.inside.end.min(start + PIECE);
        if own.is_empty() {
            return;
        }
        if let Some(cells) = self.cells {
            let middle = self.sampler.settled(ray.line.at(start + PIECE / 2));
            let level = &cells.fine;
            let table = if GREATEST { level.most() } else { level.least() };
            if !beyond::<GREATEST>(table[level.of_point(middle)].into(), ray.best) {
                return;
            }
        }
        let at = self.batch.parts.len() * PIECE;
        ray.line.write(start, &mut self.batch.points, at, PIECE);
        self.batch
            .parts
            .push((number, own.start - start..own.end - start));
        if self.batch.parts.len() == CHUNK / PIECE {
            self.flush::<GREATEST>(rays);
        }
    }

    /// Fetches the values of the batch and gives them to their rays.
    fn flush<const GREATEST: bool>(&mut self, rays: &mut [Ray<'_>]) {
        let n = self.batch.parts.len() * PIECE;
        let mut values = [0.0; CHUNK];
        self.sampler.settle(&mut self.batch.points.z[..n]);
        self.sampler.points(&self.batch.points, &mut values[..n]);
        for ((number, own), values) in self.batch.parts.iter().zip(values.as_chunks::<PIECE>().0) {
            let ray = &mut rays[*number];
            for v in &values[own.clone()] {
                if beyond::<GREATEST>(*v, ray.best) {
                    ray.best = *v;
                }
            }
        }
        self.batch.parts.clear();
    }

    fn mean(&mut self, ray: &mut Ray<'_>) {
        let count = ray.inside.len();
        let mut sum = 0.0_f64;
        let mut values = [0.0; CHUNK];
        for from in (0..count).step_by(CHUNK) {
            let values = &mut values[..CHUNK.min(count - from)];
            let k = ray.inside.start + from;
            self.sampler.run(&ray.line, k, &mut self.batch.points, values);
            sum += f64::from(values.iter().sum::<f32>());
        }
        ray.best = (sum / count as f64) as f32;
    }
}

fn beyond<const GREATEST: bool>(a: f32, b: f32) -> bool {
    if GREATEST { a > b } else { a < b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_share_bounds_while_they_are_near() {
        // four voxels to either side are free
        for (apart, expect) in [(0.01, BUNDLE), (1.0, 9), (1.5, 5), (4.0, 3), (4.1, 1), (100.0, 1)] {
            assert_eq!(abreast(apart), expect, "{apart}");
        }
    }
}
