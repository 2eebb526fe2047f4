//! Atria and ventricles that are too large, beyond voltage alone.
//!
//! Limits: Hancock et al., AHA/ACCF/HRS recommendations part V (2009): Cornell voltage (R in aVL + S in V3 above 2.8 mV,
//! women 2.0 mV), strain, P terminal force in V1 (Morris et al. 1964), R and S in V1 and V6 with the axis to the right.
//! RV5 + SV1 above 4.0 mV (women 3.5 mV) as Chinese textbooks have it.

use super::{Evidence, Facts, Statement, finding};
use crate::ecg::measure::Measured;

/// Places of leads among the standard twelve.
const I: usize = 0;
const II: usize = 1;
const III: usize = 2;
const AVL: usize = 4;
const AVF: usize = 5;
const V1: usize = 6;
const V3: usize = 8;
const V5: usize = 10;
const V6: usize = 11;

/// Heights of one lead of the representative beat in microvolts; S is positive.
struct Heights {
    r: f64,
    s: f64,
    st: f64,
    t: f64,
}

fn heights(measured: &Measured, standard: usize) -> Option<Heights> {
    const AFTER_J_S: f64 = 0.060;
    let lead = measured.lead(standard)?;
    let zero = measured.zero_of(lead)?;
    let marks = &measured.marks;
    let off = marks.qrs_off?;
    let qrs = lead.get(marks.qrs_on?..=off)?;
    let end = |sign: f64| qrs.iter().map(|v| (v - zero) * sign).fold(0.0, f64::max);
    Some(Heights {
        r: end(1.0),
        s: end(-1.0),
        st: lead.get(off + (AFTER_J_S * measured.rate_hz) as usize)? - zero,
        t: lead.get(marks.t_peak?)? - zero,
    })
}

/// Atria first, then the ventricles; `wide` says that the spread of excitation is disturbed.
pub(super) fn state(facts: &Facts<'_>, wide: bool, out: &mut Vec<Statement>) {
    let measured = facts.measured;
    let left_atrium = left_atrium(measured);
    if let Some(evidence) = &left_atrium {
        out.push(finding::LEFT_ATRIUM.with(evidence.clone()));
    }
    if let Some(evidence) = right_atrium(measured) {
        out.push(finding::RIGHT_ATRIUM.with(evidence));
    }
    if wide {
        return;
    }
    if let Some(voltage) = left_voltage(facts) {
        let strain = strain(measured, &[I, AVL, V5, V6]);
        match (strain, left_atrium) {
            (Some(leads), _) => out.push(finding::LVH.with(Evidence::new(
                format!("{}, ST-T改变: {leads}", voltage.zh),
                format!("{}, strain in {leads}", voltage.en),
            ))),
            (None, Some(atrium)) => out.push(finding::LVH.with(Evidence::new(
                format!("{}, 左心房异常: {}", voltage.zh, atrium.zh),
                format!("{}, left atrium: {}", voltage.en, atrium.en),
            ))),
            (None, None) => out.push(finding::LVH_VOLTAGE.with(voltage)),
        }
    }
    if let Some(evidence) = right_ventricle(facts) {
        out.push(finding::RVH.with(evidence));
    }
}

/// Which voltage is too high, and its limit.
fn left_voltage(facts: &Facts<'_>) -> Option<Evidence> {
    let values = &facts.measured.values;
    let (chest, cornell) = if facts.female() { (3.5, 2.0) } else { (4.0, 2.8) };
    let high = |zh_en: &str, mv: f64, limit: f64| {
        Evidence::new(
            format!("{zh_en} {mv:.2} mV, 界值{limit} mV"),
            format!("{zh_en} {mv:.2} mV, limit {limit} mV"),
        )
    };
    if let (Some(r), Some(s)) = (values.rv5_mv, values.sv1_mv)
        && r + s > chest
    {
        return Some(high("RV5+SV1", r + s, chest));
    }
    let (avl, v3) = (heights(facts.measured, AVL)?, heights(facts.measured, V3)?);
    let sum = (avl.r + v3.s) / 1_000.0;
    (sum > cornell).then(|| high("RaVL+SV3", sum, cornell))
}

