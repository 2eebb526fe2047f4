//! Thumbnails: from a frame as it is stored to a picture of 256 pixels, and that picture as a file.
//!
//! Floor: the stored frame is read once. What has to be decoded for it costs more, which codecs.rs tells apart.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::codec::TransferSyntax;
use engine::pixel::{self, Format};
use std::hint::black_box;
use support::image::{self, Image};
use support::{CpuTime, Floor, Subject};

const SIDE: u32 = 256;
const JPEG_QUALITY: u8 = 90;

fn thumbnail(subject: &mut Subject<'_>, name: &str, image: &Image) {
    subject.kernel(
        name,
        Throughput::Elements(1),
        Floor::bytes(image.frame.len()),
        || {
            let frame = image.frame.as_slice().into();
            black_box(pixel::thumbnail_of(&image.description, image.syntax, frame, 0, SIDE).unwrap());
        },
    );
}

fn thumbnails(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "thumbnails");
    for (name, image) in [("CT 512 x 512", image::ct()), ("DX 2500 x 3000", image::dx())] {
        for (syntax, word) in [
            (TransferSyntax::EXPLICIT_LE, "uncompressed"),
            (TransferSyntax::RLE, "RLE"),
            (TransferSyntax::JPEG_LS_LOSSLESS, "JPEG-LS"),
            (TransferSyntax::HTJ2K_LOSSLESS_RPCL, "HTJ2K"),
        ] {
            thumbnail(&mut subject, &format!("{name} {word}"), &image.encoded(syntax));
        }
    }
    for (folder, name) in [
        ("JPLL", "real CT JPEG lossless"),
        ("J2KR", "real CT JPEG 2000 lossless"),
    ] {
        if let Some(image) = image::wg04_ct(folder) {
            thumbnail(&mut subject, name, &image);
        }
    }
    let ct = image::ct();
    let picture = pixel::thumbnail(&ct.description, &ct.decode(), 0, SIDE).unwrap();
    for (format, name) in [(Format::Jpeg, "JPEG"), (Format::Png, "PNG")] {
        let floor = Floor::bytes(picture.data.len());
        subject.kernel(
            &format!("256 x 256 to {name}"),
            Throughput::Elements(1),
            floor,
            || {
                black_box(pixel::encode(&picture, format, JPEG_QUALITY).unwrap());
            },
        );
    }
}

fn main() {
    let mut criterion = support::criterion();
    thumbnails(&mut criterion);
    criterion.final_summary();
}
