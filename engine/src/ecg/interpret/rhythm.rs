//! The basic rhythm, one of a closed list.

use serde::Serialize;

use super::{Evidence, Facts, Finding, Statement, blocked, dissociated, finding, runs};
use crate::ecg::beats::BeatClass;

/// Basic rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rhythm {
    /// Sinus node, 60 to 100 a minute, regular.
    SinusRhythm,
    /// Sinus node below 60 a minute.
    SinusBradycardia,
    /// Sinus node above 100 a minute.
    SinusTachycardia,
    /// Sinus node, irregular.
    SinusArrhythmia,
    /// No P wave, irregular.
    AtrialFibrillation,
    /// Regular fast waves of the atria.
    AtrialFlutter,
    /// Narrow, fast, regular, without sinus P.
    SupraventricularTachycardia,
    /// Most beats are ventricular and fast.
    VentricularTachycardia,
    /// Most of the recording fibrillates.
    VentricularFibrillation,
    /// Narrow, regular, without P, not fast.
    Junctional,
    /// Wide, slow, without P.
    Idioventricular,
    /// Most beats follow a stimulus.
    Paced,
    /// None of these can be told.
    Undetermined,
}

impl Rhythm {
    /// Whether the sinus node leads.
    pub(crate) fn is_sinus(self) -> bool {
        matches!(
            self,
            Self::SinusRhythm | Self::SinusBradycardia | Self::SinusTachycardia | Self::SinusArrhythmia
        )
    }
}

/// Beats needed to name a rhythm.
const BEATS_MIN: usize = 3;
/// Share of conducted beats with P from which the sinus node leads.
const P_SHARE_MIN: f64 = 0.6;
/// Relative change from interval to interval above which a rhythm without P is fibrillation.
pub(super) const IRREGULAR_CHANGE: f64 = 0.085;
/// A smaller change is fibrillation, too, where the intervals as a whole are spread so widely, relative to their middle.
const UNEVEN_CHANGE: f64 = 0.05;
const UNEVEN_SPREAD: f64 = 0.20;
/// The same where P waves seem to be there but do not agree well.
const VERY_IRREGULAR_CHANGE: f64 = 0.16;
/// Agreement of P waves that outweighs irregularity.
const AGREEMENT_SURE: f64 = 0.74;

/// Names the rhythm.
pub(crate) fn name(facts: &Facts<'_>) -> Rhythm {
    const FIBRILLATING_SHARE_MIN: f64 = 0.5;
    if facts.fibrillating_share >= FIBRILLATING_SHARE_MIN {
        return Rhythm::VentricularFibrillation;
    }
    let count = facts.beats.len();
    if count < BEATS_MIN {
        return Rhythm::Undetermined;
    }
    let share =
        |class: BeatClass| facts.beats.iter().filter(|b| b.class == class).count() as f64 / count as f64;
    if share(BeatClass::Unclassifiable) >= 0.5 {
        return Rhythm::Paced;
    }
    let rate = facts.measured.values.heart_rate_bpm.unwrap_or(0.0);
    if share(BeatClass::Ventricular) > 0.5 {
        return if rate > 100.0 {
            Rhythm::VentricularTachycardia
        } else {
            Rhythm::Idioventricular
        };
    }
    // Even P waves lead, whatever the ventricles make of them.
    if let Some(blocked) = &facts.blocked {
        return sinus_at(60_000.0 / blocked.pp_ms);
    }
    let change = irregularity(facts);
    let with_p = facts.evidence.share >= P_SHARE_MIN && !t_for_p(facts, rate) && !qrs_for_p(facts);
    let doubtful_p = facts.evidence.consistency < AGREEMENT_SURE;
    let uneven = change > IRREGULAR_CHANGE || change > UNEVEN_CHANGE && spread(facts) > UNEVEN_SPREAD;
    let irregular = uneven && !with_p || change > VERY_IRREGULAR_CHANGE && doubtful_p;
    if (!with_p || doubtful_p) && flutters(facts, change) {
        return Rhythm::AtrialFlutter;
    }
    if irregular {
        return Rhythm::AtrialFibrillation;
    }
    if with_p {
        sinus(facts, rate)
    } else {
        without_p(facts, rate)
    }
}

