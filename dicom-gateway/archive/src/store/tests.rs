use super::faults::{EIO, ENOSPC, EROFS, Fault, FaultyDisk, Operation};
use super::suite::{conforms, content, digests};
use super::*;
use crate::testing::TemporaryFolder;

fn placed(store: &ObjectStore, parts: &[&[u8]], digest: Sha256Digest) -> ObjectKey {
    suite::placed(store, parts, digest).unwrap()
}

fn encrypted(folder: &Path, cipher: Cipher) -> Settings {
    let path = folder.join("keys");
    if !path.exists() {
        std::fs::write(&path, new_key_line().unwrap()).unwrap();
    }
    Settings {
        encryption: Some(Encryption {
            cipher: Some(cipher),
            keys: KeySource::File(path),
        }),
        ..Settings::default()
    }
}

#[test]
fn a_plain_folder_conforms() {
    let folder = TemporaryFolder::new().unwrap();
    conforms(&ObjectStore::open(folder.path(), &Settings::default()).unwrap()).unwrap();
}

#[test]
fn encrypted_folders_conform() {
    for cipher in [Cipher::Aes256Gcm, Cipher::Sm4Gcm] {
        let (folder, keys) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
        conforms(&ObjectStore::open(folder.path(), &encrypted(keys.path(), cipher)).unwrap()).unwrap();
    }
}

#[test]
fn damage_is_seen_and_named() {
    for cipher in [None, Some(Cipher::Aes256Gcm)] {
        let (folder, keys) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
        let settings = cipher.map(|c| encrypted(keys.path(), c)).unwrap_or_default();
        let store = ObjectStore::open(folder.path(), &settings).unwrap();
        let known = digests(b"meta", b"data set");
        let key = placed(&store, &[b"metadata set"], known.whole());
        let path = folder.path().join(key.file_name());
        let sound = std::fs::read(&path).unwrap();
        let check = |what: &str, bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let copies = store.check(&key, &known, false).unwrap();
            assert_eq!((copies.len(), copies[0].state), (1, FileState::Changed), "{what}");
            assert!(!copies[0].why.is_empty(), "{what}");
            copies[0].why.clone()
        };
        let mut flipped = sound.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let why = check("a flipped bit", &flipped);
        match cipher {
            None => assert!(why.contains("data set has SHA-256"), "{why}"),
            Some(_) => assert!(why.contains("bytes 0 to 12"), "{why}"),
        }
        check("cut off", &sound[..sound.len() - 1]);
        check("longer", &[&sound[..], b" "].concat());
        check("empty", b"");
        std::fs::write(&path, &sound).unwrap();
        assert_eq!(store.verify(&key, &known).unwrap(), FileState::Sound);
    }
}

#[test]
fn nothing_on_the_disk_tells_of_an_encrypted_object() {
    let (folder, keys) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
    let store = ObjectStore::open(folder.path(), &encrypted(keys.path(), Cipher::Sm4Gcm)).unwrap();
    let secret = b"Wang^XiaoMing and a long data set that shows".repeat(100);
    let key = placed(&store, &[&secret], digests(b"", &secret).whole());
    let mut spool = store.begin().unwrap();
    spool.write(&secret.repeat(100)).unwrap();
    spool.spill().unwrap();
    let mut waiting = vec![folder.path().to_path_buf()];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        let name = path.to_string_lossy().into_owned();
        assert!(
            !name.contains("hexi") && !name.contains(&key.as_str()[13..29]),
            "{name}"
        );
        if path.is_dir() {
            waiting.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(13).any(|window| window == b"Wang^XiaoMing"));
        }
    }
    assert_eq!(files, 2, "one object and one that is arriving");
}

