//! Images from projections: filtered back-projection (parallel and fan beam), Feldkamp's method (cone beam) and
//! SIRT with ordered subsets on a Joseph projector.
//!
//! **Coordinates.** Millimetres, the rotation axis at the origin. Pixel (row r, column c) of an N x N image has its
//! centre at `x = (c - (N-1)/2) p`, `y = ((N-1)/2 - r) p`; slices of a volume lie along z in the same way as columns
//! along x. Element k of a row of n detectors lies at `(k - (n-1)/2) d` from the place where the axis projects.
//!
//! **Rays.** At angle t a parallel ray is `x cos t + y sin t = s` and runs along (-sin t, cos t). A fan or cone starts
//! at S (sin t, -cos t), S from the axis, and meets a flat detector that stands across the central ray, columns along
//! (cos t, sin t), rows along z.
//!
//! **Values** are line integrals per millimetre in and attenuation per millimetre out.
//!
//! Work is spread over the rayon pool in which a function is called; its size is the caller's choice and does not
//! change the result. Scalar and vector paths give equal bits.

mod angles;
mod error;
mod fbp;
mod fdk;
mod fft;
mod filter;
mod geometry;
mod joseph;
mod padded;
mod projector;
mod rays;
pub mod ring;
mod simd;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;
mod sirt;
#[cfg(test)]
mod tests;

pub use error::ReconError;
pub use fbp::{Filtered, PixelView, fbp};
pub use fdk::fdk;
pub use filter::Window;
pub use geometry::{Beam, Grid, Scan};
pub use joseph::RayView;
pub use projector::Projector;
pub use sirt::{Sirt, SirtOptions, Subset, sirt};
