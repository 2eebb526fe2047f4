//! Storage commitment over the wire: where the result goes, and what it is worth.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use archive::device::NewDevice;
use dataset::{DataSet, Encoding, Limits, TransferSyntaxUid, Vr, tags};
use dicom_gateway::{Config, Port};
use support::normalized::{N_ACTION, N_EVENT_REPORT, operate};
use support::*;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const INSTANCE: &str = "1.2.840.10008.1.20.1.1";

async fn store(gateway: &Gateway, uid: &str) {
    let mut set = DataSet::new();
    set.put_uid(tags::SOP_CLASS_UID, SECONDARY_CAPTURE);
    set.put_uid(tags::SOP_INSTANCE_UID, uid);
    set.put_text(tags::MODALITY, Vr::CS, "OT");
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.1.9");
    set.put_uid(tags::SERIES_INSTANCE_UID, "1.2.826.0.1.9.1");
    set.put_text(tags::IMAGE_COMMENTS, Vr::LT, &format!("of {uid}"));
    let data = dataset::write::encode(&set, Encoding::ExplicitLe).expect("writable");
    let mut peer = gateway.peer(&[(SECONDARY_CAPTURE, &[EXPLICIT])]).await;
    peer.send(&p_data(&[
        pdv(1, 3, &command(1, SECONDARY_CAPTURE, Some(uid), true)),
        pdv(1, 2, &data),
    ]))
    .await;
    assert_eq!(peer.reply().await, Reply::Status(0, None));
}

fn request(transaction: &str, objects: &[(&str, &str)]) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::TRANSACTION_UID, transaction);
    let item = |(class, uid): &(&str, &str)| {
        let mut item = DataSet::new();
        item.put_uid(tags::REFERENCED_SOP_CLASS_UID, class);
        item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, uid);
        item
    };
    set.put_sequence(tags::REFERENCED_SOP_SEQUENCE, objects.iter().map(item).collect());
    set
}

async fn ask(peer: &mut Peer, set: &DataSet, instance: &str, action: u16) -> Reply {
    let more = [(tags::ACTION_TYPE_ID, action)];
    operate(peer, N_ACTION, COMMITMENT, Some(instance), Some(set), &more).await
}

/// A report as (event, safe, failed with reasons).
type Told = (u16, Vec<String>, Vec<(String, u16)>);

/// Waits for an N-EVENT-REPORT and answers it.
async fn told(peer: &mut Peer, answer: u16) -> Told {
    let (mut command_bytes, mut data) = (Vec::new(), Vec::new());
    let context = 'message: loop {
        let (kind, body) = peer.receive().await;
        assert_eq!(kind, 4, "a report");
        let mut rest = &body[..];
        while rest.len() >= 6 {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let (control, part) = (rest[5], &rest[6..4 + length]);
            if control & 1 == 1 {
                command_bytes.extend_from_slice(part);
            } else {
                data.extend_from_slice(part);
                if control & 2 == 2 {
                    break 'message rest[4];
                }
            }
            rest = &rest[4 + length..];
        }
    };
    let command = dataset::write::decode_command(&command_bytes).expect("command");
    assert_eq!(command.i64(tags::COMMAND_FIELD), Some(i64::from(N_EVENT_REPORT)));
    assert_eq!(
        command.text(tags::AFFECTED_SOP_INSTANCE_UID).as_deref(),
        Some(INSTANCE)
    );
    let mut response = DataSet::new();
    response.put_uid(tags::AFFECTED_SOP_CLASS_UID, COMMITMENT);
    response.put_u16(tags::COMMAND_FIELD, 0x8000 | N_EVENT_REPORT);
    let id = u16::try_from(command.i64(tags::MESSAGE_ID).expect("id")).expect("16 bits");
    response.put_u16(tags::MESSAGE_ID_BEING_RESPONDED_TO, id);
    response.put_u16(tags::COMMAND_DATA_SET_TYPE, 0x0101);
    response.put_u16(tags::STATUS, answer);
    let bytes = dataset::write::encode_command(&response).expect("writable");
    peer.send(&p_data(&[pdv(context, 3, &bytes)])).await;
    let set = dataset::stream::parse(&data, &TransferSyntaxUid::explicit_le(), Limits::default())
        .expect("readable")
        .data_set;
    let uid = |item: &DataSet| item.text(tags::REFERENCED_SOP_INSTANCE_UID).expect("UID");
    let safe = set
        .sequence(tags::REFERENCED_SOP_SEQUENCE)
        .iter()
        .map(uid)
        .collect();
    let reason =
        |item: &DataSet| u16::try_from(item.i64(tags::FAILURE_REASON).expect("reason")).expect("16 bits");
    let failed = set.sequence(tags::FAILED_SOP_SEQUENCE);
    let failed = failed.iter().map(|item| (uid(item), reason(item))).collect();
    let event = command
        .i64(tags::EVENT_TYPE_ID)
        .and_then(|id| u16::try_from(id).ok());
    (event.expect("event"), safe, failed)
}

