//! A full disk is told to the sender as such, leaves nothing behind, and is over when there is room.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed by failing"
)]

use archive::receive::{RefusedKind, Sender, Source};
use archive::testing::{ObjectSpec, SmallDisk, TemporaryFolder, config, hospital};
use archive::{Archive, ArchiveError};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_mended() {
    let folder = TemporaryFolder::new().unwrap();
    let objects = folder.path().join("objects");
    std::fs::create_dir_all(&objects).unwrap();
    let Some(_disk) = SmallDisk::mount(&objects, 2).unwrap() else {
        println!("skipped: a small disk cannot be mounted here (needs root)");
        return;
    };
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    let send = async |n: u32| {
        let spec = ObjectSpec {
            size: 512,
            ..ObjectSpec::new("1.1", 1, n)
        };
        let sender = Sender::account("CT", "device", hexi, None, Source::CStore);
        archive
            .receive_part10(sender, None, spec.file_bytes().into())
            .await
    };
    let mut kept = 0;
    let refused = loop {
        match send(kept + 1).await {
            Ok(_) => kept += 1,
            Err(refused) => break refused,
        }
        assert!(kept < 10, "two MiB hold three objects");
    };
    assert_eq!(
        (refused.status, refused.kind),
        (0xA700, RefusedKind::OutOfSpace),
        "{refused}"
    );
    assert!(kept >= 2);
    let spool = std::fs::read_dir(objects.join(".spool")).unwrap().count();
    assert_eq!(spool, 0, "nothing is left behind");
    let report = archive.verify_store().await.unwrap();
    assert_eq!(
        (report.objects, report.is_intact()),
        (u64::from(kept), true),
        "{report:?}"
    );
    let grown = Command::new("mount")
        .args(["-o", "remount,size=8m"])
        .arg(&objects)
        .status()
        .unwrap();
    assert!(grown.success());
    send(kept + 1).await.unwrap();
    assert!(!matches!(archive.close().await, Err(ArchiveError::OutOfSpace(_))));
}
