//! Pictures of volumes as files.

use crate::output;
use anyhow::{Result, bail};
use engine::codec::npy;
use engine::pixel::{Format, Picture, Window, encode};
use engine::volume::{Reformat, display, whole_range};
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Values,
    Picture,
}

/// By the ending of the file's name.
pub(super) fn kind_of(path: &Path) -> Result<Kind> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "npy" => Ok(Kind::Values),
        "png" => Ok(Kind::Picture),
        _ => bail!("{}: the name must end in .npy or .png", path.display()),
    }
}

/// Values as float32, or grey levels through the window.
pub(super) fn write(path: &Path, picture: &Reformat, window: Option<&Window>) -> Result<()> {
    let bytes = match kind_of(path)? {
        Kind::Values => npy::write_f32(&[picture.height as u64, picture.width as u64], &picture.values),
        Kind::Picture => {
            let whole = whole_range(picture);
            encode(&display(picture, window.unwrap_or(&whole)), Format::Png, 0)?
        }
    };
    output::write_file(path, &bytes)
}

/// Red, green and blue: a picture, or its bytes as an array of shape (rows, columns, 3).
pub(super) fn write_colours(path: &Path, picture: &Picture) -> Result<()> {
    let bytes = match kind_of(path)? {
        Kind::Values => {
            let shape = [picture.height, picture.width, picture.channels.into()].map(u64::from);
            let mut bytes = npy::header("|u1", &shape);
            bytes.extend_from_slice(&picture.data);
            bytes
        }
        Kind::Picture => encode(picture, Format::Png, 0)?,
    };
    output::write_file(path, &bytes)
}
