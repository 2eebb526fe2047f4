use super::*;
use crate::ecg::analysis::analyze;
use crate::ecg::synth::Synth;

fn codes(synth: &Synth) -> (Rhythm, Vec<&'static str>) {
    let analysis = analyze(&synth.make().record);
    (
        analysis.rhythm,
        analysis.statements.iter().map(|s| s.code).collect(),
    )
}

#[test]
fn rhythms_are_named() {
    let check = |synth: Synth, expect: Rhythm| assert_eq!(codes(&synth).0, expect, "{synth:?}");
    check(Synth::default(), Rhythm::SinusRhythm);
    check(
        Synth {
            intervals_s: vec![1.2],
            ..Synth::default()
        },
        Rhythm::SinusBradycardia,
    );
    check(
        Synth {
            intervals_s: vec![0.5],
            qt_s: 0.3,
            pr_s: Some(0.13),
            p_s: 0.08,
            ..Synth::default()
        },
        Rhythm::SinusTachycardia,
    );
    let irregular = vec![0.62, 0.95, 0.7, 1.1, 0.55, 0.83, 0.66];
    check(
        Synth {
            intervals_s: irregular,
            pr_s: None,
            seconds: 15.0,
            ..Synth::default()
        },
        Rhythm::AtrialFibrillation,
    );
    check(
        Synth {
            pr_s: None,
            intervals_s: vec![1.2],
            ..Synth::default()
        },
        Rhythm::Junctional,
    );
    check(
        Synth {
            pr_s: None,
            qrs_s: 0.16,
            qt_s: 0.44,
            stimulus_uv: 2500.0,
            ..Synth::default()
        },
        Rhythm::Paced,
    );
}

#[test]
fn atria_that_beat_on_their_own_are_a_complete_block() {
    let blocked = Synth {
        intervals_s: vec![1.67],
        pr_s: None,
        free_p_s: Some(0.69),
        qt_s: 0.44,
        seconds: 15.0,
        ..Synth::default()
    };
    let analysis = analyze(&blocked.make().record);
    let codes: Vec<&str> = analysis.statements.iter().map(|s| s.code).collect();
    assert!(codes.contains(&"av_block_3"), "{:?} {codes:?}", analysis.rhythm);
    assert!(analysis.critical.iter().any(|c| c.rule == "complete_av_block"));
    assert!(analysis.measurements.pr_ms.is_none());
}

#[test]
fn what_touches_the_qrs_is_no_p_wave_that_leads() {
    let check = |pr_s: f64, sinus: bool| {
        let synth = Synth {
            pr_s: Some(pr_s),
            p_s: 0.05,
            ..Synth::default()
        };
        let rhythm = analyze(&synth.make().record).rhythm;
        assert_eq!(rhythm.is_sinus(), sinus, "PR {pr_s} s: {rhythm:?}");
    };
    check(0.12, true);
    check(0.09, true);
    check(0.045, false);
    check(0.04, false);
}

#[test]
fn an_even_slow_rhythm_has_no_pause() {
    let slow = Synth {
        intervals_s: vec![2.1],
        seconds: 20.0,
        ..Synth::default()
    };
    let (rhythm, found) = codes(&slow);
    assert_eq!(rhythm, Rhythm::SinusBradycardia);
    assert!(!found.contains(&"pause"), "{found:?}");
}

#[test]
fn findings_are_stated_and_none_is_invented() {
    let (_, plain) = codes(&Synth::default());
    assert_eq!(plain, ["sinus_rhythm"]);
    let check =
        |synth: Synth, code: &str| assert!(codes(&synth).1.contains(&code), "{code}: {:?}", codes(&synth));
    let ectopic = Synth {
        intervals_s: vec![0.8, 0.8, 0.5, 1.1, 0.8],
        kinds: vec!['N', 'N', 'N', 'V', 'N'],
        seconds: 16.0,
        ..Synth::default()
    };
    check(ectopic, "premature_ventricular_complex");
    check(
        Synth {
            pr_s: Some(0.26),
            ..Synth::default()
        },
        "av_block_1",
    );
    check(
        Synth {
            qrs_axis_deg: -40.0,
            ..Synth::default()
        },
        "left_axis_deviation",
    );
    check(
        Synth {
            qt_s: 0.52,
            intervals_s: vec![0.9],
            ..Synth::default()
        },
        "long_qt",
    );
    check(
        Synth {
            intervals_s: vec![0.8, 0.8, 0.8, 0.8, 2.4],
            ..Synth::default()
        },
        "pause",
    );
}

