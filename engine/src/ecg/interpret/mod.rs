//! Rhythm and findings. Every finding is a proposal of the machine with the numbers it rests on; what is not there is
//! never stated.

pub(crate) mod blocked;
mod chambers;
mod conduction;
pub(crate) mod dissociated;
mod finding;
pub(crate) mod flutter;
pub(crate) mod repolarisation;
pub mod rhythm;
pub(crate) mod runs;
mod special;
mod underlying;

use serde::Serialize;

use super::beats::Beat;
use super::delineate::AtrialEvidence;
use super::measure::Measured;
use super::record::Patient;
use rhythm::Rhythm;

pub(crate) use finding::{Finding, is_code};

/// One finding of `ecg analyze`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// Stable word.
    pub code: &'static str,
    /// As a Chinese ECG report writes it.
    pub text_zh: &'static str,
    /// In English.
    pub text_en: &'static str,
    /// Group of findings: `rhythm`, `ectopy`, `conduction`, `axis`, `voltage`, `interval`, `repolarisation`,
    /// `infarction`, `pacing`, `hypertrophy`, `metabolic`, `acquisition`.
    pub category: &'static str,
    /// The numbers that it rests on, in English.
    pub evidence: String,
    /// The same in Chinese.
    pub evidence_zh: String,
}

/// What something rests on, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) zh: String,
    pub(crate) en: String,
}

impl Evidence {
    pub(crate) fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// Names and numbers, the same in every language.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(text.clone(), text)
    }
}

/// Everything that findings are made from.
pub(crate) struct Facts<'a> {
    pub(crate) beats: &'a [Beat],
    pub(crate) rate_hz: f64,
    /// Intervals between neighbouring beats.
    pub(crate) intervals_ms: &'a [f64],
    pub(crate) evidence: AtrialEvidence,
    pub(crate) measured: &'a Measured,
    pub(crate) patient: &'a Patient,
    /// Share of the recording that fibrillates without beats.
    pub(crate) fibrillating_share: f64,
    /// How periodic the atria are between QRS complexes, and at which rate a minute.
    pub(crate) flutter: Option<(f64, f64)>,
    /// The same at rates of the sinus node; only a slow heart leaves room for it.
    pub(crate) free_atria: Option<(f64, f64)>,
    /// P waves that no QRS follows.
    pub(crate) blocked: Option<blocked::Blocked>,
}

impl Facts<'_> {
    /// Whether the heart beats so fast that the level 60 ms after the J point lies on the T wave.
    pub(crate) fn too_fast_for_st(&self) -> bool {
        const FAST_BPM: f64 = 150.0;
        self.measured
            .values
            .heart_rate_bpm
            .is_some_and(|rate| rate >= FAST_BPM)
    }

    /// Whether the patient is a woman; unknown counts as a man, whose limits are the narrower for QT.
    pub(crate) fn female(&self) -> bool {
        self.patient.sex.as_deref() == Some("F")
    }
}

/// The findings, rhythm first.
pub(crate) fn statements(facts: &Facts<'_>, rhythm: Rhythm) -> Vec<Statement> {
    let mut out = Vec::new();
    rhythm::state(facts, rhythm, &mut out);
    underlying::state(facts, rhythm, &mut out);
    runs::state(facts, rhythm, &mut out);
    if !facts.beats.is_empty() && !matches!(rhythm, Rhythm::VentricularFibrillation) {
        conduction::state(facts, rhythm, &mut out);
        repolarisation::state(facts, rhythm, &mut out);
        special::state(facts, rhythm, &mut out);
    }
    out
}

#[cfg(test)]
mod tests;
