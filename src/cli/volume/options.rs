//! Options that `gongying volume` and `gongying bench` share, and what they ask for.

use super::picture;
use crate::cli::image::parse_size;
use crate::gpu::{Device, Held};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use engine::ImagingError;
use engine::pixel::{Picture, Window};
use engine::volume::{
    BodyPlane, Interpolation, Lines, Plane, Preset, Reformat, Scene, Slab, SlabMode, View, Volume,
    body_plane, composite, native_plane, project, reformat,
};
use std::path::PathBuf;

/// Pixels of a picture whose size was not asked for.
const SIZE_DEFAULT: (usize, usize) = (512, 512);
const THREADS_MAX: usize = 256;

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Mip,
    Minip,
    Mean,
    Composite,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaneName {
    Axial,
    Coronal,
    Sagittal,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterpolationName {
    Linear,
    Cubic,
}

/// Where a plane lies.
#[derive(Args, Debug, Clone)]
#[group(id = "volume_place")]
pub(crate) struct Place {
    /// A plane of the volume's own grid, together with --index.
    #[arg(long, value_enum, requires = "index", conflicts_with_all = ["origin", "row", "col"])]
    plane: Option<PlaneName>,
    /// Slice of --plane, counted from 0.
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    /// Centre of the first pixel, X,Y,Z in millimetres (left, posterior, head).
    #[arg(long, value_name = "X,Y,Z", allow_hyphen_values = true, requires_all = ["row", "col"])]
    origin: Option<String>,
    /// Direction along a row.
    #[arg(long, value_name = "X,Y,Z", allow_hyphen_values = true)]
    row: Option<String>,
    /// Direction down a column.
    #[arg(long, value_name = "X,Y,Z", allow_hyphen_values = true)]
    col: Option<String>,
    /// Millimetres between pixels.
    #[arg(long, value_name = "MM")]
    pixel: Option<f64>,
    /// Thickness of a slab centred on the plane, in millimetres.
    #[arg(long, value_name = "MM")]
    slab: Option<f64>,
}

/// From where and how a volume is looked at.
#[derive(Args, Debug, Clone)]
#[group(id = "volume_look")]
pub(crate) struct Look {
    /// Colours and opacity of --mode composite: ct-bone, ct-vessel, ct-lung or mr.
    #[arg(long, value_parser = preset, default_value = "ct-bone")]
    preset: Preset,
    /// AZIMUTH,ELEVATION in degrees: 0,0 from the front, 90,0 from the right, 0,90 from the head.
    #[arg(long, value_name = "AZ,EL", allow_hyphen_values = true, default_value = "0,0")]
    view: String,
}

/// Where the picture goes, and how it is made.
#[derive(Args, Debug)]
#[group(id = "volume_target")]
pub(crate) struct Target {
    /// File to write: .npy holds values, .png grey levels or colours.
    #[arg(short, long)]
    output: PathBuf,
    /// CENTER,WIDTH[,linear|linear_exact|sigmoid] of a .png; the series' own window or the whole range without it.
    #[arg(long, allow_hyphen_values = true)]
    window: Option<String>,
    /// How values between voxels are made (planes and curves).
    #[arg(long, value_enum, default_value_t = InterpolationName::Linear)]
    interpolation: InterpolationName,
    /// Threads of the compute pool; all processors without it.
    #[arg(long)]
    threads: Option<usize>,
}

fn preset(name: &str) -> Result<Preset, String> {
    let names = || Preset::ALL.map(|p| p.0).join(", ");
    Preset::parse(name).ok_or_else(|| format!("presets are {}", names()))
}

/// What is cut.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    what: What,
    slab: Option<Slab>,
    interpolation: Interpolation,
}

#[derive(Debug, Clone)]
enum What {
    Body {
        plane: BodyPlane,
        index: usize,
        pixel_mm: Option<f64>,
        size: Option<(usize, usize)>,
    },
    Free {
        origin: [f64; 3],
        row: [f64; 3],
        col: [f64; 3],
        pixel_mm: Option<f64>,
        size: (usize, usize),
    },
}

/// What is seen.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    view: View,
    /// `None` for composite.
    mode: Option<SlabMode>,
    preset: Preset,
}

pub(crate) enum Seen {
    Values(Reformat),
    Colours(Picture),
}

/// A picture that a device makes.
pub(crate) enum Elsewhere {
    Values(Lines),
    Colours(Scene),
}

