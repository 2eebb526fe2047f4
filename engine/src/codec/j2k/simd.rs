//! The decoders of blocks compiled for newer processors.

use super::planes::Passes;

crate::codec::simd::newer! {
    /// [`Passes::run`], where a processor has them with its bit instructions.
    fn run[](passes: &mut Passes<'_>, planes: (u32, u32)) => Passes::run
}