/// Leads with ST below and T against a dominant R: at least two of those given.
fn strain(measured: &Measured, leads: &[usize]) -> Option<String> {
    const ST_UV: f64 = -50.0;
    const T_UV: f64 = -100.0;
    let strained = leads.iter().filter(|lead| {
        heights(measured, **lead).is_some_and(|h| h.r > 2.0 * h.s && h.st <= ST_UV && h.t <= T_UV)
    });
    let names: Vec<&str> = strained
        .map(|lead| crate::ecg::record::STANDARD_LEADS[*lead])
        .collect();
    (names.len() >= 2).then(|| names.join(" "))
}

/// A broad P wave with a deep second half in V1.
fn left_atrium(measured: &Measured) -> Option<Evidence> {
    const P_MS: f64 = 120.0;
    /// 0.04 mm s.
    const FORCE_UV_MS: f64 = 4_000.0;
    let p_ms = measured.values.p_ms.filter(|ms| *ms >= P_MS)?;
    let lead = measured.lead(V1)?;
    let part = lead.get(measured.marks.p_on?..=measured.marks.p_off?)?;
    let (first, last) = (*part.first()?, *part.last()?);
    let step = (last - first) / (part.len().max(2) - 1) as f64;
    let over: Vec<f64> = part
        .iter()
        .enumerate()
        .map(|(at, v)| v - first - step * at as f64)
        .collect();
    let depth = over[over.len() / 3..].iter().copied().fold(0.0, f64::min);
    let below = over[over.len() / 3..]
        .iter()
        .filter(|v| **v < 0.15 * depth)
        .count();
    let force = -depth * below as f64 * 1_000.0 / measured.rate_hz;
    (depth < 0.0 && force >= FORCE_UV_MS).then(|| {
        let mm_s = force / 1e5;
        Evidence::new(
            format!("P波{p_ms:.0} ms, PtfV1 -{mm_s:.3} mm·s"),
            format!("P {p_ms:.0} ms, terminal force in V1 -{mm_s:.3} mm s"),
        )
    })
}

/// A high P wave in the inferior leads.
fn right_atrium(measured: &Measured) -> Option<Evidence> {
    const HIGH_UV: f64 = 250.0;
    const ALSO_UV: f64 = 200.0;
    measured.values.p_ms?;
    let height = |standard: usize| measured.p_height(measured.lead(standard)?);
    let two = height(II).filter(|uv| *uv >= HIGH_UV)?;
    let also = [III, AVF]
        .iter()
        .any(|lead| height(*lead).is_some_and(|uv| uv >= ALSO_UV));
    also.then(|| Evidence::plain(format!("P II {:.2} mV", two / 1_000.0)))
}

/// R in V1 with the axis to the right and a sign of the chest leads or of strain; not told in children, whose right
/// ventricle is strong by nature.
pub(super) fn right_ventricle(facts: &Facts<'_>) -> Option<Evidence> {
    const R_V1_UV: f64 = 700.0;
    const S_V6_UV: f64 = 700.0;
    const CHILD_YEARS: f64 = 16.0;
    let axis = facts
        .measured
        .values
        .qrs_axis_deg
        .filter(|a| *a >= 100.0 || *a <= -150.0)?;
    let (v1, v6) = (heights(facts.measured, V1)?, heights(facts.measured, V6)?);
    let dominant = v1.r >= R_V1_UV && v1.r > v1.s;
    let lateral = v6.s >= S_V6_UV || v6.s > v6.r;
    let strained = v1.t <= -100.0 && v1.st <= -30.0;
    let grown = facts.patient.age_years.is_none_or(|years| years >= CHILD_YEARS);
    (dominant && (lateral || strained) && grown).then(|| {
        let (r, s) = (v1.r / 1_000.0, v6.s / 1_000.0);
        Evidence::new(
            format!("RV1 {r:.2} mV, R/S>1, SV6 {s:.2} mV, 电轴{axis:.0}°"),
            format!("R in V1 {r:.2} mV, R/S > 1, S in V6 {s:.2} mV, axis {axis:.0} degrees"),
        )
    })
}
