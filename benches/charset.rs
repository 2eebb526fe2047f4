//! Character sets: text of Chinese devices to Unicode and back.
//!
//! Floor: every byte is read once and every byte of UTF-8 is written once.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use dataset::{CharacterSets, Vr};
use std::hint::black_box;
use support::{CpuTime, Floor, Subject};

const REPORT: &str = "胸廓对称，双肺纹理清晰，右肺上叶尖段见类圆形结节影，直径约8mm，边缘光整，密度均匀，CT值约35HU；\
    余肺野未见明显实变影。气管、支气管通畅，纵隔居中，未见肿大淋巴结。心影不大，主动脉走行自然。\r\n";
const NAME: &str = "Wang^Xiuying=王^秀英";
const NAMES: usize = 1000;
const TEXT_BYTES: usize = 64 << 10;

fn sets() -> [(&'static str, CharacterSets); 3] {
    [
        ("GB18030", CharacterSets::gb18030()),
        (
            "ISO 2022 IR 58",
            CharacterSets::from_terms(&["", "ISO 2022 IR 58"]),
        ),
        ("UTF-8", CharacterSets::utf8()),
    ]
}

fn text(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "charset");
    let report = REPORT.repeat(TEXT_BYTES / REPORT.len());
    for (name, set) in sets() {
        let bytes = set.encode(&report).expect("written in this set");
        assert_eq!(set.decode(&bytes, Vr::UT).text, report);
        let (work, floor) = (
            Throughput::Bytes(bytes.len() as u64),
            Floor::bytes(bytes.len() + report.len()),
        );
        subject.kernel(&format!("{name} text to Unicode"), work, floor, || {
            black_box(set.decode(&bytes, Vr::UT));
        });
    }
    let set = CharacterSets::gb18030();
    let (work, floor) = (
        Throughput::Bytes(report.len() as u64),
        Floor::bytes(report.len() * 5 / 3),
    );
    subject.kernel("Unicode text to GB18030", work, floor, || {
        black_box(set.encode(&report));
    });
}

fn names(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "charset");
    for (name, set) in sets() {
        let bytes = set.encode(NAME).expect("written in this set");
        let floor = Floor::bytes((bytes.len() + NAME.len()) * NAMES);
        let work = Throughput::Elements(NAMES as u64);
        subject.kernel(&format!("{NAMES} names in {name}"), work, floor, || {
            for _ in 0..NAMES {
                black_box(set.decode(black_box(&bytes), Vr::PN));
            }
        });
    }
}

fn main() {
    let mut criterion = support::criterion();
    text(&mut criterion);
    names(&mut criterion);
    criterion.final_summary();
}
