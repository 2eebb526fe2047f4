//! The board against a centre that loses, repeats and delays answers: it ends with the object there, or asks on.

use super::*;
use archive::edge::wire::Coding;
use archive::store::FileDigests;
use archive::{Sha256Digest, UnixMicros};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn waiting(id: i64, class: QueueClass, size_bytes: u64) -> (Waiting, ObjectOffer) {
    let digest = Sha256Digest::of(&id.to_le_bytes());
    let digests = FileDigests {
        meta_bytes: 1,
        meta: digest,
        dataset: digest,
    };
    let waiting = Waiting {
        id: SpoolId(id),
        sop_instance_uid: format!("1.2.{id}"),
        study_uid: "1.2".into(),
        key: ObjectKey::parse("20261121/143/a.hexi.dcm").unwrap(),
        size_bytes,
        digests,
        class,
        sender: "HEXI_CT".into(),
        source: "c-store".into(),
        peer: None,
        received_at: UnixMicros(id),
        attempts: 0,
    };
    let offer = ObjectOffer {
        digest: ObjectOffer::name_of(&digests),
        sop_instance_uid: waiting.sop_instance_uid.clone(),
        size: size_bytes,
        meta_bytes: 1,
        dataset_digest: digest.to_hex(),
        coding: Coding::Identity,
        coded_size: size_bytes,
        coded_digest: digest.to_hex(),
        sender: "HEXI_CT".into(),
        peer: None,
        received_at: id,
    };
    (waiting, offer)
}

fn put(board: &mut Board, id: i64, class: QueueClass, size: u64, unsure: bool) -> Key {
    let (waiting, offer) = waiting(id, class, size);
    board.put(
        waiting,
        offer,
        Load::Memory(Bytes::from(vec![0; size as usize])),
        unsure,
    );
    (class, SpoolId(id))
}

#[test]
fn an_ecg_goes_between_the_chunks_of_bulk() {
    let mut board = Board::default();
    put(&mut board, 1, QueueClass::Bulk, 1000, false);
    let first = board.next(false, 100).unwrap();
    assert_eq!((first.key.1, first.from, first.to), (SpoolId(1), 0, 100));
    assert!(
        board.next(true, 100).is_none(),
        "the urgent connections wait for what is urgent"
    );
    put(&mut board, 2, QueueClass::Ecg, 150, false);
    let ecg: Vec<_> = (0..2).map(|_| board.next(false, 100).unwrap()).collect();
    assert!(ecg.iter().all(|chunk| chunk.key.1 == SpoolId(2)));
    assert_eq!((ecg[1].from, ecg[1].to), (100, 150));
    assert_eq!(board.next(false, 100).unwrap().key.1, SpoolId(1));
}

#[test]
fn no_crumbs_are_left_over() {
    let mut board = Board::default();
    put(&mut board, 1, QueueClass::Bulk, 110, false);
    let chunk = board.next(false, 100).unwrap();
    assert_eq!((chunk.from, chunk.to), (0, 110));
}

#[test]
fn what_is_missing_follows_from_what_is_there() {
    let check = |received: &[(u64, u64)], expect: &[(u64, u64)]| {
        assert_eq!(missing(received, 100), expect, "{received:?}");
    };
    check(&[], &[(0, 100)]);
    check(&[(0, 100)], &[]);
    check(&[(10, 20), (50, 60)], &[(0, 10), (20, 50), (60, 100)]);
    check(&[(50, 60), (0, 55)], &[(60, 100)]);
    check(&[(90, 500)], &[(0, 90)]);
    check(&[(200, 300)], &[(0, 100)]);
    check(&[(30, 10)], &[(0, 100)]);
}

/// A centre that keeps bytes and may lose its answers.
#[derive(Default)]
struct Centre {
    bytes: BTreeSet<u64>,
    stored: usize,
    got: u64,
}

impl Centre {
    fn standing(&self, size: u64) -> Standing {
        if self.stored > 0 {
            return Standing::Stored {
                study_uid: "1.2".into(),
            };
        }
        let mut received: Vec<(u64, u64)> = Vec::new();
        for at in self.bytes.iter().filter(|at| **at < size) {
            match received.last_mut() {
                Some(last) if last.1 == *at => last.1 = at + 1,
                _ => received.push((*at, at + 1)),
            }
        }
        Standing::Partial { received }
    }

    fn take(&mut self, from: u64, to: u64, size: u64) -> Standing {
        self.got += to - from;
        if self.stored == 0 {
            self.bytes.extend(from..to);
            self.stored += usize::from(self.bytes.len() as u64 == size);
        }
        self.standing(size)
    }
}

proptest! {
    /// Any order, loss and repetition of chunks and answers ends with all bytes there once, and nothing left to do.
    #[test]
    fn every_history_ends_stored(
        size in 1u64..400, unsure in any::<bool>(), steps in prop::collection::vec(0u8..8, 0..200)
    ) {
        let (mut board, mut centre) = (Board::default(), Centre::default());
        put(&mut board, 1, QueueClass::Bulk, size, unsure);
        let mut flying: Vec<Chunk> = Vec::new();
        let mut sent = 0;
        let mut count = |after: After| sent += usize::from(matches!(after, After::Sent(_)));
        // After the given history the line is good, so that it must end.
        let good = std::iter::repeat_n([0u8, 1], 500).flatten();
        for step in steps.into_iter().chain(good) {
            match step {
                0 => flying.extend(board.next(false, 16)),
                1 if !flying.is_empty() => {
                    let chunk = flying.remove(0);
                    let standing = centre.take(chunk.from, chunk.to, size);
                    count(board.answered(&chunk, standing));
                }
                // The chunk got through, its answer did not.
                2 if !flying.is_empty() => {
                    let chunk = flying.swap_remove(flying.len() / 2);
                    centre.take(chunk.from, chunk.to, size);
                    board.lost(&chunk);
                }
                // Nothing got through.
                3 if !flying.is_empty() => board.lost(&flying.remove(flying.len() / 2)),
                // It arrives twice.
                4 if !flying.is_empty() => {
                    let chunk = flying.remove(0);
                    centre.take(chunk.from, chunk.to, size);
                    let standing = centre.take(chunk.from, chunk.to, size);
                    count(board.answered(&chunk, standing));
                }
                // The centre lost what was not whole, e.g. by a new disk.
                5 if centre.stored == 0 => centre.bytes.clear(),
                6 => {
                    let keys: Vec<Key> = board.due_questions(8).iter().map(|ask| ask.0).collect();
                    board.unasked(&keys);
                }
                _ => {}
            }
            for (key, offer) in board.due_questions(8) {
                count(board.told(key, centre.standing(offer.coded_size)));
            }
        }
        prop_assert_eq!(centre.bytes.len() as u64, size);
        prop_assert_eq!((centre.stored, sent), (1, 1));
        prop_assert!(board.is_empty());
    }
}
