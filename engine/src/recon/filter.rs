//! The ramp filter of back-projection.
//!
//! Kak & Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3.3: the kernel is the band-limited
//! ramp sampled in space, `h(0) = 1/4d²`, `h(n) = -1/(pi n d)²` for odd n, else 0; its transform differs from |f|
//! near zero, which keeps the mean of the image. Rows are padded with zeros so that the convolution does not wrap.

use super::fft::{Fft, LANES, Split};
use super::padded::{PAD, Padded};
use rayon::prelude::*;
use std::f64::consts::{PI, TAU};

/// Rows of a batch: one in the real and one in the imaginary part of each lane; the filter is real and even, so they
/// do not mix.
const BATCH_ROWS: usize = 2 * LANES;

/// What the ramp is multiplied with against noise; `f` runs to the Nyquist frequency `fn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// The plain ramp (Ramachandran and Lakshminarayanan).
    #[default]
    Ramp,
    /// sinc(f / 2fn) (Shepp and Logan).
    SheppLogan,
    /// cos(pi f / 2fn).
    Cosine,
    /// (1 + cos(pi f / fn)) / 2.
    Hann,
}

impl Window {
    /// Factor at `f` of the Nyquist frequency, from 0 to 1.
    #[must_use]
    pub fn at(self, f: f64) -> f64 {
        match self {
            Self::Ramp => 1.0,
            Self::SheppLogan if f == 0.0 => 1.0,
            Self::SheppLogan => (PI * f / 2.0).sin() / (PI * f / 2.0),
            Self::Cosine => (PI * f / 2.0).cos(),
            Self::Hann => 0.5 + 0.5 * (PI * f).cos(),
        }
    }
}

/// A ramp filter for rows of one width.
#[derive(Debug)]
pub(super) struct Filter {
    fft: Fft,
    /// Response, with the convolution's step and the transform's length in it.
    response: Vec<f32>,
}

impl Filter {
    /// For rows of `width` samples `pitch_mm` apart.
    pub(super) fn new(width: usize, pitch_mm: f64, window: Window) -> Self {
        let length = (2 * width).next_power_of_two();
        let ramp = ramp_response(length);
        let scale = 1.0 / (pitch_mm * length as f64);
        let nyquist = length as f64 / 2.0;
        let response = (0..length)
            .map(|k| (ramp[k] * window.at(k.min(length - k) as f64 / nyquist) * scale) as f32)
            .collect();
        Self {
            fft: Fft::new(length),
            response,
        }
    }

    /// Filters every row in place.
    pub(super) fn apply(&self, rows: &mut Padded) {
        let (stride, width) = (rows.stride(), rows.width());
        rows.as_mut_slice()
            .par_chunks_mut(stride * BATCH_ROWS)
            .for_each_init(
                || (Split::zeros(self.fft.length()), Split::zeros(self.fft.length())),
                |(data, spare), batch| self.apply_batch(batch, (stride, width), data, spare),
            );
    }

    fn apply_batch(
        &self,
        batch: &mut [f32],
        (stride, width): (usize, usize),
        data: &mut Split,
        spare: &mut Split,
    ) {
        let zero = [0.0; LANES];
        data.re.fill(zero);
        data.im.fill(zero);
        for (row, values) in batch.chunks_exact(stride).enumerate() {
            let part = if row % 2 == 0 { &mut data.re } else { &mut data.im };
            for (to, value) in part.iter_mut().zip(&values[PAD..PAD + width]) {
                to[row / 2] = *value;
            }
        }
        self.fft.forward(data, spare);
        for ((re, im), factor) in data.re.iter_mut().zip(&mut data.im).zip(&self.response) {
            re.iter_mut().for_each(|v| *v *= factor);
            im.iter_mut().for_each(|v| *v *= factor);
        }
        self.fft.inverse(data, spare);
        for (row, values) in batch.chunks_exact_mut(stride).enumerate() {
            let part = if row % 2 == 0 { &data.re } else { &data.im };
            for (value, from) in values[PAD..PAD + width].iter_mut().zip(part) {
                *value = from[row / 2];
            }
        }
    }
}

/// Transform of the ramp for unit distance: real, since the kernel is even.
fn ramp_response(length: usize) -> Vec<f64> {
    let cosine: Vec<f64> = (0..length)
        .map(|k| (TAU * k as f64 / length as f64).cos())
        .collect();
    let half = length / 2;
    let odd: Vec<(usize, f64)> = (1..half.max(1))
        .step_by(2)
        .map(|n| (n, -2.0 / (PI * n as f64).powi(2)))
        .collect();
    let at = |k: usize| {
        let sum: f64 = odd.iter().map(|(n, h)| h * cosine[(n * k) & (length - 1)]).sum();
        0.25 + sum
    };
    let quarter: Vec<f64> = (0..=half).into_par_iter().map(at).collect();
    (0..length).map(|k| quarter[k.min(length - k)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_fall_from_one() {
        for (window, half, full) in [
            (Window::Ramp, 1.0, 1.0),
            (Window::SheppLogan, 0.900_316, 2.0 / PI),
            (Window::Cosine, (PI / 4.0).cos(), 0.0),
            (Window::Hann, 0.5, 0.0),
        ] {
            assert_eq!(window.at(0.0), 1.0);
            assert!(
                (window.at(0.5) - half).abs() < 1e-6 && (window.at(1.0) - full).abs() < 1e-6,
                "{window:?}"
            );
        }
    }

    /// The filter is the convolution with the kernel in space, to the precision of 32-bit numbers.
    #[test]
    fn equals_the_convolution_in_space() {
        for (width, count, pitch) in [(2, 1, 1.0), (13, 3, 0.7), (64, 17, 0.5), (65, 16, 2.0)] {
            let values: Vec<f32> = (0..width * count)
                .map(|i| ((i * i) as f32 * 0.37).sin())
                .collect();
            let mut rows = Padded::of(&values, width);
            Filter::new(width, pitch, Window::Ramp).apply(&mut rows);
            for row in 0..count {
                for k in 0..width {
                    let expect: f64 = (0..width)
                        .map(|j| {
                            let n = k.abs_diff(j) as f64;
                            let h = match k.abs_diff(j) {
                                0 => 0.25,
                                d if d % 2 == 1 => -1.0 / (PI * n).powi(2),
                                _ => 0.0,
                            };
                            h / pitch * f64::from(values[row * width + j])
                        })
                        .sum();
                    let got = f64::from(rows.row(row)[k]);
                    assert!(
                        (got - expect).abs() < 2e-6 / pitch,
                        "{width} {row} {k}: {got} {expect}"
                    );
                }
            }
            assert!(rows.starting_at(0)[..PAD].iter().all(|v| *v == 0.0));
        }
    }
}
