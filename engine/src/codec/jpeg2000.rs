//! JPEG 2000 and HTJ2K (ITU-T T.800, T.814): the code stream's headers are read and bounded here. The common kinds are
//! decoded by ourselves, all others by OpenJPEG in its Rust translation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jpeg2k::{DecodeParameters, Image};

use super::frame::FrameDescription;
use super::j2k;
use super::stored::{DecodedColour, Samples, StoredPixels, pack};
use super::{FrameDecoder, StreamHeader};
use crate::error::{ImagingError, Result};

const CODEC: &str = "JPEG 2000";
/// Samples of a frame: each takes up to ten bytes while it is decoded.
const SAMPLES_MAX: u64 = 48 << 20;
/// Code-blocks and precincts of a frame: each takes a few hundred bytes.
const BLOCKS_MAX: u64 = 1 << 20;
/// Shortest tile-part: its header and the start of its data.
const TILE_BYTES_MIN: u64 = 14;

/// Decoder of JPEG 2000 and HTJ2K.
#[derive(Debug)]
pub(super) struct Jpeg2000;

/// What the main header says.
#[derive(Debug, Clone, Copy)]
struct Main {
    stream: StreamHeader,
    tiles: u64,
    blocks: u64,
    levels: u8,
    /// Multiple component transformation in use.
    transformed: bool,
}

fn damaged(why: &str) -> ImagingError {
    ImagingError::damaged(CODEC, why)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

/// The code stream, out of its JP2 boxes where there are any.
fn code_stream(bytes: &[u8]) -> Result<&[u8]> {
    const START: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
    let at = bytes.windows(4).take(1 << 16).position(|w| w == START);
    at.and_then(|at| bytes.get(at..))
        .ok_or_else(|| damaged("it does not start as a JPEG 2000 stream"))
}

impl Main {
    fn read(bytes: &[u8]) -> Result<Self> {
        let stream = code_stream(bytes)?;
        let mut main = size(stream).ok_or_else(|| damaged("its size segment is impossible"))?;
        let mut at = 2 + 2 + usize::from(u16_at(stream, 4).unwrap_or(0));
        let mut levels = u8::MAX;
        while let (Some(code), Some(length)) = (u16_at(stream, at), u16_at(stream, at + 2)) {
            let body = stream
                .get(at + 4..at + 2 + usize::from(length))
                .unwrap_or_default();
            match code {
                0xff52 => {
                    main.transformed = body.get(4) == Some(&1);
                    levels = levels.min(main.style(
                        body.get(5..).unwrap_or_default(),
                        body.first().copied().unwrap_or(0),
                    ));
                }
                0xff53 => {
                    let skip = 1 + usize::from(main.stream.components > 256);
                    let style = body.get(skip).copied().unwrap_or(0);
                    levels = levels.min(main.style(body.get(skip + 1..).unwrap_or_default(), style));
                }
                0xff90 => break,
                _ => {}
            }
            at += 2 + usize::from(length.max(2));
        }
        main.levels = if levels == u8::MAX { 0 } else { levels };
        main.check(stream.len() as u64)?;
        Ok(main)
    }

    /// Reads the coding style of a tile-component and estimates its blocks; answers its decomposition levels.
    fn style(&mut self, body: &[u8], flags: u8) -> u8 {
        let [levels, width, height, _, _, precincts @ ..] = body else {
            return 0;
        };
        let block = |exponent: &u8| u32::from(exponent & 15) + 2;
        let (mut across, mut down) = (block(width), block(height));
        if flags & 1 == 1 {
            // The smallest precinct bounds every block; all levels but the lowest halve it.
            across = precincts
                .iter()
                .map(|p| u32::from(p & 15).saturating_sub(1))
                .min()
                .unwrap_or(across)
                .min(across);
            down = precincts
                .iter()
                .map(|p| u32::from(p >> 4).saturating_sub(1))
                .min()
                .unwrap_or(down)
                .min(down);
        }
        let samples =
            u64::from(self.stream.rows) * u64::from(self.stream.columns) * u64::from(self.stream.components);
        let blocks = (samples >> (across + down).min(40)).saturating_mul(2);
        let resolutions = u64::from(levels.saturating_add(1)) * u64::from(self.stream.components);
        self.blocks = self
            .blocks
            .max(blocks.saturating_add(self.tiles.saturating_mul(resolutions)));
        *levels
    }

    fn check(&self, bytes: u64) -> Result<()> {
        let samples =
            u64::from(self.stream.rows) * u64::from(self.stream.columns) * u64::from(self.stream.components);
        if samples > SAMPLES_MAX {
            return Err(ImagingError::TooLarge {
                needed_bytes: samples * 10,
                limit_bytes: SAMPLES_MAX * 10,
            });
        }
        if self.tiles > bytes / TILE_BYTES_MIN {
            return Err(damaged("it has more tiles than its length can hold"));
        }
        if self.blocks > BLOCKS_MAX {
            return Err(damaged("it is cut into absurdly small blocks"));
        }
        Ok(())
    }
}

/// The SIZ segment (T.800 A.5.1).
fn size(stream: &[u8]) -> Option<Main> {
    let at = |k: usize| u32_at(stream, 8 + 4 * k);
    let (x1, y1, x0, y0) = (at(0)?, at(1)?, at(2)?, at(3)?);
    let (tile_x, tile_y, origin_x, origin_y) = (at(4)?, at(5)?, at(6)?, at(7)?);
    let components = u16_at(stream, 40)?;
    let sound = x1 > x0 && y1 > y0 && tile_x > 0 && tile_y > 0 && origin_x <= x0 && origin_y <= y0;
    // DICOM cannot say more than 65535 rows or columns.
    if !sound || x1 - x0 > 0xffff || y1 - y0 > 0xffff || !(1..=4).contains(&components) {
        return None;
    }
    let specs = stream
        .get(42..42 + 3 * usize::from(components))?
        .as_chunks::<3>()
        .0;
    let [depth, ..] = *specs.first()?;
    // Components of different depth or with fewer samples do not occur in DICOM.
    if specs.iter().any(|[d, x, y]| *d != depth || *x != 1 || *y != 1) {
        return None;
    }
    Some(Main {
        stream: StreamHeader {
            rows: u32::try_from(y1 - y0).ok()?,
            columns: u32::try_from(x1 - x0).ok()?,
            components,
            bits: (depth & 0x7f) + 1,
            signed: depth & 0x80 != 0,
        },
        tiles: (x1 - origin_x)
            .div_ceil(tile_x)
            .saturating_mul((y1 - origin_y).div_ceil(tile_y)),
        blocks: 0,
        levels: 0,
        transformed: false,
    })
}

impl FrameDecoder for Jpeg2000 {
    fn header(&self, bytes: &[u8]) -> Result<StreamHeader> {
        Main::read(bytes).map(|m| m.stream)
    }

    fn decode(&self, frame: &FrameDescription, bytes: &[u8], reduce: u8) -> Result<StoredPixels> {
        self.decode_near(frame, bytes, reduce, 1)
    }

    fn decode_near(
        &self,
        frame: &FrameDescription,
        bytes: &[u8],
        reduce: u8,
        step: u32,
    ) -> Result<StoredPixels> {
        let (main, stream) = checked(frame, bytes)?;
        let reduce = reduce.min(main.levels);
        let wish = j2k::Wish {
            reduce,
            planes_less: step.max(1).ilog2(),
        };
        if let Some(picture) = j2k::decode(stream, wish) {
            let planes: Vec<&[i32]> = picture.planes.iter().map(Vec::as_slice).collect();
            return collect(frame, &main, (picture.width, picture.height), &planes, reduce);
        }
        by_openjpeg(frame, &main, stream, reduce)
    }
}

/// The stream and what its main header says, which agrees with `frame`.
fn checked<'b>(frame: &FrameDescription, bytes: &'b [u8]) -> Result<(Main, &'b [u8])> {
    let main = Main::read(bytes)?;
    main.stream.check(CODEC, frame)?;
    if main.stream.bits > 31 {
        return Err(ImagingError::unsupported(CODEC, "more than 31 bits a sample"));
    }
    Ok((main, code_stream(bytes)?))
}

