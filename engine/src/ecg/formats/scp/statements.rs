//! Sections 7, 8 and 11: measurements and statements of the cart, kept as remarks.

use super::super::raw::{i16_le, text, u16_le};
use crate::ecg::record::Annotation;

/// Values at and above which a measurement stands for "not measured" (EN 1064 section 5.10).
const NOT_MEASURED: u16 = 29_999;
/// An axis that was not measured.
const NO_AXIS: i16 = 999;
/// Most statements kept.
const STATEMENTS_MAX: usize = 100;

/// Global measurements of the first reference beat in section 7.
pub(super) fn measurements(body: &[u8]) -> Vec<Annotation> {
    let time = |at: usize| u16_le(body, at).filter(|v| *v < NOT_MEASURED);
    let between = |from: usize, to: usize| time(to)?.checked_sub(time(from)?).filter(|ms| *ms > 0);
    let axis = |at: usize| i16_le(body, at).filter(|v| *v != NO_AXIS && v.abs() <= 180);
    let rr_ms = time(2).filter(|ms| *ms > 0);
    // Onset and offset of P, onset and offset of QRS, offset of T, and three axes.
    let (p_on, p_off, qrs_on, qrs_off, t_off) = (6, 8, 10, 12, 14);
    let times = [
        ("RR interval", rr_ms),
        ("P duration", between(p_on, p_off)),
        ("PR interval", between(p_on, qrs_on)),
        ("QRS duration", between(qrs_on, qrs_off)),
        ("QT interval", between(qrs_on, t_off)),
    ];
    let axes = [("P axis", axis(16)), ("QRS axis", axis(18)), ("T axis", axis(20))];
    let times = times
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {} ms", value?)));
    let axes = axes
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {} deg", value?)));
    times
        .chain(axes)
        .map(|text| Annotation { sample: None, text })
        .collect()
}

/// Statements of section 8 (free text) or 11 (free text and universal codes).
pub(super) fn texts(body: &[u8], section: usize) -> Vec<Annotation> {
    // Confirmation, date and time stand before the number of statements.
    const HEADER_BYTES: usize = 9;
    let count = body.get(HEADER_BYTES - 1).copied().map_or(0, usize::from);
    let (mut at, mut out) = (HEADER_BYTES, Vec::new());
    for _ in 0..count.min(STATEMENTS_MAX) {
        let Some(length) = u16_le(body, at + 1) else { break };
        let Some(value) = body.get(at + 3..at + 3 + usize::from(length)) else {
            break;
        };
        at += 3 + value.len();
        // In section 11 a byte says what kind of statement follows.
        let words = if section == 11 {
            value.get(1..).unwrap_or_default()
        } else {
            value
        };
        let parts: Vec<String> = words.split(|b| *b == 0).filter_map(text).collect();
        if !parts.is_empty() {
            out.push(Annotation {
                sample: None,
                text: parts.join(" "),
            });
        }
    }
    out
}
