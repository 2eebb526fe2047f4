//! What we ask of others: against DCMTK's servers, against our own gateway, and against a small
//! receiver that keeps what it is told.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archive::receive::{Sender, Source};
use archive::testing::{ObjectSpec, hospital, temporary};
use dataset::{CharacterSets, DataSet, SopInstanceUid, Vr, tags};
use dicom_gateway::GatewayError;
use dicom_gateway::scu::get::{Receiver, classes_in};
use dicom_gateway::scu::{self, Destination, QueryModel, SendOptions, steps};
use support::scp::Scp;
use support::*;

const WAIT: Duration = Duration::from_secs(10);
const WAITS: (Duration, Duration) = (WAIT, WAIT);

fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    free.local_addr().expect("address").port()
}

fn to(port: u16, called: &str) -> Destination {
    Destination::new("127.0.0.1", port, title(called), title("JUDGE"))
}

/// Starts a DCMTK server and waits until it listens; `None` when it is not installed.
async fn server(program: &str, arguments: &[String], port: u16) -> Option<tokio::process::Child> {
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(child) = child else {
        println!("skipped: {program} is not installed");
        return None;
    };
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Some(child);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("{program} does not listen");
}

fn files(folder: &Path, study: &str, count: u32) -> Vec<PathBuf> {
    let write = |n| {
        let path = folder.join(format!("{study}-{n}.dcm"));
        std::fs::write(&path, ObjectSpec::new(study, 1, n).file_bytes()).expect("written");
        path
    };
    (1..=count).map(write).collect()
}

async fn send(files: Vec<PathBuf>, to: Destination) {
    let options = SendOptions {
        to,
        associations: 2,
        timeout: WAIT,
    };
    let count = files.len();
    let summary = scu::send(files, &options, |_| {}).await.expect("sent");
    assert_eq!((summary.stored, summary.failed), (count, 0));
}

fn keys(level: &str, study: &str) -> DataSet {
    let mut keys = DataSet::with_charset(CharacterSets::utf8());
    keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level);
    keys.put_uid(tags::STUDY_INSTANCE_UID, study);
    keys
}

fn wide_keys() -> DataSet {
    let mut keys = keys("STUDY", "");
    for (tag, vr) in [
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
        (tags::SOP_CLASSES_IN_STUDY, Vr::UI),
    ] {
        keys.put_empty(tag, vr);
    }
    keys
}

/// Finds, fetches and lets send what another archive holds.
async fn query_and_retrieve(there: Destination, receiver: &Gateway) {
    let model = QueryModel::StudyRoot;
    let found = scu::find(&there, model, &wide_keys(), 100, WAIT)
        .await
        .expect("answers");
    let named = found
        .answers
        .iter()
        .filter_map(|a| a.text(tags::STUDY_INSTANCE_UID));
    let mut studies: Vec<String> = named.collect();
    studies.sort();
    assert_eq!(studies, ["1.2.81", "1.2.82"]);
    let cut = scu::find(&there, model, &wide_keys(), 1, WAIT)
        .await
        .expect("answers");
    assert_eq!((cut.answers.len(), cut.cut_off), (1, true));
    let classes = found.answers.first().map(classes_in).unwrap_or_default();
    fetch(&there, classes).await;

    let wanted = keys("STUDY", "1.2.82");
    let us = title("GONGYING");
    let moved = scu::retrieve_to(&there, model, &wanted, &us, WAITS, |_| {}).await;
    let counts = moved.expect("moved").counts;
    assert_eq!((counts.completed, counts.failed), (2, 0));
    let came = receiver.archive.studies().instances_of_study("1.2.82").await;
    assert_eq!(came.expect("instances").len(), 2);
    let unknown = scu::retrieve_to(&there, model, &wanted, &title("NOBODY"), WAITS, |_| {}).await;
    let is_unknown = matches!(unknown, Err(GatewayError::Failed { status: 0xa801, .. }));
    assert!(is_unknown, "{unknown:?}");
}

