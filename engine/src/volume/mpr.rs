//! Multiplanar reformatting: planes of any direction, thin or as slabs.

use super::bricks::{BRICK, EDGE, LAYER, ROW};
use super::cells::{COARSE, Level};
use super::grid::BodyPlane;
use super::math::{Vec3, along, cross, dot, scale, unit};
use super::sample::{CHUNK, Interpolation, Line, Pitch, Points, Sampler};
use super::slab::{Accumulator, Slab, SlabMode};
use super::voxels::{Rescale, Volume};
use crate::error::{ImagingError, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Longest side of a reformatted picture.
pub const PICTURE_SIDE_MAX: usize = 8192;
/// Most samples that one picture may take.
const SAMPLES_MAX: u64 = 1 << 34;
/// Rows that one thread takes at a time; neighbouring rows read the same bricks.
const ROWS_AT_ONCE: usize = 16;
/// Depths from which on a slab's shortcut is worth its bounds.
const DEPTHS_OF_SHORTCUT: usize = 4;
/// Largest cosine between a plane's row and column.
const SKEW_MAX: f64 = 0.01;

/// A grey picture in the modality's units, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Reformat {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values.
    pub values: Vec<f32>,
}

/// A picture's place in the patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// Centre of the first pixel.
    pub origin_mm: Vec3,
    /// Direction along a row, length 1.
    pub row: Vec3,
    /// Direction down a column, length 1.
    pub column: Vec3,
    /// Distance of pixels along a row and down a column.
    pub pixel_mm: [f64; 2],
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Plane {
    /// A checked plane of square pixels; the directions may have any length.
    ///
    /// # Errors
    /// [`ImagingError::Request`] for directions that are none or not perpendicular, sizes and distances out of range.
    pub fn new(
        origin_mm: Vec3,
        row: Vec3,
        column: Vec3,
        pixel_mm: f64,
        size: (usize, usize),
    ) -> Result<Self> {
        let wrong = |why: String| Err(ImagingError::Request(why));
        let (Some(r), Some(c)) = (unit(row), unit(column)) else {
            return wrong("row and column must be directions: three numbers, not all 0".into());
        };
        if dot(r, c).abs() > SKEW_MAX {
            return wrong(format!(
                "row and column are {:.1} degrees apart; they must be perpendicular",
                dot(r, c).clamp(-1.0, 1.0).acos().to_degrees()
            ));
        }
        if origin_mm.iter().any(|v| !v.is_finite()) {
            return wrong("the origin must be three numbers".into());
        }
        let plane = Self {
            origin_mm,
            row: r,
            column: c,
            pixel_mm: [pixel_mm; 2],
            width: size.0,
            height: size.1,
        };
        plane.check()?;
        Ok(plane)
    }

    pub(super) fn check(&self) -> Result<()> {
        let side = 1..=PICTURE_SIDE_MAX;
        if !side.contains(&self.width) || !side.contains(&self.height) {
            return Err(ImagingError::Request(format!(
                "size {},{} is not possible: each side must be from 1 to {PICTURE_SIDE_MAX} pixels",
                self.width, self.height
            )));
        }
        if self.pixel_mm.iter().any(|p| !(1e-4..=1e4).contains(p)) {
            return Err(ImagingError::Request(format!(
                "pixel {} mm is not possible: it must be from 0.0001 to 10000",
                self.pixel_mm[0]
            )));
        }
        Ok(())
    }

    /// Normal of the plane, away from a viewer for whom the picture is upright.
    #[must_use]
    pub fn normal(&self) -> Vec3 {
        unit(cross(self.row, self.column)).unwrap_or_default()
    }
}

/// Cuts a plane, or a slab centred on it, out of the volume. Runs on the rayon pool of its caller.
///
/// # Errors
/// [`ImagingError::Request`] for impossible sizes and for more work than one picture may take.
pub fn reformat(
    volume: &Volume,
    plane: &Plane,
    slab: Option<Slab>,
    interpolation: Interpolation,
) -> Result<Reformat> {
    plane.check()?;
    let normal = plane.normal();
    let lines = RowLines {
        starts: (0..plane.height)
            .map(|j| along(plane.origin_mm, plane.column, j as f64 * plane.pixel_mm[1]))
            .collect(),
        steps: vec![scale(plane.row, plane.pixel_mm[0]); plane.height],
        normals: vec![normal; plane.height],
    };
    sample_rows(volume, &lines, plane.width, slab, interpolation)
}

