//! WFDB records read piece by piece: one segment, samples that stand one after the other.

use super::header::{self, Header, SignalSpec};
use super::signal::{self, Reader};
use super::{FORMAT, microvolts_per_unit};
use crate::ecg::error::EcgError;
use crate::ecg::formats::stream::{Chunks, Ranges, Stream, read};
use crate::ecg::holter::source::Layout;
use crate::ecg::record::LeadName;

/// Opens signal files by their plain name.
pub type Opener<'a> = dyn Fn(&str) -> Option<Box<dyn Ranges>> + 'a;

/// Opens a record; `None` for one that has to be read as a whole (several segments, packed as FLAC, differences).
///
/// # Errors
/// Of the header, and [`EcgError::MissingFile`] and [`EcgError::Cut`] as with the whole record.
pub fn open(bytes: &[u8], opener: &Opener<'_>) -> Result<Option<Stream>, EcgError> {
    let header = header::parse(bytes)?;
    let stands = |spec: &SignalSpec| !matches!(spec.format, 8 | 508 | 516 | 524);
    if !header.segments.is_empty() || !header.signals.iter().all(stands) {
        return Ok(None);
    }
    let mut warnings = Vec::new();
    let mut files = Vec::new();
    let (mut names, mut shifts) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < header.signals.len() {
        let name = header.signals[at].file.clone();
        let group = header.signals[at..].iter().take_while(|s| s.file == name).count();
        let specs = &header.signals[at..at + group];
        let ranges = opener(&name).ok_or_else(|| EcgError::MissingFile {
            format: FORMAT,
            file: name.clone(),
        })?;
        let file = File::new(specs, ranges, &header, names.len(), &mut warnings)?;
        for (spec, scale) in specs.iter().zip(&file.scales) {
            if scale.is_some() {
                names.push(LeadName::new(&spec.description));
                shifts.push(-(spec.skew as i64));
            }
        }
        files.push(file);
        at += group;
    }
    let total = files.iter().map(|file| file.frames).max().unwrap_or(0);
    if names.is_empty() || total == 0 {
        return Err(EcgError::NoSignal { format: FORMAT });
    }
    let layout = Layout {
        format: FORMAT,
        leads: crate::ecg::record::unique_names(names),
        sampling_rate_hz: header.sampling_rate_hz,
        samples: Some(total),
        acquired_at: header.start.clone(),
        warnings,
    };
    Ok(Some(Stream::new(
        layout,
        Box::new(Files { files }),
        total,
        &shifts,
    )))
}

/// One signal file.
struct File {
    specs: Vec<SignalSpec>,
    /// Microvolts of one unit of each signal; `None` for one that is no voltage.
    scales: Vec<Option<f64>>,
    ranges: Box<dyn Ranges>,
    /// Place of its first lead.
    first: usize,
    /// Samples of all signals in a frame.
    per_frame: usize,
    frames: u64,
    /// Whether the header's checksums are over what is there.
    whole: bool,
    done: u64,
    sums: Vec<i64>,
}

struct Files {
    files: Vec<File>,
}

impl Chunks for Files {
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
        let mut more = false;
        for file in &mut self.files {
            more |= file.next(bytes_max, leads)?;
        }
        Ok(more)
    }

    fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        for file in self
            .files
            .iter()
            .filter(|file| file.whole && file.done == file.frames)
        {
            for (spec, sum) in file.specs.iter().zip(&file.sums) {
                if spec.checksum.is_some_and(|stated| stated != *sum as i16) {
                    let (name, file) = (&spec.description, &spec.file);
                    out.push(format!(
                        "wfdb: the checksum of {name} differs from the header; {file} may be damaged"
                    ));
                }
            }
        }
        out
    }
}

