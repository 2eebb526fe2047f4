//! ISHNE recordings read piece by piece.

use super::{FORMAT, Head};
use crate::ecg::error::EcgError;
use crate::ecg::formats::raw::i16_le;
use crate::ecg::formats::stream::{Chunks, Ranges, Stream, read};
use crate::ecg::holter::source::Layout;
use crate::ecg::record::unique_names;

/// Longest header, with its variable part.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// Opens a recording.
///
/// # Errors
/// As the reader of the whole recording.
pub fn open(ranges: Box<dyn Ranges>) -> Result<Stream, EcgError> {
    let bytes = read(FORMAT, &*ranges, 0, HEADER_BYTES_MAX)?;
    let mut warnings = Vec::new();
    let head = Head::parse(&bytes, ranges.size(), &mut warnings)?;
    let layout = Layout {
        format: FORMAT,
        leads: unique_names(head.names.clone()),
        sampling_rate_hz: head.rate_hz,
        samples: Some(head.samples as u64),
        acquired_at: super::acquired_at(&bytes),
        warnings,
    };
    let (total, shifts) = (head.samples as u64, vec![0; head.names.len()]);
    let frames = Frames {
        head,
        ranges,
        done: 0,
    };
    Ok(Stream::new(layout, Box::new(frames), total, &shifts))
}

struct Frames {
    head: Head,
    ranges: Box<dyn Ranges>,
    done: usize,
}

impl Chunks for Frames {
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
        let width = 2 * self.head.names.len();
        let count = (bytes_max / width.max(1))
            .max(1)
            .min(self.head.samples - self.done);
        if count == 0 {
            return Ok(false);
        }
        let at = self.head.start as u64 + (self.done * width) as u64;
        let data = read(FORMAT, &*self.ranges, at, count * width)?;
        for (index, (lead, step_uv)) in leads.iter_mut().zip(&self.head.steps_uv).enumerate() {
            lead.extend((0..count).map(|n| {
                let value = i16_le(&data, n * width + 2 * index);
                value.map_or(f32::NAN, |value| (f64::from(value) * step_uv) as f32)
            }));
        }
        self.done += count;
        Ok(true)
    }
}
