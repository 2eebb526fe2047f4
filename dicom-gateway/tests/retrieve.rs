//! C-GET and C-MOVE by DCMTK and by hand: what comes back is what was stored.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::device::NewDevice;
use dataset::{DataSet, Encoding, Vr, tags};
use dicom_gateway::scu::{SendOptions, send};
use support::*;

const STUDY_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
const STUDY_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// A gateway with eight slices of one study, and that study's UID.
async fn with_study() -> Option<(Gateway, String, Vec<PathBuf>)> {
    let root = data()?;
    let gateway = Gateway::start().await;
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("series_mr_sag192"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.sort();
    files.truncate(8);
    let options = SendOptions {
        to: gateway.destination(),
        associations: 2,
        timeout: Duration::from_secs(10),
    };
    assert_eq!(
        send(files.clone(), &options, |_| {}).await.expect("sent").stored,
        8
    );
    let bytes = std::fs::read(&files[0]).expect("readable");
    let set = dataset::file::read(&bytes, dataset::Limits::default())
        .expect("DICOM")
        .parsed
        .data_set;
    let study = set.text(tags::STUDY_INSTANCE_UID).expect("study");
    Some((gateway, study, files))
}

fn data_sets(folder: &Path) -> BTreeSet<Vec<u8>> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(path).expect("readable");
        let start = dataset::file::read_header(&bytes).expect("DICOM").dataset_offset;
        bytes[start..].to_vec()
    };
    std::fs::read_dir(folder)
        .expect("folder")
        .map(|entry| read(entry.expect("entry").path()))
        .collect()
}

fn originals(files: &[PathBuf]) -> BTreeSet<Vec<u8>> {
    let folder = tempfile::tempdir().expect("folder");
    for file in files {
        std::fs::copy(file, folder.path().join(file.file_name().expect("name"))).expect("copied");
    }
    data_sets(folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn getscu_gets_a_study_back() {
    let Some((gateway, study, files)) = with_study().await else {
        return;
    };
    let (folder, port) = (
        tempfile::tempdir().expect("folder"),
        gateway.address.port().to_string(),
    );
    let key = format!("StudyInstanceUID={study}");
    let target = folder.path().display().to_string();
    let arguments = strings(&[
        "-S",
        "+B",
        "-aet",
        "JUDGE",
        "-aec",
        "GONGYING",
        "-od",
        &target,
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        &key,
        "127.0.0.1",
        &port,
    ]);
    if let Some((ok, text)) = dcmtk("getscu", &arguments).await {
        assert!(ok, "{text}");
        assert_eq!(data_sets(folder.path()), originals(&files));
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn movescu_moves_a_study_to_a_device_that_listens() {
    let Some((gateway, study, files)) = with_study().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let listener = free.local_addr().expect("address").port();
    drop(free);
    let device = NewDevice {
        listener: Some(format!("127.0.0.1:{listener}")),
        ..device("STATION", &gateway.institution)
    };
    gateway.archive.devices().create(device).await.expect("device");
    let receiver = tokio::process::Command::new("storescp")
        .args(["+B", "+xa", "-od"])
        .arg(folder.path())
        .arg(listener.to_string())
        .kill_on_drop(true)
        .spawn();
    let Ok(_receiver) = receiver else {
        println!("skipped: storescp is not installed");
        return;
    };
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", listener))
            .await
            .is_ok()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let (port, key) = (
        gateway.address.port().to_string(),
        format!("StudyInstanceUID={study}"),
    );
    let move_to = |to: &str| {
        strings(&[
            "-S",
            "-aet",
            "JUDGE",
            "-aec",
            "GONGYING",
            "-aem",
            to,
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            &key,
            "127.0.0.1",
            &port,
        ])
    };
    let (ok, text) = dcmtk("movescu", &move_to("STATION"))
        .await
        .expect("DCMTK is there");
    assert!(ok, "{text}");
    assert_eq!(data_sets(folder.path()), originals(&files));
    let (ok, text) = dcmtk("movescu", &move_to("NOWHERE"))
        .await
        .expect("DCMTK is there");
    assert!(
        !ok || text.contains("0xa801") || text.contains("MoveDestinationUnknown"),
        "{text}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_retrieved_gets_a_status() {
    let gateway = Gateway::start().await;
    let ask = async |calling: &str, model: &str, level: &str, study: Option<&str>| {
        let mut keys = DataSet::new();
        keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level);
        if let Some(study) = study {
            keys.put_uid(tags::STUDY_INSTANCE_UID, study);
        }
        let data = dataset::write::encode(&keys, Encoding::ExplicitLe).expect("writable");
        let mut peer = Peer::connect(gateway.address).await;
        assert_eq!(
            peer.associate("GONGYING", calling, &[(model, &[EXPLICIT])])
                .await
                .0,
            2
        );
        let field = if model == STUDY_GET { 0x10 } else { 0x21 };
        peer.send(&p_data(&[
            pdv(1, 3, &command(field, model, None, true)),
            pdv(1, 2, &data),
        ]))
        .await;
        peer.reply().await
    };
    let status = |status| Reply::Status(status, None);
    assert_eq!(
        ask("JUDGE", STUDY_GET, "STUDY", Some("1.2.3")).await,
        status(0),
        "nothing fits"
    );
    assert_eq!(
        ask("JUDGE", STUDY_GET, "STUDY", None).await,
        status(0xa900),
        "everything"
    );
    assert_eq!(
        ask("JUDGE", STUDY_GET, "PATIENT", Some("1.2.3")).await,
        status(0xa900),
        "wrong level"
    );
    assert_eq!(
        ask("JUDGE", STUDY_MOVE, "STUDY", Some("1.2.3")).await,
        status(0xa801),
        "no destination"
    );
    assert_eq!(
        ask("MUTE", STUDY_GET, "STUDY", Some("1.2.3")).await,
        status(0x0124),
        "may not"
    );
    gateway.stop().await;
}
