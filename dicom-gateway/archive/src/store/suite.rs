//! For tests: what every store must do, whatever medium it lies on and however it is encrypted.

use super::{FileDigests, FileState, ObjectKey, ObjectStore};
use crate::error::{ArchiveError, Result};
use crate::ids::{Sha256Digest, UnixMicros};
use std::io::{Read, Seek, SeekFrom};

/// A check says what failed by failing; what cannot even be tried is an error.
type Checked = std::result::Result<(), Box<dyn std::error::Error>>;

/// Digests of an object of these two parts.
pub fn digests(meta: &[u8], dataset: &[u8]) -> FileDigests {
    FileDigests {
        meta_bytes: meta.len() as u64,
        meta: Sha256Digest::of(meta),
        dataset: Sha256Digest::of(dataset),
    }
}

/// Places an object that comes in pieces.
///
/// # Errors
/// As [`ObjectStore::place`].
pub fn placed(store: &ObjectStore, parts: &[&[u8]], digest: Sha256Digest) -> Result<ObjectKey> {
    let mut spool = store.begin()?;
    for part in parts {
        spool.write(part)?;
    }
    store.place(spool, digest, "hexi.dcm")
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
///
/// # Errors
/// What a store says that should not.
pub fn conforms(store: &ObjectStore) -> Checked {
    small_objects(store)?;
    long_objects(store)?;
    the_same_bytes_twice(store)?;
    refused_and_derived(store)?;
    many_at_once(store)
}

fn small_objects(store: &ObjectStore) -> Checked {
    let known = digests(b"meta", b"data set");
    let key = placed(store, &[b"meta", b"data ", b"set"], known.whole())?;
    assert_eq!(
        (key.digest(), key.institution()),
        (Some(known.whole()), Some("hexi"))
    );
    assert_eq!(ObjectKey::parse(key.as_str())?, key);
    assert_eq!(store.read_all(&key)?, b"metadata set");
    assert_eq!(store.size(&key)?, 12);
    let ranges: [(u64, u64, &[u8]); 5] = [
        (4, 4, b"data"),
        (9, 99, b"set"),
        (12, 1, b""),
        (3, 0, b""),
        (u64::MAX, 1, b""),
    ];
    for (offset, length, expect) in ranges {
        assert_eq!(
            store.read_range(&key, offset, length)?,
            expect,
            "{offset}+{length}"
        );
    }
    assert_eq!(store.verify(&key, &known)?, FileState::Sound);
    assert_eq!(
        store.verify(&key, &digests(b"meta", b"data sat"))?,
        FileState::Changed
    );
    assert_eq!(store.digests(&key, 4)?, Some(known));
    assert_eq!(store.digests(&key, 13)?, None);
    store.remove(&key)?;
    store.remove(&key)?;
    assert_eq!(store.verify(&key, &known)?, FileState::Missing);
    assert!(matches!(store.read_all(&key), Err(ArchiveError::NotFound(_))));
    assert!(matches!(store.size(&key), Err(ArchiveError::NotFound(_))));
    let empty = placed(store, &[], digests(b"", b"").whole())?;
    assert_eq!((store.size(&empty)?, store.read_all(&empty)?.len()), (0, 0));
    store.remove(&empty)?;
    Ok(())
}

/// Longer than any buffer, segment, window or part on the way.
fn long_objects(store: &ObjectStore) -> Checked {
    let bytes = content((17 << 20) + 12_345);
    let known = digests(&bytes[..300], &bytes[300..]);
    let pieces: Vec<&[u8]> = bytes.chunks(777_777).collect();
    let key = placed(store, &pieces, known.whole())?;
    assert_eq!(store.size(&key)?, bytes.len() as u64);
    assert_eq!(store.verify(&key, &known)?, FileState::Sound);
    let mut object = store.open_object(&key)?;
    let mut found = Vec::new();
    object.read_to_end(&mut found)?;
    assert!(found == bytes, "read from the beginning to the end");
    for at in [
        0u64,
        65_535,
        65_536,
        (8 << 20) - 3,
        (16 << 20) + 5,
        bytes.len() as u64 - 1,
    ] {
        let begin = usize::try_from(at)?;
        let expect = &bytes[begin..(begin + 70_000).min(bytes.len())];
        assert!(store.read_range(&key, at, 70_000)? == expect, "range at {at}");
        object.seek(SeekFrom::Start(at))?;
        let mut piece = vec![0; expect.len()];
        object.read_exact(&mut piece)?;
        assert!(piece == expect, "read on at {at}");
    }
    assert_eq!(object.seek(SeekFrom::End(-4))?, bytes.len() as u64 - 4);
    assert!(object.seek(SeekFrom::Current(-(1 << 40))).is_err());
    store.remove(&key)?;
    Ok(())
}

fn the_same_bytes_twice(store: &ObjectStore) -> Checked {
    let digest = digests(b"", b"x").whole();
    let (one, two) = (placed(store, &[b"x"], digest)?, placed(store, &[b"x"], digest)?);
    assert_ne!(one, two);
    store.remove(&one)?;
    assert_eq!(store.read_all(&two)?, b"x");
    let bucket = ObjectStore::bucket_of(UnixMicros::now());
    let buckets = store.buckets()?;
    assert!(bucket.len() == 12 && buckets.iter().any(|b| two.as_str().starts_with(b)));
    let listings: Vec<_> = buckets.iter().map(|b| store.listing(b)).collect::<Result<_>>()?;
    assert!(listings.iter().all(|listing| listing.damaged.is_empty()));
    let keys: Vec<_> = listings.into_iter().flat_map(|listing| listing.keys).collect();
    assert_eq!(keys, std::slice::from_ref(&two));
    store.remove(&two)?;
    Ok(())
}

fn refused_and_derived(store: &ObjectStore) -> Checked {
    let digest = Sha256Digest::of(b"x");
    let key = placed(store, &[b"x"], digest)?;
    let refused = store.quarantine(&key)?;
    assert!(matches!(store.read_all(&key), Err(ArchiveError::NotFound(_))));
    assert_eq!(store.read_all(&refused)?, b"x");
    assert!(matches!(
        store.quarantine(&key),
        Err(ArchiveError::NotFound(_) | ArchiveError::Io { .. })
    ));
    let spool = |bytes: &[u8]| {
        let mut spool = store.begin()?;
        spool.write(bytes)?;
        Ok::<_, ArchiveError>(spool)
    };
    let derived = store.place_derived(spool(b"picture")?, digest)?;
    let apart = store.place_in_quarantine(spool(b"other")?, digest)?;
    assert_eq!(store.read_all(&derived)?, b"picture");
    assert_eq!(store.read_all(&apart)?, b"other");
    let mut listed = 0;
    for bucket in store.buckets()? {
        listed += store.keys_of(&bucket)?.len();
    }
    assert_eq!(listed, 0, "neither is an object of the archive");
    for key in [refused, derived, apart] {
        store.remove(&key)?;
    }
    Ok(())
}

fn many_at_once(store: &ObjectStore) -> Checked {
    let keys: Result<Vec<(ObjectKey, Vec<u8>)>> = std::thread::scope(|scope| {
        let place = |n: usize| {
            move || {
                let bytes = content(1000 * n + 1);
                let key = placed(store, &[&bytes], digests(b"", &bytes).whole())?;
                Ok((key, bytes))
            }
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(place(n))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|done| done.unwrap_or(Err(ArchiveError::Closed)))
            .collect()
    });
    for (key, bytes) in keys? {
        assert_eq!(store.read_all(&key)?, bytes);
        store.remove(&key)?;
    }
    Ok(())
}
