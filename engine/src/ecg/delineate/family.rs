//! Beats of one shape and their median: marks on the median are freer of noise than marks on any single beat.

use crate::ecg::beats::Beat;
use crate::ecg::filter;

/// Time before and after the main peak that a median holds.
const BEFORE_S: f64 = 0.45;
const AFTER_S: f64 = 0.68;
/// Most families; what is left over joins the likest.
const FAMILIES_MAX: usize = 12;
/// Most members that enter a median.
const MEMBERS_MAX: usize = 60;
/// Likeness of the QRS from which a beat is of the family.
const LIKENESS_MIN: f64 = 0.85;
/// Half the length of the QRS that is compared, in seconds.
const HALF_QRS_S: f64 = 0.060;
/// How far the main peak may be from where the family has it, in seconds: on a plateau it may stand anywhere.
const SHIFT_S: f64 = 0.044;
/// Time next to a neighbouring beat that belongs to that beat, in seconds.
const GUARD_S: f64 = 0.10;

/// A beat of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in the list of beats.
    pub(crate) beat: usize,
    /// The sample that lies upon [`Family::centre`].
    pub(crate) centre: usize,
}

/// Beats of one shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    pub(crate) members: Vec<Member>,
    /// Median of each lead, microvolts.
    pub(crate) leads: Vec<Vec<f64>>,
    /// Place of the main peak in the median.
    pub(crate) centre: usize,
    /// Usual distance to the next beat, in samples.
    pub(crate) cycle: usize,
}

/// Families of all beats, the largest first. All leads are equally long.
pub(crate) fn families(signals: &[Vec<f32>], rate_hz: f64, beats: &[Beat]) -> Vec<Family> {
    let compared = Compared::new(signals, rate_hz);
    let mut left: Vec<usize> = (0..beats.len()).collect();
    let mut all: Vec<Vec<Member>> = Vec::new();
    while let Some(seed) = compared.typical(beats, &left) {
        if all.len() >= FAMILIES_MAX {
            break;
        }
        let mut members = Vec::new();
        left.retain(|beat| {
            let (likeness, centre) = compared.best(beats[seed].sample, beats[*beat].sample);
            let joins = *beat == seed || likeness >= LIKENESS_MIN;
            if joins {
                let centre = if *beat == seed { beats[seed].sample } else { centre };
                members.push(Member { beat: *beat, centre });
            }
            !joins
        });
        all.push(members);
    }
    for beat in left {
        let scored = all.iter_mut().filter_map(|members| {
            let first = members.first()?;
            let (likeness, centre) = compared.best(first.centre, beats[beat].sample);
            Some((likeness, centre, members))
        });
        if let Some((_, centre, members)) = scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
            members.push(Member { beat, centre });
        }
    }
    all.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let made = all
        .into_iter()
        .map(|members| family(signals, rate_hz, beats, members));
    made.collect()
}

/// Leads as they are compared: smooth, every second sample.
struct Compared {
    leads: Vec<Vec<f32>>,
    /// Samples of the record for one that is compared.
    step: usize,
    half: usize,
    shift: usize,
}

impl Compared {
    fn new(signals: &[Vec<f32>], rate_hz: f64) -> Self {
        const RATE_HZ_MAX: f64 = 260.0;
        let step = (rate_hz / RATE_HZ_MAX).ceil().max(1.0) as usize;
        let leads = signals.iter().map(|lead| {
            let finite = |part: &[f32]| {
                let mean = part.iter().sum::<f32>() / part.len() as f32;
                if mean.is_finite() { mean } else { 0.0 }
            };
            lead.chunks(step).map(finite).collect()
        });
        let samples = |seconds: f64| (seconds * rate_hz / step as f64).round() as usize;
        Self {
            leads: leads.collect(),
            step,
            half: samples(HALF_QRS_S).max(2),
            shift: samples(SHIFT_S).max(1),
        }
    }

