//! Places leads, grid and texts on the page.

use std::ops::Range;

use super::header::{self, text};
use super::marks::{self, Place};
use super::{Anchor, Drawing, Layout, Marks, PAGE_HEIGHT_MM, PAGE_WIDTH_MM, PaperOptions, Shape};
use crate::ecg::filter::{self, Mains, Path};
use crate::ecg::record::{Record, STANDARD_LEADS};

/// Left edge of the grid and of everything on it.
const LEFT_MM: f64 = 11.0;
/// Upper edge of the grid.
const TOP_MM: f64 = 38.0;
/// Size of the grid.
const GRID_WIDTH_MM: f64 = 275.0;
const GRID_HEIGHT_MM: f64 = 160.0;
/// Where the traces start, right of the calibration pulse.
const TRACE_LEFT_MM: f64 = LEFT_MM + 15.0;
/// Room for the traces: 10 s at 25 mm/s.
const TRACE_WIDTH_MM: f64 = 250.0;
/// Most rows on one page.
const ROWS_MAX: usize = 12;

/// Place of aVR among the standard leads.
const AVR: usize = 3;
/// The limb leads in the order of the frontal plane.
const CABRERA_LEADS: [usize; 6] = [4, 0, AVR, 1, 5, 2];

/// A piece of one lead in its place.
struct Strip {
    lead: usize,
    row: usize,
    /// Left edge on the page.
    x: f64,
    /// Samples shown, counted in the window of the page.
    samples: Range<usize>,
    /// Drawn upside down, as Cabrera's -aVR is.
    is_inverted: bool,
}

/// Places the page. Gain and speed are taken as given where they are positive, else as 10 mm/mV and 25 mm/s.
#[must_use]
pub fn draw(record: &Record, options: &PaperOptions) -> Drawing {
    let speed = if options.speed_mm_s > 0.0 {
        options.speed_mm_s
    } else {
        25.0
    };
    let gain = if options.gain_mm_mv > 0.0 {
        options.gain_mm_mv
    } else {
        10.0
    };
    let rate = record.sampling_rate_hz;
    let shown = ((TRACE_WIDTH_MM / speed * rate).ceil() as usize + 1).min(record.len());
    let start = ((options.start_s.max(0.0) * rate) as usize).min(record.len().saturating_sub(1));
    // Some seconds beside the page let the filters settle.
    let context = (4.0 * rate) as usize;
    let from = start.saturating_sub(context);
    let window = record
        .window(from..(start + shown + context).min(record.len()))
        .with_derived_limb_leads();
    let offset = start - from;
    let signals = filter::apply(&window, options.path, options.mains);
    let (strips, rows) = strips(&window, options.layout, shown);
    let mut shapes = vec![Shape::Grid {
        x: LEFT_MM,
        y: TOP_MM,
        width: GRID_WIDTH_MM,
        height: GRID_HEIGHT_MM,
    }];
    let row_mm = GRID_HEIGHT_MM / rows as f64;
    let mm_per_sample = speed / rate;
    let sheet = Sheet {
        row_mm,
        mm_per_sample,
        gain,
    };
    for row in 0..rows {
        shapes.push(calibration(LEFT_MM + 4.0, sheet.middle(row), gain, speed));
    }
    for strip in &strips {
        let Some(signal) = signals.get(strip.lead) else {
            continue;
        };
        let part = signal.get(offset + strip.samples.start..(offset + strip.samples.end).min(signal.len()));
        let name = window.leads.get(strip.lead).map_or("", |l| l.name.as_str());
        shapes.extend(sheet.lead(strip, part.unwrap_or_default(), name));
    }
    if options.marks != Marks::None {
        let places: Vec<Place> = strips.iter().map(|strip| sheet.place(strip, offset)).collect();
        shapes.extend(marks::on(&window, options.marks, &places, mm_per_sample));
    }
    shapes.extend(header::shapes(record, &options.header, LEFT_MM));
    shapes.extend(footer(record, options, speed, gain));
    Drawing {
        width_mm: PAGE_WIDTH_MM,
        height_mm: PAGE_HEIGHT_MM,
        shapes,
    }
}

