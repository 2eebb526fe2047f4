//! The signed report and the ECG paper as PDF.
//!
//! Floor: both fonts, of which the letters of the page are cut out, are read once. A build without pages
//! (`VIEWER_UI=none`) has no fonts and times nothing.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::ecg::formats::npy;
use engine::ecg::formats::{ReadOptions, read};
use engine::ecg::paper::{self, PaperOptions};
use fixtures::Seed;
use fixtures::ecg::{EcgRhythm, LEAD_NAMES, synthesise};
use reading::renditions::{ReportFonts, pdf, sr};
use reading::report::{Document, SignedVersion};
use serde_json::json;
use std::hint::black_box;
use support::{CpuTime, Floor, Subject};
use viewer_web::Fonts;

fn signed() -> SignedVersion {
    let person = |user: &str, name: &str| json!({"user": user, "display_name": name});
    let place = |code: &str, name: &str| json!({"code": code, "name": name});
    let value = json!({
        "schema": "gongying-report/1", "version": 1, "kind": "original",
        "study_uid": "2.25.1234567890", "accession_number": "GY2611210001", "priority": "STAT", "modality": "CT",
        "body_part": "CHEST", "item_code": "CT-CHEST", "item_name": "胸部CT平扫", "clinical_history": "咳嗽5天",
        "study_at": "2026-11-21T00:30:00.000Z", "received_at": "2026-11-21T00:31:00.000Z",
        "patient": {"id": 7, "identifier": "JH0001", "name": "王秀英", "sex": "F", "birth_date": "1949-12-31",
            "age_text": "76岁", "national_id": null},
        "institution": place("HEXI", "河西镇卫生院"), "reading_institution": place("QHRM", "青禾县人民医院"),
        "technique": "仰卧位，自肺尖至肺底螺旋扫描，层厚1.25mm。",
        "findings": "胸廓对称。右肺上叶尖段见类圆形结节影，直径约8mm，边缘光滑，密度均匀；余肺野清晰。纵隔淋巴结短径约6mm。",
        "impression": "右肺上叶尖段实性结节，建议3个月后复查。", "positive": true,
        "author": person("rad.writer", "王写作"), "signer": person("rad.reviewer", "李审核"),
        "submitted_at": "2026-11-21T00:50:00.000Z", "signed_at": "2026-11-21T01:02:03.000Z",
        "hr_mark": {"scope": "county", "text": "县域 HR", "valid_until": null},
        "evidence_instances": 220, "evidence_sha256": "0".repeat(64), "verify_code": "23456789ABCDEFGH",
        "key_id": "0123456789abcdef",
    });
    SignedVersion {
        document: serde_json::from_value::<Document>(value.clone()).unwrap(),
        canonical: value.to_string().into_bytes(),
        sha256: "ab".repeat(32),
        signature: "cd".repeat(64),
        evidence: Vec::new(),
    }
}

fn documents(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "report");
    let version = signed();
    let work = Throughput::Elements(1);
    let floor = Floor::bytes(version.canonical.len());
    subject.kernel("structured report", work.clone(), floor, || {
        black_box(sr(&version).unwrap());
    });
    let embedded = Fonts::EMBEDDED;
    let Ok(fonts) = ReportFonts::new(embedded.regular, embedded.bold) else {
        println!("skipped: built without fonts; unset VIEWER_UI");
        return;
    };
    let floor = Floor::bytes(embedded.regular.len() + embedded.bold.len());
    let url = "https://imaging.example.org/verify/23456789ABCDEFGH";
    subject.kernel("report as PDF", work.clone(), floor, || {
        black_box(pdf(&version, &fonts, url).unwrap());
    });
    let made = synthesise(EcgRhythm::Sinus, 500.0, 10.0, Seed::new(7));
    let options = ReadOptions {
        sampling_rate_hz: Some(made.sampling_rate_hz),
        lead_names: Some(LEAD_NAMES.map(String::from).to_vec()),
    };
    let record = read(&npy::write(&made.leads_uv), "ecg.npy", &|_| None, &options).unwrap();
    let drawing = paper::draw(&record, &PaperOptions::default());
    subject.kernel("ECG paper as PDF", work, floor, || {
        black_box(viewer_web::ecg_pdf::print(&drawing, embedded).unwrap());
    });
}

fn main() {
    let mut criterion = support::criterion();
    documents(&mut criterion);
    criterion.final_summary();
}
