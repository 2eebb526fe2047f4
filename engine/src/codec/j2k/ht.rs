//! Cleanup pass of a high-throughput block (ITU-T T.814 clause 7): first the codes of a row of quads, then its samples.
//! Samples of a quad are counted down its columns: upper left, lower left, upper right, lower right.

use super::super::htj2k::tables::{DECODE_FIRST, DECODE_OTHER, Decoding};
use super::ht_bits::{Plain, Runs};

/// Quads of the widest block.
const QUADS_MAX: usize = 512;
/// Bits of a sample that two can be read of at once.
const BITS_MAX: u32 = 28;
/// Bits of a sample that four can be read of at once.
const NARROW_BITS_MAX: u32 = 14;
const SCUP_MAX: usize = 4079;

/// What the codes say of a quad: the table's entry, and its excess exponent.
#[derive(Debug, Clone, Copy, Default)]
struct Quad {
    entry: u16,
    excess: u16,
}

impl Quad {
    #[inline(always)]
    fn significance(self) -> u32 {
        u32::from(self.entry >> 4 & 15)
    }
}

/// Decoder of blocks; keeps its memory from block to block.
#[derive(Debug)]
pub(super) struct HtDecoder {
    samples: Plain,
    codes: Plain,
    quads: [Quad; QUADS_MAX + 2],
    /// Largest exponent of the two samples above a quad's left half and the one before.
    above: [u8; QUADS_MAX + 2],
    /// Whether either of these is significant.
    significant: [u8; QUADS_MAX + 2],
}

impl HtDecoder {
    pub(super) fn new() -> Self {
        Self {
            samples: Plain::default(),
            codes: Plain::default(),
            quads: [Quad::default(); QUADS_MAX + 2],
            above: [0; QUADS_MAX + 2],
            significant: [0; QUADS_MAX + 2],
        }
    }

    /// Decodes a block of `width` x `height` into `out`, which has `stride` samples a row; `planes` is the number of bit
    /// planes that the band can have.
    pub(super) fn decode(
        &mut self,
        segment: &[u8],
        (width, height): (usize, usize),
        planes: u32,
        out: &mut [i32],
        stride: usize,
    ) -> Option<()> {
        let [.., low, high] = *segment else {
            return None;
        };
        let shared = usize::from(high) << 4 | usize::from(low & 15);
        if shared < 2 || shared > segment.len() || shared > SCUP_MAX || planes > BITS_MAX {
            return None;
        }
        let (samples, shared) = segment.split_at(segment.len() - shared);
        self.samples.forward(samples);
        self.codes.backward(shared);
        let mut runs = Runs::new(shared);
        let count = width.div_ceil(2);
        if count > QUADS_MAX {
            return None;
        }
        self.above.fill(0);
        self.significant.fill(0);
        let mut rows = out.chunks_mut(stride).take(height);
        let mut first = true;
        while let Some(upper) = rows.next() {
            let upper = upper.get_mut(..width)?;
            let lower = match rows.next() {
                Some(row) => Some(row.get_mut(..width)?),
                None => None,
            };
            if first {
                self.codes_of_row::<true>(count, &mut runs, &DECODE_FIRST);
            } else {
                self.codes_of_row::<false>(count, &mut runs, &DECODE_OTHER);
            }
            self.samples_of_row(count, planes, first, upper, lower)?;
            first = false;
        }
        Some(())
    }

    fn codes_of_row<const FIRST: bool>(&mut self, count: usize, runs: &mut Runs<'_>, table: &Decoding) {
        let mut left = 0u32;
        let mut x = 0;
        while x < count {
            let mut word = self.codes.peek();
            let a = self.code_of_quad::<FIRST>(x, &mut left, &mut word, runs, table);
            let b = if x + 1 < count {
                self.code_of_quad::<FIRST>(x + 1, &mut left, &mut word, runs, table)
            } else {
                0
            };
            let (u, v) = excesses::<FIRST>(a, b, word, &mut self.codes.at, runs);
            self.quads[x] = Quad { entry: a, excess: u };
            self.quads[x + 1] = Quad { entry: b, excess: v };
            x += 2;
        }
    }

    #[inline(always)]
    fn code_of_quad<const FIRST: bool>(
        &mut self,
        x: usize,
        left: &mut u32,
        word: &mut u64,
        runs: &mut Runs<'_>,
        table: &Decoding,
    ) -> u16 {
        let context = if FIRST {
            *left >> 1 | *left & 1
        } else {
            let (a, b) = (u32::from(self.significant[x]), u32::from(self.significant[x + 1]));
            a | u32::from(*left & 0xc != 0) << 1 | b << 2
        };
        if context == 0 && !runs.event() {
            *left = 0;
            return 0;
        }
        let entry = table[(context << 7) as usize & 0x380 | (*word & 0x7f) as usize];
        let length = entry & 7;
        *word >>= length;
        self.codes.at += usize::from(length);
        *left = u32::from(entry >> 4 & 15);
        entry
    }

