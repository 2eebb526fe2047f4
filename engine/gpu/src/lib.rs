//! Twins of the engine's kernels on a GPU, through Vulkan. Each agrees with its CPU kernel within the limits that its
//! documentation states; without a usable device the caller stays on the CPU.

mod area;
mod device;
mod error;
mod kernel;
mod recon;
mod resident;
mod volume;
mod window;

pub use device::{Choice, Gpu};
pub use error::GpuError;
pub use resident::Residents;
pub use volume::GpuVolume;
pub use window::StoredValues;
