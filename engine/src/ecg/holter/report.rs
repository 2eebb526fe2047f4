//! The result in the shape that `ecg holter --json` prints and the archive keeps.
//!
//! Times are seconds from the begin of the recording. A number that could not be had is null and its reason stands
//! beside it or in `not_measurable`.

use super::quality::LeadState;
use super::trend::PauseKind;
use crate::ecg::beats::{Beat, BeatClass};
use crate::ecg::record::LeadName;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Everything the machine has to say of a long recording. All of it is a proposal until a physician signs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holter {
    /// Format of the source.
    pub format: &'static str,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Length in seconds.
    pub duration_s: f64,
    /// Start of acquisition as the file writes it.
    pub acquired_at: Option<String>,
    /// Leads in order.
    pub leads: Vec<LeadName>,
    /// What can be read and what cannot.
    pub quality: Quality,
    /// Counts of beats by class.
    pub beats: BeatCounts,
    /// The rate over the whole.
    pub heart_rate: HeartRate,
    /// The rate hour by hour.
    pub hours: Vec<Hour>,
    /// Mean rate of each minute; null where too little can be read.
    pub minute_bpm: Vec<Option<u16>>,
    /// Pauses.
    pub pauses: Pauses,
    /// Atrial fibrillation.
    pub atrial_fibrillation: Fibrillation,
    /// Ventricular ectopy.
    pub ventricular: Ectopy,
    /// Supraventricular ectopy.
    pub supraventricular: Ectopy,
    /// ST by lead.
    pub st: Vec<StLead>,
    /// Heart rate variability.
    pub variability: Variability,
    /// Shapes of beats, the most frequent first.
    pub templates: Vec<TemplateReport>,
    /// Places worth a look.
    pub strips: Vec<Strip>,
    /// Why something is missing.
    pub not_measurable: BTreeMap<String, String>,
    /// Warnings of the reader and of the analysis.
    pub warnings: Vec<String>,
    /// Every beat; not part of the JSON.
    #[serde(skip)]
    pub all_beats: Vec<Beat>,
}

/// A time and a value there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Place {
    /// Seconds from the begin.
    #[serde(serialize_with = "milli")]
    pub at_s: f64,
    /// The value there.
    #[serde(serialize_with = "tenth")]
    pub value: f64,
}

/// What can be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Time in which at least one lead can be read.
    #[serde(serialize_with = "tenth")]
    pub readable_s: f64,
    /// Time in which none can; no count, rate or interval comes from there.
    #[serde(serialize_with = "tenth")]
    pub excluded_s: f64,
    /// How many stretches that are.
    pub excluded_count: u64,
    /// The longest of them, in time order.
    pub excluded: Vec<Excluded>,
    /// Each lead.
    pub leads: BTreeMap<String, LeadTimes>,
}

/// A stretch that no lead shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excluded {
    /// Begin.
    #[serde(serialize_with = "tenth")]
    pub from_s: f64,
    /// End.
    #[serde(serialize_with = "tenth")]
    pub to_s: f64,
    /// Why.
    pub reason: LeadState,
}

/// How long a lead was what.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LeadTimes {
    /// Readable.
    pub good_s: f64,
    /// Electrode off or no sample.
    pub lead_off_s: f64,
    /// Flat line.
    pub flat_s: f64,
    /// Noise.
    pub noise_s: f64,
}

/// Beats by class of EC57.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BeatCounts {
    /// All.
    pub total: u64,
    /// Conducted.
    pub normal: u64,
    /// Supraventricular ectopic.
    pub supraventricular: u64,
    /// Ventricular ectopic.
    pub ventricular: u64,
    /// Fusion.
    pub fusion: u64,
    /// Paced or unclassifiable.
    pub unclassifiable: u64,
}

/// The rate over the whole recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeartRate {
    /// All sound intervals.
    #[serde(serialize_with = "tenth_or_null")]
    pub mean_bpm: Option<f64>,
    /// The lowest, and where.
    pub lowest: Option<Place>,
    /// The highest, and where.
    pub highest: Option<Place>,
    /// Intervals over which lowest and highest are means.
    pub over_intervals: usize,
}

