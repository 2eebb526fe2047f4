//! P waves that no QRS follows: second-degree AV block.
//!
//! The P wave is learnt where it is surest (before the beats that end a pause, else before all conducted beats), looked
//! for before every beat and inside every pause, and believed where the distances between P waves are even: a premature
//! P wave that is not conducted makes a pause as well, but not an even train of P waves.
//! Criteria: Surawicz et al., AHA/ACCF/HRS recommendations part III (2009); Barold and Hayes, Second-degree
//! atrioventricular block: a reappraisal, Mayo Clin Proc 2001.

use super::{Evidence, Facts, Statement, finding};
use crate::ecg::beats::{Beat, BeatClass};
use crate::ecg::delineate::{AtrialEvidence, Marks};
use crate::ecg::filter;

/// What was seen of the conduction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blocked {
    /// PR of the beat before each blocked P wave or group of them, if it was seen, and of the beat after, milliseconds.
    pub(crate) around_ms: Vec<(f64, f64)>,
    /// Largest number of P waves blocked in a row.
    pub(crate) in_a_row: usize,
    /// Whether every second P wave is blocked throughout.
    pub(crate) two_to_one: bool,
    /// Whether all PR intervals of conducted beats in a row are alike.
    pub(crate) even_pr: bool,
    /// Usual distance between P waves, milliseconds.
    pub(crate) pp_ms: f64,
}

/// Rate at which P waves are compared.
const RATE_HZ: f64 = 125.0;
/// Window before the QRS in which P is learnt, in seconds.
const WINDOW_S: f64 = 0.36;
/// Half the length of a P wave, in seconds.
const HALF_S: f64 = 0.064;
/// Likeness from which a wave is this P wave.
const LIKENESS_MIN: f64 = 0.80;
/// The same for every wave of a train without a pause.
const LIKENESS_SURE: f64 = 0.88;
/// Height against the P wave that was learnt.
const GAIN: std::ops::RangeInclusive<f64> = 0.5..=1.7;
/// Relative difference of the distances between P waves that are even.
const EVEN: f64 = 0.12;

/// Leads at the rate of comparison.
struct Leads {
    leads: Vec<Vec<f64>>,
    step: usize,
    rate_hz: f64,
}

/// A beat as it is needed here, in samples of [`Leads`].
#[derive(Clone, Copy)]
struct Own {
    on: usize,
    off: usize,
    conducted: bool,
}

/// Looks for blocked P waves; `None` where there are none, or where they cannot be told.
pub(crate) fn look(
    signals: &[Vec<f32>],
    rate_hz: f64,
    beats: &[Beat],
    marks: &[Marks],
    evidence: AtrialEvidence,
) -> Option<Blocked> {
    const BEATS: std::ops::RangeInclusive<usize> = 4..=120;
    if !BEATS.contains(&beats.len()) {
        return None;
    }
    let gaps: Vec<f64> = beats
        .windows(2)
        .map(|w| (w[1].sample - w[0].sample) as f64)
        .collect();
    let short = quartile(&gaps)?;
    // Without pauses only a slow, even heart may hide every second P wave.
    let paused = gaps.iter().any(|gap| *gap > PAUSE_INTERVALS * short);
    if !paused && short < SLOW_S * rate_hz {
        return None;
    }
    let leads = Leads::new(signals, rate_hz);
    let own: Vec<Own> = beats
        .iter()
        .zip(marks)
        .filter_map(|(beat, mark)| leads.own(*beat, mark))
        .collect();
    if own.len() != beats.len() {
        return None;
    }
    let template = Template::learn(&leads, &own, paused, evidence)?;
    let before: Vec<Option<usize>> = (0..own.len())
        .map(|place| template.before(&leads, &own, place))
        .collect();
    if paused {
        dropped(&leads, &template, &own, &before)
    } else {
        every_second(&leads, &template, &own, &before)
    }
}

/// A pause is longer than so many short intervals.
const PAUSE_INTERVALS: f64 = 1.30;
/// Shortest interval that may hide a blocked P wave, in seconds.
const SLOW_S: f64 = 0.95;

fn quartile(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 4).copied()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

