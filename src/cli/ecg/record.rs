//! Reading a record from disk: the file itself, the files beside it, and DICOM through the tokenizer.

use anyhow::{Context, Result, bail};
use clap::Args;
use dataset::Limits;
use engine::ecg::formats::{self, Format, ReadOptions};
use engine::ecg::{EcgError, Record};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use viewer_web::recording::File;

/// Largest file read: a day of twelve leads at 1000 Hz in 16 bits is 2.1 GB.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Which record, and what its format cannot say by itself.
#[derive(Args, Debug, Clone)]
pub(crate) struct Source {
    /// WFDB header (.hea), DICOM waveform, SCP-ECG, HL7 aECG, GE MUSE or Philips Sierra XML, EDF, BDF, MFER, ISHNE, or
    /// .npy (microvolts, shape (leads, samples)); told apart by content.
    pub(crate) record: PathBuf,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

/// Rate and lead names of formats that have none.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Shape {
    /// Samples a second of a .npy record.
    #[arg(long, value_name = "HZ")]
    pub(crate) fs: Option<f64>,
    /// Lead names of a .npy record.
    #[arg(long, value_name = "I,II,...", value_delimiter = ',')]
    pub(crate) leads: Option<Vec<String>>,
}

impl Source {
    pub(crate) fn read(&self) -> Result<Record> {
        read(&self.record, &self.shape)
    }

    /// The file and those of the same name with another ending, which its header may name.
    pub(crate) fn files(&self) -> Result<(File, Vec<File>)> {
        let path = &self.record;
        let name_of = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let file = File {
            name: name_of(path),
            bytes: bytes_of(path)?,
        };
        let beside = ["dat", "edf", "bdf"].iter().filter_map(|ending| {
            let other = path.with_extension(ending);
            let bytes = (other != *path)
                .then(|| beside(path, &name_of(&other)))
                .flatten()?;
            Some(File {
                name: name_of(&other),
                bytes,
            })
        });
        let beside = beside.collect();
        Ok((file, beside))
    }
}

/// Reads any supported record.
pub(crate) fn read(path: &Path, shape: &Shape) -> Result<Record> {
    let shown = path.display();
    let bytes = bytes_of(path)?;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let side = |wanted: &str| beside(path, wanted);
    let options = ReadOptions {
        sampling_rate_hz: shape.fs,
        lead_names: shape.leads.clone(),
    };
    if formats::detect(&bytes, &name) == Some(Format::Dicom) {
        return read_dicom(&bytes).with_context(|| shown.to_string());
    }
    formats::read(&bytes, &name, &side, &options).map_err(|e: EcgError| anyhow::anyhow!("{shown}: {e}"))
}

fn read_dicom(bytes: &[u8]) -> Result<Record> {
    let syntax = dataset::file::read_header(bytes).map(|header| header.transfer_syntax);
    let limits = syntax.map_or_else(|_| Limits::in_memory(), |s| Limits::of_object(&s));
    let file = dataset::file::read(bytes, limits)?;
    let lookup = |path: &[(u32, usize)], tag: u32| file.parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let mut record = formats::dicom::read(&lookup)?;
    // Only the tokenizer knows the character set of the name.
    record.patient.name = file
        .parsed
        .data_set
        .person_name(dataset::tags::PATIENT_NAME)
        .map(|name| name.display());
    Ok(record)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    if !metadata.is_file() {
        bail!(
            "{}: not a file; name the header or the record itself",
            path.display()
        );
    }
    if metadata.len() > FILE_BYTES_MAX {
        bail!(
            "{}: {} bytes are more than this command reads ({FILE_BYTES_MAX})",
            path.display(),
            metadata.len()
        );
    }
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// A file beside the record, by its plain name only: a header must not lead anywhere else.
fn beside(record: &Path, wanted: &str) -> Option<Vec<u8>> {
    let plain = Path::new(wanted).file_name().is_some_and(|n| n == wanted);
    plain
        .then(|| bytes_of(&record.with_file_name(wanted)).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_leads_to_plain_names_beside_it_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("outside.dat"), b"secret").unwrap();
        std::fs::write(folder.path().join("in/a.dat"), b"samples").unwrap();
        let record = folder.path().join("in/a.hea");
        assert_eq!(beside(&record, "a.dat").as_deref(), Some(&b"samples"[..]));
        for wanted in ["../outside.dat", "/etc/hostname", "..", "", "missing.dat"] {
            assert_eq!(beside(&record, wanted), None, "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_path_buf(), folder.path().join("none.hea")] {
            let message = format!("{:#}", read(&path, &Shape::default()).unwrap_err());
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
    }
}
