//! `gongying ecg holter`: a long recording, read piece by piece.

use super::record::{self, Shape};
use crate::output;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use dataset::{DataSet, Limits, Tokenizer, Value};
use engine::ecg::formats::stream::{Ranges, Stream};
use engine::ecg::formats::{self, Format};
use engine::ecg::holter::{self, Holter, RecordSource, Source as Recording};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// First bytes by which a format is told.
const HEAD_BYTES: u64 = 4_096;
/// Longest text header.
const HEADER_BYTES_MAX: u64 = 4 << 20;
/// Bytes fed to the tokenizer at once.
const FED_BYTES: usize = 1 << 20;
/// Longest value kept of a DICOM object: waveform data stay where they are.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// Which recording, and what to print.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Any record that `gongying ecg` reads. WFDB, EDF, BDF, ISHNE and DICOM are read piece by piece, others as a whole.
    record: PathBuf,
    #[command(flatten)]
    shape: Shape,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
    /// Language of the sentences.
    #[arg(long, value_enum, default_value_t = Language::Both)]
    lang: Language,
    /// Also write every beat as CSV (`sample,time_s,label`).
    #[arg(long, value_name = "FILE.csv")]
    beats: Option<PathBuf>,
    #[arg(short, value_name = "FILE")]
    o: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Zh,
    En,
    Both,
}

impl Options {
    pub(super) fn run(&self) -> Result<()> {
        let made = analyze(&self.record, &self.shape)?;
        if let Some(path) = &self.beats {
            output::write_file(path, beats(&made)?.as_bytes())?;
        }
        if self.json {
            return output::json(self.o.as_deref(), &made);
        }
        let mut text = String::new();
        if self.lang != Language::En {
            text.push_str(&holter::summary_zh(&made));
        }
        if self.lang == Language::Both {
            text.push('\n');
        }
        if self.lang != Language::Zh {
            text.push_str(&holter::summary_en(&made));
        }
        made.warnings
            .iter()
            .for_each(|warning| output::note(&format!("warning: {warning}")));
        output::write(self.o.as_deref(), text.as_bytes())
    }
}

fn beats(made: &Holter) -> Result<String> {
    let mut text = String::from("sample,time_s,label\n");
    for beat in &made.all_beats {
        let seconds = beat.sample as f64 / made.sampling_rate_hz;
        writeln!(text, "{},{seconds:.6},{}", beat.sample, beat.class.letter())?;
    }
    Ok(text)
}

/// Analyses a recording, piece by piece where its format allows it.
pub(super) fn analyze(path: &Path, shape: &Shape) -> Result<Holter> {
    let shown = || path.display().to_string();
    if let Some(mut stream) = open(path).with_context(shown)? {
        return holter::analyze(&mut stream).with_context(shown);
    }
    let record = record::read(path, shape)?;
    holter::analyze(&mut RecordSource::new(&record)).with_context(shown)
}

/// Seconds of a recording.
pub(super) fn duration_s(path: &Path, shape: &Shape) -> Result<f64> {
    if let Some(stream) = open(path)? {
        let layout = stream.layout();
        return Ok(layout.samples.unwrap_or(0) as f64 / layout.sampling_rate_hz);
    }
    Ok(record::read(path, shape)?.duration_s())
}

/// Opens a recording whose format can be read in pieces; `None` for the others.
fn open(path: &Path) -> Result<Option<Stream>> {
    let file = OnDisk::open(path)?;
    let head = file.head(HEAD_BYTES)?;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    match formats::detect(&head, &name) {
        Some(Format::Wfdb) => {
            let header = file.head(HEADER_BYTES_MAX)?;
            let opener = |wanted: &str| beside(path, wanted);
            Ok(formats::wfdb::stream::open(&header, &opener)?)
        }
        Some(Format::Edf) => Ok(formats::edf::stream::open(Box::new(file))?),
        Some(Format::Ishne) => Ok(Some(formats::ishne::stream::open(Box::new(file))?)),
        Some(Format::Dicom) => open_dicom(file),
        _ => Ok(None),
    }
}

/// A file beside the record, by its plain name only: a header must not lead anywhere else.
fn beside(record: &Path, wanted: &str) -> Option<Box<dyn Ranges>> {
    let plain = Path::new(wanted).file_name().is_some_and(|n| n == wanted);
    if !plain {
        return None;
    }
    let file = OnDisk::open(&record.with_file_name(wanted)).ok()?;
    Some(Box::new(file))
}

