//! Projections of the whole volume: parallel rays, the greatest, least or average value along each.

use super::cells::COARSE;
use super::math::{Vec3, along, cross, scale, unit};
use super::mpr::{PICTURE_SIDE_MAX, Reformat};
use super::sample::{Interpolation, Line, Pitch, Sampler};
use super::slab::SlabMode;
use super::voxels::Volume;
use super::walk::{self, BUNDLE, Ray, Walk};
use crate::error::{ImagingError, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Samples that are looked at, or passed over, together.
pub(super) const RUN: usize = 2 * COARSE;
/// Rows that one thread takes at a time.
pub(super) const ROWS_AT_ONCE: usize = 4;
/// Where slices crowd together rays are sampled this much denser than the voxels at most.
const DENSITY_MAX: f64 = 4.0;

/// From where a volume is looked at, and how large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Turn about the body's long axis: 0 looks from the front to the back, 90 from the right to the left.
    pub azimuth_deg: f64,
    /// 0 looks across the body, 90 from the head to the feet.
    pub elevation_deg: f64,
    /// Columns and rows of the picture.
    pub size: (usize, usize),
    /// Distance of pixels; the whole volume fills the picture when `None`.
    pub pixel_mm: Option<f64>,
}

impl View {
    /// Directions of sight, to the right and down on the picture.
    pub(super) fn directions(&self) -> [Vec3; 3] {
        let (sa, ca) = exact_sin_cos(self.azimuth_deg);
        let (se, ce) = exact_sin_cos(self.elevation_deg);
        let sight = [sa * ce, ca * ce, -se];
        let up = [sa * se, ca * se, ce];
        let right = unit(cross(sight, up)).unwrap_or([1.0, 0.0, 0.0]);
        [sight, right, scale(up, -1.0)]
    }

    fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(ImagingError::Request(why));
        if !(self.azimuth_deg.abs() <= 3600.0 && self.elevation_deg.abs() <= 90.0) {
            return wrong(format!(
                "view {},{} is not possible: azimuth and elevation in degrees, elevation from -90 to 90",
                self.azimuth_deg, self.elevation_deg
            ));
        }
        let (width, height) = self.size;
        let side = 1..=PICTURE_SIDE_MAX;
        if !side.contains(&width) || !side.contains(&height) {
            return wrong(format!(
                "size {width},{height} is not possible: each side must be from 1 to {PICTURE_SIDE_MAX} pixels"
            ));
        }
        if self.pixel_mm.is_some_and(|p| !(1e-4..=1e4).contains(&p)) {
            return wrong("the pixel distance must be from 0.0001 to 10000 mm".into());
        }
        Ok(())
    }
}

/// Sine and cosine, exact at multiples of 90 degrees.
fn exact_sin_cos(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        other => other.to_radians().sin_cos(),
    }
}

/// The parallel rays of a view, in index coordinates.
pub(super) struct Rays {
    first: Vec3,
    right: Vec3,
    down: Vec3,
    pub(super) step: Vec3,
    pub(super) step_mm: f64,
    pub(super) sight: Vec3,
    count: usize,
    /// Largest way along an axis from a ray to its neighbour in a row.
    voxels_apart: f64,
    /// No sample of a run lies farther from its middle than the bounds of a cell reach.
    pub(super) bounded: bool,
    pub(super) pitch: Pitch,
}

impl Rays {
    pub(super) fn new(volume: &Volume, view: &View) -> Result<Self> {
        view.check()?;
        let grid = volume.grid();
        let [sight, right, down] = view.directions();
        let (width, height) = view.size;
        let pixel = view.pixel_mm.unwrap_or_else(|| {
            // half a voxel more on each side is part of the volume
            let rim = grid.finest_mm();
            let across = (2.0 * grid.half_extent(right) + rim) / width as f64;
            across.max((2.0 * grid.half_extent(down) + rim) / height as f64)
        });
        let per_mm = grid.index_step(sight).map(f64::abs);
        let crowded = grid.density_max();
        let fastest = per_mm[0].max(per_mm[1]).max(per_mm[2] * crowded.min(DENSITY_MAX));
        let step_mm = grid.finest_mm().min(1.0 / fastest.max(1e-9));
        let depth = grid.half_extent(sight) + 2.0 * grid.spacing_mm().iter().fold(0.0, |a: f64, b| a.max(*b));
        let count = (2.0 * depth / step_mm).ceil() as usize + 1;
        let corner = along(
            along(
                along(grid.centre_mm(), sight, -depth),
                right,
                -pixel * (width as f64 - 1.0) / 2.0,
            ),
            down,
            -pixel * (height as f64 - 1.0) / 2.0,
        );
        let step = grid.index_step(scale(sight, step_mm));
        let right = grid.index_step(scale(right, pixel));
        let apart = right.map(f64::abs);
        Ok(Self {
            first: grid.index_of(corner),
            right,
            voxels_apart: apart[0].max(apart[1]).max(apart[2] * crowded),
            down: grid.index_step(scale(down, pixel)),
            step,
            step_mm,
            sight,
            count,
            bounded: crowded <= DENSITY_MAX,
            pitch: Pitch::new(step),
        })
    }

