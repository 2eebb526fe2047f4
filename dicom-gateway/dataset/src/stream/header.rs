//! Element headers: what the next bytes announce.

use crate::dictionary::{self, ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Tag, Vr, has_long_length};

/// How the elements of one level are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

impl Coding {
    pub(super) const IMPLICIT: Self = Self {
        explicit: false,
        big_endian: false,
    };

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

/// A header as read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) tag: Tag,
    pub(super) vr: Vr,
    /// `None`: undefined.
    pub(super) length: Option<u32>,
    /// Two bytes that were no VR, read as UN.
    pub(super) unknown_vr: Option<[u8; 2]>,
    /// Coded without VR although the level has them.
    pub(super) lacks_vr: bool,
}

pub(super) const HEADER_BYTES_MAX: usize = 12;

/// Reads a header from its first 8 bytes, or says that 12 are needed.
pub(super) enum Read {
    More,
    Header(Header),
}

pub(super) fn read(bytes: &[u8; HEADER_BYTES_MAX], have: usize, coding: Coding) -> Read {
    let [t0, t1, t2, t3, b4, b5, b6, b7, l0, l1, l2, l3] = *bytes;
    let tag = Tag(coding.u16([t0, t1]), coding.u16([t2, t3]));
    let word = coding.u32([b4, b5, b6, b7]);
    if matches!(tag, ITEM | ITEM_DELIMITER | SEQUENCE_DELIMITER) || !coding.explicit {
        return Read::Header(implicit(tag, word, false));
    }
    let (vr, unknown_vr) = match Vr::from_binary([b4, b5]) {
        Some(vr) => (vr, None),
        // PS3.5 6.2.2: VRs of the future have the long form
        None if b4.is_ascii_uppercase() && b5.is_ascii_uppercase() => (Vr::UN, Some([b4, b5])),
        // written by some converters for what they do not know: "??" with the long form, blanks
        // and other signs with the short one
        None if [b4, b5] == *b"??" => (Vr::UN, Some([b4, b5])),
        None if is_sign(b4) && is_sign(b5) => {
            let length = Some(u32::from(coding.u16([b6, b7])));
            return Read::Header(Header {
                tag,
                vr: Vr::UN,
                length,
                unknown_vr: Some([b4, b5]),
                lacks_vr: false,
            });
        }
        None => return Read::Header(implicit(tag, word, true)),
    };
    if unknown_vr.is_some() || has_long_length(vr) {
        if have < HEADER_BYTES_MAX {
            return Read::More;
        }
        let length = coding.u32([l0, l1, l2, l3]);
        return Read::Header(Header {
            tag,
            vr,
            length: defined(length),
            unknown_vr,
            lacks_vr: false,
        });
    }
    let length = u32::from(coding.u16([b6, b7]));
    Read::Header(Header {
        tag,
        vr,
        length: Some(length),
        unknown_vr: None,
        lacks_vr: false,
    })
}

fn implicit(tag: Tag, length: u32, lacks_vr: bool) -> Header {
    let vr = dictionary::vr_of(tag).unwrap_or(Vr::UN);
    Header {
        tag,
        vr,
        length: defined(length),
        unknown_vr: None,
        lacks_vr,
    }
}

fn defined(length: u32) -> Option<u32> {
    (length != u32::MAX).then_some(length)
}

/// The first header of a level shows how the level is coded: `Some(explicit)` when that is sure.
/// Letters where the VR stands cannot be the length of a first element but by chance; when they
/// might (no length after them), the dictionary must agree.
pub(super) fn looks_explicit(bytes: &[u8]) -> Option<bool> {
    let [t0, t1, t2, t3, v0, v1, r0, r1, ..] = *bytes else {
        return None;
    };
    let tag = Tag(u16::from_le_bytes([t0, t1]), u16::from_le_bytes([t2, t3]));
    let zero = r0 == 0 && r1 == 0;
    match Vr::from_binary([v0, v1]) {
        Some(vr) if has_long_length(vr) => Some(zero),
        Some(vr) if zero => (dictionary::vr_of(tag) == Some(vr)).then_some(true),
        Some(_) => Some(true),
        None if v0.is_ascii_uppercase() && v1.is_ascii_uppercase() => None,
        None if is_sign(v0) && is_sign(v1) => None,
        None => Some(false),
    }
}

fn is_sign(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}
