//! Heart rate variability of the NN intervals (Task Force of the ESC and NASPE, Circulation 1996;93:1043).
//!
//! NN is the interval between two neighbouring conducted beats, in what can be read, outside atrial fibrillation,
//! between 0.3 and 2 s long and within a fifth of the median of the eleven intervals around it; what does not fit is
//! left out, not corrected. LF and HF are the means over five-minute segments of the power of the tachogram: a natural
//! cubic spline through the NN intervals at 4 Hz, freed of its linear trend, under a Hann window (Welch's method with
//! one window a segment).

use super::report::{Measured, Spectrum, Variability};
use super::series::Series;
use crate::ecg::spline::second_derivatives;

/// NN intervals that are possible, in seconds.
const NN_S: std::ops::RangeInclusive<f64> = 0.3..=2.0;
/// Relative distance from the usual interval around.
const OUTLIER_SHARE: f64 = 0.20;
const USUAL_REACH: usize = 5;
/// NN intervals without which nothing is measured: about five minutes.
const NN_MIN: usize = 250;
const SEGMENT_S: f64 = 300.0;
/// Share of a segment that NN intervals have to cover for its mean and for its spectrum.
const MEAN_COVER: f64 = 0.5;
const SPECTRUM_COVER: f64 = 0.9;
/// Longest hole in a segment whose spectrum is taken, in seconds.
const HOLE_S_MAX: f64 = 4.0;
/// Segments without which there is no SDANN.
const SEGMENTS_MIN: usize = 3;
/// Rate of the tachogram.
const TACHOGRAM_HZ: f64 = 4.0;
/// Bands, in hertz.
const VLF_HZ: [f64; 2] = [0.003, 0.04];
const LF_HZ: [f64; 2] = [0.04, 0.15];
const HF_HZ: [f64; 2] = [0.15, 0.40];

/// One NN interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nn {
    /// Beat at its begin.
    beat: usize,
    /// Time of its end in seconds.
    pub(super) at_s: f64,
    /// Its length in milliseconds.
    pub(super) ms: f64,
}

/// The NN intervals; `fibrillating` are ranges of beats.
pub(super) fn intervals(series: &Series, fibrillating: &[(usize, usize)]) -> Vec<Nn> {
    let mut next = 0;
    let mut all: Vec<Nn> = Vec::with_capacity(series.len());
    for beat in 0..series.len() {
        while fibrillating.get(next).is_some_and(|(_, last)| *last <= beat) {
            next += 1;
        }
        if fibrillating.get(next).is_some_and(|(first, _)| *first <= beat) {
            continue;
        }
        if let Some(seconds) = series.normal_interval_s(beat).filter(|s| NN_S.contains(s)) {
            all.push(Nn {
                beat,
                at_s: series.at_s(beat + 1),
                ms: 1e3 * seconds,
            });
        }
    }
    let mut window: Vec<f64> = Vec::with_capacity(2 * USUAL_REACH + 1);
    let kept = (0..all.len()).filter(|place| {
        let near = place.saturating_sub(USUAL_REACH)..(place + USUAL_REACH + 1).min(all.len());
        window.clear();
        window.extend(all[near].iter().map(|nn| nn.ms));
        let middle = window.len() / 2;
        let usual = *window.select_nth_unstable_by(middle, f64::total_cmp).1;
        (all[*place].ms - usual).abs() <= OUTLIER_SHARE * usual
    });
    kept.map(|place| all[place]).collect()
}

/// Everything over the whole recording.
pub(super) fn measure(nn: &[Nn]) -> Variability {
    let covered_s = nn.iter().map(|nn| nn.ms).sum::<f64>() / 1e3;
    let mut made = Variability {
        nn_intervals: nn.len() as u64,
        nn_time_s: covered_s,
        ..Variability::default()
    };
    if nn.len() < NN_MIN {
        made.give_reason(&format!(
            "{} NN intervals can be used; at least {NN_MIN} are needed",
            nn.len()
        ));
        return made;
    }
    let values: Vec<f64> = nn.iter().map(|nn| nn.ms).collect();
    made.mean_nn_ms = Measured::of(mean(&values));
    made.sdnn_ms = Measured::of(deviation(&values));
    let differences: Vec<f64> = nn
        .windows(2)
        .filter(|w| w[1].beat == w[0].beat + 1)
        .map(|w| w[1].ms - w[0].ms)
        .collect();
    if differences.is_empty() {
        made.rmssd_ms = Measured::missing("no two NN intervals follow each other");
        made.pnn50_percent = made.rmssd_ms.clone();
    } else {
        let squares = differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64;
        made.rmssd_ms = Measured::of(squares.sqrt());
        let large = differences.iter().filter(|d| d.abs() > 50.0).count();
        made.pnn50_percent = Measured::of(100.0 * large as f64 / differences.len() as f64);
    }
    segments(nn, &mut made);
    made
}

