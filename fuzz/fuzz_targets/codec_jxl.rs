#![no_main]
libfuzzer_sys::fuzz_target!(
    init: gongying_fuzz::let_pass_panics_of(&["jxl-"]),
    |bytes: &[u8]| gongying_fuzz::targets::codec_jxl(bytes)
);
