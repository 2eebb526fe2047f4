//! Palette colour look-up tables, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.9.2).

use super::lut::{entries_of, entry_count};
use crate::dicom::Attributes;

const SEGMENTS_MAX: usize = 1 << 17;

/// Red, green and blue for each index.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    first: i32,
    colours: Vec<[u8; 3]>,
}

impl Palette {
    /// From the root data set; `None` without a usable palette.
    #[must_use]
    pub fn read(root: &Attributes<'_, '_>, signed: bool) -> Option<Self> {
        let mut first = 0;
        let mut channels = Vec::with_capacity(3);
        for k in 0..3 {
            let [entries, start, bits] = *root.uss(0x0028_1101 + k).first_chunk::<3>()?;
            first = if signed {
                i32::from(start.cast_signed())
            } else {
                i32::from(start)
            };
            let count = entry_count(entries);
            let channel = match root.bytes(0x0028_1201 + k).filter(|d| !d.is_empty()) {
                Some(data) => display(&entries_of(&data, count), bits, data.len() <= count + 1),
                None => display(&expand(&root.uss(0x0028_1221 + k), count)?, bits, false),
            };
            channels.push(channel);
        }
        let [red, green, blue] = <[Vec<u8>; 3]>::try_from(channels).ok()?;
        let colours: Vec<_> = red
            .iter()
            .zip(&green)
            .zip(&blue)
            .map(|((r, g), b)| [*r, *g, *b])
            .collect();
        (!colours.is_empty()).then_some(Self { first, colours })
    }

    /// The colour of a stored value; values beyond the table take its first or last colour.
    #[must_use]
    pub fn colour(&self, value: f64) -> [u8; 3] {
        let last = self.colours.len().saturating_sub(1) as f64;
        let index = (value - f64::from(self.first)).clamp(0.0, last) as usize;
        self.colours.get(index).copied().unwrap_or_default()
    }
}

/// Entries to display bytes. Entries of 16 bits that never leave the low byte are 8-bit ones written wrongly.
fn display(entries: &[u16], bits: u16, in_bytes: bool) -> Vec<u8> {
    let small = entries.iter().all(|e| *e < 256);
    if in_bytes || small && (bits <= 8 || entries.iter().any(|e| *e > 1)) {
        return entries.iter().map(|e| *e as u8).collect();
    }
    entries
        .iter()
        .map(|e| ((u32::from(*e) * 255 + 32767) / 65535) as u8)
        .collect()
}

/// Segmented data to `count` entries; `None` when it is malformed.
fn expand(words: &[u16], count: usize) -> Option<Vec<u16>> {
    let mut out = Vec::new();
    let mut starts = Vec::new();
    let mut at = 0;
    while at < words.len() && out.len() < count && starts.len() < SEGMENTS_MAX {
        starts.push(at);
        at = segment(words, at, count, &mut out, &starts)?;
    }
    (out.len() >= count).then(|| {
        out.truncate(count);
        out
    })
}

/// Expands the segment at word `at` and answers where the next begins.
fn segment(words: &[u16], at: usize, count: usize, out: &mut Vec<u16>, starts: &[usize]) -> Option<usize> {
    let length = usize::from(*words.get(at + 1)?);
    match words.get(at)? {
        0 => {
            out.extend_from_slice(words.get(at + 2..at + 2 + length)?);
            Some(at + 2 + length)
        }
        1 => {
            let (y0, y1) = (i64::from(*out.last()?), i64::from(*words.get(at + 2)?));
            let n = length as i64;
            let room = count.saturating_sub(out.len());
            let line = (1..=n)
                .take(room)
                .map(|k| (y0 * n + (y1 - y0) * k + n / 2).div_euclid(n));
            out.extend(line.map(|v| v.clamp(0, 65535) as u16));
            Some(at + 3)
        }
        2 => {
            let low = u32::from(*words.get(at + 2)?);
            let offset = (u32::from(*words.get(at + 3)?) << 16 | low) as usize / 2;
            // Only segments already seen, and no indirect one among them, may be repeated.
            starts.contains(&offset).then_some(())?;
            let mut inner = offset;
            for _ in 0..length {
                if inner >= at || *words.get(inner)? == 2 {
                    return None;
                }
                inner = segment(words, inner, count, out, starts)?;
                if out.len() >= count {
                    break;
                }
            }
            Some(at + 4)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_expand() {
        // two discrete, a line of 4, then the line again from the last value
        assert_eq!(
            expand(&[0, 2, 5, 10, 1, 4, 50], 6),
            Some(vec![5, 10, 20, 30, 40, 50])
        );
        assert_eq!(
            expand(&[0, 1, 0, 1, 2, 10, 2, 1, 6, 0], 5),
            Some(vec![0, 5, 10, 10, 10])
        );
        for bad in [
            &[1u16, 3, 9][..],
            &[0, 9, 1],
            &[2, 1, 0, 0],
            &[7, 1, 1],
            &[0, 1, 1],
        ] {
            assert_eq!(expand(bad, 4), None, "{bad:?}");
        }
    }
}
