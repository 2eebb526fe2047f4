//! Planes through fields whose values are known everywhere.

use super::math::{along, cross, dot, length, unit};
use super::*;
use proptest::prelude::*;

/// A sheared lattice with the field `g . p` on it, and the field.
fn slope_volume(dims: [usize; 3], axes: [Vec3; 3], origin: Vec3, g: Vec3) -> Volume {
    let grid = Grid::new(dims, origin, axes).unwrap();
    let [x, y, _] = dims;
    let rescale = Rescale {
        slope: 0.05,
        intercept: 0.0,
    };
    let values: Vec<i16> = (0..dims.iter().product())
        .map(|i| {
            let index = [i % x, i / x % y, i / x / y].map(|v| v as f64);
            let p = (0..3).fold(origin, |p, a| along(p, axes[a], index[a]));
            rescale.stored(dot(g, p)).round() as i16
        })
        .collect();
    Volume::from_values(grid, rescale, &values, u64::MAX).unwrap()
}

fn pixel_point(plane: &Plane, i: usize) -> Vec3 {
    let (x, y) = ((i % plane.width) as f64, (i / plane.width) as f64);
    along(
        along(plane.origin_mm, plane.row, x * plane.pixel_mm[0]),
        plane.column,
        y * plane.pixel_mm[1],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A linear field is cut exactly by any plane of any lattice; what lies outside is one value.
    #[test]
    fn any_plane_of_a_linear_field(
        q in (-1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0),
        shift in (-15.0_f64..15.0, -15.0_f64..15.0, -15.0_f64..15.0),
        shear in -0.4_f64..0.4,
        pixel in 0.3_f64..2.0,
        thick in prop_oneof![Just(0.0), 1.0_f64..12.0],
        cubic: bool,
    ) {
        let Some(row) = unit([q.0, q.1, q.2]) else { return Ok(()) };
        let Some(normal) = unit(cross(row, [q.3, q.4, q.5])) else { return Ok(()) };
        let column = cross(normal, row);
        let axes = [[0.9, 0.0, 0.0], [0.0, 0.8, shear], [0.0, 0.1, 1.3]];
        let (g, origin) = ([7.0, -5.0, 4.0], [-20.0, 5.0, 30.0]);
        let dims = [45, 50, 38];
        let volume = slope_volume(dims, axes, origin, g);
        let centre = volume.grid().centre_mm();
        let start = [centre[0] + shift.0, centre[1] + shift.1, centre[2] + shift.2];
        let corner = along(along(start, row, -20.0 * pixel), column, -15.0 * pixel);
        let plane = Plane::new(corner, row, column, pixel, (41, 31)).unwrap();
        let slab = (thick > 0.0).then_some(Slab { thickness_mm: thick, mode: SlabMode::Mean });
        let kind = if cubic { Interpolation::Cubic } else { Interpolation::Linear };
        let picture = reformat(&volume, &plane, slab, kind).unwrap();
        for (i, v) in picture.values.iter().enumerate() {
            let p = pixel_point(&plane, i);
            let ends = [along(p, normal, thick / 2.0), along(p, normal, -thick / 2.0)];
            let index = ends.map(|p| volume.grid().index_of(p));
            let within = |margin: f64| index.iter().all(|p| (0..3).all(|a| p[a] > margin && p[a] < dims[a] as f64 - 1.0 - margin));
            let beyond = (0..3).any(|a| index.iter().all(|p| p[a] < -0.6) || index.iter().all(|p| p[a] > dims[a] as f64 - 0.4));
            if within(1.0) {
                prop_assert!((f64::from(*v) - dot(g, p)).abs() < 0.06, "{} at {:?}", v, p);
            } else if beyond {
                prop_assert_eq!(*v, volume.outside());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// A slab is the greatest, or the least, of its planes, with every shortcut.
    #[test]
    fn a_slab_is_the_extreme_of_its_planes(
        q in (-1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0),
        pixel in 0.3_f64..2.5,
        thickness_mm in 2.0_f64..30.0,
        greatest: bool,
        seed: u64,
    ) {
        let Some(row) = unit([q.0, q.1, q.2]) else { return Ok(()) };
        let Some(normal) = unit(cross(row, [q.3, q.4, q.5])) else { return Ok(()) };
        let column = cross(normal, row);
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
        let dims = [40, 45, 50];
        let values: Vec<i16> = (0..40 * 45 * 50)
            .map(|_| if next() % 200 == 0 { (next() % 3000) as i16 - 1500 } else { (next() % 40) as i16 })
            .collect();
        let mode = if greatest { SlabMode::Mip } else { SlabMode::MinIp };
        let beyond = if greatest { -1e6 } else { 1e6 };
        let grid = Grid::upright(dims, [1.0, 0.9, 1.1]).unwrap();
        let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap().with_padding(Some(beyond));
        let centre = volume.grid().centre_mm();
        let corner = along(along(centre, row, -35.0 * pixel), column, -10.0 * pixel);
        let plane = Plane::new(corner, row, column, pixel, (71, 21)).unwrap();
        let slab = Slab { thickness_mm, mode };
        let got = reformat(&volume, &plane, Some(slab), Interpolation::Linear).unwrap();
        let mut expect = vec![beyond as f32; got.values.len()];
        for offset in slab.offsets_mm(volume.grid().finest_mm()).unwrap() {
            let moved = Plane { origin_mm: along(corner, plane.normal(), offset), ..plane };
            let thin = reformat(&volume, &moved, None, Interpolation::Linear).unwrap();
            for (e, v) in expect.iter_mut().zip(&thin.values) {
                *e = if greatest { e.max(*v) } else { e.min(*v) };
            }
        }
        let far = got.values.iter().zip(&expect).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // the plane's own corner is rounded apart from the slab's
        prop_assert!(far < 0.1, "{}", far);
    }
}

#[test]
fn native_planes_lie_as_on_a_light_box() {
    // value tells the place: x + 10 y + 100 z; slices run from head to feet, columns from left to right
    let dims = [5, 6, 7];
    let axes = [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -2.0]];
    let grid = Grid::new(dims, [0.0; 3], axes).unwrap();
    let values: Vec<i16> = (0..210)
        .map(|i| (i % 5 + i / 5 % 6 * 10 + i / 30 * 100) as i16)
        .collect();
    let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
    let check = |plane, index, size: (usize, usize), first: f32, right: f32, below: f32| {
        let p = native_plane(&volume, plane, index).unwrap();
        assert_eq!((p.width, p.height), size);
        assert_eq!(
            [p.values[0], p.values[1], p.values[p.width]],
            [first, right, below],
            "{plane:?}"
        );
    };
    check(BodyPlane::Axial, 3, (5, 6), 304.0, 303.0, 314.0);
    check(BodyPlane::Coronal, 2, (5, 7), 24.0, 23.0, 124.0);
    check(BodyPlane::Sagittal, 1, (6, 7), 1.0, 11.0, 101.0);
    for (plane, beyond) in [
        (BodyPlane::Axial, 7),
        (BodyPlane::Coronal, 6),
        (BodyPlane::Sagittal, 5),
    ] {
        assert!(native_plane(&volume, plane, beyond).is_err());
    }
}

#[test]
fn native_planes_of_large_volumes_hold_every_voxel() {
    let dims = [37, 50, 41];
    for (axes, flipped) in [
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], true),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]], false),
    ] {
        let grid = Grid::new(dims, [0.0; 3], axes).unwrap();
        let values: Vec<i16> = (0..37 * 50 * 41).map(|i| (i % 30_011) as i16).collect();
        let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
        let picture = native_plane(&volume, BodyPlane::Sagittal, 20).unwrap();
        for z in 0..41 {
            for y in 0..50 {
                let row = if flipped { 40 - z } else { z };
                let expect = f32::from(values[(z * 50 + y) * 37 + 20]);
                assert_eq!(picture.values[row * 50 + y], expect, "{y} {z}");
            }
        }
    }
}

