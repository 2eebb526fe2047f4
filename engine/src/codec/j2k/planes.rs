//! Bit planes of a block (ITU-T T.800 Annex D): three passes a plane, in stripes of four rows, column by column.

use super::mq::{Contexts, Mq, RUN, START, UNIFORM};
use super::simd;

/// Columns of stripes with a border all around: 1024 x 4 samples need the most.
const WORDS: usize = 4096;
const SAMPLES_MAX: usize = 4096;

// A word describes a column of a stripe. Bits 0 to 17: what is significant in three columns and six rows, from the upper
// left on, row by row; the column itself is the middle one and its samples are rows 1 to 4. Bits 18 to 23: which samples of
// the six rows of the middle column are negative. Bits 24 to 27: samples refined before. Bits 28 to 31: samples that the
// first pass of this plane has dealt with.
const NEAR: u32 = 0x3ffff;
const NEIGHBOURS: u32 = 0x1ef;
const ITSELF: u32 = 0x10;
/// The samples of the column themselves.
const COLUMN: u32 = 0x2490;
const NEGATIVE: u32 = 18;
const REFINED: u32 = 24;
const DONE: u32 = 28;

/// Kind of a band, for the contexts of significance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Low, or high down the columns only.
    Upright,
    /// High along the rows only.
    Across,
    /// High in both directions.
    Both,
}

/// Context of a sample's significance by its nine neighbourhood bits (T.800 table D.1).
const fn significance(kind: Kind) -> [u8; 512] {
    let mut table = [0u8; 512];
    let mut i = 0;
    while i < 512 {
        let horizontal = (i >> 3 & 1) + (i >> 5 & 1);
        let vertical = (i >> 1 & 1) + (i >> 7 & 1);
        let diagonal = (i & 1) + (i >> 2 & 1) + (i >> 6 & 1) + (i >> 8 & 1);
        let (h, v) = match kind {
            Kind::Across => (vertical, horizontal),
            _ => (horizontal, vertical),
        };
        table[i] = match kind {
            Kind::Both => match (diagonal, h + v) {
                (0, 0) => 0,
                (0, 1) => 1,
                (0, _) => 2,
                (1, 0) => 3,
                (1, 1) => 4,
                (1, _) => 5,
                (2, 0) => 6,
                (2, _) => 7,
                _ => 8,
            },
            _ => match (h, v, diagonal) {
                (2, _, _) => 8,
                (1, 0, 0) => 5,
                (1, 0, _) => 6,
                (1, _, _) => 7,
                (_, 2, _) => 4,
                (_, 1, _) => 3,
                (_, _, 0) => 0,
                (_, _, 1) => 1,
                _ => 2,
            },
        };
        i += 1;
    }
    table
}

static UPRIGHT: [u8; 512] = significance(Kind::Upright);
static ACROSS: [u8; 512] = significance(Kind::Across);
static BOTH: [u8; 512] = significance(Kind::Both);

/// Context of a sign, and above it whether the sign is to be turned, by the neighbours' significance (bits 0 to 3: above,
/// left, right, below) and negativity (bits 4 to 7) (T.800 tables D.2 and D.3).
static SIGNS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        // 0 nothing, 1 positive, -1 negative.
        let mut parts = [0i32; 4];
        let mut k = 0;
        while k < 4 {
            if i >> k & 1 == 1 {
                parts[k] = 1 - 2 * (i >> (k + 4) & 1) as i32;
            }
            k += 1;
        }
        let [above, left, right, below] = parts;
        let (h, v) = ((left + right).signum(), (above + below).signum());
        let (context, turned) = match (h, v) {
            (1, 1) => (13, 0),
            (1, 0) => (12, 0),
            (1, _) => (11, 0),
            (0, 1) => (10, 0),
            (0, 0) => (9, 0),
            (0, _) => (10, 1),
            (_, 1) => (11, 1),
            (_, 0) => (12, 1),
            _ => (13, 1),
        };
        table[i] = context | turned << 7;
        i += 1;
    }
    table
};

/// Decoder of blocks; keeps its memory from block to block.
#[derive(Debug)]
pub(super) struct PlaneDecoder {
    words: Box<[u32; WORDS]>,
    /// Magnitudes, four of a column beside each other, stripe by stripe.
    magnitudes: Box<[u32; SAMPLES_MAX]>,
}

/// What the passes of a block work on.
pub(super) struct Passes<'a> {
    mq: Mq<'a>,
    contexts: Contexts,
    words: &'a mut [u32; WORDS],
    magnitudes: &'a mut [u32; SAMPLES_MAX],
    significance: &'static [u8; 512],
    width: usize,
    height: usize,
    plane: u32,
}

/// Where a sample is: its column's word, its row in the stripe, its magnitude.
#[derive(Clone, Copy)]
struct Place {
    word: usize,
    row: u32,
    sample: usize,
}

