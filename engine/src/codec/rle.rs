//! RLE Lossless (PS3.5 Annex G): byte planes, most significant first, each packed by PackBits.

use super::frame::FrameDescription;
use super::stored::{Samples, pack, pack_words};
use crate::error::{ImagingError, Result};

const CODEC: &str = "RLE";
const HEADER_BYTES: usize = 64;
const SEGMENTS_MAX: usize = 15;
/// Bytes written at once for short pieces.
const BLOCK: usize = 16;

/// Samples of an RLE frame, interleaved.
pub(crate) fn decode(frame: &FrameDescription, bytes: &[u8]) -> Result<Samples> {
    let segments = segments(bytes)?;
    let samples = usize::from(frame.samples_per_pixel);
    let sample_bytes = usize::from(frame.bits_allocated).div_ceil(8);
    frame.samples_per_frame()?;
    if segments.len() != samples * sample_bytes {
        let why = format!(
            "{} byte planes where {} belong",
            segments.len(),
            samples * sample_bytes
        );
        return Err(ImagingError::damaged(CODEC, why));
    }
    let plane_bytes = if frame.bits_allocated == 1 {
        frame.pixels().div_ceil(8)
    } else {
        frame.pixels()
    };
    let planes = segments
        .iter()
        .map(|s| unpack(s, plane_bytes))
        .collect::<Result<Vec<_>>>()?;
    Ok(match (planes.as_slice(), sample_bytes) {
        ([bits], 1) if frame.bits_allocated == 1 => Samples::U8(
            (0..frame.pixels())
                .map(|i| bits.get(i / 8).map_or(0, |b| b >> (i % 8) & 1))
                .collect(),
        ),
        ([one], 1) => pack(frame, one.iter().map(|b| u32::from(*b))),
        ([high, low], 2) => {
            let words = high.iter().zip(low).map(|(h, l)| u16::from_be_bytes([*h, *l]));
            pack_words(frame, words.collect())
        }
        _ => {
            let word = |i: usize| {
                let (pixel, sample) = (i / samples, i % samples);
                let planes = planes.iter().skip(sample * sample_bytes).take(sample_bytes);
                planes.fold(0u32, |w, p| w << 8 | p.get(pixel).map_or(0, |b| u32::from(*b)))
            };
            pack(frame, (0..frame.pixels() * samples).map(word))
        }
    })
}

fn segments(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let header = bytes
        .get(..HEADER_BYTES)
        .ok_or_else(|| ImagingError::damaged(CODEC, "no header"))?;
    let mut words = header
        .as_chunks::<4>()
        .0
        .iter()
        .map(|w| u32::from_le_bytes(*w) as usize);
    let count = words.next().unwrap_or(0);
    if count == 0 || count > SEGMENTS_MAX {
        return Err(ImagingError::damaged(
            CODEC,
            format!("{count} byte planes claimed"),
        ));
    }
    let offsets: Vec<usize> = words.take(count).chain([bytes.len()]).collect();
    let mut out = Vec::with_capacity(count);
    for pair in offsets.windows(2) {
        let segment = match *pair {
            [start, end] if start >= HEADER_BYTES && start <= end => bytes.get(start..end),
            _ => None,
        };
        out.push(segment.ok_or_else(|| ImagingError::damaged(CODEC, "a byte plane lies outside the frame"))?);
    }
    Ok(out)
}

/// PackBits: `length` bytes, or an error when the segment ends before.
fn unpack(segment: &[u8], length: usize) -> Result<Vec<u8>> {
    // Two bytes give at most 128: a lie about the size is found before memory is taken.
    if segment.len().div_ceil(2).saturating_mul(128) < length {
        return Err(ImagingError::damaged(
            CODEC,
            "a byte plane is too short for the image",
        ));
    }
    // Short pieces are written as whole blocks: what spills over is overwritten by the next one, or cut off.
    let mut out = vec![0u8; length + BLOCK];
    let (mut at, mut from) = (0, 0);
    while at < length {
        let Some(control) = segment.get(from).copied() else {
            return Err(ImagingError::damaged(CODEC, "a byte plane ends early"));
        };
        from += 1;
        // Noise mixes short runs and short literals: both are made without asking which it is.
        let run = control > 128;
        let n = if run {
            257 - usize::from(control)
        } else {
            usize::from(control) + 1
        };
        if n <= BLOCK
            && control != 128
            && let Some(next) = segment.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>)
            && let Some(to) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<BLOCK>)
        {
            let (all_run, first) = (u8::from(run).wrapping_neg(), next[0]);
            *to = next.map(|b| b ^ (b ^ first) & all_run);
            at += n;
            from += if run { 1 } else { n };
            continue;
        }
        let room = length - at;
        if run {
            let Some(value) = segment.get(from).copied() else {
                return Err(ImagingError::damaged(CODEC, "a byte plane ends inside a run"));
            };
            let n = n.min(room);
            out.get_mut(at..at + n).unwrap_or_default().fill(value);
            (at, from) = (at + n, from + 1);
        } else if control != 128 {
            let literal = segment
                .get(from..from + n.min(room))
                .ok_or_else(|| ImagingError::damaged(CODEC, "a byte plane ends inside a literal run"))?;
            out.get_mut(at..at + literal.len())
                .unwrap_or_default()
                .copy_from_slice(literal);
            (at, from) = (at + literal.len(), from + n);
        }
    }
    out.truncate(length);
    Ok(out)
}

