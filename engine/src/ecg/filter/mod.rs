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

use std::borrow::Cow;
use std::ops::Range;

use self::biquad::Section;
use self::curve::Curve;
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
    if path == Path::Raw {
        return record.leads.iter().map(|lead| lead.samples_uv.clone()).collect();
    }
    let rate_hz = record.sampling_rate_hz;
    let mut prepared = bridge_all(&record.leads, rate_hz);
    if path == Path::Display {
        return chain(&prepared, rate_hz, path, mains, &[]);
    }
    unhum(&mut prepared, rate_hz, mains);
    let beats = beats_of(&prepared, rate_hz);
    chain(&prepared, rate_hz, path, Mains::Off, &beats)
}

/// The diagnostic path for measuring, around beats which are already known: the stimuli of a pacemaker are taken out.
#[must_use]
pub fn diagnostic_with_beats(record: &Record, mains: Mains, beats: &[Beat]) -> Vec<Vec<f32>> {
    let rate_hz = record.sampling_rate_hz;
    let mut prepared = bridge_all(&record.leads, record.sampling_rate_hz);
    if beats.iter().any(|beat| beat.class == BeatClass::Unclassifiable) {
        let leads: Vec<&[f32]> = prepared.iter().map(|lead| &*lead.values).collect();
        let stimuli = pacing::stimuli(&leads, rate_hz);
        for lead in &mut prepared {
            lead.values = Cow::Owned(pacing::blanked(&lead.values, &stimuli, rate_hz));
        }
    }
    unhum(&mut prepared, rate_hz, mains);
    chain(&prepared, rate_hz, Path::Diagnostic, Mains::Off, beats)
}

/// The beats over all given leads that have a signal, gaps and lead-off stretches bridged.
pub(crate) fn beats_in(leads: &[Lead], rate_hz: f64) -> Vec<Beat> {
    beats_of(&bridge_all(leads, rate_hz), rate_hz)
}

/// The same, and the gaps of each lead.
pub(crate) fn beats_and_gaps(leads: &[Lead], rate_hz: f64) -> (Vec<Beat>, Vec<Vec<Range<usize>>>) {
    let prepared = bridge_all(leads, rate_hz);
    let beats = beats_of(&prepared, rate_hz);
    (beats, prepared.into_iter().map(|lead| lead.gaps).collect())
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

fn bridge_all(leads: &[Lead], rate_hz: f64) -> Vec<gaps::Bridged<'_>> {
    leads
        .iter()
        .map(|lead| gaps::bridge(&lead.samples_uv, rate_hz))
        .collect()
}

/// Takes the interference out of the leads that have it, before beats and isoelectric points are looked for.
fn unhum(prepared: &mut [gaps::Bridged<'_>], rate_hz: f64, mains: Mains) {
    let Some(hertz) = mains.hertz() else { return };
    for lead in prepared.iter_mut().filter(|lead| !lead.is_empty()) {
        if let Some(hum) = mains::Hum::find(&lead.values, rate_hz, hertz) {
            hum.subtract(lead.values.to_mut(), 0);
        }
    }
}

fn beats_of(prepared: &[gaps::Bridged<'_>], rate_hz: f64) -> Vec<Beat> {
    let leads: Vec<&[f32]> = prepared
        .iter()
        .filter(|lead| !lead.is_empty())
        .map(|lead| &*lead.values)
        .collect();
    beats::detect_in(&leads, rate_hz)
}

/// A lead from which the interference is taken wherever it is looked at.
struct Unhummed<'a> {
    signal: &'a [f32],
    hum: Option<mains::Hum>,
}

impl Unhummed<'_> {
    /// Copies a little more than `range` to `out`; answers which sample comes first.
    fn copy(&self, range: Range<usize>, out: &mut Vec<f32>) -> usize {
        let start = range.start - self.hum.as_ref().map_or(0, |hum| range.start % hum.sub_block());
        out.clear();
        out.extend_from_slice(
            self.signal
                .get(start..range.end.min(self.signal.len()))
                .unwrap_or_default(),
        );
        if let Some(hum) = &self.hum {
            hum.subtract(out, start);
        }
        start
    }
}

fn chain(
    prepared: &[gaps::Bridged<'_>],
    rate_hz: f64,
    path: Path,
    mains: Mains,
    beats: &[Beat],
) -> Vec<Vec<f32>> {
    let smooth = LowPass::of(path, rate_hz);
    let filtered = prepared.iter().map(|lead| {
        if lead.is_empty() {
            return vec![f32::NAN; lead.values.len()];
        }
        let unhummed = Unhummed {
            signal: &lead.values,
            hum: mains
                .hertz()
                .and_then(|hertz| mains::Hum::find(&lead.values, rate_hz, hertz)),
        };
        let line = match path {
            Path::Raw => Curve::default(),
            Path::Diagnostic => baseline::anchored(&lead.values, &lead.gaps, rate_hz, beats),
            Path::Display => baseline::slow(&lead.values, rate_hz),
        };
        let mut signal = smooth.run(&unhummed, &line);
        lead.put_gaps_back(&mut signal);
        signal
    });
    filtered.collect()
}

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

    /// The lead without interference and line, and smooth.
    fn run(&self, lead: &Unhummed<'_>, line: &Curve) -> Vec<f32> {
        match self {
            Self::None => clean(lead, line, 0..lead.signal.len()),
            Self::Symmetric(filter) => in_stretches(filter, lead, line),
            Self::Recursive(section, rate_hz) => {
                let whole = clean(lead, line, 0..lead.signal.len());
                let mut signal: Vec<f64> = whole.into_iter().map(f64::from).collect();
                biquad::zero_phase(section, &mut signal, (0.1 * rate_hz) as usize);
                signal.into_iter().map(|v| v as f32).collect()
            }
        }
    }
}

/// A part of the lead without interference and line.
fn clean(lead: &Unhummed<'_>, line: &Curve, range: Range<usize>) -> Vec<f32> {
    let mut out = Vec::with_capacity(range.len());
    clean_into(lead, line, range, &mut out);
    out
}

/// The same into `out`, which is made as long as the range.
fn clean_into(lead: &Unhummed<'_>, line: &Curve, range: Range<usize>, out: &mut Vec<f32>) {
    let start = lead.copy(range.clone(), out);
    out.drain(..range.start - start);
    line.subtract(out, range.start);
}

/// Filters stretch by stretch, so that each is still in the processor's cache at every step; mirrored at the ends.
fn in_stretches(filter: &fir::LowPass, lead: &Unhummed<'_>, line: &Curve) -> Vec<f32> {
    const STRETCH: usize = 1 << 13;
    let n = lead.signal.len();
    let reach = filter.reach();
    let mut out = vec![0.0; n];
    let mut padded: Vec<f32> = Vec::with_capacity(STRETCH + 2 * reach + 64);
    let mut mirrored: Vec<f32> = Vec::new();
    for (index, part) in out.chunks_mut(STRETCH).enumerate() {
        let from = index * STRETCH;
        let to = from + part.len();
        let seen = from.saturating_sub(reach)..(to + reach).min(n);
        let (before, after) = (reach - (from - seen.start), reach - (seen.end - to));
        clean_into(lead, line, seen, &mut padded);
        if before + after > 0 {
            mirrored.clear();
            mirror(&padded, before, after, &mut mirrored);
            filter.run(&mirrored, part);
        } else {
            filter.run(&padded, part);
        }
    }
    out
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
