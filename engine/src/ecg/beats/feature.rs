//! The detection signal: energy of the QRS band, at a reduced rate, of one lead or of several together.

use std::ops::Range;

use crate::ecg::simd;

/// Rate that the detection signal is brought near to, in hertz.
const FEATURE_RATE_HZ: f64 = 125.0;
/// Width of the mean that takes muscle noise and mains away, in seconds.
const SMOOTH_S: f64 = 0.022;
/// Hop of the local levels of a lead, in seconds.
const LEVEL_HOP_S: f64 = 2.0;

/// One lead at the reduced rate.
pub(super) struct Lane {
    /// Signal freed of what is faster than a QRS, microvolts.
    pub(super) smooth: Vec<f32>,
    /// Level of its QRS complexes (root of the energy).
    pub(super) level: f32,
    /// Place among the leads given.
    pub(super) lead: usize,
    /// How far its beats stand out of what lies between them, by blocks of [`LEVEL_HOP_S`].
    clearness: Vec<f32>,
}

/// The detection signal of all leads.
pub(super) struct Fused {
    /// Samples of the record for one of the detection signal.
    pub(super) factor: usize,
    /// Rate of the detection signal in hertz.
    pub(super) rate_hz: f64,
    /// Root of the energy, in units of the leads' own levels (microvolts for one lead).
    pub(super) amplitude: Vec<f32>,
    /// The leads that take part.
    pub(super) lanes: Vec<Lane>,
}

impl Fused {
    pub(super) fn new(leads: &[&[f32]], sampling_rate_hz: f64) -> Self {
        let factor = (sampling_rate_hz / FEATURE_RATE_HZ).round().max(1.0) as usize;
        let rate_hz = sampling_rate_hz / factor as f64;
        let filters = Filters::new(rate_hz);
        let mut mix = Mix::default();
        let mut lanes = Vec::new();
        for (lead, samples) in leads.iter().enumerate() {
            let (smooth, energy) = filters.run_reduced(samples, factor);
            let local = Local::new(&energy, rate_hz, leads.len() > 1);
            let level = median(&mut local.tops.clone()).sqrt();
            if level <= 0.0 {
                continue;
            }
            if leads.len() == 1 {
                mix.energy = energy;
                if local.is_noisy() {
                    let (_, sharp) = Filters::sharp(filters.window).run(&smooth);
                    sharpen(&mut mix.energy, &sharp, rate_hz);
                }
            } else {
                mix.add(&energy, &local);
            }
            lanes.push(Lane {
                smooth,
                level,
                lead,
                clearness: local.clearness,
            });
        }
        Self {
            factor,
            rate_hz,
            amplitude: mix.amplitude(),
            lanes,
        }
    }

    /// Power of the noise around a place over that of the beats there, over all lanes: 0 in a clean recording.
    pub(super) fn noise_share(&self, at: usize) -> f32 {
        let block = at / Local::block(self.rate_hz);
        let (mut noise, mut weight) = (0.0, 0.0);
        for lane in &self.lanes {
            if let Some(clearness) = lane.clearness.get(block).or(lane.clearness.last()) {
                noise += lane.level * lane.level / clearness;
                weight += lane.level * lane.level;
            }
        }
        if weight > 0.0 { noise / weight } else { 0.0 }
    }

    /// Steepest slope near a place, in units of the leads' levels: a T wave as high as a QRS is far less steep.
    pub(super) fn sharpness(&self, at: usize) -> f32 {
        const REACH_S: f64 = 0.070;
        let reach = (REACH_S * self.rate_hz).round() as usize;
        let block = at / Local::block(self.rate_hz);
        let (mut sum, mut weights) = (0.0, 0.0);
        for lane in &self.lanes {
            let near = &lane.smooth[at.saturating_sub(reach)..(at + reach + 1).min(lane.smooth.len())];
            let mut steepest = 0.0_f32;
            for pair in near.windows(2) {
                steepest = steepest.max((pair[1] - pair[0]).abs());
            }
            let clearness = lane
                .clearness
                .get(block)
                .or(lane.clearness.last())
                .copied()
                .unwrap_or(1.0);
            sum += clearness * (steepest / lane.level).powi(2);
            weights += clearness;
        }
        if weights > 0.0 {
            (sum / weights).sqrt()
        } else {
            0.0
        }
    }

