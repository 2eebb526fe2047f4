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
