//! An ordinary small image, and what can be made wrong about it.

use super::line::SECONDARY_CAPTURE;
use crate::support::objects::{Place, element, long_head};
use std::collections::BTreeMap;

/// A Secondary Capture image of 32 x 32, element by element in explicit VR little endian.
#[derive(Clone)]
pub struct Object {
    pub place: Place,
    elements: BTreeMap<(u16, u16), Vec<u8>>,
}

impl Object {
    pub fn new(place: &Place) -> Object {
        let mut object = Object {
            place: place.clone(),
            elements: BTreeMap::new(),
        };
        let pixels: Vec<u8> = (0..1024_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        object = object
            .with(0x0008, 0x0005, "CS", b"ISO_IR 192")
            .with(0x0008, 0x0016, "UI", SECONDARY_CAPTURE.as_bytes())
            .with(0x0008, 0x0018, "UI", place.instance.as_bytes())
            .with(0x0008, 0x0020, "DA", b"20261101")
            .with(0x0008, 0x0030, "TM", b"101500")
            .with(0x0008, 0x0050, "SH", b"")
            .with(0x0008, 0x0060, "CS", b"OT")
            .with(0x0008, 0x0064, "CS", b"WSD")
            .with(0x0008, 0x1030, "LO", b"HOSTILE")
            .with(0x0010, 0x0010, "PN", b"Hostile^Test")
            .with(0x0010, 0x0020, "LO", b"HOSTILE")
            .with(0x0010, 0x0030, "DA", b"")
            .with(0x0010, 0x0040, "CS", b"O")
            .with(0x0020, 0x000D, "UI", place.study.as_bytes())
            .with(0x0020, 0x000E, "UI", place.series.as_bytes())
            .with(0x0020, 0x0010, "SH", b"1")
            .with(0x0020, 0x0011, "IS", b"1")
            .with(0x0020, 0x0013, "IS", b"1")
            .us(0x0028, 0x0002, 1)
            .with(0x0028, 0x0004, "CS", b"MONOCHROME2")
            .us(0x0028, 0x0010, 32)
            .us(0x0028, 0x0011, 32)
            .us(0x0028, 0x0100, 8)
            .us(0x0028, 0x0101, 8)
            .us(0x0028, 0x0102, 7)
            .us(0x0028, 0x0103, 0);
        object.with(0x7FE0, 0x0010, "OB", &pixels)
    }

    pub fn with(self, group: u16, number: u16, vr: &str, value: &[u8]) -> Object {
        self.raw(group, number, element(group, number, vr, value))
    }

    pub fn us(self, group: u16, number: u16, value: u16) -> Object {
        self.with(group, number, "US", &value.to_le_bytes())
    }

    /// An element as these bytes, header included.
    pub fn raw(mut self, group: u16, number: u16, bytes: Vec<u8>) -> Object {
        self.elements.insert((group, number), bytes);
        self
    }

    /// The data set.
    pub fn bytes(&self) -> Vec<u8> {
        self.elements.values().flatten().copied().collect()
    }

    /// A Part 10 file of the data set in `syntax`.
    pub fn file(&self, syntax: &str) -> Vec<u8> {
        file(&self.place.instance, syntax, &[], &self.bytes())
    }
}

/// A Part 10 file of any data set, behind any preamble.
pub fn file(instance: &str, syntax: &str, preamble: &[u8], data_set: &[u8]) -> Vec<u8> {
    let meta = [
        element(2, 1, "OB", &[0, 1]),
        element(2, 2, "UI", SECONDARY_CAPTURE.as_bytes()),
        element(2, 3, "UI", instance.as_bytes()),
        element(2, 0x10, "UI", syntax.as_bytes()),
        element(2, 0x12, "UI", b"1.2.826.0.1.3680043.9.9999.2"),
    ]
    .concat();
    let mut out = preamble.to_vec();
    out.resize(128, 0);
    out.extend(b"DICM");
    out.extend(element(2, 0, "UL", &(meta.len() as u32).to_le_bytes()));
    out.extend(meta);
    out.extend(data_set);
    out
}

/// `levels` sequences inside one another, as the value of element (`group`, `number`) with its header.
pub fn nested(group: u16, number: u16, levels: usize, defined: bool) -> Vec<u8> {
    const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
    let mut head = group.to_le_bytes().to_vec();
    head.extend(number.to_le_bytes());
    head.extend(b"SQ\0\0");
    if !defined {
        let open = [&head[..], &[0xff; 4], &ITEM, &[0xff; 4]].concat();
        let close = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0";
        return [open.repeat(levels), close.repeat(levels)].concat();
    }
    let mut out = Vec::with_capacity(levels * 20);
    for level in (0..levels).rev() {
        // what stands inside is 20 bytes a level
        let inside = 20 * level as u32;
        out.extend(&head);
        out.extend((inside + 8).to_le_bytes());
        out.extend(ITEM);
        out.extend(inside.to_le_bytes());
    }
    out
}

/// Encapsulated pixel data of these fragments; the offset table may lie about its length.
pub fn encapsulated(fragments: &[Vec<u8>], table_length: u32) -> Vec<u8> {
    let mut out = long_head(0x7FE0, 0x0010, "OB", u32::MAX);
    let mut item = |length: u32, bytes: &[u8]| {
        out.extend([0xfe, 0xff, 0x00, 0xe0]);
        out.extend(length.to_le_bytes());
        out.extend(bytes);
    };
    item(table_length, &[]);
    for fragment in fragments {
        item(fragment.len() as u32, fragment);
    }
    out.extend(b"\xfe\xff\xdd\xe0\0\0\0\0");
    out
}

/// A baseline JPEG of one grey 8 x 8 block whose frame header claims another size.
pub fn jpeg_claiming(rows: u16, columns: u16) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        out.extend([0xff, marker]);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
    };
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let [r, s] = rows.to_be_bytes();
    let [c, d] = columns.to_be_bytes();
    segment(0xc0, &[8, r, s, c, d, 1, 1, 0x11, 0]);
    // one code a table: category 0, so that a block is two bits
    let table = |class: u8| [&[class][..], &[1], &[0; 15], &[0]].concat();
    segment(0xc4, &table(0x00));
    segment(0xc4, &table(0x10));
    segment(0xda, &[1, 1, 0, 0, 63, 0]);
    out.extend([0x3f, 0xff, 0xd9]);
    out.push(0);
    out
}
