//! Memory that begins at a block, as writing past the system's own cache wants it.

use super::record::BLOCK_BYTES;

/// Bytes that begin at a multiple of [`BLOCK_BYTES`].
pub(super) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    bytes: usize,
}

impl Aligned {
    pub(super) fn new(bytes: usize) -> Self {
        let memory = vec![0; bytes + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        Self {
            // what cannot be aligned is used as it is; the system then refuses it and is told so
            start: if start < BLOCK_BYTES { start } else { 0 },
            memory,
            bytes,
        }
    }

    pub(super) fn get(&self, bytes: usize) -> &[u8] {
        let end = self.start + bytes.min(self.bytes);
        self.memory.get(self.start..end).unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.start + bytes.min(self.bytes);
        self.memory.get_mut(self.start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_block() {
        for bytes in [1, 4096, 5000, 1 << 20] {
            let mut buffer = Aligned::new(bytes);
            assert_eq!(buffer.get(bytes).as_ptr().align_offset(BLOCK_BYTES), 0);
            assert_eq!(buffer.get_mut(bytes + 100_000).len(), bytes);
        }
    }
}
