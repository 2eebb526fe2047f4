//! `gongying ecg convert`: a record in another format.

use super::record::Source;
use crate::output;
use anyhow::{Context, Result, bail};
use clap::Args;
use engine::ecg::Record;
use engine::ecg::formats::dicom::write::{self as dicom, Identity};
use engine::ecg::formats::{edf, npy, wfdb};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use viewer_web::recording;

/// Longest recording that is measured while it is converted, in seconds; resting ECGs are shorter.
const MEASURED_S_MAX: f64 = 300.0;

/// Where to, and what to add.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// File to write; its ending is the format: .dcm, .edf, .hea (with a .dat beside it) or .npy.
    #[arg(short, value_name = "FILE")]
    o: PathBuf,
    /// Leave the measurements of this program out of a DICOM object.
    #[arg(long)]
    no_measurements: bool,
    /// Keep the file itself in a DICOM object and leave the measurements to the centre, as uploads and watched folders do.
    #[arg(long)]
    keep_file: bool,
}

pub(super) fn convert(source: &Source, options: &Options) -> Result<()> {
    let to = &options.o;
    let ending = to.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let ending = ending.to_ascii_lowercase();
    if !matches!(ending.as_str(), "dcm" | "edf" | "hea" | "npy") {
        bail!("{}: the name must end in .dcm, .edf, .hea or .npy", to.display());
    }
    if options.keep_file {
        return keep(source, to, &ending);
    }
    let record = source.read()?;
    match ending.as_str() {
        "dcm" => {
            let identity = identity(source, &record)?;
            let measured = record.duration_s() <= MEASURED_S_MAX && !options.no_measurements;
            let analysis = measured.then(|| engine::ecg::analyze(&record));
            let additions = dicom::Additions {
                analysis: analysis.as_ref(),
                ..dicom::Additions::default()
            };
            let bytes = dicom::write(&record, &identity, &additions).with_context(|| shown(source))?;
            output::write_file(to, &bytes)?;
        }
        "edf" => {
            let bytes = edf::write::write(&record).with_context(|| shown(source))?;
            output::write_file(to, &bytes)?;
        }
        "npy" => output::write_file(to, &npy::write(&rows(&record)))?,
        _ => write_wfdb(&record, to)?,
    }
    record
        .warnings
        .iter()
        .for_each(|warning| output::note(&format!("warning: {warning}")));
    Ok(())
}

/// The same object that an upload of the file without a request would make.
fn keep(source: &Source, to: &Path, ending: &str) -> Result<()> {
    if ending != "dcm" {
        bail!(
            "{}: --keep-file makes DICOM objects; the name must end in .dcm",
            to.display()
        );
    }
    let (file, beside) = source.files()?;
    let made = recording::make(&file, &beside, None)
        .map_err(|refusal| anyhow::anyhow!("{}: {refusal}", shown(source)))?;
    for warning in made.signal.iter().flat_map(|signal| &signal.warnings) {
        output::note(&format!("warning: {warning}"));
    }
    output::write_file(to, &made.object)
}

fn shown(source: &Source) -> String {
    source.record.display().to_string()
}

fn rows(record: &Record) -> Vec<Vec<f64>> {
    let row = |lead: &engine::ecg::Lead| lead.samples_uv.iter().map(|v| f64::from(*v)).collect();
    record.leads.iter().map(row).collect()
}

/// The samples first: a header that is there can be followed.
fn write_wfdb(record: &Record, to: &Path) -> Result<()> {
    let name = to.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        || name.is_empty()
    {
        bail!(
            "{}: a WFDB record is called by letters, digits, - and _ only",
            to.display()
        );
    }
    let files = wfdb::write::write(record, name);
    output::write_file(&to.with_extension("dat"), &files.signals)?;
    output::write_file(to, &files.header)
}

/// UIDs of the file at hand; its own date stands in for one that the recording lacks.
fn identity(source: &Source, record: &Record) -> Result<Identity> {
    let metadata = std::fs::metadata(&source.record).with_context(|| shown(source))?;
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(&source.record).with_context(|| shown(source))?;
    std::io::copy(&mut file, &mut HashWriter(&mut hash)).with_context(|| shown(source))?;
    let changed = metadata
        .modified()
        .map_or_else(|_| OffsetDateTime::now_utc(), OffsetDateTime::from);
    Ok(recording::identity(&hash.finalize().into(), record, changed))
}

struct HashWriter<'h>(&'h mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
