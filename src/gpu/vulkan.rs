//! A Vulkan device of `engine-gpu`.

use anyhow::Result;
use engine::recon::{Filtered, Sirt};
use engine_gpu::{Choice, Gpu};

/// An open device.
#[derive(Debug)]
pub(crate) struct Device(Gpu);

impl Device {
    /// Opens what the word of `GONGYING_GPU` asks for.
    pub(crate) fn open(word: &str) -> Result<Option<Device>> {
        let choice: Choice = word.parse()?;
        Ok(Gpu::open(choice)?.map(Device))
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