/// One hour of the recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Hour {
    /// Begin.
    pub from_s: f64,
    /// End.
    #[serde(serialize_with = "milli")]
    pub to_s: f64,
    /// Time of its sound intervals.
    #[serde(serialize_with = "tenth")]
    pub readable_s: f64,
    /// Beats.
    pub beats: u64,
    /// Mean rate.
    #[serde(serialize_with = "tenth_or_null")]
    pub mean_bpm: Option<f64>,
    /// Lowest rate and where.
    pub lowest: Option<Place>,
    /// Highest rate and where.
    pub highest: Option<Place>,
    /// Ventricular ectopic beats.
    pub ventricular: u64,
    /// Supraventricular ectopic beats.
    pub supraventricular: u64,
    /// Pauses.
    pub pauses: u64,
    /// Time in atrial fibrillation.
    #[serde(serialize_with = "tenth")]
    pub fibrillation_s: f64,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pause {
    /// Beat before it.
    #[serde(serialize_with = "milli")]
    pub at_s: f64,
    /// Its length.
    #[serde(serialize_with = "milli")]
    pub duration_s: f64,
    /// What it follows.
    pub kind: PauseKind,
}

/// Pauses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pauses {
    /// Intervals from this length on count.
    pub from_s: f64,
    /// How many.
    pub count: u64,
    /// How many of at least three seconds.
    pub count_3_s: u64,
    /// The longest.
    pub longest: Option<Pause>,
    /// The longest ones, longest first.
    pub told: Vec<Pause>,
}

/// A stretch with its rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// Begin.
    #[serde(serialize_with = "milli")]
    pub from_s: f64,
    /// End.
    #[serde(serialize_with = "milli")]
    pub to_s: f64,
    /// Mean rate.
    #[serde(serialize_with = "tenth_or_null")]
    pub mean_bpm: Option<f64>,
}

/// Atrial fibrillation by its rhythm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fibrillation {
    /// Share of the readable time.
    #[serde(serialize_with = "hundredth_or_null")]
    pub burden_percent: Option<f64>,
    /// Time.
    #[serde(serialize_with = "tenth")]
    pub duration_s: f64,
    /// Episodes of at least thirty seconds.
    pub count: u64,
    /// The longest.
    pub longest: Option<Episode>,
    /// Episodes in time order; the longest ones where there are too many.
    pub told: Vec<Episode>,
}

/// A run of ectopic beats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// First beat.
    #[serde(serialize_with = "milli")]
    pub at_s: f64,
    /// From first to last beat.
    #[serde(serialize_with = "milli")]
    pub duration_s: f64,
    /// Beats.
    pub beats: u64,
    /// Mean rate within it.
    #[serde(serialize_with = "tenth")]
    pub rate_bpm: f64,
}

/// Episodes of a repeated pattern.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pattern {
    /// How many.
    pub episodes: u64,
    /// Time of all.
    #[serde(serialize_with = "tenth")]
    pub duration_s: f64,
    /// The first ones: begin and end.
    pub told: Vec<(f64, f64)>,
}

/// Ectopic beats of one origin.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ectopy {
    /// All beats.
    pub beats: u64,
    /// Share of all beats.
    #[serde(serialize_with = "hundredth_or_null")]
    pub share_percent: Option<f64>,
    /// Single ones.
    pub single: u64,
    /// Pairs.
    pub couplets: u64,
    /// Three and more in a row.
    pub runs: u64,
    /// Beats in runs.
    pub run_beats: u64,
    /// Runs of at least 100 a minute.
    pub tachycardias: u64,
    /// The longest run.
    pub longest_run: Option<Run>,
    /// The fastest run.
    pub fastest_run: Option<Run>,
    /// Runs, the longest first.
    pub told_runs: Vec<Run>,
    /// One after each other beat, at least three times.
    pub bigeminy: Pattern,
    /// One after each two other beats, at least three times.
    pub trigeminy: Pattern,
}

/// ST of one lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StLead {
    /// The lead.
    pub lead: LeadName,
    /// Usual level 60 ms behind J, in microvolts: the median over all minutes.
    pub usual_j60_uv: Option<i32>,
    /// Level of each minute 60 ms behind J, in microvolts.
    pub j60_uv: Vec<Option<i32>>,
    /// The same 80 ms behind J.
    pub j80_uv: Vec<Option<i32>>,
    /// Stretches at least 100 uV away from the usual level for at least a minute.
    pub episodes: Vec<StEpisode>,
    /// Why there is no level at all.
    pub reason: Option<String>,
}

/// A stretch of shifted ST.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StEpisode {
    /// Begin of its first minute.
    pub from_s: f64,
    /// End of its last minute.
    pub to_s: f64,
    /// Largest distance from the usual level, with its sign, in microvolts.
    pub peak_uv: i32,
    /// Minute of it.
    pub peak_at_s: f64,
}

