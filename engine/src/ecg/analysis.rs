//! The whole analysis of one recording, in the shape that `ecg analyze` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::beats::{self, Beat, BeatClass, Leads};
use super::critical::{self, Critical, Ruleset};
use super::delineate;
use super::filter::{self, Mains};
use super::interpret::rhythm::{self, Rhythm};
use super::interpret::{self, Facts, Statement, blocked, dissociated, flutter};
use super::measure::{self, Measurements, Stretch};
use super::quality::acquisition::{self, Acquisition};
use super::quality::{self, LeadQuality};
use super::record::{LeadName, Record};

/// Longest stretch that is delineated and measured; beats and rhythm use the whole recording.
const MEASURED_S_MAX: f64 = 60.0;

/// Everything that the machine has to say. All of it is a proposal until a physician signs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// Format of the source.
    pub format: &'static str,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Length in seconds.
    pub duration_s: f64,
    /// Leads, derived limb leads included.
    pub leads: Vec<LeadName>,
    /// Judgement of each lead.
    pub quality: BTreeMap<String, LeadQuality>,
    /// Whether the recording will do, or should be taken again.
    pub acquisition: Acquisition,
    /// Basic rhythm.
    pub rhythm: Rhythm,
    /// Beats in time order.
    pub beats: Vec<Beat>,
    /// Numbers.
    pub measurements: Measurements,
    /// Findings.
    pub statements: Vec<Statement>,
    /// Critical findings.
    pub critical: Vec<Critical>,
    /// Why a number is missing.
    pub not_measurable: BTreeMap<String, String>,
    /// Warnings of the reader.
    pub warnings: Vec<String>,
}

/// Choices of an analysis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnalyzeOptions<'a> {
    /// Mains frequency taken out.
    pub mains: Mains,
    /// Rules for critical findings; none when there are none.
    pub ruleset: Option<&'a Ruleset>,
}

impl Default for AnalyzeOptions<'_> {
    fn default() -> Self {
        Self {
            mains: Mains::Hz50,
            ruleset: critical::national(),
        }
    }
}

/// Analyses with the national rules and 50 Hz mains.
#[must_use]
pub fn analyze(record: &Record) -> Analysis {
    analyze_with(record, &AnalyzeOptions::default())
}

/// Analyses with given choices.
#[must_use]
pub fn analyze_with(record: &Record, options: &AnalyzeOptions<'_>) -> Analysis {
    let whole = record.with_derived_limb_leads();
    let rate_hz = whole.sampling_rate_hz;
    let beats = beats::detect(record, Leads::Fused);
    let (part, part_beats) = measured_part(&whole, &beats);
    let signals = filter::diagnostic_with_beats(&part, options.mains, &part_beats);
    let waves = delineate::delineate_beats(&signals, rate_hz, &part_beats, None);
    let to_ms = 1_000.0 / rate_hz;
    let intervals_ms: Vec<f64> = beats
        .windows(2)
        .map(|w| (w[1].sample - w[0].sample) as f64 * to_ms)
        .collect();
    let stretch = Stretch {
        names: whole.lead_names(),
        rate_hz,
        beats: &part_beats,
        waves: &waves,
    };
    let mut measured = measure::measure(&stretch, &intervals_ms);
    let qt_s = measured.values.qt_ms.unwrap_or(380.0) / 1_000.0;
    let atrial = atrial_leads(&whole, &signals);
    let facts = Facts {
        beats: &beats,
        rate_hz,
        intervals_ms: &intervals_ms,
        evidence: waves.evidence,
        measured: &measured,
        patient: &whole.patient,
        fibrillating_share: flutter::fibrillating_share(&signals, rate_hz),
        flutter: flutter::atrial_period(&atrial, rate_hz, &part_beats, qt_s, flutter::FLUTTER_S),
        blocked: blocked::look(&signals, rate_hz, &part_beats, &waves.marks, waves.evidence),
        free_atria: dissociated::free_atria(&atrial, rate_hz, &part_beats, qt_s),
    };
    let rhythm = rhythm::name(&facts);
    let relabelled = (rhythm == Rhythm::VentricularTachycardia).then(|| all_ventricular(&beats));
    let facts = Facts {
        beats: relabelled.as_deref().unwrap_or(&beats),
        ..facts
    };
    let statements = interpret::statements(&facts, rhythm);
    let critical = options.ruleset.map_or_else(Vec::new, |ruleset| {
        critical::evaluate(ruleset, &facts, rhythm, &statements)
    });
    measured.forget_atria_without_p(rhythm);
    let signs = quality::look(&part, &signals, &part_beats);
    let seen = acquisition::Seen {
        record: &part,
        duration_s: record.duration_s(),
        signs: &signs,
        beats: beats.len(),
        fibrillates: rhythm == Rhythm::VentricularFibrillation,
        measured: &measured,
    };
    let acquisition = acquisition::judge(&seen);
    Analysis {
        format: record.format,
        sampling_rate_hz: rate_hz,
        duration_s: record.duration_s(),
        leads: whole.lead_names(),
        quality: quality::judge(&part.leads, &signs),
        acquisition,
        rhythm,
        beats: relabelled.unwrap_or(beats),
        measurements: measured.values,
        statements,
        critical,
        not_measurable: measured.not_measurable,
        warnings: record.warnings.clone(),
    }
}

/// Leads that show the atria best: II, aVF and V1.
fn atrial_leads<'a>(record: &Record, signals: &'a [Vec<f32>]) -> Vec<&'a [f32]> {
    let place = |standard: usize| {
        let mut names = record.leads.iter();
        names.position(|lead| lead.name.standard_index() == Some(standard))
    };
    let found = [1, 5, 6].into_iter().filter_map(place);
    found
        .filter_map(|place| signals.get(place).map(Vec::as_slice))
        .collect()
}

/// In a tachycardia of the ventricles without any conducted beat to compare with, the usual beat is ventricular.
fn all_ventricular(beats: &[Beat]) -> Vec<Beat> {
    if beats.iter().any(|beat| beat.class == BeatClass::Ventricular) {
        return beats.to_vec();
    }
    let relabelled = beats.iter().map(|beat| Beat {
        class: BeatClass::Ventricular,
        ..*beat
    });
    relabelled.collect()
}

/// The recording itself, or of a long one the stretch with the most conducted beats.
fn measured_part(record: &Record, beats: &[Beat]) -> (Record, Vec<Beat>) {
    let span = (MEASURED_S_MAX * record.sampling_rate_hz) as usize;
    if record.len() <= 2 * span {
        return (record.clone(), beats.to_vec());
    }
    let mut best = (0, 0);
    for start in (0..record.len() - span).step_by(span / 2) {
        let conducted = within(beats, start, start + span)
            .filter(|b| b.class == BeatClass::Normal)
            .count();
        // A burst of noise looks like very many beats.
        let believable = if conducted as f64 > 3.0 * MEASURED_S_MAX {
            0
        } else {
            conducted
        };
        if believable > best.0 {
            best = (believable, start);
        }
    }
    let shifted = within(beats, best.1, best.1 + span).map(|b| Beat {
        sample: b.sample - best.1,
        class: b.class,
    });
    (record.window(best.1..best.1 + span), shifted.collect())
}

fn within(beats: &[Beat], from: usize, to: usize) -> impl Iterator<Item = &Beat> {
    let first = beats.partition_point(|b| b.sample < from);
    let end = beats.partition_point(|b| b.sample < to);
    beats.get(first..end).unwrap_or_default().iter()
}
