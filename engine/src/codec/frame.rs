//! What the header says about the shape of a frame.

use crate::dicom::Attributes;
use crate::error::{ImagingError, Result};

/// Largest decoded size of one frame.
pub const FRAME_BYTES_MAX: u64 = 256 << 20;

/// Which element holds the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelElement {
    /// Pixel Data (7FE0,0010): integers.
    Integer,
    /// Float Pixel Data (7FE0,0008): 32-bit floats.
    Float,
    /// Double Float Pixel Data (7FE0,0009): 64-bit floats.
    Double,
}

/// Photometric Interpretation (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// Lowest value is white.
    Monochrome1,
    /// Lowest value is black.
    Monochrome2,
    /// Index into colour tables.
    PaletteColor,
    /// Red, green, blue.
    Rgb,
    /// Full-range luminance and colour differences.
    YbrFull,
    /// The same, colour differences of two pixels shared.
    YbrFull422,
    /// Studio-range luminance and colour differences, shared (retired).
    YbrPartial422,
    /// Studio-range, shared over 2 x 2 (MPEG).
    YbrPartial420,
    /// Irreversible transform of JPEG 2000.
    YbrIct,
    /// Reversible transform of JPEG 2000.
    YbrRct,
    /// JPEG XL's own space.
    Xyb,
    /// Anything else or missing.
    Other,
}

impl Photometric {
    /// From the attribute's text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "MONOCHROME1" => Self::Monochrome1,
            "MONOCHROME2" => Self::Monochrome2,
            "PALETTE COLOR" => Self::PaletteColor,
            "RGB" => Self::Rgb,
            "YBR_FULL" => Self::YbrFull,
            "YBR_FULL_422" => Self::YbrFull422,
            "YBR_PARTIAL_422" => Self::YbrPartial422,
            "YBR_PARTIAL_420" => Self::YbrPartial420,
            "YBR_ICT" => Self::YbrIct,
            "YBR_RCT" => Self::YbrRct,
            "XYB" => Self::Xyb,
            _ => Self::Other,
        }
    }

    /// True for one sample that means a shade of grey.
    #[must_use]
    pub fn is_grey(self) -> bool {
        matches!(self, Self::Monochrome1 | Self::Monochrome2)
    }
}

/// Shape and sample form of every frame of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameDescription {
    /// Rows (0028,0010).
    pub rows: u16,
    /// Columns (0028,0011).
    pub columns: u16,
    /// Samples per Pixel (0028,0002).
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// High Bit (0028,0102).
    pub high_bit: u16,
    /// Pixel Representation (0028,0103) is 1.
    pub signed: bool,
    /// Planar Configuration (0028,0006) is 1.
    pub planar: bool,
    /// Photometric Interpretation (0028,0004).
    pub photometric: Photometric,
    /// Number of Frames (0028,0008), at least 1.
    pub frames: u64,
    /// Which element holds the pixels.
    pub element: PixelElement,
}

impl FrameDescription {
    /// Reads and checks the image pixel module.
    ///
    /// # Errors
    /// Missing Rows or Columns, impossible sizes or bit depths.
    pub fn read(root: &Attributes<'_, '_>) -> Result<Self> {
        let rows = root
            .us(0x0028_0010)
            .ok_or(ImagingError::Missing("Rows (0028,0010)"))?;
        let columns = root
            .us(0x0028_0011)
            .ok_or(ImagingError::Missing("Columns (0028,0011)"))?;
        let bits_allocated = root
            .us(0x0028_0100)
            .ok_or(ImagingError::Missing("Bits Allocated (0028,0100)"))?;
        let element = match bits_allocated {
            // The floating-point modules have no Bits Stored (PS3.3 C.7.6.24).
            32 if root.bytes(0x7fe0_0008).is_some() || !root.has(0x0028_0101) => PixelElement::Float,
            64 => PixelElement::Double,
            _ => PixelElement::Integer,
        };
        let bits_stored = root.us(0x0028_0101).filter(|b| *b > 0).unwrap_or(bits_allocated);
        let samples_per_pixel = root.us(0x0028_0002).unwrap_or(1);
        let frame = Self {
            rows,
            columns,
            samples_per_pixel,
            bits_allocated,
            bits_stored,
            high_bit: root.us(0x0028_0102).unwrap_or(bits_stored.saturating_sub(1)),
            signed: root.us(0x0028_0103) == Some(1),
            planar: root.us(0x0028_0006) == Some(1),
            photometric: Photometric::parse(&root.text(0x0028_0004).unwrap_or_default()),
            frames: number_of_frames(root)?,
            element,
        };
        frame.check()?;
        Ok(frame)
    }

