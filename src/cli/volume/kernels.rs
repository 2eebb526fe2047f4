//! The volume kernels that `gongying bench` times: the volume is in memory, one picture is made in each run.

use super::load::{self, Choice};
use super::options::{Elsewhere, InterpolationName, Look, Mode, Place};
use crate::cli::kernel::Loaded;
use crate::gpu::Device;
use anyhow::{Result, bail};
use clap::Args;
use engine::volume::{Interpolation, Volume};
use std::path::{Path, PathBuf};

type Run = Box<dyn FnMut() -> Result<()> + Send>;

/// What the volume kernels take beside `--size`.
#[derive(Args, Debug, Clone)]
#[group(id = "volume_kernel")]
pub(crate) struct KernelOptions {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    look: Look,
    /// Volume kernels: how samples are put together.
    #[arg(long, value_enum, default_value_t = Mode::Mip)]
    mode: Mode,
    /// Volume kernels: how values between voxels are made.
    #[arg(long, value_enum, default_value_t = InterpolationName::Linear)]
    interpolation: InterpolationName,
}

fn one(input: &[PathBuf]) -> Result<&Path> {
    match input {
        [path] => Ok(path),
        _ => bail!("volume kernels take one folder or array, not {}", input.len()),
    }
}

/// The run on a device that has a twin of it, with the volume held there; takes the device.
fn on_device(volume: &Volume, wish: Option<Elsewhere>, device: &mut Option<Device>) -> Result<Option<Run>> {
    let Some(wish) = wish else { return Ok(None) };
    let Some(device) = device.take() else {
        return Ok(None);
    };
    let held = device.upload(volume)?;
    Ok(Some(Box::new(move || {
        std::hint::black_box(wish.see(&device, &held)?);
        Ok(())
    })))
}

fn pixels(work: f64, run: Run) -> Loaded {
    Loaded {
        work,
        unit: "pixels",
        run,
    }
}

/// `volume-mpr` and `volume-slab`.
pub(crate) fn load_reformat(
    input: &[PathBuf],
    options: &KernelOptions,
    size: Option<&str>,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let interpolation = match options.interpolation {
        InterpolationName::Linear => Interpolation::Linear,
        InterpolationName::Cubic => Interpolation::Cubic,
    };
    let wish = options.place.wish(options.mode, size)?.with(interpolation);
    let volume = load::load(one(input)?, &options.choice)?.volume;
    let picture = wish.cut(&volume)?;
    let work = (picture.width * picture.height) as f64;
    if let Some(run) = on_device(&volume, wish.lines(&volume)?.map(Elsewhere::Values), device)? {
        return Ok(pixels(work, run));
    }
    let run = Box::new(move || {
        std::hint::black_box(wish.cut(&volume)?);
        Ok(())
    });
    Ok(pixels(work, run))
}

/// `volume-project`.
pub(crate) fn load_project(
    input: &[PathBuf],
    options: &KernelOptions,
    size: Option<&str>,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let wish = options.look.wish(options.mode, None, size.unwrap_or("512,512"))?;
    let volume = load::load(one(input)?, &options.choice)?.volume;
    let work = wish.pixels() as f64;
    if let Some(run) = on_device(&volume, wish.elsewhere(&volume)?, device)? {
        return Ok(pixels(work, run));
    }
    let run = Box::new(move || {
        std::hint::black_box(wish.see(&volume)?);
        Ok(())
    });
    Ok(pixels(work, run))
}
