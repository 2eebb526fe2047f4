//! The oracles of the fuzz targets on damaged data sets, files, texts and DICOM JSON.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "oracles of tests"
)]

#[path = "../../../fuzz/src/damage.rs"]
mod damage;
#[path = "../../../fuzz/src/data_sets.rs"]
mod oracles;

use proptest::prelude::*;
use std::sync::LazyLock;

static SEEDS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(oracles::seeds);

fn run(target: &str, bytes: &[u8]) {
    match target {
        "data_set" => oracles::data_set(bytes),
        "file_header" => oracles::file_header(bytes),
        "charset" => oracles::charset(bytes),
        "json" => oracles::json(bytes),
        other => panic!("no target {other}"),
    }
}

#[test]
fn sound_inputs_pass() {
    SEEDS.iter().for_each(|(target, bytes)| run(target, bytes));
}

proptest! {
    #[test]
    fn damaged_inputs_break_no_promise((target, bytes) in damage::damaged(&SEEDS)) {
        run(target, &bytes);
    }
}