    /// The ray of a pixel from before the volume, and which samples lie inside.
    fn whole(&self, sampler: &Sampler<'_>, x: usize, y: usize) -> (Vec3, Range<usize>) {
        let start = along(along(self.first, self.right, x as f64), self.down, y as f64);
        (start, sampler.inside(start, self.step, self.count))
    }

    /// The ray of a pixel: its first sample inside the volume, and how many there are.
    pub(super) fn ray(&self, sampler: &Sampler<'_>, x: usize, y: usize) -> (Vec3, usize) {
        let (start, inside) = self.whole(sampler, x, y);
        (along(start, self.step, inside.start as f64), inside.len())
    }
}

/// Projects the whole volume. Runs on the rayon pool of its caller. Pixels whose ray misses the volume have
/// [`Volume::outside`].
///
/// # Errors
/// [`ImagingError::Request`] for an impossible view.
pub fn project(volume: &Volume, view: &View, mode: SlabMode) -> Result<Reformat> {
    project_with(volume, view, mode, true)
}

pub(super) fn project_with(volume: &Volume, view: &View, mode: SlabMode, skip: bool) -> Result<Reformat> {
    let rays = Rays::new(volume, view)?;
    let (width, height) = view.size;
    let sampler = Sampler::new(volume, Interpolation::Linear);
    let cells = (skip && rays.bounded && mode != SlabMode::Mean).then(|| volume.cells());
    let mut values = vec![volume.outside(); width * height];
    values
        .par_chunks_mut(width * ROWS_AT_ONCE)
        .enumerate()
        .for_each(|(block, out)| {
            let mut walk = Walk::new(&sampler, cells, walk::abreast(rays.voxels_apart));
            let mut bundle: Vec<Ray<'_>> = Vec::with_capacity(BUNDLE);
            for (row, line) in out.chunks_mut(width).enumerate() {
                let y = block * ROWS_AT_ONCE + row;
                for left in (0..width).step_by(BUNDLE) {
                    bundle.clear();
                    for x in left..(left + BUNDLE).min(width) {
                        let (start, inside) = rays.whole(&sampler, x, y);
                        if !inside.is_empty() {
                            bundle.push(Ray::new(Line::new(start, &rays.pitch), inside, x));
                        }
                    }
                    walk.find(mode, &mut bundle);
                    for ray in &bundle {
                        line[ray.column()] = volume.rescale().apply(ray.found().into()) as f32;
                    }
                }
            }
        });
    Ok(Reformat {
        width,
        height,
        values,
    })
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::math::dot;
    use super::super::voxels::Rescale;
    use super::*;
    use proptest::prelude::*;

    fn view(azimuth_deg: f64, elevation_deg: f64, side: usize) -> View {
        View {
            azimuth_deg,
            elevation_deg,
            size: (side, side),
            pixel_mm: Some(1.0),
        }
    }

    fn balls(dims: [usize; 3], spacing: Vec3, balls: &[(Vec3, f64, i16)]) -> Volume {
        let [nx, ny, _] = dims;
        let values: Vec<i16> = (0..dims.iter().product())
            .map(|i| {
                let p = [
                    (i % nx) as f64 * spacing[0],
                    (i / nx % ny) as f64 * spacing[1],
                    (i / nx / ny) as f64 * spacing[2],
                ];
                let hit = balls.iter().find(|(c, r, _)| {
                    let d = [p[0] - c[0], p[1] - c[1], p[2] - c[2]];
                    dot(d, d) < r * r
                });
                hit.map_or(-1000, |b| b.2)
            })
            .collect();
        Volume::from_values(
            Grid::upright(dims, spacing).unwrap(),
            Rescale::default(),
            &values,
            u64::MAX,
        )
        .unwrap()
    }

    /// Middle of the pixels brighter than `above`, in millimetres right and down of the picture's middle.
    fn middle(picture: &Reformat, above: f32) -> [f64; 2] {
        let hits: Vec<[f64; 2]> = (0..picture.values.len())
            .filter(|i| picture.values[*i] > above)
            .map(|i| [(i % picture.width) as f64, (i / picture.width) as f64])
            .collect();
        let n = hits.len() as f64;
        assert!(n > 10.0);
        let half = [
            (picture.width - 1) as f64 / 2.0,
            (picture.height - 1) as f64 / 2.0,
        ];
        [0, 1].map(|a| hits.iter().map(|h| h[a]).sum::<f64>() / n - half[a])
    }

    #[test]
    fn a_ball_lands_where_the_view_says() {
        let (dims, spacing) = ([60, 50, 40], [1.0, 1.1, 1.5]);
        let ball = [40.0, 15.0, 42.0];
        let volume = balls(dims, spacing, &[(ball, 6.0, 700)]);
        let centre = volume.grid().centre_mm();
        let d = [ball[0] - centre[0], ball[1] - centre[1], ball[2] - centre[2]];
        // from the front: patient's left is right on the picture, head on top
        for (azimuth, elevation, expect) in [
            (0.0, 0.0, [d[0], -d[2]]),
            (90.0, 0.0, [-d[1], -d[2]]),
            (180.0, 0.0, [-d[0], -d[2]]),
            (0.0, 90.0, [d[0], -d[1]]),
            (0.0, -90.0, [d[0], d[1]]),
        ] {
            let picture = project(&volume, &view(azimuth, elevation, 120), SlabMode::Mip).unwrap();
            let got = middle(&picture, 0.0);
            let off = (got[0] - expect[0]).hypot(got[1] - expect[1]);
            assert!(off < 0.5, "{azimuth},{elevation}: {got:?} for {expect:?}");
        }
        let oblique = view(35.0, 20.0, 120);
        let [_, right, down] = oblique.directions();
        let got = middle(&project(&volume, &oblique, SlabMode::Mip).unwrap(), 0.0);
        assert!(
            (got[0] - dot(d, right)).hypot(got[1] - dot(d, down)) < 0.5,
            "{got:?}"
        );
    }

    #[test]
    fn the_whole_volume_fills_the_picture_and_the_mean_is_the_path() {
        let volume = balls([40, 40, 40], [1.0; 3], &[([20.0, 20.0, 20.0], 8.0, 1000)]);
        let whole = View {
            pixel_mm: None,
            ..view(0.0, 0.0, 41)
        };
        let picture = project(&volume, &whole, SlabMode::Mean).unwrap();
        let mid = f64::from(picture.values[20 * 41 + 20]);
        // 15 or 16 of 40 voxels along the middle ray lie in the ball
        assert!(
            (mid - (15.5 * 1000.0 - 24.5 * 1000.0) / 40.0).abs() < 60.0,
            "{mid}"
        );
        assert_eq!(picture.values[0], -1000.0);
    }

    #[test]
    fn impossible_views_are_refused() {
        let volume = balls([8, 8, 8], [1.0; 3], &[]);
        for bad in [
            view(f64::NAN, 0.0, 8),
            view(0.0, 91.0, 8),
            view(0.0, 0.0, 0),
            view(0.0, 0.0, 100_000),
        ] {
            assert!(project(&volume, &bad, SlabMode::Mip).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Passing over runs changes nothing.
        #[test]
        fn skipping_gives_the_same_picture(
            azimuth in 0.0_f64..360.0,
            elevation in -90.0_f64..90.0,
            seed: u64,
            uneven: bool,
        ) {
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
            let dims = [50, 43, 37];
            let values: Vec<i16> = (0..50 * 43 * 37)
                .map(|_| if next() % 500 == 0 { (next() % 2000) as i16 } else { (next() % 60) as i16 - 30 })
                .collect();
            let mut grid = Grid::upright(dims, [0.9, 1.0, 1.7]).unwrap();
            if uneven {
                let mut places = vec![0.0];
                for k in 1..37 {
                    places.push(places[k - 1] + 0.5 + (next() % 100) as f64 / 80.0);
                }
                grid = grid.with_places(&places).unwrap();
            }
            let volume = Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap();
            let seen = View { pixel_mm: None, ..view(azimuth, elevation, 24) };
            for mode in [SlabMode::Mip, SlabMode::MinIp] {
                let fast = project_with(&volume, &seen, mode, true).unwrap();
                let plain = project_with(&volume, &seen, mode, false).unwrap();
                prop_assert_eq!(fast, plain);
            }
        }
    }
}
