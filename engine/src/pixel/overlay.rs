//! Overlay planes, groups 6000 to 601E (PS3.3 C.9.2).

use crate::codec::{self, FrameBytes, FrameDescription, PixelElement, TransferSyntax};
use crate::dicom::Attributes;
use crate::error::Result;

const PLANES: u32 = 16;
/// Display value in which overlays are drawn.
pub(crate) const INK: u8 = 255;

/// One overlay plane (or a stack of them for a multi-frame image).
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// Group of its attributes, 6000 to 601E.
    pub group: u16,
    /// Overlay Rows.
    pub rows: u16,
    /// Overlay Columns.
    pub columns: u16,
    /// Overlay Origin: row and column of the first overlay pixel; 1, 1 is the image's first pixel.
    pub origin: [i16; 2],
    /// First image frame (from 0) that the first overlay frame belongs to.
    first_frame: u64,
    /// Number of overlay frames; `None` when the one plane belongs to every image frame.
    frames: Option<u64>,
    /// Bit of the pixel data's words that holds it (retired form); `None` for a plane with its own data.
    embedded: Option<u16>,
    bits: Vec<u8>,
}

impl Overlay {
    /// All planes: those with their own data, and the retired ones in unused bits of the pixel data, which are empty
    /// until [`Overlay::take_embedded`].
    #[must_use]
    pub fn read_all(root: &Attributes<'_, '_>) -> Vec<Self> {
        (0..PLANES)
            .filter_map(|k| Self::read(root, 0x6000_0000 + (k << 17)))
            .collect()
    }

    /// The planes with those of the pixel data filled in from an encoded frame. A plane in bits that hold the picture
    /// is none.
    ///
    /// # Errors
    /// As [`codec::decode`]; nothing is decoded where no plane needs it.
    pub fn take_embedded(
        planes: &[Self],
        frame: &FrameDescription,
        syntax: TransferSyntax,
        input: FrameBytes<'_>,
    ) -> Result<Vec<Self>> {
        let inside = |bit: u16| {
            let lowest = (frame.effective_high_bit() + 1).saturating_sub(frame.bits_stored);
            (lowest..=frame.effective_high_bit()).contains(&bit) || bit >= frame.bits_allocated
        };
        let wanted = |plane: &Self| plane.embedded.is_some_and(|bit| !inside(bit));
        let fits = frame.samples_per_pixel == 1
            && frame.element == PixelElement::Integer
            && matches!(frame.bits_allocated, 8 | 16 | 32);
        if !fits || !planes.iter().any(wanted) {
            return Ok(planes.to_vec());
        }
        let whole = FrameDescription {
            bits_stored: frame.bits_allocated,
            high_bit: frame.bits_allocated - 1,
            signed: false,
            ..frame.clone()
        };
        let words = codec::decode(&whole, syntax, input)?.data;
        let fill = |plane: &Self| {
            let mut plane = plane.clone();
            if let Some(bit) = plane.embedded.filter(|bit| !inside(*bit)) {
                let mut bits = vec![0_u8; words.len().div_ceil(8)];
                for (i, byte) in bits.iter_mut().enumerate() {
                    let set = |k: &usize| (words.value(i * 8 + k) as u64) >> bit & 1 == 1;
                    let all = 8.min(words.len() - i * 8);
                    *byte = (0..all).filter(set).fold(0, |b, k| b | 1 << k);
                }
                // The words of this frame hold this frame's overlay.
                (plane.rows, plane.columns) = (frame.rows, frame.columns);
                (plane.origin, plane.first_frame, plane.frames, plane.bits) = ([1, 1], 0, None, bits);
            }
            plane
        };
        Ok(planes.iter().map(fill).collect())
    }

