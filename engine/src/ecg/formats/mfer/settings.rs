//! Definitions of MFER and what they mean for each channel.

use super::FORMAT;
use crate::ecg::error::EcgError;
use crate::ecg::formats::lead_codes::name_of_code;
use crate::ecg::record::{self, LeadName};

/// Byte order of all numbers; the standard starts with big endian.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Order {
    #[default]
    Big,
    Little,
}

impl Order {
    /// A number of up to eight bytes.
    fn unsigned(self, bytes: &[u8]) -> u64 {
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::Big => bytes.iter().take(8).fold(0, fold),
            Self::Little => bytes.iter().take(8).rev().fold(0, fold),
        }
    }

    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let part = bytes.get(at..)?.first_chunk::<2>()?;
        Some(self.unsigned(part) as u16)
    }
}

/// How a sample is stored (tag 0A).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Kind {
    #[default]
    I16,
    U16,
    I32,
    U8,
    I8,
    U32,
    F32,
    F64,
}

impl Kind {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    pub(super) fn value(self, bytes: &[u8], order: Order) -> f64 {
        let raw = order.unsigned(bytes);
        match self {
            Self::I16 => f64::from(raw as u16 as i16),
            Self::U16 => f64::from(raw as u16),
            Self::I32 => f64::from(raw as u32 as i32),
            Self::U32 => f64::from(raw as u32),
            Self::U8 => f64::from(raw as u8),
            Self::I8 => f64::from(raw as u8 as i8),
            Self::F32 => f64::from(f32::from_bits(raw as u32)),
            Self::F64 => f64::from_bits(raw),
        }
    }
}

/// Which channels a definition is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    All,
    One(usize),
}

/// Definitions of one scope; what is missing is inherited.
#[derive(Debug, Clone, Default)]
struct Definition {
    rate_hz: Option<f64>,
    /// Microvolts of one step; the inner `None` is another unit.
    step_uv: Option<Option<f64>>,
    block: Option<usize>,
    kind: Option<Kind>,
    offset: Option<f64>,
    null: Option<f64>,
    name: Option<LeadName>,
}

/// One channel with everything inherited.
pub(super) struct Channel {
    pub(super) name: LeadName,
    pub(super) rate_hz: f64,
    pub(super) step_uv: Option<f64>,
    /// Samples in a block.
    pub(super) block: usize,
    pub(super) kind: Kind,
    pub(super) offset: f64,
    pub(super) null: Option<f64>,
}

/// All definitions so far.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) order: Order,
    /// Blocks of each channel.
    pub(super) sequences: Option<usize>,
    count: Option<usize>,
    all: Definition,
    each: Vec<Definition>,
}

impl Settings {
    /// Takes a definition; `false` where the tag is none.
    pub(super) fn apply(&mut self, tag: u8, value: &[u8], scope: Scope) -> Result<bool, EcgError> {
        let number = self.order.unsigned(value);
        match tag {
            0x01 => {
                self.order = if value.first() == Some(&1) {
                    Order::Little
                } else {
                    Order::Big
                };
            }
            0x05 => {
                self.count = Some(limited("number of channels", number, record::LEADS_MAX as u64)?);
                self.each.clear();
            }
            0x06 => self.sequences = Some(limited("number of sequences", number, record::SAMPLES_MAX)?),
            0x0e if self.order.u16(value, 0).unwrap_or(0) != 0 => {
                return Err(EcgError::Unsupported {
                    format: FORMAT,
                    what: "a compressed waveform".into(),
                });
            }
            _ => return self.define(tag, value, scope),
        }
        Ok(true)
    }

