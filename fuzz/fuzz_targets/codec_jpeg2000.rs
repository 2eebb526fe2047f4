#![no_main]
libfuzzer_sys::fuzz_target!(
    init: gongying_fuzz::let_pass_panics_of(&["openjp2", "jpeg2k"]),
    |bytes: &[u8]| gongying_fuzz::targets::codec_jpeg2000(bytes)
);