#[test]
fn without_its_key_an_object_is_refused_with_the_reason() {
    let (folder, keys, others) = (
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
    );
    let settings = encrypted(keys.path(), Cipher::Aes256Gcm);
    let store = ObjectStore::open(folder.path(), &settings).unwrap();
    let key = placed(&store, &[b"x"], digests(b"", b"x").whole());
    let plain = ObjectStore::open(folder.path(), &Settings::default()).unwrap();
    let other = ObjectStore::open(folder.path(), &encrypted(others.path(), Cipher::Aes256Gcm)).unwrap();
    let bucket = &key.as_str()[..12];
    for (store, words) in [(&plain, "[encryption]"), (&other, "lacks the key")] {
        for error in [
            store.read_all(&key).unwrap_err(),
            store.verify(&key, &digests(b"", b"x")).unwrap_err(),
            store.listing(bucket).unwrap_err(),
        ] {
            assert!(
                matches!(&error, ArchiveError::Sealed(why) if why.contains(words)),
                "{error}"
            );
        }
    }
    // Encryption switched off: what is there stays readable, new objects are plain.
    let mut reading = settings.clone();
    reading.encryption.as_mut().unwrap().cipher = None;
    let store = ObjectStore::open(folder.path(), &reading).unwrap();
    assert_eq!(store.read_all(&key).unwrap(), b"x");
    let plain = placed(&store, &[b"y"], digests(b"", b"y").whole());
    assert!(!plain.is_sealed() && store.listing(bucket).unwrap().keys.len() <= 2);
}

#[test]
fn keys_are_renewed_in_place() {
    let (folder, keys) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
    let settings = encrypted(keys.path(), Cipher::Aes256Gcm);
    let old = std::fs::read_to_string(keys.path().join("keys")).unwrap();
    let store = ObjectStore::open(folder.path(), &settings).unwrap();
    let bytes = content(200_000);
    let known = digests(b"", &bytes);
    let key = placed(&store, &[&bytes], known.whole());
    let new = new_key_line().unwrap();
    std::fs::write(keys.path().join("keys"), format!("{new}{old}")).unwrap();
    let both = ObjectStore::open(folder.path(), &settings).unwrap();
    let renewed = both.rewrap(0, &key.file_name()).unwrap();
    assert_eq!(renewed, Rewrapped::Renewed);
    assert_eq!(both.rewrap(0, &key.file_name()).unwrap(), Rewrapped::Current);
    std::fs::write(keys.path().join("keys"), new).unwrap();
    let only_new = ObjectStore::open(folder.path(), &settings).unwrap();
    assert_eq!(only_new.verify(&key, &known).unwrap(), FileState::Sound);
}

#[test]
fn unfinished_files_vanish() {
    let folder = TemporaryFolder::new().unwrap();
    let store = ObjectStore::open(folder.path(), &Settings::default()).unwrap();
    let spool_folder = folder.path().join(SPOOL_FOLDER);
    let count = || std::fs::read_dir(&spool_folder).unwrap().count();
    let mut spool = store.begin().unwrap();
    spool.write(b"half").unwrap();
    assert_eq!(count(), 0, "a few bytes wait in memory");
    spool.spill().unwrap();
    assert_eq!((count(), store.clear_spool().unwrap()), (1, 0));
    drop(spool);
    assert_eq!(count(), 0);
    std::fs::write(spool_folder.join("4194305-dead.part"), b"left by a crash").unwrap();
    assert_eq!((store.clear_spool().unwrap(), count()), (1, 0));
}

fn faulty() -> (TemporaryFolder, FaultyDisk, ObjectStore) {
    let (folder, disk) = (TemporaryFolder::new().unwrap(), FaultyDisk::new());
    let store = ObjectStore::open_on(folder.path(), &Settings::default(), Arc::new(disk.clone())).unwrap();
    (folder, disk, store)
}

fn try_place(store: &ObjectStore) -> Result<ObjectKey> {
    let mut spool = store.begin()?;
    spool.write(b"metadata")?;
    spool.spill()?;
    spool.write(b" set")?;
    store.place(spool, digests(b"meta", b"data set").whole(), "dcm")
}

fn files_in(folder: &TemporaryFolder) -> usize {
    let mut waiting = vec![folder.path().to_path_buf()];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        match std::fs::read_dir(&path) {
            Ok(list) => waiting.extend(list.map(|entry| entry.unwrap().path())),
            Err(_) => files += 1,
        }
    }
    files
}

