//! Mains interference: a tracked sinusoid is estimated between the heart's waves and subtracted.
//!
//! A notch rings after each QRS and bites into it; here the QRS takes no part in the estimate, and where no
//! sinusoid stands out nothing is changed at all. The signal is brought down from the nominal frequency in short
//! sub-blocks once; the grid's stray from it, the amplitude and its changes are worked out on their sums.

use std::f64::consts::TAU;
use std::ops::Range;

use crate::ecg::simd::{self, Amplitude, Carrier, Sums};

/// Length of one stretch with a frequency of its own, in seconds.
const STRETCH_S: f64 = 20.0;
/// Length of one block of the estimate, in seconds.
const BLOCK_S: f64 = 0.25;
/// Length of one sub-block, in seconds, about.
const SUB_BLOCK_S: f64 = 0.028;
/// Blocks on each side which speak for the amplitude of a block.
const REACH_BLOCKS: usize = 6;
/// How far the grid strays from its nominal frequency at most, in hertz.
const STRAY_HZ_MAX: f64 = 0.9;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn turn(cycles: f64) -> Self {
        let (im, re) = (TAU * cycles.fract()).sin_cos();
        Self { re, im }
    }

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    fn scaled(self, by: f64) -> Self {
        Self {
            re: self.re * by,
            im: self.im * by,
        }
    }

    fn power(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }
}

/// The interference of one lead.
pub(super) struct Hum {
    carrier: Carrier,
    /// One a sub-block; zero where nothing stands out.
    amplitudes: Vec<Amplitude>,
}

impl Hum {
    /// Samples in which amplitude and phase follow a straight line.
    pub(super) fn sub_block(&self) -> usize {
        self.carrier.cosine.len()
    }

    /// Takes it away from `part`, whose first sample is sample `from` of the lead.
    pub(super) fn subtract(&self, part: &mut [f32], from: usize) {
        let length = self.carrier.cosine.len();
        let (first, into) = (from / length, from % length);
        let head = if into == 0 {
            0
        } else {
            (length - into).min(part.len())
        };
        let (cut, whole) = part.split_at_mut(head);
        if head > 0
            && let Some(amplitude) = self.amplitudes.get(first)
        {
            let mut shifted = vec![0.0; length];
            simd::subtract_carrier(&mut shifted, &self.carrier, std::slice::from_ref(amplitude));
            for (value, hum) in cut.iter_mut().zip(&shifted[into..]) {
                *value += hum;
            }
        }
        let rest = self
            .amplitudes
            .get(first + usize::from(into > 0)..)
            .unwrap_or_default();
        simd::subtract_carrier(whole, &self.carrier, rest);
    }
}

/// The signal with all slow content gone, brought down from the nominal frequency.
pub(super) struct Rough {
    /// Samples of a sub-block.
    length: usize,
    /// Half a period in samples.
    half: usize,
    rate_hz: f64,
    hertz: f64,
    carrier: Carrier,
    /// One a sub-block; once all is heard, zero where a wave of the heart stands in it.
    sums: Sums,
    /// Sub-blocks heard so far.
    heard: usize,
}

impl Rough {
    /// For a lead of `n` samples; `None` where the rate is too low for `hertz` or the lead too short.
    pub(super) fn new(n: usize, rate_hz: f64, hertz: f64) -> Option<Self> {
        const PERIODS_MIN: f64 = 25.0;
        if hertz > 0.4 * rate_hz || (n as f64) < PERIODS_MIN * rate_hz / hertz {
            return None;
        }
        let length = 8 * ((SUB_BLOCK_S * rate_hz / 8.0).round() as usize).max(1);
        let half = (rate_hz / hertz / 2.0).round().max(1.0) as usize;
        Some(Self {
            length,
            half,
            rate_hz,
            hertz,
            carrier: carrier(hertz / rate_hz, length),
            sums: Sums::zero(n.div_ceil(length)),
            // What the first samples are compared with is not there.
            heard: half.div_ceil(length),
        })
    }

    /// Takes in the sub-blocks which are whole in `seen`, the lead from its start on.
    pub(super) fn hear(&mut self, seen: &[f32]) {
        let end = seen.len().saturating_sub(self.half) / self.length;
        if self.heard < end {
            let part = &seen[self.heard * self.length - self.half..end * self.length + self.half];
            let (cosine, sine) = (&self.carrier.cosine, &self.carrier.sine);
            simd::demodulate(part, self.half, cosine, sine, self.heard, end, &mut self.sums);
            self.heard = end;
        }
    }

