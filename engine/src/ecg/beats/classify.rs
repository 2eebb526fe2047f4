//! EC57 classes from shape and timing.
//!
//! Beats are grouped by shape; the group that is narrow, frequent and in time is the patient's normal beat. A beat
//! unlike it that is wide or early is ventricular, an early one like it supraventricular, one that lies between both
//! shapes and comes in time is a fusion, and one that follows a pacemaker's stimulus is Q.

use crate::ecg::simd;

use super::feature::Fused;
use super::shape::{Shape, Shapes};
use super::sliding;
use super::{Beat, BeatClass};

/// Most groups of shapes kept.
const GROUPS_MAX: usize = 24;
/// Likeness from which a beat joins a group.
const JOIN_LIKENESS: f32 = 0.86;

/// Beats from which what is usual in a group says more than the single beat.
const GROUP_BEATS_MIN: usize = 4;
/// Interval over the usual one below which a beat is early.
const EARLY: f64 = 0.88;
/// Interval below which beats follow each other as in a tachycardia, in seconds.
const TACHYCARDIA_S: f64 = 0.6;
/// The same, surely.
const CALM_S: f64 = 0.5;
/// Interval over that of the usual beat below which a group is a faster rhythm than the patient's own.
const HURRIED: f64 = 0.87;
/// Excess of width from which a faster rhythm counts as early beats do.
const BROAD: f64 = 0.4;
/// Loss of likeness for each unit of noise power over beat power.
const NOISE_STRANGENESS: f64 = 1.5;
/// Weights of the marks of a ventricular beat, whose sum is 1 or more: the share of early beats in its group over that
/// among the usual beats, its strangeness, its excess of width, and how early it comes itself. From a logistic
/// regression over records with expert labels; weights fitted to one half of the records serve the other half as well.
const EARLY_SHARE_WEIGHT: f64 = 1.3;
const STRANGENESS_WEIGHT: f64 = 0.4;
const WIDTH_WEIGHT: f64 = 0.36;
const EARLY_WEIGHT: f64 = 1.0;
/// Likeness to the usual beat from which a beat that an end of the recording cuts is conducted: the filters have not
/// settled there and half of it is missing.
const CUT_ALIKE: f64 = 0.55;
/// Most excess of width that counts.
const WIDER_MAX: f64 = 1.0;

/// Beats of like shape.
struct Group {
    mean: Vec<f32>,
    /// Sum of squares of the mean, and its root.
    power: f32,
    root: f32,
    count: usize,
    width_s: f64,
    early: f64,
    /// Usual interval around its beats, in seconds.
    usual_s: f64,
}

impl Group {
    fn new(shape: &Shape, values: &[f32]) -> Self {
        let power = simd::dot(values, values);
        Self {
            mean: values.to_vec(),
            power,
            root: power.sqrt(),
            count: 1,
            width_s: shape.width_s,
            early: shape.early,
            usual_s: shape.usual_s,
        }
    }

    fn join(&mut self, shape: &Shape, values: &[f32]) {
        // The mean follows slow changes of posture: the weight of one beat never falls below 1/32.
        let weight = 1.0 / (self.count as f64 + 1.0).min(32.0);
        for (mean, value) in self.mean.iter_mut().zip(values) {
            *mean += (value - *mean) * weight as f32;
        }
        self.power = simd::dot(&self.mean, &self.mean);
        self.root = self.power.sqrt();
        self.width_s += (shape.width_s - self.width_s) * weight;
        self.early += (shape.early - self.early) * weight;
        self.usual_s += (shape.usual_s - self.usual_s) * weight;
        self.count += 1;
    }

    /// Likeness to a shape, with amplitude: 1 when equal, 0 when unrelated, negative when opposed.
    fn likeness(&self, values: &[f32], power: f32) -> f32 {
        let (root, both) = (self.root * power.sqrt(), self.power + power);
        // The cosine times the root of how alike the sizes are, 2 root / both.
        simd::dot(values, &self.mean) * (2.0 / (root * both).max(f32::MIN_POSITIVE)).sqrt()
    }
}

