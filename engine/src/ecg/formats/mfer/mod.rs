//! MFER (ISO 22077-1, ISO/TS 11073-92001): tag, length, value; definitions hold for all channels or for one.

mod settings;

use self::settings::{Order, Scope, Settings};
use super::raw::{clean, day, text, time_of_day};
use crate::ecg::error::EcgError;
use crate::ecg::record::{self, Annotation, Lead, Record};
use encoding_rs::Encoding;

pub(super) const FORMAT: &str = "mfer";
/// Most tags read.
const TAGS_MAX: usize = 100_000;
/// Most remarks kept.
const ANNOTATIONS_MAX: usize = 1_000;

/// Whether the bytes start like MFER: the preamble `MFR`, or a byte order followed by definitions of the standard.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    const PREAMBLE: u8 = 0x40;
    let preamble = bytes.first() == Some(&PREAMBLE) && bytes.get(2..5) == Some(b"MFR");
    let plain = matches!(bytes, [1, 1, 0 | 1, 2, 3, ..] | [1, 1, 0 | 1, 3..=0x0d, ..]);
    preamble || plain
}

/// One tag with its value.
struct Item<'a> {
    tag: u8,
    /// Channel of a channel attribute, from 0.
    channel: Option<usize>,
    value: &'a [u8],
}

/// Takes the next item from `data`. `Ok(None)` at the end.
fn next<'a>(data: &mut &'a [u8], whole: usize) -> Result<Option<Item<'a>>, EcgError> {
    const CHANNEL_ATTRIBUTE: u8 = 0x3f;
    const INDEFINITE: u8 = 0x80;
    let Some((tag, rest)) = data.split_first() else {
        return Ok(None);
    };
    let cut = |wanted: u64| EcgError::Cut {
        format: FORMAT,
        what: format!("the value of tag {tag:02X}"),
        wanted,
        got: whole as u64,
    };
    let mut at = rest;
    let mut byte = || -> Option<u8> {
        let (first, tail) = at.split_first()?;
        at = tail;
        Some(*first)
    };
    let mut channel = None;
    if *tag == CHANNEL_ATTRIBUTE {
        // Seven bits a byte, the highest says that more follow.
        let mut number = 0_usize;
        for _ in 0..3 {
            let part = byte().ok_or_else(|| cut(whole as u64 + 1))?;
            number = number << 7 | usize::from(part & 0x7f);
            if part & 0x80 == 0 {
                break;
            }
        }
        channel = Some(number);
    }
    let first = byte().ok_or_else(|| cut(whole as u64 + 1))?;
    let length = match first {
        0..INDEFINITE => usize::from(first),
        // Until two zero bytes; only groups of definitions use it, and what is inside is read like the rest.
        INDEFINITE => 0,
        _ => {
            let mut length = 0_usize;
            for _ in INDEFINITE..first {
                let part = byte().ok_or_else(|| cut(whole as u64 + 1))?;
                if length > usize::MAX >> 9 {
                    return Err(EcgError::field(
                        FORMAT,
                        format!("length of tag {tag:02X}"),
                        "too long",
                        "at most 4 bytes",
                    ));
                }
                length = length << 8 | usize::from(part);
            }
            length
        }
    };
    let Some(value) = at.get(..length) else {
        return Err(cut((whole - at.len()) as u64 + length as u64));
    };
    *data = &at[length..];
    Ok(Some(Item {
        tag: *tag,
        channel,
        value,
    }))
}

