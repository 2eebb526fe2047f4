//! Everything that rendering needs to know about an image, read once from its attributes.

use super::lut::Lut;
use super::overlay::Overlay;
use super::palette::Palette;
use super::presentation::PresentationLut;
use super::window::{VoiFunction, Window};
use crate::codec::{FrameDescription, Photometric, PixelElement};
use crate::dicom::{Attributes, Lookup};
use crate::error::Result;

const SHARED_GROUPS: u32 = 0x5200_9229;
const PER_FRAME_GROUPS: u32 = 0x5200_9230;
const FRAME_GROUPS_MAX: usize = 200_000;
const WINDOWS_MAX: usize = 64;

/// The modality step: stored values to the units of the modality (PS3.3 C.11.1).
#[derive(Debug, Clone, PartialEq)]
pub enum Modality {
    /// `stored * slope + intercept`.
    Rescale {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence.
    Table(Lut),
}

impl Modality {
    /// The value in the modality's units.
    #[must_use]
    pub fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Rescale { slope, intercept } => stored * slope + intercept,
            Self::Table(lut) => lut.at(stored),
        }
    }
}

/// The VOI step's choices (PS3.3 C.11.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Voi {
    /// Windows; the first is the default.
    pub windows: Vec<Window>,
    /// Tables; the first is the default, before any window.
    pub tables: Vec<Lut>,
}

/// Where a frame lies in the patient (PS3.3 C.7.6.2), millimetres, LPS.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Geometry {
    /// Distance of rows and of columns.
    pub spacing_mm: Option<[f64; 2]>,
    /// True when the spacing comes from Pixel Spacing, false when from Imager Pixel Spacing (not calibrated).
    pub calibrated: bool,
    /// Centre of the first pixel.
    pub position_mm: Option<[f64; 3]>,
    /// Direction along a row, then down a column.
    pub orientation: Option<[f64; 6]>,
    /// Slice Thickness.
    pub thickness_mm: Option<f64>,
}

/// What may differ from frame to frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameAttributes {
    /// Modality step.
    pub modality: Modality,
    /// VOI step.
    pub voi: Voi,
    /// Place in the patient.
    pub geometry: Geometry,
}

/// A whole image: shape, steps to the display, geometry.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDescription {
    /// Shape and sample form.
    pub frame: FrameDescription,
    /// Presentation LUT of the image itself.
    pub presentation: PresentationLut,
    /// Palette, for PALETTE COLOR.
    pub palette: Option<Palette>,
    /// Stored values that are padding, not picture: lowest and highest (Pixel Padding Value and Range Limit).
    pub padding: Option<(f64, f64)>,
    /// Overlay planes.
    pub overlays: Vec<Overlay>,
    shared: FrameAttributes,
    per_frame: Vec<FrameAttributes>,
}

impl ImageDescription {
    /// Reads the attributes of an image, classic or enhanced multi-frame.
    ///
    /// # Errors
    /// An image pixel module that is missing or impossible.
    pub fn from_lookup(lookup: &Lookup<'_>) -> Result<Self> {
        let root = Attributes::root(lookup);
        let frame = FrameDescription::read(&root)?;
        let shared_item = root.item(SHARED_GROUPS, 0);
        let shared = read_frame(
            &frame,
            &Levels {
                frame: None,
                shared: shared_item.clone(),
                root: root.clone(),
            },
            None,
        );
        let groups = usize::try_from(frame.frames)
            .unwrap_or(usize::MAX)
            .min(FRAME_GROUPS_MAX);
        let per_frame = if root.item_count(PER_FRAME_GROUPS) == 0 {
            Vec::new()
        } else {
            let levels = |item| Levels {
                frame: Some(item),
                shared: shared_item.clone(),
                root: root.clone(),
            };
            let items = root.items(PER_FRAME_GROUPS).take(groups);
            items
                .map(|item| read_frame(&frame, &levels(item), Some(&shared)))
                .collect()
        };
        Ok(Self {
            presentation: PresentationLut::read(&root),
            palette: Palette::read(&root, frame.signed),
            padding: padding(&root, &frame),
            overlays: Overlay::read_all(&root),
            frame,
            shared,
            per_frame,
        })
    }

    /// Display values are counted from the other end: MONOCHROME1, or an inverse Presentation LUT Shape, which says the
    /// same.
    pub(crate) fn is_inverse(&self) -> bool {
        self.frame.photometric == Photometric::Monochrome1 || self.presentation == PresentationLut::Inverse
    }

    /// The attributes of frame `index`, counted from 0.
    #[must_use]
    pub fn attributes(&self, index: u64) -> &FrameAttributes {
        usize::try_from(index)
            .ok()
            .and_then(|i| self.per_frame.get(i))
            .unwrap_or(&self.shared)
    }
}

