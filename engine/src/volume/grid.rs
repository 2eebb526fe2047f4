//! Where the voxels of a volume lie in the patient.

use super::math::{Mat3, Vec3, add, cross, dot, length, scale, sub, unit};
use super::sample::{FRACTION_BITS, ONE};
use crate::error::{ImagingError, Result};

/// Longest side of a volume in voxels: what the sampling coordinates hold.
pub const SIDE_VOXELS_MAX: usize = 8000;

/// The three planes of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyPlane {
    /// Across the body's long axis.
    Axial,
    /// Front and back.
    Coronal,
    /// Left and right.
    Sagittal,
}

impl BodyPlane {
    /// Patient axis (0 left, 1 posterior, 2 head) along which slices of this plane are counted.
    pub(super) fn normal_axis(self) -> usize {
        match self {
            Self::Sagittal => 0,
            Self::Coronal => 1,
            Self::Axial => 2,
        }
    }

    /// Patient axes along which a picture's columns and rows are counted on a light box, and the direction in which.
    pub(super) fn picture_axes(self) -> [(usize, f64); 2] {
        match self {
            Self::Axial => [(0, 1.0), (1, 1.0)],
            Self::Coronal => [(0, 1.0), (2, -1.0)],
            Self::Sagittal => [(1, 1.0), (2, -1.0)],
        }
    }
}

/// Places of slices that are not evenly spaced, in fixed point of [`FRACTION_BITS`], rising.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knots(Vec<i32>);

impl Knots {
    /// From the place along the slice axis to the slice number, both in fixed point: linear between neighbours.
    pub(super) fn slice_of(&self, place: i32) -> i32 {
        let above = self.0.partition_point(|k| *k <= place);
        let Some(low) = above.checked_sub(1) else {
            return 0;
        };
        let number = (low as i32) << FRACTION_BITS;
        match (self.0.get(low), self.0.get(above)) {
            (Some(from), Some(to)) => {
                let part = (i64::from(place - from) << FRACTION_BITS) / i64::from(to - from).max(1);
                number + part as i32
            }
            _ => number,
        }
    }

    /// Smallest distance of two neighbours in units of the slice axis.
    fn least(&self) -> f64 {
        let pairs = self.0.windows(2).map(|w| w[1] - w[0]);
        f64::from(pairs.min().unwrap_or(ONE)) / f64::from(ONE)
    }

    fn last(&self) -> f64 {
        f64::from(self.0.last().copied().unwrap_or(0)) / f64::from(ONE)
    }
}

/// The voxel lattice: `x` runs along a row, `y` down a column, `z` from slice to slice. The axes need not be
/// perpendicular: a tilted gantry shears the slices, and sampling through the true lattice is its correction.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    dims: [usize; 3],
    origin_mm: Vec3,
    /// Patient vectors of one step along x, y and z.
    axes: Mat3,
    inverse: Mat3,
    knots: Option<Knots>,
}

impl Grid {
    /// `dims` in x, y, z; `origin_mm` is the centre of the first voxel, `axes` are the patient vectors of one step
    /// along x, y and z in millimetres.
    ///
    /// # Errors
    /// [`ImagingError::NoVolume`] for sides of 0 or beyond [`SIDE_VOXELS_MAX`] and for axes in one plane.
    pub fn new(dims: [usize; 3], origin_mm: Vec3, axes: [Vec3; 3]) -> Result<Self> {
        if dims.iter().any(|n| !(1..=SIDE_VOXELS_MAX).contains(n)) {
            let [x, y, z] = dims;
            return Err(ImagingError::NoVolume(format!(
                "{z} x {y} x {x} voxels, each side must have 1 to {SIDE_VOXELS_MAX}"
            )));
        }
        let axes = Mat3(axes);
        let inverse = axes
            .inverse()
            .filter(|_| origin_mm.iter().all(|v| v.is_finite()))
            .ok_or_else(|| {
                ImagingError::NoVolume("its spacing or its directions leave no space between voxels".into())
            })?;
        Ok(Self {
            dims,
            origin_mm,
            axes,
            inverse,
            knots: None,
        })
    }

