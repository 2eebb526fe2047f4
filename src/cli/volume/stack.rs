//! A DICOM series on disk: headers first, values when its geometry is known to be sound.

use super::load::{Loaded, Subject, VOLUME_BYTES_MAX};
use crate::cli::image::file::ImageFile;
use anyhow::{Context, Result, anyhow, bail};
use engine::ImagingError;
use engine::codec::FrameDescription;
use engine::pixel::{Modality, Window};
use engine::volume::{Encoding, Finding, FrameValues, Series, Slice, Volume, seen_range};
use rayon::prelude::*;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most files of a folder that are looked at.
const FILES_MAX: usize = 50_000;
/// Folders within folders.
const DEPTH_MAX: usize = 8;
/// Bytes before a DICOM file's magic word, and the word.
const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";

/// What a frame's header says about its values.
struct Header {
    frame: FrameDescription,
    modality: Modality,
    padding: Option<f64>,
    window: Option<Window>,
}

/// A series in order, its values still on disk.
pub(super) struct Stack {
    pub(super) subject: Subject,
    paths: Vec<PathBuf>,
    /// In order of the volume.
    slices: Vec<(Slice, Header)>,
}

impl Stack {
    /// Reads the headers and puts the slices in order.
    pub(super) fn read(path: &Path, series: Option<&str>, phase: usize) -> Result<Self> {
        let paths = files(path)?;
        let whole_folder = path.is_dir();
        let read: Vec<Result<Vec<(Slice, Header)>>> = paths
            .par_iter()
            .enumerate()
            .map(|(source, path)| headers(path, source))
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
        Self::arrange(paths, found, faults, phase).with_context(|| path.display().to_string())
    }

    fn arrange(
        paths: Vec<PathBuf>,
        found: Vec<(Slice, Header)>,
        faults: Vec<String>,
        phase: usize,
    ) -> Result<Self> {
        if found.is_empty() {
            bail!(match faults.first() {
                Some(first) => format!("no image of a volume here; {first}"),
                None => "no DICOM image here; give a folder with one series".into(),
            });
        }
        let (slices, headers): (Vec<Slice>, Vec<Header>) = found.into_iter().unzip();
        if let Some(message) = several_series(&slices) {
            bail!(message);
        }
        let series = Series::arrange(&slices, phase)?;
        let mut findings = series.findings;
        if let Some(first) = faults.first() {
            findings.push(Finding::Unreadable {
                count: faults.len(),
                first: first.clone(),
            });
        }
        let mut pairs: Vec<Option<(Slice, Header)>> = slices.into_iter().zip(headers).map(Some).collect();
        let slices = series
            .order
            .iter()
            .filter_map(|i| pairs.get_mut(*i).and_then(Option::take))
            .collect();
        Ok(Self {
            subject: Subject {
                grid: series.grid,
                volumes: series.volumes,
                findings,
            },
            paths,
            slices,
        })
    }

    /// Reads the values.
    pub(super) fn load(self) -> Result<Loaded> {
        let dims = self.subject.grid.dims();
        let needed_bytes = Volume::bytes_needed(dims).unwrap_or(u64::MAX);
        if needed_bytes > VOLUME_BYTES_MAX {
            return Err(ImagingError::VolumeTooLarge {
                needed_bytes,
                limit_bytes: VOLUME_BYTES_MAX,
            }
            .into());
        }
        let mut reader = Reader {
            stack: &self,
            open: None,
        };
        let encoding = reader.encoding()?;
        let plane = dims[0] * dims[1];
        let volume = Volume::build(
            self.subject.grid.clone(),
            encoding.rescale(),
            VOLUME_BYTES_MAX,
            &mut |slices, out| reader.fill(&encoding, slices, plane, out).map_err(Failed),
        )
        .map_err(|e| e.0)?;
        let first = self.slices.first().map(|s| &s.1);
        // windows that differ from slice to slice suit the picture best in the middle of the body
        let middle = self.slices.get(self.slices.len() / 2).map(|s| &s.1);
        let mut findings = self.subject.findings.clone();
        findings.extend(encoding.step().map(|step| Finding::Coarser { step }));
        Ok(Loaded {
            volume: volume.with_padding(first.and_then(|h| h.padding)),
            findings,
            window: middle.and_then(|h| h.window.clone()),
        })
    }
}