/// A stripe: its first word, its first magnitude, its rows.
struct Stripe {
    word: usize,
    sample: usize,
    rows: u32,
}

impl PlaneDecoder {
    pub(super) fn new() -> Self {
        Self {
            words: Box::new([0; WORDS]),
            magnitudes: Box::new([0; SAMPLES_MAX]),
        }
    }

    /// Decodes a block of `width` x `height` whose highest plane is `top`, down to plane `lowest`, into `out`, which has
    /// `stride` samples a row. Samples that are not known to the last bit lie in the middle of what they can be.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        kind: Kind,
        (width, height): (usize, usize),
        (top, lowest): (u32, u32),
        out: &mut [i32],
        stride: usize,
    ) -> Option<()> {
        let stripes = height.div_ceil(4);
        let words = (width + 2) * (stripes + 2);
        if words > WORDS || 4 * stripes * width > SAMPLES_MAX || top > 30 {
            return None;
        }
        self.words[..words].fill(0);
        self.magnitudes[..4 * stripes * width].fill(0);
        let mut passes = Passes {
            mq: Mq::new(bytes),
            contexts: START,
            words: &mut self.words,
            magnitudes: &mut self.magnitudes,
            significance: match kind {
                Kind::Upright => &UPRIGHT,
                Kind::Across => &ACROSS,
                Kind::Both => &BOTH,
            },
            width,
            height,
            plane: top,
        };
        simd::run(&mut passes, (top, lowest));
        self.write((width, height), out, stride)
    }

    fn write(&self, (width, height): (usize, usize), out: &mut [i32], stride: usize) -> Option<()> {
        for (y, row) in out.chunks_mut(stride).take(height).enumerate() {
            let first_word = (y / 4 + 1) * (width + 2) + 1;
            let first_sample = y / 4 * 4 * width + y % 4;
            let words = self.words.get(first_word..first_word + width)?;
            let magnitudes = self.magnitudes.get(first_sample..)?.iter().step_by(4);
            for ((v, word), magnitude) in row.get_mut(..width)?.iter_mut().zip(words).zip(magnitudes) {
                let sign = (word >> (NEGATIVE + 1 + (y % 4) as u32) & 1)
                    .wrapping_neg()
                    .cast_signed();
                *v = (magnitude.cast_signed() ^ sign) - sign;
            }
        }
        Some(())
    }
}

fn stripes(width: usize, height: usize) -> impl Iterator<Item = Stripe> {
    (0..height).step_by(4).map(move |y| Stripe {
        word: (y / 4 + 1) * (width + 2) + 1,
        sample: y * width,
        rows: (height - y).min(4) as u32,
    })
}

/// Bit `n` is set where the column's sample `n` is significant.
#[inline(always)]
fn column(state: u32) -> u32 {
    state >> 4 & 1 | state >> 6 & 2 | state >> 8 & 4 | state >> 10 & 8
}

