//! ST levels by the minute: the median beat of each minute, 60 and 80 ms behind J, against the line through PR.
//!
//! The line goes through the isoelectric levels before the beat itself and its neighbours, so that slow wander bends it
//! instead of the ST level; what is left of wander differs from beat to beat and goes with the median.

use super::quality::{Block, LeadState, block_samples};
use crate::ecg::beats::{Beat, BeatClass};
use std::ops::Range;

/// Conducted beats that a minute needs.
const BEATS_MIN: usize = 10;
/// Beats from which the fiducial points of a window are found.
const AVERAGED_MAX: usize = 120;
const AVERAGED_MIN: usize = 8;

/// ST levels of one minute.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minute {
    /// Levels 60 and 80 ms behind J, in microvolts, one pair a lead; `None` where the lead cannot be read or too few
    /// beats are conducted.
    pub(super) levels_uv: Vec<Option<[f32; 2]>>,
}

/// Where the QRS begins and ends, against the mark, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fiducials {
    /// Middle of the isoelectric stretch, in samples before the mark.
    line: usize,
    /// End of the QRS, in samples behind the mark.
    j: usize,
}

impl Fiducials {
    /// From the mean of conducted beats of `core`, over all leads: the QRS is where the slopes are steep. `None` with
    /// too few such beats, or where no end is seen.
    pub(super) fn find(
        leads: &[&[f32]],
        beats: &[Beat],
        gaps: &[Vec<Range<usize>>],
        core: Range<usize>,
        rate_hz: f64,
    ) -> Option<Self> {
        const BEFORE_S: f64 = 0.16;
        const AFTER_S: f64 = 0.24;
        let (before, after) = ((BEFORE_S * rate_hz) as usize, (AFTER_S * rate_hz) as usize);
        let fits = |beat: &&Beat| {
            beat.class == BeatClass::Normal && core.contains(&beat.sample) && beat.sample >= before
        };
        let chosen: Vec<usize> = beats.iter().filter(fits).map(|beat| beat.sample).collect();
        if chosen.len() < AVERAGED_MIN {
            return None;
        }
        let step = (chosen.len() / AVERAGED_MAX).max(1);
        let mut energy = vec![0.0_f32; before + after];
        for (lead, gaps) in leads.iter().zip(gaps) {
            let mut mean = vec![0.0_f32; before + after];
            let mut count = 0.0_f32;
            for sample in chosen.iter().step_by(step) {
                let range = sample - before..sample + after;
                if overlaps(gaps, &range) {
                    continue;
                }
                if let Some(part) = lead.get(range) {
                    mean.iter_mut().zip(part).for_each(|(m, v)| *m += v);
                    count += 1.0;
                }
            }
            if count >= AVERAGED_MIN as f32 {
                add_slopes(&mean, 1.0 / count, rate_hz, &mut energy);
            }
        }
        edges(&energy, before, rate_hz)
    }
}

/// Adds the squared slopes of a mean beat over 12 ms.
fn add_slopes(sum: &[f32], share: f32, rate_hz: f64, energy: &mut [f32]) {
    let half = ((0.006 * rate_hz).round() as usize).max(1);
    for at in half..sum.len().saturating_sub(half) {
        let slope = (sum[at + half] - sum[at - half]) * share;
        energy[at] += slope * slope;
    }
}

/// First and last steep place round the mark, which is at `mark`.
fn edges(energy: &[f32], mark: usize, rate_hz: f64) -> Option<Fiducials> {
    /// Share of the steepest slope that still belongs to the QRS.
    const STEEP_SHARE: f32 = 0.09;
    let reach = (0.12 * rate_hz) as usize;
    let near = energy.get(mark.saturating_sub(reach)..(mark + reach).min(energy.len()))?;
    let top = near.iter().copied().fold(0.0, f32::max);
    if !top.is_finite() || top <= 0.0 {
        return None;
    }
    let least = STEEP_SHARE * STEEP_SHARE * top;
    let calm = ((0.016 * rate_hz).round() as usize).max(2);
    let is_calm = |range: Range<usize>| energy.get(range).is_some_and(|e| e.iter().all(|v| *v < least));
    // Slopes over 12 ms reach 6 ms beyond the wave.
    let half = ((0.006 * rate_hz).round() as usize).max(1);
    let off = (mark..energy.len()).find(|at| is_calm(*at..at + calm))?;
    let on = (calm..mark).rev().find(|at| is_calm(at - calm..*at))?;
    let j = (off - mark).saturating_sub(half);
    let onset = (mark - on).saturating_sub(half);
    let line = calmest(energy, mark, onset, rate_hz)?;
    Some(Fiducials { line, j })
}

