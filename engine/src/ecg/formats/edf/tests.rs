use super::*;
use crate::ecg::record::{Annotation, Patient};
use crate::ecg::synth::Synth;
use proptest::prelude::*;

/// One signal: label, unit, physical and digital limits, samples of each data record.
struct Channel<'a> {
    label: &'a str,
    unit: &'a str,
    physical: (&'a str, &'a str),
    digital: (i32, i32),
    data: Vec<Vec<u8>>,
}

fn file(reserved: &str, records: &str, duration: &str, channels: &[Channel<'_>]) -> Vec<u8> {
    let bdf = reserved.starts_with("BDF") || reserved == "24BIT";
    let width = if bdf { 3 } else { 2 };
    let mut out = if bdf {
        b"\xffBIOSEMI".to_vec()
    } else {
        b"0       ".to_vec()
    };
    let put = |out: &mut Vec<u8>, text: &str, size: usize| out.extend(format!("{text:size$}").bytes());
    put(&mut out, "MCH-1 F 02-MAY-1951 Haagse_Harry", 80);
    put(&mut out, "Startdate 02-MAR-2002 PSG-1 NN Telemetry03", 80);
    put(&mut out, "02.03.02", 8);
    put(&mut out, "09.05.07", 8);
    put(&mut out, &(256 * (channels.len() + 1)).to_string(), 8);
    put(&mut out, reserved, 44);
    put(&mut out, records, 8);
    put(&mut out, duration, 8);
    put(&mut out, &channels.len().to_string(), 4);
    channels.iter().for_each(|c| put(&mut out, c.label, 16));
    channels.iter().for_each(|_| put(&mut out, "", 80));
    channels.iter().for_each(|c| put(&mut out, c.unit, 8));
    channels.iter().for_each(|c| put(&mut out, c.physical.0, 8));
    channels.iter().for_each(|c| put(&mut out, c.physical.1, 8));
    channels
        .iter()
        .for_each(|c| put(&mut out, &c.digital.0.to_string(), 8));
    channels
        .iter()
        .for_each(|c| put(&mut out, &c.digital.1.to_string(), 8));
    channels
        .iter()
        .for_each(|_| put(&mut out, "HP:0.05Hz LP:150Hz", 80));
    channels
        .iter()
        .for_each(|c| put(&mut out, &(c.data[0].len() / width).to_string(), 8));
    channels.iter().for_each(|_| put(&mut out, "", 32));
    for record in 0..channels[0].data.len() {
        channels.iter().for_each(|c| out.extend(&c.data[record]));
    }
    out
}

fn words(records: &[&[i16]]) -> Vec<Vec<u8>> {
    let bytes = |r: &&[i16]| r.iter().flat_map(|v| v.to_le_bytes()).collect();
    records.iter().map(bytes).collect()
}

fn lists(records: &[&str]) -> Vec<Vec<u8>> {
    records
        .iter()
        .map(|text| format!("{text:\0<40}").into_bytes())
        .collect()
}

fn ecg(data: Vec<Vec<u8>>) -> Channel<'static> {
    Channel {
        label: "ECG II",
        unit: "mV",
        physical: ("-3.2768", "3.2767"),
        digital: (-32_768, 32_767),
        data,
    }
}

fn annotations(data: Vec<Vec<u8>>) -> Channel<'static> {
    Channel {
        label: "EDF Annotations",
        unit: "",
        physical: ("-1", "1"),
        digital: (-32_768, 32_767),
        data,
    }
}

#[test]
fn channels_units_and_rates() {
    let slow = Channel {
        label: "ECG V9",
        unit: "uV",
        physical: ("-100", "100"),
        digital: (-100, 100),
        data: words(&[&[1], &[2]]),
    };
    let breath = Channel {
        label: "Resp",
        unit: "Ohm",
        physical: ("", ""),
        digital: (0, 0),
        data: words(&[&[0; 30], &[0; 30]]),
    };
    let brain = Channel {
        label: "EEG Fpz-Cz",
        ..ecg(words(&[&[0; 30], &[0; 30]]))
    };
    let main = ecg(words(&[
        &(0..30).map(|v| v * 10).collect::<Vec<i16>>(),
        &[-10; 30],
    ]));
    let record = read(&file("", "2", "1", &[main, slow, breath, brain])).unwrap();
    assert_eq!((record.leads.len(), record.sampling_rate_hz), (1, 30.0));
    let samples = &record.leads[0].samples_uv;
    assert!(
        (samples[3] - 3.0).abs() < 1e-4 && (samples[59] + 1.0).abs() < 1e-4,
        "{samples:?}"
    );
    assert_eq!(record.warnings.len(), 3, "{:?}", record.warnings);
    assert_eq!(record.filters.low_hz, Some(0.05));
}

#[test]
fn plus_files_name_patient_time_and_remarks() {
    let data = words(&[&[1; 50], &[2; 50]]);
    let remarks = lists(&["+0\x14\x14\0+0.5\x14chest pain\x14\0", "+1\x14\x14\0"]);
    let record = read(&file("EDF+C", "2", "1", &[ecg(data), annotations(remarks)])).unwrap();
    let expect = Patient {
        name: Some("Haagse Harry".into()),
        identifier: Some("MCH-1".into()),
        sex: Some("F".into()),
        age_years: None,
        birth_date: Some("19510502".into()),
    };
    assert_eq!(record.patient, expect);
    assert_eq!(record.acquired_at.as_deref(), Some("20020302090507"));
    assert_eq!(record.recorder.model.as_deref(), Some("Telemetry03"));
    let expect = Annotation {
        sample: Some(25),
        text: "chest pain".into(),
    };
    assert_eq!(record.annotations, [expect]);
}