/// A straight line for each row of a picture, in millimetres: first pixel, step, and the direction of a slab.
pub(super) struct RowLines {
    pub(super) starts: Vec<Vec3>,
    pub(super) steps: Vec<Vec3>,
    pub(super) normals: Vec<Vec3>,
}

/// Samples every row, through the slab where there is one.
pub(super) fn sample_rows(
    volume: &Volume,
    lines: &RowLines,
    width: usize,
    slab: Option<Slab>,
    interpolation: Interpolation,
) -> Result<Reformat> {
    let height = lines.starts.len();
    let slab = slab.unwrap_or_default();
    let offsets = slab.offsets_mm(volume.grid().finest_mm())?;
    let samples = (width * height) as u64 * offsets.len() as u64;
    if samples > SAMPLES_MAX {
        return Err(ImagingError::Request(format!(
            "{width} x {height} pixels of {} samples each are more than one picture may take; ask for a smaller one",
            offsets.len()
        )));
    }
    let sampler = Sampler::new(volume, interpolation);
    let shortcut = Shortcut::of(volume, lines, &slab, offsets.len(), interpolation);
    let mut values = vec![volume.outside(); width * height];
    values
        .par_chunks_mut(width * ROWS_AT_ONCE)
        .enumerate()
        .for_each(|(block, out)| {
            let first = block * ROWS_AT_ONCE;
            let rows = first..first + out.len() / width;
            let passes = Passes::new(volume, &sampler, lines, rows, width, &offsets);
            let mut work = Work {
                points: Points::new(),
                values: [0.0; CHUNK],
                sum: Accumulator::new(slab.mode),
            };
            for left in (0..width).step_by(CHUNK) {
                let columns = left..(left + CHUNK).min(width);
                for (row, line) in out.chunks_mut(width).enumerate() {
                    if offsets.len() == 1 {
                        passes.thin(&sampler, row, &columns, line, &mut work.points, volume.rescale());
                        continue;
                    }
                    match &shortcut {
                        Some(shortcut) => passes.past(&sampler, shortcut, row, &columns, &mut work),
                        None => passes.through(&sampler, row, &columns, &mut work),
                    }
                    work.sum.finish(volume.rescale(), &mut line[columns.clone()]);
                }
            }
        });
    Ok(Reformat {
        width,
        height,
        values,
    })
}

/// The lines of a block of rows at every depth of the slab, in index coordinates.
struct Passes {
    depths: usize,
    /// Of each row.
    pitches: Vec<Pitch>,
    /// First sample inside and the columns of those inside, by row and depth.
    lines: Vec<(Vec3, Range<usize>)>,
}

impl Passes {
    fn new(
        volume: &Volume,
        sampler: &Sampler<'_>,
        lines: &RowLines,
        rows: Range<usize>,
        width: usize,
        offsets_mm: &[f64],
    ) -> Self {
        let grid = volume.grid();
        let mut made = Self {
            depths: offsets_mm.len(),
            pitches: Vec::with_capacity(rows.len()),
            lines: Vec::with_capacity(rows.len() * offsets_mm.len()),
        };
        for row in rows {
            let start = grid.index_of(lines.starts[row]);
            let step = grid.index_step(lines.steps[row]);
            let normal = grid.index_step(lines.normals[row]);
            made.pitches.push(Pitch::new(step));
            for offset in offsets_mm {
                let start = along(start, normal, *offset);
                let inside = sampler.inside(start, step, width);
                made.lines.push((along(start, step, inside.start as f64), inside));
            }
        }
        made
    }

    /// Writes one row of a plane without thickness over some columns.
    fn thin(
        &self,
        sampler: &Sampler<'_>,
        row: usize,
        columns: &Range<usize>,
        out: &mut [f32],
        points: &mut Points,
        rescale: Rescale,
    ) {
        let (start, inside) = &self.lines[row];
        let part = inside.start.max(columns.start)..inside.end.min(columns.end);
        if part.is_empty() {
            return;
        }
        let line = Line::new(*start, &self.pitches[row]);
        let values = &mut out[part.clone()];
        sampler.run(&line, part.start - inside.start, points, values);
        rescale.apply_all(values);
    }

