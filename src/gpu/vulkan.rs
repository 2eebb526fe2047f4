//! A Vulkan device of `engine-gpu`.

use anyhow::Result;
use engine::codec::Samples;
use engine::pixel::{GreySteps, Grid, Picture};
use engine::recon::{Filtered, Sirt};
use engine::volume::{Lines, Reformat, Scene, Volume, VolumeDevice};
use engine_gpu::{Choice, Gpu, GpuVolume, Residents, StoredValues};
use std::sync::Arc;

/// Device memory for volumes of the web service: eight of 400 slices of 512 x 512.
const RESIDENT_BYTES_MAX: u64 = 2 << 30;

/// The device that keeps volumes, which is opened when the first picture is asked for.
pub(super) fn for_volumes(word: &str) -> Result<Option<Arc<dyn VolumeDevice>>> {
    let choice: Choice = word.parse()?;
    let device = || Arc::new(Residents::new(choice, RESIDENT_BYTES_MAX)) as Arc<dyn VolumeDevice>;
    Ok((choice != Choice::Off).then(device))
}

/// An open device.
#[derive(Debug)]
pub(crate) struct Device(Gpu);

/// A volume in the device's memory.
#[derive(Debug)]
pub(crate) struct Held(GpuVolume);

impl Device {
    /// Opens what the word of `GONGYING_GPU` asks for.
    pub(crate) fn open(word: &str) -> Result<Option<Device>> {
        let choice: Choice = word.parse()?;
        Ok(Gpu::open(choice)?.map(Device))
    }

    /// Display values; `None` for stored values of other than 16 bits.
    pub(crate) fn window(&self, samples: &Samples, steps: &GreySteps) -> Option<Result<Vec<u8>>> {
        let made = self
            .0
            .window(words(samples)?, steps.rescale, &steps.window, steps.invert);
        Some(made.map_err(Into::into))
    }

    /// Means of stored values; `None` for those of other than 16 bits.
    pub(crate) fn area_average(
        &self,
        samples: &Samples,
        grid: &Grid,
        to: (usize, usize),
    ) -> Option<Result<Vec<f32>>> {
        let made = self.0.area_average(words(samples)?, grid, to);
        made.map_err(Into::into).transpose()
    }

    /// The volume in the device's memory.
    pub(crate) fn upload(&self, volume: &Volume) -> Result<Held> {
        Ok(Held(self.0.upload(volume)?))
    }

    /// The picture of lines through a volume.
    pub(crate) fn sample(&self, volume: &Held, lines: &Lines) -> Result<Reformat> {
        Ok(self.0.sample(&volume.0, lines)?)
    }

    /// The composite picture of a scene in a volume.
    pub(crate) fn composite(&self, volume: &Held, scene: &Scene) -> Result<Picture> {
        Ok(self.0.composite(&volume.0, scene)?)
    }

    /// Image of filtered projections.
    pub(crate) fn back_project(&self, filtered: &Filtered) -> Result<Vec<f32>> {
        Ok(self.0.back_project(filtered)?)
    }

    /// Image by SIRT; `None` where there is no twin.
    pub(crate) fn sirt(&self, sirt: &Sirt) -> Result<Option<Vec<f32>>> {
        Ok(self.0.sirt(sirt)?)
    }
}

fn words(samples: &Samples) -> Option<StoredValues<'_>> {
    match samples {
        Samples::U16(values) => Some(StoredValues::Unsigned(values)),
        Samples::I16(values) => Some(StoredValues::Signed(values)),
        _ => None,
    }
}
