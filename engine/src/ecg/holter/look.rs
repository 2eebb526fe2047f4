//! What one window says by itself: beats with their shapes, which stretches can be read, ST levels by the minute.
//!
//! Windows are looked at side by side; nothing here depends on another window.

use super::quality::{self, Block};
use super::st;
use super::window::{Grid, Window};
use crate::ecg::beats::{Beat, BeatClass};
use crate::ecg::{filter, simd};
use std::ops::Range;

/// How far beyond its core a window tells its beats, in seconds: the seam is put between beats that both sides know.
pub(super) const OVERLAP_S: f64 = 4.0;
/// Rate that shapes are brought near to, in hertz.
const SHAPE_RATE_HZ: f64 = 125.0;
/// Window of a shape before and after the mark, in seconds.
const BEFORE_S: f64 = 0.110;
const AFTER_S: f64 = 0.260;
/// How far a shape may be moved to find its like, in seconds.
const SHIFT_S: f64 = 0.048;

/// Lengths of shapes, in samples of the reduced rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeSize {
    /// Samples of the record for one of the shape.
    pub(super) factor: usize,
    /// Samples before the mark, without the room for moving.
    pub(super) before: usize,
    /// Samples of one lead, without that room.
    pub(super) length: usize,
    /// Room for moving, on each side.
    pub(super) shift: usize,
}

impl ShapeSize {
    pub(super) fn new(rate_hz: f64) -> Self {
        let factor = (rate_hz / SHAPE_RATE_HZ).round().max(1.0) as usize;
        let samples = |seconds: f64| (seconds * rate_hz / factor as f64).round() as usize;
        Self {
            factor,
            before: samples(BEFORE_S),
            length: samples(BEFORE_S) + samples(AFTER_S),
            shift: samples(SHIFT_S),
        }
    }

    /// Samples of one lead with the room for moving.
    pub(super) fn wide(self) -> usize {
        self.length + 2 * self.shift
    }
}

/// One beat as a window sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SeenBeat {
    /// Mark in samples of the recording.
    pub(super) sample: u64,
    /// Class by the window alone.
    pub(super) class: BeatClass,
    /// Place of its shape in [`Seen::shapes`], where it has one.
    pub(super) shape: Option<usize>,
}

/// What one window says.
pub(super) struct Seen {
    pub(super) core: Range<u64>,
    pub(super) last: bool,
    /// Beats of the core and a little beyond, in time order.
    pub(super) beats: Vec<SeenBeat>,
    /// Shapes with room for moving, all leads one after the other.
    pub(super) shapes: Vec<f32>,
    /// Judgement of the core, block by block.
    pub(super) blocks: Vec<Block>,
    /// Stretches of the core in which no lead has a signal, in samples of the recording.
    pub(super) silent: Vec<Range<u64>>,
    /// ST levels of the core, minute by minute.
    pub(super) minutes: Vec<st::Minute>,
}

/// Looks at a window.
pub(super) fn look(window: &Window, rate_hz: f64, grid: Grid, size: ShapeSize) -> Seen {
    let (found, gaps) = filter::beats_and_gaps(&window.leads, rate_hz);
    let core = (window.core.start - window.start) as usize..(window.core.end - window.start) as usize;
    let leads: Vec<&[f32]> = window.leads.iter().map(|lead| &*lead.samples_uv).collect();
    let blocks = quality::judge(&leads, &gaps, &found, core.clone(), rate_hz);
    let fiducials = st::Fiducials::find(&leads, &found, &gaps, core.clone(), rate_hz);
    let minutes = st::minutes(
        &leads,
        &found,
        &gaps,
        &blocks,
        fiducials,
        core.clone(),
        grid.minute,
        rate_hz,
    );
    let overlap = (OVERLAP_S * rate_hz) as usize;
    let told = core.start.saturating_sub(overlap)..core.end + overlap;
    let mut seen = Seen {
        core: window.core.clone(),
        last: window.last,
        beats: Vec::new(),
        shapes: Vec::new(),
        blocks,
        silent: silent(&gaps, &core)
            .into_iter()
            .map(|gap| window.start + gap.start as u64..window.start + gap.end as u64)
            .collect(),
        minutes,
    };
    let reduced: Vec<Vec<f32>> = leads.iter().map(|lead| reduced(lead, size.factor)).collect();
    for Beat { sample, class } in found {
        if !told.contains(&sample) {
            continue;
        }
        let shape = cut_out(&reduced, sample / size.factor, size, &mut seen.shapes);
        seen.beats.push(SeenBeat {
            sample: window.start + sample as u64,
            class,
            shape,
        });
    }
    seen
}

fn reduced(lead: &[f32], factor: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(lead.len() / factor + 1);
    simd::reduce(lead, factor, &mut out);
    out
}

/// Puts the shape round `centre` behind the others; `None` where the window does not hold all of it. A lead with a gap
/// there takes no part.
fn cut_out(reduced: &[Vec<f32>], centre: usize, size: ShapeSize, shapes: &mut Vec<f32>) -> Option<usize> {
    let from = centre.checked_sub(size.before + size.shift)?;
    let to = from + size.wide();
    if reduced.iter().any(|lead| lead.len() < to) {
        return None;
    }
    let place = shapes.len();
    for lead in reduced {
        let part = &lead[from..to];
        if simd::all_finite(part) {
            let mean = part.iter().sum::<f32>() / part.len() as f32;
            shapes.extend(part.iter().map(|value| value - mean));
        } else {
            shapes.resize(shapes.len() + part.len(), 0.0);
        }
    }
    Some(place)
}

/// Stretches of `core` that lie in the gaps of every lead.
fn silent(gaps: &[Vec<Range<usize>>], core: &Range<usize>) -> Vec<Range<usize>> {
    let Some((first, others)) = gaps.split_first() else {
        return Vec::new();
    };
    let mut common: Vec<Range<usize>> = first.clone();
    for lead in others {
        let mut both = Vec::new();
        let (mut a, mut b) = (common.iter().peekable(), lead.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (start, end) = (x.start.max(y.start), x.end.min(y.end));
            if start < end {
                both.push(start..end);
            }
            if x.end <= y.end {
                a.next();
            } else {
                b.next();
            }
        }
        common = both;
    }
    let cut = common
        .into_iter()
        .map(|gap| gap.start.max(core.start)..gap.end.min(core.end));
    cut.filter(|gap| gap.start < gap.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_what_all_leads_share() {
        let check = |gaps: &[Vec<Range<usize>>], expect: &[Range<usize>]| {
            assert_eq!(silent(gaps, &(10..90)), expect, "{gaps:?}");
        };
        check(&[vec![0..20, 30..40, 50..95]], &[10..20, 30..40, 50..90]);
        check(
            &[vec![0..20, 30..40], vec![15..33, 34..35]],
            &[15..20, 30..33, 34..35],
        );
        check(&[vec![0..12, 14..20], vec![]], &[]);
        check(&[vec![0..5, 91..95], vec![0..5, 92..96]], &[]);
        check(&[], &[]);
    }
}
