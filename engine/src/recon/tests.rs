//! Reconstruction against phantoms whose line integrals are known exactly.

use super::fdk::fdk_at;
use super::joseph::Turned;
use super::padded::Padded;
use super::rays::Rays;
use super::simd::Level;
use super::*;
use proptest::prelude::*;
use std::f64::consts::{PI, TAU};

/// An ellipse: value, half axes, centre, turn; in mm and radians.
#[derive(Clone, Copy)]
struct Ellipse(f64, [f64; 2], [f64; 2], f64);

/// A head of radius `r`: skull, brain, and things in it that are symmetric to nothing.
fn head(r: f64) -> Vec<Ellipse> {
    [
        (1.0, [0.7, 0.9], [0.0, 0.0], 0.0),
        (-0.8, [0.65, 0.85], [0.0, -0.02], 0.0),
        (0.3, [0.12, 0.3], [0.25, 0.1], -0.3),
        (-0.15, [0.1, 0.1], [-0.3, -0.35], 0.0),
        (0.25, [0.06, 0.03], [-0.2, 0.5], 0.7),
    ]
    .map(|(v, axes, at, turn)| Ellipse(v, axes.map(|a| a * r), at.map(|a| a * r), turn))
    .to_vec()
}

impl Ellipse {
    /// Along x cos t + y sin t = s.
    fn ray(&self, s: f64, t: f64) -> f64 {
        let Ellipse(value, [a, b], [x, y], turn) = *self;
        let square = (a * (turn - t).cos()).powi(2) + (b * (turn - t).sin()).powi(2);
        let d = s - (x * t.cos() + y * t.sin());
        2.0 * value * a * b * (square - d * d).max(0.0).sqrt() / square
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        let Ellipse(value, [a, b], [x0, y0], turn) = *self;
        let (dx, dy) = (x - x0, y - y0);
        let u = dx * turn.cos() + dy * turn.sin();
        let w = dy * turn.cos() - dx * turn.sin();
        if (u / a).powi(2) + (w / b).powi(2) <= 1.0 {
            value
        } else {
            0.0
        }
    }
}

/// Every pixel's mean over 4 x 4 places.
fn picture(object: &[Ellipse], grid: &Grid) -> Vec<f64> {
    let n = grid.size();
    let place =
        |pixel: usize, k: usize| (pixel as f64 - grid.middle() + (k as f64 - 1.5) / 4.0) * grid.pixel_mm();
    (0..n * n)
        .map(|i| {
            let inside = |k: usize| (place(i % n, k % 4), -place(i / n, k / 4));
            let sum: f64 = (0..16)
                .map(inside)
                .map(|(x, y)| object.iter().map(|e| e.at(x, y)).sum::<f64>())
                .sum();
            sum / 16.0
        })
        .collect()
}

fn sinogram(object: &[Ellipse], scan: &Scan) -> Vec<f32> {
    let mut out = Vec::new();
    for t in scan.angles_rad() {
        for k in 0..scan.columns() {
            let u = (k as f64 - scan.axis_column()) * scan.pitch_mm();
            let (s, t) = match scan.beam().distances_mm() {
                None => (u, *t),
                Some((d, sd)) => {
                    let fan = u.atan2(sd);
                    (d * fan.sin(), t - fan)
                }
            };
            out.push(object.iter().map(|e| e.ray(s, t)).sum::<f64>() as f32);
        }
    }
    out
}

