//! A DICOM series on disk: headers first, values when its geometry is known to be sound.

use super::load::VOLUME_BYTES_MAX;
use crate::cli::image::file::ImageFile;
use anyhow::{Context, Result, anyhow, bail};
use engine::ImagingError;
use engine::volume::{Finding, SeriesVolume, Slice, SliceValues, Stack};
use rayon::prelude::*;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Most files of a folder that are looked at.
const FILES_MAX: usize = 50_000;
/// Folders within folders.
const DEPTH_MAX: usize = 8;
/// Bytes before a DICOM file's magic word, and the word.
const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";

/// The slices of a folder or file in order, and where to read them.
pub(super) struct Files {
    pub(super) stack: Stack,
    paths: Vec<PathBuf>,
    /// Whether a file holds more than one frame.
    many: Vec<bool>,
}

impl Files {
    /// Reads the headers and puts the slices in order.
    pub(super) fn read(path: &Path, series: Option<&str>, phase: usize) -> Result<Self> {
        let paths = files(path)?;
        let whole_folder = path.is_dir();
        let read: Vec<Result<Vec<(Slice, SliceValues)>>> = paths
            .par_iter()
            .enumerate()
            .map(|(source, path)| headers(path, source))
            .collect();
        let many = read
            .iter()
            .map(|r| r.as_ref().is_ok_and(|s| s.len() > 1))
            .collect();
        let mut found = Vec::new();
        let mut faults: Vec<String> = Vec::new();
        for (path, read) in paths.iter().zip(read) {
            match read {
                Ok(mut slices) => found.append(&mut slices),
                Err(e) if whole_folder => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    faults.push(format!("{name}: {e:#}"));
                }
                Err(e) => return Err(e.context(path.display().to_string())),
            }
        }
        if let Some(uid) = series {
            found.retain(|(slice, _)| slice.series_uid == uid);
        }
        let stack = arrange(found, &faults, phase).with_context(|| path.display().to_string())?;
        Ok(Self { stack, paths, many })
    }

    /// Reads the values.
    pub(super) fn load(self) -> Result<SeriesVolume> {
        let Self { stack, paths, many } = self;
        // the last file of many frames, which is not opened anew for each
        let kept: Mutex<Option<(usize, ImageFile)>> = Mutex::new(None);
        let decode = |slice: &Slice| {
            let path = paths
                .get(slice.source)
                .ok_or_else(|| anyhow!("a slice without a file"))?;
            let decoded = if many.get(slice.source) == Some(&true) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let file = match &mut *kept {
                    Some((source, file)) if *source == slice.source => file,
                    other => &mut other.insert((slice.source, ImageFile::open(path)?)).1,
                };
                file.decode(slice.frame)
            } else {
                ImageFile::open(path).and_then(|mut file| file.decode(slice.frame))
            };
            decoded
                .with_context(|| path.display().to_string())
                .map_err(Failed)
        };
        stack.load(VOLUME_BYTES_MAX, &decode).map_err(|e| e.0)
    }
}

fn arrange(found: Vec<(Slice, SliceValues)>, faults: &[String], phase: usize) -> Result<Stack> {
    if found.is_empty() {
        bail!(match faults.first() {
            Some(first) => format!("no image of a volume here; {first}"),
            None => "no DICOM image here; give a folder with one series".into(),
        });
    }
    if let Some(message) = several_series(&found) {
        bail!(message);
    }
    let mut stack = Stack::arrange(found, phase)?;
    stack
        .findings
        .extend(faults.first().map(|first| Finding::Unreadable {
            count: faults.len(),
            first: first.clone(),
        }));
    Ok(stack)
}

/// An error on the way through the engine.
struct Failed(anyhow::Error);

impl From<ImagingError> for Failed {
    fn from(e: ImagingError) -> Self {
        Self(e.into())
    }
}

impl From<anyhow::Error> for Failed {
    fn from(e: anyhow::Error) -> Self {
        Self(e)
    }
}

/// Every DICOM file below a folder, or the one file.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    let walk = walkdir::WalkDir::new(path)
        .max_depth(DEPTH_MAX)
        .sort_by_file_name();
    for entry in walk {
        let entry = entry.with_context(|| format!("{}: cannot be read", path.display()))?;
        if !entry.file_type().is_file() || entry.file_name() == "DICOMDIR" || !is_dicom(entry.path()) {
            continue;
        }
        if found.len() == FILES_MAX {
            bail!(
                "{}: more than {FILES_MAX} DICOM files; give the folder of one series",
                path.display()
            );
        }
        found.push(entry.into_path());
    }
    Ok(found)
}

fn is_dicom(path: &Path) -> bool {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|f| f.take((PREAMBLE_BYTES + 4) as u64).read_to_end(&mut first));
    read.is_ok() && first.get(PREAMBLE_BYTES..) == Some(MAGIC)
}

/// The slices of one file.
fn headers(path: &Path, source: usize) -> Result<Vec<(Slice, SliceValues)>> {
    let file = ImageFile::open(path)?;
    let lookup = |path: &[(u32, usize)], tag: u32| file.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let image = &file.image;
    let slices = Slice::read_all(&lookup, image, source)?;
    let with_values = |slice: Slice| {
        let values = SliceValues::of(image, slice.frame);
        (slice, values)
    };
    Ok(slices.into_iter().map(with_values).collect())
}

/// What to say when a folder holds more than one series.
fn several_series(slices: &[(Slice, SliceValues)]) -> Option<String> {
    const SHOWN_MAX: usize = 4;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (slice, _) in slices {
        match counts.iter_mut().find(|c| c.0 == slice.series_uid) {
            Some(count) => count.1 += 1,
            None => counts.push((&slice.series_uid, 1)),
        }
    }
    if counts.len() < 2 {
        return None;
    }
    let shown: Vec<String> = counts
        .iter()
        .take(SHOWN_MAX)
        .map(|(uid, n)| format!("{uid} ({n} images)"))
        .collect();
    let more = if counts.len() > SHOWN_MAX { ", ..." } else { "" };
    Some(format!(
        "{} series are mixed here; choose one with --series UID: {}{more}",
        counts.len(),
        shown.join(", ")
    ))
}