    /// Axes along +x, +y, +z of the patient from 0, 0, 0; `spacing_mm` in x, y, z.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn upright(dims: [usize; 3], spacing_mm: Vec3) -> Result<Self> {
        if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            let [x, y, z] = spacing_mm;
            return Err(ImagingError::NoVolume(format!(
                "spacing {z},{y},{x} mm, each must be above 0"
            )));
        }
        let [x, y, z] = spacing_mm;
        Self::new(dims, [0.0; 3], [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]])
    }

    /// The same with slices at `places`, in steps of the z axis from the first slice, rising from 0.
    ///
    /// # Errors
    /// [`ImagingError::NoVolume`] when the places do not rise or are not one for each slice.
    pub fn with_places(mut self, places: &[f64]) -> Result<Self> {
        let rising = places.windows(2).all(|w| w[0] < w[1]);
        if places.len() != self.dims[2] || !rising || places.first() != Some(&0.0) {
            return Err(ImagingError::NoVolume("its slices are not in order".into()));
        }
        let total = places.last().copied().unwrap_or(0.0);
        // The z axis is made longer where the fixed point could not hold the farthest slice.
        let unit = (total / (SIDE_VOXELS_MAX as f64)).max(1.0);
        if unit > 1.0 {
            let z = scale(self.axes.0[2], unit);
            let [x, y, _] = self.axes.0;
            self = Self::new(self.dims, self.origin_mm, [x, y, z])?;
        }
        let fixed: Vec<i32> = places
            .iter()
            .map(|p| (p / unit * f64::from(ONE)).round() as i32)
            .collect();
        if fixed.windows(2).any(|w| w[0] >= w[1]) {
            return Err(ImagingError::NoVolume("two slices lie in one place".into()));
        }
        self.knots = Some(Knots(fixed));
        Ok(self)
    }

    /// Voxels in x, y, z.
    #[must_use]
    pub fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// Centre of the first voxel.
    #[must_use]
    pub fn origin_mm(&self) -> Vec3 {
        self.origin_mm
    }

    /// Patient vectors of one step along x, y, z.
    #[must_use]
    pub fn axes(&self) -> [Vec3; 3] {
        self.axes.0
    }

    /// Lengths of the steps along x, y, z; for uneven slices the nominal one.
    #[must_use]
    pub fn spacing_mm(&self) -> Vec3 {
        self.axes.0.map(length)
    }

    pub(super) fn knots(&self) -> Option<&Knots> {
        self.knots.as_ref()
    }

    /// Largest place along each axis in index units.
    pub(super) fn ends(&self) -> Vec3 {
        let [x, y, z] = self.dims.map(|n| (n - 1) as f64);
        [x, y, self.knots.as_ref().map_or(z, Knots::last)]
    }

    /// Place of a slice along the z axis, in its steps.
    pub(super) fn place_of(&self, slice: usize) -> f64 {
        let even = slice as f64;
        self.knots.as_ref().map_or(even, |k| {
            k.0.get(slice).map_or(even, |k| f64::from(*k) / f64::from(ONE))
        })
    }

    /// Index coordinates of a point of the patient.
    pub(super) fn index_of(&self, point_mm: Vec3) -> Vec3 {
        self.inverse.times(sub(point_mm, self.origin_mm))
    }

    /// Index coordinates of a direction.
    pub(super) fn index_step(&self, step_mm: Vec3) -> Vec3 {
        self.inverse.times(step_mm)
    }

    /// A gradient of index space as one of the patient's space.
    pub(super) fn gradient_mm(&self, gradient: Vec3) -> Vec3 {
        self.inverse.transposed_times(gradient)
    }

    /// The patient's point at index coordinates.
    pub(super) fn point_at(&self, index: Vec3) -> Vec3 {
        add(self.origin_mm, self.axes.times(index))
    }

    /// Centre of the volume.
    #[must_use]
    pub fn centre_mm(&self) -> Vec3 {
        self.point_at(scale(self.ends(), 0.5))
    }

    /// Half the extent of the voxels' centres along `direction`, from the centre.
    pub(super) fn half_extent(&self, direction: Vec3) -> f64 {
        let ends = self.ends();
        (0..3)
            .map(|a| (dot(self.axes.0[a], direction) * ends[a] / 2.0).abs())
            .sum()
    }

    /// Millimetres between samples that miss no voxel: the smallest distance of neighbouring voxels.
    #[must_use]
    pub fn finest_mm(&self) -> f64 {
        let spacing = self.spacing_mm();
        (0..3)
            .filter(|a| self.dims[*a] > 1)
            .map(|a| spacing[a])
            .fold(f64::INFINITY, f64::min)
            .min(spacing[0].max(spacing[1]))
    }

    /// Slices per unit of the z axis at the densest place; 1 for even slices.
    pub(super) fn density_max(&self) -> f64 {
        self.knots.as_ref().map_or(1.0, |k| 1.0 / k.least().max(1e-6))
    }

    /// Angle between the slices' normal and the way from slice to slice, in degrees, with the sign of a turn about
    /// the row direction.
    #[must_use]
    pub fn tilt_deg(&self) -> f64 {
        let [x, y, z] = self.axes.0;
        let (Some(normal), Some(down), Some(step)) = (unit(cross(x, y)), unit(y), unit(z)) else {
            return 0.0;
        };
        let cosine = dot(normal, step).abs().min(1.0);
        let sine = length(cross(normal, step));
        let angle = sine.atan2(cosine).to_degrees();
        if dot(step, down) * dot(step, normal) < 0.0 {
            -angle
        } else {
            angle
        }
    }

    /// Index axis of this grid that runs along each patient axis, each used once, so that together they fit best.
    pub(super) fn axes_of_body(&self) -> [usize; 3] {
        const WAYS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let directions = self.axes.0.map(|a| unit(a).unwrap_or_default());
        let fit = |way: &[usize; 3]| -> f64 { (0..3).map(|body| directions[way[body]][body].abs()).sum() };
        let mut best = WAYS[0];
        for way in &WAYS[1..] {
            if fit(way) > fit(&best) + 1e-9 {
                best = *way;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_indices_are_one_map() {
        let grid = Grid::new(
            [10, 20, 30],
            [5.0, -3.0, 100.0],
            [[0.7, 0.0, 0.0], [0.0, 0.6, 0.2], [0.0, 0.0, 1.5]],
        )
        .unwrap();
        let index = [3.25, 7.5, 11.0];
        let back = grid.index_of(grid.point_at(index));
        assert!(length(sub(back, index)) < 1e-12);
        assert!((grid.tilt_deg().abs() - (0.2_f64).atan2(0.6).to_degrees()).abs() < 1e-9);
        assert_eq!(Grid::upright([4, 4, 4], [1.0, 1.0, 2.0]).unwrap().tilt_deg(), 0.0);
    }

    #[test]
    fn uneven_places_are_found_between_neighbours() {
        let grid = Grid::upright([4, 4, 4], [1.0, 1.0, 2.0]).unwrap();
        let grid = grid.with_places(&[0.0, 1.0, 3.0, 3.5]).unwrap();
        let knots = grid.knots().unwrap();
        let at = |place: f64| f64::from(knots.slice_of((place * f64::from(ONE)) as i32)) / f64::from(ONE);
        for (place, slice) in [
            (0.0, 0.0),
            (0.5, 0.5),
            (1.0, 1.0),
            (2.0, 1.5),
            (3.25, 2.5),
            (3.5, 3.0),
            (9.0, 3.0),
            (-1.0, 0.0),
        ] {
            assert!((at(place) - slice).abs() < 1e-5, "{place}: {}", at(place));
        }
        assert_eq!(grid.ends(), [3.0, 3.0, 3.5]);
        assert_eq!(grid.density_max(), 2.0);
    }

    #[test]
    fn impossible_grids_are_refused() {
        assert!(Grid::upright([0, 4, 4], [1.0; 3]).is_err());
        assert!(Grid::upright([4, 4, 9000], [1.0; 3]).is_err());
        assert!(Grid::upright([4, 4, 4], [1.0, 0.0, 1.0]).is_err());
        assert!(Grid::upright([4, 4, 4], [1.0, f64::NAN, 1.0]).is_err());
        let even = Grid::upright([4, 4, 2], [1.0; 3]).unwrap();
        assert!(even.clone().with_places(&[0.0, 0.0]).is_err());
        assert!(even.clone().with_places(&[0.0]).is_err());
        assert!(even.with_places(&[0.0, 1e7]).is_ok());
    }

    #[test]
    fn body_axes_of_a_sagittal_stack() {
        let grid = Grid::new(
            [8, 9, 10],
            [0.0; 3],
            [[0.0, 1.0, 0.1], [0.0, 0.1, -1.0], [-2.0, 0.0, 0.0]],
        )
        .unwrap();
        assert_eq!(grid.axes_of_body(), [2, 0, 1]);
    }
}
