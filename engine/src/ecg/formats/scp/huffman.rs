//! Huffman tables of section 2 and the decoding of their streams (EN 1064 section 5.5 and annex C).

use super::super::raw::{i16_le, u16_le, u32_le};
use super::FORMAT;
use crate::ecg::error::EcgError;

/// Number in place of the table count that stands for the default table.
const DEFAULT_TABLE: u16 = 19_999;
/// Most tables in one file.
const TABLES_MAX: usize = 64;
/// Most codes in one table.
const CODES_MAX: usize = 4_096;
/// Bytes of one code in section 2.
const CODE_BYTES: usize = 9;

/// The default table: bits of the prefix, bits of the whole code, value, code with its first bit lowest.
const DEFAULT_CODES: [(u8, u8, i16, u32); 19] = [
    (1, 1, 0, 0),
    (3, 3, 1, 0x001),
    (3, 3, -1, 0x005),
    (4, 4, 2, 0x003),
    (4, 4, -2, 0x00b),
    (5, 5, 3, 0x007),
    (5, 5, -3, 0x017),
    (6, 6, 4, 0x00f),
    (6, 6, -4, 0x02f),
    (7, 7, 5, 0x01f),
    (7, 7, -5, 0x05f),
    (8, 8, 6, 0x03f),
    (8, 8, -6, 0x0bf),
    (9, 9, 7, 0x07f),
    (9, 9, -7, 0x17f),
    (10, 10, 8, 0x0ff),
    (10, 10, -8, 0x2ff),
    (10, 18, 0, 0x1ff),
    (10, 26, 0, 0x3ff),
];

/// What stands at a leaf of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaf {
    Value(i16),
    /// So many bits follow that are the value itself, in two's complement.
    Literal(u8),
    /// The next code is of the table with this number, from 0.
    Switch(usize),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Node {
    next: [Option<usize>; 2],
    leaf: Option<Leaf>,
}

/// One table as a binary tree: a code is found in as many steps as it has bits, whatever the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    nodes: Vec<Node>,
}

impl Table {
    fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }

    fn insert(&mut self, bits: u8, code: u32, leaf: Leaf) {
        let mut at = 0;
        for place in 0..bits {
            let bit = (code >> place & 1) as usize;
            at = match self.nodes[at].next[bit] {
                Some(next) => next,
                None => {
                    self.nodes.push(Node::default());
                    let made = self.nodes.len() - 1;
                    self.nodes[at].next[bit] = Some(made);
                    made
                }
            };
        }
        self.nodes[at].leaf = Some(leaf);
    }
}

/// The tables of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tables {
    /// Samples are stored as 16-bit numbers.
    None,
    /// At least one table; decoding starts with the first.
    Some(Vec<Table>),
}

impl Tables {
    pub(super) fn parse(body: &[u8]) -> Result<Self, EcgError> {
        let bad = |value: usize, expected| {
            EcgError::field(FORMAT, "Huffman table of section 2", value.to_string(), expected)
        };
        let count = u16_le(body, 0).ok_or_else(|| bad(body.len(), "a number of tables"))?;
        if count == DEFAULT_TABLE {
            return Ok(Self::default_table());
        }
        let count = usize::from(count);
        if count == 0 {
            return Ok(Self::None);
        }
        if count > TABLES_MAX {
            return Err(bad(count, "at most 64 tables, or 19999 for the default one"));
        }
        let (mut tables, mut at) = (Vec::with_capacity(count), 2);
        for _ in 0..count {
            let codes = usize::from(u16_le(body, at).ok_or_else(|| bad(at, "a number of codes"))?);
            at += 2;
            let part = body.get(at..at + codes * CODE_BYTES);
            let part = part.filter(|_| codes <= CODES_MAX);
            let part = part.ok_or_else(|| bad(codes, "as many codes as the section holds, at most 4096"))?;
            at += codes * CODE_BYTES;
            tables.push(parse_table(part, count)?);
        }
        Ok(Self::Some(tables))
    }

    pub(super) fn default_table() -> Self {
        let mut table = Table::new();
        for (prefix, whole, value, code) in DEFAULT_CODES {
            let leaf = match whole - prefix {
                0 => Leaf::Value(value),
                bits => Leaf::Literal(bits),
            };
            table.insert(prefix, code, leaf);
        }
        Self::Some(vec![table])
    }

    /// Decodes at most `wanted` numbers; fewer where the stream ends or breaks.
    pub(super) fn decode(&self, data: &[u8], wanted: usize) -> Vec<i32> {
        let Self::Some(tables) = self else {
            let words = data.as_chunks::<2>().0.iter().take(wanted);
            return words.map(|word| i32::from(i16::from_le_bytes(*word))).collect();
        };
        // A number takes at least one bit.
        let mut out = Vec::with_capacity(wanted.min(data.len() * 8));
        let (mut bits, mut table) = (Bits { data, at: 0 }, 0);
        while out.len() < wanted {
            let Some(leaf) = tables.get(table).and_then(|t| next_leaf(t, &mut bits)) else {
                break;
            };
            match leaf {
                Leaf::Value(value) => out.push(i32::from(value)),
                Leaf::Switch(other) => table = other,
                Leaf::Literal(width) => match bits.signed(width) {
                    Some(value) => out.push(value),
                    None => break,
                },
            }
        }
        out
    }
}