/// A recording whose P waves come evenly every `pp_s`; each PR, or a P wave that is not conducted.
fn conducted_by(pp_s: f64, prs: &[Option<f64>], seconds: f64) -> Synth {
    const BLOCKED_S: f64 = 0.16;
    let own = |at: usize| prs[at % prs.len()].unwrap_or(BLOCKED_S);
    let kinds = prs.iter().map(|pr| if pr.is_some() { 'N' } else { 'B' });
    Synth {
        kinds: kinds.collect(),
        prs_s: (0..prs.len()).map(own).collect(),
        intervals_s: (0..prs.len()).map(|at| pp_s + own(at + 1) - own(at)).collect(),
        qt_s: 0.36,
        seconds,
        ..Synth::default()
    }
}

#[test]
fn blocks_of_second_degree_are_told_apart() {
    let check = |synth: Synth, code: &str| {
        let (rhythm, found) = codes(&synth);
        let blocks: Vec<&str> = found
            .iter()
            .copied()
            .filter(|c| c.starts_with("av_block"))
            .collect();
        assert_eq!(
            (blocks.as_slice(), rhythm.is_sinus()),
            ([code].as_slice(), true),
            "{rhythm:?} {found:?}"
        );
    };
    let wenckebach = [Some(0.16), Some(0.24), Some(0.29), None];
    check(conducted_by(0.80, &wenckebach, 16.0), "av_block_2_mobitz_1");
    check(
        conducted_by(0.72, &[Some(0.18), Some(0.27), None], 14.0),
        "av_block_2_mobitz_1",
    );
    let sudden = [Some(0.17), Some(0.17), Some(0.17), None];
    check(conducted_by(0.80, &sudden, 16.0), "av_block_2_mobitz_2");
    check(conducted_by(0.75, &[Some(0.16), None], 14.0), "av_block_2_2to1");
    check(
        conducted_by(0.70, &[Some(0.16), Some(0.16), Some(0.16), None, None], 18.0),
        "av_block_high_grade",
    );
}

#[test]
fn pauses_without_blocked_waves_are_no_block() {
    let check = |synth: &Synth| {
        let (_, found) = codes(synth);
        assert!(!found.iter().any(|c| c.starts_with("av_block")), "{found:?}");
    };
    let beat = Synth::default();
    // The sinus node rests; the compensation of ectopic beats; a slow heart.
    check(&Synth {
        intervals_s: vec![0.8, 0.8, 0.8, 1.9],
        seconds: 15.0,
        ..beat.clone()
    });
    check(&Synth {
        intervals_s: vec![0.8, 0.8, 0.5, 1.1, 0.8],
        kinds: vec!['N', 'N', 'N', 'V', 'N'],
        seconds: 16.0,
        ..beat.clone()
    });
    check(&Synth {
        intervals_s: vec![1.3],
        seconds: 15.0,
        ..beat.clone()
    });
    check(&Synth {
        intervals_s: vec![0.8, 0.8, 0.52, 1.0],
        seconds: 15.0,
        ..beat
    });
}

#[test]
fn preexcitation_needs_a_short_pr_and_a_slow_start() {
    let wpw = Synth {
        delta_s: 0.045,
        pr_s: Some(0.135),
        p_s: 0.075,
        ..Synth::default()
    };
    let (_, found) = codes(&wpw);
    assert!(found.contains(&"ventricular_preexcitation"), "{found:?}");
    assert!(
        !found.contains(&"lbbb") && !found.contains(&"short_pr"),
        "{found:?}"
    );
    let (_, short) = codes(&Synth {
        pr_s: Some(0.095),
        p_s: 0.08,
        ..Synth::default()
    });
    assert!(!short.contains(&"ventricular_preexcitation"), "{short:?}");
}

#[test]
fn chambers_need_more_than_voltage() {
    let high = Synth {
        chest_r_uv: [220.0, 420.0, 800.0, 1500.0, 2900.0, 2300.0],
        chest_s_uv: [-1700.0, -1900.0, -900.0, -500.0, -250.0, -100.0],
        ..Synth::default()
    };
    let check =
        |synth: &Synth, code: &str| assert!(codes(synth).1.contains(&code), "{code}: {:?}", codes(synth));
    check(&high, "left_ventricular_high_voltage");
    let atrium = Synth {
        p_s: 0.13,
        pr_s: Some(0.18),
        p_late_v1_uv: -170.0,
        ..Synth::default()
    };
    check(&atrium, "left_atrial_abnormality");
    check(
        &Synth {
            p_s: 0.13,
            pr_s: Some(0.18),
            p_late_v1_uv: -170.0,
            ..high.clone()
        },
        "left_ventricular_hypertrophy",
    );
    let (_, plain) = codes(&high);
    assert!(!plain.contains(&"left_ventricular_hypertrophy"), "{plain:?}");
    check(
        &Synth {
            p_uv: 320.0,
            p_axis_deg: 70.0,
            ..Synth::default()
        },
        "right_atrial_abnormality",
    );
    let right = Synth {
        qrs_axis_deg: 120.0,
        chest_r_uv: [1400.0, 1200.0, 900.0, 700.0, 500.0, 400.0],
        chest_s_uv: [-200.0, -500.0, -700.0, -800.0, -900.0, -900.0],
        ..Synth::default()
    };
    check(&right, "right_ventricular_hypertrophy");
}

