//! Thumbnails: the longest side as asked, area average, without overlays.

use super::description::ImageDescription;
use super::render::{PICTURE_SIDE_MAX, Picture, RenderOptions, Shade, display, resize};
use super::resize::{Grid, area_average};
use crate::codec::{
    self, Compression, FrameBytes, FrameDescription, Photometric, Sample, StoredPixels, TransferSyntax,
    with_samples,
};
use crate::error::{ImagingError, Result};

/// Reduced resolutions keep at least this many pixels for each of the thumbnail's, along a side: the low band of a
/// wavelet is no area average, and its difference must be averaged away.
const OVERSAMPLING: u32 = 2;

/// Steps of the finest details in grey levels, where at least two by two of their samples are averaged: the error of the
/// picture is then below 1.3 levels (45.8 dB) even where noise fills every step.
const DETAIL_GREYS: f64 = 5.2;
const DETAIL_STEP_MAX: u32 = 1 << 12;

/// Resolutions that may be left out of a wavelet stream for a thumbnail whose longest side is `size`.
#[must_use]
pub fn reduction(frame: &FrameDescription, size: u32) -> u8 {
    let longest = u32::from(frame.rows.max(frame.columns));
    (0..6)
        .rev()
        .find(|r| longest >> r >= size.saturating_mul(OVERSAMPLING))
        .unwrap_or(0)
}

/// The thumbnail of an encoded frame: decodes no more of it than is needed.
///
/// # Errors
/// As [`codec::decode`] and [`thumbnail`].
pub fn thumbnail_of(
    image: &ImageDescription,
    syntax: TransferSyntax,
    input: FrameBytes<'_>,
    frame: u64,
    size: u32,
) -> Result<Picture> {
    let described = &image.frame;
    let plain_words = syntax.compression() == Some(Compression::None)
        && !syntax.is_big_endian()
        && described.bits_allocated == 16
        && is_grey(image)
        && !image.attributes(frame).voi.windows.is_empty();
    if plain_words && let Some(words) = input.bytes.as_chunks::<2>().0.get(..described.pixels()) {
        let (height, width) = sides(described, size)?;
        let shift = 31 - u32::from(described.effective_high_bit());
        let word = |w: [u8; 2]| u32::from(u16::from_le_bytes(w)) << shift;
        let shape = (described.rows.into(), described.columns.into(), 1);
        let (grid, to) = (Grid::whole(shape, (height, width)), (height, width));
        let shade = Shade::windowed(image, frame);
        if height <= shape.0
            && width <= shape.1
            && let Some(shade) = shade.filter(Shade::is_smooth)
        {
            // Straight from the file's bytes: no decoded copy of the frame.
            let mean = if described.signed {
                area_average(words, grid, to, |w| (word(w).cast_signed() >> shift) as f32)
            } else {
                area_average(words, grid, to, |w| (word(w) >> shift).cast_signed() as f32)
            };
            return Ok(shaded(&shade, &mean, height, width));
        }
    }
    let reduce = reduction(described, size);
    let step = detail_step(image, frame, reduce, size);
    let pixels = codec::decode_near(described, syntax, input, reduce, step)?;
    thumbnail(image, &pixels, frame, size)
}

/// A thumbnail of a decoded frame (whole or reduced) whose longest side is `size`; `frame` counts from 0.
///
/// # Errors
/// As [`super::render`].
pub fn thumbnail(image: &ImageDescription, pixels: &StoredPixels, frame: u64, size: u32) -> Result<Picture> {
    let average =
        |grid: &Grid, to| Some(with_samples!(&pixels.data, v => area_average(v, *grid, to, Sample::to_f32)));
    thumbnail_by(image, pixels, frame, size, average)
}

