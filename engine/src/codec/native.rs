//! Uncompressed frames: any byte order, 1 to 64 bits allocated, planes or pixels, shared chroma.

use super::frame::{FrameDescription, PixelElement};
use super::frames::FrameBytes;
use super::stored::{Samples, pack};
use crate::error::{ImagingError, Result};

/// Samples of an uncompressed frame, interleaved.
pub(crate) fn decode(frame: &FrameDescription, input: FrameBytes<'_>, big_endian: bool) -> Result<Samples> {
    let count = frame.samples_per_frame()?;
    match frame.element {
        PixelElement::Float => {
            let read = [f32::from_le_bytes, f32::from_be_bytes][usize::from(big_endian)];
            let v = words::<f32, 4>(input.bytes, count, read)?;
            return Ok(Samples::F32(interleave(frame, v)));
        }
        PixelElement::Double => {
            let read = [f64::from_le_bytes, f64::from_be_bytes][usize::from(big_endian)];
            let v = words::<f64, 8>(input.bytes, count, read)?;
            return Ok(Samples::F64(interleave(frame, v)));
        }
        PixelElement::Integer => {}
    }
    match frame.bits_allocated {
        1 => bits(input, count, big_endian).map(Samples::U8),
        8 => {
            let swapped;
            let bytes = if big_endian && input.words {
                swapped = swap_pairs(input.bytes);
                &swapped
            } else {
                input.bytes
            };
            let bytes = bytes.get(input.skip_bits as usize / 8..).unwrap_or_default();
            integers(frame, bytes, count, |b: [u8; 1]| u32::from(b[0]))
        }
        16 if big_endian => integers(frame, input.bytes, count, |b| u32::from(u16::from_be_bytes(b))),
        16 => integers(frame, input.bytes, count, |b| u32::from(u16::from_le_bytes(b))),
        32 if big_endian => integers(frame, input.bytes, count, u32::from_be_bytes),
        32 => integers(frame, input.bytes, count, u32::from_le_bytes),
        other => Err(ImagingError::attribute(
            "Bits Allocated (0028,0100)",
            other,
            "1, 8, 16 or 32 for uncompressed pixels",
        )),
    }
}

fn integers<const N: usize>(
    frame: &FrameDescription,
    bytes: &[u8],
    count: usize,
    read: impl Fn([u8; N]) -> u32 + Copy,
) -> Result<Samples> {
    let chunks = bytes.as_chunks::<N>().0;
    let samples = usize::from(frame.samples_per_pixel);
    let pixels = frame.pixels();
    if let Some(all) = chunks.get(..count) {
        if samples > 1 && frame.planar {
            let at = move |i: usize| {
                all.get(i % samples * pixels + i / samples)
                    .map_or(0, |c| read(*c))
            };
            return Ok(pack(frame, (0..count).map(at)));
        }
        return Ok(pack(frame, all.iter().map(|c| read(*c))));
    }
    let shared = pixels.div_ceil(2) * 4;
    match chunks.get(..(pixels * 2).min(shared)) {
        Some(all) if samples == 3 => {
            // Y Y Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2)
            let place = |i: usize| {
                let (pixel, sample) = (i / 3, i % 3);
                let pair = pixel / 2 * 4;
                if sample == 0 {
                    pair + pixel % 2
                } else {
                    pair + 1 + sample
                }
            };
            Ok(pack(
                frame,
                (0..count).map(|i| all.get(place(i)).map_or(0, |c| read(*c))),
            ))
        }
        _ => Err(short(count * N, bytes.len())),
    }
}

fn words<T: Copy, const N: usize>(bytes: &[u8], count: usize, read: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let chunks = bytes.as_chunks::<N>().0;
    let all = chunks.get(..count).ok_or_else(|| short(count * N, bytes.len()))?;
    Ok(all.iter().map(|c| read(*c)).collect())
}

fn interleave<T: Copy>(frame: &FrameDescription, v: Vec<T>) -> Vec<T> {
    let (samples, pixels) = (usize::from(frame.samples_per_pixel), frame.pixels());
    if samples == 1 || !frame.planar {
        return v;
    }
    (0..v.len())
        .filter_map(|i| v.get(i % samples * pixels + i / samples).copied())
        .collect()
}

