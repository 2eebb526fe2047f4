//! Reconstruction on the GPU: twins of `engine::recon` for parallel and fan back-projection and for SIRT on parallel
//! rays. Filtering and the sums of SIRT are done by the engine; what grows with pixels times views runs here.

use crate::kernel::Kernel;
use crate::{Gpu, GpuError};
use engine::recon::{Filtered, PixelView, RayView, Sirt};

/// Views of one submission: a driver ends work that takes seconds.
const VIEWS_PER_PASS: usize = 64;
const SQUARE: u32 = 16;
const LINE: u32 = 64;

/// The compiled kernels.
#[derive(Debug)]
pub(crate) struct Kernels {
    back_project: Kernel,
    project: Kernel,
    gather: Kernel,
}

/// Mirrors `Parameters` of recon.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct BackProjection {
    size: u32,
    columns: u32,
    first: u32,
    last: u32,
    middle: f32,
    spare: [f32; 3],
}

/// Mirrors `Parameters` of sirt.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Step {
    size: u32,
    columns: u32,
    first: u32,
    count: u32,
    pixels: u32,
    non_negative: u32,
    middle: f32,
    axis: f32,
}

/// Mirrors `View` of sirt.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Rays {
    step: f32,
    shift: f32,
    weight: f32,
    turned: u32,
}

impl Gpu {
    fn recon_kernels(&self) -> &Kernels {
        self.recon.get_or_init(|| {
            let sirt = include_str!("sirt.wgsl");
            Kernels {
                back_project: self.kernel(include_str!("recon.wgsl"), "back_project"),
                project: self.kernel(sirt, "project"),
                gather: self.kernel(sirt, "gather"),
            }
        })
    }

    /// The image that `filtered.back_project()` makes, within 1e-5 of its largest value.
    ///
    /// # Errors
    /// Too many values for a buffer of the device; a device that fails.
    pub fn back_project(&self, filtered: &Filtered) -> Result<Vec<f32>, GpuError> {
        let size = filtered.grid().size();
        let views: Vec<[f32; 8]> = filtered.views().iter().map(view_numbers).collect();
        let views = self.storage(&views)?;
        let values = self.storage(&filtered.values())?;
        let image = self.zeros(size * size)?;
        let count = filtered.views().len();
        let groups = [(size as u32).div_ceil(SQUARE); 2];
        for first in (0..count).step_by(VIEWS_PER_PASS) {
            let parameters = self.uniform(&BackProjection {
                size: size as u32,
                columns: filtered.columns() as u32,
                first: first as u32,
                last: count.min(first + VIEWS_PER_PASS) as u32,
                middle: (size as f32 - 1.0) / 2.0,
                spare: [0.0; 3],
            });
            let buffers = [(0, &parameters), (1, &views), (2, &values), (3, &image)];
            self.pass(&self.recon_kernels().back_project, &buffers, groups);
        }
        self.download(&image)
    }

    /// The image that `sirt.run()` makes, within 1e-4 of its largest value after a few passes; `None` for a fan, which
    /// has no twin.
    ///
    /// # Errors
    /// Too many values for a buffer of the device; a device that fails.
    pub fn sirt(&self, sirt: &Sirt) -> Result<Option<Vec<f32>>, GpuError> {
        let Some(all) = sirt.projector().ray_views() else {
            return Ok(None);
        };
        let subsets = sirt.subsets();
        let size = sirt.projector().size();
        let columns = sirt.projector().columns();
        let ordered: Vec<Rays> = subsets
            .iter()
            .flat_map(|s| &s.views)
            .map(|v| rays(&all[*v]))
            .collect();
        let join = |part: fn(&engine::recon::Subset) -> &Vec<f32>| -> Vec<f32> {
            subsets.iter().flat_map(part).copied().collect()
        };
        let measured = join(|s| &s.rays);
        let difference = self.zeros(measured.len())?;
        let views = self.storage(&ordered)?;
        let measured = self.storage(&measured)?;
        let ray_inverse = self.storage(&join(|s| &s.ray_inverse))?;
        let pixel_inverse = self.storage(&join(|s| &s.pixel_inverse))?;
        let image = self.zeros(size * size)?;
        let mut first = 0;
        let mut steps = Vec::new();
        for (subset, number) in subsets.iter().zip(0_u32..) {
            let step = Step {
                size: size as u32,
                columns: columns as u32,
                first,
                count: subset.views.len() as u32,
                pixels: number * (size * size) as u32,
                non_negative: u32::from(sirt.options().non_negative),
                middle: (size as f32 - 1.0) / 2.0,
                axis: all.first().map_or(0.0, |view| axis(view, size)),
            };
            first += step.count;
            steps.push((self.uniform(&step), step));
        }
        let kernels = self.recon_kernels();
        for (uniform, step) in (0..sirt.options().iterations).flat_map(|_| &steps) {
            let project = [
                (0, uniform),
                (1, &views),
                (2, &measured),
                (3, &ray_inverse),
                (5, &difference),
                (6, &image),
            ];
            self.pass(
                &kernels.project,
                &project,
                [step.columns.div_ceil(LINE), step.count],
            );
            let gather = [
                (0, uniform),
                (1, &views),
                (4, &pixel_inverse),
                (5, &difference),
                (6, &image),
            ];
            self.pass(&kernels.gather, &gather, [step.size.div_ceil(SQUARE); 2]);
        }
        self.download(&image).map(Some)
    }
}

