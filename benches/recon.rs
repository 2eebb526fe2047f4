//! Images from projections: filtered back-projection and passes of SIRT at 512 x 512 from 720 views, a cone.
//!
//! Floor: an update of a pixel by a view is a multiplication, two additions and the place of the next one; eight
//! updates are twelve vector instructions, three cycles where four are done at once. SIRT updates twice a pass.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::recon::{self, Beam, Grid, Scan, SirtOptions, Window};
use std::f64::consts::{PI, TAU};
use std::hint::black_box;
use support::{CpuTime, Floor, Subject};

const CYCLES_PER_UPDATE: f64 = 3.0 / 8.0;

fn scan(beam: Beam, views: usize, rows: usize, columns: usize, pitch_mm: f64) -> Scan {
    let span = if beam == Beam::Parallel { PI } else { TAU };
    let angles = (0..views).map(|i| i as f64 * span / views as f64).collect();
    Scan::new(beam, angles, rows, columns, pitch_mm).unwrap()
}

/// Projections of a disc: every view the same half ellipse.
fn disc(scan: &Scan) -> Vec<f32> {
    let middle = (scan.columns() as f64 - 1.0) / 2.0;
    let value = |k: usize| (1.0 - (k as f64 / middle - 1.0).powi(2)).sqrt() as f32;
    let row: Vec<f32> = (0..scan.columns()).map(value).collect();
    row.repeat(scan.rows() * scan.angles_rad().len())
}

fn update(subject: &mut Subject<'_>, name: &str, updates: usize, run: impl FnMut()) {
    let floor = Floor::cycles(updates as f64 * CYCLES_PER_UPDATE);
    subject.kernel(name, Throughput::Elements(updates as u64), floor, run);
}

fn reconstructions(c: &mut Criterion<CpuTime>) {
    let mut subject = Subject::new(c, "recon");
    let (grid, pixels) = (Grid::new(512, 1.0).unwrap(), 512 * 512);
    let parallel = scan(Beam::Parallel, 720, 1, 512, 1.0);
    let values = disc(&parallel);
    update(&mut subject, "FBP parallel, 512 from 720", pixels * 720, || {
        black_box(recon::fbp(&parallel, &grid, Window::Ramp, &values).unwrap());
    });
    let options = SirtOptions {
        iterations: 5,
        ..SirtOptions::default()
    };
    // Sums over rays and pixels are a pass of their own before the first.
    update(
        &mut subject,
        "SIRT parallel, 5 passes, 512 from 720",
        pixels * 720 * 2 * 6,
        || {
            black_box(recon::sirt(&parallel, &grid, &options, &values).unwrap());
        },
    );
    let (source_mm, source_detector_mm) = (800.0, 1200.0);
    let beam = Beam::Fan {
        source_mm,
        source_detector_mm,
    };
    let fan = scan(beam, 720, 1, 768, 1.1);
    let values = disc(&fan);
    update(&mut subject, "FBP fan, 512 from 720", pixels * 720, || {
        black_box(recon::fbp(&fan, &grid, Window::Ramp, &values).unwrap());
    });
    let beam = Beam::Cone {
        source_mm,
        source_detector_mm,
    };
    let (cone, grid) = (scan(beam, 180, 192, 192, 1.6), Grid::new(128, 1.0).unwrap());
    let values = disc(&cone);
    update(
        &mut subject,
        "FDK, 128 cubed from 180",
        128 * 128 * 128 * 180,
        || {
            black_box(recon::fdk(&cone, &grid, Window::Ramp, &values).unwrap());
        },
    );
}

fn main() {
    let mut criterion = support::criterion();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1);
    one.build_global().unwrap();
    reconstructions(&mut criterion);
    criterion.final_summary();
}
