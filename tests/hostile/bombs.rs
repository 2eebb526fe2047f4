//! Little that unpacks to much: deflated data sets, encoded bodies, archives.

use super::Row;
use super::line::{Answer, DEFLATED_LE};
use super::object::file;
use super::target::Target;
use super::web::exchange;
use fixtures::Seed;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

pub fn rows() -> Vec<Row> {
    vec![
        Row::new("deflated_data_set_by_c_store", deflated_by_c_store),
        Row::new("deflated_data_set_by_stow", deflated_by_stow),
        Row::new("deflated_data_set_by_the_command", deflated_by_command),
        Row::new("gzip_body_on_login", |t| {
            encoded(t, "/api/session", "application/json", "gzip")
        }),
        Row::new("gzip_body_on_stow", |t| {
            let kind = "multipart/related; type=\"application/dicom\"; boundary=b";
            encoded(t, "/dicomweb/studies", kind, "gzip");
        }),
        Row::new("deflate_and_br_bodies_on_login", |t| {
            encoded(t, "/api/session", "application/json", "deflate");
            encoded(t, "/api/session", "application/json", "br");
        }),
        Row::new("zip_body_by_every_door", zip),
    ]
}

/// Data set of the deflate bomb, 128 MiB from 128 kB.
fn bomb() -> Vec<u8> {
    let file = fixtures::bad::deflate_bomb(Seed::new(11), 128 << 20);
    super::target::data_set_of(&file)
        .expect("a Part 10 file")
        .to_vec()
}

fn deflated_by_c_store(target: &Target) {
    let (place, data_set) = (target.place(), bomb());
    let answer = target.store_in(DEFLATED_LE, &place, &data_set);
    assert!(matches!(answer, Answer::Status(_)), "{answer:?}");
    // its 128 MiB are pixel data beyond what the image shows: no door may take them into memory
    target.look_at(&place);
    let bulk = format!("{}/bulkdata/7FE00010", super::target::instance_path(&place));
    assert!(target.reader.get(&bulk).status < 500);
}

fn deflated_by_stow(target: &Target) {
    let answer = target.stow(&file(&target.place().instance, DEFLATED_LE, &[], &bomb()));
    assert!(matches!(answer.status, 200 | 202 | 409), "{}", answer.status);
}

fn deflated_by_command(target: &Target) {
    let bytes = file(&target.place().instance, DEFLATED_LE, &[], &bomb());
    for sub in ["info", "thumbnail"] {
        target.image_command_on(sub, &bytes);
    }
}

/// 64 MiB of zeros as a stored block stream would be as long: these 64 kB are what gzip makes of them. No body is
/// unpacked at all, so the words alone decide.
fn encoded(target: &Target, path: &str, kind: &str, coding: &str) {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.resize(64 << 10, 0);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(target.product.http, [head.into_bytes(), body], WAIT);
    assert_eq!(answer.status(), Some(415), "{answer:?}");
}

/// An archive with names that lead out of it is no upload anywhere.
fn zip(target: &Target) {
    let name = format!("../../{}", target.mark);
    let mut body = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\x10\0\0\0".to_vec();
    body.extend((name.len() as u16).to_le_bytes());
    body.extend([0, 0]);
    body.extend(name.as_bytes());
    body.extend([7; 16]);
    let doors = [
        "/dicomweb/studies",
        "/api/session",
        "/api/orders",
        "/fhir/Patient",
    ];
    for path in doors {
        let answer = target
            .technician
            .request("POST", path, &[("Content-Type", "application/zip")], &body);
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    super::traversal::assert_nothing_left(target);
}