/// Root of the mean square difference in the inscribed circle, 2 pixels inside.
fn rmse(got: &[f32], expect: &[f64], size: usize) -> f64 {
    let middle = (size as f64 - 1.0) / 2.0;
    let inside = |i: usize| {
        let (r, c) = ((i / size) as f64 - middle, (i % size) as f64 - middle);
        r.hypot(c) < size as f64 / 2.0 - 2.0
    };
    let squares: Vec<f64> = (0..size * size)
        .filter(|i| inside(*i))
        .map(|i| (f64::from(got[i]) - expect[i]).powi(2))
        .collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

/// Displacement of the picture in pixels, by least squares on the gradient.
fn displacement(got: &[f32], expect: &[f64], size: usize) -> [f64; 2] {
    let (mut xx, mut xy, mut yy, mut xd, mut yd) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for r in 2..size - 2 {
        for c in 2..size - 2 {
            let at = r * size + c;
            let gx = (expect[at + 1] - expect[at - 1]) / 2.0;
            let gy = (expect[at + size] - expect[at - size]) / 2.0;
            let d = expect[at] - f64::from(got[at]);
            (xx, xy, yy) = (xx + gx * gx, xy + gx * gy, yy + gy * gy);
            (xd, yd) = (xd + gx * d, yd + gy * d);
        }
    }
    let determinant = xx * yy - xy * xy;
    [
        (xd * yy - yd * xy) / determinant,
        (yd * xx - xd * xy) / determinant,
    ]
}

fn turns(count: usize, span: f64) -> Vec<f64> {
    (0..count).map(|i| i as f64 * span / count as f64).collect()
}

fn parallel(count: usize, columns: usize, pitch_mm: f64) -> Scan {
    Scan::new(Beam::Parallel, turns(count, PI), 1, columns, pitch_mm).unwrap()
}

fn fan(angles: Vec<f64>, columns: usize, pitch_mm: f64) -> Scan {
    let beam = Beam::Fan {
        source_mm: 200.0,
        source_detector_mm: 320.0,
    };
    Scan::new(beam, angles, 1, columns, pitch_mm).unwrap()
}

#[test]
fn back_projection_shows_the_object_where_it_is() {
    let grid = Grid::new(129, 0.8).unwrap();
    let object = head(50.0);
    let expect = picture(&object, &grid);
    let short = fan((0..330).map(|i| 0.4 + f64::from(i) * 0.0113).collect(), 301, 0.8);
    for (name, scan, most) in [
        ("as many detectors as pixels", parallel(200, 129, 0.8), 0.036),
        ("even count, finer detector", parallel(200, 256, 0.45), 0.036),
        (
            "axis off the middle",
            parallel(200, 160, 0.8).with_axis(7.3).unwrap(),
            0.036,
        ),
        (
            "opposite views",
            Scan::new(Beam::Parallel, turns(400, TAU), 1, 129, 0.8).unwrap(),
            0.036,
        ),
        (
            "backwards",
            Scan::new(Beam::Parallel, turns(200, -PI), 1, 129, 0.8).unwrap(),
            0.036,
        ),
        ("fan", fan(turns(360, TAU), 300, 0.8), 0.036),
        (
            "fan, axis off the middle",
            fan(turns(360, TAU), 320, 0.8).with_axis(-5.0).unwrap(),
            0.036,
        ),
        ("fan, coarse detector", fan(turns(360, TAU), 151, 1.6), 0.045),
        ("short scan", short, 0.036),
    ] {
        let image = fbp(&scan, &grid, Window::Ramp, &sinogram(&object, &scan)).unwrap();
        let (error, moved) = (rmse(&image, &expect, 129), displacement(&image, &expect, 129));
        assert!(error < most, "{name}: {error}");
        assert!(moved.iter().all(|d| d.abs() < 0.02), "{name}: {moved:?}");
    }
}

#[test]
fn windows_smooth_and_keep_the_mean() {
    let grid = Grid::new(64, 1.0).unwrap();
    let scan = parallel(120, 64, 1.0);
    let disc = [Ellipse(1.0, [20.0, 20.0], [0.0, 0.0], 0.0)];
    let sino = sinogram(&disc, &scan);
    let mut rough = f64::INFINITY;
    for window in [Window::Ramp, Window::SheppLogan, Window::Cosine, Window::Hann] {
        let image = fbp(&scan, &grid, window, &sino).unwrap();
        let inner: Vec<f64> = (24..40).map(|c| f64::from(image[32 * 64 + c])).collect();
        let mean = inner.iter().sum::<f64>() / 16.0;
        assert!((mean - 1.0).abs() < 0.01, "{window:?}: {mean}");
        let steps: f64 = image.windows(2).map(|p| f64::from(p[1] - p[0]).powi(2)).sum();
        assert!(steps < rough, "{window:?}");
        rough = steps;
    }
}

#[test]
fn a_cone_shows_balls_where_they_are() {
    let beam = Beam::Cone {
        source_mm: 160.0,
        source_detector_mm: 240.0,
    };
    let (size, pixel, rows, columns, pitch) = (40, 1.0, 62, 70, 1.25);
    // Radius and centre of balls; the second lies off every axis.
    let balls = [(15.0, [0.0, 0.0, 0.0], 0.5), (4.0, [5.0, -6.0, 7.0], 0.4)];
    for (angles, most) in [(turns(180, TAU), 0.05), (turns(240, 1.35 * PI), 0.05)] {
        let scan = Scan::new(beam, angles, rows, columns, pitch).unwrap();
        let mut values = Vec::new();
        for t in scan.angles_rad() {
            let source = [160.0 * t.sin(), -160.0 * t.cos(), 0.0];
            for r in 0..rows {
                for c in 0..columns {
                    let u = (c as f64 - 34.5) * pitch;
                    let v = (r as f64 - 30.5) * pitch;
                    let d = [u * t.cos() - 240.0 * t.sin(), u * t.sin() + 240.0 * t.cos(), v];
                    let norm = d.iter().map(|x| x * x).sum::<f64>().sqrt();
                    let chord = |(radius, at, value): &(f64, [f64; 3], f64)| {
                        let w: Vec<f64> = (0..3).map(|i| at[i] - source[i]).collect();
                        let along = (0..3).map(|i| w[i] * d[i]).sum::<f64>() / norm;
                        let square = w.iter().map(|x| x * x).sum::<f64>() - along * along;
                        2.0 * value * (radius * radius - square).max(0.0).sqrt()
                    };
                    values.push(balls.iter().map(chord).sum::<f64>() as f32);
                }
            }
        }
        let grid = Grid::new(size, pixel).unwrap();
        let volume = fdk(&scan, &grid, Window::Ramp, &values).unwrap();
        assert_eq!(
            volume,
            fdk_at(Level::Scalar, &scan, &grid, Window::Ramp, &values).unwrap()
        );
        let voxel = |x: f64, y: f64, z: f64| {
            let index = |v: f64| (v + 19.5).round() as usize;
            f64::from(volume[(index(z) * size + index(-y)) * size + index(x)])
        };
        for (place, expect) in [
            ([0.0, 0.0, 0.0], 0.5),
            ([5.0, -6.0, 7.0], 0.9),
            ([5.0, 6.0, 7.0], 0.5),
            ([-5.0, -6.0, 7.0], 0.5),
            ([5.0, -6.0, -7.0], 0.5),
            ([18.0, 0.0, 0.0], 0.0),
        ] {
            let got = voxel(place[0], place[1], place[2]);
            assert!((got - expect).abs() < most, "{place:?}: {got}");
        }
    }
}

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// |<Ax, y> - <x, A'y>| over <A|x|, |y|>, the size of the sums that were rounded (no weight of `A` is
/// negative). |Ax| |y| would not do: it is nothing where every ray passes beside the image.
fn adjoint_error(scan: &Scan, grid: &Grid, level: Level, seed: u32) -> f64 {
    let projector = Projector::at(level, scan, grid).unwrap();
    let x = noise(grid.size() * grid.size(), seed);
    let y = noise(scan.angles_rad().len() * scan.columns(), seed ^ 99);
    let (ax, aty) = (projector.forward(&x).unwrap(), projector.adjoint(&y).unwrap());
    let apart = (dot(&ax, &y) - dot(&x, &aty)).abs();
    let [x, y] = [x, y].map(|values| values.into_iter().map(f32::abs).collect::<Vec<_>>());
    let scale = dot(&projector.forward(&x).unwrap(), &y);
    if scale == 0.0 { apart } else { apart / scale }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_transpose_is_the_transpose(
        size in 8_usize..90, columns in 8_usize..150, ratio in 0.2_f64..3.0, start in -4.0_f64..4.0,
        shift in -0.4_f64..0.4, seed: u32,
    ) {
        let grid = Grid::new(size, 0.7).unwrap();
        let angles = (0..23).map(|i| start + f64::from(i) * 0.31).collect();
        let scan = Scan::new(Beam::Parallel, angles, 1, columns, 0.7 * ratio).unwrap();
        let scan = scan.with_axis(shift * columns as f64 * 0.7 * ratio).unwrap();
        let error = adjoint_error(&scan, &grid, Level::detect(), seed);
        prop_assert!(error < 2e-6, "{}", error);
    }

    #[test]
    fn projection_is_linear(factor in -3.0_f32..3.0, seed: u32) {
        let (scan, grid) = (parallel(17, 60, 0.9), Grid::new(40, 1.0).unwrap());
        let projector = Projector::new(&scan, &grid).unwrap();
        let (a, b) = (noise(1600, seed), noise(1600, seed ^ 5));
        let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a * factor + b).collect();
        let [pa, pb, pm] = [&a, &b, &mixed].map(|image| projector.forward(image).unwrap());
        for ((a, b), m) in pa.iter().zip(&pb).zip(&pm) {
            prop_assert!((a * factor + b - m).abs() < 1e-3, "{} {}", a * factor + b, m);
        }
    }
}

