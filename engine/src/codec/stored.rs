//! Decoded frames: stored pixel values before any look-up table.

use super::frame::FrameDescription;
use crate::error::{ImagingError, Result};

/// Stored values of one frame, row by row, samples of a pixel beside each other (planar configuration 0).
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Unsigned, up to 8 bits allocated.
    U8(Vec<u8>),
    /// Signed, up to 8 bits allocated.
    I8(Vec<i8>),
    /// Unsigned, up to 16 bits allocated.
    U16(Vec<u16>),
    /// Signed, up to 16 bits allocated.
    I16(Vec<i16>),
    /// Unsigned, up to 32 bits allocated.
    U32(Vec<u32>),
    /// Signed, up to 32 bits allocated.
    I32(Vec<i32>),
    /// Float Pixel Data.
    F32(Vec<f32>),
    /// Double Float Pixel Data.
    F64(Vec<f64>),
}

/// Runs one expression over whichever vector a [`Samples`] holds.
macro_rules! with_samples {
    ($samples:expr, $v:ident => $body:expr) => {
        match $samples {
            $crate::codec::Samples::U8($v) => $body,
            $crate::codec::Samples::I8($v) => $body,
            $crate::codec::Samples::U16($v) => $body,
            $crate::codec::Samples::I16($v) => $body,
            $crate::codec::Samples::U32($v) => $body,
            $crate::codec::Samples::I32($v) => $body,
            $crate::codec::Samples::F32($v) => $body,
            $crate::codec::Samples::F64($v) => $body,
        }
    };
}

pub(crate) use with_samples;

/// A stored value as a float.
pub(crate) trait Sample: Copy + PartialOrd {
    /// Exact.
    fn to_f64(self) -> f64;
    /// Rounded where it has more than 24 bits.
    fn to_f32(self) -> f32;
}

macro_rules! sample {
    ($($t:ty),*) => { $(impl Sample for $t {
        #[inline]
        fn to_f64(self) -> f64 { self as f64 }
        #[inline]
        fn to_f32(self) -> f32 { self as f32 }
    })* };
}
sample!(u8, i8, u16, i16, u32, i32, f32, f64);

impl Samples {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        with_samples!(self, v => v.len())
    }

    /// True without samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// numpy's name of the element type, little endian.
    #[must_use]
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::U8(_) => "|u1",
            Self::I8(_) => "|i1",
            Self::U16(_) => "<u2",
            Self::I16(_) => "<i2",
            Self::U32(_) => "<u4",
            Self::I32(_) => "<i4",
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
        }
    }

    /// The value at `index` as a float; 0 past the end.
    #[must_use]
    pub fn value(&self, index: usize) -> f64 {
        with_samples!(self, v => v.get(index).map_or(0.0, |x| x.to_f64()))
    }

    /// The values as little-endian bytes.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::U8(v) => v.clone(),
            Self::I8(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
            Self::U16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::U32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// The colour space in which a decoder left its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodedColour {
    /// As Photometric Interpretation says.
    AsDeclared,
    /// Red, green, blue, whatever the header says: the stream said so, or the codec undid its own transform.
    Rgb,
    /// Luminance and full-range colour differences: the stream said so.
    YbrFull,
}

/// One decoded frame.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPixels {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub columns: usize,
    /// Samples of one pixel: 1, 3 or 4.
    pub samples_per_pixel: usize,
    /// `rows * columns * samples_per_pixel` values.
    pub data: Samples,
    /// Colour space of the samples.
    pub colour: DecodedColour,
    /// Resolutions left out: both sides are those of the image divided by `2^reduction`, rounded up.
    pub reduction: u8,
}

impl StoredPixels {
    /// Checks that the number of samples is what the shape says.
    ///
    /// # Errors
    /// [`ImagingError::Short`] when it is not.
    pub fn new(frame: &FrameDescription, data: Samples, colour: DecodedColour) -> Result<Self> {
        let needed = frame.samples_per_frame()?;
        if data.len() != needed {
            return Err(ImagingError::Short {
                needed_bytes: needed as u64,
                found_bytes: data.len() as u64,
            });
        }
        Ok(Self {
            rows: frame.rows.into(),
            columns: frame.columns.into(),
            samples_per_pixel: frame.samples_per_pixel.into(),
            data,
            colour,
            reduction: 0,
        })
    }
}

impl StoredPixels {
    /// The same at the upper left of a whole frame, 0 beyond.
    pub(crate) fn padded(self, frame: &FrameDescription) -> Result<Self> {
        let (from, to) = (
            self.columns * self.samples_per_pixel,
            usize::from(frame.columns) * self.samples_per_pixel,
        );
        let total = frame.samples_per_frame()?;
        fn pad<T: Copy + Default>(values: &[T], from: usize, to: usize, total: usize) -> Vec<T> {
            let mut out = vec![T::default(); total];
            for (row, line) in out.chunks_exact_mut(to).zip(values.chunks_exact(from)) {
                row.iter_mut().zip(line).for_each(|(o, v)| *o = *v);
            }
            out
        }
        let data = match &self.data {
            Samples::U8(v) => Samples::U8(pad(v, from, to, total)),
            Samples::I8(v) => Samples::I8(pad(v, from, to, total)),
            Samples::U16(v) => Samples::U16(pad(v, from, to, total)),
            Samples::I16(v) => Samples::I16(pad(v, from, to, total)),
            Samples::U32(v) => Samples::U32(pad(v, from, to, total)),
            Samples::I32(v) => Samples::I32(pad(v, from, to, total)),
            Samples::F32(v) => Samples::F32(pad(v, from, to, total)),
            Samples::F64(v) => Samples::F64(pad(v, from, to, total)),
        };
        Self::new(frame, data, self.colour)
    }
}

/// Turns raw words into stored values: bits above High Bit dropped, sign extended at High Bit.
///
/// `word` gives the raw word of each sample in turn (bits above Bits Allocated are ignored).
pub(crate) fn pack(frame: &FrameDescription, words: impl Iterator<Item = u32>) -> Samples {
    let bits = u32::from(frame.effective_high_bit()) + 1;
    let shift = 32 - bits.min(32);
    let mask = u32::MAX >> shift;
    let extend = move |w: u32| (w << shift).cast_signed() >> shift;
    match (frame.bits_allocated, frame.signed) {
        (..=8, false) => Samples::U8(words.map(|w| (w & mask) as u8).collect()),
        (..=8, true) => Samples::I8(words.map(|w| extend(w) as i8).collect()),
        (9..=16, false) => Samples::U16(words.map(|w| (w & mask) as u16).collect()),
        (9..=16, true) => Samples::I16(words.map(|w| extend(w) as i16).collect()),
        (_, false) => Samples::U32(words.map(|w| w & mask).collect()),
        (_, true) => Samples::I32(words.map(extend).collect()),
    }
}

/// As [`pack`], for words that are in memory already: the memory is used again where it can be.
pub(crate) fn pack_words(frame: &FrameDescription, mut words: Vec<u16>) -> Samples {
    let bits = u32::from(frame.effective_high_bit()) + 1;
    if !(9..=16).contains(&frame.bits_allocated) {
        return pack(frame, words.into_iter().map(u32::from));
    }
    let shift = 16u32.saturating_sub(bits);
    if frame.signed {
        return Samples::I16(
            words
                .into_iter()
                .map(|w| (w << shift).cast_signed() >> shift)
                .collect(),
        );
    }
    if shift > 0 {
        words.iter_mut().for_each(|w| *w &= u16::MAX >> shift);
    }
    Samples::U16(words)
}
