//! Beats and edges of waves on the traces.

use std::ops::Range;

use super::{Anchor, MarkKind, Marks, Shape};
use crate::ecg::beats::{self, BeatClass, Leads};
use crate::ecg::delineate;
use crate::ecg::record::Record;

/// Height of the tick of a beat.
const BEAT_MM: f64 = 2.0;
/// Half the height of the line at an edge.
const EDGE_MM: f64 = 4.0;

/// A strip of the page.
pub(super) struct Place {
    /// Left edge.
    pub(super) x: f64,
    /// Its zero line.
    pub(super) middle: f64,
    /// Height of its row.
    pub(super) row_mm: f64,
    /// Samples of the window that it shows.
    pub(super) samples: Range<usize>,
}

/// The marks of all strips. They are found on the shown part of the recording with some seconds around it.
pub(super) fn on(window: &Record, wanted: Marks, places: &[Place], mm_per_sample: f64) -> Vec<Shape> {
    let mut out = Vec::new();
    let found = beats::detect(window, Leads::Fused);
    let edges: Vec<(usize, MarkKind)> = match wanted {
        Marks::Fiducials => edges(window),
        Marks::None | Marks::Beats => Vec::new(),
    };
    for place in places {
        let x_of = |sample: usize| place.x + (sample - place.samples.start) as f64 * mm_per_sample;
        let top = place.middle - place.row_mm * 0.5 + 0.5;
        for beat in found.iter().filter(|beat| place.samples.contains(&beat.sample)) {
            let x = x_of(beat.sample);
            out.push(Shape::Mark {
                x,
                top,
                bottom: top + BEAT_MM,
                kind: MarkKind::Beat,
            });
            if beat.class != BeatClass::Normal {
                out.push(letter(x + 0.6, top + BEAT_MM, beat.class));
            }
        }
        let half = EDGE_MM.min(place.row_mm * 0.4);
        for (sample, kind) in edges.iter().filter(|(sample, _)| place.samples.contains(sample)) {
            out.push(Shape::Mark {
                x: x_of(*sample),
                top: place.middle - half,
                bottom: place.middle + half,
                kind: *kind,
            });
        }
    }
    out
}

fn letter(x: f64, y: f64, class: BeatClass) -> Shape {
    Shape::Text {
        x,
        y,
        size: 2.6,
        bold: true,
        anchor: Anchor::Start,
        lead: None,
        text: class.letter().to_string(),
    }
}

fn edges(window: &Record) -> Vec<(usize, MarkKind)> {
    let mut out = Vec::new();
    for beat in delineate::delineate(window, Leads::Fused) {
        let marks = [
            (beat.p_on, MarkKind::P),
            (beat.p_off, MarkKind::P),
            (beat.qrs_on, MarkKind::Qrs),
            (beat.qrs_off, MarkKind::Qrs),
            (beat.t_off, MarkKind::T),
        ];
        out.extend(
            marks
                .into_iter()
                .filter_map(|(sample, kind)| Some((sample?, kind))),
        );
    }
    out
}