/// A pixel between two rays far apart is seen by neither: no division by the nothing they measure.
#[test]
fn rays_beside_the_image_see_nothing_and_give_nothing_back() {
    let grid = Grid::new(1, 0.7).unwrap();
    let scan = Scan::new(Beam::Parallel, vec![0.0], 1, 2, 2.0).unwrap();
    assert!(adjoint_error(&scan, &grid, Level::detect(), 0) == 0.0);
}

#[test]
fn the_fan_projector_has_its_transpose_and_equals_the_line_integrals() {
    let (scan, grid) = (fan(turns(50, TAU), 200, 0.8), Grid::new(64, 1.1).unwrap());
    let error = adjoint_error(&scan, &grid, Level::Scalar, 3);
    assert!(error < 2e-6, "{error}");
    for scan in [scan, parallel(40, 80, 1.1)] {
        let disc = [Ellipse(1.0, [20.0, 26.0], [4.0, -3.0], 0.4)];
        let image: Vec<f32> = picture(&disc, &grid).iter().map(|v| *v as f32).collect();
        let got = Projector::new(&scan, &grid).unwrap().forward(&image).unwrap();
        let expect = sinogram(&disc, &scan);
        let difference: Vec<f32> = got.iter().zip(&expect).map(|(a, b)| a - b).collect();
        let error = (dot(&difference, &difference) / dot(&expect, &expect)).sqrt();
        assert!(error < 0.02, "{error}");
    }
}

