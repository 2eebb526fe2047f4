//! The decoders of blocks compiled for newer processors: the same code, so the same values.
#![allow(
    unsafe_code,
    reason = "a function compiled for newer processors is called only where their instructions were found"
)]

use super::planes::Passes;

/// [`Passes::run`], compiled for the bit instructions that came with AVX2 where the processor has them.
pub(super) fn run(passes: &mut Passes<'_>, planes: (u32, u32)) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn wide(passes: &mut Passes<'_>, planes: (u32, u32)) {
            passes.run(planes);
        }
        if crate::codec::newer_processor() {
            // SAFETY: `newer_processor` found each of these.
            return unsafe { wide(passes, planes) };
        }
    }
    passes.run(planes);
}