/// How strips are drawn on this page.
struct Sheet {
    row_mm: f64,
    mm_per_sample: f64,
    gain: f64,
}

impl Sheet {
    /// Zero line of a row.
    fn middle(&self, row: usize) -> f64 {
        TOP_MM + ((row as f64 + 0.5) * self.row_mm).round()
    }

    /// Traces and name of a lead.
    fn lead(&self, strip: &Strip, signal: &[f32], name: &str) -> Vec<Shape> {
        let (sign, gain) = match strip.is_inverted {
            true => ("-", -self.gain),
            false => ("", self.gain),
        };
        let name = format!("{sign}{name}");
        let middle = self.middle(strip.row);
        let drawn = traces(signal, strip.x, middle, self.mm_per_sample, gain);
        let mut shapes: Vec<Shape> = drawn
            .into_iter()
            .map(|points| Shape::Trace {
                lead: Some(name.clone()),
                points,
            })
            .collect();
        let label_y = middle - (self.row_mm * 0.28).clamp(4.0, 12.0);
        shapes.push(label(strip.x + 1.0, label_y, &name));
        shapes
    }

    /// Where marks of a strip go; `offset` is the page's first sample in the window.
    fn place(&self, strip: &Strip, offset: usize) -> Place {
        Place {
            x: strip.x,
            middle: self.middle(strip.row),
            row_mm: self.row_mm,
            samples: offset + strip.samples.start..offset + strip.samples.end,
        }
    }
}

fn label(x: f64, y: f64, name: &str) -> Shape {
    let (lead, text) = (Some(name.to_owned()), name.to_owned());
    Shape::Text {
        x,
        y,
        size: 3.4,
        bold: true,
        anchor: Anchor::Start,
        lead,
        text,
    }
}

/// The strips of the page and its number of rows. Without all twelve leads each lead has a row of its own.
fn strips(record: &Record, layout: Layout, shown: usize) -> (Vec<Strip>, usize) {
    let place = |index: usize| {
        STANDARD_LEADS
            .get(index)
            .and_then(|n| record.leads.iter().position(|l| l.name.as_str() == *n))
    };
    let standard: Option<Vec<usize>> = (0..STANDARD_LEADS.len()).map(place).collect();
    let Some(standard) = standard else {
        let rows = record.leads.len().clamp(1, ROWS_MAX);
        let strip = |lead: usize| Strip {
            lead,
            row: lead,
            x: TRACE_LEFT_MM,
            samples: 0..shown,
            is_inverted: false,
        };
        return ((0..rows.min(record.leads.len())).map(strip).collect(), rows);
    };
    let (rows, columns) = match layout {
        Layout::ThreeByFourPlusOne => (3, 4),
        Layout::SixByTwo | Layout::Cabrera => (6, 2),
        Layout::TwelveByOne => (12, 1),
    };
    let mut out = Vec::with_capacity(13);
    let width = TRACE_WIDTH_MM / columns as f64;
    for index in 0..standard.len() {
        let wanted = match layout {
            Layout::Cabrera => CABRERA_LEADS.get(index).copied().unwrap_or(index),
            _ => index,
        };
        let Some(lead) = standard.get(wanted) else {
            continue;
        };
        let (column, row) = (index / rows, index % rows);
        // Columns follow each other in time, as on a paper recorder.
        let samples = shown * column / columns..(shown * (column + 1) / columns + 1).min(shown);
        out.push(Strip {
            lead: *lead,
            row,
            x: TRACE_LEFT_MM + column as f64 * width,
            samples,
            is_inverted: layout == Layout::Cabrera && wanted == AVR,
        });
    }
    if layout == Layout::ThreeByFourPlusOne {
        out.push(Strip {
            lead: standard[1],
            row: 3,
            x: TRACE_LEFT_MM,
            samples: 0..shown,
            is_inverted: false,
        });
        return (out, 4);
    }
    (out, rows)
}