#[test]
fn a_body_plane_is_the_native_one_where_voxels_are_cubes() {
    let dims = [20, 22, 24];
    let volume = slope_volume(
        dims,
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [0.0; 3],
        [3.0, 20.0, -7.0],
    );
    for plane in [BodyPlane::Axial, BodyPlane::Coronal, BodyPlane::Sagittal] {
        let cut = body_plane(&volume, plane, 9, None, None).unwrap();
        let (a, b) = (
            reformat(&volume, &cut, None, Interpolation::Linear).unwrap(),
            native_plane(&volume, plane, 9).unwrap(),
        );
        assert_eq!((a.width, a.height), (b.width, b.height));
        assert!(
            a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-3),
            "{plane:?}"
        );
    }
    assert!(body_plane(&volume, BodyPlane::Axial, 24, None, None).is_err());
}

/// Slices at uneven places: the field between them is the straight line of its neighbours.
#[test]
fn uneven_slices_keep_their_places() {
    let places = [0.0, 1.0, 1.5, 3.5, 4.0, 6.0];
    let grid = Grid::upright([12, 12, 6], [1.0, 1.0, 2.0])
        .unwrap()
        .with_places(&places)
        .unwrap();
    let values: Vec<i16> = (0..12 * 12 * 6)
        .map(|i| (places[i / 144] * 2.0 * 100.0) as i16)
        .collect();
    let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
    let plane = Plane::new([5.0, 5.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], 0.25, (49, 3)).unwrap();
    let picture = reformat(&volume, &plane, None, Interpolation::Linear).unwrap();
    for (i, v) in picture.values[..49].iter().enumerate() {
        let z = i as f64 * 0.25;
        assert!((f64::from(*v) - z * 100.0).abs() < 0.05, "{z}: {v}");
    }
}