/// Reads a file.
///
/// # Errors
/// [`EcgError::Cut`], [`EcgError::Field`], [`EcgError::TooLarge`] and [`EcgError::Unsupported`] for a file that cannot be
/// followed, [`EcgError::NoSignal`] without a voltage channel.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let mut settings = Settings::default();
    let mut about = About::default();
    let mut waves = Waves::default();
    let mut rest = bytes;
    for _ in 0..TAGS_MAX {
        let Some(item) = next(&mut rest, bytes.len())? else {
            break;
        };
        match (item.tag, item.channel) {
            (0x3f, Some(channel)) => {
                let mut inner = item.value;
                while let Some(part) = next(&mut inner, item.value.len())? {
                    settings.apply(part.tag, part.value, Scope::One(channel))?;
                }
            }
            (0x1e, _) => waves.take(&settings, item.value)?,
            // End of the file.
            (0x80, _) => break,
            (tag, _) => {
                if !settings.apply(tag, item.value, Scope::All)? {
                    about.apply(tag, item.value, settings.order);
                }
            }
        }
    }
    let (leads, rate_hz) = waves.leads()?;
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    made.warnings = waves.warnings;
    about.describe(&mut made);
    Ok(made)
}

/// Channels put together from the waveform tags.
#[derive(Default)]
struct Waves {
    channels: Vec<(Lead, f64)>,
    /// Waveform tags taken so far.
    taken: usize,
    warnings: Vec<String>,
}

impl Waves {
    /// Decodes one waveform tag: sequences of blocks, channel after channel in each.
    fn take(&mut self, settings: &Settings, data: &[u8]) -> Result<(), EcgError> {
        let channels = settings.channels()?;
        let frame_bytes: usize = channels
            .iter()
            .map(|c| c.block.saturating_mul(c.kind.bytes()))
            .fold(0, usize::saturating_add);
        if frame_bytes == 0 {
            return Err(EcgError::NoSignal { format: FORMAT });
        }
        let there = data.len() / frame_bytes;
        let wanted = settings.sequences.unwrap_or(there);
        let frames = wanted.min(there);
        if frames == 0 {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the waveform".into(),
                wanted: (frame_bytes as u64).saturating_mul(wanted.max(1) as u64),
                got: data.len() as u64,
            });
        }
        if there < wanted {
            self.warnings.push(format!(
                "mfer: the waveform is cut: {there} of {wanted} blocks are there; send it again"
            ));
        } else if data.len() > wanted * frame_bytes {
            self.warnings
                .push("mfer: there is more waveform than the definitions say; the rest was ignored".into());
        }
        let mut before = 0;
        for channel in &channels {
            let Some(step_uv) = channel.step_uv else {
                // Told once: a file of a hundred thousand small waveform tags must not make as many sentences.
                if self.taken == 0 {
                    self.warnings.push(format!(
                        "mfer: channel {} is not a voltage and was left out",
                        channel.name
                    ));
                }
                before += channel.block * channel.kind.bytes();
                continue;
            };
            let place = self.place(channel, step_uv)?;
            let samples = &mut self.channels[place].0.samples_uv;
            record::check_size(
                FORMAT,
                channels.len() as u64,
                (samples.len() + channel.block * frames) as u64,
            )?;
            for frame in 0..frames {
                let start = frame * frame_bytes + before;
                let part = data.get(start..start + channel.block * channel.kind.bytes());
                for item in part.unwrap_or_default().chunks_exact(channel.kind.bytes()) {
                    let value = channel.kind.value(item, settings.order);
                    let gap = channel.null.is_some_and(|null| (null - value).abs() < 0.5);
                    samples.push(if gap {
                        f32::NAN
                    } else {
                        ((value - channel.offset) * step_uv) as f32
                    });
                }
            }
            before += channel.block * channel.kind.bytes();
        }
        self.taken += 1;
        Ok(())
    }

    /// Where the samples of a channel go: behind those that it has, or to a new one.
    fn place(&mut self, channel: &settings::Channel, step_uv: f64) -> Result<usize, EcgError> {
        record::check_sampling_rate(FORMAT, channel.rate_hz)?;
        let same = |(lead, rate_hz): &(Lead, f64)| {
            lead.name == channel.name && (rate_hz - channel.rate_hz).abs() < 1e-9
        };
        if let Some(place) = self.channels.iter().position(same) {
            return Ok(place);
        }
        record::check_size(FORMAT, self.channels.len() as u64 + 1, 1)?;
        self.channels.push((
            Lead {
                name: channel.name.clone(),
                samples_uv: Vec::new(),
                resolution_uv: step_uv.abs(),
                derived: false,
            },
            channel.rate_hz,
        ));
        Ok(self.channels.len() - 1)
    }

    /// The channels of one rate: that of the first lead.
    fn leads(&mut self) -> Result<(Vec<Lead>, f64), EcgError> {
        let rate_hz = self
            .channels
            .first()
            .ok_or(EcgError::NoSignal { format: FORMAT })?
            .1;
        let mut leads = Vec::new();
        for (lead, other_hz) in self.channels.drain(..) {
            if (other_hz - rate_hz).abs() < 1e-9 {
                leads.push(lead);
            } else {
                let name = &lead.name;
                self.warnings.push(format!(
                    "mfer: channel {name} has another sampling rate and was left out"
                ));
            }
        }
        let longest = leads.iter().map(|lead| lead.samples_uv.len()).max().unwrap_or(0);
        record::check_size(FORMAT, leads.len() as u64, longest as u64)?;
        leads
            .iter_mut()
            .for_each(|lead| lead.samples_uv.resize(longest, f32::NAN));
        Ok((leads, rate_hz))
    }
}

