//! Joseph's projector for parallel rays (P. M. Joseph, IEEE Trans. Med. Imaging 1 (1982) 192) and its exact transpose.
//!
//! A ray that runs more along y than along x meets every image row once; there it takes the value between the two
//! nearest pixels, times its length between rows. For the other rays rows and columns change places, so that every
//! view reads along memory. The transpose gathers: a pixel takes from each ray what that ray took from it.

use super::padded::{PAD, Padded};
use super::simd::{FRACTION_BITS, Hat, Kernel, Level, Source, Target, Walk, accumulate, fixed};
use super::{Grid, ReconError, Scan};
use rayon::prelude::*;

/// Image rows that a block of views passes before the next ones are taken.
const STRIP: usize = 32;
/// Pixels or detectors of one run of the kernel; its rounding of steps grows with the length.
const RUN: usize = 64;
/// Views that one thread projects together.
const VIEWS: usize = 16;

/// Rays of one view, in pixels: ray k meets image row r at `origin + k step + r shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RayView {
    /// Image columns take the place of rows.
    pub turned: bool,
    /// Where ray 0 meets row 0.
    pub origin: f64,
    /// From one ray to the next.
    pub step: f64,
    /// From one row to the next.
    pub shift: f64,
    /// Length of a ray between two rows, in mm.
    pub weight: f32,
}

/// An image and the same with rows and columns exchanged.
pub(super) struct Turned {
    pub(super) plain: Padded,
    pub(super) turned: Padded,
}

impl Turned {
    pub(super) fn of(plain: Padded) -> Self {
        Self {
            turned: plain.transposed(),
            plain,
        }
    }

    pub(super) fn side(&self, turned: bool) -> &Padded {
        if turned { &self.turned } else { &self.plain }
    }
}

/// The projector of a scan with parallel rays.
#[derive(Debug)]
pub(super) struct Joseph {
    level: Level,
    size: usize,
    columns: usize,
    views: Vec<RayView>,
    hats: Vec<Hat>,
}

impl Joseph {
    /// # Errors
    /// [`ReconError::Field`] when the detectors are so narrow that a pixel meets more of them than the kernel reaches.
    pub(super) fn new(level: Level, scan: &Scan, grid: &Grid) -> Result<Self, ReconError> {
        let ratio = scan.pitch_mm() / grid.pixel_mm();
        let view = |angle: &f64| {
            let (sin, cos) = angle.sin_cos();
            let turned = cos.abs() < sin.abs();
            let (step, shift, along) = if turned {
                (-ratio / sin, cos / sin, sin)
            } else {
                (ratio / cos, sin / cos, cos)
            };
            RayView {
                turned,
                origin: grid.middle() - scan.axis_column() * step - grid.middle() * shift,
                step,
                shift,
                weight: (grid.pixel_mm() / along.abs()) as f32,
            }
        };
        let views: Vec<RayView> = scan.angles_rad().iter().map(view).collect();
        let hat = |view: &RayView| {
            Hat::new(view.step.abs()).ok_or_else(|| {
                let expected = "1/8 or more; sum neighbouring detectors or take smaller pixels";
                ReconError::field("detector over pixel", ratio, expected)
            })
        };
        Ok(Self {
            level,
            size: grid.size(),
            columns: scan.columns(),
            hats: views.iter().map(hat).collect::<Result<_, _>>()?,
            views,
        })
    }

    pub(super) fn views(&self) -> &[RayView] {
        &self.views
    }

    /// Line integrals through `image` in `views`, one row of `out` each.
    pub(super) fn forward(&self, image: &Turned, views: &[usize], out: &mut [f32]) {
        out.fill(0.0);
        out.par_chunks_mut(VIEWS * self.columns)
            .zip(views.par_chunks(VIEWS))
            .for_each(|(out, views)| {
                for strip in (0..self.size).step_by(STRIP) {
                    for (row, number) in out.chunks_exact_mut(self.columns).zip(views) {
                        self.project_strip(&self.views[*number], image, strip, row);
                    }
                }
                for (row, number) in out.chunks_exact_mut(self.columns).zip(views) {
                    let weight = self.views[*number].weight;
                    row.iter_mut().for_each(|v| *v *= weight);
                }
            });
    }

    fn project_strip(&self, view: &RayView, image: &Turned, strip: usize, out: &mut [f32]) {
        let image = image.side(view.turned);
        let rows = STRIP.min(self.size - strip);
        for (run, out) in out.chunks_mut(RUN).enumerate() {
            let place = view.origin + (run * RUN) as f64 * view.step + strip as f64 * view.shift;
            let walk = Walk {
                start: fixed(place),
                column_step: fixed(view.step),
                row_step: fixed(view.shift),
            };
            let target = Target {
                columns: out.len(),
                out,
                stride: 0,
                rows,
            };
            let source = Source {
                data: image.starting_at(strip),
                stride: image.stride(),
                width: self.size,
            };
            accumulate(self.level, target, source, walk, Kernel::Linear);
        }
    }

    /// The transpose of [`Self::forward`]: `rays` has a row for each of `views`.
    pub(super) fn adjoint(&self, rays: &[f32], views: &[usize]) -> Vec<f32> {
        let mut weighted = Padded::of(rays, self.columns);
        for (row, number) in views.iter().enumerate() {
            let weight = self.views[*number].weight;
            weighted.row_mut(row).iter_mut().for_each(|v| *v *= weight);
        }
        let mut sides = [
            Padded::zeros(self.size, self.size),
            Padded::zeros(self.size, self.size),
        ];
        for (image, turned) in sides.iter_mut().zip([false, true]) {
            let stride = image.stride();
            image
                .as_mut_slice()
                .par_chunks_mut(RUN * stride)
                .enumerate()
                .for_each(|(band, out)| self.gather(&weighted, views, turned, band * RUN, out));
        }
        let [plain, turned] = sides;
        let mut image = plain.to_dense();
        let turned = turned.transposed();
        for (row, values) in image.chunks_exact_mut(self.size).enumerate() {
            values.iter_mut().zip(turned.row(row)).for_each(|(a, b)| *a += b);
        }
        image
    }

    /// What all views of one orientation give to the image rows from `first` on; `out` has the rows' zeros too.
    fn gather(&self, weighted: &Padded, views: &[usize], turned: bool, first: usize, out: &mut [f32]) {
        let stride = self.size + 2 * PAD;
        for left in (0..self.size).step_by(RUN) {
            for (row, number) in views.iter().enumerate() {
                let view = &self.views[*number];
                if view.turned != turned {
                    continue;
                }
                let place = (left as f64 - view.origin - first as f64 * view.shift) / view.step;
                let walk = Walk {
                    start: fixed(place),
                    column_step: fixed(1.0 / view.step),
                    row_step: fixed(-view.shift / view.step),
                };
                let target = Target {
                    rows: out.len() / stride,
                    columns: RUN.min(self.size - left),
                    stride,
                    out: &mut out[PAD + left..],
                };
                let source = Source {
                    data: weighted.starting_at(row),
                    stride: 0,
                    width: self.columns,
                };
                accumulate(self.level, target, source, walk, Kernel::Hat(self.hats[*number]));
            }
        }
    }
}

// A run's rounding: half a unit of the step for each sample.
const _: () = assert!((RUN as u64) < 1 << (FRACTION_BITS - 16));
