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

/// Beats from which the mean of a group is worth more than the single beat.
const GROUP_BEATS_MIN: usize = 4;
/// Beats of one shape, always in time, from which it is conducted however wide it is.
const SETTLED_BEATS_MIN: usize = 24;
/// Interval below which beats follow each other as in a tachycardia, in seconds.
const TACHYCARDIA_S: f64 = 0.6;
/// The same, surely.
const CALM_S: f64 = 0.5;
/// Excess of width over the usual beat, and prematurity, which are still none.
const NARROW: f64 = 0.10;
const TIMELY: f64 = 0.06;
/// Share of its strangeness that then counts.
const ALONE_STRANGENESS: f64 = 0.6;
/// Loss of likeness for each unit of noise power over beat power.
const NOISE_STRANGENESS: f64 = 1.5;
/// Score of strangeness, width and prematurity from which a beat is ventricular.
const VENTRICULAR_SCORE: f64 = 1.0;
/// Likeness to the usual beat from which nothing else makes a beat ventricular.
const ALIKE: f32 = 0.92;
/// The same for a beat that an end of the recording cuts: the filters have not settled there and half of it is missing.
const CUT_ALIKE: f32 = 0.55;

/// Beats of like shape.
struct Group {
    mean: Vec<f32>,
    /// Sum of squares of the mean.
    power: f32,
    count: usize,
    width_s: f64,
    early: f64,
    /// Usual interval around its beats, in seconds.
    usual_s: f64,
}

impl Group {
    fn new(shape: &Shape, values: &[f32]) -> Self {
        Self {
            mean: values.to_vec(),
            power: simd::dot(values, values),
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
        self.width_s += (shape.width_s - self.width_s) * weight;
        self.early += (shape.early - self.early) * weight;
        self.usual_s += (shape.usual_s - self.usual_s) * weight;
        self.count += 1;
    }

    /// Whether it is very frequent, always in time and no tachycardia of its own.
    fn is_dominant(&self, usual: &Self) -> bool {
        let frequent = self.count >= SETTLED_BEATS_MIN && self.count * 8 >= usual.count;
        let as_slow = self.usual_s > TACHYCARDIA_S || self.usual_s > 0.87 * usual.usual_s;
        frequent && as_slow && (self.early - 1.0).abs() < 0.05
    }

    /// Whether this is a conducted beat of another look: frequent, always in time, and either no wider than the usual
    /// beat or very frequent (a bundle branch that conducts now and then). A tachycardia of its own is not.
    fn is_settled(&self, usual: &Self) -> bool {
        let off_time = (self.early - 1.0).abs();
        let narrow = self.count >= 8 && off_time < 0.08 && self.width_s < 1.12 * usual.width_s;
        narrow || self.is_dominant(usual)
    }

    /// Likeness to a shape, with amplitude: 1 when equal, 0 when unrelated, negative when opposed.
    fn likeness(&self, values: &[f32], power: f32) -> f32 {
        let root = (self.power * power).sqrt().max(f32::MIN_POSITIVE);
        let size = 2.0 * root / (self.power + power).max(f32::MIN_POSITIVE);
        simd::dot(values, &self.mean) / root * size.sqrt()
    }
}

/// Labels the beats.
pub(super) fn label(fused: &Fused, samples: &[usize], sampling_rate_hz: f64, stimuli: &[usize]) -> Vec<Beat> {
    let mut shapes = Shapes::new(fused, samples);
    let groups = group(fused, &mut shapes);
    let normal = normal_group(&groups);
    let steady = steadiness(samples);
    let stimulated = stimulated(stimuli, samples, sampling_rate_hz);
    let mut classes: Vec<BeatClass> = Vec::with_capacity(shapes.len());
    for index in 0..shapes.len() {
        let class = if stimulated.get(index) == Some(&true) {
            BeatClass::Unclassifiable
        } else {
            classify(
                &shapes,
                index,
                &groups,
                normal,
                steady.get(index).copied().unwrap_or(0.0),
            )
        };
        classes.push(class);
    }
    samples
        .iter()
        .zip(classes)
        .map(|(sample, class)| Beat {
            sample: *sample,
            class,
        })
        .collect()
}

fn classify(
    shapes: &Shapes,
    index: usize,
    groups: &[Group],
    normal: Option<usize>,
    unsteady: f64,
) -> BeatClass {
    let (shape, values) = shapes.get(index);
    let Some(usual) = normal.and_then(|place| groups.get(place)) else {
        return BeatClass::Normal;
    };
    let own = groups.get(shape.group);
    let like = if shape.is_whole() {
        usual.likeness(values, simd::dot(values, values))
    } else {
        shapes.partial_likeness(shape, values, &usual.mean)
    };
    let like = own.map_or(like, |g| like.max(usual.likeness(&g.mean, g.power)));
    // Each of strangeness, width and prematurity counts; none alone but a very strange shape is enough. In an
    // irregular rhythm one early beat says little, but a whole group of early ones does.
    // Noise makes any beat look strange: by so much it is expected to.
    let expected = (NOISE_STRANGENESS * f64::from(shape.noise)).min(0.4);
    let strange = (1.0 - f64::from(like) - expected).max(0.0);
    let own_early = (0.95 - shape.early).clamp(0.0, 0.5) * (1.0 - 2.0 * unsteady).max(0.2);
    let (width_s, early, settled) = match own {
        Some(g) if g.count >= GROUP_BEATS_MIN => {
            let group_early = (0.95 - g.early).clamp(0.0, 0.5);
            let early = group_early.max(0.5 * (group_early + own_early));
            (g.width_s, early, g.is_settled(usual))
        }
        _ => (shape.width_s, own_early, false),
    };
    let wider = (width_s / usual.width_s.max(0.02) - 1.0).clamp(-0.3, 1.0);
    // What is neither wide nor early is strange for another reason than its origin: waves of the atria, T, artefacts.
    let alone = wider < NARROW && early < TIMELY && own_early < TIMELY;
    let strange = strange * if alone { ALONE_STRANGENESS } else { 1.0 };
    let score = 2.2 * strange + 1.4 * wider + 1.8 * early - if settled { 1.2 } else { 0.0 };
    let dominant = own.is_some_and(|g| g.is_dominant(usual)) && shape.early > 0.9;
    let alike = if shape.is_whole() { ALIKE } else { CUT_ALIKE };
    // Where the QRS itself is cut there is no shape to judge.
    if !dominant && shapes.shows_qrs(shape) && score >= VENTRICULAR_SCORE && like < alike {
        let rare = own.is_none_or(|g| g.count < usual.count / 20 + 2);
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
    let intervals: Vec<f64> = samples.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    let changes: Vec<f64> = intervals
        .windows(2)
        .map(|w| (w[1] - w[0]).abs() / w[0].max(w[1]))
        .collect();
    let medians = sliding::medians(&changes, REACH, samples.len());
    medians.into_iter().map(|median| median.unwrap_or(0.0)).collect()
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
