//! Signal files: the storage formats of signal(5), frames to channels.

use super::header::SignalSpec;
use super::{FORMAT, flac};
use crate::ecg::error::EcgError;
use crate::ecg::record;

/// Channels of one signal file.
pub(super) struct Decoded {
    pub(super) channels: Vec<Vec<f32>>,
    pub(super) warnings: Vec<String>,
}

/// Decodes all signals that share one file, `frames_max` frames at most. Without `frames` the file's length decides.
pub(super) fn decode_group(
    specs: &[SignalSpec],
    bytes: &[u8],
    frames: Option<u64>,
    frames_max: usize,
    file: &str,
) -> Result<Decoded, EcgError> {
    let Some(first) = specs.first() else {
        return Err(EcgError::NoSignal { format: FORMAT });
    };
    if specs.iter().any(|spec| spec.format != first.format) {
        return Err(EcgError::Unsupported {
            format: FORMAT,
            what: format!("several formats in {file}"),
        });
    }
    let data = bytes.get(first.byte_offset..).unwrap_or_default();
    let per_frame: usize = specs.iter().map(|spec| spec.samples_per_frame).sum();
    let packed = matches!(first.format, 508 | 516 | 524);
    let stated = frames.and_then(|n| usize::try_from(n).ok());
    let stream = if packed {
        Some(unpack(specs, data, stated.unwrap_or(usize::MAX), file)?)
    } else {
        None
    };
    let there = match &stream {
        Some(stream) => stream.channels[0].len() / first.samples_per_frame,
        None => (samples_in(first.format, data.len())? / per_frame as u64) as usize,
    };
    let wanted = stated.unwrap_or(there);
    let used = wanted.min(there);
    let mut warnings = Vec::new();
    if stream.as_ref().is_some_and(|stream| stream.broken) && used == wanted {
        warnings.push(format!(
            "wfdb: the end of {file} is cut or damaged; send it again"
        ));
    }
    if used < wanted {
        const USABLE_SHARE_MIN: f64 = 0.02;
        if (used as f64) < USABLE_SHARE_MIN * wanted as f64 || used < 2 {
            let wanted = bytes_of(first.format, wanted as u64 * per_frame as u64) + first.byte_offset as u64;
            return Err(EcgError::Cut {
                format: FORMAT,
                what: file.to_owned(),
                wanted,
                got: bytes.len() as u64,
            });
        }
        warnings.push(format!(
            "wfdb: {file} is cut: {used} of {wanted} samples are there; send it again"
        ));
    }
    let skew = specs.iter().map(|spec| spec.skew).max().unwrap_or(0);
    let used = used.min(frames_max.saturating_add(skew));
    record::check_size(FORMAT, per_frame as u64, used as u64)?;
    let source = match stream {
        Some(stream) => Source::Unpacked {
            channels: stream.channels,
            places: vec![0; specs.len()],
        },
        None => Source::Stored(Reader::new(first.format, data, specs)),
    };
    let (mut channels, sums) = take_frames(specs, source, used);
    for ((spec, values), sum) in specs.iter().zip(&mut channels).zip(sums) {
        let whole = used == wanted && frames.is_some();
        finish(spec, values, whole.then_some(sum), &mut warnings);
    }
    Ok(Decoded { channels, warnings })
}

/// Compares the checksum where the whole signal is there, and brings a skewed signal back in step.
fn finish(spec: &SignalSpec, values: &mut Vec<f32>, sum: Option<i64>, warnings: &mut Vec<String>) {
    let (name, file) = (&spec.description, &spec.file);
    if let (Some(sum), Some(stated)) = (sum, spec.checksum)
        && stated != sum as i16
    {
        warnings.push(format!(
            "wfdb: the checksum of {name} differs from the header; {file} may be damaged"
        ));
    }
    if spec.skew > 0 {
        // The signal was written late by `skew` frames.
        let (skew, length) = (spec.skew.min(values.len()), values.len());
        values.drain(..skew);
        values.resize(length, f32::NAN);
    }
    if spec.samples_per_frame > 1 {
        let n = spec.samples_per_frame;
        warnings.push(format!(
            "wfdb: {name} has {n} samples a frame, averaged to the frame rate"
        ));
    }
}

/// Channels (means over the samples of a frame in whole steps, NaN where there is none) and the sums of all samples for the checksums.
pub(super) fn take_frames(
    specs: &[SignalSpec],
    mut source: Source<'_>,
    frames: usize,
) -> (Vec<Vec<f32>>, Vec<i64>) {
    let format = specs.first().map_or(0, |spec| spec.format);
    let mut channels: Vec<Vec<f32>> = specs.iter().map(|_| Vec::with_capacity(frames)).collect();
    let mut sums = vec![0_i64; specs.len()];
    let invalid = invalid_value(format);
    for _ in 0..frames {
        for (index, spec) in specs.iter().enumerate() {
            let (mut sum, mut count) = (0.0_f64, 0_u32);
            for _ in 0..spec.samples_per_frame {
                let value = source.next(index);
                sums[index] = sums[index].wrapping_add(i64::from(value));
                if Some(value) != invalid {
                    sum += f64::from(value);
                    count += 1;
                }
            }
            channels[index].push(if count == 0 {
                f32::NAN
            } else {
                (sum / f64::from(count)).round() as f32
            });
        }
    }
    (channels, sums)
}