/// The three places where an attribute may stand, nearest first.
struct Levels<'l, 'a> {
    frame: Option<Attributes<'l, 'a>>,
    shared: Option<Attributes<'l, 'a>>,
    root: Attributes<'l, 'a>,
}

impl<'l, 'a> Levels<'l, 'a> {
    /// The item of the functional group `tag` nearest to the frame, else the root.
    fn group(&self, tag: u32) -> Attributes<'l, 'a> {
        let inner = |a: &Option<Attributes<'l, 'a>>| a.as_ref().and_then(|a| a.item(tag, 0));
        inner(&self.frame)
            .or_else(|| inner(&self.shared))
            .unwrap_or_else(|| self.root.clone())
    }
}

fn read_frame(
    frame: &FrameDescription,
    levels: &Levels<'_, '_>,
    base: Option<&FrameAttributes>,
) -> FrameAttributes {
    let has = |tag| levels.frame.as_ref().is_none_or(|f| f.item_count(tag) > 0);
    let reuse = |tag| base.filter(|_| !has(tag));
    let modality = match reuse(0x0028_9145) {
        Some(b) => b.modality.clone(),
        None => modality(frame, &levels.group(0x0028_9145)),
    };
    let voi = match reuse(0x0028_9132) {
        Some(b) => b.voi.clone(),
        None => voi(frame, &levels.group(0x0028_9132), &modality),
    };
    FrameAttributes {
        modality,
        voi,
        geometry: geometry(levels),
    }
}

pub(super) fn modality(frame: &FrameDescription, at: &Attributes<'_, '_>) -> Modality {
    if let Some(lut) = at
        .item(0x0028_3000, 0)
        .and_then(|item| Lut::read(&item, frame.signed))
    {
        return Modality::Table(lut);
    }
    let slope = at.ds(0x0028_1053).filter(|s| *s != 0.0).unwrap_or(1.0);
    Modality::Rescale {
        slope,
        intercept: at.ds(0x0028_1052).unwrap_or(0.0),
    }
}

pub(super) fn voi(frame: &FrameDescription, at: &Attributes<'_, '_>, modality: &Modality) -> Voi {
    let function = at
        .text(0x0028_1056)
        .and_then(|t| VoiFunction::parse(&t))
        .unwrap_or_default();
    let explanations = at.texts(0x0028_1055);
    let pairs = at
        .dss(0x0028_1050)
        .into_iter()
        .zip(at.dss(0x0028_1051))
        .take(WINDOWS_MAX);
    let windows = pairs
        .enumerate()
        .filter_map(|(i, (center, width))| {
            let mut window = Window::new(center, width, function).ok()?;
            window.explanation = explanations.get(i).filter(|t| !t.is_empty()).cloned();
            Some(window)
        })
        .collect();
    let (low, high) = frame.value_range();
    // The input of a VOI LUT is what the modality step gives: negative values make its descriptor signed.
    let signed = match modality {
        Modality::Rescale { slope, intercept } => {
            low * slope + intercept < 0.0 || high * slope + intercept < 0.0
        }
        Modality::Table(_) => false,
    };
    let tables = at
        .items(0x0028_3010)
        .take(WINDOWS_MAX)
        .filter_map(|item| Lut::read(&item, signed))
        .collect();
    Voi { windows, tables }
}

fn geometry(levels: &Levels<'_, '_>) -> Geometry {
    let measures = levels.group(0x0028_9110);
    let pair = |v: Vec<f64>| {
        v.first_chunk::<2>()
            .copied()
            .filter(|s| s.iter().all(|x| *x > 0.0))
    };
    let calibrated = pair(measures.dss(0x0028_0030));
    Geometry {
        spacing_mm: calibrated.or_else(|| pair(levels.root.dss(0x0018_1164))),
        calibrated: calibrated.is_some(),
        position_mm: levels
            .group(0x0020_9113)
            .dss(0x0020_0032)
            .first_chunk::<3>()
            .copied(),
        orientation: levels
            .group(0x0020_9116)
            .dss(0x0020_0037)
            .first_chunk::<6>()
            .copied(),
        thickness_mm: measures.ds(0x0018_0050).filter(|t| *t > 0.0),
    }
}

/// Pixel Padding Value, of the kind that the pixels have (PS3.3 C.7.5.1.1.2, C.7.6.24, C.7.6.25).
fn padding(root: &Attributes<'_, '_>, frame: &FrameDescription) -> Option<(f64, f64)> {
    let value = |tag| match frame.signed {
        true => root.ss(tag).map(f64::from),
        false => root.us(tag).map(f64::from),
    };
    let (one, limit) = match frame.element {
        PixelElement::Integer => (value(0x0028_0120), value(0x0028_0121)),
        PixelElement::Float => (
            root.fl(0x0028_0122).map(f64::from),
            root.fl(0x0028_0124).map(f64::from),
        ),
        PixelElement::Double => (root.fd(0x0028_0123), root.fd(0x0028_0125)),
    };
    let one = one?;
    let limit = limit.unwrap_or(one);
    Some((one.min(limit), one.max(limit)))
}

