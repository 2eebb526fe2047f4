//! Curved reformatting: the neighbourhood of a spline (a vessel, a jaw, a spine) laid out straight.

use super::math::{Vec3, add, along, cross, dot, length, scale, sub, unit};
use super::mpr::{PICTURE_SIDE_MAX, Reformat, RowLines, sample_rows};
use super::sample::Interpolation;
use super::slab::Slab;
use super::voxels::Volume;
use crate::error::{ImagingError, Result};

/// Most points of a curve.
pub const POINTS_MAX: usize = 10_000;
/// Pieces of the polygon that measures one span of the spline.
const PIECES: usize = 64;
/// Longest curve.
const LENGTH_MM_MAX: f64 = 1e5;

/// How a curve is laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvedLayout {
    /// Distance of pixels along the curve and across it.
    pub pixel_mm: f64,
    /// Width of the picture across the curve.
    pub width_mm: f64,
    /// Turn of the picture about the curve.
    pub angle_deg: f64,
}

/// A smooth curve through points of the patient: a centripetal Catmull-Rom spline, which makes no loops (Yuksel,
/// Schaefer and Keyser 2011), measured by its length.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Points close together, and how far along the curve each is.
    points: Vec<Vec3>,
    travelled_mm: Vec<f64>,
}

impl Curve {
    /// Through `control` in order; a point that repeats the one before it is passed over.
    ///
    /// # Errors
    /// [`ImagingError::Request`] for fewer than two places, too many of them, or a curve too long.
    pub fn through(control: &[Vec3]) -> Result<Self> {
        let wrong = |why: &str| Err(ImagingError::Request(why.into()));
        if control.len() > POINTS_MAX {
            return wrong("the curve has more than 10000 points; leave some out");
        }
        if control.iter().flatten().any(|v| !v.is_finite()) {
            return wrong("each point of the curve must be three numbers");
        }
        let mut places: Vec<Vec3> = Vec::with_capacity(control.len());
        for p in control {
            if places.last().is_none_or(|last| length(sub(*p, *last)) > 1e-6) {
                places.push(*p);
            }
        }
        if places.len() < 2 {
            return wrong("a curve needs at least two different points");
        }
        let mut points = Vec::with_capacity((places.len() - 1) * PIECES + 1);
        for span in 0..places.len() - 1 {
            let ends = neighbours(&places, span);
            points.extend((0..PIECES).map(|k| spline(&ends, k as f64 / PIECES as f64)));
        }
        points.extend(places.last());
        let mut travelled_mm = Vec::with_capacity(points.len());
        let mut total = 0.0;
        for (i, p) in points.iter().enumerate() {
            total += i
                .checked_sub(1)
                .map_or(0.0, |before| length(sub(*p, points[before])));
            travelled_mm.push(total);
        }
        if total > LENGTH_MM_MAX {
            return wrong("the curve is longer than 100 m; check that its points are in millimetres");
        }
        Ok(Self { points, travelled_mm })
    }

    /// Length of the curve.
    #[must_use]
    pub fn length_mm(&self) -> f64 {
        self.travelled_mm.last().copied().unwrap_or(0.0)
    }

    /// The point at a distance along the curve.
    #[must_use]
    pub fn at(&self, distance_mm: f64) -> Vec3 {
        let above = self
            .travelled_mm
            .partition_point(|t| *t <= distance_mm)
            .clamp(1, self.points.len() - 1);
        let (from, to) = (self.travelled_mm[above - 1], self.travelled_mm[above]);
        let part = ((distance_mm - from) / (to - from).max(1e-12)).clamp(0.0, 1.0);
        let (a, b) = (self.points[above - 1], self.points[above]);
        along(a, sub(b, a), part)
    }
}

/// The two ends of a span and the points before and after it; at the ends of the curve mirrored ones.
fn neighbours(places: &[Vec3], span: usize) -> [Vec3; 4] {
    let (a, b) = (places[span], places[span + 1]);
    let before = span
        .checked_sub(1)
        .map_or_else(|| sub(scale(a, 2.0), b), |i| places[i]);
    let after = places
        .get(span + 2)
        .copied()
        .unwrap_or_else(|| sub(scale(b, 2.0), a));
    [before, a, b, after]
}

