//! JPEG (ITU-T T.81): sequential and progressive DCT of 8 and 12 bits, lossless of 2 to 16 bits, all with Huffman codes.

mod bits;
mod dct;
mod huffman;
mod idct;
mod lossless;
mod markers;
mod progressive;
mod upsample;

use markers::{Marker, Parser, Process, Segment};

use super::frame::FrameDescription;
use super::stored::{DecodedColour, StoredPixels, pack_words};
use super::{FrameDecoder, Photometric, StreamHeader};
use crate::error::{ImagingError, Result};

const CODEC: &str = "JPEG";

/// Decoder of every JPEG process of DICOM.
#[derive(Debug)]
pub(super) struct Jpeg;

impl FrameDecoder for Jpeg {
    fn header(&self, bytes: &[u8]) -> Result<StreamHeader> {
        let mut parser = Parser::new(bytes)?;
        while let Some(segment) = parser.next_segment()? {
            if let Segment::Frame(sof) = segment {
                return Ok(sof.header());
            }
        }
        Err(ImagingError::damaged(CODEC, "no frame header"))
    }

    fn decode(&self, frame: &FrameDescription, bytes: &[u8], _reduce: u8) -> Result<StoredPixels> {
        let mut parser = Parser::new(bytes)?;
        while let Some(segment) = parser.next_segment()? {
            let Segment::Frame(sof) = segment else { continue };
            sof.header().check(CODEC, frame)?;
            let samples = match sof.process {
                Process::Lossless => lossless::decode(&mut parser, &sof)?,
                Process::Sequential => dct::decode(&mut parser, &sof)?,
                Process::Progressive => progressive::decode(&mut parser, &sof)?,
            };
            let colour = colour(&parser, &sof, frame);
            let data = pack_words(frame, samples);
            return StoredPixels::new(frame, data, colour);
        }
        Err(ImagingError::damaged(CODEC, "no frame header"))
    }
}

/// What the three components mean: the Adobe segment or JFIF tells, else the header is believed.
fn colour(parser: &Parser<'_>, sof: &markers::Frame, frame: &FrameDescription) -> DecodedColour {
    if sof.components.len() != 3 || sof.process == Process::Lossless {
        return DecodedColour::AsDeclared;
    }
    let subsampled = sof
        .components
        .iter()
        .any(|c| (c.h, c.v) != (sof.h_max, sof.v_max));
    match parser.marker {
        Marker::Adobe(0) => DecodedColour::Rgb,
        Marker::None if sof.components.iter().map(|c| c.id).eq(*b"RGB") => DecodedColour::Rgb,
        Marker::Adobe(1) | Marker::Jfif => DecodedColour::YbrFull,
        _ if frame.photometric == Photometric::Rgb && subsampled => DecodedColour::YbrFull,
        _ => DecodedColour::AsDeclared,
    }
}

#[cfg(test)]
mod tests;