impl Elsewhere {
    pub(crate) fn see(&self, device: &Device, volume: &Held) -> Result<Seen> {
        Ok(match self {
            Self::Values(lines) => Seen::Values(device.sample(volume, lines)?),
            Self::Colours(scene) => Seen::Colours(device.composite(volume, scene)?),
        })
    }
}

impl Place {
    /// Checks the options before anything is read.
    pub(crate) fn wish(&self, mode: Mode, size: Option<&str>) -> Result<Cut> {
        let size = size.map(sides).transpose()?;
        let what = match (self.plane, self.index, &self.origin, &self.row, &self.col) {
            (Some(plane), Some(index), None, None, None) => What::Body {
                plane: match plane {
                    PlaneName::Axial => BodyPlane::Axial,
                    PlaneName::Coronal => BodyPlane::Coronal,
                    PlaneName::Sagittal => BodyPlane::Sagittal,
                },
                index,
                pixel_mm: self.pixel,
                size,
            },
            (None, None, Some(origin), Some(row), Some(col)) => What::Free {
                origin: triple("--origin", origin)?,
                row: triple("--row", row)?,
                col: triple("--col", col)?,
                pixel_mm: self.pixel,
                size: size.unwrap_or(SIZE_DEFAULT),
            },
            _ => bail!("say which plane: --plane with --index, or --origin, --row and --col"),
        };
        Ok(Cut {
            what,
            slab: slab(self.slab, mode)?,
            interpolation: Interpolation::Linear,
        })
    }
}

impl Cut {
    pub(crate) fn with(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    pub(crate) fn cut(&self, volume: &Volume) -> Result<Reformat, ImagingError> {
        match &self.what {
            What::Body { plane, index, .. } if self.is_native() => native_plane(volume, *plane, *index),
            _ => reformat(volume, &self.plane(volume)?, self.slab, self.interpolation),
        }
    }

    /// What another device needs to cut; `None` where it has no twin.
    pub(crate) fn lines(&self, volume: &Volume) -> Result<Option<Lines>, ImagingError> {
        if self.is_native() || self.interpolation != Interpolation::Linear {
            return Ok(None);
        }
        volume.lines_of_cut(&self.plane(volume)?, self.slab)
    }

    /// A plane of the volume's own grid, without interpolation.
    fn is_native(&self) -> bool {
        let own = matches!(
            self.what,
            What::Body {
                pixel_mm: None,
                size: None,
                ..
            }
        );
        own && self.slab.is_none()
    }

    fn plane(&self, volume: &Volume) -> Result<Plane, ImagingError> {
        match &self.what {
            What::Body {
                plane,
                index,
                pixel_mm,
                size,
            } => body_plane(volume, *plane, *index, *pixel_mm, *size),
            What::Free {
                origin,
                row,
                col,
                pixel_mm,
                size,
            } => {
                let pixel = pixel_mm.unwrap_or_else(|| volume.grid().finest_mm());
                Plane::new(*origin, *row, *col, pixel, *size)
            }
        }
    }
}

impl Look {
    /// Checks the options before anything is read.
    pub(crate) fn wish(&self, mode: Mode, pixel_mm: Option<f64>, size: &str) -> Result<Sight> {
        let [azimuth_deg, elevation_deg] = numbers("--view", &self.view, "AZIMUTH,ELEVATION in degrees")?;
        Ok(Sight {
            view: View {
                azimuth_deg,
                elevation_deg,
                size: sides(size)?,
                pixel_mm,
            },
            mode: slab_mode(mode),
            preset: self.preset,
        })
    }
}

impl Sight {
    pub(crate) fn see(&self, volume: &Volume) -> Result<Seen, ImagingError> {
        Ok(match self.mode {
            Some(mode) => Seen::Values(project(volume, &self.view, mode)?),
            None => Seen::Colours(composite(volume, &self.view, self.preset)?),
        })
    }

    /// What another device needs to see it; `None` where it has no twin.
    pub(crate) fn elsewhere(&self, volume: &Volume) -> Result<Option<Elsewhere>, ImagingError> {
        Ok(match self.mode {
            Some(mode) => volume
                .lines_of_projection(&self.view, mode)?
                .map(Elsewhere::Values),
            None => volume.scene(&self.view, self.preset)?.map(Elsewhere::Colours),
        })
    }