/// Barry and Goldman's pyramid with knots at the square root of the distances.
fn spline(p: &[Vec3; 4], part: f64) -> Vec3 {
    let knot = |a: Vec3, b: Vec3| length(sub(b, a)).sqrt().max(1e-6);
    let t0 = 0.0;
    let t1 = t0 + knot(p[0], p[1]);
    let t2 = t1 + knot(p[1], p[2]);
    let t3 = t2 + knot(p[2], p[3]);
    let t = t1 + (t2 - t1) * part;
    let mix = |a: Vec3, b: Vec3, ta: f64, tb: f64| {
        add(scale(a, (tb - t) / (tb - ta)), scale(b, (t - ta) / (tb - ta)))
    };
    let (a1, a2, a3) = (
        mix(p[0], p[1], t0, t1),
        mix(p[1], p[2], t1, t2),
        mix(p[2], p[3], t2, t3),
    );
    let (b1, b2) = (mix(a1, a2, t0, t2), mix(a2, a3, t1, t3));
    mix(b1, b2, t1, t2)
}

/// Along the curve: the points of the rows and the direction across at each, carried along without twist by the
/// double reflection method (Wang, Juettler, Zheng and Liu 2008).
fn frames(curve: &Curve, rows: usize, pixel_mm: f64, angle_deg: f64) -> Vec<(Vec3, Vec3, Vec3)> {
    let length_mm = curve.length_mm();
    let reach = (length_mm * 1e-3).clamp(1e-4, 0.5);
    let tangent = |s: f64| {
        let (a, b) = ((s - reach).max(0.0), (s + reach).min(length_mm));
        unit(sub(curve.at(b), curve.at(a))).unwrap_or([0.0, 0.0, 1.0])
    };
    let mut out: Vec<(Vec3, Vec3, Vec3)> = Vec::with_capacity(rows);
    let mut before: Option<(Vec3, Vec3, Vec3)> = None;
    for row in 0..rows {
        let s = row as f64 * pixel_mm;
        let (place, t) = (curve.at(s), tangent(s));
        let across = match before {
            None => first_across(t),
            Some((p0, t0, r0)) => reflect_twice(p0, t0, r0, place, t),
        };
        before = Some((place, t, across));
        let other = cross(t, across);
        let (sin, cos) = angle_deg.to_radians().sin_cos();
        let turned = add(scale(across, cos), scale(other, sin));
        out.push((place, turned, cross(turned, t)));
    }
    out
}

/// Perpendicular to the curve's beginning, towards the patient's left where that is possible, else to the back.
fn first_across(t: Vec3) -> Vec3 {
    let body = if t[0].abs() < 0.8 {
        [1.0, 0.0, 0.0]
    } else {
        [0.0, 1.0, 0.0]
    };
    unit(along(body, t, -dot(body, t))).unwrap_or([1.0, 0.0, 0.0])
}

fn reflect_twice(p0: Vec3, t0: Vec3, r0: Vec3, p1: Vec3, t1: Vec3) -> Vec3 {
    let reflect = |v: Vec3, mirror: Vec3, square: f64| along(v, mirror, -2.0 * dot(mirror, v) / square);
    let v1 = sub(p1, p0);
    let c1 = dot(v1, v1);
    let (r, t) = if c1 > 1e-18 {
        (reflect(r0, v1, c1), reflect(t0, v1, c1))
    } else {
        (r0, t0)
    };
    let v2 = sub(t1, t);
    let c2 = dot(v2, v2);
    let r = if c2 > 1e-18 { reflect(r, v2, c2) } else { r };
    // what rounding added along the curve is taken out
    unit(along(r, t1, -dot(r, t1))).unwrap_or_else(|| first_across(t1))
}