impl Passes<'_> {
    /// All passes from plane `top` down to plane `lowest`.
    #[inline(always)]
    pub(super) fn run(&mut self, (top, lowest): (u32, u32)) {
        // The highest plane has the last of the three passes only.
        for pass in 2..3 * (top + 1) {
            self.plane = top - pass / 3;
            if self.plane < lowest {
                break;
            }
            match pass % 3 {
                0 => self.spread(),
                1 => self.refine(),
                _ => self.clean(),
            }
        }
    }

    /// Samples beside significant ones (T.800 D.3.1).
    #[inline(always)]
    fn spread(&mut self) {
        let (mut mq, mut contexts) = (self.mq, self.contexts);
        for Stripe { word, sample, rows } in stripes(self.width, self.height) {
            for x in 0..self.width {
                let i = (word + x) % WORDS;
                if self.words[i] & NEAR == 0 {
                    continue;
                }
                for row in 0..rows {
                    let near = self.words[i] >> (3 * row);
                    if near & NEIGHBOURS == 0 || near & ITSELF != 0 {
                        continue;
                    }
                    let context = self.significance[(near & 0x1ff) as usize];
                    let mut done = 1 << (DONE + row);
                    if mq.bit(&mut contexts, context.into()) == 1 {
                        let sample = sample + 4 * x + row as usize;
                        done |= self.found(&mut mq, &mut contexts, Place { word: i, row, sample });
                    }
                    self.words[i] |= done;
                }
            }
        }
        (self.mq, self.contexts) = (mq, contexts);
    }

    /// One more bit of samples that were significant before this plane (T.800 D.3.3).
    #[inline(always)]
    fn refine(&mut self) {
        let (mut mq, mut contexts) = (self.mq, self.contexts);
        // The middle of what the lower planes can still say.
        let (bit_place, middle) = (1u32 << self.plane, (1u32 << self.plane) >> 1);
        for Stripe { word, sample, rows } in stripes(self.width, self.height) {
            let full = 0xf >> (4 - rows);
            for x in 0..self.width {
                let place = &mut self.words[(word + x) % WORDS];
                let mut state = *place;
                if state & COLUMN == 0 {
                    continue;
                }
                let mut wanted = column(state) & !(state >> DONE) & full;
                while wanted != 0 {
                    let row = wanted.trailing_zeros();
                    wanted &= wanted - 1;
                    let near = state >> (3 * row);
                    let first = 14 + usize::from(near & NEIGHBOURS != 0);
                    let context = if state >> (REFINED + row) & 1 == 1 {
                        16
                    } else {
                        first
                    };
                    let bit = mq.bit(&mut contexts, context);
                    state |= 1 << (REFINED + row);
                    let magnitude = &mut self.magnitudes[(sample + 4 * x + row as usize) % SAMPLES_MAX];
                    *magnitude = *magnitude & !bit_place | bit_place & bit.wrapping_neg() | middle;
                }
                *place = state;
            }
        }
        (self.mq, self.contexts) = (mq, contexts);
    }

    /// All the others (T.800 D.3.4).
    #[inline(always)]
    fn clean(&mut self) {
        let (mut mq, mut contexts) = (self.mq, self.contexts);
        for Stripe { word, sample, rows } in stripes(self.width, self.height) {
            let full = 0xf >> (4 - rows);
            for x in 0..self.width {
                let i = (word + x) % WORDS;
                let mut first = 0;
                let mut known = false;
                let state = self.words[i];
                if rows == 4 && state & (NEAR | 0xf << DONE) == 0 {
                    // Nothing near a whole column: one symbol says whether there is anything in it, two where.
                    if mq.bit(&mut contexts, RUN) == 0 {
                        continue;
                    }
                    first = mq.bit(&mut contexts, UNIFORM) << 1;
                    first |= mq.bit(&mut contexts, UNIFORM);
                    known = true;
                }
                let mut wanted = !(column(state) | state >> DONE) & full & (0xf << first);
                while wanted != 0 {
                    let row = wanted.trailing_zeros();
                    wanted &= wanted - 1;
                    let near = self.words[i] >> (3 * row);
                    let context = self.significance[(near & 0x1ff) as usize];
                    if known || mq.bit(&mut contexts, context.into()) == 1 {
                        let sample = sample + 4 * x + row as usize;
                        self.words[i] |= self.found(&mut mq, &mut contexts, Place { word: i, row, sample });
                    }
                    known = false;
                }
                self.words[i] &= !(0xf << DONE);
            }
        }
        (self.mq, self.contexts) = (mq, contexts);
    }

    /// A sample has become significant: its sign is read (T.800 D.3.2) and its neighbours are told. Answers the bits that
    /// its own column gets.
    #[inline(always)]
    fn found(&mut self, mq: &mut Mq<'_>, contexts: &mut Contexts, place: Place) -> u32 {
        let Place { word: i, row, sample } = place;
        let (left, right) = (i.wrapping_sub(1) % WORDS, (i + 1) % WORDS);
        let own = self.words[i];
        let near = own >> (3 * row);
        // Above, left, right, below.
        let significant = near >> 1 & 1 | near >> 2 & 2 | near >> 3 & 4 | near >> 4 & 8;
        let negative = |word: u32, k: u32| word >> (NEGATIVE + row + k) & 1;
        let negatives = negative(own, 0)
            | negative(self.words[left], 1) << 1
            | negative(self.words[right], 1) << 2
            | negative(own, 2) << 3;
        let entry = SIGNS[((significant | negatives << 4) & 0xff) as usize];
        let sign = mq.bit(contexts, (entry & 31).into()) ^ u32::from(entry >> 7);
        self.magnitudes[sample % SAMPLES_MAX] = 1 << self.plane | (1 << self.plane) >> 1;
        let beside = 3 * (row + 1);
        self.words[left] |= 4 << beside;
        self.words[right] |= 1 << beside;
        if row == 0 {
            let up = i.wrapping_sub(self.width + 2);
            self.words[up % WORDS] |= 1 << 16 | sign << (NEGATIVE + 5);
            self.words[up.wrapping_sub(1) % WORDS] |= 1 << 17;
            self.words[(up + 1) % WORDS] |= 1 << 15;
        } else if row == 3 {
            let down = i + self.width + 2;
            self.words[down % WORDS] |= 1 << 1 | sign << NEGATIVE;
            self.words[down.wrapping_sub(1) % WORDS] |= 1 << 2;
            self.words[(down + 1) % WORDS] |= 1;
        }
        2 << beside | sign << (NEGATIVE + 1 + row)
    }
}
