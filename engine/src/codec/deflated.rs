//! Deflated Image Frame Compression (PS3.5 A.4.13): each frame is native little-endian pixels in raw deflate.

use std::io::Read as _;

use super::frame::FrameDescription;
use super::frames::FrameBytes;
use super::native;
use super::stored::Samples;
use crate::error::{ImagingError, Result};

/// Zeros that may follow the last sample.
const PADDING_BYTES_MAX: u64 = 8;
const INFLATED_BYTES_MAX: u64 = 1 << 29;

/// Samples of a deflated frame; reads hardly more than the frame's size out of the stream.
pub(crate) fn decode(frame: &FrameDescription, bytes: &[u8]) -> Result<Samples> {
    let bits = frame.samples_per_frame()? as u64 * u64::from(frame.bits_allocated);
    let needed = bits.div_ceil(8);
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(needed + PADDING_BYTES_MAX + 1)
        .read_to_end(&mut out)
        .map_err(|e| ImagingError::damaged("deflated frame", e.to_string()))?;
    if out.len() as u64 > needed + PADDING_BYTES_MAX {
        return Err(ImagingError::damaged(
            "deflated frame",
            "it holds more than the image",
        ));
    }
    native::decode(frame, FrameBytes::from(out.as_slice()), false)
}

/// `length` bytes from `offset` on of what a raw deflate stream (of a Deflated Explicit VR Little Endian file) holds.
///
/// # Errors
/// A stream that is damaged or ends before, a length beyond 512 MiB.
pub fn inflate_range(deflated: impl std::io::Read, offset: u64, length: u64) -> Result<Vec<u8>> {
    if length > INFLATED_BYTES_MAX {
        return Err(ImagingError::TooLarge {
            needed_bytes: length,
            limit_bytes: INFLATED_BYTES_MAX,
        });
    }
    let damaged = |e: std::io::Error| ImagingError::damaged("deflated file", e.to_string());
    let mut reader = flate2::read::DeflateDecoder::new(deflated);
    std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink()).map_err(damaged)?;
    let mut out = Vec::new();
    reader.take(length).read_to_end(&mut out).map_err(damaged)?;
    if (out.len() as u64) < length {
        return Err(ImagingError::Short {
            needed_bytes: length,
            found_bytes: out.len() as u64,
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn ranges_and_frames_come_out() {
        let plain: Vec<u8> = (0..60_000u32).map(|i| (i / 7) as u8).collect();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(
            inflate_range(packed.as_slice(), 100, 50).unwrap(),
            plain[100..150]
        );
        assert!(inflate_range(packed.as_slice(), 59_990, 50).is_err());
        assert!(inflate_range(packed.as_slice(), 0, INFLATED_BYTES_MAX + 1).is_err());
        let frame = super::super::frame::test_frame(100, 300, 16, 16);
        assert_eq!(decode(&frame, &packed).unwrap().len(), 30_000);
        assert!(decode(&super::super::frame::test_frame(101, 300, 16, 16), &packed).is_err());
        assert!(decode(&super::super::frame::test_frame(99, 300, 16, 16), &packed).is_err());
    }
}
