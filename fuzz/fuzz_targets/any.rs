//! Any target, named by `GONGYING_FUZZ_TARGET`: linking one executable is enough to run them all.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("GONGYING_FUZZ_TARGET").unwrap_or_default();
    let target = gongying_fuzz::ALL.iter().find(|(own, _)| *own == name);
    target.expect("GONGYING_FUZZ_TARGET names a target").1
});

libfuzzer_sys::fuzz_target!(
    init: gongying_fuzz::let_pass_panics_of(&["openjp2", "jpeg2k", "jxl-"]),
    |bytes: &[u8]| TARGET(bytes)
);
