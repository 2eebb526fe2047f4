//! Atria that beat evenly on their own while slower ventricles do not follow them: complete AV block.
//!
//! P waves lie anywhere between the beats, so that no mean over beats shows them. They are found by the one thing they
//! keep, their own distance: the signal between the beats is compared with itself one distance later, over all pairs of
//! samples of which neither lies in a QRS complex or its T wave, also across beats. Distances that are a whole part of
//! the beats' own are left out, for there the end of T or a U wave resembles itself, and a block that lets every second
//! or third wave through is another one.

use super::rhythm::{self, Rhythm};
use super::{Evidence, Facts, Statement, finding};
use crate::ecg::beats::Beat;

/// Distances between P waves of a sinus node that beats on, in seconds.
const PERIOD_S: (f64, f64) = (0.40, 1.20);
/// The faster pace must be so much faster than the ventricles.
const RATIO_MIN: f64 = 1.25;
/// Distance of the ratio of both paces from the next whole number.
const OFF_WHOLE_MIN: f64 = 0.12;

/// How alike the atria are to themselves one distance later, and their rate a minute; `None` where too little lies
/// between the beats.
pub(crate) fn free_atria(signals: &[&[f32]], rate_hz: f64, beats: &[Beat], qt_s: f64) -> Option<(f64, f64)> {
    const RATE_HZ: f64 = 125.0;
    const PAIRS_S_MIN: f64 = 1.2;
    const POWER_UV2_MIN: f64 = 50.0;
    let step = (rate_hz / RATE_HZ).round().max(1.0) as usize;
    let slow_hz = rate_hz / step as f64;
    let usual_s = usual_distance_s(beats, rate_hz)?;
    let open = between_beats(signals.first()?.len(), rate_hz, beats, qt_s);
    let leads: Vec<Vec<Option<f64>>> = signals
        .iter()
        .map(|lead| waves(lead, &open, step, slow_hz))
        .collect();
    let pairs_min = PAIRS_S_MIN * slow_hz * leads.len() as f64;
    let lags = (PERIOD_S.0 * slow_hz) as usize..=(PERIOD_S.1 * slow_hz) as usize;
    let strengths: Vec<Option<f64>> = lags
        .clone()
        .map(|lag| {
            let own = is_free(usual_s * slow_hz / lag as f64);
            let alike = own.then(|| likeness(&leads, lag)).flatten()?;
            let enough = alike.pairs as f64 >= pairs_min && alike.power >= POWER_UV2_MIN;
            enough.then_some(alike.strength)
        })
        .collect();
    let best = strengths.iter().flatten().copied().reduce(f64::max)?;
    // Twice a distance is nearly as alike as the distance itself.
    const NEARLY: f64 = 0.85;
    let found = (0..strengths.len()).find(|place| {
        let at = |place: Option<usize>| place.and_then(|p| strengths.get(p).copied().flatten());
        let here = at(Some(*place)).filter(|s| *s >= NEARLY * best);
        let top = |other: Option<f64>| other.is_none_or(|o| here.is_some_and(|h| h >= o));
        here.is_some() && top(at(place.checked_sub(1))) && top(at(place.checked_add(1)))
    })?;
    let lag = lags.start() + found;
    strengths[found].map(|strength| (strength, 60.0 * slow_hz / lag as f64))
}

/// Whether `ratio` of the atria's pace to the ventricles' is that of two pacemakers without connection.
fn is_free(ratio: f64) -> bool {
    ratio > RATIO_MIN && (ratio - ratio.round()).abs() > OFF_WHOLE_MIN
}

/// Median distance of the beats in seconds.
fn usual_distance_s(beats: &[Beat], rate_hz: f64) -> Option<f64> {
    let mut gaps: Vec<usize> = beats.windows(2).map(|w| w[1].sample - w[0].sample).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map(|gap| *gap as f64 / rate_hz)
}