    /// As [`Passes::through`] for the greatest or the least value: neighbouring pixels whose values at a depth cannot
    /// be beyond what they have are passed over.
    fn past(
        &self,
        sampler: &Sampler<'_>,
        shortcut: &Shortcut<'_>,
        row: usize,
        columns: &Range<usize>,
        work: &mut Work,
    ) {
        let group = shortcut.group;
        let depths = &self.lines[row * self.depths..(row + 1) * self.depths];
        for (start, inside) in depths {
            let part = inside.start.max(columns.start)..inside.end.min(columns.end);
            if part.is_empty() {
                continue;
            }
            let line = Line::new(*start, &self.pitches[row]);
            // groups lie alike at every depth, so that their bests are those of the same pixels
            let from = columns.start + (part.start - columns.start) / group * group;
            for left in (from..part.end).step_by(group) {
                let pixels = left.max(part.start)..(left + group).min(part.end);
                let k = pixels.start - inside.start;
                let middle = line.at(k + pixels.len() / 2);
                let own = pixels.start - columns.start..pixels.end - columns.start;
                if shortcut.rules_out(sampler.settled(middle), work.sum.worst(own.clone())) {
                    continue;
                }
                let values = &mut work.values[..pixels.len()];
                sampler.run(&line, k, &mut work.points, values);
                work.sum.add(own.start, values);
            }
        }
    }

    /// Adds every depth of one row over some columns.
    fn through(&self, sampler: &Sampler<'_>, row: usize, columns: &Range<usize>, work: &mut Work) {
        let depths = &self.lines[row * self.depths..(row + 1) * self.depths];
        for (start, inside) in depths {
            let part = inside.start.max(columns.start)..inside.end.min(columns.end);
            if part.is_empty() {
                continue;
            }
            let line = Line::new(*start, &self.pitches[row]);
            let values = &mut work.values[..part.len()];
            sampler.run(&line, part.start - inside.start, &mut work.points, values);
            work.sum.add(part.start - columns.start, values);
        }
    }
}

/// Bounds that tell where a slab's samples cannot matter.
struct Shortcut<'v> {
    level: &'v Level,
    mode: SlabMode,
    /// Neighbouring pixels of one row that lie within a cell's side of their middle.
    group: usize,
}

impl<'v> Shortcut<'v> {
    /// Where it pays: the greatest or least of many depths of an even volume, at pixels near each other.
    fn of(
        volume: &'v Volume,
        lines: &RowLines,
        slab: &Slab,
        depths: usize,
        interpolation: Interpolation,
    ) -> Option<Self> {
        let grid = volume.grid();
        let even = grid.density_max() <= 1.0 && interpolation == Interpolation::Linear;
        if depths < DEPTHS_OF_SHORTCUT || !even || slab.mode == SlabMode::Mean {
            return None;
        }
        let reach = |step: &Vec3| {
            grid.index_step(*step)
                .iter()
                .fold(0.0, |m: f64, s| m.max(s.abs()))
        };
        let widest = lines.steps.iter().map(reach).fold(0.0, f64::max);
        let group = [16, 8]
            .into_iter()
            .find(|n| widest * *n as f64 <= 2.0 * COARSE as f64)?;
        Some(Self {
            level: &volume.cells().coarse,
            mode: slab.mode,
            group,
        })
    }

    /// Whether no value near `middle` is beyond `worst`.
    fn rules_out(&self, middle: [i32; 3], worst: f32) -> bool {
        let cell = self.level.of_point(middle);
        match self.mode {
            SlabMode::Mip => f32::from(self.level.most()[cell]) <= worst,
            SlabMode::MinIp => f32::from(self.level.least()[cell]) >= worst,
            SlabMode::Mean => false,
        }
    }
}

/// What one thread needs to fill a row's part.
struct Work {
    points: Points,
    values: [f32; CHUNK],
    sum: Accumulator,
}

/// A plane of the volume's own grid, uninterpolated.
///
/// The picture lies as on a light box: axial with the patient's left to the right and the front on top, coronal and
/// sagittal with the head on top. `index` counts voxels from 0 in the order of the grid.
///
/// # Errors
/// [`ImagingError::Request`] for an index outside the volume.
pub fn native_plane(volume: &Volume, plane: BodyPlane, index: usize) -> Result<Reformat> {
    let cut = NativePlane::of(volume, plane);
    cut.check(volume, index)?;
    let mut picture = cut.read(volume, index);
    volume.rescale().apply_all(&mut picture.values);
    Ok(picture)
}

