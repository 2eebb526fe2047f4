//! Slices that share a place: several volumes in one series, or the same slice twice.

use super::finding::Finding;
use super::slice::{Mark, Slice};
use crate::error::{ImagingError, Result};
use crate::volume::math::{Vec3, dot};
use std::cmp::Ordering;

/// Slices nearer than this are at one place.
const SAME_PLACE_MM: f64 = 0.005;
/// What is tried, most telling first.
const MARKS: [Mark; 9] = [
    Mark::Time,
    Mark::Stack,
    Mark::Echo,
    Mark::BValue,
    Mark::HeartPhase,
    Mark::ReferenceTime,
    Mark::Acquisition,
    Mark::ImageType,
    Mark::AcquisitionTime,
];

/// The slices of volume `wanted` (from 1) in order along the normal, one at each place, and how many volumes there are.
pub(super) fn one_volume(
    slices: &[Slice],
    mut all: Vec<usize>,
    normal: Vec3,
    wanted: usize,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<usize>, usize)> {
    let place = |i: usize| dot(slices[i].position_mm, normal);
    let by_place = |a: &usize, b: &usize| {
        let near = place(*a).total_cmp(&place(*b));
        near.then(slices[*a].instance_number.cmp(&slices[*b].instance_number))
            .then(slices[*a].frame.cmp(&slices[*b].frame))
    };
    all.sort_by(by_place);
    let places = at_one_place(slices, &all, place);
    let most = places.iter().map(Vec::len).max().unwrap_or(0);
    let volumes = if most > 1 {
        told_apart(slices, &places, most)
    } else {
        None
    };
    let Some((by, volumes)) = volumes else {
        if wanted != 1 {
            return Err(no_such(wanted, 1));
        }
        let order: Vec<usize> = places.iter().map(|p| p[0]).collect();
        if order.len() < all.len() {
            findings.push(Finding::Duplicates {
                count: all.len() - order.len(),
            });
        }
        return Ok((order, 1));
    };
    let count = volumes.len();
    let order = wanted
        .checked_sub(1)
        .and_then(|i| volumes.into_iter().nth(i))
        .ok_or_else(|| no_such(wanted, count))?;
    findings.push(Finding::Volumes {
        count,
        by,
        chosen: wanted,
    });
    Ok((order, count))
}

fn no_such(wanted: usize, count: usize) -> ImagingError {
    ImagingError::Request(format!(
        "there is no volume {wanted}: the series holds {count}, counted from 1"
    ))
}

/// Runs of slices that lie at one place, by instance number within each.
fn at_one_place(slices: &[Slice], sorted: &[usize], place: impl Fn(usize) -> f64) -> Vec<Vec<usize>> {
    let mut places: Vec<Vec<usize>> = Vec::new();
    for i in sorted {
        match places.last_mut() {
            Some(last) if place(*i) - place(last[0]) < SAME_PLACE_MM => last.push(*i),
            _ => places.push(vec![*i]),
        }
    }
    for p in &mut places {
        p.sort_by_key(|i| (slices[*i].instance_number, slices[*i].frame));
    }
    places
}

/// The volumes of a series whose fullest place has `most` slices; `None` when they are mere repetitions.
fn told_apart(slices: &[Slice], places: &[Vec<usize>], most: usize) -> Option<(Mark, Vec<Vec<usize>>)> {
    for mark in MARKS {
        let mut values: Vec<&str> = places
            .iter()
            .flatten()
            .filter_map(|i| slices[*i].mark(mark))
            .collect();
        values.sort_by(|a, b| in_order(a, b));
        values.dedup();
        if values.len() != most {
            continue;
        }
        let volumes: Vec<Vec<usize>> = values
            .iter()
            .map(|value| {
                let of_value = |i: &&usize| slices[**i].mark(mark) == Some(value);
                places.iter().flatten().filter(of_value).copied().collect()
            })
            .collect();
        // each volume has at most one slice at a place, and none is lost
        let once = places.iter().all(|p| {
            let mut own: Vec<_> = p.iter().map(|i| slices[*i].mark(mark)).collect();
            own.sort_unstable();
            own.windows(2).all(|w| w[0] != w[1])
        });
        let whole = volumes.iter().map(Vec::len).sum::<usize>() == places.iter().map(Vec::len).sum::<usize>();
        if once && whole {
            return Some((mark, volumes));
        }
    }
    // the same number everywhere, told apart by nothing but their order
    let everywhere = places.iter().all(|p| p.len() == most) && places.len() > 1;
    everywhere.then(|| {
        let volumes = (0..most).map(|k| places.iter().map(|p| p[k]).collect());
        (Mark::Number, volumes.collect())
    })
}

/// Numbers by value, other texts by their letters.
fn in_order(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y),
        _ => a.cmp(b),
    }
}