    fn define(&mut self, tag: u8, value: &[u8], scope: Scope) -> Result<bool, EcgError> {
        let order = self.order;
        let kind = self.kind_of(scope);
        let target = match scope {
            Scope::All => &mut self.all,
            Scope::One(channel) => {
                limited("channel number", channel as u64 + 1, record::LEADS_MAX as u64)?;
                if self.each.len() <= channel {
                    self.each.resize(channel + 1, Definition::default());
                }
                &mut self.each[channel]
            }
        };
        match tag {
            0x04 => {
                let number = order.unsigned(value);
                target.block = Some(limited("block length", number, record::SAMPLES_MAX)?);
            }
            0x09 => {
                let code = order.u16(value, 0).unwrap_or(0);
                let said = value.get(2..).and_then(super::text);
                let name = said
                    .as_deref()
                    .map(LeadName::new)
                    .or_else(|| name_of_code(code).map(LeadName::new));
                target.name = name;
            }
            0x0a => target.kind = Some(kind_of(value)?),
            0x0b => target.rate_hz = Some(rate_of(value, order)?),
            0x0c => target.step_uv = Some(step_of(value, order)?),
            0x0d => target.offset = Some(kind.value(value, order)),
            0x12 => target.null = Some(kind.value(value, order)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn kind_of(&self, scope: Scope) -> Kind {
        let own = match scope {
            Scope::All => None,
            Scope::One(channel) => self.each.get(channel).and_then(|d| d.kind),
        };
        own.or(self.all.kind).unwrap_or_default()
    }

    /// Every channel with what it inherits.
    ///
    /// # Errors
    /// [`EcgError::Field`] where rate or resolution were never defined.
    pub(super) fn channels(&self) -> Result<Vec<Channel>, EcgError> {
        let none = Definition::default();
        let count = self.count.unwrap_or(1);
        let missing = |field: &str, tag| EcgError::field(FORMAT, field, "missing", tag);
        (0..count)
            .map(|index| {
                let own = self.each.get(index).unwrap_or(&none);
                let name = own.name.clone().or_else(|| self.all.name.clone());
                let rate_hz = own.rate_hz.or(self.all.rate_hz);
                let step_uv = own.step_uv.or(self.all.step_uv);
                Ok(Channel {
                    name: name.unwrap_or_else(|| LeadName::new(&format!("channel {}", index + 1))),
                    rate_hz: rate_hz
                        .ok_or_else(|| missing("sampling interval", "a definition with tag 0B"))?,
                    step_uv: step_uv.ok_or_else(|| missing("resolution", "a definition with tag 0C"))?,
                    block: own.block.or(self.all.block).unwrap_or(1),
                    kind: own.kind.or(self.all.kind).unwrap_or_default(),
                    offset: own.offset.or(self.all.offset).unwrap_or(0.0),
                    null: own.null.or(self.all.null),
                })
            })
            .collect()
    }
}

fn limited(what: &'static str, value: u64, limit: u64) -> Result<usize, EcgError> {
    if value == 0 || value > limit {
        return Err(EcgError::TooLarge {
            format: FORMAT,
            what,
            value,
            limit,
        });
    }
    Ok(value as usize)
}

fn kind_of(value: &[u8]) -> Result<Kind, EcgError> {
    Ok(match value.first() {
        Some(0) => Kind::I16,
        Some(1) => Kind::U16,
        Some(2) => Kind::I32,
        Some(3) => Kind::U8,
        Some(5) => Kind::I8,
        Some(6) => Kind::U32,
        Some(7) => Kind::F32,
        Some(8) => Kind::F64,
        other => {
            let what = format!("data type {}", other.map_or(-1, |kind| i32::from(*kind)));
            return Err(EcgError::Unsupported { format: FORMAT, what });
        }
    })
}

/// Unit, power of ten, number.
fn scaled(value: &[u8], order: Order) -> Option<(u8, f64)> {
    let [unit, exponent, rest @ ..] = value else {
        return None;
    };
    let number = order.unsigned(rest) as f64;
    Some((*unit, number * 10_f64.powi(i32::from(*exponent as i8))))
}

/// Tag 0B: unit 0 is hertz, 1 is seconds.
fn rate_of(value: &[u8], order: Order) -> Result<f64, EcgError> {
    let rate = match scaled(value, order) {
        Some((0, hertz)) => Some(hertz),
        Some((1, seconds)) if seconds > 0.0 => Some((1e6 / seconds).round() / 1e6),
        _ => None,
    };
    let rate = rate.ok_or_else(|| {
        EcgError::field(
            FORMAT,
            "sampling interval",
            format!("{value:02x?}"),
            "hertz or seconds",
        )
    })?;
    record::check_sampling_rate(FORMAT, rate)?;
    Ok(rate)
}

/// Tag 0C: unit 0 is volt.
fn step_of(value: &[u8], order: Order) -> Result<Option<f64>, EcgError> {
    match scaled(value, order) {
        Some((0, volt)) if volt > 0.0 && volt.is_finite() => {
            // Powers of ten are not exact in binary: what was meant has few digits.
            let microvolt = volt * 1e6;
            let rounded = (microvolt * 1e9).round() / 1e9;
            Ok(Some(if rounded > 0.0 { rounded } else { microvolt }))
        }
        Some((unit, _)) if unit != 0 => Ok(None),
        _ => Err(EcgError::field(
            FORMAT,
            "resolution",
            format!("{value:02x?}"),
            "a number above 0 in volt",
        )),
    }
}
