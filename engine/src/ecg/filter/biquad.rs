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

    /// Transposed direct form II over several signals side by side.
    fn run<'s, const LANES: usize>(
        &self,
        signals: impl Iterator<Item = &'s mut [f64; LANES]>,
        start: [f64; LANES],
    ) {
        let settled = start.map(|level| self.settled(level));
        let (mut first, mut second) = (settled.map(|s| s[0]), settled.map(|s| s[1]));
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        for values in signals {
            for lane in 0..LANES {
                let x = values[lane];
                let y = b0 * x + first[lane];
                first[lane] = b1 * x - a1 * y + second[lane];
                second[lane] = b2 * x - a2 * y;
                values[lane] = y;
            }
        }
    }
}

/// Signals filtered side by side at most. Each value waits for the one before; neighbours fill the wait.
const LANES_MAX: usize = 8;
/// Samples filtered at once, so that memory does not follow the length of a recording.
const STRETCH: usize = 1 << 16;
/// Samples to both sides of a stretch, after which its ends no longer matter; at least so many times the padding.
const CONTEXT_MIN: usize = 1 << 13;
const CONTEXT_PADS: usize = 8;

/// Runs all sections forward and backward in place over signals of one length; `pad` samples are mirrored through the
/// end points on both sides.
pub(super) fn zero_phase(sections: &[Section], signals: &mut [&mut [f64]], pad: usize) {
    if sections.is_empty() {
        return;
    }
    for group in signals.chunks_mut(LANES_MAX) {
        match group.len() {
            1 => together::<1>(sections, group, pad),
            2 => together::<2>(sections, group, pad),
            3 => together::<3>(sections, group, pad),
            4 => together::<4>(sections, group, pad),
            5 | 6 => together::<6>(sections, group, pad),
            _ => together::<LANES_MAX>(sections, group, pad),
        }
    }
}

fn together<const LANES: usize>(sections: &[Section], signals: &mut [&mut [f64]], pad: usize) {
    let n = signals.iter().map(|s| s.len()).min().unwrap_or(0);
    if n < 2 {
        return;
    }
    let context = CONTEXT_MIN.max(CONTEXT_PADS * pad).min(STRETCH);
    // The stretch before is put back once the next has taken its samples, which are its context.
    let (mut from, mut held, mut held_from) = (0, Vec::new(), 0);
    while from < n {
        let to = if n - from <= STRETCH + context {
            n
        } else {
            from + STRETCH
        };
        let seen = from.saturating_sub(context)..(to + context).min(n);
        let margin = pad.min(seen.len() - 1);
        let mut work = gather::<LANES>(signals, seen.clone(), margin);
        scatter(signals, held_from, &held);
        for section in sections {
            let start = work.first().copied().unwrap_or([0.0; LANES]);
            section.run(work.iter_mut(), start);
            let end = work.last().copied().unwrap_or([0.0; LANES]);
            section.run(work.iter_mut().rev(), end);
        }
        let first = margin + from - seen.start;
        held = work[first..first + to - from].to_vec();
        held_from = from;
        from = to;
    }
    scatter(signals, held_from, &held);
}

/// The samples of a stretch side by side, mirrored at its ends.
fn gather<const LANES: usize>(
    signals: &[&mut [f64]],
    seen: std::ops::Range<usize>,
    pad: usize,
) -> Vec<[f64; LANES]> {
    let n = seen.len();
    let mut work = vec![[0.0; LANES]; n + 2 * pad];
    for (lane, signal) in signals.iter().enumerate() {
        let part = &signal[seen.clone()];
        let (first, last) = (part[0], part[n - 1]);
        for (values, i) in work.iter_mut().zip((1..=pad).rev()) {
            values[lane] = 2.0 * first - part[i];
        }
        for (values, value) in work[pad..].iter_mut().zip(part) {
            values[lane] = *value;
        }
        for (values, i) in work[pad + n..].iter_mut().zip(1..=pad) {
            values[lane] = 2.0 * last - part[n - 1 - i];
        }
    }
    work
}

fn scatter<const LANES: usize>(signals: &mut [&mut [f64]], from: usize, held: &[[f64; LANES]]) {
    for (lane, signal) in signals.iter_mut().enumerate() {
        for (value, values) in signal[from..].iter_mut().zip(held) {
            *value = values[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_pass_or_vanish_without_a_transient() {
        let mut low = vec![5.0; 100];
        zero_phase(&[Section::low_pass(40.0, 500.0)], &mut [&mut low], 20);
        assert!(low.iter().all(|v| (v - 5.0).abs() < 1e-9));
        let mut high = vec![5.0; 100];
        zero_phase(&[Section::high_pass(0.5, 500.0)], &mut [&mut high], 20);
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
            zero_phase(&[section], &mut [&mut signal], 500);
            signal[3000..5000].iter().fold(0.0_f64, |a, v| a.max(v.abs()))
        };
        assert!((gain(Section::low_pass(40.0, rate), 40.0) - 0.5).abs() < 0.01);
        assert!((gain(Section::high_pass(5.0, rate), 5.0) - 0.5).abs() < 0.01);
        assert!(gain(Section::low_pass(40.0, rate), 5.0) > 0.999);
    }

    #[test]
    fn a_signal_is_the_same_alone_beside_others_and_in_stretches() {
        let rate = 250.0;
        let sections = [Section::high_pass(0.45, rate), Section::low_pass(49.9, rate)];
        let wave = |n: usize, k: usize| -> Vec<f64> {
            let at =
                |i: usize| 300.0 * (i as f64 * 0.013 * (k + 1) as f64).sin() + ((i * 7919 + k) % 97) as f64;
            (0..n).map(at).collect()
        };
        let pad = 625;
        for count in [1, 3, 5, 9] {
            let mut all: Vec<Vec<f64>> = (0..count).map(|k| wave(3000, k)).collect();
            let mut beside: Vec<&mut [f64]> = all.iter_mut().map(Vec::as_mut_slice).collect();
            zero_phase(&sections, &mut beside, pad);
            for (k, filtered) in all.iter().enumerate() {
                let mut alone = wave(3000, k);
                zero_phase(&sections, &mut [&mut alone], pad);
                assert_eq!(&alone, filtered, "signal {k} of {count}");
            }
        }
        let n = 2 * STRETCH + 2 * CONTEXT_MIN + 77;
        let mut stretched = wave(n, 2);
        zero_phase(&sections, &mut [&mut stretched], pad);
        let mut whole = gather::<1>(&[&mut wave(n, 2)], 0..n, pad);
        for section in &sections {
            let (start, last) = (whole[0], whole.len() - 1);
            section.run(whole.iter_mut(), start);
            let end = whole[last];
            section.run(whole.iter_mut().rev(), end);
        }
        let far = stretched.iter().zip(&whole[pad..]).map(|(a, [b])| (a - b).abs());
        assert!(far.fold(0.0, f64::max) < 1e-6, "microvolts");
    }
}
