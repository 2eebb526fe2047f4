//! Graphic annotations (PS3.3 C.10.5): points, lines, curves, circles and ellipses, drawn one pixel wide or filled.

use super::super::render::Picture;
use super::{Area, Frames, ITEMS_MAX};
use crate::dicom::Attributes;

const POINTS_MAX: usize = 100_000;
/// Straight pieces of a circle or an ellipse.
const CIRCLE_PIECES: usize = 256;
/// Straight pieces between two points of a curve.
const CURVE_PIECES: usize = 12;
/// Half the length of the cross that marks a point, in pixels.
const POINT_ARM: f64 = 3.0;
/// Coordinates beyond are no places of an image.
const PIXELS_AWAY_MAX: f64 = 1e7;
const WHITE: u8 = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Point,
    Polyline,
    Interpolated,
    Circle,
    Ellipse,
}

/// One graphic object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graphic {
    kind: Kind,
    filled: bool,
    /// In pixels of the image (0, 0 is the outer corner of the first), or in parts of the displayed area.
    points: Vec<[f64; 2]>,
    of_display: bool,
    value: u8,
}

/// A graphic layer (PS3.3 C.10.7): its place among the others and its grey level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    name: Option<String>,
    pub(super) order: i64,
    pub(super) grey: u8,
}

impl Layer {
    /// All layers of a state.
    pub(super) fn read_all(root: &Attributes<'_, '_>) -> Vec<Self> {
        root.items(0x0070_0060)
            .take(ITEMS_MAX)
            .map(|layer| Self {
                name: layer.text(0x0070_0002),
                order: layer.is(0x0070_0062).unwrap_or(0),
                grey: layer.us(0x0070_0066).map_or(WHITE, |v| (v >> 8) as u8),
            })
            .collect()
    }

    /// The layer of an annotation; a plain one where it names none that there is.
    pub(super) fn of(layers: &[Self], annotation: &Attributes<'_, '_>) -> Self {
        let name = annotation.text(0x0070_0002);
        let own = layers.iter().find(|layer| name.is_some() && layer.name == name);
        own.cloned().unwrap_or(Self {
            name: None,
            order: 0,
            grey: WHITE,
        })
    }
}

/// The objects in the `sequence` of all `annotations`, those of lower layers first; `read` gets the layer's grey level.
pub(super) fn objects<T>(
    layers: &[Layer],
    annotations: &[(Frames, Attributes<'_, '_>)],
    sequence: u32,
    read: impl Fn(&Attributes<'_, '_>, u8) -> Option<T>,
) -> Vec<(Frames, T)> {
    let mut found = Vec::new();
    for (frames, annotation) in annotations {
        let layer = Layer::of(layers, annotation);
        let room = ITEMS_MAX.saturating_sub(found.len());
        let items = annotation.items(sequence).take(room);
        let own = items.filter_map(|item| read(&item, layer.grey));
        found.extend(own.map(|object| (layer.order, frames.clone(), object)));
    }
    found.sort_by_key(|(order, _, _)| *order);
    found
        .into_iter()
        .map(|(_, frames, object)| (frames, object))
        .collect()
}

impl Graphic {
    pub(super) fn read(item: &Attributes<'_, '_>, value: u8) -> Option<Self> {
        let kind = match item.text(0x0070_0023)?.as_str() {
            "POINT" => Kind::Point,
            "POLYLINE" => Kind::Polyline,
            "INTERPOLATED" => Kind::Interpolated,
            "CIRCLE" => Kind::Circle,
            "ELLIPSE" => Kind::Ellipse,
            _ => return None,
        };
        let bytes = item.bytes(0x0070_0022)?;
        let numbers = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)));
        let numbers: Vec<f64> = numbers.take(2 * POINTS_MAX).collect();
        let points = numbers.as_chunks::<2>().0;
        let least = match kind {
            Kind::Point => 1,
            Kind::Polyline | Kind::Interpolated | Kind::Circle => 2,
            Kind::Ellipse => 4,
        };
        let sound = points.len() >= least && numbers.iter().all(|v| v.abs() <= PIXELS_AWAY_MAX);
        sound.then(|| Self {
            kind,
            filled: item.text(0x0070_0024).as_deref() == Some("Y"),
            points: points.to_vec(),
            of_display: item.text(0x0070_0005).as_deref() == Some("DISPLAY"),
            value,
        })
    }

    /// Draws on a picture of the whole image; `quarters` and `flip` turn the displayed area to the display.
    pub(super) fn draw(&self, picture: &mut Picture, area: &Area, quarters: u8, flip: bool) {
        let place = |p: &[f64; 2]| {
            if self.of_display {
                on_image(*p, area, quarters, flip)
            } else {
                *p
            }
        };
        let points: Vec<[f64; 2]> = self.points.iter().map(place).collect();
        let line = match (self.kind, points.as_slice()) {
            (Kind::Point, [[x, y], ..]) => {
                segment(picture, [x - POINT_ARM, *y], [x + POINT_ARM, *y], self.value);
                segment(picture, [*x, y - POINT_ARM], [*x, y + POINT_ARM], self.value);
                return;
            }
            (Kind::Circle, [centre, on, ..]) => {
                let radius = (on[0] - centre[0]).hypot(on[1] - centre[1]);
                around(*centre, [radius, 0.0], [0.0, radius])
            }
            (Kind::Ellipse, [a, b, c, d, ..]) => {
                let half = |p: &[f64; 2], q: &[f64; 2]| [(q[0] - p[0]) / 2.0, (q[1] - p[1]) / 2.0];
                let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
                around(middle, half(a, b), half(c, d))
            }
            (Kind::Interpolated, _) => curve(&points),
            _ => points,
        };
        if self.filled && line.len() >= 3 {
            fill(picture, &line, self.value);
        }
        for pair in line.windows(2) {
            segment(picture, pair[0], pair[1], self.value);
        }
    }
}

