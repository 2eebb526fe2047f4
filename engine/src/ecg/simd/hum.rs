//! Loops over sub-blocks of a lead: what each says about a sinusoid, and taking the sinusoid away.

use super::{LANES, eight};

/// Values of eight sub-blocks at eight columns.
type Tile = [[f32; LANES]; LANES];

/// Sums of each sub-block, kept apart so that eight stand side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sums {
    /// Rough signal times cosine.
    pub(crate) re: Vec<f32>,
    /// Rough signal times sine.
    pub(crate) im: Vec<f32>,
    /// Squares of the rough signal.
    pub(crate) power: Vec<f32>,
}

impl Sums {
    pub(crate) fn zero(count: usize) -> Self {
        Self {
            re: vec![0.0; count],
            im: vec![0.0; count],
            power: vec![0.0; count],
        }
    }
}

/// For the sub-blocks `first..end`, each of `cosine.len()` samples: the sums of `r cosine`, `r sine` and `r r`, where
/// `r[i] = x[i + half] - (x[i] + x[i + 2 half]) / 2`. `x` begins `half` samples before the first of them and is longer
/// than all together by `2 half`; the length of a sub-block is a multiple of eight.
pub(crate) fn demodulate(
    x: &[f32],
    half: usize,
    cosine: &[f32],
    sine: &[f32],
    first: usize,
    end: usize,
    out: &mut Sums,
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide(
            x: &[f32],
            half: usize,
            cosine: &[f32],
            sine: &[f32],
            first: usize,
            end: usize,
            out: &mut Sums,
        ) {
            demodulate_by(|tile| turned_wide(tile), x, half, cosine, sine, first..end, out);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was found on this processor.
            return unsafe { wide(x, half, cosine, sine, first, end, out) };
        }
    }
    demodulate_by(turned, x, half, cosine, sine, first..end, out);
}

/// Eight sub-blocks at a time, one a lane; the columns of a sub-block are added in their order.
#[inline(always)]
fn demodulate_by(
    turn: impl Fn(&Tile) -> Tile,
    x: &[f32],
    half: usize,
    cosine: &[f32],
    sine: &[f32],
    which: std::ops::Range<usize>,
    out: &mut Sums,
) {
    let length = cosine.len();
    let rough = |at: usize| x[at + half] - 0.5 * (x[at] + x[at + 2 * half]);
    let mut index = which.start;
    while index + LANES <= which.end {
        let start = (index - which.start) * length;
        let (mut re, mut im, mut power) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
        let mut column = 0;
        while column + LANES <= length {
            let mut tile = [[0.0_f32; LANES]; LANES];
            for (lane, row) in tile.iter_mut().enumerate() {
                let at = start + lane * length + column;
                let (before, here, after) = (eight(x, at), eight(x, at + half), eight(x, at + 2 * half));
                for k in 0..LANES {
                    row[k] = here[k] - 0.5 * (before[k] + after[k]);
                }
            }
            let (c, s) = (eight(cosine, column), eight(sine, column));
            for (k, values) in turn(&tile).iter().enumerate() {
                for lane in 0..LANES {
                    re[lane] += values[lane] * c[k];
                    im[lane] += values[lane] * s[k];
                    power[lane] += values[lane] * values[lane];
                }
            }
            column += LANES;
        }
        out.re[index..index + LANES].copy_from_slice(&re);
        out.im[index..index + LANES].copy_from_slice(&im);
        out.power[index..index + LANES].copy_from_slice(&power);
        index += LANES;
    }
    for index in index..which.end {
        let start = (index - which.start) * length;
        let (mut re, mut im, mut power) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (column, (c, s)) in cosine.iter().zip(sine).enumerate() {
            let value = rough(start + column);
            re += value * c;
            im += value * s;
            power += value * value;
        }
        (out.re[index], out.im[index], out.power[index]) = (re, im, power);
    }
}

/// Rows become columns.
#[inline(always)]
fn turned(tile: &Tile) -> Tile {
    let mut out = [[0.0_f32; LANES]; LANES];
    for (row, values) in tile.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            out[column][row] = *value;
        }
    }
    out
}

