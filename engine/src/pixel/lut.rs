//! Look-up tables of the modality and VOI modules (PS3.3 C.11.1.1, C.11.2.1.1) and the traps of their descriptors.

use crate::dicom::Attributes;

const DESCRIPTOR: u32 = 0x0028_3002;
const EXPLANATION: u32 = 0x0028_3003;
const DATA: u32 = 0x0028_3006;

/// A table from integer input to unsigned output.
#[derive(Debug, Clone, PartialEq)]
pub struct Lut {
    /// Input value of the first entry.
    pub first: i32,
    /// The entries; at least one.
    pub values: Vec<u16>,
    /// Bits of an entry, 1 to 16.
    pub bits: u32,
    /// LUT Explanation (0028,3003).
    pub explanation: Option<String>,
}

impl Lut {
    /// From one item of a Modality or VOI LUT Sequence. `signed` says whether the input can be negative.
    #[must_use]
    pub fn read(item: &Attributes<'_, '_>, signed: bool) -> Option<Self> {
        let [entries, first, bits] = *item.uss(DESCRIPTOR).first_chunk::<3>()?;
        let data = item.bytes(DATA)?;
        let values = entries_of(&data, entry_count(entries));
        let largest = u32::from(*values.iter().max()?);
        Some(Self {
            first: if signed {
                i32::from(first.cast_signed())
            } else {
                i32::from(first)
            },
            bits: entry_bits(bits, largest),
            values,
            explanation: item.text(EXPLANATION),
        })
    }

    /// Output for the input `x`; inputs beyond the table take its first or last entry.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        let last = self.values.len().saturating_sub(1) as f64;
        let index = ((x + 0.5).floor() - f64::from(self.first)).clamp(0.0, last) as usize;
        self.values.get(index).map_or(0.0, |v| f64::from(*v))
    }

    /// Largest output that the entry's bits allow.
    #[must_use]
    pub fn top(&self) -> f64 {
        f64::from((1u32 << self.bits) - 1)
    }
}

/// 0 stands for 65536 entries.
pub(crate) fn entry_count(word: u16) -> usize {
    if word == 0 { 1 << 16 } else { word.into() }
}

/// The third descriptor value is the bits of an entry; some writers put nonsense there: the entries decide then.
fn entry_bits(claimed: u16, largest: u32) -> u32 {
    let needed = 32 - largest.leading_zeros();
    match u32::from(claimed) {
        bits @ 1..=16 if needed <= bits => bits,
        _ => needed.clamp(8, 16),
    }
}

/// Entries from words, or from bytes when the data is only that long.
pub(crate) fn entries_of(data: &[u8], count: usize) -> Vec<u16> {
    if data.len() <= count + 1 && data.len() < 2 * count {
        data.iter().take(count).map(|b| u16::from(*b)).collect()
    } else {
        data.as_chunks::<2>()
            .0
            .iter()
            .take(count)
            .map(|w| u16::from_le_bytes(*w))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_or_words_by_length() {
        assert_eq!(entries_of(&[1, 2, 3, 0], 3), [1, 2, 3]);
        assert_eq!(entries_of(&[1, 2, 3, 0, 5, 0], 3), [513, 3, 5]);
        assert_eq!(entries_of(&[7, 0], 1), [7]);
    }

    #[test]
    fn lying_bits_are_corrected() {
        assert_eq!(entry_bits(12, 4095), 12);
        assert_eq!(entry_bits(8, 4095), 12);
        assert_eq!(entry_bits(0, 100), 8);
        assert_eq!(entry_bits(4096, 65535), 16);
    }

    #[test]
    fn inputs_beyond_the_table_take_its_ends() {
        let lut = Lut {
            first: -2,
            values: vec![10, 20, 30],
            bits: 8,
            explanation: None,
        };
        for (x, y) in [
            (-9.0, 10.0),
            (-1.0, 20.0),
            (-0.6, 20.0),
            (0.0, 30.0),
            (70.0, 30.0),
        ] {
            assert!((lut.at(x) - y).abs() < 1e-12, "{x}");
        }
    }
}
