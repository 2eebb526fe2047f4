//! Thumbnails: the longest side as asked, area average, without overlays.

use super::description::ImageDescription;
use super::render::{PICTURE_SIDE_MAX, Picture, RenderOptions, Shade, display, resize};
use super::resize::area_average;
use crate::codec::{FrameDescription, Photometric, StoredPixels};
use crate::error::{ImagingError, Result};
use crate::with_samples;

/// Resolutions that may be left out of a wavelet stream for a thumbnail whose longest side is `size`.
#[must_use]
pub fn reduction(frame: &FrameDescription, size: u32) -> u8 {
    let longest = u32::from(frame.rows.max(frame.columns));
    (0..5).rev().find(|r| longest >> r >= size).unwrap_or(0)
}

/// A thumbnail of a decoded frame (whole or reduced) whose longest side is `size`; `frame` counts from 0.
///
/// # Errors
/// As [`super::render`].
pub fn thumbnail(image: &ImageDescription, pixels: &StoredPixels, frame: u64, size: u32) -> Result<Picture> {
    if !(1..=PICTURE_SIDE_MAX).contains(&size) {
        let why = format!("thumbnail size {size} is not possible: it must be from 1 to {PICTURE_SIDE_MAX}");
        return Err(ImagingError::Request(why));
    }
    let (rows, columns) = (f64::from(image.frame.rows), f64::from(image.frame.columns));
    let scale = f64::from(size) / rows.max(columns);
    let side = |n: f64| ((n * scale).round() as usize).max(1);
    let (height, width) = (side(rows), side(columns));
    let shape = (pixels.rows, pixels.columns, 1);
    let grey = pixels.samples_per_pixel == 1 && image.frame.photometric != Photometric::PaletteColor;
    if grey && height <= pixels.rows && width <= pixels.columns {
        let shade = Shade::new(image, pixels, frame, None);
        if shade.is_smooth() {
            // Averaging first touches each stored value once and windows only the few that are left.
            let mean =
                with_samples!(&pixels.data, v => area_average(v, shape, (height, width), |x| x as f32));
            let data = mean.iter().map(|v| shade.one(f64::from(*v))).collect();
            return Ok(Picture {
                width: width as u32,
                height: height as u32,
                channels: 1,
                data,
            });
        }
    }
    let whole = display(
        image,
        pixels,
        &RenderOptions {
            frame,
            ..RenderOptions::default()
        },
    )?;
    resize(&whole, width as u32, height as u32)
}

#[cfg(test)]
mod tests {
    use super::super::description::test_description;
    use super::*;
    use crate::codec::frame::test_frame;
    use crate::codec::{DecodedColour, Samples};

    #[test]
    fn longest_side_is_the_size() {
        let frame = test_frame(30, 60, 16, 12);
        let pixels =
            StoredPixels::new(&frame, Samples::U16(vec![5; 1800]), DecodedColour::AsDeclared).unwrap();
        let image = test_description(frame);
        for (size, expect) in [(20, (20, 10)), (120, (120, 60)), (1, (1, 1))] {
            let t = thumbnail(&image, &pixels, 0, size).unwrap();
            assert_eq!((t.width, t.height), expect);
            assert_eq!(t.data.len(), (t.width * t.height) as usize);
        }
        assert!(thumbnail(&image, &pixels, 0, 0).is_err());
    }

    #[test]
    fn reduction_leaves_enough_pixels() {
        assert_eq!(reduction(&test_frame(3000, 2500, 16, 12), 256), 3);
        assert_eq!(reduction(&test_frame(512, 512, 16, 12), 256), 1);
        assert_eq!(reduction(&test_frame(100, 100, 16, 12), 256), 0);
    }
}
