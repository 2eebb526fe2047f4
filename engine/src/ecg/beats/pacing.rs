//! Stimuli of a pacemaker: impulses far narrower than any wave of the heart.

use crate::ecg::simd;

/// Most stimuli looked for in one recording.
const STIMULI_MAX: usize = 2_000_000;

/// Samples of the stimuli seen in any of the leads, rising. All leads are equally long and in microvolts.
///
/// A stimulus keeps its height against points 4 ms and 12 ms away alike, while the corner of a wave grows with the
/// distance; it stands high above the usual roughness of its lead.
#[must_use]
pub fn stimuli(leads: &[&[f32]], sampling_rate_hz: f64) -> Vec<usize> {
    let mut all = Vec::new();
    for lead in leads {
        find_in(lead, sampling_rate_hz, &mut all);
    }
    all.sort_unstable();
    let apart = (0.020 * sampling_rate_hz) as usize;
    let mut merged: Vec<usize> = Vec::new();
    for place in all {
        if merged.last().is_none_or(|last| place - last > apart) {
            merged.push(place);
        }
    }
    merged
}

/// A copy of a lead with a straight line in the place of each stimulus.
#[must_use]
pub fn blanked(lead: &[f32], stimuli: &[usize], sampling_rate_hz: f64) -> Vec<f32> {
    const HALF_S: f64 = 0.004;
    let half = (HALF_S * sampling_rate_hz).round().max(1.0) as usize;
    let mut out = lead.to_vec();
    for place in stimuli {
        let (from, to) = (place.saturating_sub(half), place + half);
        let (Some(a), Some(b)) = (lead.get(from).copied(), lead.get(to).copied()) else {
            continue;
        };
        let steps = (to - from) as f32;
        for (offset, value) in out[from..=to].iter_mut().enumerate() {
            *value = a + (b - a) * offset as f32 / steps;
        }
    }
    out
}

fn find_in(lead: &[f32], sampling_rate_hz: f64, out: &mut Vec<usize>) {
    const HEIGHT_UV_MIN: f32 = 250.0;
    const OVER_ROUGHNESS: f32 = 14.0;
    const KEPT_SHARE: f32 = 0.75;
    /// Samples looked at together; hardly any hold a stimulus.
    const BLOCK: usize = 64;
    let near = (0.004 * sampling_rate_hz).round().max(1.0) as usize;
    let far = 3 * near;
    if lead.len() <= 2 * far {
        return;
    }
    let Some(roughness) = roughness(lead, near) else {
        return;
    };
    let least = HEIGHT_UV_MIN.max(OVER_ROUGHNESS * roughness);
    let height = |at: usize, by: usize| lead[at] - 0.5 * (lead[at - by] + lead[at + by]);
    let end = lead.len() - far;
    // Where the last stimulus ends, which may be in the next block.
    let mut after = 0;
    for from in (far..end).step_by(BLOCK) {
        let to = (from + BLOCK).min(end);
        if out.len() >= STIMULI_MAX || simd::sharpest(&lead[from - near..to + near], near) <= least {
            continue;
        }
        let mut at = from.max(after);
        while at < to {
            if height(at, near).abs() <= least {
                at += 1;
                continue;
            }
            let top = (at..(at + far).min(end))
                .max_by(|a, b| height(*a, near).abs().total_cmp(&height(*b, near).abs()));
            let top = top.unwrap_or(at);
            let (close, wide) = (height(top, near), height(top, far));
            let level = (lead[top - near] - lead[top + near]).abs() < 0.35 * close.abs();
            if level && close.abs() > KEPT_SHARE * wide.abs() && close.signum() == wide.signum() {
                out.push(top);
            }
            at += far;
            after = at;
        }
    }
}

/// Usual size of the second difference: the 70th percentile of a regular choice of samples, `None` without signal.
fn roughness(lead: &[f32], by: usize) -> Option<f32> {
    const SEEN_MAX: usize = 1_024;
    let step = (lead.len() / SEEN_MAX).max(1);
    let places = (by..lead.len() - by).step_by(step);
    let mut seen: Vec<f32> = places
        .map(|at| (lead[at] - 0.5 * (lead[at - by] + lead[at + by])).abs())
        .collect();
    seen.retain(|v| v.is_finite());
    let place = seen.len() * 7 / 10;
    if seen.is_empty() {
        return None;
    }
    Some(*seen.select_nth_unstable_by(place, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impulses_are_seen_and_waves_are_not() {
        let rate = 500.0;
        let mut lead: Vec<f32> = (0..5000)
            .map(|i| 3.0 * ((i * 37 % 17) as f32 / 17.0 - 0.5))
            .collect();
        for beat in [500, 1000, 1500, 2000_usize] {
            for offset in -20_i32..=20 {
                let at = (beat as i32 + offset) as usize;
                lead[at] += 1000.0 * (1.0 - offset.abs() as f32 / 20.0);
            }
        }
        assert_eq!(stimuli(&[&lead], rate), Vec::<usize>::new());
        lead[960] += 900.0;
        lead[1960] -= 2000.0;
        assert_eq!(stimuli(&[&lead], rate), vec![960, 1960]);
        assert_eq!(stimuli(&[&[f32::NAN; 100]], rate), Vec::<usize>::new());
        assert_eq!(stimuli(&[&[]], rate), Vec::<usize>::new());
    }
}
