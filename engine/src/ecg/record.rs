//! One recording in memory: leads in microvolts at one rate, and what the file says about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::EcgError;

/// Largest number of leads in one record.
pub const LEADS_MAX: usize = 64;
/// Largest number of samples in all leads together: 14 days of 3 leads at 250 Hz, or 3.6 GB of `f32`.
pub const SAMPLES_MAX: u64 = 907_200_000;
/// Smallest sampling rate accepted, in hertz.
pub const SAMPLING_RATE_HZ_MIN: f64 = 20.0;
/// Largest sampling rate accepted, in hertz.
pub const SAMPLING_RATE_HZ_MAX: f64 = 64_000.0;

/// The twelve standard leads in the order of the paper.
pub const STANDARD_LEADS: [&str; 12] = [
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
];

/// Name of a lead; standard leads are spelt as on paper (`I`, `aVR`, `V1`) whatever the file wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeadName(String);

impl LeadName {
    /// Longest name kept, in characters.
    const CHARS_MAX: usize = 64;

    /// Makes a name, spelling the standard leads in the standard way.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut core = text.trim();
        for prefix in ["MDC_ECG_LEAD_", "MDC_ECG_", "Lead ", "ECG "] {
            if let Some(head) = core.get(..prefix.len())
                && head.eq_ignore_ascii_case(prefix)
            {
                core = core[prefix.len()..].trim();
            }
        }
        if core.ends_with(')')
            && let Some(open) = core.find('(')
        {
            core = core[..open].trim();
        }
        match STANDARD_LEADS.iter().find(|name| name.eq_ignore_ascii_case(core)) {
            Some(standard) => Self((*standard).to_owned()),
            None => Self(
                core.chars()
                    .filter(|c| !c.is_control())
                    .take(Self::CHARS_MAX)
                    .collect(),
            ),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Place among [`STANDARD_LEADS`]; a modified limb lead (`MLII`) counts as the lead that it stands for.
    #[must_use]
    pub fn standard_index(&self) -> Option<usize> {
        let wanted = match self.0.as_str() {
            "MLI" => "I",
            "MLII" => "II",
            "MLIII" => "III",
            other => other,
        };
        STANDARD_LEADS.iter().position(|name| *name == wanted)
    }
}

impl fmt::Display for LeadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One lead.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// Its name.
    pub name: LeadName,
    /// Samples in microvolts; NaN where the recorder had no signal.
    pub samples_uv: Vec<f32>,
    /// Smallest step of the recorder in microvolts; 0 where the source is not quantised.
    pub resolution_uv: f64,
    /// Whether the samples were computed from other leads.
    pub derived: bool,
}

/// What the file says about the person; empty where it is silent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Patient {
    /// Name as in the file.
    pub name: Option<String>,
    /// Identifier as in the file.
    pub identifier: Option<String>,
    /// `M`, `F` or `O`.
    pub sex: Option<String>,
    /// Age in years.
    pub age_years: Option<f64>,
    /// Date of birth as `YYYYMMDD`.
    pub birth_date: Option<String>,
}

/// What the file says about the device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recorder {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
    /// Version of its program.
    pub software: Option<String>,
}

/// The representative beat that a recorder made of its beats and stored beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBeat {
    /// Leads, all of one length.
    pub leads: Vec<Lead>,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Sample of the fiducial point (QRS), 0-based.
    pub fiducial: Option<usize>,
}

/// Edges of the filters that the recorder had switched on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RecorderFilters {
    /// High-pass edge in hertz.
    pub low_hz: Option<f64>,
    /// Low-pass edge in hertz.
    pub high_hz: Option<f64>,
    /// Notch in hertz.
    pub notch_hz: Option<f64>,
}

/// A remark of the recorder or of a person, as stored in the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Annotation {
    /// Sample that it is about, 0-based.
    pub sample: Option<u64>,
    /// Its text or code.
    pub text: String,
}

/// One recording: all leads have the same number of samples at the same rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Short name of the format that it came from (`wfdb`, `dicom`, `scp`, `aecg`, `muse`, `sierra`, `edf`, `bdf`,
    /// `mfer`, `ishne`, `npy`).
    pub format: &'static str,
    /// Leads in the order of the file.
    pub leads: Vec<Lead>,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// The person.
    pub patient: Patient,
    /// Start of acquisition as the file writes it.
    pub acquired_at: Option<String>,
    /// The device.
    pub recorder: Recorder,
    /// Filters of the recorder.
    pub filters: RecorderFilters,
    /// Representative beat of the recorder.
    pub stored_beat: Option<StoredBeat>,
    /// Remarks stored in the file.
    pub annotations: Vec<Annotation>,
    /// What a reader of the result must know: cut files, checksums that differ, channels left out.
    pub warnings: Vec<String>,
}

