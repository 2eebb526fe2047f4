//! EDF, EDF+ (Kemp and Olivan 2003) and BDF, BDF+ (24 bits).
//!
//! Voltage channels of one rate make the record: that of the channels called ECG, or with a lead's name, else that of
//! most. Channels of other units and rates are left out with a warning, gaps of a discontinuous file become gaps, and
//! annotations become remarks.

mod annotations;
mod header;
pub mod stream;
pub mod write;

use self::header::{Header, Signal};
use super::raw::clean;
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Lead, LeadName, Record, RecorderFilters};
use std::collections::BTreeMap;

/// Whether the bytes start like EDF (`0` and blanks) or BDF (255 and `BIOSEMI`).
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| {
            let text = part.trim_ascii();
            !text.is_empty() && text.iter().all(u8::is_ascii_digit)
        })
    };
    let named = bytes.starts_with(b"0       ") || bytes.starts_with(b"\xffBIOSEMI");
    named && digits(184..192) && digits(252..256)
}

/// Reads a file.
///
/// # Errors
/// [`EcgError::Cut`], [`EcgError::Field`] and [`EcgError::TooLarge`] for a file that cannot be followed,
/// [`EcgError::NoSignal`] without a voltage channel.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let header = Header::parse(bytes)?;
    let format = header.format;
    let mut warnings = Vec::new();
    let chosen = choose(&header, &mut warnings)?;
    let data = bytes.get(header.bytes..).unwrap_or_default();
    let records = records_in(&header, data.len() as u64, &mut warnings)?;
    let timeline = annotations::read(&header, data, records);
    let places = timeline.places(&header, chosen[0].samples, records)?;
    let mut leads = Vec::with_capacity(chosen.len());
    for signal in &chosen {
        leads.push(lead(&header, signal, data, records, &places));
    }
    let mut made = Record::new(format, leads, header.rate_of(chosen[0]))?;
    made.patient = header.patient.clone();
    made.acquired_at.clone_from(&header.start);
    made.recorder.model.clone_from(&header.equipment);
    made.filters = filters(&chosen);
    made.annotations = timeline.remarks(header.rate_of(chosen[0]));
    warnings.extend(timeline.warnings);
    made.warnings = warnings;
    Ok(made)
}

/// Data records that are there and meant, of so many bytes behind the header.
fn records_in(header: &Header, bytes: u64, warnings: &mut Vec<String>) -> Result<usize, EcgError> {
    let format = header.format;
    let record_bytes = (header.record_samples() * header.sample_bytes) as u64;
    if record_bytes == 0 {
        return Err(EcgError::NoSignal { format });
    }
    let there = usize::try_from(bytes / record_bytes).unwrap_or(usize::MAX);
    match header.records {
        None => {
            warnings.push(format!(
                "{format}: the recording was not ended properly; all {there} stored records were taken"
            ));
            Ok(there)
        }
        Some(wanted) if wanted > there => {
            if there == 0 {
                return Err(EcgError::Cut {
                    format,
                    what: "the data records".into(),
                    wanted: (wanted as u64).saturating_mul(record_bytes),
                    got: bytes,
                });
            }
            warnings.push(format!(
                "{format}: the file is cut: {there} of {wanted} data records are there; send it again"
            ));
            Ok(there)
        }
        Some(wanted) => {
            if bytes > wanted as u64 * record_bytes {
                warnings.push(format!(
                    "{format}: bytes behind the last data record were ignored"
                ));
            }
            Ok(wanted)
        }
    }
}

/// The channels that make the record.
fn choose<'h>(header: &'h Header, warnings: &mut Vec<String>) -> Result<Vec<&'h Signal>, EcgError> {
    let format = header.format;
    let usable = |signal: &&Signal| signal.unit_uv.is_some() && !signal.is_annotation() && signal.samples > 0;
    let voltages: Vec<&Signal> = header.signals.iter().filter(usable).collect();
    let cardiac: Vec<&Signal> = voltages
        .iter()
        .copied()
        .filter(|signal| signal.is_cardiac())
        .collect();
    let among = if cardiac.is_empty() { &voltages } else { &cardiac };
    // The rate of most; of equals the higher.
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    among
        .iter()
        .for_each(|signal| *counts.entry(signal.samples).or_default() += 1);
    let most = counts.iter().max_by_key(|(samples, count)| (**count, **samples));
    let samples = *most.ok_or(EcgError::NoSignal { format })?.0;
    let chosen: Vec<&Signal> = among
        .iter()
        .copied()
        .filter(|signal| signal.samples == samples)
        .collect();
    for signal in header.signals.iter().filter(|s| !s.is_annotation()) {
        let why = if signal.unit_uv.is_none() {
            "is not a voltage"
        } else if signal.samples != samples {
            "has another sampling rate"
        } else if !chosen.iter().any(|c| std::ptr::eq(*c, signal)) {
            "is not an ECG channel"
        } else {
            continue;
        };
        warnings.push(format!(
            "{format}: channel {} {why} and was left out",
            signal.label
        ));
    }
    record::check_sampling_rate(format, header.rate_of(chosen[0]))?;
    record::check_size(format, chosen.len() as u64, samples as u64)?;
    Ok(chosen)
}

/// Samples of one channel, each data record at its place.
fn lead(header: &Header, signal: &Signal, data: &[u8], records: usize, places: &[usize]) -> Lead {
    let record_samples = header.record_samples();
    let width = header.sample_bytes;
    let length = places.last().map_or(0, |place| place + signal.samples);
    let mut samples_uv = vec![f32::NAN; length];
    let (scale, offset) = signal.microvolts();
    for (record, place) in places.iter().enumerate().take(records) {
        let start = (record * record_samples + signal.offset) * width;
        let part = data
            .get(start..start + signal.samples * width)
            .unwrap_or_default();
        let slots = samples_uv
            .get_mut(*place..place + signal.samples)
            .unwrap_or_default();
        for (slot, item) in slots.iter_mut().zip(part.chunks_exact(width)) {
            *slot = (f64::from(digital(item)) * scale + offset) as f32;
        }
    }
    Lead {
        name: LeadName::new(&signal.label),
        samples_uv,
        resolution_uv: scale.abs(),
        derived: false,
    }
}

/// A stored sample of two or three bytes.
fn digital(item: &[u8]) -> i32 {
    match *item {
        [a, b] => i32::from(i16::from_le_bytes([a, b])),
        [a, b, c] => i32::from_le_bytes([0, a, b, c]) >> 8,
        _ => 0,
    }
}

/// Edges from the prefiltering texts, where all channels say the same: `HP:0.1Hz LP:75Hz N:50Hz`.
fn filters(chosen: &[&Signal]) -> RecorderFilters {
    let first = chosen[0].prefilter.as_str();
    if chosen.iter().any(|signal| signal.prefilter != first) {
        return RecorderFilters::default();
    }
    let edge = |key: &str| {
        let rest = first.split_once(key)?.1.trim_start();
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        rest[..digits].parse::<f64>().ok().filter(|hz| *hz > 0.0)
    };
    RecorderFilters {
        low_hz: edge("HP:"),
        high_hz: edge("LP:"),
        notch_hz: edge("N:"),
    }
}

fn field_text(bytes: &[u8]) -> Option<String> {
    super::raw::text(bytes).and_then(|text| clean(&text))
}

#[cfg(test)]
mod tests;
