//! The state's steps in their order (PS3.4 N.2): grey steps, shutter, overlays and graphics, displayed area, turn, size.

use super::super::description::{ImageDescription, Modality};
use super::super::overlay::INK;
use super::super::render::{PICTURE_SIDE_MAX, Picture, RenderOptions, Shade, VoiStep, display, resize};
use super::super::window::{VoiFunction, Window};
use super::{Area, Presentation, PresentationLut};
use crate::codec::StoredPixels;
use crate::codec::frame::FRAME_BYTES_MAX;
use crate::error::{ImagingError, Result};

/// Renders one decoded frame as the state says. Of `options`, `window` and `overlays` have no say.
///
/// # Errors
/// A frame that the state is not for; as [`super::super::render`].
pub fn present(
    image: &ImageDescription,
    pixels: &StoredPixels,
    state: &Presentation,
    options: &RenderOptions,
) -> Result<Picture> {
    let frame = options.frame;
    if !state.frames.hold(frame) {
        let why = format!("this presentation state is not for frame {}", frame + 1);
        return Err(ImagingError::Request(why));
    }
    let mut picture = if image.frame.photometric.is_grey() && pixels.samples_per_pixel == 1 {
        Picture {
            width: pixels.columns as u32,
            height: pixels.rows as u32,
            channels: 1,
            data: shade(image, state, frame).all(&pixels.data),
        }
    } else {
        display(image, pixels, options)?
    };
    let area = state
        .area(frame)
        .copied()
        .unwrap_or_else(|| Area::whole(picture.width.into(), picture.height.into()));
    state.shutter.cover(&mut picture, frame);
    let channels = usize::from(picture.channels);
    for plane in &state.overlays {
        plane.draw(frame, pixels.rows, pixels.columns, |i| {
            if let Some(pixel) = picture.data.get_mut(i * channels..(i + 1) * channels) {
                pixel.fill(INK);
            }
        });
    }
    for (frames, graphic) in &state.graphics {
        if frames.hold(frame) {
            graphic.draw(&mut picture, &area, state.quarters, state.flip);
        }
    }
    let part = cut(&picture, &area, state.shutter.value)?;
    let part = turned(&part, state.quarters, state.flip);
    match size(&part, &area, state.quarters, options.size) {
        Some((width, height)) => resize(&part, width, height),
        None => Ok(part),
    }
}

/// Photometric Interpretation has no say: the state's steps alone lead to P-values (PS3.4 N.2.1.4).
fn shade<'a>(image: &ImageDescription, state: &'a Presentation, frame: u64) -> Shade<'a> {
    let voi = state
        .vois
        .iter()
        .filter(|(frames, _)| frames.hold(frame))
        .find_map(|(_, voi)| match (voi.tables.first(), voi.windows.first()) {
            (Some(table), _) => Some(VoiStep::Table(table.clone())),
            (None, Some(window)) => Some(VoiStep::Window(window.clone())),
            (None, None) => None,
        });
    let all = || {
        let (low, high) = image.frame.value_range();
        let (low, high) = match &state.modality {
            Modality::Rescale { .. } => (state.modality.apply(low), state.modality.apply(high)),
            Modality::Table(table) => (0.0, table.top()),
        };
        let (low, high) = (low.min(high), low.max(high));
        VoiStep::Window(Window {
            center: (low + high) / 2.0,
            width: (high - low).max(1.0),
            function: VoiFunction::LinearExact,
            explanation: None,
        })
    };
    Shade {
        modality: &state.modality,
        voi: voi.unwrap_or_else(all),
        inverse: state.lut == PresentationLut::Inverse,
        presentation: state.lut.table(),
    }
}

/// The displayed area; what lies beyond the image has the value of the shutter.
fn cut(picture: &Picture, area: &Area, beyond: u8) -> Result<Picture> {
    let (width, height) = (
        area.columns[1] - area.columns[0] + 1,
        area.rows[1] - area.rows[0] + 1,
    );
    let most = i64::from(PICTURE_SIDE_MAX);
    if !(1..=most).contains(&width) || !(1..=most).contains(&height) {
        let why = format!(
            "the displayed area of this presentation state is {width} x {height} pixels; each side must be from 1 to {most}"
        );
        return Err(ImagingError::Request(why));
    }
    let channels = usize::from(picture.channels);
    let bytes = (width * height) as u64 * channels as u64;
    if bytes > FRAME_BYTES_MAX {
        return Err(ImagingError::TooLarge {
            needed_bytes: bytes,
            limit_bytes: FRAME_BYTES_MAX,
        });
    }
    let (own_width, own_height) = (i64::from(picture.width), i64::from(picture.height));
    let mut data = vec![beyond; (width * height) as usize * channels];
    let (first, end) = (
        area.columns[0].clamp(0, own_width),
        (area.columns[1] + 1).clamp(0, own_width),
    );
    let rows = if first < end {
        area.rows[0].max(0)..(area.rows[1] + 1).min(own_height)
    } else {
        0..0
    };
    for row in rows {
        let from = (row * own_width + first) as usize * channels;
        let to = ((row - area.rows[0]) * width + first - area.columns[0]) as usize * channels;
        let count = (end - first) as usize * channels;
        if let (Some(target), Some(source)) =
            (data.get_mut(to..to + count), picture.data.get(from..from + count))
        {
            target.copy_from_slice(source);
        }
    }
    Ok(Picture {
        width: width as u32,
        height: height as u32,
        channels: picture.channels,
        data,
    })
}

/// Turned clockwise, then left and right exchanged.
fn turned(picture: &Picture, quarters: u8, flip: bool) -> Picture {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (to_width, to_height) = if quarters % 2 == 1 {
        (height, width)
    } else {
        (width, height)
    };
    let channels = usize::from(picture.channels);
    let mut data = Vec::with_capacity(picture.data.len());
    for row in 0..to_height {
        for column in 0..to_width {
            let x = if flip { to_width - 1 - column } else { column };
            let (from_column, from_row) = match quarters {
                0 => (x, row),
                1 => (row, height - 1 - x),
                2 => (width - 1 - x, height - 1 - row),
                _ => (width - 1 - row, x),
            };
            let start = (from_row * width + from_column) * channels;
            data.extend_from_slice(picture.data.get(start..start + channels).unwrap_or_default());
        }
    }
    Picture {
        width: to_width as u32,
        height: to_height as u32,
        channels: picture.channels,
        data,
    }
}

/// The size asked for, else the one at which pixels have their shape and the magnification.
fn size(picture: &Picture, area: &Area, quarters: u8, asked: Option<(u32, u32)>) -> Option<(u32, u32)> {
    if asked.is_some() {
        return asked;
    }
    let scale = area.magnification.unwrap_or(1.0);
    if scale == 1.0 && area.aspect == 1.0 {
        return None;
    }
    let (across, down) = if quarters % 2 == 1 {
        (area.aspect, 1.0)
    } else {
        (1.0, area.aspect)
    };
    let side = |length: u32, by: f64| {
        (f64::from(length) * by * scale)
            .round()
            .clamp(1.0, f64::from(PICTURE_SIDE_MAX)) as u32
    };
    Some((side(picture.width, across), side(picture.height, down)))
}
