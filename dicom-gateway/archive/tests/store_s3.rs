//! The store on a real S3 service: everything that a folder does, and what a bad line does to it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what failed by failing"
)]

mod support;

use archive::receive::{RefusedKind, Sender, Source};
use archive::store::{
    Cipher, Encryption, FileState, KeySource, ObjectStore, S3, Settings, Tier, new_key_line, suite,
};
use archive::testing::{ObjectSpec, TemporaryFolder, config, hospital};
use archive::{Archive, ArchiveError, InstitutionId, UnixMicros};
use std::path::Path;
use std::time::Duration;
use support::{Fault, Server};

fn encrypted(mut settings: Settings, keys: &Path) -> Settings {
    let path = keys.join("keys");
    if !path.exists() {
        std::fs::write(&path, new_key_line().unwrap()).unwrap();
    }
    settings.encryption = Some(Encryption {
        cipher: Some(Cipher::Aes256Gcm),
        keys: KeySource::File(path),
    });
    settings
}

#[test]
fn a_bucket_conforms() {
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    suite::conforms(&ObjectStore::open(folder.path(), &server.settings()).unwrap()).unwrap();
}

#[test]
fn an_encrypted_bucket_conforms() {
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    let settings = encrypted(server.settings(), folder.path());
    suite::conforms(&ObjectStore::open(folder.path(), &settings).unwrap()).unwrap();
}

#[test]
fn what_goes_wrong_on_the_way_is_tried_again() {
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    let store = ObjectStore::open(folder.path(), &server.settings()).unwrap();
    let known = suite::digests(b"", b"content");
    for fault in [
        Fault::Refused,
        Fault::AnswerLost,
        Fault::Cut,
        Fault::Slow(Duration::from_millis(300)),
    ] {
        server.fail("PUT", fault);
        let key = suite::placed(&store, &[b"content"], known.whole()).unwrap();
        server.fail("GET", fault);
        assert_eq!(store.read_all(&key).unwrap(), b"content", "{fault:?}");
        assert_eq!(store.verify(&key, &known).unwrap(), FileState::Sound);
        store.remove(&key).unwrap();
    }
}

#[test]
fn a_service_that_cannot_be_used_is_named() {
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    let open = |change: fn(&mut S3)| {
        let mut settings = server.settings();
        change(&mut settings.remote.as_mut().unwrap().s3);
        ObjectStore::open(folder.path(), &settings).and_then(|store| store.prove())
    };
    open(|_| {}).unwrap();
    let changes: [fn(&mut S3); 2] = [
        |s3| s3.secret_key = "wrong".to_owned().into(),
        |s3| s3.endpoint = Some("http://127.0.0.1:9".to_owned()),
    ];
    for change in changes {
        let error = open(change).unwrap_err();
        assert!(matches!(error, ArchiveError::Remote(_)), "{error}");
        assert!(error.to_string().contains("s3://"), "{error}");
    }
}

struct Site {
    archive: Archive,
    hexi: InstitutionId,
}

impl Site {
    async fn open(folder: &Path, settings: Settings) -> Self {
        let mut config = config(folder);
        config.store = settings;
        let archive = Archive::open(config, &[]).await.unwrap();
        let hexi = match archive.institutions().by_code("HEXI").await {
            Ok(known) => known.id,
            Err(_) => archive.institutions().create(hospital("HEXI")).await.unwrap().id,
        };
        Self { archive, hexi }
    }

    async fn receive(&self, study: &str, n: u32) -> Result<(), archive::receive::StoreRefused> {
        let sender = Sender::account("CT", "device", self.hexi, None, Source::CStore);
        let file = ObjectSpec::new(study, 1, n).file_bytes();
        self.archive
            .receive_part10(sender, None, file.into())
            .await
            .map(|_| ())
    }

    async fn bytes(&self, uid: &str) -> Vec<u8> {
        let item = self.archive.studies().instance(uid).await.unwrap().unwrap();
        let store = self.archive.store().clone();
        let read = tokio::task::spawn_blocking(move || store.read_all(&item.instance.object_key));
        read.await.unwrap().unwrap()
    }

    async fn is_intact(&self, objects: u64) {
        let report = self.archive.verify_store().await.unwrap();
        assert_eq!(
            (report.objects, report.is_intact()),
            (objects, true),
            "{report:?}"
        );
    }
}

fn files_below(folder: &Path) -> usize {
    let mut waiting = vec![folder.to_path_buf()];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        match std::fs::read_dir(&path) {
            Ok(list) => waiting.extend(list.flatten().map(|entry| entry.path())),
            Err(_) => files += usize::from(path.extension().is_some_and(|e| e == "dcm" || e == "sealed")),
        }
    }
    files
}

