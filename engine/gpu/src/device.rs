//! Choosing a device and moving bytes to and from it.

use crate::GpuError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest wait for one submission.
const WAIT_SECONDS_MAX: u64 = 30;

/// The operator's choice, `GONGYING_GPU`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Never.
    Off,
    /// A real GPU when there is one, else the CPU.
    #[default]
    Auto,
    /// Any Vulkan device, also a software one; an error when there is none.
    Force,
}

impl std::str::FromStr for Choice {
    type Err = GpuError;

    fn from_str(text: &str) -> Result<Self, GpuError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "auto" | "" => Ok(Self::Auto),
            "force" => Ok(Self::Force),
            _ => Err(GpuError::Choice(text.chars().take(40).collect())),
        }
    }
}

/// An open device. Calls block; async code has to make them on a thread for compute.
#[derive(Debug)]
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) window: OnceLock<crate::kernel::Kernel>,
    pub(crate) area: OnceLock<crate::kernel::Kernel>,
    pub(crate) recon: OnceLock<crate::recon::Kernels>,
    pub(crate) volume: OnceLock<crate::kernel::Kernel>,
    pub(crate) composite: OnceLock<crate::kernel::Kernel>,
    /// First error that the device reported by itself.
    failure: Arc<OnceLock<String>>,
    name: String,
    software: bool,
}

impl Gpu {
    /// Opens a device as chosen; `None` means the CPU.
    ///
    /// # Errors
    /// With [`Choice::Force`] when there is no device or it cannot be opened.
    pub fn open(choice: Choice) -> Result<Option<Self>, GpuError> {
        match choice {
            Choice::Off => Ok(None),
            Choice::Auto => Ok(pollster::block_on(open()).ok().filter(|gpu| !gpu.software)),
            Choice::Force => pollster::block_on(open()).map(Some),
        }
    }

    /// Name of the device as its driver gives it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the device is a processor that plays a GPU: for tests, not for speed.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.software
    }

    pub(crate) fn check_size(&self, bytes: u64) -> Result<(), GpuError> {
        let limits = self.device.limits();
        let bytes_max = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        if bytes > bytes_max {
            Err(GpuError::TooLarge { bytes, bytes_max })
        } else {
            Ok(())
        }
    }

    /// Waits for everything submitted and reads `buffer` back.
    pub(crate) fn read_back(&self, buffer: &wgpu::Buffer) -> Result<Vec<u8>, GpuError> {
        let (send, receive) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only when this function has given up already.
            let _ = send.send(result);
        });
        let timeout = Some(Duration::from_secs(WAIT_SECONDS_MAX));
        let lost = |error: &dyn std::fmt::Display| GpuError::Lost(error.to_string());
        self.device
            .poll(wgpu::PollType::Wait {
                submission_index: None,
                timeout,
            })
            .map_err(|e| lost(&e))?;
        receive.try_recv().map_err(|e| lost(&e))?.map_err(|e| lost(&e))?;
        let bytes = buffer.get_mapped_range(..).map_err(|e| lost(&e))?.to_vec();
        buffer.unmap();
        match self.failure.get() {
            Some(why) => Err(GpuError::Lost(why.clone())),
            None => Ok(bytes),
        }
    }
}

async fn open() -> Result<Gpu, GpuError> {
    let none = |error: &dyn std::fmt::Display| GpuError::NoDevice(error.to_string());
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let wish = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    let adapter = instance.request_adapter(&wish).await.map_err(|e| none(&e))?;
    let info = adapter.get_info();
    // Volumes need larger buffers than the portable default of 128 MiB.
    let required_limits = adapter.limits();
    let wish = wgpu::DeviceDescriptor {
        label: Some("gongying"),
        required_limits,
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&wish).await.map_err(|e| none(&e))?;
    // The library would end the process on these; they come out with the next result instead.
    let failure = Arc::new(OnceLock::new());
    let note = failure.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let _ = note.set(error.to_string());
    }));
    let note = failure.clone();
    device.set_device_lost_callback(move |_, why| {
        let _ = note.set(why);
    });
    let software = info.device_type == wgpu::DeviceType::Cpu;
    Ok(Gpu {
        device,
        queue,
        window: OnceLock::new(),
        area: OnceLock::new(),
        recon: OnceLock::new(),
        volume: OnceLock::new(),
        composite: OnceLock::new(),
        failure,
        name: info.name,
        software,
    })
}

/// The device of the test machine, or none with a line that says so; `REQUIRE_ALL=1` insists on one.
#[cfg(test)]
pub(crate) fn on_test_device() -> Option<Gpu> {
    match Gpu::open(Choice::Force) {
        Ok(gpu) => gpu,
        Err(error) if std::env::var_os("REQUIRE_ALL").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_one_of_three_words() {
        for (text, expected) in [
            ("off", Some(Choice::Off)),
            ("AUTO", Some(Choice::Auto)),
            ("", Some(Choice::Auto)),
            ("force", Some(Choice::Force)),
            ("on", None),
        ] {
            assert_eq!(text.parse::<Choice>().ok(), expected, "{text}");
        }
    }

    /// What is asked of a lost device is an error, never the end of the process and never a wrong picture.
    #[test]
    fn a_lost_device_is_an_error() {
        use engine::pixel::{Grid, VoiFunction, Window};
        let Some(gpu) = on_test_device() else { return };
        let window = Window::new(2.0, 5.0, VoiFunction::Linear).unwrap();
        let values = crate::StoredValues::Unsigned(&[1, 2, 3, 4]);
        assert!(gpu.window(values, (1.0, 0.0), &window, false).is_ok());
        gpu.device.destroy();
        let lost = gpu.window(values, (1.0, 0.0), &window, false);
        assert!(matches!(lost, Err(GpuError::Lost(_))), "{lost:?}");
        let lost = gpu.area_average(values, &Grid::whole((2, 2, 1), (1, 1)), (1, 1));
        assert!(matches!(lost, Err(GpuError::Lost(_))), "{lost:?}");
    }

    #[test]
    fn off_opens_nothing() {
        assert!(Gpu::open(Choice::Off).unwrap().is_none());
    }
}