#[test]
fn impossible_planes_are_refused() {
    let make = |row, column, pixel, size| Plane::new([0.0; 3], row, column, pixel, size);
    let (x, y) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
    assert!(make(x, y, 1.0, (4, 4)).is_ok());
    assert!(make(x, [1.0, 1.0, 0.0], 1.0, (4, 4)).is_err());
    assert!(make([0.0; 3], y, 1.0, (4, 4)).is_err());
    assert!(make(x, y, 0.0, (4, 4)).is_err());
    assert!(make(x, y, f64::NAN, (4, 4)).is_err());
    assert!(make(x, y, 1.0, (0, 4)).is_err());
    assert!(make(x, y, 1.0, (4, 100_000)).is_err());
    assert!(Plane::new([f64::NAN; 3], x, y, 1.0, (4, 4)).is_err());
    // far away and huge steps: one value, no panic
    let volume = slope_volume([8; 3], [x, y, [0.0, 0.0, 1.0]], [0.0; 3], [1.0; 3]);
    for origin in [[1e300, 0.0, 0.0], [-1e15, 4.0, 4.0]] {
        let plane = Plane::new(origin, x, y, 1e4, (16, 16)).unwrap();
        let slab = Slab {
            thickness_mm: 100.0,
            mode: SlabMode::Mip,
        };
        let picture = reformat(&volume, &plane, Some(slab), Interpolation::Linear).unwrap();
        assert!(picture.values.iter().all(|v| *v == volume.outside()));
    }
    assert!(length(Plane::new([0.0; 3], x, y, 1.0, (4, 4)).unwrap().normal()) > 0.99);
}

#[test]
fn padding_stands_outside() {
    let volume = slope_volume(
        [8; 3],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [0.0; 3],
        [1.0; 3],
    );
    assert_eq!(volume.outside(), volume.range().0 as f32);
    let padded = volume.with_padding(Some(-2000.0));
    assert_eq!(padded.outside(), -2000.0);
    let plane = Plane::new([50.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 1.0, (3, 3)).unwrap();
    assert_eq!(
        reformat(&padded, &plane, None, Interpolation::Linear)
            .unwrap()
            .values,
        [-2000.0; 9]
    );
}
