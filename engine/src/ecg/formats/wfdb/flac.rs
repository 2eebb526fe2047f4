//! FLAC streams (RFC 9639) of WFDB formats 508, 516 and 524: one FLAC channel a signal, up to 24 bits.

/// A fuzzer cannot guess checksums: its builds look behind them.
const CHECKSUMS: bool = !cfg!(fuzzing);
/// First bytes of a stream.
const MAGIC: &[u8] = b"fLaC";
/// Samples that a byte of the stream may stand for on the whole, beyond an allowance for short ones: a flat line takes
/// next to nothing, and a hostile stream must not ask for the memory of a year.
const SAMPLES_PER_BYTE_MAX: usize = 64;
const SAMPLES_FREE: usize = 4 << 20;

/// A stream, decoded as far as it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    pub(super) channels: Vec<Vec<i32>>,
    /// Whether decoding stopped at a frame that is cut or damaged.
    pub(super) broken: bool,
}

/// Bits from the highest of each byte.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = *self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    fn bits(&mut self, width: u32) -> Option<u32> {
        if width == 0 {
            return Some(0);
        }
        let first = self.at / 8;
        if width <= 25
            && let Some(four) = self.data.get(first..).and_then(|d| d.first_chunk::<4>())
        {
            let word = u32::from_be_bytes(*four) << (self.at % 8);
            self.at += width as usize;
            return Some(word >> (32 - width));
        }
        (0..width).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    fn signed(&mut self, width: u32) -> Option<i64> {
        let raw = i64::from(self.bits(width)?);
        Some(if width > 0 && raw >> (width - 1) != 0 {
            raw - (1 << width)
        } else {
            raw
        })
    }

    fn zeros(&mut self) -> Option<u32> {
        let mut count = 0;
        while self.bit()? == 0 {
            count += 1;
        }
        Some(count)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// Decodes at most `samples_max` samples of each channel. `None` where the bytes are no FLAC stream of `channels`
/// channels.
pub(super) fn decode(data: &[u8], channels: usize, samples_max: usize) -> Option<Stream> {
    let (mut at, info) = metadata(data)?;
    if info.channels != channels {
        return None;
    }
    let allowed = data
        .len()
        .saturating_mul(SAMPLES_PER_BYTE_MAX)
        .saturating_add(SAMPLES_FREE);
    let samples_max = samples_max.min(allowed / channels.max(1));
    let mut stream = Stream {
        channels: vec![Vec::new(); channels],
        broken: false,
    };
    while at < data.len() && stream.channels[0].len() < samples_max {
        let frame = data.get(at..).and_then(|rest| frame(rest, &info));
        let Some((length, block)) = frame else {
            stream.broken = true;
            break;
        };
        for (all, part) in stream.channels.iter_mut().zip(block) {
            let room = samples_max - all.len();
            all.extend(part.iter().take(room));
        }
        at += length;
    }
    Some(stream)
}

/// What the first metadata block says.
struct Info {
    channels: usize,
    bits: u32,
}

/// End of the metadata and the stream information.
fn metadata(data: &[u8]) -> Option<(usize, Info)> {
    if !data.starts_with(MAGIC) {
        return None;
    }
    let (mut at, mut info) = (MAGIC.len(), None);
    loop {
        let [kind, a, b, c] = *data.get(at..)?.first_chunk::<4>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let body = data.get(at + 4..at + 4 + length)?;
        if kind & 0x7f == 0 {
            // Behind block and frame sizes: 20 bits of rate, 3 of channels, 5 of width.
            let word = u32::from_be_bytes(*body.get(10..)?.first_chunk::<4>()?);
            info = Some(Info {
                channels: (word >> 9 & 7) as usize + 1,
                bits: (word >> 4 & 31) + 1,
            });
        }
        at += 4 + length;
        if kind & 0x80 != 0 {
            return Some((at, info?));
        }
    }
}

/// How the channels of a frame were mixed.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

/// One frame: its length in bytes and its samples, channel by channel. `None` where it is cut or its checksum is wrong.
fn frame(data: &[u8], info: &Info) -> Option<(usize, Vec<Vec<i32>>)> {
    const SYNC: u32 = 0x3ffe;
    let mut bits = Bits { data, at: 0 };
    if bits.bits(14)? != SYNC || bits.bit()? != 0 {
        return None;
    }
    let _variable = bits.bit()?;
    let (size, rate) = (bits.bits(4)?, bits.bits(4)?);
    let (mix, width, _reserved) = (bits.bits(4)?, bits.bits(3)?, bits.bit()?);
    // The coded number: its length stands in the leading ones of its first byte.
    let first = bits.bits(8)?;
    let more = (first as u8).leading_ones().saturating_sub(1).min(6);
    for _ in 0..more {
        bits.bits(8)?;
    }
    let block = match size {
        1 => 192,
        2..=5 => 576 << (size - 2),
        6 => bits.bits(8)? as usize + 1,
        7 => bits.bits(16)? as usize + 1,
        8..=15 => 256 << (size - 8),
        _ => return None,
    };
    match rate {
        12 => bits.bits(8)?,
        13 | 14 => bits.bits(16)?,
        15 => return None,
        _ => 0,
    };
    let header = bits.at / 8;
    if bits.bits(8)? != u32::from(crc_8(&data[..header])) && CHECKSUMS {
        return None;
    }
    let width = match width {
        0 => info.bits,
        1 => 8,
        2 => 12,
        4 => 16,
        5 => 20,
        6 => 24,
        7 => 32,
        _ => return None,
    };
    let (count, mix) = mixing(mix)?;
    if count != info.channels {
        return None;
    }
    let mut channels = Vec::with_capacity(count);
    for index in 0..count {
        let side = matches!(
            (mix, index),
            (Mix::LeftSide | Mix::MidSide, 1) | (Mix::SideRight, 0)
        );
        channels.push(subframe(&mut bits, block, width + u32::from(side))?);
    }
    unmix(&mut channels, mix);
    bits.align();
    let length = bits.at / 8;
    let stated = bits.bits(16)?;
    if stated != u32::from(crc_16(&data[..length])) && CHECKSUMS {
        return None;
    }
    let narrow = |channel: Vec<i64>| channel.iter().map(|v| *v as i32).collect();
    Some((length + 2, channels.into_iter().map(narrow).collect()))
}

/// Channels and their mixing from the assignment code.
fn mixing(code: u32) -> Option<(usize, Mix)> {
    Some(match code {
        0..=7 => (code as usize + 1, Mix::Independent),
        8 => (2, Mix::LeftSide),
        9 => (2, Mix::SideRight),
        10 => (2, Mix::MidSide),
        _ => return None,
    })
}

/// Sums wrap: a damaged frame with many wasted bits has samples of the whole width of a number.
fn unmix(channels: &mut [Vec<i64>], mix: Mix) {
    let [first, second] = channels else { return };
    for (a, b) in first.iter_mut().zip(second) {
        match mix {
            Mix::Independent => return,
            Mix::LeftSide => *b = a.wrapping_sub(*b),
            Mix::SideRight => *a = a.wrapping_add(*b),
            Mix::MidSide => {
                let mid = *a << 1 | *b & 1;
                (*a, *b) = (mid.wrapping_add(*b) >> 1, mid.wrapping_sub(*b) >> 1);
            }
        }
    }
}

fn subframe(bits: &mut Bits<'_>, block: usize, width: u32) -> Option<Vec<i64>> {
    if bits.bit()? != 0 {
        return None;
    }
    let kind = bits.bits(6)?;
    let wasted = match bits.bit()? {
        0 => 0,
        _ => bits.zeros()? + 1,
    };
    let width = width.checked_sub(wasted).filter(|w| (1..=33).contains(w))?;
    let mut samples = match kind {
        0 => vec![wide(bits, width)?; block],
        1 => (0..block).map(|_| wide(bits, width)).collect::<Option<_>>()?,
        8..=12 => fixed(bits, block, width, kind as usize - 8)?,
        32..=63 => linear(bits, block, width, kind as usize - 31)?,
        _ => return None,
    };
    if wasted > 0 {
        samples.iter_mut().for_each(|v| *v <<= wasted);
    }
    Some(samples)
}

/// A sample of up to 33 bits.
fn wide(bits: &mut Bits<'_>, width: u32) -> Option<i64> {
    if width <= 32 {
        return bits.signed(width);
    }
    let high = bits.signed(width - 16)?;
    Some(high << 16 | i64::from(bits.bits(16)?))
}

fn fixed(bits: &mut Bits<'_>, block: usize, width: u32, order: usize) -> Option<Vec<i64>> {
    const COEFFICIENTS: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
    let start: Vec<i64> = (0..order.min(block))
        .map(|_| wide(bits, width))
        .collect::<Option<_>>()?;
    predict(bits, start, block, COEFFICIENTS[order], 0)
}

fn linear(bits: &mut Bits<'_>, block: usize, width: u32, order: usize) -> Option<Vec<i64>> {
    let start: Vec<i64> = (0..order.min(block))
        .map(|_| wide(bits, width))
        .collect::<Option<_>>()?;
    let precision = bits.bits(4)? + 1;
    let shift = bits.signed(5)?;
    if precision == 16 || shift < 0 {
        return None;
    }
    let coefficients: Vec<i64> = (0..order)
        .map(|_| bits.signed(precision))
        .collect::<Option<_>>()?;
    predict(bits, start, block, &coefficients, shift as u32)
}

/// Adds the residual to what the samples before foretell; the first coefficient belongs to the last sample.
fn predict(
    bits: &mut Bits<'_>,
    mut samples: Vec<i64>,
    block: usize,
    coefficients: &[i64],
    shift: u32,
) -> Option<Vec<i64>> {
    let order = samples.len();
    let method = bits.bits(2)?;
    let parameter_bits = match method {
        0 => 4,
        1 => 5,
        _ => return None,
    };
    let partitions = 1_usize << bits.bits(4)?;
    let length = block / partitions;
    if !block.is_multiple_of(partitions) || length < order {
        return None;
    }
    samples.reserve(block - order);
    for partition in 0..partitions {
        let count = if partition == 0 { length - order } else { length };
        let parameter = bits.bits(parameter_bits)?;
        let escaped = parameter == (1 << parameter_bits) - 1;
        let raw = if escaped { bits.bits(5)? } else { 0 };
        for _ in 0..count {
            let residual = if escaped {
                bits.signed(raw)?
            } else {
                let folded = u64::from(bits.zeros()?) << parameter | u64::from(bits.bits(parameter)?);
                (folded >> 1) as i64 ^ -((folded & 1) as i64)
            };
            let before = samples.iter().rev();
            let foretold: i64 = coefficients
                .iter()
                .zip(before)
                .fold(0, |sum, (c, v)| sum.wrapping_add(c.wrapping_mul(*v)));
            // 33 bits are kept: a damaged stream must not make numbers that grow without end.
            let value = (foretold >> shift).wrapping_add(residual);
            samples.push(value << 31 >> 31);
        }
    }
    Some(samples)
}

fn crc_8(data: &[u8]) -> u8 {
    data.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ byte,
            |c: u8, _| if c & 0x80 == 0 { c << 1 } else { c << 1 ^ 0x07 },
        )
    })
}

