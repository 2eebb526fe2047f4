//! Which maxima of the detection signal are beats.
//!
//! The whole recording is at hand, so nothing is decided from the past alone: the level that a beat must reach comes
//! from both sides, and a candidate is judged by the beats before and after it.

use super::feature::Fused;
use super::{sliding, usual_intervals};
use crate::ecg::simd;

/// Intervals to either side that say how long one usually is, while beats are searched for.
const USUAL_REACH: usize = 8;

/// Nothing beats twice within this time, in seconds.
const REFRACTORY_S: f64 = 0.200;
/// Share of the local level that a beat reaches without further proof.
const SURE_SHARE: f32 = 0.38;
/// Share of the local level that is enough inside a gap.
const LOOK_BACK_SHARE: f32 = 0.16;
/// Steepness against the beats around that is enough inside a gap: waves of the atria and T have less.
const LOOK_BACK_SHARPNESS: f32 = 0.3;
/// What is lower than this share of the level and less steep than that share of the beats around it is no beat.
const BLUNT_SHARE: f32 = 0.75;
const BLUNT_SHARPNESS: f32 = 0.35;
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
    /// Steepest slope near it over that of the beats around it.
    sharpness: f32,
}

/// Beats among the maxima, in time order.
pub(super) fn choose(fused: &Fused) -> Vec<Candidate> {
    let rate = fused.rate_hz;
    let levels = Levels::new(&fused.amplitude, rate);
    let mut all = maxima(&fused.amplitude, &levels, (REFRACTORY_S * rate) as usize);
    let sure: Vec<usize> = (0..all.len())
        .filter(|place| all[*place].share >= SURE_SHARE)
        .collect();
    sharpen(fused, &mut all, &sure);
    let blunt = |c: &Candidate| c.share < BLUNT_SHARE && c.sharpness < BLUNT_SHARPNESS;
    let mut beats: Vec<Candidate> = sure
        .iter()
        .map(|place| all[*place])
        .filter(|c| !blunt(c))
        .collect();
    let mut usual = usual_around(&beats);
    for _ in 0..2 {
        let before = beats.len();
        beats = drop_waves_between(&beats, &usual, rate);
        if beats.len() < before {
            usual = usual_around(&beats);
        }
        drop_noise(fused, &mut beats, &mut usual);
        let before = beats.len();
        beats = look_back(&all, &beats, &usual, rate);
        if beats.len() == before {
            break;
        }
        usual = usual_around(&beats);
    }
    beats
}

/// Sets the steepness of all candidates against that of the beats around them, which are at the places `sure`.
fn sharpen(fused: &Fused, all: &mut [Candidate], sure: &[usize]) {
    for candidate in all.iter_mut() {
        candidate.sharpness = fused.sharpness(candidate.at);
    }
    let values: Vec<f32> = sure.iter().map(|place| all[*place].sharpness).collect();
    let usual = sliding::medians(&values, USUAL_REACH, sure.len());
    let mut next = 0;
    for (place, candidate) in all.iter_mut().enumerate() {
        while next + 1 < sure.len() && sure[next] < place {
            next += 1;
        }
        let usual = usual.get(next).copied().flatten().unwrap_or(0.0);
        candidate.sharpness /= usual.max(f32::MIN_POSITIVE);
    }
}