impl Leads {
    fn new(signals: &[Vec<f32>], rate_hz: f64) -> Self {
        const EDGE_HZ: f64 = 30.0;
        let step = (rate_hz / RATE_HZ).round().max(1.0) as usize;
        let slow = |lead: &Vec<f32>| -> Vec<f64> {
            let smooth = filter::low_passed(lead, EDGE_HZ, rate_hz);
            smooth.into_iter().step_by(step).collect()
        };
        Self {
            leads: signals.iter().map(slow).collect(),
            step,
            rate_hz: rate_hz / step as f64,
        }
    }

    fn samples(&self, seconds: f64) -> usize {
        (seconds * self.rate_hz).round() as usize
    }

    fn to_ms(&self, samples: usize) -> f64 {
        samples as f64 * 1_000.0 / self.rate_hz
    }

    fn own(&self, beat: Beat, mark: &Marks) -> Option<Own> {
        let at = |sample: usize| sample / self.step;
        Some(Own {
            on: at(mark.qrs_on?),
            off: at(mark.qrs_off?),
            conducted: matches!(beat.class, BeatClass::Normal | BeatClass::Supraventricular),
        })
    }

    /// The values around `centre`, lead after lead, each less its chord; `None` at the ends.
    fn wave(&self, centre: usize) -> Option<Vec<f64>> {
        let half = self.samples(HALF_S);
        let from = centre.checked_sub(half)?;
        let mut out = Vec::with_capacity(self.leads.len() * (2 * half + 1));
        for lead in &self.leads {
            let part = lead.get(from..=centre + half)?;
            let (first, last) = (part[0], part[2 * half]);
            let step = (last - first) / (2 * half) as f64;
            out.extend(
                part.iter()
                    .enumerate()
                    .map(|(at, v)| v - first - step * at as f64),
            );
        }
        Some(out)
    }
}

/// The P wave that was learnt.
struct Template {
    wave: Vec<f64>,
    power: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

impl Template {
    /// The mean wave before the beats that end a pause, or before all where these have P waves that agree.
    fn learn(leads: &Leads, own: &[Own], paused: bool, evidence: AtrialEvidence) -> Option<Self> {
        const SHARE_MIN: f64 = 0.6;
        const HEIGHT_UV_MIN: f64 = 40.0;
        let gaps: Vec<f64> = own
            .windows(2)
            .map(|w| w[1].on.saturating_sub(w[0].on) as f64)
            .collect();
        let short = quartile(&gaps)?;
        let ends: Vec<usize> = (1..own.len())
            .filter(|place| gaps[place - 1] > PAUSE_INTERVALS * short && own[*place].conducted)
            .collect();
        let used: Vec<usize> = if paused && ends.len() >= 2 {
            ends
        } else if evidence.share >= SHARE_MIN {
            (0..own.len()).filter(|place| own[*place].conducted).collect()
        } else {
            return None;
        };
        let length = leads.samples(WINDOW_S);
        let half = leads.samples(HALF_S);
        let ons: Vec<usize> = used
            .iter()
            .map(|place| own[*place].on)
            .filter(|on| *on > length + half)
            .collect();
        if ons.is_empty() {
            return None;
        }
        // The place before the QRS at which the mean wave is largest.
        let mut best: Option<(f64, Vec<f64>)> = None;
        for back in half.max(leads.samples(0.07))..length {
            let mut mean: Vec<f64> = Vec::new();
            for on in &ons {
                let wave = leads.wave(on - back)?;
                if mean.is_empty() {
                    mean = wave;
                } else {
                    mean.iter_mut().zip(wave).for_each(|(sum, v)| *sum += v);
                }
            }
            mean.iter_mut().for_each(|v| *v /= ons.len() as f64);
            let centre = centre_power(&mean, 2 * half + 1);
            if best.as_ref().is_none_or(|(have, _)| centre > *have) {
                best = Some((centre, mean));
            }
        }
        let (centre, wave) = best?;
        let power = dot(&wave, &wave);
        (centre.sqrt() >= HEIGHT_UV_MIN && power > 0.0).then_some(Self { wave, power })
    }

    /// Likeness and gain of the wave around `centre`.
    fn compare(&self, leads: &Leads, centre: usize) -> Option<(f64, f64)> {
        let wave = leads.wave(centre)?;
        let product = dot(&wave, &self.wave);
        let own = dot(&wave, &wave).max(f64::MIN_POSITIVE);
        Some((product / (own * self.power).sqrt(), product / self.power))
    }