    /// The lane by which beats are timed: the first that is not far less clear than the clearest and not much lower
    /// than the highest.
    pub(super) fn leading(&self) -> Option<&Lane> {
        const CLEAR_SHARE: f32 = 0.1;
        const HEIGHT_SHARE: f32 = 0.4;
        let usual = |lane: &Lane| median(&mut lane.clearness.clone());
        let clearest = self.lanes.iter().map(usual).fold(0.0, f32::max);
        let clear = self
            .lanes
            .iter()
            .filter(|lane| usual(lane) >= CLEAR_SHARE * clearest);
        let highest = clear.clone().map(|lane| lane.level).fold(0.0, f32::max);
        clear
            .into_iter()
            .find(|lane| lane.level >= HEIGHT_SHARE * highest)
    }
}

/// Replaces the energy by that of a higher band where noise stands in the lower one and the higher one is clearer.
///
/// Movement of the electrodes lies below 10 Hz and muscle noise above 20 Hz, the QRS on both sides: the band in which
/// its beats stand out farther and more evenly counts more, block by block. Where there is little noise nothing changes.
fn sharpen(energy: &mut [f32], sharp: &[f32], rate_hz: f64) {
    /// Over which share of the least clearness the higher band comes in.
    const COMES_IN: f32 = 0.3;
    /// Power of the ratio of trusts: the better band takes nearly all.
    const BETTER_POWER: i32 = 3;
    let (own, other) = (
        Local::new(energy, rate_hz, true),
        Local::new(sharp, rate_hz, true),
    );
    let blocks = own.levels.iter().zip(&other.levels).enumerate();
    let shares: Vec<[f32; 2]> = blocks
        .map(|(at, (level, sharp_level))| {
            let gate = ((Local::NOISY / own.clearness[at] - 1.0) / COMES_IN).clamp(0.0, 1.0);
            let better = other.weights[at] / own.weights[at].max(f32::MIN_POSITIVE);
            let odds = gate * better.min(100.0).powi(BETTER_POWER);
            let share = odds / (1.0 + odds);
            [1.0 - share, share * level / sharp_level.max(f32::MIN_POSITIVE)]
        })
        .collect();
    let Some(last) = shares.len().checked_sub(1) else {
        return;
    };
    // Shares change in straight lines from edge to edge of the blocks.
    let edge = |at: usize| {
        let (a, b) = (shares[at.saturating_sub(1).min(last)], shares[at.min(last)]);
        [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])]
    };
    let step = 1.0 / own.block as f32;
    let blocks = energy.chunks_mut(own.block).zip(sharp.chunks(own.block));
    for (at, (values, sharp)) in blocks.enumerate() {
        let (from, to) = (edge(at), edge(at + 1));
        for (index, (value, sharp)) in values.iter_mut().zip(sharp).enumerate() {
            let way = index as f32 * step;
            let share = |which: usize| from[which] + way * (to[which] - from[which]);
            *value = *value * share(0) + sharp * share(1);
        }
    }
}

/// Sum of the leads' energies, each in units of its level and weighted by how far it can be trusted, both where they
/// are.
#[derive(Default)]
struct Mix {
    energy: Vec<f32>,
    weights: Vec<f32>,
    block: usize,
}

impl Mix {
    fn add(&mut self, energy: &[f32], local: &Local) {
        const MOST_LEVELS: f32 = 3.0;
        if self.energy.is_empty() {
            self.energy = vec![0.0; energy.len()];
            self.weights = vec![0.0; local.clearness.len()];
            self.block = local.block;
        }
        for (sum, weight) in self.weights.iter_mut().zip(&local.weights) {
            *sum += weight;
        }
        let blocks = self
            .energy
            .chunks_mut(local.block)
            .zip(energy.chunks(local.block));
        for (index, (sums, values)) in blocks.enumerate() {
            let (from, to) = (local.scale_at(index), local.scale_at(index + 1));
            let step = (to - from) / local.block as f32;
            // What is far higher than the beats of its lead says no more than that it is high.
            let most = MOST_LEVELS * local.weights.get(index).copied().unwrap_or(0.0);
            let mut scale = from;
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += (value * scale).min(most);
                scale += step;
            }
        }
    }

    fn amplitude(mut self) -> Vec<f32> {
        if self.weights.is_empty() {
            for value in &mut self.energy {
                *value = value.sqrt();
            }
            return self.energy;
        }
        for (values, weight) in self.energy.chunks_mut(self.block).zip(&self.weights) {
            let share = 1.0 / weight.max(f32::MIN_POSITIVE);
            for value in values {
                *value = (*value * share).sqrt();
            }
        }
        self.energy
    }
}

