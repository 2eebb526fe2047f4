//! The three bit streams of a cleanup segment (ITU-T T.814 clause 7.1): sign and magnitude bits forwards, run lengths
//! of the adaptive coder forwards, variable-length codes backwards from the end.

/// Bytes of the longest stream of sign and magnitude bits: 4096 samples of at most 24 bits, seven bits a byte.
const MAGNITUDES_BYTES_MAX: usize = 16 << 10;

/// Sign and magnitude bits, lowest first. A byte behind 0xff carries seven bits.
#[derive(Debug)]
pub(super) struct Magnitudes {
    bytes: Box<[u8; MAGNITUDES_BYTES_MAX]>,
    at: usize,
    pending: u64,
    count: u32,
    behind_ones: bool,
}

impl Magnitudes {
    pub(super) fn new() -> Self {
        Self {
            bytes: Box::new([0; MAGNITUDES_BYTES_MAX]),
            at: 0,
            pending: 0,
            count: 0,
            behind_ones: false,
        }
    }

    pub(super) fn clear(&mut self) {
        (self.at, self.pending, self.count, self.behind_ones) = (0, 0, 0, false);
    }

    /// Appends the lowest `count` bits of `bits`, at most 40; the others must be 0.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.count;
        self.count += count;
        if self.count >= 24 {
            self.drain();
        }
    }

    /// Writes all whole bytes.
    #[inline(always)]
    fn drain(&mut self) {
        const LOWEST: u64 = u64::from_ne_bytes([1; 8]);
        let zeros = !self.pending;
        let has_ones = zeros.wrapping_sub(LOWEST) & !zeros & LOWEST << 7 != 0;
        if !has_ones
            && !self.behind_ones
            && let Some(place) = self.bytes.get_mut(self.at..self.at + 8)
        {
            place.copy_from_slice(&self.pending.to_le_bytes());
            self.at += (self.count / 8) as usize;
            self.pending >>= self.count & !7;
            self.count &= 7;
        } else {
            self.bytewise();
        }
    }

    #[inline(never)]
    fn bytewise(&mut self) {
        while self.count >= 8 {
            self.byte();
        }
    }

    fn byte(&mut self) {
        let width = if self.behind_ones { 7 } else { 8 };
        let byte = (self.pending as u8) & (0xff >> (8 - width));
        self.pending >>= width;
        self.count = self.count.saturating_sub(width);
        self.push(byte);
    }

    fn push(&mut self, byte: u8) {
        self.behind_ones = byte == 0xff;
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = byte;
            self.at += 1;
        }
    }

    /// Ends the stream; readers supply ones behind it, so a last byte of ones is left out.
    pub(super) fn finish(&mut self) -> &[u8] {
        while self.count >= 8 - u32::from(self.behind_ones) {
            self.byte();
        }
        if self.count > 0 {
            let width = 8 - u32::from(self.behind_ones);
            let ones = 0xffu32 << self.count;
            let byte = (self.pending as u32 | ones) & (0xff >> (8 - width));
            if byte != 0xff {
                self.push(byte as u8);
            }
        } else if self.behind_ones {
            self.at -= 1;
        }
        self.bytes.get(..self.at).unwrap_or_default()
    }
}

/// Length of a full run, as a power of two, in each state of the adaptive run-length coder.
const RUN_EXPONENTS: [u32; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

/// Events of the adaptive run-length coder, highest bit first. A byte behind 0xff carries seven bits.
#[derive(Debug)]
pub(super) struct Runs {
    bytes: Vec<u8>,
    pending: u32,
    left: u32,
    run: u32,
    state: usize,
}

impl Runs {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(256),
            pending: 0,
            left: 8,
            run: 0,
            state: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.pending, self.left, self.run, self.state) = (0, 8, 0, 0);
    }

    fn exponent(&self) -> u32 {
        RUN_EXPONENTS.get(self.state).copied().unwrap_or(0)
    }

    fn bit(&mut self, bit: u32) {
        self.pending = self.pending << 1 | bit;
        self.left -= 1;
        if self.left == 0 {
            self.bytes.push(self.pending as u8);
            self.left = if self.pending == 0xff { 7 } else { 8 };
            self.pending = 0;
        }
    }

    /// Appends an event.
    #[inline(always)]
    pub(super) fn event(&mut self, happened: bool) {
        let exponent = self.exponent();
        if happened {
            self.bit(0);
            for k in (0..exponent).rev() {
                self.bit(self.run >> k & 1);
            }
            self.run = 0;
            self.state = self.state.saturating_sub(1);
            return;
        }
        self.run += 1;
        if self.run == 1 << exponent {
            self.bit(1);
            self.run = 0;
            self.state = (self.state + 1).min(RUN_EXPONENTS.len() - 1);
        }
    }
}

/// Variable-length codes, lowest bit first, kept in the order in which they are read: from the end of the segment.
/// A byte behind one above 0x8f whose lower seven bits are ones carries only these.
#[derive(Debug)]
pub(super) struct Codes {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
    behind_high: bool,
}

impl Codes {
    pub(super) fn new() -> Self {
        let mut codes = Self {
            bytes: Vec::with_capacity(4 << 10),
            pending: 0,
            count: 0,
            behind_high: false,
        };
        codes.clear();
        codes
    }

    /// The last twelve bits of a segment are its length: ones until it is known.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.push(0xff);
        (self.pending, self.count, self.behind_high) = (0xf, 4, true);
    }

    /// Appends `count` bits without writing bytes; [`Codes::drain`] follows before 56 bits wait.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += count;
    }

    #[inline(always)]
    pub(super) fn drain(&mut self) {
        while self.count >= 8 {
            self.byte();
        }
    }

    #[inline]
    fn byte(&mut self) {
        let short = self.behind_high && self.pending & 0x7f == 0x7f;
        let byte = if short { 0x7f } else { self.pending as u8 };
        let width = if short { 7 } else { 8 };
        self.pending >>= width;
        self.count -= width;
        self.behind_high = byte > 0x8f;
        self.bytes.push(byte);
    }
}

/// Ends both streams, which share a byte where they can, and appends them with their length.
pub(super) fn finish(runs: &mut Runs, codes: &mut Codes, out: &mut Vec<u8>) {
    codes.drain();
    if codes.behind_high && codes.count == 7 && codes.pending & 0x7f == 0x7f {
        codes.byte();
    }
    if runs.run > 0 {
        runs.bit(1);
    }
    let run_bits = ((runs.pending << runs.left) & 0xff) as u8;
    let run_mask = ((0xffu32 << runs.left) & 0xff) as u8;
    let code_bits = codes.pending as u8;
    let code_mask = !(0xffu32 << codes.count) as u8;
    if run_mask | code_mask != 0 {
        let both = run_bits | code_bits;
        let fits = (both ^ run_bits) & run_mask | (both ^ code_bits) & code_mask == 0;
        runs.bytes.push(if fits && both != 0xff && codes.bytes.len() > 1 {
            both
        } else {
            codes.bytes.push(code_bits);
            run_bits
        });
    }
    let length = runs.bytes.len() + codes.bytes.len();
    if let [last, before, ..] = codes.bytes.as_mut_slice() {
        *last = (length >> 4) as u8;
        *before = *before & 0xf0 | (length & 15) as u8;
    }
    out.extend_from_slice(&runs.bytes);
    out.extend(codes.bytes.iter().rev());
}
