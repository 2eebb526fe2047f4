//! From the bytes of a frame to stored values, and back: one file per compression.
//!
//! Every decoder gets the shape that the header promises, checks the stream against it before it takes memory, and
//! answers with an error instead of a partial picture. Colour stays in the space it was coded in, except where the
//! codec itself defines the inverse (JPEG 2000, JPEG XL).

pub mod deflated;
pub mod frame;
pub mod frames;
pub mod htj2k;
mod j2k;
mod jpeg;
mod jpeg2000;
pub mod jpegls;
mod jxl;
mod native;
pub mod npy;
pub mod parcel;
pub mod rle;
mod room;
mod simd;
mod stored;
pub mod syntax;

pub use frame::{FrameDescription, Photometric, PixelElement};
pub use frames::{Fragments, FrameBytes, FrameLocation, FrameMap};
pub use stored::{DecodedColour, Samples, StoredPixels};
pub(crate) use stored::{Sample, with_samples};
pub use syntax::{Compression, TransferSyntax};

use crate::error::{ImagingError, Result};

/// Shape that a compressed stream declares about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHeader {
    /// Height.
    pub rows: u32,
    /// Width.
    pub columns: u32,
    /// Components of a pixel.
    pub components: u16,
    /// Bits of a sample.
    pub bits: u8,
    /// Samples are signed.
    pub signed: bool,
}

impl StreamHeader {
    /// Checks that the stream is the picture that the DICOM header promises.
    pub(crate) fn check(&self, codec: &'static str, frame: &FrameDescription) -> Result<()> {
        if self.rows != u32::from(frame.rows) || self.columns != u32::from(frame.columns) {
            let why = format!(
                "it is {} x {} where the header says {} x {}",
                self.rows, self.columns, frame.rows, frame.columns
            );
            return Err(ImagingError::damaged(codec, why));
        }
        if self.components != frame.samples_per_pixel {
            let why = format!(
                "{} components where the header says {}",
                self.components, frame.samples_per_pixel
            );
            return Err(ImagingError::damaged(codec, why));
        }
        if usize::from(self.bits) > frame.sample_bytes() * 8 {
            let why = format!(
                "{} bits a sample where the header allocates {}",
                self.bits, frame.bits_allocated
            );
            return Err(ImagingError::damaged(codec, why));
        }
        Ok(())
    }
}

/// A decoder of one compression.
pub trait FrameDecoder: Sync {
    /// What the stream says about itself; reads only its first markers.
    ///
    /// # Errors
    /// A stream without a sound header.
    fn header(&self, bytes: &[u8]) -> Result<StreamHeader>;

    /// The frame, or where the compression has resolutions the frame with both sides divided by `2^reduce` (rounded
    /// up). Compressions without resolutions ignore `reduce`.
    ///
    /// # Errors
    /// Damaged or unsupported streams, or ones that contradict `frame`.
    fn decode(&self, frame: &FrameDescription, bytes: &[u8], reduce: u8) -> Result<StoredPixels>;

    /// As [`FrameDecoder::decode`], for a picture that is made smaller after it: the finest details may be exact to
    /// `step` only, where that saves the decoder work.
    ///
    /// # Errors
    /// As [`FrameDecoder::decode`].
    fn decode_near(
        &self,
        frame: &FrameDescription,
        bytes: &[u8],
        reduce: u8,
        _step: u32,
    ) -> Result<StoredPixels> {
        self.decode(frame, bytes, reduce)
    }
}

/// The decoder of a compression that has a stream header; `None` for uncompressed, RLE and deflated frames.
#[must_use]
pub fn decoder(compression: Compression) -> Option<&'static dyn FrameDecoder> {
    match compression {
        Compression::None | Compression::Rle | Compression::Deflated => None,
        Compression::Jpeg | Compression::JpegLossless => Some(&jpeg::Jpeg),
        Compression::JpegLs => Some(&jpegls::JpegLs),
        Compression::Jpeg2000 => Some(&jpeg2000::Jpeg2000),
        Compression::JpegXl => Some(&jxl::JpegXl),
    }
}

/// Decodes one frame.
///
/// # Errors
/// Data that is damaged, too short, unsupported or contradicts `frame`.
pub fn decode(
    frame: &FrameDescription,
    syntax: TransferSyntax,
    input: FrameBytes<'_>,
) -> Result<StoredPixels> {
    decode_reduced(frame, syntax, input, 0)
}

/// Decodes one frame at a fraction of its size where the compression can (see [`FrameDecoder::decode`]), else whole.
///
/// # Errors
/// As [`decode`].
pub fn decode_reduced(
    frame: &FrameDescription,
    syntax: TransferSyntax,
    input: FrameBytes<'_>,
    reduce: u8,
) -> Result<StoredPixels> {
    decode_near(frame, syntax, input, reduce, 1)
}

/// As [`decode_reduced`], for a picture that is made smaller after it (see [`FrameDecoder::decode_near`]).
///
/// # Errors
/// As [`decode`].
pub fn decode_near(
    frame: &FrameDescription,
    syntax: TransferSyntax,
    input: FrameBytes<'_>,
    reduce: u8,
    step: u32,
) -> Result<StoredPixels> {
    let compression = syntax
        .compression()
        .ok_or_else(|| ImagingError::TransferSyntax(syntax.uid().to_owned()))?;
    let samples = match compression {
        Compression::None => native::decode(frame, input, syntax.is_big_endian())?,
        Compression::Rle => rle::decode(frame, input.bytes)?,
        Compression::Deflated => deflated::decode(frame, input.bytes)?,
        other => {
            frame.frame_bytes()?;
            let decoder =
                decoder(other).ok_or_else(|| ImagingError::TransferSyntax(syntax.uid().to_owned()))?;
            return decode_stream(decoder, frame, input.bytes, reduce, step);
        }
    };
    StoredPixels::new(frame, samples, DecodedColour::AsDeclared)
}

/// A stream as it is, or one that is smaller than the frame in a frame that is 0 beyond it: tiles at the edge of a
/// whole-slide image are sometimes cut to the slide, though the standard wants them whole.
fn decode_stream(
    decoder: &dyn FrameDecoder,
    frame: &FrameDescription,
    bytes: &[u8],
    reduce: u8,
    step: u32,
) -> Result<StoredPixels> {
    if frame.frames > 1 {
        let header = decoder.header(bytes)?;
        let size = u16::try_from(header.rows)
            .ok()
            .zip(u16::try_from(header.columns).ok());
        if let Some((rows, columns)) = size
            && (rows, columns) != (frame.rows, frame.columns)
            && (1..=frame.rows).contains(&rows)
            && (1..=frame.columns).contains(&columns)
        {
            let part = FrameDescription {
                rows,
                columns,
                ..frame.clone()
            };
            return decoder.decode(&part, bytes, 0)?.padded(frame);
        }
    }
    decoder.decode_near(frame, bytes, reduce, step)
}