/// What is usual among the beats of a group, over all of the recording.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    count: usize,
    width_s: f64,
    interval_s: f64,
    /// Share of its beats that come early.
    early_share: f64,
}

/// What is usual in each group. A ventricular focus makes beats of one shape that come early again and again; a
/// conducted beat that looks strange for a while (posture, noise, a bundle branch that tires) comes in time.
fn usual(shapes: &Shapes, groups: &[Group]) -> Vec<Usual> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.len()];
    for index in 0..shapes.len() {
        if let Some(list) = members.get_mut(shapes.get(index).0.group) {
            list.push(index);
        }
    }
    let of = |list: &Vec<usize>| {
        let mut widths: Vec<f64> = list.iter().map(|index| shapes.get(*index).0.width_s).collect();
        let mut intervals: Vec<f64> = list.iter().map(|index| shapes.get(*index).0.usual_s).collect();
        let early = list.iter().filter(|index| shapes.get(**index).0.early < EARLY);
        Usual {
            count: list.len(),
            width_s: middle(&mut widths),
            interval_s: middle(&mut intervals),
            early_share: early.count() as f64 / list.len().max(1) as f64,
        }
    };
    members.iter().map(of).collect()
}

fn middle(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Labels the beats.
pub(super) fn label(fused: &Fused, samples: &[usize], sampling_rate_hz: f64, stimuli: &[usize]) -> Vec<Beat> {
    let mut shapes = Shapes::new(fused, samples);
    let groups = group(fused, &mut shapes);
    let usual = usual(&shapes, &groups);
    let judge = normal_group(&groups).map(|normal| Judge {
        shapes: &shapes,
        own: &groups[normal],
        normal: usual[normal],
        usual: &usual,
    });
    let steady = steadiness(samples);
    let stimulated = stimulated(stimuli, samples, sampling_rate_hz);
    let mut beats = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let unsteady = steady.get(index).copied().unwrap_or(0.0);
        let class = if stimulated.get(index) == Some(&true) {
            BeatClass::Unclassifiable
        } else {
            judge
                .as_ref()
                .map_or(BeatClass::Normal, |judge| judge.class(index, unsteady))
        };
        beats.push(Beat {
            sample: *sample,
            class,
        });
    }
    beats
}

/// Tells the classes of beats by what is the patient's own.
struct Judge<'a> {
    shapes: &'a Shapes,
    /// The group of the patient's own conducted beats, and what is usual in it.
    own: &'a Group,
    normal: Usual,
    /// What is usual in every group.
    usual: &'a [Usual],
}

