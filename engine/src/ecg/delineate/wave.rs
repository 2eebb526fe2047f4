//! A smooth wave on one line: peak and limits; and the T wave over all leads and on one.

/// A wave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wave {
    pub(super) on: usize,
    pub(super) peak: usize,
    pub(super) off: usize,
    /// Over the chord of its window, microvolts.
    height: f64,
}

/// Where T may be in a beat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Main peak of the QRS.
    pub(super) centre: usize,
    /// End of the QRS.
    pub(super) qrs_off: usize,
    /// Distance to the next beat.
    pub(super) cycle: usize,
    pub(super) rate_hz: f64,
}

impl Window {
    fn samples(&self, seconds: f64) -> usize {
        (seconds * self.rate_hz).round() as usize
    }

    /// Cube root of the cycle in seconds: how T moves with the rate (Fridericia 1920).
    fn stretch(&self) -> f64 {
        (self.cycle as f64 / self.rate_hz).cbrt()
    }

    /// First and last sample looked at, of `n`; `None` when too little is there.
    fn range(&self, n: usize) -> Option<(usize, usize)> {
        let start = self.qrs_off + self.samples(0.03);
        let longest = (0.50 * self.cycle as f64 + 0.22 * self.rate_hz).min(0.68 * self.rate_hz) as usize;
        let next = self.centre + self.cycle;
        let clear = next.saturating_sub(self.samples(0.09).max((0.12 * self.cycle as f64) as usize));
        let end = (self.centre + longest).min(clear).min(n.saturating_sub(1));
        (end >= start + self.samples(0.10)).then_some((start, end))
    }

    /// How much a wave at `at` is believed to be T rather than the P of the next beat.
    fn weight(&self, at: usize) -> f64 {
        const SURE_S: f64 = 0.42;
        const DOUBTFUL_S: f64 = 0.62;
        let late = (at as f64 - self.centre as f64) / self.rate_hz / self.stretch();
        (1.0 - 0.75 * (late - SURE_S) / (DOUBTFUL_S - SURE_S)).clamp(0.25, 1.0)
    }

    /// Limits of the upright wave with its peak at `peak` of `line`; `flank_s` is looked at behind it at a rate of 60.
    fn limits(&self, line: &[f64], peak: usize, flank_s: f64) -> (usize, usize) {
        let reach = self.samples(0.18);
        let flank = (flank_s * self.stretch() * self.rate_hz) as usize;
        let off = flank_end(line, peak, (peak + flank).min(line.len() - 1), reach);
        let on = flank_end(line, peak, peak.saturating_sub(self.samples(0.26)), reach);
        (on, off)
    }
}

/// T over all leads: on their projection on the direction in which they stand farthest out together; `None` where
/// nothing stands out of the line.
pub(super) fn t_together(leads: &[Vec<f64>], window: Window) -> Option<Wave> {
    const HEIGHT_UV_MIN: f64 = 30.0;
    const FLANK_S: f64 = 0.22;
    let (start, end) = window.range(leads.first()?.len())?;
    let flats: Vec<Vec<f64>> = leads.iter().map(|lead| off_chord(&lead[start..=end])).collect();
    let size = |at: usize| {
        let sum: f64 = flats.iter().map(|lead| lead[at].powi(2)).sum();
        sum.sqrt() * window.weight(start + at)
    };
    let top = (0..=end - start).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
    let weights: Vec<f64> = flats.iter().map(|lead| lead[top]).collect();
    let line = project(leads, &weights, start, end);
    let (peak, height) = highest(&off_chord(&line), top, window.samples(0.04))?;
    let (on, off) = window.limits(&line, peak, FLANK_S);
    (height >= HEIGHT_UV_MIN && on < peak && peak < off).then_some(Wave {
        on: start + on,
        peak: start + peak,
        off: start + off,
        height,
    })
}

/// T on one lead, near where all leads together have it. A T too small to be followed has the common limits.
pub(super) fn t_alone(lead: &[f64], together: Wave, window: Window) -> Wave {
    const HEIGHT_UV_MIN: f64 = 15.0;
    const HEIGHT_UV_SURE: f64 = 30.0;
    const FLANK_S: f64 = 0.16;
    const FAR_S: f64 = 0.060;
    /// Weight of the lead's own limits against the common ones.
    const OWN: f64 = 0.4;
    let tolerance = window.samples(0.05);
    let Some((start, end)) = window.range(lead.len()) else {
        return together;
    };
    let (from, to) = (
        together.on.saturating_sub(tolerance).max(start),
        (together.off + tolerance).min(end),
    );
    let flat = off_chord(lead.get(from..=to).unwrap_or_default());
    let best = flat
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let Some((place, height)) = best.filter(|(_, height)| height.abs() >= HEIGHT_UV_MIN) else {
        return together;
    };
    let line: Vec<f64> = lead[start..=end].iter().map(|v| v * height.signum()).collect();
    let peak = from + place - start;
    let (on, off) = window.limits(&line, peak, FLANK_S);
    let far = window.samples(FAR_S);
    let mix = |own: usize, common: usize| mixed(own, common, OWN, far);
    let (on, off) = if height.abs() >= HEIGHT_UV_SURE {
        (mix(start + on, together.on), mix(start + off, together.off))
    } else {
        (together.on, together.off)
    };
    let peak = start + peak;
    if on < peak && peak < off {
        Wave {
            on,
            peak,
            off,
            height: height.abs(),
        }
    } else {
        together
    }
}

/// A mark of one lead drawn towards the common one; what is farther from it than `far` has followed another wave.
pub(super) fn mixed(own: usize, common: usize, weight: f64, far: usize) -> usize {
    let own = own.clamp(common.saturating_sub(far), common.saturating_add(far));
    (weight * own as f64 + (1.0 - weight) * common as f64).round() as usize
}

/// Highest value within `near` of `at`.
pub(super) fn highest(values: &[f64], at: usize, near: usize) -> Option<(usize, f64)> {
    let from = at.saturating_sub(near);
    let part = values.get(from..(at + near + 1).min(values.len()))?;
    let best = part.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    Some((from + best.0, *best.1))
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
