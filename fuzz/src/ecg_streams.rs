//! Long recordings: what is read in pieces of any size is what is read whole, and the result of a day does not depend
//! on how its source cuts it.

use super::ecg_files::{header_and_signals, leads};
use dataset::{DataSet, Encoding, Limits, Tokenizer, Value, file, tags};
use engine::ecg::formats::stream::{Ranges, Stream};
use engine::ecg::formats::{dicom, edf, ishne, wfdb};
use engine::ecg::holter::{self, Layout, RecordSource, Source};
use engine::ecg::{EcgError, Record};
use std::borrow::Cow;
use std::ops::Range;

/// Longest recording compared, in samples of all leads.
const SAMPLES_MAX: usize = 1 << 20;
/// Longest recording analysed, in samples of all leads.
const ANALYSED_SAMPLES_MAX: usize = 120_000;
/// Longest value that the reader in pieces keeps of a data set.
const VALUE_BYTES_MAX: u64 = 64;

/// A recording read whole and in pieces. Three bytes choose: format, bytes of the file at once, samples at once.
pub fn ecg_stream(bytes: &[u8]) {
    let Some((&[format, chunk, frames], bytes)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let chunk = usize::from(chunk).pow(2).max(1);
    let frames = match frames {
        0 => usize::MAX,
        other => usize::from(other).pow(2),
    };
    let ranges = || Box::new(bytes.to_vec()) as Box<dyn Ranges>;
    let (whole, pieces) = match format % 4 {
        0 => {
            let (header, data) = header_and_signals(bytes);
            let opener = |_: &str| Some(Box::new(data.to_vec()) as Box<dyn Ranges>);
            let whole = wfdb::read(header, &|_: &str| Some(data.to_vec()));
            (whole, wfdb::stream::open(header, &opener))
        }
        1 => (edf::read(bytes), edf::stream::open(ranges())),
        2 => (ishne::read(bytes), ishne::stream::open(ranges()).map(Some)),
        _ => match dicom_both(bytes) {
            Some(both) => both,
            None => return,
        },
    };
    match (whole, pieces) {
        (_, Ok(None)) | (Err(_), Err(_)) => {}
        (Ok(whole), Ok(Some(stream))) => compare(&whole, stream.in_chunks_of(chunk), frames),
        // Only the whole has a bound for all samples together.
        (Err(EcgError::TooLarge { .. }), Ok(Some(_))) => {}
        (Err(error), Ok(Some(stream))) => panic!("refused whole, but not in pieces: {error}; {stream:?}"),
        (Ok(whole), Err(error)) => panic!("refused in pieces: {error}; whole: {:?}", whole.info()),
    }
}

type Both = (Result<Record, EcgError>, Result<Option<Stream>, EcgError>);

/// An object with its values in memory, and the same with its samples left where they are.
fn dicom_both(bytes: &[u8]) -> Option<Both> {
    let header = file::read_header(bytes).ok()?;
    let in_place = matches!(
        header.transfer_syntax.kind(),
        Encoding::ImplicitLe | Encoding::ExplicitLe
    );
    if !in_place {
        return None;
    }
    let start = header.dataset_offset;
    let parse = |limits: Limits| {
        let mut tokenizer = Tokenizer::new(&header.transfer_syntax, limits);
        tokenizer.feed(bytes.get(start..)?).ok()?;
        Some(tokenizer.finish().ok()?.data_set)
    };
    let short = Limits {
        retain_value_bytes: VALUE_BYTES_MAX,
        ..Limits::in_memory()
    };
    let (full, lean) = (parse(Limits::in_memory())?, parse(short)?);
    // Groups beside the longest are left out in pieces, and so are other values that are too long to be kept.
    let groups = full.sequence(tags::WAVEFORM_SEQUENCE);
    if groups.len() != 1 || !groups.iter().all(|group| agrees(group, &lean)) {
        return None;
    }
    let whole = dicom::read(&|path, tag| full.raw_at(path, tag).map(Cow::Borrowed));
    let place = |number: usize| samples_of(&lean, number, start as u64);
    let lookup = |path: &[(u32, usize)], tag: u32| lean.raw_at(path, tag).map(Cow::Borrowed);
    let pieces = dicom::stream::open(&lookup, &place, Box::new(bytes.to_vec()));
    Some((whole, pieces))
}

/// Whether what the samples mean was kept.
fn agrees(group: &DataSet, lean: &DataSet) -> bool {
    let kept = lean.sequence(tags::WAVEFORM_SEQUENCE);
    let definitions = dataset::Tag(0x003A, 0x0200);
    let Some(kept) = kept.first() else { return false };
    let values = |set: &DataSet| {
        let own: Vec<_> = set
            .elements()
            .iter()
            .filter(|element| element.tag != tags::WAVEFORM_DATA)
            .map(|element| element.value.clone())
            .collect();
        (own, set.sequence(definitions).len())
    };
    values(group) == values(kept)
}

/// Where the samples of a multiplex group stand in the file.
fn samples_of(set: &DataSet, number: usize, start: u64) -> Option<Range<u64>> {
    let group = set.sequence(tags::WAVEFORM_SEQUENCE).get(number)?;
    match group.get(tags::WAVEFORM_DATA)?.value {
        Value::External {
            offset,
            length,
            encapsulated: false,
        } => Some(start + offset..start + offset + length),
        _ => None,
    }
}

fn compare(whole: &Record, mut stream: Stream, frames: usize) {
    let layout = stream.layout().clone();
    assert_eq!(layout.leads, whole.lead_names());
    assert_eq!(layout.sampling_rate_hz, whole.sampling_rate_hz);
    assert_eq!(layout.samples, Some(whole.len() as u64));
    if whole.len() * whole.leads.len() > SAMPLES_MAX {
        return;
    }
    let mut leads = vec![Vec::new(); layout.leads.len()];
    loop {
        let before = leads[0].len();
        let got = stream.read(frames, &mut leads).expect("bytes in memory");
        assert!(got <= frames && leads.iter().all(|lead| lead.len() == before + got));
        if got == 0 {
            break;
        }
    }
    for (got, want) in leads.iter().zip(&whole.leads) {
        assert_eq!(got.len(), want.samples_uv.len());
        for (at, (a, b)) in got.iter().zip(&want.samples_uv).enumerate() {
            let same = a == b || a.is_nan() && b.is_nan();
            assert!(
                same,
                "sample {at} of {} is {a} in pieces and {b} whole",
                want.name
            );
        }
    }
}

/// A recording that hands out its samples in pieces of changing size.
struct Uneven<'r> {
    whole: RecordSource<'r>,
    size: usize,
}