#[test]
fn gaps_of_a_discontinuous_file_are_kept() {
    let data = words(&[&[1; 50], &[2; 50]]);
    let remarks = |second: &str| annotations(lists(&["+3\x14\x14\0", second]));
    let record = read(&file(
        "EDF+D",
        "2",
        "1",
        &[ecg(data.clone()), remarks("+6\x14\x14\0")],
    ))
    .unwrap();
    let samples = &record.leads[0].samples_uv;
    assert_eq!(samples.len(), 200);
    assert!(
        samples[49].is_finite() && samples[50].is_nan() && samples[149].is_nan() && samples[150].is_finite()
    );
    for bad in ["+1\x14\x14\0", "+9e9\x14\x14\0", "+1e300\x14\x14\0"] {
        assert!(read(&file("EDF+D", "2", "1", &[ecg(data.clone()), remarks(bad)])).is_err());
    }
}

#[test]
fn samples_of_24_bits() {
    let data: Vec<Vec<u8>> = vec![
        [1_i32, -1, 8_388_607, -8_388_608]
            .iter()
            .flat_map(|v| v.to_le_bytes()[..3].to_vec())
            .cycle()
            .take(60)
            .collect(),
    ];
    let channel = Channel {
        label: "ECG",
        unit: "uV",
        physical: ("-262144", "262143"),
        digital: (-8_388_608, 8_388_607),
        data,
    };
    let record = read(&file("24BIT", "1", "0.4", &[channel])).unwrap();
    assert_eq!((record.format, record.sampling_rate_hz), ("bdf", 50.0));
    let samples = &record.leads[0].samples_uv;
    assert!((samples[2] - 262_143.0).abs() < 0.1 && (samples[3] + 262_144.0).abs() < 0.1);
    assert!((samples[0] - samples[1] - 0.0625).abs() < 1e-3);
}

#[test]
fn cut_unfinished_and_impossible_files() {
    let whole = file("", "2", "1", &[ecg(words(&[&[1; 50], &[2; 50]]))]);
    for length in 0..whole.len() {
        if let Ok(record) = read(&whole[..length]) {
            assert!(record.warnings.iter().any(|w| w.contains("cut")), "{length}");
        }
    }
    let open = file("", "-1", "1", &[ecg(words(&[&[1; 50], &[2; 50]]))]);
    assert!(read(&open).unwrap().warnings[0].contains("not ended"));
    let bad = |records: &str, duration: &str, channel: Channel<'_>| {
        assert!(read(&file("", records, duration, &[channel])).is_err());
    };
    bad("x", "1", ecg(words(&[&[1; 50]])));
    bad("1", "0", ecg(words(&[&[1; 50]])));
    bad(
        "1",
        "1",
        Channel {
            unit: "degC",
            ..ecg(words(&[&[1; 50]]))
        },
    );
    bad(
        "1",
        "1",
        Channel {
            digital: (5, 5),
            ..ecg(words(&[&[1; 50]]))
        },
    );
}

#[test]
fn what_is_written_reads_back() {
    let check = |rate_hz: f64, seconds: f64, step: f64| {
        let mut record = Synth {
            rate_hz,
            seconds,
            ..Synth::default()
        }
        .make()
        .record;
        for lead in &mut record.leads {
            lead.resolution_uv = step;
            for value in &mut lead.samples_uv {
                *value = ((f64::from(*value) / step).round() * step) as f32;
            }
        }
        record.patient.name = Some("Clark^Ann".into());
        record.patient.birth_date = Some("19510802".into());
        record.acquired_at = Some("20240102103517".into());
        record.annotations.push(Annotation {
            sample: Some(100),
            text: "窦性心律".into(),
        });
        let back = read(&write::write(&record).unwrap()).unwrap();
        assert!(back.warnings.is_empty(), "{:?}", back.warnings);
        assert_eq!((back.len(), back.sampling_rate_hz), (record.len(), rate_hz));
        assert_eq!(back.lead_names(), record.lead_names());
        assert_eq!(back.patient.name, record.patient.name);
        assert_eq!(back.patient.birth_date, record.patient.birth_date);
        assert_eq!(
            (back.acquired_at, back.annotations),
            (record.acquired_at, record.annotations)
        );
        for (got, want) in back.leads.iter().zip(&record.leads) {
            for (a, b) in got.samples_uv.iter().zip(&want.samples_uv) {
                assert!((f64::from(a - b)).abs() < 0.05 * step, "{a} {b} at {rate_hz}");
            }
        }
    };
    check(500.0, 10.0, 4.88);
    check(1_000.0, 10.0, 1.25);
    check(360.0, 7.5, 5.0);
    check(62.5, 20.0, 2.5);
}

#[test]
fn what_eight_characters_cannot_say_is_not_written() {
    for step in [5e-122, 1e-13] {
        let lead = Lead {
            name: LeadName::new("II"),
            samples_uv: (0..200).map(|n| (f64::from(n % 7) * step) as f32).collect(),
            resolution_uv: step,
            derived: false,
        };
        let record = Record::new("mfer", vec![lead], 100.0).unwrap();
        let refused = write::write(&record);
        assert!(matches!(refused, Err(EcgError::CannotHold { .. })), "{step}");
    }
}

proptest! {
    #[test]
    fn hostile_files_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..10), cut: proptest::sample::Index, digits: bool) {
        let remarks = lists(&["+0\x14\x14\0+0.5\x14pain\x14\0", "+9\x14\x14\0"]);
        let mut bytes = file("EDF+D", "2", "1", &[ecg(words(&[&[1; 50], &[2; 50]])), annotations(remarks)]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = if digits { b'0' + value % 10 } else { value };
        }
        bytes.truncate(cut.index(bytes.len() * 2));
        let _ = read(&bytes);
    }
}
