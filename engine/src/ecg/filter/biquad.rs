//! Second-order sections, run forward and backward.
//!
//! Source of the coefficients: Butterworth prototype and bilinear transform with prewarping (Oppenheim and Schafer,
//! Discrete-Time Signal Processing, chapter 7).

/// One section: `y = b0 x + b1 x' + b2 x'' - a1 y' - a2 y''`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Section {
    b: [f64; 3],
    a: [f64; 2],
}

impl Section {
    /// Second-order Butterworth low-pass with -3 dB at `edge_hz`.
    pub(super) fn low_pass(edge_hz: f64, rate_hz: f64) -> Self {
        let k = (std::f64::consts::PI * edge_hz / rate_hz).tan();
        let norm = 1.0 / (1.0 + std::f64::consts::SQRT_2 * k + k * k);
        let b = k * k * norm;
        Self {
            b: [b, 2.0 * b, b],
            a: Self::poles(k, norm),
        }
    }

    fn poles(k: f64, norm: f64) -> [f64; 2] {
        [
            2.0 * (k * k - 1.0) * norm,
            (1.0 - std::f64::consts::SQRT_2 * k + k * k) * norm,
        ]
    }

    /// State after an endless run of the constant `level`, so that a filter starts without a transient.
    fn settled(&self, level: f64) -> [f64; 2] {
        let gain = self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1]);
        let out = gain * level;
        let second = self.b[2] * level - self.a[1] * out;
        [self.b[1] * level - self.a[0] * out + second, second]
    }

    /// Transposed direct form II.
    fn run<'s>(&self, signal: impl Iterator<Item = &'s mut f64>, start: f64) {
        let [mut first, mut second] = self.settled(start);
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        for value in signal {
            let x = *value;
            let y = b0 * x + first;
            first = b1 * x - a1 * y + second;
            second = b2 * x - a2 * y;
            *value = y;
        }
    }
}

/// Runs a section forward and backward in place; at most `pad` samples are mirrored through the end points on both sides.
pub(super) fn zero_phase(section: &Section, signal: &mut [f64], pad: usize) {
    let n = signal.len();
    if n < 2 {
        return;
    }
    let pad = pad.min(n - 1);
    let (first, last) = (signal[0], signal[n - 1]);
    let mut work: Vec<f64> = Vec::with_capacity(n + 2 * pad);
    work.extend((1..=pad).rev().map(|k| 2.0 * first - signal[k]));
    work.extend_from_slice(signal);
    work.extend((1..=pad).map(|k| 2.0 * last - signal[n - 1 - k]));
    let start = work.first().copied().unwrap_or(0.0);
    section.run(work.iter_mut(), start);
    let end = work.last().copied().unwrap_or(0.0);
    section.run(work.iter_mut().rev(), end);
    signal.copy_from_slice(&work[pad..pad + n]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_passes_without_a_transient() {
        for n in [2, 5, 100] {
            let mut low = vec![5.0; n];
            zero_phase(&Section::low_pass(40.0, 500.0), &mut low, 20);
            assert!(low.iter().all(|v| (v - 5.0).abs() < 1e-9));
        }
    }

    #[test]
    fn the_edge_is_at_half_power_of_one_pass() {
        let rate = 1000.0;
        let gain = |f: f64| {
            let mut wave: Vec<f64> = (0..8000)
                .map(|i| (f * f64::from(i) / rate * std::f64::consts::TAU).sin())
                .collect();
            zero_phase(&Section::low_pass(40.0, rate), &mut wave, 500);
            wave[2000..6000].iter().map(|v| v * v).sum::<f64>() / 2000.0
        };
        // Forward and backward: the square of one pass.
        assert!((gain(40.0) - 0.25).abs() < 0.01, "{}", gain(40.0));
        assert!((gain(1.0) - 1.0).abs() < 0.01);
        assert!(gain(400.0) < 1e-4);
    }

    #[test]
    fn a_peak_keeps_its_place() {
        let mut signal = vec![0.0; 401];
        for offset in 0..=10 {
            let height = 1.0 - offset as f64 / 10.0;
            signal[200 - offset] = height;
            signal[200 + offset] = height;
        }
        zero_phase(&Section::low_pass(40.0, 500.0), &mut signal, 100);
        let top = (0..401).max_by(|a, b| signal[*a].total_cmp(&signal[*b]));
        assert_eq!(top, Some(200));
        assert!((1..200).all(|k| (signal[200 - k] - signal[200 + k]).abs() < 1e-6));
    }
}