/// Local maxima that may be beats and are the highest within `apart` samples on both sides.
fn maxima(values: &[f32], levels: &Levels, apart: usize) -> Vec<Candidate> {
    let n = values.len();
    let mut out: Vec<Candidate> = Vec::new();
    let mut places: Vec<usize> = Vec::new();
    for (block, level) in levels.medians.iter().enumerate() {
        places.clear();
        let (from, to) = (block * levels.block, ((block + 1) * levels.block).min(n));
        let least = (LOOK_BACK_SHARE * level).max(f32::MIN_POSITIVE);
        if from == 0 {
            places.extend(values.first().filter(|v| **v >= least).map(|_| 0));
        }
        simd::tops(values, least, from, to, &mut places);
        let last = n.saturating_sub(1);
        if to == n && last > 0 && values[last] >= least && values[last] > values[last - 1] {
            places.push(last);
        }
        for place in &places {
            let height = values[*place];
            let end = values[*place..].iter().take_while(|v| **v == height).count() + place;
            if values.get(end).is_some_and(|after| *after > height) {
                continue;
            }
            let candidate = Candidate {
                at: (place + end - 1) / 2,
                height,
                share: height / level.max(f32::MIN_POSITIVE),
                sharpness: 0.0,
            };
            match out.last_mut() {
                Some(have) if candidate.at - have.at < apart => {
                    if height > have.height {
                        *have = candidate;
                    }
                }
                _ => out.push(candidate),
            }
        }
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
        let tops: Vec<f32> = values.chunks(block).map(simd::highest).collect();
        // Pairs of blocks hold a beat down to 30 a minute.
        let pairs: Vec<f32> = (0..tops.len())
            .map(|i| tops[i].max(tops.get(i + 1).copied().unwrap_or(tops[i])))
            .collect();
        let mut medians = Vec::with_capacity(pairs.len());
        let around = sliding::medians(&pairs, REACH_BLOCKS, pairs.len());
        medians.extend(around.into_iter().map(|median| median.unwrap_or(0.0)));
        Self { block, medians }
    }
}

fn usual_around(beats: &[Candidate]) -> Vec<f64> {
    let places: Vec<usize> = beats.iter().map(|beat| beat.at).collect();
    usual_intervals(&places, USUAL_REACH)
}

/// Takes out what is lower than its neighbours and leaves no room for a beat of its own: T and P waves, noise.
fn drop_waves_between(beats: &[Candidate], usual: &[f64], rate_hz: f64) -> Vec<Candidate> {
    const T_WAVE_S: f64 = 0.40;
    const SPLIT_S: f64 = 0.24;
    let mut kept: Vec<Candidate> = Vec::with_capacity(beats.len());
    for (index, beat) in beats.iter().enumerate() {
        let Some(last) = kept.last() else {
            kept.push(*beat);
            continue;
        };
        let before = (beat.at - last.at) as f64;
        let next = beats.get(index + 1);
        let after = next.map_or(f64::INFINITY, |n| (n.at - beat.at) as f64);
        let earlier = kept
            .iter()
            .rev()
            .nth(1)
            .map_or(f64::INFINITY, |b| (last.at - b.at) as f64);
        if before < SPLIT_S * rate_hz && after.min(earlier) > 1.6 * before {
            // Both flanks of one wide QRS: the higher speaks for it.
            if beat.height > last.height {
                kept.pop();
                kept.push(*beat);
            }
            continue;
        }
        let ratio = beat.height / last.height;
        let t_wave = before < T_WAVE_S * rate_hz && before < 0.65 * usual[index] && ratio < 0.55;
        let through = next.map_or(f64::INFINITY, |n| (n.at - last.at) as f64);
        let lower = next.is_some_and(|n| beat.height < 0.6 * last.height.min(n.height));
        let between = lower && through < 1.25 * usual[index] && before.min(after) < 0.6 * usual[index];
        // A T wave in every beat halves the usual interval; it is still lower and blunter than both its neighbours.
        let blunter = next.is_some_and(|n| {
            beat.sharpness < 0.5 * last.sharpness.min(n.sharpness)
                && beat.height < 0.9 * last.height.min(n.height)
        });
        let t_wave = t_wave || before < 0.45 * rate_hz && blunter;
        if !(t_wave || between) {
            kept.push(*beat);
        }
    }
    kept
}

/// Takes out what noise put between the beats.
///
/// A maximum has to be the higher, the more noise stands around it and the less room its neighbours leave: between two
/// beats that are one usual interval apart nothing is missing.
fn drop_noise(fused: &Fused, beats: &mut Vec<Candidate>, usual: &mut Vec<f64>) {
    const PASSES_MAX: usize = 8;
    for _ in 0..PASSES_MAX {
        let short = shortfalls(fused, beats, usual);
        // Of neighbours the worst goes first: with it gone the others may have room.
        let goes = |index: usize| {
            let own = short[index];
            own > 0.0 && own >= short[index - 1] && own > short[index + 1]
        };
        let inner = 1..beats.len().saturating_sub(1);
        let mut index = 0;
        let before = beats.len();
        beats.retain(|_| {
            index += 1;
            !(inner.contains(&(index - 1)) && goes(index - 1))
        });
        if beats.len() == before {
            break;
        }
        *usual = usual_around(beats);
    }
}