/// Patient, time, maker and remarks.
#[derive(Default)]
struct About {
    characters: Option<&'static Encoding>,
    record: Described,
}

#[derive(Default)]
struct Described {
    patient: record::Patient,
    recorder: record::Recorder,
    acquired_at: Option<String>,
    annotations: Vec<Annotation>,
}

impl About {
    fn text(&self, value: &[u8]) -> Option<String> {
        let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
        match self.characters {
            Some(encoding) => clean(&encoding.decode_without_bom_handling(&value[..end]).0),
            None => text(value),
        }
    }

    fn apply(&mut self, tag: u8, value: &[u8], order: Order) {
        let word = |at: usize| order.u16(value, at).map(i32::from);
        let byte = |at: usize| value.get(at).copied().map(i32::from);
        match tag {
            0x03 => self.characters = Encoding::for_label(value.trim_ascii()),
            0x16 => {
                if let Some(text) = self.text(value)
                    && self.record.annotations.len() < ANNOTATIONS_MAX
                {
                    self.record.annotations.push(Annotation { sample: None, text });
                }
            }
            0x17 => self.maker(value),
            0x81 => self.record.patient.name = self.text(value),
            0x82 => self.record.patient.identifier = self.text(value),
            0x83 => {
                // Years, days, then the day of birth.
                let age = byte(0).filter(|years| (1..150).contains(years));
                self.record.patient.age_years = age.map(f64::from);
                let born = (word(3), byte(5), byte(6));
                if let (Some(year), Some(month), Some(of_month)) = born {
                    self.record.patient.birth_date = day(year, month, of_month);
                }
            }
            0x84 => {
                self.record.patient.sex = match value.first() {
                    Some(1) => Some("M".into()),
                    Some(2) => Some("F".into()),
                    _ => None,
                };
            }
            0x85 => {
                let date = || day(word(0)?, byte(2)?, byte(3)?);
                let time = || time_of_day(byte(4)?, byte(5)?, byte(6)?);
                self.record.acquired_at = date().map(|date| date + &time().unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Maker, model, version and serial number, between carets.
    fn maker(&mut self, value: &[u8]) {
        let Some(text) = self.text(value) else { return };
        let mut parts = text.split('^').map(clean);
        let recorder = &mut self.record.recorder;
        recorder.manufacturer = parts.next().flatten();
        recorder.model = parts.next().flatten();
        recorder.software = parts.next().flatten();
        recorder.serial_number = parts.next().flatten();
    }

    fn describe(self, made: &mut Record) {
        let Described {
            patient,
            recorder,
            acquired_at,
            annotations,
        } = self.record;
        made.patient = patient;
        made.recorder = recorder;
        made.acquired_at = acquired_at;
        made.annotations = annotations;
    }
}

#[cfg(test)]
mod tests;