/// Pulse of 1 mV for 200 ms with 1 mm of line before and after it.
fn calibration(x: f64, y: f64, gain: f64, speed: f64) -> Shape {
    let width = (0.2 * speed).min(8.0);
    let top = y - gain;
    let points = vec![
        (x - 1.0, y),
        (x, y),
        (x, top),
        (x + width, top),
        (x + width, y),
        (x + width + 1.0, y),
    ];
    Shape::Trace { lead: None, points }
}

/// Points of a signal in microvolts, broken at gaps; more than twenty points a millimetre become lows and highs.
fn traces(signal: &[f32], x: f64, y: f64, mm_per_sample: f64, gain: f64) -> Vec<Vec<(f64, f64)>> {
    const POINTS_PER_MM_MAX: f64 = 20.0;
    let dense = mm_per_sample * POINTS_PER_MM_MAX < 0.999;
    let block = if dense {
        (2.0 / (POINTS_PER_MM_MAX * mm_per_sample)).ceil() as usize
    } else {
        1
    };
    let point = |index: usize, value: f32| {
        // Nothing leaves the page, however wild the signal is.
        let height = (f64::from(value) / 1_000.0 * gain).clamp(-PAGE_HEIGHT_MM, PAGE_HEIGHT_MM);
        (x + index as f64 * mm_per_sample, y - height)
    };
    let mut out: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for (number, part) in signal.chunks(block).enumerate() {
        let first = number * block;
        let finite = part.iter().enumerate().filter(|(_, v)| v.is_finite());
        let low = finite.clone().min_by(|a, b| a.1.total_cmp(b.1));
        let high = finite.max_by(|a, b| a.1.total_cmp(b.1));
        let (Some(low), Some(high)) = (low, high) else {
            if out.last().is_some_and(|points| !points.is_empty()) {
                out.push(Vec::new());
            }
            continue;
        };
        let (early, late) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        if let Some(points) = out.last_mut() {
            points.push(point(first + early.0, *early.1));
            if late.0 != early.0 {
                points.push(point(first + late.0, *late.1));
            }
        }
    }
    out.retain(|points| points.len() > 1);
    out
}

fn footer(record: &Record, options: &PaperOptions, speed: f64, gain: f64) -> Vec<Shape> {
    let band = match options.path {
        Path::Raw => "未滤波",
        Path::Diagnostic => "诊断 0.05-150 Hz",
        Path::Display => "显示 0.5-40 Hz",
    };
    let mains = match options.mains {
        _ if options.path == Path::Raw => "",
        Mains::Off => "  工频关",
        Mains::Hz50 => "  工频 50 Hz",
        Mains::Hz60 => "  工频 60 Hz",
    };
    let y = TOP_MM + GRID_HEIGHT_MM + 5.0;
    let recorded = recorded_band(record);
    let line = format!("走纸速度 {speed} mm/s  增益 {gain} mm/mV  滤波 {band}{mains}{recorded}");
    let rate = record.sampling_rate_hz;
    let source = format!(
        "{} · {rate} Hz · 起始 {:.1} s",
        record.format.to_uppercase(),
        options.start_s.max(0.0)
    );
    vec![
        text(LEFT_MM, y, 3.4, false, line),
        Shape::Text {
            x: LEFT_MM + GRID_WIDTH_MM,
            y,
            size: 3.0,
            bold: false,
            anchor: Anchor::End,
            lead: None,
            text: source,
        },
    ]
}

/// The filters that the recorder had on, which no filter here can undo.
fn recorded_band(record: &Record) -> String {
    let filters = &record.filters;
    let mut said = match (filters.low_hz, filters.high_hz) {
        (Some(low), Some(high)) => format!("  采集滤波 {low}-{high} Hz"),
        (None, Some(high)) => format!("  采集低通 {high} Hz"),
        (Some(low), None) => format!("  采集高通 {low} Hz"),
        (None, None) => String::new(),
    };
    if let Some(notch) = filters.notch_hz {
        said.push_str(&format!("  采集陷波 {notch} Hz"));
    }
    said
}
