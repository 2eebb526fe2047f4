//! P waves: believed when the beats agree on them.

use super::wave::{flank_end, off_chord, project};
use super::{Marks, Waves, is_conducted};
use crate::ecg::beats::{Beat, BeatClass};

/// Longest time from P onset to QRS onset that is looked at.
const WINDOW_S: f64 = 0.30;
/// Time before the QRS onset into which the smoothed QRS still reaches.
const PR_GUARD_S: f64 = 0.008;
/// Most beats in the mean.
const MEAN_BEATS_MAX: usize = 200;
/// Lowest height of P in the mean, microvolts over the chord of its window.
const HEIGHT_UV_MIN: f64 = 18.0;

/// What was seen of the atria over all beats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct AtrialEvidence {
    /// Height of P in the mean over the conducted beats, in microvolts over its chord.
    pub(crate) height_uv: f64,
    /// Mean correlation of the single windows with the mean.
    pub(crate) consistency: f64,
    /// Share of the conducted beats with a P wave.
    pub(crate) share: f64,
}

/// The mean window before the QRS.
struct Template {
    weights: Vec<f64>,
    /// Mean along the weights, less its chord.
    line: Vec<f64>,
    /// Place of P in the window.
    peak: usize,
    height: f64,
}

/// Adds the P marks.
pub(super) fn mark(
    waves: &Waves,
    beats: &[Beat],
    marks: &mut [Marks],
    t_end_before: usize,
) -> AtrialEvidence {
    let length = waves.samples(WINDOW_S).max(4);
    let windows = windows(waves, beats, marks, length, t_end_before);
    let Some(template) = template(waves, &windows, length) else {
        return AtrialEvidence::default();
    };
    let likeness: Vec<Option<f64>> = windows
        .iter()
        .map(|w| w.map(|w| w.likeness(waves, &template)))
        .collect();
    let judged = windows
        .iter()
        .zip(&likeness)
        .filter_map(|(w, l)| w.filter(|w| w.conducted).and(*l));
    let (sum, count) = judged.fold((0.0, 0_usize), |(sum, count), l| (sum + l, count + 1));
    let consistency = sum / count.max(1) as f64;
    let mut evidence = AtrialEvidence {
        height_uv: template.height.abs(),
        consistency,
        share: 0.0,
    };
    if template.height.abs() < HEIGHT_UV_MIN || consistency < CONSISTENCY_MIN {
        return evidence;
    }
    let mut found = 0;
    for (index, window) in windows.iter().enumerate() {
        let (Some(window), Some(like)) = (window, likeness[index]) else {
            continue;
        };
        if like < LIKENESS_MIN || marks[index].qrs_on.is_none() {
            continue;
        }
        let Some((on, peak, off)) = window.wave(waves, &template) else {
            continue;
        };
        found += usize::from(window.conducted);
        (marks[index].p_on, marks[index].p_peak, marks[index].p_off) = (Some(on), Some(peak), Some(off));
    }
    evidence.share = found as f64 / count.max(1) as f64;
    evidence
}

/// Mean correlation below which the beats do not agree on a P wave.
const CONSISTENCY_MIN: f64 = 0.50;
/// Correlation with the mean that a single beat needs.
const LIKENESS_MIN: f64 = 0.50;

/// The window of one beat: `length` samples that end at the QRS onset, of which those before `start` belong to T.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    end: usize,
    length: usize,
    conducted: bool,
}

fn windows(
    waves: &Waves,
    beats: &[Beat],
    marks: &[Marks],
    length: usize,
    t_end_before: usize,
) -> Vec<Option<Window>> {
    let mut out = Vec::with_capacity(beats.len());
    for (index, (beat, mark)) in beats.iter().zip(marks).enumerate() {
        let before = index.checked_sub(1).and_then(|i| marks.get(i));
        let floor = before
            .map_or(Some(t_end_before), |m| m.t_off.or(m.qrs_off))
            .unwrap_or(0);
        let window = mark
            .qrs_on
            .filter(|_| beat.class != BeatClass::Ventricular)
            .and_then(|on| {
                let end = on.checked_sub(waves.samples(PR_GUARD_S).max(1))?;
                let start = (end + 1).saturating_sub(length).max(floor.min(end));
                let enough = end > start + waves.samples(0.10);
                enough.then_some(Window {
                    start,
                    end,
                    length,
                    conducted: is_conducted(beat.class),
                })
            });
        out.push(window);
    }
    out
}

