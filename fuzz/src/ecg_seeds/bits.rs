//! Bits, the highest of a byte first.

#[derive(Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    pub(super) fn put(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if place < 64 && value >> place & 1 == 1 {
                *self.bytes.last_mut().expect("a byte was begun") |= 0x80 >> (self.count % 8);
            }
            self.count += 1;
        }
    }

    pub(super) fn align(&mut self) {
        self.count = self.bytes.len() * 8;
    }
}
