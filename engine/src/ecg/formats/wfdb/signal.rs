//! Signal files: the storage formats of signal(5), frames to channels.

use super::FORMAT;
use super::header::SignalSpec;
use crate::ecg::error::EcgError;
use crate::ecg::record;

/// Channels of one signal file.
pub(super) struct Decoded {
    pub(super) channels: Vec<Vec<f32>>,
    pub(super) warnings: Vec<String>,
}

/// Decodes all signals that share one file. Without `frames` the file's length decides.
pub(super) fn decode_group(
    specs: &[SignalSpec],
    bytes: &[u8],
    frames: Option<u64>,
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
    let there = (samples_in(first.format, data.len())? / per_frame as u64) as usize;
    let wanted = frames.and_then(|n| usize::try_from(n).ok()).unwrap_or(there);
    let used = wanted.min(there);
    let mut warnings = Vec::new();
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
    record::check_size(FORMAT, per_frame as u64, used as u64)?;
    let (mut channels, sums) = take_frames(specs, data, used);
    for ((spec, values), sum) in specs.iter().zip(&mut channels).zip(sums) {
        if used == wanted && frames.is_some() && spec.checksum.is_some_and(|stated| stated != sum as i16) {
            let name = &spec.description;
            warnings.push(format!(
                "wfdb: the checksum of {name} differs from the header; {file} may be damaged"
            ));
        }
        if spec.skew > 0 {
            // The signal was written late by `skew` frames: bring it back in step.
            let skew = spec.skew.min(values.len());
            values.drain(..skew);
            values.resize(used, f32::NAN);
        }
        if spec.samples_per_frame > 1 {
            let (name, n) = (&spec.description, spec.samples_per_frame);
            warnings.push(format!(
                "wfdb: {name} has {n} samples a frame, averaged to the frame rate"
            ));
        }
    }
    Ok(Decoded { channels, warnings })
}

/// Channels (means over the samples of a frame, NaN where there is none) and the sums of all samples for the checksums.
fn take_frames(specs: &[SignalSpec], data: &[u8], frames: usize) -> (Vec<Vec<f32>>, Vec<i64>) {
    let format = specs.first().map_or(0, |spec| spec.format);
    let mut reader = Reader::new(format, data, specs);
    let mut channels: Vec<Vec<f32>> = specs.iter().map(|_| Vec::with_capacity(frames)).collect();
    let mut sums = vec![0_i64; specs.len()];
    let invalid = invalid_value(format);
    for _ in 0..frames {
        for (index, spec) in specs.iter().enumerate() {
            let (mut sum, mut count) = (0.0_f64, 0_u32);
            for _ in 0..spec.samples_per_frame {
                let value = reader.next(index);
                sums[index] = sums[index].wrapping_add(i64::from(value));
                if Some(value) != invalid {
                    sum += f64::from(value);
                    count += 1;
                }
            }
            channels[index].push(if count == 0 {
                f32::NAN
            } else {
                (sum / f64::from(count)) as f32
            });
        }
    }
    (channels, sums)
}

/// Whole samples in so many bytes.
fn samples_in(format: u16, bytes: usize) -> Result<u64, EcgError> {
    let bytes = bytes as u64;
    Ok(match format {
        8 | 80 => bytes,
        16 | 61 | 160 => bytes / 2,
        24 => bytes / 3,
        32 => bytes / 4,
        212 => bytes / 3 * 2 + u64::from(bytes % 3 == 2),
        310 => bytes / 4 * 3 + bytes % 4 / 2,
        311 => bytes / 4 * 3 + bytes % 4 / 2,
        508 | 516 | 524 => return Err(unsupported(format, " (FLAC)")),
        _ => return Err(unsupported(format, "")),
    })
}

fn unsupported(format: u16, note: &str) -> EcgError {
    EcgError::Unsupported {
        format: FORMAT,
        what: format!("signal format {format}{note}"),
    }
}

/// Bytes that so many samples take.
fn bytes_of(format: u16, samples: u64) -> u64 {
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
        16 | 61 | 160 => Some(-32_768),
        24 => Some(-8_388_608),
        32 => Some(i32::MIN),
        80 => Some(-128),
        212 => Some(-2_048),
        310 | 311 => Some(-512),
        _ => None,
    }
}

/// Takes samples one after the other; formats 310 and 311 pack three into four bytes, 212 two into three.
struct Reader<'a> {
    format: u16,
    data: &'a [u8],
    place: usize,
    /// Running sums of the difference format 8, one for each signal.
    running: Vec<i32>,
}

impl<'a> Reader<'a> {
    fn new(format: u16, data: &'a [u8], specs: &[SignalSpec]) -> Self {
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
