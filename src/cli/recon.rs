//! `gongying recon`: images from projections.

use super::kernel::Loaded;
use crate::gpu::{self, Device};
use crate::output;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use engine::codec::npy::{self, Array};
use engine::recon::{self, Beam, Filtered, Grid, Scan, Sirt, SirtOptions, Window};
use std::path::{Path, PathBuf};

/// Longest file of projections: what the engine takes, in 64-bit numbers.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Reconstruct images from projections.
#[derive(Subcommand, Debug)]
pub(crate) enum Recon {
    /// Filtered back-projection of parallel or fan beams.
    #[command(
        after_help = "Example: gongying recon fbp sino.npy --geometry parallel --angles-deg 0,0.25 --detector-mm 0.7 --size 512 -o image.npy"
    )]
    Fbp(Job),
    /// Iterative reconstruction of parallel or fan beams, for few or noisy views.
    #[command(after_help = "Example: gongying recon sirt sino.npy --iterations 50 --subsets 4 -o image.npy")]
    Sirt(Job),
    /// Cone beams from a full or a short circle.
    #[command(
        after_help = "Example: gongying recon fdk views.npy --source-mm 500 --source-detector-mm 1000 --detector-mm 0.4 --size 256 -o volume.npy"
    )]
    Fdk(Job),
}

#[derive(Args, Debug)]
pub(crate) struct Job {
    /// Line integrals per mm as a numpy array, (angles, detectors) or (angles, rows, columns).
    projections: PathBuf,
    #[command(flatten)]
    options: KernelOptions,
    /// Pixels along each side of the image; as many as detectors without it.
    #[arg(long)]
    size: Option<usize>,
    /// numpy array to write: float32, (rows, columns) or (slices, rows, columns).
    #[arg(short, long, value_name = "OUT.npy")]
    output: PathBuf,
}

/// How the projections were taken and what is made of them.
#[derive(Args, Debug, Clone)]
#[group(id = "recon_kernel")]
pub(crate) struct KernelOptions {
    /// Form of the rays; parallel for fbp and sirt, cone for fdk.
    #[arg(long, value_enum)]
    geometry: Option<Geometry>,
    /// START,STEP in degrees; without it the views share half a turn (parallel) or a whole one.
    #[arg(long, allow_hyphen_values = true, conflicts_with = "angles")]
    angles_deg: Option<String>,
    /// numpy array of the angles in degrees.
    #[arg(long, value_name = "FILE.npy")]
    angles: Option<PathBuf>,
    /// Distance of neighbouring detectors in mm.
    #[arg(long, default_value_t = 1.0)]
    detector_mm: f64,
    /// Distance of the source from the rotation axis in mm.
    #[arg(long)]
    source_mm: Option<f64>,
    /// Distance of the source from the detector in mm.
    #[arg(long)]
    source_detector_mm: Option<f64>,
    /// Size of a pixel in mm; without it the detector's, scaled to the axis.
    #[arg(long)]
    pixel_mm: Option<f64>,
    /// Where the axis projects, in mm from the detector's middle towards higher columns.
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    axis_mm: f64,
    /// Detectors to each side against which a detector's constant error (a ring) is corrected; 0 leaves it.
    #[arg(long, default_value_t = 0)]
    ring_reach: usize,
    /// fbp and fdk: what the ramp is multiplied with against noise.
    #[arg(long, value_enum, default_value_t = FilterName::Ramp)]
    filter: FilterName,
    /// sirt: passes over the projections.
    #[arg(long, default_value_t = 50)]
    iterations: usize,
    /// sirt: ordered subsets of the views.
    #[arg(long, default_value_t = 1)]
    subsets: usize,
    /// sirt: no negative values.
    #[arg(long)]
    non_negative: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Geometry {
    Parallel,
    Fan,
    Cone,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FilterName {
    Ramp,
    SheppLogan,
    Cosine,
    Hann,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Fbp,
    Sirt,
    Fdk,
}

/// Everything that a method needs.
struct Loading {
    scan: Scan,
    grid: Grid,
    window: Window,
    sirt: SirtOptions,
    values: Vec<f32>,
}

impl Recon {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Fbp(job) => job.run(Method::Fbp),
            Self::Sirt(job) => job.run(Method::Sirt),
            Self::Fdk(job) => job.run(Method::Fdk),
        }
    }
}