/// A number, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// The number.
    #[serde(serialize_with = "hundredth_or_null")]
    pub value: Option<f64>,
    /// Why it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Measured {
    /// A number; one that is not finite is missing.
    #[must_use]
    pub fn of(value: f64) -> Self {
        if value.is_finite() {
            Self {
                value: Some(value),
                reason: None,
            }
        } else {
            Self::missing("it cannot be computed from these intervals")
        }
    }

    /// No number.
    #[must_use]
    pub fn missing(reason: &str) -> Self {
        Self {
            value: None,
            reason: Some(reason.to_owned()),
        }
    }
}

/// Power of one segment by bands, in square milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spectrum {
    pub(super) vlf_ms2: f64,
    pub(super) lf_ms2: f64,
    pub(super) hf_ms2: f64,
}

/// Heart rate variability.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Variability {
    /// NN intervals that took part.
    pub nn_intervals: u64,
    /// Their time.
    #[serde(serialize_with = "tenth")]
    pub nn_time_s: f64,
    /// Mean of them.
    pub mean_nn_ms: Measured,
    /// Standard deviation of all.
    pub sdnn_ms: Measured,
    /// Standard deviation of the means of five minutes.
    pub sdann_ms: Measured,
    /// Mean of the standard deviations of five minutes.
    pub sdnn_index_ms: Measured,
    /// Root of the mean square of differences of neighbours.
    pub rmssd_ms: Measured,
    /// Share of those differences above 50 ms.
    pub pnn50_percent: Measured,
    /// Five-minute segments whose spectrum was taken.
    pub segments: u64,
    /// Power from 0.003 to 0.04 Hz.
    pub vlf_ms2: Measured,
    /// Power from 0.04 to 0.15 Hz.
    pub lf_ms2: Measured,
    /// Power from 0.15 to 0.4 Hz.
    pub hf_ms2: Measured,
    /// LF over HF.
    pub lf_hf: Measured,
}

impl Variability {
    pub(super) fn give_reason(&mut self, reason: &str) {
        for value in [
            &mut self.mean_nn_ms,
            &mut self.sdnn_ms,
            &mut self.sdann_ms,
            &mut self.sdnn_index_ms,
            &mut self.rmssd_ms,
            &mut self.pnn50_percent,
            &mut self.vlf_ms2,
            &mut self.lf_ms2,
            &mut self.hf_ms2,
            &mut self.lf_hf,
        ] {
            *value = Measured::missing(reason);
        }
    }

    pub(super) fn put_spectrum(&mut self, spectra: &[Spectrum]) {
        if spectra.is_empty() {
            let reason = "no five-minute segment is free of holes";
            for value in [
                &mut self.vlf_ms2,
                &mut self.lf_ms2,
                &mut self.hf_ms2,
                &mut self.lf_hf,
            ] {
                *value = Measured::missing(reason);
            }
            return;
        }
        let mean = |of: fn(&Spectrum) -> f64| spectra.iter().map(of).sum::<f64>() / spectra.len() as f64;
        let (lf, hf) = (mean(|s| s.lf_ms2), mean(|s| s.hf_ms2));
        self.vlf_ms2 = Measured::of(mean(|s| s.vlf_ms2));
        self.lf_ms2 = Measured::of(lf);
        self.hf_ms2 = Measured::of(hf);
        self.lf_hf = if hf > 0.0 {
            Measured::of(lf / hf)
        } else {
            Measured::missing("there is no power in the high band")
        };
    }
}

/// Beats of like shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemplateReport {
    /// The class of most of its beats.
    pub class: BeatClass,
    /// How many.
    pub count: u64,
    /// One of them.
    #[serde(serialize_with = "milli")]
    pub example_at_s: f64,
    /// Samples a second of the shape.
    pub sampling_rate_hz: f64,
    /// Sample of the shape at the mark.
    pub mark: usize,
    /// Mean shape of each lead, in microvolts.
    pub leads_uv: Vec<Vec<i32>>,
}

/// A place worth a look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Strip {
    /// Begin of the strip.
    #[serde(serialize_with = "milli")]
    pub from_s: f64,
    /// End of the strip.
    #[serde(serialize_with = "milli")]
    pub to_s: f64,
    /// Stable word for why it is here.
    pub reason: &'static str,
    /// The same in Chinese.
    pub text_zh: String,
    /// The same in English.
    pub text_en: String,
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

fn milli<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value, 1e3))
}

fn tenth<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value, 10.0))
}

fn tenth_or_null<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|v| rounded(v, 10.0)).serialize(serializer)
}

fn hundredth_or_null<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|v| rounded(v, 100.0)).serialize(serializer)
}
