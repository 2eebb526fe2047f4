//! Names that try to leave the store: in UIDs, in patient numbers, in AE titles, in addresses.

use super::Row;
use super::line::{Answer, Line, SECONDARY_CAPTURE, associate_rq};
use super::object::Object;
use super::target::{CALLING, STATUS_WAIT, Target};
use super::web::exchange;
use crate::support::objects::Place;
use crate::support::peer::EXPLICIT_LE;
use std::path::Path;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(5);

pub fn rows() -> Vec<Row> {
    let mark = |t: &Target| t.mark.clone();
    vec![
        Row::new("sop_instance_uid_up", move |t| {
            uid(t, |p| p.instance = format!("../../../../../tmp/{}", mark(t)));
        }),
        Row::new("sop_instance_uid_absolute", move |t| {
            uid(t, |p| p.instance = format!("/tmp/{}", mark(t)));
        }),
        Row::new("sop_instance_uid_of_1000_characters", |t| {
            uid(t, |p| p.instance = format!("1.{}", "9".repeat(998)));
        }),
        Row::new("sop_instance_uid_empty", |t| {
            uid(t, |p| p.instance = String::new())
        }),
        Row::new("sop_instance_uid_with_nul", move |t| {
            uid(t, |p| p.instance = format!("1.2\0/../{}", mark(t)));
        }),
        Row::new("study_uid_up", move |t| {
            uid(t, |p| p.study = format!("../../../../../tmp/{}", mark(t)));
        }),
        Row::new("series_uid_with_backslashes", move |t| {
            uid(t, |p| p.series = format!("..\\..\\{}", mark(t)));
        }),
        Row::new("patient_id_up", |t| {
            patient_id(t, &format!("../../../../tmp/{}", t.mark))
        }),
        Row::new("patient_id_with_nul_and_line_breaks", |t| {
            patient_id(t, &format!("a\0b\r\n{}", t.mark));
        }),
        Row::new("uids_of_command_and_data_set_differ", differing),
        Row::new("called_ae_title_up", called_title),
        Row::new("http_paths", http_paths),
    ]
}

/// No file or folder with our mark: not in the store, not beside it, not where the names lead.
pub fn assert_nothing_left(target: &Target) {
    let here = std::env::current_dir().unwrap();
    let temporary = std::env::temp_dir();
    for (folder, deep) in [
        (target.product.data.as_path(), true),
        (target.folder.path(), true),
        (temporary.as_path(), false),
        (Path::new("/tmp"), false),
        (Path::new("/"), false),
        (here.as_path(), false),
    ] {
        assert_no_mark(folder, &target.mark, deep);
    }
}

fn assert_no_mark(folder: &Path, mark: &str, deep: bool) {
    // other processes' folders may be closed to us or vanish
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        assert!(!name.contains(mark), "{} was made", path.display());
        if deep && path.is_dir() {
            assert_no_mark(&path, mark, deep);
        }
    }
}

/// An object at a place that no archive may have: refused by both doors, and nothing is left of it.
fn uid(target: &Target, change: impl Fn(&mut Place)) {
    let mut place = target.place();
    change(&mut place);
    let object = Object::new(&place);
    let answer = target.store(&place, &object.bytes());
    assert!(answer.refused(), "{answer:?}");
    let answer = target.stow(&object.file(EXPLICIT_LE));
    assert!(matches!(answer.status, 400 | 409), "STOW-RS {}", answer.status);
    assert_nothing_left(target);
}

/// Any text may be a patient number; no name of a file is made of it.
fn patient_id(target: &Target, text: &str) {
    let object = target.object().with(0x0010, 0x0020, "LO", text.as_bytes());
    let answer = target.store(&object.place, &object.bytes());
    assert!(matches!(answer, Answer::Status(_)), "{answer:?}");
    assert_nothing_left(target);
}

fn differing(target: &Target) {
    let (object, other) = (target.object(), target.place());
    let mut line = target.associate_for_storage();
    let answer = line.store(SECONDARY_CAPTURE, &other.instance, &object.bytes(), STATUS_WAIT);
    assert!(answer.refused(), "{answer:?}");
    assert!(target.fetch(&object.place).is_none(), "it was stored");
}

fn called_title(target: &Target) {
    let called = format!("../../{}", &target.mark[..8]);
    let request = associate_rq(CALLING, &called, &[(SECONDARY_CAPTURE, &[EXPLICIT_LE])]);
    let (_, answer) = Line::associate(target.product.dicom, &request);
    assert_eq!(answer, Answer::Rejected);
    assert_nothing_left(target);
}

fn http_paths(target: &Target) {
    for path in [
        "/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc/passwd",
        "/assets/../../../../../etc/passwd",
        "/dicomweb/studies/..%2f..%2f..%2fetc%2fpasswd",
        "/verify/..%2f..%2fetc%2fpasswd",
        "/share/%2e%2e/%2e%2e/etc/passwd",
        "/%00",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(target.product.http, [request.into_bytes()], WAIT);
        // 501: an executable that was built without its pages says so
        assert!(
            answer.status().is_some_and(|s| s < 500 || s == 501),
            "{path}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("root:"), "{path} came out");
    }
}
