//! Files of carts and Holter recorders: whatever is read can be written, and what was written reads back.

use dataset::{Limits, file};
use engine::ecg::Record;
use engine::ecg::formats::dicom::write::{self as dicom, Identity};
use engine::ecg::formats::{self, ReadOptions, edf, wfdb};
use std::borrow::Cow;

/// Recordings longer than this are read but not written.
const SAMPLES_MAX: usize = 50_000;
/// Names that decide where the bytes do not.
const NAMES: [&str; 5] = ["x", "x.scp", "x.edf", "x.mwf", "x.hea"];

/// Sound inputs to start from: target and bytes. The first byte chooses the name of the file.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let made = |name: u8, bytes: Vec<u8>| ("ecg_file", [vec![name], bytes].concat());
    let record = recording();
    let edf = edf::write::write(&record).expect("a recording of 100 Hz");
    let aecg = "<?xml version=\"1.0\"?><AnnotatedECG xmlns=\"urn:hl7-org:v3\"><component><series><effectiveTime>\
        <low value=\"20240102\"/></effectiveTime><component><sequenceSet><component><sequence><code code=\"TIME_ABSOLUTE\"/>\
        <value><increment value=\"2\" unit=\"ms\"/></value></sequence></component><component><sequence>\
        <code code=\"MDC_ECG_LEAD_II\"/><value><origin value=\"0\" unit=\"uV\"/><scale value=\"5\" unit=\"uV\"/>\
        <digits>1 2 3 -4 5</digits></value></sequence></component></sequenceSet></component></series></component></AnnotatedECG>";
    let muse = "<?xml version=\"1.0\"?><!DOCTYPE RestingECG SYSTEM \"restecg.dtd\"><RestingECG><PatientDemographics>\
        <PatientAge>40</PatientAge></PatientDemographics><Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase>\
        <LeadData><LeadSampleCountTotal>3</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>\
        <LeadID>I</LeadID><WaveFormData>AQACAP//</WaveFormData></LeadData><LeadData><LeadAmplitudeUnitsPerBit>4.88\
        </LeadAmplitudeUnitsPerBit><LeadID>II</LeadID><WaveFormData>BQAEAAMA</WaveFormData></LeadData></Waveform></RestingECG>";
    let sierra = "<restingecgdata><dataacquisition><signalcharacteristics><samplingrate>500</samplingrate><resolution>5\
        </resolution><numberchannelsvalid>1</numberchannelsvalid></signalcharacteristics></dataacquisition><waveforms>\
        <parsedwaveforms dataencoding=\"Base64\" compression=\"XLI\" durationperchannel=\"12\" leadlabels=\"V1\">\
        EAAAAAEAAAAAAAAAEAQBAEAQBAEAQP/A</parsedwaveforms></waveforms></restingecgdata>";
    vec![
        made(1, scp()),
        made(2, edf),
        made(0, ishne()),
        made(3, mfer()),
        made(0, aecg.as_bytes().to_vec()),
        made(0, muse.as_bytes().to_vec()),
        made(0, sierra.as_bytes().to_vec()),
        made(0, b"<CardiologyXML/>".to_vec()),
    ]
}

/// Two leads of two seconds, with a remark.
fn recording() -> Record {
    let lead = |name: &str, k: i32| engine::ecg::Lead {
        name: engine::ecg::LeadName::new(name),
        samples_uv: (0..200).map(|n| ((n * k) % 37 * 5) as f32).collect(),
        resolution_uv: 5.0,
        derived: false,
    };
    let mut record =
        Record::new("fuzz", vec![lead("I", 3), lead("II", 5)], 100.0).expect("a sound recording");
    record.annotations.push(engine::ecg::record::Annotation {
        sample: Some(50),
        text: "pain".into(),
    });
    record
}

