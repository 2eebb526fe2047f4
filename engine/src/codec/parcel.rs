//! A file made small for a slow line, and the identical file again.
//!
//! Samples that lie plainly in the file (native pixel data, waveforms) travel as JPEG-LS streams, one a channel, after
//! their smallest value is taken off; everything else travels deflated. The container is ours and lives only between
//! two nodes, so its layout (little endian) may change with [`MAGIC`]: magic, size of the file `u64`, number of regions
//! `u32`; for each region offset `u64`, rows `u16`, columns `u16`, channels `u16`, bytes of a sample `u8`, and for each
//! channel smallest value `u16`, precision `u8`, length of its stream `u32`; then the length `u64` of the deflated
//! rest, the rest, and the streams in order.

use super::frame::{FrameDescription, Photometric, PixelElement};
use super::frames::FrameBytes;
use super::stored::Samples;
use super::syntax::TransferSyntax;
use super::{decode, jpegls};
use crate::error::{ImagingError, Result};
use std::io::{Read as _, Write as _};

/// First bytes of a parcel.
pub const MAGIC: [u8; 4] = *b"GYP1";
/// Regions of one file.
const REGIONS_MAX: usize = 20_000;
/// Channels of one region.
const CHANNELS_MAX: u16 = 64;
/// A parcel that saves less is not worth the time: per cent of the file's size.
const WORTH_PERCENT_MAX: usize = 95;
/// Bytes by which is seen whether deflating saves anything.
const SAMPLE_BYTES: usize = 64 << 10;
const CODEC: &str = "parcel";

/// Samples that lie plainly in a file: `rows` x `columns` x `channels`, the channels of a place beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Where they begin.
    pub offset: usize,
    /// Lines; 1 for signals.
    pub rows: u16,
    /// Places of a line.
    pub columns: u16,
    /// Samples of a place.
    pub channels: u16,
    /// Bytes of a sample: 1, or 2 little endian.
    pub sample_bytes: u8,
    /// Whether they are signed.
    pub signed: bool,
}

impl Region {
    fn samples(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    fn length(&self) -> usize {
        self.samples() * usize::from(self.channels) * usize::from(self.sample_bytes)
    }

    fn is_sound(&self) -> bool {
        let filled = self.rows > 0 && self.columns > 0 && (1..=CHANNELS_MAX).contains(&self.channels);
        filled && matches!(self.sample_bytes, 1 | 2)
    }
}

/// One channel of a region as it travels.
struct Stream {
    smallest: u16,
    precision: u8,
    bytes: Vec<u8>,
}

/// Packs a file whose samples lie at `regions` (in order, apart). `None` when that saves too little, or when the
/// unpacked parcel would not be the file again: that is tried before this answers.
#[must_use]
pub fn pack(file: &[u8], regions: &[Region]) -> Option<Vec<u8>> {
    let parcel = pack_unproved(file, regions)?;
    let worth = parcel.len() <= file.len() / 100 * WORTH_PERCENT_MAX;
    let same = || unpack(&parcel, file.len() as u64).is_ok_and(|again| again == file);
    (worth && same()).then_some(parcel)
}

fn pack_unproved(file: &[u8], regions: &[Region]) -> Option<Vec<u8>> {
    if regions.len() > REGIONS_MAX || !regions.iter().all(Region::is_sound) {
        return None;
    }
    let mut rest = Vec::new();
    let (mut at, mut heads, mut streams) = (0usize, Vec::new(), Vec::new());
    for region in regions {
        let end = region.offset.checked_add(region.length())?;
        rest.extend_from_slice(file.get(at..region.offset)?);
        let plain = file.get(region.offset..end)?;
        at = end;
        heads.extend((region.offset as u64).to_le_bytes());
        for value in [region.rows, region.columns, region.channels] {
            heads.extend(value.to_le_bytes());
        }
        heads.push(region.sample_bytes);
        for channel in 0..region.channels {
            let stream = code(region, plain, channel)?;
            heads.extend(stream.smallest.to_le_bytes());
            heads.push(stream.precision);
            heads.extend(u32::try_from(stream.bytes.len()).ok()?.to_le_bytes());
            streams.extend(stream.bytes);
        }
    }
    rest.extend_from_slice(file.get(at..)?);
    if regions.is_empty() && !deflates(&rest) {
        return None;
    }
    let rest = deflate(&rest)?;
    let mut out = MAGIC.to_vec();
    out.extend((file.len() as u64).to_le_bytes());
    out.extend(u32::try_from(regions.len()).ok()?.to_le_bytes());
    out.extend(heads);
    out.extend((rest.len() as u64).to_le_bytes());
    out.extend(rest);
    out.extend(streams);
    Some(out)
}

/// Whether the middle of a file gets smaller.
fn deflates(bytes: &[u8]) -> bool {
    let start = (bytes.len() / 2).saturating_sub(SAMPLE_BYTES / 2);
    let end = (start + SAMPLE_BYTES).min(bytes.len());
    let sample = bytes.get(start..end).unwrap_or_default();
    deflate(sample).is_some_and(|small| small.len() <= sample.len() * WORTH_PERCENT_MAX / 100)
}

fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Samples of a channel as numbers that grow with their value.
fn channel_of<'a>(region: &Region, plain: &'a [u8], channel: u16) -> Box<dyn Iterator<Item = u16> + 'a> {
    let (skip, step) = (usize::from(channel), usize::from(region.channels));
    let signed = region.signed;
    if region.sample_bytes == 1 {
        let turn = if signed { 0x80 } else { 0 };
        return Box::new(
            plain
                .iter()
                .skip(skip)
                .step_by(step)
                .map(move |b| u16::from(b ^ turn)),
        );
    }
    let turn = if signed { 0x8000 } else { 0 };
    let words = plain.as_chunks::<2>().0.iter().skip(skip).step_by(step);
    Box::new(words.map(move |w| u16::from_le_bytes(*w) ^ turn))
}

