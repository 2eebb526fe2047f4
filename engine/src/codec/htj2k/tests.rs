use super::super::frame::test_frame;
use super::super::{FrameBytes, TransferSyntax, decode};
use super::*;
use proptest::prelude::*;

/// Values of a kind: noise over the whole depth, a flat field, a ramp with noise, mostly nothing.
fn values(kind: u8, count: usize, width: usize, bits: u16, seed: u64) -> Vec<u32> {
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as u32
    };
    let mask = u32::MAX >> (32 - u32::from(bits));
    (0..count)
        .map(|i| {
            let (x, y) = ((i % width) as u32, (i / width) as u32);
            let v = match kind {
                0 => random(),
                1 => 5,
                2 => (3 * x + 2 * y) / 2 + random() % 4,
                3 if random() % 60 > 0 => 0,
                3 => random(),
                // A board of extremes: the largest detail that there is.
                _ => (x + y) % 2 * mask,
            };
            v & mask
        })
        .collect()
}

fn frame_of(size: (u16, u16), samples: u16, bits: u16, signed: bool) -> FrameDescription {
    let mut frame = test_frame(size.1, size.0, if bits > 8 { 16 } else { 8 }, bits);
    (frame.samples_per_pixel, frame.signed) = (samples, signed);
    if samples == 3 {
        frame.photometric = Photometric::Rgb;
    }
    frame
}

fn samples_of(frame: &FrameDescription, kind: u8, seed: u64) -> Samples {
    let count = frame.samples_per_frame().unwrap();
    let words = values(kind, count, frame.columns.into(), frame.bits_stored, seed);
    super::super::stored::pack(frame, words.into_iter())
}

fn round_trip(frame: &FrameDescription, samples: &Samples) -> Encoded {
    let encoded = encode(frame, samples).unwrap();
    let input = FrameBytes::from(encoded.stream.as_slice());
    let back = decode(frame, TransferSyntax::HTJ2K_LOSSLESS_RPCL, input).unwrap();
    assert!(back.data == *samples, "{frame:?}");
    // That was our own decoder: `encode` has asked the other one.
    assert!(super::super::j2k::decode(&encoded.stream, Default::default()).is_some());
    encoded
}

#[test]
fn sizes_around_blocks_and_levels() {
    for size in [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
        (3, 5),
        (1, 70),
        (70, 1),
        (63, 64),
        (64, 64),
        (65, 64),
        (67, 129),
        (128, 127),
        (301, 257),
        (512, 30),
        (1025, 3),
        (5000, 2),
    ] {
        for (kind, signed) in [(0, false), (2, true), (4, false)] {
            let frame = frame_of(size, 1, 12, signed);
            round_trip(&frame, &samples_of(&frame, kind, 77));
        }
    }
}

#[test]
fn depths_signs_and_contents() {
    for bits in [1, 2, 7, 8, 9, 10, 12, 14, 15, 16] {
        for signed in [false, true] {
            for kind in 0..5 {
                let frame = frame_of((131, 93), 1, bits, signed);
                round_trip(&frame, &samples_of(&frame, kind, u64::from(bits) * 7 + 3));
            }
        }
    }
}

#[test]
fn colours() {
    for (photometric, samples) in [
        (Photometric::Rgb, 3),
        (Photometric::YbrFull, 3),
        (Photometric::Rgb, 4),
    ] {
        for (bits, kind) in [(8, 0), (8, 2), (8, 4), (16, 0), (12, 4), (8, 1)] {
            let mut frame = frame_of((75, 66), samples, bits, false);
            frame.photometric = photometric;
            round_trip(&frame, &samples_of(&frame, kind, 5));
        }
    }
}

/// A side of more than one precinct, whose packets come in the order of their places.
#[test]
fn more_than_one_precinct() {
    for size in [(40_000, 2), (3, 33_000)] {
        let frame = frame_of(size, 1, 8, false);
        round_trip(&frame, &samples_of(&frame, 0, 9));
    }
}

#[test]
fn resolutions_end_where_the_stream_says() {
    let frame = frame_of((640, 500), 1, 12, false);
    let encoded = round_trip(&frame, &samples_of(&frame, 2, 1));
    assert_eq!(encoded.resolutions.len(), 6);
    let starts = encoded.stream.windows(4).enumerate();
    let starts: Vec<usize> = starts
        .filter(|(_, w)| *w == [0xff, 0x90, 0, 10])
        .map(|(i, _)| i)
        .collect();
    assert_eq!(starts[1..], encoded.resolutions[..5]);
    assert_eq!(encoded.resolutions[5] + 2, encoded.stream.len());
    // Resolution 0 of a large radiograph is no larger than 64 x 64.
    for (size, levels) in [
        ((2500, 3000), 6),
        ((512, 512), 5),
        ((1, 1), 0),
        ((3, 2), 1),
        ((65_535, 9), 10),
    ] {
        assert_eq!(levels_of(size), levels, "{size:?}");
    }
}

/// The main header alone says where resolutions end; whatever else is in its place, nothing is made up.
#[test]
fn offsets_are_read_from_the_header() {
    let frame = frame_of((200, 130), 3, 8, false);
    let encoded = encode_unproved(&frame, &samples_of(&frame, 2, 7)).unwrap();
    let stream = &encoded.stream;
    let header = stream.windows(2).position(|w| w == [0xff, 0x90]).unwrap();
    for length in [stream.len(), header + 2] {
        assert_eq!(
            resolutions(&stream[..length]).as_ref(),
            Some(&encoded.resolutions)
        );
    }
    for length in 0..header + 2 {
        assert_eq!(resolutions(&stream[..length]), None, "{length}");
    }
    let place = |code: u8| stream.windows(2).position(|w| w == [0xff, code]).unwrap();
    // another order, a second tile, a level more than there are tile-parts
    for (at, value) in [
        (place(0x52) + 5, 0),
        (place(0x51) + 25, 100),
        (place(0x52) + 9, 7),
    ] {
        let mut other = stream.clone();
        other[at] = value;
        assert_eq!(resolutions(&other), None, "{at}");
    }
}

fn levels_of(size: (u16, u16)) -> u8 {
    levels(&frame_of(size, 1, 8, false))
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let frame = frame_of((4, 4), 1, 12, false);
    assert!(encode(&frame, &Samples::U16(vec![0; 15])).is_err());
    assert!(encode(&frame, &Samples::F32(vec![0.0; 16])).is_err());
    assert!(encode(&frame, &Samples::U32(vec![0; 16])).is_err());
    // A value of 13 bits in an image of 12.
    assert!(encode(&frame, &Samples::U16(vec![5000; 16])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn everything_comes_back(
        size in (1u16..200, 1u16..200),
        bits in 1u16..=16,
        signed: bool,
        colour in 0u8..4,
        kind in 0u8..5,
        seed: u64,
    ) {
        let samples = if colour == 0 { 3 } else { 1 };
        let frame = frame_of(size, samples, bits, signed && samples == 1);
        round_trip(&frame, &samples_of(&frame, kind, seed));
    }
}
