//! For tests: what every store must do, whatever medium it lies on and however it is encrypted.

#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

use super::{FileDigests, FileState, ObjectKey, ObjectStore};
use crate::error::ArchiveError;
use crate::ids::{Sha256Digest, UnixMicros};
use std::io::{Read, Seek, SeekFrom};

/// Digests of an object of these two parts.
pub fn digests(meta: &[u8], dataset: &[u8]) -> FileDigests {
    FileDigests {
        meta_bytes: meta.len() as u64,
        meta: Sha256Digest::of(meta),
        dataset: Sha256Digest::of(dataset),
    }
}

/// Places an object that comes in pieces.
pub fn placed(store: &ObjectStore, parts: &[&[u8]], digest: Sha256Digest) -> ObjectKey {
    let mut spool = store.begin().unwrap();
    for part in parts {
        spool.write(part).unwrap();
    }
    store.place(spool, digest, "hexi.dcm").unwrap()
}

/// Bytes that do not repeat soon.
pub fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// The whole suite.
pub fn conforms(store: &ObjectStore) {
    small_objects(store);
    long_objects(store);
    the_same_bytes_twice(store);
    refused_and_derived(store);
    many_at_once(store);
}

fn small_objects(store: &ObjectStore) {
    let known = digests(b"meta", b"data set");
    let key = placed(store, &[b"meta", b"data ", b"set"], known.whole());
    assert_eq!(
        (key.digest(), key.institution()),
        (Some(known.whole()), Some("hexi"))
    );
    assert_eq!(ObjectKey::parse(key.as_str()).unwrap(), key);
    assert_eq!(store.read_all(&key).unwrap(), b"metadata set");
    assert_eq!(store.size(&key).unwrap(), 12);
    let ranges: [(u64, u64, &[u8]); 5] = [
        (4, 4, b"data"),
        (9, 99, b"set"),
        (12, 1, b""),
        (3, 0, b""),
        (u64::MAX, 1, b""),
    ];
    for (offset, length, expect) in ranges {
        assert_eq!(
            store.read_range(&key, offset, length).unwrap(),
            expect,
            "{offset}+{length}"
        );
    }
    assert_eq!(store.verify(&key, &known).unwrap(), FileState::Sound);
    assert_eq!(
        store.verify(&key, &digests(b"meta", b"data sat")).unwrap(),
        FileState::Changed
    );
    assert_eq!(store.digests(&key, 4).unwrap(), Some(known));
    assert_eq!(store.digests(&key, 13).unwrap(), None);
    store.remove(&key).unwrap();
    store.remove(&key).unwrap();
    assert_eq!(store.verify(&key, &known).unwrap(), FileState::Missing);
    assert!(matches!(store.read_all(&key), Err(ArchiveError::NotFound(_))));
    assert!(matches!(store.size(&key), Err(ArchiveError::NotFound(_))));
    let empty = placed(store, &[], digests(b"", b"").whole());
    assert_eq!(
        (store.size(&empty).unwrap(), store.read_all(&empty).unwrap().len()),
        (0, 0)
    );
    store.remove(&empty).unwrap();
}

/// Longer than any buffer, segment, window or part on the way.
fn long_objects(store: &ObjectStore) {
    let bytes = content((17 << 20) + 12_345);
    let known = digests(&bytes[..300], &bytes[300..]);
    let pieces: Vec<&[u8]> = bytes.chunks(777_777).collect();
    let key = placed(store, &pieces, known.whole());
    assert_eq!(store.size(&key).unwrap(), bytes.len() as u64);
    assert_eq!(store.verify(&key, &known).unwrap(), FileState::Sound);
    let mut object = store.open_object(&key).unwrap();
    let mut found = Vec::new();
    object.read_to_end(&mut found).unwrap();
    assert!(found == bytes, "read from the beginning to the end");
    for at in [
        0u64,
        65_535,
        65_536,
        (8 << 20) - 3,
        (16 << 20) + 5,
        bytes.len() as u64 - 1,
    ] {
        let begin = usize::try_from(at).unwrap();
        let expect = &bytes[begin..(begin + 70_000).min(bytes.len())];
        assert!(
            store.read_range(&key, at, 70_000).unwrap() == expect,
            "range at {at}"
        );
        object.seek(SeekFrom::Start(at)).unwrap();
        let mut piece = vec![0; expect.len()];
        object.read_exact(&mut piece).unwrap();
        assert!(piece == expect, "read on at {at}");
    }
    assert_eq!(object.seek(SeekFrom::End(-4)).unwrap(), bytes.len() as u64 - 4);
    assert!(object.seek(SeekFrom::Current(-(1 << 40))).is_err());
    store.remove(&key).unwrap();
}

fn the_same_bytes_twice(store: &ObjectStore) {
    let digest = digests(b"", b"x").whole();
    let (one, two) = (placed(store, &[b"x"], digest), placed(store, &[b"x"], digest));
    assert_ne!(one, two);
    store.remove(&one).unwrap();
    assert_eq!(store.read_all(&two).unwrap(), b"x");
    let bucket = ObjectStore::bucket_of(UnixMicros::now());
    let buckets = store.buckets().unwrap();
    assert!(bucket.len() == 12 && buckets.iter().any(|b| two.as_str().starts_with(b)));
    let listings: Vec<_> = buckets.iter().map(|b| store.listing(b).unwrap()).collect();
    assert!(listings.iter().all(|listing| listing.damaged.is_empty()));
    let keys: Vec<_> = listings.into_iter().flat_map(|listing| listing.keys).collect();
    assert_eq!(keys, std::slice::from_ref(&two));
    store.remove(&two).unwrap();
}

fn refused_and_derived(store: &ObjectStore) {
    let digest = Sha256Digest::of(b"x");
    let key = placed(store, &[b"x"], digest);
    let refused = store.quarantine(&key).unwrap();
    assert!(matches!(store.read_all(&key), Err(ArchiveError::NotFound(_))));
    assert_eq!(store.read_all(&refused).unwrap(), b"x");
    assert!(matches!(
        store.quarantine(&key),
        Err(ArchiveError::NotFound(_) | ArchiveError::Io { .. })
    ));
    let spool = |bytes: &[u8]| {
        let mut spool = store.begin().unwrap();
        spool.write(bytes).unwrap();
        spool
    };
    let derived = store.place_derived(spool(b"picture"), digest).unwrap();
    let apart = store.place_in_quarantine(spool(b"other"), digest).unwrap();
    assert_eq!(store.read_all(&derived).unwrap(), b"picture");
    assert_eq!(store.read_all(&apart).unwrap(), b"other");
    let listed: usize = store
        .buckets()
        .unwrap()
        .iter()
        .map(|b| store.keys_of(b).unwrap().len())
        .sum();
    assert_eq!(listed, 0, "neither is an object of the archive");
    for key in [refused, derived, apart] {
        store.remove(&key).unwrap();
    }
}

fn many_at_once(store: &ObjectStore) {
    let keys: Vec<(ObjectKey, Vec<u8>)> = std::thread::scope(|scope| {
        let place = |n: usize| {
            move || {
                let bytes = content(1000 * n + 1);
                let key = placed(store, &[&bytes], digests(b"", &bytes).whole());
                (key, bytes)
            }
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(place(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (key, bytes) in keys {
        assert_eq!(store.read_all(&key).unwrap(), bytes);
        store.remove(&key).unwrap();
    }
}