fn parse_table(part: &[u8], tables: usize) -> Result<Table, EcgError> {
    let bad = |what: &str| {
        EcgError::field(
            FORMAT,
            "Huffman code of section 2",
            what,
            "a code of 1 to 32 bits",
        )
    };
    let mut table = Table::new();
    for code in part.as_chunks::<CODE_BYTES>().0 {
        let (prefix, whole, data_code) = (code[0], code[1], code[2] != 0);
        let value = i16_le(code, 3).unwrap_or(0);
        let bits = u32_le(code, 5).unwrap_or(0);
        if !(1..=32).contains(&prefix) || whole < prefix || whole - prefix > 32 {
            return Err(bad(&format!("{prefix} of {whole} bits")));
        }
        let leaf = if !data_code {
            let wanted = usize::try_from(value).ok().filter(|n| (1..=tables).contains(n));
            Leaf::Switch(wanted.ok_or_else(|| bad(&format!("a switch to table {value}")))? - 1)
        } else if whole == prefix {
            Leaf::Value(value)
        } else {
            Leaf::Literal(whole - prefix)
        };
        table.insert(prefix, bits, leaf);
    }
    Ok(table)
}

fn next_leaf(table: &Table, bits: &mut Bits<'_>) -> Option<Leaf> {
    let mut at = 0;
    loop {
        at = table.nodes[at].next[bits.next()?]?;
        if let Some(leaf) = table.nodes[at].leaf {
            return Some(leaf);
        }
    }
}

/// Bits from the highest of each byte.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self) -> Option<usize> {
        let byte = *self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(usize::from(bit))
    }

    fn signed(&mut self, width: u8) -> Option<i32> {
        let mut value = 0_i64;
        for place in 0..width {
            let bit = self.next()? as i64;
            value = if place == 0 { -bit } else { value << 1 | bit };
        }
        i32::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BitWriter, encode_default};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_table_decodes() {
        let check = |text: &str, expect: &[i32]| {
            let mut bits = BitWriter::default();
            text.bytes()
                .filter(|b| *b != b' ')
                .for_each(|b| bits.bit(b == b'1'));
            let bytes = bits.finish();
            assert_eq!(
                Tables::default_table().decode(&bytes, expect.len()),
                expect,
                "{text}"
            );
        };
        check("0 100 101 1100 1101", &[0, 1, -1, 2, -2]);
        check("1111111100 1111111101", &[8, -8]);
        check("111111100 111111101", &[7, -7]);
        check("1111111110 11111111", &[-1]);
        check("1111111111 0000000100000000 0", &[256, 0]);
    }

    #[test]
    fn own_tables_switch() {
        // table 1: 0 -> value 5, 1 -> table 2; table 2: 0 -> 4 bits of value, 1 -> back
        let code = |prefix: u8, whole: u8, data: u8, value: i16, bits: u32| {
            let mut out = vec![prefix, whole, data];
            out.extend(value.to_le_bytes());
            out.extend(bits.to_le_bytes());
            out
        };
        let body = [
            2_u16.to_le_bytes().to_vec(),
            2_u16.to_le_bytes().to_vec(),
            code(1, 1, 1, 5, 0),
            code(1, 1, 0, 2, 1),
            2_u16.to_le_bytes().to_vec(),
            code(1, 5, 1, 0, 0),
            code(1, 1, 0, 1, 1),
        ]
        .concat();
        let tables = Tables::parse(&body).unwrap();
        // 0 | 1 | 0 1110 | 1 | 0
        assert_eq!(tables.decode(&[0b0101_1101, 0b0000_0000], 3), [5, -2, 5]);
    }

    #[test]
    fn impossible_tables_are_refused() {
        let check = |body: &[u8]| assert!(Tables::parse(body).is_err(), "{body:?}");
        check(&[]);
        check(&[65, 0]);
        check(&[1, 0, 2, 0, 1, 1, 1]);
        check(&[1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        check(&[1, 0, 1, 0, 1, 1, 0, 9, 0, 0, 0, 0, 0]);
        assert_eq!(Tables::parse(&[0, 0]), Ok(Tables::None));
    }

    proptest! {
        #[test]
        fn encoded_numbers_come_back(values in proptest::collection::vec(-32_768_i32..=32_767, 0..200)) {
            let bytes = encode_default(&values);
            prop_assert_eq!(Tables::default_table().decode(&bytes, values.len()), values);
        }

        #[test]
        fn hostile_tables_and_streams_never_panic(body in proptest::collection::vec(any::<u8>(), 0..100), data in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(tables) = Tables::parse(&body) {
                prop_assert!(tables.decode(&data, 10_000).len() <= data.len() * 8);
            }
        }
    }
}
