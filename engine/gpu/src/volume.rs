//! Reformats, slabs, projections and composite ray casting on the GPU: twins of `engine::volume`. A volume is uploaded once and asked often.

use crate::kernel::Kernel;
use crate::{Gpu, GpuError};
use engine::pixel::Picture;
use engine::volume::{Fixed, Lines, Reformat, SampleLine, Scene, SlabMode, Volume};

const SQUARE: u32 = 16;

/// Mirrors `Parameters` of volume.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    shape: [u32; 4],
    limit: [i32; 4],
    jumps: [i32; 4],
    scale: [f32; 4],
}

/// Mirrors `Line` and `Step` of volume.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line {
    whole: [i32; 3],
    first: u32,
    rest: [f32; 3],
    end: u32,
}

impl Line {
    fn of(place: &Fixed, first: u32, end: u32) -> Self {
        Self {
            whole: place.whole,
            first,
            rest: place.rest,
            end,
        }
    }
}

/// A volume in the device's memory.
#[derive(Debug)]
pub struct GpuVolume {
    values: wgpu::Buffer,
    limit: [i32; 4],
    jumps: [i32; 4],
    scale: [f32; 4],
}

impl GpuVolume {
    /// Bytes that it takes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.values.size()
    }
}

impl Gpu {
    fn volume_kernel(&self) -> &Kernel {
        self.volume
            .get_or_init(|| self.kernel(include_str!("volume.wgsl"), "main"))
    }

    /// Copies a volume to the device.
    ///
    /// # Errors
    /// More bytes than a buffer of the device holds.
    pub fn upload(&self, volume: &Volume) -> Result<GpuVolume, GpuError> {
        let stored = volume.stored();
        let rescale = volume.rescale();
        let four = |[x, y, z]: [i32; 3]| [x, y, z, 0];
        Ok(GpuVolume {
            values: self.storage(stored.values)?,
            limit: four(stored.limit),
            jumps: four(stored.jumps),
            scale: [
                rescale.slope as f32,
                rescale.intercept as f32,
                volume.outside(),
                0.0,
            ],
        })
    }

    /// The picture of `lines` through `volume`, within 0.02 of the CPU's for steps of 1000 between voxels.
    ///
    /// # Errors
    /// Too many lines or pixels for a buffer of the device; a device that fails.
    pub fn sample(&self, volume: &GpuVolume, lines: &Lines) -> Result<Reformat, GpuError> {
        let asked = self.ask(volume, lines)?;
        let (width, height) = (lines.width, lines.height);
        let picture = self.zeros(width * height)?;
        self.pass(
            self.volume_kernel(),
            &asked.buffers(volume, &picture),
            asked.groups,
        );
        Ok(Reformat {
            width,
            height,
            values: self.download(&picture)?,
        })
    }

    /// The composite picture of `scene` through `volume`, within one level of the CPU's.
    ///
    /// # Errors
    /// As [`Gpu::sample`].
    pub fn composite(&self, volume: &GpuVolume, scene: &Scene) -> Result<Picture, GpuError> {
        let asked = self.ask(volume, &scene.lines)?;
        let (width, height) = (scene.lines.width, scene.lines.height);
        let picture = self.zeros(width * height * 3)?;
        let [x, y, z] = scene.gradients.map(|[a, b, c]| [a, b, c, 0.0]);
        let [sx, sy, sz] = scene.sight;
        let last = scene.table.len().saturating_sub(1) as f32;
        let view = [
            x,
            y,
            z,
            [sx, sy, sz, scene.surface],
            scene.light,
            [
                scene.table_low,
                scene.table_per_value,
                last,
                scene.shininess as f32,
            ],
        ];
        let (view, looks) = (self.uniform(&view), self.storage(&scene.table)?);
        let mut buffers = asked.buffers(volume, &picture).to_vec();
        buffers.extend([(5, &view), (6, &looks)]);
        let kernel = self
            .composite
            .get_or_init(|| self.kernel(include_str!("volume.wgsl"), "composite"));
        self.pass(kernel, &buffers, asked.groups);
        let colours = self.download(&picture)?;
        Ok(Picture {
            width: width as u32,
            height: height as u32,
            channels: 3,
            data: colours.iter().map(|c| (c * 255.0 + 0.5) as u8).collect(),
        })
    }

    /// Puts lines on the device.
    fn ask(&self, volume: &GpuVolume, lines: &Lines) -> Result<Asked, GpuError> {
        let (width, height) = (lines.width as u32, lines.height as u32);
        let parameters = self.uniform(&Parameters {
            shape: [
                width,
                height,
                lines.depths.unwrap_or(0) as u32,
                match lines.mode {
                    SlabMode::Mip => 0,
                    SlabMode::MinIp => 1,
                    SlabMode::Mean => 2,
                },
            ],
            limit: volume.limit,
            jumps: volume.jumps,
            scale: volume.scale,
        });
        let line = |line: &SampleLine| Line::of(&line.start, line.first, line.end);
        let all: Vec<Line> = lines.lines.iter().map(line).collect();
        let steps: Vec<Line> = lines.steps.iter().map(|step| Line::of(step, 0, 0)).collect();
        Ok(Asked {
            parameters,
            lines: self.storage(&all)?,
            steps: self.storage(&steps)?,
            groups: [width, height].map(|side| side.div_ceil(SQUARE)),
        })
    }
}