/// The run of the vector kernel and the ray by ray projector are the same operator.
#[test]
fn both_projectors_agree() {
    for (size, columns, pitch) in [(33, 50, 1.0), (100, 140, 0.6), (70, 20, 4.0)] {
        let (scan, grid) = (parallel(31, columns, pitch), Grid::new(size, 1.0).unwrap());
        let (one, other) = (Projector::new(&scan, &grid).unwrap(), Rays::new(&scan, &grid));
        let views: Vec<usize> = (0..31).collect();
        let image = noise(size * size, 4);
        let mut rays = vec![0.0; 31 * columns];
        other.forward(&Turned::of(Padded::of(&image, size)), &views, &mut rays);
        let back = (one.adjoint(&rays).unwrap(), other.adjoint(&rays, &views));
        for (a, b) in [(one.forward(&image).unwrap(), rays), back] {
            let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            let error = (dot(&difference, &difference) / dot(&a, &a)).sqrt();
            assert!(error < 1e-5, "{size}: {error}");
        }
    }
}

/// Instructions and threads do not change a bit.
#[test]
fn every_level_and_pool_gives_the_same_bits() {
    let object = head(30.0);
    let grid = Grid::new(75, 0.8).unwrap();
    for scan in [parallel(60, 90, 0.7), fan(turns(90, TAU), 130, 0.9)] {
        let sino = sinogram(&object, &scan);
        let made = |level, threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let options = SirtOptions {
                    iterations: 2,
                    subsets: 3,
                    ..Default::default()
                };
                let projector = Projector::at(level, &scan, &grid).unwrap();
                (
                    Filtered::new(&scan, &grid, Window::Hann, &sino)
                        .unwrap()
                        .back_project_at(level),
                    Sirt::with(projector, &scan, &options, &sino).unwrap().run(),
                )
            })
        };
        let expect = made(Level::Scalar, 1);
        assert!(expect == made(Level::detect(), 1) && expect == made(Level::detect(), 3));
    }
}

