use super::*;
use crate::testing::TemporaryFolder;
use proptest::prelude::*;

fn digests(meta: &[u8], dataset: &[u8]) -> FileDigests {
    FileDigests {
        meta_bytes: meta.len() as u64,
        meta: Sha256Digest::of(meta),
        dataset: Sha256Digest::of(dataset),
    }
}

fn placed(store: &ObjectStore, parts: &[&[u8]], digest: Sha256Digest) -> ObjectKey {
    let mut spool = store.begin().unwrap();
    for part in parts {
        spool.write(part).unwrap();
    }
    store.place(spool, digest, "dcm").unwrap()
}

#[test]
fn objects_come_back_equal_and_damage_is_seen() {
    let folder = TemporaryFolder::new().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let known = digests(b"meta", b"data set");
    let key = placed(&store, &[b"meta", b"data ", b"set"], known.whole());
    assert_eq!(key.digest(), Some(known.whole()));
    assert_eq!(ObjectKey::parse(key.as_str()).unwrap(), key);
    assert_eq!(store.read_all(&key).unwrap(), b"metadata set");
    assert_eq!(store.size(&key).unwrap(), 12);
    let ranges: [(u64, u64, &[u8]); 4] = [(4, 4, b"data"), (9, 99, b"set"), (12, 1, b""), (u64::MAX, 1, b"")];
    for (offset, length, expect) in ranges {
        assert_eq!(
            store.read_range(&key, offset, length).unwrap(),
            expect,
            "{offset}+{length}"
        );
    }
    assert_eq!(store.verify(&key, &known).unwrap(), FileState::Sound);
    assert_eq!(store.digests(&key, 4).unwrap(), Some(known));
    assert_eq!(store.digests(&key, 13).unwrap(), None);
    let path = store.path(&key);
    for damage in [
        &b"metadata sat"[..],
        b"metbdata set",
        b"metadata se",
        b"metadata set ",
        b"",
    ] {
        std::fs::write(&path, damage).unwrap();
        assert_eq!(
            store.verify(&key, &known).unwrap(),
            FileState::Changed,
            "{damage:?}"
        );
    }
    store.remove(&key).unwrap();
    assert_eq!(store.verify(&key, &known).unwrap(), FileState::Missing);
    assert!(matches!(store.read_all(&key), Err(ArchiveError::NotFound(_))));
}

#[test]
fn the_same_bytes_placed_twice_are_two_files() {
    let folder = TemporaryFolder::new().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let digest = digests(b"", b"x").whole();
    let (one, two) = (placed(&store, &[b"x"], digest), placed(&store, &[b"x"], digest));
    assert_ne!(one, two);
    store.remove(&one).unwrap();
    assert_eq!(store.read_all(&two).unwrap(), b"x");
    let bucket = ObjectStore::bucket_of(UnixMicros::now());
    let now: Vec<_> = store.buckets().unwrap();
    assert!(now.len() <= 2 && bucket.len() == 12, "{now:?} {bucket}");
    let keys: Vec<_> = now.iter().flat_map(|b| store.keys_of(b).unwrap()).collect();
    assert_eq!(keys, [two]);
}

#[test]
fn unfinished_files_vanish() {
    let folder = TemporaryFolder::new().unwrap();
    let store = ObjectStore::open(folder.path()).unwrap();
    let spool_folder = folder.path().join(SPOOL_FOLDER);
    let count = || std::fs::read_dir(&spool_folder).unwrap().count();
    let mut spool = store.begin().unwrap();
    spool.write(b"half").unwrap();
    assert_eq!((count(), store.clear_spool().unwrap()), (1, 0));
    drop(spool);
    assert_eq!(count(), 0);
    std::fs::write(spool_folder.join("4194305-dead.part"), b"left by a crash").unwrap();
    assert_eq!((store.clear_spool().unwrap(), count()), (1, 0));
}

proptest! {
    #[test]
    fn no_key_leaves_the_store(text in "[./a-z0-9\\\\-]{0,40}") {
        if let Ok(key) = ObjectKey::parse(&text) {
            prop_assert!(!key.as_str().starts_with('/') && !key.as_str().contains(".."));
        }
    }
}
