//! Reformats and projections as plain lists of lines, for devices that sample by themselves.

use super::math::{Vec3, along, scale};
use super::mpr::Plane;
use super::project::{Rays, View};
use super::sample::{FRACTION_BITS, Interpolation, Sampler};
use super::slab::{Slab, SlabMode};
use super::voxels::Volume;
use crate::error::{ImagingError, Result};
use rayon::prelude::*;

/// Most lines of one picture.
const LINES_MAX: usize = 1 << 24;

/// A place or a step in index coordinates: units of 2^-18 voxels, and what is left, in parts of a unit from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fixed {
    /// Whole units along x, y, z.
    pub whole: [i32; 3],
    /// Parts of a unit.
    pub rest: [f32; 3],
}

impl Fixed {
    fn of(place: Vec3) -> Self {
        let units = place.map(|v| v * f64::from(1_u32 << FRACTION_BITS));
        Self {
            whole: units.map(|u| u.floor() as i32),
            rest: units.map(|u| (u - u.floor()) as f32),
        }
    }
}

/// A line of samples: sample k lies k - `first` steps from the start, for k in `first..end`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleLine {
    /// Place of the first sample.
    pub start: Fixed,
    /// Number of the first sample inside the volume.
    pub first: u32,
    /// Number after the last one.
    pub end: u32,
}

/// What each pixel is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Lines of a row, one for each depth of a slab: pixel k takes sample k of each. `None`: a line for each pixel,
    /// which takes all its samples.
    pub depths: Option<usize>,
    /// By row and depth, or by row and column.
    pub lines: Vec<SampleLine>,
    /// Steps of each row's lines, or the one step of all rays.
    pub steps: Vec<Fixed>,
    /// What samples become.
    pub mode: SlabMode,
}

/// Stored values as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub struct StoredVoxels<'v> {
    /// Bricks of 17 x 17 x 17 values, each of which owns 16 along a side.
    pub values: &'v [i16],
    /// Largest coordinate of each axis in units of 2^-18 voxels; others are held there.
    pub limit: [i32; 3],
    /// Value `x + 17 y + 289 z + sum over the axes of (index / 16) jump` is the voxel at an index.
    pub jumps: [i32; 3],
}

impl Volume {
    /// The stored values for a device of its own memory.
    #[must_use]
    pub fn stored(&self) -> StoredVoxels<'_> {
        let field = self.bricks().field();
        StoredVoxels {
            values: field.values(),
            limit: field.limit(),
            jumps: field.jumps(),
        }
    }

    /// Lines of [`super::reformat`] by linear interpolation; `None` where slices are unevenly spaced.
    ///
    /// # Errors
    /// As [`super::reformat`].
    pub fn lines_of_cut(&self, plane: &Plane, slab: Option<Slab>) -> Result<Option<Lines>> {
        plane.check()?;
        let grid = self.grid();
        if grid.knots().is_some() {
            return Ok(None);
        }
        let slab = slab.unwrap_or_default();
        let offsets_mm = slab.offsets_mm(grid.finest_mm())?;
        check(plane.height * offsets_mm.len())?;
        let sampler = Sampler::new(self, Interpolation::Linear);
        let step = grid.index_step(scale(plane.row, plane.pixel_mm[0]));
        let normal = grid.index_step(plane.normal());
        let line = |row: usize, offset: f64| {
            let origin = along(plane.origin_mm, plane.column, row as f64 * plane.pixel_mm[1]);
            let start = along(grid.index_of(origin), normal, offset);
            line(&sampler, start, step, plane.width)
        };
        let rows = 0..plane.height;
        Ok(Some(Lines {
            width: plane.width,
            height: plane.height,
            depths: Some(offsets_mm.len()),
            lines: rows
                .flat_map(|row| offsets_mm.iter().map(move |offset| (row, *offset)))
                .map(|(row, offset)| line(row, offset))
                .collect(),
            steps: vec![Fixed::of(step); plane.height],
            mode: slab.mode,
        }))
    }

    /// Lines of [`super::project`]; `None` where slices are unevenly spaced.
    ///
    /// # Errors
    /// As [`super::project`].
    pub fn lines_of_projection(&self, view: &View, mode: SlabMode) -> Result<Option<Lines>> {
        let rays = Rays::new(self, view)?;
        if self.grid().knots().is_some() {
            return Ok(None);
        }
        let (width, height) = view.size;
        check(width * height)?;
        let sampler = Sampler::new(self, Interpolation::Linear);
        let ray = |pixel: usize| {
            let (start, count) = rays.ray(&sampler, pixel % width, pixel / width);
            SampleLine {
                start: Fixed::of(start),
                first: 0,
                end: count as u32,
            }
        };
        Ok(Some(Lines {
            width,
            height,
            depths: None,
            lines: (0..width * height).into_par_iter().map(ray).collect(),
            steps: vec![Fixed::of(rays.step)],
            mode,
        }))
    }
}

fn line(sampler: &Sampler<'_>, start: Vec3, step: Vec3, count: usize) -> SampleLine {
    let inside = sampler.inside(start, step, count);
    SampleLine {
        start: Fixed::of(along(start, step, inside.start as f64)),
        first: inside.start as u32,
        end: inside.end as u32,
    }
}

fn check(lines: usize) -> Result<()> {
    if lines <= LINES_MAX {
        return Ok(());
    }
    Err(ImagingError::Request(format!(
        "{lines} lines of samples are more than one picture may take; ask for a smaller one"
    )))
}
