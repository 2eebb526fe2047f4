//! Bits of a JPEG-LS scan (T.87 A.1): after a byte FF the next byte holds seven bits.

/// Reads bits, most significant first. Past the end it gives zeros and counts them: ask [`BitReader::overrun`] once a
/// line.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
    padding: u32,
    after_ff: bool,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            buffer: 0,
            count: 0,
            padding: 0,
            after_ff: false,
        }
    }

    /// Makes at least 32 bits ready (48 where the data has them).
    #[inline]
    pub(super) fn refill(&mut self) {
        if !self.after_ff
            && let Some(eight) = self.data.get(self.at..).and_then(|d| d.first_chunk::<8>())
        {
            let word = u64::from_be_bytes(*eight);
            if (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                // No FF ahead: fill up without asking how much is missing. Bits of the last, partly counted byte are
                // laid into the buffer again next time, over themselves.
                self.buffer |= word >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
                self.count |= 56;
                return;
            }
        }
        if self.count < 32 {
            self.refill_slowly();
        }
    }

    #[inline(never)]
    fn refill_slowly(&mut self) {
        while self.count <= 48 {
            let byte = self.data.get(self.at).copied();
            let ends = match byte {
                None => true,
                Some(0xff) => self.after_ff || self.data.get(self.at + 1).is_none_or(|next| *next >= 0x80),
                Some(b) => self.after_ff && b >= 0x80,
            };
            if ends {
                self.padding += 8;
                self.count += 8;
                continue;
            }
            let byte = byte.unwrap_or(0);
            let bits = if self.after_ff { 7 } else { 8 };
            self.buffer |= u64::from(byte) << (64 - bits - self.count);
            self.count += bits;
            self.after_ff = byte == 0xff;
            self.at += 1;
        }
    }

    /// The next `n` bits, at most 24; makes them ready first.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> u32 {
        self.refill();
        let bits = (self.buffer >> 1 >> (63 - n)) as u32;
        self.buffer <<= n;
        self.count -= n;
        bits
    }

    /// Limited-length Golomb code of order `k` (T.87 A.5.3); `most` zeros announce a value of `range_bits` bits.
    // Without the hint the few places that call it share one copy, which costs a call for every sample.
    #[inline(always)]
    pub(super) fn golomb(&mut self, k: u32, most: u32, range_bits: u32) -> Option<u32> {
        self.refill();
        let n = self.buffer.leading_zeros();
        if n < most && n + k < 31 {
            // Both parts are in the 32 bits that are ready.
            self.buffer <<= n + 1;
            let low = (self.buffer >> 1 >> (63 - k)) as u32;
            self.buffer <<= k;
            self.count -= n + 1 + k;
            return Some(n << k | low);
        }
        self.golomb_slowly(k, most, range_bits)
    }

    #[cold]
    fn golomb_slowly(&mut self, k: u32, most: u32, range_bits: u32) -> Option<u32> {
        let high = self.zeros_slowly(most)?;
        let value = if high == most {
            self.take(range_bits) + 1
        } else {
            high << k | self.take(k)
        };
        // Larger values would overflow the statistics; no encoder writes them.
        (value < 1 << 18).then_some(value)
    }

    #[cold]
    fn zeros_slowly(&mut self, most: u32) -> Option<u32> {
        let mut n = 0;
        while n <= most {
            if self.take(1) == 1 {
                return Some(n);
            }
            n += 1;
        }
        None
    }

    /// True when more bits were taken than the scan holds.
    pub(super) fn overrun(&self) -> bool {
        self.count < self.padding
    }

    /// First byte not yet in the buffer: at the end of a scan, near its marker and never behind it.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

/// Writes bits, most significant first, with the stuffed bit after FF.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    buffer: u64,
    count: u32,
}

impl BitWriter {
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self {
            out,
            buffer: 0,
            count: 0,
        }
    }

    /// Appends the low `n` bits of `bits`; `n` at most 32.
    #[inline]
    pub(super) fn put(&mut self, bits: u32, n: u32) {
        self.buffer = self.buffer << n | u64::from(bits);
        self.count += n;
        loop {
            let room = if self.out.last() == Some(&0xff) { 7 } else { 8 };
            if self.count < room {
                return;
            }
            self.count -= room;
            self.out
                .push((self.buffer >> self.count) as u8 & (0xff >> (8 - room)));
            self.buffer &= (1 << self.count) - 1;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let room = if self.out.last() == Some(&0xff) { 7 } else { 8 };
        if self.count > 0 || room == 7 {
            self.put(0, room - self.count);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec((any::<u32>(), 1u32..=24), 0..60)) {
            let mut w = BitWriter::new(vec![0xff, 0xda, 0]);
            for (v, n) in &values {
                w.put(v & ((1 << n) - 1), *n);
            }
            let mut bytes = w.finish();
            bytes.extend([0xff, 0xd9]);
            let mut r = BitReader::new(&bytes, 3);
            for (v, n) in &values {
                prop_assert_eq!(r.take(*n), v & ((1 << n) - 1));
            }
            prop_assert!(!r.overrun());
        }
    }

    #[test]
    fn the_end_is_noticed() {
        let mut r = BitReader::new(&[0x01, 0xff, 0xff, 0xd9], 0);
        assert_eq!(r.zeros_slowly(40), Some(7));
        assert!(!r.overrun());
        assert_eq!(r.zeros_slowly(60), None);
        assert!(r.overrun());
    }
}
