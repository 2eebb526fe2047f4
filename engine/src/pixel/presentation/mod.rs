//! Softcopy presentation states (PS3.3 A.33, PS3.4 N.2): how an image was made to look when it was read, applied to it
//! again.

mod apply;
mod graphic;
mod note;
mod shutter;
#[cfg(test)]
mod tests;

use super::description::{ImageDescription, Modality, Voi, modality, voi};
use super::lut::Lut;
use super::overlay::Overlay;
use crate::dicom::{Attributes, Lookup};
use crate::error::{ImagingError, Result};
pub use apply::present;
use graphic::{Graphic, Layer, objects};
pub use note::{Align, Note};
use shutter::Shutter;

const ITEMS_MAX: usize = 10_000;
const GROUPS: u32 = 16;

/// The Presentation LUT (PS3.3 C.11.6), which gives P-values.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum PresentationLut {
    /// What the VOI step gives are P-values.
    #[default]
    Identity,
    /// The same counted from the other end.
    Inverse,
    /// A table over the whole range that the VOI step gives.
    Table(Lut),
}

impl PresentationLut {
    /// From the attributes of a presentation state or of an image.
    pub(crate) fn read(at: &Attributes<'_, '_>) -> Self {
        if let Some(table) = at.item(0x2050_0010, 0).and_then(|item| Lut::read(&item, false)) {
            return Self::Table(table);
        }
        match at.text(0x2050_0020).as_deref() {
            Some("INVERSE") => Self::Inverse,
            _ => Self::Identity,
        }
    }

    /// The table, where there is one.
    pub(crate) fn table(&self) -> Option<&Lut> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Frames that a part of the state is for, counted from 0; `None` for all.
#[derive(Debug, Clone, PartialEq)]
struct Frames(Option<Vec<u64>>);

impl Frames {
    fn hold(&self, frame: u64) -> bool {
        self.0.as_ref().is_none_or(|f| f.contains(&frame))
    }

    /// From the items of a Referenced Image Sequence at `at`; `None` where they name other images. `absent` is the
    /// answer where there is no such sequence.
    fn read(at: &Attributes<'_, '_>, uid: &str, absent: Option<Self>) -> Option<Self> {
        const REFERENCED_IMAGES: u32 = 0x0008_1140;
        if at.item_count(REFERENCED_IMAGES) == 0 {
            return absent;
        }
        let mut items = at.items(REFERENCED_IMAGES).take(ITEMS_MAX);
        let own = items.find(|item| item.text(0x0008_1155).as_deref() == Some(uid))?;
        let frames: Vec<u64> = own
            .iss(0x0008_1160)
            .iter()
            .filter_map(|n| u64::try_from(*n - 1).ok())
            .collect();
        Some(Self((!frames.is_empty()).then_some(frames)))
    }
}

/// The part of the image that is shown (PS3.3 C.10.4): columns and rows from 0, both ends inside, possibly beyond the
/// image.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    columns: [i64; 2],
    rows: [i64; 2],
    /// Height of a pixel over its width.
    aspect: f64,
    magnification: Option<f64>,
}

impl Area {
    /// All of an image.
    fn whole(columns: i64, rows: i64) -> Self {
        Self {
            columns: [0, columns - 1],
            rows: [0, rows - 1],
            aspect: 1.0,
            magnification: None,
        }
    }

    fn read(at: &Attributes<'_, '_>) -> Option<Self> {
        let corner = |tag| -> Option<[i64; 2]> {
            let values = at.uls(tag);
            let at = |i: usize| values.get(i).map(|v| i64::from(v.cast_signed()) - 1);
            Some([at(0)?, at(1)?])
        };
        let (a, b) = (corner(0x0070_0052)?, corner(0x0070_0053)?);
        let pair = |v: Vec<f64>| v.first_chunk::<2>().copied();
        let sound = |[v, h]: [f64; 2]| (v > 0.0 && h > 0.0).then_some(v / h);
        let ratio = pair(at.dss(0x0070_0101)).or_else(|| pair(at.dss(0x0070_0102)));
        let magnify = at.text(0x0070_0100).as_deref() == Some("MAGNIFY");
        let magnification = at.fl(0x0070_0103).filter(|m| magnify && *m > 0.0);
        Some(Self {
            columns: [a[0].min(b[0]), a[0].max(b[0])],
            rows: [a[1].min(b[1]), a[1].max(b[1])],
            aspect: ratio.and_then(sound).unwrap_or(1.0),
            magnification: magnification.map(f64::from),
        })
    }
}

