//! A patient's way through the county, from the request in the township to the second hospital that needs no repeat,
//! against the real executable and through its outer surface alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use fixtures::ct::{self, CtOptions};
use fixtures::ecg::{self, EcgRhythm};
use fixtures::study::{Charset, Patient, Sex};
use support::county::County;
use support::people::Report;
use time::{Date, Month};

const CHEST: Report = Report {
    findings: "胸廓对称，右肺上叶见结节影，直径约9mm，边缘光整；纵隔未见肿大淋巴结。",
    impression: "右肺上叶结节，建议3个月后复查。",
};

fn patient() -> Patient {
    let born = Date::from_calendar_date(1957, Month::March, 4).unwrap();
    let (name, pinyin) = ("王^秀英", "Wang^Xiuying");
    Patient::new(
        name,
        pinyin,
        "HX2026117",
        Sex::Female,
        born,
        211,
        Charset::Gb18030,
    )
}

#[test]
fn a_patient_is_examined_in_the_township_reported_in_the_county_and_not_examined_twice() {
    let county = County::found();
    let patient = patient();

    let technician = county.township_technician();
    let (ct, recorder) = (county.ct(), county.ecg_recorder());
    let chest = technician.orders("CT-CHEST", &patient, &ct);
    let resting = technician.orders("ECG-12", &patient, &recorder);

    let exam = ct.finds_on_its_worklist(&chest);
    assert!(exam.patient_name.contains("王秀英"), "{}", exam.patient_name);
    assert_eq!(exam.study_uid, chest.study_uid);
    let slices: Vec<_> = ct::thorax(&ct.takes_in(&exam, &patient), CtOptions::small()).collect();
    ct.sends(&slices);

    let exam = recorder.finds_on_its_worklist(&resting);
    let (recording, _) = ecg::twelve_lead(&recorder.takes_in(&exam, &patient), EcgRhythm::InferiorStemi);
    recorder.sends(std::slice::from_ref(&recording));

    let physician = county.ecg_physician();
    physician.sees_a_critical_finding(&resting, "st_elevation_inferior");
    physician.looks_at_the_paper(&resting);

    let clinician = county.clinician_of_another_hospital();
    clinician.knows_nothing_of(&chest);

    let writer = county.radiologist_who_writes();
    writer.finds_on_the_reading_worklist(&chest, slices.len());
    writer.writes_and_submits(&chest, &CHEST);
    writer.may_not_sign(&chest);
    county.radiologist_who_reviews().reviews_and_signs(&chest);
    let code = writer.prints(&chest, &CHEST);
    let checked = county.anybody().get(&format!("/api/verify/{code}"));
    assert_eq!(checked.status, 200, "{}", checked.text());
    technician.is_told_that_it_is_reported(&chest);

    let visit = clinician.receives(&patient);
    clinician.is_offered(&chest, &visit);
    clinician.opens_the_originals(&chest, &slices);
    clinician.recognises(&chest);

    let manager = county.manager();
    assert_eq!(manager.counts("recognition", "recognised"), 1);
    assert_eq!(manager.counts("turnaround", "signed"), 1);

    let audited = county.audited(&chest.study_uid);
    for (who, event) in [
        ("HEXI_CT", "110104"),
        ("rad.writer", "110106"),
        ("clin.tcm", "110103"),
    ] {
        let row = (who.to_owned(), event.to_owned());
        assert!(audited.contains(&row), "{row:?} is not among {audited:?}");
    }
    county.closes_with_everything_intact();
}