/// Whether regular atrial waves of flutter rate drive the ventricles: evenly, or in whole numbers of waves.
fn flutters(facts: &Facts<'_>, change: f64) -> bool {
    const STRENGTH_MIN: f64 = 0.6;
    const RATE: std::ops::RangeInclusive<f64> = 220.0..=345.0;
    const OFF_MULTIPLE_MAX: f64 = 0.13;
    let Some((strength, rate)) = facts.flutter.filter(|(_, rate)| RATE.contains(rate)) else {
        return false;
    };
    let period_ms = 60_000.0 / rate;
    let off = facts
        .intervals_ms
        .iter()
        .map(|ms| (ms / period_ms - (ms / period_ms).round()).abs());
    let off = off.sum::<f64>() / facts.intervals_ms.len().max(1) as f64;
    strength > STRENGTH_MIN && (change < IRREGULAR_CHANGE || off < OFF_MULTIPLE_MAX)
}

fn sinus(facts: &Facts<'_>, rate: f64) -> Rhythm {
    const SPAN_MS_MAX: f64 = 160.0;
    let intervals = conducted_intervals(facts);
    let low = intervals.iter().copied().fold(f64::INFINITY, f64::min);
    let high = intervals.iter().copied().fold(0.0, f64::max);
    // The rate of the sinus node is that of undisturbed intervals.
    let own = if intervals.is_empty() {
        rate
    } else {
        60_000.0 * intervals.len() as f64 / intervals.iter().sum::<f64>()
    };
    let jumps = intervals
        .windows(2)
        .filter(|w| (w[1] - w[0]).abs() > 0.25 * w[0])
        .count();
    if own > 100.0 {
        Rhythm::SinusTachycardia
    } else if high - low > SPAN_MS_MAX && jumps * 4 <= intervals.len() {
        Rhythm::SinusArrhythmia
    } else if own < 60.0 {
        Rhythm::SinusBradycardia
    } else {
        Rhythm::SinusRhythm
    }
}

/// Whether what seems to be P in a fast heart is the T wave before it, or the heart is too fast for the sinus node (220
/// less the age; Fox et al. 1971).
fn t_for_p(facts: &Facts<'_>, rate: f64) -> bool {
    const FAST_BPM: f64 = 130.0;
    const PR_MS_MAX: f64 = 200.0;
    const P_MS_MAX: f64 = 140.0;
    const AGE_UNKNOWN_YEARS: f64 = 30.0;
    if rate < FAST_BPM {
        return false;
    }
    let values = &facts.measured.values;
    let believable = |pr: f64, p: f64| pr <= PR_MS_MAX && pr < 0.55 * 60_000.0 / rate && p <= P_MS_MAX;
    let p_wave = values
        .pr_ms
        .zip(values.p_ms)
        .is_some_and(|(pr, p)| believable(pr, p));
    !p_wave || rate > 220.0 - facts.patient.age_years.unwrap_or(AGE_UNKNOWN_YEARS)
}

/// Whether what seems to be P stands so near before the QRS that it cannot have led to it, not by an accessory pathway
/// either: the first, slow part of a wide or paced QRS, or a P wave that came from below.
fn qrs_for_p(facts: &Facts<'_>) -> bool {
    const PR_MS_MIN: f64 = 70.0;
    facts.measured.values.pr_ms.is_some_and(|pr| pr < PR_MS_MIN)
}

fn sinus_at(rate: f64) -> Rhythm {
    match rate {
        rate if rate > 100.0 => Rhythm::SinusTachycardia,
        rate if rate < 60.0 => Rhythm::SinusBradycardia,
        _ => Rhythm::SinusRhythm,
    }
}

fn without_p(facts: &Facts<'_>, rate: f64) -> Rhythm {
    const WIDE_MS: f64 = 120.0;
    let Some(qrs_ms) = facts.measured.values.qrs_ms else {
        return Rhythm::Undetermined;
    };
    match (qrs_ms >= WIDE_MS, rate) {
        (true, rate) if rate > 130.0 => Rhythm::VentricularTachycardia,
        (true, rate) if rate < 50.0 => Rhythm::Idioventricular,
        (false, rate) if rate > 140.0 => Rhythm::SupraventricularTachycardia,
        (false, rate) if rate <= 100.0 => Rhythm::Junctional,
        _ => Rhythm::Undetermined,
    }
}