impl Judge<'_> {
    fn class(&self, index: usize, unsteady: f64) -> BeatClass {
        let (shape, values) = self.shapes.get(index);
        let like = if shape.is_whole() {
            self.own.likeness(values, simd::dot(values, values))
        } else {
            self.shapes.partial_likeness(shape, values, &self.own.mean)
        };
        if self.is_ventricular(shape, f64::from(like), unsteady) {
            let group = self.usual.get(shape.group).copied().unwrap_or_default();
            let rare = group.count < self.normal.count / 20 + 2;
            let in_time = shape.early > 0.92 && shape.late > 0.92;
            let between = like > 0.55 && in_time && rare;
            return if between {
                BeatClass::Fusion
            } else {
                BeatClass::Ventricular
            };
        }
        if shape.early < 0.80 && shape.early + shape.late < 2.3 && unsteady < 0.12 {
            return BeatClass::Supraventricular;
        }
        BeatClass::Normal
    }

    /// Weighs the marks of a ventricular beat. In an irregular rhythm one early beat says little, and with noise any
    /// beat looks strange: by so much it is expected to.
    fn is_ventricular(&self, shape: &Shape, like: f64, unsteady: f64) -> bool {
        // Where the QRS itself is cut there is no shape to judge.
        if !self.shapes.shows_qrs(shape) || !shape.is_whole() && like >= CUT_ALIKE {
            return false;
        }
        let expected = (NOISE_STRANGENESS * f64::from(shape.noise)).min(0.4);
        let strange = (1.0 - like - expected).max(0.0);
        let alone = Usual {
            count: 1,
            width_s: shape.width_s,
            interval_s: shape.usual_s,
            early_share: if shape.early < EARLY { 1.0 } else { 0.0 },
        };
        let group = self.usual.get(shape.group).copied().unwrap_or(alone);
        let group = if group.count >= GROUP_BEATS_MIN {
            group
        } else {
            alone
        };
        let wider = (group.width_s / self.normal.width_s.max(0.02) - 1.0).clamp(0.0, WIDER_MAX);
        let share = if self.is_hurried(group) {
            group.early_share.max((wider / BROAD).min(1.0))
        } else {
            group.early_share
        };
        let early = (0.95 - shape.early).clamp(0.0, 0.5) * (1.0 - 2.0 * unsteady).max(0.2);
        EARLY_SHARE_WEIGHT * (share - self.normal.early_share)
            + STRANGENESS_WEIGHT * strange
            + WIDTH_WEIGHT * wider
            + EARLY_WEIGHT * early
            >= 1.0
    }

    /// Whether a group is a rhythm of its own that is faster than the patient's: each of its beats is early by that.
    fn is_hurried(&self, group: Usual) -> bool {
        group.interval_s < HURRIED * self.normal.interval_s
            || group.interval_s < TACHYCARDIA_S && self.normal.interval_s >= TACHYCARDIA_S
    }
}

/// Gives each beat its group: the likest one, or a new one while there is room.
fn group(fused: &Fused, shapes: &mut Shapes) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut values = vec![0.0; shapes.width()];
    for index in 0..shapes.len() {
        let (shape, own) = shapes.get(index);
        values.copy_from_slice(own);
        let mut best = likest(shape, &values, shape.power, &groups, shapes);
        if best.is_some_and(|(_, like)| like < JOIN_LIKENESS) && shape.is_whole() {
            best = shifted(fused, shapes, index, &mut values, &groups).or(best);
        }
        let (shape, _) = shapes.get(index);
        let place = match best {
            Some((place, like)) if like >= JOIN_LIKENESS => {
                // A beat cut by an end of the recording does not change what its kind looks like.
                if shape.is_whole() {
                    groups[place].join(shape, &values);
                }
                place
            }
            Some((place, _)) if groups.len() >= GROUPS_MAX || !shape.is_whole() => place,
            _ => {
                groups.push(Group::new(shape, &values));
                groups.len() - 1
            }
        };
        shapes.set_group(index, place, &values);
    }
    groups
}

