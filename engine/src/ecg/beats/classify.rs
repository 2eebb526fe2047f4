//! EC57 classes from shape and timing.
//!
//! Beats are grouped by shape; the group that is narrow, frequent and in time is the patient's normal beat. A beat
//! unlike it that is wide or early is ventricular, an early one like it supraventricular, one that lies between both
//! shapes and comes in time is a fusion, and one that follows a pacemaker's stimulus is Q.

use super::feature::Fused;
use super::usual_intervals;
use super::{Beat, BeatClass};

/// Intervals to either side that say how long one usually is, when beats are told apart.
const USUAL_REACH: usize = 6;

/// Window of a shape before and after the peak, in seconds.
const BEFORE_S: f64 = 0.110;
const AFTER_S: f64 = 0.260;
/// Most groups of shapes kept.
const GROUPS_MAX: usize = 24;
/// Likeness from which a beat joins a group.
const JOIN_LIKENESS: f32 = 0.86;

/// Beats from which the mean of a group is worth more than the single beat.
const GROUP_BEATS_MIN: usize = 4;
/// Score of strangeness, width and prematurity from which a beat is ventricular.
const VENTRICULAR_SCORE: f64 = 1.0;

/// What is known of one beat.
struct Shape {
    /// Samples of all lanes, each freed of its mean and in units of its level.
    values: Vec<f32>,
    /// Place in the detection signal.
    centre: usize,
    /// Whether its window lies inside the recording.
    whole: bool,
    /// Time within which the slopes of the QRS are steep, in seconds.
    width_s: f64,
    /// Interval before over the usual interval.
    early: f64,
    /// Interval after over the usual interval.
    late: f64,
    group: usize,
}

/// Beats of like shape.
struct Group {
    mean: Vec<f32>,
    count: usize,
    width_s: f64,
    early: f64,
}

