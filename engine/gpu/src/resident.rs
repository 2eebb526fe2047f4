//! Volumes that stay in the device's memory from one picture to the next.

use crate::{Choice, Gpu, GpuError, GpuVolume};
use engine::pixel::Picture;
use engine::volume::{DeviceFault, Lines, Reformat, Scene, Volume, VolumeDevice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often a device is opened in all: for the first picture, and again where it was lost.
const OPENED_MAX: u32 = 4;

/// A device and the volumes that it holds: up to a number of bytes, the one asked for longest ago goes first. A picture
/// that is being made keeps its volume, so that for as long as it takes there may be one volume more for each of them.
///
/// The device is opened for the first picture. One that is lost takes its volumes with it and is opened again for the
/// next picture, a few times.
#[derive(Debug)]
pub struct Residents {
    choice: Choice,
    bytes_max: u64,
    /// There is a device or one may be opened; apart, so that nobody waits for a copy to learn it.
    ready: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    gpu: Option<Arc<Gpu>>,
    opened: u32,
    /// The one asked for longest ago comes first.
    volumes: Vec<Resident>,
}

#[derive(Debug)]
struct Resident {
    key: String,
    volume: Arc<GpuVolume>,
}

impl Held {
    /// The device, opened where it is not; `None` where there is none.
    fn device(&mut self, choice: Choice) -> Result<Option<Arc<Gpu>>, GpuError> {
        if self.gpu.is_none() && self.opened < OPENED_MAX {
            self.opened += 1;
            let found = Gpu::open(choice);
            if !matches!(found, Ok(Some(_))) {
                // What is not there now is not asked for again.
                self.opened = OPENED_MAX;
            }
            self.gpu = found?.map(Arc::new);
        }
        Ok(self.gpu.clone())
    }

    /// The volume, which counts as used now.
    fn find(&mut self, key: &str) -> Option<Arc<GpuVolume>> {
        let at = self.volumes.iter().position(|r| r.key == key)?;
        let found = self.volumes.remove(at);
        let volume = Arc::clone(&found.volume);
        self.volumes.push(found);
        Some(volume)
    }

    fn bytes(&self) -> u64 {
        self.volumes.iter().map(|r| r.volume.bytes()).sum()
    }
}

type Placed = Option<(Arc<Gpu>, Arc<GpuVolume>)>;

impl Residents {
    /// A device as chosen, with that much of its memory for volumes.
    #[must_use]
    pub fn new(choice: Choice, bytes_max: u64) -> Self {
        Self {
            choice,
            bytes_max,
            ready: AtomicBool::new(choice != Choice::Off),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, held: &Held) {
        let ready = held.gpu.is_some() || held.opened < OPENED_MAX;
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// The device and the volume on it, copied there where it is not yet; one at a time. `None` where it cannot be.
    fn place(&self, key: &str, volume: &Volume) -> Result<Placed, GpuError> {
        if !self.ready.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut held = self.held();
        let device = held.device(self.choice);
        self.tell(&held);
        let Some(gpu) = device? else { return Ok(None) };
        if let Some(found) = held.find(key) {
            return Ok(Some((gpu, found)));
        }
        let bytes = size_of_val(volume.stored().values) as u64;
        if bytes > self.bytes_max {
            return Ok(None);
        }
        while held.bytes() + bytes > self.bytes_max && !held.volumes.is_empty() {
            held.volumes.remove(0);
        }
        let volume = Arc::new(gpu.upload(volume)?);
        held.volumes.push(Resident {
            key: key.to_owned(),
            volume: Arc::clone(&volume),
        });
        Ok(Some((gpu, volume)))
    }

    fn make<T>(
        &self,
        key: &str,
        volume: &Volume,
        work: impl FnOnce(&Gpu, &GpuVolume) -> Result<T, GpuError>,
    ) -> Result<Option<T>, DeviceFault> {
        let placed = match self.place(key, volume) {
            Ok(Some(placed)) => placed,
            Ok(None) | Err(GpuError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(DeviceFault(error.to_string())),
        };
        let (gpu, volume) = placed;
        match work(&gpu, &volume) {
            Ok(made) => Ok(Some(made)),
            Err(GpuError::TooLarge { .. }) => Ok(None),
            Err(error) => {
                let mut held = self.held();
                // Others may have opened it anew meanwhile.
                if held.gpu.as_ref().is_some_and(|own| Arc::ptr_eq(own, &gpu)) {
                    held.gpu = None;
                    held.volumes.clear();
                    self.tell(&held);
                }
                Err(DeviceFault(error.to_string()))
            }
        }
    }
}

impl VolumeDevice for Residents {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn sample(&self, key: &str, volume: &Volume, lines: &Lines) -> Result<Option<Reformat>, DeviceFault> {
        self.make(key, volume, |gpu, held| gpu.sample(held, lines))
    }

    fn composite(&self, key: &str, volume: &Volume, scene: &Scene) -> Result<Option<Picture>, DeviceFault> {
        self.make(key, volume, |gpu, held| gpu.composite(held, scene))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::on_test_device;
    use engine::volume::{Grid, Rescale, SlabMode, View, project};

    const SIDE: usize = 20;

    fn ball(value: i16) -> Volume {
        let grid = Grid::upright([SIDE; 3], [1.0; 3]).unwrap();
        let far = |i: usize| i.abs_diff(SIDE / 2).pow(2);
        let values: Vec<i16> = (0..SIDE.pow(3))
            .map(|i| far(i % SIDE) + far(i / SIDE % SIDE) + far(i / SIDE / SIDE))
            .map(|d| if d < 40 { value } else { -1000 })
            .collect();
        Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap()
    }

    fn lines(volume: &Volume) -> Lines {
        volume
            .lines_of_projection(&view(), SlabMode::Mip)
            .unwrap()
            .unwrap()
    }

    fn view() -> View {
        View {
            azimuth_deg: 20.0,
            elevation_deg: 10.0,
            size: (24, 24),
            pixel_mm: None,
        }
    }

    /// Room for so many balls; `None` where the machine has no device.
    fn residents(room: u64) -> Option<Residents> {
        on_test_device()?;
        let bytes = size_of_val(ball(0).stored().values) as u64;
        Some(Residents::new(Choice::Force, room * bytes + bytes / 2))
    }

    fn keys(residents: &Residents) -> Vec<String> {
        residents.held().volumes.iter().map(|r| r.key.clone()).collect()
    }

    #[test]
    fn the_volume_asked_for_longest_ago_goes_first() {
        let Some(device) = residents(2) else { return };
        let volumes: Vec<Volume> = [100, 200, 300].map(ball).into();
        let ask = |n: usize| {
            let (key, lines) = (n.to_string(), lines(&volumes[n]));
            let made = device.sample(&key, &volumes[n], &lines).unwrap().unwrap();
            let expect = project(&volumes[n], &view(), SlabMode::Mip).unwrap();
            let apart = made.values.iter().zip(&expect.values).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f32::max) < 0.02, "{n}");
        };
        for (n, expect) in [
            (0, vec!["0"]),
            (1, vec!["0", "1"]),
            (0, vec!["1", "0"]),
            (2, vec!["0", "2"]),
        ] {
            ask(n);
            assert_eq!(keys(&device), expect);
            assert!(device.held().bytes() <= device.bytes_max);
        }
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_cpu() {
        let Some(device) = residents(0) else { return };
        let volume = ball(5);
        assert_eq!(device.sample("0", &volume, &lines(&volume)), Ok(None));
        assert!(device.is_ready() && keys(&device).is_empty());
    }

    #[test]
    fn a_lost_device_is_said_and_opened_again_a_few_times() {
        let Some(device) = residents(2) else { return };
        let volume = ball(700);
        let ask = || device.sample("0", &volume, &lines(&volume));
        for _ in 0..OPENED_MAX {
            assert!(matches!(ask(), Ok(Some(_))));
            device.held().gpu.as_ref().unwrap().device.destroy();
            assert!(ask().is_err());
            assert!(keys(&device).is_empty());
        }
        assert_eq!(ask(), Ok(None));
        assert!(!device.is_ready());
    }

    #[test]
    fn off_holds_nothing() {
        let (device, volume) = (Residents::new(Choice::Off, u64::MAX), ball(5));
        assert_eq!(device.sample("0", &volume, &lines(&volume)), Ok(None));
        assert!(!device.is_ready());
    }
}
