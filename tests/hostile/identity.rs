//! Who calls, and whose objects: unknown titles, identifiers used again, other institutions.

use super::Row;
use super::line::{Answer, Line, SECONDARY_CAPTURE, STUDY_FIND, associate_rq};
use super::query::Identifier;
use super::target::{CALLED, CALLING, STATUS_WAIT, Target, data_set_of};
use crate::support::objects::element;
use crate::support::peer::{EXPLICIT_LE, IMPLICIT_LE};

const STORE: &[(&str, &[&str])] = &[(SECONDARY_CAPTURE, &[EXPLICIT_LE])];

pub fn rows() -> Vec<Row> {
    let titles = [
        ("calling_title_not_enrolled", "NOT_ENROLLED", CALLED),
        ("calling_title_empty", " ", CALLED),
        ("calling_title_with_quotes", "' OR '1'='1", CALLED),
        ("calling_title_in_lower_case", "judge", CALLED),
        ("calling_title_with_a_percent_sign", "JUDG%", CALLED),
        ("called_title_unknown", CALLING, "SOMEBODY"),
    ];
    let mut rows: Vec<Row> = titles
        .into_iter()
        .map(|(name, calling, called)| {
            Row::new(name, move |t| {
                let request = associate_rq(calling, called, STORE);
                assert_eq!(Line::associate(t.product.dicom, &request).1, Answer::Rejected);
            })
        })
        .collect();
    rows.push(Row::new(
        "uid_again_with_other_bytes_by_c_store",
        again_by_c_store,
    ));
    rows.push(Row::new("uid_again_with_other_bytes_by_stow", again_by_stow));
    rows.push(Row::new("uid_again_by_another_institution", again_elsewhere));
    rows.push(Row::new("second_patient_in_one_study", second_patient));
    rows.push(Row::new("device_may_not_store_by_account", administrator));
    rows
}

fn changed(target: &Target) -> (super::object::Object, Vec<u8>) {
    let object = target.object();
    let other = object
        .clone()
        .with(0x7FE0, 0x0010, "OB", &[0xee; 1024])
        .with(0x0010, 0x0010, "PN", b"Other^Person")
        .bytes();
    (object, other)
}

fn assert_first_copy(target: &Target, object: &super::object::Object) {
    let answer = target.fetch(&object.place).expect("the first copy is there");
    assert_eq!(data_set_of(&answer.body), Some(object.bytes().as_slice()));
}

fn again_by_c_store(target: &Target) {
    let (object, other) = changed(target);
    let sound = object.bytes();
    assert_eq!(target.store(&object.place, &sound), Answer::Status(0));
    let mut line = target.associate_for_storage();
    let answer = line.store(SECONDARY_CAPTURE, &object.place.instance, &other, STATUS_WAIT);
    assert!(answer.refused(), "{answer:?}");
    assert_eq!(
        target.store(&object.place, &sound),
        Answer::Status(0),
        "equal bytes are a duplicate"
    );
    assert_first_copy(target, &object);
}

fn again_by_stow(target: &Target) {
    let (object, other) = changed(target);
    let file = |bytes: &[u8]| super::object::file(&object.place.instance, EXPLICIT_LE, &[], bytes);
    assert_eq!(target.stow(&file(&object.bytes())).status, 200);
    target.keep(&object.place, &object.bytes());
    assert_eq!(target.stow(&file(&other)).status, 409);
    assert_first_copy(target, &object);
}

/// Another township cannot change an object by naming it, nor learn of it by asking.
fn again_elsewhere(target: &Target) {
    let (object, other) = changed(target);
    let store = |calling: &str, bytes: &[u8]| {
        let request = associate_rq(calling, CALLED, STORE);
        let (mut line, answer) = Line::associate(target.product.dicom, &request);
        assert_eq!(answer, Answer::Accepted);
        line.store(SECONDARY_CAPTURE, &object.place.instance, bytes, STATUS_WAIT)
    };
    assert_eq!(store("HEXI_CT", &object.bytes()), Answer::Status(0));
    target.keep(&object.place, &object.bytes());
    let answer = store("DONGSHAN_US", &other);
    assert!(answer.refused(), "{answer:?}");
    assert_first_copy(target, &object);
    let asked = |calling: &str| {
        let request = associate_rq(calling, CALLED, &[(STUDY_FIND, &[IMPLICIT_LE])]);
        let (mut line, answer) = Line::associate(target.product.dicom, &request);
        assert_eq!(answer, Answer::Accepted);
        let identifier = Identifier::new().with(0x0020, 0x000D, object.place.study.as_bytes());
        line.find(&identifier.bytes(), STATUS_WAIT)
    };
    assert_eq!(asked("HEXI_CT"), (1, Answer::Status(0)));
    assert_eq!(asked("DONGSHAN_US"), (0, Answer::Status(0)));
}

fn second_patient(target: &Target) {
    let first = target.object();
    assert_eq!(target.store(&first.place, &first.bytes()), Answer::Status(0));
    let mut place = target.place();
    place.study.clone_from(&first.place.study);
    let second = super::object::Object::new(&place)
        .raw(0x0010, 0x0020, element(0x10, 0x20, "LO", b"SOMEONE_ELSE"))
        .with(0x0010, 0x0010, "PN", b"Else^Someone");
    let answer = target.store(&place, &second.bytes());
    assert!(matches!(answer, Answer::Status(_)), "{answer:?}");
    assert_first_copy(target, &first);
}

/// Whoever runs the system has no hand in patients' images.
fn administrator(target: &Target) {
    let kind = "multipart/related; type=\"application/dicom\"; boundary=b";
    let body = [
        b"--b\r\nContent-Type: application/dicom\r\n\r\n".to_vec(),
        target.object().file(EXPLICIT_LE),
        b"\r\n--b--\r\n".to_vec(),
    ]
    .concat();
    for user in ["auditor.county", "security.county"] {
        let client = target.product.login(user);
        let answer = client.request("POST", "/dicomweb/studies", &[("Content-Type", kind)], &body);
        assert_eq!(answer.status, 403, "{user}: {}", answer.text());
        assert_eq!(client.get("/dicomweb/studies").status, 403, "{user}");
    }
}