    fn samples_of_row(
        &mut self,
        count: usize,
        planes: u32,
        first: bool,
        upper: &mut [i32],
        mut lower: Option<&mut [i32]>,
    ) -> Option<()> {
        let outside = if lower.is_none() { 0b1010 } else { 0 };
        // What the quad before leaves for this one's left column.
        let (mut exponent_before, mut significant_before) = (0u8, 0u8);
        let mut above = self.above[0];
        for x in 0..count {
            let quad = self.quads[x];
            let significance = quad.significance();
            let next_above = self.above[x + 1];
            let several = significance & significance.wrapping_sub(1) != 0;
            let predicted = if several && !first {
                u32::from(above.max(next_above)).max(2) - 1
            } else {
                1
            };
            above = next_above;
            let bits = u32::from(quad.excess) + predicted;
            let last_column = 2 * x + 1 == upper.len();
            let outside = if last_column { outside | 0b1100 } else { outside };
            if bits > planes && significance != 0 || significance & outside != 0 {
                return None;
            }
            let [a, b, c, d] = if significance == 0 {
                [0; 4]
            } else {
                self.values(quad.entry, bits)
            };
            // Exponent of 2 m - 1: of the value with its sign bit set.
            let exponent =
                |v: u32, n: u32| (significance >> n & 1) as u8 * (32 - (v | 1).leading_zeros()) as u8;
            let (low_left, low_right) = (exponent(b, 1), exponent(d, 3));
            self.above[x] = exponent_before.max(low_left);
            self.significant[x] = significant_before | (significance >> 1 & 1) as u8;
            (exponent_before, significant_before) = (low_right, (significance >> 3) as u8);
            let value = |v: u32, n: u32| signed(v, significance >> n & 1);
            store(upper, x, value(a, 0), value(c, 2));
            if let Some(row) = lower.as_deref_mut() {
                store(row, x, value(b, 1), value(d, 3));
            }
        }
        self.above[count] = exponent_before;
        self.significant[count] = significant_before;
        Some(())
    }

    /// Values of a quad's samples: magnitude less one above the sign bit.
    #[inline(always)]
    fn values(&mut self, entry: u16, bits: u32) -> [u32; 4] {
        let entry = u32::from(entry);
        let count = |n: u32| (bits - (entry >> (12 + n) & 1)) & (entry >> (4 + n) & 1).wrapping_neg();
        let known = |n: u32, count: u32| (entry >> (8 + n) & 1) << count;
        let mut counts = [0; 4];
        let mut values = [0; 4];
        let mut word = self.samples.peek();
        for n in 0..4 {
            if n == 2 && bits > NARROW_BITS_MAX {
                self.samples.at += (counts[0] + counts[1]) as usize;
                word = self.samples.peek();
            }
            let k = count(n as u32);
            counts[n] = k;
            values[n] = (word as u32) & ((1u32 << k) - 1) | known(n as u32, k);
            word >>= k;
        }
        let [a, b, c, d] = counts;
        let before = if bits > NARROW_BITS_MAX { 0 } else { a + b };
        self.samples.at += (before + c + d) as usize;
        values
    }
}

#[inline(always)]
fn signed(value: u32, significant: u32) -> i32 {
    let magnitude = ((value >> 1) + 1).cast_signed();
    let sign = (value & 1).wrapping_neg().cast_signed();
    ((magnitude ^ sign) - sign) & significant.wrapping_neg().cast_signed()
}

#[inline(always)]
fn store(row: &mut [i32], x: usize, left: i32, right: i32) {
    match row.get_mut(2 * x..) {
        Some([a, b, ..]) => (*a, *b) = (left, right),
        Some([a]) => *a = left,
        _ => {}
    }
}

/// Prefixes of an excess exponent by its three lowest bits (T.814 table 3): what it counts at least, bits of the prefix,
/// bits of the suffix.
const PREFIXES: [(u16, u32, u32); 8] = [
    (5, 3, 5),
    (1, 1, 0),
    (2, 2, 0),
    (1, 1, 0),
    (3, 3, 1),
    (1, 1, 0),
    (2, 2, 0),
    (1, 1, 0),
];

/// Bits that are read while those of a row's codes are at hand.
struct Cursor<'a> {
    word: u64,
    at: &'a mut usize,
}

impl Cursor<'_> {
    #[inline(always)]
    fn take(&mut self, count: u32) -> u16 {
        let value = (self.word & ((1 << count) - 1)) as u16;
        self.word >>= count;
        *self.at += count as usize;
        value
    }

    /// The least that an exponent counts, and the bits of its suffix.
    #[inline(always)]
    fn prefix(&mut self, has: bool) -> (u16, u32) {
        if !has {
            return (0, 0);
        }
        let (least, bits, suffix) = PREFIXES[(self.word & 7) as usize];
        self.word >>= bits;
        *self.at += bits as usize;
        (least, suffix)
    }
}

/// The excess exponents of two quads.
#[inline(always)]
fn excesses<const FIRST: bool>(a: u16, b: u16, word: u64, at: &mut usize, runs: &mut Runs<'_>) -> (u16, u16) {
    let (has_a, has_b) = (a & 8 != 0, b & 8 != 0);
    if !has_a && !has_b {
        return (0, 0);
    }
    let mut bits = Cursor { word, at };
    let both = FIRST && has_a && has_b;
    let large = both && runs.event();
    let (mut u, u_bits) = bits.prefix(has_a);
    let (mut v, v_bits) = if both && !large && u > 2 {
        // Not both are large: one bit is enough for the second.
        (1 + bits.take(1), 0)
    } else {
        bits.prefix(has_b)
    };
    u += bits.take(u_bits);
    v += bits.take(v_bits);
    // Suffixes of 28 and more go on with four bits that count in fours.
    if u >= 33 {
        u += bits.take(4) << 2;
    }
    if v >= 33 {
        v += bits.take(4) << 2;
    }
    let more = if large { 2 } else { 0 };
    (u + more, v + more)
}
