//! A program without GPU support: no value of [`Device`] exists.

use anyhow::{Result, bail};
use engine::recon::{Filtered, Sirt};

/// No device.
#[derive(Debug)]
pub(crate) enum Device {}

impl Device {
    /// The CPU, or an error when a device was insisted on.
    pub(crate) fn open(word: &str) -> Result<Option<Device>> {
        match word.trim().to_ascii_lowercase().as_str() {
            "" | "off" | "auto" => Ok(None),
            "force" => {
                bail!("GONGYING_GPU=force: built without GPU support; build with --features gpu or set auto")
            }
            _ => bail!("GONGYING_GPU={word:.40}: write off, auto or force"),
        }
    }

    pub(crate) fn back_project(&self, _: &Filtered) -> Result<Vec<f32>> {
        match *self {}
    }

    pub(crate) fn sirt(&self, _: &Sirt) -> Result<Option<Vec<f32>>> {
        match *self {}
    }
}
