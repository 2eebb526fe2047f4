//! What can go wrong on a GPU.

/// A failure of the device or of a request to it.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// A device was insisted on and there is none.
    #[error(
        "no Vulkan device: {0}; install a driver (mesa-vulkan-drivers has a software one) or set GONGYING_GPU=auto"
    )]
    NoDevice(String),
    /// The word is no choice.
    #[error("GONGYING_GPU={0}: write off, auto or force")]
    Choice(String),
    /// More than one buffer of this device can hold.
    #[error("{bytes} bytes do not fit into a buffer of this GPU (at most {bytes_max}); compute on the CPU")]
    TooLarge {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes that fit.
        bytes_max: u64,
    },
    /// The device did not answer or was lost.
    #[error("the GPU failed: {0}; compute on the CPU (GONGYING_GPU=off)")]
    Lost(String),
}
