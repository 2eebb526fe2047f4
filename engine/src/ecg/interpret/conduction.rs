//! PR, bundle branches, axis and voltage.
//!
//! Limits: AHA/ACCF/HRS Recommendations for the Standardization and Interpretation of the Electrocardiogram, parts III
//! (2009, conduction) and V (2009, chamber hypertrophy).

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Statement, finding};
use crate::ecg::measure::Measured;

/// Places of leads among the standard twelve.
const I: usize = 0;
const AVL: usize = 4;
const V1: usize = 6;
const V6: usize = 11;

pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    let values = &facts.measured.values;
    let sinus = matches!(
        rhythm,
        Rhythm::SinusRhythm | Rhythm::SinusBradycardia | Rhythm::SinusTachycardia | Rhythm::SinusArrhythmia
    );
    if let Some(pr) = values.pr_ms.filter(|_| sinus) {
        if pr > 205.0 {
            out.push(finding::AV_BLOCK_1.with(Evidence::plain(format!("PR {pr:.0} ms"))));
        } else if pr < 110.0 {
            out.push(finding::SHORT_PR.with(Evidence::plain(format!("PR {pr:.0} ms"))));
        }
    }
    if matches!(
        rhythm,
        Rhythm::Paced | Rhythm::VentricularTachycardia | Rhythm::Idioventricular
    ) {
        return;
    }
    let wide = bundle_branch(facts.measured, out);
    axis(facts.measured, wide, out);
    voltage(facts, wide, out);
}

/// Part of the QRS of one lead over its zero: net area, first extreme, and mean of the last third, in microvolts.
struct Shape {
    net: f64,
    terminal: f64,
    top: f64,
    bottom: f64,
}

fn shape(measured: &Measured, standard: usize) -> Option<Shape> {
    let lead = measured.lead(standard)?;
    let zero = measured.zero_of(lead)?;
    let (on, off) = (measured.marks.qrs_on?, measured.marks.qrs_off?);
    let part: Vec<f64> = lead.get(on..=off)?.iter().map(|v| v - zero).collect();
    let last = &part[part.len() * 6 / 10..];
    Some(Shape {
        net: part.iter().sum::<f64>() / part.len() as f64,
        terminal: last.iter().sum::<f64>() / last.len().max(1) as f64,
        top: part.iter().copied().fold(0.0, f64::max),
        bottom: part.iter().copied().fold(0.0, f64::min),
    })
}

/// States a block of a bundle branch; answers whether the QRS is wide.
fn bundle_branch(measured: &Measured, out: &mut Vec<Statement>) -> bool {
    const WIDE_MS: f64 = 120.0;
    const PART_MS: f64 = 104.0;
    let Some(qrs) = measured.values.qrs_ms else {
        return false;
    };
    let (first, one, six) = (shape(measured, V1), shape(measured, I), shape(measured, V6));
    let right = first
        .as_ref()
        .is_some_and(|v1| v1.terminal > 80.0 && v1.top > 100.0)
        && one
            .as_ref()
            .or(six.as_ref())
            .is_some_and(|lateral| lateral.terminal < 0.0);
    let left = first
        .as_ref()
        .is_some_and(|v1| v1.net < 0.0 && v1.terminal < 60.0)
        && one
            .as_ref()
            .is_none_or(|i| i.net > 0.0 && i.bottom > -0.25 * i.top)
        && six
            .as_ref()
            .is_some_and(|v6| v6.net > 0.0 && v6.bottom > -0.25 * v6.top);
    let evidence = |zh: &str, en: &str| {
        Evidence::new(format!("QRS {qrs:.0} ms, {zh}"), format!("QRS {qrs:.0} ms, {en}"))
    };
    match (qrs >= WIDE_MS, right, left) {
        (true, true, _) => out.push(finding::RBBB.with(evidence("V1终末向上", "late positive force in V1"))),
        (true, false, true) => out.push(finding::LBBB.with(evidence(
            "V1主波向下, I、V6主波向上",
            "negative in V1, positive in I and V6",
        ))),
        (true, false, false) => {
            out.push(finding::IVCD.with(evidence("不符合左或右束支图形", "neither bundle branch pattern")))
        }
        (false, true, _) if qrs >= PART_MS => {
            out.push(finding::INCOMPLETE_RBBB.with(evidence("V1终末向上", "late positive force in V1")));
        }
        _ => {}
    }
    qrs >= WIDE_MS
}

fn axis(measured: &Measured, wide: bool, out: &mut Vec<Statement>) {
    let Some(axis) = measured.values.qrs_axis_deg else {
        return;
    };
    let evidence = Evidence::new(
        format!("QRS电轴{axis:.0}°"),
        format!("QRS axis {axis:.0} degrees"),
    );
    let small_q = shape(measured, AVL).is_some_and(|avl| avl.top > 0.0 && avl.net > 0.0);
    if (-90.0..=-45.0).contains(&axis) && !wide && small_q {
        out.push(finding::LAFB.with(evidence));
    } else if (-90.0..-30.0).contains(&axis) {
        out.push(finding::LEFT_AXIS.with(evidence));
    } else if !(-150.0..=100.0).contains(&axis) {
        out.push(finding::RIGHT_AXIS.with(evidence));
    }
}

fn voltage(facts: &Facts<'_>, wide: bool, out: &mut Vec<Statement>) {
    const LOW_UV: f64 = 500.0;
    let limb: Vec<f64> = (0..6)
        .filter_map(|lead| shape(facts.measured, lead))
        .map(|s| s.top - s.bottom)
        .collect();
    if limb.len() == 6 && limb.iter().all(|height| *height < LOW_UV) {
        let highest = limb.iter().copied().fold(0.0, f64::max) / 1_000.0;
        out.push(finding::LOW_VOLTAGE_LIMB.with(Evidence::new(
            format!("肢体导联QRS最高{highest:.2} mV"),
            format!("highest limb QRS {highest:.2} mV"),
        )));
    }
    let values = &facts.measured.values;
    if let (Some(r), Some(s)) = (values.rv5_mv, values.sv1_mv) {
        let limit = if facts.female() { 3.5 } else { 4.0 };
        if r + s > limit && !wide {
            out.push(finding::LVH_VOLTAGE.with(Evidence::new(
                format!("RV5+SV1 {:.2} mV, 界值{limit} mV", r + s),
                format!("RV5 + SV1 {:.2} mV, limit {limit} mV", r + s),
            )));
        }
    }
}
