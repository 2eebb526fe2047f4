//! P waves: believed when the beats agree on them.

use super::wave::{flank_end, highest, mixed, off_chord, project};
use super::{Marks, is_conducted};
use crate::ecg::beats::{Beat, BeatClass};
use crate::ecg::filter;

/// Longest time from P onset to QRS onset that is looked at.
const WINDOW_S: f64 = 0.30;
/// Time before the QRS onset into which the smoothed QRS still reaches.
const PR_GUARD_S: f64 = 0.008;
/// Edge of what is kept of P, and by how much a filter of this edge spreads the ends of a wave, in seconds.
const ATRIAL_HZ: f64 = 40.0;
const SPREAD_S: f64 = 0.1 / ATRIAL_HZ;
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

/// Leads with what P holds; faster than for T, so that the QRS does not reach into the PR segment.
struct Atria {
    leads: Vec<Vec<f64>>,
    rate_hz: f64,
}

impl Atria {
    fn samples(&self, seconds: f64) -> usize {
        (seconds * self.rate_hz).round() as usize
    }
}

/// The mean window before the QRS.
struct Template {
    weights: Vec<f64>,
    /// Mean along the weights, less its chord.
    line: Vec<f64>,
    /// Height of P over the chord.
    height: f64,
    /// Limits and peak on the mean, as distances from its end.
    p: Place,
}

/// Where P stands before the QRS, in samples before its onset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    on: usize,
    peak: usize,
    off: usize,
}

impl Place {
    /// Adds P to marks that have a QRS onset.
    pub(super) fn put_before(self, marks: &mut Marks) {
        let at = |before: usize| marks.qrs_on.and_then(|on| on.checked_sub(before));
        let (on, peak, off) = (at(self.on), at(self.peak), at(self.off));
        if on.is_some() {
            (marks.p_on, marks.p_peak, marks.p_off) = (on, peak, off);
        }
    }
}

/// Adds the P marks; answers what was seen, and where P usually stands when it is believed.
pub(super) fn mark(
    signals: &[Vec<f32>],
    rate_hz: f64,
    beats: &[Beat],
    marks: &mut [Marks],
    alone: Option<usize>,
) -> (AtrialEvidence, Option<Place>) {
    let atria = Atria {
        leads: signals
            .iter()
            .map(|lead| filter::low_passed(lead, ATRIAL_HZ, rate_hz))
            .collect(),
        rate_hz,
    };
    let length = atria.samples(WINDOW_S).max(4);
    let windows = windows(&atria, beats, marks, length);
    let Some(template) = template(&atria, &windows, length, alone) else {
        return (AtrialEvidence::default(), None);
    };
    let likeness: Vec<Option<f64>> = windows
        .iter()
        .map(|w| w.map(|w| w.likeness(&atria, &template)))
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
        return (evidence, None);
    }
    let mut found = 0;
    for (index, window) in windows.iter().enumerate() {
        let (Some(window), Some(like)) = (window, likeness[index]) else {
            continue;
        };
        if like < LIKENESS_MIN {
            continue;
        }
        let Some(p) = window.place(&atria, &template) else {
            continue;
        };
        found += usize::from(window.conducted);
        let at = |before: usize| Some(window.end - before);
        (marks[index].p_on, marks[index].p_peak, marks[index].p_off) = (at(p.on), at(p.peak), at(p.off));
    }
    evidence.share = found as f64 / count.max(1) as f64;
    let guard = pr_guard(&atria);
    let usual = Place {
        on: template.p.on + guard,
        peak: template.p.peak + guard,
        off: template.p.off + guard,
    };
    (evidence, (found > 0).then_some(usual))
}

fn pr_guard(atria: &Atria) -> usize {
    atria.samples(PR_GUARD_S).max(1)
}

/// Mean correlation below which the beats do not agree on a P wave.
const CONSISTENCY_MIN: f64 = 0.50;
/// Correlation with the mean that a single beat needs.
const LIKENESS_MIN: f64 = 0.50;

/// The window of one beat, which ends just before the QRS onset; what lies before `start` belongs to T.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    end: usize,
    conducted: bool,
}

fn windows(atria: &Atria, beats: &[Beat], marks: &[Marks], length: usize) -> Vec<Option<Window>> {
    let mut out = Vec::with_capacity(beats.len());
    for (index, (beat, mark)) in beats.iter().zip(marks).enumerate() {
        let before = index.checked_sub(1).and_then(|i| marks.get(i));
        let floor = before.and_then(|m| m.t_off.or(m.qrs_off)).unwrap_or(0);
        let window = mark
            .qrs_on
            .filter(|_| beat.class != BeatClass::Ventricular)
            .and_then(|on| {
                let end = on.checked_sub(pr_guard(atria))?;
                let start = (end + 1).saturating_sub(length).max(floor.min(end));
                let enough = end > start + atria.samples(0.10);
                enough.then_some(Window {
                    start,
                    end,
                    conducted: is_conducted(beat.class),
                })
            });
        out.push(window);
    }
    out
}

/// Mean over the conducted beats, lead by lead, each value over the beats whose window reaches so far.
fn template(
    atria: &Atria,
    windows: &[Option<Window>],
    length: usize,
    alone: Option<usize>,
) -> Option<Template> {
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
    let mut means = Vec::with_capacity(atria.leads.len());
    for lead in &atria.leads {
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
        atria.samples(0.030).min(common / 3),
        common - atria.samples(0.020).min(common / 3),
    );
    let top = (from..to).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
    let weights: Vec<f64> = flats.iter().map(|flat| flat[top]).collect();
    if common < 4 || weights.iter().all(|w| *w == 0.0) {
        return None;
    }
    let raw = project(&means, &weights, 0, common - 1);
    let line = off_chord(&raw);
    let height = line[top];
    let together = limits(atria, &raw, top, height.signum())?;
    let own = alone.and_then(|place| alone_limits(atria, means.get(place)?, together));
    let (on, peak, off) = own.unwrap_or(together);
    let before = |at: usize| common - 1 - at;
    Some(Template {
        weights,
        height,
        line,
        p: Place {
            on: before(on),
            peak: before(peak),
            off: before(off),
        },
    })
}

