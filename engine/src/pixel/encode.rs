//! Pictures to PNG, JPEG and WebP.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use super::render::Picture;
use crate::error::{ImagingError, Result};

/// Picture format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lossless.
    Png,
    /// Lossy.
    Jpeg,
    /// Lossless WebP.
    WebP,
}

impl Format {
    /// By the ending of a file name, without the dot.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// Media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }
}

/// The picture as a file; `quality` 1 to 100 matters for JPEG only.
///
/// # Errors
/// Pictures that the format cannot hold (JPEG and WebP end at 65535 and 16383 pixels a side).
pub fn encode(picture: &Picture, format: Format, quality: u8) -> Result<Vec<u8>> {
    let wrong = |e: String| {
        ImagingError::Request(format!(
            "the picture cannot be written as {}: {e}",
            format.media_type()
        ))
    };
    let grey = picture.channels == 1;
    let colour = if grey {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut out = Vec::new();
    match format {
        Format::Png => {
            let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive);
            encoder
                .write_image(&picture.data, picture.width, picture.height, colour)
                .map_err(|e| wrong(e.to_string()))?;
        }
        Format::WebP => {
            let encoder = WebPEncoder::new_lossless(&mut out);
            encoder
                .write_image(&picture.data, picture.width, picture.height, colour)
                .map_err(|e| wrong(e.to_string()))?;
        }
        Format::Jpeg => {
            let side = |n: u32| u16::try_from(n).map_err(|e| wrong(e.to_string()));
            let (width, height) = (side(picture.width)?, side(picture.height)?);
            let kind = if grey {
                jpeg_encoder::ColorType::Luma
            } else {
                jpeg_encoder::ColorType::Rgb
            };
            jpeg_encoder::Encoder::new(&mut out, quality.clamp(1, 100))
                .encode(&picture.data, width, height, kind)
                .map_err(|e| wrong(e.to_string()))?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lossless_formats_give_the_same_picture_back() {
        for channels in [1u8, 3] {
            let data: Vec<u8> = (0..7 * 5 * u32::from(channels)).map(|i| (i * 37) as u8).collect();
            let picture = Picture {
                width: 7,
                height: 5,
                channels,
                data,
            };
            for format in [Format::Png, Format::WebP, Format::Jpeg] {
                let bytes = encode(&picture, format, 90).unwrap();
                let back = image::load_from_memory(&bytes).unwrap();
                assert_eq!((back.width(), back.height()), (7, 5), "{format:?}");
                if format != Format::Jpeg {
                    let values = if channels == 1 {
                        back.to_luma8().into_raw()
                    } else {
                        back.to_rgb8().into_raw()
                    };
                    assert_eq!(values, picture.data, "{format:?}");
                }
            }
        }
    }

    #[test]
    fn endings() {
        assert_eq!(Format::from_extension("JPG"), Some(Format::Jpeg));
        assert_eq!(Format::from_extension("bmp"), None);
    }
}