#[cfg(test)]
impl ImageDescription {
    pub(crate) fn set_window(&mut self, window: Window) {
        self.shared.voi.windows = vec![window];
    }
}

#[cfg(test)]
pub(crate) fn test_description(frame: FrameDescription) -> ImageDescription {
    ImageDescription {
        frame,
        presentation: PresentationLut::Identity,
        palette: None,
        padding: None,
        overlays: Vec::new(),
        shared: FrameAttributes {
            modality: Modality::Rescale {
                slope: 1.0,
                intercept: 0.0,
            },
            voi: Voi::default(),
            geometry: Geometry::default(),
        },
        per_frame: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::item_count_bytes;
    use std::borrow::Cow;

    fn enhanced(path: &[(u32, usize)], tag: u32) -> Option<Cow<'static, [u8]>> {
        const FRAME_0: (u32, usize) = (PER_FRAME_GROUPS, 0);
        let b: &'static [u8] = match (path, tag) {
            ([], 0x0028_0010 | 0x0028_0011) => &[4, 0],
            ([], 0x0028_0100 | 0x0028_0101) => &[16, 0],
            ([], 0x0028_0103) => &[1, 0],
            ([], 0x0028_0008) => b"2",
            ([], 0x0028_0004) => b"MONOCHROME2 ",
            ([], SHARED_GROUPS) | ([_], 0x0028_9145 | 0x0028_9110) => return Some(item_count_bytes(1)),
            ([], PER_FRAME_GROUPS) => return Some(item_count_bytes(2)),
            ([FRAME_0], 0x0028_9132) => return Some(item_count_bytes(1)),
            ([FRAME_0, (0x0028_9132, 0)], 0x0028_1050) => b"40\\50",
            ([FRAME_0, (0x0028_9132, 0)], 0x0028_1051) => b"400\\1",
            ([FRAME_0, (0x0028_9132, 0)], 0x0028_1055) => b"SOFT\\BONE",
            ([(SHARED_GROUPS, 0), (0x0028_9145, 0)], 0x0028_1052) => b"-1024",
            ([(PER_FRAME_GROUPS, _), (0x0028_9145, 0)], 0x0028_1053) => b"2",
            ([(PER_FRAME_GROUPS, 1), (0x0028_9110, 0)], 0x0028_0030) => b"0.5\\0.25",
            _ => return None,
        };
        Some(Cow::Borrowed(b))
    }

    #[test]
    fn functional_groups_beat_shared_ones() {
        let d = ImageDescription::from_lookup(&enhanced).unwrap();
        assert_eq!(d.frame.frames, 2);
        assert!(d.frame.signed);
        let first = d.attributes(0);
        assert_eq!(
            first.modality,
            Modality::Rescale {
                slope: 2.0,
                intercept: 0.0
            }
        );
        assert_eq!(first.voi.windows.len(), 2);
        assert_eq!(first.voi.windows[1].explanation.as_deref(), Some("BONE"));
        assert!(d.attributes(1).voi.windows.is_empty());
        assert_eq!(d.attributes(1).geometry.spacing_mm, Some([0.5, 0.25]));
        assert_eq!(
            d.attributes(9).modality,
            Modality::Rescale {
                slope: 1.0,
                intercept: -1024.0
            }
        );
    }

    #[test]
    fn padding_is_of_the_pixels_kind() {
        let read = |bits: u8, tag: u32, value: Vec<u8>| {
            let lookup = move |path: &[(u32, usize)], asked: u32| -> Option<Cow<'static, [u8]>> {
                match (path, asked) {
                    ([], 0x0028_0010 | 0x0028_0011) => Some(vec![4, 0].into()),
                    ([], 0x0028_0100) => Some(vec![bits, 0].into()),
                    ([], t) if t == tag => Some(value.clone().into()),
                    _ => None,
                }
            };
            ImageDescription::from_lookup(&lookup).unwrap().padding
        };
        let minus = (-1.5_f32).to_le_bytes().to_vec();
        assert_eq!(read(32, 0x0028_0122, minus), Some((-1.5, -1.5)));
        let double = 1e300_f64.to_le_bytes().to_vec();
        assert_eq!(read(64, 0x0028_0123, double), Some((1e300, 1e300)));
        assert_eq!(read(16, 0x0028_0120, vec![0, 8]), Some((2048.0, 2048.0)));
        assert_eq!(read(32, 0x0028_0120, vec![0, 8]), None);
    }

    #[test]
    fn missing_pixel_module_is_a_sentence() {
        let error = ImageDescription::from_lookup(&|_, _| None).unwrap_err();
        assert!(error.to_string().contains("Rows (0028,0010) is missing"));
    }
}
