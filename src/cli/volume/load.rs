//! From a path to a volume: a .npy array, a multi-frame file, or a folder with one series.

use super::options;
use super::stack::Files;
use crate::output;
use anyhow::{Context, Result, bail};
use clap::Args;
use engine::codec::npy::{Array, MAGIC};
use engine::volume::{Finding, Grid, Rescale, SeriesVolume, Volume};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest volume that a command holds.
pub(super) const VOLUME_BYTES_MAX: u64 = 4 << 30;
/// Largest array file.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// Which volume.
#[derive(Args, Debug, Clone)]
#[group(id = "volume_source")]
pub(crate) struct Source {
    /// Folder with one DICOM series, multi-frame DICOM file, or .npy array of shape (z, y, x).
    path: PathBuf,
    #[command(flatten)]
    choice: Choice,
}

/// What a path alone does not say.
#[derive(Args, Debug, Clone)]
#[group(id = "volume_choice")]
pub(crate) struct Choice {
    /// Distance of voxels of a .npy array in millimetres; 1,1,1 without it.
    #[arg(long, value_name = "Z,Y,X")]
    spacing: Option<String>,
    /// Series Instance UID, where a folder holds several series.
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Which volume of a series that holds several (times, echoes, b-values), counted from 1.
    #[arg(long, value_name = "N", default_value_t = 1)]
    phase: usize,
}

/// Where the voxels lie, and what is worth knowing.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(super) grid: Grid,
    pub(super) volumes: usize,
    pub(super) findings: Vec<Finding>,
}

impl Subject {
    /// Gaps as JSON objects.
    pub(super) fn gaps(&self) -> Vec<Value> {
        let gap = |f: &Finding| match f {
            Finding::Gap {
                after,
                missing,
                distance_mm,
            } => Some(json!({"after_slice": after, "missing": missing, "distance_mm": distance_mm})),
            _ => None,
        };
        self.findings.iter().filter_map(gap).collect()
    }
}

/// Every finding as a line on standard error.
pub(super) fn tell(findings: &[Finding]) {
    for finding in findings {
        output::note(&format!("gongying: {}", finding.en()));
    }
}

impl Source {
    pub(super) fn load(&self) -> Result<SeriesVolume> {
        load(&self.path, &self.choice)
    }

    /// Without the values.
    pub(super) fn describe(&self) -> Result<Subject> {
        let (path, choice) = (&self.path, &self.choice);
        if is_array(path)? {
            let bytes = read_array(path)?;
            return describe_array(&bytes, choice).with_context(|| path.display().to_string());
        }
        let stack = Files::read(path, choice.series.as_deref(), choice.phase)?.stack;
        Ok(Subject {
            grid: stack.grid,
            volumes: stack.volumes,
            findings: stack.findings,
        })
    }
}

/// Reads a whole volume.
pub(super) fn load(path: &Path, choice: &Choice) -> Result<SeriesVolume> {
    if is_array(path)? {
        let bytes = read_array(path)?;
        return load_array(&bytes, choice).with_context(|| path.display().to_string());
    }
    Files::read(path, choice.series.as_deref(), choice.phase)?.load()
}

fn is_array(path: &Path) -> Result<bool> {
    let metadata = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    if metadata.is_dir() {
        return Ok(false);
    }
    let mut first = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut first))
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
    Ok(named || first == MAGIC)
}

