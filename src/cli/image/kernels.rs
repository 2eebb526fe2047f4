//! The image kernels that `gongying bench` times: from the bytes of a file in memory to the result.

use super::file::{Bytes, ImageFile};
use super::{index, parse_size};
use crate::cli::kernel::Loaded;
use crate::gpu::Device;
use anyhow::{Context, Result, bail};
use clap::Args;
use engine::pixel::{RenderOptions, Window};
use std::path::PathBuf;
use std::sync::Arc;

/// Options of the image kernels.
#[derive(Args, Debug, Clone)]
#[group(id = "image_kernel")]
pub(crate) struct KernelOptions {
    /// Image kernels: frame, counted from 1.
    #[arg(long, default_value_t = 1)]
    frame: u64,
    /// Image kernels: CENTER,WIDTH[,FUNCTION] instead of the image's own window.
    #[arg(long, allow_hyphen_values = true)]
    window: Option<String>,
    /// WIDTH,HEIGHT of a picture, the longest side of a thumbnail, or the side of a reconstruction.
    #[arg(long)]
    size: Option<String>,
}

impl KernelOptions {
    /// `--size` as it was written; each kernel has its own form of it.
    pub(in crate::cli) fn size(&self) -> Option<&str> {
        self.size.as_deref()
    }
}

/// Files, work of one run, and the frames of each.
type Inputs = (Vec<Arc<[u8]>>, f64, u64);

fn load(inputs: &[PathBuf], options: &KernelOptions) -> Result<Inputs> {
    let frame = index(options.frame)?;
    let mut files = Vec::new();
    let mut pixels = 0.0;
    for path in inputs {
        let bytes: Arc<[u8]> = std::fs::read(path)
            .with_context(|| path.display().to_string())?
            .into();
        let file =
            ImageFile::read(Bytes::Memory(bytes.clone())).with_context(|| path.display().to_string())?;
        pixels += file.image.frame.pixels() as f64;
        files.push(bytes);
    }
    if files.is_empty() {
        bail!("the kernel needs a DICOM file");
    }
    Ok((files, pixels, frame))
}

fn over(
    files: Vec<Arc<[u8]>>,
    mut work: impl FnMut(&mut ImageFile) -> Result<()> + Send + 'static,
) -> Box<dyn FnMut() -> Result<()> + Send> {
    Box::new(move || {
        files
            .iter()
            .try_for_each(|bytes| work(&mut ImageFile::read(Bytes::Memory(bytes.clone()))?))
    })
}

/// `image-decode`: attributes and one frame's stored values.
pub(crate) fn load_decode(inputs: &[PathBuf], options: &KernelOptions) -> Result<Loaded> {
    let (files, work, frame) = load(inputs, options)?;
    let run = over(files, move |file| {
        std::hint::black_box(file.decode(frame)?);
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "pixels",
        run,
    })
}

/// `image-render`: attributes, one frame, its picture.
pub(crate) fn load_render(
    inputs: &[PathBuf],
    options: &KernelOptions,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let device = device.take();
    let (files, work, frame) = load(inputs, options)?;
    let wish = RenderOptions {
        frame,
        window: options.window.as_deref().map(Window::parse).transpose()?,
        size: options.size.as_deref().map(parse_size).transpose()?,
        overlays: false,
    };
    let run = over(files, move |file| {
        std::hint::black_box(file.render(&wish, device.as_ref())?);
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "pixels",
        run,
    })
}

/// `image-thumbnail`: attributes, one frame at the resolution it takes, its thumbnail.
pub(crate) fn load_thumbnail(
    inputs: &[PathBuf],
    options: &KernelOptions,
    device: &mut Option<Device>,
) -> Result<Loaded> {
    let device = device.take();
    let (files, _, frame) = load(inputs, options)?;
    let size = match &options.size {
        Some(text) => text
            .trim()
            .parse()
            .with_context(|| format!("size \"{text}\" should be the longest side in pixels"))?,
        None => 256,
    };
    let work = files.len() as f64;
    let run = over(files, move |file| {
        std::hint::black_box(match &device {
            Some(device) => file.thumbnail_on(frame, size, device)?,
            None => file.thumbnail(frame, size)?,
        });
        Ok(())
    });
    Ok(Loaded {
        work,
        unit: "images",
        run,
    })
}
