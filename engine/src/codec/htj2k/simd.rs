//! The encoder compiled for newer processors.

use super::stream::Shape;

crate::codec::simd::newer! {
    /// [`super::encode_frame`], with the instructions of newer processors where they are.
    fn encode[T: Copy + Into<i32>](shape: Shape, samples: &[T]) -> (Vec<u8>, Vec<usize>) => super::encode_frame
}

#[cfg(test)]
mod tests {
    use super::super::encode_frame;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every processor writes the same stream.
        #[test]
        fn all_processors_write_the_same(
            columns in 1_u32..150,
            rows in 1_u32..150,
            bits in 1_u8..=16,
            colour: bool,
            seed: u64,
        ) {
            let components = if colour { 3 } else { 1 };
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
            let spread = next() % 16;
            let mask = u16::MAX >> (16 - bits);
            let samples: Vec<u16> = (0..columns * rows * components)
                .map(|i| if next() % 4 < 3 { (i / 7) as u16 & mask } else { (next() >> spread) as u16 & mask })
                .collect();
            let shape = Shape {
                columns,
                rows,
                components: components as u16,
                bits,
                signed: false,
                levels: (columns.max(rows)).ilog2().min(5) as u8,
                transformed: colour,
            };
            prop_assert_eq!(encode(shape, &samples), encode_frame(shape, &samples));
        }
    }
}
