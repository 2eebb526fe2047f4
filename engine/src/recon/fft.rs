//! Fourier transforms of many rows side by side: each step of the transform works on a whole vector of rows, so it
//! needs no shuffling and the compiler turns it into vector instructions.

use std::f64::consts::TAU;

/// Rows of a batch.
pub(super) const LANES: usize = 8;

/// One value of each row.
pub(super) type Lanes = [f32; LANES];

/// Complex transform of a length that is a power of two, Stockham's self-sorting form with radix 4 (C. Van Loan,
/// Computational Frameworks for the FFT, 1992, section 1.7).
#[derive(Debug)]
pub(super) struct Fft {
    length: usize,
    /// cos and sin of -2 pi k / length.
    turns: Vec<(f32, f32)>,
}

/// Real and imaginary parts.
#[derive(Debug, Clone)]
pub(super) struct Split {
    pub(super) re: Vec<Lanes>,
    pub(super) im: Vec<Lanes>,
}

impl Split {
    pub(super) fn zeros(length: usize) -> Self {
        Self {
            re: vec![[0.0; LANES]; length],
            im: vec![[0.0; LANES]; length],
        }
    }

    fn swap_parts(&mut self) {
        std::mem::swap(&mut self.re, &mut self.im);
    }
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] - b[i])
}

/// (re, im) times the turn.
#[inline(always)]
fn turn((re, im): (Lanes, Lanes), (c, s): (f32, f32)) -> (Lanes, Lanes) {
    (
        std::array::from_fn(|i| re[i] * c - im[i] * s),
        std::array::from_fn(|i| re[i] * s + im[i] * c),
    )
}

impl Fft {
    /// Transform of `length`, a power of two.
    pub(super) fn new(length: usize) -> Self {
        let turns = (0..length).map(|k| {
            let angle = -TAU * k as f64 / length as f64;
            (angle.cos() as f32, angle.sin() as f32)
        });
        Self {
            length,
            turns: turns.collect(),
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Forward transform of `data` in place; `spare` has the same length.
    pub(super) fn forward(&self, data: &mut Split, spare: &mut Split) {
        let (mut n, mut stride) = (self.length, 1);
        while n >= 4 {
            self.radix_4(n, stride, data, spare);
            std::mem::swap(data, spare);
            n /= 4;
            stride *= 4;
        }
        if n == 2 {
            for q in 0..stride {
                let (re, im) = (
                    (data.re[q], data.re[q + stride]),
                    (data.im[q], data.im[q + stride]),
                );
                (spare.re[q], spare.im[q]) = (add(re.0, re.1), add(im.0, im.1));
                (spare.re[q + stride], spare.im[q + stride]) = (sub(re.0, re.1), sub(im.0, im.1));
            }
            std::mem::swap(data, spare);
        }
    }

    /// Inverse transform times the length.
    pub(super) fn inverse(&self, data: &mut Split, spare: &mut Split) {
        data.swap_parts();
        self.forward(data, spare);
        data.swap_parts();
    }

    fn radix_4(&self, n: usize, stride: usize, from: &Split, to: &mut Split) {
        let quarter = n / 4 * stride;
        let ranges: [_; 4] = std::array::from_fn(|k| k * quarter..(k + 1) * quarter);
        let re: [&[Lanes]; 4] = ranges.clone().map(|r| &from.re[r]);
        let im: [&[Lanes]; 4] = ranges.map(|r| &from.im[r]);
        for p in 0..n / 4 {
            let turns: [(f32, f32); 3] = std::array::from_fn(|k| self.turns[(k + 1) * p * stride]);
            let out = 4 * p * stride..4 * (p + 1) * stride;
            let (out_re, out_im) = (&mut to.re[out.clone()], &mut to.im[out]);
            for q in 0..stride {
                let at = p * stride + q;
                let sum = |x: [&[Lanes]; 4]| {
                    (
                        (add(x[0][at], x[2][at]), sub(x[0][at], x[2][at])),
                        (add(x[1][at], x[3][at]), sub(x[1][at], x[3][at])),
                    )
                };
                let ((apc_re, amc_re), (bpd_re, bmd_re)) = sum(re);
                let ((apc_im, amc_im), (bpd_im, bmd_im)) = sum(im);
                // i (b - d) = (-bmd_im, bmd_re)
                (out_re[q], out_im[q]) = (add(apc_re, bpd_re), add(apc_im, bpd_im));
                let rest = [
                    (add(amc_re, bmd_im), sub(amc_im, bmd_re)),
                    (sub(apc_re, bpd_re), sub(apc_im, bpd_im)),
                    (sub(amc_re, bmd_im), add(amc_im, bmd_re)),
                ];
                for (k, value) in rest.into_iter().enumerate() {
                    (out_re[q + (k + 1) * stride], out_im[q + (k + 1) * stride]) = turn(value, turns[k]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(length: usize) -> Split {
        let value = |k: usize, i: usize, seed: f64| ((k * (i + 3)) as f64 * seed).sin() as f32;
        Split {
            re: (0..length)
                .map(|k| std::array::from_fn(|i| value(k, i, 0.7)))
                .collect(),
            im: (0..length)
                .map(|k| std::array::from_fn(|i| value(k, i, 1.3)))
                .collect(),
        }
    }

    #[test]
    fn equals_the_sum_that_defines_it_and_turns_back() {
        for length in [1, 2, 4, 8, 16, 32, 128] {
            let fft = Fft::new(length);
            let (start, mut data, mut spare) = (made(length), made(length), Split::zeros(length));
            fft.forward(&mut data, &mut spare);
            for k in 0..length {
                for lane in [0, LANES - 1] {
                    let (mut re, mut im) = (0.0, 0.0);
                    for j in 0..length {
                        let (s, c) = (-TAU * (j * k % length) as f64 / length as f64).sin_cos();
                        let (x, y) = (f64::from(start.re[j][lane]), f64::from(start.im[j][lane]));
                        re += x * c - y * s;
                        im += x * s + y * c;
                    }
                    let error = (re - f64::from(data.re[k][lane])).hypot(im - f64::from(data.im[k][lane]));
                    assert!(error < 2e-5 * length as f64, "{length} {k}: {error}");
                }
            }
            fft.inverse(&mut data, &mut spare);
            for (a, b) in data.re.iter().flatten().zip(start.re.iter().flatten()) {
                assert!((a / length as f32 - b).abs() < 1e-5, "{length}: {a} {b}");
            }
        }
    }
}
