//! Composite ray casting: values become colour and opacity, surfaces are shaded by the light of the viewer's lamp.

use super::lines::Lines;
use super::math::{Vec3, dot, length};
use super::presets::{Preset, Table};
use super::project::{ROWS_AT_ONCE, RUN, Rays, View};
use super::sample::{CHUNK, Interpolation, Line, ONE, Points, Sampler};
use super::slab::SlabMode;
use super::voxels::Volume;
use crate::error::Result;
use crate::pixel::Picture;
use rayon::prelude::*;

/// A ray ends when this much of what lies behind is hidden: the rest is less than one grey level.
const OPAQUE: f32 = 0.997;
/// Points for one gradient.
const AROUND: usize = 6;
/// Samples whose gradients are taken together.
const SHADED: usize = CHUNK / AROUND;
/// Light that comes from everywhere, light by the angle of the surface, and highlights.
const AMBIENT: f32 = 0.30;
const DIFFUSE: f32 = 0.65;
const SPECULAR: f32 = 0.20;
const SHININESS: i32 = 24;
/// Part of the volume's range per millimetre from which on a gradient is a surface.
const SURFACE: f64 = 0.01;

/// A composite projection for devices that sample by themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// A ray for each pixel.
    pub lines: Lines,
    /// Opacity of one step, red, green and blue, each from 0 to 1.
    pub table: Vec<[f32; 4]>,
    /// Stored value of the table's first entry.
    pub table_low: f32,
    /// Entries for each stored value.
    pub table_per_value: f32,
    /// Change for each millimetre along x, y, z that belongs to a change of 1 for each voxel along a row, a column and
    /// the slices.
    pub gradients: [[f32; 3]; 3],
    /// Direction in which the viewer looks.
    pub sight: [f32; 3],
    /// Gradient of a surface, in stored values for each millimetre.
    pub surface: f32,
    /// Light from everywhere, light by the surface's angle, highlights; the part hidden at which a ray ends.
    pub light: [f32; 4],
    /// Exponent of the highlights.
    pub shininess: i32,
}

impl Volume {
    /// What [`composite`] is made of; `None` where slices are unevenly spaced.
    ///
    /// # Errors
    /// As [`composite`].
    pub fn scene(&self, view: &View, preset: Preset) -> Result<Option<Scene>> {
        let Some(lines) = self.lines_of_projection(view, SlabMode::Mip)? else {
            return Ok(None);
        };
        let rays = Rays::new(self, view)?;
        let table = Table::new(preset, self, rays.step_mm);
        let (table_low, table_per_value) = table.scale();
        let unit = |axis: usize| std::array::from_fn(|i| if i == axis { 1.0 } else { 0.0 });
        let single = |v: Vec3| v.map(|x| x as f32);
        Ok(Some(Scene {
            lines,
            table: table.entries().to_vec(),
            table_low,
            table_per_value,
            gradients: [0, 1, 2].map(|axis| single(self.grid().gradient_mm(unit(axis)))),
            sight: single(rays.sight),
            surface: surface(self) as f32,
            light: [AMBIENT, DIFFUSE, SPECULAR, OPAQUE],
            shininess: SHININESS,
        }))
    }
}

fn surface(volume: &Volume) -> f64 {
    let (low, high) = volume.range();
    ((high - low) * SURFACE / volume.rescale().slope).max(1e-6)
}

/// Draws the volume in colour on black. Runs on the rayon pool of its caller.
///
/// # Errors
/// [`crate::ImagingError::Request`] for an impossible view.
pub fn composite(volume: &Volume, view: &View, preset: Preset) -> Result<Picture> {
    composite_with(volume, view, preset, true)
}

pub(super) fn composite_with(volume: &Volume, view: &View, preset: Preset, skip: bool) -> Result<Picture> {
    let rays = Rays::new(volume, view)?;
    let (width, height) = view.size;
    let sampler = Sampler::new(volume, Interpolation::Linear);
    let table = Table::new(preset, volume, rays.step_mm);
    let seen = (skip && rays.bounded).then(|| visible_cells(volume, &table));
    let scene = Look {
        volume,
        sampler,
        table,
        seen,
        sight: rays.sight,
        surface: surface(volume),
    };
    let mut data = vec![0_u8; width * height * 3];
    data.par_chunks_mut(width * ROWS_AT_ONCE * 3)
        .enumerate()
        .for_each(|(block, out)| {
            let mut points = Points::new();
            for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (x, y) = (i % width, block * ROWS_AT_ONCE + i / width);
                let (start, count) = rays.ray(&scene.sampler, x, y);
                let colour = scene.trace(&Line::new(start, &rays.pitch), count, &mut points);
                *pixel = colour.map(|c| (c * 255.0 + 0.5) as u8);
            }
        });
    Ok(Picture {
        width: width as u32,
        height: height as u32,
        channels: 3,
        data,
    })
}

/// For each cell whether anything in it or next to it is seen.
fn visible_cells(volume: &Volume, table: &Table) -> Vec<bool> {
    let cells = &volume.cells().coarse;
    let bounds = cells.least().par_iter().zip(cells.most());
    bounds.map(|(least, most)| table.sees(*least, *most)).collect()
}

struct Look<'v> {
    volume: &'v Volume,
    sampler: Sampler<'v>,
    table: Table,
    seen: Option<Vec<bool>>,
    sight: Vec3,
    /// Gradient of a surface in stored values per millimetre.
    surface: f64,
}