/// Mean over the conducted beats, lead by lead, each value over the beats whose window reaches so far.
fn template(waves: &Waves, windows: &[Option<Window>], length: usize) -> Option<Template> {
    let used: Vec<Window> = windows
        .iter()
        .flatten()
        .filter(|w| w.conducted)
        .take(MEAN_BEATS_MAX)
        .copied()
        .collect();
    if used.is_empty() {
        return None;
    }
    let mut reach: Vec<usize> = used.iter().map(|w| w.end - w.start + 1).collect();
    reach.sort_unstable();
    let common = reach[reach.len() / 3].min(length);
    let mut means = Vec::with_capacity(waves.atrial.len());
    for lead in &waves.atrial {
        let mut mean = vec![0.0; common];
        for (back, value) in mean.iter_mut().enumerate() {
            let there = used.iter().filter(|w| w.end - w.start >= back);
            let (sum, count) = there.fold((0.0, 0_usize), |(sum, count), w| {
                (sum + lead[w.end - back], count + 1)
            });
            *value = sum / count.max(1) as f64;
        }
        mean.reverse();
        means.push(mean);
    }
    let flats: Vec<Vec<f64>> = means.iter().map(|mean| off_chord(mean)).collect();
    let size = |at: usize| flats.iter().map(|flat| flat[at].powi(2)).sum::<f64>();
    // Beside the ends of the window stand the last of T and the first of Q.
    let (from, to) = (
        waves.samples(0.030).min(common / 3),
        common - waves.samples(0.020).min(common / 3),
    );
    let top = (from..to).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
    let weights: Vec<f64> = flats.iter().map(|flat| flat[top]).collect();
    if common < 4 || weights.iter().all(|w| *w == 0.0) {
        return None;
    }
    let line = off_chord(&project(&means, &weights, 0, common - 1));
    let (peak, height) = (top, line[top]);
    Some(Template {
        weights,
        peak: peak + length - common,
        height,
        line,
    })
}

impl Window {
    /// The part of the template that lies in this window, and the beat's own values there.
    fn pair(&self, waves: &Waves, template: &Template) -> (Vec<f64>, Vec<f64>) {
        let count = (self.end + 1 - self.start).min(template.line.len());
        let own = project(&waves.atrial, &template.weights, self.end + 1 - count, self.end);
        (template.line[template.line.len() - count..].to_vec(), own)
    }

    /// Correlation with the template, both less their chords.
    fn likeness(&self, waves: &Waves, template: &Template) -> f64 {
        let (expected, own) = self.pair(waves, template);
        let (a, b) = (centred(&off_chord(&expected)), centred(&off_chord(&own)));
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(p, q)| p * q).sum::<f64>();
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt().max(f64::MIN_POSITIVE)
    }

    /// Onset, peak and end, the peak near the place that the template has it.
    fn wave(&self, waves: &Waves, template: &Template) -> Option<(usize, usize, usize)> {
        let sign = template.height.signum();
        let values: Vec<f64> = project(&waves.atrial, &template.weights, self.start, self.end)
            .iter()
            .map(|v| v * sign)
            .collect();
        let skipped = self.length - values.len();
        let expected = template.peak.checked_sub(skipped)?;
        let near = waves.samples(0.045);
        let flat = off_chord(&values);
        let range = expected.saturating_sub(near)..(expected + near + 1).min(values.len());
        let peak = range.max_by(|a, b| flat[*a].total_cmp(&flat[*b]))?;
        let reach = waves.samples(0.07);
        let span = waves.samples(0.13);
        let on = flank_end(&values, peak, peak.saturating_sub(span), reach);
        let off = flank_end(&values, peak, (peak + span).min(values.len() - 1), reach);
        (on < peak && peak < off).then_some((self.start + on, self.start + peak, self.start + off))
    }
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|v| v - mean).collect()
}