    /// The interference, once all of the lead was heard; `None` where nothing stands out.
    pub(super) fn hum(mut self) -> Option<Hum> {
        let count = self.sums.power.len();
        silence_waves(&mut self.sums, (2.0 * self.rate_hz / self.length as f64) as usize);
        let stretch = ((STRETCH_S * self.rate_hz / self.length as f64) as usize).max(1);
        let mut amplitudes = Vec::new();
        let mut scratch = Scratch::default();
        // The last stretch takes the remainder, so that none is too short to measure its frequency.
        let stretches = (count / stretch).max(1);
        for index in 0..stretches {
            let from = index * stretch;
            let to = if index + 1 == stretches {
                count
            } else {
                from + stretch
            };
            self.follow(from..to, &mut scratch, &mut amplitudes);
        }
        (!amplitudes.is_empty()).then_some(Hum {
            carrier: self.carrier,
            amplitudes,
        })
    }

    /// Writes the amplitudes of the sub-blocks in `own`; nothing where no sinusoid stands out.
    fn follow(&self, own: Range<usize>, scratch: &mut Scratch, out: &mut Vec<Amplitude>) -> Option<()> {
        let count = self.sums.power.len();
        let group = ((BLOCK_S * self.rate_hz / self.length as f64).round() as usize).max(1);
        let context = (REACH_BLOCKS + 1) * group;
        let seen = own.start.saturating_sub(context)..(own.end + context).min(count);
        let sub_block_s = self.length as f64 / self.rate_hz;
        // Phases are counted from the first sample of what is seen.
        let turn = self.hertz * sub_block_s;
        scratch.bring_down(&self.sums, &seen, group, turn);
        let stray = scratch.stray(group as f64 * sub_block_s)?;
        scratch.bring_down(&self.sums, &seen, group, turn + stray * sub_block_s);
        // What a sub-block loses because the stray turns within it, and its turn until the middle of the sub-block.
        let angle = std::f64::consts::PI * stray * sub_block_s;
        let loss = if angle.abs() < 1e-6 {
            1.0
        } else {
            angle.sin() / angle
        };
        let middle = 0.5 * (self.length as f64 - 1.0) / self.rate_hz;
        let amends = Complex::turn(-stray * middle).scaled(1.0 / loss);
        // Gain of the half-period difference at this frequency.
        let gain = 1.0 - (TAU * (self.hertz + stray) * self.half as f64 / self.rate_hz).cos();
        scratch.weigh(&self.sums, &seen, group, self.length);
        let levels = scratch.amplitudes(gain, amends)?;
        out.resize(count, Amplitude::default());
        let first = own.start - seen.start;
        let together = turn + stray * sub_block_s;
        let mut phase = Complex::turn(together * first as f64);
        let step = Complex::turn(together);
        let mut from = level_at(&levels, first, group).times(phase);
        let back = Complex::turn(-turn);
        for (index, amplitude) in own.clone().zip(&mut out[own]) {
            phase = phase.times(step);
            let next = level_at(&levels, index + 1 - seen.start, group).times(phase);
            // The carrier starts anew with each sub-block: until its end it has turned by itself.
            let to = next.times(back);
            *amplitude = Amplitude {
                re: from.re as f32,
                im: from.im as f32,
                change_re: (to.re - from.re) as f32,
                change_im: (to.im - from.im) as f32,
            };
            from = next;
        }
        Some(())
    }
}

/// Sums of the blocks of one stretch.
#[derive(Default)]
struct Scratch {
    /// Of sub-blocks, brought down.
    re: Vec<f32>,
    im: Vec<f32>,
    /// Of blocks.
    block_re: Vec<f32>,
    block_im: Vec<f32>,
    block_weight: Vec<f32>,
    power: f64,
}

impl Scratch {
    /// Sums of the blocks with the phases of one carrier that runs through with `turn` circles a sub-block.
    fn bring_down(&mut self, sums: &Sums, seen: &Range<usize>, group: usize, turn: f64) {
        self.re.resize(seen.len(), 0.0);
        self.im.resize(seen.len(), 0.0);
        let (re, im) = (&sums.re[seen.clone()], &sums.im[seen.clone()]);
        simd::brought_down(re, im, turn, &mut self.re, &mut self.im);
        for (blocks, values) in [(&mut self.block_re, &self.re), (&mut self.block_im, &self.im)] {
            blocks.clear();
            blocks.extend(values.chunks(group).map(|part| part.iter().sum::<f32>()));
        }
    }

