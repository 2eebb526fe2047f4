//! What a device with a memory of its own offers to those who ask for pictures of volumes.

use super::composite::Scene;
use super::lines::Lines;
use super::mpr::Reformat;
use super::voxels::Volume;
use crate::pixel::Picture;

/// A failure of the device, as its driver tells it. The next request finds the device opened anew, or none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceFault(pub String);

/// Makes pictures of volumes that it keeps in its own memory between requests. `key` names the content of a volume:
/// the same key, the same voxels. Calls block until the picture is there.
///
/// `Ok(None)` leaves a picture to the CPU: the volume does not fit, or the device is gone.
pub trait VolumeDevice: Send + Sync + std::fmt::Debug {
    /// Whether pictures are made here at present; does not block.
    fn is_ready(&self) -> bool;

    /// The picture of lines of [`Volume::lines_of_cut`] or [`Volume::lines_of_projection`].
    ///
    /// # Errors
    /// A device that fails.
    fn sample(&self, key: &str, volume: &Volume, lines: &Lines) -> Result<Option<Reformat>, DeviceFault>;

    /// The composite picture of a scene of [`Volume::scene`].
    ///
    /// # Errors
    /// A device that fails.
    fn composite(&self, key: &str, volume: &Volume, scene: &Scene) -> Result<Option<Picture>, DeviceFault>;
}
