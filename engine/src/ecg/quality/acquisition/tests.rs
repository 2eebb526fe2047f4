use super::*;
use crate::ecg::synth::{Noise, Synth};

fn normal() -> Record {
    Synth::default().make().record
}

/// Replaces every limb lead by what a swap makes of I and II.
fn limb(record: &mut Record, of: impl Fn(f32, f32) -> (f32, f32)) {
    for at in 0..record.len() {
        let (one, two) = of(record.leads[0].samples_uv[at], record.leads[1].samples_uv[at]);
        let rest = [
            one,
            two,
            two - one,
            -(one + two) / 2.0,
            one - two / 2.0,
            two - one / 2.0,
        ];
        for (lead, value) in record.leads.iter_mut().zip(rest) {
            lead.samples_uv[at] = value;
        }
    }
}

fn change(record: &mut Record, lead: usize, of: impl Fn(usize, f32) -> f32) {
    for (at, value) in record.leads[lead].samples_uv.iter_mut().enumerate() {
        *value = of(at, *value);
    }
}

fn check(record: &Record, verdict: Verdict, expect: &[&str]) -> Acquisition {
    let found = super::check(record);
    let codes: Vec<&str> = found.reasons.iter().map(|r| r.code).collect();
    assert_eq!(
        (found.verdict, codes.as_slice()),
        (verdict, expect),
        "{:?}",
        found.reasons
    );
    for reason in &found.reasons {
        assert!(!reason.text_zh.is_empty() && !reason.text_en.is_empty() && !reason.evidence.is_empty());
    }
    found
}

#[test]
fn a_sound_recording_has_no_reasons() {
    for qrs_axis_deg in [-25.0, 0.0, 45.0, 80.0, 100.0] {
        let record = Synth {
            qrs_axis_deg,
            ..Synth::default()
        }
        .make()
        .record;
        let found = check(&record, Verdict::Ok, &[]);
        assert!(found.leads.len() == 12);
    }
    // Waves may fall upon the same steps of a coarse recorder again and again.
    let mut coarse = Synth {
        noise_uv: 0.0,
        ..Synth::default()
    }
    .make()
    .record;
    for lead in 0..12 {
        change(&mut coarse, lead, |_, v| (v / 5.0).round() * 5.0);
    }
    check(&coarse, Verdict::Ok, &[]);
}

#[test]
fn lost_electrodes_are_named() {
    let lost = |leads: &[usize]| {
        let mut record = normal();
        for lead in leads {
            change(&mut record, *lead, |_, _| 0.0);
        }
        record
    };
    let named = |leads: &[usize], verdict, electrode: &str| {
        let found = check(&lost(leads), verdict, &["lead_off"]);
        assert!(
            found.reasons[0].text_en.contains(electrode),
            "{:?}",
            found.reasons
        );
    };
    named(&[7], Verdict::RepeatAdvised, "V2");
    named(&[0, 2, 3, 4], Verdict::RepeatAdvised, "LA");
    named(&[0, 1, 3, 4, 5], Verdict::RepeatAdvised, "RA");
    named(&[0, 1, 2, 3, 4, 5, 6, 7], Verdict::Unusable, "RA");
    let dead = lost(&(0..12).collect::<Vec<_>>());
    let found = check(&dead, Verdict::Unusable, &["no_beats"]);
    assert!(found.reasons[0].text_en.contains("patient"));
}

#[test]
fn troubles_of_the_signal_are_told_apart() {
    let mut clipped = normal();
    for lead in [8, 9, 10] {
        change(&mut clipped, lead, |_, v| v.clamp(-600.0, 600.0));
    }
    check(&clipped, Verdict::RepeatAdvised, &["saturated"]);
    let mut wandering = normal();
    change(&mut wandering, 1, |at, v| {
        v + 900.0 * (at as f32 / 500.0 * 1.3).sin()
    });
    check(&wandering, Verdict::RepeatAdvised, &["baseline_wander"]);
    let mut humming = normal();
    for lead in 0..12 {
        change(&mut humming, lead, |at, v| {
            v + 200.0 * (at as f32 / 500.0 * 50.0 * std::f32::consts::TAU).sin()
        });
    }
    check(&humming, Verdict::Ok, &["mains_interference"]);
    let mut noise = Noise(3);
    let mut shaking = normal();
    for lead in &mut shaking.leads[6..9] {
        for value in &mut lead.samples_uv {
            *value += 350.0 * noise.next() as f32;
        }
    }
    let found = check(&shaking, Verdict::RepeatAdvised, &["noise"]);
    assert_eq!(found.reasons[0].leads.len(), 3);
}

#[test]
fn short_slow_and_incomplete_recordings_are_named() {
    let synth = |seconds, rate_hz| {
        Synth {
            seconds,
            rate_hz,
            ..Synth::default()
        }
        .make()
        .record
    };
    check(&synth(6.0, 500.0), Verdict::RepeatAdvised, &["too_short"]);
    check(&synth(2.0, 500.0), Verdict::Unusable, &["too_short"]);
    check(&synth(10.0, 250.0), Verdict::Ok, &["low_sampling_rate"]);
    check(
        &synth(10.0, 125.0),
        Verdict::RepeatAdvised,
        &["low_sampling_rate"],
    );
    check(&synth(10.0, 80.0), Verdict::Unusable, &["low_sampling_rate"]);
    let mut some = normal();
    some.leads.truncate(9);
    let found = check(&some, Verdict::RepeatAdvised, &["leads_missing"]);
    assert_eq!(
        found.reasons[0]
            .leads
            .iter()
            .map(LeadName::as_str)
            .collect::<Vec<_>>(),
        ["V4", "V5", "V6"]
    );
    // A recorder of rhythm with one lead is not a broken 12-lead recorder.
    some.leads.truncate(1);
    check(&some, Verdict::Ok, &[]);
    let long = check(&synth(130.0, 500.0), Verdict::Ok, &[]);
    assert!((long.duration_s - 130.0).abs() < 1e-6);
}

#[test]
fn exchanged_electrodes_are_found() {
    let mut arms = normal();
    limb(&mut arms, |one, two| (-one, two - one));
    let found = check(&arms, Verdict::RepeatAdvised, &["limb_lead_reversal"]);
    assert!(found.reasons[0].text_en.contains("Left and right arm"));
    let mut leg = normal();
    limb(&mut leg, |one, two| (one - two, -two));
    let found = check(&leg, Verdict::RepeatAdvised, &["limb_lead_reversal"]);
    assert!(found.reasons[0].text_en.contains("left leg"));
    let mut legs = normal();
    limb(&mut legs, |one, two| (one - two, 0.02 * two));
    let found = super::check(&legs);
    assert!(
        found.reasons.iter().any(|r| r.text_en.contains("right leg")),
        "{:?}",
        found.reasons
    );
    let mut heart = normal();
    limb(&mut heart, |one, two| (-one, two - one));
    let v1 = heart.leads[6].samples_uv.clone();
    for (lead, share) in heart.leads[7..].iter_mut().zip([0.9_f32, 0.7, 0.5, 0.4, 0.3]) {
        lead.samples_uv = v1.iter().map(|v| v * share).collect();
    }
    check(&heart, Verdict::RepeatAdvised, &["dextrocardia_pattern"]);
}