/// Received, acknowledged, checked, rebuilt, backed up and brought back to a folder.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_lives_in_a_bucket() {
    let server = Server::start();
    let (folder, fresh, copy, place) = (
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
    );
    let site = Site::open(folder.path(), server.settings()).await;
    for n in 1..=3 {
        site.receive("1.1", n).await.unwrap();
    }
    site.is_intact(3).await;
    assert_eq!(
        files_below(&folder.path().join("objects")),
        0,
        "nothing stays on this machine"
    );
    assert_eq!(
        site.bytes("1.1.1.2").await,
        ObjectSpec::new("1.1", 1, 2).file_bytes()
    );
    // Another machine with an empty index over the same bucket.
    let other = Site::open(fresh.path(), server.settings()).await;
    let taken = other.archive.reindex().await.unwrap();
    assert!(taken.files == 3 && taken.damaged == 0, "{taken:?}");
    other.is_intact(3).await;
    let report = site.archive.backup(copy.path()).await.unwrap();
    assert!(report.files >= 4, "{report:?}");
    assert_eq!(site.archive.backup(copy.path()).await.unwrap().unchanged, 3);
    let target = config(&place.path().join("new"));
    archive::admin::restore(copy.path(), &target, &[]).await.unwrap();
    let restored = Archive::open(target, &[]).await.unwrap();
    let report = restored.verify_store().await.unwrap();
    assert_eq!((report.objects, report.is_intact()), (3, true), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_does_not_reach_the_bucket_is_refused() {
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    let site = Site::open(folder.path(), server.settings()).await;
    site.receive("1.1", 1).await.unwrap();
    for _ in 0..10 {
        server.fail("PUT", Fault::Refused);
    }
    let refused = site.receive("1.1", 2).await.unwrap_err();
    assert_eq!(
        (refused.status, refused.kind),
        (0xA700, RefusedKind::StorageFailing),
        "{refused}"
    );
    assert!(
        site.archive
            .studies()
            .instance("1.1.1.2")
            .await
            .unwrap()
            .is_none()
    );
    // Tried again by the sender; the service still refuses five times within its tries.
    while site.receive("1.1", 2).await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    site.is_intact(2).await;
}

/// A month later by the clock that the mover is given.
fn later() -> UnixMicros {
    UnixMicros::now().plus(Duration::from_secs(40 * 24 * 3600))
}

#[tokio::test(flavor = "multi_thread")]
async fn older_objects_move_to_the_bucket() {
    let tier = Tier {
        after_days: 30,
        keep_local_gb: 0,
    };
    for is_encrypted in [false, true] {
        let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
        // Plain at first; with encryption on, what leaves this machine is encrypted on the way.
        let site = Site::open(folder.path(), server.tiered(tier)).await;
        for n in 1..=40 {
            site.receive("1.1", n).await.unwrap();
        }
        let settings = match is_encrypted {
            true => encrypted(server.tiered(tier), folder.path()),
            false => server.tiered(tier),
        };
        drop(site);
        let site = Site::open(folder.path(), settings).await;
        let (objects, archive) = (folder.path().join("objects"), &site.archive);
        assert_eq!(
            archive.move_due(tier, UnixMicros::now(), || true).await.unwrap(),
            0
        );
        assert_eq!(files_below(&objects), 40);
        // The service fails for a while: nothing is lost, the next turn goes on.
        for _ in 0..5 {
            server.fail("PUT", Fault::Refused);
        }
        archive.move_due(tier, later(), || true).await.unwrap_err();
        site.is_intact(40).await;
        let rest = archive.move_due(tier, later(), || true).await.unwrap();
        assert_eq!(
            (files_below(&objects), files_below(&server.objects())),
            (0, 40),
            "{rest} moved"
        );
        site.is_intact(40).await;
        assert_eq!(
            site.bytes("1.1.1.7").await,
            ObjectSpec::new("1.1", 1, 7).file_bytes()
        );
        let key = archive
            .studies()
            .instance("1.1.1.7")
            .await
            .unwrap()
            .unwrap()
            .instance
            .object_key;
        assert_eq!(key.is_sealed(), is_encrypted);
        // A copy that is lost there is missed, also by name.
        std::fs::remove_file(server.objects().join("old").join(key_file(&server, &key))).unwrap();
        let report = archive.verify_store().await.unwrap();
        assert_eq!((report.missing, report.changed), (1, 0), "{report:?}");
        assert!(report.problems[0].contains("s3://county/old"), "{report:?}");
        assert_eq!(archive.damaged_objects().await.unwrap(), 1);
    }
}

/// The file of an object below the bucket's prefix: found by its listing.
fn key_file(server: &Server, key: &archive::store::ObjectKey) -> String {
    let name = key.as_str().to_owned();
    if !key.is_sealed() {
        return name;
    }
    use sha2::{Digest, Sha256};
    let hidden = hex::encode(Sha256::digest(format!("gongying object name\0{name}")));
    let path = format!("{}/{}.sealed", &name[..12], &hidden[..40]);
    assert!(server.objects().join("old").join(&path).exists(), "{path}");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_stays_where_it_is() {
    let tier = Tier {
        after_days: 30,
        keep_local_gb: 0,
    };
    let (server, folder) = (Server::start(), TemporaryFolder::new().unwrap());
    let site = Site::open(folder.path(), server.tiered(tier)).await;
    for n in 1..=3 {
        site.receive("1.1", n).await.unwrap();
    }
    let key = site
        .archive
        .studies()
        .instance("1.1.1.2")
        .await
        .unwrap()
        .unwrap()
        .instance
        .object_key;
    let path = folder.path().join("objects").join(key.as_str());
    let sound = std::fs::read(&path).unwrap();
    let mut bytes = sound.clone();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(site.archive.move_due(tier, later(), || true).await.unwrap(), 2);
    assert_eq!(
        (
            files_below(&folder.path().join("objects")),
            files_below(&server.objects())
        ),
        (1, 2)
    );
    let alarms = site.archive.alarms().await.unwrap();
    assert!(
        alarms.len() == 1 && alarms[0].contains("1 stored objects are damaged"),
        "{alarms:?}"
    );
    // Mended from a backup: the next check is content again.
    std::fs::write(&path, &sound).unwrap();
    site.is_intact(3).await;
    assert!(site.archive.alarms().await.unwrap().is_empty());
}
