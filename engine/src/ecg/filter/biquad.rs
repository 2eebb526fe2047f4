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

    /// Second-order Butterworth high-pass with -3 dB at `edge_hz`.
    pub(super) fn high_pass(edge_hz: f64, rate_hz: f64) -> Self {
        let k = (std::f64::consts::PI * edge_hz / rate_hz).tan();
        let norm = 1.0 / (1.0 + std::f64::consts::SQRT_2 * k + k * k);
        Self {
            b: [norm, -2.0 * norm, norm],
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

    /// Transposed direct form II over an iterator of places.
    fn run<'s>(&self, signal: impl Iterator<Item = &'s mut f64>, start: f64) {
        let mut state = self.settled(start);
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        for value in signal {
            let x = *value;
            let y = b0 * x + state[0];
            state[0] = b1 * x - a1 * y + state[1];
            state[1] = b2 * x - a2 * y;
            *value = y;
        }
    }
}

/// Runs all sections forward and backward in place; `pad` samples are mirrored through the end points on both sides.
pub(super) fn zero_phase(sections: &[Section], signal: &mut [f64], pad: usize) {
    let n = signal.len();
    if sections.is_empty() || n < 2 {
        return;
    }
    let pad = pad.min(n - 1);
    let mut work = Vec::with_capacity(n + 2 * pad);
    let (first, last) = (signal[0], signal[n - 1]);
    work.extend((1..=pad).rev().map(|i| 2.0 * first - signal[i]));
    work.extend_from_slice(signal);
    work.extend((1..=pad).map(|i| 2.0 * last - signal[n - 1 - i]));
    for section in sections {
        let start = work.first().copied().unwrap_or(0.0);
        section.run(work.iter_mut(), start);
        let end = work.last().copied().unwrap_or(0.0);
        section.run(work.iter_mut().rev(), end);
    }
    signal.copy_from_slice(&work[pad..pad + n]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_pass_or_vanish_without_a_transient() {
        let mut low = vec![5.0; 100];
        zero_phase(&[Section::low_pass(40.0, 500.0)], &mut low, 20);
        assert!(low.iter().all(|v| (v - 5.0).abs() < 1e-9));
        let mut high = vec![5.0; 100];
        zero_phase(&[Section::high_pass(0.5, 500.0)], &mut high, 20);
        assert!(high.iter().all(|v| v.abs() < 1e-9));
    }

    #[test]
    fn the_edge_is_at_half_power_of_one_pass() {
        let rate = 1000.0;
        let wave = |f: f64| {
            (0..8000)
                .map(|i| (f * i as f64 / rate * std::f64::consts::TAU).sin())
                .collect::<Vec<f64>>()
        };
        let gain = |section: Section, f: f64| {
            let mut signal = wave(f);
            zero_phase(&[section], &mut signal, 500);
            signal[3000..5000].iter().fold(0.0_f64, |a, v| a.max(v.abs()))
        };
        assert!((gain(Section::low_pass(40.0, rate), 40.0) - 0.5).abs() < 0.01);
        assert!((gain(Section::high_pass(5.0, rate), 5.0) - 0.5).abs() < 0.01);
        assert!(gain(Section::low_pass(40.0, rate), 5.0) > 0.999);
    }
}
