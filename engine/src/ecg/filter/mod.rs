//! Filter paths: the decoded signal, the diagnostic one for every measurement, the display one for eyes only.
//!
//! All paths keep length, rate and the place of every peak (zero phase). The diagnostic path takes the baseline off
//! through the isoelectric points before each QRS, so that slow wander goes and the ST level stays; a linear high-pass
//! cannot do both. Gaps (no sample, lead off) stay gaps: NaN in the output.

mod baseline;
mod biquad;
mod gaps;
mod mains;

use self::biquad::Section;
use super::beats::{self, Beat, BeatClass, pacing};
use super::record::Record;

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
pub fn apply(record: &Record, path: Path, mains: Mains) -> Vec<Vec<f64>> {
    if path == Path::Raw {
        return record
            .leads
            .iter()
            .map(|l| l.samples_uv.iter().map(|v| f64::from(*v)).collect())
            .collect();
    }
    let prepared: Vec<gaps::Bridged> = record
        .leads
        .iter()
        .map(|l| gaps::bridge(&l.samples_uv, record.sampling_rate_hz))
        .collect();
    let beats = if path == Path::Diagnostic {
        beats_of(&prepared, record.sampling_rate_hz)
    } else {
        Vec::new()
    };
    chain(prepared, record.sampling_rate_hz, path, mains, &beats)
}

/// The diagnostic path for measuring, around beats which are already known: the stimuli of a pacemaker are taken out.
#[must_use]
pub fn diagnostic_with_beats(record: &Record, mains: Mains, beats: &[Beat]) -> Vec<Vec<f64>> {
    let rate_hz = record.sampling_rate_hz;
    let mut prepared: Vec<gaps::Bridged> = record
        .leads
        .iter()
        .map(|l| gaps::bridge(&l.samples_uv, rate_hz))
        .collect();
    if beats.iter().any(|beat| beat.class == BeatClass::Unclassifiable) {
        let leads: Vec<&[f32]> = prepared.iter().map(|lead| lead.values.as_slice()).collect();
        let stimuli = pacing::stimuli(&leads, rate_hz);
        for lead in &mut prepared {
            lead.values = pacing::blanked(&lead.values, &stimuli, rate_hz);
        }
    }
    chain(prepared, rate_hz, Path::Diagnostic, mains, beats)
}

/// The leads as the beat detector should see them: lead-off stretches bridged.
#[must_use]
pub fn bridged(record: &Record) -> Vec<Vec<f32>> {
    record
        .leads
        .iter()
        .map(|l| gaps::bridge(&l.samples_uv, record.sampling_rate_hz).values)
        .collect()
}

/// Zero-phase low-pass of one filtered lead; gaps count as the isoelectric line.
pub(crate) fn low_passed(lead: &[f64], edge_hz: f64, rate_hz: f64) -> Vec<f64> {
    let mut signal: Vec<f64> = lead
        .iter()
        .map(|v| if v.is_finite() { *v } else { 0.0 })
        .collect();
    if edge_hz < 0.45 * rate_hz {
        let sections = [Section::low_pass(edge_hz, rate_hz)];
        biquad::zero_phase(&sections, &mut [&mut signal], (0.2 * rate_hz) as usize);
    }
    signal
}

fn beats_of(prepared: &[gaps::Bridged], rate_hz: f64) -> Vec<Beat> {
    let leads: Vec<&[f32]> = prepared
        .iter()
        .filter(|p| !p.is_empty())
        .map(|p| p.values.as_slice())
        .collect();
    beats::detect_in(&leads, rate_hz)
}

fn chain(
    prepared: Vec<gaps::Bridged>,
    rate_hz: f64,
    path: Path,
    mains: Mains,
    beats: &[Beat],
) -> Vec<Vec<f64>> {
    let sections = match path {
        Path::Raw => Vec::new(),
        Path::Diagnostic => diagnostic_sections(rate_hz),
        Path::Display => display_sections(rate_hz),
    };
    let mut out: Vec<Vec<f64>> = Vec::with_capacity(prepared.len());
    for lead in &prepared {
        let mut signal: Vec<f64> = lead.values.iter().map(|v| f64::from(*v)).collect();
        if !lead.is_empty() {
            if let Some(hertz) = mains.hertz() {
                mains::remove(&mut signal, rate_hz, hertz);
            }
            if path == Path::Diagnostic {
                baseline::remove(&mut signal, &lead.gaps, rate_hz, beats);
            }
        }
        out.push(signal);
    }
    let mut signals: Vec<&mut [f64]> = out.iter_mut().map(Vec::as_mut_slice).collect();
    biquad::zero_phase(&sections, &mut signals, pad_of(path, rate_hz));
    for (lead, signal) in prepared.iter().zip(&mut out) {
        if lead.is_empty() {
            signal.fill(f64::NAN);
        }
        lead.put_gaps_back(signal);
    }
    out
}

/// Low-pass with -3 dB at 150 Hz in both directions together; none where the rate has no room for it.
fn diagnostic_sections(rate_hz: f64) -> Vec<Section> {
    // Two passes of a Butterworth pair have -3 dB where one has -1.5 dB: at 0.802 of its edge.
    const EDGE_HZ: f64 = 150.0 / 0.802;
    if EDGE_HZ < 0.45 * rate_hz {
        vec![Section::low_pass(EDGE_HZ, rate_hz)]
    } else {
        Vec::new()
    }
}

fn display_sections(rate_hz: f64) -> Vec<Section> {
    const LOW_HZ: f64 = 0.45;
    const HIGH_HZ: f64 = 40.0 / 0.802;
    let mut sections = vec![Section::high_pass(LOW_HZ, rate_hz)];
    if HIGH_HZ < 0.45 * rate_hz {
        sections.push(Section::low_pass(HIGH_HZ, rate_hz));
    }
    sections
}

/// Samples mirrored at both ends so that the filters start settled.
fn pad_of(path: Path, rate_hz: f64) -> usize {
    let seconds = if path == Path::Display { 2.5 } else { 0.1 };
    (seconds * rate_hz) as usize
}

#[cfg(test)]
mod tests;
