//! Files of carts and Holter recorders, a target for each format: whatever is read can be written, and what was written
//! reads back. Checksums are no hurdle: those of most formats are only warned about, those of FLAC are off in a fuzzing
//! build.

use dataset::{Limits, file};
use engine::ecg::formats::dicom::write::{self as dicom, Identity};
use engine::ecg::formats::{self, ReadOptions, edf, npy, wfdb};
use engine::ecg::{EcgError, Lead, LeadName, Record};
use std::borrow::Cow;

/// Recordings longer than this are read but not looked at further.
const LOOKED_AT_SAMPLES_MAX: usize = 200_000;
/// Recordings longer than this are read but not written.
const WRITTEN_SAMPLES_MAX: usize = 50_000;
/// Names that decide where the bytes do not.
const NAMES: [&str; 6] = ["x", "x.scp", "x.edf", "x.mwf", "x.hea", "x.npy"];

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = super::ecg_seeds::seeds();
    let named: Vec<_> = seeds
        .iter()
        .filter_map(|(target, bytes)| {
            let name = match *target {
                "ecg_scp" => 1,
                "ecg_edf" => 2,
                "ecg_mfer" => 3,
                "ecg_aecg" | "ecg_muse" | "ecg_sierra" | "ecg_ishne" | "ecg_array" => 0,
                _ => return None,
            };
            Some(("ecg_file", [&[name][..], bytes].concat()))
        })
        .collect();
    seeds.extend(named);
    seeds.push(("ecg_file", b"\0<CardiologyXML/>".to_vec()));
    seeds.push(("ecg_file", b"\0%PDF-1.7".to_vec()));
    seeds
}

/// Any file that stands on its own bytes, by what it looks like.
pub fn ecg_file(bytes: &[u8]) {
    let Some((name, bytes)) = bytes.split_first() else {
        return;
    };
    let name = NAMES[usize::from(*name) % NAMES.len()];
    let nothing = |_: &str| None;
    whole(formats::read(bytes, name, &nothing, &ReadOptions::default()));
}

/// SCP-ECG.
pub fn ecg_scp(bytes: &[u8]) {
    whole(formats::scp::read(bytes));
}

/// HL7 annotated ECG.
pub fn ecg_aecg(bytes: &[u8]) {
    whole(formats::aecg::read(bytes));
}

/// GE MUSE XML.
pub fn ecg_muse(bytes: &[u8]) {
    whole(formats::muse::read(bytes));
}

/// Philips Sierra XML, with its compression.
pub fn ecg_sierra(bytes: &[u8]) {
    whole(formats::sierra::read(bytes));
}

/// EDF, EDF+, BDF and BDF+.
pub fn ecg_edf(bytes: &[u8]) {
    whole(formats::edf::read(bytes));
}

/// MFER.
pub fn ecg_mfer(bytes: &[u8]) {
    whole(formats::mfer::read(bytes));
}

/// ISHNE.
pub fn ecg_ishne(bytes: &[u8]) {
    whole(formats::ishne::read(bytes));
}

/// NumPy arrays; what was read is written and read again the same.
pub fn ecg_array(bytes: &[u8]) {
    let options = ReadOptions {
        sampling_rate_hz: Some(500.0),
        lead_names: None,
    };
    let Ok(record) = npy::read(bytes, &options) else {
        return;
    };
    let rows: Vec<Vec<f64>> = record
        .leads
        .iter()
        .map(|lead| lead.samples_uv.iter().map(|v| f64::from(*v)).collect())
        .collect();
    let back = npy::read(&npy::write(&rows), &options).expect("what was written reads back");
    same(&record, &back, 0.0);
    whole(Ok(record));
}

/// DICOM waveforms.
pub fn ecg_dicom(bytes: &[u8]) {
    let Ok(file) = file::read_partial(bytes, Limits::in_memory()) else {
        return;
    };
    let set = &file.parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    whole(formats::dicom::read(&lookup));
}

