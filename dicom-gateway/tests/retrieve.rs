//! C-GET and C-MOVE by DCMTK and by hand: what comes back is what was stored.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::device::NewDevice;
use dataset::{DataSet, Encoding, TransferSyntaxUid, Vr, tags};
use dicom_gateway::scu::{SendOptions, send};
use dicom_gateway::{StoredObject, Transcoder};
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

/// Turns explicit VR objects without pixel data into implicit VR; knows nothing else.
struct ToImplicit;

impl Transcoder for ToImplicit {
    fn targets(&self, from: &str) -> &[&'static str] {
        if from == EXPLICIT { &[IMPLICIT] } else { &[] }
    }

    fn transcode(
        &self,
        mut object: StoredObject,
        to: &TransferSyntaxUid,
        out: &mut (dyn Write + Send),
    ) -> Result<(), String> {
        let words = |error: std::io::Error| error.to_string();
        object
            .file
            .seek(SeekFrom::Start(object.data_set_offset))
            .map_err(words)?;
        let mut bytes = Vec::new();
        object.file.read_to_end(&mut bytes).map_err(words)?;
        let parsed = dataset::stream::parse(&bytes, &object.transfer_syntax, dataset::Limits::in_memory());
        let set = parsed.map_err(|error| error.to_string())?.data_set;
        if set.text(tags::IMAGE_COMMENTS).as_deref() == Some("broken") {
            out.write_all(&bytes[..20]).map_err(words)?;
            return Err("this object cannot be turned".into());
        }
        let bytes = dataset::write::encode(&set, to.kind()).map_err(|error| error.to_string())?;
        out.write_all(&bytes).map_err(words)
    }
}

fn small(uid: &str, comment: &str) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::SOP_CLASS_UID, SECONDARY_CAPTURE);
    set.put_uid(tags::SOP_INSTANCE_UID, uid);
    set.put_text(tags::MODALITY, Vr::CS, "OT");
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.1.7");
    set.put_uid(tags::SERIES_INSTANCE_UID, "1.2.826.0.1.7.1");
    set.put_text(tags::IMAGE_COMMENTS, Vr::LT, comment);
    set
}

/// A gateway that converts, with two objects of which one cannot be converted.
async fn with_converter() -> Gateway {
    let gateway = Gateway::with(|config| config.transcoder = Some(std::sync::Arc::new(ToImplicit))).await;
    let mut peer = gateway.peer(&[(SECONDARY_CAPTURE, &[EXPLICIT])]).await;
    for (uid, comment) in [("1.2.7.1", "whole"), ("1.2.7.2", "broken")] {
        let data = dataset::write::encode(&small(uid, comment), Encoding::ExplicitLe).expect("writable");
        peer.send(&p_data(&[
            pdv(1, 3, &command(1, SECONDARY_CAPTURE, Some(uid), true)),
            pdv(1, 2, &data),
        ]))
        .await;
        assert_eq!(peer.reply().await, Reply::Status(0, None));
    }
    gateway
}