/// Decodes a frame by OpenJPEG whatever its stream is, and answers whether its values are `samples`: proof of what this
/// program encodes. Compared where the decoder left them, which spares a copy of the frame.
pub(super) fn proves(frame: &FrameDescription, bytes: &[u8], samples: &Samples) -> Result<bool> {
    let (main, stream) = checked(frame, bytes)?;
    let image = openjpeg(stream, 0)?;
    let planes: Vec<&[i32]> = image
        .components()
        .iter()
        .map(jpeg2k::ImageComponent::data)
        .collect();
    let size = (image.width(), image.height());
    // What is encoded here is signed where its image is.
    let sound = size == (main.stream.columns, main.stream.rows)
        && planes.len() == usize::from(frame.samples_per_pixel)
        && main.stream.signed == frame.signed;
    Ok(sound
        && match samples {
            Samples::U8(v) => equal(v, &planes),
            Samples::I8(v) => equal(v, &planes),
            Samples::U16(v) => equal(v, &planes),
            Samples::I16(v) => equal(v, &planes),
            _ => false,
        })
}

/// Whether interleaved samples are those of the planes.
fn equal<T: Copy + Into<i32>>(samples: &[T], planes: &[&[i32]]) -> bool {
    /// Samples whose differences are gathered before one of them ends the walk.
    const TOGETHER: usize = 4096;
    let same = |own: &[T], plane: &[i32]| {
        let differences = own.iter().zip(plane).map(|(a, b)| (*a).into() ^ b);
        differences.fold(0, |all, one| all | one) == 0
    };
    match planes {
        [one] => {
            let pairs = samples.chunks(TOGETHER).zip(one.chunks(TOGETHER));
            samples.len() == one.len() && pairs.into_iter().all(|(own, plane)| same(own, plane))
        }
        planes => {
            let count = planes.len();
            let whole = |plane: &&[i32]| plane.len() * count == samples.len();
            planes.iter().all(whole)
                && planes.iter().enumerate().all(|(c, plane)| {
                    let own = samples.iter().skip(c).step_by(count);
                    own.zip(*plane).all(|(a, b)| (*a).into() == *b)
                })
        }
    }
}

