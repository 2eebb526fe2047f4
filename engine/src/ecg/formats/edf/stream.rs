//! EDF and BDF read piece by piece: files whose data records follow each other without a gap.

use super::header::{Header, Signal};
use super::{choose, digital, records_in};
use crate::ecg::error::EcgError;
use crate::ecg::formats::stream::{Chunks, Ranges, Stream, read};
use crate::ecg::holter::source::Layout;
use crate::ecg::record::{LeadName, unique_names};

/// Largest header: that of 1024 signals.
const HEADER_BYTES_MAX: usize = 256 * 1_025;

/// Opens a file; `None` for a discontinuous one, which has to be read as a whole.
///
/// # Errors
/// As the reader of the whole file.
pub fn open(ranges: Box<dyn Ranges>) -> Result<Option<Stream>, EcgError> {
    let head = read("edf", &*ranges, 0, HEADER_BYTES_MAX)?;
    let header = Header::parse(&head)?;
    if header.discontinuous {
        return Ok(None);
    }
    let mut warnings = Vec::new();
    let chosen: Vec<Signal> = choose(&header, &mut warnings)?.into_iter().cloned().collect();
    let bytes = ranges.size().saturating_sub(header.bytes as u64);
    let records = records_in(&header, bytes, &mut warnings)?;
    let total = records as u64 * chosen[0].samples as u64;
    if total == 0 {
        return Err(EcgError::NoSignal {
            format: header.format,
        });
    }
    let layout = Layout {
        format: header.format,
        leads: unique_names(chosen.iter().map(|signal| LeadName::new(&signal.label)).collect()),
        sampling_rate_hz: header.rate_of(&chosen[0]),
        samples: Some(total),
        acquired_at: header.start.clone(),
        warnings,
    };
    let shifts = vec![0; chosen.len()];
    let records = Records {
        header,
        chosen,
        ranges,
        records,
        done: 0,
    };
    Ok(Some(Stream::new(layout, Box::new(records), total, &shifts)))
}

struct Records {
    header: Header,
    chosen: Vec<Signal>,
    ranges: Box<dyn Ranges>,
    records: usize,
    done: usize,
}

impl Chunks for Records {
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
        let width = self.header.sample_bytes;
        let record_bytes = self.header.record_samples() * width;
        let count = (bytes_max / record_bytes.max(1))
            .max(1)
            .min(self.records - self.done);
        if count == 0 {
            return Ok(false);
        }
        let at = self.header.bytes as u64 + self.done as u64 * record_bytes as u64;
        let data = read(self.header.format, &*self.ranges, at, count * record_bytes)?;
        for (signal, lead) in self.chosen.iter().zip(leads) {
            let (scale, offset) = signal.microvolts();
            for record in 0..count {
                let from = record * record_bytes + signal.offset * width;
                let part = data.get(from..from + signal.samples * width).unwrap_or_default();
                let before = lead.len();
                let values = part.chunks_exact(width);
                lead.extend(values.map(|item| (f64::from(digital(item)) * scale + offset) as f32));
                lead.resize(before + signal.samples, f32::NAN);
            }
        }
        self.done += count;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::formats::stream::tests::compare;
    use crate::ecg::record::{Lead, Record};

    #[test]
    fn pieces_are_the_whole() {
        let lead = |name: &str, factor: usize| Lead {
            name: LeadName::new(name),
            samples_uv: (0..7_321).map(|i| (i * factor % 613) as f32 - 300.0).collect(),
            resolution_uv: 1.0,
            derived: false,
        };
        let record = Record::new("npy", vec![lead("II", 37), lead("V5", 91)], 200.0).unwrap();
        let bytes = super::super::write::write(&record).unwrap();
        let whole = super::super::read(&bytes).unwrap();
        if let Some(stream) = open(Box::new(bytes.clone())).unwrap() {
            assert_eq!(stream_total(stream), whole.len());
            compare(|| open(Box::new(bytes.clone())).unwrap().unwrap(), &whole);
        } else {
            panic!("a file without gaps can be read in pieces");
        }
        assert!(open(Box::new(bytes[..300].to_vec())).is_err());
    }

    fn stream_total(stream: Stream) -> usize {
        use crate::ecg::holter::source::Source as _;
        stream.layout().samples.unwrap_or(0) as usize
    }
}
