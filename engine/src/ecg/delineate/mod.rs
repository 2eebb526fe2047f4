//! Onset, peak and end of P, QRS and T.
//!
//! Beats of one shape are marked together, on their median. QRS limits come from the spatial velocity (the size of the
//! slope over all leads). T and P are followed on the projection of the leads on the direction of that wave; their
//! limits are where the area of a trapezium under the flank is largest (Zhang et al., T wave end detection by a
//! geometric method, Computers in Cardiology 2006). A P wave is believed only when the beat's own window resembles the
//! mean of all beats, so that the fibrillating line of atrial fibrillation makes none.

mod atrial;
pub(crate) mod family;
mod qrs;
mod wave;

use serde::Serialize;

use super::beats::{self, Beat, BeatClass, Leads};
use super::filter::{self, Mains};
use super::record::Record;
use family::{Family, families};
use qrs::{Limits, REST_ALONE, REST_TOGETHER};

pub(crate) use atrial::AtrialEvidence;

/// Marks of one beat, as samples of the record; `None` where a wave is absent or cannot be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Onset of P.
    pub p_on: Option<usize>,
    /// Peak of P.
    pub p_peak: Option<usize>,
    /// End of P.
    pub p_off: Option<usize>,
    /// Onset of QRS.
    pub qrs_on: Option<usize>,
    /// Main peak of QRS.
    pub r_peak: Option<usize>,
    /// End of QRS (J point).
    pub qrs_off: Option<usize>,
    /// Onset of T.
    pub t_on: Option<usize>,
    /// Peak of T.
    pub t_peak: Option<usize>,
    /// End of T.
    pub t_off: Option<usize>,
}

/// Marks of every beat on one lead, or global ones over all leads.
#[must_use]
pub fn delineate(record: &Record, leads: Leads) -> Vec<Marks> {
    let beats = beats::detect(record, Leads::Fused);
    let signals = filter::diagnostic_with_beats(record, Mains::Hz50, &beats);
    let alone = match leads {
        Leads::One(index) if index >= signals.len() => return vec![Marks::default(); beats.len()],
        Leads::One(index) => Some(index),
        Leads::Fused => None,
    };
    delineate_beats(&signals, record.sampling_rate_hz, &beats, alone).marks
}

/// Everything known of the waves.
#[derive(Debug, Clone)]
pub(crate) struct Delineation {
    /// One a beat.
    pub(crate) marks: Vec<Marks>,
    pub(crate) evidence: AtrialEvidence,
    /// The largest first.
    pub(crate) families: Vec<Family>,
    /// Marks on the median of each family, P as it usually precedes conducted beats.
    pub(crate) medians: Vec<Marks>,
}

/// Marks on filtered leads in microvolts around known beats: global ones, or those of the lead `alone`, for which the
/// others say where to look.
pub(crate) fn delineate_beats(
    signals: &[Vec<f32>],
    rate_hz: f64,
    beats: &[Beat],
    alone: Option<usize>,
) -> Delineation {
    let families = families(signals, rate_hz, beats);
    // P is looked for between the common marks, whichever lead is wanted.
    let mut common = vec![Marks::default(); beats.len()];
    let mut of_lead = common.clone();
    let mut medians = Vec::with_capacity(families.len());
    let n = signals.first().map_or(0, Vec::len);
    for family in &families {
        let (together, own) = mark_family(family, rate_hz, alone);
        for member in &family.members {
            let next = beats.get(member.beat + 1).map_or(n, |beat| beat.sample);
            let placed = |marks: Marks| {
                marks
                    .moved(family.centre, member.centre, n)
                    .bounded(next, rate_hz)
            };
            let mark = &mut common[member.beat];
            *mark = placed(together);
            let sample = beats[member.beat].sample;
            mark.r_peak = mark
                .qrs_on
                .zip(mark.qrs_off)
                .map(|(on, off)| sample.clamp(on, off));
            of_lead[member.beat] = own.map(placed).unwrap_or_default();
        }
        medians.push(together);
    }
    let (evidence, p) = atrial::mark(signals, rate_hz, beats, &mut common, alone);
    let mut marks = common;
    if alone.is_some() {
        for (mark, own) in marks.iter_mut().zip(of_lead) {
            *mark = own.with_p_of(mark);
        }
    }
    if let Some(p) = p {
        for mark in &mut medians {
            p.put_before(mark);
        }
    }
    Delineation {
        marks,
        evidence,
        families,
        medians,
    }
}

