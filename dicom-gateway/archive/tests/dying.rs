//! Disk and index that die in the middle: never Success for what is not kept, nothing half visible,
//! and all well when they are back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed by failing"
)]

use archive::receive::{RefusedKind, Sender, Source, StoreRefused, Stored};
use archive::store::faults::{EIO, ENOSPC, EROFS, Fault, FaultyDisk, Operation};
use archive::store::{ObjectStore, Settings};
use archive::testing::{ObjectSpec, Postgres, SmallDisk, TemporaryFolder, config, hospital};
use archive::{Archive, Config, InstitutionId};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn on_disk(config: Config, disk: &FaultyDisk) -> Archive {
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let store = ObjectStore::open_on(&config.objects, &Settings::default(), Arc::new(disk.clone())).unwrap();
    let archive = Archive::open_with(config, &[], store).await.unwrap();
    archive.recover().await.unwrap();
    archive
}

async fn hexi(archive: &Archive) -> InstitutionId {
    match archive.institutions().by_code("HEXI").await {
        Ok(known) => known.id,
        Err(_) => archive.institutions().create(hospital("HEXI")).await.unwrap().id,
    }
}

async fn receive(archive: &Archive, to: InstitutionId, study: &str, n: u32) -> Result<Stored, StoreRefused> {
    receive_spec(archive, to, ObjectSpec::new(study, 1, n)).await
}

async fn receive_spec(
    archive: &Archive,
    to: InstitutionId,
    spec: ObjectSpec,
) -> Result<Stored, StoreRefused> {
    let sender = Sender::account("CT", "device", to, None, Source::CStore);
    archive
        .receive_part10(sender, None, spec.file_bytes().into())
        .await
}