impl File {
    fn new(
        specs: &[SignalSpec],
        ranges: Box<dyn Ranges>,
        header: &Header,
        first: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Self, EcgError> {
        let lead = &specs[0];
        let file = &lead.file;
        if specs.iter().any(|spec| spec.format != lead.format) {
            return Err(EcgError::Unsupported {
                format: FORMAT,
                what: format!("several formats in {file}"),
            });
        }
        let per_frame: usize = specs.iter().map(|spec| spec.samples_per_frame).sum();
        let bytes = ranges.size().saturating_sub(lead.byte_offset as u64);
        let there = signal::samples_in(lead.format, usize::try_from(bytes).unwrap_or(usize::MAX))?
            / per_frame.max(1) as u64;
        let wanted = header.samples.unwrap_or(there);
        let frames = wanted.min(there);
        if frames < wanted {
            if frames * 50 < wanted || frames < 2 {
                let wanted = signal::bytes_of(lead.format, wanted * per_frame as u64);
                return Err(EcgError::Cut {
                    format: FORMAT,
                    what: file.clone(),
                    wanted: wanted + lead.byte_offset as u64,
                    got: ranges.size(),
                });
            }
            warnings.push(format!(
                "wfdb: {file} is cut: {frames} of {wanted} samples are there; send it again"
            ));
        }
        let mut scales = Vec::with_capacity(specs.len());
        for spec in specs {
            let scale = microvolts_per_unit(&spec.units);
            if scale.is_none() {
                let (name, units) = (&spec.description, &spec.units);
                warnings.push(format!(
                    "wfdb: channel {name} ({units}) is not a voltage and was left out"
                ));
            } else if spec.samples_per_frame > 1 {
                let (name, n) = (&spec.description, spec.samples_per_frame);
                warnings.push(format!(
                    "wfdb: {name} has {n} samples a frame, averaged to the frame rate"
                ));
            }
            scales.push(scale);
        }
        Ok(Self {
            sums: vec![0; specs.len()],
            specs: specs.to_vec(),
            scales,
            ranges,
            first,
            per_frame,
            frames,
            whole: frames == wanted && header.samples.is_some(),
            done: 0,
        })
    }

    /// Decodes the next frames; `false` behind the last.
    fn next(&mut self, bytes_max: usize, leads: &mut [Vec<f32>]) -> Result<bool, EcgError> {
        /// Two samples share three bytes, three share four: after so many frames a byte begins in every format.
        const ALIGNED: usize = 6;
        let format = self.specs[0].format;
        let each = (bytes_max / (2 * self.per_frame.max(1)) / ALIGNED).max(1) * ALIGNED;
        let frames = (self.frames - self.done).min(each as u64) as usize;
        if frames == 0 {
            return Ok(false);
        }
        let start = signal::bytes_of(format, self.done * self.per_frame as u64);
        let length = signal::bytes_of(format, (frames * self.per_frame) as u64) as usize;
        let at = self.specs[0].byte_offset as u64 + start;
        let data = read(FORMAT, &*self.ranges, at, length)?;
        self.done += frames as u64;
        if matches!(format, 16 | 212) && self.per_frame == self.specs.len() {
            // The last byte pair of a chunk may hold half of a sample that is not asked for.
            let mut words = words(format, &data);
            words.truncate(frames * self.per_frame);
            self.put_words(&words, leads);
            return Ok(true);
        }
        let source = signal::Source::Stored(Reader::new(format, &data, &self.specs));
        let (channels, sums) = signal::take_frames(&self.specs, source, frames);
        for (sum, more) in self.sums.iter_mut().zip(sums) {
            *sum = sum.wrapping_add(more);
        }
        let mut place = self.first;
        for ((spec, scale), values) in self.specs.iter().zip(&self.scales).zip(channels) {
            let Some(scale) = scale else { continue };
            let step_uv = scale / spec.gain;
            if let Some(lead) = leads.get_mut(place) {
                lead.extend(
                    values
                        .iter()
                        .map(|value| ((f64::from(*value) - spec.baseline) * step_uv) as f32),
                );
            }
            place += 1;
        }
        Ok(true)
    }

    /// Takes whole frames of one sample a signal.
    fn put_words(&mut self, words: &[i16], leads: &mut [Vec<f32>]) {
        let invalid = if self.specs[0].format == 212 {
            -2_048
        } else {
            i16::MIN
        };
        let mut place = self.first;
        for (index, (spec, scale)) in self.specs.iter().zip(&self.scales).enumerate() {
            let own = words.iter().skip(index).step_by(self.per_frame.max(1));
            let sum: i64 = own.clone().map(|value| i64::from(*value)).sum();
            self.sums[index] = self.sums[index].wrapping_add(sum);
            let Some(scale) = scale else { continue };
            let step_uv = scale / spec.gain;
            if let Some(lead) = leads.get_mut(place) {
                lead.extend(own.map(|value| {
                    let uv = ((f64::from(*value) - spec.baseline) * step_uv) as f32;
                    if *value == invalid { f32::NAN } else { uv }
                }));
            }
            place += 1;
        }
    }
}

/// Samples of the formats 16 and 212; a cut one at the end counts with zeros in place of what is missing.
fn words(format: u16, data: &[u8]) -> Vec<i16> {
    if format == 16 {
        let (whole, _) = data.as_chunks::<2>();
        return whole.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    }
    let signed = |low: u8, high: u8| ((u16::from(low) | u16::from(high) << 8) << 4) as i16 >> 4;
    let (whole, rest) = data.as_chunks::<3>();
    let mut out = Vec::with_capacity(2 * whole.len() + 1);
    for [a, b, c] in whole {
        out.push(signed(*a, b & 0x0f));
        out.push(signed(*c, b >> 4));
    }
    if let [a, b] = rest {
        out.push(signed(*a, b & 0x0f));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::formats::stream::tests::compare;

    fn check(header: &str, bytes: usize) {
        let data: Vec<u8> = (0..bytes).map(|i| (i * 37 % 251) as u8).collect();
        let whole = super::super::read(header.as_bytes(), &|_: &str| Some(data.clone())).unwrap();
        let open = || {
            let opener = |_: &str| Some(Box::new(data.clone()) as Box<dyn Ranges>);
            open(header.as_bytes(), &opener).unwrap().unwrap()
        };
        compare(open, &whole);
    }

    #[test]
    fn pieces_are_the_whole() {
        check(
            "r 2 360 5000\nr.dat 212 200 11 1024 0 0 0 MLII\nr.dat 212 200 11 1024 0 0 0 V5\n",
            15_000,
        );
        check(
            "r 3 250 70001\nr.dat 16 200 16 0 0 0 0 I\nr.dat 16 200 16 0 0 0 0 I\nr.dat 16 1/C 16 0 0 0 0 T\n",
            420_006,
        );
        check("r 1 250\nr.dat 310 200 10 0 0 0 0 II\n", 4_003);
        check(
            "r 3 250 999\nr.dat 311 200 10 0 0 0 0 II\nr.dat 311 200 10 0 0 0 0 V1\nr.dat 311 200 10 0 0 0 0 V2\n",
            3_996,
        );
        check(
            "r 2 250 600\nr.dat 16x2:3+10 200 16 0 0 0 0 I\nr.dat 16:5 100 16 0 0 0 0 II\n",
            3_610,
        );
        check(
            "r 2 250 500\nr.dat 80 100 8 0 0 0 0 I\nq.dat 24 100 8 0 0 0 0 II\n",
            1_500,
        );
        check("r 1 250 4000\nr.dat 61 100 8 0 0 0 0 I\n", 6_000);
        // A file that ends before another, within a pair of samples.
        check(
            "r 4 250\nr.dat 212 100 12 0 0 0 0 I\nr.dat 212 100 12 0 0 0 0 II\nr.dat 212 100 12 0 0 0 0 V1\nq.dat 212 1/NU\n",
            3_003,
        );
        check("r 1 250\nr.dat 16 1e-40 16 0 0 0 0 beyond all numbers\n", 600);
    }

    #[test]
    fn what_needs_the_whole_says_so() {
        let none = |header: &str| {
            let opener = |_: &str| None;
            open(header.as_bytes(), &opener).unwrap().is_none()
        };
        assert!(none("r/2 1 360 200\nseg 100\n~ 100\n"));
        assert!(none("r 1 100 50\nr.dat 8 1 16 0 0 0 0 X\n"));
        let missing = open(b"r 1 100 50\nr.dat 16 1 16 0 0 0 0 X\n", &|_: &str| None);
        assert!(matches!(missing, Err(EcgError::MissingFile { .. })));
    }
}
