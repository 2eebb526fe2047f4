//! Stretches without signal: no sample, or an electrode off and the amplifier at a rail.

use std::borrow::Cow;
use std::ops::Range;

use crate::ecg::simd;

/// A lead without holes, and where the holes were.
pub(super) struct Bridged<'a> {
    pub(super) values: Cow<'a, [f32]>,
    /// Holes in time order.
    pub(super) gaps: Vec<Range<usize>>,
}

impl<'a> Bridged<'a> {
    /// A lead in which there are no holes.
    pub(super) fn whole(samples: &'a [f32]) -> Self {
        Self {
            values: Cow::Borrowed(samples),
            gaps: Vec::new(),
        }
    }
}

impl Bridged<'_> {
    /// Whether the lead has no signal at all.
    pub(super) fn is_empty(&self) -> bool {
        self.gaps.iter().map(ExactSizeIterator::len).sum::<usize>() >= self.values.len()
    }

    pub(super) fn put_gaps_back(&self, signal: &mut [f32]) {
        for gap in &self.gaps {
            for value in signal.get_mut(gap.clone()).unwrap_or_default() {
                *value = f32::NAN;
            }
        }
    }
}

/// Bridges holes by straight lines between the usual levels beside them; a lead without holes is not copied.
pub(super) fn bridge(samples: &[f32], rate_hz: f64) -> Bridged<'_> {
    let mut gaps = if simd::all_finite(samples) {
        Vec::new()
    } else {
        missing(samples)
    };
    gaps.extend(rails(samples, rate_hz));
    if gaps.is_empty() {
        return Bridged {
            values: Cow::Borrowed(samples),
            gaps,
        };
    }
    gaps.sort_by_key(|gap| gap.start);
    let gaps = merge(gaps);
    let mut values = samples.to_vec();
    let reach = (0.4 * rate_hz).max(1.0) as usize;
    for (index, gap) in gaps.iter().enumerate() {
        let floor = index
            .checked_sub(1)
            .and_then(|i| gaps.get(i))
            .map_or(0, |g| g.end);
        let ceiling = gaps.get(index + 1).map_or(samples.len(), |g| g.start);
        let left = median(samples.get(floor.max(gap.start.saturating_sub(reach))..gap.start));
        let right = median(samples.get(gap.end..ceiling.min(gap.end + reach)));
        let (from, to) = match (left, right) {
            (Some(a), Some(b)) => (a, b),
            (Some(a), None) => (a, a),
            (None, Some(b)) => (b, b),
            (None, None) => (0.0, 0.0),
        };
        let step = (to - from) / (gap.len() + 1) as f32;
        for (offset, value) in values[gap.clone()].iter_mut().enumerate() {
            *value = from + step * (offset + 1) as f32;
        }
    }
    Bridged {
        values: Cow::Owned(values),
        gaps,
    }
}

fn missing(samples: &[f32]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for (index, value) in samples.iter().enumerate() {
        if !value.is_finite() {
            match out.last_mut() {
                Some(last) if last.end == index => last.end = index + 1,
                _ => out.push(index..index + 1),
            }
        }
    }
    out
}

/// Runs of one and the same value which are entered or left by a jump: an amplifier at its rail. A flat line without a
/// jump is a signal (an artificial one, or no heart beat) and stays.
fn rails(samples: &[f32], rate_hz: f64) -> Vec<Range<usize>> {
    const JUMP_UV_MIN: f32 = 1_000.0;
    let least = least_run(rate_hz);
    let mut out = Vec::new();
    if !Runs::new(rate_hz).may_be_in(samples) {
        return out;
    }
    let mut usual = None;
    let mut start = 0;
    for index in 1..=samples.len() {
        if index < samples.len() && samples[index] == samples[start] {
            continue;
        }
        if index - start >= least && samples[start].is_finite() {
            let level = samples[start];
            let jump = |neighbour: Option<&f32>| neighbour.is_some_and(|v| (v - level).abs() > JUMP_UV_MIN);
            let before = start.checked_sub(1).and_then(|i| samples.get(i));
            let after = samples.get(index);
            let enters = before.is_none_or(|v| !v.is_finite()) || jump(before);
            let leaves = after.is_none_or(|v| !v.is_finite()) || jump(after);
            if enters && leaves && (jump(before) || jump(after)) {
                // Runs are rare, and the level takes a look at the whole lead.
                let usual = *usual.get_or_insert_with(|| usual_level(samples));
                if usual.is_some_and(|usual| (level - usual).abs() > JUMP_UV_MIN) {
                    out.push(start..index);
                }
            }
        }
        start = index;
    }
    out
}

/// Samples of one value that may be a rail.
fn least_run(rate_hz: f64) -> usize {
    const LENGTH_S_MIN: f64 = 0.25;
    (LENGTH_S_MIN * rate_hz).max(3.0) as usize
}

/// Looks for runs of one value while a signal comes in.
///
/// No run of the least length can hide from looks at every half of it.
pub(super) struct Runs {
    half: usize,
    /// Next sample from which half a run is looked for.
    next: usize,
}

impl Runs {
    pub(super) fn new(rate_hz: f64) -> Self {
        Self {
            half: (least_run(rate_hz) / 2).max(1),
            next: 0,
        }
    }

    /// Whether half a run may start in what was not looked at before; `seen` is the signal from its start on.
    pub(super) fn may_be_in(&mut self, seen: &[f32]) -> bool {
        while let Some(part) = seen.get(self.next..=self.next + self.half) {
            self.next += self.half;
            if part.iter().all(|v| *v == part[0]) {
                return true;
            }
        }
        false
    }
}

/// Median over a regular choice of the lead's samples.
fn usual_level(samples: &[f32]) -> Option<f32> {
    const SEEN_MAX: usize = 4_096;
    let seen: Vec<f32> = samples
        .iter()
        .step_by((samples.len() / SEEN_MAX).max(1))
        .copied()
        .collect();
    median(Some(&seen))
}

fn merge(gaps: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::with_capacity(gaps.len());
    for gap in gaps {
        match out.last_mut() {
            Some(last) if gap.start <= last.end => last.end = last.end.max(gap.end),
            _ => out.push(gap),
        }
    }
    out
}

fn median(samples: Option<&[f32]>) -> Option<f32> {
    let mut values: Vec<f32> = samples?.iter().copied().filter(|v| v.is_finite()).collect();
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rail_is_found_wherever_it_starts() {
        let sound: Vec<f32> = (0..2_000).map(|i| (i * 37 % 101) as f32).collect();
        assert!(matches!(bridge(&sound, 250.0).values, Cow::Borrowed(_)));
        for start in 300..430 {
            for length in [63, 64, 90] {
                let mut lead = sound.clone();
                lead[start..start + length].fill(5_000.0);
                let got = bridge(&lead, 250.0);
                assert_eq!(got.gaps, vec![start..start + length]);
                assert!(got.values.iter().all(|v| v.abs() <= 101.0));
            }
        }
    }
}