/// Onset, peak and end of the wave of this sign whose peak is at `peak`.
fn limits(atria: &Atria, line: &[f64], peak: usize, sign: f64) -> Option<(usize, usize, usize)> {
    let upright: Vec<f64> = line.iter().map(|v| v * sign).collect();
    let (reach, span) = (atria.samples(0.07), atria.samples(0.11));
    let on = flank_end(&upright, peak, peak.saturating_sub(span), reach);
    let off = flank_end(&upright, peak, (peak + span).min(upright.len() - 1), reach);
    let second = second_hump(atria, &upright, peak, off);
    let off = second.map_or(off, |hump| {
        flank_end(&upright, hump, (hump + span).min(upright.len() - 1), reach)
    });
    let spread = (SPREAD_S * atria.rate_hz) as usize;
    let (on, off) = (on + spread, off.saturating_sub(spread));
    (on < peak && peak < off).then_some((on, peak, off))
}

/// Peak of a second hump of P behind its first end: the left atrium, when it is late.
fn second_hump(atria: &Atria, upright: &[f64], peak: usize, off: usize) -> Option<usize> {
    const HEIGHT_SHARE: f64 = 0.4;
    let flat = off_chord(upright);
    let margin = atria.samples(0.010);
    let end = (peak + atria.samples(0.11)).min(flat.len().saturating_sub(1 + margin));
    let height = *flat.get(peak)?;
    (off + 1..end).rev().find(|at| {
        let near = &flat[at.saturating_sub(margin)..=at + margin];
        flat[*at] >= HEIGHT_SHARE * height && near.iter().all(|v| *v <= flat[*at])
    })
}

/// The same on one lead, drawn half-way towards the common limits; `None` where its P is too small to be followed.
fn alone_limits(
    atria: &Atria,
    mean: &[f64],
    together: (usize, usize, usize),
) -> Option<(usize, usize, usize)> {
    const HEIGHT_UV_MIN: f64 = 15.0;
    const OWN: f64 = 0.5;
    const FAR_S: f64 = 0.030;
    let (on, peak, off) = together;
    let flat = off_chord(mean.get(on..=off)?);
    let sizes: Vec<f64> = flat.iter().map(|v| v.abs()).collect();
    let (place, height) = highest(&sizes, peak - on, atria.samples(0.030))?;
    if height < HEIGHT_UV_MIN {
        return None;
    }
    let own = limits(atria, mean, on + place, flat[place].signum())?;
    let far = atria.samples(FAR_S);
    let mix = |own: usize, common: usize| mixed(own, common, OWN, far);
    let (on, off) = (mix(own.0, on), mix(own.2, off));
    (on < own.1 && own.1 < off).then_some((on, own.1, off))
}

impl Window {
    /// The part of the template that lies in this window, and the beat's own values there.
    fn pair(&self, atria: &Atria, template: &Template) -> (Vec<f64>, Vec<f64>) {
        let count = (self.end + 1 - self.start).min(template.line.len());
        let own = project(&atria.leads, &template.weights, self.end + 1 - count, self.end);
        (template.line[template.line.len() - count..].to_vec(), own)
    }

    /// Correlation with the template, both less their chords.
    fn likeness(&self, atria: &Atria, template: &Template) -> f64 {
        let (expected, own) = self.pair(atria, template);
        correlation(&centred(&off_chord(&expected)), &centred(&off_chord(&own)))
    }

    /// Where P stands in this beat: as in the mean, moved to where the beat resembles the mean best.
    fn place(&self, atria: &Atria, template: &Template) -> Option<Place> {
        /// What one whole reach of movement costs: noise moves single waves.
        const COST: f64 = 0.25;
        let reach = atria.samples(0.040) as isize;
        let margin = atria.samples(0.020);
        let length = template.line.len();
        let p = template.p;
        let (from, to) = (
            (length - 1 - p.on).saturating_sub(margin),
            (length - 1 - p.off + margin).min(length - 1),
        );
        let expected = centred(&template.line[from..=to]);
        let own = project(&atria.leads, &template.weights, self.start, self.end);
        let mut best: Option<(f64, isize)> = None;
        for shift in -reach..=reach {
            // The template's end lies upon the end of the window.
            let Some(first) = (own.len() + from)
                .checked_sub(length)
                .and_then(|at| at.checked_add_signed(shift))
            else {
                continue;
            };
            let Some(part) = own.get(first..first + expected.len()) else {
                continue;
            };
            let cost = COST * (shift as f64 / reach.max(1) as f64).powi(2);
            let score = correlation(&expected, &centred(part)) - cost;
            if best.is_none_or(|(have, _)| score > have) {
                best = Some((score, shift));
            }
        }
        let shift = best.map_or(0, |(_, shift)| shift);
        let moved = |before: usize| before.checked_add_signed(-shift);
        let place = Place {
            on: moved(p.on)?.min(self.end - self.start),
            peak: moved(p.peak)?,
            off: moved(p.off)?,
        };
        (place.on > place.peak && place.peak > place.off).then_some(place)
    }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(p, q)| p * q).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|v| v - mean).collect()
}
