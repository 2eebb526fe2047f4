//! Whole recordings with known beats.

use super::day::DaySource;
use super::*;
use fixtures::Seed;
use fixtures::ecg::{Day, Phase};
use proptest::prelude::*;

const RATE_HZ: f64 = 125.0;

fn eventful(seed: u64) -> Day {
    let plan = [
        Phase::Sinus(500.0, 66.0),
        Phase::Ectopic(300.0, 72.0, 9),
        Phase::VentricularRun(2, 140.0),
        Phase::Sinus(60.0, 70.0),
        Phase::VentricularRun(7, 165.0),
        Phase::Sinus(120.0, 70.0),
        Phase::Pause(3.4),
        Phase::Sinus(90.0, 74.0),
        Phase::VentricularRun(4, 190.0),
        Phase::Sinus(200.0, 88.0),
        Phase::EarlyAtrial,
        Phase::Sinus(200.0, 80.0),
        Phase::LeadOff(95.0),
        Phase::Sinus(240.0, 78.0),
        Phase::Shifted(240.0, 84.0, -180.0),
        Phase::Sinus(300.0, 70.0),
        Phase::Noise(65.0),
        Phase::Sinus(150.0, 70.0),
        Phase::Fibrillation(420.0, 98.0),
        Phase::Sinus(200.0, 64.0),
        Phase::Ectopic(40.0, 70.0, 2),
        Phase::Sinus(300.0, 62.0),
    ];
    Day::new(&plan, RATE_HZ, Seed::new(seed))
}

fn analysed(day: &Day, chunks: &[usize]) -> Holter {
    analyze(&mut DaySource::new(day, chunks)).unwrap()
}

/// Missed, made up, and of another class (N and S alike).
fn compare(day: &Day, got: &[Beat]) -> (usize, usize, usize) {
    let tolerance = (0.1 * RATE_HZ) as usize;
    let (mut missed, mut wrong, mut next) = (0, 0, 0);
    let mut used = 0;
    for beat in &day.beats {
        let at = (beat.at_s * RATE_HZ).round() as usize;
        while got.get(next).is_some_and(|g| g.sample + tolerance < at) {
            next += 1;
        }
        match got.get(next).filter(|g| g.sample.abs_diff(at) <= tolerance) {
            Some(found) => {
                used += 1;
                wrong += usize::from((beat.label == 'V') != (found.class == BeatClass::Ventricular));
                next += 1;
            }
            None => missed += 1,
        }
    }
    (missed, got.len() - used, wrong)
}

#[test]
fn a_day_is_told_as_it_was() {
    let day = eventful(1);
    let got = analysed(&day, &[usize::MAX]);
    let (missed, made_up, wrong) = compare(&day, &got.all_beats);
    // The beats beside a stretch that cannot be read go with its block; at the edges of fibrillation early beats are
    // still taken for what their time says.
    assert!(
        missed <= 45 && made_up <= 4 && wrong <= 8,
        "{missed} {made_up} {wrong}"
    );
    let ventricular = &got.ventricular;
    let truth = day.beats.iter().filter(|b| b.label == 'V').count() as u64;
    assert!(
        ventricular.beats.abs_diff(truth) <= 8,
        "{} {truth}",
        ventricular.beats
    );
    assert_eq!(
        (ventricular.couplets, ventricular.runs),
        (1, 2),
        "{ventricular:?}"
    );
    assert_eq!(ventricular.longest_run.as_ref().map(|r| r.beats), Some(7));
    let fastest = ventricular.fastest_run.as_ref().unwrap();
    assert!(
        fastest.beats == 4 && (fastest.rate_bpm - 190.0).abs() < 6.0,
        "{fastest:?}"
    );
    assert_eq!(ventricular.bigeminy.episodes, 1, "{:?}", ventricular.bigeminy);
    assert_eq!(got.pauses.count_3_s, 1, "{:?}", got.pauses);
    let pause = got.pauses.longest.as_ref().unwrap();
    assert!((pause.duration_s - 3.4).abs() < 0.1, "{pause:?}");
    let atrial = &got.atrial_fibrillation;
    assert_eq!(atrial.count, 1, "{atrial:?}");
    assert!((atrial.duration_s - 420.0).abs() < 30.0, "{atrial:?}");
    assert!(
        got.quality.excluded_s >= 150.0 && got.quality.excluded_s < 200.0,
        "{:?}",
        got.quality
    );
    let reasons: Vec<LeadState> = got.quality.excluded.iter().map(|e| e.reason).collect();
    assert_eq!(reasons, [LeadState::LeadOff, LeadState::Noise]);
}

