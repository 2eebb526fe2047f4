//! WFDB records: a text header (`.hea`) and signal files beside it.
//!
//! Source: the WFDB Applications Guide, header(5) and signal(5). Read here: single and multi-segment records, signal
//! formats 8, 16, 24, 32, 61, 80, 160, 212, 310 and 311, the FLAC formats 508, 516 and 524, several samples a frame
//! (averaged to the frame rate), skew, byte offsets and checksums.

pub mod annotation;
mod flac;
mod header;
mod signal;
pub mod stream;
pub mod write;

use self::header::{Header, Segment, SignalSpec};
use super::SideLoader;
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, Patient, Record};
use std::cell::Cell;

pub(crate) const FORMAT: &str = "wfdb";

/// Bytes of all signal and segment files together: the longest recording in 32 bits. A header can name the same file a
/// hundred thousand times.
const LOADED_BYTES_MAX: u64 = 4 << 30;
/// Most warnings of the segments together.
const WARNINGS_MAX: usize = 1_000;

/// Whether the bytes start like a WFDB header: a record line with plausible numbers.
#[must_use]
pub fn looks_like_header(bytes: &[u8]) -> bool {
    const SNIFFED_BYTES_MAX: usize = 512;
    let head = bytes
        .get(..bytes.len().min(SNIFFED_BYTES_MAX))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let Some(line) = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
    else {
        return false;
    };
    let mut words = line.split_whitespace();
    let name_fits = words
        .next()
        .is_some_and(|w| w.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.".contains(c)));
    let count_fits = words.next().is_some_and(|w| w.parse::<u16>().is_ok());
    let rate = words
        .next()
        .and_then(|w| w.split(['/', '(']).next().and_then(|v| v.parse::<f64>().ok()));
    name_fits && count_fits && rate.is_some_and(|hz| hz > 0.0)
}

/// Reads a record; `side` gives the signal and segment files by name.
///
/// # Errors
/// Of the header ([`EcgError::Field`], [`EcgError::Cut`]), of a missing or cut signal file
/// ([`EcgError::MissingFile`], [`EcgError::Cut`]), and [`EcgError::Unsupported`] for compressed signals.
pub fn read(bytes: &[u8], side: &SideLoader<'_>) -> Result<Record, EcgError> {
    let header = header::parse(bytes)?;
    let mut warnings = Vec::new();
    let channels = if header.segments.is_empty() {
        read_segment(&header, side, usize::MAX, &mut warnings)?
    } else {
        read_segments(&header, side, &mut warnings)?
    };
    let mut leads = Vec::new();
    for channel in channels {
        let Some(scale_uv) = microvolts_per_unit(&channel.spec.units) else {
            let (name, units) = (&channel.spec.description, &channel.spec.units);
            warnings.push(format!(
                "wfdb: channel {name} ({units}) is not a voltage and was left out"
            ));
            continue;
        };
        leads.push(channel.into_lead(scale_uv));
    }
    let mut made = Record::new(FORMAT, leads, header.sampling_rate_hz)?;
    made.warnings = warnings;
    made.acquired_at = header.start.clone();
    made.patient = patient_of(&header);
    Ok(made)
}

/// One decoded channel: digital values as floats (NaN = no sample) and how to make them physical.
struct Channel {
    spec: SignalSpec,
    values: Vec<f32>,
}

impl Channel {
    fn into_lead(self, scale_uv: f64) -> Lead {
        let step_uv = scale_uv / self.spec.gain;
        let baseline = self.spec.baseline;
        let mut samples_uv = self.values;
        for value in &mut samples_uv {
            *value = ((f64::from(*value) - baseline) * step_uv) as f32;
        }
        Lead {
            name: LeadName::new(&self.spec.description),
            samples_uv,
            resolution_uv: step_uv.abs(),
            derived: false,
        }
    }
}

fn microvolts_per_unit(units: &str) -> Option<f64> {
    match units.to_ascii_lowercase().as_str() {
        "mv" | "" => Some(1e3),
        "uv" | "µv" => Some(1.0),
        "nv" => Some(1e-3),
        "v" => Some(1e6),
        _ => None,
    }
}

fn read_segment(
    header: &Header,
    side: &SideLoader<'_>,
    frames_max: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<Channel>, EcgError> {
    let mut channels = Vec::with_capacity(header.signals.len());
    let mut at = 0;
    while at < header.signals.len() {
        let file = header.signals[at].file.clone();
        let group = header.signals[at..].iter().take_while(|s| s.file == file).count();
        let specs = &header.signals[at..at + group];
        let bytes = side(&file).ok_or_else(|| EcgError::MissingFile {
            format: FORMAT,
            file: file.clone(),
        })?;
        let decoded = signal::decode_group(specs, &bytes, header.samples, frames_max, &file)?;
        warnings.extend(decoded.warnings);
        let pairs = specs.iter().zip(decoded.channels);
        channels.extend(pairs.map(|(spec, values)| Channel {
            spec: spec.clone(),
            values,
        }));
        at += group;
    }
    let longest = channels.iter().map(|c| c.values.len()).max().unwrap_or(0);
    for channel in &mut channels {
        channel.values.resize(longest, f32::NAN);
    }
    Ok(channels)
}

/// Joins the segments of a multi-segment record; a segment called `~` is a gap, and a lead that a segment lacks is too.
fn read_segments(
    master: &Header,
    side: &SideLoader<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Channel>, EcgError> {
    let total: u64 = master.segments.iter().map(|s| s.samples).sum();
    record::check_size(FORMAT, master.signal_count as u64, total)?;
    let mut joined: Vec<Channel> = Vec::new();
    let (mut length, mut present) = (0_usize, 0_usize);
    let loaded = Cell::new(0_u64);
    let side = &|name: &str| -> Option<Vec<u8>> {
        let bytes = side(name)?;
        loaded.set(loaded.get().saturating_add(bytes.len() as u64));
        Some(bytes)
    };
    for Segment { name, samples } in &master.segments {
        let samples = usize::try_from(*samples).unwrap_or(usize::MAX);
        if name != "~" && samples > 0 {
            let file = format!("{name}.hea");
            let bytes = side(&file).ok_or_else(|| EcgError::MissingFile {
                format: FORMAT,
                file: file.clone(),
            })?;
            let part = header::parse(&bytes)?;
            if !part.segments.is_empty() {
                return Err(EcgError::Unsupported {
                    format: FORMAT,
                    what: format!("segment {name} made of segments"),
                });
            }
            let channels = read_segment(&part, side, samples, warnings)?;
            check_loaded(loaded.get())?;
            warnings.truncate(WARNINGS_MAX);
            present += channels.iter().map(|c| c.values.len()).max().unwrap_or(0);
            record::check_gaps(FORMAT, present as u64, (length + samples) as u64)?;
            for channel in channels {
                append(&mut joined, channel, length, samples);
            }
        }
        length += samples;
        if present > 0 {
            record::check_gaps(FORMAT, present as u64, length as u64)?;
        }
        for channel in &mut joined {
            channel.values.resize(length, f32::NAN);
        }
    }
    Ok(joined)
}

fn check_loaded(bytes: u64) -> Result<(), EcgError> {
    if bytes <= LOADED_BYTES_MAX {
        return Ok(());
    }
    Err(EcgError::TooLarge {
        format: FORMAT,
        what: "length of all segment files",
        value: bytes,
        limit: LOADED_BYTES_MAX,
    })
}

/// Adds a segment's channel behind the lead of the same name; values are brought to the first segment's gain.
fn append(joined: &mut Vec<Channel>, part: Channel, start: usize, samples: usize) {
    let known = joined
        .iter()
        .position(|c| c.spec.description == part.spec.description);
    let place = known.unwrap_or_else(|| {
        if joined.len() < record::LEADS_MAX {
            joined.push(Channel {
                spec: part.spec.clone(),
                values: Vec::new(),
            });
        }
        joined.len() - 1
    });
    let whole = &mut joined[place];
    whole.values.resize(start, f32::NAN);
    let (gain, base) = (whole.spec.gain / part.spec.gain, whole.spec.baseline);
    let values = part.values.iter().take(samples);
    whole
        .values
        .extend(values.map(|v| ((f64::from(*v) - part.spec.baseline) * gain + base) as f32));
}

/// Age and sex stand in comment lines, either as `69 M ...` or as `age: 81` and `sex: female` (also `<age>: 51`).
fn patient_of(header: &Header) -> Patient {
    let mut patient = Patient::default();
    for comment in &header.comments {
        let plain = comment.replace(['<', '>'], "");
        if let Some((key, value)) = plain.split_once(':') {
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "age" => patient.age_years = value.parse().ok().filter(|age| (0.0..150.0).contains(age)),
                "sex" => patient.sex = sex_of(value),
                _ => {}
            }
        } else if patient.age_years.is_none() {
            let mut words = plain.split_whitespace();
            let age = words
                .next()
                .and_then(|w| w.parse::<f64>().ok())
                .filter(|age| (0.0..150.0).contains(age));
            if let (Some(age), Some(sex)) = (age, words.next().and_then(sex_of)) {
                patient.age_years = Some(age);
                patient.sex = Some(sex);
            }
        }
    }
    patient
}

fn sex_of(text: &str) -> Option<String> {
    match text.chars().next()?.to_ascii_uppercase() {
        'M' => Some("M".into()),
        'F' => Some("F".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