impl Job {
    fn run(self, method: Method) -> Result<()> {
        let named = || self.projections.display().to_string();
        let loaded = load(&self.projections, method, &self.options, self.size).with_context(named)?;
        // A cone has no twin on the GPU; opening one would be for nothing.
        let device = match method {
            Method::Fdk => None,
            Method::Fbp | Method::Sirt => gpu::chosen()?,
        };
        let image = loaded.reconstruct(method, device.as_ref()).with_context(named)?;
        let grid = loaded.grid;
        let side = grid.size() as u64;
        let shape = [side; 3];
        let shape = if method == Method::Fdk {
            &shape[..]
        } else {
            &shape[..2]
        };
        output::write_file(&self.output, &npy::write_f32(shape, &image))
    }
}

impl Loading {
    /// On `device` where the method has a twin there.
    fn reconstruct(&self, method: Method, device: Option<&Device>) -> Result<Vec<f32>> {
        let (scan, grid, values) = (&self.scan, &self.grid, &self.values);
        match method {
            Method::Fbp => {
                let filtered = Filtered::new(scan, grid, self.window, values)?;
                gpu::or_cpu(device.map(|d| d.back_project(&filtered)), || {
                    Ok(filtered.back_project())
                })
            }
            Method::Sirt => {
                let sirt = Sirt::new(scan, grid, &self.sirt, values)?;
                gpu::or_cpu(device.and_then(|d| d.sirt(&sirt).transpose()), || Ok(sirt.run()))
            }
            Method::Fdk => Ok(recon::fdk(scan, grid, self.window, values)?),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("{bytes} bytes, the limit is {FILE_BYTES_MAX}: sum neighbouring detectors or views");
    }
    Ok(std::fs::read(path)?)
}

fn load(path: &Path, method: Method, options: &KernelOptions, size: Option<usize>) -> Result<Loading> {
    let bytes = read(path)?;
    let array = Array::parse(&bytes)?;
    let (angles, rows, columns) = match *array.shape() {
        [angles, columns] => (angles, 1, columns),
        [angles, rows, columns] => (angles, rows, columns),
        _ => bail!(
            "the array has {} axes; expected (angles, detectors) or (angles, rows, columns)",
            array.shape().len()
        ),
    };
    let beam = options.beam(method)?;
    let angles_rad = options.angles_rad(angles, beam)?;
    let scan = Scan::new(beam, angles_rad, rows, columns, options.detector_mm)?.with_axis(options.axis_mm)?;
    let pixel_mm = options
        .pixel_mm
        .unwrap_or(options.detector_mm * beam.demagnification());
    let grid = Grid::new(size.unwrap_or(columns), pixel_mm)?;
    let mut values = array.to_f32();
    scan.check(&values)?;
    recon::ring::remove(&mut values, angles, columns, options.ring_reach);
    let sirt = SirtOptions {
        iterations: options.iterations,
        subsets: options.subsets,
        non_negative: options.non_negative,
        ..Default::default()
    };
    Ok(Loading {
        scan,
        grid,
        window: options.window(),
        sirt,
        values,
    })
}

impl KernelOptions {
    fn window(&self) -> Window {
        match self.filter {
            FilterName::Ramp => Window::Ramp,
            FilterName::SheppLogan => Window::SheppLogan,
            FilterName::Cosine => Window::Cosine,
            FilterName::Hann => Window::Hann,
        }
    }

    fn beam(&self, method: Method) -> Result<Beam> {
        let geometry = self.geometry.unwrap_or(match method {
            Method::Fdk => Geometry::Cone,
            Method::Fbp | Method::Sirt => Geometry::Parallel,
        });
        if geometry == Geometry::Parallel {
            return Ok(Beam::Parallel);
        }
        let (Some(source_mm), Some(source_detector_mm)) = (self.source_mm, self.source_detector_mm) else {
            bail!(
                "a fan or cone needs --source-mm (source to axis) and --source-detector-mm (source to detector)"
            );
        };
        Ok(match geometry {
            Geometry::Cone => Beam::Cone {
                source_mm,
                source_detector_mm,
            },
            _ => Beam::Fan {
                source_mm,
                source_detector_mm,
            },
        })
    }