/// An error on the way through the engine.
struct Failed(anyhow::Error);

impl From<ImagingError> for Failed {
    fn from(e: ImagingError) -> Self {
        Self(e.into())
    }
}

struct Reader<'s> {
    stack: &'s Stack,
    /// The last file of many frames, which is not opened anew for each.
    open: Option<(usize, ImageFile)>,
}

impl Reader<'_> {
    /// How values are kept; decodes the frames whose headers do not tell their range.
    fn encoding(&mut self) -> Result<Encoding> {
        let mut values = Vec::with_capacity(self.stack.slices.len());
        for (slice, header) in &self.stack.slices {
            let seen = if FrameValues::must_be_seen(&header.frame) {
                let pixels = self.one(slice)?;
                let range = seen_range(&pixels.data);
                Some(range.with_context(|| format!("{}: values that are no numbers", self.name(slice)))?)
            } else {
                None
            };
            values.push(FrameValues::new(&header.modality, &header.frame, seen));
        }
        Ok(Encoding::of(&values)?)
    }

    fn name(&self, slice: &Slice) -> String {
        let path = self.stack.paths.get(slice.source);
        path.map(|p| p.display().to_string()).unwrap_or_default()
    }

    /// One frame, from a file that stays open while frames of it are read.
    fn one(&mut self, slice: &Slice) -> Result<engine::codec::StoredPixels> {
        let path = self
            .stack
            .paths
            .get(slice.source)
            .ok_or_else(|| anyhow!("a slice without a file"))?;
        let file = match &mut self.open {
            Some((source, file)) if *source == slice.source => file,
            other => &mut other.insert((slice.source, ImageFile::open(path)?)).1,
        };
        file.decode(slice.frame)
            .with_context(|| path.display().to_string())
    }

    /// Decodes a run of slices: files of one frame side by side, files of many in turn.
    fn fill(
        &mut self,
        encoding: &Encoding,
        range: Range<usize>,
        plane: usize,
        out: &mut [i16],
    ) -> Result<()> {
        let stack = self.stack;
        let slices = stack.slices.get(range).unwrap_or_default();
        if slices.iter().any(|(_, header)| header.frame.frames > 1) {
            for ((slice, header), out) in slices.iter().zip(out.chunks_exact_mut(plane)) {
                let pixels = self.one(slice)?;
                encoding.write(&header.modality, &pixels.data, out)?;
            }
            return Ok(());
        }
        slices
            .par_iter()
            .zip(out.par_chunks_exact_mut(plane))
            .try_for_each(|((slice, header), out)| {
                let mut alone = Reader { stack, open: None };
                let pixels = alone.one(slice)?;
                Ok(encoding.write(&header.modality, &pixels.data, out)?)
            })
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
fn headers(path: &Path, source: usize) -> Result<Vec<(Slice, Header)>> {
    let file = ImageFile::open(path)?;
    let lookup = |path: &[(u32, usize)], tag: u32| file.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let image = &file.image;
    let slices = Slice::read_all(&lookup, image, source)?;
    let header = |frame: u64| {
        let own = image.attributes(frame);
        Header {
            frame: image.frame.clone(),
            modality: own.modality.clone(),
            padding: image.padding.map(|(low, _)| own.modality.apply(low)),
            window: own.voi.windows.first().cloned(),
        }
    };
    Ok(slices
        .into_iter()
        .map(|slice| {
            let header = header(slice.frame);
            (slice, header)
        })
        .collect())
}

/// What to say when a folder holds more than one series.
fn several_series(slices: &[Slice]) -> Option<String> {
    const SHOWN_MAX: usize = 4;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for slice in slices {
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