    /// The likest P wave with its centre in the range.
    fn best(&self, leads: &Leads, range: std::ops::Range<usize>) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for centre in range {
            let Some((likeness, gain)) = self.compare(leads, centre) else {
                continue;
            };
            if GAIN.contains(&gain)
                && likeness >= LIKENESS_MIN
                && best.is_none_or(|(_, have)| likeness > have)
            {
                best = Some((centre, likeness));
            }
        }
        best
    }

    /// Centre of the P wave that a beat follows.
    fn before(&self, leads: &Leads, own: &[Own], place: usize) -> Option<usize> {
        const PR_S: (f64, f64) = (0.055, 0.50);
        const ST_S: f64 = 0.18;
        let beat = own[place];
        let floor = place
            .checked_sub(1)
            .map_or(0, |last| own[last].off + leads.samples(ST_S));
        let from = beat.on.saturating_sub(leads.samples(PR_S.1)).max(floor);
        let to = beat.on.saturating_sub(leads.samples(PR_S.0));
        self.best(leads, from..to).map(|(centre, _)| centre)
    }
}

/// Power of the middle of a wave over all leads.
fn centre_power(wave: &[f64], length: usize) -> f64 {
    wave.chunks(length)
        .filter_map(|lead| lead.get(length / 2))
        .map(|v| v * v)
        .sum()
}

/// P waves inside the pauses.
fn dropped(leads: &Leads, template: &Template, own: &[Own], before: &[Option<usize>]) -> Option<Blocked> {
    let gaps: Vec<f64> = own
        .windows(2)
        .map(|w| w[1].on.saturating_sub(w[0].on) as f64)
        .collect();
    let short = quartile(&gaps)?;
    let pauses: Vec<usize> = (0..gaps.len())
        .filter(|place| gaps[*place] > PAUSE_INTERVALS * short)
        .filter(|place| own[*place].conducted && own[place + 1].conducted)
        .collect();
    let mut around_ms = Vec::new();
    let (mut in_a_row, mut distances) = (0, Vec::new());
    for place in &pauses {
        let (Some(first), Some(last)) = (before[*place], before[place + 1]) else {
            continue;
        };
        let Some(count) = train(leads, template, own[*place].off, first, last) else {
            continue;
        };
        in_a_row = in_a_row.max(count);
        distances.push(leads.to_ms(last - first) / (count + 1) as f64);
        let pr = |at: usize, p: usize| leads.to_ms(own[at].on.saturating_sub(p));
        around_ms.push((pr(*place, first), pr(place + 1, last)));
    }
    // One drop among other pauses may be anything; most pauses must be drops.
    if around_ms.is_empty() || 2 * around_ms.len() < pauses.len() {
        return None;
    }
    let pp_ms = median(&distances)?;
    if !evenly(leads, before, &gaps, short, pp_ms) {
        return None;
    }
    Some(Blocked {
        in_a_row,
        two_to_one: false,
        even_pr: even_pr(leads, own, before),
        pp_ms,
        around_ms,
    })
}

/// How many P waves stand evenly between the P waves at `first` and `last`, before and after a pause; `None` when they
/// do not.
fn train(leads: &Leads, template: &Template, qrs_off: usize, first: usize, last: usize) -> Option<usize> {
    const MOST: usize = 4;
    const CLEAR_S: f64 = 0.09;
    const SHORTEST_S: f64 = 0.40;
    let whole = last.checked_sub(first)?;
    // More waves than one only where the shorter distance explains all of them.
    for count in (1..=MOST).rev() {
        let distance = whole as f64 / (count + 1) as f64;
        if distance < SHORTEST_S * leads.rate_hz {
            continue;
        }
        let reach = (EVEN * distance) as usize;
        let found = (1..=count).all(|index| {
            let centre = first + (distance * index as f64).round() as usize;
            let from = centre.saturating_sub(reach).max(qrs_off + leads.samples(CLEAR_S));
            template.best(leads, from..centre + reach + 1).is_some()
        });
        if found {
            return Some(count);
        }
    }
    None
}

