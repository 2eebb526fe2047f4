//! Associations as peers make and break them.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::time::{Duration, Instant};

use support::*;

const ECHO_MAX: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn c_echo_by_our_own_sender_and_by_dcmtk() {
    let gateway = Gateway::start().await;
    gateway.echo().await;
    let port = gateway.address.port().to_string();
    let good = strings(&["-aet", "JUDGE", "-aec", "GONGYING", "127.0.0.1", &port]);
    if let Some((ok, text)) = dcmtk("echoscu", &good).await {
        assert!(ok, "{text}");
        let (ok, text) = dcmtk(
            "echoscu",
            &strings(&["-aet", "NOBODY", "-aec", "GONGYING", "127.0.0.1", &port]),
        )
        .await
        .expect("there");
        assert!(!ok && text.contains("Calling AE Title Not Recognized"), "{text}");
        // hundreds of contexts, all known syntaxes
        let (ok, text) = dcmtk(
            "echoscu",
            &strings(&[
                "-pts",
                "38",
                "-ppc",
                "128",
                "-aet",
                "JUDGE",
                "-aec",
                "GONGYING",
                "127.0.0.1",
                &port,
            ]),
        )
        .await
        .expect("there");
        assert!(ok, "{text}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_rejected_with_the_reason() {
    let gateway = Gateway::start().await;
    let check = async |called: &str, calling: &str, expect: [u8; 3]| {
        let mut peer = Peer::connect(gateway.address).await;
        let (kind, body) = peer
            .associate(called, calling, &[(VERIFICATION, &[IMPLICIT])])
            .await;
        assert_eq!((kind, &body[1..4]), (3, &expect[..]), "{calling} calls {called}");
        assert_eq!(peer.receive().await.0, 0, "closed after the rejection");
    };
    check("GONGYING", "NOBODY", [1, 1, 3]).await;
    check("GONGYING", "", [1, 1, 3]).await;
    check("GONGYING", "' OR '1'='1", [1, 1, 3]).await;
    check("GONGYING", "ELSEWHERE", [1, 1, 3]).await;
    check("SOMEBODY", "JUDGE", [1, 1, 7]).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_is_closed_at_once() {
    let gateway = Gateway::start().await;
    let huge = |kind: u8| [&[kind, 0, 0xff, 0xff, 0xff, 0xff][..], &[1; 1000]].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (
            "TLS hello",
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat(),
        ),
        ("PDU type 0", vec![0, 0, 0, 0, 0, 4, 97, 97, 97, 97]),
        ("release first", vec![5, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("P-DATA first", p_data(&[pdv(1, 3, b"xxxxxxxxxxxx")])),
        ("request of 4 GB", huge(1)),
        ("P-DATA of 4 GB", huge(4)),
        ("abort of 4 GB", huge(7)),
        ("request cut short", pdu(1, &[0; 30])),
    ];
    for (name, bytes) in cases {
        let mut peer = Peer::connect(gateway.address).await;
        let start = Instant::now();
        peer.send(&bytes).await;
        let kind = peer.receive().await.0;
        assert!(kind == 0 || kind == 7, "{name}: PDU {kind}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name}");
        assert!(gateway.echo().await < ECHO_MAX, "{name}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_messages_abort_the_association() {
    let gateway = Gateway::start().await;
    let echo = command(0x30, VERIFICATION, None, false);
    let beyond = [&0xffff_fff0_u32.to_be_bytes()[..], &[1, 3], &[7; 50]].concat();
    let overlong = [&echo[..echo.len() - 10], &[0xff; 10]].concat();
    let cases: [(&str, Vec<u8>); 14] = [
        ("PDV of length 0", pdu(4, &[0, 0, 0, 0])),
        ("PDV of length 1", pdu(4, &[0, 0, 0, 1, 1])),
        ("PDV beyond its PDU", pdu(4, &beyond)),
        ("empty P-DATA", pdu(4, &[])),
        ("PDV header cut", pdu(4, &[0, 0])),
        ("command of three bytes", p_data(&[pdv(1, 3, &[0, 0, 0])])),
        ("unknown context", p_data(&[pdv(99, 3, &echo)])),
        ("data before a command", p_data(&[pdv(1, 2, &[1, 2, 3, 4])])),
        (
            "command on two contexts",
            p_data(&[pdv(1, 1, &echo), pdv(3, 3, &echo)]),
        ),
        (
            "second request",
            associate_rq("GONGYING", "JUDGE", &[(VERIFICATION, &[IMPLICIT])]),
        ),
        (
            "PDU longer than agreed",
            [&[4, 0][..], &(1_u32 << 24).to_be_bytes()].concat(),
        ),
        ("endless command", p_data(&[pdv(1, 1, &[0; 20_000])])),
        ("element beyond the command", p_data(&[pdv(1, 3, &overlong)])),
        (
            "an answer to nothing",
            p_data(&[pdv(1, 3, &command(0x8030, VERIFICATION, None, false))]),
        ),
    ];
    for (name, bytes) in cases {
        let mut peer = gateway
            .peer(&[(VERIFICATION, &[IMPLICIT]), (VERIFICATION, &[EXPLICIT])])
            .await;
        peer.send(&bytes).await;
        let reply = peer.reply().await;
        assert!(matches!(reply, Reply::Abort | Reply::Closed), "{name}: {reply:?}");
    }
    assert!(gateway.echo().await < ECHO_MAX);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_operations_and_wrong_contexts_get_a_status() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    for (field, data, expect) in [
        (0x77, false, 0x0211),
        (0x77, true, 0x0211),
        (0x01, true, 0x0122),
        (0x30, false, 0),
    ] {
        peer.send(&p_data(&[pdv(1, 3, &command(field, VERIFICATION, None, data))]))
            .await;
        if data {
            peer.send(&p_data(&[pdv(1, 0, &[1; 100]), pdv(1, 2, &[2; 100])]))
                .await;
        }
        assert_eq!(peer.reply().await, Reply::Status(expect, None), "{field:#x}");
    }
    peer.send(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await;
    assert_eq!(peer.reply().await, Reply::Released);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_peers_delay_nobody() {
    let gateway = Gateway::start().await;
    let mut held = Vec::new();
    for index in 0..200 {
        let mut peer = Peer::connect(gateway.address).await;
        let request = associate_rq("GONGYING", "JUDGE", &[(VERIFICATION, &[IMPLICIT])]);
        match index % 4 {
            0 => {}
            1 => peer.send(&request[..request.len() / 2]).await,
            2 => {
                peer.send(&request).await;
                assert_eq!(peer.receive().await.0, 2);
            }
            _ => {
                peer.send(&request).await;
                assert_eq!(peer.receive().await.0, 2);
                peer.send(&p_data(&[pdv(1, 1, &[0; 4])])).await;
            }
        }
        held.push(peer);
    }
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        times.push(gateway.echo().await);
    }
    times.sort();
    println!(
        "C-ECHO beside 200 stalled peers: median {:?}, worst {:?}",
        times[25], times[49]
    );
    assert!(
        times[25] < Duration::from_millis(50) && times[49] < ECHO_MAX,
        "{times:?}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wait_ends() {
    let gateway = Gateway::with(|config| {
        config.handshake_timeout = Duration::from_millis(300);
        config.idle_timeout = Duration::from_millis(300);
        config.request_timeout = Duration::from_millis(300);
        config.progress_timeout = Duration::from_millis(300);
    })
    .await;
    let mut silent = Peer::connect(gateway.address).await;
    let mut half = Peer::connect(gateway.address).await;
    half.send(&associate_rq("GONGYING", "JUDGE", &[(VERIFICATION, &[IMPLICIT])])[..40])
        .await;
    let mut idle = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    let mut command_only = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    command_only.send(&p_data(&[pdv(1, 1, &[0; 8])])).await;
    let mut in_data = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    in_data
        .send(&p_data(&[
            pdv(1, 3, &command(0x77, VERIFICATION, None, true)),
            pdv(1, 0, &[0; 8]),
        ]))
        .await;
    let mut trickle = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    trickle
        .send(&p_data(&[pdv(1, 3, &command(0x77, VERIFICATION, None, true))]))
        .await;
    for _ in 0..12 {
        trickle.send(&p_data(&[pdv(1, 0, &[0; 2])])).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    for (name, peer) in [
        ("silent", &mut silent),
        ("half a request", &mut half),
        ("idle", &mut idle),
        ("half a command", &mut command_only),
        ("half a data set", &mut in_data),
        ("a byte now and then", &mut trickle),
    ] {
        let kind = peer.receive().await.0;
        assert!(kind == 0 || kind == 7, "{name}: PDU {kind}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_reject_for_now_and_give_way() {
    let gateway = Gateway::with(|config| {
        config.associations_per_device_max = 2;
        config.half_open_max = 3;
    })
    .await;
    let first = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    let _second = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    let mut third = Peer::connect(gateway.address).await;
    let (kind, body) = third
        .associate("GONGYING", "JUDGE", &[(VERIFICATION, &[IMPLICIT])])
        .await;
    assert_eq!((kind, &body[1..4]), (3, &[2, 3, 2][..]));
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    gateway.echo().await;
    // half-open connections: the oldest gives way, so a fourth still gets in
    let mut half = Vec::new();
    for _ in 0..3 {
        half.push(Peer::connect(gateway.address).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.echo().await;
    assert_eq!(half[0].receive().await.0, 0, "the oldest was closed");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_idle_associations_and_new_ones() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(&[(VERIFICATION, &[IMPLICIT])]).await;
    let address = gateway.address;
    gateway.stop().await;
    assert_eq!(peer.receive().await.0, 7, "told by an A-ABORT");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_negotiated_is_answered() {
    let gateway = Gateway::start().await;
    let request = associate_rq("GONGYING", "JUDGE", &[(STUDY_FIND, &[EXPLICIT])]);
    let has = |body: &[u8], item: &[u8]| body.windows(item.len()).any(|part| part == item);

    let mut plain = Peer::connect(gateway.address).await;
    plain.send(&request).await;
    let (kind, body) = plain.receive().await;
    assert_eq!(kind, 2);
    assert!(!has(&body, &[0x53, 0, 0, 4]), "nobody asked for a window");

    let asked = [&[0, 27][..], STUDY_FIND.as_bytes(), &[1, 1, 0, 1, 1]].concat();
    let request = with_user_item(&request, 0x53, &[0, 8, 0, 0]);
    let request = with_user_item(&request, 0x56, &asked);
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&request).await;
    let (kind, body) = peer.receive().await;
    assert_eq!(kind, 2);
    assert!(
        has(&body, &[0x53, 0, 0, 4, 0, 1, 0, 1]),
        "one operation at a time"
    );
    let answer = [STUDY_FIND.as_bytes(), &[1, 1, 0, 1, 0]].concat();
    assert!(has(&body, &answer), "all but the conversion of old images");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_are_turned_away_can_be_seen_and_enrolled() {
    let gateway = Gateway::start().await;
    for _ in 0..3 {
        let mut peer = Peer::connect(gateway.address).await;
        let (kind, _) = peer
            .associate("GONGYING", "NEW_CT", &[(VERIFICATION, &[IMPLICIT])])
            .await;
        assert_eq!(kind, 3);
    }
    let devices = gateway.archive.devices();
    let mut listed = Vec::new();
    for _ in 0..50 {
        listed = devices.refused().await.expect("list");
        if !listed.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let caller = &listed[0];
    assert_eq!((&*caller.calling, &*caller.called), ("NEW_CT", "GONGYING"));
    assert_eq!(
        (caller.address.parse().ok(), listed.len()),
        (Some(gateway.address.ip()), 1)
    );
    devices
        .create(device("NEW_CT", &gateway.institution))
        .await
        .expect("device");
    let mut peer = Peer::connect(gateway.address).await;
    let (kind, _) = peer
        .associate("GONGYING", "NEW_CT", &[(VERIFICATION, &[IMPLICIT])])
        .await;
    assert_eq!(kind, 2);
    gateway.stop().await;
}
