//! High-throughput JPEG 2000 (ITU-T T.814), lossless encoding as transfer syntax 1.2.840.10008.1.2.4.202 wants it:
//! resolution first, the length of each resolution's tile-part in the main header.
//!
//! What this encoder writes is decoded again by another implementation before anybody gets it.

mod bits;
mod block;
mod offsets;
mod packet;
mod simd;
mod stream;
pub(super) mod tables;
pub(super) mod wavelet;

#[cfg(test)]
mod tests;

pub use offsets::resolutions;

use super::frame::{FrameDescription, Photometric};
use super::jpeg2000;
use super::stored::Samples;
use crate::error::{ImagingError, Result};
use block::BlockEncoder;
use stream::{Blocks, Shape};
use wavelet::Rows;

const CODEC: &str = "HTJ2K";
/// Levels of decomposition where nothing asks for more.
const LEVELS: u32 = 5;
/// Longest side of the lowest resolution, as a power of two: readers show it before they have the rest.
const LOWEST_SIDE_EXPONENT: u32 = 6;

/// An encoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The code stream.
    pub stream: Vec<u8>,
    /// Bytes from the start of the stream that hold each resolution, the lowest first: the image at
    /// `1 / 2^(n - 1 - k)` of its sides needs the first `resolutions[k]` bytes of `n`.
    pub resolutions: Vec<usize>,
}

/// True where [`encode`] codes colours in the space of the reversible transform, which Photometric Interpretation must
/// then say (YBR_RCT, PS3.5 8.2.4).
#[must_use]
pub fn transforms_colour(frame: &FrameDescription) -> bool {
    frame.samples_per_pixel == 3 && frame.photometric == Photometric::Rgb
}

/// A lossless stream of the stored values, proved by decoding it with OpenJPEG's decoder.
///
/// # Errors
/// Samples of more than 16 bits or floats, another number of samples than `frame` says, frames beyond the decoder's
/// limits, and streams that do not decode to the same values.
pub fn encode(frame: &FrameDescription, samples: &Samples) -> Result<Encoded> {
    let encoded = encode_unproved(frame, samples)?;
    if !jpeg2000::proves(frame, &encoded.stream, samples)? {
        return Err(ImagingError::unsupported(
            CODEC,
            "a frame whose values go beyond the bits that its header says",
        ));
    }
    Ok(encoded)
}

/// The stream without the proof.
///
/// # Errors
/// As [`encode`], but for the last.
pub fn encode_unproved(frame: &FrameDescription, samples: &Samples) -> Result<Encoded> {
    if frame.bits_allocated > 16 {
        return Err(too_deep());
    }
    if samples.len() != frame.samples_per_frame()? {
        return Err(ImagingError::unsupported(CODEC, "this number of samples"));
    }
    if frame.bits_allocated == 1 {
        return Err(ImagingError::unsupported(CODEC, "an image of one bit a pixel"));
    }
    let bits = frame.effective_high_bit() + 1;
    let shape = Shape {
        columns: frame.columns.into(),
        rows: frame.rows.into(),
        components: frame.samples_per_pixel,
        bits: bits as u8,
        signed: frame.signed,
        levels: levels(frame),
        transformed: transforms_colour(frame),
    };
    let (stream, resolutions) = match samples {
        Samples::U8(v) => simd::encode(shape, v),
        Samples::I8(v) => simd::encode(shape, v),
        Samples::U16(v) => simd::encode(shape, v),
        Samples::I16(v) => simd::encode(shape, v),
        _ => return Err(too_deep()),
    };
    Ok(Encoded { stream, resolutions })
}

fn too_deep() -> ImagingError {
    ImagingError::unsupported(CODEC, "samples of more than 16 bits")
}

fn levels(frame: &FrameDescription) -> u8 {
    let longest = u32::from(frame.rows.max(frame.columns));
    let to_lowest = longest.div_ceil(1 << LOWEST_SIDE_EXPONENT).next_power_of_two();
    to_lowest.ilog2().max(LEVELS).min(longest.ilog2()) as u8
}

/// One component of interleaved samples, around 0, its colours decorrelated where they are to be.
struct Component<'s, T> {
    samples: &'s [T],
    /// Samples of a row.
    stride: usize,
    middle: i32,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// All there is.
    Only,
    /// One of so many.
    Of(usize, usize),
    /// Luminance, blue and red differences of three colours (T.800 G.2).
    Transformed(usize),
}

impl<'s, T> Component<'s, T> {
    fn new(shape: Shape, samples: &'s [T], number: usize) -> Self {
        let count = usize::from(shape.components);
        Self {
            samples,
            stride: shape.columns as usize * count,
            middle: if shape.signed { 0 } else { 1 << (shape.bits - 1) },
            place: match count {
                1 => Place::Only,
                _ if shape.transformed => Place::Transformed(number),
                _ => Place::Of(number, count),
            },
        }
    }
}

impl<T: Copy + Into<i32>> Rows for Component<'_, T> {
    #[inline(always)]
    fn read(&self, y: usize, out: &mut [i32]) {
        let row = self.samples.get(y * self.stride..).unwrap_or_default();
        let row = row.get(..self.stride).unwrap_or_default();
        match self.place {
            Place::Only => {
                let pairs = out.iter_mut().zip(row);
                pairs.for_each(|(o, v)| *o = (*v).into() - self.middle);
            }
            Place::Of(number, count) => {
                let own = row.iter().skip(number).step_by(count);
                let pairs = out.iter_mut().zip(own);
                pairs.for_each(|(o, v)| *o = (*v).into() - self.middle);
            }
            Place::Transformed(number) => {
                let pixels = row.as_chunks::<3>().0;
                for (o, pixel) in out.iter_mut().zip(pixels) {
                    let [r, g, b] = pixel.map(|v| v.into() - self.middle);
                    *o = match number {
                        0 => (r + 2 * g + b) >> 2,
                        1 => b - g,
                        _ => r - g,
                    };
                }
            }
        }
    }
}

/// The stream of a frame, and where in it each resolution ends.
#[inline(always)]
fn encode_frame<T: Copy + Into<i32>>(shape: Shape, samples: &[T]) -> (Vec<u8>, Vec<usize>) {
    let size = (shape.columns as usize, shape.rows as usize);
    let mut encoder = BlockEncoder::new();
    let components: Vec<Vec<Blocks>> = (0..usize::from(shape.components))
        .map(|number| {
            let component = Component::new(shape, samples, number);
            let bands = wavelet::decompose(&component, size, shape.levels);
            bands
                .iter()
                .map(|band| Blocks::encode(&mut encoder, band))
                .collect()
        })
        .collect();
    stream::write(shape, &components)
}
