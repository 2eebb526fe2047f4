//! The oracles of the fuzz targets on damaged PDUs and command sets; the readers are private, so their files are
//! included here.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "oracles of tests"
)]

#[path = "../src/dimse/mod.rs"]
#[allow(dead_code)]
mod dimse;
#[path = "../../fuzz/src/wire.rs"]
mod oracles;
#[path = "../src/pdu/mod.rs"]
#[allow(dead_code, unused_imports)]
mod pdu;

use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;

static SEEDS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(oracles::seeds);

fn run(target: &str, bytes: &[u8]) {
    match target {
        "associate" => oracles::associate(bytes),
        "command" => oracles::command(bytes),
        "pdu" => oracles::pdu(bytes),
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