/// The same in registers: pairs, fours, halves.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn turned_wide(tile: &Tile) -> Tile {
    use std::arch::x86_64::{
        __m256, _mm256_permute2f128_ps, _mm256_shuffle_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };
    // SAFETY: eight floats and a register of eight floats are the same bytes.
    let rows: [__m256; LANES] = unsafe { std::mem::transmute(*tile) };
    let low = |a: usize| _mm256_unpacklo_ps(rows[a], rows[a + 1]);
    let high = |a: usize| _mm256_unpackhi_ps(rows[a], rows[a + 1]);
    let pairs = [low(0), high(0), low(2), high(2), low(4), high(4), low(6), high(6)];
    let fours = |a: usize, b: usize| {
        [
            _mm256_shuffle_ps::<0x44>(pairs[a], pairs[b]),
            _mm256_shuffle_ps::<0xEE>(pairs[a], pairs[b]),
        ]
    };
    let ([a, b], [c, d]) = (fours(0, 2), fours(1, 3));
    let ([e, f], [g, h]) = (fours(4, 6), fours(5, 7));
    let first = |x, y| _mm256_permute2f128_ps::<0x20>(x, y);
    let second = |x, y| _mm256_permute2f128_ps::<0x31>(x, y);
    let out: [__m256; LANES] = [
        first(a, e),
        first(b, f),
        first(c, g),
        first(d, h),
        second(a, e),
        second(b, f),
        second(c, g),
        second(d, h),
    ];
    // SAFETY: as above.
    unsafe { std::mem::transmute(out) }
}

