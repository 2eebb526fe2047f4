//! A smooth wave on one line: peak and limits; and the T wave over several leads.

use super::Waves;

/// A wave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wave {
    pub(super) on: usize,
    pub(super) peak: usize,
    pub(super) off: usize,
}

/// T after the QRS which ends at `qrs_off`; `None` where nothing stands out of the line.
pub(super) fn t_wave(waves: &Waves, sample: usize, qrs_off: usize, next: Option<usize>) -> Option<Wave> {
    const HEIGHT_UV_MIN: f64 = 30.0;
    let n = waves.len();
    let cycle = next.map_or(waves.samples(0.9), |next| next - sample);
    let start = qrs_off + waves.samples(0.03);
    let longest = (0.50 * cycle as f64 + 0.22 * waves.rate_hz).min(0.68 * waves.rate_hz) as usize;
    let clear = next.map_or(n, |next| {
        next.saturating_sub(waves.samples(0.09).max((0.12 * cycle as f64) as usize))
    });
    let end = (sample + longest).min(clear).min(n.saturating_sub(1));
    if end < start + waves.samples(0.10) {
        return None;
    }
    let line = projected(waves, start, end)?;
    let peak = farthest_from_chord(&line, 0.0)?;
    if peak.1.abs() < HEIGHT_UV_MIN {
        return None;
    }
    let sign = peak.1.signum();
    let upright: Vec<f64> = line.iter().map(|v| v * sign).collect();
    let reach = waves.samples(0.18);
    // A fast heart has the next P wave soon behind T.
    let flank = (0.22 * (cycle as f64 / waves.rate_hz).cbrt() * waves.rate_hz) as usize;
    let off = flank_end(&upright, peak.0, (peak.0 + flank).min(upright.len() - 1), reach);
    let on = flank_end(
        &upright,
        peak.0,
        peak.0.saturating_sub(waves.samples(0.26)),
        reach,
    );
    (on < peak.0 && peak.0 < off).then_some(Wave {
        on: start + on,
        peak: start + peak.0,
        off: start + off,
    })
}

/// The leads between two samples as one line: projected on their own direction where they stand farthest out together.
fn projected(waves: &Waves, start: usize, end: usize) -> Option<Vec<f64>> {
    if let [only] = waves.slow.as_slice() {
        return Some(only.get(start..=end)?.to_vec());
    }
    let flats: Vec<Vec<f64>> = waves
        .slow
        .iter()
        .map(|lead| off_chord(&lead[start..=end]))
        .collect();
    let size = |at: usize| flats.iter().map(|lead| lead[at].powi(2)).sum::<f64>();
    let top = (0..=end - start).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
    let weights: Vec<f64> = flats.iter().map(|lead| lead[top]).collect();
    Some(project(&waves.slow, &weights, start, end))
}

/// Sum of the leads weighted by `weights` of unit length, so that heights stay microvolts.
pub(super) fn project(leads: &[Vec<f64>], weights: &[f64], start: usize, end: usize) -> Vec<f64> {
    let size = weights
        .iter()
        .map(|w| w * w)
        .sum::<f64>()
        .sqrt()
        .max(f64::MIN_POSITIVE);
    let mut out = vec![0.0; end + 1 - start];
    for (lead, weight) in leads.iter().zip(weights) {
        for (sum, value) in out.iter_mut().zip(&lead[start..=end]) {
            *sum += value * weight / size;
        }
    }
    out
}

/// Values less the straight line between first and last.
pub(super) fn off_chord(values: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return Vec::new();
    };
    let steps = (values.len().max(2) - 1) as f64;
    values
        .iter()
        .enumerate()
        .map(|(at, v)| v - first - (last - first) * at as f64 / steps)
        .collect()
}

/// Place and height of the point farthest from the chord; with `sign` not 0 only on that side.
pub(super) fn farthest_from_chord(values: &[f64], sign: f64) -> Option<(usize, f64)> {
    let flat = off_chord(values);
    let weight = |v: f64| if sign == 0.0 { v.abs() } else { v * sign };
    let best = flat
        .iter()
        .enumerate()
        .max_by(|a, b| weight(*a.1).total_cmp(&weight(*b.1)))?;
    (weight(*best.1) > 0.0).then_some((best.0, *best.1))
}

/// End of the flank that falls from `peak` towards `limit` (either side): from the steepest point within `reach`, the
/// place where the trapezium under the flank has the largest area. The wave is upright.
pub(super) fn flank_end(values: &[f64], peak: usize, limit: usize, reach: usize) -> usize {
    let forward = limit > peak;
    let length = peak.abs_diff(limit);
    let at = |distance: usize| values[if forward { peak + distance } else { peak - distance }];
    if length < 3 {
        return limit;
    }
    let steepest = (1..length.min(reach.max(2))).max_by(|a, b| {
        let fall = |d: usize| at(d - 1) - at(d + 1);
        fall(*a).total_cmp(&fall(*b))
    });
    let from = steepest.unwrap_or(1);
    let area = |d: usize| (at(from) - at(d)) * (2.0 * length as f64 - from as f64 - d as f64);
    let best = (from..=length)
        .max_by(|a, b| area(*a).total_cmp(&area(*b)))
        .unwrap_or(length);
    if forward { peak + best } else { peak - best }
}
