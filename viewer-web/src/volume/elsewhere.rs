//! Pictures of volumes by a device with a memory of its own.

use engine::error::ImagingError;
use engine::pixel::Picture;
use engine::volume::{DeviceFault, Lines, Reformat, Scene, Volume, VolumeDevice};
use std::sync::Arc;

/// A device, if there is one, and the name of the volume in question.
pub(super) struct Elsewhere {
    device: Option<Arc<dyn VolumeDevice>>,
    key: String,
}

impl Elsewhere {
    pub(super) fn new(device: Option<&Arc<dyn VolumeDevice>>, key: &str) -> Self {
        let device = device.filter(|device| device.is_ready());
        Self {
            device: device.map(Arc::clone),
            key: key.to_owned(),
        }
    }

    /// Of what the pictures are: those of a device differ in the last digits from those of the CPU.
    pub(super) fn mark(&self) -> &'static str {
        if self.device.is_some() { "device" } else { "cpu" }
    }

    /// A picture of values; `None` leaves it to the CPU.
    pub(super) fn values(
        &self,
        volume: &Volume,
        lines: impl FnOnce() -> Result<Option<Lines>, ImagingError>,
    ) -> Result<Option<Reformat>, ImagingError> {
        let Some(device) = &self.device else {
            return Ok(None);
        };
        let Some(lines) = lines()? else { return Ok(None) };
        Ok(or_cpu(device.sample(&self.key, volume, &lines)))
    }

    /// A picture of colours; `None` leaves it to the CPU.
    pub(super) fn colours(
        &self,
        volume: &Volume,
        scene: impl FnOnce() -> Result<Option<Scene>, ImagingError>,
    ) -> Result<Option<Picture>, ImagingError> {
        let Some(device) = &self.device else {
            return Ok(None);
        };
        let Some(scene) = scene()? else { return Ok(None) };
        Ok(or_cpu(device.composite(&self.key, volume, &scene)))
    }
}

fn or_cpu<T>(made: Result<Option<T>, DeviceFault>) -> Option<T> {
    made.unwrap_or_else(|fault| {
        metrics::counter!("gongying_gpu_faults_total").increment(1);
        tracing::warn!(%fault, "the GPU failed while a volume was being seen; the CPU makes the picture");
        None
    })
}