/// One sample a bit, least significant bit first, after `skip_bits`.
pub(crate) fn bits(input: FrameBytes<'_>, count: usize, big_endian: bool) -> Result<Vec<u8>> {
    let swapped;
    let bytes = if big_endian && input.words {
        swapped = swap_pairs(input.bytes);
        &swapped
    } else {
        input.bytes
    };
    let skip = input.skip_bits as usize;
    if bytes.len() * 8 < skip + count {
        return Err(short((skip + count).div_ceil(8), bytes.len()));
    }
    Ok((skip..skip + count)
        .map(|i| bytes.get(i / 8).map_or(0, |b| b >> (i % 8) & 1))
        .collect())
}

fn swap_pairs(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for pair in out.as_chunks_mut::<2>().0 {
        pair.swap(0, 1);
    }
    out
}

fn short(needed: usize, found: usize) -> ImagingError {
    ImagingError::Short {
        needed_bytes: needed as u64,
        found_bytes: found as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Photometric, test_frame};
    use super::*;

    fn check(frame: &FrameDescription, bytes: &[u8], big_endian: bool, expect: &Samples) {
        let input = FrameBytes {
            bytes,
            skip_bits: 0,
            words: true,
        };
        assert_eq!(&decode(frame, input, big_endian).unwrap(), expect);
    }

    #[test]
    fn sign_is_extended_at_high_bit_and_rubbish_above_dropped() {
        let mut f = test_frame(1, 3, 16, 12);
        check(
            &f,
            &[0xff, 0xff, 0x00, 0x18, 0x01, 0xf0],
            false,
            &Samples::U16(vec![0xfff, 0x800, 1]),
        );
        f.signed = true;
        check(
            &f,
            &[0xff, 0xff, 0x00, 0x18, 0x01, 0xf0],
            false,
            &Samples::I16(vec![-1, -2048, 1]),
        );
        check(
            &f,
            &[0xff, 0xff, 0x18, 0x00, 0xf0, 0x01],
            true,
            &Samples::I16(vec![-1, -2048, 1]),
        );
    }

    #[test]
    fn bits_bytes_words_and_floats() {
        check(
            &test_frame(2, 5, 1, 1),
            &[0b1010_0101, 0b10],
            false,
            &Samples::U8(vec![1, 0, 1, 0, 0, 1, 0, 1, 0, 1]),
        );
        check(
            &test_frame(1, 4, 8, 8),
            &[2, 1, 4, 3],
            true,
            &Samples::U8(vec![1, 2, 3, 4]),
        );
        check(
            &test_frame(1, 1, 32, 32),
            &[1, 2, 3, 4],
            true,
            &Samples::U32(vec![0x0102_0304]),
        );
        let mut f = test_frame(1, 1, 32, 32);
        f.element = PixelElement::Float;
        check(&f, &1.5f32.to_le_bytes(), false, &Samples::F32(vec![1.5]));
        f.element = PixelElement::Double;
        f.bits_allocated = 64;
        check(&f, &(-2.5f64).to_be_bytes(), true, &Samples::F64(vec![-2.5]));
    }

    #[test]
    fn planes_become_pixels_and_shared_chroma_is_repeated() {
        let mut f = test_frame(1, 2, 8, 8);
        f.samples_per_pixel = 3;
        f.planar = true;
        check(
            &f,
            &[1, 2, 3, 4, 5, 6],
            false,
            &Samples::U8(vec![1, 3, 5, 2, 4, 6]),
        );
        f.planar = false;
        f.photometric = Photometric::YbrFull422;
        check(
            &f,
            &[10, 20, 30, 40],
            false,
            &Samples::U8(vec![10, 30, 40, 20, 30, 40]),
        );
    }

    #[test]
    fn short_data_is_an_error() {
        let input = FrameBytes::from(&[0u8; 7][..]);
        assert!(matches!(
            decode(&test_frame(2, 2, 16, 16), input, false),
            Err(ImagingError::Short { .. })
        ));
    }
}