/// Labels the beats.
pub(super) fn label(fused: &Fused, samples: &[usize], sampling_rate_hz: f64, stimuli: &[usize]) -> Vec<Beat> {
    let mut shapes = shapes(fused, samples);
    let groups = group(fused, &mut shapes);
    let normal = normal_group(&groups);
    let steady = steadiness(samples);
    let stimulated = stimulated(stimuli, samples, sampling_rate_hz);
    let mut classes: Vec<BeatClass> = Vec::with_capacity(shapes.len());
    for (index, shape) in shapes.iter().enumerate() {
        let class = if stimulated.get(index) == Some(&true) {
            BeatClass::Unclassifiable
        } else {
            classify(shape, &groups, normal, steady.get(index).copied().unwrap_or(0.0))
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

fn classify(shape: &Shape, groups: &[Group], normal: Option<usize>, unsteady: f64) -> BeatClass {
    let Some(usual) = normal.and_then(|place| groups.get(place)) else {
        return BeatClass::Normal;
    };
    let own = groups.get(shape.group);
    let like = likeness(&shape.values, &usual.mean);
    let like = own.map_or(like, |g| like.max(likeness(&g.mean, &usual.mean)));
    // Each of strangeness, width and prematurity counts; none alone but a very strange shape is enough. In an
    // irregular rhythm one early beat says little, but a whole group of early ones does.
    // A beat cut by an end of the recording looks strange without being so.
    let strange = (1.0 - f64::from(like)) * if shape.whole { 1.0 } else { 0.4 };
    let own_early = (0.95 - shape.early).clamp(0.0, 0.5) * (1.0 - 2.0 * unsteady).max(0.2);
    let (width_s, early, settled) = match own {
        Some(g) if g.count >= GROUP_BEATS_MIN => {
            let group_early = (0.95 - g.early).clamp(0.0, 0.5);
            // A frequent shape that comes in time and is no wider is a conducted beat of another look.
            let settled = g.count >= 8 && (g.early - 1.0).abs() < 0.08 && g.width_s < 1.25 * usual.width_s;
            (
                g.width_s,
                group_early.max(0.5 * (group_early + own_early)),
                settled,
            )
        }
        _ => (shape.width_s, own_early, false),
    };
    let wider = (width_s / usual.width_s.max(0.02) - 1.0).clamp(-0.3, 1.0);
    let score = 2.2 * strange + 1.4 * wider + 1.8 * early - if settled { 1.2 } else { 0.0 };
    if score >= VENTRICULAR_SCORE && like < 0.92 {
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

/// Likeness of two shapes, with amplitude: 1 when equal, 0 when unrelated, negative when opposed.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (x, y) in a.iter().zip(b) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    let shape = ab / (aa * bb).sqrt().max(f32::MIN_POSITIVE);
    let size = 2.0 * (aa * bb).sqrt() / (aa + bb).max(f32::MIN_POSITIVE);
    shape * size.sqrt()
}

fn shapes(fused: &Fused, samples: &[usize]) -> Vec<Shape> {
    let usual = usual_intervals(samples, USUAL_REACH);
    let mut out = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let centre = sample / fused.factor;
        let (values, slopes) = cut_out(fused, centre);
        let gap = |a: usize, b: usize| (samples[b] - samples[a]) as f64 / usual[index];
        out.push(Shape {
            values,
            centre,
            whole: is_whole(fused, centre),
            width_s: steep_width(&slopes) / fused.rate_hz,
            early: if index == 0 { 1.0 } else { gap(index - 1, index) },
            late: if index + 1 == samples.len() {
                1.0
            } else {
                gap(index, index + 1)
            },
            group: 0,
        });
    }
    out
}

fn is_whole(fused: &Fused, centre: usize) -> bool {
    let samples = |seconds: f64| (seconds * fused.rate_hz).round() as usize;
    centre >= samples(BEFORE_S) && centre + samples(AFTER_S) < fused.amplitude.len()
}

/// Values of all lanes around `centre`, each lane freed of its mean, and the slope energy over all lanes. The lanes
/// keep their sizes against each other, so that weak leads do not speak louder than strong ones.
fn cut_out(fused: &Fused, centre: usize) -> (Vec<f32>, Vec<f32>) {
    let before = (BEFORE_S * fused.rate_hz).round() as usize;
    let after = (AFTER_S * fused.rate_hz).round() as usize;
    let top = fused
        .lanes
        .iter()
        .map(|lane| lane.level)
        .fold(f32::MIN_POSITIVE, f32::max);
    let scale = 1.0 / top;
    let mut values = Vec::with_capacity(fused.lanes.len() * (before + after));
    let mut slopes = vec![0.0_f32; before + after];
    for lane in &fused.lanes {
        let start = values.len();
        for (offset, slope) in slopes.iter_mut().enumerate() {
            let at = (centre + offset)
                .saturating_sub(before)
                .min(lane.smooth.len().saturating_sub(1));
            let value = lane.smooth.get(at).copied().unwrap_or(0.0) * scale;
            let next = lane.smooth.get(at + 1).copied().unwrap_or(0.0) * scale;
            *slope += (next - value).powi(2);
            values.push(value);
        }
        let part = &mut values[start..];
        let mean = part.iter().sum::<f32>() / part.len().max(1) as f32;
        for value in part {
            *value -= mean;
        }
    }
    (values, slopes)
}

/// Twice the spread of the slope energy around its centre: follows the width of the QRS and not one threshold.
fn steep_width(slopes: &[f32]) -> f64 {
    let top = slopes.iter().copied().fold(0.0, f32::max);
    let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
    for (index, slope) in slopes.iter().enumerate() {
        let weight = f64::from((slope - 0.04 * top).max(0.0)).sqrt();
        mass += weight;
        first += weight * index as f64;
        second += weight * (index as f64).powi(2);
    }
    if mass <= 0.0 {
        return 0.0;
    }
    let mean = first / mass;
    (second / mass - mean * mean).max(0.0).sqrt() * 12.0_f64.sqrt()
}

/// Gives each beat its group: the likest one, or a new one while there is room.
fn group(fused: &Fused, shapes: &mut [Shape]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for shape in shapes.iter_mut() {
        let mut best = likest(&shape.values, &groups);
        if best.is_some_and(|(_, like)| like < JOIN_LIKENESS) {
            best = shifted(fused, shape, &groups).or(best);
        }
        let place = match best {
            Some((place, like)) if like >= JOIN_LIKENESS || groups.len() >= GROUPS_MAX => {
                if like >= JOIN_LIKENESS {
                    join(&mut groups[place], shape);
                }
                place
            }
            _ => {
                let mean = shape.values.clone();
                groups.push(Group {
                    mean,
                    count: 1,
                    width_s: shape.width_s,
                    early: shape.early,
                });
                groups.len() - 1
            }
        };
        shape.group = place;
    }
    groups
}

fn likest(values: &[f32], groups: &[Group]) -> Option<(usize, f32)> {
    let scored = groups
        .iter()
        .enumerate()
        .map(|(place, g)| (place, likeness(values, &g.mean)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Tries the beat a little earlier and later: the peak of a plateau is no sure place. A place that lets it join a
/// group is kept.
fn shifted(fused: &Fused, shape: &mut Shape, groups: &[Group]) -> Option<(usize, f32)> {
    const REACH_S: f64 = 0.045;
    let reach = (REACH_S * fused.rate_hz) as isize;
    let mut best: Option<(usize, f32)> = None;
    for shift in -reach..=reach {
        let Some(centre) = shape.centre.checked_add_signed(shift) else {
            continue;
        };
        let (values, _) = cut_out(fused, centre);
        let found = likest(&values, groups);
        if let Some((place, like)) = found
            && like >= JOIN_LIKENESS
            && best.is_none_or(|(_, have)| like > have)
        {
            best = Some((place, like));
            shape.values = values;
        }
    }
    best
}

fn join(group: &mut Group, shape: &Shape) {
    // The mean follows slow changes of posture: the weight of one beat never falls below 1/32.
    let weight = 1.0 / (group.count as f64 + 1.0).min(32.0);
    for (mean, value) in group.mean.iter_mut().zip(&shape.values) {
        *mean += (value - *mean) * weight as f32;
    }
    group.width_s += (shape.width_s - group.width_s) * weight;
    group.early += (shape.early - group.early) * weight;
    group.count += 1;
}

/// The group of the patient's own conducted beats: frequent, in time, and narrow when two are frequent.
fn normal_group(groups: &[Group]) -> Option<usize> {
    let all: usize = groups.iter().map(|g| g.count).sum();
    let score = |g: &Group| {
        let share = g.count as f64 / all.max(1) as f64;
        let in_time = if g.early < 0.86 { 0.35 } else { 1.0 };
        let narrow = (0.085 / g.width_s.max(0.03)).powi(3);
        if share < 0.08 || g.count < 3 {
            share * 0.02
        } else {
            share.sqrt() * in_time * narrow
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
    (0..samples.len())
        .map(|index| {
            let from = index.saturating_sub(REACH);
            let mut near = changes
                .get(from..(index + REACH).min(changes.len()))
                .unwrap_or_default()
                .to_vec();
            near.sort_by(f64::total_cmp);
            near.get(near.len() / 2).copied().unwrap_or(0.0)
        })
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
