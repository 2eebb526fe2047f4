use crate::ecg::analysis::{AnalyzeOptions, analyze, analyze_with};
use crate::ecg::filter::Mains;
use crate::ecg::synth::Synth;

use super::*;

fn rules(synth: &Synth) -> Vec<&'static str> {
    analyze(&synth.make().record)
        .critical
        .iter()
        .map(|c| c.rule)
        .collect()
}

#[test]
fn a_sound_heart_raises_no_alarm() {
    assert!(rules(&Synth::default()).is_empty());
    assert!(
        rules(&Synth {
            intervals_s: vec![0.5],
            qt_s: 0.3,
            ..Synth::default()
        })
        .is_empty()
    );
}

#[test]
fn critical_findings_fire() {
    let check =
        |synth: Synth, rule: &str| assert!(rules(&synth).contains(&rule), "{rule}: {:?}", rules(&synth));
    check(
        Synth {
            intervals_s: vec![2.1],
            seconds: 16.0,
            ..Synth::default()
        },
        "slow_ventricular_rate",
    );
    check(
        Synth {
            intervals_s: vec![0.8, 0.8, 0.8, 3.4],
            seconds: 12.0,
            ..Synth::default()
        },
        "pause",
    );
    let mut kinds = vec!['N'; 8];
    kinds.extend(vec!['V'; 100]);
    kinds.extend(vec!['N'; 8]);
    let intervals_s = kinds.iter().map(|k| if *k == 'V' { 0.35 } else { 0.8 }).collect();
    check(
        Synth {
            kinds,
            intervals_s,
            seconds: 47.0,
            ..Synth::default()
        },
        "sustained_ventricular_tachycardia",
    );
}

#[test]
fn provinces_differ() {
    let record = Synth {
        intervals_s: vec![60.0 / 35.0],
        seconds: 20.0,
        ..Synth::default()
    }
    .make()
    .record;
    let slow = |ruleset: &'static Ruleset| {
        let options = AnalyzeOptions {
            mains: Mains::Off,
            ruleset,
        };
        analyze_with(&record, &options)
            .critical
            .iter()
            .any(|c| c.rule == "slow_ventricular_rate" && c.ruleset == ruleset.name)
    };
    assert!(slow(by_name("consensus_2017").unwrap()));
    assert!(!slow(by_name("zhejiang").unwrap()));
    assert!(by_name("nowhere").is_none());
}
