//! Filtered back-projection in a plane.
//!
//! Kak & Slaney (1988), sections 3.3 (parallel) and 3.4.2 (fan, equally spaced detectors): the fan's projections are
//! weighted by the cosine of the fan angle, filtered on a detector scaled to the axis, and back-projected with the
//! inverse square of the distance from the source.

use super::angles::{self, FanWeights};
use super::filter::Filter;
use super::padded::Padded;
use super::simd::{FanWalk, Kernel, Level, Source, Target, Walk, accumulate, accumulate_fan, fixed};
use super::{Beam, Grid, ReconError, Scan, Window};
use rayon::prelude::*;

/// Side of the square of pixels that stays in the nearest cache while all views pass.
const TILE: usize = 64;

/// Image of `grid` from `projections` of shape (angles, columns), row by row.
///
/// # Errors
/// [`ReconError`] when projections, scan and grid do not go together, a cone beam, or a fan that leaves out rays.
pub fn fbp(scan: &Scan, grid: &Grid, window: Window, projections: &[f32]) -> Result<Vec<f32>, ReconError> {
    Ok(Filtered::new(scan, grid, window, projections)?.back_project())
}

/// Projections weighted and filtered, and how each view lies over the image: what back-projection needs, here or on
/// another device.
#[derive(Debug)]
pub struct Filtered {
    rows: Padded,
    views: Vec<PixelView>,
    grid: Grid,
}

impl Filtered {
    /// # Errors
    /// As [`fbp`].
    pub fn new(scan: &Scan, grid: &Grid, window: Window, projections: &[f32]) -> Result<Self, ReconError> {
        scan.check(projections)?;
        scan.check_grid(grid)?;
        let mut rows = Padded::of(projections, scan.columns());
        let weights = match scan.beam() {
            Beam::Parallel => angles::parallel(scan).iter().map(|w| vec![*w as f32]).collect(),
            Beam::Fan { .. } => fan_weights(scan, grid)?,
            Beam::Cone { .. } => {
                return Err(ReconError::Method {
                    method: "fbp",
                    beam: "cone",
                    instead: "fdk",
                });
            }
        };
        weigh(&mut rows, &weights);
        Filter::new(scan.columns(), scan.axis_pitch_mm(), window).apply(&mut rows);
        let view = |angle: &f64| PixelView::new(scan, grid, *angle);
        Ok(Self {
            rows,
            views: scan.angles_rad().iter().map(view).collect(),
            grid: *grid,
        })
    }

    /// The grid of the image.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// How each view lies over the image.
    #[must_use]
    pub fn views(&self) -> &[PixelView] {
        &self.views
    }

    /// Detectors of a view.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.rows.width()
    }

    /// The filtered projections, shape (angles, columns).
    #[must_use]
    pub fn values(&self) -> Vec<f32> {
        self.rows.to_dense()
    }

    /// The image, row by row.
    #[must_use]
    pub fn back_project(&self) -> Vec<f32> {
        self.back_project_at(Level::detect())
    }

    /// The same with the instructions of `level`.
    pub(super) fn back_project_at(&self, level: Level) -> Vec<f32> {
        let size = self.grid.size();
        let mut image = vec![0.0; size * size];
        image
            .par_chunks_mut(TILE * size)
            .enumerate()
            .for_each(|(band, out)| {
                back_project(level, &self.grid, &self.views, &self.rows, band * TILE, out)
            });
        image
    }
}

/// Multiplies every row by its weights: one for the row or one for each column.
fn weigh(rows: &mut Padded, weights: &[Vec<f32>]) {
    for (row, weights) in weights.iter().enumerate() {
        let values = rows.row_mut(row).iter_mut();
        match weights.as_slice() {
            [weight] => values.for_each(|v| *v *= weight),
            each => values.zip(each).for_each(|(v, weight)| *v *= weight),
        }
    }
}

