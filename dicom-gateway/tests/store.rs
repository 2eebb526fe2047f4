//! C-STORE: every object kept as it came, every refusal with its status, whatever the peer does.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod support;

use std::time::{Duration, Instant};

use dataset::{CharacterSets, DataSet, Encoding, Vr, tags};
use dicom_gateway::scu::{Outcome, SendOptions, send};
use support::*;

/// A small secondary capture.
fn object(uid: &str, change: impl FnOnce(&mut DataSet)) -> Vec<u8> {
    let mut set = DataSet::with_charset(CharacterSets::gb18030());
    set.put_uid(tags::SOP_CLASS_UID, SECONDARY_CAPTURE);
    set.put_uid(tags::SOP_INSTANCE_UID, uid);
    set.put_text(tags::STUDY_DATE, Vr::DA, "20260115");
    set.put_text(tags::MODALITY, Vr::CS, "OT");
    set.put_text(tags::PATIENT_NAME, Vr::PN, "王小明");
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.1.1");
    set.put_uid(tags::SERIES_INSTANCE_UID, "1.2.826.0.1.1.1");
    set.put_u16(tags::ROWS, 32);
    set.put_u16(tags::COLUMNS, 32);
    set.put_u16(tags::BITS_ALLOCATED, 8);
    set.put_u16(tags::SAMPLES_PER_PIXEL, 1);
    set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_bytes(tags::PIXEL_DATA, Vr::OB, vec![7; 1024]);
    change(&mut set);
    dataset::write::encode(&set, Encoding::ExplicitLe).expect("writable")
}

fn store_command(uid: &str) -> Vec<u8> {
    p_data(&[pdv(1, 3, &command(1, SECONDARY_CAPTURE, Some(uid), true))])
}

async fn store(peer: &mut Peer, uid: &str, data: &[u8], piece: usize) -> Reply {
    peer.send(&store_command(uid)).await;
    let mut bytes = Vec::new();
    for (index, part) in data.chunks(piece).enumerate() {
        let last = (index + 1) * piece >= data.len();
        bytes.extend(p_data(&[pdv(1, u8::from(last) << 1, part)]));
    }
    peer.send(&bytes).await;
    peer.reply().await
}

const CONTEXT: &[(&str, &[&str])] = &[(SECONDARY_CAPTURE, &[EXPLICIT])];
const OK: Reply = Reply::Status(0, None);