/// C-GET into a fresh archive; what came is what was sent.
async fn fetch(there: &Destination, sop_classes: Vec<String>) {
    let (archive, _folder) = temporary(&[]).await.expect("archive");
    let owner = archive
        .institutions()
        .create(hospital("HEXI"))
        .await
        .expect("institution")
        .id;
    let to_us = Receiver {
        archive: &archive,
        sender: Sender::account("OLD", "device", owner, None, Source::CStore),
        sop_classes,
    };
    let (model, wanted) = (QueryModel::StudyRoot, keys("STUDY", "1.2.81"));
    let mut reports = 0;
    let fetched = scu::get(there, model, &wanted, &to_us, WAITS, |_| reports += 1).await;
    let summary = fetched.expect("fetched");
    let counts = summary.counts;
    assert_eq!(
        (summary.stored, counts.completed, counts.failed),
        (3, 3, 0),
        "{summary:?}"
    );
    assert!(reports > 0, "progress is told");
    let kept = archive
        .studies()
        .instances_of_study("1.2.81")
        .await
        .expect("instances");
    for instance in &kept {
        let n = u32::try_from(instance.number.expect("number")).expect("small");
        let sent = archive::Sha256Digest::of(&ObjectSpec::new("1.2.81", 1, n).dataset_bytes());
        assert_eq!(instance.digests.dataset, sent, "kept as it was sent");
    }
}

