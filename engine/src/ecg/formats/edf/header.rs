//! The fixed ASCII header: 256 bytes, and 256 more for each signal.

use super::field_text;
use crate::ecg::error::EcgError;
use crate::ecg::formats::raw::{day, time_of_day};
use crate::ecg::record::{LeadName, Patient};

/// Most signals in one file.
const SIGNALS_MAX: usize = 1_024;
/// Most samples of one signal in a data record.
const RECORD_SAMPLES_MAX: usize = 1 << 24;
const HEADER_BYTES: usize = 256;

/// One signal.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    pub(super) label: String,
    pub(super) unit_uv: Option<f64>,
    physical: (f64, f64),
    digital: (f64, f64),
    pub(super) prefilter: String,
    /// Samples in a data record, and those of the signals before it.
    pub(super) samples: usize,
    pub(super) offset: usize,
}

impl Signal {
    pub(super) fn is_annotation(&self) -> bool {
        matches!(self.label.as_str(), "EDF Annotations" | "BDF Annotations")
    }

    /// Named ECG or EKG, or like a lead.
    pub(super) fn is_cardiac(&self) -> bool {
        let label = self.label.to_ascii_uppercase();
        label.contains("ECG")
            || label.contains("EKG")
            || LeadName::new(&self.label).standard_index().is_some()
    }

    fn check_limits(&self, format: &'static str) -> Result<(), EcgError> {
        let flat = |(low, high): (f64, f64)| (high - low).abs() < f64::EPSILON;
        if flat(self.physical) || flat(self.digital) {
            let name = format!("range of {}", self.label);
            return Err(EcgError::field(
                format,
                name,
                "empty",
                "a maximum other than the minimum",
            ));
        }
        Ok(())
    }

    /// Microvolts are `digital x scale + offset`.
    pub(super) fn microvolts(&self) -> (f64, f64) {
        let unit = self.unit_uv.unwrap_or(1.0);
        let scale = (self.physical.1 - self.physical.0) / (self.digital.1 - self.digital.0);
        (scale * unit, (self.physical.0 - self.digital.0 * scale) * unit)
    }
}

/// The header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: &'static str,
    /// Bytes of one sample.
    pub(super) sample_bytes: usize,
    /// Length of the header.
    pub(super) bytes: usize,
    /// Data records; `None` where the recorder never closed the file.
    pub(super) records: Option<usize>,
    pub(super) record_s: f64,
    /// Whether data records may lie apart (EDF+D, BDF+D).
    pub(super) discontinuous: bool,
    pub(super) signals: Vec<Signal>,
    pub(super) patient: Patient,
    pub(super) start: Option<String>,
    pub(super) equipment: Option<String>,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, EcgError> {
        let bdf = bytes.starts_with(b"\xffBIOSEMI");
        let format = if bdf { "bdf" } else { "edf" };
        let cut = |wanted: usize| EcgError::Cut {
            format,
            what: "the header".into(),
            wanted: wanted as u64,
            got: bytes.len() as u64,
        };
        let fixed = bytes.get(..HEADER_BYTES).ok_or_else(|| cut(HEADER_BYTES))?;
        let number = |range: std::ops::Range<usize>, name: &str, expected| {
            let text = String::from_utf8_lossy(&fixed[range]).trim().to_owned();
            text.parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| EcgError::field(format, name, &text, expected))
        };
        let count = number(252..256, "number of signals", "1 to 1024")?;
        if !(1.0..=SIGNALS_MAX as f64).contains(&count) {
            return Err(EcgError::field(
                format,
                "number of signals",
                count.to_string(),
                "1 to 1024",
            ));
        }
        let count = count as usize;
        let length = HEADER_BYTES * (count + 1);
        let block = bytes.get(HEADER_BYTES..length).ok_or_else(|| cut(length))?;
        let records = number(236..244, "number of data records", "a whole number or -1")?;
        let record_s = number(244..252, "duration of a data record", "seconds above 0")?;
        let reserved = String::from_utf8_lossy(&fixed[192..236]).into_owned();
        let plus = reserved.starts_with("EDF+") || reserved.starts_with("BDF+");
        let signals = signals(format, block, count)?;
        if record_s <= 0.0 && signals.iter().any(|s| !s.is_annotation()) {
            return Err(EcgError::field(
                format,
                "duration of a data record",
                record_s.to_string(),
                "seconds above 0",
            ));
        }
        let (patient, equipment) = people(fixed, plus);
        Ok(Self {
            format,
            sample_bytes: if bdf { 3 } else { 2 },
            bytes: length,
            records: (records >= 0.0).then_some(records as usize),
            record_s,
            discontinuous: plus && reserved.get(4..5) == Some("D"),
            signals,
            patient,
            start: start(fixed, plus),
            equipment,
        })
    }

    /// Samples of all signals in a data record.
    pub(super) fn record_samples(&self) -> usize {
        self.signals.iter().map(|signal| signal.samples).sum()
    }

    /// Rate of a signal; durations are decimal, so a rate a hair off a whole number of millihertz is that number.
    pub(super) fn rate_of(&self, signal: &Signal) -> f64 {
        let rate = signal.samples as f64 / self.record_s;
        let rounded = (rate * 1e3).round() / 1e3;
        if (rate - rounded).abs() < 1e-6 * rate {
            rounded
        } else {
            rate
        }
    }
}

