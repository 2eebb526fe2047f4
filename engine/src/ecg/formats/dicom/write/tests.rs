use super::*;
use crate::ecg::record::{Annotation, Lead, LeadName, StoredBeat};
use crate::ecg::synth::Synth;
use dataset::{Limits, file};
use proptest::prelude::*;
use std::borrow::Cow;

fn identity() -> Identity {
    Identity {
        sop_instance_uid: "2.25.1".into(),
        series_instance_uid: "2.25.2".into(),
        study_instance_uid: "2.25.3".into(),
        accession_number: Some("A1".into()),
        now: "20240102103517".into(),
    }
}

/// The object read again by the tokenizer and the reader.
fn back(bytes: &[u8]) -> Record {
    let file = file::read(bytes, Limits::in_memory()).unwrap();
    let lookup = |path: &[(u32, usize)], tag: u32| file.parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    super::super::read(&lookup).unwrap()
}

fn same(got: &[Lead], want: &[Lead]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.name, want.name);
        assert_eq!(got.samples_uv.len(), want.samples_uv.len());
        for (a, b) in got.samples_uv.iter().zip(&want.samples_uv) {
            let near = (a - b).abs() <= 0.02 * got.resolution_uv as f32;
            assert!(near || a.is_nan() && b.is_nan(), "{}: {a} {b}", got.name);
        }
    }
}

fn on_grid(record: &mut Record, step: f64) {
    for lead in &mut record.leads {
        lead.resolution_uv = step;
        for value in &mut lead.samples_uv {
            *value = ((f64::from(*value) / step).round() * step) as f32;
        }
    }
}

/// A recording that says everything that a file can say.
fn talkative() -> Record {
    let mut record = Synth::default().make().record;
    on_grid(&mut record, 4.88);
    record.leads[5].samples_uv[100..200].fill(f32::NAN);
    record.patient.name = Some("王^小明".into());
    record.patient.identifier = Some("P\\1".into());
    record.patient.sex = Some("F".into());
    record.patient.age_years = Some(0.5);
    record.patient.birth_date = Some("20230601".into());
    record.acquired_at = Some("10:35:17 02/01/2024".into());
    record.recorder.model = Some("M1".into());
    record.filters.high_hz = Some(150.0);
    record.stored_beat = Some(StoredBeat {
        leads: record
            .leads
            .iter()
            .map(|lead| Lead {
                samples_uv: lead.samples_uv[200..700].to_vec(),
                ..lead.clone()
            })
            .collect(),
        sampling_rate_hz: 500.0,
        fiducial: Some(99),
    });
    record.annotations = vec![
        Annotation {
            sample: Some(0),
            text: "窦性心律".into(),
        },
        Annotation {
            sample: None,
            text: "\u{7}".into(),
        },
    ];
    record
}

#[test]
fn what_is_written_reads_back() {
    let record = talkative();
    let analysis = crate::ecg::analyze(&record);
    let original = Original {
        name: "a.scp",
        bytes: b"cart",
    };
    let additions = Additions {
        analysis: Some(&analysis),
        original: Some(original),
        beside: &[Original {
            name: "信号.dat",
            bytes: b"abc",
        }],
    };
    let bytes = write(&record, &identity(), &additions).unwrap();
    let again = back(&bytes);
    same(&again.leads, &record.leads);
    let (beat, wanted) = (again.stored_beat.unwrap(), record.stored_beat.unwrap());
    same(&beat.leads, &wanted.leads);
    assert_eq!(beat.fiducial, Some(99));
    assert_eq!(again.sampling_rate_hz, 500.0);
    assert_eq!(again.acquired_at.as_deref(), Some("20240102103517"));
    assert_eq!(again.patient.identifier.as_deref(), Some("P/1"));
    assert_eq!(again.patient.age_years, Some(0.5));
    assert_eq!(again.recorder.model.as_deref(), Some("M1"));
    assert_eq!(again.filters.high_hz, Some(150.0));
    assert_eq!(again.annotations[0], record.annotations[0]);
    let rate = analysis.measurements.heart_rate_bpm.unwrap();
    let said = format!("Ventricular Heart Rate: {rate} /min");
    assert!(
        again.annotations.iter().any(|a| a.text == said),
        "{said}: {:?}",
        again.annotations
    );
    let file = file::read(&bytes, Limits::in_memory()).unwrap();
    let lookup = |path: &[(u32, usize)], tag: u32| file.parsed.data_set.raw_at(path, tag).map(Cow::Borrowed);
    let kept = |name: &str, bytes: &[u8]| KeptFile {
        name: name.into(),
        bytes: bytes.to_vec(),
    };
    let expect = [kept("a.scp", b"cart"), kept("信号.dat", b"abc")];
    assert_eq!(super::originals(&lookup), expect);
    let name = file.parsed.data_set.person_name(dataset::tags::PATIENT_NAME);
    assert!(name.unwrap().display().contains("小明"));
}

