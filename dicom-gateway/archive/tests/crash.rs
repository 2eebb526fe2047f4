//! `kill -9` in the middle of receiving: every acknowledged object is there and equal, and nothing
//! half done can be seen.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed by failing"
)]

use archive::Archive;
use archive::receive::{Sender, Source};
use archive::testing::{ObjectSpec, TemporaryFolder, config, hospital};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Set for the child process: where its archive is.
const CHILD: &str = "GONGYING_CRASH_CHILD";
const ROUNDS: u32 = 6;
const SENDERS: u32 = 4;

/// Not a test by itself: the process that is killed.
#[test]
fn child_that_receives() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let round = std::env::var("ROUND").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let archive = Archive::open(config(folder.as_ref()), &[]).await.unwrap();
        let hexi = match archive.institutions().by_code("HEXI").await {
            Ok(known) => known.id,
            Err(_) => archive.institutions().create(hospital("HEXI")).await.unwrap().id,
        };
        let tasks = (0..SENDERS).map(|sender| {
            let (archive, round) = (archive.clone(), round.clone());
            tokio::spawn(async move {
                for n in 1..100_000 {
                    let spec = ObjectSpec::new(&format!("1.{round}.{sender}"), 1, n);
                    let who = Sender::account("HEXI_CT", "device", hexi, None, Source::CStore);
                    let stored = archive
                        .receive_part10(who, None, spec.file_bytes().into())
                        .await
                        .unwrap();
                    println!(
                        "ACK {} {}",
                        stored.sop_instance_uid,
                        stored.dataset_digest.to_hex()
                    );
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

/// Runs the child until it has acknowledged `count` objects, then kills it.
fn acknowledged_before_death(folder: &TemporaryFolder, round: u32, count: usize) -> Vec<(String, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_receives", "--nocapture"])
        .env(CHILD, folder.path())
        .env("ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut killed = false;
    // What was written to the pipe before the death counts as acknowledged too.
    while let Some(Ok(line)) = lines.next() {
        let mut words = line
            .split_whitespace()
            .skip_while(|w| !w.ends_with("ACK"))
            .skip(1);
        if let (Some(uid), Some(digest)) = (words.next(), words.next())
            && digest.len() == 64
        {
            seen.push((uid.to_owned(), digest.to_owned()));
        }
        if !killed && seen.len() >= count {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {} objects", seen.len());
    seen
}

#[test]
fn no_acknowledged_object_is_lost() {
    let folder = TemporaryFolder::new().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut all = BTreeMap::new();
    let mut adopted = 0;
    for round in 0..ROUNDS {
        let count = 5 + 17 * round as usize;
        all.extend(acknowledged_before_death(&folder, round, count));
        runtime.block_on(async {
            let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
            for (uid, digest) in &all {
                let item = archive.studies().instance(uid).await.unwrap();
                let item = item.unwrap_or_else(|| panic!("{uid} was acknowledged and is lost"));
                assert_eq!(&item.instance.digests.dataset.to_hex(), digest, "{uid}");
                let file = archive.store().read_all(&item.instance.object_key).unwrap();
                let head = usize::try_from(item.instance.digests.meta_bytes).unwrap();
                let numbers: Vec<u32> = uid.split('.').map(|p| p.parse().unwrap()).collect();
                let study = format!("1.{}.{}", numbers[1], numbers[2]);
                let sent = ObjectSpec::new(&study, numbers[3], numbers[4]).dataset_bytes();
                assert!(file[head..] == sent, "{uid} has other bytes");
            }
            let report = archive.verify_store().await.unwrap();
            assert!(report.is_intact(), "{report:?}");
            assert!(report.objects >= all.len() as u64);
            adopted += report.objects - all.len() as u64;
            let before = archive
                .studies()
                .search(&Default::default(), &archive::study::Scope::All, 1000, 0)
                .await
                .unwrap();
            archive.reindex().await.unwrap();
            let after = archive
                .studies()
                .search(&Default::default(), &archive::study::Scope::All, 1000, 0)
                .await
                .unwrap();
            assert_eq!(before, after, "counts fit what is there");
            assert!(archive.verify_audit().await.unwrap().is_intact());
        });
    }
    println!(
        "{} acknowledged objects in {ROUNDS} kills, none lost; {adopted} whole ones were not acknowledged yet",
        all.len()
    );
}
