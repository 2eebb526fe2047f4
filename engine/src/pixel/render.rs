//! The whole way from stored values to a picture for the screen.

use super::colour::Space;
use super::description::{ImageDescription, Modality};
use super::lut::Lut;
use super::overlay::INK;
use super::resize::{Grid, area_average, bilinear};
use super::window::{VoiFunction, Window, round_display};
use crate::codec::{Photometric, Sample, Samples, StoredPixels, with_samples};
use crate::error::{ImagingError, Result};

/// Largest side of a rendered picture.
pub(crate) const PICTURE_SIDE_MAX: u32 = 16384;

/// A picture of 8 bits a channel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 grey, 3 red, green, blue.
    pub channels: u8,
    /// `width * height * channels` bytes.
    pub data: Vec<u8>,
}

/// What to render.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RenderOptions {
    /// Frame, counted from 0: chooses the frame's own window, rescale and overlay plane.
    pub frame: u64,
    /// Instead of the image's own VOI step.
    pub window: Option<Window>,
    /// Width and height of the picture; the image's own when `None`.
    pub size: Option<(u32, u32)>,
    /// Draw overlay planes.
    pub overlays: bool,
}

/// Renders one decoded frame.
///
/// # Errors
/// A size beyond 16384, PALETTE COLOR without a palette.
pub fn render(image: &ImageDescription, pixels: &StoredPixels, options: &RenderOptions) -> Result<Picture> {
    finish(image, pixels, options, display(image, pixels, options)?)
}

/// What stands between the stored values of a grey frame and the screen where there are no tables: another device can
/// compute it.
#[derive(Debug, Clone, PartialEq)]
pub struct GreySteps {
    /// Slope and intercept from stored values to the modality's units.
    pub rescale: (f64, f64),
    /// The VOI step.
    pub window: Window,
    /// Display values are counted from the other end.
    pub invert: bool,
}

impl GreySteps {
    /// The steps of [`render`]; `None` for colour and for tables.
    #[must_use]
    pub fn of(image: &ImageDescription, pixels: &StoredPixels, options: &RenderOptions) -> Option<Self> {
        let colour = pixels.samples_per_pixel >= 3 || image.frame.photometric == Photometric::PaletteColor;
        let shade = (!colour).then(|| Shade::new(image, pixels, options.frame, options.window.as_ref()))?;
        let (Modality::Rescale { slope, intercept }, VoiStep::Window(window), None) =
            (shade.modality, shade.voi, shade.presentation)
        else {
            return None;
        };
        Some(Self {
            rescale: (*slope, *intercept),
            window,
            invert: shade.inverse,
        })
    }
}

/// The rest of [`render`] where the display values of a grey frame were made by other means.
///
/// # Errors
/// As [`render`], and for a wrong number of values.
pub fn render_shaded(
    image: &ImageDescription,
    pixels: &StoredPixels,
    options: &RenderOptions,
    grey: Vec<u8>,
) -> Result<Picture> {
    if grey.len() != pixels.rows * pixels.columns {
        return Err(ImagingError::Short {
            needed_bytes: (pixels.rows * pixels.columns) as u64,
            found_bytes: grey.len() as u64,
        });
    }
    let picture = Picture {
        width: pixels.columns as u32,
        height: pixels.rows as u32,
        channels: 1,
        data: grey,
    };
    finish(image, pixels, options, picture)
}

/// Overlays and size.
fn finish(
    image: &ImageDescription,
    pixels: &StoredPixels,
    options: &RenderOptions,
    mut picture: Picture,
) -> Result<Picture> {
    if options.overlays {
        let channels = usize::from(picture.channels);
        for overlay in &image.overlays {
            overlay.draw(options.frame, pixels.rows, pixels.columns, |i| {
                if let Some(pixel) = picture.data.get_mut(i * channels..(i + 1) * channels) {
                    pixel.fill(INK);
                }
            });
        }
    }
    match options.size {
        Some((width, height)) => resize(&picture, width, height),
        None => Ok(picture),
    }
}