/// [`thumbnail`] with the area average of a grey frame's stored values (source grid, rows and columns of the result)
/// made by `average`, elsewhere; where it answers `None`, or no average of stored values is taken, the CPU does the rest.
///
/// # Errors
/// As [`super::render`].
pub fn thumbnail_by(
    image: &ImageDescription,
    pixels: &StoredPixels,
    frame: u64,
    size: u32,
    average: impl FnOnce(&Grid, (usize, usize)) -> Option<Vec<f32>>,
) -> Result<Picture> {
    let (height, width) = sides(&image.frame, size)?;
    let to = (height, width);
    let smaller = height <= pixels.rows && width <= pixels.columns;
    if is_grey(image) && pixels.samples_per_pixel == 1 && smaller {
        let shade = Shade::new(image, pixels, frame, None);
        // Averaging first touches each stored value once and windows only the few that are left.
        let grid = grid(&image.frame, pixels, to);
        let mean = shade.is_smooth().then(|| average(&grid, to)).flatten();
        if let Some(mean) = mean.filter(|mean| mean.len() == height * width) {
            return Ok(shaded(&shade, &mean, height, width));
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
    if !smaller || pixels.reduction == 0 {
        return resize(&whole, width as u32, height as u32);
    }
    let mut grid = grid(&image.frame, pixels, to);
    grid.shape.2 = whole.channels.into();
    let mean = area_average(&whole.data, grid, to, f32::from);
    let data = mean.iter().map(|v| (v + 0.5) as u8).collect();
    Ok(Picture {
        width: width as u32,
        height: height as u32,
        channels: whole.channels,
        data,
    })
}

/// How coarse the finest details may be in stored values: what the window makes of it is averaged away.
fn detail_step(image: &ImageDescription, frame: u64, reduce: u8, size: u32) -> u32 {
    let longest = u32::from(image.frame.rows.max(image.frame.columns));
    if !is_grey(image) || longest >> reduce < size.saturating_mul(OVERSAMPLING) {
        return 1;
    }
    let shade = Shade::windowed(image, frame);
    let greys = shade.and_then(|s| s.ramp()).map_or(0.0, |(a, _)| a.abs());
    // A saturating conversion: a ramp of nothing asks for nothing.
    if greys > 0.0 {
        (DETAIL_GREYS / greys) as u32
    } else {
        1
    }
    .clamp(1, DETAIL_STEP_MAX)
}

fn is_grey(image: &ImageDescription) -> bool {
    image.frame.samples_per_pixel == 1 && image.frame.photometric != Photometric::PaletteColor
}

/// Height and width of the thumbnail.
fn sides(frame: &FrameDescription, size: u32) -> Result<(usize, usize)> {
    if !(1..=PICTURE_SIDE_MAX).contains(&size) {
        let why = format!("thumbnail size {size} is not possible: it must be from 1 to {PICTURE_SIDE_MAX}");
        return Err(ImagingError::Request(why));
    }
    let (rows, columns) = (f64::from(frame.rows), f64::from(frame.columns));
    let scale = f64::from(size) / rows.max(columns);
    let side = |n: f64| ((n * scale).round() as usize).max(1);
    Ok((side(rows), side(columns)))
}

/// Where the pixels lie under the thumbnail. A sample of a reduced resolution stands for the area around the first of
/// the pixels it replaces (T.800 F.3: the low band keeps the even positions), not around their middle.
fn grid(frame: &FrameDescription, pixels: &StoredPixels, (height, width): (usize, usize)) -> Grid {
    let step = f64::from(1u32 << pixels.reduction.min(31));
    Grid {
        shape: (pixels.rows, pixels.columns, 1),
        scale: (
            f64::from(frame.rows) / step / height as f64,
            f64::from(frame.columns) / step / width as f64,
        ),
        shift: 0.5 - 0.5 / step,
    }
}

fn shaded(shade: &Shade<'_>, mean: &[f32], height: usize, width: usize) -> Picture {
    let data = match shade.ramp() {
        Some((a, b)) => {
            // 2^23 pushes the fraction out of a float of 24 bits: the rounded value is in its lowest byte.
            const WHOLE: f32 = 8_388_608.0;
            let (a, b) = (a as f32, b as f32);
            mean.iter()
                .map(|v| ((v * a + b).clamp(0.0, 255.0) + WHOLE).to_bits() as u8)
                .collect()
        }
        None => mean.iter().map(|v| shade.one(f64::from(*v))).collect(),
    };
    Picture {
        width: width as u32,
        height: height as u32,
        channels: 1,
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::super::description::test_description;
    use super::super::window::Window;
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
        assert_eq!(reduction(&test_frame(3000, 2500, 16, 12), 256), 2);
        assert_eq!(reduction(&test_frame(1024, 512, 16, 12), 256), 1);
        assert_eq!(reduction(&test_frame(512, 512, 16, 12), 256), 0);
        assert_eq!(reduction(&test_frame(100, 100, 16, 12), 256), 0);
    }

    /// The short way from bytes and the long way over stored values give the same picture.
    #[test]
    fn both_ways_agree() {
        for signed in [false, true] {
            let mut frame = test_frame(40, 50, 16, 12);
            frame.signed = signed;
            let bytes: Vec<u8> = (0..2000u32)
                .flat_map(|i| ((i * i * 7) as u16).to_le_bytes())
                .collect();
            let mut image = test_description(frame);
            image.set_window(Window::parse("300,3000").unwrap());
            let input = FrameBytes::from(bytes.as_slice());
            let pixels = codec::decode(&image.frame, TransferSyntax::EXPLICIT_LE, input).unwrap();
            let long = thumbnail(&image, &pixels, 0, 20).unwrap();
            assert_eq!(
                thumbnail_of(&image, TransferSyntax::EXPLICIT_LE, input, 0, 20).unwrap(),
                long
            );
            assert!(long.data.iter().any(|v| *v > 20));
        }
    }
}
