//! Queries over an index of 20,000 studies (SQLite), as C-FIND and QIDO-RS ask them.
//!
//! Floor: the cheapest question to the same index by the same way, one row of a table of three rows by its key,
//! measured in the same run; for lists that time for the question and one pass over the bytes of the rows.
//!
//! The studies are made at the first run and kept in cargo's folder for temporary files of benches.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use archive::Archive;
use archive::study::{Scope, StudyFilter};
use criterion::{Criterion, Throughput};
use dataset::Vr;
use dataset::matching::Match;
use fixtures::DicomFile;
use fixtures::dicom::TransferSyntax;
use fixtures::study::SeriesInfo;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use support::{CpuTime, Floor, Subject, image, least_s, site};
use time::Duration as Days;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const STUDIES: u64 = 20_000;
const DAYS: u64 = 1000;
const FAMILIES: [(&str, &str); 20] = [
    ("Zhang", "张"),
    ("Wang", "王"),
    ("Li", "李"),
    ("Zhao", "赵"),
    ("Liu", "刘"),
    ("Chen", "陈"),
    ("Yang", "杨"),
    ("Huang", "黄"),
    ("Zhou", "周"),
    ("Wu", "吴"),
    ("Xu", "徐"),
    ("Sun", "孙"),
    ("Hu", "胡"),
    ("Zhu", "朱"),
    ("Gao", "高"),
    ("Lin", "林"),
    ("He", "何"),
    ("Guo", "郭"),
    ("Ma", "马"),
    ("Luo", "罗"),
];
const SENDERS: u64 = 32;
/// Bytes of a study's row with its patient's, about.
const ROW_BYTES: usize = 600;

/// A study of one small object.
fn file(number: u64) -> DicomFile {
    let mut study = image::study(number);
    let (pinyin, written) = FAMILIES[number as usize % FAMILIES.len()];
    study.patient.name_pinyin = format!("{pinyin}^N{number}");
    study.patient.name_zh = format!("{written}^{number}");
    study.patient.id = format!("P{number:06}");
    study.patient.national_id = String::new();
    study.accession_number = format!("B{number:07}");
    study.performed_at -= Days::days((number * 7 % DAYS) as i64);
    let series = SeriesInfo {
        number: 1,
        description: "胸部平扫",
        sop_class_uid: fixtures::ct::SOP_CLASS_CT,
    };
    let elements = study.common("CT", &series);
    let uid = study.instance_uid(1, 1);
    DicomFile::write(
        "object".into(),
        fixtures::ct::SOP_CLASS_CT,
        uid,
        TransferSyntax::ExplicitLittleEndian,
        elements,
    )
}

async fn fill(archive: &Archive) {
    let sender = site::sender(archive).await;
    let mut senders = JoinSet::new();
    for first in 0..SENDERS {
        let archive = archive.clone();
        let sender = sender.clone();
        senders.spawn(async move {
            for number in (first..STUDIES).step_by(SENDERS as usize) {
                let bytes = file(number).bytes.into();
                archive.receive_part10(sender.clone(), None, bytes).await.unwrap();
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
}

async fn open(folder: &Path) -> Archive {
    let complete = folder.join("complete");
    if !complete.exists() && folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    std::fs::create_dir_all(folder).unwrap();
    let archive = site::open(folder).await;
    if !complete.exists() {
        println!("making {STUDIES} studies in {}", folder.display());
        fill(&archive).await;
        std::fs::write(complete, "").unwrap();
    }
    archive
}

fn filters() -> Vec<(&'static str, StudyFilter, usize)> {
    let any = StudyFilter::default;
    let range = Match::parse(Vr::DA, "20261025-20261029");
    vec![
        (
            "by accession number",
            StudyFilter {
                accession_number: Match::parse(Vr::SH, "B0012345"),
                ..any()
            },
            1,
        ),
        (
            "by patient number",
            StudyFilter {
                patient_id: Match::parse(Vr::LO, "P012345"),
                ..any()
            },
            1,
        ),
        (
            "five days",
            StudyFilter {
                study_date: range,
                ..any()
            },
            100,
        ),
        (
            "1,000 names by 张*",
            StudyFilter {
                patient_name: Match::parse(Vr::PN, "张*"),
                ..any()
            },
            1000,
        ),
        (
            "newest 50 of all",
            StudyFilter {
                modality: Match::parse(Vr::CS, "CT"),
                ..any()
            },
            50,
        ),
    ]
}

fn queries(c: &mut Criterion<CpuTime>) {
    let runtime = Runtime::new().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("query-{STUDIES}"));
    let archive = runtime.block_on(open(&folder));
    let cheapest = least_s(Duration::from_millis(300), || {
        black_box(
            runtime
                .block_on(archive.institutions().by_code(site::INSTITUTION))
                .unwrap(),
        );
    });
    let studies = archive.studies();
    let mut subject = Subject::new(c, "query");
    for (name, filter, rows) in filters() {
        let limit = if rows == 50 { 50 } else { 5000 };
        let ask = || {
            runtime
                .block_on(studies.search(&filter, &Scope::All, limit, 0))
                .unwrap()
        };
        assert_eq!(ask().len(), rows, "{name}");
        let floor = Floor::seconds(cheapest).and(Floor::bytes(rows * ROW_BYTES));
        subject.kernel(name, Throughput::Elements(rows as u64), floor, || {
            black_box(ask());
        });
    }
    drop(subject);
    runtime.block_on(archive.close()).unwrap();
}

fn main() {
    let mut criterion = support::criterion();
    queries(&mut criterion);
    criterion.final_summary();
}