/// Level and clearness of one lead by blocks.
struct Local {
    block: usize,
    /// Highest energy of each block.
    tops: Vec<f32>,
    /// Usual highest energy around each block.
    levels: Vec<f32>,
    /// Level over the median energy, around each block.
    clearness: Vec<f32>,
    /// How far the lead is trusted around each block: clear, steady from block to block, and not much weaker than others.
    weights: Vec<f32>,
}

impl Local {
    /// Clearness below which noise stands between the beats.
    const NOISY: f32 = 20.0;

    /// Whether there is noise anywhere.
    fn is_noisy(&self) -> bool {
        self.clearness.iter().any(|clear| *clear < Self::NOISY)
    }

    fn block(rate_hz: f64) -> usize {
        ((LEVEL_HOP_S * rate_hz) as usize).max(1)
    }

    /// Without `weighed` the weights are left out: a lead alone is always trusted.
    fn new(energy: &[f32], rate_hz: f64, weighed: bool) -> Self {
        const REACH_BLOCKS: usize = 4;
        const SEEN: usize = 48;
        // A lead that lies across the axis of the QRS shows P as its highest wave, clearly; it has little energy.
        const STRONG_POWER: f32 = 0.25;
        const CLEARNESS: std::ops::RangeInclusive<f32> = 1.0..=400.0;
        let block = Self::block(rate_hz);
        let count = energy.len().div_ceil(block);
        let (mut tops, mut middles) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut seen: Vec<f32> = Vec::with_capacity(2 * SEEN);
        tops.extend(energy.chunks(block).map(simd::highest));
        // The middles of eight blocks at a time.
        let step = (block / SEEN).max(1);
        let mut rows: Vec<[f32; 8]> = Vec::with_capacity(2 * SEEN);
        let (eights, rest) = energy.split_at(energy.len() / (8 * block) * 8 * block);
        for part in eights.chunks(8 * block) {
            rows.clear();
            let row = |at: usize| std::array::from_fn(|lane| part[lane * block + at]);
            rows.extend((0..block).step_by(step).map(row));
            middles.extend(simd::medians_of_lanes(&mut rows));
        }
        for part in rest.chunks(block) {
            seen.clear();
            seen.extend(part.iter().step_by((part.len() / SEEN).max(1)));
            middles.push(simd::median_of_few(&seen));
        }
        let (mut levels, mut clearness) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut weights = Vec::with_capacity(if weighed { count } else { 0 });
        for index in 0..count {
            let near = index.saturating_sub(REACH_BLOCKS)..(index + REACH_BLOCKS + 1).min(count);
            let level = simd::median_of_few(&tops[near.clone()]);
            // A burst of noise is shorter than what is around it.
            let middle = simd::median_of_few(&middles[near.clone()]).max(middles[index]);
            levels.push(level);
            let clear = (level / middle.max(f32::MIN_POSITIVE)).clamp(*CLEARNESS.start(), *CLEARNESS.end());
            clearness.push(clear);
            if weighed {
                seen.clear();
                seen.extend_from_slice(&tops[near]);
                weights.push(clear * steadiness(&mut seen) * level.powf(STRONG_POWER));
            }
        }
        Self {
            block,
            tops,
            levels,
            clearness,
            weights,
        }
    }

    /// Weight of an energy at the start of a block.
    fn scale_at(&self, index: usize) -> f32 {
        let last = self.levels.len().saturating_sub(1);
        let scale = |at: usize| {
            let at = at.min(last);
            let (level, weight) = (self.levels.get(at), self.weights.get(at));
            level
                .zip(weight)
                .map_or(0.0, |(l, w)| w / l.max(f32::MIN_POSITIVE))
        };
        0.5 * (scale(index.saturating_sub(1)) + scale(index))
    }
}

/// How alike the highest energies of neighbouring blocks are, from 1 (equal) to near 0: beats are as high as the beats
/// before them, bursts of noise are not. A burst stands out of its surroundings as clearly as a beat does.
fn steadiness(tops: &mut [f32]) -> f32 {
    const LEAST: f32 = 0.01;
    tops.sort_by(f32::total_cmp);
    let last = tops.len().saturating_sub(1);
    let at = |place: usize| tops.get(place).copied().unwrap_or(0.0).max(f32::MIN_POSITIVE);
    let low = at(tops.len() / 4);
    let (quartiles, highest) = (low / at(last - tops.len() / 4), low / at(last));
    quartiles.max(LEAST).powi(2) * highest.max(LEAST).sqrt()
}

