//! Text annotations (PS3.3 C.10.5, Text Object Sequence): where they stand on the picture. Whoever has fonts writes them.

use super::super::render::Picture;
use super::{Area, Presentation};
use crate::dicom::Attributes;
use crate::pixel::ImageDescription;

/// Longest text (ST).
const TEXT_BYTES_MAX: usize = 4 * 1024;
const PLACES_AWAY_MAX: f64 = 1e7;

/// To which side of its box a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Left.
    #[default]
    Left,
    /// In the middle.
    Center,
    /// Right.
    Right,
}

/// A text on a picture; places are in pixels from its upper left corner, possibly beyond the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The text in the character set of the state's data set, with CR LF between lines.
    pub raw: Vec<u8>,
    /// Left, top, right and bottom of the box that it is to stand in.
    pub bounds: Option<[f64; 4]>,
    /// The place that it speaks of, where that is to be seen.
    pub anchor: Option<[f64; 2]>,
    /// Side of the box.
    pub align: Align,
    /// Grey level.
    pub grey: u8,
}

/// A text object as the state has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    raw: Vec<u8>,
    bounds: Option<[Place; 2]>,
    anchor: Option<Place>,
    anchor_seen: bool,
    align: Align,
    grey: u8,
}

/// A place in pixels of the image, or in parts of the displayed area.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    at: [f64; 2],
    of_display: bool,
}

impl Place {
    fn read(item: &Attributes<'_, '_>, tag: u32, units: u32) -> Option<Self> {
        let bytes = item.bytes(tag)?;
        let [x, y] = *bytes.as_chunks::<4>().0.first_chunk::<2>()?;
        let at = [x, y].map(|b| f64::from(f32::from_le_bytes(b)));
        let sound = at.iter().all(|v| v.abs() <= PLACES_AWAY_MAX);
        sound.then(|| Self {
            at,
            of_display: item.text(units).as_deref() == Some("DISPLAY"),
        })
    }

    /// In pixels of the finished picture.
    fn on(self, picture: &Picture, area: &Area, quarters: u8, flip: bool) -> [f64; 2] {
        let [x, y] = if self.of_display {
            self.at
        } else {
            let part = |at: f64, [first, last]: [i64; 2]| (at - first as f64) / (last - first + 1) as f64;
            let (u, v) = (part(self.at[0], area.columns), part(self.at[1], area.rows));
            let (x, y) = match quarters {
                0 => (u, v),
                1 => (1.0 - v, u),
                2 => (1.0 - u, 1.0 - v),
                _ => (v, 1.0 - u),
            };
            [if flip { 1.0 - x } else { x }, y]
        };
        [x * f64::from(picture.width), y * f64::from(picture.height)]
    }
}

impl Text {
    pub(super) fn read(item: &Attributes<'_, '_>, grey: u8) -> Option<Self> {
        const BOX_UNITS: u32 = 0x0070_0003;
        const ANCHOR_UNITS: u32 = 0x0070_0004;
        let mut raw = item.bytes(0x0070_0006)?.into_owned();
        raw.truncate(TEXT_BYTES_MAX);
        let corner = |tag| Place::read(item, tag, BOX_UNITS);
        Some(Self {
            raw,
            bounds: corner(0x0070_0010)
                .zip(corner(0x0070_0011))
                .map(<[Place; 2]>::from),
            anchor: Place::read(item, 0x0070_0014, ANCHOR_UNITS),
            anchor_seen: item.text(0x0070_0015).as_deref() == Some("Y"),
            align: match item.text(0x0070_0012).as_deref() {
                Some("CENTER") => Align::Center,
                Some("RIGHT") => Align::Right,
                _ => Align::Left,
            },
            grey,
        })
    }
}

impl Presentation {
    /// The texts of a frame on the `picture` that [`super::present`] made of it, those below first.
    #[must_use]
    pub fn notes(&self, image: &ImageDescription, frame: u64, picture: &Picture) -> Vec<Note> {
        let whole = Area::whole(image.frame.columns.into(), image.frame.rows.into());
        let area = self.area(frame).unwrap_or(&whole);
        let own = self.texts.iter().filter(|(frames, _)| frames.hold(frame));
        own.map(|(_, text)| {
            let on = |place: Place| place.on(picture, area, self.quarters, self.flip);
            let anchor = text.anchor.map(on);
            let bounds = text.bounds.map(|corners| {
                let [a, b] = corners.map(on);
                [a[0].min(b[0]), a[1].min(b[1]), a[0].max(b[0]), a[1].max(b[1])]
            });
            Note {
                raw: text.raw.clone(),
                // A text without a box stands at its anchor.
                bounds: bounds.or(anchor.map(|[x, y]| [x, y, x, y])),
                anchor: anchor.filter(|_| text.anchor_seen),
                align: text.align,
                grey: text.grey,
            }
        })
        .collect()
    }
}