fn signals(format: &'static str, block: &[u8], count: usize) -> Result<Vec<Signal>, EcgError> {
    // Each property of all signals stands together: its width, and the widths before it.
    const LABEL: (usize, usize) = (0, 16);
    const UNIT: (usize, usize) = (96, 8);
    const PHYSICAL: [(usize, usize); 2] = [(104, 8), (112, 8)];
    const DIGITAL: [(usize, usize); 2] = [(120, 8), (128, 8)];
    const PREFILTER: (usize, usize) = (136, 80);
    const SAMPLES: (usize, usize) = (216, 8);
    let mut offset = 0;
    let mut out = Vec::with_capacity(count);
    for index in 0..count {
        let part = |(before, width): (usize, usize)| {
            let start = before * count + width * index;
            block.get(start..start + width).unwrap_or_default()
        };
        let label = field_text(part(LABEL)).unwrap_or_else(|| format!("channel {}", index + 1));
        let number = |place: (usize, usize), name: &str| {
            let text = String::from_utf8_lossy(part(place)).trim().to_owned();
            // Some writers leave a comma or a sign apart.
            let plain = text.replace(',', ".");
            plain
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| EcgError::field(format, format!("{name} of {label}"), &text, "a number"))
        };
        let samples = number(SAMPLES, "samples in a data record")?;
        if !(0.0..=RECORD_SAMPLES_MAX as f64).contains(&samples) {
            let name = format!("samples in a data record of {label}");
            return Err(EcgError::field(
                format,
                name,
                samples.to_string(),
                "0 to 16777216",
            ));
        }
        let mut signal = Signal {
            unit_uv: unit(&String::from_utf8_lossy(part(UNIT))),
            physical: (0.0, 1.0),
            digital: (0.0, 1.0),
            prefilter: field_text(part(PREFILTER)).unwrap_or_default(),
            samples: samples as usize,
            offset,
            label: label.clone(),
        };
        if signal.unit_uv.is_some() {
            let limits = |places: [(usize, usize); 2], name: &str| -> Result<(f64, f64), EcgError> {
                Ok((
                    number(places[0], &format!("{name} minimum"))?,
                    number(places[1], &format!("{name} maximum"))?,
                ))
            };
            signal.physical = limits(PHYSICAL, "physical")?;
            signal.digital = limits(DIGITAL, "digital")?;
            signal.check_limits(format)?;
        }
        offset += signal.samples;
        out.push(signal);
    }
    Ok(out)
}

fn unit(text: &str) -> Option<f64> {
    match text.trim().to_lowercase().as_str() {
        "uv" | "µv" | "μv" | "\u{fffd}v" => Some(1.0),
        "mv" => Some(1e3),
        "nv" => Some(1e-3),
        "v" => Some(1e6),
        _ => None,
    }
}

/// Patient and recorder: in EDF+ `code sex birthdate name` and `Startdate date admin technician equipment`, with `X` for
/// what is unknown and `_` for blanks.
fn people(fixed: &[u8], plus: bool) -> (Patient, Option<String>) {
    let (person, recording) = (field_text(&fixed[8..88]), field_text(&fixed[88..168]));
    let mut patient = Patient::default();
    if !plus {
        patient.name = person;
        return (patient, recording);
    }
    let known = |word: Option<&str>| word.filter(|w| *w != "X").map(|w| w.replace('_', " "));
    let person = person.unwrap_or_default();
    let mut words = person.split(' ');
    patient.identifier = known(words.next());
    patient.sex = known(words.next()).filter(|sex| matches!(sex.as_str(), "M" | "F"));
    patient.birth_date = words.next().and_then(date);
    patient.name = known(words.next());
    let recording = recording.unwrap_or_default();
    (patient, known(recording.split(' ').nth(4)))
}

/// `02-AUG-1951` as `19510802`.
fn date(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let mut parts = text.split('-');
    let of_month = parts.next()?.parse().ok()?;
    let name = parts.next()?.to_ascii_uppercase();
    let month = MONTHS.iter().position(|m| *m == name)? + 1;
    day(parts.next()?.parse().ok()?, month as i32, of_month)
}

/// Start: the full year stands in EDF+ only; without it years below 85 are of this century.
fn start(fixed: &[u8], plus: bool) -> Option<String> {
    let parts = |range: std::ops::Range<usize>| -> Option<[i32; 3]> {
        let text = std::str::from_utf8(&fixed[range]).ok()?;
        let numbers: Vec<i32> = text
            .split(['.', ':', '-', '/'])
            .map(|p| p.trim().parse().ok())
            .collect::<Option<_>>()?;
        numbers.try_into().ok()
    };
    let [of_month, month, year] = parts(168..176)?;
    let [hour, minute, second] = parts(176..184)?;
    let century = if year < 85 { 2_000 } else { 1_900 };
    let full = String::from_utf8_lossy(&fixed[88..168]).into_owned();
    let stated = full.split(' ').nth(1).filter(|_| plus).and_then(date);
    let date = stated.or_else(|| day(century + year, month, of_month))?;
    Some(date + &time_of_day(hour, minute, second)?)
}
