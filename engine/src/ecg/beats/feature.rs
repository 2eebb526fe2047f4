//! The detection signal: energy of the QRS band, at a reduced rate, of one lead or of several together.

/// Rate that the detection signal is brought near to, in hertz.
const FEATURE_RATE_HZ: f64 = 180.0;

/// Width of the mean that takes muscle noise and mains away, in seconds.
const SMOOTH_S: f64 = 0.022;

/// One lead at the reduced rate.
pub(super) struct Lane {
    /// Signal freed of what is faster than a QRS, microvolts.
    pub(super) smooth: Vec<f32>,
    /// Level of its QRS complexes (root of the energy).
    pub(super) level: f32,
    /// Place among the leads given.
    pub(super) lead: usize,
}

/// The detection signal of all leads.
pub(super) struct Fused {
    /// Samples of the record for one of the detection signal.
    pub(super) factor: usize,
    /// Rate of the detection signal in hertz.
    pub(super) rate_hz: f64,
    /// Root of the energy, in units of the leads' own levels (microvolts for one lead).
    pub(super) amplitude: Vec<f32>,
    /// The leads that take part.
    pub(super) lanes: Vec<Lane>,
}

impl Fused {
    pub(super) fn new(leads: &[&[f32]], sampling_rate_hz: f64) -> Self {
        let factor = (sampling_rate_hz / FEATURE_RATE_HZ).round().max(1.0) as usize;
        let rate_hz = sampling_rate_hz / factor as f64;
        let mut amplitude: Vec<f32> = Vec::new();
        let mut lanes = Vec::new();
        let mut weights = 0.0;
        for (lead, samples) in leads.iter().enumerate() {
            let smooth = moving_mean(&reduce(samples, factor), odd(SMOOTH_S * rate_hz));
            let energy = energy(&band_pass(&smooth, rate_hz), rate_hz);
            let level = level_of(&energy, rate_hz);
            if level <= 0.0 {
                continue;
            }
            let weight = if leads.len() == 1 {
                1.0
            } else {
                clearness(&energy, level)
            };
            let scale = if leads.len() == 1 {
                1.0
            } else {
                weight / (level * level)
            };
            weights += weight;
            if amplitude.is_empty() {
                amplitude = vec![0.0; energy.len()];
            }
            for (sum, value) in amplitude.iter_mut().zip(&energy) {
                *sum += value * scale;
            }
            lanes.push(Lane { smooth, level, lead });
        }
        let share = 1.0 / weights.max(f32::MIN_POSITIVE);
        for value in &mut amplitude {
            *value = (*value * share).sqrt();
        }
        Self {
            factor,
            rate_hz,
            amplitude,
            lanes,
        }
    }
}

/// About 5 to 20 Hz, by the difference of moving means.
fn band_pass(smooth: &[f32], rate_hz: f64) -> Vec<f32> {
    const TREND_S: f64 = 0.120;
    let fine = moving_mean(smooth, odd(SMOOTH_S * rate_hz));
    let trend = moving_mean(&fine, odd(TREND_S * rate_hz));
    fine.iter().zip(&trend).map(|(a, b)| a - b).collect()
}

/// Mean square over the length of a QRS.
fn energy(band: &[f32], rate_hz: f64) -> Vec<f32> {
    const WINDOW_S: f64 = 0.100;
    let squares: Vec<f32> = band.iter().map(|v| v * v).collect();
    moving_mean(&squares, odd(WINDOW_S * rate_hz))
}

/// How far the beats of a lead stand out of what lies between them: power of the level over the median energy.
fn clearness(energy: &[f32], level: f32) -> f32 {
    const SEEN_MAX: usize = 20_000;
    const CLEARNESS: std::ops::RangeInclusive<f32> = 1.0..=400.0;
    let mut seen: Vec<f32> = energy
        .iter()
        .step_by((energy.len() / SEEN_MAX).max(1))
        .copied()
        .collect();
    let middle = seen.len() / 2;
    if seen.is_empty() {
        return *CLEARNESS.start();
    }
    let (_, median, _) = seen.select_nth_unstable_by(middle, f32::total_cmp);
    (level * level / median.max(f32::MIN_POSITIVE)).clamp(*CLEARNESS.start(), *CLEARNESS.end())
}

/// Typical height of the root energy at beats: the median of the maxima of 2-second blocks.
fn level_of(energy: &[f32], rate_hz: f64) -> f32 {
    let block = ((2.0 * rate_hz) as usize).max(1);
    let mut tops: Vec<f32> = energy
        .chunks(block)
        .map(|part| part.iter().copied().fold(0.0, f32::max))
        .collect();
    if tops.is_empty() {
        return 0.0;
    }
    let middle = tops.len() / 2;
    let (_, median, _) = tops.select_nth_unstable_by(middle, f32::total_cmp);
    median.sqrt()
}

/// Means of `factor` samples, gaps bridged by the last value.
fn reduce(samples: &[f32], factor: usize) -> Vec<f32> {
    let mut last = samples.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    let mut out = Vec::with_capacity(samples.len() / factor + 1);
    let share = 1.0 / factor as f32;
    for part in samples.chunks_exact(factor) {
        let sum: f32 = part.iter().sum();
        if sum.is_finite() {
            last = sum * share;
        }
        out.push(last);
    }
    out
}

/// The nearest odd whole number, at least 1.
pub(super) fn odd(value: f64) -> usize {
    ((value / 2.0).floor() as usize) * 2 + 1
}

/// Centred moving mean over an odd `width`; at the edges over what is there.
pub(super) fn moving_mean(values: &[f32], width: usize) -> Vec<f32> {
    let n = values.len();
    let half = width / 2;
    if half == 0 || n == 0 {
        return values.to_vec();
    }
    let mut out = Vec::with_capacity(n);
    let mut sum: f64 = values.iter().take(half).map(|v| f64::from(*v)).sum();
    let whole = 1.0 / width as f64;
    for index in 0..n {
        if index + half < n {
            sum += f64::from(values[index + half]);
        }
        let from = index.saturating_sub(half);
        let count = (index + half + 1).min(n) - from;
        let share = if count == width { whole } else { 1.0 / count as f64 };
        out.push((sum * share) as f32);
        if index >= half {
            sum -= f64::from(values[from]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_mean_is_the_plain_mean() {
        let values: Vec<f32> = (0..20).map(|i| ((i * 7) % 11) as f32).collect();
        let got = moving_mean(&values, 5);
        for (index, mean) in got.iter().enumerate() {
            let part = &values[index.saturating_sub(2)..(index + 3).min(20)];
            let expect = part.iter().sum::<f32>() / part.len() as f32;
            assert!((mean - expect).abs() < 1e-5, "{index}");
        }
        assert_eq!(moving_mean(&[], 5), Vec::<f32>::new());
        assert_eq!(moving_mean(&[3.0], 5), vec![3.0]);
    }
}
