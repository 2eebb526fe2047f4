//! Mains interference: a tracked sinusoid is estimated between the heart's waves and subtracted.
//!
//! A notch rings after each QRS and bites into it; here the QRS takes no part in the estimate, and where no
//! sinusoid stands out nothing is changed at all.

use std::f64::consts::TAU;

/// Length of one stretch with a frequency of its own, in seconds.
const STRETCH_S: f64 = 20.0;
/// Length of one block of the estimate, in seconds.
const BLOCK_S: f64 = 0.25;
/// Blocks on each side which speak for the amplitude of a block.
const REACH_BLOCKS: usize = 6;
/// Phases turned side by side: each waits for the one before, neighbours fill the wait.
const LANES: usize = 4;
/// How far the grid strays from its nominal frequency at most, in hertz.
const STRAY_HZ_MAX: f64 = 0.9;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn turn(angle: f64) -> Self {
        Self {
            re: angle.cos(),
            im: angle.sin(),
        }
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

/// Phases of consecutive samples, `LANES` at a time.
struct Phases {
    re: [f64; LANES],
    im: [f64; LANES],
    step: Complex,
}

impl Phases {
    /// From the phase `start` (in cycles), `cycles` a sample.
    fn new(start: f64, cycles: f64) -> Self {
        let phases: [Complex; LANES] =
            std::array::from_fn(|lane| Complex::turn(TAU * (start + cycles * lane as f64).fract()));
        Self {
            re: phases.map(|p| p.re),
            im: phases.map(|p| p.im),
            step: Complex::turn(TAU * (cycles * LANES as f64).fract()),
        }
    }

    /// On to the next samples.
    fn advance(&mut self) {
        for lane in 0..LANES {
            let (re, im) = (self.re[lane], self.im[lane]);
            self.re[lane] = re * self.step.re - im * self.step.im;
            self.im[lane] = re * self.step.im + im * self.step.re;
        }
    }
}

/// Sums of one block at one frequency, phases counted from the start of the stretch.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    sum: Complex,
    weight: f64,
    power: f64,
}

/// Subtracts the interference near `hertz` in place; does nothing where the rate is too low for it.
pub(super) fn remove(signal: &mut [f64], rate_hz: f64, hertz: f64) {
    const PERIODS_MIN: f64 = 25.0;
    if hertz > 0.4 * rate_hz || (signal.len() as f64) < PERIODS_MIN * rate_hz / hertz {
        return;
    }
    let rough = Rough::new(signal, rate_hz, hertz);
    let stretch = (STRETCH_S * rate_hz) as usize;
    let block = ((BLOCK_S * rate_hz) as usize).max(4);
    let context = (REACH_BLOCKS + 1) * block;
    let n = signal.len();
    // The last stretch takes the remainder, so that none is too short to measure its frequency.
    let count = (n / stretch).max(1);
    for index in 0..count {
        let from = index * stretch;
        let to = if index + 1 == count { n } else { from + stretch };
        let seen = from.saturating_sub(context)..(to + context).min(n);
        if let Some(wave) = rough.wave(seen.clone(), block, rate_hz, hertz) {
            for (value, hum) in signal[from..to].iter_mut().zip(&wave[from - seen.start..]) {
                *value -= hum;
            }
        }
    }
}

/// The signal with all slow content gone, zero where a sample may not speak.
struct Rough {
    values: Vec<f32>,
    usable: Vec<bool>,
    half_period: usize,
}

impl Rough {
    /// Twice the sinusoid: the difference to the mean of the points half a period before and after.
    fn new(signal: &[f64], rate_hz: f64, hertz: f64) -> Self {
        let half_period = (rate_hz / hertz / 2.0).round().max(1.0) as usize;
        let n = signal.len();
        let mut values = vec![0.0_f32; n];
        if n > 2 * half_period {
            let (middle, after) = (&signal[half_period..], &signal[2 * half_period..]);
            let neighbours = signal.iter().zip(after).zip(middle);
            for (value, ((before, after), at)) in values[half_period..].iter_mut().zip(neighbours) {
                *value = (at - 0.5 * (before + after)) as f32;
            }
        }
        let usable = usable(&values, rate_hz, half_period);
        for (value, usable) in values.iter_mut().zip(&usable) {
            *value = if *usable { *value } else { 0.0 };
        }
        Self {
            values,
            usable,
            half_period,
        }
    }

    /// The interference over `seen`, or `None` where no sinusoid stands out.
    fn wave(&self, seen: std::ops::Range<usize>, block: usize, rate_hz: f64, hertz: f64) -> Option<Vec<f64>> {
        let first = self.blocks(&seen, block, hertz / rate_hz);
        let stray = stray_of(&first, block as f64 / rate_hz)?;
        let frequency = hertz + stray;
        let blocks = self.blocks(&seen, block, frequency / rate_hz);
        // Gain of the half-period difference at this frequency.
        let gain = 1.0 - (TAU * frequency * self.half_period as f64 / rate_hz).cos();
        let amplitudes = amplitudes(&blocks, gain)?;
        Some(synthesise(&amplitudes, seen.len(), block, frequency / rate_hz))
    }

