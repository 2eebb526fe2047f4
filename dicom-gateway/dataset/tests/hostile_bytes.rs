//! The oracles of the fuzz targets on damaged data sets, files, texts and DICOM JSON.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "oracles of tests"
)]

#[path = "../../../fuzz/src/data_sets.rs"]
mod oracles;

use proptest::prelude::*;
use proptest::sample::Index;
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
    fn damaged_inputs_break_no_promise(
        pick: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let (target, mut bytes) = SEEDS[pick.index(SEEDS.len())].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        run(target, &bytes);
    }
}
