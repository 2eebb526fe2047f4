//! Peers that stand still, come in crowds, or only knock: each costs itself, nobody else.

use super::Row;
use super::line::{ABORT, Answer, Line, SECONDARY_CAPTURE, associate_rq, data_pdu};
use super::target::{CALLED, CALLING, Target, begin_store};
use super::web::assert_serving;
use crate::support::peer::{EXPLICIT_LE, IMPLICIT_LE, VERIFICATION};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const STALLED: usize = 200;
const CONNECTS: usize = 20_000;
const GROWTH_KIB_MAX: u64 = 8 << 10;
const DESCRIPTORS_GROWTH_MAX: usize = 10;
const ECHOES: usize = 20;
/// Every echo of a healthy peer beside the stalled ones.
const ECHO_MAX: Duration = Duration::from_millis(200);

pub fn rows() -> Vec<Row> {
    vec![
        Row::new("slowloris_on_the_http_port", slowloris),
        Row::new("silent_half_open_and_stalled_dicom_peers", stalled),
        Row::new("peer_that_never_reads_its_answers", never_reads),
        Row::new("20000_connects_leave_memory_flat", connects),
    ]
}

fn slowloris(target: &Target) {
    let lines: Vec<TcpStream> = (0..STALLED)
        .map(|number| {
            let mut line = TcpStream::connect(target.product.http).unwrap();
            let tail = if number % 2 == 0 { "X-A: " } else { "\r\n{" };
            let head = "POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n";
            line.write_all(format!("{head}{tail}").as_bytes()).unwrap();
            line
        })
        .collect();
    assert_serving(target);
    target.assert_healthy_beside("slow HTTP clients");
    drop(lines);
}

/// A third says nothing, a third half a request, a third half an object.
fn stalled(target: &Target) {
    let request = associate_rq(CALLING, CALLED, &[(SECONDARY_CAPTURE, &[EXPLICIT_LE])]);
    let lines: Vec<Line> = (0..STALLED)
        .map(|number| match number % 3 {
            0 => Line::open(target.product.dicom).unwrap(),
            1 => {
                let mut line = Line::open(target.product.dicom).unwrap();
                line.send(&request[..100]);
                line
            }
            _ => {
                let mut line = target.associate_for_storage();
                let object = target.object();
                begin_store(&mut line, &object.place.instance);
                line.send(&data_pdu(1, 0, &object.bytes()[..300]));
                line
            }
        })
        .collect();
    for _ in 0..ECHOES {
        let start = Instant::now();
        let echo = target.echo();
        assert!(
            echo.is_some_and(|e| e < ECHO_MAX),
            "echo {echo:?} after {:?}",
            start.elapsed()
        );
    }
    let object = target.object();
    assert_eq!(
        target.store(&object.place, &object.bytes()),
        Answer::Status(0),
        "an object beside them"
    );
    drop(lines);
}

/// Thousands of echo requests, no answer ever read: what the product holds for it is bounded.
fn never_reads(target: &Target) {
    let mut line = target.associate(&[(VERIFICATION, &[IMPLICIT_LE])]);
    let set = crate::support::peer::command(&[
        (0x0002, crate::support::peer::even(VERIFICATION)),
        (0x0100, 0x0030_u16.to_le_bytes().to_vec()),
        (0x0110, 1_u16.to_le_bytes().to_vec()),
        (0x0800, 0x0101_u16.to_le_bytes().to_vec()),
    ]);
    let requests = line.frames(1, true, &set).repeat(1000);
    let end = Instant::now() + Duration::from_secs(2);
    let mut taken = 0;
    while Instant::now() < end && taken < 50 && line.send(&requests) {
        taken += 1;
    }
    target.assert_healthy_beside("a peer that does not read");
}

/// Connects that never become anything, in four forms: descriptors and memory stay as they were.
fn connects(target: &Target) {
    let request = associate_rq(CALLING, CALLED, &[(VERIFICATION, &[IMPLICIT_LE])]);
    let knock = |number: usize| {
        let mut line = Line::open(target.product.dicom).unwrap();
        match number % 8 {
            1 => drop(line.send(&request[..50])),
            3 => drop(line.send(b"GET / HTTP/1.1\r\n\r\n")),
            5 => drop(line.send(&request)),
            7 => {
                line.send(&request);
                line.send(&ABORT);
            }
            _ => {}
        }
    };
    (0..CONNECTS / 10).for_each(knock);
    let calm = || std::thread::sleep(Duration::from_millis(700));
    calm();
    let (memory, descriptors) = (target.product.resident_kib(), target.descriptors());
    (0..CONNECTS).for_each(knock);
    calm();
    let (memory_after, descriptors_after) = (target.product.resident_kib(), target.descriptors());
    assert!(
        memory_after <= memory + GROWTH_KIB_MAX,
        "memory {memory} -> {memory_after} KiB"
    );
    assert!(
        descriptors_after <= descriptors + DESCRIPTORS_GROWTH_MAX,
        "descriptors {descriptors} -> {descriptors_after}"
    );
}