/// How far each beat falls short of the height that is asked of it; above 0 where it does.
///
/// Height, noise and room are weighed as a logistic regression weighs them that tells beats from false ones in copies of
/// recordings with noise added. In a quiet recording nothing is asked, so that interpolated beats stay; nor is it of even
/// beats: a tachycardia leaves as little room, and no time between its waves that would be quiet.
fn shortfalls(fused: &Fused, beats: &[Candidate], usual: &[f64]) -> Vec<f64> {
    const SHARE_AT_A_TENTH: f64 = 0.5;
    const NOISE_POWER: f64 = 0.3;
    const QUIET: f64 = 0.03;
    const ROOMY: f64 = 1.5;
    let even = even(beats);
    let mut short = vec![0.0; beats.len()];
    for (index, three) in beats.windows(3).enumerate() {
        let [before, beat, after] = three else { continue };
        let noise = f64::from(fused.noise_share(beat.at)) - QUIET;
        if noise > 0.0 && !even[index + 1] {
            let through = (after.at - before.at) as f64 / usual[index + 1].min(usual[index + 2]);
            let crowded = (ROOMY - through).max(0.0).exp();
            let asked = SHARE_AT_A_TENTH * (10.0 * noise).powf(NOISE_POWER) * crowded;
            short[index + 1] = asked / f64::from(beat.share) - 1.0;
        }
    }
    short
}

/// Whether each beat stands in, or at an end of, a row of equal intervals.
fn even(beats: &[Candidate]) -> Vec<bool> {
    const INTERVALS: usize = 3;
    const DIFFERENCE: f64 = 0.15;
    let mut even = vec![false; beats.len()];
    for (from, row) in beats.windows(INTERVALS + 1).enumerate() {
        let intervals = row.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64);
        let (least, most) = intervals.fold((f64::INFINITY, 0.0_f64), |(l, m), d| (l.min(d), m.max(d)));
        if most - least <= DIFFERENCE * most {
            even[from..=from + INTERVALS].fill(true);
        }
    }
    even
}

/// Looks for lower maxima where a beat is overdue.
fn look_back(all: &[Candidate], beats: &[Candidate], usual: &[f64], rate_hz: f64) -> Vec<Candidate> {
    const T_END_S: f64 = 0.36;
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
            let steep = |c: &&Candidate| c.sharpness >= LOOK_BACK_SHARPNESS;
            let best = inside
                .iter()
                .filter(steep)
                .max_by(|a, b| a.height.total_cmp(&b.height));
            match best {
                Some(best) => {
                    let earlier = inside
                        .iter()
                        .filter(steep)
                        .find(|c| c.height > 0.7 * best.height)
                        .unwrap_or(best);
                    out.push(*earlier);
                    left = *earlier;
                }
                None => break,
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_equal_intervals_are_even() {
        let check = |places: &[usize], expect: &[bool]| {
            let beats: Vec<Candidate> = places
                .iter()
                .map(|at| Candidate {
                    at: *at,
                    height: 1.0,
                    share: 1.0,
                    sharpness: 1.0,
                })
                .collect();
            assert_eq!(even(&beats), expect, "{places:?}");
        };
        check(&[], &[]);
        check(&[0, 100], &[false; 2]);
        check(&[0, 100, 200, 305], &[true; 4]);
        // A false beat in a slow rhythm, between its beats and all they have.
        check(&[0, 100, 130, 200, 300], &[false; 5]);
        // The run and its first and last beat, not the slow beats around it.
        let run = [0, 100, 160, 200, 240, 281, 400, 500];
        check(&run, &[false, false, true, true, true, true, false, false]);
    }
}
