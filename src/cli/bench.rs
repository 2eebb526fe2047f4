//! `gongying bench`: times one kernel inside this process, as the operator sizes a node and as the benches compare it.

use super::kernel::Loaded;
use super::{ecg, image, recon, volume};
use crate::gpu::{self, Backend, Device};
use crate::output;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use cpu_time::ProcessTime;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

const REPEAT_MAX: usize = 100_000;
const THREADS_MAX: usize = 256;

/// Time a kernel on this machine: one warm-up, then `--repeat` runs; input is read before the clock starts.
#[derive(Args, Debug)]
#[command(after_help = "Example: gongying bench image-decode ct.dcm --threads 1 --repeat 20 --json")]
pub(crate) struct Bench {
    kernel: Kernel,
    /// Files that the kernel works on.
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// Threads of the compute pool.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs that count.
    #[arg(long, default_value_t = 10)]
    repeat: usize,
    /// Where the kernel runs; kernels without a GPU twin run on the CPU and say so.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// One JSON object instead of a line of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    ecg: ecg::KernelOptions,
    #[command(flatten)]
    image: image::KernelOptions,
    #[command(flatten)]
    recon: recon::KernelOptions,
    #[command(flatten)]
    volume: volume::KernelOptions,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    EcgFilter,
    EcgBeats,
    EcgAnalyze,
    EcgHolter,
    ImageDecode,
    ImageRender,
    ImageThumbnail,
    ReconFbp,
    ReconSirt,
    VolumeMpr,
    VolumeSlab,
    VolumeProject,
}

#[derive(Serialize, Debug)]
struct Figures {
    kernel: String,
    input: Vec<String>,
    threads: usize,
    backend: &'static str,
    repeat: usize,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    cpu_ms_median: f64,
    work: f64,
    unit: &'static str,
    /// Work a second at the median time.
    rate: f64,
}

impl Bench {
    pub(super) fn run(self) -> Result<()> {
        if self.repeat == 0 || self.repeat > REPEAT_MAX {
            bail!("--repeat {}: from 1 to {REPEAT_MAX}", self.repeat);
        }
        if self.threads == 0 || self.threads > THREADS_MAX {
            bail!("--threads {}: from 1 to {THREADS_MAX}", self.threads);
        }
        let mut device = self.device()?;
        let opened = device.is_some();
        let loaded = self.load(&mut device)?;
        // A kernel with a twin takes the device.
        let backend = if opened && device.is_none() { "gpu" } else { "cpu" };
        if self.backend == Backend::Gpu && backend == "cpu" {
            bail!("--backend gpu: this kernel has no GPU twin; use cpu or auto");
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()?;
        let (unit, work) = (loaded.unit, loaded.work);
        let (wall_ms, cpu_ms) = pool.install(|| time(loaded, self.repeat))?;
        let median_ms = median(&wall_ms);
        let figures = Figures {
            kernel: self
                .kernel
                .to_possible_value()
                .map(|v| v.get_name().to_string())
                .unwrap_or_default(),
            input: self.input.iter().map(|p| p.display().to_string()).collect(),
            threads: self.threads,
            backend,
            repeat: self.repeat,
            median_ms,
            min_ms: wall_ms.iter().copied().fold(f64::INFINITY, f64::min),
            max_ms: wall_ms.iter().copied().fold(0.0, f64::max),
            cpu_ms_median: median(&cpu_ms),
            work,
            unit,
            rate: work / (median_ms / 1000.0),
        };
        if self.json {
            return output::json(None, &figures);
        }
        output::line(&format!(
            "{}: {:.3} ms median ({:.3} to {:.3}), {:.3} ms CPU, {:.4e} {unit}/s on {} thread(s)",
            figures.kernel,
            figures.median_ms,
            figures.min_ms,
            figures.max_ms,
            figures.cpu_ms_median,
            figures.rate,
            self.threads
        ))
    }

    /// Where the kernel may run; `None` is the CPU.
    fn device(&self) -> Result<Option<Device>> {
        let pays = match self.kernel {
            Kernel::ReconFbp | Kernel::ReconSirt => true,
            Kernel::VolumeMpr | Kernel::VolumeSlab | Kernel::VolumeProject => true,
            Kernel::ImageRender | Kernel::ImageThumbnail => false,
            Kernel::EcgFilter | Kernel::EcgBeats | Kernel::EcgAnalyze | Kernel::EcgHolter => {
                return Ok(None);
            }
            Kernel::ImageDecode => return Ok(None),
        };
        gpu::for_backend(self.backend, pays)
    }

    fn load(&self, device: &mut Option<Device>) -> Result<Loaded> {
        match self.kernel {
            Kernel::EcgFilter => ecg::load_filter(&self.input, &self.ecg),
            Kernel::EcgBeats => ecg::load_beats(&self.input, &self.ecg),
            Kernel::EcgAnalyze => ecg::load_analyze(&self.input, &self.ecg),
            Kernel::EcgHolter => ecg::load_holter(&self.input, &self.ecg),
            Kernel::ImageDecode => image::load_decode(&self.input, &self.image),
            Kernel::ImageRender => image::load_render(&self.input, &self.image, device),
            Kernel::ImageThumbnail => image::load_thumbnail(&self.input, &self.image, device),
            Kernel::ReconFbp => recon::load_fbp(&self.input, &self.recon, self.image.size(), device),
            Kernel::ReconSirt => recon::load_sirt(&self.input, &self.recon, self.image.size(), device),
            Kernel::VolumeMpr | Kernel::VolumeSlab => {
                volume::load_reformat(&self.input, &self.volume, self.image.size(), device)
            }
            Kernel::VolumeProject => {
                volume::load_project(&self.input, &self.volume, self.image.size(), device)
            }
        }
    }
}

/// Wall and CPU milliseconds of each run after one warm-up.
fn time(mut loaded: Loaded, repeat: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    (loaded.run)()?;
    let (mut wall_ms, mut cpu_ms) = (Vec::with_capacity(repeat), Vec::with_capacity(repeat));
    for _ in 0..repeat {
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        (loaded.run)()?;
        wall_ms.push(wall.elapsed().as_secs_f64() * 1000.0);
        cpu_ms.push(cpu.elapsed().as_secs_f64() * 1000.0);
    }
    Ok((wall_ms, cpu_ms))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_even_and_odd_counts() {
        for (values, expected) in [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 2.0, 3.0], 2.5),
            (vec![5.0], 5.0),
        ] {
            assert_eq!(median(&values), expected);
        }
    }

    #[test]
    fn every_run_but_the_warm_up_is_counted() {
        let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let inner = count.clone();
        let run = Box::new(move || {
            inner.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        });
        let (wall, cpu) = time(
            Loaded {
                work: 1.0,
                unit: "runs",
                run,
            },
            4,
        )
        .unwrap();
        assert_eq!(
            (
                wall.len(),
                cpu.len(),
                count.load(std::sync::atomic::Ordering::Relaxed)
            ),
            (4, 4, 5)
        );
    }
}