/// Takes the association that the gateway opens to tell a result.
async fn called_back(listener: &TcpListener) -> Peer {
    let accepted = tokio::time::timeout(Duration::from_secs(15), listener.accept()).await;
    let (stream, _) = accepted.expect("called back in time").expect("connection");
    let mut peer = Peer { stream };
    let (kind, body) = peer.receive().await;
    assert_eq!(kind, 1);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert_eq!(
        (text(&body[4..20]), text(&body[20..36])),
        ("ASKER".into(), "GONGYING".into())
    );
    let role: &[u8] = b"1.2.840.10008.1.20.1\x00\x01";
    let asks_for_role = body.windows(role.len()).any(|part| part == role);
    assert!(asks_for_role, "we are the provider there");
    peer.send(&associate_ac(&body)).await;
    peer
}

/// Accepts every proposed context in its first transfer syntax, and the role.
fn associate_ac(request: &[u8]) -> Vec<u8> {
    let item = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).expect("short");
        [&[kind, 0][..], &length.to_be_bytes(), body].concat()
    };
    let (mut body, mut rest) = (request[..68].to_vec(), &request[68..]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    while rest.len() >= 4 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let (kind, value) = (rest[0], &rest[4..4 + length]);
        if kind == 0x20 {
            let skip = 8 + usize::from(u16::from_be_bytes([value[6], value[7]]));
            let first = usize::from(u16::from_be_bytes([value[skip + 2], value[skip + 3]]));
            let syntax = item(0x40, &value[skip + 4..skip + 4 + first]);
            body.extend(item(0x21, &[&[value[0], 0, 0, 0][..], &syntax].concat()));
        }
        rest = &rest[4 + length..];
    }
    let role = [&[0, 20][..], b"1.2.840.10008.1.20.1", &[0, 1]].concat();
    let user = [
        item(0x51, &65536_u32.to_be_bytes()),
        item(0x52, b"1.2.3"),
        item(0x54, &role),
    ]
    .concat();
    body.extend(item(0x50, &user));
    pdu(2, &body)
}

/// A gateway with a device that listens.
async fn with_asker() -> (Gateway, TcpListener) {
    let gateway = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let asker = NewDevice {
        listener: Some(listener.local_addr().expect("address").to_string()),
        ..device("ASKER", &gateway.institution)
    };
    gateway.archive.devices().create(asker).await.expect("device");
    (gateway, listener)
}

async fn asker(gateway: &Gateway) -> Peer {
    let mut peer = Peer::connect(gateway.address).await;
    assert_eq!(
        peer.associate("GONGYING", "ASKER", &[(COMMITMENT, &[EXPLICIT])])
            .await
            .0,
        2
    );
    peer
}

const OK: Reply = Reply::Status(0, None);