twice! {
    /// Turns complex values by a phase that falls by `turns` (in full circles) from each value to the next and is zero at
    /// the first: `out[j] = (re[j] - i im[j]) exp(-2 pi i turns j)`. All four are equally long.
    fn brought_down(re: &[f32], im: &[f32], turns: f64, out_re: &mut [f32], out_im: &mut [f32]) {
        let angle = |steps: f64| {
            let (sine, cosine) = (-std::f64::consts::TAU * (turns * steps).fract()).sin_cos();
            [cosine, sine]
        };
        let (mut lane_re, mut lane_im) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for lane in 0..LANES {
            let [cosine, sine] = angle(lane as f64);
            (lane_re[lane], lane_im[lane]) = (cosine as f32, sine as f32);
        }
        let [step_re, step_im] = angle(LANES as f64);
        let [mut phase_re, mut phase_im] = [1.0_f64, 0.0];
        let (values, others) = (re.chunks(LANES).zip(im.chunks(LANES)), out_re.chunks_mut(LANES).zip(out_im.chunks_mut(LANES)));
        for ((re, im), (to_re, to_im)) in values.zip(others) {
            let (a, b) = (phase_re as f32, phase_im as f32);
            let (mut c, mut s) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            for lane in 0..LANES {
                c[lane] = lane_re[lane] * a - lane_im[lane] * b;
                s[lane] = lane_re[lane] * b + lane_im[lane] * a;
            }
            match (re.as_array::<LANES>(), im.as_array::<LANES>(), to_re.as_mut_array::<LANES>(), to_im.as_mut_array::<LANES>()) {
                (Some(re), Some(im), Some(to_re), Some(to_im)) => {
                    for lane in 0..LANES {
                        to_re[lane] = re[lane] * c[lane] + im[lane] * s[lane];
                        to_im[lane] = re[lane] * s[lane] - im[lane] * c[lane];
                    }
                }
                (_, _, _, _) => {
                    for (lane, (x, y)) in re.iter().zip(im).enumerate() {
                        to_re[lane] = x * c[lane] + y * s[lane];
                        to_im[lane] = x * s[lane] - y * c[lane];
                    }
                }
            }
            let next = phase_re * step_re - phase_im * step_im;
            phase_im = phase_re * step_im + phase_im * step_re;
            phase_re = next;
        }
    }
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
            let (whole, rest) = part.as_chunks_mut::<LANES>();
            for (group, values) in whole.iter_mut().enumerate() {
                let at = group * LANES;
                let (c, s, rc, rs) = (eight(c, at), eight(s, at), eight(rc, at), eight(rs, at));
                for lane in 0..LANES {
                    values[lane] -= a.re * c[lane] - a.im * s[lane]
                        + (a.change_re * rc[lane] - a.change_im * rs[lane]);
                }
            }
            for (offset, value) in rest.iter_mut().enumerate() {
                let at = n / LANES * LANES + offset;
                *value -= a.re * c[at] - a.im * s[at] + (a.change_re * rc[at] - a.change_im * rs[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    #[test]
    fn a_carrier_is_taken_away() {
        let angle = |i: usize| 0.7 * i as f32;
        for length in [16, 11] {
            let share = |i: usize| i as f32 / length as f32;
            let carrier = Carrier {
                cosine: (0..length).map(|i| angle(i).cos()).collect(),
                sine: (0..length).map(|i| angle(i).sin()).collect(),
                rising_cosine: (0..length).map(|i| share(i) * angle(i).cos()).collect(),
                rising_sine: (0..length).map(|i| share(i) * angle(i).sin()).collect(),
            };
            let amplitude = Amplitude {
                re: 2.0,
                im: 1.0,
                change_re: -0.5,
                change_im: 0.25,
            };
            let mut hum: Vec<f32> = (0..length)
                .map(|i| {
                    let t = share(i);
                    (2.0 - 0.5 * t) * angle(i).cos() - (1.0 + 0.25 * t) * angle(i).sin()
                })
                .collect();
            subtract_carrier(&mut hum, &carrier, &[amplitude]);
            assert!(hum.iter().all(|v| v.abs() < 1e-5));
        }
    }

    /// Each sub-block, whether it comes among eight or alone, has the sums of its own samples.
    #[test]
    fn demodulation_finds_the_amplitude() {
        let half = 5;
        for (length, count) in [(16, 2), (8, 8), (16, 11), (8, 21)] {
            let angle = |i: usize| TAU * 0.1 * i as f32;
            let cosine: Vec<f32> = (0..length).map(|i| angle(i).cos()).collect();
            let sine: Vec<f32> = (0..length).map(|i| angle(i).sin()).collect();
            // Half a period to either side the sinusoid is upside down: the rough signal is twice as large.
            let x: Vec<f32> = (0..length * count + 2 * half)
                .map(|i| (3.0 + i as f32 * 0.01) * angle(i + 5).cos())
                .collect();
            let mut out = Sums::zero(count + 1);
            demodulate(&x, half, &cosine, &sine, 1, count + 1, &mut out);
            assert_eq!((out.re[0], out.power[0]), (0.0, 0.0));
            for block in 0..count {
                let rough = |i: usize| {
                    let at = block * length + i;
                    x[at + half] - 0.5 * (x[at] + x[at + 2 * half])
                };
                let sum = |f: &dyn Fn(usize) -> f32| (0..length).map(f).sum::<f32>();
                let close = |a: f32, b: f32| (a - b).abs() < 0.01;
                assert!(
                    close(out.re[block + 1], sum(&|i| rough(i) * cosine[i])),
                    "{block}"
                );
                assert!(close(out.im[block + 1], sum(&|i| rough(i) * sine[i])), "{block}");
                assert!(
                    close(out.power[block + 1], sum(&|i| rough(i) * rough(i))),
                    "{block}"
                );
            }
            let mut plain = Sums::zero(count + 1);
            demodulate_by(turned, &x, half, &cosine, &sine, 1..count + 1, &mut plain);
            assert_eq!(out, plain);
        }
    }

    #[test]
    fn a_turning_phase_is_brought_to_rest() {
        for count in [1, 7, 8, 19, 700] {
            let turns = 1.5937;
            let phase = |j: usize| TAU * ((turns * j as f64).fract() as f32);
            let re: Vec<f32> = (0..count).map(|j| 2.0 * phase(j).cos()).collect();
            let im: Vec<f32> = (0..count).map(|j| -2.0 * phase(j).sin()).collect();
            let (mut a, mut b) = (vec![0.0; count], vec![0.0; count]);
            brought_down(&re, &im, turns, &mut a, &mut b);
            assert!(a.iter().all(|v| (v - 2.0).abs() < 1e-4), "{count}: {a:?}");
            assert!(b.iter().all(|v| v.abs() < 1e-4));
        }
    }
}
