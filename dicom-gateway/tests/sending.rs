//! Our sender against DCMTK's receiver.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use dicom_gateway::scu::{Destination, Outcome, SendOptions, send};
use support::*;

fn options(port: u16, associations: usize) -> SendOptions {
    SendOptions {
        to: Destination::new("127.0.0.1", port, title("STORESCP"), title("GONGYING")),
        associations,
        timeout: Duration::from_secs(10),
    }
}

fn files(count: usize) -> Vec<PathBuf> {
    let Some(root) = data() else { return Vec::new() };
    let mut found: Vec<PathBuf> = std::fs::read_dir(root.join("series_mr_sag192"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .collect();
    found.sort();
    found.truncate(count);
    found
}

async fn receiver(folder: &std::path::Path) -> Option<(tokio::process::Child, u16)> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = free.local_addr().expect("address").port();
    drop(free);
    let child = tokio::process::Command::new("storescp")
        .args(["+B", "+xa", "--fork", "-od"])
        .arg(folder)
        .arg(port.to_string())
        .kill_on_drop(true)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(_) => {
            println!("skipped: storescp is not installed");
            return None;
        }
    };
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Some((child, port));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("storescp does not listen");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_as_they_are_over_several_associations() {
    let folder = tempfile::tempdir().expect("folder");
    let mut files = files(40);
    let Some((_child, port)) = receiver(folder.path()).await else {
        return;
    };
    if files.is_empty() {
        return;
    }
    let stranger = folder.path().join("no-dicom.txt");
    std::fs::write(&stranger, b"not DICOM").expect("written");
    files.push(stranger);
    let mut results = Vec::new();
    let summary = send(files.clone(), &options(port, 4), |result| results.push(result))
        .await
        .expect("sent");
    assert_eq!((summary.stored, summary.failed), (40, 1), "{results:?}");
    assert!(
        results
            .iter()
            .any(|r| matches!(&r.outcome, Outcome::Failed(why) if why.contains("not a DICOM file")))
    );
    let arrived = |path: PathBuf| {
        let bytes = std::fs::read(path).expect("readable");
        let start = dataset::file::read_header(&bytes).ok()?.dataset_offset;
        Some(bytes[start..].to_vec())
    };
    let there: std::collections::BTreeSet<Vec<u8>> = std::fs::read_dir(folder.path())
        .expect("folder")
        .filter_map(|entry| arrived(entry.expect("entry").path()))
        .collect();
    for file in &files[..40] {
        assert!(
            there.contains(&arrived(file.clone()).expect("DICOM")),
            "{} did not arrive equal",
            file.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_is_an_error_in_words() {
    let files = files(1);
    if files.is_empty() {
        return;
    }
    let error = send(files, &options(1, 1), |_| {})
        .await
        .expect_err("nobody listens");
    assert!(
        error.to_string().contains("127.0.0.1:1 cannot be reached"),
        "{error}"
    );
}