/// From parts of the display to pixels of the image: the flip undone, then the turn.
fn on_image([x, y]: [f64; 2], area: &Area, quarters: u8, flip: bool) -> [f64; 2] {
    let x = if flip { 1.0 - x } else { x };
    let (u, v) = match quarters {
        0 => (x, y),
        1 => (y, 1.0 - x),
        2 => (1.0 - x, 1.0 - y),
        _ => (1.0 - y, x),
    };
    let along = |part: f64, [first, last]: [i64; 2]| first as f64 + part * (last - first + 1) as f64;
    [along(u, area.columns), along(v, area.rows)]
}

fn around(middle: [f64; 2], a: [f64; 2], b: [f64; 2]) -> Vec<[f64; 2]> {
    let point = |k: usize| {
        let (sin, cos) = (k as f64 * std::f64::consts::TAU / CIRCLE_PIECES as f64).sin_cos();
        [0, 1].map(|i| middle[i] + a[i] * cos + b[i] * sin)
    };
    (0..=CIRCLE_PIECES).map(point).collect()
}

/// A Catmull-Rom spline through the points.
fn curve(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let at = |i: isize| {
        let i = i.clamp(0, points.len() as isize - 1) as usize;
        points.get(i).copied().unwrap_or_default()
    };
    let mut out = Vec::with_capacity(points.len() * CURVE_PIECES);
    for i in 0..points.len().saturating_sub(1) as isize {
        let (p, q, r, s) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        out.extend((0..CURVE_PIECES).map(|k| {
            let t = k as f64 / CURVE_PIECES as f64;
            [0, 1].map(|c| {
                let slope = r[c] - p[c];
                let second = 2.0 * p[c] - 5.0 * q[c] + 4.0 * r[c] - s[c];
                let third = 3.0 * q[c] - p[c] - 3.0 * r[c] + s[c];
                q[c] + 0.5 * t * (slope + t * (second + t * third))
            })
        }));
    }
    out.extend(points.last());
    out
}

/// Even-odd rule; the outline is closed.
pub(super) fn inside(outline: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let mut before = outline.last().copied().unwrap_or_default();
    let mut odd = false;
    for p in outline {
        if (p[1] > y) != (before[1] > y) && x < p[0] + (y - p[1]) / (before[1] - p[1]) * (before[0] - p[0]) {
            odd = !odd;
        }
        before = *p;
    }
    odd
}

/// Pixels whose centre lies within the outline, row by row.
fn fill(picture: &mut Picture, outline: &[[f64; 2]], value: u8) {
    let ends = outline
        .iter()
        .fold([f64::MAX, f64::MIN], |e, p| [e[0].min(p[1]), e[1].max(p[1])]);
    let rows = (ends[0].floor().max(0.0) as u32)..(ends[1].ceil().max(0.0) as u32).min(picture.height);
    let mut crossings = Vec::new();
    for row in rows {
        let y = f64::from(row) + 0.5;
        crossings.clear();
        let mut before = outline.last().copied().unwrap_or_default();
        for p in outline {
            if (p[1] > y) != (before[1] > y) {
                crossings.push(p[0] + (y - p[1]) / (before[1] - p[1]) * (before[0] - p[0]));
            }
            before = *p;
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.as_chunks::<2>().0 {
            let first = (pair[0] - 0.5).ceil().max(0.0) as u32;
            let end = ((pair[1] + 0.5).floor().max(0.0) as u32).min(picture.width);
            (first..end).for_each(|column| ink(picture, column, row, value));
        }
    }
}

/// A line one pixel wide between two places; what lies outside the picture is cut off first.
fn segment(picture: &mut Picture, from: [f64; 2], to: [f64; 2], value: u8) {
    let Some((from, to)) = clip(from, to, [f64::from(picture.width), f64::from(picture.height)]) else {
        return;
    };
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let steps = dx.abs().max(dy.abs()).ceil().max(1.0) as u32;
    for k in 0..=steps {
        let t = f64::from(k) / f64::from(steps);
        let place = |start: f64, length: f64| (start + length * t).floor().max(0.0) as u32;
        ink(picture, place(from[0], dx), place(from[1], dy), value);
    }
}

/// Liang and Barsky's cut to the picture; `None` where nothing is left.
fn clip(from: [f64; 2], to: [f64; 2], size: [f64; 2]) -> Option<([f64; 2], [f64; 2])> {
    let (mut first, mut last) = (0.0_f64, 1.0_f64);
    for axis in 0..2 {
        let (start, length) = (from[axis], to[axis] - from[axis]);
        for (distance, speed) in [(start, -length), (size[axis] - start, length)] {
            if speed == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if speed < 0.0 {
                first = first.max(distance / speed);
            } else {
                last = last.min(distance / speed);
            }
        }
    }
    let at = |t: f64| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * t);
    (first <= last).then(|| (at(first), at(last)))
}

fn ink(picture: &mut Picture, column: u32, row: u32, value: u8) {
    if column >= picture.width || row >= picture.height {
        return;
    }
    let channels = usize::from(picture.channels);
    let start = (row as usize * picture.width as usize + column as usize) * channels;
    if let Some(pixel) = picture.data.get_mut(start..start + channels) {
        pixel.fill(value);
    }
}
