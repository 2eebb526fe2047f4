//! Cleanup pass of one code-block (ITU-T T.814 clause 7): all bit planes at once, in quads of two by two samples.
//! Samples of a quad are counted down its columns: upper left, lower left, upper right, lower right.

use super::bits::{Codes, Magnitudes, Runs, finish};
use super::tables::{ENCODE_FIRST, ENCODE_OTHER, Encoding};

/// Side of a code-block in samples.
pub(super) const BLOCK: usize = 64;
const QUADS: usize = BLOCK / 2;

/// Encoder of code-blocks; keeps its memory from block to block.
#[derive(Debug)]
pub(super) struct BlockEncoder {
    magnitudes: Magnitudes,
    runs: Runs,
    codes: Codes,
    above: Above,
    next: Above,
    columns: Columns,
}

/// Two rows of samples, column by column: the upper one, the lower one. Two columns are a quad.
#[derive(Debug)]
struct Columns {
    exponents: [[u8; 2]; BLOCK],
    values: [[u32; 2]; BLOCK],
}

/// What a row of quads leaves for the row below: for each quad, what its two nearest samples above are (one of the quad
/// to the left, one of its own), with one place more at the right end.
#[derive(Debug, Clone, Copy)]
struct Above {
    /// Either is significant.
    significant: [u8; 64],
    /// The larger exponent.
    exponent: [u8; 64],
}

impl Above {
    const NOTHING: Self = Self {
        significant: [0; 64],
        exponent: [0; 64],
    };
}

/// Exponents of a quad's samples (0 for a sample of 0), and magnitude less one above its sign bit.
#[derive(Debug, Clone, Copy)]
struct Quad {
    exponents: [u8; 4],
    values: [u32; 4],
}

impl Quad {
    /// Bit `n` is set where sample `n` is not 0.
    #[inline(always)]
    fn significance(&self) -> u32 {
        // An exponent is below 0x80, so adding 0x7f carries into the highest bit of each that is not 0.
        let marks = (u32::from_le_bytes(self.exponents).wrapping_add(0x7f7f_7f7f) & 0x8080_8080) >> 7;
        marks.wrapping_mul(1 << 24 | 1 << 17 | 1 << 10 | 1 << 3) >> 24 & 15
    }

    #[inline(always)]
    fn largest(&self) -> u32 {
        let [a, b, c, d] = self.exponents;
        a.max(b).max(c.max(d)).into()
    }

    /// Bit `n` is set where sample `n` has this exponent.
    #[inline(always)]
    fn with_exponent(&self, exponent: u32) -> u32 {
        let [a, b, c, d] = self.exponents.map(|e| u32::from(u32::from(e) == exponent));
        a | b << 1 | c << 2 | d << 3
    }
}

/// Exponent, and magnitude less one above the sign bit; the latter means nothing for 0.
#[inline(always)]
fn split(value: i32) -> (u8, u32) {
    let magnitude = value.unsigned_abs().cast_signed();
    // The exponent of 2 m - 1 is read off it as a float, which holds it exactly below 2^24: vectors have no other way to
    // count bits.
    let float = (2 * magnitude - 1).max(0) as f32;
    let exponent = ((float.to_bits() >> 23) as u16).saturating_sub(126);
    let below = (2 * magnitude - 2).cast_unsigned();
    (exponent as u8, below | u32::from(value < 0))
}

/// Code of an excess exponent: prefix and its length, suffix and its length (T.814 table 3).
#[inline(always)]
fn excess(u: u32) -> (u32, u32, u32, u32) {
    match u {
        0 => (0, 0, 0, 0),
        1 => (1, 1, 0, 0),
        2 => (2, 2, 0, 0),
        3 | 4 => (4, 3, u - 3, 1),
        _ => (0, 3, u - 5, 5),
    }
}

impl BlockEncoder {
    pub(super) fn new() -> Self {
        Self {
            magnitudes: Magnitudes::new(),
            runs: Runs::new(),
            codes: Codes::new(),
            above: Above::NOTHING,
            next: Above::NOTHING,
            columns: Columns {
                exponents: [[0; 2]; BLOCK],
                values: [[0; 2]; BLOCK],
            },
        }
    }

    /// Appends the segment of a block to `out` and answers its bytes: 0 for a block of nothing but zeros, which is not
    /// coded. `samples` starts at the block's upper left and has `stride` samples a row; sides are 1 to [`BLOCK`].
    #[inline(always)]
    pub(super) fn encode(
        &mut self,
        samples: &[i32],
        stride: usize,
        (width, height): (usize, usize),
        out: &mut Vec<u8>,
    ) -> usize {
        let rows = || {
            samples
                .chunks(stride)
                .take(height)
                .map(|r| r.get(..width).unwrap_or(r))
        };
        if rows().all(|row| row.iter().all(|v| *v == 0)) {
            return 0;
        }
        self.magnitudes.clear();
        self.runs.clear();
        self.codes.clear();
        let mut rows = rows();
        let mut first = true;
        while let Some(upper) = rows.next() {
            self.load(upper, rows.next());
            self.next = Above::NOTHING;
            let count = width.div_ceil(2);
            if first {
                self.row::<true>(count, &ENCODE_FIRST);
            } else {
                self.row::<false>(count, &ENCODE_OTHER);
            }
            std::mem::swap(&mut self.above, &mut self.next);
            first = false;
        }
        let start = out.len();
        out.extend_from_slice(self.magnitudes.finish());
        finish(&mut self.runs, &mut self.codes, out);
        out.len() - start
    }

