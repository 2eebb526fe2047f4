//! Filter paths: the decoded signal, the diagnostic one for every measurement, the display one for eyes only.
//!
//! All paths keep length, rate and the place of every peak (zero phase). The diagnostic path takes the baseline off
//! through the isoelectric points before each QRS, so that slow wander goes and the ST level stays; a linear high-pass
//! cannot do both. Gaps (no sample, lead off) stay gaps: NaN in the output.

mod baseline;
mod biquad;
mod curve;
mod fir;
mod gaps;
mod mains;
mod survey;

use std::ops::Range;

use self::biquad::Section;
use self::curve::Curve;
use self::survey::{Prepared, Wanted, prepare};
use super::beats::{self, Beat, BeatClass, pacing};
use super::record::{Lead, Record};

/// Which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Path {
    /// Decoded microvolts, untouched.
    Raw,
    /// 0.05 to 150 Hz class; amplitudes and ST levels are true.
    #[default]
    Diagnostic,
    /// 0.5 to 40 Hz; calm to look at, never measured.
    Display,
}

/// Which mains frequency is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mains {
    /// None.
    Off,
    /// 50 Hz and what the grid strays from it.
    #[default]
    Hz50,
    /// 60 Hz and what the grid strays from it.
    Hz60,
}

impl Mains {
    /// The nominal frequency.
    #[must_use]
    pub fn hertz(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Hz50 => Some(50.0),
            Self::Hz60 => Some(60.0),
        }
    }
}

/// Filters every lead; shape (leads, samples), microvolts.
#[must_use]
pub fn apply(record: &Record, path: Path, mains: Mains) -> Vec<Vec<f32>> {
    let mut out = Vec::new();
    apply_into(record, path, mains, &mut out);
    out
}

/// The same into rows that stand already: who filters part after part of a long recording needs no new memory for each.
/// The rows are made as many and as long as the leads.
pub fn apply_into(record: &Record, path: Path, mains: Mains, out: &mut Vec<Vec<f32>>) {
    out.resize_with(record.leads.len(), Vec::new);
    if path == Path::Raw {
        for (row, lead) in out.iter_mut().zip(&record.leads) {
            row.clone_from(&lead.samples_uv);
        }
        return;
    }
    let rate_hz = record.sampling_rate_hz;
    let smooth = LowPass::of(path, rate_hz);
    if path == Path::Display {
        let slow = baseline::Slow::new(rate_hz);
        for (row, lead) in out.iter_mut().zip(&record.leads) {
            let lead = prepared(lead, rate_hz, mains, true);
            chain(&lead, &slow.line(&lead.means), &smooth, row);
        }
        return;
    }
    let mut leads = prepared_all(&record.leads, rate_hz, mains, true);
    for lead in &mut leads {
        // Before beats and isoelectric points are looked for.
        lead.unhum(rate_hz, true);
    }
    let beats = beats_of(&leads, rate_hz);
    diagnostic(&leads, rate_hz, &beats, &smooth, out);
}

/// The diagnostic path for measuring, around beats which are already known: the stimuli of a pacemaker are taken out.
#[must_use]
pub fn diagnostic_with_beats(record: &Record, mains: Mains, beats: &[Beat]) -> Vec<Vec<f32>> {
    let rate_hz = record.sampling_rate_hz;
    let blank = beats.iter().any(|beat| beat.class == BeatClass::Unclassifiable);
    let mut leads = prepared_all(&record.leads, rate_hz, mains, true);
    if blank {
        let rows: Vec<&[f32]> = leads.iter().map(|lead| &*lead.lead.values).collect();
        let stimuli = pacing::stimuli(&rows, rate_hz);
        for lead in &mut leads {
            let values = pacing::blanked(&lead.lead.values, &stimuli, rate_hz);
            *lead = lead.with_values(values, wanted(rate_hz, mains, true));
        }
    }
    for lead in &mut leads {
        lead.unhum(rate_hz, true);
    }
    let mut out = vec![Vec::new(); leads.len()];
    diagnostic(
        &leads,
        rate_hz,
        beats,
        &LowPass::of(Path::Diagnostic, rate_hz),
        &mut out,
    );
    out
}