/// One lead with a reference beat, plain numbers and no checksums.
fn scp() -> Vec<u8> {
    let words = |values: &[u16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let longs = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let samples: Vec<u8> = (0..40_i16).flat_map(|n| (n * 7 % 30).to_le_bytes()).collect();
    let beat: Vec<u8> = (0..10_i16).flat_map(|n| (n * n).to_le_bytes()).collect();
    let layout = [vec![1, 5 | 1 << 3], longs(&[1, 40]), vec![1]].concat();
    let zones = [words(&[20, 5, 1, 0]), longs(&[11, 15, 20]), longs(&[12, 18])].concat();
    let reference = [words(&[2_500, 2_000]), vec![0, 0], words(&[20]), beat].concat();
    let rhythm = [words(&[2_500, 2_000]), vec![1, 0], words(&[80]), samples].concat();
    let texts = [&[1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 0][..], b"ok\0"].concat();
    let patient = [&[0, 3, 0][..], b"Li\0", &[255, 0, 0]].concat();
    let bodies = [
        (1_u16, patient),
        (3, layout),
        (4, zones),
        (5, reference),
        (6, rhythm),
        (8, texts),
    ];
    let (mut pointers, mut rest, mut place) = (Vec::new(), Vec::new(), 7 + 16 + 120_u32);
    for number in 0..12_u16 {
        let body = bodies.iter().find(|b| b.0 == number).map(|b| &b.1);
        let length = body.map_or(if number == 0 { 136 } else { 0 }, |b| b.len() as u32 + 16);
        let at = if number == 0 { 7 } else { place };
        pointers.extend([number.to_le_bytes().to_vec(), longs(&[length, at])].concat());
        if let Some(body) = body {
            rest.extend(
                [
                    vec![0, 0],
                    number.to_le_bytes().to_vec(),
                    longs(&[length]),
                    vec![20, 20, 0, 0, 0, 0, 0, 0],
                    body.clone(),
                ]
                .concat(),
            );
            place += length;
        }
    }
    let first = [
        vec![0, 0, 0, 0],
        longs(&[136]),
        vec![20, 20],
        b"SCPECG".to_vec(),
        pointers,
        rest,
    ]
    .concat();
    [vec![0, 0], longs(&[first.len() as u32 + 6]), first].concat()
}

fn ishne() -> Vec<u8> {
    let mut bytes = vec![0; 522];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"ISHNE1.0");
    put(14, &20_u32.to_le_bytes());
    put(18, &522_u32.to_le_bytes());
    put(22, &522_u32.to_le_bytes());
    put(28, b"Ann");
    for (at, value) in [
        (156, 2_u16),
        (158, 6),
        (160, 15),
        (206, 2_500),
        (208, 2_500),
        (272, 200),
    ] {
        put(at, &value.to_le_bytes());
    }
    bytes.extend((0..40_i16).flat_map(|n| (n % 9).to_le_bytes()));
    bytes
}

fn mfer() -> Vec<u8> {
    let mut bytes = b"\x40\x03MFR\x01\x01\x01\x0b\x04\x01\xfd\x02\0\x0c\x04\0\xfa\x05\0\x04\x01\x0a\x05\x01\x02\x06\x01\x02".to_vec();
    bytes.extend(b"\x3f\0\x04\x09\x02\x01\0\x3f\x01\x04\x09\x02\x03\0\x81\x02Li\x84\x01\x02\x1e\x50");
    bytes.extend((0..40_i16).flat_map(|n| (n % 9).to_le_bytes()));
    bytes.extend(b"\x80\0");
    bytes
}

/// Any file that stands on its own bytes.
pub fn ecg_file(bytes: &[u8]) {
    let Some((name, bytes)) = bytes.split_first() else {
        return;
    };
    let name = NAMES[usize::from(*name) % NAMES.len()];
    let nothing = |_: &str| None;
    let Ok(record) = formats::read(bytes, name, &nothing, &ReadOptions::default()) else {
        return;
    };
    super::ecg::check(&record);
    if record.len() * record.leads.len() > SAMPLES_MAX {
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
