//! The wrong language on a port: the line ends at once or is told so, and nobody else notices.

use super::Row;
use super::line::{Answer, Line, RELEASE_RQ, SECONDARY_CAPTURE, associate_rq, data_pdu};
use super::target::{CALLED, CALLING, Target};
use super::web::exchange;
use crate::support::objects::fresh_run;
use crate::support::peer::EXPLICIT_LE;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const VERDICT_MAX: Duration = Duration::from_secs(2);
const STALLED_HANDSHAKES: usize = 50;

pub fn rows() -> Vec<Row> {
    type Words = fn() -> Vec<u8>;
    let foreign: [(&str, Words); 6] = [
        ("http_on_the_dicom_port", || {
            b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\r\n\r\n".to_vec()
        }),
        ("tls_on_the_dicom_port", tls_hello),
        ("noise_on_the_dicom_port", || noise(4000)),
        ("pdu_of_type_0", || vec![0, 0, 0, 0, 0, 4, 7, 7, 7, 7]),
        ("release_before_an_association", || RELEASE_RQ.to_vec()),
        ("data_before_an_association", || data_pdu(1, 3, &[7; 20])),
    ];
    let mut rows: Vec<Row> = foreign
        .into_iter()
        .map(|(name, bytes)| {
            Row::new(name, move |t| {
                let answer = said(t.product.dicom, &bytes());
                assert!(answer.ended(), "{answer:?}");
            })
        })
        .collect();
    rows.push(Row::new("dicom_on_the_http_port", |t| on_http(t, &request())));
    rows.push(Row::new("tls_on_the_http_port", |t| on_http(t, &tls_hello())));
    rows.push(Row::new("noise_on_the_http_port", |t| on_http(t, &noise(4000))));
    rows.push(Row::new("plain_dicom_on_the_tls_port", |t| on_tls(t, &request())));
    rows.push(Row::new("http_on_the_tls_port", |t| {
        on_tls(t, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }));
    rows.push(Row::new("noise_on_the_tls_port", |t| on_tls(t, &noise(3000))));
    rows.push(Row::new("stalled_tls_handshakes", stalled_handshakes));
    rows
}

fn request() -> Vec<u8> {
    associate_rq(CALLING, CALLED, &[(SECONDARY_CAPTURE, &[EXPLICIT_LE])])
}

/// Bytes that begin no protocol; others in each run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = fresh_run() | 1;
    let random = (1..count).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    std::iter::once(0x99).chain(random).collect()
}

/// A ClientHello, its random part made up.
fn tls_hello() -> Vec<u8> {
    let head = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    head.into_iter().chain(noise(506)).collect()
}

/// What a DICOM line says to these first bytes, in time.
fn said(to: SocketAddr, bytes: &[u8]) -> Answer {
    let start = Instant::now();
    let (_, answer) = Line::associate(to, bytes);
    assert!(start.elapsed() < VERDICT_MAX, "after {:?}", start.elapsed());
    answer
}

fn on_http(target: &Target, bytes: &[u8]) {
    let answer = exchange(target.product.http, [bytes.to_vec()], VERDICT_MAX);
    assert!(answer.closed() || answer.status() == Some(400), "{answer:?}");
    super::web::assert_serving(target);
}

/// A handshake that cannot succeed is given up; where no TLS port is offered there is nothing to attack.
fn on_tls(target: &Target, bytes: &[u8]) {
    let Some(port) = target.product.tls else {
        println!("skipped: the demonstration has no TLS port");
        return;
    };
    let start = Instant::now();
    let answer = exchange(port, [bytes.to_vec()], VERDICT_MAX);
    assert!(answer.closed(), "{answer:?}");
    assert!(start.elapsed() < VERDICT_MAX, "after {:?}", start.elapsed());
}

fn stalled_handshakes(target: &Target) {
    let Some(port) = target.product.tls else {
        println!("skipped: the demonstration has no TLS port");
        return;
    };
    let lines: Vec<Line> = (0..STALLED_HANDSHAKES)
        .map(|_| {
            let mut line = Line::open(port).unwrap();
            line.send(&tls_hello()[..11]);
            line
        })
        .collect();
    target.assert_healthy_beside("stalled TLS handshakes");
    drop(lines);
}