fn diagnostic(leads: &[Prepared<'_>], rate_hz: f64, beats: &[Beat], smooth: &LowPass, out: &mut [Vec<f32>]) {
    for (row, lead) in out.iter_mut().zip(leads) {
        let line = baseline::anchored(&lead.lead.values, &lead.means, &lead.lead.gaps, rate_hz, beats);
        chain(lead, &line, smooth, row);
    }
}

fn wanted(rate_hz: f64, mains: Mains, means: bool) -> Wanted {
    Wanted {
        rate_hz,
        hertz: mains.hertz(),
        means,
    }
}

fn prepared(lead: &Lead, rate_hz: f64, mains: Mains, means: bool) -> Prepared<'_> {
    prepare(&lead.samples_uv, wanted(rate_hz, mains, means))
}

fn prepared_all(leads: &[Lead], rate_hz: f64, mains: Mains, means: bool) -> Vec<Prepared<'_>> {
    leads
        .iter()
        .map(|lead| prepared(lead, rate_hz, mains, means))
        .collect()
}

/// The beats over all given leads that have a signal, gaps and lead-off stretches bridged.
pub(crate) fn beats_in(leads: &[Lead], rate_hz: f64) -> Vec<Beat> {
    beats_of(&prepared_all(leads, rate_hz, Mains::Off, false), rate_hz)
}

/// The same, and the gaps of each lead.
pub(crate) fn beats_and_gaps(leads: &[Lead], rate_hz: f64) -> (Vec<Beat>, Vec<Vec<Range<usize>>>) {
    let prepared = prepared_all(leads, rate_hz, Mains::Off, false);
    let beats = beats_of(&prepared, rate_hz);
    (beats, prepared.into_iter().map(|lead| lead.lead.gaps).collect())
}

/// Zero-phase low-pass of one filtered lead; gaps count as the isoelectric line.
pub(crate) fn low_passed<T: Copy + Into<f64>>(lead: &[T], edge_hz: f64, rate_hz: f64) -> Vec<f64> {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let mut signal: Vec<f64> = lead.iter().map(|v| finite((*v).into())).collect();
    if edge_hz < 0.45 * rate_hz {
        biquad::zero_phase(
            &Section::low_pass(edge_hz, rate_hz),
            &mut signal,
            (0.2 * rate_hz) as usize,
        );
    }
    signal
}

fn beats_of(prepared: &[Prepared<'_>], rate_hz: f64) -> Vec<Beat> {
    let leads: Vec<&[f32]> = prepared
        .iter()
        .map(|lead| &lead.lead)
        .filter(|lead| !lead.is_empty())
        .map(|lead| &*lead.values)
        .collect();
    beats::detect_in(&leads, rate_hz)
}

/// A lead without interference and line, and smooth, into `out`.
fn chain(lead: &Prepared<'_>, line: &Curve, smooth: &LowPass, out: &mut Vec<f32>) {
    let n = lead.lead.values.len();
    if lead.lead.is_empty() {
        out.clear();
        out.resize(n, f32::NAN);
        return;
    }
    // Every sample is written below; what stood here before needs no clearing.
    out.resize(n, 0.0);
    let unhummed = Unhummed {
        signal: &lead.lead.values,
        hum: lead.hum.as_ref(),
        line,
    };
    smooth.run(&unhummed, out);
    lead.lead.put_gaps_back(out);
}

/// A lead from which interference and line are taken wherever it is looked at.
struct Unhummed<'a> {
    signal: &'a [f32],
    hum: Option<&'a mains::Hum>,
    line: &'a Curve,
}

