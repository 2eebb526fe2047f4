//! Data sets to bytes: explicit or implicit VR, little endian.

use crate::dictionary::{ITEM, Tag, Vr, has_long_length};
use crate::object::{DataSet, Element, Value};
use crate::uid::Encoding;
use crate::{DatasetError, Limits};

/// Sequences nested deeper are not written.
const DEPTH_MAX: usize = 64;

/// Encodes a data set. Sequences and items have defined lengths. Deflation and fragments are not
/// made: [`Encoding::Deflated`] is refused; for [`Encoding::Encapsulated`] the attributes are
/// written as explicit VR little endian.
///
/// # Errors
/// [`DatasetError::Unwritable`] for values that were not kept, for a length that the form cannot
/// hold, and for big endian or deflated.
pub fn encode(set: &DataSet, encoding: Encoding) -> Result<Vec<u8>, DatasetError> {
    let explicit = match encoding {
        Encoding::ImplicitLe => false,
        Encoding::ExplicitLe | Encoding::Encapsulated => true,
        Encoding::ExplicitBe | Encoding::Deflated => {
            let tag = Tag(0, 0);
            return Err(DatasetError::Unwritable {
                tag,
                reason: "only little endian is written",
            });
        }
    };
    let mut bytes = Vec::with_capacity(1024);
    write_set(&mut bytes, set, explicit, 0)?;
    Ok(bytes)
}

/// Encodes a DIMSE command set: implicit VR little endian with its group length (PS3.7 6.3.1).
///
/// # Errors
/// As [`encode`].
pub fn encode_command(set: &DataSet) -> Result<Vec<u8>, DatasetError> {
    let body = encode(set, Encoding::ImplicitLe)?;
    let mut bytes = Vec::with_capacity(12 + body.len());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    write_element(&mut bytes, Tag(0, 0), Vr::UL, &length.to_le_bytes(), false)?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads a command set.
///
/// # Errors
/// As [`crate::Tokenizer`].
pub fn decode_command(bytes: &[u8]) -> Result<DataSet, DatasetError> {
    let limits = Limits {
        depth_max: 0,
        ..Limits::default()
    };
    let syntax = crate::TransferSyntaxUid::implicit_le();
    crate::stream::parse(bytes, &syntax, limits).map(|parsed| parsed.data_set)
}

fn write_set(bytes: &mut Vec<u8>, set: &DataSet, explicit: bool, depth: usize) -> Result<(), DatasetError> {
    for element in set.elements() {
        write_one(bytes, element, explicit, depth)?;
    }
    Ok(())
}

fn write_one(
    bytes: &mut Vec<u8>,
    element: &Element,
    explicit: bool,
    depth: usize,
) -> Result<(), DatasetError> {
    let tag = element.tag;
    match &element.value {
        Value::Bytes(value) => write_element(bytes, tag, element.vr, value, explicit),
        Value::External { .. } => Err(DatasetError::Unwritable {
            tag,
            reason: "its value was not kept",
        }),
        Value::Items(items) => {
            if depth >= DEPTH_MAX {
                return Err(DatasetError::TooDeep {
                    offset: bytes.len() as u64,
                    max: DEPTH_MAX,
                });
            }
            let place = write_header(bytes, tag, Vr::SQ, explicit);
            for item in items {
                let item_place = write_header(bytes, ITEM, Vr::UN, false);
                write_set(bytes, item, explicit, depth + 1)?;
                patch_length(bytes, item_place, tag)?;
            }
            patch_length(bytes, place, tag)
        }
    }
}

/// Header with a 32-bit length of zero; the place of that length.
fn write_header(bytes: &mut Vec<u8>, tag: Tag, vr: Vr, explicit: bool) -> usize {
    bytes.extend_from_slice(&tag.0.to_le_bytes());
    bytes.extend_from_slice(&tag.1.to_le_bytes());
    if explicit {
        bytes.extend_from_slice(&vr.to_bytes());
        bytes.extend_from_slice(&[0, 0]);
    }
    let place = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    place
}

fn patch_length(bytes: &mut [u8], place: usize, tag: Tag) -> Result<(), DatasetError> {
    let length = u32::try_from(bytes.len() - place - 4)
        .ok()
        .filter(|&length| length != u32::MAX);
    let length = length.ok_or(DatasetError::Unwritable {
        tag,
        reason: "it is longer than 4 GiB",
    })?;
    if let Some(room) = bytes.get_mut(place..place + 4) {
        room.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

fn write_element(
    bytes: &mut Vec<u8>,
    tag: Tag,
    vr: Vr,
    value: &[u8],
    explicit: bool,
) -> Result<(), DatasetError> {
    let odd = value.len() % 2;
    if explicit && !has_long_length(vr) {
        let length = u16::try_from(value.len() + odd).map_err(|_| DatasetError::Unwritable {
            tag,
            reason: "its VR holds at most 65534 bytes",
        })?;
        bytes.extend_from_slice(&tag.0.to_le_bytes());
        bytes.extend_from_slice(&tag.1.to_le_bytes());
        bytes.extend_from_slice(&vr.to_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(value);
    } else {
        let place = write_header(bytes, tag, vr, explicit);
        bytes.extend_from_slice(value);
        if odd == 0 {
            return patch_length(bytes, place, tag);
        }
        bytes.push(padding(vr));
        return patch_length(bytes, place, tag);
    }
    if odd == 1 {
        bytes.push(padding(vr));
    }
    Ok(())
}

/// PS3.5 6.2: text is padded with a blank, UIDs and bytes with a zero.
fn padding(vr: Vr) -> u8 {
    if vr != Vr::UI && crate::dictionary::is_text(vr) {
        b' '
    } else {
        0
    }
}