/// Symmetric filters of the reduced rate, middle tap first.
struct Filters {
    smooth: Vec<f32>,
    /// About 5 to 20 Hz: the difference of moving means of the smooth signal.
    band: Vec<f32>,
    /// Length of a QRS.
    window: usize,
}

impl Filters {
    fn new(rate_hz: f64) -> Self {
        const TREND_S: f64 = 0.105;
        const WINDOW_S: f64 = 0.100;
        let mean = |width: usize| vec![1.0 / width as f64; width];
        let smooth = mean(odd(SMOOTH_S * rate_hz));
        let trend = convolved(&smooth, &mean(odd(TREND_S * rate_hz)));
        let mut band: Vec<f64> = trend.iter().map(|v| -v).collect();
        let start = (trend.len() - smooth.len()) / 2;
        for (value, tap) in band[start..].iter_mut().zip(&smooth) {
            *value += tap;
        }
        let half = |taps: &[f64]| taps[taps.len() / 2..].iter().map(|v| *v as f32).collect();
        Self {
            smooth: half(&smooth),
            band: half(&band),
            window: odd(WINDOW_S * rate_hz),
        }
    }

    /// The second difference of the smooth signal, about 15 to 30 Hz: what moves slowly is not in it.
    fn sharp(window: usize) -> Self {
        Self {
            smooth: vec![1.0],
            band: vec![1.0, -0.5],
            window,
        }
    }

    /// The same of a signal at a higher rate: means of `factor` samples; what is not finite there is held.
    fn run_reduced(&self, samples: &[f32], factor: usize) -> (Vec<f32>, Vec<f32>) {
        let means = |range: Range<usize>, out: &mut Vec<f32>| {
            let from = out.len();
            simd::reduce(&samples[range.start * factor..range.end * factor], factor, out);
            simd::all_finite(&out[from..])
        };
        self.run_over(samples.len() / factor.max(1), means)
            .unwrap_or_else(|| {
                let held = held(samples, factor);
                self.run(&held)
            })
    }

    /// The smooth signal, and the mean square of its band over the length of a QRS.
    fn run(&self, signal: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let copy = |range: Range<usize>, out: &mut Vec<f32>| {
            out.extend_from_slice(&signal[range]);
            true
        };
        self.run_over(signal.len(), copy).unwrap_or_default()
    }

    /// Works stretch by stretch, so that what lies between signal and energy never leaves the cache. `signal` adds a part
    /// of the signal to what it is given and answers whether it is finite; `None` as soon as it is not.
    ///
    /// Beyond its ends the signal is held, and its band is zero.
    fn run_over(
        &self,
        n: usize,
        signal: impl Fn(Range<usize>, &mut Vec<f32>) -> bool,
    ) -> Option<(Vec<f32>, Vec<f32>)> {
        const STRETCH: usize = 1 << 10;
        let (reach, half) = (self.band.len() - 1, self.window / 2);
        let margin = reach + half;
        let share = 1.0 / self.window as f32;
        let (mut smooth, mut energy) = (vec![0.0; n], vec![0.0; n]);
        let mut padded: Vec<f32> = Vec::with_capacity(STRETCH + 2 * margin);
        let mut band = vec![0.0; STRETCH + 2 * half];
        for from in (0..n).step_by(STRETCH) {
            let to = (from + STRETCH).min(n);
            let seen = from.saturating_sub(margin)..(to + margin).min(n);
            padded.clear();
            let before = margin - (from - seen.start);
            padded.resize(before, 0.0);
            if !signal(seen, &mut padded) {
                return None;
            }
            let (first, last) = (padded[before], padded.last().copied().unwrap_or(0.0));
            padded[..before].fill(first);
            padded.resize(to - from + 2 * margin, last);
            let inner = &padded[margin + 1 - self.smooth.len()..];
            simd::fir(inner, &self.smooth, &mut smooth[from..to]);
            let band = &mut band[..to - from + 2 * half];
            simd::fir(&padded, &self.band, band);
            band[..half.saturating_sub(from)].fill(0.0);
            let beyond = (to + half).saturating_sub(n);
            let inside = band.len() - beyond;
            band[inside..].fill(0.0);
            simd::box_of_squares(band, self.window, share, &mut energy[from..to]);
        }
        Some((smooth, energy))
    }
}

fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
    out
}

