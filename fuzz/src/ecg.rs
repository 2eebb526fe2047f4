//! Readers of recordings, and what is computed from them.

use dataset::{Limits, file};
use engine::ecg::formats::{self, ReadOptions, wfdb};
use engine::ecg::{Lead, LeadName, Record};
use std::borrow::Cow;

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let samples: Vec<u8> = (0..600_i16).flat_map(|i| (i * 37 % 500).to_le_bytes()).collect();
    let headers = [
        "r 2 360 300\nr.dat 212 200 11 1024 995 -22131 0 MLII\nr.dat 212 200 11 1024 1011 20052 0 V5\n# 69 M\n",
        "r 1 500/500(0) 600 10:00:00 01/02/2020\nr.dat 16 1000(0)/mV 16 0 0 0 0 I\n",
        "r 3 250 100\nr.dat 16x2:1+8 200/uV 12 0 0 0 0 II\nr.dat 310 1/mV 10 0 0 0 0 V1\nr.dat 80 100 8 0 0 0 0 V2\n",
        "r/2 1 360 200\nseg 100\n~ 100\n",
        "r 1 100 50\nr.dat 61 1 16 0 0 0 0 X\n",
    ];
    let mut seeds: Vec<(&'static str, Vec<u8>)> = headers
        .into_iter()
        .map(|header| ("ecg_wfdb", [header.as_bytes(), &[0], &samples].concat()))
        .collect();
    // one beat a second in two leads of 100 Hz, eight seconds
    let beat = |i: i16| match i % 100 {
        48 => -100,
        49 => 600,
        50 => 1200,
        51 => 300,
        52 => -200,
        70..=85 => 200,
        _ => i % 7,
    };
    let signal: Vec<u8> = (0..800)
        .chain(0..800)
        .flat_map(|i| beat(i).to_le_bytes())
        .collect();
    seeds.push(("ecg_analyze", [&[1, 1, 0][..], &signal].concat()));
    seeds.push(("ecg_analyze", [&[11, 0, 1][..], &signal].concat()));
    seeds
}

/// Recordings longer than this are read but not looked at further.
const SAMPLES_MAX: usize = 200_000;

/// A record is whole: all leads of one length, a rate that is one.
pub(crate) fn check(record: &Record) {
    assert!(record.sampling_rate_hz.is_finite() && record.sampling_rate_hz > 0.0);
    let length = record.len();
    assert!(record.leads.iter().all(|lead| lead.samples_uv.len() == length));
    let _ = serde_json::to_string(&record.info()).expect("what is told of it can be written");
    let _ = record.lead_names();
    if length * record.leads.len() <= SAMPLES_MAX {
        let _ = record.with_derived_limb_leads();
        let _ = record.window(0..length / 2);
    }
}

/// WFDB: header and signal file, a zero byte between them; the same signal bytes as annotations.
pub fn ecg_wfdb(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (header, data) = bytes.split_at(at);
    let data = data.get(1..).unwrap_or_default();
    let side = |name: &str| (!name.ends_with(".hea")).then(|| data.to_vec());
    if let Ok(record) = wfdb::read(header, &side) {
        check(&record);
    }
    // segments named by a header are read from the same text
    let all = |name: &str| Some(if name.ends_with(".hea") { header } else { data }.to_vec());
    if let Ok(record) = formats::read(header, "r.hea", &all, &ReadOptions::default()) {
        check(&record);
    }
    let _ = wfdb::annotation::read(data);
    let options = ReadOptions {
        sampling_rate_hz: Some(500.0),
        lead_names: None,
    };
    if let Ok(record) = formats::npy::read(bytes, &options) {
        check(&record);
    }
}

/// DICOM waveforms.
pub fn ecg_dicom(bytes: &[u8]) {
    let Ok(file) = file::read_partial(bytes, Limits::in_memory()) else {
        return;
    };
    let set = &file.parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    if let Ok(record) = formats::dicom::read(&lookup) {
        check(&record);
    }
}

/// Any signal in one to twelve leads goes through the whole analysis.
pub fn ecg_analyze(bytes: &[u8]) {
    let Some((&[leads, rate, scale], data)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let count = usize::from(leads % 12) + 1;
    let hz = [50.0, 100.0, 250.0, 360.0, 500.0, 1000.0][usize::from(rate % 6)];
    let uv = [0.1, 5.0, 1000.0, 1e12][usize::from(scale % 4)];
    let value = |pair: &[u8]| match i16::from_le_bytes([pair[0], pair[1]]) {
        i16::MIN => f32::NAN,
        i16::MAX => f32::INFINITY,
        other => f32::from(other) * uv,
    };
    let samples: Vec<f32> = data.chunks_exact(2).map(value).collect();
    let length = samples.len() / count;
    let leads = (0..count)
        .map(|index| {
            let name = LeadName::new(engine::ecg::record::STANDARD_LEADS[index]);
            Lead {
                name,
                samples_uv: samples[index * length..(index + 1) * length].to_vec(),
                resolution_uv: 0.0,
                derived: false,
            }
        })
        .collect();
    let Ok(record) = Record::new("fuzz", leads, hz) else {
        return;
    };
    check(&record);
    let analysis = engine::ecg::analyze(&record);
    let _ = serde_json::to_string(&analysis).expect("what was found can be written");
}
