//! PR, bundle branches, axis and voltage.
//!
//! Limits: AHA/ACCF/HRS Recommendations for the Standardization and Interpretation of the Electrocardiogram, parts III
//! (2009, conduction) and V (2009, chamber hypertrophy).

use super::rhythm::Rhythm;
use super::{Evidence, Facts, Statement, chambers, finding, special};
use crate::ecg::measure::Measured;

/// Places of leads among the standard twelve.
const I: usize = 0;
const III: usize = 2;
const AVL: usize = 4;
const AVF: usize = 5;
const V1: usize = 6;
const V6: usize = 11;

pub(super) fn state(facts: &Facts<'_>, rhythm: Rhythm, out: &mut Vec<Statement>) {
    let values = &facts.measured.values;
    let sinus = rhythm.is_sinus();
    let preexcited = sinus && special::preexcitation(facts.measured).is_some();
    // A blocked P wave says more than the PR of those that are conducted.
    if let Some(pr) = values
        .pr_ms
        .filter(|_| sinus && !preexcited && facts.blocked.is_none())
    {
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
    // An accessory pathway makes its own QRS: neither bundle branch nor chamber can be told by it.
    if preexcited {
        return;
    }
    let wide = bundle_branch(facts.measured, out);
    axis(facts, wide, out);
    low_voltage(facts.measured, out);
    chambers::state(facts, wide, out);
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

fn axis(facts: &Facts<'_>, wide: bool, out: &mut Vec<Statement>) {
    let measured = facts.measured;
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
    } else if (100.0..=180.0).contains(&axis) && !wide && left_posterior(facts) {
        out.push(finding::LPFB.with(Evidence::new(
            format!("QRS电轴{axis:.0}°, I、aVL呈rS型, III、aVF呈qR型"),
            format!("QRS axis {axis:.0} degrees, rS in I and aVL, qR in III and aVF"),
        )));
    } else if !(-150.0..=100.0).contains(&axis) {
        out.push(finding::RIGHT_AXIS.with(evidence));
    }
}

/// Whether the limb leads show a block of the left posterior fascicle: rS in I and aVL, qR in III and aVF. It is what is
/// left when no right ventricle explains the axis, and is not told in children, whose axis lies to the right by nature.
fn left_posterior(facts: &Facts<'_>) -> bool {
    const CHILD_YEARS: f64 = 16.0;
    const FIRST_UV: f64 = 20.0;
    let child = facts.patient.age_years.is_some_and(|years| years < CHILD_YEARS);
    if child || chambers::right_ventricle(facts).is_some() {
        return false;
    }
    // A small first wave, then a larger one the other way.
    let turns = |lead: usize, sign: f64| {
        let heights = first_and_main(facts.measured, lead, sign);
        heights.is_some_and(|(first, main)| first >= FIRST_UV && main > first)
    };
    turns(I, -1.0) && turns(AVL, -1.0) && turns(III, 1.0) && turns(AVF, 1.0)
}

/// Height of the main wave of this sign in a QRS and of the opposite one before it, in microvolts over its zero.
fn first_and_main(measured: &Measured, standard: usize, sign: f64) -> Option<(f64, f64)> {
    let lead = measured.lead(standard)?;
    let zero = measured.zero_of(lead)?;
    let part = lead.get(measured.marks.qrs_on?..=measured.marks.qrs_off?)?;
    let turned: Vec<f64> = part.iter().map(|v| sign * (v - zero)).collect();
    let (at, main) = turned.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let first = turned[..at].iter().copied().fold(0.0, f64::min);
    let deepest = turned.iter().copied().fold(0.0, f64::min);
    (*main > -deepest).then_some((-first, *main))
}

fn low_voltage(measured: &Measured, out: &mut Vec<Statement>) {
    const LIMB_UV: f64 = 500.0;
    const CHEST_UV: f64 = 1_000.0;
    let highest = |leads: std::ops::Range<usize>| {
        let heights: Option<Vec<f64>> = leads
            .map(|lead| shape(measured, lead).map(|s| s.top - s.bottom))
            .collect();
        heights.map(|all| all.into_iter().fold(0.0, f64::max))
    };
    let words = |zh: &str, en: &str, uv: f64| {
        let mv = uv / 1_000.0;
        Evidence::new(
            format!("{zh}QRS最高{mv:.2} mV"),
            format!("highest {en} QRS {mv:.2} mV"),
        )
    };
    if let Some(uv) = highest(0..6).filter(|uv| *uv < LIMB_UV) {
        out.push(finding::LOW_VOLTAGE_LIMB.with(words("肢体导联", "limb", uv)));
    }
    if let Some(uv) = highest(6..12).filter(|uv| *uv < CHEST_UV) {
        out.push(finding::LOW_VOLTAGE_CHEST.with(words("胸导联", "chest", uv)));
    }
}
