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
const SUM_LEAST: f32 = 1e-6;

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

/// Views of one subset with its sums.
struct Subset {
    views: Vec<usize>,
    /// Measured rays.
    rays: Vec<f32>,
    /// Inverse sums over each ray and over each pixel.
    ray_inverse: Vec<f32>,
    pixel_inverse: Vec<f32>,
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
    let projector = Projector::new(scan, grid)?;
    scan.check(projections)?;
    sirt_with(&projector, options, projections)
}

/// The same on a projector that is there.
pub(super) fn sirt_with(
    projector: &Projector,
    options: &SirtOptions,
    projections: &[f32],
) -> Result<Vec<f32>, ReconError> {
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
    let subsets: Vec<Subset> = (0..options.subsets).map(subset).collect();
    let mut image = Padded::zeros(size, size);
    let mut difference = Vec::new();
    for _ in 0..options.iterations {
        for subset in &subsets {
            let turned = Turned::of(image);
            difference.resize(subset.rays.len(), 0.0);
            projector.forward_views(&turned, &subset.views, &mut difference);
            difference
                .par_iter_mut()
                .zip(&subset.rays)
                .zip(&subset.ray_inverse)
                .for_each(|((d, measured), inverse)| *d = (measured - *d) * inverse);
            let change = projector.adjoint_views(&difference, &subset.views);
            image = turned.plain;
            step(&mut image, &change, &subset.pixel_inverse, options.non_negative);
        }
    }
    Ok(image.to_dense())
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