/// QRS and T on the median of a family: of all leads, and of the lead `alone` if one is wanted.
fn mark_family(family: &Family, rate_hz: f64, alone: Option<usize>) -> (Marks, Option<Marks>) {
    const TOGETHER_HZ: f64 = 75.0;
    const ALONE_HZ: f64 = 25.0;
    let n = family.leads.first().map_or(0, Vec::len);
    let fast = family::smoothed(&family.leads, TOGETHER_HZ, rate_hz);
    let velocity = qrs::velocity(fast.iter(), n);
    let found = qrs::limits(&velocity, family.centre, rate_hz, family.cycle, REST_TOGETHER);
    let Some(together) = found else {
        return (Marks::default(), None);
    };
    let slow = family::smoothed(&family.leads, ALONE_HZ, rate_hz);
    let window = wave::Window {
        centre: family.centre,
        qrs_off: together.off,
        cycle: family.cycle,
        rate_hz,
    };
    let t = wave::t_together(&slow, window);
    let lead = alone.and_then(|place| Some((slow.get(place)?, fast.get(place)?)));
    let common = Marks::of(together, family.centre.clamp(together.on, together.off), t);
    let Some((smooth, sharp)) = lead else {
        return (common, None);
    };
    let velocity = qrs::velocity(std::iter::once(smooth), n);
    let own = qrs::limits(&velocity, family.centre, rate_hz, family.cycle, REST_ALONE);
    let limits = own.map_or(together, |own| together.mixed_with(own));
    let peak = main_peak(sharp, limits);
    let own = Marks::of(limits, peak, t.map(|t| wave::t_alone(smooth, t, window)));
    (common, Some(own))
}

impl Limits {
    /// The limits of one lead, drawn towards the common ones: noise moves them less.
    fn mixed_with(self, own: Limits) -> Limits {
        const OWN: f64 = 0.65;
        let mix = |own: usize, common: usize| wave::mixed(own, common, OWN, usize::MAX / 4);
        let (on, off) = (mix(own.on, self.on), mix(own.off, self.off));
        if on < off { Limits { on, off } } else { self }
    }
}

/// The place inside the QRS that stands farthest from its onset level: the R peak, else the main Q or S.
fn main_peak(lead: &[f64], limits: Limits) -> usize {
    let base = lead[limits.on];
    let height = |at: usize| {
        let distance = lead[at] - base;
        if distance > 0.0 { 1.6 * distance } else { -distance }
    };
    let inside = limits.on..=limits.off.min(lead.len() - 1);
    inside
        .max_by(|a, b| height(*a).total_cmp(&height(*b)))
        .unwrap_or(limits.on)
}

impl Marks {
    fn of(qrs: Limits, peak: usize, t: Option<wave::Wave>) -> Self {
        let t = t.filter(|t| t.peak > qrs.off);
        Self {
            qrs_on: Some(qrs.on),
            r_peak: Some(peak),
            qrs_off: Some(qrs.off),
            t_on: t.map(|t| t.on.max(qrs.off)),
            t_peak: t.map(|t| t.peak),
            t_off: t.map(|t| t.off),
            ..Self::default()
        }
    }

    /// The marks of a median whose `centre` lies upon the sample `at`; what falls outside the `n` samples is left out.
    fn moved(&self, centre: usize, at: usize, n: usize) -> Self {
        let place = |mark: Option<usize>| {
            let moved = (mark? + at).checked_sub(centre)?;
            (moved < n).then_some(moved)
        };
        let mut made = Self {
            p_on: None,
            p_peak: None,
            p_off: None,
            qrs_on: place(self.qrs_on),
            r_peak: place(self.r_peak),
            qrs_off: place(self.qrs_off),
            t_on: place(self.t_on),
            t_peak: place(self.t_peak),
            t_off: place(self.t_off),
        };
        if made.t_off.is_none() || made.t_peak.is_none() || made.t_on.is_none() {
            made.without_t();
        }
        made
    }

    /// These marks with the P wave of others, which ends before the QRS.
    fn with_p_of(mut self, other: &Self) -> Self {
        if let (Some(on), Some(peak), Some(off), Some(qrs_on)) =
            (other.p_on, other.p_peak, other.p_off, self.qrs_on)
            && peak < qrs_on
        {
            (self.p_on, self.p_peak, self.p_off) = (Some(on), Some(peak), Some(off.min(qrs_on)));
        }
        self
    }

    fn without_t(&mut self) {
        (self.t_on, self.t_peak, self.t_off) = (None, None, None);
    }

    /// T ends before the next QRS, or is not seen at all.
    fn bounded(mut self, next: usize, rate_hz: f64) -> Self {
        let last = next.saturating_sub((0.05 * rate_hz) as usize);
        if self.t_peak.is_some_and(|peak| peak >= last) {
            self.without_t();
        } else if let Some(off) = &mut self.t_off {
            *off = (*off).min(last);
        }
        self
    }
}

/// Whether a beat takes part in means over conducted beats.
pub(crate) fn is_conducted(class: BeatClass) -> bool {
    matches!(class, BeatClass::Normal | BeatClass::Supraventricular)
}

#[cfg(test)]
mod tests;
