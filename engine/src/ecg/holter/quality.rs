//! Which stretches of a recording can be read: ten seconds at a time, lead by lead.

use crate::ecg::beats::Beat;
use serde::Serialize;
use std::ops::Range;

/// Length of a block, in seconds; a minute holds a whole number of them.
pub(super) const BLOCK_S: f64 = 10.0;

/// What a lead gives in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadState {
    /// A signal that can be read.
    Good,
    /// No sample, or the amplifier at its rail: electrode off.
    LeadOff,
    /// One and the same value for the whole block.
    Flat,
    /// Noise too strong against the beats, or swings that no heart makes.
    Noise,
}

/// The judgement of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// One state a lead.
    pub(super) leads: Vec<LeadState>,
}

impl Block {
    /// Whether any lead can be read.
    pub(super) fn is_readable(&self) -> bool {
        self.leads.contains(&LeadState::Good)
    }

    /// Why none can be read: what most leads have.
    pub(super) fn reason(&self) -> LeadState {
        let count = |state: LeadState| self.leads.iter().filter(|s| **s == state).count();
        let all = [LeadState::LeadOff, LeadState::Flat, LeadState::Noise];
        all.into_iter()
            .max_by_key(|state| count(*state))
            .unwrap_or(LeadState::LeadOff)
    }
}

/// Samples of a block.
pub(super) fn block_samples(rate_hz: f64) -> usize {
    ((BLOCK_S * rate_hz).round() as usize).max(1)
}

/// Judges the blocks of `core`.
pub(super) fn judge(
    leads: &[&[f32]],
    gaps: &[Vec<Range<usize>>],
    beats: &[Beat],
    core: Range<usize>,
    rate_hz: f64,
) -> Vec<Block> {
    let block = block_samples(rate_hz);
    let heights: Vec<f32> = leads
        .iter()
        .map(|lead| usual_height(lead, beats, rate_hz))
        .collect();
    let mut blocks = Vec::with_capacity(core.len().div_ceil(block));
    let mut from = core.start;
    while from < core.end {
        let to = (from + block).min(core.end);
        let states = leads
            .iter()
            .zip(gaps)
            .zip(&heights)
            .map(|((lead, gaps), height)| {
                let part = lead.get(from..to).unwrap_or_default();
                if missing(gaps, from..to) * 2 > to - from {
                    return LeadState::LeadOff;
                }
                state(part, *height, rate_hz)
            });
        blocks.push(Block {
            leads: states.collect(),
        });
        from = to;
    }
    blocks
}

/// Samples of `range` within gaps.
fn missing(gaps: &[Range<usize>], range: Range<usize>) -> usize {
    let first = gaps.partition_point(|gap| gap.end <= range.start);
    gaps.iter()
        .skip(first)
        .take_while(|gap| gap.start < range.end)
        .map(|gap| gap.end.min(range.end).saturating_sub(gap.start.max(range.start)))
        .sum()
}

