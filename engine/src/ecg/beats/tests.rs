use super::*;
use crate::ecg::formats::{self, ReadOptions, wfdb::annotation};
use crate::ecg::synth::{Noise, Synth, Truth};

/// Beats must match one to one within 10 ms, and ventricular beats be told from conducted ones.
fn check(truth: &Truth, leads: Leads) {
    let found = detect(&truth.record, leads);
    let samples: Vec<usize> = found.iter().map(|b| b.sample).collect();
    assert_eq!(
        samples.len(),
        truth.peaks.len(),
        "{samples:?} for {:?}",
        truth.peaks
    );
    for ((beat, peak), kind) in found.iter().zip(&truth.peaks).zip(&truth.kinds) {
        let apart_s = beat.sample.abs_diff(*peak) as f64 / truth.record.sampling_rate_hz;
        assert!(
            apart_s <= 0.010 || *kind == 'V' && apart_s < 0.05,
            "{} for {peak}",
            beat.sample
        );
        assert_eq!(
            beat.class == BeatClass::Ventricular,
            *kind == 'V',
            "beat at {peak}"
        );
    }
}

#[test]
fn every_rate_and_lead() {
    for rate_hz in [125.0, 250.0, 360.0, 500.0, 1000.0] {
        let truth = Synth {
            rate_hz,
            seconds: 20.0,
            ..Synth::default()
        }
        .make();
        check(&truth, Leads::Fused);
        check(&truth, Leads::One(1));
    }
}

#[test]
fn slow_fast_and_ectopic() {
    check(
        &Synth {
            intervals_s: vec![2.0],
            seconds: 16.0,
            ..Synth::default()
        }
        .make(),
        Leads::Fused,
    );
    check(
        &Synth {
            intervals_s: vec![0.36],
            qt_s: 0.26,
            pr_s: None,
            ..Synth::default()
        }
        .make(),
        Leads::Fused,
    );
    let ectopic = Synth {
        intervals_s: vec![0.8, 0.8, 0.5, 1.1, 0.8],
        kinds: vec!['N', 'N', 'N', 'V', 'N'],
        seconds: 20.0,
        ..Synth::default()
    };
    check(&ectopic.make(), Leads::Fused);
}

/// A beat between two that are a usual interval apart is one where no noise is.
#[test]
fn an_interpolated_beat_of_a_clean_recording_is_kept() {
    let interpolated = Synth {
        intervals_s: vec![0.9, 0.9, 0.9, 0.45, 0.45],
        kinds: vec!['N', 'N', 'N', 'V', 'N'],
        qt_s: 0.34,
        seconds: 20.0,
        ..Synth::default()
    };
    let truth = interpolated.make();
    let found = detect(&truth.record, Leads::Fused);
    let apart = |(beat, peak): (&Beat, &usize)| beat.sample.abs_diff(*peak) as f64 / 500.0;
    assert_eq!(found.len(), truth.peaks.len());
    assert!(found.iter().zip(&truth.peaks).all(|pair| apart(pair) < 0.05));
}

/// Steps that decay, as when a cable is pulled, are as steep as a QRS.
#[test]
fn a_pulled_cable_makes_few_beats() {
    let truth = Synth {
        seconds: 300.0,
        ..Synth::default()
    }
    .make();
    let rate_hz = truth.record.sampling_rate_hz;
    let mut lead = truth.record.leads[1].samples_uv.clone();
    let height = lead.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
    let mut noise = Noise(5);
    let mut random = || noise.uniform() as f32;
    let mut at = 0;
    while at < lead.len() {
        let step = height * (0.25 + 0.35 * random()) * if random() < 0.5 { -1.0 } else { 1.0 };
        let decay = rate_hz as f32 * (0.05 + 0.4 * random());
        for (index, value) in lead[at..].iter_mut().take((5.0 * decay) as usize).enumerate() {
            *value += step * (-(index as f32) / decay).exp();
        }
        at += (rate_hz as f32 * (0.7 + 3.0 * random())) as usize;
    }
    let found = detect_in(&[&lead], rate_hz);
    let near = |peak: &&usize| found.iter().any(|b| b.sample.abs_diff(**peak) < 40);
    let hits = truth.peaks.iter().filter(near).count();
    let (missed, made_up) = (truth.peaks.len() - hits, found.len() - hits);
    assert!(missed <= 2 && made_up <= 4, "missed {missed}, made up {made_up}");
}

#[test]
fn stimulated_beats_are_q() {
    let truth = Synth {
        pr_s: None,
        qrs_s: 0.16,
        qt_s: 0.44,
        stimulus_uv: 2500.0,
        ..Synth::default()
    }
    .make();
    let found = detect(&truth.record, Leads::Fused);
    assert_eq!(found.len(), truth.peaks.len());
    assert!(found.iter().all(|b| b.class == BeatClass::Unclassifiable));
}

