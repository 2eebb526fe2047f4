//! Where in a DICOM file samples lie plainly, so that `engine::codec::parcel` can pack them for the way of a township
//! node to its centre.

use dataset::{DataSet, Limits, PixelDataInfo};
use engine::codec::FrameDescription;
use engine::codec::parcel::{Region, pack};
use engine::dicom::Attributes;
use std::borrow::Cow;

const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
const WAVEFORM_SEQUENCE: u32 = 0x5400_0100;
const WAVEFORM_DATA: u32 = 0x5400_1010;
/// Multiplex groups of one object that are looked at.
const GROUPS_MAX: usize = 16;

/// Packs files for the way to the centre.
pub(crate) struct Packer;

impl dicom_gateway::edge::Coder for Packer {
    fn pack(&self, file: &[u8]) -> Option<Vec<u8>> {
        pack(file, &regions(file).unwrap_or_default())
    }
}

/// Native pixel data and waveforms, in order of their place. `None`: the file has none that this understands.
fn regions(file: &[u8]) -> Option<Vec<Region>> {
    let read = dataset::file::read(file, Limits::in_memory()).ok()?;
    let syntax = read.header.transfer_syntax.as_str();
    if syntax != EXPLICIT_LE && syntax != IMPLICIT_LE {
        return None;
    }
    let set = &read.parsed.data_set;
    let mut found = waveforms(file, set);
    if let Some(info) = &read.parsed.pixel_data {
        found.extend(pixels(set, info, read.header.dataset_offset).unwrap_or_default());
    }
    found.sort_by_key(|region| region.offset);
    Some(found)
}

fn pixels(set: &DataSet, info: &PixelDataInfo, start: usize) -> Option<Vec<Region>> {
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let frame = FrameDescription::read(&Attributes::root(&lookup)).ok()?;
    let length = usize::try_from(info.length.filter(|_| !info.encapsulated)?).ok()?;
    let sample_bytes = match frame.bits_allocated {
        8 => 1u8,
        16 => 2,
        _ => return None,
    };
    // Planes that stand apart are pictures of their own.
    let (pictures, channels) = match (frame.samples_per_pixel, frame.planar) {
        (samples, true) => (usize::from(samples), 1),
        (samples, false) => (1, samples),
    };
    let picture = frame.pixels() * usize::from(channels) * usize::from(sample_bytes);
    let count = usize::try_from(frame.frames).ok()?.checked_mul(pictures)?;
    if picture == 0 || count.checked_mul(picture)? > length {
        return None;
    }
    let offset = start.checked_add(usize::try_from(info.offset).ok()?)?;
    let region = |k: usize| Region {
        offset: offset + k * picture,
        rows: frame.rows,
        columns: frame.columns,
        channels,
        sample_bytes,
        signed: frame.signed,
    };
    Some((0..count).map(region).collect())
}

fn waveforms(file: &[u8], set: &DataSet) -> Vec<Region> {
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let root = Attributes::root(&lookup);
    let mut found = Vec::new();
    for group in root.items(WAVEFORM_SEQUENCE).take(GROUPS_MAX) {
        let (Some(channels), Some(samples)) = (group.us(0x003a_0005), group.ul(0x003a_0010)) else {
            continue;
        };
        let Some(data) = group.bytes(WAVEFORM_DATA) else {
            continue;
        };
        let sample_bytes = if group.us(0x5400_1004) == Some(8) { 1u8 } else { 2 };
        let signed = group.text(0x5400_1006).is_none_or(|word| word.starts_with('S'));
        let line = usize::from(channels) * usize::from(sample_bytes);
        let (Ok(samples), Some(mut offset)) = (usize::try_from(samples), place(file, &data)) else {
            continue;
        };
        if line == 0 || samples.checked_mul(line).is_none_or(|bytes| bytes > data.len()) {
            continue;
        }
        let mut left = samples;
        while let Some(columns) = u16::try_from(left.min(usize::from(u16::MAX)))
            .ok()
            .filter(|c| *c > 0)
        {
            found.push(Region {
                offset,
                rows: 1,
                columns,
                channels,
                sample_bytes,
                signed,
            });
            offset += usize::from(columns) * line;
            left -= usize::from(columns);
        }
    }
    found
}

/// Where waveform data stand in the file: behind their tag and length.
fn place(file: &[u8], data: &[u8]) -> Option<usize> {
    let length = u32::try_from(data.len()).ok()?.to_le_bytes();
    let tag = [0x00, 0x54, 0x10, 0x10];
    let mut at = 0;
    while let Some(next) = file.get(at..)?.windows(4).position(|four| four == tag) {
        at += next + 4;
        for skip in [0, 4] {
            let value = at + skip + 4;
            let told = file.get(at + skip..value);
            if told == Some(&length) && file.get(value..value + data.len()) == Some(data) {
                return Some(value);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_gateway::edge::Coder as _;
    use engine::codec::parcel::unpack;

    /// Every kind of synthetic object comes back equal; how much is saved is printed.
    #[test]
    fn synthetic_studies_come_back_equal_and_smaller() {
        let now = time::PrimitiveDateTime::new(
            time::Date::from_calendar_date(2026, time::Month::January, 15).unwrap(),
            time::Time::MIDNIGHT,
        );
        let mut seen = std::collections::BTreeMap::<&str, (usize, usize)>::new();
        for study in fixtures::demo::studies(fixtures::Seed::new(7), now) {
            for file in study.files().take(3) {
                let bytes = file.unwrap().bytes;
                let packed = Packer.pack(&bytes);
                let small = packed.as_ref().map_or(bytes.len(), Vec::len);
                if let Some(packed) = &packed {
                    assert_eq!(unpack(packed, bytes.len() as u64).unwrap(), bytes);
                }
                let sum = seen.entry(study.modality).or_default();
                sum.0 += bytes.len();
                sum.1 += small;
            }
        }
        for (modality, (before, after)) in &seen {
            println!(
                "{modality}: {before} -> {after} bytes, {:.0} %",
                *after as f64 * 100.0 / *before as f64
            );
        }
        for modality in ["CT", "ECG"] {
            let (before, after) = seen[modality];
            assert!(after * 10 < before * 8, "{modality}: {before} -> {after}");
        }
    }
}
