//! What a browser could run: files that are programs or pages before they are DICOM, and markup in the texts of a
//! patient.

use super::Row;
use super::line::Answer;
use super::object::file;
use super::target::{Target, data_set_of};
use crate::support::eventually;
use crate::support::http;
use crate::support::peer::{Association, EXPLICIT_LE, StoreRequest};
use fixtures::Seed;

const SCRIPT: &str = "<script>alert(1)</script>";
const IMAGE_TAG: &str = "\"><img src=x onerror=alert(2)>{{7*7}}";

pub fn rows() -> Vec<Row> {
    let preambles: [(&str, &[u8]); 5] = [
        ("windows_program", b"MZ\x90\0AAAAAAAAAAAAAAAA"),
        ("elf_program", b"\x7fELF\x02\x01\x01BBBBBBBB"),
        ("mach_o_program", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
        ("page", b"<html><script>alert(1)</script>"),
        ("archive", b"PK\x03\x04\x14\0\0\0"),
    ];
    let mut rows: Vec<Row> = preambles
        .into_iter()
        .map(|(name, preamble)| Row::new(format!("preamble_of_a_{name}"), move |t| polyglot(t, preamble)))
        .collect();
    rows.push(Row::new("script_in_patient_and_study_texts", script));
    rows.push(Row::new("script_in_the_name_on_ecg_paper", paper));
    rows
}

/// The file is kept without its other face, and is never shown as anything but a download.
fn polyglot(target: &Target, preamble: &[u8]) {
    let object = target.object();
    let data_set = object.bytes();
    let answer = target.stow(&file(&object.place.instance, EXPLICIT_LE, preamble, &data_set));
    assert_eq!(answer.status, 200, "{}", answer.text());
    target.keep(&object.place, &data_set);
    let answer = target.fetch(&object.place).expect("stored");
    assert_eq!(data_set_of(&answer.body), Some(data_set.as_slice()));
    assert_eq!(&answer.body[..128], &[0; 128], "the preamble was kept");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let disposition = answer.header("content-disposition").unwrap_or_default();
    assert!(disposition.starts_with("attachment"), "{disposition:?}");
}

fn assert_data(answer: &http::Answer, kind: &str) {
    let given = answer.header("content-type").unwrap_or_default();
    assert!(given.starts_with(kind), "{given}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains("script-src 'self'") || policy.contains("default-src 'none'"),
        "{policy}"
    );
}

fn script(target: &Target) {
    let name = format!("{SCRIPT}^X");
    let object = target
        .object()
        .with(0x0010, 0x0010, "PN", name.as_bytes())
        .with(0x0010, 0x0020, "LO", SCRIPT.as_bytes())
        .with(0x0008, 0x1030, "LO", IMAGE_TAG.as_bytes());
    assert_eq!(target.store(&object.place, &object.bytes()), Answer::Status(0));
    let found = target.reader.get(&format!(
        "/dicomweb/studies?StudyInstanceUID={}&includefield=StudyDescription",
        object.place.study
    ));
    assert_data(&found, "application/dicom+json");
    assert_eq!(
        found.json()[0]["00100010"]["Value"][0]["Alphabetic"],
        name.as_str()
    );
    assert_data(&target.reader.get("/api/worklist?q=alert"), "application/json");
    let unknown = target.reader.get("/api/%3Cscript%3Ealert(1)%3C/script%3E");
    assert_eq!(unknown.status, 404);
    assert_data(&unknown, "application/problem+json");
    for path in ["/verify/", "/share/", "/study/"] {
        let page = target
            .product
            .anonymous()
            .get(&format!("{path}%3Cscript%3Ealert(1)%3C%2Fscript%3E"));
        assert!(!page.text().contains(SCRIPT), "{path} gives it back");
    }
}

/// The paper is SVG, in which a script would run.
fn paper(target: &Target) {
    let mut context = fixtures::demo::studies(Seed::new(4711), now())
        .into_iter()
        .find(|study| study.device.ae_title == "HEXI_ECG")
        .expect("the community has an ECG device")
        .context;
    context.patient.name_zh = SCRIPT.into();
    context.patient.id = SCRIPT.into();
    let place = target.place();
    context.study_uid = place.study;
    context.accession_number = String::new();
    let (file, _) = fixtures::ecg::twelve_lead(&context, fixtures::ecg::EcgRhythm::Sinus);
    let contexts = [(file.sop_class_uid.as_str(), EXPLICIT_LE)];
    let mut association = Association::open(target.product.dicom, "HEXI_ECG", "GONGYING", &contexts).unwrap();
    let request = StoreRequest {
        sop_class_uid: &file.sop_class_uid,
        sop_instance_uid: &file.sop_instance_uid,
    };
    let data_set = file.bytes[file.data_set_offset..].to_vec();
    assert_eq!(association.store(&request, [data_set]).unwrap(), 0);
    let reader = target.product.login("ecg.writer");
    let path = format!("/api/studies/{}/ecg.svg", context.study_uid);
    let answer = eventually(10, || {
        let answer = reader.get(&path);
        (answer.status == 200).then_some(answer)
    })
    .expect("the paper of the ECG");
    assert_data(&answer, "image/svg+xml");
    assert!(!answer.text().contains("<script"), "markup in the paper");
}

fn now() -> time::PrimitiveDateTime {
    let now = time::OffsetDateTime::now_utc();
    time::PrimitiveDateTime::new(now.date(), now.time())
}