fn open_dicom(file: OnDisk) -> Result<Option<Stream>> {
    let head = file.head(dataset::file::META_BYTES_MAX as u64)?;
    let header = dataset::file::read_header(&head)?;
    let start = header.dataset_offset as u64;
    let in_place = matches!(
        header.transfer_syntax.kind(),
        dataset::Encoding::ImplicitLe | dataset::Encoding::ExplicitLe
    );
    if !in_place {
        return Ok(None);
    }
    let limits = Limits {
        retain_value_bytes: VALUE_BYTES_MAX,
        ..Limits::default()
    };
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, limits);
    let mut at = start;
    while at < file.size() {
        let part = file.read(at, FED_BYTES).map_err(anyhow::Error::msg)?;
        if part.is_empty() {
            break;
        }
        tokenizer.feed(&part)?;
        at += part.len() as u64;
    }
    let parsed = tokenizer.finish()?;
    let set = &parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let place = |number: usize| waveform_data(set, number, start);
    Ok(formats::dicom::stream::open(&lookup, &place, Box::new(file))?)
}

/// Where the samples of a multiplex group stand in the file.
fn waveform_data(set: &DataSet, number: usize, start: u64) -> Option<Range<u64>> {
    let group = set.sequence(dataset::tags::WAVEFORM_SEQUENCE).get(number)?;
    match group.get(dataset::tags::WAVEFORM_DATA)?.value {
        Value::External {
            offset,
            length,
            encapsulated: false,
        } => Some(start + offset..start + offset + length),
        _ => None,
    }
}

/// A file of which ranges are read.
struct OnDisk {
    file: Mutex<File>,
    size: u64,
}

impl OnDisk {
    fn open(path: &Path) -> Result<Self> {
        let why = || format!("{}: cannot be read", path.display());
        let metadata = std::fs::metadata(path).with_context(why)?;
        if !metadata.is_file() {
            anyhow::bail!(
                "{}: not a file; name the header or the record itself",
                path.display()
            );
        }
        Ok(Self {
            file: Mutex::new(File::open(path).with_context(why)?),
            size: metadata.len(),
        })
    }

    fn head(&self, length: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(length.min(self.size)).unwrap_or(0);
        self.read(0, length).map_err(anyhow::Error::msg)
    }
}

impl Ranges for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, String> {
        let length = length.min(usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX));
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::ecg::{Day, Phase};
    use fixtures::study::StudyContext;

    fn context() -> StudyContext {
        let day = time::Date::from_calendar_date(2026, time::Month::March, 5).unwrap();
        fixtures::demo::studies(fixtures::Seed::new(1), day.midnight())
            .first()
            .map(|study| study.context.clone())
            .unwrap()
    }

    #[test]
    fn a_dicom_object_is_read_in_pieces_and_as_a_whole_alike() {
        let plan = [Phase::Sinus(150.0, 70.0), Phase::Ectopic(60.0, 70.0, 6)];
        let day = Day::new(&plan, 200.0, fixtures::Seed::new(2));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.dcm");
        std::fs::write(&path, fixtures::ecg::ambulatory(&context(), &day).bytes).unwrap();
        let shape = Shape::default();
        let whole = record::read(&path, &shape).unwrap();
        let whole = holter::analyze(&mut RecordSource::new(&whole)).unwrap();
        assert!(open(&path).unwrap().is_some());
        assert_eq!(analyze(&path, &shape).unwrap(), whole);
        let counted = beats(&whole).unwrap().lines().count() as u64;
        assert_eq!(counted, whole.beats.total + 1);
        assert!((duration_s(&path, &shape).unwrap() - day.seconds).abs() < 0.01);
    }

    #[test]
    fn a_header_leads_to_plain_names_beside_it_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("outside.dat"), b"secret").unwrap();
        std::fs::write(folder.path().join("in/a.dat"), b"samples").unwrap();
        let record = folder.path().join("in/a.hea");
        assert_eq!(beside(&record, "a.dat").map(|file| file.size()), Some(7));
        for wanted in ["../outside.dat", "/etc/hostname", "..", "", "missing.dat"] {
            assert!(beside(&record, wanted).is_none(), "{wanted}");
        }
    }
}
