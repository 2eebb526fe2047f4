//! SCP-ECG (EN 1064:2005, ISO 11073-91064): sections 0 to 8 and 11 of one recording.
//!
//! Read are the patient and the recorder (section 1), Huffman tables (2), lead definition (3), reference beat and
//! protected areas (4, 5), rhythm (6), global measurements (7) and statements (8, 11). Checksums that differ are
//! warned about; a file that ends before its rhythm data is refused.

mod huffman;
mod rhythm;
mod statements;
mod tags;

use self::huffman::Tables;
use self::rhythm::{Beats, Coded, Layout};
use super::raw::{crc_ccitt, u16_le, u32_le};
use crate::ecg::error::EcgError;
use crate::ecg::record::Record;

pub(super) const FORMAT: &str = "scp";
/// Bytes of a section's own header.
const SECTION_HEADER_BYTES: usize = 16;
/// Bytes of the file's checksum and length before section 0.
const FILE_HEADER_BYTES: usize = 6;
/// Sections of the standard that are looked at.
const SECTIONS: usize = 12;

/// Whether the bytes start like an SCP-ECG file: section 0 names itself, or at least points at itself.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let named = bytes.get(16..22) == Some(b"SCPECG");
    let pointer = (u16_le(bytes, 22), u32_le(bytes, 28));
    let numbered = u16_le(bytes, 8) == Some(0) && pointer == (Some(0), Some(7));
    let length = u32_le(bytes, 10).unwrap_or(0);
    named || numbered && (136..4_096).contains(&length)
}

/// The sections of a file, by number.
struct Sections<'a> {
    bytes: &'a [u8],
    places: [Option<(usize, usize)>; SECTIONS],
}

impl<'a> Sections<'a> {
    /// Reads the pointers of section 0.
    fn of(bytes: &'a [u8]) -> Result<Self, EcgError> {
        let header = FILE_HEADER_BYTES + SECTION_HEADER_BYTES;
        let length = u32_le(bytes, FILE_HEADER_BYTES + 4).unwrap_or(0) as usize;
        let table = bytes.get(header..(FILE_HEADER_BYTES + length).max(header));
        let Some(table) = table.filter(|table| table.len() >= 10) else {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: "the pointers of section 0".into(),
                wanted: (FILE_HEADER_BYTES + length.max(SECTION_HEADER_BYTES + 120)) as u64,
                got: bytes.len() as u64,
            });
        };
        let mut places = [None; SECTIONS];
        for pointer in table.as_chunks::<10>().0 {
            let number = usize::from(u16::from_le_bytes([pointer[0], pointer[1]]));
            let (length, place) = (u32_le(pointer, 2).unwrap_or(0), u32_le(pointer, 6).unwrap_or(0));
            if let Some(slot) = places.get_mut(number)
                && length as usize > SECTION_HEADER_BYTES
                && place > 0
            {
                *slot = Some((place as usize - 1, length as usize));
            }
        }
        Ok(Self { bytes, places })
    }

    /// The body of a section, `None` where the file has none.
    ///
    /// # Errors
    /// [`EcgError::Cut`] when its end lies beyond the file, [`EcgError::Field`] when something else stands there.
    fn body(&self, number: usize, warnings: &mut Vec<String>) -> Result<Option<&'a [u8]>, EcgError> {
        let Some((start, length)) = self.places[number] else {
            return Ok(None);
        };
        let end = start.saturating_add(length);
        let Some(section) = self.bytes.get(start..end) else {
            return Err(EcgError::Cut {
                format: FORMAT,
                what: format!("section {number}"),
                wanted: end as u64,
                got: self.bytes.len() as u64,
            });
        };
        let named = u16_le(section, 2);
        if named != Some(number as u16) {
            let shown = named.map_or_else(String::new, |n| n.to_string());
            let field = format!("number of section {number}");
            return Err(EcgError::field(FORMAT, field, shown, "the number in its pointer"));
        }
        // Some carts leave the checksum out and write zero.
        let stated = u16_le(section, 0).unwrap_or(0);
        if stated != 0 && stated != crc_ccitt(&section[2..]) {
            warnings.push(format!(
                "scp: the checksum of section {number} differs; the file may be damaged"
            ));
        }
        Ok(section.get(SECTION_HEADER_BYTES..))
    }

    /// As [`Sections::body`] for a section without which the recording can be read: trouble becomes a warning.
    fn optional(&self, number: usize, warnings: &mut Vec<String>) -> Option<&'a [u8]> {
        match self.body(number, warnings) {
            Ok(body) => body,
            Err(error) => {
                warnings.push(format!("{error} (the recording itself could be read)"));
                None
            }
        }
    }
}

/// Reads a file; limb leads that it leaves out are computed.
///
/// # Errors
/// [`EcgError::Cut`], [`EcgError::Field`] and [`EcgError::TooLarge`] for a file that cannot be followed,
/// [`EcgError::NoSignal`] for one without rhythm data.
pub fn read(bytes: &[u8]) -> Result<Record, EcgError> {
    let sections = Sections::of(bytes)?;
    let mut warnings = Vec::new();
    check_file(bytes, &mut warnings);
    let needed = |number: usize, warnings: &mut Vec<String>| {
        let body = sections.body(number, warnings)?;
        body.ok_or(EcgError::NoSignal { format: FORMAT })
    };
    let layout = Layout::parse(needed(3, &mut warnings)?)?;
    let tables = match sections.body(2, &mut warnings)? {
        Some(body) => Tables::parse(body)?,
        None => Tables::None,
    };
    let beats = match sections.body(4, &mut warnings)? {
        Some(body) => Beats::parse(body)?,
        None => Beats::default(),
    };
    let reference = match sections.body(5, &mut warnings)? {
        Some(body) => Some(Coded::parse(body, layout.leads.len(), 5)?),
        None => None,
    };
    let rhythm = Coded::parse(needed(6, &mut warnings)?, layout.leads.len(), 6)?;
    let parts = rhythm::Parts {
        layout: &layout,
        tables: &tables,
        beats: &beats,
        reference: reference.as_ref(),
        rhythm: &rhythm,
    };
    let (leads, rate_hz) = rhythm::leads(&parts, &mut warnings)?;
    let mut made = Record::new(FORMAT, leads, rate_hz)?;
    made.stored_beat = rhythm::stored_beat(&parts);
    if let Some(body) = sections.optional(1, &mut warnings) {
        tags::apply(body, &mut made);
    }
    if let Some(body) = sections.optional(7, &mut warnings) {
        made.annotations.extend(statements::measurements(body));
    }
    for number in [8, 11] {
        if let Some(body) = sections.optional(number, &mut warnings) {
            made.annotations.extend(statements::texts(body, number));
        }
    }
    made.warnings.extend(warnings);
    Ok(made.with_derived_limb_leads())
}

/// Length and checksum of the whole file.
fn check_file(bytes: &[u8], warnings: &mut Vec<String>) {
    let (stated, there) = (u32_le(bytes, 2).unwrap_or(0) as usize, bytes.len());
    if there < stated {
        warnings.push(format!(
            "scp: the file is cut: {there} of {stated} bytes are there; send it again"
        ));
        return;
    }
    let record = bytes.get(2..stated.max(2)).unwrap_or_default();
    match super::raw::u16_le(bytes, 0) {
        Some(crc) if crc != 0 && stated > 2 && crc != crc_ccitt(record) => {
            warnings.push("scp: the checksum of the file differs; it may be damaged".into());
        }
        _ => {}
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