    fn angles_rad(&self, count: usize, beam: Beam) -> Result<Vec<f64>> {
        if let Some(path) = &self.angles {
            return angles_in(path, count).with_context(|| path.display().to_string());
        }
        let (start, step) = match &self.angles_deg {
            Some(text) => parse_angles(text)?,
            None if beam == Beam::Parallel => (0.0, 180.0 / count.max(1) as f64),
            None => (0.0, 360.0 / count.max(1) as f64),
        };
        Ok((0..count)
            .map(|i| (start + i as f64 * step).to_radians())
            .collect())
    }
}

fn angles_in(path: &Path, count: usize) -> Result<Vec<f64>> {
    let bytes = read(path)?;
    let array = Array::parse(&bytes)?;
    if array.shape() != [count] {
        bail!(
            "shape {:?}; expected one angle for each of {count} views",
            array.shape()
        );
    }
    Ok(array.to_f64().into_iter().map(f64::to_radians).collect())
}

/// `START,STEP` in degrees.
fn parse_angles(text: &str) -> Result<(f64, f64)> {
    text.split_once(',')
        .and_then(|(start, step)| Some((start.trim().parse().ok()?, step.trim().parse().ok()?)))
        .with_context(|| format!("--angles-deg \"{text}\" should be START,STEP in degrees"))
}

/// `recon-fbp`: filter and back-projection; work in updates of a pixel by a view.
pub(super) fn load_fbp(
    input: &[PathBuf],
    options: &KernelOptions,
    size: Option<&str>,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let loaded = one(input, options, size, Method::Fbp)?;
    kernel(loaded, Method::Fbp, 1.0, device.take())
}

/// `recon-sirt`: all iterations; work in updates of a pixel by a view, forward and back.
pub(super) fn load_sirt(
    input: &[PathBuf],
    options: &KernelOptions,
    size: Option<&str>,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let loaded = one(input, options, size, Method::Sirt)?;
    // The twin is for parallel rays.
    let device = match loaded.scan.beam() {
        Beam::Parallel => device.take(),
        Beam::Fan { .. } | Beam::Cone { .. } => None,
    };
    kernel(loaded, Method::Sirt, 2.0 * options.iterations as f64, device)
}

fn one(input: &[PathBuf], options: &KernelOptions, size: Option<&str>, method: Method) -> Result<Loading> {
    let [path] = input else {
        bail!("the kernel takes one array of projections, not {}", input.len());
    };
    let size = size
        .map(|text| text.trim().parse())
        .transpose()
        .with_context(|| "--size should be the pixels along a side")?;
    load(path, method, options, size).with_context(|| path.display().to_string())
}

fn kernel(loaded: Loading, method: Method, passes: f64, device: Option<Device>) -> Result<Loaded> {
    let pixels = (loaded.grid.size() * loaded.grid.size()) as f64;
    let work = pixels * loaded.scan.angles_rad().len() as f64 * passes;
    let run = Box::new(move || {
        std::hint::black_box(loaded.reconstruct(method, device.as_ref())?);
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "updates",
        run,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_two_numbers() {
        assert_eq!(parse_angles("-90, 0.25").unwrap(), (-90.0, 0.25));
        for bad in ["", "1", "1;2", "a,1", "1,2,3"] {
            assert!(parse_angles(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_becomes_an_image_and_a_wrong_one_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let (sino, out) = (folder.path().join("s.npy"), folder.path().join("o.npy"));
        #[derive(clap::Parser)]
        struct Line {
            #[command(subcommand)]
            recon: Recon,
        }
        let run = |values: &[u8], arguments: &[&str]| {
            std::fs::write(&sino, values).unwrap();
            let files = [sino.as_os_str(), "-o".as_ref(), out.as_os_str()];
            let words = arguments.iter().map(|a| std::ffi::OsStr::new(*a));
            let line = ["gongying".as_ref()].into_iter().chain(words).chain(files);
            <Line as clap::Parser>::try_parse_from(line).unwrap().recon.run()
        };
        let disc: Vec<f32> = (0..24 * 16)
            .map(|i| 2.0 * (25.0 - ((i % 16) as f32 - 7.5).powi(2)).max(0.0).sqrt())
            .collect();
        let good = npy::write_f32(&[24, 16], &disc);
        for arguments in [&["fbp"][..], &["sirt", "--iterations=30", "--subsets=3"]] {
            run(&good, arguments).unwrap();
            let bytes = std::fs::read(&out).unwrap();
            let image = Array::parse(&bytes).unwrap();
            assert_eq!(image.shape(), [16, 16]);
            assert!((image.to_f32()[7 * 16 + 7] - 1.0).abs() < 0.1, "{arguments:?}");
        }
        for (bytes, arguments, words) in [
            (&good[..], &["fbp", "--geometry=fan"][..], "--source-mm"),
            (&good, &["fdk"], "--source-mm"),
            (&good, &["fbp", "--size=99999"], "limit"),
            (&good, &["fbp", "--detector-mm=-1"], "expected"),
            (&good, &["fbp", "--angles-deg=0"], "START,STEP"),
            (&good[..200], &["fbp"], "cut"),
            (b"BM", &["fbp"], "no .npy"),
            (&npy::write_f32(&[4], &[0.0; 4]), &["fbp"], "axes"),
            (&npy::write_f32(&[1, 2], &[f32::NAN; 2]), &["fbp"], "not finite"),
        ] {
            let error = format!("{:#}", run(bytes, arguments).unwrap_err());
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }
}
