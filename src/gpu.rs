//! Where kernels run: `GONGYING_GPU` is `off`, `auto` (a real GPU when there is one; the default) or `force` (any Vulkan
//! device, also a software one). Built without the feature `gpu` the program has the CPU alone and says so.
//!
//! A device that fails during a computation is told on standard error, and the CPU does it again.

#[cfg_attr(feature = "gpu", path = "gpu/vulkan.rs")]
#[cfg_attr(not(feature = "gpu"), path = "gpu/none.rs")]
mod device;

use crate::output;
use anyhow::{Result, bail};
pub(crate) use device::{Device, Held};
use engine::volume::VolumeDevice;
use std::sync::Arc;

const VARIABLE: &str = "GONGYING_GPU";

/// What `--backend` asks for.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The processor.
    Cpu,
    /// A GPU, or an error.
    Gpu,
    /// What `GONGYING_GPU` and the machine allow.
    Auto,
}

/// The device that the environment asks for; `None` is the CPU.
pub(crate) fn chosen() -> Result<Option<Device>> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    Device::open(&text)
}

/// The device for work that the way to a GPU costs more than the CPU takes (windows, thumbnails): only where the
/// environment insists.
pub(crate) fn forced() -> Result<Option<Device>> {
    match std::env::var(VARIABLE) {
        Ok(word) if word.trim().eq_ignore_ascii_case("force") => Device::open(&word),
        _ => Ok(None),
    }
}

/// The device for `--backend`; `pays` says that a GPU does this kernel faster, so that `auto` may take one.
pub(crate) fn for_backend(backend: Backend, pays: bool) -> Result<Option<Device>> {
    match backend {
        Backend::Cpu => Ok(None),
        Backend::Auto if pays => chosen(),
        Backend::Auto => forced(),
        Backend::Gpu => match chosen()? {
            Some(device) => Ok(Some(device)),
            None => bail!(
                "--backend gpu: no GPU adapter is in use here; {VARIABLE}=force takes a software one, --backend cpu none"
            ),
        },
    }
}

/// The device that keeps volumes of the web service; `None` is the CPU.
pub(crate) fn for_volumes() -> Result<Option<Arc<dyn VolumeDevice>>> {
    device::for_volumes(&std::env::var(VARIABLE).unwrap_or_default())
}

/// What the device made; when it fails, what the CPU makes.
pub(crate) fn or_cpu<T>(on_device: Option<Result<T>>, on_cpu: impl FnOnce() -> Result<T>) -> Result<T> {
    match on_device {
        Some(Ok(made)) => Ok(made),
        Some(Err(error)) => {
            output::note(&format!("gongying: {error:#}; computed on the CPU"));
            on_cpu()
        }
        None => on_cpu(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_device_leaves_the_work_to_the_cpu() {
        assert_eq!(or_cpu(Some(Ok(1)), || Ok(2)).unwrap(), 1);
        assert_eq!(or_cpu(None, || Ok(2)).unwrap(), 2);
        assert_eq!(or_cpu(Some(Err(anyhow::anyhow!("lost"))), || Ok(2)).unwrap(), 2);
    }

    #[test]
    fn off_is_the_cpu_and_a_wrong_word_an_error() {
        assert!(Device::open("off").unwrap().is_none());
        assert!(Device::open("sometimes").is_err());
        assert!(device::for_volumes("off").unwrap().is_none());
        assert!(device::for_volumes("sometimes").is_err());
        assert!(for_backend(Backend::Cpu, true).unwrap().is_none());
    }
}