/// Middle of the 20 ms with the least slopes within 60 ms before the QRS, in samples before the mark: a small Q lies
/// below the threshold of its onset, and P may end late.
fn calmest(energy: &[f32], mark: usize, onset: usize, rate_hz: f64) -> Option<usize> {
    const NEAR_S: f64 = 0.008;
    const FAR_S: f64 = 0.060;
    let samples = |seconds: f64| (seconds * rate_hz).round() as usize;
    let half = samples(0.010).max(1);
    let slopes = |before: usize| {
        let centre = mark.checked_sub(before)?;
        let part = energy.get(centre.checked_sub(half)?..centre + half + 1)?;
        Some((part.iter().sum::<f32>(), before))
    };
    let places = onset + samples(NEAR_S)..=onset + samples(FAR_S);
    places
        .filter_map(slopes)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, before)| before)
}

fn overlaps(gaps: &[Range<usize>], range: &Range<usize>) -> bool {
    let first = gaps.partition_point(|gap| gap.end <= range.start);
    gaps.get(first).is_some_and(|gap| gap.start < range.end)
}

/// Levels of every minute of `core`.
#[allow(
    clippy::too_many_arguments,
    reason = "all of one window, borrowed from different places"
)]
pub(super) fn minutes(
    leads: &[&[f32]],
    beats: &[Beat],
    gaps: &[Vec<Range<usize>>],
    blocks: &[Block],
    fiducials: Option<Fiducials>,
    core: Range<usize>,
    minute: usize,
    rate_hz: f64,
) -> Vec<Minute> {
    let count = core.len().div_ceil(minute.max(1));
    let mut out = vec![
        Minute {
            levels_uv: vec![None; leads.len()],
        };
        count
    ];
    let Some(fiducials) = fiducials else { return out };
    let block = block_samples(rate_hz);
    for (index, (lead, gaps)) in leads.iter().zip(gaps).enumerate() {
        let levels = Levels::new(lead, gaps, beats, fiducials, rate_hz);
        for (place, made) in out.iter_mut().enumerate() {
            let from = core.start + place * minute;
            let range = from..(from + minute).min(core.end);
            let first = beats.partition_point(|beat| beat.sample < range.start);
            let end = beats.partition_point(|beat| beat.sample < range.end);
            let mut values: [Vec<f32>; 2] = [Vec::new(), Vec::new()];
            for (at, beat) in beats.iter().enumerate().take(end).skip(first) {
                let judged = blocks.get((beat.sample - core.start) / block);
                let good = judged.is_some_and(|b| b.leads.get(index) == Some(&LeadState::Good));
                if let Some(pair) = levels.of(at).filter(|_| good) {
                    values[0].push(pair[0]);
                    values[1].push(pair[1]);
                }
            }
            if values[0].len() >= BEATS_MIN {
                let [a, b] = &mut values;
                made.levels_uv[index] = Some([median(a), median(b)]);
            }
        }
    }
    out
}

/// ST levels of single beats in one lead.
struct Levels<'a> {
    lead: &'a [f32],
    gaps: &'a [Range<usize>],
    beats: &'a [Beat],
    fiducials: Fiducials,
    /// Isoelectric level of each beat, `None` for one that is not conducted or not whole.
    lines: Vec<Option<f32>>,
    ms: f64,
}

impl<'a> Levels<'a> {
    fn new(
        lead: &'a [f32],
        gaps: &'a [Range<usize>],
        beats: &'a [Beat],
        fiducials: Fiducials,
        rate_hz: f64,
    ) -> Self {
        let ms = rate_hz / 1e3;
        let mut made = Self {
            lead,
            gaps,
            beats,
            fiducials,
            lines: Vec::with_capacity(beats.len()),
            ms,
        };
        for beat in beats {
            let line = made.place_of_line(beat.sample).and_then(|centre| {
                let conducted = beat.class == BeatClass::Normal;
                made.mean(centre, 10.0).filter(|_| conducted)
            });
            made.lines.push(line);
        }
        made
    }

    /// Middle of the isoelectric stretch before the QRS.
    fn place_of_line(&self, mark: usize) -> Option<usize> {
        mark.checked_sub(self.fiducials.line)
    }