/// Area average to a smaller size, bilinear to a larger one, each side by itself.
pub(crate) fn resize(picture: &Picture, width: u32, height: u32) -> Result<Picture> {
    if !(1..=PICTURE_SIDE_MAX).contains(&width) || !(1..=PICTURE_SIDE_MAX).contains(&height) {
        let why =
            format!("size {width},{height} is not possible: each side must be from 1 to {PICTURE_SIDE_MAX}");
        return Err(ImagingError::Request(why));
    }
    let channels = usize::from(picture.channels);
    let (rows, columns) = (picture.height as usize, picture.width as usize);
    let (to_rows, to_columns) = (height as usize, width as usize);
    let (small_rows, small_columns) = (rows.min(to_rows), columns.min(to_columns));
    let to = (small_rows, small_columns);
    let small = area_average(
        &picture.data,
        Grid::whole((rows, columns, channels), to),
        to,
        f32::from,
    );
    let values = if (small_rows, small_columns) == (to_rows, to_columns) {
        small
    } else {
        bilinear(
            &small,
            (small_rows, small_columns, channels),
            (to_rows, to_columns),
            |v| v,
        )
    };
    let data = values.iter().map(|v| round_display(f64::from(*v))).collect();
    Ok(Picture {
        width,
        height,
        channels: picture.channels,
        data,
    })
}

/// Every pixel through modality, VOI and colour, without overlays, at its own size.
pub(crate) fn display(
    image: &ImageDescription,
    pixels: &StoredPixels,
    options: &RenderOptions,
) -> Result<Picture> {
    let (channels, data) = if pixels.samples_per_pixel >= 3 {
        (3, true_colour(image, pixels))
    } else if image.frame.photometric == Photometric::PaletteColor {
        let palette = image
            .palette
            .as_ref()
            .ok_or(ImagingError::Missing("the palette of this PALETTE COLOR image"))?;
        (
            3,
            with_samples!(&pixels.data, v => v.iter().flat_map(|x| palette.colour(x.to_f64())).collect()),
        )
    } else {
        (
            1,
            Shade::new(image, pixels, options.frame, options.window.as_ref()).all(&pixels.data),
        )
    };
    Ok(Picture {
        width: pixels.columns as u32,
        height: pixels.rows as u32,
        channels,
        data,
    })
}

/// The VOI step of one image.
pub(super) enum VoiStep {
    Window(Window),
    Table(Lut),
}

/// Stored value of a grey image to display value.
pub(crate) struct Shade<'a> {
    pub(super) modality: &'a Modality,
    pub(super) voi: VoiStep,
    pub(super) inverse: bool,
    /// Presentation LUT, where it is a table.
    pub(super) presentation: Option<&'a Lut>,
}

impl<'a> Shade<'a> {
    pub(crate) fn new(
        image: &'a ImageDescription,
        pixels: &StoredPixels,
        frame: u64,
        window: Option<&Window>,
    ) -> Self {
        let attributes = image.attributes(frame);
        let voi = match (
            window,
            attributes.voi.tables.first(),
            attributes.voi.windows.first(),
        ) {
            (Some(w), _, _) | (None, None, Some(w)) => VoiStep::Window(w.clone()),
            (None, Some(table), _) => VoiStep::Table(table.clone()),
            (None, None, None) => VoiStep::Window(whole_range(image, pixels, &attributes.modality)),
        };
        Self {
            modality: &attributes.modality,
            voi,
            inverse: image.is_inverse(),
            presentation: image.presentation.table(),
        }
    }

    /// The frame's own window; `None` when it has a table or no window.
    pub(crate) fn windowed(image: &'a ImageDescription, frame: u64) -> Option<Self> {
        let attributes = image.attributes(frame);
        let window = attributes
            .voi
            .windows
            .first()
            .filter(|_| attributes.voi.tables.is_empty())?;
        Some(Self {
            modality: &attributes.modality,
            voi: VoiStep::Window(window.clone()),
            inverse: image.is_inverse(),
            presentation: image.presentation.table(),
        })
    }

    /// True when averaging stored values before this step is as good as averaging the picture: no table in the way.
    pub(crate) fn is_smooth(&self) -> bool {
        matches!(
            (self.modality, &self.voi, self.presentation),
            (Modality::Rescale { .. }, VoiStep::Window(_), None)
        )
    }

    /// Factor and summand of a straight ramp from stored value to display value, where the step is one; a step of
    /// width 1 and curves are not.
    pub(crate) fn ramp(&self) -> Option<(f64, f64)> {
        let (Modality::Rescale { slope, intercept }, VoiStep::Window(w), None) =
            (self.modality, &self.voi, self.presentation)
        else {
            return None;
        };
        let (middle, length) = match w.function {
            VoiFunction::Linear => (w.center - 0.5, w.width - 1.0),
            VoiFunction::LinearExact => (w.center, w.width),
            VoiFunction::Sigmoid => return None,
        };
        let (a, b) = (
            255.0 * slope / length,
            ((intercept - middle) / length + 0.5) * 255.0,
        );
        let (a, b) = if self.inverse { (-a, 255.0 - b) } else { (a, b) };
        (a.is_finite() && b.is_finite()).then_some((a, b))
    }