/// Median relative change between neighbouring intervals of conducted beats.
pub(crate) fn irregularity(facts: &Facts<'_>) -> f64 {
    let intervals = conducted_intervals(facts);
    let mut changes: Vec<f64> = intervals
        .windows(2)
        .map(|w| (w[1] - w[0]).abs() / w[0].max(w[1]))
        .collect();
    if changes.len() < 3 {
        return 0.0;
    }
    let middle = changes.len() / 2;
    *changes.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Range of the middle three fifths of the intervals over their median; early narrow beats count, for without P waves
/// none is premature.
fn spread(facts: &Facts<'_>) -> f64 {
    const FEWEST: usize = 5;
    let pairs = facts.beats.windows(2).zip(facts.intervals_ms);
    let mut intervals: Vec<f64> = pairs
        .filter(|(pair, _)| pair.iter().all(|beat| beat.class != BeatClass::Ventricular))
        .map(|(_, ms)| *ms)
        .collect();
    if intervals.len() < FEWEST {
        return 0.0;
    }
    intervals.sort_by(f64::total_cmp);
    let at = |fifths: usize| intervals[(intervals.len() - 1) * fifths / 5];
    (at(4) - at(1)) / intervals[intervals.len() / 2]
}

/// Median interval between neighbouring beats.
fn usual_interval_ms(facts: &Facts<'_>) -> f64 {
    let mut intervals = facts.intervals_ms.to_vec();
    let middle = intervals.len() / 2;
    if intervals.is_empty() {
        return 0.0;
    }
    *intervals.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Intervals between conducted beats which follow each other directly.
fn conducted_intervals(facts: &Facts<'_>) -> Vec<f64> {
    let pairs = facts.beats.windows(2).zip(facts.intervals_ms);
    let own = |class: BeatClass| matches!(class, BeatClass::Normal | BeatClass::Unclassifiable);
    pairs
        .filter(|(pair, _)| own(pair[0].class) && own(pair[1].class))
        .map(|(_, ms)| *ms)
        .collect()
}

/// The finding of the rhythm, and pauses.
pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    const PAUSE_MS: f64 = 2_000.0;
    const PAUSE_INTERVALS: f64 = 1.4;
    let finding: Option<Finding> = match rhythm {
        Rhythm::SinusRhythm => Some(finding::SINUS_RHYTHM),
        Rhythm::SinusBradycardia => Some(finding::SINUS_BRADYCARDIA),
        Rhythm::SinusTachycardia => Some(finding::SINUS_TACHYCARDIA),
        Rhythm::SinusArrhythmia => Some(finding::SINUS_ARRHYTHMIA),
        Rhythm::AtrialFibrillation => Some(finding::ATRIAL_FIBRILLATION),
        Rhythm::AtrialFlutter => Some(finding::ATRIAL_FLUTTER),
        Rhythm::SupraventricularTachycardia => Some(finding::SUPRAVENTRICULAR_TACHYCARDIA),
        Rhythm::VentricularTachycardia => Some(finding::VENTRICULAR_TACHYCARDIA),
        Rhythm::VentricularFibrillation => Some(finding::VENTRICULAR_FIBRILLATION),
        Rhythm::Junctional => Some(finding::JUNCTIONAL),
        Rhythm::Idioventricular => Some(finding::IDIOVENTRICULAR),
        Rhythm::Paced => Some(finding::PACED),
        Rhythm::Undetermined => None,
    };
    let rate = facts
        .measured
        .values
        .heart_rate_bpm
        .map_or_else(|| "-".to_owned(), |hr| format!("{hr:.0}"));
    if let Some(finding) = finding {
        let share = 100.0 * facts.evidence.share;
        out.push(finding.with(Evidence::new(
            format!("心率{rate}次/分, {share:.0} %的心搏前有P波"),
            format!("rate {rate}/min, P before {share:.0} % of beats"),
        )));
    }
    dissociated::state(facts, rhythm, &rate, out);
    blocked::state(facts, out);
    let longest = runs::longest_interval_ms(facts);
    // A slow heart that beats evenly makes no pause.
    let usual = usual_interval_ms(facts);
    if longest >= PAUSE_MS && longest >= PAUSE_INTERVALS * usual {
        out.push(finding::PAUSE.with(runs::longest_rr(longest)));
    }
}
