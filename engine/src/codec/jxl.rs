//! JPEG XL (ISO/IEC 18181) through jxl-oxide: bounded by the header's size before, by an allocation limit while it runs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jxl_oxide::{AllocTracker, InitializeResult, JxlImage};

use super::frame::FrameDescription;
use super::stored::{DecodedColour, StoredPixels, pack};
use super::{FrameDecoder, StreamHeader};
use crate::error::{ImagingError, Result};

const CODEC: &str = "JPEG XL";
/// Samples of a frame: each takes up to twelve bytes while it is decoded.
const SAMPLES_MAX: u64 = 32 << 20;
/// What the decoder may allocate for its buffers.
const ALLOCATION_BYTES_MAX: usize = 600 << 20;

/// Decoder of JPEG XL.
#[derive(Debug)]
pub(super) struct JpegXl;

fn damaged(why: impl ToString) -> ImagingError {
    ImagingError::damaged(CODEC, why.to_string())
}

/// A fault inside the decoder ends the frame, not the process.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged("its data is impossible")))
}

fn open(bytes: &[u8]) -> Result<JxlImage> {
    let mut unread = JxlImage::builder()
        .alloc_tracker(AllocTracker::with_limit(ALLOCATION_BYTES_MAX))
        .build_uninit();
    unread.feed_bytes(bytes).map_err(damaged)?;
    match unread.try_init().map_err(damaged)? {
        InitializeResult::Initialized(image) => Ok(image),
        InitializeResult::NeedMoreData(_) => Err(damaged("its header is cut off")),
    }
}

fn header_of(image: &JxlImage) -> Result<StreamHeader> {
    let bits = image.image_header().metadata.bit_depth.bits_per_sample();
    Ok(StreamHeader {
        rows: image.height(),
        columns: image.width(),
        components: if image.pixel_format().is_grayscale() { 1 } else { 3 },
        bits: u8::try_from(bits).map_err(damaged)?,
        signed: false,
    })
}

impl FrameDecoder for JpegXl {
    fn header(&self, bytes: &[u8]) -> Result<StreamHeader> {
        guarded(|| header_of(&open(bytes)?))
    }

    fn decode(&self, frame: &FrameDescription, bytes: &[u8], _reduce: u8) -> Result<StoredPixels> {
        guarded(|| {
            let mut image = open(bytes)?;
            let header = header_of(&image)?;
            header.check(CODEC, frame)?;
            let samples = frame.samples_per_frame()?;
            if samples as u64 > SAMPLES_MAX {
                return Err(ImagingError::TooLarge {
                    needed_bytes: samples as u64 * 12,
                    limit_bytes: SAMPLES_MAX * 12,
                });
            }
            if !(1..=16).contains(&header.bits) {
                return Err(ImagingError::unsupported(
                    CODEC,
                    format!("{} bits a sample", header.bits),
                ));
            }
            image.finalize().map_err(damaged)?;
            if !image.is_loading_done() {
                return Err(damaged("it is cut off"));
            }
            let render = image.render_frame(0).map_err(damaged)?;
            let mut stream = render.stream_no_alpha();
            if (stream.width(), stream.height(), stream.channels())
                != (header.columns, header.rows, header.components.into())
            {
                return Err(damaged("it decodes to another size than it claims"));
            }
            let mut values = vec![0f32; samples];
            stream.write_to_buffer(&mut values);
            let top = f32::from(u16::MAX >> (16 - header.bits));
            let data = pack(
                frame,
                values.iter().map(|v| (v * top + 0.5).clamp(0.0, top) as u32),
            );
            let colour = if header.components == 3 {
                DecodedColour::Rgb
            } else {
                DecodedColour::AsDeclared
            };
            StoredPixels::new(frame, data, colour)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::test_frame;
    use super::*;
    use crate::codec::Samples;

    /// Lossless streams of formulas, written by libjxl 0.11: 9 x 6 grey of 16 bits in its container, 9 x 6 colour bare.
    const GREY: &str = "0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20000000096a786c6c0a000000506a786c63ff0a2840fc00458b08040100e8004b386918cadb0d141424c556b50c60ac9e04411004411086160441100441185a10044110046168411004411084a185fbaeaa5f68684110044100";
    const COLOUR: &str = "ff0a284010090804010080034b3840f5323d3e12b73f29289825a2c0d50a6328c44a3146150b14638c548c31c6c618a32031222cd84a162e1035c063e80dc07fb68e6a33d150d59b91aaaa1a6a8196aa8623686ca8aa5268211b16c1d90cde0e5d4ff885ee3815b49f27dc34524f47f37415b4f6e25831f695a8cfc884aa1ade8b61897534ec6703cf9df0821b12d2ea8002d479f787858945842461dda743e860dcc882d1098103a144a554e972a04ac58f503aff0b55fab93f0fe4408ecf798403c245ffc13b9083dc1f3990e30c280f08c6a76afa1efc530a0f06cd1d0d903f80c47734c33b274108a036";

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
        hex.as_bytes()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| digit(*a) << 4 | digit(*b))
            .collect()
    }

    #[test]
    fn lossless_streams_are_exact() {
        let pixels = || (0..6u32).flat_map(|y| (0..9u32).map(move |x| (x, y)));
        let grey = pixels()
            .map(|(x, y)| ((y * 977 + x * 131) % 4096) as u16)
            .collect();
        let frame = test_frame(6, 9, 16, 16);
        assert_eq!(
            JpegXl.decode(&frame, &bytes(GREY), 0).unwrap().data,
            Samples::U16(grey)
        );
        let colour = pixels()
            .flat_map(|(x, y)| [y * 40 + x * 3, y * 7 + x * 20, y * 30 + x * 30])
            .map(|v| v as u8)
            .collect();
        let mut frame = test_frame(6, 9, 8, 8);
        frame.samples_per_pixel = 3;
        assert_eq!(
            JpegXl.decode(&frame, &bytes(COLOUR), 0).unwrap().data,
            Samples::U8(colour)
        );
    }

    #[test]
    fn damage_is_an_error_or_a_picture() {
        let good = bytes(GREY);
        let frame = test_frame(6, 9, 16, 16);
        for n in 0..good.len() {
            let _ = JpegXl.decode(&frame, &good[..n], 0);
            let mut bad = good.clone();
            bad[n] ^= 0x55;
            let _ = JpegXl.decode(&frame, &bad, 0);
        }
        assert!(JpegXl.decode(&frame, &good[..60], 0).is_err());
        assert!(JpegXl.decode(&test_frame(7, 9, 16, 16), &good, 0).is_err());
    }
}
