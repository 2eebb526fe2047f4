//! The MQ arithmetic decoder (ITU-T T.800 Annex C).

/// States of the estimator (T.800 table C.2): probability, next state after the more and after the less probable symbol,
/// and whether that one changes which symbol is the more probable.
const ESTIMATES: [(u16, u8, u8, bool); 47] = [
    (0x5601, 1, 1, true),
    (0x3401, 2, 6, false),
    (0x1801, 3, 9, false),
    (0x0ac1, 4, 12, false),
    (0x0521, 5, 29, false),
    (0x0221, 38, 33, false),
    (0x5601, 7, 6, true),
    (0x5401, 8, 14, false),
    (0x4801, 9, 14, false),
    (0x3801, 10, 14, false),
    (0x3001, 11, 17, false),
    (0x2401, 12, 18, false),
    (0x1c01, 13, 20, false),
    (0x1601, 29, 21, false),
    (0x5601, 15, 14, true),
    (0x5401, 16, 14, false),
    (0x5101, 17, 15, false),
    (0x4801, 18, 16, false),
    (0x3801, 19, 17, false),
    (0x3401, 20, 18, false),
    (0x3001, 21, 19, false),
    (0x2801, 22, 19, false),
    (0x2401, 23, 20, false),
    (0x2201, 24, 21, false),
    (0x1c01, 25, 22, false),
    (0x1801, 26, 23, false),
    (0x1601, 27, 24, false),
    (0x1401, 28, 25, false),
    (0x1201, 29, 26, false),
    (0x1101, 30, 27, false),
    (0x0ac1, 31, 28, false),
    (0x09c1, 32, 29, false),
    (0x08a1, 33, 30, false),
    (0x0521, 34, 31, false),
    (0x0441, 35, 32, false),
    (0x02a1, 36, 33, false),
    (0x0221, 37, 34, false),
    (0x0141, 38, 35, false),
    (0x0111, 39, 36, false),
    (0x0085, 40, 37, false),
    (0x0049, 41, 38, false),
    (0x0025, 42, 39, false),
    (0x0015, 43, 40, false),
    (0x0009, 44, 41, false),
    (0x0005, 45, 42, false),
    (0x0001, 45, 43, false),
    (0x5601, 46, 46, false),
];

/// By state and more probable symbol (`state << 1 | symbol`): probability above bit 16, what follows the more probable
/// symbol above bit 8, what follows the less probable one below.
static STEPS: [u32; 128] = {
    let mut steps = [0u32; 128];
    let mut i = 0;
    while i < 2 * ESTIMATES.len() {
        let (probability, more, less, change) = ESTIMATES[i / 2];
        let symbol = (i & 1) as u32;
        let after_less = (less as u32) << 1 | (symbol ^ change as u32);
        steps[i] = (probability as u32) << 16 | ((more as u32) << 1 | symbol) << 8 | after_less;
        i += 1;
    }
    steps
};

/// Contexts, with room so that an index of five bits needs no check.
pub(super) type Contexts = [u8; 32];

/// Contexts at the start of a block (T.800 table D.7): the first of the significance, the run length, the uniform one.
pub(super) const START: Contexts = {
    let mut contexts = [0; 32];
    contexts[0] = 4 << 1;
    contexts[RUN] = 3 << 1;
    contexts[UNIFORM] = 46 << 1;
    contexts
};
/// Context of the run length.
pub(super) const RUN: usize = 17;
/// Context of bits that are as often 0 as 1.
pub(super) const UNIFORM: usize = 18;

/// The decoder; copied into a pass so that it stays in registers.
///
/// The highest 16 bits of `code` are those that are compared; `left` bits below them have been read already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mq<'a> {
    bytes: &'a [u8],
    at: usize,
    code: u64,
    interval: u32,
    left: u32,
}

/// Bits below those that are compared.
const BELOW: u32 = 48;

