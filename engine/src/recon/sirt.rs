//! SIRT, and the same over ordered subsets of the views.
//!
//! `x <- x + C A' R (b - A x)` with the inverse row sums R and column sums C of A (P. Gilbert, J. Theor. Biol. 36
//! (1972) 105; form and convergence: J. Gregor and T. Benson, IEEE Trans. Med. Imaging 27 (2008) 918). Ordered
//! subsets take every s-th view in turn, so that one pass over the data changes the image s times.

use super::joseph::Turned;
use super::padded::Padded;
use super::projector::Projector;
use super::{Grid, ReconError, Scan};
use rayon::prelude::*;

/// Passes over the data.
const ITERATIONS_MAX: usize = 10_000;
const SUBSETS_MAX: usize = 64;
/// Sums below this part of the largest one belong to rays or pixels that hardly meet anything; they are left out.
const SUM_LEAST: f32 = 1e-3;

/// How SIRT proceeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SirtOptions {
    /// Passes over all projections.
    pub iterations: usize,
    /// Parts into which the views are divided; 1 is plain SIRT.
    pub subsets: usize,
    /// Factor of each step, above 0 and below 2.
    pub relaxation: f32,
    /// Sets negative values to zero after each step.
    pub non_negative: bool,
}

impl Default for SirtOptions {
    fn default() -> Self {
        Self {
            iterations: 50,
            subsets: 1,
            relaxation: 1.0,
            non_negative: false,
        }
    }
}

impl SirtOptions {
    fn check(&self, views: usize) -> Result<(), ReconError> {
        if !(1..=ITERATIONS_MAX).contains(&self.iterations) {
            let expected = "1 to 10000";
            return Err(ReconError::field(
                "number of iterations",
                self.iterations,
                expected,
            ));
        }
        if !(1..=SUBSETS_MAX.min(views)).contains(&self.subsets) {
            let expected = "1 to 64, and no more than there are views";
            return Err(ReconError::field("number of subsets", self.subsets, expected));
        }
        if !(self.relaxation > 0.0 && self.relaxation < 2.0) {
            let expected = "above 0 and below 2";
            return Err(ReconError::field("relaxation", self.relaxation, expected));
        }
        Ok(())
    }
}

/// Views of one subset with their rays and sums.
#[derive(Debug)]
pub struct Subset {
    /// Numbers of the views.
    pub views: Vec<usize>,
    /// Measured rays, shape (views, columns).
    pub rays: Vec<f32>,
    /// One over the sum of each ray's weights; 0 where a ray meets nothing.
    pub ray_inverse: Vec<f32>,
    /// Relaxation over the sum of each pixel's weights; 0 where no ray comes.
    pub pixel_inverse: Vec<f32>,
}

/// Image of `grid` from `projections` of shape (angles, columns), parallel or fan, starting from zero.
///
/// # Errors
/// [`ReconError`] when projections, scan, grid and options do not go together, and for a cone beam.
pub fn sirt(
    scan: &Scan,
    grid: &Grid,
    options: &SirtOptions,
    projections: &[f32],
) -> Result<Vec<f32>, ReconError> {
    Ok(Sirt::new(scan, grid, options, projections)?.run())
}

/// Everything that the passes need, for here or for another device.
#[derive(Debug)]
pub struct Sirt {
    projector: Projector,
    options: SirtOptions,
    subsets: Vec<Subset>,
}

impl Sirt {
    /// # Errors
    /// As [`sirt`].
    pub fn new(
        scan: &Scan,
        grid: &Grid,
        options: &SirtOptions,
        projections: &[f32],
    ) -> Result<Self, ReconError> {
        Self::with(Projector::new(scan, grid)?, scan, options, projections)
    }

    pub(super) fn with(
        projector: Projector,
        scan: &Scan,
        options: &SirtOptions,
        projections: &[f32],
    ) -> Result<Self, ReconError> {
        scan.check(projections)?;
        options.check(projector.views())?;
        let (size, columns) = (projector.size(), projector.columns());
        let ones = Turned::of(Padded::of(&vec![1.0; size * size], size));
        let subset = |first: usize| {
            let views: Vec<usize> = (first..projector.views()).step_by(options.subsets).collect();
            let rays = views
                .iter()
                .flat_map(|v| &projections[v * columns..(v + 1) * columns])
                .copied()
                .collect();
            let mut lengths = vec![0.0; views.len() * columns];
            projector.forward_views(&ones, &views, &mut lengths);
            let pixel_sums = projector.adjoint_views(&vec![1.0; lengths.len()], &views);
            Subset {
                rays,
                ray_inverse: inverse(&lengths, 1.0),
                pixel_inverse: inverse(&pixel_sums, options.relaxation),
                views,
            }
        };
        let subsets = (0..options.subsets).map(subset).collect();
        Ok(Self {
            projector,
            options: *options,
            subsets,
        })
    }

    /// The projector of scan and grid.
    #[must_use]
    pub fn projector(&self) -> &Projector {
        &self.projector
    }

    /// How the passes proceed.
    #[must_use]
    pub fn options(&self) -> &SirtOptions {
        &self.options
    }

    /// The subsets, in the order in which a pass takes them.
    #[must_use]
    pub fn subsets(&self) -> &[Subset] {
        &self.subsets
    }

    /// The image after all passes, row by row.
    #[must_use]
    pub fn run(&self) -> Vec<f32> {
        let size = self.projector.size();
        let mut image = Padded::zeros(size, size);
        let mut difference = Vec::new();
        for subset in (0..self.options.iterations).flat_map(|_| &self.subsets) {
            let turned = Turned::of(image);
            difference.resize(subset.rays.len(), 0.0);
            self.projector
                .forward_views(&turned, &subset.views, &mut difference);
            difference
                .par_iter_mut()
                .zip(&subset.rays)
                .zip(&subset.ray_inverse)
                .for_each(|((d, measured), inverse)| *d = (measured - *d) * inverse);
            let change = self.projector.adjoint_views(&difference, &subset.views);
            image = turned.plain;
            let non_negative = self.options.non_negative;
            step(&mut image, &change, &subset.pixel_inverse, non_negative);
        }
        image.to_dense()
    }
}

fn step(image: &mut Padded, change: &[f32], inverse: &[f32], non_negative: bool) {
    let size = image.width();
    for (row, (change, inverse)) in change
        .chunks_exact(size)
        .zip(inverse.chunks_exact(size))
        .enumerate()
    {
        for ((value, change), inverse) in image.row_mut(row).iter_mut().zip(change).zip(inverse) {
            *value += change * inverse;
            if non_negative {
                *value = value.max(0.0);
            }
        }
    }
}

/// `factor` over each sum, 0 where there is next to nothing.
fn inverse(sums: &[f32], factor: f32) -> Vec<f32> {
    let least = sums.iter().copied().fold(0.0, f32::max) * SUM_LEAST;
    sums.iter()
        .map(|sum| if *sum > least { factor / sum } else { 0.0 })
        .collect()
}
