use super::fixture::Fixture;
use super::*;
use proptest::prelude::*;

fn wave(samples: usize, seed: i32) -> Vec<i32> {
    (0..samples as i32)
        .map(|n| ((f64::from(n) / 40.0 + f64::from(seed)).sin() * 300.0) as i32 + n * seed % 7)
        .collect()
}

fn plain(difference: u8, huffman: bool) -> Fixture {
    Fixture {
        leads: vec![(1, wave(600, 1)), (2, wave(600, 2)), (3, wave(600, 3))],
        difference,
        huffman,
        beat: None,
        protected: None,
    }
}

fn bump(length: usize, height: f64) -> Vec<i32> {
    (0..length)
        .map(|n| (height * (n as f64 / length as f64 * std::f64::consts::PI).sin().powi(4)) as i32)
        .collect()
}

/// Four beats of one shape over a slow wave.
fn beats(thinned: bool) -> Fixture {
    let (fiducial, places) = (51_u16, vec![101_u32, 301, 501, 701]);
    let shapes = vec![bump(100, 400.0), bump(100, -250.0)];
    let lead = |shape: &[i32], code: u8| {
        let mut values: Vec<i32> = (0..801)
            .map(|n| ((f64::from(n) / 120.0).sin() * 200.0) as i32)
            .collect();
        for place in &places {
            for (n, value) in shape.iter().enumerate() {
                values[n + *place as usize - usize::from(fiducial)] += value;
            }
        }
        (code, values)
    };
    Fixture {
        leads: vec![lead(&shapes[0], 1), lead(&shapes[1], 2)],
        difference: 2,
        huffman: true,
        beat: Some((shapes, fiducial, places)),
        protected: thinned.then_some(20),
    }
}

fn worst_uv(record: &Record, fixture: &Fixture) -> f64 {
    let mut worst = 0.0_f64;
    let stored = record.leads.iter().filter(|lead| !lead.derived);
    for (lead, (_, values)) in stored.zip(&fixture.leads) {
        assert_eq!(lead.samples_uv.len(), values.len());
        for (got, want) in lead.samples_uv.iter().zip(values) {
            worst = worst.max((f64::from(*got) - f64::from(*want) * 2.5).abs());
        }
    }
    worst
}

#[test]
fn every_coding_gives_the_samples_back() {
    for difference in 0..3 {
        for huffman in [false, true] {
            let fixture = plain(difference, huffman);
            let record = read(&fixture.write()).unwrap();
            assert_eq!(worst_uv(&record, &fixture), 0.0, "{difference} {huffman}");
            assert_eq!(record.sampling_rate_hz, 500.0);
            assert!(record.warnings.is_empty(), "{:?}", record.warnings);
        }
    }
}

#[test]
fn the_reference_beat_is_added_again() {
    let fixture = beats(false);
    let record = read(&fixture.write()).unwrap();
    assert_eq!(worst_uv(&record, &fixture), 0.0);
    let beat = record.stored_beat.unwrap();
    assert_eq!((beat.leads[0].samples_uv.len(), beat.fiducial), (100, Some(50)));
}

#[test]
fn thinned_stretches_are_lines_and_protected_areas_exact() {
    let fixture = beats(true);
    let record = read(&fixture.write()).unwrap();
    assert_eq!((record.len(), record.sampling_rate_hz), (801, 500.0));
    // The residual is a wave of 500 uV with 1.7 uV a sample at most: a quarter of the samples follow it closely.
    assert!(
        worst_uv(&record, &fixture) < 15.0,
        "{}",
        worst_uv(&record, &fixture)
    );
    for number in [101, 301, 501, 701_usize] {
        for place in number - 17..number + 15 {
            let want = fixture.leads[0].1[place] as f32 * 2.5;
            assert_eq!(record.leads[0].samples_uv[place], want, "{place}");
        }
    }
}

#[test]
fn patient_recorder_and_statements_are_read() {
    let record = read(&plain(1, true).write()).unwrap();
    let patient = &record.patient;
    assert_eq!(patient.name.as_deref(), Some("Clark^王"));
    assert_eq!(
        (patient.sex.as_deref(), patient.age_years),
        (Some("M"), Some(46.0))
    );
    assert_eq!(patient.birth_date.as_deref(), Some("19530508"));
    assert_eq!(record.acquired_at.as_deref(), Some("20021122091000"));
    let filters = &record.filters;
    assert_eq!(
        (filters.low_hz, filters.high_hz, filters.notch_hz),
        (Some(0.05), Some(150.0), Some(50.0))
    );
    let said: Vec<_> = record.annotations.iter().map(|a| a.text.as_str()).collect();
    let expect = [
        "RR interval: 800 ms",
        "P duration: 100 ms",
        "PR interval: 160 ms",
        "QRS duration: 100 ms",
        "QT interval: 380 ms",
        "P axis: 30 deg",
        "QRS axis: 45 deg",
        "窦性心律",
    ];
    assert_eq!(said, expect);
    assert_eq!(
        record
            .lead_names()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["I", "II", "III", "aVR", "aVL", "aVF", "V1"]
    );
}

#[test]
fn cut_and_damaged_files_are_never_accepted_in_silence() {
    let whole = beats(true).write();
    for length in 0..whole.len() {
        if let Ok(record) = read(&whole[..length]) {
            assert!(
                record.warnings.iter().any(|w| w.contains("cut")),
                "{length} of {}",
                whole.len()
            );
        }
    }
    let mut damaged = whole.clone();
    let last = damaged.len() - 200;
    damaged[last] ^= 1;
    let told = read(&damaged).map_or(true, |record| !record.warnings.is_empty());
    assert!(told);
}

/// One lead that claims to be long makes all of them long: what a file holds bounds the memory that it asks for.
#[test]
fn a_lead_that_claims_hours_is_refused() {
    let mut fixture = plain(0, false);
    let lead = fixture.leads[0].1.clone();
    fixture.leads = (1..=12).map(|code| (code, lead.clone())).collect();
    let whole = fixture.write();
    assert!(read(&whole).is_ok());
    let claim = [1_u32, lead.len() as u32].map(u32::to_le_bytes).concat();
    let at = whole.windows(8).position(|bytes| bytes == claim).unwrap();
    let mut hostile = whole.clone();
    let hours = (whole.len() * 400) as u32;
    hostile[at + 4..at + 8].copy_from_slice(&hours.to_le_bytes());
    assert!(matches!(read(&hostile), Err(EcgError::TooLarge { .. })));
}

#[test]
fn the_toolkit_sample_reads() {
    let Some(folder) = crate::ecg::test_data("ecg/formats/scp") else {
        return;
    };
    let record = read(&std::fs::read(folder.join("ecgtoolkit_Example.scp")).unwrap()).unwrap();
    assert_eq!(
        (record.len(), record.leads.len(), record.sampling_rate_hz),
        (5_000, 12, 500.0)
    );
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    assert_eq!(record.leads[0].resolution_uv, 2.5);
}

proptest! {
    #[test]
    fn hostile_files_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12), cut: proptest::sample::Index, thinned: bool) {
        let mut bytes = beats(thinned).write();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.index(bytes.len() * 2);
        bytes.truncate(cut);
        let _ = read(&bytes);
    }
}
