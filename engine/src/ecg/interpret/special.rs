//! Patterns that several waves make together: pre-excitation, potassium, exchanged electrodes.

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Statement, finding};
use crate::ecg::measure::Measured;
use crate::ecg::quality::electrodes::{self, Placement};
use crate::ecg::record::STANDARD_LEADS;

pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    if rhythm.is_sinus()
        && let Some(evidence) = preexcitation(facts.measured)
    {
        out.push(finding::PREEXCITATION.with(evidence));
    }
    if !matches!(rhythm, Rhythm::Paced | Rhythm::VentricularTachycardia)
        && let Some(evidence) = potassium(facts.measured)
    {
        out.push(finding::HYPERKALAEMIA.with(evidence));
    }
    if let Some((placement, evidence)) = electrodes::placement(facts.measured) {
        let finding = match placement {
            Placement::Arms => finding::REVERSAL_ARMS,
            Placement::RightArmLeftLeg => finding::REVERSAL_ARM_LEG,
            Placement::RightArmRightLeg => finding::REVERSAL_LEGS,
            Placement::Dextrocardia => finding::DEXTROCARDIA,
        };
        out.push(finding.with(evidence));
    }
}

/// A short PR and a wide QRS that starts slowly (delta wave): Surawicz et al., AHA/ACCF/HRS part III (2009).
pub(super) fn preexcitation(measured: &Measured) -> Option<Evidence> {
    const PR_MS: f64 = 120.0;
    const QRS_MS: f64 = 110.0;
    const START_S: f64 = 0.036;
    /// Mean slope of the start over the steepest slope.
    const SLOW: f64 = 0.32;
    /// Height that the slow start reaches, against the QRS.
    const REACHED: f64 = 0.08;
    let pr = measured.values.pr_ms.filter(|ms| *ms < PR_MS)?;
    let qrs = measured.values.qrs_ms.filter(|ms| *ms >= QRS_MS)?;
    let (on, off) = (measured.marks.qrs_on?, measured.marks.qrs_off?);
    let start = (START_S * measured.rate_hz).round() as usize;
    let by = ((0.008 * measured.rate_hz).round() as usize).max(1);
    let (mut slow, mut all, mut named) = (0, 0, Vec::new());
    for (standard, name) in STANDARD_LEADS.iter().enumerate() {
        let Some((lead, zero)) = measured
            .lead(standard)
            .and_then(|l| Some((l, measured.zero_of(l)?)))
        else {
            continue;
        };
        let Some(part) = lead.get(on..=off) else { continue };
        let height = part.iter().map(|v| (v - zero).abs()).fold(0.0, f64::max);
        let steepest = part
            .windows(by + 1)
            .map(|w| (w[by] - w[0]).abs() / by as f64)
            .fold(0.0, f64::max);
        let reached = part.get(start)? - zero;
        if height < 300.0 {
            continue;
        }
        all += 1;
        if reached.abs() >= REACHED * height && reached.abs() / (start as f64) < SLOW * steepest {
            slow += 1;
            named.push(format!("{name}{}", if reached > 0.0 { "+" } else { "-" }));
        }
    }
    (all >= 4 && slow * 2 > all).then(|| {
        let leads = named.join(" ");
        Evidence::new(
            format!("PR {pr:.0} ms, QRS {qrs:.0} ms, δ波: {leads}"),
            format!("PR {pr:.0} ms, QRS {qrs:.0} ms, delta wave in {leads}"),
        )
    })
}

/// Tall, narrow, even T waves in several chest leads, with what potassium does to P and QRS or very tall ones alone:
/// Diercks et al., Electrocardiographic manifestations of hyperkalemia, J Emerg Med 2004.
fn potassium(measured: &Measured) -> Option<Evidence> {
    const CHEST: std::ops::RangeInclusive<usize> = 7..=10;
    const TALL_UV: f64 = 800.0;
    const VERY_TALL_UV: f64 = 1_200.0;
    let peaked: Vec<(usize, f64)> = CHEST
        .filter_map(|standard| Some((standard, peaked_t(measured, standard)?)))
        .filter(|(_, uv)| *uv >= TALL_UV)
        .collect();
    let very = peaked.iter().filter(|(_, uv)| *uv >= VERY_TALL_UV).count();
    let slow_qrs = measured.values.qrs_ms.is_some_and(|ms| ms >= 115.0);
    let flat_p = measured
        .lead(1)
        .and_then(|lead| measured.p_height(lead))
        .is_none_or(|uv| uv.abs() < 50.0);
    let enough = peaked.len() >= 2 && (slow_qrs || flat_p) || very >= 3;
    enough.then(|| {
        let list: Vec<String> = peaked
            .iter()
            .map(|(lead, uv)| format!("{} {:.2} mV", STANDARD_LEADS[*lead], uv / 1_000.0))
            .collect();
        let list = list.join(", ");
        let qrs = measured
            .values
            .qrs_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
        Evidence::new(
            format!("T波高尖: {list}; QRS {qrs} ms"),
            format!("tall peaked T: {list}; QRS {qrs} ms"),
        )
    })
}

/// Height of a T wave that is narrow at half its height and rises as fast as it falls.
fn peaked_t(measured: &Measured, standard: usize) -> Option<f64> {
    const HALF_WIDTH_S: f64 = 0.095;
    const EVEN: std::ops::RangeInclusive<f64> = 0.55..=1.8;
    let lead = measured.lead(standard)?;
    let zero = measured.zero_of(lead)?;
    let (off, end) = (measured.marks.qrs_off?, measured.marks.t_off?);
    let part = lead.get(off..=end.min(lead.len().saturating_sub(1)))?;
    let top = (0..part.len()).max_by(|a, b| part[*a].total_cmp(&part[*b]))?;
    let height = part[top] - zero;
    let below = |at: &usize| part[*at] - zero < 0.5 * height;
    let left = top - (0..top).rev().find(below)?;
    let right = (top..part.len()).find(below)? - top;
    let narrow = ((left + right) as f64) < HALF_WIDTH_S * measured.rate_hz;
    let even = EVEN.contains(&(left as f64 / right.max(1) as f64));
    (narrow && even).then_some(height)
}
