//! Time-stamped annotation lists of EDF+ and BDF+: when each data record starts, and what was remarked.

use super::header::Header;
use crate::ecg::error::EcgError;
use crate::ecg::formats::raw::clean;
use crate::ecg::record::{self, Annotation};

/// Most remarks kept.
const REMARKS_MAX: usize = 10_000;
const TEXT_END: u8 = 20;
const DURATION: u8 = 21;

/// What the annotation channel says.
#[derive(Default)]
pub(super) struct Timeline {
    /// Start of each data record in seconds, where it is said.
    starts: Vec<Option<f64>>,
    remarks: Vec<(f64, String)>,
    pub(super) warnings: Vec<String>,
}

/// Reads the first annotation channel of every data record, and the others for remarks.
pub(super) fn read(header: &Header, data: &[u8], records: usize) -> Timeline {
    let mut timeline = Timeline::default();
    let channels: Vec<_> = header.signals.iter().filter(|s| s.is_annotation()).collect();
    if channels.is_empty() {
        return timeline;
    }
    let width = header.sample_bytes;
    for record in 0..records {
        for (index, channel) in channels.iter().enumerate() {
            let start = (record * header.record_samples() + channel.offset) * width;
            let part = data.get(start..start + channel.samples * width);
            let keeps_time = timeline.list(part.unwrap_or_default());
            if index == 0 {
                timeline.starts.push(keeps_time);
            }
        }
    }
    timeline
}

impl Timeline {
    /// One list: `+onset[\x15duration]\x14text\x14...\x14\0`, repeated. Answers the onset without text, which stands first.
    fn list(&mut self, part: &[u8]) -> Option<f64> {
        let mut keeps_time = None;
        for (index, stamped) in part.split(|b| *b == 0).filter(|s| !s.is_empty()).enumerate() {
            let mut pieces = stamped.split(|b| *b == TEXT_END);
            let stamp = pieces.next().unwrap_or_default();
            let onset = stamp.split(|b| *b == DURATION).next().unwrap_or_default();
            let onset = std::str::from_utf8(onset)
                .ok()
                .and_then(|t| t.parse::<f64>().ok());
            let Some(onset) = onset.filter(|v| v.is_finite()) else {
                continue;
            };
            for (place, text) in pieces.enumerate() {
                if index == 0 && place == 0 && text.is_empty() {
                    keeps_time = Some(onset);
                }
                if let Some(text) = clean(&String::from_utf8_lossy(text))
                    && self.remarks.len() < REMARKS_MAX
                {
                    self.remarks.push((onset, text));
                }
            }
        }
        keeps_time
    }

    /// First sample of each data record; they follow each other unless the file says that it is discontinuous.
    ///
    /// # Errors
    /// [`EcgError::Field`] for starts that go backwards, [`EcgError::TooLarge`] for a file that is nearly all gap.
    pub(super) fn places(
        &self,
        header: &Header,
        samples: usize,
        records: usize,
    ) -> Result<Vec<usize>, EcgError> {
        record::check_size(header.format, 1, records as u64 * samples as u64)?;
        if !header.discontinuous {
            return Ok((0..records).map(|record| record * samples).collect());
        }
        let rate_hz = samples as f64 / header.record_s;
        let first = self.starts.iter().flatten().next().copied().unwrap_or(0.0);
        let mut places: Vec<usize> = Vec::with_capacity(records);
        for record in 0..records {
            let next = places.last().map_or(0, |place| place + samples);
            let start = self.starts.get(record).copied().flatten();
            // A start within half a sample of the end before is no gap.
            let place = start.map_or(next as f64, |start| ((start - first) * rate_hz).round());
            if place + 1.0 < next as f64 {
                let (name, value) = (
                    format!("start of data record {}", record + 1),
                    start.unwrap_or(0.0),
                );
                return Err(EcgError::field(
                    header.format,
                    name,
                    value.to_string(),
                    "a time behind the record before",
                ));
            }
            let whole = (place.max(0.0) as u64).saturating_add(samples as u64);
            record::check_gaps(header.format, (records * samples) as u64, whole)?;
            places.push((place as usize).max(next));
        }
        Ok(places)
    }

    /// Remarks with their samples.
    pub(super) fn remarks(&self, rate_hz: f64) -> Vec<Annotation> {
        let first = self.starts.iter().flatten().next().copied().unwrap_or(0.0);
        let sample = |onset: f64| {
            let place = ((onset - first) * rate_hz).round();
            (place >= 0.0).then_some(place as u64)
        };
        self.remarks
            .iter()
            .map(|(onset, text)| Annotation {
                sample: sample(*onset),
                text: text.clone(),
            })
            .collect()
    }
}
