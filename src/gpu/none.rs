//! A program without GPU support: no value of [`Device`] exists.

use anyhow::{Result, bail};
use engine::codec::Samples;
use engine::pixel::{GreySteps, Grid, Picture};
use engine::recon::{Filtered, Sirt};
use engine::volume::{Lines, Reformat, Scene, Volume, VolumeDevice};
use std::sync::Arc;

/// The CPU, or an error when a device was insisted on.
pub(super) fn for_volumes(word: &str) -> Result<Option<Arc<dyn VolumeDevice>>> {
    Device::open(word).map(|_| None)
}

/// No device.
#[derive(Debug)]
pub(crate) enum Device {}

/// No volume is held without a device.
#[derive(Debug)]
pub(crate) enum Held {}

impl Device {
    /// The CPU, or an error when a device was insisted on.
    pub(crate) fn open(word: &str) -> Result<Option<Device>> {
        match word.trim().to_ascii_lowercase().as_str() {
            "" | "off" | "auto" => Ok(None),
            "force" => {
                bail!("GONGYING_GPU=force: built without GPU support; build with the feature gpu or set auto")
            }
            _ => bail!("GONGYING_GPU={word:.40}: write off, auto or force"),
        }
    }

    pub(crate) fn window(&self, _: &Samples, _: &GreySteps) -> Option<Result<Vec<u8>>> {
        match *self {}
    }

    pub(crate) fn area_average(&self, _: &Samples, _: &Grid, _: (usize, usize)) -> Option<Result<Vec<f32>>> {
        match *self {}
    }

    pub(crate) fn upload(&self, _: &Volume) -> Result<Held> {
        match *self {}
    }

    pub(crate) fn sample(&self, _: &Held, _: &Lines) -> Result<Reformat> {
        match *self {}
    }

    pub(crate) fn composite(&self, _: &Held, _: &Scene) -> Result<Picture> {
        match *self {}
    }

    pub(crate) fn back_project(&self, _: &Filtered) -> Result<Vec<f32>> {
        match *self {}
    }

    pub(crate) fn sirt(&self, _: &Sirt) -> Result<Option<Vec<f32>>> {
        match *self {}
    }
}
