//! Huffman tables (ITU-T T.81 Annex C and F.2.2.3).

use super::CODEC;
use super::bits::BitReader;
use crate::error::{ImagingError, Result};

const FAST_BITS: u32 = 9;
const NO_CODE: u16 = u16::MAX;

/// A decoding table.
#[derive(Debug, Clone)]
pub(super) struct Huffman {
    /// By the next 9 bits: length of the code times 256 plus its symbol, or [`NO_CODE`] for longer ones.
    fast: Vec<u16>,
    /// First code of each length that is too large, shifted to 16 bits; 0 where there is no code.
    limit: [u32; 17],
    /// What to add to a code of each length to get the index of its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the counts of codes of 1 to 16 bits and the symbols in order.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self> {
        let wrong = || ImagingError::damaged(CODEC, "an impossible Huffman table");
        let mut table = Self {
            fast: vec![NO_CODE; 1 << FAST_BITS],
            limit: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(*counts.get(length as usize - 1).ok_or_else(wrong)?);
            *table.offset.get_mut(length as usize).ok_or_else(wrong)? = index as i32 - code as i32;
            for symbol in symbols.get(index..index + count).ok_or_else(wrong)? {
                if code >= 1 << length {
                    return Err(wrong());
                }
                if length <= FAST_BITS {
                    let from = (code << (FAST_BITS - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(*symbol);
                    table
                        .fast
                        .get_mut(from..from + (1 << (FAST_BITS - length)))
                        .ok_or_else(wrong)?
                        .fill(entry);
                }
                code += 1;
            }
            index += count;
            *table.limit.get_mut(length as usize).ok_or_else(wrong)? =
                if count > 0 { code << (16 - length) } else { 0 };
            code <<= 1;
        }
        Ok(table)
    }

    /// The next symbol; needs 16 bits ready. `None` for bits that are no code.
    #[inline]
    pub(super) fn decode(&self, reader: &mut BitReader<'_>) -> Option<u8> {
        let entry = self
            .fast
            .get(reader.peek(FAST_BITS) as usize)
            .copied()
            .unwrap_or(NO_CODE);
        if entry != NO_CODE {
            reader.skip(u32::from(entry >> 8));
            return Some(entry as u8);
        }
        self.decode_slowly(reader)
    }

    #[cold]
    fn decode_slowly(&self, reader: &mut BitReader<'_>) -> Option<u8> {
        let bits = reader.peek(16);
        let longer = self
            .limit
            .iter()
            .zip(&self.offset)
            .enumerate()
            .skip(FAST_BITS as usize + 1);
        for (length, (limit, offset)) in longer {
            if bits < *limit {
                reader.skip(length as u32);
                let index = (bits >> (16 - length)).cast_signed() + offset;
                return self.symbols.get(usize::try_from(index).ok()?).copied();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_codes() {
        // one code of each length 1 to 12: 0, 10, 110, ... and symbols 1 to 12
        let mut counts = [0u8; 16];
        counts[..12].fill(1);
        let symbols: Vec<u8> = (1..=12).collect();
        let table = Huffman::new(&counts, &symbols).unwrap();
        for k in 1..=12u32 {
            let word = ((1u64 << 32) - (1u64 << (33 - k))) as u32;
            let data: Vec<u8> = word
                .to_be_bytes()
                .iter()
                .flat_map(|b| if *b == 0xff { vec![0xff, 0] } else { vec![*b] })
                .collect();
            let mut r = BitReader::new(&data, 0);
            r.refill();
            assert_eq!(table.decode(&mut r), Some(k as u8));
        }
        let mut r = BitReader::new(&[0xff, 0, 0xff, 0, 0xff, 0], 0);
        r.refill();
        assert_eq!(table.decode(&mut r), None);
    }

    #[test]
    fn impossible_tables_are_refused() {
        let mut counts = [0u8; 16];
        counts[0] = 3;
        assert!(Huffman::new(&counts, &[1, 2, 3]).is_err());
        counts[0] = 2;
        assert!(Huffman::new(&counts, &[1]).is_err());
    }
}
