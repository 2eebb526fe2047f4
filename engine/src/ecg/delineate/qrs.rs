//! Onset and end of the QRS by the spatial velocity.

use super::Waves;

/// Limits of a QRS.
pub(super) struct Limits {
    pub(super) on: usize,
    pub(super) off: usize,
}

/// Share of the greatest velocity below which the heart is at rest before the QRS.
const REST_BEFORE_SHARE: f64 = 0.05;
/// The same after it, where the ST segment moves.
const REST_AFTER_SHARE: f64 = 0.075;
/// How long it stays at rest.
const REST_S: f64 = 0.010;

pub(super) fn limits(
    waves: &Waves,
    sample: usize,
    before: Option<usize>,
    next: Option<usize>,
) -> Option<Limits> {
    let n = waves.len();
    if sample >= n || n < 8 {
        return None;
    }
    let half_way = |other: usize| (sample + other) / 2;
    let left = sample
        .saturating_sub(waves.samples(0.16))
        .max(before.map_or(0, half_way));
    let right = (sample + waves.samples(0.22))
        .min(next.map_or(n - 1, half_way))
        .min(n - 1);
    let core_left = sample.saturating_sub(waves.samples(0.09)).max(left);
    let core_right = (sample + waves.samples(0.10)).min(right);
    let velocity = &waves.velocity;
    let top = velocity[core_left..=core_right]
        .iter()
        .copied()
        .fold(0.0, f64::max);
    if top <= 0.0 {
        return None;
    }
    let floor = rest_level(velocity, sample, waves.samples(0.40), waves.samples(0.10));
    let steep = |at: &usize| velocity[*at] > 0.25 * top;
    let first = (core_left..=core_right).find(steep)?;
    let last = (core_left..=core_right).rev().find(steep)?;
    let rest = waves.samples(REST_S).max(2);
    let quiet_before = (REST_BEFORE_SHARE * top).max(2.5 * floor).min(0.2 * top);
    let quiet_after = (REST_AFTER_SHARE * top).max(2.5 * floor).min(0.2 * top);
    let on = walk(velocity, first, left, rest, quiet_before);
    let off = walk(velocity, last, right, rest, quiet_after);
    (on < off).then_some(Limits { on, off })
}

/// Usual velocity in the quiet part before the beat: the lower third between two distances before it.
fn rest_level(velocity: &[f64], sample: usize, far: usize, near: usize) -> f64 {
    let part = &velocity[sample.saturating_sub(far)..sample.saturating_sub(near)];
    let mut values = part.to_vec();
    if values.len() < 4 {
        return 0.0;
    }
    let place = values.len() / 3;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// Goes from `start` towards `end` until the velocity stays below `quiet` for `rest` samples.
fn walk(velocity: &[f64], start: usize, end: usize, rest: usize, quiet: f64) -> usize {
    let step: isize = if end < start { -1 } else { 1 };
    let mut at = start;
    let mut calm = 0;
    while at != end {
        at = at.saturating_add_signed(step);
        if velocity.get(at).copied().unwrap_or(0.0) < quiet {
            calm += 1;
            if calm >= rest {
                return at.saturating_add_signed(-step * (rest as isize - 1));
            }
        } else {
            calm = 0;
        }
    }
    at.saturating_add_signed(-step * calm as isize)
}
