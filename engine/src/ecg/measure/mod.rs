//! Intervals, axes, amplitudes and ST levels of the representative beat, and the rate over all beats.

mod vector;

use std::collections::BTreeMap;

use serde::Serialize;

use super::beats::{Beat, BeatClass};
use super::delineate::family::Member;
use super::delineate::{Delineation, Marks};
use super::interpret::rhythm::Rhythm;
use super::record::{LeadName, STANDARD_LEADS};

/// Numbers of `ecg analyze`; `None` has its reason in [`Measured::not_measurable`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measurements {
    /// Mean ventricular rate, beats a minute.
    pub heart_rate_bpm: Option<f64>,
    /// Mean interval between beats.
    pub rr_ms: Option<f64>,
    /// Duration of P.
    pub p_ms: Option<f64>,
    /// P onset to QRS onset.
    pub pr_ms: Option<f64>,
    /// Duration of QRS.
    pub qrs_ms: Option<f64>,
    /// QRS onset to T end.
    pub qt_ms: Option<f64>,
    /// QT / RR^(1/2), RR in seconds (Bazett 1920).
    pub qtc_bazett_ms: Option<f64>,
    /// QT / RR^(1/3) (Fridericia 1920).
    pub qtc_fridericia_ms: Option<f64>,
    /// QT + 154 (1 - RR) (Sagie et al. 1992).
    pub qtc_framingham_ms: Option<f64>,
    /// QT + 1.75 (rate - 60) (Hodges et al. 1983).
    pub qtc_hodges_ms: Option<f64>,
    /// Frontal axis of P, degrees.
    pub p_axis_deg: Option<f64>,
    /// Frontal axis of QRS, degrees.
    pub qrs_axis_deg: Option<f64>,
    /// Frontal axis of T, degrees.
    pub t_axis_deg: Option<f64>,
    /// Height of R in V5.
    pub rv5_mv: Option<f64>,
    /// Depth of S in V1, positive.
    pub sv1_mv: Option<f64>,
    /// Level 60 ms after the J point over the QRS onset, by lead.
    pub st_mv: BTreeMap<String, Option<f64>>,
}

/// Measurements with what later steps need of the representative beat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) values: Measurements,
    pub(crate) not_measurable: BTreeMap<String, String>,
    /// Leads of the representative beat, microvolts; empty without one.
    pub(crate) median: Vec<Vec<f64>>,
    pub(crate) marks: Marks,
    pub(crate) names: Vec<LeadName>,
    pub(crate) rate_hz: f64,
}

impl Measured {
    /// The representative beat of a standard lead, by its place in [`STANDARD_LEADS`].
    pub(crate) fn lead(&self, standard: usize) -> Option<&[f64]> {
        let place = self
            .names
            .iter()
            .position(|name| name.standard_index() == Some(standard))?;
        self.median.get(place).map(Vec::as_slice)
    }

    /// Height of P in a lead over the chord of the wave, with its sign; `None` without P.
    pub(crate) fn p_height(&self, lead: &[f64]) -> Option<f64> {
        let part = lead.get(self.marks.p_on?..=self.marks.p_off?)?;
        let (first, last) = (*part.first()?, *part.last()?);
        let step = (last - first) / (part.len().max(2) - 1) as f64;
        let heights = part
            .iter()
            .enumerate()
            .map(|(at, v)| v - first - step * at as f64);
        heights.max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    /// Level of the lead at the QRS onset, the zero of all heights.
    pub(crate) fn zero_of(&self, lead: &[f64]) -> Option<f64> {
        let on = self.marks.qrs_on?;
        let width = (0.008 * self.rate_hz).max(1.0) as usize;
        let part = lead.get(on.saturating_sub(width)..=on)?;
        Some(part.iter().sum::<f64>() / part.len() as f64)
    }
}

impl Measured {
    /// Takes P measurements back when the rhythm turns out to have no P waves.
    pub(crate) fn forget_atria_without_p(&mut self, rhythm: Rhythm) {
        let reason = match rhythm {
            Rhythm::AtrialFibrillation => "atrial fibrillation has no P wave",
            Rhythm::AtrialFlutter => "atrial flutter has no P wave",
            Rhythm::VentricularFibrillation => "ventricular fibrillation has no P wave",
            Rhythm::SupraventricularTachycardia => "no P wave can be told from T at this rate",
            _ => return,
        };
        let values = &mut self.values;
        (values.p_ms, values.pr_ms, values.p_axis_deg) = (None, None, None);
        for name in ["p_ms", "pr_ms", "p_axis_deg"] {
            self.not_measurable.insert(name.to_owned(), reason.to_owned());
        }
    }
}

/// What the rhythm says about the atria, which decides whether P is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atria {
    /// P waves in most beats.
    Conducting,
    /// No believable P wave.
    Silent,
}