impl Look<'_> {
    /// Colour of one ray, front to back.
    fn trace(&self, line: &Line<'_>, count: usize, points: &mut Points) -> [f32; 3] {
        let mut ray = Ray {
            colour: [0.0; 3],
            through: 1.0,
        };
        for from in (0..count).step_by(RUN) {
            if let Some(seen) = &self.seen {
                let middle = self.sampler.settled(line.at(from + RUN / 2));
                if !seen[self.volume.cells().coarse.of_point(middle)] {
                    continue;
                }
            }
            let n = RUN.min(count - from);
            let mut values = [0.0; RUN];
            self.sampler.run(line, from, points, &mut values[..n]);
            let places: [[i32; 3]; RUN] = std::array::from_fn(|i| [points.x[i], points.y[i], points.z[i]]);
            let mut dense = [(0, [0.0; 4]); RUN];
            let mut found = 0;
            for (i, value) in values[..n].iter().enumerate() {
                let look = self.table.look(*value);
                if look[0] > 0.0 {
                    dense[found] = (i, look);
                    found += 1;
                }
            }
            for part in dense[..found].chunks(SHADED) {
                self.shade(part, &places, points, &mut ray);
                if ray.through < 1.0 - OPAQUE {
                    return ray.colour;
                }
            }
        }
        ray.colour
    }

    /// Adds samples to the ray, each lit by its surface.
    fn shade(
        &self,
        part: &[(usize, [f32; 4])],
        places: &[[i32; 3]; RUN],
        points: &mut Points,
        ray: &mut Ray,
    ) {
        for (number, (i, _)) in part.iter().enumerate() {
            for axis in 0..3 {
                for (side, step) in [(0, -ONE), (1, ONE)] {
                    let mut place = places[*i];
                    place[axis] += step;
                    let at = number * AROUND + axis * 2 + side;
                    (points.x[at], points.y[at], points.z[at]) = (place[0], place[1], place[2]);
                }
            }
        }
        let mut around = [0.0; CHUNK];
        self.sampler.points(points, &mut around[..part.len() * AROUND]);
        for ((_, look), around) in part.iter().zip(around.as_chunks::<AROUND>().0) {
            let slope = |axis: usize| f64::from(around[axis * 2 + 1] - around[axis * 2]) / 2.0;
            let gradient = self.volume.grid().gradient_mm([slope(0), slope(1), slope(2)]);
            ray.add(*look, self.light(gradient));
        }
    }

    /// Brightness and highlight of a surface across `gradient`, lit from the viewer.
    fn light(&self, gradient: Vec3) -> (f32, f32) {
        let steep = length(gradient);
        let surface = (steep / self.surface).min(1.0) as f32;
        let facing = if steep > 0.0 {
            (dot(gradient, self.sight) / steep).abs() as f32
        } else {
            1.0
        };
        // where nothing is steep there is no surface to shade
        let diffuse = 1.0 + (facing - 1.0) * surface;
        (
            AMBIENT + DIFFUSE * diffuse,
            SPECULAR * surface * facing.powi(SHININESS),
        )
    }
}

struct Ray {
    colour: [f32; 3],
    /// What still shines through.
    through: f32,
}

impl Ray {
    fn add(&mut self, look: [f32; 4], (light, highlight): (f32, f32)) {
        let weight = self.through * look[0];
        for (c, own) in self.colour.iter_mut().zip(&look[1..]) {
            *c += weight * (own * light + highlight).min(1.0);
        }
        self.through *= 1.0 - look[0];
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::voxels::Rescale;
    use super::*;

    /// A bone ball in soft tissue, and air around.
    fn ball() -> Volume {
        let n = 48_usize;
        let values: Vec<i16> = (0..n * n * n)
            .map(|i| {
                let p = [i % n, i / n % n, i / n / n].map(|v| v as f64 - 23.5);
                match length(p) {
                    r if r < 10.0 => 1000,
                    r if r < 20.0 => 40,
                    _ => -1000,
                }
            })
            .collect();
        let grid = Grid::upright([n; 3], [1.0; 3]).unwrap();
        Volume::from_values(grid, Rescale::default(), &values, u64::MAX).unwrap()
    }

    fn view(azimuth_deg: f64) -> View {
        View {
            azimuth_deg,
            elevation_deg: 10.0,
            size: (64, 64),
            pixel_mm: Some(1.0),
        }
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        let at = (y * picture.width as usize + x) * 3;
        [picture.data[at], picture.data[at + 1], picture.data[at + 2]]
    }

    #[test]
    fn bone_shows_through_tissue_and_is_shaded_to_the_rim() {
        let picture = composite(&ball(), &view(30.0), Preset::CtBone).unwrap();
        let (middle, rim) = (pixel(&picture, 32, 32), pixel(&picture, 32 + 9, 32));
        assert!(middle[0] > 200, "{middle:?}");
        assert!(rim[0] > 20 && rim[0] + 30 < middle[0], "{rim:?} {middle:?}");
        assert_eq!(pixel(&picture, 32 + 15, 32), [0; 3]);
        assert_eq!(pixel(&picture, 0, 0), [0; 3]);
    }

    #[test]
    fn skipping_gives_the_same_picture() {
        let volume = ball();
        for (_, preset) in Preset::ALL {
            for azimuth in [0.0, 77.0] {
                let fast = composite_with(&volume, &view(azimuth), preset, true).unwrap();
                let plain = composite_with(&volume, &view(azimuth), preset, false).unwrap();
                assert_eq!(fast, plain, "{preset:?}");
            }
        }
    }
}
