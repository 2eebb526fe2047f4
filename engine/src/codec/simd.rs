//! Functions compiled a second time, for processors with AVX2 and the bit instructions of its time.
#![allow(
    unsafe_code,
    reason = "a function compiled for newer processors is called only where their instructions were found"
)]

/// Whether this processor has them: `avx2`, `bmi1`, `bmi2`, `lzcnt` and `popcnt`.
#[cfg(target_arch = "x86_64")]
pub(super) fn newer_processor() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Makes a function that calls another one, compiled for newer processors where it runs on one. It is the same code, so
/// it does the same. What the other one is to gain from has to be inlined into it.
macro_rules! newer {
    ($(#[$note:meta])* fn $name:ident[$($generic:tt)*]($($arg:ident: $kind:ty),*) $(-> $out:ty)? => $other:path) => {
        $(#[$note])*
        pub(super) fn $name<$($generic)*>($($arg: $kind),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
                fn wide<$($generic)*>($($arg: $kind),*) $(-> $out)? {
                    $other($($arg),*)
                }
                if $crate::codec::simd::newer_processor() {
                    // SAFETY: `newer_processor` found each of these.
                    #[allow(unsafe_code, reason = "the instructions were found")]
                    return unsafe { wide($($arg),*) };
                }
            }
            $other($($arg),*)
        }
    };
}

pub(super) use newer;
