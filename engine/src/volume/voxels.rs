//! A volume: stored values in bricks, what they mean, and where they lie.

use super::bricks::{Bricks, Fetch, bytes_of};
use super::cells::Cells;
use super::grid::Grid;
use crate::error::{ImagingError, Result};
use std::sync::OnceLock;

/// From stored values to the modality's units: `stored * slope + intercept`, slope above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    /// Units of one step.
    pub slope: f64,
    /// Units of stored value 0.
    pub intercept: f64,
}

impl Default for Rescale {
    fn default() -> Self {
        Self {
            slope: 1.0,
            intercept: 0.0,
        }
    }
}

impl Rescale {
    /// The value in the modality's units.
    #[must_use]
    pub fn apply(&self, stored: f64) -> f64 {
        stored * self.slope + self.intercept
    }

    /// The stored value of a value in the modality's units, unrounded.
    #[must_use]
    pub fn stored(&self, value: f64) -> f64 {
        (value - self.intercept) / self.slope
    }

    /// Over many values.
    pub(super) fn apply_all(&self, values: &mut [f32]) {
        let (slope, intercept) = (self.slope as f32, self.intercept as f32);
        if slope == 1.0 && intercept == 0.0 {
            return;
        }
        values.iter_mut().for_each(|v| *v = *v * slope + intercept);
    }
}

/// A volume in memory.
#[derive(Debug)]
pub struct Volume {
    grid: Grid,
    bricks: Bricks,
    rescale: Rescale,
    padding: Option<f64>,
    cells: OnceLock<Cells>,
}

impl Volume {
    /// Takes the slices in order: `fetch` is asked for runs of whole slices, each of `x * y` stored values.
    /// `bytes_max` bounds what is held; it is checked first.
    ///
    /// # Errors
    /// [`ImagingError::VolumeTooLarge`], and whatever `fetch` answers.
    pub fn build<E: From<ImagingError>>(
        grid: Grid,
        rescale: Rescale,
        bytes_max: u64,
        fetch: &mut Fetch<'_, E>,
    ) -> Result<Self, E> {
        let sound = rescale.slope > 0.0 && rescale.slope.is_finite() && rescale.intercept.is_finite();
        if !sound {
            let why = format!(
                "its values have slope {} and intercept {}",
                rescale.slope, rescale.intercept
            );
            return Err(ImagingError::NoVolume(why).into());
        }
        let bricks = Bricks::build(grid.dims(), bytes_max, fetch)?;
        Ok(Self {
            grid,
            bricks,
            rescale,
            padding: None,
            cells: OnceLock::new(),
        })
    }

    /// From values that are in memory: x fastest, then y, then z.
    ///
    /// # Errors
    /// As [`Volume::build`]; [`ImagingError::Short`] for too few values.
    pub fn from_values(grid: Grid, rescale: Rescale, values: &[i16], bytes_max: u64) -> Result<Self> {
        let [x, y, z] = grid.dims();
        if values.len() < x * y * z {
            return Err(ImagingError::Short {
                needed_bytes: (x * y * z * 2) as u64,
                found_bytes: (values.len() * 2) as u64,
            });
        }
        Self::build(grid, rescale, bytes_max, &mut |slices, out| {
            out.copy_from_slice(&values[slices.start * x * y..slices.end * x * y]);
            Ok(())
        })
    }

    /// With the value (in the modality's units) that means "outside the picture".
    #[must_use]
    pub fn with_padding(mut self, padding: Option<f64>) -> Self {
        self.padding = padding.filter(|p| p.is_finite());
        self
    }

    /// Bytes that a volume of these sides takes; `None` when it cannot be held.
    #[must_use]
    pub fn bytes_needed(dims: [usize; 3]) -> Option<u64> {
        bytes_of(dims)
    }

    /// Where the voxels lie.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// What stored values mean.
    #[must_use]
    pub fn rescale(&self) -> Rescale {
        self.rescale
    }

    /// Least and greatest value in the modality's units.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        let (low, high) = self.bricks.range();
        (self.rescale.apply(low.into()), self.rescale.apply(high.into()))
    }

    /// What stands where there is no voxel: the padding, else the least value.
    #[must_use]
    pub fn outside(&self) -> f32 {
        self.padding.unwrap_or_else(|| self.range().0) as f32
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bricks.bytes() + self.cells.get().map_or(0, Cells::bytes)
    }

    pub(super) fn bricks(&self) -> &Bricks {
        &self.bricks
    }

    /// Bounds of the values in small cubes; made when first needed.
    pub(super) fn cells(&self) -> &Cells {
        self.cells.get_or_init(|| Cells::of(&self.bricks))
    }
}