    fn read(root: &Attributes<'_, '_>, group: u32) -> Option<Self> {
        let rows = root.us(group | 0x0010).filter(|n| *n > 0)?;
        let columns = root.us(group | 0x0011).filter(|n| *n > 0)?;
        let own = root.bytes(group | 0x3000).filter(|b| !b.is_empty());
        let embedded = match &own {
            Some(_) => None,
            None => Some(root.us(group | 0x0102).filter(|bit| *bit > 0)?),
        };
        let origin = root.sss(group | 0x0050);
        let frames = root
            .is(group | 0x0015)
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| *n > 0);
        let first = root
            .us(group | 0x0051)
            .map_or(0, |n| u64::from(n.saturating_sub(1)));
        Some(Self {
            group: (group >> 16) as u16,
            rows,
            columns,
            embedded,
            origin: [
                origin.first().copied().unwrap_or(1),
                origin.get(1).copied().unwrap_or(1),
            ],
            first_frame: first,
            frames,
            bits: own.map(std::borrow::Cow::into_owned).unwrap_or_default(),
        })
    }

    /// Calls `ink` with the index of each image pixel (row by row) that the overlay covers in frame `frame` (from 0).
    pub fn draw(&self, frame: u64, rows: usize, columns: usize, mut ink: impl FnMut(usize)) {
        let plane = match self.frames {
            None => 0,
            Some(n) => match frame.checked_sub(self.first_frame) {
                Some(k) if k < n => k,
                _ => return,
            },
        };
        let plane_bits = u64::from(self.rows) * u64::from(self.columns);
        let Ok(first_bit) = usize::try_from(plane.saturating_mul(plane_bits)) else {
            return;
        };
        for i in 0..usize::from(self.rows) {
            let row = i as i64 + i64::from(self.origin[0]) - 1;
            if row < 0 || row >= rows as i64 {
                continue;
            }
            for j in 0..usize::from(self.columns) {
                let column = j as i64 + i64::from(self.origin[1]) - 1;
                let bit = first_bit + i * usize::from(self.columns) + j;
                let set = self.bits.get(bit / 8).is_some_and(|b| b >> (bit % 8) & 1 == 1);
                if set && (0..columns as i64).contains(&column) {
                    ink(row as usize * columns + column as usize);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_may_lie_outside_the_image() {
        let o = Overlay {
            group: 0x6000,
            embedded: None,
            rows: 2,
            columns: 3,
            origin: [0, 0],
            first_frame: 0,
            frames: None,
            bits: vec![0b11_1111],
        };
        let mut hit = Vec::new();
        o.draw(0, 4, 4, |i| hit.push(i));
        assert_eq!(hit, [0, 1]);
        let o = Overlay { origin: [4, 3], ..o };
        hit.clear();
        o.draw(0, 4, 4, |i| hit.push(i));
        assert_eq!(hit, [14, 15]);
    }

    #[test]
    fn frames_beyond_the_overlay_stay_clean() {
        let o = Overlay {
            group: 0x6000,
            embedded: None,
            rows: 1,
            columns: 1,
            origin: [1, 1],
            first_frame: 1,
            frames: Some(2),
            bits: vec![0b10],
        };
        for (frame, expect) in [(0, 0), (1, 0), (2, 1), (3, 0)] {
            let mut n = 0;
            o.draw(frame, 1, 1, |_| n += 1);
            assert_eq!(n, expect, "{frame}");
        }
    }

    /// 12 bits of picture, signed, and a plane in bit 14; bit 5 belongs to the picture.
    #[test]
    fn planes_in_the_pixel_data_are_found() {
        let plane = |bit: u8| {
            move |path: &[(u32, usize)], tag: u32| -> Option<std::borrow::Cow<'static, [u8]>> {
                let value: &[u8] = match (path, tag) {
                    ([], 0x6002_0010) => &[2, 0],
                    ([], 0x6002_0011) => &[3, 0],
                    ([], 0x6002_0102) => return Some(vec![bit, 0].into()),
                    _ => return None,
                };
                Some(value.into())
            }
        };
        let mut frame = crate::codec::frame::test_frame(2, 3, 16, 12);
        frame.signed = true;
        let words = [0x4fff_u16, 0x0fff, 0xf800, 0x0020, 0x4020, 0x0000];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let input = FrameBytes {
            bytes: &bytes,
            skip_bits: 0,
            words: false,
        };
        for (bit, expect) in [(14, vec![0, 2, 4]), (15, vec![2]), (5, vec![]), (16, vec![])] {
            let planes = Overlay::read_all(&Attributes::root(&plane(bit)));
            assert_eq!(planes.len(), 1);
            let filled = Overlay::take_embedded(&planes, &frame, TransferSyntax::EXPLICIT_LE, input).unwrap();
            let mut hit = Vec::new();
            filled[0].draw(0, 2, 3, |i| hit.push(i));
            assert_eq!((filled[0].group, hit), (0x6002, expect), "bit {bit}");
        }
    }
}