/// Median span of the QRS complexes, from a regular choice of them.
fn usual_height(lead: &[f32], beats: &[Beat], rate_hz: f64) -> f32 {
    const SEEN_MAX: usize = 200;
    let half = (0.06 * rate_hz) as usize;
    let step = (beats.len() / SEEN_MAX).max(1);
    let mut heights: Vec<f32> = Vec::with_capacity(SEEN_MAX + 1);
    for beat in beats.iter().step_by(step) {
        let from = beat.sample.saturating_sub(half);
        let part = lead.get(from..(beat.sample + half).min(lead.len()));
        let span = span(part.unwrap_or_default());
        if span > 0.0 {
            heights.push(span);
        }
    }
    let middle = heights.len() / 2;
    if heights.is_empty() {
        return 0.0;
    }
    *heights.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Highest less lowest of the finite values; 0 of none.
fn span(values: &[f32]) -> f32 {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for value in values {
        // A comparison with NaN is false: gaps change nothing.
        if *value < low {
            low = *value;
        }
        if *value > high {
            high = *value;
        }
    }
    if high >= low { high - low } else { 0.0 }
}

fn state(part: &[f32], height: f32, rate_hz: f64) -> LeadState {
    /// Roughness over the height of the beats above which neither beats nor ST are sure.
    const NOISE_SHARE_MAX: f32 = 0.12;
    /// Roughness that no beat is needed to call noise, and that is never called so, in microvolts.
    const NOISE_UV: (f32, f32) = (300.0, 15.0);
    /// Span of a block that only a moving electrode makes, in microvolts.
    const SWING_UV_MAX: f32 = 12_000.0;
    let swing = span(part);
    if swing <= 0.0 {
        return LeadState::Flat;
    }
    let rough = roughness(part, rate_hz);
    let noisy = rough > NOISE_UV.0 || rough > NOISE_UV.1 && rough > NOISE_SHARE_MAX * height;
    if noisy || swing > SWING_UV_MAX {
        LeadState::Noise
    } else {
        LeadState::Good
    }
}

/// Median over quarter seconds of the size of the second difference over 8 ms: what is left in the quiet parts.
fn roughness(part: &[f32], rate_hz: f64) -> f32 {
    let by = ((0.004 * rate_hz).round() as usize).max(1);
    let quarter = ((0.25 * rate_hz) as usize).max(2 * by + 1);
    let mut sizes: Vec<f32> = Vec::with_capacity(part.len() / quarter + 1);
    for piece in part.chunks_exact(quarter) {
        let n = piece.len() - 2 * by;
        let (before, here, after) = (&piece[..n], &piece[by..by + n], &piece[2 * by..]);
        let mut sum = 0.0_f32;
        for ((a, b), c) in before.iter().zip(here).zip(after) {
            let rough = b - 0.5 * (a + c);
            sum += rough * rough;
        }
        if sum.is_finite() {
            sizes.push((sum / n as f32).sqrt());
        }
    }
    let middle = sizes.len() / 2;
    if sizes.is_empty() {
        return 0.0;
    }
    *sizes.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::beats::BeatClass;
    use crate::ecg::synth::Noise;

    const RATE_HZ: f64 = 250.0;

    fn beats() -> Vec<Beat> {
        let every = (100..15_000).step_by(200);
        every
            .map(|sample| Beat {
                sample,
                class: BeatClass::Normal,
            })
            .collect()
    }

    fn lead(noise_uv: f64) -> Vec<f32> {
        let mut noise = Noise(7);
        let mut lead: Vec<f32> = (0..15_000).map(|_| (noise_uv * noise.next()) as f32).collect();
        for beat in beats() {
            for offset in 0..10 {
                lead[beat.sample - offset] += 1_000.0 * (1.0 - offset as f32 / 10.0);
                lead[beat.sample + offset] += 1_000.0 * (1.0 - offset as f32 / 10.0);
            }
        }
        lead
    }

    fn check(change: impl Fn(&mut Vec<f32>), expect: [LeadState; 6]) {
        let mut lead = lead(8.0);
        change(&mut lead);
        let (_, gaps) = crate::ecg::filter::beats_and_gaps(&[made(&lead)], RATE_HZ);
        let blocks = judge(&[&lead], &gaps, &beats(), 0..15_000, RATE_HZ);
        let got: Vec<LeadState> = blocks.iter().map(|block| block.leads[0]).collect();
        assert_eq!(got, expect);
    }

    fn made(lead: &[f32]) -> crate::ecg::Lead {
        crate::ecg::Lead {
            name: crate::ecg::LeadName::new("II"),
            samples_uv: lead.to_vec(),
            resolution_uv: 1.0,
            derived: false,
        }
    }

    #[test]
    fn each_fault_has_its_name() {
        use LeadState::{Flat, Good, LeadOff, Noise};
        check(|_| {}, [Good; 6]);
        check(
            |lead| lead[2_500..5_000].fill(f32::NAN),
            [Good, LeadOff, Good, Good, Good, Good],
        );
        check(
            |lead| lead[2_500..5_000].fill(8_000.0),
            [Good, LeadOff, Good, Good, Good, Good],
        );
        check(
            |lead| lead[7_500..10_000].fill(3.0),
            [Good, Good, Good, Flat, Good, Good],
        );
        check(
            |lead| {
                let mut noise = crate::ecg::synth::Noise(3);
                lead[10_000..12_500]
                    .iter_mut()
                    .for_each(|v| *v += (300.0 * noise.next()) as f32);
            },
            [Good, Good, Good, Good, Noise, Good],
        );
        check(
            |lead| lead[13_000] = 14_000.0,
            [Good, Good, Good, Good, Good, Noise],
        );
    }

    #[test]
    fn muscle_noise_of_a_walk_can_still_be_read() {
        let lead = lead(40.0);
        let blocks = judge(&[&lead], &[Vec::new()], &beats(), 0..15_000, RATE_HZ);
        assert!(blocks.iter().all(Block::is_readable));
        let mut blocks = blocks;
        blocks[0].leads = vec![LeadState::Noise, LeadState::LeadOff, LeadState::Noise];
        assert_eq!(
            (blocks[0].is_readable(), blocks[0].reason()),
            (false, LeadState::Noise)
        );
    }
}
