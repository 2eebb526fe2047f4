//! Broken and hostile files by every door: the commands, C-STORE and STOW-RS. Each ends in a clear error or in an
//! object stored as it is; the process lives and goes on serving.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::Product;
use support::objects::CT_IMAGE;
use support::peer::{Association, IMPLICIT_LE, StoreRequest, VERIFICATION};

const COMMAND_SECONDS_MAX: u64 = 20;
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Every file of the real test data, and broken ones made by the fixtures; the latter are always there.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fixtures::bad::all(fixtures::Seed::new(7))
        .into_iter()
        .map(|bad| {
            let path = folder.join(format!("{}.dcm", bad.name));
            std::fs::write(&path, bad.bytes).unwrap();
            path
        })
        .collect();
    assert!(files.len() >= 10, "the fixtures make broken files of many kinds");
    if let Some(real) = support::test_data("dicom") {
        let mut pending = vec![real];
        while let Some(folder) = pending.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() {
                    pending.push(entry);
                } else if entry.metadata().unwrap().len() <= FILE_BYTES_MAX
                    && entry.extension().is_none_or(|e| e != "md")
                {
                    files.push(entry);
                }
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_commands_answer_every_file_with_a_result_or_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.png");
    for file in inputs(folder.path()) {
        for sub in ["info", "render"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gongying"));
            command.args(["image", sub]).arg(&file).stdin(Stdio::null());
            if sub == "info" {
                command.arg("--json")
            } else {
                command.arg("-o").arg(&out)
            };
            let started = Instant::now();
            let done = command.output().unwrap();
            let (said, shown) = (String::from_utf8_lossy(&done.stderr), file.display());
            assert!(done.status.signal().is_none(), "image {sub} {shown} died: {said}");
            assert!(
                matches!(done.status.code(), Some(0 | 1)),
                "image {sub} {shown}: {:?} {said}",
                done.status
            );
            assert!(!said.contains("panicked"), "image {sub} {shown}: {said}");
            assert!(
                started.elapsed() < Duration::from_secs(COMMAND_SECONDS_MAX),
                "image {sub} {shown} took too long"
            );
            if done.status.code() == Some(1) {
                assert_eq!(
                    said.trim_end().lines().count(),
                    1,
                    "image {sub} {shown} should say one line: {said}"
                );
            }
        }
    }
}

#[test]
fn the_network_answers_every_file_with_a_status_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("data"));
    let technician = product.login("tech.hexi");
    let (mut stored, mut refused) = (0, 0);
    for file in inputs(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let (class, instance, syntax, data_set) = parts(&bytes);
        let mut association = Association::open(product.dicom, "JUDGE", "GONGYING", &[(&class, &syntax)])
            .unwrap_or_else(|e| panic!("{}: association for {class} {syntax}: {e}", file.display()));
        let request = StoreRequest {
            sop_class_uid: &class,
            sop_instance_uid: &instance,
        };
        if !association.offers(&class) {
            // A media directory or a colour palette belongs to no study: refused when the association is made.
            refused += 1;
            continue;
        }
        match association.store(&request, [data_set.to_vec()]) {
            Ok(0) => stored += 1,
            Ok(_) => refused += 1,
            Err(error) => panic!("{} got no status: {error}", file.display()),
        }
        let kind = "multipart/related; type=\"application/dicom\"; boundary=b0undary";
        let mut body = b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
        body.extend(&bytes);
        body.extend(b"\r\n--b0undary--\r\n");
        let answer = technician.request("POST", "/dicomweb/studies", &[("Content-Type", kind)], &body);
        assert!(
            answer.status < 500,
            "{}: STOW-RS answered {}: {}",
            file.display(),
            answer.status,
            answer.text()
        );
    }
    assert!(
        refused > 0,
        "some of these files are broken, and none was refused"
    );
    println!("{stored} stored, {refused} refused");
    let mut association =
        Association::open(product.dicom, "JUDGE", "GONGYING", &[(VERIFICATION, IMPLICIT_LE)]).unwrap();
    assert_eq!(association.echo().unwrap(), 0);
    association.release().unwrap();
}

/// SOP class, SOP instance, transfer syntax and data set as far as a file's meta header tells them.
fn parts(bytes: &[u8]) -> (String, String, String, &[u8]) {
    let text = |value: &[u8]| {
        String::from_utf8_lossy(value)
            .trim_end_matches(['\0', ' '])
            .to_string()
    };
    let (mut class, mut instance, mut syntax) = (
        CT_IMAGE.to_string(),
        "2.25.77".to_string(),
        IMPLICIT_LE.to_string(),
    );
    let mut at = if bytes.get(128..132) == Some(b"DICM") {
        132
    } else {
        return (class, instance, syntax, bytes);
    };
    while bytes.get(at..at + 2) == Some(&[2, 0]) && at + 8 <= bytes.len() {
        let number = u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]);
        let long = matches!(&bytes[at + 4..at + 6], b"OB" | b"UN" | b"OW");
        let (head, length) = match (long, bytes.get(at + 8..at + 12)) {
            (true, Some(l)) => (12, u32::from_le_bytes([l[0], l[1], l[2], l[3]]) as usize),
            _ => (8, u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]) as usize),
        };
        let Some(value) = bytes.get(at + head..at + head + length) else {
            break;
        };
        match number {
            2 => class = text(value),
            3 => instance = text(value),
            0x10 => syntax = text(value),
            _ => {}
        }
        at += head + length;
    }
    let fit = |uid: String, other: &str| {
        if uid.is_empty() || uid.len() > 64 {
            other.to_string()
        } else {
            uid
        }
    };
    (
        fit(class, CT_IMAGE),
        fit(instance, "2.25.77"),
        fit(syntax, IMPLICIT_LE),
        &bytes[at..],
    )
}