/// What a retrieval ended with: status, UIDs that failed, and data sets that came in between.
async fn retrieved(peer: &mut Peer) -> (u16, Vec<String>, Vec<Vec<u8>>) {
    let (mut came, mut command_bytes, mut data) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let (kind, body) = peer.receive().await;
        assert_eq!(kind, 4, "the association goes on");
        let mut rest = &body[..];
        while rest.len() >= 6 {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let (context, control, part) = (rest[4], rest[5], &rest[6..4 + length]);
            rest = &rest[4 + length..];
            if control & 1 == 1 {
                &mut command_bytes
            } else {
                &mut data
            }
            .extend_from_slice(part);
            if control & 2 == 0 {
                continue;
            }
            let message = dataset::write::decode_command(&command_bytes).expect("command");
            let number = |tag| message.i64(tag);
            let has_data = number(tags::COMMAND_DATA_SET_TYPE) != Some(0x0101);
            if control & 1 == 1 && has_data {
                continue;
            }
            command_bytes.clear();
            let set = std::mem::take(&mut data);
            if number(tags::COMMAND_FIELD) == Some(1) {
                let mut answer = DataSet::new();
                answer.put_uid(tags::AFFECTED_SOP_CLASS_UID, SECONDARY_CAPTURE);
                answer.put_u16(tags::COMMAND_FIELD, 0x8001);
                let id = u16::try_from(number(tags::MESSAGE_ID).expect("id")).expect("16 bits");
                answer.put_u16(tags::MESSAGE_ID_BEING_RESPONDED_TO, id);
                answer.put_u16(tags::COMMAND_DATA_SET_TYPE, 0x0101);
                answer.put_u16(tags::STATUS, 0);
                let bytes = dataset::write::encode_command(&answer).expect("writable");
                peer.send(&p_data(&[pdv(context, 3, &bytes)])).await;
                came.push(set);
                continue;
            }
            let status = u16::try_from(number(tags::STATUS).expect("status")).expect("16 bits");
            if status == 0xff00 {
                continue;
            }
            let list = dataset::stream::parse(
                &set,
                &TransferSyntaxUid::explicit_le(),
                dataset::Limits::default(),
            );
            let failed = list
                .map(|p| p.data_set.texts(tags::FAILED_SOP_INSTANCE_UID_LIST))
                .unwrap_or_default();
            let counted = number(tags::NUMBER_OF_FAILED_SUBOPERATIONS);
            assert_eq!(counted, i64::try_from(failed.len()).ok(), "as many as are named");
            return (status, failed, came);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_does_not_take_is_turned_or_fails_alone() {
    let gateway = with_converter().await;
    let ask = async |syntax: &str| {
        let mut peer = Peer::connect(gateway.address).await;
        let contexts: [(&str, &[&str]); 2] = [(STUDY_GET, &[EXPLICIT]), (SECONDARY_CAPTURE, &[syntax])];
        let role = [&[0, 25][..], SECONDARY_CAPTURE.as_bytes(), &[0, 1]].concat();
        let request = with_user_item(&associate_rq("GONGYING", "JUDGE", &contexts), 0x54, &role);
        peer.send(&request).await;
        assert_eq!(peer.receive().await.0, 2);
        let mut keys = DataSet::new();
        keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
        keys.put_uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.1.7");
        let data = dataset::write::encode(&keys, Encoding::ExplicitLe).expect("writable");
        peer.send(&p_data(&[
            pdv(1, 3, &command(0x10, STUDY_GET, None, true)),
            pdv(1, 2, &data),
        ]))
        .await;
        retrieved(&mut peer).await
    };
    let bytes = |uid: &str, comment: &str, encoding| {
        dataset::write::encode(&small(uid, comment), encoding).expect("writable")
    };
    let (status, failed, came) = ask(EXPLICIT).await;
    let both = [("1.2.7.1", "whole"), ("1.2.7.2", "broken")].map(|(u, c)| bytes(u, c, Encoding::ExplicitLe));
    assert_eq!((status, failed, came), (0, vec![], both.to_vec()), "as stored");
    let (status, failed, came) = ask(IMPLICIT).await;
    let whole = bytes("1.2.7.1", "whole", Encoding::ImplicitLe);
    assert_eq!(
        (status, failed, came),
        (0xb000, vec!["1.2.7.2".into()], vec![whole]),
        "turned"
    );
    let (status, failed, came) = ask("1.2.840.10008.1.2.4.80").await;
    assert_eq!((status, failed.len(), came.len()), (0xa702, 2, 0), "no way");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_not_there_fails_every_object() {
    let gateway = with_converter().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let away = NewDevice {
        listener: Some(free.local_addr().expect("address").to_string()),
        ..device("AWAY", &gateway.institution)
    };
    drop(free);
    gateway.archive.devices().create(away).await.expect("device");
    let mut keys = DataSet::new();
    keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
    keys.put_uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.1.7");
    let data = dataset::write::encode(&keys, Encoding::ExplicitLe).expect("writable");
    let mut peer = gateway.peer(&[(STUDY_MOVE, &[EXPLICIT])]).await;
    let mut request =
        dataset::write::decode_command(&command(0x21, STUDY_MOVE, None, true)).expect("command");
    request.remove(tags::COMMAND_GROUP_LENGTH);
    request.put_text(tags::MOVE_DESTINATION, Vr::AE, "AWAY");
    let request = dataset::write::encode_command(&request).expect("writable");
    peer.send(&p_data(&[pdv(1, 3, &request), pdv(1, 2, &data)])).await;
    let (status, failed, _) = retrieved(&mut peer).await;
    assert_eq!((status, failed.len()), (0xa702, 2));
    gateway.stop().await;
}
