//! `gongying image`: look at, decode, render and transcode DICOM images.

mod calibrate;
pub(crate) mod file;
mod info;
mod kernels;
pub(crate) mod transcode;

pub(super) use kernels::{KernelOptions, load_decode, load_render, load_thumbnail};

use crate::{gpu, output};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use engine::codec::npy;
use engine::pixel::{Format, Picture, RenderOptions, Window};
use file::ImageFile;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use viewer_web::captions;

const JPEG_QUALITY: u8 = 90;

/// Commands for DICOM images. Frames count from 1.
#[derive(Subcommand, Debug)]
pub(crate) enum ImageCommand {
    /// Say what an image is: shape, sample form, windows, geometry.
    Info(Info),
    /// Write the stored pixel values, decompressed and before any look-up table, as a numpy array.
    Decode(Decode),
    /// Write a frame as it belongs on the screen.
    Render(Render),
    /// Write a small picture whose longest side is as asked.
    Thumbnail(Thumbnail),
    /// Write the object in another lossless transfer syntax.
    Transcode(transcode::Transcode),
    /// Make the curve by which a measured display follows the Grayscale Standard Display Function.
    Calibrate(calibrate::Calibrate),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying image info ct.dcm --json")]
pub(crate) struct Info {
    /// DICOM file.
    file: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying image decode ct.dcm -o ct.npy --frame 1")]
pub(crate) struct Decode {
    /// DICOM file.
    file: PathBuf,
    /// File to write: shape (frames, rows, columns[, samples]).
    #[arg(short, long)]
    output: PathBuf,
    /// Only this frame, counted from 1.
    #[arg(long)]
    frame: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying image render ct.dcm -o ct.png --window 40,400 --size 256,256")]
pub(crate) struct Render {
    /// DICOM file.
    file: PathBuf,
    /// Picture to write; its ending (png, jpg, webp) says the format.
    #[arg(short, long)]
    output: PathBuf,
    /// Frame, counted from 1.
    #[arg(long, default_value_t = 1)]
    frame: u64,
    /// CENTER,WIDTH[,linear|linear_exact|sigmoid] instead of the image's own window.
    #[arg(long, allow_hyphen_values = true)]
    window: Option<String>,
    /// WIDTH,HEIGHT of the picture in pixels.
    #[arg(long)]
    size: Option<String>,
    /// Draw overlay planes.
    #[arg(long)]
    overlays: bool,
    /// Softcopy presentation state whose windows, tables, shutters, graphics, texts and turns are applied.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["window", "overlays"])]
    presentation: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: gongying image thumbnail ct.dcm -o ct.jpg --size 256")]
pub(crate) struct Thumbnail {
    /// DICOM file.
    file: PathBuf,
    /// Picture to write; its ending (png, jpg, webp) says the format.
    #[arg(short, long)]
    output: PathBuf,
    /// Longest side in pixels.
    #[arg(long, default_value_t = 256)]
    size: u32,
    /// Frame, counted from 1.
    #[arg(long, default_value_t = 1)]
    frame: u64,
}

impl ImageCommand {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Info(c) => named(&c.file, |f| info::show(f, c.json)),
            Self::Decode(c) => named(&c.file, |f| c.decode(f)),
            Self::Render(c) => c.run(),
            Self::Thumbnail(c) => c.run(),
            Self::Transcode(c) => named(&c.file, |f| c.transcode(f)),
            Self::Calibrate(c) => c.run(),
        }
    }
}

/// Opens the file and puts its name before every error.
fn named<T>(path: &Path, work: impl FnOnce(&mut ImageFile) -> Result<T>) -> Result<T> {
    ImageFile::open(path)
        .and_then(|mut f| work(&mut f))
        .with_context(|| path.display().to_string())
}

/// From a frame number counted from 1 to an index.
fn index(frame: u64) -> Result<u64> {
    frame.checked_sub(1).context("frames count from 1")
}

impl Decode {
    fn decode(&self, file: &mut ImageFile) -> Result<()> {
        let (first, count) = match self.frame {
            Some(n) => (index(n)?, 1),
            None => (0, file.map.frames()),
        };
        if self.frame.is_none() {
            file.map.check_complete()?;
        }
        let frame = &file.image.frame;
        let mut shape = vec![count, frame.rows.into(), frame.columns.into()];
        if frame.samples_per_pixel > 1 {
            shape.push(frame.samples_per_pixel.into());
        }
        let mut begun = None;
        write_parts(&self.output, |out| {
            for k in first..first + count {
                let pixels = file.decode(k)?;
                if begun.is_none() {
                    out.write_all(&npy::header(pixels.data.dtype(), &shape))?;
                    begun = Some(());
                }
                out.write_all(&pixels.data.to_le_bytes())?;
            }
            Ok(())
        })
    }
}

impl Render {
    fn run(self) -> Result<()> {
        let format = format_of(&self.output)?;
        let options = RenderOptions {
            frame: index(self.frame)?,
            window: self.window.as_deref().map(Window::parse).transpose()?,
            size: self.size.as_deref().map(parse_size).transpose()?,
            overlays: self.overlays,
        };
        if let Some(path) = &self.presentation {
            let state = file::data_set(path).with_context(|| path.display().to_string())?;
            let (mut picture, notes) = named(&self.file, |file| file.present(&options, &state))?;
            if !notes.is_empty() {
                let count = notes.len();
                match captions::write(&mut picture, &notes, viewer_web::Fonts::EMBEDDED) {
                    Ok(0) => {}
                    Ok(left) => output::note(&format!(
                        "gongying: {left} of {count} texts of the presentation state say no place and are not written"
                    )),
                    Err(error) => output::note(&format!(
                        "gongying: {count} texts of the presentation state could not be written: {error}"
                    )),
                }
            }
            return write_picture(&picture, format, &self.output);
        }
        let device = gpu::forced()?;
        let picture = named(&self.file, |file| file.render(&options, device.as_ref()))?;
        write_picture(&picture, format, &self.output)
    }
}

impl Thumbnail {
    fn run(self) -> Result<()> {
        let format = format_of(&self.output)?;
        let frame = index(self.frame)?;
        let device = gpu::forced()?;
        let picture = named(&self.file, |file| match &device {
            Some(device) => file.thumbnail_on(frame, self.size, device),
            None => file.thumbnail(frame, self.size),
        })?;
        write_picture(&picture, format, &self.output)
    }
}

/// Writes a file piece by piece so that it is whole or not there.
fn write_parts(path: &Path, work: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut name = path
        .file_name()
        .with_context(|| format!("{}: not a file name", path.display()))?
        .to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let cannot = || format!("{}: cannot be written", path.display());
    let mut out = BufWriter::new(File::create(&part).with_context(cannot)?);
    let done = work(&mut out).and_then(|()| {
        out.flush()
            .and_then(|()| std::fs::rename(&part, path))
            .with_context(cannot)
    });
    if done.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&part);
    }
    done
}

fn write_picture(picture: &Picture, format: Format, path: &Path) -> Result<()> {
    output::write_file(path, &engine::pixel::encode(picture, format, JPEG_QUALITY)?)
}

fn format_of(path: &Path) -> Result<Format> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    Format::from_extension(ending).with_context(|| {
        format!(
            "{}: the picture's name must end in .png, .jpg or .webp",
            path.display()
        )
    })
}

/// `WIDTH,HEIGHT`.
pub(crate) fn parse_size(text: &str) -> Result<(u32, u32)> {
    let parsed = text
        .split_once(',')
        .and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
    parsed.with_context(|| format!("size \"{text}\" should be WIDTH,HEIGHT in pixels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_frames() {
        assert_eq!(parse_size("640, 480").unwrap(), (640, 480));
        for bad in ["640", "640x480", "-1,5", "1,2,3"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(index(1).unwrap(), 0);
        assert!(index(0).is_err());
        assert!(format_of(Path::new("a.bmp")).is_err());
    }
}
