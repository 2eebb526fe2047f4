//! What the tests without a fuzzer do to sound inputs before they give them to the oracles.

use proptest::prelude::*;
use proptest::sample::Index;

/// A target's name and an input: one of the seeds with a few bytes changed, perhaps cut.
pub fn damaged(seeds: &'static [(&'static str, Vec<u8>)]) -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    let cut = prop::option::of(any::<Index>());
    (any::<Index>(), changes, cut).prop_map(|(pick, changes, cut)| {
        let (target, mut bytes) = seeds[pick.index(seeds.len())].clone();
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        (target, bytes)
    })
}