/// Bytes of all stored objects, without what precedes their data sets.
fn stored(gateway: &Gateway) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![gateway.path().join("objects")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && let Ok(header) = dataset::file::read_header(&bytes)
            {
                found.push(bytes[header.dataset_offset..].to_vec());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_kept_byte_for_byte_in_any_cutting() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(CONTEXT).await;
    for (index, piece) in [1, 7, 100, 1024, 60_000].into_iter().enumerate() {
        let uid = format!("1.2.826.0.1.1.1.{index}");
        let data = object(&uid, |_| {});
        assert_eq!(
            store(&mut peer, &uid, &data, piece).await,
            OK,
            "pieces of {piece}"
        );
        assert!(stored(&gateway).contains(&data), "pieces of {piece}");
        assert_eq!(store(&mut peer, &uid, &data, 60_000).await, OK, "the same again");
    }
    assert_eq!(stored(&gateway).len(), 5);
    gateway.stop().await;
}

/// A sequence nested 20,000 deep.
fn nested() -> Vec<u8> {
    [
        [
            0x40, 0, 0x30, 0xa7, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff,
            0xff, 0xff,
        ]
        .repeat(20_000),
        [
            0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0,
        ]
        .repeat(20_000),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refused_object_gets_its_status() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(CONTEXT).await;
    let uid = "1.2.826.0.1.1.1.9";
    assert_eq!(store(&mut peer, uid, &object(uid, |_| {}), 4096).await, OK);
    let cut = object("1.2.3.4", |_| {});
    let cases: [(&str, &str, Vec<u8>, u16); 7] = [
        (
            "other bytes under a known UID",
            uid,
            object(uid, |s| s.put_text(tags::PATIENT_NAME, Vr::PN, "X")),
            0x0111,
        ),
        ("another UID inside", "1.2.3.1", object("1.2.3.2", |_| {}), 0xa900),
        (
            "another class inside",
            "1.2.3.3",
            object("1.2.3.3", |s| {
                s.put_uid(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2")
            }),
            0xa900,
        ),
        ("cut short", "1.2.3.4", cut[..cut.len() - 100].to_vec(), 0xc000),
        (
            "nested 20,000 deep",
            "1.2.3.5",
            [&nested()[..], &object("1.2.3.5", |_| {})].concat(),
            0xc000,
        ),
        (
            "no study",
            "1.2.3.6",
            object("1.2.3.6", |s| drop(s.remove(tags::STUDY_INSTANCE_UID))),
            0xc000,
        ),
        (
            "a UID that is a path",
            "../../x",
            object("1.2.3.7", |_| {}),
            0x0115,
        ),
    ];
    for (name, uid, data, expect) in cases {
        assert_eq!(
            store(&mut peer, uid, &data, 16_000).await,
            Reply::Status(expect, None),
            "{name}"
        );
    }
    assert_eq!(
        stored(&gateway)
            .iter()
            .filter(|data| **data == object(uid, |_| {}))
            .count(),
        1,
        "the first is untouched"
    );
    // after all that the association still works
    assert_eq!(
        store(&mut peer, "1.2.3.8", &object("1.2.3.8", |_| {}), 4096).await,
        OK
    );
    let mut mute = Peer::connect(gateway.address).await;
    assert_eq!(mute.associate("GONGYING", "MUTE", CONTEXT).await.0, 2);
    assert_eq!(
        store(&mut mute, "1.2.3.9", &object("1.2.3.9", |_| {}), 4096).await,
        Reply::Status(0x0124, None)
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_off_objects_leave_nothing() {
    let gateway = Gateway::start().await;
    let uid = "1.2.826.0.1.1.1.5";
    let data = object(uid, |_| {});
    let ends: [(&str, Vec<u8>); 5] = [
        ("abort", vec![7, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("release", vec![5, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("another context", p_data(&[pdv(3, 2, &data[300..])])),
        ("a command", store_command(uid)),
        ("a closed line", Vec::new()),
    ];
    for (name, end) in ends {
        let mut peer = gateway
            .peer(&[(SECONDARY_CAPTURE, &[EXPLICIT]), (SECONDARY_CAPTURE, &[IMPLICIT])])
            .await;
        peer.send(&store_command(uid)).await;
        peer.send(&p_data(&[pdv(1, 0, &data[..300])])).await;
        peer.send(&end).await;
        if name != "a closed line" {
            let reply = peer.reply().await;
            assert!(matches!(reply, Reply::Abort | Reply::Closed), "{name}: {reply:?}");
        }
        drop(peer);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(stored(&gateway).is_empty());
    let mut peer = gateway.peer(CONTEXT).await;
    assert_eq!(
        store(&mut peer, uid, &data, 4096).await,
        OK,
        "and the object can still come"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_progress_is_finished_at_shutdown() {
    let gateway = Gateway::start().await;
    let uid = "1.2.826.0.1.1.1.6";
    let data = object(uid, |_| {});
    let mut peer = gateway.peer(CONTEXT).await;
    peer.send(&store_command(uid)).await;
    peer.send(&p_data(&[pdv(1, 0, &data[..300])])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gateway.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    peer.send(&p_data(&[pdv(1, 2, &data[300..])])).await;
    assert_eq!(peer.reply().await, OK);
    assert_eq!(peer.reply().await, Reply::Abort, "then the association ends");
    assert_eq!(stored(&gateway), [data]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_senders_delay_nobody() {
    let gateway = Gateway::with(|config| config.drain_timeout = Duration::from_millis(500)).await;
    let mut held = Vec::new();
    for index in 0..100 {
        let uid = format!("1.2.826.0.1.1.2.{index}");
        let mut peer = gateway.peer(CONTEXT).await;
        peer.send(&store_command(&uid)).await;
        let data = object(&uid, |set| {
            set.put_bytes(tags::PIXEL_DATA, Vr::OB, vec![0; 400_000])
        });
        peer.send(&p_data(&[pdv(1, 0, &data[..60_000])])).await;
        held.push(peer);
    }
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        worst = worst.max(gateway.echo().await);
    }
    let mut peer = gateway.peer(CONTEXT).await;
    let start = Instant::now();
    assert_eq!(
        store(
            &mut peer,
            "1.2.826.0.1.1.3",
            &object("1.2.826.0.1.1.3", |_| {}),
            4096
        )
        .await,
        OK
    );
    println!(
        "beside 100 stalled senders: C-ECHO at worst {worst:?}, C-STORE {:?}",
        start.elapsed()
    );
    assert!(worst < Duration::from_millis(500));
    gateway.stop().await;
}

/// Peak resident memory of this process in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_follow_the_size_of_an_object() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(CONTEXT).await;
    let uid = "1.2.826.0.1.1.1.7";
    let small = object(uid, |set| drop(set.remove(tags::PIXEL_DATA)));
    let pixels = 300_u32 << 20;
    let mut head = [0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0].to_vec();
    head.extend_from_slice(&pixels.to_le_bytes());
    let before = peak_mib();
    peer.send(&store_command(uid)).await;
    peer.send(&p_data(&[pdv(1, 0, &small), pdv(1, 0, &head)])).await;
    let part = p_data(&[pdv(1, 0, &vec![9; 64 << 10])]);
    for _ in 0..pixels / (64 << 10) - 1 {
        peer.send(&part).await;
    }
    peer.send(&p_data(&[pdv(1, 2, &vec![9; 64 << 10])])).await;
    assert_eq!(peer.reply().await, OK);
    let grown = peak_mib().saturating_sub(before);
    println!("300 MiB object: peak memory grew by {grown} MiB");
    // other tests run in this process at the same time, so this is generous
    assert!(grown < 150, "{grown} MiB");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_and_syntax_of_the_test_files_is_taken() {
    let Some(root) = data() else { return };
    let gateway = Gateway::start().await;
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() && !path.ends_with("series_mr_sag192") {
                folders.push(path);
            } else if path.is_file() && path.extension().is_none_or(|e| e != "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let options = SendOptions {
        to: gateway.destination(),
        associations: 4,
        timeout: Duration::from_secs(20),
    };
    let (mut refused, mut broken) = (Vec::new(), Vec::new());
    let count = files.len();
    let summary = send(files, &options, |result| {
        let name = result
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match result.outcome {
            Outcome::Refused { status, comment } => refused.push(format!("{name} {status:04X} {comment:?}")),
            Outcome::Failed(why) => broken.push(format!("{name}: {why}")),
            _ => {}
        }
    })
    .await
    .expect("sent");
    println!(
        "{} of {count} stored\nrefused: {refused:#?}\nnot sent: {broken:#?}",
        summary.stored
    );
    // the same UID in other bytes, damaged or incomplete objects: a status each
    let known = [" 0111 ", " A900 ", " C000 "];
    assert!(
        refused
            .iter()
            .all(|line| known.iter().any(|status| line.contains(status))),
        "{refused:#?}"
    );
    // no DICOM, no UIDs, or of a class that is not for studies; never a broken association
    assert!(broken.iter().all(|why| !why.contains("ended")), "{broken:#?}");
    assert!(summary.stored * 10 > count * 6, "{} of {count}", summary.stored);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_stores_every_kind() {
    let Some(root) = data() else { return };
    let gateway = Gateway::start().await;
    let port = gateway.address.port().to_string();
    let file = |name: &str| root.join(name).display().to_string();
    for (option, path) in [
        ("-x=", file("cs3d/CTImage.dcm")),
        ("-xs", file("pdd/JPGLosslessP14SV1_1s_1f_8b.dcm")),
        ("-xy", file("cs3d/TestPattern_JPEG-Baseline_YBR422.dcm")),
        ("-xd", file("dcm4che/report_dfl.dcm")),
    ] {
        let arguments = strings(&[
            "-R",
            option,
            "-aet",
            "JUDGE",
            "-aec",
            "GONGYING",
            "127.0.0.1",
            &port,
            &path,
        ]);
        let Some((ok, text)) = dcmtk("storescu", &arguments).await else {
            return;
        };
        assert!(ok, "{path}: {text}");
    }
    assert_eq!(stored(&gateway).len(), 4);
    gateway.stop().await;
}