/// Means of `factor` samples; where they are not finite the last finite one is held.
fn held(samples: &[f32], factor: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(samples.len() / factor.max(1) + 1);
    simd::reduce(samples, factor, &mut out);
    let mut last = out.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    for value in &mut out {
        if value.is_finite() {
            last = *value;
        } else {
            *value = last;
        }
    }
    out
}

/// The nearest odd whole number, at least 1.
pub(super) fn odd(value: f64) -> usize {
    ((value / 2.0).floor() as usize) * 2 + 1
}

/// Middle value, the upper one of two; zero of none.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_holds_what_a_qrs_is_made_of() {
        let rate_hz = 125.0;
        let filters = Filters::new(rate_hz);
        let power = |hertz: f64| {
            let wave: Vec<f32> = (0..1_000)
                .map(|i| (hertz * f64::from(i) / rate_hz * std::f64::consts::TAU).sin() as f32)
                .collect();
            let (_, energy) = filters.run(&wave);
            energy[300..700].iter().sum::<f32>() / 400.0 * 2.0
        };
        assert!(power(10.0) > 0.5, "{}", power(10.0));
        assert!(
            power(1.0) < 0.01 && power(50.0) < 0.05,
            "{} {}",
            power(1.0),
            power(50.0)
        );
    }

    /// A band in which noise stands gives way to the one in which the beats are clear; a clear one stays as it is.
    #[test]
    fn the_clearer_band_takes_the_place_of_a_noisy_one() {
        let rate_hz = 125.0;
        let band = |noise: f32, beat: f32| -> Vec<f32> {
            let value = |i: usize| if i % 100 == 50 { beat } else { noise };
            (0..5_000).map(value).collect()
        };
        let sharp = band(0.01, 1.0);
        let mut noisy = band(1.0, 2.0);
        sharpen(&mut noisy, &sharp, rate_hz);
        for (index, value) in noisy.iter().enumerate() {
            let is_beat = index % 100 == 50;
            assert!(
                if is_beat { *value > 1.5 } else { *value < 0.1 },
                "{index}: {value}"
            );
        }
        let mut clear = band(0.01, 2.0);
        sharpen(&mut clear, &sharp, rate_hz);
        assert_eq!(clear, band(0.01, 2.0));
        // The higher band is no better: it hardly counts.
        let mut own = band(1.0, 4.0);
        sharpen(&mut own, &band(1.0, 1.2), rate_hz);
        assert!(own.iter().all(|v| *v < 0.3 * 4.0 || *v > 3.5));
    }

    #[test]
    fn a_lead_in_noise_has_little_weight_while_it_lasts() {
        let rate_hz = 250.0;
        let n = 30_000;
        let mut clean = vec![0.0_f32; n];
        for beat in (125..n - 10).step_by(200) {
            for offset in 0..10 {
                clean[beat - offset] = 1_000.0 * (1.0 - offset as f32 / 10.0);
                clean[beat + offset] = clean[beat - offset];
            }
        }
        let mut noisy = clean.clone();
        let mut state = 1_u32;
        for value in &mut noisy[10_000..20_000] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value += (state >> 16) as f32 / 65_536.0 * 6_000.0 - 3_000.0;
        }
        // Bursts as high as beats, but not as even, stand out of their surroundings as well.
        let mut bursts = vec![0.0_f32; n];
        for (index, at) in (60..n - 40).step_by(330).enumerate() {
            let height = 300.0 * (1 + index * 7 % 11) as f32;
            for offset in 0..10 {
                bursts[at + offset] = height * offset as f32 / 10.0;
                bursts[at + 20 - offset] = bursts[at + offset];
            }
        }
        let both = Fused::new(&[&clean, &bursts], rate_hz);
        let places = |fused: &Fused| super::super::detect::choose(fused).len();
        assert_eq!(places(&both), places(&Fused::new(&[&clean], rate_hz)));
        let fused = Fused::new(&[&clean, &noisy], rate_hz);
        let alone = Fused::new(&[&clean], rate_hz);
        assert!(alone.noise_share(2_500) < 0.02);
        let (quiet, loud) = (&fused.lanes[1].clearness[5], &fused.lanes[1].clearness[30]);
        assert!(loud * 10.0 < *quiet, "{quiet} {loud}");
        assert_eq!(fused.leading().map(|lane| lane.lead), Some(0));
        assert!(Fused::new(&[&[0.0; 500]], rate_hz).lanes.is_empty());
    }
}