/// Every fault at every step: an error, nothing left behind, and all well after it.
#[test]
fn a_failing_step_leaves_nothing_behind() {
    use Operation::{Create, MakeFolder, Rename, Write};
    for (operation, after) in [(Create, 0), (Write, 0), (Write, 1), (Rename, 0), (MakeFolder, 0)] {
        for (code, is_full) in [(ENOSPC, true), (EIO, false), (EROFS, false)] {
            let (folder, disk, store) = faulty();
            disk.fail(operation, after, 1, Fault::Error(code));
            let error = try_place(&store).unwrap_err();
            assert_eq!(
                matches!(error, ArchiveError::OutOfSpace(_)),
                is_full,
                "{operation:?}: {error}"
            );
            assert_eq!(files_in(&folder), 0, "{operation:?} {code}");
            assert!(store.health().failing().is_none(), "{operation:?}");
            let key = try_place(&store).unwrap();
            assert_eq!(store.read_all(&key).unwrap(), b"metadata set");
        }
    }
}

#[test]
fn a_failed_flush_ends_the_store() {
    for operation in [Operation::SyncData, Operation::SyncFolder] {
        let (folder, disk, store) = faulty();
        let before = try_place(&store).unwrap();
        disk.fail(operation, 0, 1, Fault::Error(EIO));
        let error = try_place(&store).unwrap_err();
        assert!(
            matches!(error, ArchiveError::StorageFailing(_)),
            "{operation:?}: {error}"
        );
        // The next flush would succeed; it is not asked for.
        assert!(matches!(try_place(&store), Err(ArchiveError::StorageFailing(_))));
        assert!(matches!(store.prove(), Err(ArchiveError::StorageFailing(_))) && !store.is_ready());
        assert_eq!(files_in(&folder), 1, "only the first object");
        assert_eq!(
            store.read_all(&before).unwrap(),
            b"metadata set",
            "what is there can be read"
        );
        let again = ObjectStore::open_on(folder.path(), &Settings::default(), Arc::new(disk)).unwrap();
        again.prove().unwrap();
        try_place(&again).unwrap();
    }
}

#[test]
fn a_full_disk_at_the_flush_is_no_failing_disk() {
    for operation in [Operation::SyncData, Operation::SyncFolder] {
        let (folder, disk, store) = faulty();
        disk.fail(operation, 0, 1, Fault::Error(ENOSPC));
        assert!(
            matches!(try_place(&store), Err(ArchiveError::OutOfSpace(_))),
            "{operation:?}"
        );
        assert_eq!(files_in(&folder), 0);
        try_place(&store).unwrap();
    }
}

#[test]
fn short_and_slow_operations_only_take_longer() {
    let (_folder, disk, store) = faulty();
    disk.fail(Operation::Write, 0, 30, Fault::Short);
    disk.fail(Operation::SyncData, 0, 1, Fault::Slow(Duration::from_millis(50)));
    let begun = Instant::now();
    let key = try_place(&store).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50));
    disk.fail(Operation::Read, 0, 7, Fault::Short);
    assert_eq!(store.read_all(&key).unwrap(), b"metadata set");
}

#[test]
fn an_unreadable_object_is_named_and_the_others_are_checked() {
    let (_folder, disk, store) = faulty();
    let known = digests(b"meta", b"data set");
    let (one, two) = (try_place(&store).unwrap(), try_place(&store).unwrap());
    disk.fail(Operation::Read, 0, 1, Fault::Error(EIO));
    let copies = store.check(&one, &known, false).unwrap();
    assert_eq!(copies[0].state, FileState::Unreadable);
    assert!(copies[0].why.contains("os error 5"), "{}", copies[0].why);
    assert_eq!(store.verify(&two, &known).unwrap(), FileState::Sound);
    disk.fail(Operation::Read, 0, 1, Fault::Error(EIO));
    assert!(matches!(store.read_all(&one), Err(ArchiveError::Io { .. })));
}