impl Source for Uneven<'_> {
    fn layout(&self) -> &Layout {
        self.whole.layout()
    }

    fn read(&mut self, frames: usize, leads: &mut [Vec<f32>]) -> Result<usize, EcgError> {
        self.size = self.size * 5 % 8_191 + 1;
        self.whole.read(frames.min(self.size), leads)
    }
}

/// A few seconds, repeated for minutes: the whole is the same however it comes. Four bytes choose leads, rate,
/// repetitions and pieces.
pub fn ecg_holter(bytes: &[u8]) {
    let Some((&[count, rate, times, pieces], data)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let count = usize::from(count % 4) + 1;
    let hz = [100.0, 128.0, 250.0, 22.0][usize::from(rate % 4)];
    let value = |pair: &[u8]| match i16::from_le_bytes([pair[0], pair[1]]) {
        i16::MIN => f32::NAN,
        other => f32::from(other),
    };
    let samples: Vec<f32> = data.chunks_exact(2).map(value).collect();
    let length = samples.len() / count;
    let most = ANALYSED_SAMPLES_MAX / samples.len().max(1);
    let times = (usize::from(times) + 1).min(most);
    let leads = leads(count, |index| {
        samples[index * length..(index + 1) * length].repeat(times)
    });
    let Ok(record) = Record::new("fuzz", leads, hz) else {
        return;
    };
    let one = holter::analyze(&mut RecordSource::new(&record));
    let mut uneven = Uneven {
        whole: RecordSource::new(&record),
        size: usize::from(pieces) + 1,
    };
    let other = holter::analyze(&mut uneven);
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let told = |made: &holter::Holter| serde_json::to_string(made).expect("a result can be written");
            assert_eq!(told(&one), told(&other));
            let _ = (holter::summary_zh(&one), holter::summary_en(&one));
        }
        (one, other) => assert!(one.is_err() && other.is_err()),
    }
}
