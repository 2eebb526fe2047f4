//! Damage is found, a lost index comes back, a backup brings everything back.

use super::*;
use crate::receive::{Sender, Source};
use crate::study::{Scope, StudyFilter};
use crate::testing::{ObjectSpec, TemporaryFolder, config, hospital};
use crate::{Archive, InstitutionId, params};
use std::path::PathBuf;

async fn filled(folder: &TemporaryFolder) -> (Archive, InstitutionId) {
    filled_in(config(folder.path())).await
}

async fn filled_in(place: crate::Config) -> (Archive, InstitutionId) {
    let archive = Archive::open(place, &[]).await.unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    for study in ["1.1", "1.2"] {
        for n in 1..=3 {
            let sender = Sender::account("tech", "technician", hexi, None, Source::Stow);
            let file = ObjectSpec::new(study, 1, n).file_bytes();
            archive.receive_part10(sender, None, file.into()).await.unwrap();
        }
    }
    archive
        .derived()
        .put("1.1.1", "preview", 1, "image/jpeg", vec![3; 100_000])
        .await
        .unwrap();
    (archive, hexi)
}

async fn path_of(archive: &Archive, uid: &str) -> PathBuf {
    let item = archive.studies().instance(uid).await.unwrap().unwrap();
    archive.store().root().join(item.instance.object_key.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_found() {
    let folder = TemporaryFolder::new().unwrap();
    let (archive, _) = filled(&folder).await;
    let sound = archive.verify_store().await.unwrap();
    assert_eq!(
        (sound.objects, sound.derived, sound.is_intact()),
        (6, 1, true),
        "{sound:?}"
    );
    let flipped = path_of(&archive, "1.1.1.1").await;
    let mut bytes = std::fs::read(&flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&flipped, &bytes).unwrap();
    std::fs::remove_file(path_of(&archive, "1.1.1.2").await).unwrap();
    let known = path_of(&archive, "1.1.1.3").await;
    std::fs::copy(&known, known.to_string_lossy().replace(".hexi", "0.hexi")).unwrap();
    let report = archive.verify_store().await.unwrap();
    assert_eq!(
        (report.missing, report.changed, report.unindexed),
        (1, 1, 1),
        "{report:?}"
    );
    assert_eq!(report.problems.len(), 3);
}

type Brief = Vec<(String, i64, String, Option<String>)>;

fn brief(items: &[crate::study::StudyItem]) -> Brief {
    let one = |i: &crate::study::StudyItem| {
        (
            i.study.study_uid.clone(),
            i.study.instance_count,
            i.patient.name.clone(),
            i.study.study_date.clone(),
        )
    };
    let mut all: Brief = items.iter().map(one).collect();
    all.sort();
    all
}

async fn listed(archive: &Archive) -> Vec<crate::study::StudyItem> {
    archive
        .studies()
        .search(&StudyFilter::default(), &Scope::All, 10, 0)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_rebuilt_from_the_store() {
    let folder = TemporaryFolder::new().unwrap();
    let (archive, _) = filled(&folder).await;
    let before = listed(&archive).await;
    drop(archive);
    // The connections close in their own time, and the last of them takes the log away by its name: after that, and not
    // before, the whole index is lost.
    let log = folder.path().join("index.sqlite-wal");
    for _ in 0..500 {
        if !log.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!log.exists(), "the index is still open");
    for name in [
        "index.sqlite",
        "index.sqlite-wal",
        "index.sqlite-shm",
        "audit.anchor",
    ] {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    std::fs::write(
        folder.path().join("store.watermark"),
        crate::UnixMicros::now()
            .plus(std::time::Duration::from_secs(86_400))
            .0
            .to_string(),
    )
    .unwrap();
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    assert!(listed(&archive).await.is_empty());
    let report = archive.reindex().await.unwrap();
    assert_eq!((report.files, report.adopted, report.damaged), (6, 6, 0));
    let after = listed(&archive).await;
    assert_eq!(brief(&before), brief(&after));
    let owner = archive
        .institutions()
        .by_id(after[0].study.institution_id)
        .await
        .unwrap();
    assert_eq!(owner.code, "HEXI");
    // Wrong counts are mended; a second run finds nothing to take in.
    archive
        .db()
        .write(|tx| {
            Box::pin(async move {
                tx.execute(
                    "UPDATE study SET instance_count = 99 WHERE study_uid = $1",
                    params!["1.1"],
                )
                .await
            })
        })
        .await
        .unwrap();
    assert_eq!(archive.reindex().await.unwrap().adopted, 0);
    assert_eq!(
        archive
            .studies()
            .by_uid("1.1")
            .await
            .unwrap()
            .unwrap()
            .instance_count,
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_everything_back() {
    let (folder, copy, place) = (
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
    );
    let (archive, hexi) = filled(&folder).await;
    let first = archive.backup(copy.path()).await.unwrap();
    assert!(first.files >= 9 && first.unchanged == 0, "{first:?}");
    let sender = Sender::account("tech", "technician", hexi, None, Source::Stow);
    archive
        .receive_part10(sender, None, ObjectSpec::new("1.3", 1, 1).file_bytes().into())
        .await
        .unwrap();
    let second = archive.backup(copy.path()).await.unwrap();
    assert_eq!(second.unchanged, 7, "{second:?}");
    let target = config(&place.path().join("new"));
    restore(copy.path(), &target, &[]).await.unwrap();
    assert!(
        restore(copy.path(), &target, &[]).await.is_err(),
        "never over something"
    );
    let again = Archive::open(target, &[]).await.unwrap();
    let report = again.verify_store().await.unwrap();
    assert_eq!((report.objects, report.is_intact()), (7, true), "{report:?}");
    assert!(again.verify_audit().await.unwrap().is_intact());
    assert_eq!(
        again
            .derived()
            .get("1.1.1", "preview")
            .await
            .unwrap()
            .unwrap()
            .content
            .len(),
        100_000
    );
    assert!(matches!(
        restore(place.path(), &config(copy.path()), &[]).await,
        Err(crate::ArchiveError::NotFound(_))
    ));
}

async fn holds_all(archive: &Archive, before: &Brief) {
    let report = archive.verify_store().await.unwrap();
    assert_eq!((report.objects, report.is_intact()), (6, true), "{report:?}");
    assert_eq!(brief(&listed(archive).await), *before);
    assert!(archive.verify_audit().await.unwrap().is_intact());
}

/// SQLite to PostgreSQL and from there to another PostgreSQL and back to SQLite: what is there stays
/// there, and new rows get new numbers.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_moves_between_databases_by_its_backup() {
    let Some(server) = crate::testing::Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let folders: Vec<TemporaryFolder> = (0..6).map(|_| TemporaryFolder::new().unwrap()).collect();
    let (archive, hexi) = filled(&folders[0]).await;
    let before = brief(&listed(&archive).await);
    archive.backup(folders[1].path()).await.unwrap();
    let mut target = config(folders[2].path());
    target.index = server.url("postgres").parse().unwrap();
    restore(folders[1].path(), &target, &[]).await.unwrap();
    let county = Archive::open(target.clone(), &[]).await.unwrap();
    holds_all(&county, &before).await;
    county.backup(folders[3].path()).await.unwrap();
    assert!(folders[3].path().join("index.jsonl.gz").is_file());
    let sender = Sender::account("tech", "technician", hexi, None, Source::Stow);
    let file = ObjectSpec::new("1.9", 1, 1).file_bytes();
    county.receive_part10(sender, None, file.into()).await.unwrap();
    assert_eq!(county.verify_store().await.unwrap().objects, 7);
    let over = restore(folders[3].path(), &target, &[]).await;
    assert!(
        matches!(over, Err(crate::ArchiveError::Conflict(_))),
        "never over something"
    );
    let back = config(&folders[4].path().join("new"));
    restore(folders[3].path(), &back, &[]).await.unwrap();
    holds_all(&Archive::open(back, &[]).await.unwrap(), &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_archive_is_rebuilt_backed_up_and_brought_back() {
    use crate::store::{Cipher, Encryption, KeySource, new_key_line};
    let folders: Vec<TemporaryFolder> = (0..4).map(|_| TemporaryFolder::new().unwrap()).collect();
    let keys = folders[3].path().join("keys");
    let old = new_key_line().unwrap();
    std::fs::write(&keys, &old).unwrap();
    let encrypted = |mut place: crate::Config| {
        place.store.encryption = Some(Encryption {
            cipher: Some(Cipher::Sm4Gcm),
            keys: KeySource::File(keys.clone()),
        });
        place
    };
    let archive = filled_in(encrypted(config(folders[0].path()))).await.0;
    let before = brief(&listed(&archive).await);
    holds_all(&archive, &before).await;
    let first = archive.backup(folders[1].path()).await.unwrap();
    assert_eq!(first.encrypted, 7, "{first:?}");
    // A new key: only heads change, and the next backup takes the files again.
    std::fs::write(&keys, format!("{}{old}", new_key_line().unwrap())).unwrap();
    drop(archive);
    let archive = Archive::open(encrypted(config(folders[0].path())), &[])
        .await
        .unwrap();
    let renewed = archive.rewrap().await.unwrap();
    assert_eq!((renewed.renewed, renewed.damaged), (7, 0), "{renewed:?}");
    assert_eq!(archive.rewrap().await.unwrap().current, 7);
    assert_eq!(archive.backup(folders[1].path()).await.unwrap().unchanged, 0);
    let only_new: String = std::fs::read_to_string(&keys)
        .unwrap()
        .lines()
        .take(1)
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&keys, only_new).unwrap();
    let target = encrypted(config(&folders[2].path().join("new")));
    restore(folders[1].path(), &target, &[]).await.unwrap();
    let again = Archive::open(target.clone(), &[]).await.unwrap();
    holds_all(&again, &before).await;
    drop(again);
    // The store alone rebuilds the index, also when it is encrypted.
    for name in [
        "index.sqlite",
        "index.sqlite-wal",
        "index.sqlite-shm",
        "audit.anchor",
    ] {
        let _ = std::fs::remove_file(target.data_dir.join(name));
    }
    let rebuilt = Archive::open(target, &[]).await.unwrap();
    rebuilt.reindex().await.unwrap();
    assert_eq!(brief(&listed(&rebuilt).await), before);
}