/// OpenJPEG's picture of a stream.
fn openjpeg(stream: &[u8], reduce: u8) -> Result<Image> {
    // The decoder is translated C: a fault in it must end the frame, not the process.
    let image = catch_unwind(AssertUnwindSafe(|| {
        Image::from_bytes_with(stream, DecodeParameters::new().reduce(reduce.into()))
    }));
    let image = image
        .map_err(|_| damaged("its block data is impossible"))?
        .map_err(|e| damaged(&e.to_string()))?;
    let size = (image.width(), image.height());
    let complete = |c: &jpeg2k::ImageComponent| (c.width(), c.height()) == size;
    if !image.components().iter().all(complete) {
        return Err(damaged("it decodes to another size than it claims"));
    }
    Ok(image)
}

fn by_openjpeg(frame: &FrameDescription, main: &Main, stream: &[u8], reduce: u8) -> Result<StoredPixels> {
    let image = openjpeg(stream, reduce)?;
    let size = (image.width() as usize, image.height() as usize);
    let components = image.components();
    let planes: Vec<&[i32]> = components.iter().map(jpeg2k::ImageComponent::data).collect();
    collect(frame, main, size, &planes, reduce)
}

/// Decoded components to stored values, interleaved.
fn collect(
    frame: &FrameDescription,
    main: &Main,
    (columns, rows): (usize, usize),
    planes: &[&[i32]],
    reduce: u8,
) -> Result<StoredPixels> {
    let part = |n: u16| usize::from(n).div_ceil(1 << reduce);
    // Reduced sizes may differ by one where the image does not start at 0.
    let near = rows.abs_diff(part(frame.rows)) <= 1 && columns.abs_diff(part(frame.columns)) <= 1;
    let count = planes.len();
    if !near || count != usize::from(frame.samples_per_pixel) {
        return Err(damaged("it decodes to another size than it claims"));
    }
    // An unsigned stream in an image of signed values holds them in two's complement of its own depth.
    let shift = if frame.signed && !main.stream.signed {
        32 - u32::from(main.stream.bits)
    } else {
        0
    };
    let word = |v: i32| ((v << shift) >> shift).cast_unsigned();
    let data = match planes {
        [one] => pack(frame, one.iter().map(|v| word(*v))),
        planes => pack(
            frame,
            (0..rows * columns * count).map(|i| {
                word(
                    planes
                        .get(i % count)
                        .and_then(|p| p.get(i / count))
                        .copied()
                        .unwrap_or(0),
                )
            }),
        ),
    };
    if data.len() != rows * columns * count {
        return Err(damaged("it decodes to fewer samples than it claims"));
    }
    let colour = if main.transformed {
        DecodedColour::Rgb
    } else {
        DecodedColour::AsDeclared
    };
    Ok(StoredPixels {
        rows,
        columns,
        samples_per_pixel: count,
        data,
        colour,
        reduction: reduce,
    })
}

#[cfg(test)]
mod tests {
    use super::super::frame::test_frame;
    use super::*;
    use proptest::prelude::*;

    /// A main header with one tile of nothing.
    fn stream(width: u32, height: u32, tile: u32, style: &[u8]) -> Vec<u8> {
        let mut out = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
        for v in [width, height, 0, 0, tile, tile, 0, 0] {
            out.extend(v.to_be_bytes());
        }
        out.extend([0, 1, 11, 1, 1, 0xff, 0x52, 0, (style.len() + 2) as u8]);
        out.extend(style);
        out.extend([0xff, 0x5c, 0, 19, 0x40]);
        out.extend([0; 16]);
        out.extend([0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x93]);
        out.extend((0..200u32).map(|i| (i * 37) as u8 & 0x7f));
        out.extend([0xff, 0xd9]);
        out
    }

    const PLAIN: [u8; 10] = [0, 0, 0, 1, 0, 5, 4, 4, 0, 1];

    #[test]
    fn lies_are_refused_before_memory_is_taken() {
        for bytes in [
            stream(u32::MAX / 2, u32::MAX / 2, u32::MAX / 2, &PLAIN),
            stream(60000, 60000, 60000, &PLAIN),
            stream(60000, 60, 1, &PLAIN),
            stream(
                4096,
                4096,
                4096,
                &[1, 0, 0, 1, 0, 5, 4, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            ),
        ] {
            assert!(Jpeg2000.header(&bytes).is_err());
        }
        let main = Main::read(&stream(512, 300, 512, &PLAIN)).unwrap();
        assert_eq!(
            (
                main.stream.rows,
                main.stream.columns,
                main.levels,
                main.stream.bits
            ),
            (300, 512, 5, 12)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn mutations_never_panic(at in 8usize..300, byte: u8, reduce in 0u8..7) {
            let mut bytes = stream(40, 30, 40, &PLAIN);
            let n = bytes.len();
            bytes[at % n] = byte;
            let _ = Jpeg2000.decode(&test_frame(30, 40, 16, 12), &bytes, reduce);
        }
    }
}