fn code(region: &Region, plain: &[u8], channel: u16) -> Option<Stream> {
    let mut values: Vec<u16> = channel_of(region, plain, channel).collect();
    let (smallest, largest) = (*values.iter().min()?, *values.iter().max()?);
    values.iter_mut().for_each(|v| *v -= smallest);
    let precision = precision_of(largest - smallest);
    let frame = frame_of(region, precision);
    // What the reader adds again is the value in the file's own form.
    let turn = turn_of(region.signed, region.sample_bytes);
    Some(Stream {
        smallest: smallest ^ turn,
        precision,
        bytes: jpegls::encode(&frame, &Samples::U16(values)).ok()?,
    })
}

fn turn_of(signed: bool, sample_bytes: u8) -> u16 {
    match (signed, sample_bytes) {
        (false, _) => 0,
        (true, 1) => 0x80,
        (true, _) => 0x8000,
    }
}

fn precision_of(range: u16) -> u8 {
    let bits = u16::BITS - range.leading_zeros();
    u8::try_from(bits.max(2)).unwrap_or(16)
}

fn frame_of(region: &Region, precision: u8) -> FrameDescription {
    FrameDescription {
        rows: region.rows,
        columns: region.columns,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: u16::from(precision),
        high_bit: u16::from(precision) - 1,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        element: PixelElement::Integer,
    }
}

fn damaged(why: &str) -> ImagingError {
    ImagingError::damaged(CODEC, why)
}

/// Reads fixed-size numbers from the front.
struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| damaged("it is cut off"))?;
        self.0 = rest;
        Ok(head)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| damaged("it is cut off"))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.number()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    fn usize(&mut self) -> Result<usize> {
        usize::try_from(u64::from_le_bytes(self.number()?)).map_err(|_| damaged("a length is too large"))
    }
}

struct Packed {
    region: Region,
    channels: Vec<(u16, u8, usize)>,
}

/// The file that was packed.
///
/// # Errors
/// A parcel that is damaged, or whose file is larger than `size_max`.
pub fn unpack(parcel: &[u8], size_max: u64) -> Result<Vec<u8>> {
    let mut head = Head(parcel);
    if head.number::<4>()? != MAGIC {
        return Err(damaged("it does not begin as one"));
    }
    let size = head.usize()?;
    if size as u64 > size_max {
        return Err(ImagingError::TooLarge {
            needed_bytes: size as u64,
            limit_bytes: size_max,
        });
    }
    let count = head.u32()? as usize;
    if count > REGIONS_MAX {
        return Err(damaged("it has too many regions"));
    }
    let mut packed = Vec::new();
    let mut covered = 0usize;
    for _ in 0..count {
        let region = read_region(&mut head)?;
        let end = region.region.offset.checked_add(region.region.length());
        if region.region.offset < covered || end.is_none_or(|end| end > size) {
            return Err(damaged("its regions overlap or stand outside of the file"));
        }
        covered = end.unwrap_or(size);
        packed.push(region);
    }
    let rest_bytes = head.usize()?;
    let plain_bytes: usize = packed.iter().map(|p| p.region.length()).sum();
    let rest = inflate(head.bytes(rest_bytes)?, size - plain_bytes)?;
    let mut out = vec![0u8; size];
    let mut from = Head(&rest);
    let mut at = 0usize;
    for p in &packed {
        fill(&mut out, at, from.bytes(p.region.offset - at)?)?;
        at = p.region.offset + p.region.length();
        let target = out
            .get_mut(p.region.offset..at)
            .ok_or_else(|| damaged("a region stands outside of the file"))?;
        restore(p, &mut head, target)?;
    }
    fill(&mut out, at, from.bytes(size - at)?)?;
    match head.0.is_empty() {
        true => Ok(out),
        false => Err(damaged("bytes follow its end")),
    }
}

fn fill(out: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let target = out.get_mut(at..at + bytes.len());
    target
        .ok_or_else(|| damaged("it holds more than the file"))?
        .copy_from_slice(bytes);
    Ok(())
}

