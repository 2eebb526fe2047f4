//! One slice: a frame of an image with its place in the patient, and what tells the volumes of a series apart.

use crate::dicom::{Attributes, Lookup};
use crate::error::{ImagingError, Result};
use crate::pixel::ImageDescription;
use crate::volume::math::{Vec3, cross, dot, unit};

const SHARED_GROUPS: u32 = 0x5200_9229;
const PER_FRAME_GROUPS: u32 = 0x5200_9230;
/// Most frames of one object that are looked at.
const FRAMES_MAX: u64 = 20_000;
/// Largest cosine between the directions of a row and of a column.
const SKEW_MAX: f64 = 0.02;

/// What may differ between the volumes of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Temporal Position Identifier or Index.
    Time,
    /// Stack ID.
    Stack,
    /// Echo Number or Effective Echo Time.
    Echo,
    /// Diffusion b-value.
    BValue,
    /// Trigger Time or Nominal Percentage of Cardiac Phase.
    HeartPhase,
    /// Frame Reference Time.
    ReferenceTime,
    /// Acquisition Number.
    Acquisition,
    /// Image Type: magnitude and phase, water and fat, energies.
    ImageType,
    /// Acquisition Time.
    AcquisitionTime,
    /// Nothing does: the order of the instance numbers.
    Number,
}

impl Mark {
    /// In English.
    #[must_use]
    pub fn en(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Stack => "stack",
            Self::Echo => "echo",
            Self::BValue => "b-value",
            Self::HeartPhase => "cardiac phase",
            Self::ReferenceTime => "frame reference time",
            Self::Acquisition => "acquisition number",
            Self::ImageType => "image type",
            Self::AcquisitionTime => "acquisition time",
            Self::Number => "instance number",
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn zh(self) -> &'static str {
        match self {
            Self::Time => "时相",
            Self::Stack => "分组",
            Self::Echo => "回波",
            Self::BValue => "b 值",
            Self::HeartPhase => "心动周期时相",
            Self::ReferenceTime => "帧参考时间",
            Self::Acquisition => "采集序号",
            Self::ImageType => "图像类型",
            Self::AcquisitionTime => "采集时间",
            Self::Number => "图像号",
        }
    }
}

/// One slice of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Which object, in the caller's own numbering.
    pub source: usize,
    /// Frame of the object, counted from 0.
    pub frame: u64,
    /// Series Instance UID.
    pub series_uid: String,
    /// Frame of Reference UID; empty when missing.
    pub frame_of_reference_uid: String,
    /// Rows and columns.
    pub size: [usize; 2],
    /// Distance of rows and of columns.
    pub spacing_mm: [f64; 2],
    /// Centre of the first pixel.
    pub position_mm: Vec3,
    /// Direction along a row and down a column, of length 1 and perpendicular.
    pub directions: [Vec3; 2],
    /// Slice Thickness.
    pub thickness_mm: Option<f64>,
    /// An overview for planning.
    pub localizer: bool,
    /// Instance Number.
    pub instance_number: i64,
    /// What tells this slice from others at its place.
    pub marks: Vec<(Mark, String)>,
}

impl Slice {
    /// Every frame of one image.
    ///
    /// # Errors
    /// [`ImagingError::NoVolume`] for colour and for frames without a place in the patient.
    pub fn read_all(lookup: &Lookup<'_>, image: &ImageDescription, source: usize) -> Result<Vec<Self>> {
        let root = Attributes::root(lookup);
        if image.frame.samples_per_pixel != 1 || !image.frame.photometric.is_grey() {
            let why = "colour images have no values to interpolate";
            return Err(ImagingError::NoVolume(why.into()));
        }
        let frames = image.frame.frames;
        if frames > FRAMES_MAX {
            return Err(ImagingError::NoVolume(format!(
                "one object has {frames} frames, the limit is {FRAMES_MAX}"
            )));
        }
        if frames > 1 && (root.item_count(PER_FRAME_GROUPS) as u64) < frames {
            let why = "its frames have no places in the patient (a film, not a volume)";
            return Err(ImagingError::NoVolume(why.into()));
        }
        (0..frames)
            .map(|frame| Self::read(&root, image, source, frame))
            .collect()
    }

