//! Mains interference: a tracked sinusoid is estimated between the heart's waves and subtracted.
//!
//! A notch rings after each QRS and bites into it; here the QRS takes no part in the estimate, and where no
//! sinusoid stands out nothing is changed at all. The signal is brought down from the nominal frequency in short
//! sub-blocks once; the grid's stray from it, the amplitude and its changes are worked out on their sums.

use std::f64::consts::TAU;
use std::ops::Range;

use crate::ecg::simd::{self, Amplitude, Carrier, Demodulated};

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
    /// The interference near `hertz`; `None` where the rate is too low for it, the lead too short, or nothing stands out.
    pub(super) fn find(signal: &[f32], rate_hz: f64, hertz: f64) -> Option<Self> {
        const PERIODS_MIN: f64 = 25.0;
        if hertz > 0.4 * rate_hz || (signal.len() as f64) < PERIODS_MIN * rate_hz / hertz {
            return None;
        }
        let rough = Rough::new(signal, rate_hz, hertz);
        let mut amplitudes = vec![Amplitude::default(); signal.len().div_ceil(rough.length)];
        let stretch = (STRETCH_S * rate_hz / rough.length as f64) as usize;
        // The last stretch takes the remainder, so that none is too short to measure its frequency.
        let count = (rough.sums.len() / stretch.max(1)).max(1);
        let mut found = false;
        for index in 0..count {
            let from = index * stretch;
            let to = if index + 1 == count {
                amplitudes.len()
            } else {
                from + stretch
            };
            found |= rough.follow(from..to, &mut amplitudes).is_some();
        }
        found.then_some(Self {
            carrier: rough.carrier,
            amplitudes,
        })
    }

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

/// Sums of one block at one frequency.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    sum: Complex,
    weight: f64,
    power: f64,
}

/// The signal with all slow content gone, brought down from the nominal frequency.
struct Rough {
    /// Samples of a sub-block.
    length: usize,
    /// Half a period in samples.
    half: usize,
    rate_hz: f64,
    hertz: f64,
    carrier: Carrier,
    sums: Vec<Demodulated>,
    /// Whether a sub-block may speak: no wave of the heart stands in it.
    usable: Vec<bool>,
}

impl Rough {
    fn new(signal: &[f32], rate_hz: f64, hertz: f64) -> Self {
        let length = 8 * ((SUB_BLOCK_S * rate_hz / 8.0).round() as usize).max(1);
        let half = (rate_hz / hertz / 2.0).round().max(1.0) as usize;
        let carrier = carrier(hertz / rate_hz, length);
        let mut sums = vec![Demodulated::default(); signal.len().div_ceil(length)];
        let first = half.div_ceil(length);
        let end = signal.len().saturating_sub(half) / length;
        if first < end {
            let seen = &signal[first * length - half..end * length + half];
            simd::demodulate(seen, half, &carrier.cosine, &carrier.sine, &mut sums[first..end]);
        }
        let usable = usable(&sums, (2.0 * rate_hz / length as f64) as usize);
        Self {
            length,
            half,
            rate_hz,
            hertz,
            carrier,
            sums,
            usable,
        }
    }

    /// Writes the amplitudes of the sub-blocks in `own`; `None` where no sinusoid stands out.
    fn follow(&self, own: Range<usize>, out: &mut [Amplitude]) -> Option<()> {
        let group = ((BLOCK_S * self.rate_hz / self.length as f64).round() as usize).max(1);
        let context = (REACH_BLOCKS + 1) * group;
        let seen = own.start.saturating_sub(context)..(own.end + context).min(self.sums.len());
        let sub_block_s = self.length as f64 / self.rate_hz;
        // Phases are counted from the first sample of what is seen.
        let turn = self.hertz * sub_block_s;
        let down = self.brought_down(&seen, turn);
        let still = blocks(
            &down,
            &self.usable[seen.clone()],
            &self.sums[seen.clone()],
            group,
            self.length,
        );
        let stray = stray_of(&still, group as f64 * sub_block_s)?;
        // What a sub-block loses because the stray turns within it.
        let angle = std::f64::consts::PI * stray * sub_block_s;
        let loss = if angle.abs() < 1e-6 {
            1.0
        } else {
            angle.sin() / angle
        };
        let back = Complex::turn(-stray * sub_block_s);
        let middle = 0.5 * (self.length as f64 - 1.0) / self.rate_hz;
        let mut turned = Complex::turn(-stray * middle).scaled(1.0 / loss);
        let mut straight = down;
        for value in &mut straight {
            *value = value.times(turned);
            turned = turned.times(back);
        }
        let blocks = blocks(
            &straight,
            &self.usable[seen.clone()],
            &self.sums[seen.clone()],
            group,
            self.length,
        );
        // Gain of the half-period difference at this frequency.
        let gain = 1.0 - (TAU * (self.hertz + stray) * self.half as f64 / self.rate_hz).cos();
        let levels = amplitudes(&blocks, gain)?;
        let mut phase = Complex::turn(turn * (own.start - seen.start) as f64);
        let step = Complex::turn(turn);
        let forward = back.conjugate();
        let mut strayed = Complex::turn(stray * sub_block_s * (own.start - seen.start) as f64);
        let mut here = level_at(&levels, own.start - seen.start, group).times(strayed);
        for index in own {
            strayed = strayed.times(forward);
            let next = level_at(&levels, index + 1 - seen.start, group).times(strayed);
            let (from, to) = (here.times(phase), next.times(phase));
            if let Some(amplitude) = out.get_mut(index) {
                *amplitude = Amplitude {
                    re: from.re as f32,
                    im: from.im as f32,
                    change_re: (to.re - from.re) as f32,
                    change_im: (to.im - from.im) as f32,
                };
            }
            here = next;
            phase = phase.times(step);
        }
        Some(())
    }