    /// Stray from the nominal frequency by the mean advance of phase from block to block; `None` without a common advance.
    fn stray(&self, block_s: f64) -> Option<f64> {
        const COHERENCE_MIN: f64 = 0.5;
        let (mut sum, mut size) = (Complex::default(), 0.0);
        let pairs = self.block_re.windows(2).zip(self.block_im.windows(2));
        for (re, im) in pairs {
            let at = |place: usize| Complex {
                re: f64::from(re[place]),
                im: f64::from(im[place]),
            };
            let product = at(1).times(at(0).conjugate());
            sum = sum.plus(product);
            size += product.power().sqrt();
        }
        if size <= 0.0 || sum.power().sqrt() < COHERENCE_MIN * size {
            return None;
        }
        let stray = sum.im.atan2(sum.re) / (TAU * block_s);
        (stray.abs() <= STRAY_HZ_MAX).then_some(stray)
    }

    /// How many samples speak in each block, and the power of all.
    fn weigh(&mut self, sums: &Sums, seen: &Range<usize>, group: usize, length: usize) {
        let powers = &sums.power[seen.clone()];
        self.block_weight.clear();
        self.power = 0.0;
        for part in powers.chunks(group) {
            let speak = part.iter().filter(|power| **power > 0.0).count();
            self.block_weight.push((speak * length) as f32);
            self.power += f64::from(part.iter().sum::<f32>());
        }
    }

    /// Complex amplitude at the middle of each block, times `amends`; `None` when it does not stand out of the noise.
    fn amplitudes(&self, gain: f64, amends: Complex) -> Option<Vec<Complex>> {
        const OVER_NOISE: f64 = 5.0;
        let weight: f64 = self.block_weight.iter().map(|w| f64::from(*w)).sum();
        if weight < 1.0 {
            return None;
        }
        let [re, im, mass] = [&self.block_re, &self.block_im, &self.block_weight].map(|v| smoothed(v));
        let level = |((re, im), mass): ((&f32, &f32), &f32)| {
            let sum = Complex {
                re: f64::from(*re),
                im: f64::from(*im),
            };
            if *mass > 0.0 {
                sum.times(amends).scaled(2.0 / (f64::from(*mass) * gain))
            } else {
                Complex::default()
            }
        };
        let out: Vec<Complex> = re.iter().zip(&im).zip(&mass).map(level).collect();
        // Square of the sinusoid's share against what noise of the same power would give by chance.
        let coherent = out.iter().map(|a| a.power()).sum::<f64>() / out.len().max(1) as f64;
        let wave_power = 0.5 * coherent * gain * gain;
        let noise_power = (self.power / weight - wave_power).max(0.0);
        let window = weight / out.len() as f64 * (REACH_BLOCKS + 1) as f64;
        let chance = noise_power * 2.0 / window.max(1.0);
        (wave_power > OVER_NOISE * chance).then_some(out)
    }
}

/// Sums over the blocks around each, the farther the less.
fn smoothed(blocks: &[f32]) -> Vec<f32> {
    let taps: Vec<f32> = (0..=REACH_BLOCKS)
        .map(|far| 1.0 - far as f32 / (REACH_BLOCKS + 1) as f32)
        .collect();
    let mut padded = vec![0.0; blocks.len() + 2 * REACH_BLOCKS];
    padded[REACH_BLOCKS..REACH_BLOCKS + blocks.len()].copy_from_slice(blocks);
    let mut out = vec![0.0; blocks.len()];
    simd::fir(&padded, &taps, &mut out);
    out
}

fn carrier(cycles: f64, length: usize) -> Carrier {
    let mut made = Carrier::default();
    for index in 0..length {
        let share = index as f64 / length as f64;
        let Complex { re, im } = Complex::turn(cycles * index as f64);
        made.cosine.push(re as f32);
        made.sine.push(im as f32);
        made.rising_cosine.push((share * re) as f32);
        made.rising_sine.push((share * im) as f32);
    }
    made
}

