//! Which maxima of the detection signal are beats.
//!
//! The whole recording is at hand, so nothing is decided from the past alone: the level that a beat must reach comes
//! from both sides, and a candidate is judged by the beats before and after it.

use super::feature::Fused;
use super::usual_intervals;

/// Intervals to either side that say how long one usually is, while beats are searched for.
const USUAL_REACH: usize = 8;

/// Nothing beats twice within this time, in seconds.
const REFRACTORY_S: f64 = 0.200;
/// Share of the local level that a beat reaches without further proof.
const SURE_SHARE: f32 = 0.38;
/// Share of the local level that is enough inside a gap.
const LOOK_BACK_SHARE: f32 = 0.16;
/// A gap is longer than so many usual intervals.
const GAP_INTERVALS: f64 = 1.5;

/// A maximum of the detection signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Place in the detection signal.
    pub(super) at: usize,
    /// Height there.
    pub(super) height: f32,
    /// Height over the local level.
    pub(super) share: f32,
}

/// Beats among the maxima, in time order.
pub(super) fn choose(fused: &Fused) -> Vec<Candidate> {
    let rate = fused.rate_hz;
    let mut all = maxima(&fused.amplitude, (REFRACTORY_S * rate) as usize);
    let levels = Levels::new(&fused.amplitude, rate);
    for candidate in &mut all {
        let level = levels.at(candidate.at);
        candidate.share = if level > 0.0 {
            candidate.height / level
        } else {
            0.0
        };
    }
    let mut beats: Vec<Candidate> = all.iter().copied().filter(|c| c.share >= SURE_SHARE).collect();
    for _ in 0..2 {
        beats = drop_waves_between(&beats, rate);
        beats = look_back(&all, &beats, rate);
    }
    beats
}

/// Local maxima which are the highest within `apart` samples on both sides.
fn maxima(values: &[f32], apart: usize) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    let n = values.len();
    let mut index = 0;
    while index < n {
        let height = values[index];
        let rises = index == 0 || values[index - 1] < height;
        let mut end = index;
        while end + 1 < n && values[end + 1] == height {
            end += 1;
        }
        let falls = end + 1 >= n || values[end + 1] < height;
        if rises && falls && height > 0.0 {
            let at = (index + end) / 2;
            match out.last_mut() {
                Some(last) if at - last.at < apart => {
                    if height > last.height {
                        *last = Candidate {
                            at,
                            height,
                            share: 0.0,
                        };
                    }
                }
                _ => out.push(Candidate {
                    at,
                    height,
                    share: 0.0,
                }),
            }
        }
        index = end + 1;
    }
    out
}

/// Level of the beats around a place: medians of block maxima over about ten seconds.
struct Levels {
    block: usize,
    medians: Vec<f32>,
}

impl Levels {
    fn new(values: &[f32], rate_hz: f64) -> Self {
        const HOP_S: f64 = 1.0;
        const REACH_BLOCKS: usize = 5;
        let block = ((HOP_S * rate_hz) as usize).max(1);
        let tops: Vec<f32> = values
            .chunks(block)
            .map(|part| part.iter().copied().fold(0.0, f32::max))
            .collect();
        // Pairs of blocks hold a beat down to 30 a minute.
        let pairs: Vec<f32> = (0..tops.len())
            .map(|i| tops[i].max(tops.get(i + 1).copied().unwrap_or(tops[i])))
            .collect();
        let mut medians = Vec::with_capacity(pairs.len());
        let mut scratch = Vec::with_capacity(2 * REACH_BLOCKS + 1);
        for index in 0..pairs.len() {
            scratch.clear();
            scratch.extend_from_slice(
                &pairs[index.saturating_sub(REACH_BLOCKS)..(index + REACH_BLOCKS).min(pairs.len())],
            );
            let middle = scratch.len() / 2;
            let (_, median, _) = scratch.select_nth_unstable_by(middle, f32::total_cmp);
            medians.push(*median);
        }
        Self { block, medians }
    }

    fn at(&self, place: usize) -> f32 {
        self.medians.get(place / self.block).copied().unwrap_or(0.0)
    }
}

fn usual_around(beats: &[Candidate]) -> Vec<f64> {
    let places: Vec<usize> = beats.iter().map(|beat| beat.at).collect();
    usual_intervals(&places, USUAL_REACH)
}

/// Takes out what is lower than its neighbours and leaves no room for a beat of its own: T and P waves, noise.
fn drop_waves_between(beats: &[Candidate], rate_hz: f64) -> Vec<Candidate> {
    const T_WAVE_S: f64 = 0.40;
    let usual = usual_around(beats);
    let mut kept: Vec<Candidate> = Vec::with_capacity(beats.len());
    for (index, beat) in beats.iter().enumerate() {
        let Some(last) = kept.last() else {
            kept.push(*beat);
            continue;
        };
        let before = (beat.at - last.at) as f64;
        let next = beats.get(index + 1);
        let after = next.map_or(f64::INFINITY, |n| (n.at - beat.at) as f64);
        let ratio = beat.height / last.height;
        let t_wave = before < T_WAVE_S * rate_hz && before < 0.65 * usual[index] && ratio < 0.55;
        let through = next.map_or(f64::INFINITY, |n| (n.at - last.at) as f64);
        let lower = next.is_some_and(|n| beat.height < 0.6 * last.height.min(n.height));
        let between = lower && through < 1.25 * usual[index] && before.min(after) < 0.6 * usual[index];
        if !(t_wave || between) {
            kept.push(*beat);
        }
    }
    kept
}

/// Looks for lower maxima where a beat is overdue.
fn look_back(all: &[Candidate], beats: &[Candidate], rate_hz: f64) -> Vec<Candidate> {
    const T_END_S: f64 = 0.36;
    let usual = usual_around(beats);
    let mut out = Vec::with_capacity(beats.len());
    for (index, beat) in beats.iter().enumerate() {
        out.push(*beat);
        let Some(next) = beats.get(index + 1) else { break };
        let mut left = *beat;
        loop {
            let gap = (next.at - left.at) as f64;
            if gap < GAP_INTERVALS * usual[index].min(usual[index + 1]) {
                break;
            }
            let guard = (T_END_S * rate_hz).min(0.5 * usual[index]) as usize;
            let first = all.partition_point(|c| c.at < left.at + guard);
            let end = all.partition_point(|c| c.at + guard.min((0.3 * rate_hz) as usize) < next.at);
            let inside = all.get(first..end).unwrap_or_default();
            let best = inside.iter().max_by(|a, b| a.height.total_cmp(&b.height));
            match best {
                Some(best) if best.share >= LOOK_BACK_SHARE => {
                    let earlier = inside
                        .iter()
                        .find(|c| c.height > 0.7 * best.height)
                        .unwrap_or(best);
                    out.push(*earlier);
                    left = *earlier;
                }
                _ => break,
            }
        }
    }
    out
}