impl<'a> Mq<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut mq = Self {
            bytes,
            at: 0,
            code: u64::from(bytes.first().copied().unwrap_or(0xff)) << BELOW,
            interval: 0x8000,
            left: 0,
        };
        mq.fill();
        mq.code <<= 7;
        mq.left -= 7;
        mq
    }

    /// Reads bytes while there is room for one. A byte behind one of ones has seven bits and a carry. Ones follow the end.
    #[inline(never)]
    fn fill(&mut self) {
        let get = |at: usize| u64::from(self.bytes.get(at).copied().unwrap_or(0xff));
        let mut now = get(self.at);
        while self.left <= BELOW - 8 {
            let next = get(self.at + 1);
            let place = BELOW - 8 - self.left;
            if now != 0xff {
                self.code = self.code.wrapping_add(next << place);
                self.left += 8;
            } else if next <= 0x8f {
                self.code = self.code.wrapping_add(next << 1 << place);
                self.left += 7;
            } else {
                self.code = self.code.wrapping_add(0xff << place);
                self.left += 8;
                continue;
            }
            self.at += 1;
            now = next;
        }
    }

    /// The next symbol, without a choice that the processor would have to guess: most symbols are hard to foresee.
    #[inline(always)]
    pub(super) fn bit(&mut self, contexts: &mut Contexts, context: usize) -> u32 {
        let place = &mut contexts[context & 31];
        let state = *place;
        let step = STEPS[usize::from(state & 127)];
        let probability = step >> 16;
        let upper = self.interval - probability;
        // The lower part belongs to the less probable symbol unless the upper one has become the smaller.
        let lower = u32::from((self.code >> BELOW) < u64::from(probability));
        let less = lower ^ u32::from(upper < probability);
        // All ones where the lower part is taken.
        let mask = lower.wrapping_neg();
        self.interval = upper ^ ((upper ^ probability) & mask);
        self.code -= u64::from(probability & !mask) << BELOW;
        let next = (step >> (8 - 8 * less)) as u8;
        let renewed = u8::from(self.interval & 0x8000 == 0).wrapping_neg();
        *place = state ^ ((state ^ next) & renewed);
        self.renew();
        u32::from(state & 1) ^ less
    }

    /// Makes the interval at least a half again.
    #[inline(always)]
    fn renew(&mut self) {
        let shift = self.interval.leading_zeros().wrapping_sub(16) & 15;
        if shift > self.left {
            self.fill();
        }
        self.interval <<= shift;
        self.code <<= shift;
        self.left -= shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test sequence of ITU-T T.88 H.2, whose coder is the same: 256 symbols of one context.
    #[test]
    fn the_test_sequence() {
        let coded = [
            0x84, 0xc7, 0x3b, 0xfc, 0xe1, 0xa1, 0x43, 0x04, 0x02, 0x20, 0x00, 0x00, 0x41, 0x0d, 0xbb, 0x86,
            0xf4, 0x31, 0x7f, 0xff, 0x88, 0xff, 0x37, 0x47, 0x1a, 0xdb, 0x6a, 0xdf, 0xff, 0xac,
        ];
        let expect = [
            0x00, 0x02, 0x00, 0x51, 0x00, 0x00, 0x00, 0xc0, 0x03, 0x52, 0x87, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa,
            0x82, 0xc0, 0x20, 0x00, 0xfc, 0xd7, 0x9e, 0xf6, 0xbf, 0x7f, 0xed, 0x90, 0x4f, 0x46, 0xa3, 0xbf,
        ];
        let (mut mq, mut contexts) = (Mq::new(&coded), [0; 32]);
        for (i, byte) in expect.iter().enumerate() {
            let got = (0..8).fold(0, |all, _| all << 1 | mq.bit(&mut contexts, 0));
            assert_eq!(got, *byte, "byte {i}");
        }
    }

    /// Ones follow the end, however far one reads.
    #[test]
    fn nothing_but_the_end_is_read_behind_it() {
        for coded in [&[][..], &[0xff], &[0xff, 0xff], &[0x12, 0xff, 0x90]] {
            let (mut mq, mut contexts) = (Mq::new(coded), START);
            for i in 0..10_000 {
                assert!(mq.bit(&mut contexts, i % 19) <= 1);
            }
        }
    }
}