    pub(crate) fn one(&self, stored: f64) -> u8 {
        let x = self.modality.apply(stored);
        let y = match &self.voi {
            VoiStep::Window(window) => window.apply(x),
            VoiStep::Table(table) => table.at(x) * (255.0 / table.top()),
        };
        let y = round_display(match self.presentation {
            // The table's inputs are the whole range of what the VOI step gives (PS3.3 C.11.6.1).
            Some(table) => {
                let last = table.values.len().saturating_sub(1) as f64;
                table.at(f64::from(table.first) + y * (last / 255.0)) * (255.0 / table.top())
            }
            None => y,
        });
        if self.inverse { 255 - y } else { y }
    }

    pub(super) fn all(&self, data: &Samples) -> Vec<u8> {
        match data {
            Samples::U8(v) => self.by_table(v),
            Samples::I8(v) => self.by_table(v),
            Samples::U16(v) => self.by_table(v),
            Samples::I16(v) => self.by_table(v),
            Samples::U32(v) => v.iter().map(|x| self.one(f64::from(*x))).collect(),
            Samples::I32(v) => v.iter().map(|x| self.one(f64::from(*x))).collect(),
            Samples::F32(v) => v.iter().map(|x| self.one(f64::from(*x))).collect(),
            Samples::F64(v) => v.iter().map(|x| self.one(*x)).collect(),
        }
    }

    /// One evaluation for each value that occurs between the smallest and the largest.
    fn by_table<T: Copy + Ord + Into<i32>>(&self, values: &[T]) -> Vec<u8> {
        let (Some(low), Some(high)) = (values.iter().min(), values.iter().max()) else {
            return Vec::new();
        };
        let (low, high): (i32, i32) = ((*low).into(), (*high).into());
        let table: Vec<u8> = (low..=high).map(|x| self.one(f64::from(x))).collect();
        values
            .iter()
            .map(|x| table.get(((*x).into() - low) as usize).copied().unwrap_or(0))
            .collect()
    }
}

/// Without any VOI information: the full range of images of 8 bits or less, else from the smallest to the largest
/// value in the frame that is not padding.
fn whole_range(image: &ImageDescription, pixels: &StoredPixels, modality: &Modality) -> Window {
    let frame = &image.frame;
    let eight_bit = frame.effective_high_bit() < 8
        && !frame.signed
        && matches!(modality, Modality::Rescale { slope, intercept } if *slope == 1.0 && *intercept == 0.0);
    let (low, high) = match modality {
        _ if eight_bit => frame.value_range(),
        Modality::Rescale { .. } => {
            let (low, high) = range(&pixels.data, image.padding);
            (modality.apply(low), modality.apply(high))
        }
        Modality::Table(table) => (0.0, table.top()),
    };
    let (low, high) = if low <= high { (low, high) } else { (high, low) };
    let width = if high > low { high - low } else { 1.0 };
    Window {
        center: low + width / 2.0,
        width,
        function: VoiFunction::LinearExact,
        explanation: None,
    }
}

fn range(data: &Samples, padding: Option<(f64, f64)>) -> (f64, f64) {
    fn finite<T: Sample>(values: &[T], wanted: impl Fn(T) -> bool) -> Option<(T, T)> {
        let mut values = values.iter().copied().filter(|v| wanted(*v));
        let first = values.next()?;
        Some(values.fold((first, first), |(a, b), v| {
            (if v < a { v } else { a }, if v > b { v } else { b })
        }))
    }
    with_samples!(data, v => {
        let picture = finite(v, |x| {
            let x = x.to_f64();
            x.is_finite() && padding.is_none_or(|(a, b)| x < a || x > b)
        });
        picture.map_or((0.0, 1.0), |(a, b)| (a.to_f64(), b.to_f64()))
    })
}

fn true_colour(image: &ImageDescription, pixels: &StoredPixels) -> Vec<u8> {
    let space = Space::of(image.frame.photometric, pixels.colour);
    let samples = pixels.samples_per_pixel;
    if let Samples::U8(v) = &pixels.data
        && image.frame.effective_high_bit() == 7
    {
        if samples == 3 && space == Space::Rgb {
            return v.clone();
        }
        return v
            .chunks_exact(samples)
            .flat_map(|p| space.to_rgb(p.first_chunk::<3>().copied().unwrap_or_default()))
            .collect();
    }
    let (low, high) = image.frame.value_range();
    let scale = 255.0 / (high - low);
    with_samples!(&pixels.data, v => deep_colour(v, samples, space, |x| round_display((x - low) * scale)))
}

