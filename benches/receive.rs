//! Receiving: bytes to attributes, bytes to a digest, and a whole object into the archive.
//!
//! Floors: the tokenizer has to read every byte of attributes once (and none of the pixels, whose length it knows);
//! SHA-256 with the processor's own instructions is a chain of 32 steps of 4 cycles for each block of 64 bytes, 2
//! cycles a byte; storing an object has to hash it and to hand it to the kernel once. Waiting for the disk is no CPU
//! time and does not count here; objects a second over the network stand in RESULTS.md.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use bytes::Bytes;
use cpu_time::ProcessTime;
use criterion::{Criterion, Throughput};
use dataset::{Limits, Tokenizer, TransferSyntaxUid};
use fixtures::dicom::{Elements, tags};
use fixtures::study::Charset;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use support::{CpuTime, Floor, Subject, image, site};

const SHA256_CYCLES_A_BYTE: f64 = 2.0;
/// As a PDU of the usual size carries it.
const PIECE_BYTES: usize = 128 << 10;
const FRAMES: i64 = 500;

/// Attributes as an enhanced multi-frame object has them: a functional group of five elements for each frame.
fn many_attributes() -> Vec<u8> {
    let mut root = Elements::new(Charset::Gb18030);
    root.text(tags::SPECIFIC_CHARACTER_SET, "GB18030");
    let groups = (0..FRAMES).map(|frame| {
        let mut plane = root.item();
        plane.decimal(tags::IMAGE_POSITION_PATIENT, &[-200.0, -200.0, frame as f64]);
        let mut group = root.item();
        group.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL");
        group.text(tags::SERIES_DESCRIPTION, "胸部平扫 1.25mm 标准");
        group.integer(tags::INSTANCE_NUMBER, &[frame]);
        group.sequence(tags::ANATOMIC_REGION_SEQUENCE, vec![plane]);
        group
    });
    let groups = groups.collect();
    root.sequence(tags::ACQUISITION_CONTEXT_SEQUENCE, groups);
    root.encode()
}

fn tokenize(bytes: &[u8]) {
    let mut tokenizer = Tokenizer::new(&TransferSyntaxUid::explicit_le(), Limits::default());
    for piece in bytes.chunks(PIECE_BYTES) {
        tokenizer.feed(piece).unwrap();
    }
    black_box(tokenizer.finish().unwrap());
}

fn reading(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "receive");
    let attributes = many_attributes();
    let work = Throughput::Bytes(attributes.len() as u64);
    subject.kernel(
        "tokenizer, nested attributes",
        work,
        Floor::bytes(attributes.len()),
        || {
            tokenize(&attributes);
        },
    );
    let file = image::ct_file();
    let slice = &file.bytes[file.data_set_offset..];
    let pixels = image::ct().decoded_bytes();
    let work = Throughput::Bytes(slice.len() as u64);
    subject.kernel(
        "tokenizer, CT slice",
        work,
        Floor::bytes(slice.len() - pixels),
        || tokenize(slice),
    );
    let block = vec![0xA5; 8 << 20];
    let floor = Floor::cycles(block.len() as f64 * SHA256_CYCLES_A_BYTE);
    subject.kernel("SHA-256", Throughput::Bytes(block.len() as u64), floor, || {
        black_box(Sha256::digest(&block));
    });
}

/// The same file under another SOP Instance UID of the same length.
fn renamed(file: &[u8], uid: &str, number: u64) -> Bytes {
    let mut copy = file.to_vec();
    let (tail, digits) = (uid.len() - 12, format!("{:012}", 100_000_000_000 + number));
    let found: Vec<usize> = file
        .windows(uid.len())
        .enumerate()
        .filter(|(_, window)| *window == uid.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(found.len(), 2, "in the file meta information and in the data set");
    for at in found {
        copy[at + tail..at + uid.len()].copy_from_slice(digits.as_bytes());
    }
    copy.into()
}

fn storing(c: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = runtime.block_on(site::open(folder.path()));
    let sender = runtime.block_on(site::sender(&archive));
    let file = image::ct_file();
    let mut number = 0;
    let floor =
        Floor::cycles(file.bytes.len() as f64 * SHA256_CYCLES_A_BYTE).and(Floor::bytes(file.bytes.len()));
    let work = Throughput::Bytes(file.bytes.len() as u64);
    Subject::new(c, "receive").measured("CT slice into the archive", work, floor, |times| {
        let files: Vec<Bytes> = (0..times)
            .map(|i| renamed(&file.bytes, &file.sop_instance_uid, number + i))
            .collect();
        number += times;
        let start = ProcessTime::now();
        runtime.block_on(async {
            for bytes in files {
                let stored = archive.receive_part10(sender.clone(), None, bytes).await;
                black_box(stored.unwrap());
            }
        });
        start.elapsed()
    });
    runtime.block_on(archive.close()).unwrap();
}

fn main() {
    let mut criterion = support::criterion();
    reading(&mut criterion);
    storing(&mut criterion);
    criterion.final_summary();
}
