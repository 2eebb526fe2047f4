//! Fragments of encapsulated pixel data, and offset tables.

use super::PixelDataInfo;
use crate::dictionary::{Tag, Vr, tag_to_u32, tags};
use crate::object::DataSet;

/// Pixel data of the root, never kept.
pub(super) fn is_pixel_data(tag: Tag) -> bool {
    matches!(
        tag,
        tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
    )
}

/// Attributes of the root that are kept up to the limit of offset tables.
pub(super) fn is_offset_table(tag: Tag) -> bool {
    matches!(
        tag,
        tags::EXTENDED_OFFSET_TABLE | tags::EXTENDED_OFFSET_TABLE_LENGTHS
    )
}

pub(super) fn native(tag: Tag, vr: Vr, offset: u64, length: u64) -> PixelDataInfo {
    PixelDataInfo {
        tag: tag_to_u32(tag),
        offset,
        length: Some(length),
        encapsulated: false,
        words: vr == Vr::OW,
        basic_offset_table: Vec::new(),
        fragments_offset: offset,
        fragments: Vec::new(),
        fragments_complete: true,
        extended_offset_table: Vec::new(),
    }
}

/// A value in fragments while it is read.
#[derive(Debug)]
pub(super) struct Fragments {
    pub(super) tag: Tag,
    pub(super) vr: Vr,
    /// Offset of the first item header.
    pub(super) start: u64,
    /// Items seen, the basic offset table among them.
    pub(super) items: u64,
    /// Fragments whose place was not kept.
    pub(super) dropped: u64,
    /// Only for the root's pixel data.
    pub(super) info: Option<PixelDataInfo>,
}

impl Fragments {
    pub(super) fn new(tag: Tag, vr: Vr, start: u64, root: bool) -> Self {
        let info = root.then(|| PixelDataInfo {
            length: None,
            encapsulated: true,
            ..native(tag, vr, start, 0)
        });
        Self {
            tag,
            vr,
            start,
            items: 0,
            dropped: 0,
            info,
        }
    }

    /// Notes a fragment's place.
    pub(super) fn note(&mut self, offset: u64, length: u64, max: usize) {
        if let Some(info) = &mut self.info {
            if info.fragments.len() < max {
                info.fragments.push((offset, length));
            } else {
                info.fragments_complete = false;
                self.dropped += 1;
            }
        }
    }

    /// Takes the basic offset table's bytes (always little endian in practice: encapsulated
    /// syntaxes are).
    pub(super) fn set_table(&mut self, bytes: &[u8]) {
        if let Some(info) = &mut self.info {
            info.basic_offset_table = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| u32::from_le_bytes(*b))
                .collect();
        }
    }
}

/// Reads the extended offset table of the root (PS3.3 C.7.6.3.1.8).
pub(super) fn extended_offset_table(root: &DataSet) -> Vec<(u64, u64)> {
    let words = |tag| {
        let bytes = root.raw(tag).unwrap_or_default();
        bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b))
    };
    words(tags::EXTENDED_OFFSET_TABLE)
        .zip(words(tags::EXTENDED_OFFSET_TABLE_LENGTHS))
        .collect()
}