/// What is taken over five-minute segments.
fn segments(nn: &[Nn], made: &mut Variability) {
    let (mut means, mut deviations) = (Vec::new(), Vec::new());
    let mut spectra: Vec<Spectrum> = Vec::new();
    let mut from = 0;
    while let Some(first) = nn.get(from) {
        let index = (first.at_s / SEGMENT_S).floor();
        let end_s = (index + 1.0) * SEGMENT_S;
        let to = from + nn[from..].partition_point(|nn| nn.at_s < end_s);
        let part = &nn[from..to];
        let covered = part.iter().map(|nn| nn.ms).sum::<f64>() / 1e3 / SEGMENT_S;
        let values: Vec<f64> = part.iter().map(|nn| nn.ms).collect();
        if covered >= MEAN_COVER {
            means.push(mean(&values));
            deviations.push(deviation(&values));
        }
        if covered >= SPECTRUM_COVER {
            spectra.extend(spectrum(part, index * SEGMENT_S));
        }
        from = to;
    }
    let short = format!(
        "{} five-minute segments can be used; at least {SEGMENTS_MIN} are needed",
        means.len()
    );
    if means.len() >= SEGMENTS_MIN {
        made.sdann_ms = Measured::of(deviation(&means));
        made.sdnn_index_ms = Measured::of(mean(&deviations));
    } else {
        made.sdann_ms = Measured::missing(&short);
        made.sdnn_index_ms = Measured::missing(&short);
    }
    made.segments = spectra.len() as u64;
    made.put_spectrum(&spectra);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Standard deviation of a sample (n - 1).
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}

/// Power of one segment by bands; `None` where a hole is too long.
fn spectrum(part: &[Nn], start_s: f64) -> Option<Spectrum> {
    let (first, last) = (part.first()?, part.last()?);
    let holes = part.windows(2).any(|w| w[1].at_s - w[0].at_s > HOLE_S_MAX);
    let ends = first.at_s - start_s > HOLE_S_MAX || start_s + SEGMENT_S - last.at_s > HOLE_S_MAX;
    if holes || ends || part.len() < 8 {
        return None;
    }
    let mut signal = tachogram(part, start_s);
    detrend(&mut signal);
    let n = signal.len();
    let mut window_power = 0.0;
    for (at, value) in signal.iter_mut().enumerate() {
        let weight = 0.5 - 0.5 * (std::f64::consts::TAU * at as f64 / n as f64).cos();
        *value *= weight;
        window_power += weight * weight;
    }
    let step_hz = TACHOGRAM_HZ / n as f64;
    let mut made = Spectrum::default();
    let bins = (HF_HZ[1] / step_hz).ceil() as usize;
    for bin in 1..=bins {
        let hz = bin as f64 * step_hz;
        let power = 2.0 * power_at(&signal, bin as f64 / n as f64) / (TACHOGRAM_HZ * window_power) * step_hz;
        let within = |band: [f64; 2]| hz >= band[0] && hz < band[1];
        if within(VLF_HZ) {
            made.vlf_ms2 += power;
        } else if within(LF_HZ) {
            made.lf_ms2 += power;
        } else if within(HF_HZ) {
            made.hf_ms2 += power;
        }
    }
    Some(made)
}

/// Squared size of the Fourier sum at `share` of the sampling rate (Goertzel).
fn power_at(signal: &[f64], share: f64) -> f64 {
    let factor = 2.0 * (std::f64::consts::TAU * share).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for value in signal {
        let next = value + factor * one - two;
        two = one;
        one = next;
    }
    one * one + two * two - factor * one * two
}

/// The natural cubic spline through the NN intervals at even times; level before the first and behind the last.
fn tachogram(part: &[Nn], start_s: f64) -> Vec<f64> {
    let n = part.len();
    let places: Vec<(f64, f64)> = part.iter().map(|nn| (nn.at_s, nn.ms)).collect();
    let bends = second_derivatives(&places);
    let count = (SEGMENT_S * TACHOGRAM_HZ) as usize;
    let mut out = Vec::with_capacity(count);
    let mut right = 1;
    for at in 0..count {
        let t = start_s + at as f64 / TACHOGRAM_HZ;
        while right < n - 1 && part[right].at_s < t {
            right += 1;
        }
        let (a, b) = (&part[right - 1], &part[right]);
        let t = t.clamp(a.at_s, b.at_s);
        let h = b.at_s - a.at_s;
        let (u, v) = ((b.at_s - t) / h, (t - a.at_s) / h);
        let bend = (u * u * u - u) * bends[right - 1] + (v * v * v - v) * bends[right];
        out.push(u * a.ms + v * b.ms + bend * h * h / 6.0);
    }
    out
}

