//! `gongying volume`: say what a series is, cut it, project it, lay a curve out straight.

mod kernels;
mod load;
mod options;
mod picture;
mod stack;

pub(super) use kernels::{KernelOptions, load_project, load_reformat};

use crate::{gpu, output};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use engine::volume::{Curve, CurvedLayout, Volume, curved};
use load::{Source, Subject};
use options::{Elsewhere, Look, Mode, Place, Seen, Target};
use serde_json::{Value, json};

/// Commands for volumes: a folder with one DICOM series, a multi-frame DICOM file, or a .npy array (z, y, x).
#[derive(Subcommand, Debug)]
pub(crate) enum VolumeCommand {
    /// Say where the voxels lie and what is wrong with the series.
    Info(Info),
    /// Cut a plane or a slab.
    Mpr(Mpr),
    /// Look through the whole volume.
    Project(Project),
    /// Lay the neighbourhood of a curve out straight.
    Curved(Curved),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying volume info ct-series/ --json")]
pub(crate) struct Info {
    #[command(flatten)]
    source: Source,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying volume mpr ct-series/ --plane coronal --index 256 -o coronal.png --window 40,400\nExample: gongying volume mpr v.npy --spacing 1,0.7,0.7 --origin 0,90,0 --row 1,0,0 --col 0,0,1 --size 512,400 --pixel 0.7 --slab 20 --mode mip -o slab.npy"
)]
pub(crate) struct Mpr {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    place: Place,
    /// How the samples of a slab are put together.
    #[arg(long, value_enum, default_value_t = Mode::Mip)]
    mode: Mode,
    /// WIDTH,HEIGHT in pixels.
    #[arg(long)]
    size: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying volume project ct-series/ --mode composite --preset ct-bone --view 30,10 --size 512,512 -o bone.png"
)]
pub(crate) struct Project {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    look: Look,
    /// What is made of the values along each ray.
    #[arg(long, value_enum, default_value_t = Mode::Mip)]
    mode: Mode,
    /// Millimetres between pixels; without it the whole volume fills the picture.
    #[arg(long, value_name = "MM")]
    pixel: Option<f64>,
    /// WIDTH,HEIGHT in pixels.
    #[arg(long, default_value = "512,512")]
    size: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying volume curved ct-series/ --through \"10,-20,300 14,-25,280 9,-30,255\" --width 40 -o vessel.png"
)]
pub(crate) struct Curved {
    #[command(flatten)]
    source: Source,
    /// Points of the curve, X,Y,Z each, in millimetres.
    #[arg(long, allow_hyphen_values = true)]
    through: String,
    /// Width of the picture across the curve.
    #[arg(long, value_name = "MM", default_value_t = 50.0)]
    width: f64,
    /// Turn about the curve.
    #[arg(long, value_name = "DEG", default_value_t = 0.0, allow_hyphen_values = true)]
    angle: f64,
    /// Millimetres between pixels; the finest spacing of the volume without it.
    #[arg(long, value_name = "MM")]
    pixel: Option<f64>,
    /// Thickness of a slab centred on the picture.
    #[arg(long, value_name = "MM")]
    slab: Option<f64>,
    /// How the samples of a slab are put together.
    #[arg(long, value_enum, default_value_t = Mode::Mip)]
    mode: Mode,
    #[command(flatten)]
    target: Target,
}

impl VolumeCommand {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Info(c) => c.run(),
            Self::Mpr(c) => c.run(),
            Self::Project(c) => c.run(),
            Self::Curved(c) => c.run(),
        }
    }
}

impl Info {
    fn run(self) -> Result<()> {
        let value = describe(&self.source.describe()?);
        if self.json {
            return output::json(None, &value);
        }
        let Value::Object(fields) = value else {
            return Ok(());
        };
        for (name, value) in fields {
            output::line(&format!("{name}: {value}"))?;
        }
        Ok(())
    }
}

/// What `wish` shows, on the GPU that the environment asks for; `None` is for the CPU.
fn on_device(
    volume: &Volume,
    wish: impl FnOnce() -> Result<Option<Elsewhere>>,
) -> Result<Option<Result<Seen>>> {
    let Some(device) = gpu::chosen()? else {
        return Ok(None);
    };
    Ok(wish()?.map(|wish| wish.see(&device, &device.upload(volume)?)))
}

fn describe(subject: &Subject) -> Value {
    let grid = &subject.grid;
    let [x, y, z] = grid.dims();
    let [sx, sy, sz] = grid.spacing_mm();
    let unit = |v: [f64; 3], length: f64| v.map(|c| c / length);
    let [row, column, step] = grid.axes();
    json!({
        "dimensions": [z, y, x],
        "spacing_mm": [sz, sy, sx],
        "origin_mm": grid.origin_mm(),
        "orientation": {"row": unit(row, sx), "column": unit(column, sy), "slice": unit(step, sz)},
        "tilt_deg": grid.tilt_deg(),
        "volumes": subject.volumes,
        "gaps": subject.gaps(),
        "warnings": subject.findings.iter().map(engine::volume::Finding::en).collect::<Vec<_>>(),
    })
}

impl Mpr {
    fn run(self) -> Result<()> {
        self.target.check()?;
        let wish = self
            .place
            .wish(self.mode, self.size.as_deref())?
            .with(self.target.interpolation());
        let loaded = self.source.load()?;
        load::tell(&loaded.findings);
        let lines = || Ok(wish.lines(&loaded.volume)?.map(Elsewhere::Values));
        let seen = gpu::or_cpu(on_device(&loaded.volume, lines)?, || {
            let cut = self.target.on_pool(|| wish.cut(&loaded.volume))??;
            Ok(Seen::Values(cut))
        })?;
        self.target.show(&seen, loaded.window.as_ref())
    }
}

impl Project {
    fn run(self) -> Result<()> {
        self.target.check()?;
        let wish = self.look.wish(self.mode, self.pixel, &self.size)?;
        let loaded = self.source.load()?;
        load::tell(&loaded.findings);
        let elsewhere = || Ok(wish.elsewhere(&loaded.volume)?);
        let seen = gpu::or_cpu(on_device(&loaded.volume, elsewhere)?, || {
            Ok(self.target.on_pool(|| wish.see(&loaded.volume))??)
        })?;
        self.target.show(&seen, None)
    }
}

impl Curved {
    fn run(self) -> Result<()> {
        self.target.check()?;
        let points: Vec<[f64; 3]> = self
            .through
            .split_whitespace()
            .map(|p| options::triple("--through", p))
            .collect::<Result<_>>()?;
        let curve = Curve::through(&points).context("--through")?;
        if self.mode == Mode::Composite {
            bail!("--mode composite is for whole volumes; a slab takes mip, minip or mean");
        }
        let loaded = self.source.load()?;
        load::tell(&loaded.findings);
        let layout = CurvedLayout {
            pixel_mm: self.pixel.unwrap_or_else(|| loaded.volume.grid().finest_mm()),
            width_mm: self.width,
            angle_deg: self.angle,
        };
        let slab = options::slab(self.slab, self.mode)?;
        let picture = self
            .target
            .on_pool(|| curved(&loaded.volume, &curve, &layout, slab, self.target.interpolation()))??;
        self.target.write(&picture, loaded.window.as_ref())
    }
}
