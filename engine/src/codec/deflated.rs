//! Deflated Image Frame Compression (PS3.5 A.4.13): each frame is native little-endian pixels in raw deflate.

use std::io::Read as _;

use super::frame::FrameDescription;
use super::frames::FrameBytes;
use super::native;
use super::stored::Samples;
use crate::error::{ImagingError, Result};

/// Samples of a deflated frame; reads no more than the frame's size out of the stream.
pub(crate) fn decode(frame: &FrameDescription, bytes: &[u8]) -> Result<Samples> {
    let bits = frame.samples_per_frame()? as u64 * u64::from(frame.bits_allocated);
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(bits.div_ceil(8))
        .read_to_end(&mut out)
        .map_err(|e| ImagingError::damaged("deflated frame", e.to_string()))?;
    native::decode(frame, FrameBytes::from(out.as_slice()), false)
}
