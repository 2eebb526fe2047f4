//! Series geometry from attributes: gaps, doubled slices, mixed planes and sizes.

use super::{Finding, Severity, numbers, text};
use crate::error::Result;
use archive::study::PackedAttributes;
use serde_json::{Value, json};

const IMAGE_TYPE: &str = "00080008";
const POSITION: &str = "00200032";
const ORIENTATION: &str = "00200037";
const ROWS: &str = "00280010";
const COLUMNS: &str = "00280011";

/// Slices nearer than this stand at one place.
const SAME_PLACE_MM: f64 = 0.01;
/// A distance above this multiple of the usual one is a gap.
const GAP_FACTOR: f64 = 1.5;
/// Normals that differ by more than this are other planes: cosine of about 1 degree.
const SAME_PLANE_COSINE: f64 = 0.99985;
/// Series shorter than this are no stacks.
const STACK_MIN: usize = 4;

/// Place of one slice.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    normal: [f64; 3],
    position: [f64; 3],
    size: [f64; 2],
}

/// Checks the slices of an image series.
pub(super) fn check(packed: &[PackedAttributes]) -> Result<Vec<Finding>> {
    let mut slices = Vec::with_capacity(packed.len());
    for object in packed {
        slices.extend(slice(&object.json()?));
    }
    Ok(judge(&slices))
}

fn slice(attributes: &Value) -> Option<Slice> {
    // A scout lies across the stack and is no part of it.
    let localizer = super::values(attributes, IMAGE_TYPE)
        .iter()
        .any(|v| v.as_str() == Some("LOCALIZER"));
    if localizer || text(attributes, IMAGE_TYPE).is_none() {
        return None;
    }
    let position: [f64; 3] = numbers(attributes, POSITION).try_into().ok()?;
    let o: [f64; 6] = numbers(attributes, ORIENTATION).try_into().ok()?;
    let normal = [
        o[1] * o[5] - o[2] * o[4],
        o[2] * o[3] - o[0] * o[5],
        o[0] * o[4] - o[1] * o[3],
    ];
    let side = |tag: &str| numbers(attributes, tag).first().copied().unwrap_or(0.0);
    Some(Slice {
        normal,
        position,
        size: [side(ROWS), side(COLUMNS)],
    })
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn judge(slices: &[Slice]) -> Vec<Finding> {
    let Some(first) = slices.first().filter(|_| slices.len() >= STACK_MIN) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if slices.iter().any(|s| s.size != first.size) {
        findings.push(Finding::new(
            "mixed_matrix",
            Severity::Info,
            "序列内图像矩阵大小不一致".to_owned(),
            "The images of the series differ in matrix size".to_owned(),
            json!({}),
        ));
    }
    let tilted = slices
        .iter()
        .filter(|s| dot(s.normal, first.normal).abs() < SAME_PLANE_COSINE)
        .count();
    if tilted > 0 {
        findings.push(Finding::new(
            "mixed_orientation",
            Severity::Info,
            "序列内存在不同方向的层面".to_owned(),
            "The series holds slices of different orientation".to_owned(),
            json!({ "slices": tilted }),
        ));
        return findings;
    }
    let mut heights: Vec<f64> = slices.iter().map(|s| dot(s.position, first.normal)).collect();
    heights.sort_by(f64::total_cmp);
    let steps: Vec<f64> = heights.windows(2).map(|w| w[1] - w[0]).collect();
    let doubled = steps.iter().filter(|step| **step < SAME_PLACE_MM).count();
    let mut real: Vec<f64> = steps
        .iter()
        .copied()
        .filter(|step| *step >= SAME_PLACE_MM)
        .collect();
    real.sort_by(f64::total_cmp);
    if doubled > 0 {
        findings.push(Finding::new(
            "doubled_slices",
            // Phases of a dynamic series stand at the same places by intent.
            Severity::Info,
            format!("{doubled}层与相邻层位置相同"),
            format!("{doubled} slices stand where another one stands"),
            json!({ "slices": doubled }),
        ));
    }
    let Some(usual) = real.get(real.len() / 2).copied() else {
        return findings;
    };
    findings.extend(gaps(&heights, usual));
    findings
}

fn gaps(heights: &[f64], usual_mm: f64) -> Option<Finding> {
    let missing: Vec<(f64, f64)> = heights
        .windows(2)
        .filter(|w| w[1] - w[0] > GAP_FACTOR * usual_mm)
        .map(|w| (w[0], (w[1] - w[0]) / usual_mm - 1.0))
        .collect();
    let (at, _) = missing.first().copied()?;
    let slices = missing.iter().map(|(_, count)| count.round()).sum::<f64>();
    Some(Finding::new(
        "slice_gap",
        Severity::Error,
        format!("层面不连续：缺少约{slices:.0}层（共{}处）", missing.len()),
        format!(
            "The stack has {} gaps: about {slices:.0} slices are missing",
            missing.len()
        ),
        json!({ "gaps": missing.len(), "slices": slices, "first_at_mm": at, "usual_mm": usual_mm }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(heights: &[f64]) -> Vec<Slice> {
        let slice = |z: &f64| Slice {
            normal: [0.0, 0.0, 1.0],
            position: [-100.0, -90.0, *z],
            size: [512.0; 2],
        };
        heights.iter().map(slice).collect()
    }

    fn codes(slices: &[Slice]) -> Vec<&'static str> {
        judge(slices).iter().map(|f| f.code).collect()
    }

    #[test]
    fn stacks_are_judged() {
        let check =
            |heights: &[f64], expect: &[&str]| assert_eq!(codes(&stack(heights)), expect, "{heights:?}");
        check(&[0.0, 1.0, 2.0, 3.0, 4.0], &[]);
        check(&[4.0, 0.0, 2.0, 3.0, 1.0], &[]);
        check(&[0.0, 1.0, 2.0, 5.0, 6.0], &["slice_gap"]);
        check(&[0.0, 1.0, 1.0, 2.0, 3.0], &["doubled_slices"]);
        check(&[0.0, 0.0, 0.0, 0.0], &["doubled_slices"]);
        check(&[0.0, 7.0], &[]);
        // Spacing that wobbles by rounding is no gap.
        check(&[0.0, 1.25, 2.5, 3.76, 5.0], &[]);
    }

    #[test]
    fn a_gap_counts_its_missing_slices() {
        let finding = judge(&stack(&[0.0, 2.0, 4.0, 12.0, 14.0])).remove(0);
        assert_eq!(finding.evidence["slices"], json!(3.0));
        assert_eq!(finding.severity, Severity::Error);
    }

    #[test]
    fn other_planes_end_the_judgement() {
        let mut slices = stack(&[0.0, 1.0, 2.0, 3.0]);
        slices[3].normal = [1.0, 0.0, 0.0];
        assert_eq!(codes(&slices), ["mixed_orientation"]);
    }
}
