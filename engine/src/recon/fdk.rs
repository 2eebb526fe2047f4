//! Cone beams from a circle: L. A. Feldkamp, L. C. Davis and J. W. Kress, J. Opt. Soc. Am. A 1 (1984) 612.
//!
//! Along z the place on the detector moves by a constant step, so a line of voxels is one run of the linear kernel
//! over a detector column: the volume is built with z innermost and turned at the end.

use super::angles::FanWeights;
use super::fbp::{PixelView, fan_angle, half_fan};
use super::filter::Filter;
use super::geometry::check_values;
use super::padded::{PAD, Padded};
use super::simd::{Kernel, Level, Source, Target, Walk, accumulate, fixed};
use super::{Beam, Grid, ReconError, Scan, Window};
use rayon::prelude::*;

/// Planes of voxels (of one y) that are worked on before they are turned into slices.
const PLANES: usize = 16;
/// Lines of voxels that stay in the nearest cache while all views pass.
const LINES: usize = 16;

/// Volume of `grid` from `projections` of shape (angles, rows, columns): slices along +z, each row by row.
///
/// # Errors
/// [`ReconError`] when projections, scan and grid do not go together, a beam that is no cone, or too few views.
pub fn fdk(scan: &Scan, grid: &Grid, window: Window, projections: &[f32]) -> Result<Vec<f32>, ReconError> {
    if !matches!(scan.beam(), Beam::Cone { .. }) {
        return Err(ReconError::Method {
            method: "fdk",
            beam: scan.beam().name(),
            instead: "fbp",
        });
    }
    scan.check(projections)?;
    scan.check_grid(grid)?;
    grid.check_volume()?;
    let padded = scan.angles_rad().len() * scan.columns() * (scan.rows() + 2 * PAD);
    check_values("number of projection values with their margins", padded)?;
    fdk_at(Level::detect(), scan, grid, window, projections)
}

/// The same with the instructions of `level`.
pub(super) fn fdk_at(
    level: Level,
    scan: &Scan,
    grid: &Grid,
    window: Window,
    projections: &[f32],
) -> Result<Vec<f32>, ReconError> {
    let views = filtered(scan, grid, window, projections)?;
    let size = grid.size();
    let mut volume = vec![0.0; size * size * size];
    let mut planes = vec![0.0; PLANES.min(size) * size * size];
    for first in (0..size).step_by(PLANES) {
        let count = PLANES.min(size - first);
        let block = &mut planes[..count * size * size];
        block.fill(0.0);
        block
            .par_chunks_mut(size * size)
            .enumerate()
            .for_each(|(k, plane)| back_project(level, grid, &views, first + k, plane));
        volume
            .par_chunks_mut(size * size)
            .enumerate()
            .for_each(|(z, slice)| {
                for (k, plane) in block.chunks_exact(size * size).enumerate() {
                    let row = &mut slice[(first + k) * size..][..size];
                    for (value, line) in row.iter_mut().zip(plane.chunks_exact(size)) {
                        *value = line[z];
                    }
                }
            });
    }
    Ok(volume)
}

/// One filtered view: detector columns as rows, and its geometry.
struct Filtered {
    view: PixelView,
    columns: Padded,
}

fn filtered(
    scan: &Scan,
    grid: &Grid,
    window: Window,
    projections: &[f32],
) -> Result<Vec<Filtered>, ReconError> {
    let weights = FanWeights::new(scan, half_fan(scan, grid))?;
    let filter = Filter::new(scan.columns(), scan.axis_pitch_mm(), window);
    let (_, distance_mm) = scan.beam().distances_mm().unwrap_or((1.0, 1.0));
    let middle = (scan.rows() as f64 - 1.0) / 2.0;
    let fan: Vec<f64> = (0..scan.columns())
        .map(|column| fan_angle(scan, column))
        .collect();
    let one = |(number, values): (usize, &[f32])| {
        let mut rows = Padded::of(values, scan.columns());
        for row in 0..scan.rows() {
            let v = (row as f64 - middle) * scan.pitch_mm();
            for ((value, column), fan) in rows.row_mut(row).iter_mut().zip(0..).zip(&fan) {
                let u = (f64::from(column) - scan.axis_column()) * scan.pitch_mm();
                let cosine = distance_mm / (distance_mm * distance_mm + u * u + v * v).sqrt();
                *value *= (cosine * weights.at(number, *fan)) as f32;
            }
        }
        filter.apply(&mut rows);
        Filtered {
            view: PixelView::new(scan, grid, scan.angles_rad()[number]),
            columns: rows.transposed(),
        }
    };
    let view_values = scan.rows() * scan.columns();
    Ok(projections
        .par_chunks_exact(view_values)
        .enumerate()
        .map(one)
        .collect())
}

/// All views over the voxels of one y: `plane` has a line along z for each x.
fn back_project(level: Level, grid: &Grid, views: &[Filtered], row: usize, plane: &mut [f32]) {
    let size = grid.size();
    let y = row as f64 - grid.middle();
    let mut mixed = Vec::new();
    for (lines, first) in plane.chunks_mut(LINES * size).zip((0..size).step_by(LINES)) {
        for Filtered { view, columns } in views {
            let Some((across, down)) = view.nearer else {
                continue;
            };
            for (line, column) in lines.chunks_exact_mut(size).zip(first..) {
                let x = column as f64 - grid.middle();
                let near = 1.0 / (1.0 + x * across + y * down);
                let place = (x * view.across + y * view.down) * near + view.axis;
                if !mix(columns, place, near, &mut mixed) {
                    continue;
                }
                // Voxel and detector row are scaled like voxel and column.
                let step = view.across.hypot(view.down) * near;
                let middle = (columns.width() as f64 - 1.0) / 2.0;
                let walk = Walk {
                    start: fixed(middle - grid.middle() * step),
                    column_step: fixed(step),
                    row_step: 0,
                };
                let target = Target {
                    out: line,
                    stride: 0,
                    rows: 1,
                    columns: size,
                };
                let source = Source {
                    data: &mixed,
                    stride: 0,
                    width: columns.width(),
                };
                accumulate(level, target, source, walk, Kernel::Linear);
            }
        }
    }
}

/// Detector column at `place`, between its two neighbours, times the square of `near`; false beside the detector.
fn mix(columns: &Padded, place: f64, near: f64, mixed: &mut Vec<f32>) -> bool {
    let last = columns.rows() as f64 - 1.0;
    if !(0.0..=last).contains(&place) {
        return false;
    }
    let left = place.floor();
    let right = (left + 1.0).min(last);
    let (b, square) = (place - left, near * near);
    let weights = [((1.0 - b) * square) as f32, (b * square) as f32];
    mixed.resize(columns.width() + 2 * PAD, 0.0);
    let pair = columns.row(left as usize).iter().zip(columns.row(right as usize));
    for (value, (a, b)) in mixed[PAD..].iter_mut().zip(pair) {
        *value = a * weights[0] + b * weights[1];
    }
    true
}