#[test]
fn st_shifts_are_found_in_their_leads_and_nowhere_else() {
    let day = eventful(2);
    let got = analysed(&day, &[usize::MAX]);
    let shifted = day
        .phases
        .iter()
        .find(|(phase, _, _)| matches!(phase, Phase::Shifted(..)))
        .unwrap();
    for (lead, affected) in got.st.iter().zip([true, false, true]) {
        assert_eq!(
            !lead.episodes.is_empty(),
            affected,
            "{} {:?}",
            lead.lead,
            lead.episodes
        );
        let usual = lead.usual_j60_uv.unwrap();
        assert!(usual.abs() < 40, "{} {usual}", lead.lead);
        if affected {
            let episode = &lead.episodes[0];
            assert!((episode.from_s - shifted.1).abs() <= 90.0 && (episode.to_s - shifted.2).abs() <= 90.0);
            assert!((episode.peak_uv + 180).abs() < 45, "{episode:?}");
        }
    }
    assert!(got.strips.iter().any(|strip| strip.reason == "st_shift"));
}

#[test]
fn the_size_of_chunks_and_the_number_of_threads_change_nothing() {
    let day = eventful(3);
    let whole = analysed(&day, &[usize::MAX]);
    for chunks in [&[1_000][..], &[7, 40_000, 313]] {
        assert_eq!(analysed(&day, chunks), whole, "{chunks:?}");
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert_eq!(pool.install(|| analysed(&day, &[99_999])), whole, "{threads}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn any_chunks_give_the_same(chunks in proptest::collection::vec(1_usize..60_000, 1..6), seed in 0_u64..1_000) {
        let plan = [
            Phase::Sinus(400.0, 70.0),
            Phase::Ectopic(200.0, 70.0, 5),
            Phase::Fibrillation(100.0, 100.0),
            Phase::LeadOff(20.0),
            Phase::Sinus(100.0, 90.0),
        ];
        let day = Day::new(&plan, 100.0, Seed::new(seed));
        prop_assert_eq!(analysed(&day, &chunks), analysed(&day, &[usize::MAX]));
    }

    /// Whatever the samples are: no panic, and a value or a reason.
    #[test]
    fn any_samples_are_analysed(
        pieces in proptest::collection::vec((0_u8..7, 1_usize..4_000, -9_000.0_f32..9_000.0), 1..30),
        leads in 1_usize..4,
    ) {
        let mut values = Vec::new();
        for (kind, length, size) in pieces {
            for at in 0..length {
                values.push(match kind {
                    0 => f32::NAN,
                    1 => size,
                    2 => size * ((at * 7_919 % 1_009) as f32 / 1_009.0 - 0.5),
                    3 => f32::INFINITY,
                    4 => if at % 90 == 0 { size } else { 0.0 },
                    5 => size * at as f32 * 1e30,
                    _ => size * (at as f32 * 0.3).sin(),
                });
            }
        }
        let leads = (0..leads).map(|_| crate::ecg::Lead {
            name: crate::ecg::LeadName::new("II"),
            samples_uv: values.clone(),
            resolution_uv: 1.0,
            derived: false,
        });
        let record = crate::ecg::Record::new("npy", leads.collect(), 100.0).unwrap();
        let got = analyze(&mut RecordSource::new(&record)).unwrap();
        let json = serde_json::to_value(&got).unwrap();
        prop_assert!(json["variability"]["sdnn_ms"]["value"].is_number() || json["variability"]["sdnn_ms"]["reason"].is_string());
        prop_assert!(got.strips.len() <= strips::STRIPS_MAX);
        prop_assert!(!summary_zh(&got).is_empty() && !summary_en(&got).is_empty());
        let sum = got.quality.readable_s + got.quality.excluded_s;
        prop_assert!((sum - got.duration_s).abs() < 1e-6);
    }
}

/// A record of a database as often as it takes to make `hours`, an annotated truth beside it.
#[test]
fn annotated_records_keep_their_counts() {
    // The bytes of the annotated beats' intervals are the truth of variability: records 100 and 119 of the
    // arrhythmia database, where they are unpacked.
    let Some(folder) = crate::ecg::test_data("ecg/mitdb") else {
        return;
    };
    for name in ["100", "119"] {
        let read = |ending: &str| std::fs::read(folder.join(format!("{name}.{ending}"))).ok();
        let (Some(header), Some(marks)) = (read("hea"), read("atr")) else {
            println!("skipped: record {name} is not there");
            continue;
        };
        let side = |wanted: &str| std::fs::read(folder.join(wanted)).ok();
        let record = crate::ecg::formats::wfdb::read(&header, &side).unwrap();
        let truth = crate::ecg::formats::wfdb::annotation::read(&marks).unwrap();
        let got = analyze(&mut RecordSource::new(&record)).unwrap();
        let count = |class: BeatClass| truth.iter().filter(|a| a.beat_class() == Some(class)).count() as f64;
        let all = truth.iter().filter(|a| a.beat_class().is_some()).count() as f64;
        assert!(
            (got.beats.total as f64 / all - 1.0).abs() < 0.005,
            "{name} {:?}",
            got.beats
        );
        let ventricular = count(BeatClass::Ventricular);
        assert!(
            (got.ventricular.beats as f64 - ventricular).abs() <= 0.03 * ventricular + 2.0,
            "{name}"
        );
    }
}