#[test]
fn sirt_comes_nearer_with_every_pass_and_faster_by_subsets() {
    let object = head(30.0);
    let grid = Grid::new(64, 1.0).unwrap();
    let expect = picture(&object, &grid);
    for scan in [parallel(60, 64, 1.0), fan(turns(80, TAU), 120, 1.0)] {
        let sino = sinogram(&object, &scan);
        let error = |iterations, subsets, non_negative| {
            let options = SirtOptions {
                iterations,
                subsets,
                non_negative,
                ..Default::default()
            };
            let image = sirt(&scan, &grid, &options, &sino).unwrap();
            assert!(!non_negative || image.iter().all(|v| *v >= 0.0));
            rmse(&image, &expect, 64)
        };
        let (five, fifty) = (error(5, 1, false), error(50, 1, false));
        assert!(fifty < 0.8 * five, "{five} {fifty}");
        let subsets = error(10, 5, true);
        assert!(subsets < 1.1 * fifty, "{subsets} {fifty}");
    }
}

#[test]
fn what_a_method_cannot_do_is_said() {
    let cone = Beam::Cone {
        source_mm: 100.0,
        source_detector_mm: 150.0,
    };
    let grid = Grid::new(8, 1.0).unwrap();
    let scan = Scan::new(cone, turns(4, TAU), 2, 8, 1.0).unwrap();
    let values = vec![0.0; 64];
    let is_method = |result: Result<Vec<f32>, ReconError>| matches!(result, Err(ReconError::Method { .. }));
    assert!(is_method(fbp(&scan, &grid, Window::Ramp, &values)));
    assert!(is_method(sirt(&scan, &grid, &SirtOptions::default(), &values)));
    let flat = parallel(4, 8, 1.0);
    assert!(is_method(fdk(&flat, &grid, Window::Ramp, &values[..32])));
    assert!(fbp(&flat, &grid, Window::Ramp, &values).is_err());
    let options = |iterations, subsets, relaxation| SirtOptions {
        iterations,
        subsets,
        relaxation,
        non_negative: false,
    };
    for wrong in [
        options(0, 1, 1.0),
        options(1, 0, 1.0),
        options(1, 5, 1.0),
        options(1, 1, f32::NAN),
    ] {
        assert!(sirt(&flat, &grid, &wrong, &values[..32]).is_err(), "{wrong:?}");
    }
    let fine = parallel(4, 8, 0.05);
    assert!(Projector::new(&fine, &grid).is_err());
    let gap = fan(turns(100, PI), 64, 1.0);
    let result = fbp(&gap, &grid, Window::Ramp, &vec![0.0; 6400]);
    assert!(matches!(result, Err(ReconError::Coverage { .. })));
}