    /// Mean over 20 ms round `centre`: one period of the mains.
    fn mean(&self, centre: usize, half_ms: f64) -> Option<f32> {
        let half = (half_ms * self.ms).round() as usize;
        let range = centre.checked_sub(half)?..centre + half.max(1);
        if overlaps(self.gaps, &range) {
            return None;
        }
        let part = self.lead.get(range)?;
        let mean = part.iter().sum::<f32>() / part.len() as f32;
        mean.is_finite().then_some(mean)
    }

    /// Levels 60 and 80 ms behind J.
    fn of(&self, at: usize) -> Option<[f32; 2]> {
        let own = (*self.lines.get(at)?)?;
        let mark = self.beats[at].sample;
        let mut out = [0.0; 2];
        for (value, behind_ms) in out.iter_mut().zip([60.0, 80.0]) {
            let place = mark + self.fiducials.j + (behind_ms * self.ms).round() as usize;
            *value = self.mean(place, 10.0)? - self.line_at(at, own, place);
        }
        Some(out)
    }

    /// The isoelectric line at `place`: through the levels of the beat and its neighbours where both are conducted and
    /// near, else level.
    fn line_at(&self, at: usize, own: f32, place: usize) -> f32 {
        const NEAR_MS_MAX: f64 = 2_000.0;
        let neighbour = |index: Option<usize>| {
            let index = index?;
            let level = (*self.lines.get(index)?)?;
            let here = self.place_of_line(self.beats[at].sample)? as f64;
            let distance = self.place_of_line(self.beats.get(index)?.sample)? as f64 - here;
            (distance.abs() <= NEAR_MS_MAX * self.ms).then_some((distance, f64::from(level - own)))
        };
        let Some((before, after)) = neighbour(at.checked_sub(1)).zip(neighbour(Some(at + 1))) else {
            return own;
        };
        let Some(here) = self.place_of_line(self.beats[at].sample) else {
            return own;
        };
        // The parabola through three points, the beat's own at the origin.
        let x = place as f64 - here as f64;
        let ((a, low), (b, high)) = (before, after);
        let bend = (high / b - low / a) / (b - a);
        let slope = low / a - bend * a;
        own + (slope * x + bend * x * x) as f32
    }
}

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
    use crate::ecg::holter::quality;
    use crate::ecg::synth::Synth;

    /// ST in V2 over a minute, with wander of half a millivolt on it.
    fn check(st_uv: f64, wander_uv: f64, tolerance_uv: f64) {
        let made = Synth {
            seconds: 62.0,
            st_v2_uv: st_uv,
            intervals_s: vec![0.8, 0.84, 0.81, 0.78],
            ..Synth::default()
        }
        .make();
        let rate_hz = made.record.sampling_rate_hz;
        let mut leads: Vec<Vec<f32>> = made.record.leads.iter().map(|l| l.samples_uv.clone()).collect();
        for lead in &mut leads {
            for (at, value) in lead.iter_mut().enumerate() {
                let t = at as f64 / rate_hz;
                *value += (wander_uv * (t * 0.23 * std::f64::consts::TAU).sin()) as f32;
            }
        }
        let beats: Vec<Beat> = made
            .peaks
            .iter()
            .map(|sample| Beat {
                sample: *sample,
                class: BeatClass::Normal,
            })
            .collect();
        let leads: Vec<&[f32]> = leads.iter().map(Vec::as_slice).collect();
        let gaps = vec![Vec::new(); leads.len()];
        let core = 0..30_000;
        let blocks = quality::judge(&leads, &gaps, &beats, core.clone(), rate_hz);
        let fiducials = Fiducials::find(&leads, &beats, &gaps, core.clone(), rate_hz);
        let got = minutes(&leads, &beats, &gaps, &blocks, fiducials, core, 30_000, rate_hz);
        assert_eq!(got.len(), 1);
        let [j60, _] = got[0].levels_uv[7].unwrap();
        assert!((f64::from(j60) - st_uv).abs() < tolerance_uv, "{j60} {st_uv}");
    }

    #[test]
    fn levels_are_true_with_and_without_wander() {
        check(0.0, 0.0, 8.0);
        check(200.0, 0.0, 8.0);
        check(-150.0, 0.0, 8.0);
        check(200.0, 500.0, 20.0);
    }

    #[test]
    fn a_minute_without_conducted_beats_has_no_level() {
        let lead = vec![0.0_f32; 30_000];
        let blocks = quality::judge(&[&lead], &[vec![]], &[], 0..30_000, 500.0);
        let got = minutes(&[&lead], &[], &[vec![]], &blocks, None, 0..30_000, 30_000, 500.0);
        assert_eq!(got[0].levels_uv, vec![None]);
    }
}
