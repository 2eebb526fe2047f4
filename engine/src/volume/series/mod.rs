//! From slices in any order to one volume's lattice: sorted by position along the normal, gaps, uneven spacing, tilt,
//! repeated places and several volumes in one series found and said (PS3.3 C.7.6.2).

mod finding;
mod slice;
mod split;
mod stack;

pub use finding::Finding;
pub use slice::{Mark, Slice};
pub use stack::{SeriesVolume, SliceValues, Stack};

use super::grid::Grid;
use super::math::{Vec3, along, dot, length, scale, sub};
use crate::error::{ImagingError, Result};

/// Cosine above which two directions are the same: 0.8 degrees.
const SAME_DIRECTION: f64 = 0.9999;
/// Relative difference below which two spacings are the same.
const SAME_SPACING: f64 = 1e-3;
/// Part of the usual distance that a distance may differ by and still be even.
const EVEN_PART: f64 = 0.02;
const EVEN_MM: f64 = 0.01;
/// Multiple of the usual distance from which on slices are missing.
const GAP_PART: f64 = 1.5;
/// Part of all distances that are even where a longer one is a gap, not a habit.
const GAP_EVEN_SHARE: f64 = 0.6;
/// Angle from which on slices are called tilted.
const TILT_DEG: f64 = 0.1;
/// Sideways shift that is no more than rounding, in parts of a pixel.
const SHIFT_PIXELS: f64 = 0.2;
/// Kinds of images that one series may mix.
const KINDS_MAX: usize = 64;
/// Gaps that are told one by one.
const GAPS_MAX: usize = 20;

/// A series as a volume: which slices, in which order, on which lattice.
#[derive(Debug, Clone)]
pub struct Series {
    /// Places in the list that was given, from the first slice to the last.
    pub order: Vec<usize>,
    /// Where the voxels lie.
    pub grid: Grid,
    /// Volumes in the series; one of them is this.
    pub volumes: usize,
    /// Everything worth knowing; empty for a sound series.
    pub findings: Vec<Finding>,
}

impl Series {
    /// Puts the slices of one series in order. `volume` chooses among several, counted from 1.
    ///
    /// # Errors
    /// [`ImagingError::NoVolume`] without slices and for several series mixed; [`ImagingError::Request`] for a volume
    /// that is not there.
    pub fn arrange(slices: &[Slice], volume: usize) -> Result<Self> {
        one_series(slices)?;
        let mut findings = Vec::new();
        let all: Vec<usize> = (0..slices.len()).collect();
        let kept = without_localizers(slices, all, &mut findings);
        let kept = largest_kind(slices, kept, &mut findings);
        let normal = slices[kept[0]].normal();
        let (order, volumes) = split::one_volume(slices, kept, normal, volume, &mut findings)?;
        let grid = lattice(slices, &order, normal, &mut findings)?;
        Ok(Self {
            order,
            grid,
            volumes,
            findings,
        })
    }

    /// Gaps among the findings.
    pub fn gaps(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| matches!(f, Finding::Gap { .. }))
    }
}

fn one_series(slices: &[Slice]) -> Result<()> {
    let Some(first) = slices.first() else {
        return Err(ImagingError::NoVolume(
            "there is no image with a place in the patient".into(),
        ));
    };
    let mut uids: Vec<&str> = slices.iter().map(|s| s.series_uid.as_str()).collect();
    uids.sort_unstable();
    uids.dedup();
    if uids.len() > 1 {
        return Err(ImagingError::NoVolume(format!(
            "they belong to {} series; choose one of them, such as {}",
            uids.len(),
            first.series_uid
        )));
    }
    Ok(())
}

fn without_localizers(slices: &[Slice], all: Vec<usize>, findings: &mut Vec<Finding>) -> Vec<usize> {
    let (overview, rest): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| slices[**i].localizer);
    if rest.is_empty() || overview.is_empty() {
        return all;
    }
    findings.push(Finding::Localizers {
        count: overview.len(),
    });
    rest
}

/// The largest set of slices of one direction, size, spacing and frame of reference; the first of equal ones.
fn largest_kind(slices: &[Slice], all: Vec<usize>, findings: &mut Vec<Finding>) -> Vec<usize> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    let mut rest = 0;
    for i in all {
        let of = |kind: &Vec<usize>| {
            same_direction(&slices[kind[0]], &slices[i]) && same_shape(&slices[kind[0]], &slices[i])
        };
        match kinds.iter().position(of) {
            Some(kind) => kinds[kind].push(i),
            None if kinds.len() < KINDS_MAX => kinds.push(vec![i]),
            None => rest += 1,
        }
    }
    let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
    let Some(chosen) = kinds.iter().position(|k| k.len() == most) else {
        return Vec::new();
    };
    let kind = kinds.swap_remove(chosen);
    let (turned, other): (Vec<usize>, Vec<usize>) = kinds
        .into_iter()
        .flatten()
        .partition(|i| !same_direction(&slices[kind[0]], &slices[*i]));
    if !turned.is_empty() {
        findings.push(Finding::OtherDirection { count: turned.len() });
    }
    if other.len() + rest > 0 {
        findings.push(Finding::OtherShape {
            count: other.len() + rest,
        });
    }
    kind
}