    /// Sums of the sub-blocks with the phases of one carrier that runs through.
    fn brought_down(&self, seen: &Range<usize>, turn: f64) -> Vec<Complex> {
        let back = Complex::turn(-turn);
        let mut phase = Complex { re: 1.0, im: 0.0 };
        let mut out = Vec::with_capacity(seen.len());
        for sum in &self.sums[seen.clone()] {
            let own = Complex {
                re: f64::from(sum.re),
                im: -f64::from(sum.im),
            };
            out.push(own.times(phase));
            phase = phase.times(back);
        }
        out
    }
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

/// Sub-blocks far above the usual size hold a wave of the heart, and so may their neighbours.
fn usable(sums: &[Demodulated], window: usize) -> Vec<bool> {
    /// Share of the sub-blocks that no wave reaches even when the heart is fast.
    const QUIET_SHARE: f64 = 0.3;
    /// Power over that of the quiet ones.
    const OVER_QUIET: f32 = 3.2;
    let mut usable = vec![true; sums.len()];
    let mut powers: Vec<f32> = Vec::with_capacity(window);
    for (index, part) in sums.chunks(window.max(1)).enumerate() {
        powers.clear();
        powers.extend(part.iter().map(|sum| sum.power));
        let place = ((part.len() - 1) as f64 * QUIET_SHARE) as usize;
        let limit = *powers.select_nth_unstable_by(place, f32::total_cmp).1 * OVER_QUIET;
        let start = index * window.max(1);
        for (offset, sum) in part.iter().enumerate() {
            // Sub-blocks at the ends of the lead were not seen at all.
            if sum.power > limit || sum.power == 0.0 {
                let at = start + offset;
                let to = (at + 2).min(usable.len());
                usable[at.saturating_sub(1)..to].fill(false);
            }
        }
    }
    usable
}

/// Groups of sub-blocks.
fn blocks(
    down: &[Complex],
    usable: &[bool],
    sums: &[Demodulated],
    group: usize,
    length: usize,
) -> Vec<Block> {
    let mut out = Vec::with_capacity(down.len() / group + 1);
    for ((values, usable), sums) in down
        .chunks(group)
        .zip(usable.chunks(group))
        .zip(sums.chunks(group))
    {
        let mut block = Block::default();
        for ((value, usable), sum) in values.iter().zip(usable).zip(sums) {
            if *usable {
                block.sum = block.sum.plus(*value);
                block.weight += length as f64;
                block.power += f64::from(sum.power);
            }
        }
        out.push(block);
    }
    out
}

/// Stray from the nominal frequency by the mean advance of phase from block to block; `None` without a common advance.
fn stray_of(blocks: &[Block], block_s: f64) -> Option<f64> {
    const COHERENCE_MIN: f64 = 0.5;
    let (mut sum, mut size) = (Complex::default(), 0.0);
    for pair in blocks.windows(2) {
        let product = pair[1].sum.times(pair[0].sum.conjugate());
        sum = sum.plus(product);
        size += product.re.hypot(product.im);
    }
    if size <= 0.0 || sum.re.hypot(sum.im) < COHERENCE_MIN * size {
        return None;
    }
    let stray = sum.im.atan2(sum.re) / (TAU * block_s);
    (stray.abs() <= STRAY_HZ_MAX).then_some(stray)
}

/// Complex amplitude at the middle of each block; `None` when it does not stand out of the noise.
fn amplitudes(blocks: &[Block], gain: f64) -> Option<Vec<Complex>> {
    const OVER_NOISE: f64 = 5.0;
    let (mut power, mut weight) = (0.0, 0.0);
    let mut out = Vec::with_capacity(blocks.len());
    for centre in 0..blocks.len() {
        let from = centre.saturating_sub(REACH_BLOCKS);
        let to = (centre + REACH_BLOCKS + 1).min(blocks.len());
        let (mut sum, mut mass) = (Complex::default(), 0.0);
        for (index, block) in blocks.iter().enumerate().take(to).skip(from) {
            let share = 1.0 - index.abs_diff(centre) as f64 / (REACH_BLOCKS + 1) as f64;
            sum = sum.plus(block.sum.scaled(share));
            mass += block.weight * share;
        }
        out.push(if mass > 0.0 {
            sum.scaled(2.0 / (mass * gain))
        } else {
            Complex::default()
        });
        power += blocks[centre].power;
        weight += blocks[centre].weight;
    }
    if weight < 1.0 {
        return None;
    }
    // Square of the sinusoid's share against what noise of the same power would give by chance.
    let coherent: f64 = out.iter().map(|a| a.re * a.re + a.im * a.im).sum::<f64>() / out.len().max(1) as f64;
    let wave_power = 0.5 * coherent * gain * gain;
    let noise_power = (power / weight - wave_power).max(0.0);
    let window = weight / blocks.len() as f64 * (REACH_BLOCKS + 1) as f64;
    let chance = noise_power * 2.0 / window.max(1.0);
    (wave_power > OVER_NOISE * chance).then_some(out)
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
                let hum = Hum::find(&both, rate_hz, 50.0).unwrap();
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
        assert!(Hum::find(&both, 500.0, 50.0).is_none());
        assert!(Hum::find(&[1.0; 40], 500.0, 50.0).is_none());
        assert!(Hum::find(&both, 100.0, 50.0).is_none());
        if let Some(hum) = Hum::find(&heart, 500.0, 50.0) {
            let mut part = heart.clone();
            hum.subtract(&mut part, 0);
            assert!(part.iter().zip(&heart).all(|(a, b)| (a - b).abs() < 5.0));
        }
    }
}
