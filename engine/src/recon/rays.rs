//! Joseph's projector ray by ray, for rays that are not evenly spaced on an image row: a fan. One ray at a time and
//! in 64-bit places; the parallel projector is held against it in tests.

use super::joseph::Turned;
use super::{Beam, Grid, Scan};
use rayon::prelude::*;

/// Rows of pixels that one thread writes.
const BAND: usize = 32;

/// A ray in pixels: it meets image row r (column, when turned) at `origin + r slope`.
#[derive(Debug, Clone, Copy)]
struct Ray {
    turned: bool,
    origin: f64,
    slope: f64,
    /// Length between two rows, in mm.
    weight: f32,
}

impl Ray {
    /// The ray through (`x`, `y`) along (`dx`, `dy`), in mm.
    fn through((x, y): (f64, f64), (dx, dy): (f64, f64), grid: &Grid) -> Self {
        let (pixel, middle) = (grid.pixel_mm(), grid.middle());
        let turned = dy.abs() < dx.abs();
        // Image rows run against y.
        let (slope, along, origin) = if turned {
            let slope = -dy / dx;
            (slope, x, middle - y / pixel)
        } else {
            let slope = -dx / dy;
            (slope, -y, middle + x / pixel)
        };
        Self {
            turned,
            // From the row on which the given point lies back to row 0.
            origin: origin - (middle + along / pixel) * slope,
            slope,
            weight: (pixel * slope.hypot(1.0)) as f32,
        }
    }

    /// Rows of `from..to` in which the ray lies on the image or beside its edge.
    fn rows(&self, size: usize, from: usize, to: usize) -> std::ops::Range<usize> {
        let inside = |row: usize| {
            let place = self.origin + row as f64 * self.slope;
            place > -1.0 && place < size as f64
        };
        let (a, b) = (-1.0 - self.origin, size as f64 - self.origin);
        let (low, high) = if self.slope.abs() < 1e-12 {
            if !inside(from) {
                return from..from;
            }
            (from as f64, to as f64)
        } else {
            let ends = (a / self.slope, b / self.slope);
            (ends.0.min(ends.1), ends.0.max(ends.1))
        };
        let low = low.clamp(from as f64, to as f64).ceil() as usize;
        let high = high.clamp(from as f64, to as f64).ceil() as usize;
        low..high.max(low)
    }

    /// Left pixel in a row, and the part of the right one.
    fn place(&self, row: usize) -> (i64, f32) {
        let place = self.origin + row as f64 * self.slope;
        let floor = place.floor();
        (floor as i64, (place - floor) as f32)
    }
}

/// The projector of any scan in a plane.
#[derive(Debug)]
pub(super) struct Rays {
    scan: Scan,
    grid: Grid,
}

impl Rays {
    pub(super) fn new(scan: &Scan, grid: &Grid) -> Self {
        Self {
            scan: scan.clone(),
            grid: *grid,
        }
    }

    fn ray(&self, view: usize, column: usize) -> Ray {
        let (sin, cos) = self.scan.angles_rad()[view].sin_cos();
        let u = (column as f64 - self.scan.axis_column()) * self.scan.pitch_mm();
        let (point, along) = match self.scan.beam() {
            Beam::Parallel => ((u * cos, u * sin), (-sin, cos)),
            Beam::Fan {
                source_mm: s,
                source_detector_mm: d,
            }
            | Beam::Cone {
                source_mm: s,
                source_detector_mm: d,
            } => ((s * sin, -s * cos), (u * cos - d * sin, u * sin + d * cos)),
        };
        Ray::through(point, along, &self.grid)
    }

    /// Line integrals through `image` in `views`, one row of `out` each.
    pub(super) fn forward(&self, image: &Turned, views: &[usize], out: &mut [f32]) {
        let (size, columns) = (self.grid.size(), self.scan.columns());
        out.par_chunks_mut(columns).zip(views).for_each(|(out, view)| {
            for (column, value) in out.iter_mut().enumerate() {
                let ray = self.ray(*view, column);
                let image = image.side(ray.turned);
                let mut sum = 0.0_f32;
                for row in ray.rows(size, 0, size) {
                    let values = image.row(row);
                    let (left, part) = ray.place(row);
                    let at = |k: i64| {
                        usize::try_from(k)
                            .ok()
                            .and_then(|k| values.get(k))
                            .copied()
                            .unwrap_or(0.0)
                    };
                    let a = at(left);
                    sum += a + (at(left + 1) - a) * part;
                }
                *value = sum * ray.weight;
            }
        });
    }

    /// The transpose of [`Self::forward`]: `rays` has a row for each of `views`.
    pub(super) fn adjoint(&self, rays: &[f32], views: &[usize]) -> Vec<f32> {
        let size = self.grid.size();
        let mut sides = [vec![0.0_f32; size * size], vec![0.0_f32; size * size]];
        for (image, turned) in sides.iter_mut().zip([false, true]) {
            image
                .par_chunks_mut(BAND * size)
                .enumerate()
                .for_each(|(band, out)| self.scatter(rays, views, turned, band * BAND, out));
        }
        let [mut image, turned] = sides;
        for row in 0..size {
            for column in 0..size {
                image[row * size + column] += turned[column * size + row];
            }
        }
        image
    }

    /// What the rays of one orientation give to the image rows from `first` on.
    fn scatter(&self, rays: &[f32], views: &[usize], turned: bool, first: usize, out: &mut [f32]) {
        let (size, columns) = (self.grid.size(), self.scan.columns());
        let last = first + out.len() / size;
        for (values, view) in rays.chunks_exact(columns).zip(views) {
            for (column, value) in values.iter().enumerate() {
                let ray = self.ray(*view, column);
                if ray.turned != turned {
                    continue;
                }
                let value = value * ray.weight;
                for row in ray.rows(size, first, last) {
                    let out = &mut out[(row - first) * size..][..size];
                    let (left, part) = ray.place(row);
                    let mut give = |k: i64, value: f32| {
                        if let Some(pixel) = usize::try_from(k).ok().and_then(|k| out.get_mut(k)) {
                            *pixel += value;
                        }
                    };
                    give(left, value * (1.0 - part));
                    give(left + 1, value * part);
                }
            }
        }
    }
}
