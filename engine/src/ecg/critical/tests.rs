use crate::ecg::analysis::{AnalyzeOptions, analyze, analyze_with};
use crate::ecg::filter::Mains;
use crate::ecg::synth::Synth;

use super::*;

fn rules(synth: &Synth) -> Vec<String> {
    analyze(&synth.make().record)
        .critical
        .iter()
        .map(|c| c.rule.clone())
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
    let check = |synth: Synth, rule: &str| {
        assert!(
            rules(&synth).iter().any(|r| r == rule),
            "{rule}: {:?}",
            rules(&synth)
        )
    };
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
            ruleset: Some(ruleset),
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

#[test]
fn the_built_in_sets_are_whole() {
    let names: Vec<&str> = all().iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["consensus_2017", "zhejiang", "shanxi"]);
    for set in all() {
        assert!(
            set.citation.chars().count() > 6 && set.rules.len() >= 10,
            "{}",
            set.name
        );
    }
}

/// Beats of a rate with a finding that a province calls critical, and those that do not.
#[test]
fn each_set_has_its_own_limits() {
    let fires = |set: &str, synth: &Synth, rule: &str| {
        let options = AnalyzeOptions {
            ruleset: by_name(set),
            ..AnalyzeOptions::default()
        };
        let found = analyze_with(&synth.make().record, &options).critical;
        let named = |c: &Critical| c.rule == rule && c.ruleset == set && !c.citation.is_empty();
        found.iter().any(named)
    };
    let fast = |bpm: f64| Synth {
        intervals_s: vec![60.0 / bpm],
        pr_s: None,
        qrs_s: 0.08,
        qt_s: 0.20,
        ..Synth::default()
    };
    let check = |bpm: f64, expect: [bool; 3]| {
        let synth = fast(bpm);
        let got =
            ["consensus_2017", "zhejiang", "shanxi"].map(|set| fires(set, &synth, "fast_supraventricular"));
        assert_eq!(got, expect, "{bpm}");
    };
    check(170.0, [false, false, false]);
    check(190.0, [false, false, true]);
    check(214.0, [true, false, true]);
    let long = Synth {
        qt_s: 0.60,
        intervals_s: vec![1.1],
        ..Synth::default()
    };
    assert!(fires("consensus_2017", &long, "long_qt"));
    assert!(!fires("zhejiang", &long, "long_qt"));
}

#[test]
fn a_bad_file_is_refused_with_the_place() {
    let good = include_str!("rules/zhejiang.toml");
    assert!(Ruleset::parse(good).is_ok());
    let check = |text: String, part: &str| {
        let message = Ruleset::parse(&text).unwrap_err().to_string();
        assert!(
            message.contains(part) && !message.contains('\n'),
            "{message} lacks {part}"
        );
    };
    check(good.replace("format = 1", "format = 2"), "format = 2");
    check(good.replace("format = 1", "format = "), "line 2");
    check(
        good.replace("name = \"zhejiang\"", "name = \"Zhe jiang\""),
        "name \"Zhe jiang\"",
    );
    check(good.replace("citation = ", "source = "), "source");
    check(good.replace("bpm_max = 34.9", "bpm_max = 3490"), "bpm_max = 3490");
    check(good.replace("bpm_max = 34.9", "bpm_max = nan"), "bpm_max");
    check(good.replace("bpm_max = 34.9", ""), "bpm_max or bpm_min");
    check(good.replace("bpm_max = 34.9", "bmp_max = 34.9"), "bmp_max");
    check(good.replace("\"av_block_3\"", "\"av_blok_3\""), "av_blok_3");
    check(
        good.replace("rule = \"pause\"", "rule = \"complete_av_block\""),
        "twice",
    );
    check(
        good.replace("when = \"ventricular_fibrillation\"", "when = \"fibrillation\""),
        "fibrillation",
    );
    check("x".repeat(1 << 20), "bytes");
    check(String::new(), "missing field");
}
