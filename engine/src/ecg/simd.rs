//! Inner loops over samples, compiled twice: for every x86-64 and for processors with AVX2.
//!
//! Both do the same operations in the same order (no fused multiply-add), so results are equal on every machine.
#![allow(
    unsafe_code,
    reason = "a function compiled for AVX2 is called only where AVX2 was found"
)]

/// Values worked on side by side.
const LANES: usize = 8;

/// Makes a function that runs its body compiled for AVX2 where the processor has it.
macro_rules! twice {
    ($(#[$note:meta])* fn $name:ident($($arg:ident: $kind:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$note])*
        pub(crate) fn $name($($arg: $kind),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($arg: $kind),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($arg: $kind),*) $(-> $out)? {
                    plain($($arg),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: AVX2 was found on this processor.
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}

/// Eight values from `at` on.
#[inline(always)]
fn eight(values: &[f32], at: usize) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    out.copy_from_slice(&values[at..at + LANES]);
    out
}

twice! {
    /// Symmetric filter: `out[i] = taps[0] x[i + r] + sum over k of taps[k] (x[i + r - k] + x[i + r + k])` with
    /// `r = taps.len() - 1`. `padded` is longer than `out` by `2 r`; without taps nothing is done.
    fn fir(padded: &[f32], taps: &[f32], out: &mut [f32]) {
        const TOGETHER: usize = 4;
        let Some((first, others)) = taps.split_first() else { return };
        let reach = others.len();
        let n = out.len().min(padded.len().saturating_sub(2 * reach));
        let step = TOGETHER * LANES;
        let mut at = 0;
        while at + step <= n {
            let mut sums = [[0.0_f32; LANES]; TOGETHER];
            for (place, sum) in sums.iter_mut().enumerate() {
                let middle = eight(padded, at + reach + place * LANES);
                for lane in 0..LANES {
                    sum[lane] = first * middle[lane];
                }
            }
            for (index, tap) in others.iter().enumerate() {
                let before = &padded[at + reach - 1 - index..];
                let after = &padded[at + reach + 1 + index..];
                for (place, sum) in sums.iter_mut().enumerate() {
                    let (a, b) = (eight(before, place * LANES), eight(after, place * LANES));
                    for lane in 0..LANES {
                        sum[lane] += tap * (a[lane] + b[lane]);
                    }
                }
            }
            for (place, sum) in sums.iter().enumerate() {
                out[at + place * LANES..at + (place + 1) * LANES].copy_from_slice(sum);
            }
            at += step;
        }
        for index in at..n {
            let mut sum = first * padded[index + reach];
            for (k, tap) in others.iter().enumerate() {
                sum += tap * (padded[index + reach - 1 - k] + padded[index + reach + 1 + k]);
            }
            out[index] = sum;
        }
    }
}

/// What one sub-block says about the interference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Demodulated {
    pub(crate) re: f32,
    pub(crate) im: f32,
    /// Sum of squares.
    pub(crate) power: f32,
}

twice! {
    /// For each sub-block of `cosine.len()` samples: the sums of `r cosine`, `r sine` and `r r`, where
    /// `r[i] = x[i + half] - (x[i] + x[i + 2 half]) / 2`. `x` is longer than all sub-blocks together by `2 half`; the
    /// length of a sub-block is a multiple of eight.
    fn demodulate(x: &[f32], half: usize, cosine: &[f32], sine: &[f32], out: &mut [Demodulated]) {
        let length = cosine.len();
        for (index, block) in out.iter_mut().enumerate() {
            let start = index * length;
            let (mut re, mut im, mut power) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
            let mut at = 0;
            while at + LANES <= length {
                let before = eight(x, start + at);
                let here = eight(x, start + at + half);
                let after = eight(x, start + at + 2 * half);
                let (c, s) = (eight(cosine, at), eight(sine, at));
                for lane in 0..LANES {
                    let rough = here[lane] - 0.5 * (before[lane] + after[lane]);
                    re[lane] += rough * c[lane];
                    im[lane] += rough * s[lane];
                    power[lane] += rough * rough;
                }
                at += LANES;
            }
            *block = Demodulated { re: sum(re), im: sum(im), power: sum(power) };
        }
    }
}

#[inline(always)]
fn sum(values: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = values;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// A carrier over one sub-block: cosine and sine, and both times the share of the sub-block that has passed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Carrier {
    pub(crate) cosine: Vec<f32>,
    pub(crate) sine: Vec<f32>,
    pub(crate) rising_cosine: Vec<f32>,
    pub(crate) rising_sine: Vec<f32>,
}

/// Complex amplitude at the start of a sub-block and its change until the end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Amplitude {
    pub(crate) re: f32,
    pub(crate) im: f32,
    pub(crate) change_re: f32,
    pub(crate) change_im: f32,
}

twice! {
    /// Subtracts the carrier with the amplitudes of consecutive sub-blocks from `x`, whose first sample is the first of
    /// the first sub-block; the last may be cut.
    fn subtract_carrier(x: &mut [f32], carrier: &Carrier, amplitudes: &[Amplitude]) {
        let length = carrier.cosine.len().max(1);
        for (part, a) in x.chunks_mut(length).zip(amplitudes) {
            let n = part.len();
            let (c, s) = (&carrier.cosine[..n], &carrier.sine[..n]);
            let (rc, rs) = (&carrier.rising_cosine[..n], &carrier.rising_sine[..n]);
            for index in 0..n {
                part[index] -= a.re * c[index] - a.im * s[index]
                    + (a.change_re * rc[index] - a.change_im * rs[index]);
            }
        }
    }
}

twice! {
    /// Subtracts `c0 + t (c1 + t (c2 + t c3))` with `t = (first + index) scale` from each value.
    fn subtract_cubic(x: &mut [f32], cubic: [f32; 4], first: f32, scale: f32) {
        let mut lane_offset = [0.0_f32; LANES];
        for (lane, offset) in lane_offset.iter_mut().enumerate() {
            *offset = lane as f32;
        }
        let mut start = first;
        for part in x.chunks_mut(LANES) {
            for (lane, value) in part.iter_mut().enumerate() {
                let t = (start + lane_offset[lane]) * scale;
                *value -= cubic[0] + t * (cubic[1] + t * (cubic[2] + t * cubic[3]));
            }
            start += LANES as f32;
        }
    }
}

twice! {
    /// Sums of consecutive parts of `length` values, the last part left out when it is cut.
    fn part_sums(x: &[f32], length: usize, out: &mut Vec<f32>) {
        for part in x.chunks_exact(length.max(1)) {
            let mut lanes = [0.0_f32; LANES];
            let (whole, rest) = part.as_chunks::<LANES>();
            for values in whole {
                for lane in 0..LANES {
                    lanes[lane] += values[lane];
                }
            }
            let mut total = sum(lanes);
            for value in rest {
                total += value;
            }
            out.push(total);
        }
    }
}

twice! {
    /// Whether all values are finite.
    fn all_finite(x: &[f32]) -> bool {
        let mut lanes = [0.0_f32; LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for values in whole {
            for lane in 0..LANES {
                // Zero times anything that is not finite is not a number, and stays so.
                lanes[lane] += values[lane] * 0.0;
            }
        }
        lanes.iter().chain(rest).all(|v| v.is_finite())
    }
}

twice! {
    /// Largest `|x[i + by] - (x[i] + x[i + 2 by]) / 2|`; zero when `x` is too short.
    fn sharpest(x: &[f32], by: usize) -> f32 {
        let n = x.len().saturating_sub(2 * by);
        let (before, here, after) = (&x[..n], &x[by.min(x.len())..], &x[(2 * by).min(x.len())..]);
        let mut top = [0.0_f32; LANES];
        let mut at = 0;
        while at + LANES <= n {
            let (a, b, c) = (eight(before, at), eight(here, at), eight(after, at));
            for lane in 0..LANES {
                let sharp = (b[lane] - 0.5 * (a[lane] + c[lane])).abs();
                top[lane] = if sharp > top[lane] { sharp } else { top[lane] };
            }
            at += LANES;
        }
        let mut most = 0.0_f32;
        for value in top {
            most = most.max(value);
        }
        for index in at..n {
            most = most.max((here[index] - 0.5 * (before[index] + after[index])).abs());
        }
        most
    }
}

twice! {
    /// Largest value, zero when none is above it.
    fn highest(x: &[f32]) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for values in whole {
            for lane in 0..LANES {
                lanes[lane] = if values[lane] > lanes[lane] { values[lane] } else { lanes[lane] };
            }
        }
        let mut most = 0.0_f32;
        for value in lanes.iter().chain(rest) {
            most = if *value > most { *value } else { most };
        }
        most
    }
}

twice! {
    /// `out[i] = x[i] + x[i + 1] + ... + x[i + width - 1]` of the squares; `x` is longer than `out` by `width - 1`.
    fn box_of_squares(x: &[f32], width: usize, out: &mut [f32]) {
        let n = out.len().min((x.len() + 1).saturating_sub(width));
        let mut at = 0;
        while at + 2 * LANES <= n {
            let (mut one, mut two) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            for k in 0..width {
                let (a, b) = (eight(x, at + k), eight(x, at + k + LANES));
                for lane in 0..LANES {
                    one[lane] += a[lane] * a[lane];
                    two[lane] += b[lane] * b[lane];
                }
            }
            out[at..at + LANES].copy_from_slice(&one);
            out[at + LANES..at + 2 * LANES].copy_from_slice(&two);
            at += 2 * LANES;
        }
        for index in at..n {
            let mut total = 0.0;
            for value in &x[index..index + width] {
                total += value * value;
            }
            out[index] = total;
        }
    }
}

twice! {
    /// Sum of products.
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let n = a.len().min(b.len());
        let mut lanes = [0.0_f32; LANES];
        let (whole, rest) = a[..n].as_chunks::<LANES>();
        let (others, other_rest) = b[..n].as_chunks::<LANES>();
        for (x, y) in whole.iter().zip(others) {
            for lane in 0..LANES {
                lanes[lane] += x[lane] * y[lane];
            }
        }
        let mut total = sum(lanes);
        for (x, y) in rest.iter().zip(other_rest) {
            total += x * y;
        }
        total
    }
}