/// Takes mean and slope off.
fn detrend(signal: &mut [f64]) {
    let n = signal.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = mean(signal);
    let (mut product, mut square) = (0.0, 0.0);
    for (at, value) in signal.iter().enumerate() {
        let x = at as f64 - middle;
        product += x * value;
        square += x * x;
    }
    let slope = if square > 0.0 { product / square } else { 0.0 };
    for (at, value) in signal.iter_mut().enumerate() {
        *value -= mean + slope * (at as f64 - middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::beats::BeatClass;
    use crate::ecg::holter::series::{Series, Settled, series_of};
    use std::f64::consts::TAU;

    /// Half an hour of beats at 1000 Hz whose intervals swing by known sizes at 0.1 and 0.25 Hz.
    fn swinging(lf_ms: f64, hf_ms: f64) -> Series {
        let mut beats = Vec::new();
        let mut at = 0.5_f64;
        while at < 1_800.0 {
            beats.push(Settled {
                sample: (at * 1e3).round() as u64,
                class: BeatClass::Normal,
                template: None,
            });
            at += 0.8 + 1e-3 * (lf_ms * (TAU * 0.1 * at).sin() + hf_ms * (TAU * 0.25 * at).sin());
        }
        Series::new(beats, &[], 1_000.0, 1_800_000)
    }

    #[test]
    fn bands_hold_the_power_of_what_swings_in_them() {
        let series = swinging(30.0, 20.0);
        let got = measure(&intervals(&series, &[]));
        // A swing of amplitude a has the power a a / 2.
        let near = |value: &Measured, expect: f64| {
            let got = value.value.unwrap();
            assert!((got / expect - 1.0).abs() < 0.08, "{got} {expect}");
        };
        near(&got.lf_ms2, 450.0);
        near(&got.hf_ms2, 200.0);
        near(&got.lf_hf, 2.25);
        near(&got.sdnn_ms, 650.0_f64.sqrt());
        assert!(got.vlf_ms2.value.unwrap() < 5.0);
        assert_eq!((got.segments, got.lf_ms2.reason), (6, None));
    }

    #[test]
    fn time_domain_by_hand() {
        let intervals_ms = [800, 860, 800, 860];
        let series = series_of(&"N".repeat(401), &intervals_ms);
        let got = measure(&intervals(&series, &[]));
        assert_eq!(got.nn_intervals, 400);
        assert!((got.mean_nn_ms.value.unwrap() - 830.0).abs() < 1e-9);
        assert!((got.rmssd_ms.value.unwrap() - 60.0).abs() < 1e-9);
        assert!((got.pnn50_percent.value.unwrap() - 100.0).abs() < 1e-9);
        assert!((got.sdnn_ms.value.unwrap() - 30.0 * (400.0_f64 / 399.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn ectopic_beats_and_outliers_are_left_out() {
        let mut ms = vec![800; 600];
        let mut text: Vec<char> = vec!['N'; 600];
        // An early beat with its pause, and a beat that was missed.
        (text[100], ms[99], ms[100]) = ('V', 500, 1_100);
        ms[300] = 1_600;
        let text: String = text.into_iter().collect();
        let series = series_of(&text, &ms);
        let got = intervals(&series, &[]);
        assert_eq!(got.len(), 599 - 3);
        assert!(measure(&got).sdnn_ms.value.unwrap() < 1e-6);
        // Fibrillation is no NN.
        assert_eq!(intervals(&series, &[(200, 400)]).len(), 599 - 2 - 200);
    }

    #[test]
    fn too_little_has_a_reason() {
        let got = measure(&intervals(&series_of("NNNN", &[800]), &[]));
        assert!(got.sdnn_ms.value.is_none() && got.sdnn_ms.reason.is_some());
        assert!(got.lf_hf.reason.is_some() && got.sdann_ms.reason.is_some());
        let got = measure(&intervals(&series_of(&"N".repeat(500), &[800]), &[]));
        assert!(got.sdnn_ms.value.is_some() && got.sdann_ms.reason.is_some());
    }
}