    fn read(root: &Attributes<'_, '_>, image: &ImageDescription, source: usize, frame: u64) -> Result<Self> {
        let geometry = &image.attributes(frame).geometry;
        let missing = |what| ImagingError::Missing(what);
        let position_mm = geometry
            .position_mm
            .ok_or_else(|| missing("Image Position (Patient) (0020,0032)"))?;
        let o = geometry
            .orientation
            .ok_or_else(|| missing("Image Orientation (Patient) (0020,0037)"))?;
        let spacing_mm = geometry
            .spacing_mm
            .ok_or_else(|| missing("Pixel Spacing (0028,0030)"))?;
        let directions = straight([o[0], o[1], o[2]], [o[3], o[4], o[5]]).ok_or_else(|| {
            let allowed = "two perpendicular directions of length 1";
            ImagingError::attribute(
                "Image Orientation (Patient) (0020,0037)",
                format!("{o:?}"),
                allowed,
            )
        })?;
        let image_type = image_type(root, frame);
        Ok(Self {
            source,
            frame,
            series_uid: root.text(0x0020_000e).unwrap_or_default(),
            frame_of_reference_uid: root.text(0x0020_0052).unwrap_or_default(),
            size: [image.frame.rows.into(), image.frame.columns.into()],
            spacing_mm,
            position_mm,
            directions,
            thickness_mm: geometry.thickness_mm,
            localizer: image_type.iter().any(|t| t == "LOCALIZER"),
            instance_number: root.is(0x0020_0013).unwrap_or(0),
            marks: marks(root, frame, &image_type),
        })
    }

    /// Direction from slice to slice, by the right-hand rule of row and column.
    #[must_use]
    pub fn normal(&self) -> Vec3 {
        cross(self.directions[0], self.directions[1])
    }

    pub(super) fn mark(&self, mark: Mark) -> Option<&str> {
        self.marks.iter().find(|m| m.0 == mark).map(|m| m.1.as_str())
    }
}

/// Of length 1 and exactly perpendicular; `None` when they are far from it.
fn straight(row: Vec3, column: Vec3) -> Option<[Vec3; 2]> {
    let (r, c) = (unit(row)?, unit(column)?);
    if dot(r, c).abs() > SKEW_MAX {
        return None;
    }
    let normal = unit(cross(r, c))?;
    Some([r, cross(normal, r)])
}

/// The functional group `tag` of a frame, else the shared one.
fn group<'l, 'a>(root: &Attributes<'l, 'a>, frame: u64, tag: u32) -> Option<Attributes<'l, 'a>> {
    let of_frame = usize::try_from(frame)
        .ok()
        .and_then(|i| root.item(PER_FRAME_GROUPS, i))
        .and_then(|f| f.item(tag, 0));
    of_frame.or_else(|| root.item(SHARED_GROUPS, 0).and_then(|s| s.item(tag, 0)))
}

fn image_type(root: &Attributes<'_, '_>, frame: u64) -> Vec<String> {
    // MR and CT Image Frame Type Sequence
    for tag in [0x0018_9226, 0x0018_9329] {
        if let Some(own) = group(root, frame, tag) {
            let own = own.texts(0x0008_9007);
            if !own.is_empty() {
                return own;
            }
        }
    }
    root.texts(0x0008_0008)
}

fn marks(root: &Attributes<'_, '_>, frame: u64, image_type: &[String]) -> Vec<(Mark, String)> {
    let mut out = Vec::new();
    let mut note = |mark: Mark, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            out.push((mark, value));
        }
    };
    let content = group(root, frame, 0x0020_9111);
    let number = |v: f64| format!("{v}");
    let within = |tag: u32, value: u32| group(root, frame, tag).and_then(|g| g.fd(value)).map(number);
    let index = content.as_ref().and_then(|c| c.ul(0x0020_9128));
    note(
        Mark::Time,
        index.map(|i| i.to_string()).or_else(|| root.text(0x0020_0100)),
    );
    note(Mark::Stack, content.as_ref().and_then(|c| c.text(0x0020_9056)));
    note(
        Mark::Echo,
        within(0x0018_9114, 0x0018_9082).or_else(|| root.text(0x0018_0086)),
    );
    note(
        Mark::BValue,
        within(0x0018_9117, 0x0018_9087).or_else(|| root.fd(0x0018_9087).map(number)),
    );
    note(
        Mark::HeartPhase,
        within(0x0018_9118, 0x0020_9241).or_else(|| root.text(0x0018_1060)),
    );
    note(Mark::ReferenceTime, root.text(0x0054_1300));
    let acquired = content.as_ref().and_then(|c| c.us(0x0020_9156));
    note(
        Mark::Acquisition,
        acquired.map(|n| n.to_string()).or_else(|| root.text(0x0020_0012)),
    );
    note(Mark::ImageType, Some(image_type.join("\\")));
    note(Mark::AcquisitionTime, root.text(0x0008_0032));
    out
}