twice! {
    /// Means of consecutive groups of `factor` values.
    fn reduce(x: &[f32], factor: usize, out: &mut Vec<f32>) {
        let share = 1.0 / factor.max(1) as f32;
        match factor {
            0 | 1 => out.extend_from_slice(x),
            2 => out.extend(x.as_chunks::<2>().0.iter().map(|p| (p[0] + p[1]) * share)),
            3 => out.extend(x.as_chunks::<3>().0.iter().map(|p| (p[0] + p[1] + p[2]) * share)),
            4 => out.extend(x.as_chunks::<4>().0.iter().map(|p| (p[0] + p[1] + (p[2] + p[3])) * share)),
            8 => out.extend(x.as_chunks::<8>().0.iter().map(|p| sum(*p) * share)),
            _ => out.extend(x.chunks_exact(factor).map(|part| part.iter().sum::<f32>() * share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.25).collect()
    }

    #[test]
    fn the_filter_is_the_plain_sum() {
        for n in [0, 1, 31, 32, 33, 100] {
            let taps = [0.4, 0.2, 0.1];
            let x = values(n + 4);
            let mut out = vec![0.0; n];
            fir(&x, &taps, &mut out);
            for (i, value) in out.iter().enumerate() {
                let expect = 0.4 * x[i + 2] + 0.2 * (x[i + 1] + x[i + 3]) + 0.1 * (x[i] + x[i + 4]);
                assert!((value - expect).abs() < 1e-4, "{n} {i}");
            }
        }
        let mut untouched = [1.0];
        fir(&[5.0], &[], &mut untouched);
        assert_eq!(untouched, [1.0]);
    }

    #[test]
    fn sums_are_plain_sums() {
        let x = values(83);
        let mut sums = Vec::new();
        part_sums(&x, 25, &mut sums);
        assert_eq!(sums.len(), 3);
        for (part, sum) in x.chunks(25).zip(&sums) {
            assert!((part.iter().sum::<f32>() - sum).abs() < 1e-3);
        }
        let mut squares = vec![0.0; 79];
        box_of_squares(&x, 5, &mut squares);
        for (i, value) in squares.iter().enumerate() {
            let expect: f32 = x[i..i + 5].iter().map(|v| v * v).sum();
            assert!((value - expect).abs() < 0.01, "{i}");
        }
        assert!((dot(&x, &x) - x.iter().map(|v| v * v).sum::<f32>()).abs() < 0.1);
        for factor in [1, 2, 3, 4, 5, 8] {
            let mut out = Vec::new();
            reduce(&x, factor, &mut out);
            assert_eq!(out.len(), 83 / factor);
            for (part, mean) in x.chunks(factor).zip(&out) {
                assert!((part.iter().sum::<f32>() / factor as f32 - mean).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_seen_anywhere() {
        for n in [1, 7, 8, 40, 41] {
            assert!(all_finite(&values(n)));
            for at in 0..n {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = values(n);
                    x[at] = bad;
                    assert!(!all_finite(&x), "{n} {at}");
                }
            }
        }
        assert!(all_finite(&[]));
    }

    #[test]
    fn the_sharpest_place_is_the_largest_second_difference() {
        let x = values(45);
        for by in [1, 2, 5] {
            let expect = (by..45 - by)
                .map(|i| (x[i] - 0.5 * (x[i - by] + x[i + by])).abs())
                .fold(0.0, f32::max);
            assert_eq!(sharpest(&x, by), expect);
        }
        assert_eq!(sharpest(&x[..3], 5), 0.0);
        assert_eq!(highest(&x), x.iter().copied().fold(0.0, f32::max));
        assert_eq!(highest(&[-1.0, -2.0]), 0.0);
    }

    #[test]
    fn a_cubic_and_a_carrier_are_taken_away() {
        let cubic = [3.0, -1.0, 0.5, 2.0];
        let mut x: Vec<f32> = (0..29)
            .map(|i| {
                let t = (i as f32 + 4.0) * 0.02;
                3.0 - t + 0.5 * t * t + 2.0 * t * t * t
            })
            .collect();
        subtract_cubic(&mut x, cubic, 4.0, 0.02);
        assert!(x.iter().all(|v| v.abs() < 1e-5));
        let angle = |i: usize| 0.7 * i as f32;
        let carrier = Carrier {
            cosine: (0..16).map(|i| angle(i).cos()).collect(),
            sine: (0..16).map(|i| angle(i).sin()).collect(),
            rising_cosine: (0..16).map(|i| i as f32 / 16.0 * angle(i).cos()).collect(),
            rising_sine: (0..16).map(|i| i as f32 / 16.0 * angle(i).sin()).collect(),
        };
        let amplitude = Amplitude {
            re: 2.0,
            im: 1.0,
            change_re: -0.5,
            change_im: 0.25,
        };
        let mut hum: Vec<f32> = (0..16)
            .map(|i| {
                let t = i as f32 / 16.0;
                (2.0 - 0.5 * t) * angle(i).cos() - (1.0 + 0.25 * t) * angle(i).sin()
            })
            .collect();
        subtract_carrier(&mut hum, &carrier, &[amplitude]);
        assert!(hum.iter().all(|v| v.abs() < 1e-5));
    }

    #[test]
    fn demodulation_finds_the_amplitude() {
        let (length, half) = (16, 5);
        let angle = |i: usize| std::f32::consts::TAU * 0.1 * i as f32;
        let cosine: Vec<f32> = (0..length).map(|i| angle(i).cos()).collect();
        let sine: Vec<f32> = (0..length).map(|i| angle(i).sin()).collect();
        // Half a period to either side the sinusoid is upside down: the rough signal is twice as large.
        let x: Vec<f32> = (0..length * 2 + 2 * half)
            .map(|i| 3.0 * angle(i + 5).cos())
            .collect();
        let mut out = [Demodulated::default(); 2];
        demodulate(&x, half, &cosine, &sine, &mut out);
        let power: f32 = (0..length).map(|i| (6.0 * angle(i + 10).cos()).powi(2)).sum();
        assert!((out[0].power - power).abs() < 0.1, "{out:?} {power}");
        assert!(
            (out[0].re
                - (0..length)
                    .map(|i| 6.0 * angle(i + 10).cos() * angle(i).cos())
                    .sum::<f32>())
            .abs()
                < 0.1
        );
    }
}
