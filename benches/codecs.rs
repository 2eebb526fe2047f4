//! Decoding one frame to stored values, for each transfer syntax, and the encoders.
//!
//! Floors. Uncompressed and RLE: the frame is written once and its bytes are read once. The entropy coders are chains,
//! each step of which waits for the one before, whatever else the processor could do meanwhile:
//! JPEG lossless, one look-up of a code a sample (load 5 cycles, shift 1, add 1: 7); JPEG-LS, the same and the state
//! of the context that the sample before may have changed (load 5, compare and shift 3, store to load 4: 19); JPEG 2000,
//! one decision of the arithmetic coder for each bit of the stream at least (10); HTJ2K, one quad of four samples in
//! 16 cycles (4 a sample). Encoders of JPEG-LS have the decoder's chain; HTJ2K is encoded without one, so its floor is the
//! bytes, and what is published is decoded once more by another implementation: both are timed.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::codec::{TransferSyntax, htj2k, jpegls, rle};
use std::hint::black_box;
use support::image::{self, Image};
use support::{CpuTime, Floor, Subject};

const JPEG_LOSSLESS_CYCLES_A_SAMPLE: f64 = 7.0;
const JPEG_LS_CYCLES_A_SAMPLE: f64 = 19.0;
const JPEG_2000_CYCLES_A_BIT: f64 = 10.0;
const HTJ2K_CYCLES_A_SAMPLE: f64 = 4.0;

fn decode(subject: &mut Subject<'_>, name: &str, image: &Image, chain: Floor) {
    let floor = Floor::bytes(image.frame.len() + image.decoded_bytes()).and(chain);
    let work = Throughput::Elements(image.samples() as u64);
    subject.kernel(name, work, floor, || {
        black_box(image.decode());
    });
}

fn each(subject: &mut Subject<'_>, name: &str, image: &Image) {
    let samples = image.samples() as f64;
    let raw = image.encoded(TransferSyntax::EXPLICIT_LE);
    decode(subject, &format!("{name} uncompressed"), &raw, Floor::default());
    let rle = image.encoded(TransferSyntax::RLE);
    decode(subject, &format!("{name} RLE"), &rle, Floor::default());
    let ls = image.encoded(TransferSyntax::JPEG_LS_LOSSLESS);
    let chain = Floor::cycles(samples * JPEG_LS_CYCLES_A_SAMPLE);
    decode(subject, &format!("{name} JPEG-LS"), &ls, chain);
    let ht = image.encoded(TransferSyntax::HTJ2K_LOSSLESS_RPCL);
    let chain = Floor::cycles(samples * HTJ2K_CYCLES_A_SAMPLE);
    decode(subject, &format!("{name} HTJ2K"), &ht, chain);
}

fn synthetic(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "codecs");
    each(&mut subject, "CT 512 x 512", &image::ct());
    each(&mut subject, "DX 2500 x 3000", &image::dx());
}

fn real(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "codecs");
    for (folder, name) in [
        ("JPLL", "JPEG lossless"),
        ("JLSL", "JPEG-LS"),
        ("J2KR", "JPEG 2000 lossless"),
    ] {
        let Some(image) = image::wg04_ct(folder) else {
            continue;
        };
        let chain = match folder {
            "JPLL" => image.samples() as f64 * JPEG_LOSSLESS_CYCLES_A_SAMPLE,
            "JLSL" => image.samples() as f64 * JPEG_LS_CYCLES_A_SAMPLE,
            _ => image.frame.len() as f64 * 8.0 * JPEG_2000_CYCLES_A_BIT,
        };
        decode(
            &mut subject,
            &format!("real CT {name}"),
            &image,
            Floor::cycles(chain),
        );
    }
}

fn encoding(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "codecs");
    let image = image::ct();
    let (shape, pixels) = (&image.description.frame, image.decode());
    let work = Throughput::Elements(image.samples() as u64);
    let floor = Floor::bytes(image.decoded_bytes() * 3 / 2);
    subject.kernel("CT 512 x 512 to RLE", work.clone(), floor, || {
        black_box(rle::encode(shape, &pixels.data).unwrap());
    });
    let chain = Floor::cycles(image.samples() as f64 * JPEG_LS_CYCLES_A_SAMPLE);
    subject.kernel("CT 512 x 512 to JPEG-LS", work, floor.and(chain), || {
        black_box(jpegls::encode(shape, &pixels.data).unwrap());
    });
    for (name, image) in [("CT 512 x 512", image::ct()), ("DX 2500 x 3000", image::dx())] {
        let (shape, pixels) = (&image.description.frame, image.decode());
        let work = Throughput::Elements(image.samples() as u64);
        let floor = Floor::bytes(image.decoded_bytes() * 3 / 2);
        subject.kernel(&format!("{name} to HTJ2K, unproved"), work.clone(), floor, || {
            black_box(htj2k::encode_unproved(shape, &pixels.data).unwrap());
        });
        subject.kernel(&format!("{name} to HTJ2K"), work, floor, || {
            black_box(htj2k::encode(shape, &pixels.data).unwrap());
        });
    }
}

fn main() {
    let mut criterion = support::criterion();
    synthetic(&mut criterion);
    real(&mut criterion);
    encoding(&mut criterion);
    criterion.final_summary();
}
