//! Unfinished objects under any order, repetition and restart.

use super::*;
use archive::Sha256Digest;
use archive::edge::wire::Coding;
use archive::testing::TemporaryFolder;
use proptest::prelude::*;

fn offer(bytes: &[u8]) -> ObjectOffer {
    let digest = Sha256Digest::of(bytes).to_hex();
    ObjectOffer {
        digest: digest.clone(),
        sop_instance_uid: "1.2.3".into(),
        size: bytes.len() as u64,
        meta_bytes: 1,
        dataset_digest: digest.clone(),
        coding: Coding::Identity,
        coded_size: bytes.len() as u64,
        coded_digest: digest,
        sender: "HEXI_CT".into(),
        peer: None,
        received_at: 1,
    }
}

fn piece(bytes: &[u8], at: usize, size: usize) -> (u64, Bytes) {
    let end = (at + size).min(bytes.len());
    (at as u64, Bytes::copy_from_slice(&bytes[at..end]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Chunks in any order, twice, with restarts between: the file is whole exactly when all were there, and equal.
    #[test]
    fn any_order_ends_equal(
        length in 1usize..5000, size in 1usize..900, seed in any::<u64>(), restarts in prop::collection::vec(any::<bool>(), 40)
    ) {
        let bytes: Vec<u8> = (0..length).map(|k| (k as u64).wrapping_mul(seed | 1).to_le_bytes()[2]).collect();
        let folder = TemporaryFolder::new().unwrap();
        let mut uploads = Uploads::new(folder.path().join("up"));
        let offer = offer(&bytes);
        let mut starts: Vec<usize> = (0..length).step_by(size).collect();
        let count = starts.len();
        starts.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut last = 0;
        for (k, at) in starts.iter().enumerate() {
            if restarts.get(k).copied().unwrap_or(false) {
                uploads = Uploads::new(folder.path().join("up"));
            }
            let (offset, chunk) = piece(&bytes, *at, size);
            let partial = uploads.begin("edge-a", &offer).unwrap();
            match partial.take(offset, &chunk).unwrap() {
                Taken::Last => last += 1,
                Taken::More(_) => {
                    // Once more changes nothing.
                    let again = partial.take(offset, &chunk).unwrap();
                    prop_assert!(matches!(again, Taken::More(_)));
                    prop_assert!(k + 1 < count);
                }
                Taken::Finishing => prop_assert!(false, "not all were there"),
            }
        }
        prop_assert_eq!(last, 1);
        // Killed before it was put away: the next start finds it whole and goes on.
        let uploads = Uploads::new(folder.path().join("up"));
        let partial = uploads.find("edge-a", &offer).unwrap().unwrap();
        prop_assert!(partial.resume());
        prop_assert!(!partial.resume(), "only one puts it away");
        prop_assert_eq!(std::fs::read(&partial.path).unwrap(), bytes);
        uploads.remove("edge-a", &partial);
        prop_assert!(uploads.find("edge-a", &offer).unwrap().is_none());
        prop_assert_eq!(std::fs::read_dir(folder.path().join("up/edge-a")).unwrap().count(), 0);
    }
}

#[test]
fn what_lies_outside_is_refused() {
    let folder = TemporaryFolder::new().unwrap();
    let uploads = Uploads::new(folder.path().join("up"));
    let partial = uploads.begin("edge-a", &offer(&[7; 100])).unwrap();
    let chunk = Bytes::from_static(&[7; 10]);
    for offset in [91, 100, u64::MAX, u64::MAX - 5] {
        assert!(
            matches!(partial.take(offset, &chunk), Err(PartialError::Outside)),
            "{offset}"
        );
    }
    assert!(matches!(
        partial.take(0, &Bytes::new()),
        Err(PartialError::Outside)
    ));
    assert!(partial.received().is_empty());
}

#[test]
fn other_bytes_for_the_way_begin_anew_and_nodes_do_not_meet() {
    let folder = TemporaryFolder::new().unwrap();
    let uploads = Uploads::new(folder.path().join("up"));
    let first = offer(&[7; 100]);
    let partial = uploads.begin("edge-a", &first).unwrap();
    partial.take(0, &Bytes::from_static(&[7; 50])).unwrap();
    let packed = ObjectOffer {
        coding: Coding::Parcel,
        coded_size: 40,
        coded_digest: Sha256Digest::of(b"packed otherwise").to_hex(),
        ..first.clone()
    };
    assert!(uploads.find("edge-a", &packed).unwrap().is_none());
    assert!(uploads.begin("edge-a", &packed).unwrap().received().is_empty());
    // A late chunk of the first beginning reaches nothing of the second.
    partial.take(50, &Bytes::from_static(&[9; 50])).unwrap();
    let second = uploads.begin("edge-a", &packed).unwrap();
    assert_eq!(std::fs::metadata(&second.path).unwrap().len(), 0);
    assert!(uploads.find("edge-b", &packed).unwrap().is_none());
}

#[test]
fn one_node_cannot_fill_the_spool() {
    let folder = TemporaryFolder::new().unwrap();
    let uploads = Uploads::new(folder.path().join("up"));
    for k in 0..OPEN_OF_NODE_MAX {
        uploads.begin("edge-a", &offer(&k.to_le_bytes())).unwrap();
    }
    let more = offer(b"one more");
    assert!(matches!(
        uploads.begin("edge-a", &more),
        Err(PartialError::TooMuch)
    ));
    assert!(uploads.begin("edge-b", &more).is_ok());
    let huge = ObjectOffer {
        coded_size: BYTES_OF_NODE_MAX + 1,
        ..offer(b"huge")
    };
    assert!(matches!(
        uploads.begin("edge-c", &huge),
        Err(PartialError::TooMuch)
    ));
}

#[test]
fn a_log_that_a_crash_cut_off_is_read_up_to_there() {
    let folder = TemporaryFolder::new().unwrap();
    let uploads = Uploads::new(folder.path().join("up"));
    let offer = offer(&[7; 100]);
    let partial = uploads.begin("edge-a", &offer).unwrap();
    partial.take(0, &Bytes::from_static(&[7; 30])).unwrap();
    partial.take(60, &Bytes::from_static(&[7; 30])).unwrap();
    let log = log_path(&partial.path);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, &text[..text.len() - 2]).unwrap();
    let uploads = Uploads::new(folder.path().join("up"));
    let found = uploads.find("edge-a", &offer).unwrap().unwrap();
    assert_eq!(found.received(), [(0, 30)]);
}