/// Input of the measurements: what is known of the stretch that is measured.
pub(crate) struct Stretch<'a> {
    pub(crate) names: Vec<LeadName>,
    pub(crate) rate_hz: f64,
    pub(crate) beats: &'a [Beat],
    pub(crate) waves: &'a Delineation,
}

/// Measures; `intervals_ms` are the intervals between all beats of the recording.
pub(crate) fn measure(stretch: &Stretch<'_>, intervals_ms: &[f64]) -> Measured {
    let mut made = Measured {
        names: stretch.names.clone(),
        rate_hz: stretch.rate_hz,
        ..Measured::default()
    };
    let rr_ms =
        (!intervals_ms.is_empty()).then(|| intervals_ms.iter().sum::<f64>() / intervals_ms.len() as f64);
    made.values.rr_ms = rr_ms.map(tenth);
    made.values.heart_rate_bpm = rr_ms.map(|rr| tenth(60_000.0 / rr));
    if let Some(place) = representative(stretch) {
        made.median.clone_from(&stretch.waves.families[place].leads);
        made.marks = stretch.waves.medians[place];
    }
    let atria = if stretch.waves.evidence.share >= 0.5 {
        Atria::Conducting
    } else {
        Atria::Silent
    };
    fill_intervals(&mut made, atria);
    vector::fill(&mut made, atria);
    fill_levels(&mut made);
    explain(&mut made, atria, stretch.beats.len());
    made
}

