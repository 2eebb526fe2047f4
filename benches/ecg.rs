//! ECG: filters, beats, marks and the whole analysis.
//!
//! Floor: every sample is read once as 4 bytes; a filtered one is written once as 8 bytes.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::ecg::beats::{self, Leads};
use engine::ecg::filter::{self, Mains, Path};
use engine::ecg::record::{Lead, LeadName, Record};
use engine::ecg::{analyze, delineate, paper};
use fixtures::Seed;
use fixtures::ecg::{EcgRhythm, LEAD_NAMES, synthesise};
use std::hint::black_box;
use support::{CpuTime, Floor, Subject};

const RESTING_SECONDS: f64 = 10.0;
const RESTING_HZ: f64 = 500.0;
/// As long as a record of the MIT-BIH arrhythmia database, at its rate.
const LONG_SECONDS: f64 = 1805.0;
const LONG_HZ: f64 = 360.0;

fn record(hz: f64, seconds: f64, leads: usize) -> Record {
    let made = synthesise(EcgRhythm::PrematureVentricular, hz, seconds, Seed::new(7));
    let lead = |(name, samples): (&&str, &Vec<f64>)| Lead {
        name: LeadName::new(name),
        samples_uv: samples.iter().map(|v| *v as f32).collect(),
        resolution_uv: 0.0,
        derived: false,
    };
    let leads = LEAD_NAMES
        .iter()
        .zip(&made.leads_uv)
        .take(leads)
        .map(lead)
        .collect();
    Record::new("synthetic", leads, hz).unwrap()
}

fn samples(record: &Record) -> usize {
    record.len() * record.leads.len()
}

fn resting(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "ecg");
    let record = record(RESTING_HZ, RESTING_SECONDS, 12);
    let work = Throughput::Elements(samples(&record) as u64);
    for (path, name) in [(Path::Display, "display"), (Path::Diagnostic, "diagnostic")] {
        let floor = Floor::bytes(samples(&record) * 12);
        subject.kernel(
            &format!("{name} filter, 12 leads of 10 s"),
            work.clone(),
            floor,
            || {
                black_box(filter::apply(&record, path, Mains::Hz50));
            },
        );
    }
    let floor = Floor::bytes(samples(&record) * 4);
    subject.kernel("marks over 12 leads of 10 s", work.clone(), floor, || {
        black_box(delineate::delineate(&record, Leads::Fused));
    });
    subject.kernel("analysis of 12 leads of 10 s", work.clone(), floor, || {
        black_box(analyze(&record));
    });
    subject.kernel("paper of 12 leads as SVG", work, floor, || {
        black_box(paper::svg(&record, &paper::PaperOptions::default()));
    });
}

fn long(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "ecg");
    let record = record(LONG_HZ, LONG_SECONDS, 2);
    for (leads, count, name) in [(Leads::One(0), 1, "one lead"), (Leads::Fused, 2, "two leads")] {
        let number = record.len() * count;
        let work = Throughput::Elements(number as u64);
        subject.kernel(
            &format!("beats, {name} of half an hour"),
            work,
            Floor::bytes(number * 4),
            || {
                black_box(beats::detect(&record, leads));
            },
        );
    }
}

fn main() {
    let mut criterion = support::criterion();
    resting(&mut criterion);
    long(&mut criterion);
    criterion.final_summary();
}
