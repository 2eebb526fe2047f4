//! QT, ST, T and Q waves.
//!
//! Limits: QT after AHA/ACCF/HRS part IV (2009); ST and Q after the Fourth Universal Definition of Myocardial
//! Infarction (2018), read 60 ms after the J point.

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Finding, Statement, finding};
use crate::ecg::measure::Measured;
use crate::ecg::record::STANDARD_LEADS;

/// Leads that look at one wall, by their place among the standard twelve.
const INFERIOR: &[usize] = &[1, 2, 5];
const ANTERIOR: &[usize] = &[6, 7, 8, 9];
const LATERAL: &[usize] = &[0, 4, 10, 11];
/// Leads of one wall that must agree.
const LEADS_MIN: usize = 2;

pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    if matches!(
        rhythm,
        Rhythm::VentricularTachycardia | Rhythm::Idioventricular | Rhythm::Undetermined
    ) {
        return;
    }
    qt(facts, rhythm, out);
    // A changed spread of excitation changes ST, T and Q by itself.
    let wide = facts.measured.values.qrs_ms.is_none_or(|ms| ms >= 120.0);
    if wide || rhythm == Rhythm::Paced {
        return;
    }
    if !facts.too_fast_for_st() {
        st(facts, out);
    }
    t_inversion(facts.measured, out);
    q_waves(facts.measured, out);
}

fn qt(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    let values = &facts.measured.values;
    let (Some(qtc), Some(qrs)) = (values.qtc_fridericia_ms, values.qrs_ms) else {
        return;
    };
    if rhythm == Rhythm::Paced {
        return;
    }
    // A wide QRS prolongs QT without repolarisation taking longer.
    let own = qtc - (qrs - 100.0).max(0.0) * 0.5;
    let limit = if facts.female() { 460.0 } else { 450.0 };
    if own > limit {
        out.push(finding::LONG_QT.with(Evidence::new(
            format!("QTc(Fridericia) {qtc:.0} ms, 界值{limit:.0} ms"),
            format!("QTc (Fridericia) {qtc:.0} ms, limit {limit:.0} ms"),
        )));
    } else if qtc < 330.0 {
        out.push(finding::SHORT_QT.with(Evidence::plain(format!("QTc (Fridericia) {qtc:.0} ms"))));
    }
}

/// ST level of a standard lead in millivolts.
pub(crate) fn st_mv(measured: &Measured, standard: usize) -> Option<f64> {
    let place = measured
        .names
        .iter()
        .find(|name| name.standard_index() == Some(standard))?;
    measured.values.st_mv.get(place.as_str()).copied().flatten()
}

fn st(facts: &Facts<'_>, out: &mut Vec<Statement>) {
    let up = |standard: usize| match standard {
        7 | 8 if facts.female() => 0.15,
        7 | 8 => 0.20,
        _ => 0.10,
    };
    let walls: [(&[usize], Finding, Finding); 3] = [
        (INFERIOR, finding::ST_UP_INFERIOR, finding::ST_DOWN_INFERIOR),
        (ANTERIOR, finding::ST_UP_ANTERIOR, finding::ST_DOWN_ANTERIOR),
        (LATERAL, finding::ST_UP_LATERAL, finding::ST_DOWN_LATERAL),
    ];
    for (leads, raised, lowered) in walls {
        let levels: Vec<(usize, f64)> = leads
            .iter()
            .filter_map(|lead| Some((*lead, st_mv(facts.measured, *lead)?)))
            .collect();
        let list = |wanted: &dyn Fn(&(usize, f64)) -> bool| -> Vec<String> {
            let chosen = levels.iter().filter(|level| wanted(level));
            chosen
                .map(|(lead, mv)| format!("{} {mv:+.2} mV", STANDARD_LEADS[*lead]))
                .collect()
        };
        let high = list(&|(lead, mv)| *mv >= up(*lead));
        let low = list(&|(_, mv)| *mv <= -0.07);
        if high.len() >= LEADS_MIN {
            out.push(raised.with(Evidence::plain(high.join(", "))));
        } else if low.len() >= LEADS_MIN {
            out.push(lowered.with(Evidence::plain(low.join(", "))));
        }
    }
}

fn t_inversion(measured: &Measured, out: &mut Vec<Statement>) {
    const DEPTH_UV: f64 = -100.0;
    const UPRIGHT: [usize; 6] = [0, 1, 8, 9, 10, 11];
    let Some(peak) = measured.marks.t_peak else { return };
    let depth = |standard: usize| {
        let lead = measured.lead(standard)?;
        Some(lead.get(peak)? - measured.zero_of(lead)?)
    };
    let inverted: Vec<&str> = UPRIGHT
        .iter()
        .filter(|lead| depth(**lead).is_some_and(|uv| uv <= DEPTH_UV))
        .map(|lead| STANDARD_LEADS[*lead])
        .collect();
    if inverted.len() >= LEADS_MIN {
        out.push(finding::T_INVERSION.with(Evidence::plain(inverted.join(", "))));
    }
}

fn q_waves(measured: &Measured, out: &mut Vec<Statement>) {
    let walls: [(&[usize], Finding); 3] = [
        (INFERIOR, finding::Q_INFERIOR),
        (ANTERIOR, finding::Q_ANTERIOR),
        (LATERAL, finding::Q_LATERAL),
    ];
    for (leads, finding) in walls {
        let deep: Vec<&str> = leads
            .iter()
            .filter(|lead| has_q(measured, **lead) == Some(true))
            .map(|lead| STANDARD_LEADS[*lead])
            .collect();
        // Lead III alone often has a Q wave in health.
        let enough = if leads == INFERIOR {
            deep.iter().filter(|lead| **lead != "III").count() >= 2
        } else {
            deep.len() >= LEADS_MIN
        };
        if enough {
            out.push(finding.with(Evidence::plain(deep.join(", "))));
        }
    }
}

/// Whether the QRS of a lead starts with a Q of at least 35 ms and a quarter of R.
fn has_q(measured: &Measured, standard: usize) -> Option<bool> {
    const LENGTH_S: f64 = 0.035;
    const DEPTH_UV: f64 = -100.0;
    let lead = measured.lead(standard)?;
    let zero = measured.zero_of(lead)?;
    let (on, off) = (measured.marks.qrs_on?, measured.marks.qrs_off?);
    let part: Vec<f64> = lead.get(on..=off)?.iter().map(|v| v - zero).collect();
    let first_up = part.iter().position(|v| *v > 50.0).unwrap_or(part.len());
    let depth = part[..first_up].iter().copied().fold(0.0, f64::min);
    let length = part[..first_up].iter().filter(|v| **v < -20.0).count() as f64 / measured.rate_hz;
    let r = part.iter().copied().fold(0.0, f64::max);
    Some(depth <= DEPTH_UV && length >= LENGTH_S && -depth >= 0.25 * r)
}
