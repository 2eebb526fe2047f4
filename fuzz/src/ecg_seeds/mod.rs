//! Recordings of every format to start from, small and synthetic: by the product's writers where it has one, by the
//! writers of its unit tests, else put together here.

mod bits;
mod flac;
mod raw;
mod scp;
mod xml;

use engine::ecg::formats::dicom::write::{self as dicom, Identity};
use engine::ecg::formats::{edf, npy};
use engine::ecg::record::Annotation;
use engine::ecg::{Lead, LeadName, Record};

/// One for each coding that a reader knows: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let record = recording();
    let mut seeds = vec![
        ("ecg_ishne", ishne(false)),
        ("ecg_ishne", ishne(true)),
        ("ecg_mfer", mfer(true)),
        ("ecg_mfer", mfer(false)),
        (
            "ecg_edf",
            edf::write::write(&record).expect("a recording of 100 Hz"),
        ),
        ("ecg_edf", biosemi()),
        ("ecg_dicom", dicom_file(&record)),
    ];
    let rows: Vec<Vec<f64>> = vec![vec![0.0, 1.5, -2.0], vec![4.0, 5.0, 6.0]];
    seeds.push(("ecg_array", npy::write(&rows)));
    for (kind, order) in [
        ("<i2", "False"),
        (">i4", "True"),
        ("<f4", "False"),
        ("|u1", "True"),
    ] {
        seeds.push(("ecg_array", array(kind, order)));
    }
    seeds.extend(scp::files().into_iter().map(|bytes| ("ecg_scp", bytes)));
    seeds.extend(xml::aecg().into_iter().map(|bytes| ("ecg_aecg", bytes)));
    seeds.extend(xml::muse().into_iter().map(|bytes| ("ecg_muse", bytes)));
    seeds.extend(xml::sierra().into_iter().map(|bytes| ("ecg_sierra", bytes)));
    for (header, samples) in records() {
        seeds.push(("ecg_wfdb", [header.as_bytes(), &[0], &samples].concat()));
        for pieces in [0, 3, 40] {
            seeds.push((
                "ecg_stream",
                [&[0, pieces, 7][..], header.as_bytes(), &[0], &samples].concat(),
            ));
        }
    }
    let files: Vec<(u8, Vec<u8>)> = seeds
        .iter()
        .filter_map(|(target, bytes)| match *target {
            "ecg_edf" => Some((1, bytes.clone())),
            "ecg_ishne" => Some((2, bytes.clone())),
            "ecg_dicom" => Some((3, bytes.clone())),
            _ => None,
        })
        .collect();
    for (format, bytes) in files {
        for pieces in [0, 5, 60] {
            seeds.push(("ecg_stream", [&[format, pieces, 3][..], &bytes].concat()));
        }
    }
    for (leads, rate) in [(1, 0), (3, 1), (2, 2)] {
        seeds.push(("ecg_holter", [&[leads - 1, rate, 200, 90][..], &beats()].concat()));
    }
    seeds
}

/// Two leads of two seconds, with a gap and a remark.
fn recording() -> Record {
    let lead = |name: &str, k: i32| Lead {
        name: LeadName::new(name),
        samples_uv: (0..200)
            .map(|n| match n {
                90..100 => f32::NAN,
                _ => ((n * k) % 37 * 5) as f32,
            })
            .collect(),
        resolution_uv: 5.0,
        derived: false,
    };
    let leads = vec![lead("I", 3), lead("II", 5)];
    let mut record = Record::new("fuzz", leads, 100.0).expect("a sound recording");
    record.annotations.push(Annotation {
        sample: Some(50),
        text: "pain".into(),
    });
    record
}

fn dicom_file(record: &Record) -> Vec<u8> {
    let identity = Identity {
        sop_instance_uid: "2.25.1".into(),
        series_instance_uid: "2.25.2".into(),
        study_instance_uid: "2.25.3".into(),
        accession_number: None,
        now: "20240102".into(),
    };
    dicom::write(record, &identity, &dicom::Additions::default()).expect("a sound recording")
}

fn array(kind: &str, order: &str) -> Vec<u8> {
    let dict = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': (2, 6), }}\n");
    let length = (dict.len() as u16).to_le_bytes();
    [npy::MAGIC, &[1, 0], &length, dict.as_bytes(), &[7; 48]].concat()
}