#[cfg(test)]
pub(crate) fn test_slice(source: usize, z_mm: f64) -> Slice {
    Slice {
        source,
        frame: 0,
        series_uid: "1.2.3".into(),
        frame_of_reference_uid: "1.2.4".into(),
        size: [20, 30],
        spacing_mm: [0.8, 0.7],
        position_mm: [-10.0, -20.0, z_mm],
        directions: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        thickness_mm: Some(2.0),
        localizer: false,
        instance_number: source as i64,
        marks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::item_count_bytes;
    use std::borrow::Cow;

    fn classic(_: &[(u32, usize)], tag: u32) -> Option<Cow<'static, [u8]>> {
        let b: &'static [u8] = match tag {
            0x0028_0010 | 0x0028_0011 => &[4, 0],
            0x0028_0100 | 0x0028_0101 => &[16, 0],
            0x0028_0004 => b"MONOCHROME2 ",
            0x0020_0032 => b"1\\2\\3.5 ",
            0x0020_0037 => b"1\\0\\0\\0\\0.9999999\\0.0001",
            0x0028_0030 => b"0.5\\0.25",
            0x0020_0013 => b"7 ",
            0x0020_0100 => b"3 ",
            0x0008_0008 => b"ORIGINAL\\PRIMARY\\LOCALIZER",
            _ => return None,
        };
        Some(Cow::Borrowed(b))
    }

    #[test]
    fn a_classic_image_is_one_slice() {
        let image = ImageDescription::from_lookup(&classic).unwrap();
        let slices = Slice::read_all(&classic, &image, 5).unwrap();
        let slice = &slices[0];
        assert_eq!((slices.len(), slice.source, slice.instance_number), (1, 5, 7));
        assert_eq!(
            (slice.position_mm, slice.spacing_mm),
            ([1.0, 2.0, 3.5], [0.5, 0.25])
        );
        assert!(slice.localizer);
        assert_eq!(slice.mark(Mark::Time), Some("3"));
        assert!((slice.normal()[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_place_is_told() {
        let check = |without: u32, expect: &str| {
            let lookup = move |path: &[(u32, usize)], tag: u32| {
                if tag == without { None } else { classic(path, tag) }
            };
            let image = ImageDescription::from_lookup(&lookup).unwrap();
            let error = Slice::read_all(&lookup, &image, 0).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(0x0020_0032, "Image Position");
        check(0x0020_0037, "Image Orientation");
        check(0x0028_0030, "Pixel Spacing");
        let film = |path: &[(u32, usize)], tag: u32| match tag {
            0x0028_0008 => Some(Cow::Borrowed(&b"30"[..])),
            _ => classic(path, tag),
        };
        let image = ImageDescription::from_lookup(&film).unwrap();
        let error = Slice::read_all(&film, &image, 0).unwrap_err().to_string();
        assert!(error.contains("film"), "{error}");
    }

    #[test]
    fn frames_of_an_enhanced_object_have_places_of_their_own() {
        let enhanced = |path: &[(u32, usize)], tag: u32| -> Option<Cow<'static, [u8]>> {
            match (path, tag) {
                ([], 0x0028_0008) => Some(Cow::Borrowed(&b"2 "[..])),
                ([], PER_FRAME_GROUPS) => Some(item_count_bytes(2)),
                ([_], 0x0020_9113 | 0x0020_9111) => Some(item_count_bytes(1)),
                ([(_, 0), (0x0020_9113, 0)], 0x0020_0032) => Some(Cow::Borrowed(&b"0\\0\\1 "[..])),
                ([(_, 1), (0x0020_9113, 0)], 0x0020_0032) => Some(Cow::Borrowed(&b"0\\0\\4 "[..])),
                ([(_, i), (0x0020_9111, 0)], 0x0020_9128) => {
                    Some(Cow::Owned((*i as u32 + 1).to_le_bytes().to_vec()))
                }
                ([], 0x0020_0032) | ([_, ..], _) => None,
                _ => classic(path, tag),
            }
        };
        let image = ImageDescription::from_lookup(&enhanced).unwrap();
        let slices = Slice::read_all(&enhanced, &image, 0).unwrap();
        let places: Vec<f64> = slices.iter().map(|s| s.position_mm[2]).collect();
        assert_eq!(places, [1.0, 4.0]);
        assert_eq!(slices[1].mark(Mark::Time), Some("2"));
    }
}
