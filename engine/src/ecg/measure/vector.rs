//! Frontal axes from leads I and II.

use super::{Atria, Measured};

/// Axes of P, QRS and T from the net areas of the waves: `x = I`, `y = (2 II - I) / sqrt(3)` (Einthoven's triangle).
pub(super) fn fill(made: &mut Measured, atria: Atria) {
    let marks = made.marks;
    let qrs = axis(made, marks.qrs_on, marks.qrs_off, false);
    let t = axis(made, marks.t_on, marks.t_off, false);
    let p = if atria == Atria::Conducting {
        axis(made, marks.p_on, marks.p_off, true)
    } else {
        None
    };
    made.values.qrs_axis_deg = qrs;
    made.values.t_axis_deg = t.filter(|_| made.values.qt_ms.is_some());
    made.values.p_axis_deg = p.filter(|_| made.values.p_ms.is_some());
}

/// Axis of the part `on..=off`; over the chord of the wave itself, else over the level at the QRS onset.
fn axis(made: &Measured, on: Option<usize>, off: Option<usize>, over_chord: bool) -> Option<f64> {
    const AREA_UV_MS_MIN: f64 = 250.0;
    let (on, off) = (on?, off?);
    let area = |standard: usize| {
        let lead = made.lead(standard)?;
        let part = lead.get(on..=off)?;
        let (first, last) = (*part.first()?, *part.last()?);
        let zero = made.zero_of(lead)?;
        let steps = part.len().max(2) as f64 - 1.0;
        let line = |at: usize| {
            if over_chord {
                first + (last - first) * at as f64 / steps
            } else {
                zero
            }
        };
        let sum: f64 = part.iter().enumerate().map(|(at, v)| v - line(at)).sum();
        Some(sum * 1_000.0 / made.rate_hz)
    };
    let (one, two) = (area(0)?, area(1)?);
    let (x, y) = (one, (2.0 * two - one) / 3.0_f64.sqrt());
    (x.hypot(y) >= AREA_UV_MS_MIN).then(|| y.atan2(x).to_degrees().round())
}
