//! The VOI window: stored values to grey levels for the screen (PS3.3 C.11.2.1.2).
//!
//! Floor: two bytes of each pixel are read and one is written, once.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::pixel::{self, RenderOptions, VoiFunction, Window};
use std::hint::black_box;
use support::image::{self, Image};
use support::{CpuTime, Floor, Subject};

fn window(subject: &mut Subject<'_>, name: &str, image: &Image, window: Option<Window>) {
    let pixels = image.decode();
    let options = RenderOptions {
        window,
        ..RenderOptions::default()
    };
    let count = image.samples();
    let work = Throughput::Elements(count as u64);
    subject.kernel(name, work, Floor::bytes(count * 3), || {
        black_box(pixel::render(&image.description, &pixels, &options).unwrap());
    });
}

fn windows(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "window");
    let (ct, dx) = (image::ct(), image::dx());
    window(&mut subject, "CT 512 x 512, its own", &ct, None);
    for function in [
        VoiFunction::Linear,
        VoiFunction::LinearExact,
        VoiFunction::Sigmoid,
    ] {
        let asked = Window::new(40.0, 400.0, function).unwrap();
        let name = format!("CT 512 x 512, {}", function.name());
        window(&mut subject, &name, &ct, Some(asked));
    }
    window(&mut subject, "DX 2500 x 3000, its own", &dx, None);
}

fn main() {
    let mut criterion = support::criterion();
    windows(&mut criterion);
    criterion.final_summary();
}