fn read_region(head: &mut Head<'_>) -> Result<Packed> {
    let region = Region {
        offset: head.usize()?,
        rows: head.u16()?,
        columns: head.u16()?,
        channels: head.u16()?,
        sample_bytes: head.number::<1>()?[0],
        signed: false,
    };
    if !region.is_sound() {
        return Err(damaged("a region is impossible"));
    }
    let mut channels = Vec::new();
    for _ in 0..region.channels {
        let (smallest, [precision]) = (head.u16()?, head.number::<1>()?);
        let length = head.u32()? as usize;
        if !(2..=16).contains(&precision) {
            return Err(damaged("a channel is impossible"));
        }
        channels.push((smallest, precision, length));
    }
    Ok(Packed { region, channels })
}

fn inflate(bytes: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(size as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| damaged(&e.to_string()))?;
    match out.len() == size {
        true => Ok(out),
        false => Err(damaged("the rest has another length")),
    }
}

fn restore(packed: &Packed, streams: &mut Head<'_>, target: &mut [u8]) -> Result<()> {
    let region = &packed.region;
    let step = usize::from(region.channels);
    for (channel, (smallest, precision, length)) in packed.channels.iter().enumerate() {
        let frame = frame_of(region, *precision);
        let stream = FrameBytes::from(streams.bytes(*length)?);
        let pixels = decode(&frame, TransferSyntax::JPEG_LS_LOSSLESS, stream)?;
        let Samples::U16(values) = pixels.data else {
            return Err(damaged("a channel has samples of another form"));
        };
        let values = values.into_iter().map(|v| v.wrapping_add(*smallest));
        if region.sample_bytes == 1 {
            let places = target.iter_mut().skip(channel).step_by(step);
            places
                .zip(values)
                .for_each(|(place, v)| *place = v.to_le_bytes()[0]);
        } else {
            let places = target
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .skip(channel)
                .step_by(step);
            places.zip(values).for_each(|(place, v)| *place = v.to_le_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(
        offset: usize,
        rows: u16,
        columns: u16,
        channels: u16,
        sample_bytes: u8,
        signed: bool,
    ) -> Region {
        Region {
            offset,
            rows,
            columns,
            channels,
            sample_bytes,
            signed,
        }
    }

    /// Smooth samples with a little noise between two texts.
    fn file_of(region: &Region) -> Vec<u8> {
        let mut file = vec![b'h'; region.offset];
        for k in 0..region.samples() * usize::from(region.channels) {
            let value = (k as f64 / 40.0).sin() * 90.0 + (k * 7919 % 5) as f64;
            match region.sample_bytes {
                1 => file.push(if region.signed {
                    value as i8 as u8
                } else {
                    (value + 100.0) as u8
                }),
                _ if region.signed => file.extend((value as i16 * 3).to_le_bytes()),
                _ => file.extend(((value + 100.0) as u16 * 9).to_le_bytes()),
            }
        }
        file.extend(b"and a tail");
        file
    }

    #[test]
    fn every_form_comes_back_equal_and_smaller() {
        for region in [
            region(500, 64, 64, 1, 2, false),
            region(500, 64, 64, 1, 2, true),
            region(333, 1, 5000, 12, 2, true),
            region(0, 60, 50, 3, 1, false),
            region(7, 60, 50, 1, 1, true),
        ] {
            let file = file_of(&region);
            let parcel = pack(&file, &[region]).expect("worth it");
            assert!(
                parcel.len() < file.len() * 7 / 10,
                "{region:?}: {} of {}",
                parcel.len(),
                file.len()
            );
            assert_eq!(unpack(&parcel, file.len() as u64).unwrap(), file, "{region:?}");
        }
    }

    #[test]
    fn text_is_deflated_and_noise_is_left_alone() {
        let text = b"sample text, again and again. ".repeat(500);
        let parcel = pack(&text, &[]).expect("worth it");
        assert!(parcel.len() * 10 < text.len());
        assert_eq!(unpack(&parcel, 1 << 20).unwrap(), text);
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(100_000)
        .collect();
        assert_eq!(pack(&noise, &[]), None);
    }

    #[test]
    fn impossible_regions_are_not_packed() {
        let file = vec![0u8; 1000];
        for bad in [
            region(900, 10, 10, 1, 2, false),
            region(0, 0, 10, 1, 2, false),
            region(0, 10, 10, 1, 4, false),
            region(0, 1, 1, 100, 1, false),
            region(usize::MAX, 10, 10, 1, 2, false),
        ] {
            assert_eq!(pack(&file, &[bad]), None, "{bad:?}");
        }
        let overlapping = [region(0, 10, 10, 1, 2, false), region(100, 10, 10, 1, 2, false)];
        assert_eq!(pack(&file, &overlapping), None);
    }

    proptest! {
        #[test]
        fn damaged_parcels_are_errors_and_never_larger_than_allowed(
            at in 0usize..4000, value in any::<u8>(), cut in 0usize..4000
        ) {
            let region = region(100, 20, 30, 1, 2, true);
            let file = file_of(&region);
            let mut parcel = pack(&file, &[region]).unwrap();
            if let Some(byte) = parcel.get_mut(at) {
                *byte = value;
            }
            parcel.truncate(cut.max(8));
            if let Ok(out) = unpack(&parcel, file.len() as u64) {
                prop_assert!(out.len() <= file.len());
            }
        }
    }
}
