//! Volumes: planes, slabs and projections of 256 x 256 x 200 voxels, one thread.
//!
//! Floor: 8 cycles a sample, what the loads and the arithmetic of eight neighbours take when they are in the first
//! cache; a native plane: every value read and written once.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says what failed by failing"
)]

mod support;

use criterion::{Criterion, Throughput};
use engine::volume::{
    BodyPlane, Grid, Interpolation, Plane, Preset, Rescale, Slab, SlabMode, View, Volume, composite,
    native_plane, project, reformat,
};
use std::hint::black_box;
use support::{CpuTime, Floor, Subject};

const DIMS: [usize; 3] = [256, 256, 200];
const SPACING_MM: [f64; 3] = [0.7, 0.7, 1.0];
const CYCLES_A_SAMPLE: f64 = 8.0;
const SIDE: usize = 256;

/// A textured body with a bright shell and a rod, in air.
fn phantom() -> Volume {
    let [nx, ny, nz] = DIMS;
    let mut noise = 0x9e37_79b9_u32;
    let values: Vec<i16> = (0..nx * ny * nz)
        .map(|i| {
            let [x, y, z] = [i % nx, i / nx % ny, i / nx / ny].map(|v| v as f64);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let r = ((x / 128.0 - 1.0) / 0.92)
                .hypot((y / 128.0 - 1.0) / 0.7)
                .hypot((z / 100.0 - 1.0) / 1.1);
            let rod = (x - 150.0 - z * 0.1).hypot(y - 120.0) < 6.0;
            match r {
                r if r >= 1.0 => -1000,
                _ if rod => 1200,
                r if (0.77..0.83).contains(&r) => 740,
                _ => 40 + (60.0 * (x / 9.0).sin() * (y / 11.0).cos()) as i16 + (noise >> 26) as i16,
            }
        })
        .collect();
    let grid = Grid::upright(DIMS, SPACING_MM).unwrap();
    Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap()
}

fn oblique(volume: &Volume) -> Plane {
    let [cx, cy, cz] = volume.grid().centre_mm();
    let (row, column) = ([0.8, 0.36, 0.48], [0.0, 0.8, -0.6]);
    let half = 0.7 * (SIDE as f64 - 1.0) / 2.0;
    let origin = [
        cx - half * (row[0] + column[0]),
        cy - half * (row[1] + column[1]),
        cz - half * (row[2] + column[2]),
    ];
    Plane::new(origin, row, column, 0.7, (SIDE, SIDE)).unwrap()
}

fn planes(c: &mut Criterion<CpuTime>, volume: &Volume) {
    let mut subject = Subject::new(c, "volume");
    let plane = oblique(volume);
    let pixels = SIDE * SIDE;
    let work = || Throughput::Elements(pixels as u64);
    let sampled = |depths: f64| Floor::cycles(CYCLES_A_SAMPLE * pixels as f64 * depths);
    let sagittal = DIMS[1] * DIMS[2];
    let native = Throughput::Elements(sagittal as u64);
    subject.kernel("sagittal by index", native, Floor::bytes(sagittal * 6), || {
        black_box(native_plane(volume, BodyPlane::Sagittal, 128).unwrap());
    });
    for (name, interpolation) in [
        ("oblique", Interpolation::Linear),
        ("oblique cubic", Interpolation::Cubic),
    ] {
        subject.kernel(name, work(), sampled(1.0), || {
            black_box(reformat(volume, &plane, None, interpolation).unwrap());
        });
    }
    for (name, mode) in [
        ("slab of 20 mm, greatest", SlabMode::Mip),
        ("slab of 20 mm, mean", SlabMode::Mean),
    ] {
        let slab = Slab {
            thickness_mm: 20.0,
            mode,
        };
        subject.kernel(name, work(), sampled(30.0), || {
            black_box(reformat(volume, &plane, Some(slab), Interpolation::Linear).unwrap());
        });
    }
}

fn projections(c: &mut Criterion<CpuTime>, volume: &Volume) {
    let mut subject = Subject::new(c, "projection");
    let view = View {
        azimuth_deg: 25.0,
        elevation_deg: 20.0,
        size: (SIDE, SIDE),
        pixel_mm: None,
    };
    let work = || Throughput::Elements((SIDE * SIDE) as u64);
    // a ray of the middle has about 280 samples; most pixels have fewer
    let sampled = || Floor::cycles(CYCLES_A_SAMPLE * (SIDE * SIDE * 140) as f64);
    for (name, mode) in [("greatest", SlabMode::Mip), ("mean", SlabMode::Mean)] {
        subject.kernel(name, work(), sampled(), || {
            black_box(project(volume, &view, mode).unwrap());
        });
    }
    subject.kernel("composite, bone", work(), sampled(), || {
        black_box(composite(volume, &view, Preset::CtBone).unwrap());
    });
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let volume = phantom();
    pool.install(|| {
        let mut criterion = support::criterion();
        planes(&mut criterion, &volume);
        projections(&mut criterion, &volume);
        criterion.final_summary();
    });
}
