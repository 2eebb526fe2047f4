//! Line integrals of an image, and the transpose.

use super::joseph::{Joseph, RayView, Turned};
use super::padded::Padded;
use super::rays::Rays;
use super::simd::Level;
use super::{Beam, Grid, ReconError, Scan};

/// The projector `A` of a scan over a grid and its exact transpose `A'`: `<A x, y> = <x, A' y>` up to rounding.
#[derive(Debug)]
pub struct Projector {
    way: Way,
    size: usize,
    columns: usize,
    views: Vec<usize>,
}

#[derive(Debug)]
enum Way {
    Parallel(Joseph),
    Fan(Rays),
}

impl Projector {
    /// # Errors
    /// [`ReconError`] when scan and grid do not go together, and for a cone beam.
    pub fn new(scan: &Scan, grid: &Grid) -> Result<Self, ReconError> {
        Self::at(Level::detect(), scan, grid)
    }

    pub(super) fn at(level: Level, scan: &Scan, grid: &Grid) -> Result<Self, ReconError> {
        scan.check_grid(grid)?;
        let way = match scan.beam() {
            Beam::Parallel => Way::Parallel(Joseph::new(level, scan, grid)?),
            Beam::Fan { .. } => Way::Fan(Rays::new(scan, grid)),
            Beam::Cone { .. } => {
                return Err(ReconError::Method {
                    method: "sirt",
                    beam: "cone",
                    instead: "fdk",
                });
            }
        };
        Ok(Self {
            way,
            size: grid.size(),
            columns: scan.columns(),
            views: (0..scan.angles_rad().len()).collect(),
        })
    }

    /// Line integrals of `image` (row by row), shape (angles, columns).
    ///
    /// # Errors
    /// [`ReconError::Field`] when the image has another size than the grid.
    pub fn forward(&self, image: &[f32]) -> Result<Vec<f32>, ReconError> {
        self.check(image.len(), self.size * self.size)?;
        let image = Turned::of(Padded::of(image, self.size));
        let mut out = vec![0.0; self.views.len() * self.columns];
        self.forward_views(&image, &self.views, &mut out);
        Ok(out)
    }

    /// `A'` times `rays` of shape (angles, columns), row by row.
    ///
    /// # Errors
    /// [`ReconError::Field`] when their number is not that of the scan.
    pub fn adjoint(&self, rays: &[f32]) -> Result<Vec<f32>, ReconError> {
        self.check(rays.len(), self.views.len() * self.columns)?;
        Ok(self.adjoint_views(rays, &self.views))
    }

    /// How each view's rays lie over the image; `None` for a fan.
    #[must_use]
    pub fn ray_views(&self) -> Option<&[RayView]> {
        match &self.way {
            Way::Parallel(joseph) => Some(joseph.views()),
            Way::Fan(_) => None,
        }
    }

    fn check(&self, got: usize, wanted: usize) -> Result<(), ReconError> {
        if got == wanted {
            return Ok(());
        }
        let expected = "the number of pixels of the grid, or of rays of the scan";
        Err(ReconError::field("number of values", got, expected))
    }

    /// Rays of a view.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Pixels along a side of the image.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    pub(super) fn views(&self) -> usize {
        self.views.len()
    }

    pub(super) fn forward_views(&self, image: &Turned, views: &[usize], out: &mut [f32]) {
        match &self.way {
            Way::Parallel(joseph) => joseph.forward(image, views, out),
            Way::Fan(rays) => rays.forward(image, views, out),
        }
    }

    pub(super) fn adjoint_views(&self, rays: &[f32], views: &[usize]) -> Vec<f32> {
        match &self.way {
            Way::Parallel(joseph) => joseph.adjoint(rays, views),
            Way::Fan(projector) => projector.adjoint(rays, views),
        }
    }
}