/// A picture's lines on the device.
struct Asked {
    parameters: wgpu::Buffer,
    lines: wgpu::Buffer,
    steps: wgpu::Buffer,
    groups: [u32; 2],
}

impl Asked {
    fn buffers<'b>(
        &'b self,
        volume: &'b GpuVolume,
        picture: &'b wgpu::Buffer,
    ) -> [(u32, &'b wgpu::Buffer); 5] {
        [
            (0, &self.parameters),
            (1, &volume.values),
            (2, &self.lines),
            (3, &self.steps),
            (4, picture),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::device::on_test_device;
    use engine::volume::{
        Grid, Interpolation, Plane, Preset, Reformat, Rescale, Slab, SlabMode, View, Volume, composite,
        project, reformat,
    };

    /// Waves with a sharp edge, 45 x 38 x 33 voxels, in units of half a step.
    fn volume() -> Volume {
        let grid = Grid::upright([45, 38, 33], [0.8, 0.8, 1.1]).unwrap();
        let value = |i: usize| {
            let (x, y, z) = (i % 45, i / 45 % 38, i / 45 / 38);
            let wave =
                600.0 * (x as f64 / 7.0).sin() * (y as f64 / 9.0).cos() + 300.0 * (z as f64 / 5.0).sin();
            wave as i16 + if x > 20 && y < 15 { 500 } else { 0 }
        };
        let values: Vec<i16> = (0..45 * 38 * 33).map(value).collect();
        let rescale = Rescale {
            slope: 0.5,
            intercept: -100.0,
        };
        Volume::from_values(grid, rescale, &values, u64::MAX).unwrap()
    }

    fn check(got: &Reformat, expect: &Reformat, what: &str) {
        assert_eq!((got.width, got.height), (expect.width, expect.height));
        let differences = got.values.iter().zip(&expect.values).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f32::max);
        assert!(worst < 0.02, "{what}: {worst}");
    }

    #[test]
    fn pictures_agree_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        let volume = volume();
        let held = gpu.upload(&volume).unwrap();
        let plane = Plane::new([-5.0, 3.0, 4.0], [0.8, 0.5, 0.3], [-0.5, 0.8, 0.0], 0.5, (90, 70)).unwrap();
        for mode in [SlabMode::Mip, SlabMode::MinIp, SlabMode::Mean] {
            for thickness_mm in [0.0, 12.0] {
                let slab = Some(Slab { thickness_mm, mode });
                let lines = volume.lines_of_cut(&plane, slab).unwrap().unwrap();
                let expect = reformat(&volume, &plane, slab, Interpolation::Linear).unwrap();
                check(&gpu.sample(&held, &lines).unwrap(), &expect, "cut");
            }
            let view = View {
                azimuth_deg: 25.0,
                elevation_deg: 15.0,
                size: (50, 60),
                pixel_mm: None,
            };
            let lines = volume.lines_of_projection(&view, mode).unwrap().unwrap();
            let expect = project(&volume, &view, mode).unwrap();
            check(&gpu.sample(&held, &lines).unwrap(), &expect, "projection");
        }
    }

    #[test]
    fn composite_pictures_agree_with_the_cpu() {
        let Some(gpu) = on_test_device() else { return };
        let volume = volume();
        let held = gpu.upload(&volume).unwrap();
        for (name, preset) in Preset::ALL {
            let view = View {
                azimuth_deg: 25.0,
                elevation_deg: 15.0,
                size: (60, 50),
                pixel_mm: None,
            };
            let scene = volume.scene(&view, preset).unwrap().unwrap();
            let got = gpu.composite(&held, &scene).unwrap();
            let expect = composite(&volume, &view, preset).unwrap();
            assert_eq!((got.width, got.height, got.channels), (60, 50, 3));
            assert!(expect.data.iter().any(|v| *v > 20), "{name} shows nothing");
            let worst = got
                .data
                .iter()
                .zip(&expect.data)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(worst <= Some(1), "{name}: {worst:?}");
        }
    }

    #[test]
    fn uneven_slices_have_no_twin() {
        let grid = Grid::upright([4, 4, 3], [1.0; 3]).unwrap();
        let grid = grid.with_places(&[0.0, 1.0, 3.5]).unwrap();
        let volume = Volume::from_values(grid, Rescale::default(), &[0; 48], u64::MAX).unwrap();
        let plane = Plane::new([0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 1.0, (4, 4)).unwrap();
        assert!(volume.lines_of_cut(&plane, None).unwrap().is_none());
        let view = View {
            azimuth_deg: 0.0,
            elevation_deg: 0.0,
            size: (4, 4),
            pixel_mm: None,
        };
        assert!(volume.scene(&view, Preset::Mr).unwrap().is_none());
    }
}
