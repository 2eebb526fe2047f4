//! Channel definitions: lead names from source codes, units, and samples to microvolts.

use super::FORMAT;
use crate::dicom::Attributes;
use crate::ecg::error::EcgError;
use crate::ecg::formats::lead_codes::name_of_code;
use crate::ecg::record::LeadName;

/// Latest start of a channel behind the others. More cannot be, and the other channels wait in memory for it.
const SKEW_SAMPLES_MAX: f64 = 1e6;
const SKEW_S_MAX: f64 = 60.0;

/// How the samples of a group are stored.
pub(super) struct Encoding {
    pub(super) bytes: usize,
    pub(super) signed: bool,
    padding: Option<i64>,
}

impl Encoding {
    pub(super) fn of(group: &Attributes<'_, '_>) -> Result<Self, EcgError> {
        let bits = group.us(0x5400_1004).unwrap_or(16);
        let interpretation = group.text(0x5400_1006).unwrap_or_else(|| "SS".to_owned());
        let (bytes, signed) = match (bits, interpretation.as_str()) {
            (8, "SB") => (1, true),
            (8, "UB") => (1, false),
            (16, "SS") => (2, true),
            (16, "US") => (2, false),
            (32, "SL") => (4, true),
            (32, "UL") => (4, false),
            _ => {
                let what = format!("waveform samples of {bits} bits as {interpretation:.8}");
                return Err(EcgError::Unsupported { format: FORMAT, what });
            }
        };
        let mut encoding = Self {
            bytes,
            signed,
            padding: None,
        };
        encoding.padding = group
            .bytes(0x5400_100A)
            .and_then(|value| encoding.value(&value, 0));
        Ok(encoding)
    }

    /// Where the padding value stands for "no signal".
    fn gaps(&self, samples: usize, rate_hz: f64, stored: impl Fn(usize) -> Option<i64>) -> Gaps {
        let Some(padding) = self.padding else {
            return Gaps::default();
        };
        let shortest = self.shortest_gap(rate_hz);
        let (mut runs, mut start) = (Vec::new(), None);
        for frame in 0..=samples {
            let padded = frame < samples && stored(frame) == Some(padding);
            match (padded, start) {
                (true, None) => start = Some(frame),
                (false, Some(from)) => {
                    if frame - from >= shortest {
                        runs.push(from..frame);
                    }
                    start = None;
                }
                _ => {}
            }
        }
        Gaps { runs }
    }

    /// Samples of the padding value that make a gap.
    pub(super) fn shortest_gap(&self, rate_hz: f64) -> usize {
        /// Some carts write a padding value of 0, which every trace crosses: a value within the range counts only where
        /// it stays for so long.
        const RUN_S_MIN: f64 = 0.2;
        let bits = self.bytes as u32 * 8 - u32::from(self.signed);
        let highest = (1_i64 << bits) - 1;
        let lowest = if self.signed { -highest - 1 } else { 0 };
        let extreme = self
            .padding
            .is_some_and(|padding| padding == highest || (self.signed && padding == lowest));
        if extreme {
            1
        } else {
            (RUN_S_MIN * rate_hz).ceil().max(2.0) as usize
        }
    }

    /// The value that stands for "no signal", where there is one.
    pub(super) fn padding(&self) -> Option<i64> {
        self.padding
    }

    pub(super) fn is_padding(&self, value: i64) -> bool {
        self.padding == Some(value)
    }

    /// The sample at byte `at`.
    pub(super) fn value(&self, data: &[u8], at: usize) -> Option<i64> {
        let item = data.get(at..at + self.bytes)?;
        Some(match (item, self.signed) {
            ([a], true) => i64::from(*a as i8),
            ([a], false) => i64::from(*a),
            ([a, b], true) => i64::from(i16::from_le_bytes([*a, *b])),
            ([a, b], false) => i64::from(u16::from_le_bytes([*a, *b])),
            ([a, b, c, d], true) => i64::from(i32::from_le_bytes([*a, *b, *c, *d])),
            ([a, b, c, d], false) => i64::from(u32::from_le_bytes([*a, *b, *c, *d])),
            _ => return None,
        })
    }
}

/// Runs of samples without signal, in order.
#[derive(Default)]
struct Gaps {
    runs: Vec<std::ops::Range<usize>>,
}

impl Gaps {
    fn contains(&self, frame: usize) -> bool {
        let next = self.runs.partition_point(|run| run.end <= frame);
        self.runs.get(next).is_some_and(|run| run.contains(&frame))
    }
}

/// One channel.
pub(super) struct Channel {
    pub(super) name: LeadName,
    pub(super) sensitivity: f64,
    pub(super) correction: f64,
    baseline: f64,
    /// Microvolts in one unit; `None` where the unit is no voltage.
    pub(super) unit_uv: Option<f64>,
    skew_samples: f64,
    skew_s: f64,
    /// Significant bits of a sample, where fewer than are stored.
    bits_stored: Option<u32>,
}

