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
#[derive(Debug, Clone, Copy)]
pub(super) struct Mq<'a> {
    bytes: &'a [u8],
    at: usize,
    code: u32,
    interval: u32,
    left: u32,
}

impl<'a> Mq<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut mq = Self {
            bytes,
            at: 0,
            code: u32::from(bytes.first().copied().unwrap_or(0xff)) << 16,
            interval: 0x8000,
            left: 0,
        };
        mq.byte();
        mq.code <<= 7;
        mq.left -= 7;
        mq
    }

    /// Ones follow the end.
    fn byte(&mut self) {
        let get = |at: usize| u32::from(self.bytes.get(at).copied().unwrap_or(0xff));
        let next = get(self.at + 1);
        if get(self.at) == 0xff {
            if next > 0x8f {
                self.code = self.code.wrapping_add(0xff00);
                self.left = 8;
            } else {
                self.at += 1;
                self.code = self.code.wrapping_add(next << 9);
                self.left = 7;
            }
        } else {
            self.at += 1;
            self.code = self.code.wrapping_add(next << 8);
            self.left = 8;
        }
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn bit(&mut self, contexts: &mut Contexts, context: usize) -> u32 {
        let place = &mut contexts[context & 31];
        let state = *place;
        let step = STEPS[usize::from(state & 127)];
        let probability = step >> 16;
        let symbol = u32::from(state & 1);
        self.interval -= probability;
        // The lower part belongs to the less probable symbol unless the upper one has become the smaller.
        let less = if self.code >> 16 < probability {
            let less = self.interval >= probability;
            self.interval = probability;
            less
        } else {
            self.code -= probability << 16;
            if self.interval & 0x8000 != 0 {
                return symbol;
            }
            self.interval < probability
        };
        *place = (step >> if less { 0 } else { 8 }) as u8;
        let shift = self.interval.leading_zeros().wrapping_sub(16) & 15;
        self.interval <<= shift;
        if shift <= self.left {
            self.code <<= shift;
            self.left -= shift;
        } else {
            self.shift_in(shift);
        }
        symbol ^ u32::from(less)
    }

    fn shift_in(&mut self, mut shift: u32) {
        while shift > 0 {
            if self.left == 0 {
                self.byte();
            }
            let now = shift.min(self.left);
            self.code <<= now;
            self.left -= now;
            shift -= now;
        }
    }
}
