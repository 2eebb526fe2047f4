//! Overlay planes, groups 6000 to 601E (PS3.3 C.9.2).

use crate::dicom::Attributes;

const PLANES: u32 = 16;
/// Display value in which overlays are drawn.
pub(crate) const INK: u8 = 255;

/// One overlay plane (or a stack of them for a multi-frame image).
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
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
    bits: Vec<u8>,
}

impl Overlay {
    /// All planes with their own data.
    #[must_use]
    pub fn read_all(root: &Attributes<'_, '_>) -> Vec<Self> {
        (0..PLANES)
            .filter_map(|k| Self::read(root, 0x6000_0000 + (k << 17)))
            .collect()
    }

    fn read(root: &Attributes<'_, '_>, group: u32) -> Option<Self> {
        let rows = root.us(group | 0x0010).filter(|n| *n > 0)?;
        let columns = root.us(group | 0x0011).filter(|n| *n > 0)?;
        let bits = root.bytes(group | 0x3000).filter(|b| !b.is_empty())?.into_owned();
        let origin = root.sss(group | 0x0050);
        let frames = root
            .is(group | 0x0015)
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| *n > 0);
        let first = root
            .us(group | 0x0051)
            .map_or(0, |n| u64::from(n.saturating_sub(1)));
        Some(Self {
            rows,
            columns,
            origin: [
                origin.first().copied().unwrap_or(1),
                origin.get(1).copied().unwrap_or(1),
            ],
            first_frame: first,
            frames,
            bits,
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
}