/// The plane through slice `index` with square pixels over the whole volume: what [`reformat`] takes where the native
/// grid is not wanted. `pixel_mm` and `size` default to the finest spacing and the volume's extent.
///
/// # Errors
/// As [`native_plane`] and [`Plane::new`].
pub fn body_plane(
    volume: &Volume,
    plane: BodyPlane,
    index: usize,
    pixel_mm: Option<f64>,
    size: Option<(usize, usize)>,
) -> Result<Plane> {
    let (grid, cut) = (volume.grid(), NativePlane::of(volume, plane));
    cut.check(volume, index)?;
    let axes = grid.axes();
    let turned = |axis: usize, back: bool| scale(axes[axis], if back { -1.0 } else { 1.0 });
    let row = unit(turned(cut.across, cut.mirrored)).unwrap_or_default();
    let down = turned(cut.down, cut.upside_down);
    // perpendicular to the row, also in a sheared grid
    let column = unit(along(down, row, -dot(down, row))).unwrap_or_default();
    let ends = grid.ends();
    let mut centre = scale(ends, 0.5);
    centre[cut.normal] = if cut.normal == 2 {
        grid.place_of(index)
    } else {
        index as f64
    };
    let pixel = pixel_mm.unwrap_or_else(|| grid.finest_mm());
    let extent = |direction: Vec3| {
        let of = |a: usize| (dot(axes[a], direction) * ends[a]).abs();
        let pixels = ((of(cut.across) + of(cut.down)) / pixel).round() + 1.0;
        (pixels as usize).clamp(1, PICTURE_SIDE_MAX)
    };
    let size = size.unwrap_or_else(|| (extent(row), extent(column)));
    let middle = grid.point_at(centre);
    let origin = along(
        along(middle, row, -pixel * (size.0 as f64 - 1.0) / 2.0),
        column,
        -pixel * (size.1 as f64 - 1.0) / 2.0,
    );
    Plane::new(origin, row, column, pixel, size)
}

/// Which grid axes a native plane shows, and how it is turned to lie as on a light box.
struct NativePlane {
    normal: usize,
    across: usize,
    down: usize,
    mirrored: bool,
    upside_down: bool,
}

impl NativePlane {
    fn of(volume: &Volume, plane: BodyPlane) -> Self {
        let grid = volume.grid();
        let of_body = grid.axes_of_body();
        let axes = grid.axes();
        let [(right, right_sign), (bottom, bottom_sign)] = plane.picture_axes();
        let (across, down) = (of_body[right], of_body[bottom]);
        Self {
            normal: of_body[plane.normal_axis()],
            across,
            down,
            mirrored: axes[across][right] * right_sign < 0.0,
            upside_down: axes[down][bottom] * bottom_sign < 0.0,
        }
    }

    fn check(&self, volume: &Volume, index: usize) -> Result<()> {
        let count = volume.grid().dims()[self.normal];
        if index < count {
            return Ok(());
        }
        Err(ImagingError::Request(format!(
            "index {index} is outside: this plane has indices 0 to {}",
            count - 1
        )))
    }

    fn read(&self, volume: &Volume, index: usize) -> Reformat {
        let dims = volume.grid().dims();
        let (width, height) = (dims[self.across], dims[self.down]);
        let strides = [1, ROW, LAYER];
        let (dx, dy) = (strides[self.across], strides[self.down]);
        let bricks = volume.bricks();
        let mut values = vec![0.0_f32; width * height];
        values
            .par_chunks_mut(width * EDGE)
            .enumerate()
            .for_each(|(band, out)| {
                let mut place = [0; 3];
                place[self.normal] = index / EDGE;
                let depth = index % EDGE * strides[self.normal];
                for (number, left) in (0..width).step_by(EDGE).enumerate() {
                    place[self.across] = number;
                    let columns = left..(left + EDGE).min(width);
                    for (row, line) in out.chunks_mut(width).enumerate() {
                        let y = band * EDGE + row;
                        let y = if self.upside_down { height - 1 - y } else { y };
                        place[self.down] = y / EDGE;
                        let brick = bricks.brick(place[0], place[1], place[2]);
                        copy_line(brick, depth + y % EDGE * dy, dx, &mut line[columns.clone()]);
                    }
                }
                if self.mirrored {
                    out.chunks_mut(width).for_each(<[f32]>::reverse);
                }
            });
        Reformat {
            width,
            height,
            values,
        }
    }
}

/// A run of voxels of a brick, each `stride` after the last.
fn copy_line(brick: &[i16], at: usize, stride: usize, out: &mut [f32]) {
    if brick.len() < BRICK {
        return;
    }
    if stride == 1 {
        for (o, v) in out.iter_mut().zip(&brick[at..]) {
            *o = f32::from(*v);
        }
    } else {
        for (o, v) in out.iter_mut().zip(brick[at..].iter().step_by(stride)) {
            *o = f32::from(*v);
        }
    }
}