impl Channel {
    pub(super) fn of(
        definition: Option<&Attributes<'_, '_>>,
        index: usize,
        warnings: &mut Vec<String>,
    ) -> Self {
        let number = |tag: u32| definition.and_then(|d| d.ds(tag));
        let name = definition
            .and_then(lead_name)
            .unwrap_or_else(|| LeadName::new(&format!("channel {}", index + 1)));
        let units = definition
            .and_then(|d| d.item(0x003A_0211, 0))
            .and_then(|unit| unit.text(0x0008_0100));
        let unit_uv = match units.as_deref() {
            Some("uV") => Some(1.0),
            Some("mV") => Some(1e3),
            Some("nV") => Some(1e-3),
            Some("V") => Some(1e6),
            Some(_) => None,
            None => {
                warnings.push(format!(
                    "dicom: channel {name} names no unit; microvolts were taken"
                ));
                Some(1.0)
            }
        };
        let (skew_samples, skew_s) = (
            number(0x003A_0215).unwrap_or(0.0),
            number(0x003A_0214).unwrap_or(0.0),
        );
        let late = skew_samples.abs() > SKEW_SAMPLES_MAX || skew_s.abs() > SKEW_S_MAX;
        if late {
            warnings.push(format!(
                "dicom: channel {name} says that it starts {skew_s} s and {skew_samples} samples after the others, \
                 which cannot be; it was taken as starting with them"
            ));
        }
        Self {
            name,
            sensitivity: number(0x003A_0210).filter(|v| *v != 0.0).unwrap_or(1.0),
            correction: number(0x003A_0212).filter(|v| *v != 0.0).unwrap_or(1.0),
            baseline: number(0x003A_0213).unwrap_or(0.0),
            unit_uv,
            skew_samples: if late { 0.0 } else { skew_samples },
            skew_s: if late { 0.0 } else { skew_s },
            bits_stored: definition.and_then(|d| d.us(0x003A_021A)).map(u32::from),
        }
    }

    /// Samples of channel `index` out of `stride` interleaved ones, in microvolts.
    pub(super) fn decode(
        &self,
        data: &[u8],
        encoding: &Encoding,
        index: usize,
        stride: usize,
        samples: usize,
        rate_hz: f64,
    ) -> Vec<f32> {
        let stored = |frame: usize| encoding.value(data, (frame * stride + index) * encoding.bytes);
        let gaps = encoding.gaps(samples, rate_hz, stored);
        let raw = |frame: usize| stored(frame).filter(|_| !gaps.contains(frame));
        let sign = self.missing_sign(encoding, (0..samples).filter_map(raw));
        let mut out = Vec::with_capacity(samples);
        for frame in 0..samples {
            out.push(raw(frame).map_or(f32::NAN, |value| self.microvolts(value, sign)));
        }
        // A channel that starts later has its first sample so much after the reference.
        let shift = self.shift(rate_hz);
        let places = usize::try_from(shift.unsigned_abs())
            .unwrap_or(usize::MAX)
            .min(samples);
        if shift >= 1 {
            out.splice(0..0, std::iter::repeat_n(f32::NAN, places));
            out.truncate(samples);
        } else if shift <= -1 {
            out.drain(..places);
            out.resize(samples, f32::NAN);
        }
        out
    }
}

impl Channel {
    /// A stored value in microvolts; `sign` is the bit of a sign that was not extended.
    pub(super) fn microvolts(&self, value: i64, sign: Option<i64>) -> f32 {
        let unit = self.unit_uv.unwrap_or(1.0);
        let (step, base) = (self.sensitivity * self.correction * unit, self.baseline * unit);
        let value = match sign {
            Some(bit) if value & bit != 0 => value - 2 * bit,
            _ => value,
        };
        (value as f64 * step + base) as f32
    }

    /// Samples by which the channel starts later than the reference.
    pub(super) fn shift(&self, rate_hz: f64) -> i64 {
        (self.skew_samples + self.skew_s * rate_hz).round() as i64
    }

    /// The sign bit of samples that hold fewer bits than are stored.
    pub(super) fn doubtful_sign(&self, encoding: &Encoding) -> Option<i64> {
        let whole = encoding.bytes as u32 * 8;
        let bits = self
            .bits_stored
            .filter(|bits| encoding.signed && (2..whole).contains(bits))?;
        Some(1_i64 << (bits - 1))
    }

    /// The sign bit of samples that hold fewer bits than are stored and were not extended: 12 bits in 16 with zeros
    /// above, where -1 reads 4095. None of them is negative then, and some use the sign bit.
    fn missing_sign(&self, encoding: &Encoding, values: impl Iterator<Item = i64>) -> Option<i64> {
        let sign = self.doubtful_sign(encoding)?;
        let mut used = false;
        for value in values {
            if !(0..2 * sign).contains(&value) {
                return None;
            }
            used |= value & sign != 0;
        }
        used.then_some(sign)
    }
}

/// Name from the source code (CID 3001: MDC `2:1`, SCPECG `5.6.3-9-1`), else from its meaning, else from the label.
fn lead_name(definition: &Attributes<'_, '_>) -> Option<LeadName> {
    let source = definition.item(0x003A_0208, 0);
    if let Some(source) = &source {
        let code = source.text(0x0008_0100).unwrap_or_default();
        let scheme = source.text(0x0008_0102).unwrap_or_default();
        let known = match scheme.as_str() {
            "MDC" => code.strip_prefix("2:"),
            "SCPECG" => code.strip_prefix("5.6.3-9-"),
            _ => None,
        };
        if let Some(name) = known.and_then(|n| n.parse().ok()).and_then(name_of_code) {
            return Some(LeadName::new(name));
        }
        if let Some(name) = code.strip_prefix("MDC_ECG_LEAD_") {
            return Some(LeadName::new(name));
        }
    }
    let text = source
        .and_then(|s| s.text(0x0008_0104))
        .or_else(|| definition.text(0x003A_0203))?;
    let name = LeadName::new(&text);
    (!name.as_str().is_empty()).then_some(name)
}
