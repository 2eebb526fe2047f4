use super::*;
use crate::ecg::synth::Synth;

#[test]
fn synthetic_limits_are_found() {
    let synth = Synth {
        seconds: 12.0,
        noise_uv: 3.0,
        ..Synth::default()
    };
    let truth = synth.make();
    let ms = |samples: i64| samples as f64 * 1_000.0 / synth.rate_hz;
    for leads in [Leads::Fused, Leads::One(1), Leads::One(10)] {
        let marks = delineate(&truth.record, leads);
        assert_eq!(marks.len(), truth.onsets.len());
        for (mark, onset) in marks.iter().zip(&truth.onsets).skip(1) {
            let check = |name: &str, got: Option<usize>, after_s: f64, limit_ms: f64| {
                let expect = *onset as f64 + after_s * synth.rate_hz;
                let error = ms(got.map_or(i64::MAX / 2_000, |g| g as i64) - expect.round() as i64);
                assert!(error.abs() <= limit_ms, "{leads:?} {name} at {onset}: {error} ms");
            };
            // A single chest lead has a P of some 60 microvolts.
            let p_limit_ms = if leads == Leads::Fused { 16.0 } else { 26.0 };
            check("p_on", mark.p_on, -0.16, p_limit_ms);
            check("p_off", mark.p_off, -0.06, p_limit_ms);
            check("qrs_on", mark.qrs_on, 0.0, 12.0);
            let limit_ms = if leads == Leads::Fused { 14.0 } else { 25.0 };
            check("qrs_off", mark.qrs_off, 0.092, limit_ms);
            check("t_off", mark.t_off, 0.38, 16.0);
        }
    }
}

#[test]
fn marks_are_in_order_and_inside() {
    for synth in [
        Synth {
            intervals_s: vec![0.35],
            qt_s: 0.25,
            ..Synth::default()
        },
        Synth {
            intervals_s: vec![0.5, 1.3, 0.7],
            pr_s: None,
            noise_uv: 40.0,
            ..Synth::default()
        },
        Synth {
            kinds: vec!['N', 'V'],
            noise_uv: 20.0,
            ..Synth::default()
        },
        Synth {
            rate_hz: 128.0,
            noise_uv: 60.0,
            ..Synth::default()
        },
    ] {
        let truth = synth.make();
        for leads in [Leads::Fused, Leads::One(0)] {
            for m in delineate(&truth.record, leads) {
                let all = [
                    m.p_on, m.p_peak, m.p_off, m.qrs_on, m.r_peak, m.qrs_off, m.t_on, m.t_peak, m.t_off,
                ];
                let there: Vec<usize> = all.into_iter().flatten().collect();
                assert!(there.windows(2).all(|w| w[0] <= w[1]), "{m:?}");
                assert!(there.iter().all(|at| *at < truth.record.len()));
            }
        }
    }
}

#[test]
fn without_p_waves_none_is_invented() {
    let synth = Synth {
        pr_s: None,
        intervals_s: vec![0.62, 0.95, 0.7, 1.1, 0.55],
        noise_uv: 15.0,
        seconds: 20.0,
        ..Synth::default()
    };
    let marks = delineate(&synth.make().record, Leads::Fused);
    assert!(marks.iter().filter(|m| m.p_on.is_some()).count() * 10 <= marks.len());
}

#[test]
fn beats_of_one_shape_are_one_family() {
    let synth = Synth {
        intervals_s: vec![0.8, 0.8, 0.5, 1.1, 0.8],
        kinds: vec!['N', 'N', 'N', 'V', 'N'],
        seconds: 20.0,
        ..Synth::default()
    };
    let truth = synth.make();
    let beats = beats::detect(&truth.record, Leads::Fused);
    let signals = filter::diagnostic_with_beats(&truth.record, Mains::Off, &beats);
    let found = families(&signals, synth.rate_hz, &beats);
    assert_eq!(found.len(), 2);
    for family in &found {
        let kinds: Vec<char> = family
            .members
            .iter()
            .map(|member| truth.kinds[member.beat])
            .collect();
        assert!(kinds.windows(2).all(|pair| pair[0] == pair[1]), "{kinds:?}");
        assert!(family.leads.iter().all(|lead| lead.iter().all(|v| v.is_finite())));
    }
    let members: usize = found.iter().map(|family| family.members.len()).sum();
    assert_eq!(members, beats.len());
}

#[test]
fn nothing_is_marked_where_nothing_is() {
    let flat = crate::ecg::record::Record::new(
        "npy",
        vec![crate::ecg::Lead {
            name: crate::ecg::LeadName::new("II"),
            samples_uv: vec![0.0; 5_000],
            resolution_uv: 1.0,
            derived: false,
        }],
        500.0,
    )
    .unwrap();
    assert!(delineate(&flat, Leads::Fused).is_empty());
    assert!(delineate(&flat, Leads::One(7)).is_empty());
    let beats = [
        Beat {
            sample: 3,
            class: BeatClass::Normal,
        },
        Beat {
            sample: 4_999,
            class: BeatClass::Normal,
        },
    ];
    for signals in [
        vec![vec![0.0; 5_000]],
        vec![vec![f32::NAN; 5_000]],
        vec![vec![1.0; 4]],
    ] {
        let found = delineate_beats(&signals, 500.0, &beats, None);
        assert_eq!(found.marks.len(), 2);
    }
}