#[test]
fn an_axis_to_the_right_alone_is_a_block_of_the_posterior_fascicle() {
    let blocked = |qrs_axis_deg: f64| Synth {
        qrs_axis_deg,
        ..Synth::default()
    };
    let check = |synth: &Synth, expect: bool| {
        let (_, found) = codes(synth);
        assert_eq!(
            found.contains(&"left_posterior_fascicular_block"),
            expect,
            "{found:?}"
        );
    };
    check(&blocked(118.0), true);
    check(&blocked(135.0), true);
    check(&blocked(85.0), false);
    check(&blocked(-50.0), false);
    // A strong right ventricle explains the axis by itself.
    let right = Synth {
        chest_r_uv: [1400.0, 1200.0, 900.0, 700.0, 500.0, 400.0],
        chest_s_uv: [-200.0, -500.0, -700.0, -800.0, -900.0, -900.0],
        ..blocked(120.0)
    };
    check(&right, false);
}

#[test]
fn potassium_makes_tall_narrow_t_waves() {
    let tall = Synth {
        t_gain: 4.2,
        t_s: 0.13,
        qt_s: 0.36,
        p_uv: 25.0,
        qrs_s: 0.118,
        ..Synth::default()
    };
    let (_, found) = codes(&tall);
    assert!(found.contains(&"hyperkalaemia_pattern"), "{found:?}");
    // Tall and broad: a young man's.
    let (_, broad) = codes(&Synth {
        t_gain: 3.0,
        t_s: 0.24,
        ..Synth::default()
    });
    assert!(!broad.contains(&"hyperkalaemia_pattern"), "{broad:?}");
}

#[test]
fn a_heart_too_fast_for_the_sinus_node_is_not_sinus() {
    let fast = |bpm: f64| Synth {
        intervals_s: vec![60.0 / bpm],
        pr_s: None,
        qrs_s: 0.08,
        qt_s: 0.22,
        ..Synth::default()
    };
    for bpm in [150.0, 170.0, 190.0, 214.0] {
        let (rhythm, found) = codes(&fast(bpm));
        assert_eq!(rhythm, Rhythm::SupraventricularTachycardia, "{bpm}: {found:?}");
        assert!(
            !found
                .iter()
                .any(|c| c.starts_with("st_") || c.starts_with("av_block")),
            "{found:?}"
        );
    }
}

#[test]
fn small_complexes_and_patterns_of_ectopy_are_stated() {
    let check =
        |synth: Synth, code: &str| assert!(codes(&synth).1.contains(&code), "{code}: {:?}", codes(&synth));
    let small = Synth {
        chest_r_uv: [120.0, 200.0, 350.0, 450.0, 450.0, 400.0],
        chest_s_uv: [-300.0, -350.0, -300.0, -200.0, -100.0, -50.0],
        ..Synth::default()
    };
    check(small, "low_voltage_chest");
    let ectopic = |kinds: &[char], intervals: &[f64]| Synth {
        kinds: kinds.to_vec(),
        intervals_s: intervals.to_vec(),
        seconds: 20.0,
        ..Synth::default()
    };
    check(ectopic(&['N', 'V'], &[0.5, 1.1]), "ventricular_bigeminy");
    check(
        ectopic(&['N', 'N', 'V'], &[0.8, 0.5, 1.1]),
        "ventricular_trigeminy",
    );
    check(
        ectopic(
            &['N', 'N', 'N', 'N', 'V', 'V', 'V', 'V'],
            &[0.8, 0.8, 0.8, 0.5, 0.4, 0.4, 0.4, 0.9],
        ),
        "ventricular_tachycardia_run",
    );
    check(
        Synth {
            qt_s: 0.29,
            intervals_s: vec![0.95],
            ..Synth::default()
        },
        "short_qt",
    );
    let mut swapped = Synth::default().make().record;
    for at in 0..swapped.len() {
        let (one, two) = (-swapped.leads[0].samples_uv[at], swapped.leads[2].samples_uv[at]);
        let limb = [
            one,
            two,
            two - one,
            -(one + two) / 2.0,
            one - two / 2.0,
            two - one / 2.0,
        ];
        swapped
            .leads
            .iter_mut()
            .zip(limb)
            .for_each(|(lead, v)| lead.samples_uv[at] = v);
    }
    let found = analyze(&swapped).statements;
    assert!(
        found
            .iter()
            .any(|s| s.code == "limb_lead_reversal_arms" && s.category == "acquisition"),
        "{found:?}"
    );
}