/// Angle under which a column is seen from the source, 0 on the central ray.
pub(super) fn fan_angle(scan: &Scan, column: usize) -> f64 {
    let (_, distance_mm) = scan.beam().distances_mm().unwrap_or((1.0, 1.0));
    ((column as f64 - scan.axis_column()) * scan.pitch_mm()).atan2(distance_mm)
}

/// Half the fan that the image's inscribed circle or the detector fills, whichever is less.
pub(super) fn half_fan(scan: &Scan, grid: &Grid) -> f64 {
    let (source_mm, _) = scan.beam().distances_mm().unwrap_or((1.0, 1.0));
    let circle = (grid.size() as f64 * grid.pixel_mm() / 2.0 / source_mm)
        .min(1.0)
        .asin();
    let ends = [0, scan.columns() - 1].map(|column| fan_angle(scan, column).abs());
    ends[0].max(ends[1]).min(circle)
}

fn fan_weights(scan: &Scan, grid: &Grid) -> Result<Vec<Vec<f32>>, ReconError> {
    let views = FanWeights::new(scan, half_fan(scan, grid))?;
    let fan: Vec<f64> = (0..scan.columns())
        .map(|column| fan_angle(scan, column))
        .collect();
    let weight = |view: usize, fan: &f64| (fan.cos() * views.at(view, *fan)) as f32;
    Ok((0..scan.angles_rad().len())
        .map(|view| fan.iter().map(|fan| weight(view, fan)).collect())
        .collect())
}

/// How one view lies over the image. A pixel `c` columns and `r` rows from the axis is seen at the detector
/// `axis + (c across + r down) / distance`, where `distance` is `1 + c nearer.0 + r nearer.1`, and 1 for parallel rays.
/// It counts there with the inverse square of the distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelView {
    /// Detectors for each column.
    pub across: f64,
    /// Detectors for each row.
    pub down: f64,
    /// Change of the distance from the source, over that of the axis, for each column and row.
    pub nearer: Option<(f64, f64)>,
    /// Place of the axis.
    pub axis: f64,
}

impl PixelView {
    pub(super) fn new(scan: &Scan, grid: &Grid, angle_rad: f64) -> Self {
        let (sin, cos) = angle_rad.sin_cos();
        let ratio = grid.pixel_mm() / scan.axis_pitch_mm();
        Self {
            across: cos * ratio,
            down: -sin * ratio,
            nearer: scan.beam().distances_mm().map(|(source_mm, _)| {
                let ratio = grid.pixel_mm() / source_mm;
                (-sin * ratio, -cos * ratio)
            }),
            axis: scan.axis_column(),
        }
    }
}

/// All views over the rows of pixels from `first` on.
fn back_project(
    level: Level,
    grid: &Grid,
    views: &[PixelView],
    filtered: &Padded,
    first: usize,
    out: &mut [f32],
) {
    let size = grid.size();
    let y = first as f64 - grid.middle();
    for left in (0..size).step_by(TILE) {
        let x = left as f64 - grid.middle();
        for (view, row) in views.iter().zip(0..) {
            let target = Target {
                rows: out.len() / size,
                columns: TILE.min(size - left),
                stride: size,
                out: &mut out[left..],
            };
            let source = Source {
                data: filtered.starting_at(row),
                stride: 0,
                width: filtered.width(),
            };
            let place = x * view.across + y * view.down;
            let Some((across, down)) = view.nearer else {
                let walk = Walk {
                    start: fixed(place + view.axis),
                    column_step: fixed(view.across),
                    row_step: fixed(view.down),
                };
                accumulate(level, target, source, walk, Kernel::Linear);
                continue;
            };
            let distance = 1.0 + x * across + y * down;
            let walk = FanWalk {
                numerator: [place, view.across, view.down].map(|v| v as f32),
                denominator: [distance, across, down].map(|v| v as f32),
                axis: view.axis as f32,
            };
            accumulate_fan(level, target, source, &walk);
        }
    }
}
