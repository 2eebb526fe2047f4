//! Onset and end of the QRS by the size of the slope, on the median of a family.

/// Limits of a QRS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) on: usize,
    pub(super) off: usize,
}

/// How quiet the heart is at rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Share of the greatest slope below which it rests before the QRS.
    pub(super) before: f64,
    /// The same after it, where the ST segment moves.
    pub(super) after: f64,
    /// How long it stays at rest, in seconds.
    pub(super) seconds: f64,
}

/// Over all leads the sum of slopes tells small movements; one lead alone needs a larger share.
pub(super) const REST_TOGETHER: Rest = Rest {
    before: 0.05,
    after: 0.06,
    seconds: 0.013,
};
pub(super) const REST_ALONE: Rest = Rest {
    before: 0.12,
    after: 0.12,
    seconds: 0.006,
};

/// Size of the slope over the given leads, microvolts a sample.
pub(super) fn velocity<'a>(leads: impl Iterator<Item = &'a Vec<f64>>, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    for lead in leads {
        for (sum, three) in out.iter_mut().skip(1).zip(lead.windows(3)) {
            *sum += (0.5 * (three[2] - three[0])).powi(2);
        }
    }
    for value in &mut out {
        *value = value.sqrt();
    }
    out
}

/// Limits of the QRS whose main peak is near `centre`; at most half a cycle is looked at.
pub(super) fn limits(
    velocity: &[f64],
    centre: usize,
    rate_hz: f64,
    cycle: usize,
    rest: Rest,
) -> Option<Limits> {
    let n = velocity.len();
    let samples = |seconds: f64| (seconds * rate_hz).round() as usize;
    if centre >= n || n < 8 {
        return None;
    }
    let left = centre.saturating_sub(samples(0.16).min(cycle / 2));
    let right = (centre + samples(0.22).min(cycle / 2)).min(n - 1);
    let core_left = centre.saturating_sub(samples(0.09)).max(left);
    let core_right = (centre + samples(0.10)).min(right);
    let top = velocity[core_left..=core_right]
        .iter()
        .copied()
        .fold(0.0, f64::max);
    if top <= 0.0 {
        return None;
    }
    let floor =
        rest_level(&velocity[centre.saturating_sub(samples(0.40))..centre.saturating_sub(samples(0.10))]);
    let steep = |at: &usize| velocity[*at] > 0.25 * top;
    let first = (core_left..=core_right).find(steep)?;
    let last = (core_left..=core_right).rev().find(steep)?;
    let quiet = |share: f64| (share * top).max(2.5 * floor).min(0.2 * top);
    let still = samples(rest.seconds).max(2);
    let on = walk(velocity, first, left, still, quiet(rest.before));
    let off = walk(velocity, last, right, still, quiet(rest.after));
    (on < off).then_some(Limits { on, off })
}

/// Usual slope in the quiet part before the beat: the lower third.
fn rest_level(part: &[f64]) -> f64 {
    let mut values = part.to_vec();
    if values.len() < 4 {
        return 0.0;
    }
    let place = values.len() / 3;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// Goes from `start` towards `end` until the slope stays below `quiet` for `rest` samples.
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