/// Sub-blocks far above the usual size hold a wave of the heart, and so may their neighbours: they do not speak.
fn silence_waves(sums: &mut Sums, window: usize) {
    /// Share of the sub-blocks that no wave reaches even when the heart is fast.
    const QUIET_SHARE: f64 = 0.3;
    /// Power over that of the quiet ones.
    const OVER_QUIET: f32 = 3.2;
    let window = window.max(1);
    let count = sums.power.len();
    let mut powers: Vec<f32> = Vec::with_capacity(window);
    let mut loud: Vec<usize> = Vec::new();
    for (index, part) in sums.power.chunks(window).enumerate() {
        powers.clear();
        powers.extend_from_slice(part);
        let place = ((part.len() - 1) as f64 * QUIET_SHARE) as usize;
        let limit = *powers.select_nth_unstable_by(place, f32::total_cmp).1 * OVER_QUIET;
        // Sub-blocks at the ends of the lead were not seen at all.
        let is_loud = |power: f32| power > limit || power == 0.0;
        let start = index * window;
        loud.extend(
            (start..)
                .zip(part)
                .filter(|(_, power)| is_loud(**power))
                .map(|(at, _)| at),
        );
    }
    for at in loud {
        for silent in at.saturating_sub(1)..(at + 2).min(count) {
            (sums.re[silent], sums.im[silent], sums.power[silent]) = (0.0, 0.0, 0.0);
        }
    }
}

/// The amplitude at the start of a sub-block, straight between the middles of the blocks.
fn level_at(levels: &[Complex], sub_block: usize, group: usize) -> Complex {
    let last = levels.len().saturating_sub(1);
    let place = (sub_block as f64 / group as f64 - 0.5).max(0.0);
    let index = (place as usize).min(last);
    let share = (place - index as f64).min(1.0);
    let (a, b) = (
        levels.get(index).copied(),
        levels.get((index + 1).min(last)).copied(),
    );
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    a.scaled(1.0 - share).plus(b.scaled(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(signal: &[f32], rate_hz: f64, hertz: f64) -> Option<Hum> {
        let mut rough = Rough::new(signal.len(), rate_hz, hertz)?;
        for end in (0..signal.len()).step_by(1_000).chain([signal.len()]) {
            rough.hear(&signal[..end]);
        }
        rough.hum()
    }

    /// Interference of 300 microvolts at `hertz` with a QRS every 0.8 s.
    fn lead(hertz: f64, rate_hz: f64, seconds: f64) -> (Vec<f32>, Vec<f32>) {
        let n = (seconds * rate_hz) as usize;
        let mut heart = vec![0.0_f32; n];
        let half = (0.03 * rate_hz) as usize;
        for beat in (half..n - half).step_by((0.8 * rate_hz) as usize).skip(1) {
            for offset in 0..=half {
                let height = 1_000.0 * (1.0 - offset as f32 / half as f32);
                heart[beat - offset] = height;
                heart[beat + offset] = height;
            }
        }
        let hum = |i: usize| 300.0 * (TAU * hertz * i as f64 / rate_hz + 1.0).sin();
        let both = heart.iter().enumerate().map(|(i, v)| v + hum(i) as f32).collect();
        (heart, both)
    }

    #[test]
    fn interference_goes_at_every_rate_and_stray() {
        for rate_hz in [250.0, 360.0, 500.0, 1_000.0] {
            for hertz in [49.5, 49.93, 50.0, 50.5] {
                let (heart, both) = lead(hertz, rate_hz, 45.0);
                let hum = found(&both, rate_hz, 50.0).unwrap();
                for start in [(5.0 * rate_hz) as usize, (5.0 * rate_hz) as usize + 3] {
                    let mut part = both[start..both.len() - start].to_vec();
                    hum.subtract(&mut part, start);
                    let worst = part
                        .iter()
                        .zip(&heart[start..])
                        .map(|(a, b)| (a - b).abs())
                        .fold(0.0, f32::max);
                    assert!(worst < 5.0, "{rate_hz} Hz, {hertz} Hz: {worst}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_taken_where_nothing_stands_out() {
        let (heart, both) = lead(57.0, 500.0, 30.0);
        assert!(found(&both, 500.0, 50.0).is_none());
        assert!(found(&[1.0; 40], 500.0, 50.0).is_none());
        assert!(found(&both, 100.0, 50.0).is_none());
        if let Some(hum) = found(&heart, 500.0, 50.0) {
            let mut part = heart.clone();
            hum.subtract(&mut part, 0);
            assert!(part.iter().zip(&heart).all(|(a, b)| (a - b).abs() < 5.0));
        }
    }
}