/// Whether the P waves of beats that follow each other without a pause stand as far apart as those in the pauses.
fn evenly(leads: &Leads, before: &[Option<usize>], gaps: &[f64], short: f64, pp_ms: f64) -> bool {
    let mut distances = Vec::new();
    for (place, gap) in gaps.iter().enumerate() {
        if *gap > PAUSE_INTERVALS * short {
            continue;
        }
        if let (Some(a), Some(b)) = (before[place], before[place + 1]) {
            distances.push(leads.to_ms(b.saturating_sub(a)));
        }
    }
    // Without two conducted beats in a row there is nothing to compare with.
    median(&distances).is_none_or(|usual| (usual / pp_ms - 1.0).abs() < EVEN)
}

fn even_pr(leads: &Leads, own: &[Own], before: &[Option<usize>]) -> bool {
    const SPREAD_MS: f64 = 24.0;
    let prs = own
        .iter()
        .zip(before)
        .filter_map(|(beat, p)| Some(leads.to_ms(beat.on.saturating_sub((*p)?))));
    let (low, high) = prs.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    high - low <= SPREAD_MS
}

/// A P wave in the middle of every interval between conducted ones.
fn every_second(
    leads: &Leads,
    template: &Template,
    own: &[Own],
    before: &[Option<usize>],
) -> Option<Blocked> {
    const CLEAR_S: f64 = 0.09;
    const SHARE: f64 = 0.8;
    const OFF_MIDDLE: f64 = 0.07;
    let (mut seen, mut found) = (0_usize, 0_usize);
    let (mut around_ms, mut distances) = (Vec::new(), Vec::new());
    for place in 0..own.len().saturating_sub(1) {
        let (Some(first), Some(last)) = (before[place], before[place + 1]) else {
            continue;
        };
        seen += 1;
        let whole = last.saturating_sub(first);
        let reach = (OFF_MIDDLE * whole as f64) as usize;
        let from = (first + whole / 2)
            .saturating_sub(reach)
            .max(own[place].off + leads.samples(CLEAR_S));
        let middle = template.best(leads, from..first + whole / 2 + reach + 1);
        if middle.is_some_and(|(_, likeness)| likeness >= LIKENESS_SURE) {
            found += 1;
            distances.push(leads.to_ms(whole) / 2.0);
            let pr = |at: usize, p: usize| leads.to_ms(own[at].on.saturating_sub(p));
            around_ms.push((pr(place, first), pr(place + 1, last)));
        }
    }
    let enough = seen >= 3 && seen + 2 >= own.len() && found as f64 >= SHARE * seen as f64;
    let even = even_pr(leads, own, before);
    (enough && even).then_some(Blocked {
        around_ms,
        in_a_row: 1,
        two_to_one: true,
        even_pr: even,
        pp_ms: median(&distances)?,
    })
}

/// The finding, by how PR goes before the blocked wave.
pub(super) fn state(facts: &Facts<'_>, out: &mut Vec<Statement>) {
    const LONGER_MS: f64 = 24.0;
    let Some(blocked) = &facts.blocked else { return };
    let count = blocked.around_ms.len();
    let shortens = |pair: &&(f64, f64)| pair.0 - pair.1 > LONGER_MS;
    let shorter_after = blocked.around_ms.iter().filter(shortens).count();
    let finding = if blocked.two_to_one {
        finding::AV_BLOCK_2_1
    } else if blocked.in_a_row >= 2 {
        finding::AV_BLOCK_HIGH
    } else if 2 * shorter_after > count {
        finding::AV_BLOCK_MOBITZ_1
    } else if shorter_after == 0 && blocked.even_pr {
        finding::AV_BLOCK_MOBITZ_2
    } else {
        finding::AV_BLOCK_2
    };
    let (before, after) = blocked.around_ms.first().copied().unwrap_or_default();
    let (pp, row) = (blocked.pp_ms, blocked.in_a_row);
    out.push(finding.with(Evidence::new(
        format!("{count}处P波未下传(连续{row}个), PP {pp:.0} ms, P峰至QRS {before:.0} ms, 其后{after:.0} ms"),
        format!(
            "P waves without QRS at {count} places ({row} in a row), PP {pp:.0} ms, P peak to QRS {before:.0} ms, then {after:.0} ms"
        ),
    )));
}