    pub(crate) fn pixels(&self) -> usize {
        self.view.size.0 * self.view.size.1
    }
}

fn slab_mode(mode: Mode) -> Option<SlabMode> {
    match mode {
        Mode::Mip => Some(SlabMode::Mip),
        Mode::Minip => Some(SlabMode::MinIp),
        Mode::Mean => Some(SlabMode::Mean),
        Mode::Composite => None,
    }
}

/// A slab of a mode that slabs have.
pub(super) fn slab(thickness_mm: Option<f64>, mode: Mode) -> Result<Option<Slab>> {
    let mode =
        slab_mode(mode).context("--mode composite is for whole volumes; a slab takes mip, minip or mean")?;
    Ok(thickness_mm.map(|thickness_mm| Slab { thickness_mm, mode }))
}

fn sides(text: &str) -> Result<(usize, usize)> {
    let (width, height) = parse_size(text)?;
    Ok((width as usize, height as usize))
}

/// `X,Y,Z`.
pub(super) fn triple(name: &str, text: &str) -> Result<[f64; 3]> {
    numbers(name, text, "three numbers with commas between, such as 0,-1,0")
}

/// Exactly `N` finite numbers with commas between.
fn numbers<const N: usize>(name: &str, text: &str, expected: &str) -> Result<[f64; N]> {
    let parsed: Option<Vec<f64>> = text
        .split(',')
        .map(|t| t.trim().parse().ok().filter(|v: &f64| v.is_finite()))
        .collect();
    parsed
        .and_then(|v| v.try_into().ok())
        .with_context(|| format!("{name} \"{text}\" should be {expected}"))
}

/// `Z,Y,X` above 0.
pub(super) fn spacing(text: &str) -> Result<[f64; 3]> {
    let zyx = numbers::<3>("--spacing", text, "Z,Y,X in millimetres")?;
    if zyx.iter().any(|s| *s <= 0.0) {
        bail!("--spacing \"{text}\": each must be above 0");
    }
    Ok(zyx)
}

impl Target {
    /// Refuses what cannot be written before anything is computed.
    pub(crate) fn check(&self) -> Result<()> {
        picture::kind_of(&self.output)?;
        if let Some(window) = &self.window {
            Window::parse(window)?;
        }
        if self.threads.is_some_and(|n| n == 0 || n > THREADS_MAX) {
            bail!("--threads: from 1 to {THREADS_MAX}");
        }
        Ok(())
    }

    pub(crate) fn interpolation(&self) -> Interpolation {
        match self.interpolation {
            InterpolationName::Linear => Interpolation::Linear,
            InterpolationName::Cubic => Interpolation::Cubic,
        }
    }

    /// Runs on as many threads as were asked for.
    pub(crate) fn on_pool<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.unwrap_or(0))
            .build()?;
        Ok(pool.install(work))
    }

    /// `own` is the window that the series brought along.
    pub(crate) fn write(&self, picture: &Reformat, own: Option<&Window>) -> Result<()> {
        let asked = self.window.as_deref().map(Window::parse).transpose()?;
        picture::write(&self.output, picture, asked.as_ref().or(own))
    }

    /// Writes what was seen; `own` is the series' window.
    pub(crate) fn show(&self, seen: &Seen, own: Option<&Window>) -> Result<()> {
        match seen {
            Seen::Values(picture) => self.write(picture, own),
            Seen::Colours(picture) => picture::write_colours(&self.output, picture),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_and_checked() {
        assert_eq!(triple("--row", "0, -1,0.5").unwrap(), [0.0, -1.0, 0.5]);
        for bad in ["1,2", "1,2,3,4", "a,b,c", "1,2,nan", "1,2,inf", ""] {
            let message = triple("--row", bad).unwrap_err().to_string();
            assert!(message.contains("--row"), "{message}");
        }
        assert_eq!(spacing("1,0.7,0.7").unwrap(), [1.0, 0.7, 0.7]);
        assert!(spacing("1,0,0.7").is_err());
    }

    #[test]
    fn a_plane_is_said_in_one_of_two_ways() {
        let place = |plane, index, origin: Option<&str>| Place {
            plane,
            index,
            origin: origin.map(ToOwned::to_owned),
            row: origin.map(|_| "1,0,0".into()),
            col: origin.map(|_| "0,1,0".into()),
            pixel: None,
            slab: None,
        };
        assert!(
            place(Some(PlaneName::Axial), Some(3), None)
                .wish(Mode::Mip, None)
                .is_ok()
        );
        assert!(
            place(None, None, Some("0,0,0"))
                .wish(Mode::Mip, Some("9,9"))
                .is_ok()
        );
        assert!(place(None, None, None).wish(Mode::Mip, None).is_err());
        assert!(
            place(Some(PlaneName::Axial), None, None)
                .wish(Mode::Mip, None)
                .is_err()
        );
        assert!(
            place(None, None, Some("0,0,0"))
                .wish(Mode::Composite, None)
                .is_err()
        );
    }
}