    fn check(&self) -> Result<()> {
        if self.rows == 0 || self.columns == 0 {
            let value = format!("{} x {}", self.rows, self.columns);
            return Err(ImagingError::attribute(
                "Rows x Columns",
                value,
                "1 x 1 to 65535 x 65535",
            ));
        }
        if !matches!(self.samples_per_pixel, 1 | 3 | 4) {
            return Err(ImagingError::attribute(
                "Samples per Pixel (0028,0002)",
                self.samples_per_pixel,
                "1, 3 or 4",
            ));
        }
        if !matches!(self.bits_allocated, 1..=32 | 64) {
            return Err(ImagingError::attribute(
                "Bits Allocated (0028,0100)",
                self.bits_allocated,
                "1 to 32, or 64 for floats",
            ));
        }
        self.frame_bytes().map(drop)
    }

    /// Pixels of a frame.
    #[must_use]
    pub fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    /// Samples of a frame, within the limit of [`FRAME_BYTES_MAX`].
    ///
    /// # Errors
    /// [`ImagingError::TooLarge`].
    pub fn samples_per_frame(&self) -> Result<usize> {
        self.frame_bytes()?;
        Ok(self.pixels() * usize::from(self.samples_per_pixel))
    }

    /// Bytes of one decoded sample.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        match self.bits_allocated {
            ..=8 => 1,
            9..=16 => 2,
            17..=32 => 4,
            _ => 8,
        }
    }

    /// Bytes of a decoded frame.
    ///
    /// # Errors
    /// [`ImagingError::TooLarge`] beyond [`FRAME_BYTES_MAX`].
    pub fn frame_bytes(&self) -> Result<u64> {
        let needed = self.pixels() as u64 * u64::from(self.samples_per_pixel) * self.sample_bytes() as u64;
        if needed > FRAME_BYTES_MAX {
            return Err(ImagingError::TooLarge {
                needed_bytes: needed,
                limit_bytes: FRAME_BYTES_MAX,
            });
        }
        Ok(needed)
    }

    /// High Bit, or what it must have been where it contradicts Bits Stored and Bits Allocated.
    #[must_use]
    pub fn effective_high_bit(&self) -> u16 {
        if self.bits_allocated == 1 {
            return 0;
        }
        if self.high_bit.saturating_add(1) < self.bits_stored || self.high_bit >= self.bits_allocated {
            self.bits_stored.min(self.bits_allocated).saturating_sub(1)
        } else {
            self.high_bit
        }
    }

    /// Smallest and largest stored value that the header allows, as the rendering needs them.
    #[must_use]
    pub fn value_range(&self) -> (f64, f64) {
        let bits = i32::from(self.effective_high_bit()) + 1;
        if self.signed {
            (-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0)
        } else {
            (0.0, 2f64.powi(bits) - 1.0)
        }
    }
}

fn number_of_frames(root: &Attributes<'_, '_>) -> Result<u64> {
    let Some(text) = root.text(0x0028_0008) else {
        return Ok(1);
    };
    if text.starts_with('-') {
        return Err(ImagingError::attribute(
            "Number of Frames (0028,0008)",
            text,
            "a whole number from 1",
        ));
    }
    let digits: String = text
        .trim_start_matches('+')
        .chars()
        .take_while(char::is_ascii_digit)
        .take(10)
        .collect();
    Ok(digits.parse::<u64>().unwrap_or(1).max(1))
}

#[cfg(test)]
pub(crate) fn test_frame(rows: u16, columns: u16, bits_allocated: u16, bits_stored: u16) -> FrameDescription {
    FrameDescription {
        rows,
        columns,
        samples_per_pixel: 1,
        bits_allocated,
        bits_stored,
        high_bit: bits_stored - 1,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        element: PixelElement::Integer,
    }
}
