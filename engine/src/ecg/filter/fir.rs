//! Symmetric low-pass filters: no phase, no ringing beyond their own length, the same result wherever a stretch begins.

use crate::ecg::simd;

/// Rate up to which a filter is worked out sample by sample; beyond it would be needlessly long.
pub(super) const RATE_HZ_MAX: f64 = 4_000.0;

/// A low-pass filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LowPass {
    /// Middle tap first, then outwards.
    taps: Vec<f32>,
}

impl LowPass {
    /// Gain of the square root of a half at `edge_hz` and of one at 0, `reach_s` to either side: a sinc under a Hamming
    /// window (Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 7). `None` where the rate has no room for
    /// the edge.
    pub(super) fn new(edge_hz: f64, reach_s: f64, rate_hz: f64) -> Option<Self> {
        if edge_hz > 0.4 * rate_hz || rate_hz > RATE_HZ_MAX {
            return None;
        }
        let reach = ((reach_s * rate_hz).round() as usize).max(2);
        let (mut low, mut high) = (0.0, 0.5 * rate_hz);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if gain(&windowed_sinc(middle / rate_hz, reach), edge_hz / rate_hz)
                < std::f64::consts::FRAC_1_SQRT_2
            {
                low = middle;
            } else {
                high = middle;
            }
        }
        let taps = windowed_sinc(high / rate_hz, reach);
        Some(Self {
            taps: taps.into_iter().map(|tap| tap as f32).collect(),
        })
    }

    /// Samples to either side that a result depends on.
    pub(super) fn reach(&self) -> usize {
        self.taps.len() - 1
    }

    /// Filters; `padded` has [`Self::reach`] more samples than `out` on each side.
    pub(super) fn run(&self, padded: &[f32], out: &mut [f32]) {
        simd::fir(padded, &self.taps, out);
    }
}

/// One half of the taps, middle first, with a sum of one over both halves.
fn windowed_sinc(cycles: f64, reach: usize) -> Vec<f64> {
    use std::f64::consts::PI;
    let mut taps: Vec<f64> = (0..=reach)
        .map(|k| {
            let x = k as f64;
            let sinc = if k == 0 {
                2.0 * cycles
            } else {
                (2.0 * PI * cycles * x).sin() / (PI * x)
            };
            sinc * (0.54 + 0.46 * (PI * x / (reach as f64 + 1.0)).cos())
        })
        .collect();
    let sum = gain(&taps, 0.0);
    for tap in &mut taps {
        *tap /= sum;
    }
    taps
}

/// Response at a frequency given in cycles a sample.
fn gain(taps: &[f64], cycles: f64) -> f64 {
    let others = taps.iter().enumerate().skip(1);
    let sum: f64 = others
        .map(|(k, tap)| 2.0 * tap * (std::f64::consts::TAU * cycles * k as f64).cos())
        .sum();
    taps.first().copied().unwrap_or(0.0) + sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_is_where_it_was_asked_for() {
        for (edge_hz, reach_s, rate_hz) in [
            (150.0, 0.016, 500.0),
            (40.0, 0.04, 250.0),
            (40.0, 0.04, 128.0),
            (150.0, 0.016, 1_000.0),
        ] {
            let filter = LowPass::new(edge_hz, reach_s, rate_hz).unwrap();
            let taps: Vec<f64> = filter.taps.iter().map(|t| f64::from(*t)).collect();
            assert!((gain(&taps, 0.0) - 1.0).abs() < 1e-5);
            assert!(
                (gain(&taps, edge_hz / rate_hz) - 0.707).abs() < 0.01,
                "{edge_hz} at {rate_hz}"
            );
        }
        assert!(LowPass::new(150.0, 0.016, 250.0).is_none());
        assert!(LowPass::new(40.0, 0.04, 64_000.0).is_none());
    }
}
