//! Bits and tag trees of packet headers (ITU-T T.800 B.10).

/// Bits of a packet header, highest first. A byte behind 0xff carries seven bits.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
    byte: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            left: 0,
            byte: 0,
        }
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.left = if self.byte == 0xff { 7 } else { 8 };
            self.byte = *self.bytes.get(self.at)?;
            self.at += 1;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    pub(super) fn number(&mut self, bits: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..bits {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// Where the byte behind the header is.
    pub(super) fn end(self) -> usize {
        // A header does not end in 0xff: a stuffed byte follows.
        self.at + usize::from(self.byte == 0xff)
    }

    /// Number of coding passes (T.800 table B.4).
    pub(super) fn passes(&mut self) -> Option<u32> {
        if !self.bit()? {
            return Some(1);
        }
        if !self.bit()? {
            return Some(2);
        }
        match self.number(2)? {
            3 => {}
            n => return Some(3 + n),
        }
        match self.number(5)? {
            31 => Some(37 + self.number(7)?),
            n => Some(6 + n),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Node {
    low: u32,
    known: bool,
}

/// A tag tree while it is read.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Nodes across and nodes, leaves first.
    levels: Vec<(usize, Vec<Node>)>,
}

impl Tree {
    pub(super) fn new(mut across: usize, mut down: usize) -> Self {
        let mut levels = Vec::new();
        if across * down > 0 {
            loop {
                levels.push((across, vec![Node::default(); across * down]));
                if across * down == 1 {
                    break;
                }
                (across, down) = (across.div_ceil(2), down.div_ceil(2));
            }
        }
        Self { levels }
    }

    /// Whether the leaf at `(x, y)` is below `threshold`; reads as far as that takes.
    pub(super) fn below(
        &mut self,
        (x, y): (usize, usize),
        threshold: u32,
        bits: &mut Bits<'_>,
    ) -> Option<bool> {
        let mut low = 0;
        let mut known = false;
        for (k, (across, nodes)) in self.levels.iter_mut().enumerate().rev() {
            let node = nodes.get_mut((y >> k) * *across + (x >> k))?;
            low = node.low.max(low);
            while low < threshold && !node.known {
                if bits.bit()? {
                    node.known = true;
                } else {
                    low += 1;
                }
            }
            node.low = low;
            known = node.known;
        }
        Some(known && low < threshold)
    }
}
