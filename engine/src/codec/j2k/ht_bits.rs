//! The three bit streams of a cleanup segment, stuffing taken out (ITU-T T.814 clause 7.1).

/// Bytes behind the last bit, so that eight can always be read at once.
const SPARE_BYTES: usize = 16;

/// Bits in the order in which they are read, lowest first.
#[derive(Debug, Default)]
pub(super) struct Plain {
    bytes: Vec<u8>,
    /// Bits read so far.
    pub(super) at: usize,
    /// What stands behind the end.
    fill: u64,
}

impl Plain {
    /// Forward bits: a byte behind 0xff carries seven. Ones follow the end.
    pub(super) fn forward(&mut self, source: &[u8]) {
        self.bytes.clear();
        self.bytes.reserve(source.len() + SPARE_BYTES);
        (self.at, self.fill) = (0, u64::MAX);
        let (mut pending, mut count) = (0u64, 0u32);
        let mut behind_ones = false;
        let (words, rest) = source.as_chunks::<4>();
        for bytes in words {
            let word = u32::from_le_bytes(*bytes);
            let zeros = !word;
            let has_ones = zeros.wrapping_sub(0x0101_0101) & !zeros & 0x8080_8080 != 0;
            if has_ones || behind_ones {
                for byte in bytes {
                    pending |= u64::from(*byte) << count;
                    count += 8 - u32::from(behind_ones);
                    behind_ones = *byte == 0xff;
                }
            } else {
                pending |= u64::from(word) << count;
                count += 32;
            }
            if count >= 32 {
                self.bytes.extend_from_slice(&(pending as u32).to_le_bytes());
                pending >>= 32;
                count -= 32;
            }
        }
        for byte in rest {
            pending |= u64::from(*byte) << count;
            count += 8 - u32::from(behind_ones);
            behind_ones = *byte == 0xff;
        }
        pending |= u64::MAX << count;
        self.bytes.extend_from_slice(&pending.to_le_bytes());
        self.bytes.extend_from_slice(&[0xff; SPARE_BYTES - 8]);
    }

    /// Backward bits of a segment's end: twelve bits of length come first and are passed over; a byte behind one above
    /// 0x8f whose lower seven bits are ones carries only these. Zeros follow the end.
    pub(super) fn backward(&mut self, source: &[u8]) {
        self.bytes.clear();
        self.bytes.reserve(source.len() + SPARE_BYTES);
        (self.at, self.fill) = (0, 0);
        let mut bytes = source.iter().rev().skip(1);
        let nibble = u64::from(bytes.next().copied().unwrap_or(0) >> 4);
        let (mut pending, mut count) = (nibble, if nibble & 7 == 7 { 3 } else { 4 });
        let mut behind_high = nibble << 4 | 0xf > 0x8f;
        for byte in bytes {
            let short = behind_high && byte & 0x7f == 0x7f;
            // A short byte's highest bit is not part of the stream.
            pending |= u64::from(if short { 0x7f } else { *byte }) << count;
            count += if short { 7 } else { 8 };
            behind_high = *byte > 0x8f;
            if count >= 32 {
                self.bytes.extend_from_slice(&(pending as u32).to_le_bytes());
                pending >>= 32;
                count -= 32;
            }
        }
        self.bytes.extend_from_slice(&pending.to_le_bytes());
        self.bytes.extend_from_slice(&[0; SPARE_BYTES - 8]);
    }

    /// The next 57 bits at least.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let word = self.bytes.get(self.at >> 3..).and_then(<[u8]>::first_chunk);
        word.map_or(self.fill, |w| u64::from_le_bytes(*w)) >> (self.at & 7)
    }
}

/// Length of a full run, as a power of two, in each state of the adaptive run-length coder.
const RUN_EXPONENTS: [u32; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

/// Events of the adaptive run-length coder.
#[derive(Debug)]
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
    state: usize,
    /// Events that do not happen before the next that does, or before the next run is read.
    nothing: u32,
    happens: bool,
}

impl<'a> Runs<'a> {
    /// `bytes` is the shared end of a segment, from where the runs begin.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.get(..bytes.len().saturating_sub(1)).unwrap_or_default(),
            at: 0,
            byte: 0,
            left: 0,
            state: 0,
            nothing: 0,
            happens: false,
        }
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            self.left = if self.byte == 0xff { 7 } else { 8 };
            self.byte = self.bytes.get(self.at).copied().unwrap_or(0xff);
            self.at += 1;
            if self.at == self.bytes.len() {
                // Half of the last byte is the length of the segment.
                self.byte |= 0xf;
            }
        }
        self.left -= 1;
        u32::from(self.byte >> self.left & 1)
    }

    #[inline]
    pub(super) fn event(&mut self) -> bool {
        if self.nothing == 0 && !self.happens {
            self.run();
        }
        if self.nothing > 0 {
            self.nothing -= 1;
            return false;
        }
        self.happens = false;
        true
    }

    fn run(&mut self) {
        let exponent = RUN_EXPONENTS.get(self.state).copied().unwrap_or(0);
        if self.bit() == 1 {
            self.nothing = 1 << exponent;
            self.state = (self.state + 1).min(RUN_EXPONENTS.len() - 1);
        } else {
            self.nothing = (0..exponent).fold(0, |run, _| run << 1 | self.bit());
            self.happens = true;
            self.state = self.state.saturating_sub(1);
        }
    }
}