impl Record {
    /// Checks and builds a record: rates and sizes within limits, all leads equally long, infinities become gaps.
    ///
    /// # Errors
    /// [`EcgError::NoSignal`] without leads or samples, [`EcgError::Field`] for an impossible rate,
    /// [`EcgError::TooLarge`] beyond [`LEADS_MAX`] or [`SAMPLES_MAX`].
    pub fn new(format: &'static str, mut leads: Vec<Lead>, sampling_rate_hz: f64) -> Result<Self, EcgError> {
        check_sampling_rate(format, sampling_rate_hz)?;
        let length = leads.first().map_or(0, |lead| lead.samples_uv.len());
        if length == 0 {
            return Err(EcgError::NoSignal { format });
        }
        check_size(format, leads.len() as u64, length as u64)?;
        for lead in &mut leads {
            lead.samples_uv.resize(length, f32::NAN);
            for value in &mut lead.samples_uv {
                if value.is_infinite() {
                    *value = f32::NAN;
                }
            }
        }
        make_names_unique(&mut leads);
        Ok(Self {
            format,
            leads,
            sampling_rate_hz,
            patient: Patient::default(),
            acquired_at: None,
            recorder: Recorder::default(),
            filters: RecorderFilters::default(),
            stored_beat: None,
            annotations: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Samples in each lead.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leads.first().map_or(0, |lead| lead.samples_uv.len())
    }

    /// Whether there is nothing in it; [`Record::new`] never makes such a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.len() as f64 / self.sampling_rate_hz
    }

    /// Lead names in order.
    #[must_use]
    pub fn lead_names(&self) -> Vec<LeadName> {
        self.leads.iter().map(|lead| lead.name.clone()).collect()
    }

    /// Place of the lead called `wanted` (any case) or at the 0-based index `wanted`.
    ///
    /// # Errors
    /// [`EcgError::NoSuchLead`] naming the leads that there are.
    pub fn lead_index(&self, wanted: &str) -> Result<usize, EcgError> {
        let name = LeadName::new(wanted);
        let by_name = self
            .leads
            .iter()
            .position(|l| l.name.as_str().eq_ignore_ascii_case(name.as_str()));
        let by_place = || {
            wanted
                .trim()
                .parse::<usize>()
                .ok()
                .filter(|index| *index < self.leads.len())
        };
        by_name.or_else(by_place).ok_or_else(|| EcgError::NoSuchLead {
            wanted: wanted.chars().take(LeadName::CHARS_MAX).collect(),
            have: self
                .leads
                .iter()
                .map(|l| l.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// The lead that plays the part of a standard lead, by its place in [`STANDARD_LEADS`].
    #[must_use]
    pub fn standard(&self, index: usize) -> Option<&Lead> {
        let exact = STANDARD_LEADS
            .get(index)
            .and_then(|n| self.leads.iter().find(|l| l.name.as_str() == *n));
        exact.or_else(|| self.leads.iter().find(|l| l.name.standard_index() == Some(index)))
    }

    /// A copy in which III, aVR, aVL and aVF stand after I and II, computed from them where the file lacks them
    /// (Einthoven and Goldberger: III = II - I, aVR = -(I+II)/2, aVL = I - II/2, aVF = II - I/2).
    #[must_use]
    pub fn with_derived_limb_leads(&self) -> Self {
        let mut whole = self.clone();
        derive_limb_leads(&mut whole.leads);
        if let Some(beat) = &mut whole.stored_beat {
            derive_limb_leads(&mut beat.leads);
        }
        whole
    }

    /// A copy of the samples in `range` (cut to what is there) without annotations.
    #[must_use]
    pub fn window(&self, range: std::ops::Range<usize>) -> Self {
        let cut = |lead: &Lead| Lead {
            name: lead.name.clone(),
            samples_uv: lead
                .samples_uv
                .get(range.start..range.end.min(lead.samples_uv.len()))
                .unwrap_or_default()
                .to_vec(),
            resolution_uv: lead.resolution_uv,
            derived: lead.derived,
        };
        Self {
            format: self.format,
            leads: self.leads.iter().map(cut).collect(),
            sampling_rate_hz: self.sampling_rate_hz,
            patient: self.patient.clone(),
            acquired_at: self.acquired_at.clone(),
            recorder: self.recorder.clone(),
            filters: self.filters.clone(),
            stored_beat: None,
            annotations: Vec::new(),
            warnings: self.warnings.clone(),
        }
    }

    /// The fact sheet of `ecg info`.
    #[must_use]
    pub fn info(&self) -> Info {
        Info {
            format: self.format,
            patient: self.patient.clone(),
            leads: self.lead_names(),
            sampling_rate_hz: self.sampling_rate_hz,
            duration_s: self.duration_s(),
            samples: self.len(),
            acquired_at: self.acquired_at.clone(),
            recorder: self.recorder.clone(),
            filters: self.filters.clone(),
            gain: self
                .leads
                .iter()
                .map(|l| (l.name.as_str().to_owned(), l.resolution_uv))
                .collect(),
            annotations: self.annotations.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

/// What `ecg info` prints; `gain` is microvolts per step of the recorder for each lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// Short name of the format.
    pub format: &'static str,
    /// The person.
    pub patient: Patient,
    /// Lead names in order.
    pub leads: Vec<LeadName>,
    /// Samples a second.
    pub sampling_rate_hz: f64,
    /// Length in seconds.
    pub duration_s: f64,
    /// Samples in each lead.
    pub samples: usize,
    /// Start of acquisition as the file writes it.
    pub acquired_at: Option<String>,
    /// The device.
    pub recorder: Recorder,
    /// Filters of the recorder.
    pub filters: RecorderFilters,
    /// Microvolts per step, by lead.
    pub gain: std::collections::BTreeMap<String, f64>,
    /// Remarks stored in the file.
    pub annotations: Vec<Annotation>,
    /// Warnings of the reader.
    pub warnings: Vec<String>,
}

/// Refuses a rate outside [`SAMPLING_RATE_HZ_MIN`]..=[`SAMPLING_RATE_HZ_MAX`] or not a number.
pub(crate) fn check_sampling_rate(format: &'static str, rate_hz: f64) -> Result<(), EcgError> {
    if (SAMPLING_RATE_HZ_MIN..=SAMPLING_RATE_HZ_MAX).contains(&rate_hz) {
        return Ok(());
    }
    Err(EcgError::field(
        format,
        "sampling rate",
        rate_hz.to_string(),
        "20 to 64000 Hz",
    ))
}

/// Refuses sizes beyond the limits before anything is allocated for them.
pub(crate) fn check_size(format: &'static str, leads: u64, samples: u64) -> Result<(), EcgError> {
    if leads > LEADS_MAX as u64 {
        return Err(EcgError::TooLarge {
            format,
            what: "number of leads",
            value: leads,
            limit: LEADS_MAX as u64,
        });
    }
    let all = leads.saturating_mul(samples);
    if all > SAMPLES_MAX {
        return Err(EcgError::TooLarge {
            format,
            what: "number of samples",
            value: all,
            limit: SAMPLES_MAX,
        });
    }
    Ok(())
}

/// Puts the limb leads that are missing behind those that are there.
fn derive_limb_leads(leads: &mut Vec<Lead>) {
    let place = |leads: &[Lead], name: &str| leads.iter().position(|l| l.name.as_str() == name);
    let (Some(one), Some(two)) = (place(leads, "I"), place(leads, "II")) else {
        return;
    };
    // The halves of Goldberger's leads fall between the steps of the recorder.
    let weights: [(&str, f32, f32, f64); 4] = [
        ("III", -1.0, 1.0, 1.0),
        ("aVR", -0.5, -0.5, 0.5),
        ("aVL", 1.0, -0.5, 0.5),
        ("aVF", -0.5, 1.0, 0.5),
    ];
    let mut made = Vec::new();
    for (name, a, b, share) in weights {
        if place(leads, name).is_none() && leads.len() + made.len() < LEADS_MAX {
            let (one, two) = (&leads[one], &leads[two]);
            let pairs = one.samples_uv.iter().zip(&two.samples_uv);
            made.push(Lead {
                name: LeadName::new(name),
                samples_uv: pairs.map(|(x, y)| a * x + b * y).collect(),
                resolution_uv: one.resolution_uv.max(two.resolution_uv) * share,
                derived: true,
            });
        }
    }
    let after = leads
        .iter()
        .rposition(|l| matches!(l.name.as_str(), "I" | "II" | "III" | "aVR" | "aVL"));
    let at = after.map_or(leads.len(), |place| place + 1);
    leads.splice(at..at, made);
}

/// Refuses a recording that is nearly all gap: a few hostile bytes must not ask for the memory of a week.
pub(crate) fn check_gaps(format: &'static str, present: u64, whole: u64) -> Result<(), EcgError> {
    const WHOLE_OVER_PRESENT_MAX: u64 = 100;
    let limit = present.saturating_mul(WHOLE_OVER_PRESENT_MAX);
    if whole <= limit {
        return Ok(());
    }
    Err(EcgError::TooLarge {
        format,
        what: "length with gaps, in samples,",
        value: whole,
        limit,
    })
}

/// Two leads of one name could not be told apart by name: later ones get a number.
fn make_names_unique(leads: &mut [Lead]) {
    let names = leads.iter().map(|lead| lead.name.clone()).collect();
    for (lead, name) in leads.iter_mut().zip(unique_names(names)) {
        lead.name = name;
    }
}

/// The same for bare names.
pub(crate) fn unique_names(mut names: Vec<LeadName>) -> Vec<LeadName> {
    let mut seen = std::collections::HashSet::new();
    for (place, name) in names.iter_mut().enumerate() {
        if name.as_str().is_empty() {
            *name = LeadName(format!("channel {}", place + 1));
        }
        let base = name.as_str().to_owned();
        let mut count = 2;
        while !seen.insert(name.as_str().to_owned()) {
            *name = LeadName(format!("{base} ({count})"));
            count += 1;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(name: &str, samples: &[f32]) -> Lead {
        Lead {
            name: LeadName::new(name),
            samples_uv: samples.to_vec(),
            resolution_uv: 1.0,
            derived: false,
        }
    }

    #[test]
    fn names_are_spelt_as_on_paper() {
        let check = |input: &str, expect: &str| assert_eq!(LeadName::new(input).as_str(), expect, "{input}");
        check("avr", "aVR");
        check("MDC_ECG_LEAD_V1", "V1");
        check("Lead II (Einthoven)", "II");
        check("ECG aVF", "aVF");
        check("MLII", "MLII");
        assert_eq!(LeadName::new("MLII").standard_index(), Some(1));
        assert_eq!(LeadName::new("ABP").standard_index(), None);
    }

    #[test]
    fn limb_leads_follow_einthoven() {
        let record = Record::new(
            "npy",
            vec![lead("I", &[100.0]), lead("II", &[300.0]), lead("V1", &[5.0])],
            500.0,
        );
        let whole = record.unwrap().with_derived_limb_leads();
        let got: Vec<_> = whole
            .leads
            .iter()
            .map(|l| (l.name.as_str(), l.samples_uv[0]))
            .collect();
        let expect = [
            ("I", 100.0),
            ("II", 300.0),
            ("III", 200.0),
            ("aVR", -200.0),
            ("aVL", -50.0),
            ("aVF", 250.0),
            ("V1", 5.0),
        ];
        assert_eq!(got, expect);
    }

    #[test]
    fn unusable_records_are_refused() {
        assert!(matches!(
            Record::new("npy", vec![], 500.0),
            Err(EcgError::NoSignal { .. })
        ));
        assert!(matches!(
            Record::new("npy", vec![lead("I", &[])], 500.0),
            Err(EcgError::NoSignal { .. })
        ));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(matches!(
                Record::new("npy", vec![lead("I", &[1.0])], rate),
                Err(EcgError::Field { .. })
            ));
        }
    }

    #[test]
    fn equal_names_get_numbers_and_infinity_is_a_gap() {
        let record = Record::new(
            "npy",
            vec![lead("II", &[f32::INFINITY]), lead("II", &[1.0])],
            250.0,
        )
        .unwrap();
        assert_eq!(record.leads[1].name.as_str(), "II (2)");
        assert!(record.leads[0].samples_uv[0].is_nan());
        assert_eq!(record.lead_index("ii").unwrap(), 0);
        assert_eq!(record.lead_index("1").unwrap(), 1);
        assert!(record.lead_index("V9").is_err());
    }
}
