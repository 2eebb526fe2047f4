//! Every rhythm of the synthetic recordings, over many hearts, noises and phases: what it is must be said each time, and
//! what is critical must be called so each time.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use engine::ecg::record::{Lead, LeadName, Record};
use engine::ecg::{Analysis, analyze};
use fixtures::ecg::{EcgRhythm, LEAD_NAMES, synthesise};
use fixtures::seed::Seed;

/// Hearts of each rhythm.
const SEEDS: std::ops::Range<u64> = 0..24;
const RATE_HZ: f64 = 500.0;
const LENGTH_S: f64 = 10.0;

fn read(rhythm: EcgRhythm, seed: u64) -> Analysis {
    let made = synthesise(rhythm, RATE_HZ, LENGTH_S, Seed::new(seed));
    let leads = LEAD_NAMES.iter().zip(&made.leads_uv).map(|(name, values)| Lead {
        name: LeadName::new(name),
        samples_uv: values.iter().map(|uv| uv.round() as f32).collect(),
        resolution_uv: 1.0,
        derived: false,
    });
    analyze(&Record::new("made", leads.collect(), RATE_HZ).expect("a recording"))
}

/// What must be said of a rhythm, and which critical rules hold.
fn expected(rhythm: EcgRhythm) -> (&'static [&'static str], &'static [&'static str]) {
    match rhythm {
        EcgRhythm::Sinus => (&["sinus_rhythm"], &[]),
        EcgRhythm::SinusBradycardia => (&["sinus_bradycardia"], &[]),
        EcgRhythm::SinusTachycardia => (&["sinus_tachycardia"], &[]),
        EcgRhythm::PrematureVentricular => (&["sinus_rhythm", "premature_ventricular_complex"], &[]),
        EcgRhythm::AtrialFibrillation => (&["atrial_fibrillation"], &[]),
        EcgRhythm::InferiorStemi => (
            &["sinus_rhythm", "st_elevation_inferior"],
            &["acute_st_elevation"],
        ),
        EcgRhythm::Lbbb => (&["sinus_rhythm", "lbbb"], &[]),
        EcgRhythm::Rbbb => (&["sinus_rhythm", "rbbb"], &[]),
        EcgRhythm::Paced => (&["paced_rhythm"], &[]),
        EcgRhythm::CompleteAvBlock => (&["av_block_3"], &["complete_av_block"]),
        EcgRhythm::VentricularTachycardia => (
            &["ventricular_tachycardia"],
            &["sustained_ventricular_tachycardia"],
        ),
    }
}

#[test]
fn every_heart_of_a_rhythm_is_named_and_called_critical_where_it_is() {
    for rhythm in EcgRhythm::ALL {
        let (statements, critical) = expected(rhythm);
        // A drawn fibrillation may by chance beat nearly evenly for ten seconds.
        let mut misses_left = if rhythm == EcgRhythm::AtrialFibrillation {
            1
        } else {
            0
        };
        for seed in SEEDS {
            let analysis = read(rhythm, seed);
            let said: Vec<&str> = analysis.statements.iter().map(|s| s.code).collect();
            let rules: Vec<&str> = analysis.critical.iter().map(|c| c.rule.as_ref()).collect();
            assert_eq!(rules, critical, "{rhythm:?}, heart {seed}: {said:?}");
            if !statements.iter().all(|code| said.contains(code)) {
                assert!(misses_left > 0, "{rhythm:?}, heart {seed}: only {said:?}");
                misses_left -= 1;
            }
        }
    }
}

#[test]
fn no_ectopic_beat_is_made_up_where_there_is_none() {
    let calm = [
        EcgRhythm::Sinus,
        EcgRhythm::SinusBradycardia,
        EcgRhythm::SinusTachycardia,
        EcgRhythm::InferiorStemi,
        EcgRhythm::Lbbb,
        EcgRhythm::Rbbb,
    ];
    for rhythm in calm {
        for seed in SEEDS {
            let analysis = read(rhythm, seed);
            let early = analysis.statements.iter().find(|s| s.category == "ectopy");
            assert!(early.is_none(), "{rhythm:?}, heart {seed}: {early:?}");
        }
    }
}