/// WFDB: header and signal file, a zero byte between them; for a record of segments the header of all segments stands
/// between the two. The same signal bytes as annotations.
pub fn ecg_wfdb(bytes: &[u8]) {
    let (header, rest) = header_and_signals(bytes);
    let segmented = header
        .split(|b| *b == b' ')
        .next()
        .is_some_and(|name| name.contains(&b'/'));
    let (part, data) = if segmented {
        header_and_signals(rest)
    } else {
        (&[][..], rest)
    };
    let side = |name: &str| Some(if name.ends_with(".hea") { part } else { data }.to_vec());
    whole(wfdb::read(header, &side));
    let _ = formats::detect(header, "r");
    let _ = wfdb::annotation::read(data);
}

/// A text and what follows behind a zero byte.
pub(crate) fn header_and_signals(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (header, data) = bytes.split_at(at);
    (header, data.get(1..).unwrap_or_default())
}

/// A record is whole: all leads of one length, a rate that is one, no infinities.
pub(crate) fn check(record: &Record) {
    assert!(record.sampling_rate_hz.is_finite() && record.sampling_rate_hz > 0.0);
    let length = record.len();
    assert!(record.leads.iter().all(|lead| lead.samples_uv.len() == length));
    let mut values = record.leads.iter().flat_map(|lead| &lead.samples_uv);
    assert!(values.all(|value| !value.is_infinite()));
    let _ = serde_json::to_string(&record.info()).expect("what is told of it can be written");
    let _ = record.lead_names();
    if length * record.leads.len() <= LOOKED_AT_SAMPLES_MAX {
        let _ = record.with_derived_limb_leads();
        let _ = record.window(0..length / 2);
    }
}

fn whole(read: Result<Record, EcgError>) {
    let record = match read {
        Ok(record) => record,
        Err(error) => {
            assert!(error.to_string().len() < 2_000, "an error is a sentence");
            return;
        }
    };
    check(&record);
    if record.len() * record.leads.len() > WRITTEN_SAMPLES_MAX {
        return;
    }
    write_dicom(&record);
    write_edf(&record);
    let files = wfdb::write::write(&record, "r");
    let side = |_: &str| Some(files.signals.clone());
    let back = wfdb::read(&files.header, &side).expect("what was written reads back");
    // WFDB says offsets in whole steps only.
    same(&record, &back, 1.6);
}

fn write_dicom(record: &Record) {
    let identity = Identity {
        sop_instance_uid: "2.25.1".into(),
        series_instance_uid: "2.25.2".into(),
        study_instance_uid: "2.25.3".into(),
        accession_number: None,
        now: "20240102".into(),
    };
    let Ok(bytes) = dicom::write(record, &identity, &dicom::Additions::default()) else {
        return;
    };
    let object = file::read(&bytes, Limits::in_memory()).expect("a sound object");
    let set = &object.parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let back = formats::dicom::read(&lookup).expect("what was written reads back");
    same(record, &back, 1.1);
}

fn write_edf(record: &Record) {
    let Ok(bytes) = edf::write::write(record) else {
        return;
    };
    let back = edf::read(&bytes).expect("what was written reads back");
    assert!(
        back.len() >= record.len(),
        "EDF only adds to the last data record"
    );
}

/// Samples within so many steps, gaps where there were gaps.
fn same(record: &Record, back: &Record, steps: f64) {
    assert_eq!((record.len(), record.leads.len()), (back.len(), back.leads.len()));
    for (want, got) in record.leads.iter().zip(&back.leads) {
        // Numbers beyond anything that a body makes are not kept.
        if want.samples_uv.iter().any(|v| v.abs() > 1e9) {
            continue;
        }
        for (a, b) in want.samples_uv.iter().zip(&got.samples_uv) {
            let near = f64::from((a - b).abs()) <= steps * got.resolution_uv + 1e-3;
            assert!(
                near || a.is_nan() && b.is_nan(),
                "{a} became {b} at {}",
                got.resolution_uv
            );
        }
    }
}

/// Leads named in the order of the paper.
pub(crate) fn leads(count: usize, samples: impl Fn(usize) -> Vec<f32>) -> Vec<Lead> {
    (0..count)
        .map(|index| Lead {
            name: LeadName::new(engine::ecg::record::STANDARD_LEADS[index % 12]),
            samples_uv: samples(index),
            resolution_uv: 0.0,
            derived: false,
        })
        .collect()
}
