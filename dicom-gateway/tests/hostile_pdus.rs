//! The oracles of the fuzz targets on damaged PDUs and command sets; the readers are private, so their files are
//! included here.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "oracles of tests"
)]

#[path = "../../fuzz/src/damage.rs"]
mod damage;
#[path = "../src/dimse/mod.rs"]
#[allow(dead_code)]
mod dimse;
#[path = "../../fuzz/src/wire.rs"]
mod oracles;
#[path = "../src/pdu/mod.rs"]
#[allow(dead_code, unused_imports)]
mod pdu;

use proptest::prelude::*;
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
    fn damaged_inputs_break_no_promise((target, bytes) in damage::damaged(&SEEDS)) {
        run(target, &bytes);
    }
}
