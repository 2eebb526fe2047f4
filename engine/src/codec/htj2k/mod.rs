//! High-throughput JPEG 2000 (ITU-T T.814), lossless encoding as transfer syntax 1.2.840.10008.1.2.4.202 wants it:
//! resolution first, the length of each resolution's tile-part in the main header.
//!
//! What this encoder writes is decoded again by another implementation before anybody gets it.

mod bits;
mod block;
mod offsets;
mod packet;
mod stream;
pub(super) mod tables;
pub(super) mod wavelet;

#[cfg(test)]
mod tests;

pub use offsets::resolutions;

use super::frame::{FrameDescription, Photometric};
use super::jpeg2000;
use super::room;
use super::stored::Samples;
use crate::error::{ImagingError, Result};
use stream::Shape;
use wavelet::Band;

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
    let back = jpeg2000::prove(frame, &encoded.stream)?;
    if back.data != *samples {
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
    let planes = planes(samples, shape)?;
    let components: Vec<Vec<Band>> = planes
        .into_iter()
        .map(|plane| wavelet::decompose(plane, shape.levels))
        .collect();
    let (stream, resolutions) = stream::write(shape, &components);
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

/// One plane a component, around 0, colours decorrelated where `shape` says so.
fn planes(samples: &Samples, shape: Shape) -> Result<Vec<Band>> {
    let middle = if shape.signed { 0 } else { 1 << (shape.bits - 1) };
    let count = usize::from(shape.components);
    let planes = match samples {
        Samples::U8(v) => spread(v, count, middle),
        Samples::I8(v) => spread(v, count, middle),
        Samples::U16(v) => spread(v, count, middle),
        Samples::I16(v) => spread(v, count, middle),
        _ => return Err(too_deep()),
    };
    let mut planes: Vec<Band> = planes
        .into_iter()
        .map(|data| Band {
            width: shape.columns as usize,
            height: shape.rows as usize,
            data,
        })
        .collect();
    if shape.transformed
        && let [red, green, blue] = planes.as_mut_slice()
    {
        for ((r, g), b) in red.data.iter_mut().zip(&mut green.data).zip(&mut blue.data) {
            (*r, *g, *b) = ((*r + 2 * *g + *b) >> 2, *b - *g, *r - *g);
        }
    }
    Ok(planes)
}

fn spread<T: Copy + Into<i32>>(samples: &[T], count: usize, middle: i32) -> Vec<Vec<i32>> {
    let plane = |c: usize| {
        let mut plane = room::take(samples.len() / count.max(1));
        let own = samples.iter().skip(c).step_by(count.max(1));
        plane.extend(own.map(|v| (*v).into() - middle));
        plane
    };
    if count == 1 {
        let mut plane = room::take(samples.len());
        plane.extend(samples.iter().map(|v| (*v).into() - middle));
        return vec![plane];
    }
    (0..count).map(plane).collect()
}