/// BDF with a channel of annotations: a data record of one second, a pause, another data record.
fn biosemi() -> Vec<u8> {
    let mut out = b"\xffBIOSEMI".to_vec();
    let mut put = |text: &str, size: usize| out.extend(format!("{text:size$}").bytes());
    put("X F 02-MAY-1951 X", 80);
    put("Startdate 02-MAR-2002 X X X", 80);
    put("02.03.02", 8);
    put("09.05.07", 8);
    put("768", 8);
    put("BDF+D", 44);
    put("2", 8);
    put("1", 8);
    put("2", 4);
    for (first, second, size) in [
        ("ECG II", "BDF Annotations", 16),
        ("", "", 80),
        ("uV", "", 8),
        ("-262144", "-1", 8),
        ("262143", "1", 8),
        ("-8388608", "-8388608", 8),
        ("8388607", "8388607", 8),
        ("HP:0.05Hz LP:150Hz", "", 80),
        ("40", "10", 8),
        ("", "", 32),
    ] {
        put(first, size);
        put(second, size);
    }
    for onset in ["+0", "+5.5"] {
        out.extend((0..120_u8).map(|n| n.wrapping_mul(7)));
        let text = format!("{onset}\x14\x14\0{onset}\x150.5\x14pain\x14\0");
        out.extend(format!("{text:\0<30}").bytes());
    }
    out
}

/// Headers and signals of WFDB: each storage format, several segments, skew, packed signals.
fn records() -> Vec<(String, Vec<u8>)> {
    let plain: Vec<u8> = (0..600_i16).flat_map(|i| (i * 37 % 500).to_le_bytes()).collect();
    let mut out: Vec<(String, Vec<u8>)> = [8, 16, 24, 32, 61, 80, 160, 212, 310, 311]
        .into_iter()
        .map(|format| {
            let lead = |name: &str| format!("r.dat {format} 200(5)/uV 12 0 3 99 0 {name}\n");
            (
                format!("r 2 360 120\n{}{}", lead("II"), lead("V5")),
                plain.clone(),
            )
        })
        .collect();
    out.push((
        "r 2 250 100\nr.dat 16x2:1+8 200/uV 12 0 0 0 0 II\nr.dat 16:3 1/mV 10 0 0 0 0 V1\n# age: 60 sex: F\n"
            .into(),
        plain.clone(),
    ));
    out.push((
        "r/3 1 360 130\na 50\n~ 30\na 50\n\0a 1 360 60\na.dat 16 1000(0)/mV 16 0 0 0 0 II\n".into(),
        plain.clone(),
    ));
    for (order, format) in [(0, 516), (2, 508), (4, 524)] {
        let header =
            format!("r 2 360 40\nr.dat {format} 200 16 0 0 0 0 I\nr.dat {format} 200 16 0 0 0 0 II\n");
        out.push((header, flac::stream(order)));
    }
    out
}

fn ishne(cut: bool) -> Vec<u8> {
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
    bytes.extend((0..if cut { 30 } else { 40_i16 }).flat_map(|n| (n % 9).to_le_bytes()));
    bytes
}

fn mfer(little: bool) -> Vec<u8> {
    let word = |v: i16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
    let mut bytes = b"\x40\x03MFR\x01\x01".to_vec();
    bytes.push(u8::from(little));
    bytes.extend(b"\x03\x05UTF-8\x0b\x04\x01\xfd");
    bytes.extend(word(2));
    bytes.extend(b"\x0c\x04\0\xfa");
    bytes.extend(word(5));
    for (tag, value) in [(4, 10), (6, 2), (0x12, i16::MIN)] {
        bytes.extend([tag, 2]);
        bytes.extend(word(value));
    }
    bytes.extend(b"\x05\x01\x02\x3f\0\x04\x09\x02\x01\0\x3f\x01\x04\x09\x02\x03\0\x81\x02Li\x84\x01\x02");
    bytes.extend(b"\x16\x04note\x1e\x50");
    bytes.extend((0..40_i16).flat_map(|n| word(n % 9)));
    bytes.extend(b"\x80\0");
    bytes
}

/// One beat a second in two leads of 100 Hz, two seconds.
fn beats() -> Vec<u8> {
    let beat = |i: i16| match i % 100 {
        48 => -100,
        49 => 600,
        50 => 1200,
        51 => 300,
        52 => -200,
        70..=85 => 200,
        _ => i % 7,
    };
    (0..200)
        .chain(0..200)
        .flat_map(|i| beat(i).to_le_bytes())
        .collect()
}