fn likest(
    shape: &Shape,
    values: &[f32],
    power: f32,
    groups: &[Group],
    shapes: &Shapes,
) -> Option<(usize, f32)> {
    let scored = groups.iter().enumerate().map(|(place, g)| {
        let like = if shape.is_whole() {
            g.likeness(values, power)
        } else {
            shapes.partial_likeness(shape, values, &g.mean)
        };
        (place, like)
    });
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Tries the beat a little earlier and later: the peak of a plateau is no sure place. A place that lets it join a
/// group is kept.
fn shifted(
    fused: &Fused,
    shapes: &mut Shapes,
    index: usize,
    values: &mut Vec<f32>,
    groups: &[Group],
) -> Option<(usize, f32)> {
    const REACH_S: f64 = 0.045;
    let reach = (REACH_S * fused.rate_hz) as isize;
    let mut best: Option<(usize, f32)> = None;
    let mut tried = vec![0.0; values.len()];
    for shift in -reach..=reach {
        let Some(centre) = shapes.get(index).0.centre.checked_add_signed(shift) else {
            continue;
        };
        if !shapes.cut_out(fused, centre, &mut tried) {
            continue;
        }
        let power = simd::dot(&tried, &tried);
        let scored = groups
            .iter()
            .enumerate()
            .map(|(place, g)| (place, g.likeness(&tried, power)));
        if let Some((place, like)) = scored.max_by(|a, b| a.1.total_cmp(&b.1))
            && like >= JOIN_LIKENESS
            && best.is_none_or(|(_, have)| like > have)
        {
            best = Some((place, like));
            std::mem::swap(values, &mut tried);
            tried.resize(values.len(), 0.0);
        }
    }
    best
}

/// The group of the patient's own conducted beats: frequent, in time, and narrow when two are frequent.
fn normal_group(groups: &[Group]) -> Option<usize> {
    let all: usize = groups.iter().map(|g| g.count).sum();
    let score = |g: &Group| {
        let share = g.count as f64 / all.max(1) as f64;
        let in_time = if g.early < 0.86 { 0.35 } else { 1.0 };
        let narrow = (0.085 / g.width_s.max(0.03)).powi(3);
        // A fast rhythm beside a slower one is rather a tachycardia than the patient's own.
        let calm = if g.usual_s < CALM_S { 0.2 } else { 1.0 };
        if share < 0.04 || g.count < 3 {
            share * 0.02
        } else {
            share.sqrt() * in_time * narrow * calm
        }
    };
    let scored = groups.iter().enumerate();
    scored
        .max_by(|a, b| score(a.1).total_cmp(&score(b.1)))
        .map(|(place, _)| place)
}

/// How irregular the rhythm is around each beat: the median relative change between intervals (high in fibrillation).
fn steadiness(samples: &[usize]) -> Vec<f64> {
    const REACH: usize = 12;
    let intervals: Vec<f32> = samples.windows(2).map(|w| (w[1] - w[0]) as f32).collect();
    let changes: Vec<f32> = intervals
        .windows(2)
        .map(|w| (w[1] - w[0]).abs() / w[0].max(w[1]))
        .collect();
    let medians = sliding::medians(&changes, REACH, samples.len());
    medians
        .into_iter()
        .map(|median| median.map_or(0.0, f64::from))
        .collect()
}

/// Whether a stimulus stands in the time before the peak, for each beat; only when it does so again and again.
fn stimulated(stimuli: &[usize], samples: &[usize], rate_hz: f64) -> Vec<bool> {
    const BEATS_MIN: usize = 3;
    let reach = (0.140 * rate_hz) as usize;
    let near = |sample: &usize| {
        let first = stimuli.partition_point(|s| s + reach < *sample);
        stimuli.get(first).is_some_and(|s| s < sample)
    };
    let marks: Vec<bool> = samples.iter().map(near).collect();
    let count = marks.iter().filter(|m| **m).count();
    // Stimuli without beats behind them are interference.
    if count < BEATS_MIN || count * 2 < stimuli.len() || count * 20 < samples.len() {
        return vec![false; samples.len()];
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::super::{Beat, BeatClass, Leads, detect};
    use crate::ecg::synth::Synth;

    /// The letters of the beats of a made recording.
    fn letters(synth: &Synth) -> String {
        let found: Vec<Beat> = detect(&synth.make().record, Leads::Fused);
        found.iter().map(|beat| beat.class.letter()).collect()
    }

    #[test]
    fn a_shape_that_is_early_again_and_again_is_ventricular() {
        let made = Synth {
            intervals_s: vec![0.8, 0.8, 0.55, 1.05, 0.8],
            kinds: vec!['N', 'N', 'N', 'V', 'N'],
            seconds: 60.0,
            ..Synth::default()
        };
        let truth = made.make();
        let found = letters(&made);
        let expect: String = truth.kinds.iter().collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_strange_shape_in_time_stays_conducted() {
        // The lead turns over for a while, as when the patient does: every beat looks strange, none is early.
        let mut truth = Synth {
            seconds: 60.0,
            ..Synth::default()
        }
        .make();
        for lead in &mut truth.record.leads {
            for value in &mut lead.samples_uv[15_000..20_000] {
                *value = -*value;
            }
        }
        let found = detect(&truth.record, Leads::Fused);
        let strange = found
            .iter()
            .filter(|beat| beat.class == BeatClass::Ventricular)
            .count();
        assert!(strange <= 1, "{strange} of {}", found.len());
    }
}