/// A gateway that knows these callers.
async fn receiver(callers: &[&str]) -> Gateway {
    let gateway = Gateway::start().await;
    for caller in callers {
        let devices = gateway.archive.devices();
        devices
            .create(device(caller, &gateway.institution))
            .await
            .expect("device");
    }
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmqrscp_is_asked_and_sends() {
    let folder = tempfile::tempdir().expect("folder");
    let gateway = receiver(&["QRSCP"]).await;
    let port = free_port();
    let store = folder.path().join("store");
    std::fs::create_dir(&store).expect("folder");
    let config = folder.path().join("dcmqrscp.cfg");
    let text = format!(
        "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\ngongying = (GONGYING, 127.0.0.1, {})\nHostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQRSCP {} RW (200, 1024mb) ANY\nAETable END\n",
        gateway.address.port(),
        store.display()
    );
    std::fs::write(&config, text).expect("written");
    let arguments = strings(&["-c", &config.display().to_string()]);
    let Some(_server) = server("dcmqrscp", &arguments, port).await else {
        return;
    };
    let there = to(port, "QRSCP");
    scu::echo(&there, WAIT).await.expect("C-ECHO");
    send(files(folder.path(), "1.2.81", 3), there.clone()).await;
    send(files(folder.path(), "1.2.82", 2), there.clone()).await;
    query_and_retrieve(there, &gateway).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_gateway_is_asked_and_sends() {
    let folder = tempfile::tempdir().expect("folder");
    let centre = Gateway::start().await;
    let gateway = receiver(&["CENTRE"]).await;
    // the move destination is a device of the same institution that listens
    let listening = archive::device::NewDevice {
        listener: Some(gateway.address.to_string()),
        ..device("GONGYING", &centre.institution)
    };
    centre.archive.devices().create(listening).await.expect("device");
    gateway
        .archive
        .devices()
        .create(device("GONGYING", &gateway.institution))
        .await
        .expect("device");
    send(files(folder.path(), "1.2.81", 3), centre.destination()).await;
    send(files(folder.path(), "1.2.82", 2), centre.destination()).await;
    query_and_retrieve(centre.destination(), &gateway).await;
    gateway.stop().await;
    centre.stop().await;
}

fn worklist_item() -> Vec<u8> {
    let mut set = DataSet::with_charset(CharacterSets::utf8());
    for (tag, vr, text) in [
        (tags::ACCESSION_NUMBER, Vr::SH, "A0001"),
        (tags::REFERRING_PHYSICIAN_NAME, Vr::PN, "X"),
        (tags::PATIENT_NAME, Vr::PN, "Wang^XiaoMing=王^小明"),
        (tags::PATIENT_ID, Vr::LO, "P0001"),
        (tags::PATIENT_BIRTH_DATE, Vr::DA, "19600102"),
        (tags::PATIENT_SEX, Vr::CS, "M"),
        (tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.90"),
        (tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, "CT"),
        (tags::REQUESTED_PROCEDURE_ID, Vr::SH, "R1"),
        (tags::REQUESTED_PROCEDURE_PRIORITY, Vr::SH, "ROUTINE"),
    ] {
        set.put_text(tag, vr, text);
    }
    let mut step = DataSet::with_charset(CharacterSets::utf8());
    step.remove(tags::SPECIFIC_CHARACTER_SET);
    for (tag, vr, text) in [
        (tags::MODALITY, Vr::CS, "CT"),
        (tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "HEXI_CT"),
        (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20261121"),
        (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, "080000"),
        (tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME, Vr::PN, "X"),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, "CT"),
        (tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, "S1"),
    ] {
        step.put_text(tag, vr, text);
    }
    set.put_sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let class = dataset::SopClassUid::parse(WORKLIST).expect("class");
    let instance = SopInstanceUid::parse("1.2.90.1").expect("uid");
    let syntax = dataset::TransferSyntaxUid::explicit_le();
    let mut file = dataset::file::meta_bytes(&class, &instance, &syntax, None).expect("meta");
    file.extend(dataset::write::encode(&set, dataset::Encoding::ExplicitLe).expect("writable"));
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_is_asked() {
    let folder = tempfile::tempdir().expect("folder");
    let own = folder.path().join("WORKLIST");
    std::fs::create_dir(&own).expect("folder");
    std::fs::write(own.join("lockfile"), b"").expect("written");
    std::fs::write(own.join("one.wl"), worklist_item()).expect("written");
    let port = free_port();
    let arguments = strings(&["-dfp", &folder.path().display().to_string(), &port.to_string()]);
    let Some(_server) = server("wlmscpfs", &arguments, port).await else {
        return;
    };
    let mut keys = DataSet::with_charset(CharacterSets::utf8());
    keys.put_empty(tags::PATIENT_NAME, Vr::PN);
    keys.put_empty(tags::ACCESSION_NUMBER, Vr::SH);
    let mut step = DataSet::new();
    step.put_text(tags::MODALITY, Vr::CS, "CT");
    step.put_empty(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE);
    keys.put_sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let found = scu::find(&to(port, "WORKLIST"), QueryModel::Worklist, &keys, 10, WAIT)
        .await
        .expect("answers");
    assert_eq!(found.answers.len(), 1);
    assert_eq!(
        found.answers[0].text(tags::ACCESSION_NUMBER).as_deref(),
        Some("A0001")
    );
    let step = &found.answers[0].sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0];
    assert_eq!(
        step.text(tags::SCHEDULED_STATION_AE_TITLE).as_deref(),
        Some("HEXI_CT")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn performed_steps_are_told() {
    let scp = Scp::start(
        Arc::new(|seen| if seen.instance == "1.2.9" { 0x0112 } else { 0 }),
        Arc::new(|_| None),
    )
    .await;
    let there = to(scp.address.port(), "RIS");
    let uid = SopInstanceUid::parse("1.2.91").expect("uid");
    let mut step = DataSet::new();
    step.put_text(tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, "IN PROGRESS");
    steps::create(&there, &uid, &step, WAIT).await.expect("N-CREATE");
    step.put_text(tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, "COMPLETED");
    steps::set(&there, &uid, &step, WAIT).await.expect("N-SET");
    let other = SopInstanceUid::parse("1.2.9").expect("uid");
    let refused = steps::set(&there, &other, &step, WAIT).await;
    assert!(
        matches!(refused, Err(GatewayError::Failed { status: 0x0112, .. })),
        "{refused:?}"
    );
    let seen = scp.seen.lock().expect("lock").clone();
    let told: Vec<_> = seen
        .iter()
        .map(|one| {
            (
                one.field,
                one.instance.clone(),
                one.data_set().text(tags::PERFORMED_PROCEDURE_STEP_STATUS),
            )
        })
        .collect();
    assert_eq!(
        told[0],
        (0x0140, "1.2.91".to_owned(), Some("IN PROGRESS".to_owned()))
    );
    assert_eq!(
        told[1],
        (0x0120, "1.2.91".to_owned(), Some("COMPLETED".to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_nothing_is_left_in_time() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = mute.local_addr().expect("address").port();
    let _held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = mute.accept().await {
            held.push(stream);
        }
    });
    let start = std::time::Instant::now();
    let error = scu::echo(&to(port, "MUTE"), Duration::from_millis(300))
        .await
        .expect_err("no answer");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(error.to_string().contains("silent for too long"), "{error}");
}