/// An RLE frame of the stored values (the reverse of decoding). Rows are packed apart, as the standard asks.
///
/// # Errors
/// Pixels of more than 15 byte planes, or floats.
pub fn encode(frame: &FrameDescription, samples: &Samples) -> Result<Vec<u8>> {
    if matches!(samples, Samples::F32(_) | Samples::F64(_)) {
        return Err(ImagingError::unsupported(CODEC, "floating-point pixels"));
    }
    let count = frame.samples_per_frame()?;
    let spp = usize::from(frame.samples_per_pixel);
    let sample_bytes = frame.sample_bytes();
    if spp * sample_bytes > SEGMENTS_MAX || samples.len() != count || frame.bits_allocated == 1 {
        return Err(ImagingError::unsupported(CODEC, "this sample form"));
    }
    let bytes = samples.to_le_bytes();
    let columns = usize::from(frame.columns);
    let mut header = vec![(spp * sample_bytes) as u32];
    let mut body = Vec::with_capacity(bytes.len() / 2);
    for plane in 0..spp * sample_bytes {
        header.push((HEADER_BYTES + body.len()) as u32);
        let place = plane / sample_bytes * sample_bytes + (sample_bytes - 1 - plane % sample_bytes);
        let values: Vec<u8> = bytes
            .iter()
            .skip(place)
            .step_by(spp * sample_bytes)
            .copied()
            .collect();
        for row in values.chunks(columns) {
            pack_row(row, &mut body);
        }
        if body.len() % 2 == 1 {
            body.push(0);
        }
    }
    header.resize(HEADER_BYTES / 4, 0);
    let mut out: Vec<u8> = header.iter().flat_map(|w| w.to_le_bytes()).collect();
    out.append(&mut body);
    Ok(out)
}

fn pack_row(row: &[u8], out: &mut Vec<u8>) {
    let run_at = |i: usize| {
        row.iter()
            .skip(i)
            .take(128)
            .take_while(|b| Some(*b) == row.get(i))
            .count()
    };
    let mut i = 0;
    while i < row.len() {
        let run = run_at(i);
        if run >= 2 {
            out.push((257 - run) as u8);
            out.extend(row.get(i));
            i += run;
            continue;
        }
        let start = i;
        while i < row.len() && i - start < 128 && run_at(i) < 3 {
            i += 1;
        }
        out.push((i - start - 1) as u8);
        out.extend_from_slice(row.get(start..i).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::test_frame;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_lies_without_allocating() {
        let mut bytes = vec![0u8; 64];
        bytes[0] = 2;
        bytes[4] = 64;
        bytes[8] = 80;
        bytes.extend([0x81, 0].repeat(16));
        assert!(decode(&test_frame(65535, 1000, 16, 16), &bytes).is_err());
        bytes[5..8].copy_from_slice(&[0xff, 0xff, 0x7f]);
        assert!(decode(&test_frame(8, 8, 16, 16), &bytes).is_err());
        bytes[..4].copy_from_slice(&[0xff; 4]);
        assert!(decode(&test_frame(8, 8, 16, 16), &bytes).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(values in proptest::collection::vec(prop_oneof![Just(7u16), any::<u16>()], 60)) {
            let mut frame = test_frame(6, 10, 16, 16);
            let samples = Samples::U16(values.clone());
            let bytes = encode(&frame, &samples).unwrap();
            prop_assert_eq!(decode(&frame, &bytes).unwrap(), samples);
            frame = test_frame(4, 5, 8, 8);
            frame.samples_per_pixel = 3;
            let samples = Samples::U8(values.iter().map(|v| *v as u8).collect());
            let bytes = encode(&frame, &samples).unwrap();
            prop_assert_eq!(decode(&frame, &bytes).unwrap(), samples);
        }

        #[test]
        fn mutations_never_panic(values in proptest::collection::vec(any::<u16>(), 60), at in 0usize..200, byte: u8, cut in 0usize..300) {
            let frame = test_frame(6, 10, 16, 16);
            let mut bytes = encode(&frame, &Samples::U16(values)).unwrap();
            let n = bytes.len();
            bytes[at % n] = byte;
            bytes.truncate(cut.min(n));
            let _ = decode(&frame, &bytes);
        }
    }
}