#[test]
fn gain_and_polarity_do_not_matter() {
    let truth = Synth {
        seconds: 20.0,
        ..Synth::default()
    }
    .make();
    let lead = &truth.record.leads[1].samples_uv;
    let plain = detect_in(&[lead], 500.0);
    for gain in [0.01_f32, 0.3, 20.0] {
        let scaled: Vec<f32> = lead.iter().map(|v| v * gain).collect();
        assert_eq!(detect_in(&[&scaled], 500.0), plain, "gain {gain}");
    }
    let turned: Vec<f32> = lead.iter().map(|v| -v).collect();
    assert_eq!(detect_in(&[&turned], 500.0).len(), plain.len());
}

#[test]
fn odd_input_is_survived() {
    let mut noise = Noise(7);
    for n in [0, 1, 2, 3, 40, 500] {
        let lead: Vec<f32> = (0..n).map(|_| noise.next() as f32).collect();
        assert!(
            detect_in(&[&lead], 500.0)
                .windows(2)
                .all(|w| w[0].sample < w[1].sample)
        );
    }
    assert_eq!(detect_in(&[&[0.0; 5000]], 500.0), vec![]);
    assert_eq!(detect_in(&[&[f32::NAN; 5000]], 500.0), vec![]);
    assert_eq!(detect_in(&[], 500.0), vec![]);
    assert!(detect_in(&[&[f32::MAX; 5000]], 500.0).len() < 30);
}

/// The half hour of record 800 of the MIT-BIH Supraventricular Arrhythmia Database, scored as in EC57 (150 ms).
#[test]
fn a_real_half_hour_is_found() {
    let Some(folder) = crate::ecg::test_data("ecg/svdb") else {
        return;
    };
    let side = |name: &str| std::fs::read(folder.join(name)).ok();
    let header = side("800.hea").unwrap();
    let record = formats::read(&header, "800.hea", &side, &ReadOptions::default()).unwrap();
    let truth = annotation::read(&side("800.atr").unwrap()).unwrap();
    let truth: Vec<i64> = truth
        .iter()
        .filter(|a| a.beat_class().is_some())
        .map(|a| a.sample as i64)
        .collect();
    let found: Vec<i64> = detect(&record, Leads::One(0))
        .iter()
        .map(|b| b.sample as i64)
        .collect();
    let window = (0.150 * record.sampling_rate_hz) as i64;
    let hit = |a: &[i64], b: &[i64]| {
        a.iter()
            .filter(|x| b.iter().any(|y| (*x - y).abs() <= window))
            .count()
    };
    let sensitivity = hit(&truth, &found) as f64 / truth.len() as f64;
    let predictivity = hit(&found, &truth) as f64 / found.len() as f64;
    assert!(
        sensitivity > 0.995 && predictivity > 0.995,
        "{sensitivity} {predictivity}"
    );
}

/// A lead across the axis of the QRS holds little but P, and P is no beat.
#[test]
fn a_lead_without_qrs_does_not_bring_p_waves_in() {
    for qrs_axis_deg in [0.2, 30.0, 90.0] {
        let synth = Synth {
            qrs_axis_deg,
            qrs_s: 0.15,
            p_uv: 200.0,
            seconds: 20.0,
            ..Synth::default()
        };
        let truth = synth.make();
        let limb: Vec<&[f32]> = truth.record.leads[..6]
            .iter()
            .map(|l| l.samples_uv.as_slice())
            .collect();
        assert_eq!(detect_in(&limb, 500.0).len(), truth.peaks.len(), "{qrs_axis_deg}");
    }
}

#[test]
fn beats_keep_their_time_where_the_leading_lead_is_silent() {
    let truth = Synth {
        seconds: 20.0,
        ..Synth::default()
    };
    let mut record = truth.make().record;
    let whole: Vec<usize> = detect(&record, Leads::Fused).iter().map(|b| b.sample).collect();
    for lead in 0..12 {
        let kept = record.leads[lead].samples_uv.clone();
        record.leads[lead].samples_uv[4_000..5_000].fill(f32::NAN);
        let found: Vec<usize> = detect(&record, Leads::Fused).iter().map(|b| b.sample).collect();
        assert_eq!(found.len(), whole.len(), "lead {lead}");
        let apart = found.iter().zip(&whole).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(
            apart.is_some_and(|samples| samples <= 8),
            "lead {lead}: {apart:?}"
        );
        record.leads[lead].samples_uv = kept;
    }
}
