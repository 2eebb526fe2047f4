#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gongying_fuzz::targets::ecg_ishne(bytes));