/// The family that is measured: the one with most conducted beats, or most paced ones where these are more, or else the
/// largest.
fn representative(stretch: &Stretch<'_>) -> Option<usize> {
    let members = |place: usize, class: BeatClass| {
        let family = stretch.waves.families.get(place);
        let of = |member: &&Member| {
            stretch
                .beats
                .get(member.beat)
                .is_some_and(|beat| beat.class == class)
        };
        family.map_or(0, |family| family.members.iter().filter(of).count())
    };
    let count = |class: BeatClass| stretch.beats.iter().filter(|beat| beat.class == class).count();
    let class = if count(BeatClass::Unclassifiable) > count(BeatClass::Normal) {
        BeatClass::Unclassifiable
    } else {
        BeatClass::Normal
    };
    // Families come largest first; the first of equals is kept.
    (0..stretch.waves.families.len())
        .rev()
        .max_by_key(|place| members(*place, class))
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandth(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn fill_intervals(made: &mut Measured, atria: Atria) {
    let to_ms = 1_000.0 / made.rate_hz;
    let between =
        |from: Option<usize>, to: Option<usize>| Some(tenth(to?.checked_sub(from?)? as f64 * to_ms));
    let marks = made.marks;
    let values = &mut made.values;
    values.qrs_ms = between(marks.qrs_on, marks.qrs_off).filter(|v| (40.0..=300.0).contains(v));
    values.qt_ms = between(marks.qrs_on, marks.t_off).filter(|v| (150.0..=900.0).contains(v));
    if atria == Atria::Conducting {
        values.p_ms = between(marks.p_on, marks.p_off).filter(|v| (20.0..=250.0).contains(v));
        values.pr_ms = between(marks.p_on, marks.qrs_on).filter(|v| (50.0..=600.0).contains(v));
    }
    if let (Some(qt), Some(rr_ms)) = (values.qt_ms, values.rr_ms) {
        let rr = rr_ms / 1_000.0;
        values.qtc_bazett_ms = Some(tenth(qt / rr.sqrt()));
        values.qtc_fridericia_ms = Some(tenth(qt / rr.cbrt()));
        values.qtc_framingham_ms = Some(tenth(qt + 154.0 * (1.0 - rr)));
        values.qtc_hodges_ms = Some(tenth(qt + 1.75 * (60.0 / rr - 60.0)));
    }
}

/// ST levels of every lead, R in V5 and S in V1.
fn fill_levels(made: &mut Measured) {
    const AFTER_J_S: f64 = 0.060;
    let (Some(on), Some(off)) = (made.marks.qrs_on, made.marks.qrs_off) else {
        return;
    };
    let at = off + (AFTER_J_S * made.rate_hz).round() as usize;
    let half = (0.004 * made.rate_hz).round() as usize;
    let mut levels = BTreeMap::new();
    for (name, lead) in made.names.iter().zip(&made.median) {
        let part = lead.get(at.saturating_sub(half)..=(at + half).min(lead.len().saturating_sub(1)));
        let level = part
            .filter(|p| !p.is_empty())
            .map(|p| p.iter().sum::<f64>() / p.len() as f64);
        let level = level
            .zip(made.zero_of(lead))
            .map(|(level, zero)| thousandth((level - zero) / 1_000.0));
        levels.insert(name.as_str().to_owned(), level);
    }
    made.values.st_mv = levels;
    let extreme = |standard: usize, sign: f64| {
        let lead = made.lead(standard)?;
        let zero = made.zero_of(lead)?;
        let top = lead
            .get(on..=off)?
            .iter()
            .map(|v| (v - zero) * sign)
            .fold(0.0, f64::max);
        Some(thousandth(top / 1_000.0))
    };
    let (r, s) = (extreme(10, 1.0), extreme(6, -1.0));
    (made.values.rv5_mv, made.values.sv1_mv) = (r, s);
}

/// A reason for every number that is missing.
fn explain(made: &mut Measured, atria: Atria, beats: usize) {
    let values = &made.values;
    let no_beats = "fewer than two beats were found";
    let no_qrs = "the limits of the QRS could not be told";
    let no_t = "the end of the T wave could not be told";
    let p_reason = match atria {
        Atria::Silent if beats > 0 => "no P wave precedes the QRS consistently",
        _ if beats == 0 => "no beat was found",
        _ => "the limits of the P wave could not be told",
    };
    let has = |standard: usize| {
        made.names
            .iter()
            .any(|name| name.standard_index() == Some(standard))
    };
    let limb = if has(0) && has(1) {
        "the wave is too small in leads I and II"
    } else {
        "leads I and II are needed"
    };
    let t_limb = if values.qt_ms.is_none() { no_t } else { limb };
    let chest = |standard: usize| {
        if has(standard) {
            no_qrs.to_owned()
        } else {
            format!("lead {} is not recorded", STANDARD_LEADS[standard])
        }
    };
    let p_limb = if values.p_ms.is_none() { p_reason } else { limb };
    let qtc = if values.qt_ms.is_none() { no_t } else { no_beats };
    let rows: [(&str, Option<f64>, String); 15] = [
        ("heart_rate_bpm", values.heart_rate_bpm, no_beats.into()),
        ("rr_ms", values.rr_ms, no_beats.into()),
        ("p_ms", values.p_ms, p_reason.into()),
        ("pr_ms", values.pr_ms, p_reason.into()),
        ("qrs_ms", values.qrs_ms, no_qrs.into()),
        ("qt_ms", values.qt_ms, no_t.into()),
        ("qtc_bazett_ms", values.qtc_bazett_ms, qtc.into()),
        ("qtc_fridericia_ms", values.qtc_fridericia_ms, qtc.into()),
        ("qtc_framingham_ms", values.qtc_framingham_ms, qtc.into()),
        ("qtc_hodges_ms", values.qtc_hodges_ms, qtc.into()),
        ("p_axis_deg", values.p_axis_deg, p_limb.into()),
        ("qrs_axis_deg", values.qrs_axis_deg, limb.into()),
        ("t_axis_deg", values.t_axis_deg, t_limb.into()),
        ("rv5_mv", values.rv5_mv, chest(10)),
        ("sv1_mv", values.sv1_mv, chest(6)),
    ];
    let missing = rows.into_iter().filter(|(_, value, _)| value.is_none());
    made.not_measurable = missing
        .map(|(name, _, reason)| (name.to_owned(), reason))
        .collect();
}

#[cfg(test)]
mod tests;