#[tokio::test(flavor = "multi_thread")]
async fn the_result_comes_on_the_same_association_while_it_is_open() {
    let (gateway, _listener) = with_asker().await;
    store(&gateway, "1.2.3.1").await;
    let mut peer = asker(&gateway).await;
    let set = request(
        "1.2.9.1",
        &[
            (SECONDARY_CAPTURE, "1.2.3.1"),
            (SECONDARY_CAPTURE, "1.2.3.404"),
            ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.1"),
        ],
    );
    assert_eq!(ask(&mut peer, &set, INSTANCE, 1).await, OK);
    let failed = vec![("1.2.3.404".to_owned(), 0x0112), ("1.2.3.1".to_owned(), 0x0119)];
    assert_eq!(told(&mut peer, 0).await, (2, vec!["1.2.3.1".into()], failed));
    peer.send(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await;
    assert_eq!(peer.reply().await, Reply::Released);
    let outbox = gateway.archive.outbox();
    for _ in 0..100 {
        if outbox.waiting("dicom-storage-commitment").await.expect("index") == 0 {
            return gateway.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("the request still waits after it was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_hung_up_is_called_back() {
    let (gateway, listener) = with_asker().await;
    store(&gateway, "1.2.3.1").await;
    let mut peer = asker(&gateway).await;
    let set = request("1.2.9.2", &[(SECONDARY_CAPTURE, "1.2.3.1")]);
    assert_eq!(ask(&mut peer, &set, INSTANCE, 1).await, OK);
    peer.send(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await;
    assert_eq!(peer.reply().await, Reply::Released);
    let mut back = called_back(&listener).await;
    assert_eq!(told(&mut back, 0).await, (1, vec!["1.2.3.1".into()], vec![]));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_request_and_a_damaged_object_is_not_safe() {
    let (gateway, listener) = with_asker().await;
    store(&gateway, "1.2.3.1").await;
    store(&gateway, "1.2.3.2").await;
    // one byte of the second object's file changes after it was received
    let found = gateway
        .archive
        .studies()
        .instance("1.2.3.2")
        .await
        .expect("index")
        .expect("there");
    let path = gateway
        .archive
        .store()
        .root()
        .join(found.instance.object_key.as_str());
    let mut bytes = std::fs::read(&path).expect("readable");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let mut permissions = std::fs::metadata(&path).expect("there").permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).expect("writable");
    std::fs::write(&path, bytes).expect("writable");

    let mut peer = asker(&gateway).await;
    let set = request(
        "1.2.9.3",
        &[(SECONDARY_CAPTURE, "1.2.3.1"), (SECONDARY_CAPTURE, "1.2.3.2")],
    );
    assert_eq!(ask(&mut peer, &set, INSTANCE, 1).await, OK);
    // the gateway ends at once; its successor takes the request up
    gateway.shutdown.cancel();
    drop(peer);
    gateway.task.await.expect("ended");
    let outbox = gateway.archive.outbox();
    let waiting = outbox.waiting("dicom-storage-commitment");
    assert_eq!(waiting.await.expect("index"), 1, "kept");
    let port = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let shutdown = CancellationToken::new();
    let serve = dicom_gateway::serve(
        vec![Port {
            listener: port,
            tls: None,
        }],
        gateway.archive.clone(),
        Config::new(title("GONGYING")),
        shutdown.clone(),
    );
    let task = tokio::spawn(serve);
    let accepted = tokio::time::timeout(Duration::from_secs(80), listener.accept());
    let (stream, _) = accepted.await.expect("called back").expect("connection");
    let mut back = Peer { stream };
    let (_, body) = back.receive().await;
    back.send(&associate_ac(&body)).await;
    let failed = vec![("1.2.3.2".to_owned(), 0x0110)];
    assert_eq!(told(&mut back, 0).await, (2, vec!["1.2.3.1".into()], failed));
    shutdown.cancel();
    task.await.expect("ended").expect("ended well");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_gets_a_status() {
    let (gateway, _listener) = with_asker().await;
    let one = [(SECONDARY_CAPTURE, "1.2.3.1")];
    let check = async |set: &DataSet, instance: &str, action: u16, expect: u16| {
        let mut peer = asker(&gateway).await;
        assert_eq!(
            ask(&mut peer, set, instance, action).await,
            Reply::Status(expect, None)
        );
    };
    check(&request("1.2.9.4", &one), INSTANCE, 2, 0x0123).await;
    check(&request("1.2.9.4", &one), "1.2.3", 1, 0x0112).await;
    check(&request("1.2.9.4", &[]), INSTANCE, 1, 0x0115).await;
    check(&request("", &one), INSTANCE, 1, 0x0115).await;
    let mut mute = Peer::connect(gateway.address).await;
    assert_eq!(
        mute.associate("GONGYING", "MUTE", &[(COMMITMENT, &[EXPLICIT])])
            .await
            .0,
        2
    );
    let reply = ask(&mut mute, &request("1.2.9.4", &one), INSTANCE, 1).await;
    assert_eq!(reply, Reply::Status(0x0124, None));
    gateway.stop().await;
}