fn deep_colour<T: Sample>(values: &[T], samples: usize, space: Space, byte: impl Fn(f64) -> u8) -> Vec<u8> {
    let at = |p: &[T], k: usize| p.get(k).map_or(0, |x| byte(x.to_f64()));
    values
        .chunks_exact(samples)
        .flat_map(|p| space.to_rgb([at(p, 0), at(p, 1), at(p, 2)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::description::test_description;
    use super::*;
    use crate::codec::frame::test_frame;
    use crate::codec::{DecodedColour, PixelElement};

    fn grey(values: Vec<u16>) -> (ImageDescription, StoredPixels) {
        let frame = test_frame(1, values.len() as u16, 16, 12);
        let pixels = StoredPixels::new(&frame, Samples::U16(values), DecodedColour::AsDeclared).unwrap();
        (test_description(frame), pixels)
    }

    #[test]
    fn window_beats_whole_range_and_monochrome1_inverts() {
        let (mut image, pixels) = grey(vec![0, 100, 200]);
        let mut options = RenderOptions::default();
        assert_eq!(render(&image, &pixels, &options).unwrap().data, [0, 128, 255]);
        options.window = Some(Window::parse("128,256").unwrap());
        assert_eq!(render(&image, &pixels, &options).unwrap().data, [0, 100, 200]);
        image.frame.photometric = Photometric::Monochrome1;
        assert_eq!(render(&image, &pixels, &options).unwrap().data, [255, 155, 55]);
    }

    #[test]
    fn padding_does_not_widen_the_range() {
        let (mut image, pixels) = grey(vec![4000, 100, 200]);
        image.padding = Some((4000.0, 4000.0));
        assert_eq!(
            render(&image, &pixels, &RenderOptions::default()).unwrap().data,
            [255, 0, 255]
        );
    }

    /// Float and double pixels, with what is no number and padding among them.
    #[test]
    fn floats_are_shown_like_integers() {
        let mut frame = test_frame(1, 5, 32, 32);
        frame.element = PixelElement::Float;
        let mut image = test_description(frame.clone());
        image.padding = Some((-9e30, -9e30));
        let values = [-0.5, f64::NAN, 0.0, 0.5, -9e30];
        let single = Samples::F32(values.iter().map(|v| *v as f32).collect());
        for data in [single, Samples::F64(values.to_vec())] {
            image.padding = Some((-9.1e30, -8.9e30));
            let pixels = StoredPixels::new(&frame, data, DecodedColour::AsDeclared).unwrap();
            let shown = |options: &RenderOptions| render(&image, &pixels, options).unwrap().data;
            assert_eq!(shown(&RenderOptions::default()), [0, 0, 128, 255, 0]);
            let options = RenderOptions {
                window: Some(Window::parse("0,2,linear_exact").unwrap()),
                ..RenderOptions::default()
            };
            assert_eq!(shown(&options), [64, 0, 128, 191, 0]);
        }
    }

    #[test]
    fn sizes_are_checked() {
        let (image, pixels) = grey(vec![0, 100, 200]);
        let sized = |size| {
            render(
                &image,
                &pixels,
                &RenderOptions {
                    size: Some(size),
                    ..RenderOptions::default()
                },
            )
        };
        assert_eq!(sized((6, 2)).unwrap().data.len(), 12);
        assert_eq!(sized((1, 1)).unwrap().data, [128]);
        assert!(sized((0, 4)).is_err());
        assert!(sized((4, PICTURE_SIDE_MAX + 1)).is_err());
    }

    #[test]
    fn deep_colour_is_scaled() {
        let mut frame = test_frame(1, 1, 16, 16);
        frame.samples_per_pixel = 3;
        frame.photometric = Photometric::Rgb;
        let pixels = StoredPixels::new(
            &frame,
            Samples::U16(vec![0, 32768, 65535]),
            DecodedColour::AsDeclared,
        )
        .unwrap();
        let image = test_description(frame);
        assert_eq!(
            render(&image, &pixels, &RenderOptions::default()).unwrap().data,
            [0, 128, 255]
        );
    }
}
