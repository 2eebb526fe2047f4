use super::*;
use crate::ecg::record::{Lead, LeadName};
use crate::ecg::synth::Synth;

fn record_of(rows: &[Vec<f64>], rate_hz: f64) -> Record {
    let lead = |(place, row): (usize, &Vec<f64>)| Lead {
        name: LeadName::new(&format!("L{place}")),
        samples_uv: row.iter().map(|v| *v as f32).collect(),
        resolution_uv: 0.0,
        derived: false,
    };
    Record::new("npy", rows.iter().enumerate().map(lead).collect(), rate_hz).unwrap()
}

/// The low-frequency impulse of IEC 60601-2-25: 3 mV for 100 ms leaves at most 100 microvolts and 300 microvolts a second.
#[test]
fn the_diagnostic_path_passes_the_impulse_test() {
    for sign in [1.0, -1.0] {
        let mut row = vec![0.0; 20_000];
        row[10_000..10_050].fill(sign * 3_000.0);
        let out = apply(&record_of(&[row], 500.0), Path::Diagnostic, Mains::Hz50);
        assert!(out[0][10_025].abs() > 2_500.0);
        for part in [&out[0][..9_975], &out[0][10_075..]] {
            assert!(part.iter().all(|v| v.abs() <= 100.0));
            assert!(part.windows(21).all(|w| ((w[20] - w[0]) / 0.04).abs() <= 300.0));
        }
    }
}

/// The ST level stays true within 10 microvolts while half a millivolt of wander goes.
#[test]
fn wander_goes_and_the_st_level_stays() {
    let truth = Synth {
        seconds: 40.0,
        noise_uv: 0.0,
        st_v2_uv: 200.0,
        ..Synth::default()
    }
    .make();
    let still: Vec<f64> = truth.record.leads[7]
        .samples_uv
        .iter()
        .map(|v| f64::from(*v))
        .collect();
    let wander = |i: usize| 500.0 * (0.2 * i as f64 / 500.0 * std::f64::consts::TAU + 1.0).sin();
    let moved: Vec<f64> = still.iter().enumerate().map(|(i, v)| v + wander(i)).collect();
    let out = apply(&record_of(&[moved], 500.0), Path::Diagnostic, Mains::Hz50);
    for onset in truth.onsets.iter().filter(|o| (2_000..18_000).contains(*o)) {
        let st = onset + 65;
        assert!(
            (f64::from(out[0][st]) - still[st]).abs() <= 10.0,
            "at {st}: {} for {}",
            out[0][st],
            still[st]
        );
    }
}

#[test]
fn mains_goes_and_is_not_invented() {
    let truth = Synth {
        seconds: 40.0,
        noise_uv: 0.5,
        ..Synth::default()
    }
    .make();
    let still: Vec<f64> = truth.record.leads[1]
        .samples_uv
        .iter()
        .map(|v| f64::from(*v))
        .collect();
    for path in [Path::Diagnostic, Path::Display] {
        let clean = apply(&record_of(std::slice::from_ref(&still), 500.0), path, Mains::Off);
        let untouched = apply(&record_of(std::slice::from_ref(&still), 500.0), path, Mains::Hz50);
        let worst = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .skip(5_000)
                .take(10_000)
                .fold(0.0_f32, |m, (x, y)| m.max((x - y).abs()))
        };
        assert!(worst(&clean[0], &untouched[0]) <= 5.0);
        for hertz in [49.5, 50.0, 50.5] {
            let hum = |i: usize| 500.0 * (hertz * i as f64 / 500.0 * std::f64::consts::TAU + 2.0).sin();
            let noisy: Vec<f64> = still.iter().enumerate().map(|(i, v)| v + hum(i)).collect();
            let out = apply(&record_of(&[noisy], 500.0), path, Mains::Hz50);
            assert!(
                worst(&out[0], &clean[0]) <= 5.0,
                "{path:?} {hertz} Hz: {}",
                worst(&out[0], &clean[0])
            );
        }
    }
}