/// The straightened picture: row by row along the curve, across it from side to side; a slab lies before and behind.
/// Runs on the rayon pool of its caller.
///
/// # Errors
/// [`ImagingError::Request`] for sizes that are not possible.
pub fn curved(
    volume: &Volume,
    curve: &Curve,
    layout: &CurvedLayout,
    slab: Option<Slab>,
    interpolation: Interpolation,
) -> Result<Reformat> {
    let pixel = layout.pixel_mm;
    let pixels = |mm: f64| (mm / pixel + 1e-9).floor() + 1.0;
    let (width, height) = (pixels(layout.width_mm), pixels(curve.length_mm()));
    let sides = 1.0..=PICTURE_SIDE_MAX as f64;
    let possible = pixel > 0.0 && layout.angle_deg.is_finite();
    if !possible || !sides.contains(&width) || !sides.contains(&height) {
        return Err(ImagingError::Request(format!(
            "a curve of {:.1} mm by {} mm cannot be laid out with pixels of {pixel} mm: each side must be from 1 to {PICTURE_SIDE_MAX} pixels",
            curve.length_mm(),
            layout.width_mm
        )));
    }
    let (width, height) = (width as usize, height as usize);
    let half = (width as f64 - 1.0) / 2.0 * pixel;
    let frames = frames(curve, height, pixel, layout.angle_deg);
    let lines = RowLines {
        starts: frames
            .iter()
            .map(|(p, across, _)| along(*p, *across, -half))
            .collect(),
        steps: frames
            .iter()
            .map(|(_, across, _)| scale(*across, pixel))
            .collect(),
        normals: frames.iter().map(|(_, _, deep)| *deep).collect(),
    };
    sample_rows(volume, &lines, width, slab, interpolation)
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::voxels::Rescale;
    use super::*;

    /// Points of a helix of radius 20 about the z axis through (30, 30).
    fn helix(n: usize) -> Vec<Vec3> {
        (0..n)
            .map(|i| {
                let a = i as f64 * 0.25;
                [30.0 + 20.0 * a.cos(), 30.0 + 20.0 * a.sin(), 5.0 + 2.0 * a]
            })
            .collect()
    }

    #[test]
    fn the_spline_goes_through_its_points_and_knows_its_length() {
        let control = helix(40);
        let curve = Curve::through(&control).unwrap();
        let expect = 0.25 * 39.0 * (20.0_f64 * 20.0 + 4.0).sqrt();
        assert!(
            (curve.length_mm() / expect - 1.0).abs() < 1e-3,
            "{}",
            curve.length_mm()
        );
        for p in &control {
            let near = (0..=20_000)
                .map(|k| length(sub(curve.at(f64::from(k) / 20_000.0 * curve.length_mm()), *p)))
                .fold(f64::INFINITY, f64::min);
            assert!(near < 0.01, "{near}");
        }
        assert!(Curve::through(&control[..1]).is_err());
        assert!(Curve::through(&[[1.0; 3], [1.0; 3]]).is_err());
        assert!(Curve::through(&[[1.0; 3], [f64::NAN; 3]]).is_err());
    }

    #[test]
    fn frames_stay_perpendicular_and_do_not_twist() {
        let curve = Curve::through(&helix(60)).unwrap();
        let frames = frames(&curve, 500, 0.5, 0.0);
        for pair in frames.windows(2) {
            let ((p0, a0, d0), (p1, a1, _)) = (pair[0], pair[1]);
            let t = unit(sub(p1, p0)).unwrap();
            assert!(dot(a0, t).abs() < 0.05 && dot(d0, t).abs() < 0.05 && dot(a0, d0).abs() < 1e-9);
            assert!(dot(a0, a1) > 0.999);
        }
    }

    /// A tube along the helix becomes a straight stripe in the middle.
    #[test]
    fn a_tube_is_laid_out_straight() {
        let n = 60_usize;
        let curve = Curve::through(&helix(25)).unwrap();
        let spots: Vec<Vec3> = (0..400)
            .map(|k| curve.at(f64::from(k) / 399.0 * curve.length_mm()))
            .collect();
        let values: Vec<i16> = (0..n * n * 30)
            .map(|i| {
                let p = [(i % n) as f64, (i / n % n) as f64, (i / n / n) as f64];
                let near = spots
                    .iter()
                    .map(|s| length(sub(*s, p)))
                    .fold(f64::INFINITY, f64::min);
                if near < 3.0 { 500 } else { 0 }
            })
            .collect();
        let grid = Grid::upright([n, n, 30], [1.0; 3]).unwrap();
        let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
        for angle_deg in [0.0, 60.0] {
            let layout = CurvedLayout {
                pixel_mm: 0.5,
                width_mm: 20.0,
                angle_deg,
            };
            let picture = curved(&volume, &curve, &layout, None, Interpolation::Linear).unwrap();
            assert_eq!((picture.width, picture.height), (41, pixels_of(&curve)));
            for row in picture.values.chunks(41).skip(8).take(picture.height - 16) {
                assert!(row[20] > 400.0, "{row:?}");
                assert!(row[20 - 9] < 100.0 && row[20 + 9] < 100.0, "{row:?}");
            }
        }
    }

    fn pixels_of(curve: &Curve) -> usize {
        (curve.length_mm() / 0.5) as usize + 1
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let grid = Grid::upright([4; 3], [1.0; 3]).unwrap();
        let volume = Volume::from_values(grid, Rescale::default(), &[0; 64], u64::MAX).unwrap();
        let curve = Curve::through(&helix(5)).unwrap();
        for (pixel_mm, width_mm) in [
            (0.0, 20.0),
            (f64::NAN, 20.0),
            (0.5, 1e9),
            (1e-9, 20.0),
            (0.5, -20.0),
        ] {
            let layout = CurvedLayout {
                pixel_mm,
                width_mm,
                angle_deg: 0.0,
            };
            assert!(curved(&volume, &curve, &layout, None, Interpolation::Linear).is_err());
        }
    }
}