    /// Splits two rows of samples; what lies outside the block is 0.
    #[inline(always)]
    fn load(&mut self, upper: &[i32], lower: Option<&[i32]>) {
        let Columns { exponents, values } = &mut self.columns;
        let columns = exponents.iter_mut().zip(values.iter_mut());
        let width = upper.len().min(BLOCK);
        match lower {
            Some(lower) => {
                for (((e, v), a), b) in columns.zip(upper).zip(lower) {
                    let (a, b) = (split(*a), split(*b));
                    (*e, *v) = ([a.0, b.0], [a.1, b.1]);
                }
            }
            None => {
                for ((e, v), a) in columns.zip(upper) {
                    let a = split(*a);
                    (*e, *v) = ([a.0, 0], [a.1, 0]);
                }
            }
        }
        if width % 2 == 1 {
            exponents[width] = [0; 2];
        }
    }

    /// A quad of the two rows.
    #[inline(always)]
    fn at(&self, x: usize) -> Quad {
        let x = 2 * (x % QUADS);
        let ([a, b], [c, d]) = (self.columns.exponents[x], self.columns.exponents[x + 1]);
        let ([e, f], [g, h]) = (self.columns.values[x], self.columns.values[x + 1]);
        Quad {
            exponents: [a, b, c, d],
            values: [e, f, g, h],
        }
    }

    #[inline(always)]
    fn row<const FIRST: bool>(&mut self, count: usize, table: &Encoding) {
        // Samples of the quad to the left.
        let mut left = 0;
        let mut x = 0;
        while x < count {
            let u0 = self.quad::<FIRST>(x, &mut left, table);
            let u1 = if x + 1 < count {
                self.quad::<FIRST>(x + 1, &mut left, table)
            } else {
                0
            };
            self.excesses::<FIRST>(u0, u1);
            x += 2;
        }
    }

    /// Codes a quad but for its excess exponent, which is answered.
    #[inline(always)]
    fn quad<const FIRST: bool>(&mut self, x: usize, left: &mut u32, table: &Encoding) -> u32 {
        let quad = self.at(x);
        let significance = quad.significance();
        let (context, predicted) = if FIRST {
            (*left >> 1 | *left & 1, 1)
        } else {
            let near = |list: &[u8; 64]| (u32::from(list[x % QUADS]), u32::from(list[x % QUADS + 1]));
            let (a, b) = near(&self.above.significant);
            let (e, f) = near(&self.above.exponent);
            let west = u32::from(*left & 0xc != 0);
            let several = significance & significance.wrapping_sub(1) != 0;
            let predicted = if several { e.max(f).max(2) - 1 } else { 1 };
            (a | west << 1 | b << 2, predicted)
        };
        *left = significance;
        if context == 0 {
            self.runs.event(significance != 0);
        }
        if significance == 0 {
            // A context of 0 has no word for it: the event has said so.
            let word = table[(context << 8) as usize];
            self.codes.put(u32::from(word >> 8), u32::from(word >> 4 & 7));
            return 0;
        }
        let largest = quad.largest();
        let bits = largest.max(predicted);
        let excess = bits - predicted;
        let exponents = if excess > 0 {
            quad.with_exponent(largest)
        } else {
            0
        };
        let word = u32::from(table[(context << 8 | significance << 4 | exponents) as usize & 0x7ff]);
        self.codes.put(word >> 8, word >> 4 & 7);
        // Two samples at once; one that is 0 has no bits.
        for n in [0, 2] {
            let of = |n: usize| (bits - (word >> n & 1)) * (significance >> n & 1);
            let (count, more) = (of(n), of(n + 1));
            let mask = |count: u32| (1_u64 << count) - 1;
            let low = u64::from(quad.values[n]) & mask(count);
            let high = u64::from(quad.values[n + 1]) & mask(more);
            self.magnitudes.put(low | high << count, count + more);
        }
        let [_, b, _, d] = quad.exponents;
        let at = x % QUADS;
        self.next.significant[at] |= (significance >> 1 & 1) as u8;
        self.next.significant[at + 1] = (significance >> 3) as u8;
        self.next.exponent[at] = self.next.exponent[at].max(b);
        self.next.exponent[at + 1] = d;
        excess
    }

    /// Codes the excess exponents of two quads.
    #[inline(always)]
    fn excesses<const FIRST: bool>(&mut self, u0: u32, u1: u32) {
        let (mut a, mut b) = (u0, u1);
        if FIRST && u0 > 0 && u1 > 0 {
            let both_large = u0 > 2 && u1 > 2;
            self.runs.event(both_large);
            if both_large {
                (a, b) = (u0 - 2, u1 - 2);
            } else if u0 > 2 {
                let (prefix, prefix_bits, suffix, suffix_bits) = excess(u0);
                self.codes.put(prefix, prefix_bits);
                self.codes.put(u1 - 1, 1);
                self.codes.put(suffix, suffix_bits);
                self.codes.drain();
                return;
            }
        }
        let (a, b) = (excess(a), excess(b));
        self.codes.put(a.0, a.1);
        self.codes.put(b.0, b.1);
        self.codes.put(a.2, a.3);
        self.codes.put(b.2, b.3);
        self.codes.drain();
    }
}