/// Which samples lie between a T wave and the next QRS complex.
fn between_beats(length: usize, rate_hz: f64, beats: &[Beat], qt_s: f64) -> Vec<bool> {
    const BEFORE_S: f64 = 0.09;
    const QT_S: (f64, f64) = (0.2, 0.5);
    let (before, after) = (
        (BEFORE_S * rate_hz) as usize,
        (qt_s.clamp(QT_S.0, QT_S.1) * rate_hz) as usize,
    );
    let mut open = vec![true; length];
    for beat in beats {
        let from = beat.sample.saturating_sub(before).min(length);
        let to = (beat.sample + after).min(length);
        open[from..to].fill(false);
    }
    open
}

/// The lead at a lower rate, each value over the mean of its open neighbourhood, so that no slope and no level that was
/// set before a QRS complex is left; `None` where a beat is or the signal is missing.
fn waves(lead: &[f32], open: &[bool], step: usize, slow_hz: f64) -> Vec<Option<f64>> {
    const AROUND_S: f64 = 0.18;
    let slow: Vec<Option<f64>> = lead
        .chunks(step)
        .zip(open.chunks(step))
        .map(|(part, open)| {
            let mean = part.iter().map(|v| f64::from(*v)).sum::<f64>() / part.len() as f64;
            (open.iter().all(|o| *o) && mean.is_finite()).then_some(mean)
        })
        .collect();
    let reach = (AROUND_S * slow_hz).round() as usize;
    let level = |at: usize| {
        let near = &slow[at.saturating_sub(reach)..(at + reach + 1).min(slow.len())];
        let (sum, count) = near
            .iter()
            .flatten()
            .fold((0.0, 0_usize), |(sum, count), v| (sum + v, count + 1));
        sum / count.max(1) as f64
    };
    slow.iter()
        .enumerate()
        .map(|(at, value)| value.map(|v| v - level(at)))
        .collect()
}

/// How alike the leads are to themselves `lag` later.
struct Likeness {
    strength: f64,
    pairs: usize,
    power: f64,
}

fn likeness(leads: &[Vec<Option<f64>>], lag: usize) -> Option<Likeness> {
    let (mut product, mut power, mut pairs) = (0.0, 0.0, 0_usize);
    for lead in leads {
        let later = lead.get(lag..)?;
        for (a, b) in lead.iter().zip(later) {
            if let (Some(a), Some(b)) = (a, b) {
                product += a * b;
                power += 0.5 * (a * a + b * b);
                pairs += 1;
            }
        }
    }
    (power > 0.0).then(|| Likeness {
        strength: product / power,
        pairs,
        power: power / pairs as f64,
    })
}

/// Rate of atria that go their own way above a slow, regular heart without a leading sinus node.
fn own_pace_bpm(facts: &Facts<'_>, rhythm: Rhythm) -> Option<f64> {
    const STRENGTH_MIN: f64 = 0.40;
    const VENTRICLES_BPM_MAX: f64 = 60.0;
    let without_sinus = matches!(
        rhythm,
        Rhythm::Junctional | Rhythm::Idioventricular | Rhythm::Undetermined
    );
    let slow = facts
        .measured
        .values
        .heart_rate_bpm
        .is_some_and(|rate| rate < VENTRICLES_BPM_MAX);
    let regular = rhythm::irregularity(facts) < rhythm::IRREGULAR_CHANGE;
    let (_, atria) = facts
        .free_atria
        .filter(|(strength, _)| *strength > STRENGTH_MIN)?;
    (without_sinus && slow && regular).then_some(atria)
}

/// The finding; `ventricles` is their rate as it is written.
pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, ventricles: &str, out: &mut Vec<Statement>) {
    if let Some(atria) = own_pace_bpm(facts, rhythm) {
        out.push(finding::AV_BLOCK_3.with(Evidence::new(
            format!("P波{atria:.0}次/分, 心室率{ventricles}次/分, 互不相关"),
            format!("P waves {atria:.0}/min, ventricles {ventricles}/min, independent"),
        )));
    }
}