fn read_array(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if metadata.len() > FILE_BYTES_MAX {
        bail!(
            "{}: {} bytes are more than this command reads ({FILE_BYTES_MAX})",
            path.display(),
            metadata.len()
        );
    }
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

fn grid_of(array: &Array<'_>, choice: &Choice) -> Result<Grid> {
    let [z, y, x] = array.shape() else {
        bail!(
            "the array has {} axes; a volume has three: z, y, x",
            array.shape().len()
        );
    };
    let [sz, sy, sx] = choice.spacing.as_deref().map_or(Ok([1.0; 3]), options::spacing)?;
    Ok(Grid::upright([*x, *y, *z], [sx, sy, sz])?)
}

fn describe_array(bytes: &[u8], choice: &Choice) -> Result<Subject> {
    Ok(Subject {
        grid: grid_of(&Array::parse(bytes)?, choice)?,
        volumes: 1,
        findings: Vec::new(),
    })
}

fn load_array(bytes: &[u8], choice: &Choice) -> Result<SeriesVolume> {
    let array = Array::parse(bytes)?;
    let grid = grid_of(&array, choice)?;
    let (rescale, values, findings) = match array.to_i16() {
        Some(values) => (Rescale::default(), values, Vec::new()),
        None => stepped(&array.to_f32())?,
    };
    let volume = Volume::from_values(grid, rescale, &values, VOLUME_BYTES_MAX)?;
    Ok(SeriesVolume {
        volume,
        volumes: 1,
        findings,
        window: None,
    })
}

/// Values of other types in 16 bits: whole numbers as they are, others in steps over their range.
fn stepped(values: &[f32]) -> Result<(Rescale, Vec<i16>, Vec<Finding>)> {
    if values.iter().any(|v| !v.is_finite()) {
        bail!("the array holds values that are no numbers (NaN or infinite); replace them first");
    }
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| {
        (r.0.min((*v).into()), r.1.max((*v).into()))
    });
    let whole = high - low <= 65_535.0 && values.iter().all(|v| v.fract() == 0.0);
    let slope = if whole || high <= low {
        1.0
    } else {
        (high - low) / 65_535.0
    };
    let rescale = Rescale {
        slope,
        intercept: low - slope * f64::from(i16::MIN),
    };
    let stored = values
        .iter()
        .map(|v| rescale.stored((*v).into()).round() as i16)
        .collect();
    let coarser = (!whole).then_some(Finding::Coarser { step: slope });
    Ok((rescale, stored, coarser.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::codec::npy;

    fn choice(spacing: Option<&str>) -> Choice {
        Choice {
            spacing: spacing.map(ToOwned::to_owned),
            series: None,
            phase: 1,
        }
    }

    #[test]
    fn arrays_become_volumes() {
        let values: Vec<f32> = (0..24).map(|v| v as f32 * 1000.0).collect();
        let bytes = npy::write_f32(&[2, 3, 4], &values);
        let loaded = load_array(&bytes, &choice(Some("2,1,0.5"))).unwrap();
        assert_eq!(loaded.volume.grid().dims(), [4, 3, 2]);
        assert_eq!(loaded.volume.grid().spacing_mm(), [0.5, 1.0, 2.0]);
        assert_eq!(loaded.volume.range(), (0.0, 23_000.0));
        assert!(loaded.findings.is_empty());
        let fine: Vec<f32> = (0..24).map(|v| v as f32 * 0.1).collect();
        let loaded = load_array(&npy::write_f32(&[2, 3, 4], &fine), &choice(None)).unwrap();
        assert!((loaded.volume.range().1 - 2.3).abs() < 1e-4);
        assert!(matches!(loaded.findings[..], [Finding::Coarser { .. }]));
    }

    #[test]
    fn wrong_arrays_are_told() {
        let check = |bytes: &[u8], spacing: Option<&str>, expect: &str| {
            let message = format!("{:#}", load_array(bytes, &choice(spacing)).unwrap_err());
            assert!(message.contains(expect), "{message}");
        };
        check(b"no array", None, ".npy");
        check(&npy::write_f32(&[4, 6], &[0.0; 24]), None, "2 axes");
        check(&npy::write_f32(&[2, 3, 4], &[f32::NAN; 24]), None, "no numbers");
        check(&npy::write_f32(&[2, 3, 4], &[0.0; 24]), Some("1,1"), "--spacing");
        check(&npy::write_f32(&[2, 0, 4], &[]), None, "voxels");
        check(&npy::write_f32(&[2, 3, 4], &[0.0; 12]), None, "cut");
    }
}
