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

mod hum;
mod medians;

pub(crate) use hum::{Amplitude, Carrier, Sums, brought_down, demodulate, subtract_carrier};
pub(crate) use medians::{eight_medians, median_of_few, medians_of_lanes};

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

#[inline(always)]
fn sum(values: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = values;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

twice! {
    /// `out = x - (c0 + t (c1 + t (c2 + t c3)))` with `t = (first + index) scale`, as far as both reach.
    fn less_cubic(x: &[f32], cubic: [f32; 4], first: f32, scale: f32, out: &mut [f32]) {
        let n = x.len().min(out.len());
        let (x, out) = (&x[..n], &mut out[..n]);
        let mut lane_offset = [0.0_f32; LANES];
        for (lane, offset) in lane_offset.iter_mut().enumerate() {
            *offset = lane as f32;
        }
        let line = |t: f32| cubic[0] + t * (cubic[1] + t * (cubic[2] + t * cubic[3]));
        let mut start = first;
        let ((whole, rest), (to, to_rest)) = (x.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
        for (values, to) in whole.iter().zip(to) {
            for lane in 0..LANES {
                to[lane] = values[lane] - line((start + lane_offset[lane]) * scale);
            }
            start += LANES as f32;
        }
        for (lane, (value, to)) in rest.iter().zip(to_rest).enumerate() {
            *to = value - line((start + lane_offset[lane]) * scale);
        }
    }
}

twice! {
    /// Every `every`-th value of a filter: `out[k] = sum over j of taps[j] padded[k every + j]`, as far as both reach.
    fn fir_every(padded: &[f32], taps: &[f32], every: usize, out: &mut [f32]) {
        let length = taps.len();
        let (whole_taps, rest_taps) = taps.as_chunks::<LANES>();
        for (index, to) in out.iter_mut().enumerate() {
            let Some(part) = padded.get(index * every..index * every + length) else { return };
            let (whole, rest) = part.as_chunks::<LANES>();
            let mut lanes = [0.0_f32; LANES];
            for (values, taps) in whole.iter().zip(whole_taps) {
                for lane in 0..LANES {
                    lanes[lane] += values[lane] * taps[lane];
                }
            }
            let mut total = sum(lanes);
            for (value, tap) in rest.iter().zip(rest_taps) {
                total += value * tap;
            }
            *to = total;
        }
    }
}

twice! {
    /// Where `x` stands farthest from `base`, upward distances counting `upward` times, and that distance; the first of
    /// equals, minus infinity of none.
    fn farthest(x: &[f32], base: f32, upward: f32) -> (usize, f32) {
        let height = |value: f32| {
            let distance = value - base;
            let up = upward * distance;
            if up > -distance { up } else { -distance }
        };
        let mut tops = [f32::NEG_INFINITY; LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for values in whole {
            for lane in 0..LANES {
                let high = height(values[lane]);
                tops[lane] = if high > tops[lane] { high } else { tops[lane] };
            }
        }
        let mut most = f32::NEG_INFINITY;
        for top in tops.into_iter().chain(rest.iter().map(|value| height(*value))) {
            most = if top > most { top } else { most };
        }
        let place = x.iter().position(|value| height(*value) == most);
        (place.unwrap_or(0), most)
    }
}

twice! {
    /// Sum of `w`, `i w` and `i i w` with `w = sqrt(x[i] - floor)`, zero below the floor.
    fn moments_of_roots(x: &[f32], floor: f32) -> [f32; 3] {
        let mut lanes = [[0.0_f32; LANES]; 3];
        let mut places = [0.0_f32; LANES];
        for (lane, place) in places.iter_mut().enumerate() {
            *place = lane as f32;
        }
        let (whole, rest) = x.as_chunks::<LANES>();
        let mut last = [floor; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for values in whole.iter().chain([&last]) {
            for lane in 0..LANES {
                let over = values[lane] - floor;
                let weight = (if over > 0.0 { over } else { 0.0 }).sqrt();
                let first = weight * places[lane];
                lanes[0][lane] += weight;
                lanes[1][lane] += first;
                lanes[2][lane] += first * places[lane];
                places[lane] += LANES as f32;
            }
        }
        lanes.map(sum)
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
        const TOGETHER: usize = 4 * LANES;
        let mut lanes = [0.0_f32; TOGETHER];
        let (whole, rest) = x.as_chunks::<TOGETHER>();
        for values in whole {
            for lane in 0..TOGETHER {
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
    /// `out[i] = share (x[i] x[i] + ... + x[i + width - 1] x[i + width - 1])`; `x` is longer than `out` by `width - 1`.
    fn box_of_squares(x: &[f32], width: usize, share: f32, out: &mut [f32]) {
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
            for lane in 0..LANES {
                out[at + lane] = one[lane] * share;
                out[at + LANES + lane] = two[lane] * share;
            }
            at += 2 * LANES;
        }
        for index in at..n {
            let mut total = 0.0;
            for value in &x[index..index + width] {
                total += value * value;
            }
            out[index] = total * share;
        }
    }
}

twice! {
    /// Adds the places in `from..to` at which `x` is at least `least`, higher than before and not lower than after. The
    /// first and the last value of `x` are none.
    fn tops(x: &[f32], least: f32, from: usize, to: usize, out: &mut Vec<usize>) {
        let (from, to) = (from.max(1), to.min(x.len().saturating_sub(1)));
        let is_top = |before: f32, here: f32, after: f32| (here >= least) & (here > before) & (here >= after);
        let mut at = from;
        while at + LANES <= to {
            let (before, here, after) = (eight(x, at - 1), eight(x, at), eight(x, at + 1));
            let mut any = false;
            for lane in 0..LANES {
                any |= is_top(before[lane], here[lane], after[lane]);
            }
            if any {
                for lane in 0..LANES {
                    if is_top(before[lane], here[lane], after[lane]) {
                        out.push(at + lane);
                    }
                }
            }
            at += LANES;
        }
        for at in at..to {
            if is_top(x[at - 1], x[at], x[at + 1]) {
                out.push(at);
            }
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
        box_of_squares(&x, 5, 1.0, &mut squares);
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
    fn a_cubic_is_taken_away() {
        let cubic = [3.0, -1.0, 0.5, 2.0];
        let x: Vec<f32> = (0..29)
            .map(|i| {
                let t = (i as f32 + 4.0) * 0.02;
                3.0 - t + 0.5 * t * t + 2.0 * t * t * t
            })
            .collect();
        let mut out = vec![9.0; 29];
        less_cubic(&x, cubic, 4.0, 0.02, &mut out);
        assert!(out.iter().all(|v| v.abs() < 1e-5));
    }

    #[test]
    fn every_few_values_of_a_filter_are_the_plain_sums() {
        let x = values(60);
        let taps: Vec<f32> = (0..19).map(|i| 0.1 * i as f32).collect();
        let mut out = vec![7.0; 12];
        fir_every(&x, &taps, 5, &mut out);
        for (k, value) in out.iter().enumerate().take(9) {
            let expect: f32 = (0..19).map(|j| taps[j] * x[k * 5 + j]).sum();
            assert!((value - expect).abs() < 1e-3, "{k}");
        }
        assert_eq!(out[9..], [7.0; 3]);
    }

    #[test]
    fn the_farthest_value_is_found() {
        for n in [1, 7, 8, 9, 50] {
            let x = values(n);
            for (base, upward) in [(0.0, 1.15), (5.0, 1.0), (-40.0, 1.15)] {
                let height = |v: f32| (upward * (v - base)).max(base - v);
                let (place, most) = farthest(&x, base, upward);
                assert_eq!(height(x[place]), most);
                assert!(x.iter().all(|v| height(*v) <= most) && x[..place].iter().all(|v| height(*v) < most));
            }
        }
        assert_eq!(farthest(&[], 0.0, 1.0), (0, f32::NEG_INFINITY));
    }

    #[test]
    fn moments_are_plain_sums() {
        for n in [0, 5, 8, 46] {
            let x: Vec<f32> = values(n).iter().map(|v| v.abs()).collect();
            let root = |i: usize| (x[i] - 3.0).max(0.0).sqrt();
            for (power, got) in moments_of_roots(&x, 3.0).into_iter().enumerate() {
                let expect: f32 = (0..n).map(|i| root(i) * (i as f32).powi(power as i32)).sum();
                assert!((got - expect).abs() <= 1e-4 * expect.abs(), "{n} {power}");
            }
        }
    }

    #[test]
    fn tops_are_higher_than_before_and_not_lower_than_after() {
        let mut x = values(70);
        x[40] = x[41];
        for (from, to, least) in [(0, 70, -100.0), (3, 66, 5.0), (20, 50, 0.0), (60, 20, 0.0)] {
            let mut got = Vec::new();
            tops(&x, least, from, to, &mut got);
            let expect: Vec<usize> = (from.max(1)..to.min(69))
                .filter(|i| x[*i] >= least && x[*i] > x[i - 1] && x[*i] >= x[i + 1])
                .collect();
            assert_eq!(got, expect);
        }
        tops(&[], 0.0, 0, 0, &mut Vec::new());
    }
}
