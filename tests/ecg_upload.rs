//! Recordings that come as files: uploaded with the request, measured within seconds, the critical one before all others,
//! and compared with the patient's earlier one; against the real executable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use fixtures::ecg::{self, EcgRhythm};
use fixtures::study::{Charset, Patient, Sex};
use serde_json::Value;
use std::borrow::Cow;
use std::time::{Duration, Instant};
use support::county::County;
use support::people::Order;
use time::{Date, Month};

/// From the answer to the upload until the reading stands on the worklist.
const MEASURED_S_MAX: f64 = 3.0;

fn patient(number: u16) -> Patient {
    let born = Date::from_calendar_date(1957, Month::March, 4).unwrap();
    Patient::new(
        "王^秀英",
        "Wang^Xiuying",
        &format!("HX{number}"),
        Sex::Female,
        born,
        number,
        Charset::Gb18030,
    )
}

/// The recording as a cart writes it that knows nothing of requests.
fn as_edf(object: &[u8], serial: u16) -> Vec<u8> {
    let file = dataset::file::read(object, dataset::Limits::in_memory()).unwrap();
    let set = &file.parsed.data_set;
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let mut record = engine::ecg::formats::dicom::read(&lookup).unwrap();
    record.patient = Default::default();
    record.patient.name = Some("WANG XIUYING".into());
    record.recorder.serial_number = Some(serial.to_string());
    engine::ecg::formats::edf::write::write(&record).unwrap()
}

#[test]
fn a_critical_recording_is_measured_and_stands_first_within_seconds_of_its_upload() {
    let county = County::found();
    let technician = county.township_technician();
    let (recorder, physician) = (county.ecg_recorder(), county.ecg_physician());
    let uploads = |number: u16, rhythm: EcgRhythm| -> (Order, Instant) {
        let patient = patient(number);
        let order = technician.orders("ECG-12", &patient, &recorder);
        let exam = recorder.finds_on_its_worklist(&order);
        let (recording, _) = ecg::twelve_lead(&recorder.takes_in(&exam, &patient), rhythm);
        technician.uploads(&order, "cart.edf", &as_edf(&recording.bytes, number));
        (order, Instant::now())
    };
    // A morning's usual work stands before it.
    for number in 0..8 {
        uploads(300 + number, EcgRhythm::Sinus);
    }
    let (critical, at) = uploads(211, EcgRhythm::CompleteAvBlock);
    let first = physician.waits_for_the_first(&critical, Duration::from_secs(20));
    let took = at.elapsed().as_secs_f64();
    assert_eq!(first["priority"], "STAT", "{first}");
    let flags = first["machine_flags"].as_array().unwrap();
    assert!(flags.iter().any(|flag| flag["critical"] == true), "{first}");
    assert!(took < MEASURED_S_MAX, "on the worklist after {took:.1} s");

    // The same person a second time: the earlier ECG stands beside it with what changed.
    let (again, _) = uploads(211, EcgRhythm::Sinus);
    let beside = physician.compares(&again);
    assert_eq!(
        beside["previous"]["study_uid"],
        critical.study_uid.as_str(),
        "{beside}"
    );
    let changes = beside["comparison"]["changes"].as_array().unwrap();
    let rate = changes
        .iter()
        .find(|line| line["name"] == "heart_rate_bpm")
        .unwrap();
    assert!(rate["difference"].as_f64().unwrap() > 20.0, "{rate}");
    assert_eq!(rate["notable"], true);
    let told = |line: &Value| line["difference"].is_number() || line["reason_zh"].is_string();
    assert!(changes.iter().all(told), "a value or a reason: {changes:?}");

    // A report on paper is kept under its request, and nothing pretends to have measured it.
    let order = technician.orders("ECG-12", &patient(400), &recorder);
    technician.uploads(&order, "报告.pdf", b"%PDF-1.4 a report");
    physician.finds_only_a_document(&order, b"%PDF-1.4 a report");
    county.closes_with_everything_intact();
}