fn crc_16(data: &[u8]) -> u16 {
    data.iter().fold(0, |crc, byte| {
        let start = crc ^ u16::from(*byte) << 8;
        (0..8).fold(
            start,
            |c: u16, _| if c & 0x8000 == 0 { c << 1 } else { c << 1 ^ 0x8005 },
        )
    })
}

#[cfg(test)]
pub(super) mod encode {
    use super::*;

    #[derive(Default)]
    struct Writer {
        bytes: Vec<u8>,
        count: usize,
    }

    impl Writer {
        fn put(&mut self, value: u64, width: u32) {
            for place in (0..width).rev() {
                if self.count.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                if place < 64 && value >> place & 1 == 1 {
                    *self.bytes.last_mut().unwrap() |= 0x80 >> (self.count % 8);
                }
                self.count += 1;
            }
        }
    }

    /// A stream of 16-bit channels in frames of 192 samples, each channel coded by fixed prediction of an order.
    pub(in super::super) fn stream(channels: &[Vec<i32>], order: usize) -> Vec<u8> {
        const BLOCK: usize = 192;
        let mut out = MAGIC.to_vec();
        out.extend([0x80, 0, 0, 34]);
        let mut info = Writer::default();
        info.put(0, 80);
        info.put(96_000, 20);
        info.put(channels.len() as u64 - 1, 3);
        info.put(15, 5);
        info.put(channels[0].len() as u64, 36);
        info.put(0, 128);
        out.extend(info.bytes);
        for (number, start) in (0..channels[0].len()).step_by(BLOCK).enumerate() {
            let size = BLOCK.min(channels[0].len() - start);
            let mut frame = Writer::default();
            frame.put(0x3ffe << 2, 16);
            frame.put(7 << 4, 8);
            frame.put(((channels.len() as u64 - 1) << 4) | 4 << 1, 8);
            assert!(number < 128);
            frame.put(number as u64, 8);
            frame.put(size as u64 - 1, 16);
            let crc = crc_8(&frame.bytes);
            frame.put(u64::from(crc), 8);
            for channel in channels {
                let part = &channel[start..start + size];
                frame.put((8 + order as u64) << 1, 8);
                let warm = order.min(size);
                part[..warm]
                    .iter()
                    .for_each(|v| frame.put(*v as u64 & 0xffff, 16));
                frame.put(0, 2 + 4);
                frame.put(3, 4);
                for n in warm..size {
                    let guess = match order {
                        0 => 0,
                        1 => part[n - 1],
                        _ => 2 * part[n - 1] - part[n - 2],
                    };
                    let residual = i64::from(part[n]) - i64::from(guess);
                    let folded = (residual << 1 ^ residual >> 63) as u64;
                    frame.put(0, (folded >> 3) as u32);
                    frame.put(8 | folded & 7, 4);
                }
            }
            let crc = crc_16(&frame.bytes);
            frame.count = frame.bytes.len() * 8;
            frame.put(u64::from(crc), 16);
            out.extend(frame.bytes);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waves(samples: usize) -> Vec<Vec<i32>> {
        let wave = |k: usize| {
            (0..samples).map(move |n| ((n as f64 / 17.0 + k as f64).sin() * 900.0) as i32 + (n % 5) as i32)
        };
        (0..3).map(|k| wave(k).collect()).collect()
    }

    #[test]
    fn streams_decode() {
        for order in 0..3 {
            let channels = waves(500);
            let bytes = encode::stream(&channels, order);
            let got = decode(&bytes, 3, usize::MAX).unwrap();
            assert!(!got.broken && got.channels == channels, "order {order}");
            assert_eq!(decode(&bytes, 3, 10).unwrap().channels[0].len(), 10);
            assert_eq!(decode(&bytes, 2, 10), None);
        }
    }

    #[test]
    fn channels_are_unmixed() {
        let check = |mix, a: i64, b: i64, expect: (i64, i64)| {
            let mut channels = [vec![a], vec![b]];
            unmix(&mut channels, mix);
            assert_eq!((channels[0][0], channels[1][0]), expect);
        };
        check(Mix::LeftSide, 10, 3, (10, 7));
        check(Mix::SideRight, 3, 7, (10, 7));
        check(Mix::MidSide, 8, 3, (10, 7));
        check(Mix::MidSide, -9, 3, (-7, -10));
        check(Mix::LeftSide, i64::MIN, 1, (i64::MIN, i64::MAX));
        check(Mix::SideRight, i64::MAX, 1, (i64::MIN, 1));
        check(Mix::MidSide, i64::MAX, i64::MAX, ((i64::MAX - 1) / 2, -(1 << 62)));
    }

    #[test]
    fn a_cut_or_damaged_frame_ends_the_stream() {
        let bytes = encode::stream(&waves(500), 2);
        let cut = decode(&bytes[..bytes.len() - 1], 3, usize::MAX).unwrap();
        assert!(cut.broken && cut.channels[0].len() == 384);
        let mut damaged = bytes;
        let at = damaged.len() - 20;
        damaged[at] ^= 4;
        assert!(decode(&damaged, 3, usize::MAX).unwrap().broken);
    }

    proptest! {
        #[test]
        fn hostile_streams_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8), cut: proptest::sample::Index) {
            let mut bytes = encode::stream(&waves(200), 1);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = decode(&bytes, 3, usize::MAX);
        }

        #[test]
        fn hostile_frames_never_panic(data in proptest::collection::vec(any::<u8>(), 0..120), width in 1_u32..=33, order in 1_usize..=32) {
            let mut bits = Bits { data: &data, at: 0 };
            let _ = linear(&mut bits, 64, width, order);
            let mut bits = Bits { data: &data, at: 0 };
            let _ = subframe(&mut bits, 64, width);
        }
    }
}