fn view_numbers(view: &PixelView) -> [f32; 8] {
    let (across, down) = view.nearer.unwrap_or((0.0, 0.0));
    [view.across, view.down, view.axis, across, down, 0.0, 0.0, 0.0].map(|v| v as f32)
}

fn rays(view: &RayView) -> Rays {
    Rays {
        step: view.step as f32,
        shift: view.shift as f32,
        weight: view.weight,
        turned: u32::from(view.turned),
    }
}

/// The ray that passes the axis: it meets the middle row in the middle.
fn axis(view: &RayView, size: usize) -> f32 {
    let middle = (size as f64 - 1.0) / 2.0;
    ((middle - view.origin - middle * view.shift) / view.step) as f32
}

#[cfg(test)]
mod tests {
    use crate::device::on_test_device;
    use engine::recon::{Beam, Filtered, Grid, Scan, Sirt, SirtOptions, Window};
    use std::f64::consts::{PI, TAU};

    fn scan(beam: Beam, views: usize, columns: usize, pitch_mm: f64) -> (Scan, Vec<f32>) {
        let span = if beam == Beam::Parallel { PI } else { TAU };
        let angles = (0..views).map(|i| i as f64 * span / views as f64).collect();
        let scan = Scan::new(beam, angles, 1, columns, pitch_mm)
            .unwrap()
            .with_axis(1.3)
            .unwrap();
        let middle = columns as f64 / 2.0;
        let value = |view: usize, k: usize| {
            let off = (k as f64 - middle) / middle - 0.2 * (view as f64 * 0.05).sin();
            (20.0 * (0.4 - off * off).max(0.0).sqrt() + (k * 7 + view * 13) as f64 % 5.0 * 0.1) as f32
        };
        let values = (0..views)
            .flat_map(|v| (0..columns).map(move |k| value(v, k)))
            .collect();
        (scan, values)
    }

    fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
        let peak = a.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / peak
    }

    #[test]
    fn back_projection_agrees_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        let fan = Beam::Fan {
            source_mm: 150.0,
            source_detector_mm: 220.0,
        };
        for (beam, columns) in [(Beam::Parallel, 100), (fan, 190)] {
            let (scan, values) = scan(beam, 150, columns, 0.9);
            let grid = Grid::new(97, 0.8).unwrap();
            let filtered = Filtered::new(&scan, &grid, Window::Ramp, &values).unwrap();
            let error = largest_difference(&filtered.back_project(), &gpu.back_project(&filtered).unwrap());
            assert!(error < 1e-5, "{error}");
        }
    }

    #[test]
    fn sirt_agrees_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        for (pitch_mm, subsets, non_negative) in [(0.9, 1, false), (0.5, 4, true), (2.0, 3, false)] {
            let (scan, values) = scan(Beam::Parallel, 61, 80, pitch_mm);
            let grid = Grid::new(70, 0.8).unwrap();
            let options = SirtOptions {
                iterations: 4,
                subsets,
                non_negative,
                ..Default::default()
            };
            let sirt = Sirt::new(&scan, &grid, &options, &values).unwrap();
            let error = largest_difference(&sirt.run(), &gpu.sirt(&sirt).unwrap().unwrap());
            assert!(error < 1e-4, "{error}");
        }
    }
}