#[test]
fn the_class_follows_the_recording() {
    let check = |rate_hz: f64, samples: usize, names: &[&str], expect: Option<Class>| {
        let lead = |name: &&str| Lead {
            name: LeadName::new(name),
            samples_uv: vec![1.0; samples],
            resolution_uv: 1.0,
            derived: false,
        };
        let record = Record::new("npy", names.iter().map(lead).collect(), rate_hz).unwrap();
        assert_eq!(Class::of(&record).ok(), expect, "{rate_hz} {samples} {names:?}");
        assert_eq!(
            write(&record, &identity(), &Additions::default()).is_ok(),
            expect.is_some()
        );
    };
    check(500.0, 5_000, &["I", "II", "V1"], Some(Class::TwelveLead));
    check(500.0, 20_000, &["I"], Some(Class::General));
    check(500.0, 5_000, &["I", "vx"], Some(Class::General));
    check(128.0, 5_000, &["MLII", "V5"], Some(Class::Ambulatory));
    check(128.0, 5_000, &["I"; 13], None);
    check(500.0, 5_000, &["I"; 25], None);
    check(40.0, 5_000, &["I"], None);
    check(2_000.0, 5_000, &["I"], None);
}

proptest! {
    #[test]
    fn any_signal_comes_back_within_its_step(
        samples in proptest::collection::vec(prop_oneof![9 => -3e5_f32..3e5, 1 => Just(f32::NAN)], 1..80),
        step in prop_oneof![Just(0.0), 0.1_f64..50.0],
        name in "[a-zA-Z0-9 +\u{4e00}-\u{4e0f}]{0,20}",
    ) {
        let lead = Lead { name: LeadName::new(&name), samples_uv: samples.clone(), resolution_uv: step, derived: false };
        let record = Record::new("npy", vec![lead], 250.0).unwrap();
        let again = back(&write(&record, &identity(), &Additions::default()).unwrap());
        prop_assert_eq!(&again.leads[0].name, &record.leads[0].name);
        for (a, b) in again.leads[0].samples_uv.iter().zip(&samples) {
            prop_assert!(a.is_nan() && b.is_nan() || f64::from((a - b).abs()) <= again.leads[0].resolution_uv, "{a} {b}");
        }
    }
}

#[test]
fn a_document_is_kept_whole_and_says_whose_it_is() {
    let patient = crate::ecg::record::Patient {
        name: Some("王^秀英".into()),
        identifier: Some("P1".into()),
        sex: Some("F".into()),
        ..Default::default()
    };
    let check = |name: &str, bytes: &[u8], class: &str| {
        let given = Document {
            kind: DocumentKind::of(bytes),
            name,
            bytes,
            patient: &patient,
        };
        let object = document(&given, &identity());
        let file = file::read(&object, Limits::in_memory()).unwrap();
        assert_eq!(file.header.sop_class().unwrap().as_str(), class);
        let set = &file.parsed.data_set;
        assert_eq!(set.text(dataset::tags::PATIENT_ID).as_deref(), Some("P1"));
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        let expect = KeptFile {
            name: name.into(),
            bytes: bytes.to_vec(),
        };
        assert_eq!(originals(&lookup), [expect]);
        assert!(super::super::read(&lookup).is_err(), "nothing to measure");
    };
    check("报告.pdf", b"%PDF-1.4 odd", "1.2.840.10008.5.1.4.1.1.104.1");
    check("cart.xml", b"<Cart/>", "1.2.840.10008.5.1.4.1.1.66");
}