/// A presentation state, as far as it is for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Presentation {
    frames: Frames,
    modality: Modality,
    vois: Vec<(Frames, Voi)>,
    lut: PresentationLut,
    areas: Vec<(Frames, Area)>,
    /// Quarter turns clockwise, before the flip.
    quarters: u8,
    /// Left and right are exchanged.
    flip: bool,
    shutter: Shutter,
    /// In the order in which they are drawn.
    graphics: Vec<(Frames, Graphic)>,
    /// Planes that the state switches on.
    overlays: Vec<Overlay>,
    /// In the order in which they are written.
    texts: Vec<(Frames, note::Text)>,
}

impl Presentation {
    /// Reads what the state says about the image whose SOP Instance UID is `uid`. `lookup` is over the state's data set.
    ///
    /// # Errors
    /// A state that does not name the image.
    pub fn from_lookup(lookup: &Lookup<'_>, image: &ImageDescription, uid: &str) -> Result<Self> {
        let root = Attributes::root(lookup);
        let frames = root
            .items(0x0008_1115)
            .take(ITEMS_MAX)
            .find_map(|series| Frames::read(&series, uid, None))
            .ok_or_else(|| {
                ImagingError::Request("this presentation state is not for this image".to_owned())
            })?;
        // A state without a modality step has none, whatever the image says (PS3.4 N.2.1).
        let modality = modality(&image.frame, &root);
        let scoped = |item: &Attributes<'_, '_>| Frames::read(item, uid, Some(Frames(None)));
        let vois = root
            .items(0x0028_3110)
            .take(ITEMS_MAX)
            .filter_map(|item| Some((scoped(&item)?, voi(&image.frame, &item, &modality))))
            .collect();
        let areas = root
            .items(0x0070_005a)
            .take(ITEMS_MAX)
            .filter_map(|item| Some((scoped(&item)?, Area::read(&item)?)))
            .collect();
        let annotations = root.items(0x0070_0001).take(ITEMS_MAX);
        let annotations: Vec<_> = annotations
            .filter_map(|item| Some((scoped(&item)?, item)))
            .collect();
        let layers = Layer::read_all(&root);
        let own = Overlay::read_all(&root);
        Ok(Self {
            frames,
            vois,
            lut: PresentationLut::read(&root),
            areas,
            quarters: (root.us(0x0070_0042).unwrap_or(0) / 90 % 4) as u8,
            flip: root.text(0x0070_0041).as_deref() == Some("Y"),
            shutter: Shutter::read(&root, &own),
            graphics: objects(&layers, &annotations, 0x0070_0009, Graphic::read),
            overlays: active(&root, &own, &image.overlays),
            texts: objects(&layers, &annotations, 0x0070_0008, note::Text::read),
            modality,
        })
    }

    fn area(&self, frame: u64) -> Option<&Area> {
        self.areas.iter().find(|(f, _)| f.hold(frame)).map(|(_, a)| a)
    }
}

/// Planes with an activation layer (PS3.3 C.11.7): of the state itself, else of the image.
fn active(root: &Attributes<'_, '_>, own: &[Overlay], of_image: &[Overlay]) -> Vec<Overlay> {
    let on = |k: u32| {
        let group = 0x6000 + 2 * k;
        root.has(group << 16 | 0x1001).then_some(group)
    };
    let plane = |group: u32| {
        let same = |plane: &&Overlay| u32::from(plane.group) == group;
        own.iter().find(same).or_else(|| of_image.iter().find(same))
    };
    (0..GROUPS).filter_map(on).filter_map(plane).cloned().collect()
}
