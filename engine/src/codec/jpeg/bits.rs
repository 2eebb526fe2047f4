//! Bits of an entropy-coded segment (ITU-T T.81 F.2.2.5): stuffed zero bytes removed, markers never passed.

/// Reads bits, most significant first. Past the end of the segment it gives zeros and counts them, so that inner loops
/// need no check: ask [`BitReader::overrun`] once a line.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    /// Bits not yet read, from the top.
    buffer: u64,
    count: u32,
    /// Zeros in `buffer` that are not in the data.
    padding: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            buffer: 0,
            count: 0,
            padding: 0,
        }
    }

    /// Makes at least 32 bits ready (48 where the data has them).
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(eight) = self.data.get(self.at..).and_then(|d| d.first_chunk::<8>()) {
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

    #[cold]
    #[inline(never)]
    fn refill_slowly(&mut self) {
        while self.count <= 48 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.padding += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `n` bits (at most 16) without taking them; [`Self::refill`] first.
    #[inline]
    pub(super) fn peek(&self, n: u32) -> u32 {
        (self.buffer >> 1 >> (63 - n)) as u32
    }

    /// Takes `n` bits that were peeked at.
    #[inline]
    pub(super) fn skip(&mut self, n: u32) {
        self.buffer <<= n;
        self.count = self.count.saturating_sub(n);
    }

    /// The next `n` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> u32 {
        self.refill();
        let bits = self.peek(n);
        self.skip(n);
        bits
    }

    /// `n` bits as a signed difference (T.81 F.2.2.1 EXTEND); needs `n` bits ready.
    #[inline]
    pub(super) fn extend(&mut self, n: u32) -> i32 {
        let bits = self.peek(n).cast_signed();
        self.skip(n);
        if n > 0 && bits < 1 << (n - 1) {
            bits - (1 << n) + 1
        } else {
            bits
        }
    }

    /// True when more bits were taken than the segment holds.
    pub(super) fn overrun(&self) -> bool {
        self.count < self.padding
    }

    /// Ends the segment: drops what is left of it and answers the position of the next marker.
    pub(super) fn next_marker(&self) -> usize {
        let mut at = self.at;
        while let Some(pair) = self.data.get(at..at + 2) {
            if pair.first() == Some(&0xff) && !matches!(pair.get(1), Some(0 | 0xff)) {
                return at;
            }
            at += 1;
        }
        self.data.len()
    }

    /// Goes on behind the restart marker that must follow here; `false` when there is none.
    pub(super) fn restart(&mut self) -> bool {
        let at = self.next_marker();
        if !matches!(self.data.get(at + 1), Some(0xd0..=0xd7)) {
            return false;
        }
        *self = Self::new(self.data, at + 2);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_markers_and_overrun() {
        let mut r = BitReader::new(&[0xff, 0x00, 0xa5, 0xff, 0xd0, 0x80, 0xff, 0xd9], 0);
        assert_eq!(r.take(12), 0xffa);
        assert_eq!(r.take(4), 5);
        assert!(!r.overrun());
        assert!(r.clone().restart());
        assert_eq!(r.take(1), 0);
        assert!(r.overrun());
        assert!(r.restart());
        assert_eq!(r.take(1), 1);
        assert_eq!(r.next_marker(), 6);
        assert!(!r.restart());
    }

    #[test]
    fn signed_differences() {
        for (bits, n, expect) in [
            (0u8, 0, 0),
            (0, 1, -1),
            (0x80, 1, 1),
            (0, 3, -7),
            (0x60, 3, -4),
            (0x80, 3, 4),
        ] {
            let data = [bits, 0];
            let mut r = BitReader::new(&data, 0);
            r.refill();
            assert_eq!(r.extend(n), expect);
        }
    }
}