    fn blocks(&self, seen: &std::ops::Range<usize>, block: usize, cycles: f64) -> Vec<Block> {
        let values = self.values[seen.clone()]
            .chunks(block)
            .zip(self.usable[seen.clone()].chunks(block));
        let mut out = Vec::with_capacity(seen.len() / block + 1);
        for (index, (part, usable)) in values.enumerate() {
            let mut phases = Phases::new(-(cycles * (index * block) as f64).fract(), -cycles);
            let (mut re, mut im, mut power) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            let mut add = |values: [f64; LANES]| {
                for lane in 0..LANES {
                    re[lane] += values[lane] * phases.re[lane];
                    im[lane] += values[lane] * phases.im[lane];
                    power[lane] += values[lane] * values[lane];
                }
                phases.advance();
            };
            let (whole, rest) = part.as_chunks::<LANES>();
            for values in whole {
                add(values.map(f64::from));
            }
            let mut last = [0.0; LANES];
            for (place, value) in last.iter_mut().zip(rest) {
                *place = f64::from(*value);
            }
            add(last);
            out.push(Block {
                sum: Complex {
                    re: re.iter().sum(),
                    im: im.iter().sum(),
                },
                weight: usable.iter().filter(|u| **u).count() as f64,
                power: power.iter().sum(),
            });
        }
        out
    }
}

/// Samples far above the usual size belong to a wave of the heart, and so do their neighbours.
fn usable(values: &[f32], rate_hz: f64, half_period: usize) -> Vec<bool> {
    const WINDOW_S: f64 = 2.0;
    const OVER_MEDIAN: f32 = 2.2;
    const SEEN_MAX: usize = 256;
    let window = ((WINDOW_S * rate_hz) as usize).max(1);
    let guard = half_period + (0.012 * rate_hz) as usize;
    let mut usable = vec![true; values.len()];
    let mut sizes = Vec::with_capacity(SEEN_MAX);
    for (index, part) in values.chunks(window).enumerate() {
        sizes.clear();
        let step = (part.len() / SEEN_MAX).max(1) | 1;
        sizes.extend(part.iter().step_by(step).map(|v| v.abs()));
        let middle = sizes.len() / 2;
        let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
        let limit = *median * OVER_MEDIAN;
        let start = index * window;
        for (offset, value) in part.iter().enumerate() {
            if value.abs() > limit {
                let at = start + offset;
                let to = (at + guard + 1).min(usable.len());
                usable[at.saturating_sub(guard)..to].fill(false);
            }
        }
    }
    usable
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
    let (mut held, mut power, mut weight) = (Complex::default(), 0.0, 0.0);
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
        held = held.plus(blocks[centre].sum);
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

/// The real sinusoid with amplitudes drawn straight between the middles of the blocks.
fn synthesise(amplitudes: &[Complex], n: usize, block: usize, cycles: f64) -> Vec<f64> {
    let last = amplitudes.len().saturating_sub(1);
    let at_place = |index: usize| amplitudes.get(index.min(last)).copied().unwrap_or_default();
    let mut out = vec![0.0; n];
    for (index, part) in out.chunks_mut(block).enumerate() {
        let start = cycles * (index * block) as f64;
        let half = (block / 2).min(part.len());
        let (before, after) = part.split_at_mut(half);
        let here = at_place(index);
        let rising = Line::new(
            at_place(index.saturating_sub(1)),
            here,
            0.5 + 0.5 / block as f64,
            block,
        );
        rising.draw(before, Phases::new(start.fract(), cycles));
        let place = (half as f64 + 0.5) / block as f64 - 0.5;
        let falling = Line::new(here, at_place(index + 1), place, block);
        falling.draw(after, Phases::new((start + cycles * half as f64).fract(), cycles));
    }
    out
}

/// An amplitude on its way from one block to the next.
struct Line {
    first: Complex,
    /// Change a sample.
    slope: Complex,
}

impl Line {
    /// From the share `place` of the way from `from` to `to` on, which is `block` samples long.
    fn new(from: Complex, to: Complex, place: f64, block: usize) -> Self {
        let way = to.plus(from.scaled(-1.0));
        Self {
            first: from.plus(way.scaled(place)),
            slope: way.scaled(1.0 / block as f64),
        }
    }

    /// The sinusoid with this amplitude.
    fn draw(&self, out: &mut [f64], mut phases: Phases) {
        let offsets: [f64; LANES] = std::array::from_fn(|lane| lane as f64);
        let mut done = 0.0;
        for part in out.chunks_mut(LANES) {
            for (lane, value) in part.iter_mut().enumerate() {
                let at = done + offsets[lane];
                let re = self.first.re + self.slope.re * at;
                let im = self.first.im + self.slope.im * at;
                *value = re * phases.re[lane] - im * phases.im[lane];
            }
            phases.advance();
            done += LANES as f64;
        }
    }
}