fn same_direction(a: &Slice, b: &Slice) -> bool {
    (0..2).all(|k| dot(a.directions[k], b.directions[k]) > SAME_DIRECTION)
}

fn same_shape(a: &Slice, b: &Slice) -> bool {
    let near = |k: usize| (a.spacing_mm[k] - b.spacing_mm[k]).abs() <= SAME_SPACING * a.spacing_mm[k];
    a.size == b.size && near(0) && near(1) && a.frame_of_reference_uid == b.frame_of_reference_uid
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The lattice of slices in order, at different places.
fn lattice(slices: &[Slice], order: &[usize], normal: Vec3, findings: &mut Vec<Finding>) -> Result<Grid> {
    let first = &slices[order[0]];
    let [rows, columns] = first.size;
    let dims = [columns, rows, order.len()];
    let x = scale(first.directions[0], first.spacing_mm[1]);
    let y = scale(first.directions[1], first.spacing_mm[0]);
    let last = &slices[order[order.len() - 1]];
    let way = sub(last.position_mm, first.position_mm);
    let depth = dot(way, normal);
    if order.len() < 2 {
        findings.push(Finding::Single);
        let z = scale(normal, first.thickness_mm.unwrap_or(1.0));
        return Grid::new(dims, first.position_mm, [x, y, z]);
    }
    let places: Vec<f64> = order
        .iter()
        .map(|i| dot(sub(slices[*i].position_mm, first.position_mm), normal))
        .collect();
    let distances: Vec<f64> = places.windows(2).map(|w| w[1] - w[0]).collect();
    let usual = median(&distances);
    let uneven = uneven(&distances, usual, findings);
    // the way of one millimetre along the normal, with the tilt's sideways part
    let lean = scale(way, 1.0 / depth);
    shifts(slices, order, lean, &places, findings);
    let usual = if uneven {
        usual
    } else {
        depth / distances.len() as f64
    };
    let grid = Grid::new(dims, first.position_mm, [x, y, scale(lean, usual)])?;
    let tilt = grid.tilt_deg();
    if tilt.abs() >= TILT_DEG {
        findings.push(Finding::Tilt { degrees: tilt });
    }
    if !uneven {
        return Ok(grid);
    }
    let places: Vec<f64> = places.iter().map(|p| p / usual).collect();
    grid.with_places(&places)
}

/// Whether the true places must be used; says why.
fn uneven(distances: &[f64], usual: f64, findings: &mut Vec<Finding>) -> bool {
    let slack = (usual * EVEN_PART).max(EVEN_MM);
    let even = |d: f64| (d - usual).abs() <= slack;
    let even_count = distances.iter().filter(|d| even(**d)).count();
    if even_count == distances.len() {
        return false;
    }
    let mostly = even_count as f64 >= GAP_EVEN_SHARE * distances.len() as f64;
    let is_gap = |d: f64| mostly && d >= GAP_PART * usual;
    let gaps = distances.iter().enumerate().filter(|(_, d)| is_gap(**d));
    for (i, d) in gaps.take(GAPS_MAX) {
        findings.push(Finding::Gap {
            after: i + 1,
            missing: ((d / usual).round() as usize).max(2) - 1,
            distance_mm: *d,
        });
    }
    let rest = || distances.iter().copied().filter(|d| !is_gap(*d));
    if rest().any(|d| !even(d)) {
        findings.push(Finding::Uneven {
            least_mm: rest().fold(f64::INFINITY, f64::min),
            most_mm: rest().fold(0.0, f64::max),
        });
    }
    true
}

/// Says when slices leave the straight line from the first to the last.
fn shifts(slices: &[Slice], order: &[usize], lean: Vec3, places: &[f64], findings: &mut Vec<Finding>) {
    let first = &slices[order[0]];
    let most_mm = order
        .iter()
        .zip(places)
        .map(|(i, place)| {
            length(sub(
                slices[*i].position_mm,
                along(first.position_mm, lean, *place),
            ))
        })
        .fold(0.0, f64::max);
    if most_mm > SHIFT_PIXELS * first.spacing_mm[0].min(first.spacing_mm[1]) {
        findings.push(Finding::Shifted { most_mm });
    }
}

#[cfg(test)]
mod tests;