/// What is acknowledged is there and sound, and nothing else can be seen.
async fn holds_exactly(archive: &Archive, uids: &[String]) {
    let report = archive.verify_store().await.unwrap();
    assert_eq!(
        (report.objects, report.is_intact()),
        (uids.len() as u64, true),
        "{report:?}"
    );
    for uid in uids {
        assert!(archive.studies().instance(uid).await.unwrap().is_some(), "{uid}");
    }
    assert!(archive.verify_audit().await.unwrap().is_intact());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failing_step_of_the_disk_is_a_refusal() {
    use Operation::{Create, MakeFolder, Rename, Write};
    // Side of the picture: one that stays in memory until it has its name, one that gets a file before.
    let (small, large) = (16, 800);
    let direct = [
        (small, Create, 0),
        (small, Write, 0),
        (small, Rename, 0),
        (small, MakeFolder, 0),
        (large, Write, 1),
    ];
    let journalled = [
        (small, Create, 0),
        (small, Write, 0),
        (small, MakeFolder, 0),
        (large, Write, 1),
    ];
    let cases = direct
        .map(|case| (0, case))
        .into_iter()
        .chain(journalled.map(|case| (8, case)));
    for (journal_mib, (size, operation, after)) in cases {
        for code in [ENOSPC, EIO, EROFS] {
            let (folder, disk) = (TemporaryFolder::new().unwrap(), FaultyDisk::new());
            let mut place = config(folder.path());
            place.store.journal_mib = journal_mib;
            let archive = on_disk(place, &disk).await;
            let to = hexi(&archive).await;
            let spec = ObjectSpec {
                size,
                ..ObjectSpec::new("1.1", 1, 1)
            };
            disk.fail(operation, after, 1, Fault::Error(code));
            let refused = receive_spec(&archive, to, spec.clone()).await.unwrap_err();
            let kind = match code {
                ENOSPC => RefusedKind::OutOfSpace,
                _ => RefusedKind::StorageFailing,
            };
            assert_eq!(
                (refused.status, refused.kind),
                (0xA700, kind),
                "{operation:?} {code}: {refused}"
            );
            holds_exactly(&archive, &[]).await;
            receive_spec(&archive, to, spec).await.unwrap();
            holds_exactly(&archive, &["1.1.1.1".to_owned()]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_flush_nothing_is_taken_in_until_a_restart() {
    for operation in [Operation::SyncData, Operation::SyncFolder] {
        let (folder, disk) = (TemporaryFolder::new().unwrap(), FaultyDisk::new());
        let archive = on_disk(config(folder.path()), &disk).await;
        let to = hexi(&archive).await;
        receive(&archive, to, "1.1", 1).await.unwrap();
        disk.fail(operation, 0, 1, Fault::Error(EIO));
        for n in 2..5 {
            let refused = receive(&archive, to, "1.1", n).await.unwrap_err();
            assert_eq!(
                (refused.status, refused.kind),
                (0xA700, RefusedKind::StorageFailing),
                "{refused}"
            );
        }
        assert!(!archive.store().is_ready());
        let alarms = archive.alarms().await.unwrap();
        assert!(
            alarms.len() == 1 && alarms[0].contains("the storage failed"),
            "{alarms:?}"
        );
        holds_exactly(&archive, &["1.1.1.1".to_owned()]).await;
        drop(archive);
        let archive = on_disk(config(folder.path()), &disk).await;
        receive(&archive, to, "1.1", 2).await.unwrap();
        holds_exactly(&archive, &["1.1.1.1".to_owned(), "1.1.1.2".to_owned()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_delays_only_its_own_object() {
    let (folder, disk) = (TemporaryFolder::new().unwrap(), FaultyDisk::new());
    let archive = on_disk(config(folder.path()), &disk).await;
    let to = hexi(&archive).await;
    disk.fail(Operation::SyncData, 0, 1, Fault::Slow(Duration::from_secs(3)));
    let slow = {
        let archive = archive.clone();
        tokio::spawn(async move { receive(&archive, to, "1.1", 1).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let quick = tokio::time::timeout(Duration::from_secs(2), receive(&archive, to, "1.2", 1)).await;
    assert!(quick.unwrap().is_ok() && !slow.is_finished());
    slow.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_room_refuses_and_recovers() {
    let (folder, small) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
    let Some(_disk) = SmallDisk::mount(small.path(), 32).unwrap() else {
        println!("skipped: a small disk cannot be mounted here (needs root)");
        return;
    };
    let mut place = config(folder.path());
    place.index = archive::db::IndexUrl::Sqlite(small.path().join("index.sqlite"));
    let archive = Archive::open(place.clone(), &[]).await.unwrap();
    let to = hexi(&archive).await;
    let mut kept = Vec::new();
    // The rest of the room but a little.
    let room = small.path().join("ballast");
    let mut ballast = std::fs::File::create(&room).unwrap();
    while ballast.write_all(&[0; 16 << 10]).is_ok() {}
    ballast
        .set_len(ballast.metadata().unwrap().len() - (512 << 10))
        .unwrap();
    drop(ballast);
    let refused = loop {
        let n = u32::try_from(kept.len()).unwrap() + 1;
        match receive(&archive, to, "1.1", n).await {
            Ok(stored) => kept.push(stored.sop_instance_uid),
            Err(refused) => break refused,
        }
        assert!(kept.len() < 2000, "the room ends");
    };
    assert_eq!(
        (refused.status, refused.kind),
        (0xA700, RefusedKind::OutOfSpace),
        "{refused}"
    );
    for uid in &kept {
        assert!(archive.studies().instance(uid).await.unwrap().is_some(), "{uid}");
    }
    std::fs::remove_file(&room).unwrap();
    let n = u32::try_from(kept.len()).unwrap() + 1;
    let again = receive(&archive, to, "1.1", n).await.unwrap();
    kept.push(again.sop_instance_uid);
    drop(archive);
    // Whole files whose row failed were never acknowledged; a start takes them in or knows them.
    let archive = Archive::open(place, &[]).await.unwrap();
    let report = archive.verify_store().await.unwrap();
    assert_eq!((report.missing, report.changed), (0, 0), "{report:?}");
    for uid in &kept {
        assert!(archive.studies().instance(uid).await.unwrap().is_some(), "{uid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_loses_nothing_acknowledged() {
    let Some(mut server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed here");
        return;
    };
    let folder = TemporaryFolder::new().unwrap();
    let mut place = config(folder.path());
    place.index = server.url("postgres").parse().unwrap();
    let archive = Archive::open(place.clone(), &[]).await.unwrap();
    let to = hexi(&archive).await;
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (archive, stop) = (archive.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut kept, mut refused, mut n) = (Vec::new(), 0, 0);
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match receive(&archive, to, &format!("1.{sender}"), n).await {
                        Ok(stored) => kept.push(stored.sop_instance_uid),
                        Err(_) => refused += 1,
                    }
                }
                (kept, refused)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let server = tokio::task::spawn_blocking(move || {
        server.crash_and_restart(Duration::from_millis(1500)).unwrap();
        server
    });
    let server = server.await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut kept, mut refused) = (Vec::new(), 0);
    for sender in senders {
        let (more, failed) = sender.await.unwrap();
        kept.extend(more);
        refused += failed;
    }
    drop(archive);
    let archive = Archive::open(place, &[]).await.unwrap();
    let report = archive.verify_store().await.unwrap();
    assert!(
        report.is_intact(),
        "every file has its row after a start: {report:?}"
    );
    for uid in &kept {
        assert!(
            archive.studies().instance(uid).await.unwrap().is_some(),
            "{uid} was acknowledged"
        );
    }
    println!(
        "{} acknowledged, {refused} refused while PostgreSQL was away",
        kept.len()
    );
    drop(server);
}
