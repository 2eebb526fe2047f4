//! Thick slabs: many parallel samples become one pixel.

use super::sample::CHUNK;
use super::voxels::Rescale;
use crate::error::{ImagingError, Result};
use std::ops::Range;

/// Most samples through a slab.
const DEPTHS_MAX: f64 = 4096.0;

/// What the samples behind one pixel become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlabMode {
    /// The greatest: vessels, bone, nodules.
    #[default]
    Mip,
    /// The least: airways.
    MinIp,
    /// Their average: less noise.
    Mean,
}

/// A slab centred on its plane.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Slab {
    /// From the first sample to the last.
    pub thickness_mm: f64,
    /// How samples are put together.
    pub mode: SlabMode,
}

impl Slab {
    /// Distances of the samples from the plane, ends included, no farther apart than `finest_mm`.
    pub(super) fn offsets_mm(&self, finest_mm: f64) -> Result<Vec<f64>> {
        let thick = self.thickness_mm;
        let steps = (thick / finest_mm - 1e-6).ceil();
        if !(0.0..DEPTHS_MAX).contains(&steps.max(0.0)) || thick.is_nan() || thick < 0.0 {
            return Err(ImagingError::Request(format!(
                "a slab of {thick} mm is not possible: it must be from 0 to {:.0} mm here",
                finest_mm * DEPTHS_MAX
            )));
        }
        if steps < 1.0 {
            return Ok(vec![0.0]);
        }
        let count = steps as usize;
        Ok((0..=count).map(|k| thick * (k as f64 / steps - 0.5)).collect())
    }
}

/// Puts the samples of up to [`CHUNK`] neighbouring pixels together, in stored values.
pub(super) struct Accumulator {
    mode: SlabMode,
    value: [f32; CHUNK],
    count: [u16; CHUNK],
}

impl Accumulator {
    pub(super) fn new(mode: SlabMode) -> Self {
        let mut made = Self {
            mode,
            value: [0.0; CHUNK],
            count: [0; CHUNK],
        };
        made.clear();
        made
    }

    fn clear(&mut self) {
        self.count.fill(0);
        self.value.fill(match self.mode {
            SlabMode::Mip => f32::NEG_INFINITY,
            SlabMode::MinIp => f32::INFINITY,
            SlabMode::Mean => 0.0,
        });
    }

    /// One sample for each pixel from `first` on.
    pub(super) fn add(&mut self, first: usize, values: &[f32]) {
        let pixels = &mut self.value[first..first + values.len()];
        let pairs = pixels.iter_mut().zip(values);
        match self.mode {
            SlabMode::Mip => pairs.for_each(|(p, v)| *p = if *v > *p { *v } else { *p }),
            SlabMode::MinIp => pairs.for_each(|(p, v)| *p = if *v < *p { *v } else { *p }),
            SlabMode::Mean => pairs.for_each(|(p, v)| *p += *v),
        }
        self.count[first..first + values.len()]
            .iter_mut()
            .for_each(|n| *n += 1);
    }

    /// The value of these pixels that is easiest to go beyond.
    pub(super) fn worst(&self, pixels: Range<usize>) -> f32 {
        let values = self.value[pixels].iter().copied();
        match self.mode {
            SlabMode::Mip => values.fold(f32::INFINITY, |w, v| if v < w { v } else { w }),
            SlabMode::MinIp => values.fold(f32::NEG_INFINITY, |w, v| if v > w { v } else { w }),
            SlabMode::Mean => 0.0,
        }
    }

    /// Writes the pixels that had a sample, in the modality's units, and starts anew.
    pub(super) fn finish(&mut self, rescale: Rescale, out: &mut [f32]) {
        let (slope, intercept) = (rescale.slope as f32, rescale.intercept as f32);
        for ((o, v), n) in out.iter_mut().zip(&self.value).zip(&self.count) {
            if *n > 0 {
                let v = if self.mode == SlabMode::Mean {
                    *v / f32::from(*n)
                } else {
                    *v
                };
                *o = v * slope + intercept;
            }
        }
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_reach_from_end_to_end() {
        let check = |thickness_mm: f64, finest: f64, expect: &[f64]| {
            let slab = Slab {
                thickness_mm,
                mode: SlabMode::Mip,
            };
            let got = slab.offsets_mm(finest).unwrap();
            assert_eq!(got.len(), expect.len(), "{got:?}");
            assert!(
                got.iter().zip(expect).all(|(a, b)| (a - b).abs() < 1e-12),
                "{got:?}"
            );
        };
        check(0.0, 0.7, &[0.0]);
        check(2.0, 1.0, &[-1.0, 0.0, 1.0]);
        check(2.0, 0.9, &[-1.0, -1.0 / 3.0, 1.0 / 3.0, 1.0]);
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            let slab = Slab {
                thickness_mm: wrong,
                mode: SlabMode::Mip,
            };
            assert!(slab.offsets_mm(0.7).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_mode_puts_its_samples_together() {
        let check = |mode, expect: [f32; 4]| {
            let mut sum = Accumulator::new(mode);
            sum.add(0, &[1.0, 5.0, 3.0]);
            sum.add(1, &[2.0, 4.0]);
            let mut out = [-1000.0; 4];
            sum.finish(
                Rescale {
                    slope: 2.0,
                    intercept: 1.0,
                },
                &mut out,
            );
            assert_eq!(out, expect);
            let mut again = [7.0; 1];
            sum.finish(Rescale::default(), &mut again);
            assert_eq!(again, [7.0]);
        };
        check(SlabMode::Mip, [3.0, 11.0, 9.0, -1000.0]);
        check(SlabMode::MinIp, [3.0, 5.0, 7.0, -1000.0]);
        check(SlabMode::Mean, [3.0, 8.0, 8.0, -1000.0]);
    }
}