#[test]
fn gaps_stay_gaps_and_spoil_nothing_else() {
    let truth = Synth {
        seconds: 30.0,
        ..Synth::default()
    }
    .make();
    for path in [Path::Diagnostic, Path::Display] {
        let sound = apply(&truth.record, path, Mains::Hz50);
        for hole in [f32::NAN, 5_000.0] {
            let mut record = truth.record.clone();
            record.leads[3].samples_uv[7_000..8_000].fill(hole);
            let out = apply(&record, path, Mains::Hz50);
            assert!(out[3][7_100..7_900].iter().all(|v| v.is_nan()));
            for (lead, (a, b)) in out.iter().zip(&sound).enumerate() {
                for (at, (x, y)) in a.iter().zip(b).enumerate().skip(2_500).take(10_000) {
                    let limit = if lead == 3 { 50.0 } else { 5.0 };
                    let near = lead == 3 && (6_500..8_500).contains(&at);
                    assert!(
                        near || (x - y).abs() <= limit,
                        "{path:?} lead {lead} at {at}: {x} {y}"
                    );
                }
            }
        }
    }
}

#[test]
fn any_length_and_rate_keeps_its_shape() {
    for rate_hz in [100.0, 128.0, 250.0, 1000.0] {
        for n in [1, 2, 3, 40, 900] {
            let row: Vec<f64> = (0..n).map(|i| f64::from(i as u32 * 37 % 101)).collect();
            for path in [Path::Raw, Path::Diagnostic, Path::Display] {
                let out = apply(
                    &record_of(&[row.clone(), row.clone()], rate_hz),
                    path,
                    Mains::Hz60,
                );
                assert!(
                    out.len() == 2
                        && out
                            .iter()
                            .all(|r| r.len() == n && r.iter().all(|v| v.is_finite()))
                );
            }
        }
    }
    let empty = Record::new(
        "npy",
        vec![Lead {
            name: LeadName::new("I"),
            samples_uv: vec![f32::NAN; 500],
            resolution_uv: 0.0,
            derived: false,
        }],
        250.0,
    );
    assert!(
        apply(&empty.unwrap(), Path::Diagnostic, Mains::Hz50)[0]
            .iter()
            .all(|v| v.is_nan())
    );
}

/// Where a stretch of the work begins makes no difference, nor what stood in the rows before.
#[test]
fn results_do_not_depend_on_stretches_or_old_rows() {
    let truth = Synth {
        seconds: 40.0,
        ..Synth::default()
    }
    .make();
    let hum = |i: usize| 80.0 * (50.2 * i as f32 / 500.0 * std::f32::consts::TAU).sin();
    let mut record = truth.record;
    for lead in &mut record.leads {
        for (index, value) in lead.samples_uv.iter_mut().enumerate() {
            *value += 300.0 * (index as f32 / 900.0).sin() + hum(index);
        }
    }
    let mut rows = vec![vec![f32::INFINITY; 30_000], vec![7.0; 3]];
    for path in [Path::Display, Path::Diagnostic, Path::Raw] {
        let whole = apply(&record, path, Mains::Hz50);
        apply_into(&record, path, Mains::Hz50, &mut rows);
        assert!(rows == whole, "{path:?}");
    }
    // The knots of the display line lie 100 samples apart.
    let whole = apply(&record, Path::Display, Mains::Off);
    for cut in [100, 1_300, 2_100] {
        let mut part = record.clone();
        for lead in &mut part.leads {
            lead.samples_uv.drain(..cut);
        }
        let got = apply(&part, Path::Display, Mains::Off);
        for (a, b) in got.iter().zip(&whole) {
            let far = a.iter().zip(&b[cut..]).skip(2_500);
            assert!(far.clone().count() > 10_000 && far.into_iter().all(|(x, y)| (x - y).abs() < 0.01));
        }
    }
}