impl Unhummed<'_> {
    /// Writes a part of the lead without interference and line to `out`, which is as long; `scratch` is for its own use.
    fn clean(&self, range: Range<usize>, scratch: &mut Vec<f32>, out: &mut [f32]) {
        let Some(hum) = self.hum else {
            self.line.take_from(&self.signal[range.clone()], range.start, out);
            return;
        };
        let start = range.start - range.start % hum.sub_block();
        scratch.clear();
        scratch.extend_from_slice(&self.signal[start..range.end]);
        hum.subtract(scratch, start);
        self.line
            .take_from(&scratch[range.start - start..], range.start, out);
    }
}

/// Samples worked on together: they and what is made of them stay in the nearest cache.
const STRETCH: usize = 1 << 11;

/// The upper edge of a path.
enum LowPass {
    /// The rate has no room for one.
    None,
    Symmetric(fir::LowPass),
    /// At rates so high that a symmetric filter would have thousands of taps.
    Recursive(Section, f64),
}

impl LowPass {
    fn of(path: Path, rate_hz: f64) -> Self {
        /// Two passes of a Butterworth pair have -3 dB where one has -1.5 dB: at this share of its edge.
        const EDGE_SHARE: f64 = 0.802;
        let (edge_hz, reach_s) = match path {
            Path::Raw => return Self::None,
            Path::Diagnostic => (150.0, 0.016),
            Path::Display => (40.0, 0.040),
        };
        if rate_hz > fir::RATE_HZ_MAX {
            return Self::Recursive(Section::low_pass(edge_hz / EDGE_SHARE, rate_hz), rate_hz);
        }
        fir::LowPass::new(edge_hz, reach_s, rate_hz).map_or(Self::None, Self::Symmetric)
    }

    /// The lead without interference and line, and smooth, into `out`, which is as long.
    fn run(&self, lead: &Unhummed<'_>, out: &mut [f32]) {
        match self {
            Self::None => clean_all(lead, out),
            Self::Symmetric(filter) => in_stretches(filter, lead, out),
            Self::Recursive(section, rate_hz) => {
                clean_all(lead, out);
                let mut signal: Vec<f64> = out.iter().copied().map(f64::from).collect();
                biquad::zero_phase(section, &mut signal, (0.1 * rate_hz) as usize);
                for (to, value) in out.iter_mut().zip(signal) {
                    *to = value as f32;
                }
            }
        }
    }
}

fn clean_all(lead: &Unhummed<'_>, out: &mut [f32]) {
    let mut scratch = Vec::new();
    for (index, part) in out.chunks_mut(STRETCH).enumerate() {
        let from = index * STRETCH;
        lead.clean(from..from + part.len(), &mut scratch, part);
    }
}

/// Filters stretch by stretch; mirrored at the ends.
fn in_stretches(filter: &fir::LowPass, lead: &Unhummed<'_>, out: &mut [f32]) {
    let n = lead.signal.len();
    let reach = filter.reach();
    let (mut scratch, mut mirrored) = (Vec::new(), Vec::new());
    let mut padded = vec![0.0; STRETCH + 2 * reach];
    for (index, part) in out.chunks_mut(STRETCH).enumerate() {
        let from = index * STRETCH;
        let to = from + part.len();
        let seen = from.saturating_sub(reach)..(to + reach).min(n);
        let (before, after) = (reach - (from - seen.start), reach - (seen.end - to));
        let clean = &mut padded[..seen.len()];
        lead.clean(seen, &mut scratch, clean);
        if before + after > 0 {
            mirrored.clear();
            mirror(clean, before, after, &mut mirrored);
            filter.run(&mirrored, part);
        } else {
            filter.run(clean, part);
        }
    }
}

/// Turns a signal round its end points.
fn mirror(signal: &[f32], before: usize, after: usize, out: &mut Vec<f32>) {
    let (Some(first), Some(last)) = (signal.first(), signal.last()) else {
        return;
    };
    let end = signal.len() - 1;
    out.extend((1..=before).rev().map(|k| 2.0 * first - signal[k.min(end)]));
    out.extend_from_slice(signal);
    out.extend((1..=after).map(|k| 2.0 * last - signal[end.saturating_sub(k)]));
}

#[cfg(test)]
mod tests;
