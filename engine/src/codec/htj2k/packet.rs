//! Packet headers with one layer (ITU-T T.800 B.10).

/// Bits of a packet header, highest first. A byte behind 0xff carries seven bits.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, bit: bool) {
        self.pending = self.pending << 1 | u32::from(bit);
        self.count += 1;
        let width = if self.bytes.last() == Some(&0xff) { 7 } else { 8 };
        if self.count == width {
            self.bytes.push(self.pending as u8);
            (self.pending, self.count) = (0, 0);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(false);
        }
        if self.bytes.last() == Some(&0xff) {
            self.bytes.push(0);
        }
        self.bytes
    }
}

/// Blocks of one band in a precinct, row by row: the bytes of each, 0 for one that is not coded.
#[derive(Debug)]
pub(super) struct PrecinctBand {
    pub(super) across: usize,
    pub(super) lengths: Vec<usize>,
    /// Bit planes that no block has, of those that the band could have.
    pub(super) zero_planes: u32,
}

/// A tag tree whose leaves are 0 (coded) or 1, and which of its nodes have been told.
struct Tree {
    /// Nodes across, values and whether each was told; leaves first.
    levels: Vec<(usize, Vec<bool>, Vec<bool>)>,
}

impl Tree {
    fn new(across: usize, leaves: &[bool]) -> Self {
        let mut levels = vec![(across, leaves.to_vec(), vec![false; leaves.len()])];
        while let Some((across, nodes, _)) = levels.last().filter(|l| l.1.len() > 1) {
            let (wide, high) = (across.div_ceil(2), (nodes.len() / across).div_ceil(2));
            let mut parents = vec![false; wide * high];
            for (i, node) in nodes.iter().enumerate() {
                parents[i / across / 2 * wide + i % across / 2] |= *node;
            }
            let told = vec![false; parents.len()];
            levels.push((wide, parents, told));
        }
        Self { levels }
    }

    /// From the root to a leaf: each node's value and whether it is told for the first time.
    fn walk(&mut self, leaf: usize, mut tell: impl FnMut(bool, bool) -> bool) {
        let across = self.levels.first().map_or(1, |l| l.0);
        let (x, y) = (leaf % across, leaf / across);
        let last = self.levels.len();
        for (k, (wide, values, told)) in self.levels.iter_mut().enumerate().rev() {
            let at = (y >> k) * *wide + (x >> k);
            let fresh = !std::mem::replace(&mut told[at], true);
            if fresh && !tell(values[at], k + 1 == last) || !values[at] {
                return;
            }
        }
    }
}

/// The header of a packet.
pub(super) fn header(bands: &[PrecinctBand]) -> Vec<u8> {
    let mut bits = Bits::default();
    let some = bands.iter().any(|b| b.lengths.iter().any(|l| *l > 0));
    bits.put(some);
    if some {
        bands.iter().for_each(|band| band_header(&mut bits, band));
    }
    bits.finish()
}

fn band_header(bits: &mut Bits, band: &PrecinctBand) {
    if band.lengths.is_empty() {
        return;
    }
    let coded: Vec<bool> = band.lengths.iter().map(|l| *l > 0).collect();
    let mut inclusion = Tree::new(band.across, &coded);
    let mut planes = Tree::new(band.across, &vec![true; coded.len()]);
    for (i, length) in band.lengths.iter().enumerate() {
        inclusion.walk(i, |value, _| {
            bits.put(value);
            value
        });
        if *length == 0 {
            continue;
        }
        // All blocks have the same number: the root tells it, the other nodes that they do not differ.
        planes.walk(i, |_, is_root| {
            if is_root {
                (0..band.zero_planes).for_each(|_| bits.put(false));
            }
            bits.put(true);
            true
        });
        // One coding pass.
        bits.put(false);
        let needed = usize::BITS - length.leading_zeros();
        let more = needed.saturating_sub(3);
        (0..more).for_each(|_| bits.put(true));
        bits.put(false);
        for k in (0..3 + more).rev() {
            bits.put(length >> k & 1 == 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_by_hand() {
        let band = |across, lengths: &[usize], zero_planes| PrecinctBand {
            across,
            lengths: lengths.to_vec(),
            zero_planes,
        };
        // Nothing coded: one bit of 0.
        check(&[band(1, &[0], 3)], &[0]);
        check(&[], &[0]);
        // Present, included, two planes missing, one pass, no more length bits, 101: 1 1 001 0 0 101.
        check(&[band(1, &[5], 2)], &[0b1100_1001, 0b0100_0000]);
        // Two blocks, the second not coded: root 1, leaf 1, root 1, leaf 1, pass 0, length 0 101; leaf 0.
        check(&[band(2, &[5, 0], 0)], &[0b1111_1001, 0b0100_0000]);
    }

    fn check(bands: &[PrecinctBand], expect: &[u8]) {
        assert_eq!(header(bands), expect, "{bands:?}");
    }

    #[test]
    fn a_byte_of_ones_is_followed_by_seven_bits() {
        let mut bits = Bits::default();
        (0..8).for_each(|_| bits.put(true));
        assert_eq!(bits.finish(), [0xff, 0]);
        let mut bits = Bits::default();
        (0..10).for_each(|_| bits.put(true));
        assert_eq!(bits.finish(), [0xff, 0b0110_0000]);
    }
}