/// Where samples come from: stored one after the other, or unpacked channel by channel.
pub(super) enum Source<'a> {
    Stored(Reader<'a>),
    Unpacked {
        channels: Vec<Vec<i32>>,
        places: Vec<usize>,
    },
}

impl Source<'_> {
    fn next(&mut self, signal: usize) -> i32 {
        match self {
            Self::Stored(reader) => reader.next(signal),
            Self::Unpacked { channels, places } => {
                let place = places[signal];
                places[signal] += 1;
                channels[signal].get(place).copied().unwrap_or(0)
            }
        }
    }
}

/// Unpacks a FLAC file: a channel for each signal, all of one number of samples a frame.
fn unpack(specs: &[SignalSpec], data: &[u8], frames: usize, file: &str) -> Result<flac::Stream, EcgError> {
    let each = specs[0].samples_per_frame;
    if specs.iter().any(|spec| spec.samples_per_frame != each) {
        return Err(EcgError::Unsupported {
            format: FORMAT,
            what: format!("signals of several rates in the FLAC file {file}"),
        });
    }
    let most = frames.saturating_mul(each);
    let stream = flac::decode(data, specs.len(), most);
    stream
        .filter(|s| !s.channels[0].is_empty())
        .ok_or_else(|| EcgError::Cut {
            format: FORMAT,
            what: format!("{file} (a FLAC stream of {} channels)", specs.len()),
            wanted: data.len() as u64 + 1,
            got: data.len() as u64,
        })
}

/// Whole samples in so many bytes.
pub(super) fn samples_in(format: u16, bytes: usize) -> Result<u64, EcgError> {
    let bytes = bytes as u64;
    Ok(match format {
        8 | 80 => bytes,
        16 | 61 | 160 => bytes / 2,
        24 => bytes / 3,
        32 => bytes / 4,
        212 => bytes / 3 * 2 + u64::from(bytes % 3 == 2),
        310 => bytes / 4 * 3 + bytes % 4 / 2,
        311 => bytes / 4 * 3 + bytes % 4 / 2,
        _ => {
            return Err(EcgError::Unsupported {
                format: FORMAT,
                what: format!("signal format {format}"),
            });
        }
    })
}

/// Bytes that so many samples take.
pub(super) fn bytes_of(format: u16, samples: u64) -> u64 {
    match format {
        8 | 80 => samples,
        24 => samples * 3,
        32 => samples * 4,
        212 => samples.div_ceil(2) * 3,
        310 | 311 => samples.div_ceil(3) * 4,
        _ => samples * 2,
    }
}

/// The value that stands for "no sample" (signal(5)).
fn invalid_value(format: u16) -> Option<i32> {
    match format {
        16 | 61 | 160 | 516 => Some(-32_768),
        24 | 524 => Some(-8_388_608),
        32 => Some(i32::MIN),
        80 | 508 => Some(-128),
        212 => Some(-2_048),
        310 | 311 => Some(-512),
        _ => None,
    }
}

/// Takes samples one after the other; formats 310 and 311 pack three into four bytes, 212 two into three.
pub(super) struct Reader<'a> {
    format: u16,
    data: &'a [u8],
    place: usize,
    /// Running sums of the difference format 8, one for each signal.
    running: Vec<i32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(format: u16, data: &'a [u8], specs: &[SignalSpec]) -> Self {
        Self {
            format,
            data,
            place: 0,
            running: specs.iter().map(|s| s.initial_value).collect(),
        }
    }

    fn byte(&self, at: usize) -> i32 {
        self.data.get(at).copied().map_or(0, i32::from)
    }

    fn word(&self, at: usize) -> i32 {
        self.byte(at) | self.byte(at + 1) << 8
    }

    fn next(&mut self, signal: usize) -> i32 {
        let n = self.place;
        self.place += 1;
        match self.format {
            8 => {
                // First differences; the header's initial value comes before the first of them.
                let step = self.byte(n) as u8 as i8;
                let sum = self
                    .running
                    .get(signal)
                    .copied()
                    .unwrap_or(0)
                    .wrapping_add(i32::from(step));
                if let Some(slot) = self.running.get_mut(signal) {
                    *slot = sum;
                }
                sum
            }
            16 => i32::from(self.word(2 * n) as u16 as i16),
            61 => i32::from((self.byte(2 * n) << 8 | self.byte(2 * n + 1)) as u16 as i16),
            160 => self.word(2 * n) - 32_768,
            24 => (self.word(3 * n) | self.byte(3 * n + 2) << 16) << 8 >> 8,
            32 => self.word(4 * n) | self.word(4 * n + 2) << 16,
            80 => self.byte(n) - 128,
            212 => {
                let base = n / 2 * 3;
                let shared = self.byte(base + 1);
                let raw = if n.is_multiple_of(2) {
                    self.byte(base) | (shared & 0x0f) << 8
                } else {
                    self.byte(base + 2) | (shared & 0xf0) << 4
                };
                raw << 20 >> 20
            }
            310 => {
                let base = n / 3 * 4;
                let (low, high) = (self.word(base), self.word(base + 2));
                let raw = match n % 3 {
                    0 => low >> 1,
                    1 => high >> 1,
                    _ => (low >> 11 & 0x1f) | (high >> 11 & 0x1f) << 5,
                };
                raw << 22 >> 22
            }
            _ => {
                let base = n / 3 * 4;
                let quad = self.word(base) | self.word(base + 2) << 16;
                quad >> (10 * (n % 3)) << 22 >> 22
            }
        }
    }
}