    /// The beat of middling power among those with a whole QRS; any when none has.
    fn typical(&self, beats: &[Beat], left: &[usize]) -> Option<usize> {
        let n = self.leads.first().map_or(0, Vec::len);
        let mut powers: Vec<(f64, usize)> = Vec::with_capacity(left.len());
        for beat in left {
            let at = beats[*beat].sample / self.step;
            if at >= self.half && at + self.half < n {
                let power = |lead: &Vec<f32>| -> f64 {
                    lead[at - self.half..=at + self.half]
                        .iter()
                        .map(|v| f64::from(v * v))
                        .sum()
                };
                powers.push((self.leads.iter().map(power).sum(), *beat));
            }
        }
        let middle = powers.len() / 2;
        if powers.is_empty() {
            return left.first().copied();
        }
        Some(
            powers
                .select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0))
                .1
                .1,
        )
    }

    /// Best likeness of the beat at `other` to the one at `first` and the sample that then lies upon `first`.
    fn best(&self, first: usize, other: usize) -> (f64, usize) {
        let (a, b) = (first / self.step, other / self.step);
        let mut best = (f64::NEG_INFINITY, other);
        for shift in 0..=2 * self.shift {
            let Some(place) = (b + shift).checked_sub(self.shift) else {
                continue;
            };
            let likeness = self.likeness(a, place);
            if likeness > best.0 {
                best = (
                    likeness,
                    (other + shift * self.step).saturating_sub(self.shift * self.step),
                );
            }
        }
        best
    }

    /// Likeness of two places: correlation, less where one is larger than the other.
    fn likeness(&self, a: usize, b: usize) -> f64 {
        let n = self.leads.first().map_or(0, Vec::len);
        let before = self.half.min(a).min(b);
        let after = self
            .half
            .min(n.saturating_sub(a + 1))
            .min(n.saturating_sub(b + 1));
        if a >= n || b >= n || before + after < self.half {
            return -1.0;
        }
        let (mut ab, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
        for lead in &self.leads {
            let (x, y) = (&lead[a - before..=a + after], &lead[b - before..=b + after]);
            for (x, y) in x.iter().zip(y) {
                ab += x * y;
                aa += x * x;
                bb += y * y;
            }
        }
        if aa <= 0.0 || bb <= 0.0 {
            return -1.0;
        }
        f64::from(ab / (aa * bb).sqrt()) * (1.0 - 0.15 * f64::from(bb / aa).ln().abs())
    }
}

fn family(signals: &[Vec<f32>], rate_hz: f64, beats: &[Beat], members: Vec<Member>) -> Family {
    let samples = |seconds: f64| (seconds * rate_hz) as usize;
    let (before, after, guard) = (samples(BEFORE_S), samples(AFTER_S), samples(GUARD_S));
    let n = signals.first().map_or(0, Vec::len);
    let mut cycles: Vec<usize> = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    for member in &members {
        let sample_of = |place: Option<usize>| place.and_then(|i| beats.get(i)).map(|b| b.sample);
        let (last, next) = (
            sample_of(member.beat.checked_sub(1)),
            sample_of(Some(member.beat + 1)),
        );
        cycles.extend(next.map(|next| next.saturating_sub(beats[member.beat].sample)));
        if spans.len() < MEMBERS_MAX {
            spans.push(Span {
                centre: member.centre,
                from: last.map_or(0, |last| last + guard),
                to: next.map_or(n, |next| next.saturating_sub(guard)),
            });
        }
    }
    // A beat cut by an end of the recording says less than whole ones.
    if spans.len() > 3 {
        spans.retain(|span| span.centre >= guard && span.centre + guard < n);
    }
    cycles.sort_unstable();
    let cycle = cycles.get(cycles.len() / 2).copied().unwrap_or(samples(0.9));
    Family {
        leads: signals
            .iter()
            .map(|lead| median_lead(lead, &spans, before, after))
            .collect(),
        members,
        centre: before,
        cycle,
    }
}

/// A beat and the part of the recording that belongs to it alone.
struct Span {
    centre: usize,
    from: usize,
    to: usize,
}

fn median_lead(lead: &[f32], spans: &[Span], before: usize, after: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(before + after);
    let mut values: Vec<f32> = Vec::with_capacity(spans.len());
    for place in 0..before + after {
        values.clear();
        for span in spans {
            let at = (span.centre + place).wrapping_sub(before);
            if at >= span.from
                && at < span.to
                && let Some(value) = lead.get(at)
            {
                values.push(*value);
            }
        }
        values.retain(|v| v.is_finite());
        let middle = values.len() / 2;
        out.push(if values.is_empty() {
            f64::NAN
        } else {
            let upper = f64::from(*values.select_nth_unstable_by(middle, f32::total_cmp).1);
            if values.len() % 2 == 1 {
                upper
            } else {
                let lower = values[..middle].iter().copied().fold(f32::NEG_INFINITY, f32::max);
                0.5 * (upper + f64::from(lower))
            }
        });
    }
    hold_ends(&mut out);
    out
}

/// Places that no beat reached take the nearest value; a lead without any becomes zero.
fn hold_ends(values: &mut [f64]) {
    let mut last = values.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    for value in values {
        if value.is_finite() {
            last = *value;
        } else {
            *value = last;
        }
    }
}

/// Leads without what is faster than `edge_hz`.
pub(super) fn smoothed(leads: &[Vec<f64>], edge_hz: f64, rate_hz: f64) -> Vec<Vec<f64>> {
    leads
        .iter()
        .map(|lead| filter::low_passed(lead, edge_hz, rate_hz))
        .collect()
}
